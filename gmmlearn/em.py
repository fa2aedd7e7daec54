"""EM for a mixture of Gaussians with full covariances: chapter 3 as code.

The E-step asks which component each point belongs to; the M-step refits each component to the
points it answers for. Read top to bottom: `e_step`, `m_step`, `lower_bound`, `fit_em`, and where to
begin, `start_mixture`.
"""

from typing import NamedTuple

import numpy as np

from gmmlearn._validation import (
    as_count,
    as_nonnegative,
    as_points,
    as_responsibilities,
    as_rng,
    require_spread,
)
from gmmlearn.mixture import Mixture, as_mixture, log_sum_exp


class EMResult(NamedTuple):
    """What `fit_em` returns."""

    mixture: Mixture
    """The fitted mixture, after the last M-step."""
    lower_bounds: np.ndarray
    """The bound before each M-step, mean nats per sample, shape (n_iter,)."""
    converged: bool
    """Whether the bound changed by less than `tol`."""


def e_step(X, mixture):
    """Return log p(x_n) and the log responsibilities of each point (eq. em-e-step).

    Parameters
    ----------
    X : array-like (N, D)
        Points.
    mixture : Mixture
        Current parameters.

    Returns
    -------
    log_prob : array (N,)
        Log densities in nats; their mean is the bound after this E-step.
    log_resp : array (N, K)
        Log responsibilities; exponentials of a row sum to one.

    References
    ----------
    dempster1977maximum.
    """
    log_joint = as_mixture(mixture).log_joint(X)
    log_prob = log_sum_exp(log_joint)
    return log_prob, log_joint - log_prob[:, None]


def m_step(X, resp, reg_covar=0.0):
    """Return the mixture that maximises the bound for given responsibilities.

    Counts (eq. em-counts), weights (eq. em-m-step-weights), means (eq. em-m-step-means) and
    covariances (eq. em-m-step-covariances).

    Parameters
    ----------
    X : array-like (N, D)
        Points.
    resp : array-like (N, K)
        Responsibilities; each row sums to one.
    reg_covar : float >= 0
        Variance added to the diagonal of each covariance, in squared units of X.

    Returns
    -------
    Mixture
        Updated parameters.

    Raises
    ------
    ValueError
        If a component is responsible for nothing (choose fewer components or another start) or its
        covariance is singular (raise `reg_covar`).
    """
    return _estimated(*_moments(as_points(X), resp, as_nonnegative(reg_covar, "reg_covar")))


def _moments(X, resp, reg_covar):
    """Return weights (K,), means (K, D) and covariances (K, D, D) weighted by `resp`."""
    resp = as_responsibilities(resp, len(X))
    counts = resp.sum(axis=0)  # (K,), eq. em-counts
    if not counts.all():
        raise ValueError(
            f"resp leaves component {int(np.argmin(counts))} without any sample. "
            "Use fewer components or start from other means."
        )
    means = resp.T @ X / counts[:, None]
    covariances = np.empty((len(means), X.shape[1], X.shape[1]))
    for k, mean in enumerate(means):
        # Centring first keeps the digits that E[xx'] - mu mu' would cancel.
        centred = X - mean
        covariances[k] = (resp[:, k, None] * centred).T @ centred / counts[k]
    return counts / len(X), means, covariances + reg_covar * np.eye(X.shape[1])


def _estimated(weights, means, covariances):
    """Return the Mixture of these estimates, or raise if one has no more spread than rounding."""
    for k, (mean, covariance) in enumerate(zip(means, covariances, strict=True)):
        require_spread(covariance, mean, f"covariances[{k}]")
    return Mixture(weights, means, covariances)


def lower_bound(X, resp, mixture):
    """Return the bound F(q, theta) of EM for any responsibilities (eq. em-bound).

    Parameters
    ----------
    X : array-like (N, D)
        Points.
    resp : array-like (N, K)
        Any distribution q_n over components for each point; each row sums to one.
    mixture : Mixture
        Parameters theta.

    Returns
    -------
    float
        Bound in mean nats per sample: at most the mean of ``mixture.log_prob(X)``, and equal to it
        when `resp` are the mixture's own responsibilities.

    References
    ----------
    neal1998view.
    """
    log_joint = as_mixture(mixture).log_joint(X)
    resp = as_responsibilities(resp, *log_joint.shape)
    used = resp > 0  # q log q tends to 0 with q
    return float(np.sum(resp[used] * (log_joint[used] - np.log(resp[used]))) / len(resp))


def fit_em(X, start, max_iter=100, tol=1e-6, reg_covar=1e-6):
    """Climb from `start` by E-steps and M-steps in turn (algorithm em-algorithm).

    Parameters
    ----------
    X : array-like (N, D)
        Points.
    start : Mixture
        Where to begin, for instance from `start_mixture`.
    max_iter : int >= 1
        Largest number of iterations.
    tol : float >= 0
        Stop when the bound changes by less than this, in nats per sample.
    reg_covar : float >= 0
        Variance added to the diagonal of each covariance. With 0 the bound never falls; a positive
        value keeps components from collapsing and may cost the bound a little.

    Returns
    -------
    EMResult
        mixture, lower_bounds, converged.

    Raises
    ------
    ValueError
        If an argument is malformed, or a component collapses: raise `reg_covar`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> result = fit_em(X, start_mixture(X, n_components=2, rng=0))
    >>> np.sort(result.mixture.means.ravel()).round(3)
    array([ 0.5, 10.5])
    """
    mixture, lower_bounds, converged = as_mixture(start, "start"), [], False
    X = as_points(X, mixture.n_features)
    max_iter, tol = as_count(max_iter, "max_iter"), as_nonnegative(tol, "tol")
    while not converged and len(lower_bounds) < max_iter:
        log_prob, log_resp = e_step(X, mixture)
        mixture = m_step(X, np.exp(log_resp), reg_covar)
        lower_bounds.append(log_prob.mean())
        converged = len(lower_bounds) > 1 and abs(lower_bounds[-1] - lower_bounds[-2]) < tol
    return EMResult(mixture, np.array(lower_bounds), bool(converged))


def start_mixture(X, n_components, rng=None, spread=True, reg_covar=1e-6):
    """Choose K points as centres and summarise the points nearest to each (eq. em-start).

    Means and weights are those of the groups; all components share the covariance within groups, so
    that a group of one point cannot collapse at once.

    Parameters
    ----------
    X : array-like (N, D)
        Points.
    n_components : int
        Number of components K, at most N.
    rng : numpy Generator, int or None
        Source of randomness.
    spread : bool
        True: k-means++, each further centre with probability proportional to its squared distance
        to the nearest centre so far. False: K different points uniformly at random.
    reg_covar : float >= 0
        Variance added to the diagonal of the shared covariance.

    Returns
    -------
    Mixture
        A place for `fit_em` to begin.

    Raises
    ------
    ValueError
        If K is larger than N or than the number of different points.

    References
    ----------
    arthur2007kmeans.
    """
    X, rng = as_points(X), as_rng(rng)
    n_components = as_count(n_components, "n_components")
    if n_components > len(X):
        raise ValueError(
            f"n_components is {n_components}, but X has only {len(X)} samples. "
            "Use at most one component for each sample."
        )
    distances = np.full((len(X), n_components), np.inf)  # squared, to each centre chosen so far
    for k in range(n_components):
        nearest = distances.min(axis=1)
        chance = nearest if spread and k > 0 else (nearest > 0).astype(float)
        if not chance.any():
            raise ValueError(f"X has only {k} different points. Use n_components <= {k}.")
        centre = X[rng.choice(len(X), p=chance / chance.sum())]
        distances[:, k] = np.square(X - centre).sum(axis=1)
    resp = np.eye(n_components)[distances.argmin(axis=1)]
    weights, means, covariances = _moments(X, resp, as_nonnegative(reg_covar, "reg_covar"))
    shared = np.einsum("k,kij->ij", weights, covariances)
    return _estimated(weights, means, np.tile(shared, (n_components, 1, 1)))
