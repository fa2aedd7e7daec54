"""One Gaussian: density, sampling, marginal, conditional, maximum likelihood (chapter 1)."""

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solve_triangular

from gmmlearn._validation import (
    as_cholesky,
    as_count,
    as_covariance,
    as_features,
    as_nonnegative,
    as_numbers,
    as_points,
    as_rng,
    frozen,
    require_spread,
)

LOG_2PI = np.log(2.0 * np.pi)


def whiten(X, mean, covariance_cholesky):
    """Solve L z = x - mu for each row x of `X` (eq. gaussian-whitening).

    Parameters
    ----------
    X : array (N, D)
        Points.
    mean : array (D,)
        Mean mu.
    covariance_cholesky : array (D, D)
        Lower Cholesky factor L of the covariance.

    Returns
    -------
    array (N, D)
        Whitened points z; under the Gaussian they have mean 0 and identity covariance.

    Raises
    ------
    ValueError
        If shapes do not fit or the factor is not lower triangular with a positive diagonal.
    """
    mean = as_numbers(mean, "mean", 1, "(n_features,)")
    X = as_points(X, mean.size)
    factor = as_cholesky(covariance_cholesky, mean.size)
    # Solving with the triangular factor is cheaper and more accurate than inverting Sigma.
    # X - mean is ours already, so the solver may write its answer there.
    return solve_triangular(
        factor, (X - mean).T, lower=True, overwrite_b=True, check_finite=False
    ).T


def log_density(X, mean, covariance_cholesky):
    """Return log N(x; mu, L L') in nats for each row of `X` (eq. gaussian-log-density).

    The covariance enters only through its Cholesky factor: the Mahalanobis distance is the length
    of the whitened point, and log det Sigma = 2 sum_i log L_ii.

    Parameters
    ----------
    X : array (N, D)
        Points.
    mean : array (D,)
        Mean mu.
    covariance_cholesky : array (D, D)
        Lower Cholesky factor L of the covariance.

    Returns
    -------
    array (N,)
        Log densities in nats.

    Raises
    ------
    ValueError
        If shapes do not fit or the factor is not lower triangular with a positive diagonal.

    References
    ----------
    bishop2006pattern, section 2.3.
    """
    z = whiten(X, mean, covariance_cholesky)
    squared_distance = np.square(z).sum(axis=1)  # (N,)
    log_det = 2.0 * np.log(np.diagonal(covariance_cholesky)).sum()
    return -0.5 * (z.shape[1] * LOG_2PI + log_det + squared_distance)


@dataclass(frozen=True, eq=False)
class Gaussian:
    """One Gaussian N(mu, Sigma) in D dimensions (eq. gaussian-density).

    Parameters
    ----------
    mean : array-like (D,)
        Mean mu.
    covariance : array-like (D, D)
        Covariance Sigma, symmetric and positive definite.

    Attributes
    ----------
    covariance_cholesky : array (D, D)
        Lower triangular L with Sigma = L L'.

    Raises
    ------
    ValueError
        If a shape does not fit, a number is not finite, or the covariance is not positive definite.

    Notes
    -----
    The arrays are read-only copies of what was passed in.

    Examples
    --------
    >>> import numpy as np
    >>> standard = Gaussian(mean=[0.0, 0.0], covariance=np.eye(2))
    >>> standard.log_prob([[0.0, 0.0]]).round(4)
    array([-1.8379])
    """

    mean: np.ndarray
    covariance: np.ndarray
    covariance_cholesky: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        mean = as_numbers(self.mean, "mean", 1, "(n_features,)")
        covariance, cholesky = as_covariance(self.covariance, mean.size)
        object.__setattr__(self, "mean", frozen(mean))
        object.__setattr__(self, "covariance", frozen(covariance))
        object.__setattr__(self, "covariance_cholesky", frozen(cholesky))

    @property
    def n_features(self):
        """Number of features D."""
        return self.mean.size

    @classmethod
    def fit(cls, X, reg_covar=0.0):
        """Fit the Gaussian of highest likelihood: sample mean and covariance (eq. gaussian-ml).

        Parameters
        ----------
        X : array-like (N, D)
            Points.
        reg_covar : float >= 0
            Variance added to the diagonal, in squared units of X.

        Returns
        -------
        Gaussian
            Its covariance divides by N, not N - 1.

        Raises
        ------
        ValueError
            If X is no finite array of points, or its covariance is singular up to rounding: raise
            `reg_covar`.
        """
        X = as_points(X)
        reg_covar = as_nonnegative(reg_covar, "reg_covar")
        mean = X.mean(axis=0)
        centred = X - mean
        covariance = centred.T @ centred / X.shape[0] + reg_covar * np.eye(X.shape[1])
        require_spread(covariance, mean, "covariance")
        return cls(mean, covariance)

    def log_prob(self, X):
        """Return log N(x; mu, Sigma) for each row of `X` (eq. gaussian-log-density).

        Parameters
        ----------
        X : array-like (N, D)
            Points.

        Returns
        -------
        array (N,)
            Log densities in nats.
        """
        return log_density(X, self.mean, self.covariance_cholesky)

    def sample(self, n_samples, rng=None):
        """Draw points x = mu + L z with z standard normal (eq. gaussian-affine).

        Parameters
        ----------
        n_samples : int >= 1
            Number of points N.
        rng : numpy Generator, int or None
            Source of randomness.

        Returns
        -------
        array (N, D)
            Points.
        """
        shape = (as_count(n_samples, "n_samples"), self.n_features)
        return self.mean + as_rng(rng).standard_normal(shape) @ self.covariance_cholesky.T

    def marginal(self, features):
        """Return the Gaussian of some features alone (eq. gaussian-marginal).

        Parameters
        ----------
        features : list of int
            Indices of the features to keep, in the order wanted.

        Returns
        -------
        Gaussian
            Over the F features named.
        """
        kept = as_features(features, self.n_features)
        return Gaussian(self.mean[kept], self.covariance[np.ix_(kept, kept)])

    def condition(self, features, values):
        """Return the Gaussian of the other features, given these (eq. gaussian-conditional).

        Parameters
        ----------
        features : list of int
            Indices of the G features that are known.
        values : array-like (G,)
            Their values, in the same order.

        Returns
        -------
        Gaussian
            Over the remaining D - G features, in increasing order of index.

        Raises
        ------
        ValueError
            If an index is unknown or named twice, or nothing would remain.

        References
        ----------
        bishop2006pattern, section 2.3.1.
        """
        given = as_features(features, self.n_features, leave_some=True)
        values = as_numbers(values, "values", 1, f"({given.size},)")
        if values.size != given.size:
            raise ValueError(
                f"values has {values.size} entries, but features names {given.size}. "
                "Pass one value for each."
            )
        rest = np.setdiff1d(np.arange(self.n_features), given)
        known = self.marginal(given)
        # With Sigma_gg = L L', both A = L^-1 Sigma_gr and L^-1 (x_g - mu_g) are triangular solves.
        gain = solve_triangular(
            known.covariance_cholesky, self.covariance[np.ix_(given, rest)], lower=True
        )
        z = whiten(values[None], known.mean, known.covariance_cholesky)[0]
        return Gaussian(
            self.mean[rest] + z @ gain,
            self.covariance[np.ix_(rest, rest)] - gain.T @ gain,
        )
