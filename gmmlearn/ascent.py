"""Climb the likelihood: M-step, one iteration of EM that keeps its digits, and the loop."""

from typing import NamedTuple

import numpy as np

from gmmlearn.covariance import EPS, Parameters, SingularCovariance
from gmmlearn.statistics import Posterior, lossy, sweep


class Climb(NamedTuple):
    """Where `climb` arrived."""

    params: Parameters
    """After the last M-step, in the frame."""
    lower_bounds: list
    """The bound before each M-step, mean nats per sample in the frame."""
    converged: bool


class Settings(NamedTuple):
    """How to climb; everything in the frame."""

    max_iter: int
    tol: float
    """Nats per sample."""
    reg_covar: np.ndarray
    """Variance added to each diagonal (D,)."""
    fixed: frozenset = frozenset()
    """Which of "weights", "means", "covariances" stay as they are."""
    prior_strength: float = 0.0
    """How many imaginary samples stand behind `prior`, for each covariance."""
    prior: np.ndarray | None = None
    """Covariances in the structure's shape, of which only the variances count."""
    floor: float | np.ndarray = 0.0
    """Variance (D,) that is only rounding: whatever has no more is singular."""


class Moments(NamedTuple):
    """What the responsibilities say of each component, before any prior or regularisation."""

    counts: np.ndarray
    """N_k (K,)."""
    means: np.ndarray
    """Means (K, D)."""
    covariances: np.ndarray
    """Covariances about the means, in the structure's shape."""


def moments(structure, sums, centres, previous):
    """Return the Moments of sums about `centres` (eq. em-m-step-means, em-m-step-covariances).

    A component without any sample keeps its previous mean.
    """
    counts = sums.counts + 10 * _tiny(sums.counts)
    offsets = sums.first / counts[:, None]
    means = centres + offsets
    factors = previous.precisions_cholesky
    covariances = structure.centred_moments(sums.second, counts, offsets, factors)
    empty = sums.counts < 10 * _tiny(sums.counts)
    if empty.any():
        means = np.where(empty[:, None], previous.means, means)
    return Moments(counts, means, covariances)


def _tiny(counts):
    """Return a count that is nothing beside `counts` (K,), also where weights make all tiny."""
    return EPS * min(1.0, float(counts.sum()))


def blend(structure, old, new, share, factors=None):
    """Return the Moments of a mixture of two data sets, of which `new` has this share."""
    old_counts, new_counts = (1.0 - share) * old.counts, share * new.counts
    counts = old_counts + new_counts
    part = (new_counts / counts)[:, None]
    apart = new.means - old.means
    shared = structure.shared
    weight = np.sum(new_counts, keepdims=True) / counts.sum() if shared else part[:, 0]
    weight = _as_column(weight, old.covariances)
    between = structure.outer(apart, factors) * _as_column(
        (part * (1.0 - part))[:, 0], old.covariances
    )
    return Moments(
        counts,
        old.means + part * apart,
        (1.0 - weight) * old.covariances
        + weight * new.covariances
        + structure.pool(between, counts),
    )


def maximise(structure, found, previous, settings):
    """Return the Parameters that the Moments `found` call for (eq. em-m-step-weights).

    A component without any sample keeps its previous covariance.

    Raises
    ------
    SingularCovariance
        If a component has no spread in some direction.
    """
    counts, means, covariances = found
    fixed, factors = settings.fixed, previous.precisions_cholesky
    if "means" in fixed:
        about = structure.outer(means - previous.means, factors)
        covariances, means = covariances + structure.pool(about, counts), previous.means
    if settings.prior_strength:
        behind = counts.sum(keepdims=True) if structure.shared else counts
        share = _as_column(behind / (behind + settings.prior_strength), covariances)
        prior = structure.seen(settings.prior, factors)
        covariances = share * covariances + (1.0 - share) * prior
    covariances = structure.improve(covariances, previous)
    covariances = structure.add_diagonal(covariances.copy(), settings.reg_covar)
    empty = counts < 20 * _tiny(counts)
    if empty.any() and not structure.shared:
        covariances[empty] = previous.covariances[empty]
    weights = previous.weights if "weights" in fixed else counts / counts.sum()
    if "covariances" in fixed:
        return Parameters(weights, means, *previous[2:])
    thin = (structure.variances(covariances) <= settings.floor).any(axis=1)
    if thin.any():
        raise SingularCovariance(int(np.argmax(thin)))
    return Parameters(weights, means, covariances, structure.factor(covariances))


def recover(structure, params, total, settings):
    """Return the Moments, counts summing to one, that made `params` of points of `total` weight.

    The inverse of `maximise`, unless parameters were fixed or there are loadings, from which no
    prior can be taken away.
    """
    covariances = structure.add_diagonal(params.covariances.copy(), -settings.reg_covar)
    if settings.prior_strength and structure.made_of != "loadings":
        counts = params.weights * total
        behind = counts.sum(keepdims=True) if structure.shared else counts
        share = _as_column(behind / (behind + settings.prior_strength), covariances)
        covariances = settings.prior + (covariances - settings.prior) / np.maximum(share, EPS)
    return Moments(params.weights / params.weights.sum(), params.means, covariances)


def _as_column(values, like):
    """Return `values` (K,) with as many axes as `like`."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def log_prior(structure, params, settings):
    """Return -strength x KL(prior, covariance) summed over covariances, nats; 0 at the prior."""
    if not settings.prior_strength:
        return 0.0
    n_features = params.means.shape[1]
    prior = np.broadcast_to(structure.variances(settings.prior)[0], n_features)
    precisions = structure.precision_diagonal(params.precisions_cholesky)
    log_det = structure.log_det_precision(params.precisions_cholesky, n_features)
    trace = (precisions * prior).sum(axis=1)
    kl = 0.5 * (trace - n_features - np.log(prior).sum()) - log_det
    return -settings.prior_strength * float(kl.sum())


def step(table, posterior, previous, settings):
    """Make one E-step and one M-step; make them again about the new means if digits were lost.

    Parameters
    ----------
    table : Table
    posterior : Posterior, or a start with its `respond`
    previous : Parameters
        Those of `posterior`.
    settings : Settings

    Returns
    -------
    posterior : Posterior
        Of the new parameters.
    sums : Sums
        What they were made from; its log_prob belongs to the old ones.

    Raises
    ------
    SingularCovariance
        If a component has no spread in some direction.
    """
    structure, exact = table.structure, posterior.exact
    centres = table.centres(previous.means, exact)
    for last in (False, True):
        sums = sweep(table, posterior, centres, exact)
        found = moments(structure, sums, centres, previous)
        try:
            new = maximise(structure, found, previous, settings)
        except SingularCovariance:
            if last:
                raise
            more = np.arange(len(centres))
        else:
            after = Posterior(structure, new, table.centred, table.eps)
            if last or not len(after.exact) + len(exact):
                return after, sums
            distance = np.abs(found.means - centres)
            more = lossy(structure, distance, new.precisions_cholesky, table.eps)
            if not len(more):
                return after, sums
        exact = np.union1d(exact, more)
        centres = table.centres(found.means, exact)


def climb(table, posterior, bound, settings, progress):
    """Repeat `step` until the bound changes by less than the tolerance (algorithm em-algorithm).

    Parameters
    ----------
    table : Table
    posterior : Posterior
        Of the parameters to begin with.
    bound : float
        An earlier bound to compare the first one with; minus infinity if there is none.
    settings : Settings
    progress : Progress
        Told of each iteration.

    Returns
    -------
    Climb
    """
    lower_bounds, converged = [], False
    while not converged and len(lower_bounds) < settings.max_iter:
        prior = log_prior(table.structure, posterior.params, settings)
        posterior, sums = step(table, posterior, posterior.params, settings)
        lower_bounds.append(float((sums.log_prob + prior) / table.total_weight))
        change, bound = lower_bounds[-1] - bound, lower_bounds[-1]
        if not np.isfinite(bound):
            raise ValueError(
                "Some row of X is so far from every component that its density is not finite. Use "
                "means_init and precisions_init of the size of X, or another init_params."
            )
        progress.iteration(len(lower_bounds), change, bound)
        converged = bool(abs(change) < settings.tol)
    progress.end(bound, converged)
    return Climb(posterior.params, lower_bounds, converged)
