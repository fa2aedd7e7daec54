"""A mixture of Gaussians with given parameters: density, responsibilities, samples (chapter 2)."""

from dataclasses import dataclass, field

import numpy as np

from gmmlearn._validation import (
    as_count,
    as_covariance,
    as_features,
    as_numbers,
    as_probabilities,
    as_rng,
    frozen,
)
from gmmlearn.gaussian import Gaussian, log_density


def log_sum_exp(log_terms):
    """Return log sum_k exp(a_k) along the last axis, without overflow (eq. log-sum-exp).

    Parameters
    ----------
    log_terms : array (..., K)
        Logarithms a_k; minus infinity stands for a term of zero.

    Returns
    -------
    array (...)
        Logarithms of the sums.

    Raises
    ------
    ValueError
        If there is nothing to add, or a term is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> log_sum_exp(np.array([-1000.0, -1000.0])).round(4)
    np.float64(-999.3069)
    """
    log_terms = np.asarray(log_terms, dtype=float)
    if log_terms.ndim == 0 or log_terms.size == 0 or np.isnan(log_terms).any():
        raise ValueError(
            f"log_terms of shape {log_terms.shape} must hold at least one term along its last axis "
            "and no NaN. Use minus infinity for a term of zero."
        )
    largest = np.max(log_terms, axis=-1, keepdims=True)
    shift = np.where(np.isfinite(largest), largest, 0.0)  # a row of -inf stays -inf, not NaN
    with np.errstate(divide="ignore"):
        return np.log(np.exp(log_terms - shift).sum(axis=-1)) + shift[..., 0]


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of K Gaussians in D dimensions (eq. mixture-density).

    Parameters
    ----------
    weights : array-like (K,)
        Mixing weights pi_k >= 0 that sum to one.
    means : array-like (K, D)
        Means mu_k.
    covariances : array-like (K, D, D)
        Covariances Sigma_k, symmetric and positive definite.

    Attributes
    ----------
    covariances_cholesky : array (K, D, D)
        Lower triangular L_k with Sigma_k = L_k L_k'.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, the weights do not sum to one, or a covariance
        is not positive definite (the message names the component).

    Notes
    -----
    The arrays are read-only copies of what was passed in.

    Examples
    --------
    >>> two = Mixture(weights=[0.5, 0.5], means=[[-1.0], [1.0]], covariances=[[[1.0]], [[1.0]]])
    >>> two.responsibilities([[0.0]])
    array([[0.5, 0.5]])
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    covariances_cholesky: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        weights = as_probabilities(self.weights, "weights")
        means = as_numbers(self.means, "means", 2, "(n_components, n_features)")
        n_components, n_features = means.shape
        shape_hint = f"({n_components}, {n_features}, {n_features})"
        covariances = as_numbers(self.covariances, "covariances", 3, shape_hint)
        if weights.size != n_components or len(covariances) != n_components:
            raise ValueError(
                f"weights, means and covariances speak of {weights.size}, {n_components} and "
                f"{len(covariances)} components. Pass one entry for each component in all three."
            )
        cholesky = [
            as_covariance(covariance, n_features, f"covariances[{k}]")[1]
            for k, covariance in enumerate(covariances)
        ]
        object.__setattr__(self, "weights", frozen(weights))
        object.__setattr__(self, "means", frozen(means))
        object.__setattr__(self, "covariances", frozen(covariances))
        object.__setattr__(self, "covariances_cholesky", frozen(cholesky))

    @property
    def n_components(self):
        """Number of components K."""
        return self.means.shape[0]

    @property
    def n_features(self):
        """Number of features D."""
        return self.means.shape[1]

    def component(self, k):
        """Return component `k` as a `Gaussian`.

        Parameters
        ----------
        k : int
            Number of the component, from 0 to K - 1.

        Returns
        -------
        Gaussian
            N(mu_k, Sigma_k).
        """
        k = as_count(k, "k", at_least=0)
        if k >= self.n_components:
            raise ValueError(
                f"k is {k}, but the components are numbered 0..{self.n_components - 1}."
            )
        return Gaussian(self.means[k], self.covariances[k])

    def component_log_prob(self, X):
        """Return log N(x; mu_k, Sigma_k) for each point and component (eq. gaussian-log-density).

        Parameters
        ----------
        X : array-like (N, D)
            Points.

        Returns
        -------
        array (N, K)
            Log densities in nats.
        """
        columns = zip(self.means, self.covariances_cholesky, strict=True)
        return np.stack([log_density(X, mean, chol) for mean, chol in columns], axis=1)

    def log_joint(self, X):
        """Return log pi_k + log N(x; mu_k, Sigma_k) (eq. mixture-joint).

        Parameters
        ----------
        X : array-like (N, D)
            Points.

        Returns
        -------
        array (N, K)
            Log joint densities of point and component, in nats; minus infinity where pi_k = 0.
        """
        with np.errstate(divide="ignore"):
            return self.component_log_prob(X) + np.log(self.weights)

    def log_prob(self, X):
        """Return log p(x) for each row of `X` (eq. mixture-density).

        Parameters
        ----------
        X : array-like (N, D)
            Points.

        Returns
        -------
        array (N,)
            Log densities in nats.
        """
        return log_sum_exp(self.log_joint(X))

    def responsibilities(self, X):
        """Return r_nk = p(component k | x_n) by Bayes' rule (eq. mixture-responsibilities).

        Parameters
        ----------
        X : array-like (N, D)
            Points.

        Returns
        -------
        array (N, K)
            Probabilities; each row sums to one.
        """
        log_joint = self.log_joint(X)
        return np.exp(log_joint - log_sum_exp(log_joint)[:, None])

    def sample(self, n_samples, rng=None):
        """Draw points: a component by its weight, then a point from it (eq. mixture-latent).

        Parameters
        ----------
        n_samples : int >= 1
            Number of points N.
        rng : numpy Generator, int or None
            Source of randomness.

        Returns
        -------
        X : array (N, D)
            Points, in random order of component.
        labels : int array (N,)
            The component that each point was drawn from.
        """
        n_samples, rng = as_count(n_samples, "n_samples"), as_rng(rng)
        labels = rng.choice(self.n_components, size=n_samples, p=self.weights)
        z = rng.standard_normal((n_samples, self.n_features))
        X = np.empty_like(z)
        for k in range(self.n_components):
            members = labels == k
            X[members] = self.means[k] + z[members] @ self.covariances_cholesky[k].T
        return X, labels

    def marginal(self, features):
        """Return the mixture of some features alone (eq. mixture-marginal).

        Parameters
        ----------
        features : list of int
            Indices of the features to keep, in the order wanted.

        Returns
        -------
        Mixture
            Over the F features named, with the same weights.
        """
        kept = as_features(features, self.n_features)
        return Mixture(self.weights, self.means[:, kept], self.covariances[:, kept][:, :, kept])

    def condition(self, features, values):
        """Return the mixture of the other features, given these (eq. mixture-conditional).

        Each component is conditioned as a Gaussian, and its weight becomes its responsibility for
        the known values.

        Parameters
        ----------
        features : list of int
            Indices of the G features that are known.
        values : array-like (G,)
            Their values, in the same order.

        Returns
        -------
        Mixture
            Over the remaining D - G features, in increasing order of index.

        Raises
        ------
        ValueError
            If an index is unknown or named twice, or nothing would remain.
        """
        parts = [self.component(k).condition(features, values) for k in range(self.n_components)]
        return Mixture(
            self.marginal(features).responsibilities(np.reshape(values, (1, -1)))[0],
            [part.mean for part in parts],
            [part.covariance for part in parts],
        )


def as_mixture(mixture, name="mixture"):
    """Return `mixture` if it is one.

    Parameters
    ----------
    mixture : Mixture
        What was passed as argument `name`.
    name : str
        Name of the argument, for the message.

    Returns
    -------
    Mixture
        The same object.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if not isinstance(mixture, Mixture):
        raise ValueError(
            f"{name} must be a Mixture, not {type(mixture).__name__}. Make one with "
            "Mixture(weights, means, covariances) or em.start_mixture(X, n_components)."
        )
    return mixture
