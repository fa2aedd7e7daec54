"""How many components: fit each candidate, keep the table that the choice was made from."""

import math
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from gmmlearn._validation import as_count, as_rng
from gmmlearn.estimator import GaussianMixture

CRITERIA = ("bic", "icl", "aic", "held-out")


class Candidate(NamedTuple):
    """One row of the table."""

    n_components: int
    value: float
    """The criterion; lower is better. Infinity if the fit failed."""
    log_prob: float
    """Mean nats per sample of the rows it was fitted to."""
    converged: bool
    collapsed: bool
    """Whether a component collapsed, which makes `value` meaningless."""
    error: str = ""
    """Why the fit failed, or nothing."""


class Selection(NamedTuple):
    """What `select_n_components` returns; print it to see the table."""

    estimator: GaussianMixture
    """The chosen mixture, fitted to all rows."""
    criterion: str
    table: tuple
    """One `Candidate` for each number of components, in the order given."""

    @property
    def n_components(self):
        """The chosen number of components."""
        return self.estimator.n_components

    def __str__(self):
        lines = [f" K {self.criterion:>14} {'log_prob':>10}"]
        for row in self.table:
            notes = [row.error] if row.error else ["collapsed"] * row.collapsed
            notes += ["did not converge"] * (not row.error and not row.converged)
            chosen = "*" if row.n_components == self.n_components else " "
            numbers = f"{row.n_components:>2} {row.value:14.6g} {row.log_prob:10.4f}"
            lines.append(f"{numbers} {chosen} {', '.join(notes)}".rstrip())
        return "\n".join(lines)


def select_n_components(
    X, candidates=range(1, 11), criterion="bic", estimator=None, held_out=0.25, rng=None
):
    """Fit a mixture for each number of components and choose the one with the lowest criterion.

    A fit with a collapsed component is chosen only if all have one, and a number of components for
    which the fit fails is noted in the table and passed over.

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
        Share of the rows kept back for "held-out": drawn at random once, the same for every
        candidate. Rows that belong together (of one patient, or in order of time) should not be
        split so: fit and score such candidates yourself.
    rng : numpy Generator, int or None
        Which rows those are, and the seed of the fits if there is no `estimator`.

    Returns
    -------
    Selection
        estimator, criterion, table, n_components.

    Raises
    ------
    ValueError
        If an argument is malformed, or if all fits fail.

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
    >>> print(selection)
     K            bic   log_prob
     1        477.634    -2.3421
     2        200.953    -0.8896 *
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion is {criterion!r}. Use one of {', '.join(CRITERIA)}.")
    numbers = [as_count(k, "candidates") for k in candidates]
    if not numbers:
        raise ValueError("candidates is empty. Pass numbers of components such as range(1, 11).")
    rng = as_rng(rng)
    # A data frame keeps its names, by which the chosen mixture checks what it is given later.
    X = X if hasattr(X, "iloc") else np.asarray(X)
    fitted_rows, scored_rows = _split(X, criterion, held_out, rng)
    if estimator is None:
        estimator = GaussianMixture(random_state=int(rng.integers(2**31)))
    best, table = None, []
    for k in numbers:
        mixture = clone(estimator).set_params(n_components=k)
        row = _try(mixture, criterion, fitted_rows, scored_rows)
        table.append(row)
        if not row.error and (best is None or _rank(row) < _rank(best[0])):
            best = row, mixture
    if best is None:
        raise ValueError(f"All fits failed. Of {numbers[0]} components: {table[0].error}")
    chosen = best[1]
    if criterion == "held-out":
        chosen = clone(chosen).fit(X)
    return Selection(chosen, criterion, tuple(table))


def _rank(row):
    """Return what a better candidate has less of: collapse first, then the criterion."""
    return row.collapsed, row.value


def _try(mixture, criterion, fitted_rows, scored_rows):
    """Fit `mixture` and return its Candidate, also if it fails."""
    k = mixture.n_components
    try:
        mixture.fit(fitted_rows)
    except ValueError as error:
        return Candidate(k, math.inf, math.nan, False, False, str(error))
    if criterion == "held-out":
        value = -mixture.score(scored_rows)
    else:
        value = getattr(mixture, criterion)(scored_rows)
    log_prob = mixture.score(fitted_rows)
    return Candidate(k, value, log_prob, mixture.converged_, mixture.collapsed_)


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
    order = rng.permutation(len(X))
    return _safe_indexing(X, order[n_scored:]), _safe_indexing(X, order[:n_scored])
