"""One Gaussian shape in many strengths: a mixture of scaled copies (chapter 8)."""

import numpy as np

from gmmlearn._validation import as_count, as_nonnegative, as_points
from gmmlearn.gaussian import LOG_2PI, Gaussian, whiten
from gmmlearn.mixture import Mixture, log_sum_exp


def fit_scale_mixture(X, gaussian, n_components=10, max_iter=500, tol=1e-6):
    """Fit sum_k pi_k N(mu, s_k Sigma): weights and scales by EM, mu and Sigma as given.

    A picture's patches have much the same shape of covariance at every contrast; one Gaussian has
    only one contrast. Only the squared length of the whitened points matters, so an iteration
    costs N K and not N K D^2.

    Parameters
    ----------
    X : array-like (N, D)
        Points.
    gaussian : Gaussian
        Mean mu and the shape Sigma of all components.
    n_components : int >= 1
        Number of scales K.
    max_iter : int >= 1
        Largest number of EM iterations.
    tol : float >= 0
        Stop when the mean log density rises by less, in nats per sample.

    Returns
    -------
    Mixture
        With covariances s_k Sigma.

    Raises
    ------
    ValueError
        If an argument is malformed, or a point equals the mean, where a scale could shrink to
        nothing.

    References
    ----------
    wainwright1999scale.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.random.default_rng(0).standard_normal((2000, 8))
    >>> z[:1000] *= 5.0
    >>> two = fit_scale_mixture(z, Gaussian(np.zeros(8), np.eye(8)), n_components=2)
    >>> np.sqrt(two.covariances[:, 0, 0]).round(1)
    array([1., 5.])
    """
    if not isinstance(gaussian, Gaussian):
        raise ValueError(
            f"gaussian must be a Gaussian, not {type(gaussian).__name__}. Make one with "
            "Gaussian(mean, covariance), Gaussian.fit(X) or GaussianField.patch_gaussian(basis)."
        )
    X = as_points(X, gaussian.n_features)
    n_components, tol = as_count(n_components, "n_components"), as_nonnegative(tol, "tol")
    # Mean square of the whitened features of each point: 1 on average if the Gaussian is right.
    power = np.square(whiten(X, gaussian.mean, gaussian.covariance_cholesky)).mean(axis=1)
    if power.min() == 0.0:
        raise ValueError(
            f"X[{power.argmin()}] equals the mean: a scale could shrink to nothing on it. Remove "
            "such points, or dequantise the data."
        )
    scales = np.geomspace(*np.quantile(power, [0.01, 0.99]), n_components)
    weights, before = np.full(n_components, 1.0 / n_components), -np.inf
    for _ in range(as_count(max_iter, "max_iter")):
        with np.errstate(divide="ignore"):
            log_weights = np.log(weights)
        log_joint = log_weights + _log_radial(power, scales, gaussian.n_features)
        log_prob = log_sum_exp(log_joint)  # up to the log determinant of Sigma
        if log_prob.mean() - before < tol:
            break
        before = log_prob.mean()
        resp = np.exp(log_joint - log_prob[:, None])
        counts = resp.sum(axis=0)
        # A component that nobody wants any more keeps its scale.
        scales = np.where(counts > 0, resp.T @ power / np.where(counts > 0, counts, 1.0), scales)
        weights = counts / len(X)
    means = np.tile(gaussian.mean, (n_components, 1))
    return Mixture(weights, means, scales[:, None, None] * gaussian.covariance)


def _log_radial(power, scales, n_features):
    """Return log N(z; 0, s_k I) from the mean square of z, (N, K)."""
    return -0.5 * n_features * (LOG_2PI + np.log(scales) + power[:, None] / scales)
