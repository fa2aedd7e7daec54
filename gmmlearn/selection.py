"""How many components: fit each candidate, keep the table that the choice was made from."""

import math
from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from gmmlearn._validation import as_count, as_rng
from gmmlearn.estimator import GaussianMixture

CRITERIA = ("bic", "icl", "aic", "held-out")


class Candidate(NamedTuple):
    """One row of the table."""

    n_components: int
    value: float
    """The criterion; lower is better."""
    log_prob: float
    """Mean nats per sample of the rows it was fitted to."""
    converged: bool


class Selection(NamedTuple):
    """What `select_n_components` returns."""

    estimator: GaussianMixture
    """The chosen mixture, fitted to all rows."""
    criterion: str
    table: tuple
    """One `Candidate` for each number of components, in the order given."""

    @property
    def n_components(self):
        """The chosen number of components."""
        return self.estimator.n_components


def select_n_components(
    X, candidates=range(1, 11), criterion="bic", estimator=None, held_out=0.25, rng=None
):
    """Fit a mixture for each number of components and choose the one with the lowest criterion.

    Parameters
    ----------
    X : array-like (N, D)
        Points; NaN is missing.
    candidates : iterable of int, default=range(1, 11)
        Numbers of components K to try.
    criterion : {"bic", "icl", "aic", "held-out"}, default="bic"
        "bic": density well described. "icl": groups well separated. "aic": as "bic" with a weaker
        penalty. "held-out": minus the mean log density, in nats, of rows that were not fitted; the
        chosen mixture is then fitted to all rows.
    estimator : GaussianMixture, optional
        Settings of all fits; its `n_components` is ignored. Never changed.
    held_out : float, default=0.25
        Share of the rows kept back for "held-out".
    rng : numpy Generator, int or None
        Which rows those are.

    Returns
    -------
    Selection
        estimator, criterion, table, n_components.

    Raises
    ------
    ValueError
        If an argument is malformed.

    References
    ----------
    schwarz1978estimating; biernacki2000assessing.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.concatenate([np.linspace(0, 1, 50), np.linspace(5, 6, 50)]).reshape(-1, 1)
    >>> selection = select_n_components(X, [1, 2], estimator=GaussianMixture(random_state=0))
    >>> selection.n_components
    2
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion is {criterion!r}. Use one of {', '.join(CRITERIA)}.")
    numbers = [as_count(k, "candidates") for k in candidates]
    if not numbers:
        raise ValueError("candidates is empty. Pass numbers of components such as range(1, 11).")
    estimator = GaussianMixture() if estimator is None else estimator
    X = np.asarray(X)
    fitted_rows, scored_rows = _split(X, criterion, held_out, rng)
    best, table = None, []
    for k in numbers:
        mixture = clone(estimator).set_params(n_components=k).fit(fitted_rows)
        value = _value(mixture, criterion, scored_rows)
        table.append(Candidate(k, value, mixture.score(fitted_rows), mixture.converged_))
        if best is None or value < min(row.value for row in table[:-1]):
            best = mixture
    if criterion == "held-out":
        best = clone(best).fit(X)
    return Selection(best, criterion, tuple(table))


def _value(mixture, criterion, rows):
    """Return the criterion of a fitted mixture; lower is better."""
    if criterion == "held-out":
        return -mixture.score(rows)
    return getattr(mixture, criterion)(rows)


def _split(X, criterion, held_out, rng):
    """Return the rows to fit and the rows to score, shuffled apart for "held-out"."""
    if criterion != "held-out":
        return X, X
    n_scored = math.ceil(held_out * len(X)) if 0 < held_out < 1 else 0
    if not 0 < n_scored < len(X):
        raise ValueError(
            f"held_out is {held_out!r} of {len(X)} rows. Use a share between 0 and 1 that leaves "
            "rows on both sides."
        )
    order = as_rng(rng).permutation(len(X))
    return X[order[n_scored:]], X[order[:n_scored]]
