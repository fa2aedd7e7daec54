"""Ensemble: Gaussians of very many features, kept as the weighted points that they come from."""

from dataclasses import dataclass, field

import numpy as np

from gmmlearn._validation import (
    as_features,
    as_nonnegative,
    as_numbers,
    as_points,
    as_responsibilities,
    as_rng,
)

_SHARE = 1e-6
"""A point with less than this share of a component is left out of it."""


@dataclass(frozen=True, eq=False)
class Ensemble:
    """K Gaussians with the weighted means and covariances of points, without any D x D array.

    Component k has mean m_k = sum_n r_nk x_n / N_k and covariance sum_n r_nk (x_n - m_k)
    (x_n - m_k)' / N_k, the M-step of EM (eq. em-m-step-means, em-m-step-covariances). A draw is the
    mean plus the points' deviations, each times sqrt(r_nk / N_k) and its own standard normal
    number (eq. ensemble-draw): that has exactly this covariance, and costs one number a point.

    Parameters
    ----------
    X : array-like (N, D)
        Points; float32 stays float32.
    resp : array-like (N, K)
        Responsibilities; each row sums to one, each component has a point.

    Attributes
    ----------
    counts : array (K,)
        N_k.

    Examples
    --------
    >>> import numpy as np
    >>> ensemble = Ensemble([[0.0, 0.0], [2.0, 2.0]], [[1.0], [1.0]])
    >>> ensemble.mean(0)
    array([1., 1.])
    >>> draws = ensemble.sample(np.zeros(10_000, int), rng=0)
    >>> np.cov(draws.T, bias=True).round(1)
    array([[1., 1.],
           [1., 1.]])
    """

    X: np.ndarray
    resp: np.ndarray
    counts: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        X = np.asarray(self.X)
        X = X if X.dtype == np.float32 and X.ndim == 2 else as_points(X)
        resp = as_responsibilities(self.resp, len(X))
        counts = resp.sum(axis=0)
        if not counts.all():
            raise ValueError(
                f"resp leaves component {int(np.argmin(counts))} without any point. "
                "Use fewer components."
            )
        for name, value in (("X", X), ("resp", resp), ("counts", counts)):
            object.__setattr__(self, name, value)

    @property
    def n_components(self):
        """Number of components K."""
        return len(self.counts)

    def mean(self, k):
        """Return the mean of component `k`.

        Parameters
        ----------
        k : int
            Component.

        Returns
        -------
        array (D,)
        """
        rows, shares = self._members(k)
        return shares @ self.X[rows]

    def sample(self, labels, rng=None, features=None, values=None, reg_covar=0.0, predictive=False):
        """Draw one point from each component named, given some features if wanted.

        To condition, a draw of all features is moved along the component's regression on the given
        ones until it agrees with `values` (eq. ensemble-condition): no conditional covariance is
        needed.

        Parameters
        ----------
        labels : int array (n,)
            Component of each draw.
        rng : numpy Generator, int or None
            Source of randomness.
        features : list of int, optional
            Indices of the G features that are known.
        values : array-like (G,), optional
            Their values.
        reg_covar : float >= 0
            Variance added to that of the known features: the measurement's noise.
        predictive : bool, default=False
            Whether to allow for the mean and the covariance being estimates from N_k points: the
            covariance is multiplied by (N_k + 1) / (N_k - 1) (eq. ensemble-predictive), the
            denominator being one at least.

        Returns
        -------
        array (n, D)
            In the type of X.

        Raises
        ------
        ValueError
            If a label or a feature is unknown, or the known features have no spread in a component
            (raise `reg_covar`).
        """
        labels, rng = self._as_labels(labels), as_rng(rng)
        drawn = np.empty((len(labels), self.X.shape[1]), dtype=self.X.dtype)
        for k in np.unique(labels):
            rows, shares = self._members(k)
            mean = shares @ self.X[rows]
            deviations = np.sqrt(shares)[:, None] * (self.X[rows] - mean)
            if predictive:
                deviations *= np.sqrt(self._widening(k), dtype=self.X.dtype)
            noise = rng.standard_normal((np.sum(labels == k), len(rows)), dtype=self.X.dtype)
            points = mean + noise @ deviations
            if features is not None:
                points += self._shift(points, deviations, features, values, reg_covar, k, rng)
            drawn[labels == k] = points
        return drawn

    def conditional_mean(self, k, features, values, reg_covar=0.0):
        """Return the mean of component `k` given some features (eq. gaussian-conditional).

        Parameters
        ----------
        k : int
            Component.
        features : list of int
            Indices of the G features that are known.
        values : array-like (G,)
            Their values.
        reg_covar : float >= 0
            As in `sample`.

        Returns
        -------
        array (D,)
        """
        rows, shares = self._members(k)
        mean = shares @ self.X[rows]
        deviations = np.sqrt(shares)[:, None] * (self.X[rows] - mean)
        return mean + self._shift(mean[None], deviations, features, values, reg_covar, k)[0]

    def _widening(self, k):
        """Return by how much a new point of component `k` varies more than its points say."""
        return (self.counts[k] + 1.0) / max(self.counts[k] - 1.0, 1.0)

    def _members(self, k):
        """Return the points of component `k`, and their shares of it, which sum to one."""
        shares = self.resp[:, k] / self.counts[k]
        rows = np.flatnonzero(shares > _SHARE * shares.max())
        shares = shares[rows].astype(self.X.dtype)
        return rows, shares / shares.sum()

    def _shift(self, points, deviations, features, values, reg_covar, k, rng=None):
        """Return how far points (n, D) of component `k` move to agree with the known values."""
        features = as_features(features, self.X.shape[1])
        values = as_numbers(values, "values", 1, f"({len(features)},)")
        noise = as_nonnegative(reg_covar, "reg_covar")
        if len(values) != len(features):
            raise ValueError(
                f"values has {len(values)} entries, but features names {len(features)}. "
                "Pass one value for each."
            )
        known = deviations[:, features].astype(float)
        covariance = known.T @ known + noise * np.eye(len(features))
        if np.linalg.matrix_rank(covariance, hermitian=True) < len(features):
            raise ValueError(
                f"The known features have no spread in component {k}. Raise reg_covar, or use "
                "fewer components."
            )
        gap = values - points[:, features]
        if rng is not None and noise > 0:
            gap = gap + np.sqrt(noise) * rng.standard_normal(gap.shape)
        gain = np.linalg.solve(covariance, known.T) @ deviations
        return (gap @ gain).astype(self.X.dtype)

    def _as_labels(self, labels):
        """Return `labels` if all are components."""
        labels = np.asarray(labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or not labels.size:
            raise ValueError("labels must be whole numbers (n,): the component of each draw.")
        if labels.min() < 0 or labels.max() >= self.n_components:
            raise ValueError(
                f"labels has entries from {labels.min()} to {labels.max()}, but the components "
                f"are numbered 0..{self.n_components - 1}."
            )
        return labels
