"""Covariance structures: one small class each, with its features and its share of EM.

Every structure describes the same two matrix products. A block of points is held as rows of
features, ``[second-order terms, x, 1]``, shape (P, B). The E-step multiplies them by the stacked
natural parameters (K, P) and has all log joint densities (eq. em-e-step as one product); the M-step
multiplies the responsibilities (K, B) by the same features and has all sums (eq. em-m-step-means,
em-m-step-covariances). Expanding the square costs digits when a component is tight and far from the
origin; `amplification` says how many, and the centred forms beside it lose none.

Inside, the arrays of all structures broadcast over components and features: matrices have shape
(K, D, D), or (1, D, D) where all components share one; variances have shape (K, D), or (K, 1) where
all features share one. `to_public` and `to_internal` change to scikit-learn's shapes and back.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dtrtri

from gmmlearn._validation import ESTIMATED, are_definite
from gmmlearn.arrays import multiply_into, namespace, squared_norms
from gmmlearn.gaussian import LOG_2PI

EPS = np.finfo(np.float64).eps


class Parameters(NamedTuple):
    """A mixture's parameters in the structure's own shapes."""

    weights: np.ndarray
    """Mixing weights (K,)."""
    means: np.ndarray
    """Means (K, D)."""
    covariances: np.ndarray
    """Covariances: (K or 1, D, D), or variances (K, D or 1)."""
    precisions_cholesky: np.ndarray
    """Upper factors U with precision U U', or 1 / std."""


class Sums(NamedTuple):
    """Additive sufficient statistics about centres c_k: those of two blocks are added."""

    log_prob: float
    """Sum of w_n log p(x_n), nats."""
    counts: np.ndarray
    """N_k, the sum of w_n r_nk, shape (K,) (eq. em-counts)."""
    first: np.ndarray
    """Sum of w_n r_nk (x_n - c_k), shape (K, D)."""
    second: np.ndarray
    """Sum of w_n r_nk (x_n - c_k)(x_n - c_k)' in the structure's shape."""


class SingularCovariance(ValueError):
    """A component has no spread in some direction."""

    def __init__(self, component):
        super().__init__(
            f"The covariance of component {component} is singular: some direction has no spread "
            "(too few samples, duplicates, or a constant or collinear feature). Raise reg_covar "
            "or prior_strength, use fewer components, or remove such features."
        )
        self.component = component

    def __reduce__(self):
        return type(self), (self.component,)


class Structure:
    """What a structure does unless it says otherwise: its second moments are its covariances."""

    n_looks = 1
    """Steps on the starting responsibilities."""
    inits = ("precisions_init",)
    """The arguments that give its covariances."""

    def few_components(self, n_features):
        """Return the number of components up to which centring on each mean is cheaper."""
        return 0

    def require(self, n_features):
        """Raise ValueError unless the structure is possible for so many features."""

    def require_definite(self, covariances, factors):
        """Raise SingularCovariance unless the covariances are more than rounding: they are."""

    def publish(self, params):
        """Return the fitted attributes that hold covariances."""
        values = params.covariances, params.precisions_cholesky
        values = *values, self.precisions(params.precisions_cholesky)
        names = "covariances_", "precisions_cholesky_", "precisions_"
        return dict(zip(names, map(self.to_public, values), strict=True))

    def fitted(self, mixture):
        """Return the covariances and factors of a fitted mixture, None where there is none."""
        values = (getattr(mixture, n, None) for n in ("covariances_", "precisions_cholesky_"))
        return [None if one is None else self.to_internal(np.asarray(one)) for one in values]

    def first_guess(self, params, random_state):
        """Return what the first look at the data begins with."""
        return params

    def projection(self, factors):
        """Return what `project` needs."""

    def project(self, features, Z, projection):
        """Fill features that depend on the parameters: none."""

    def add_projected(self, log_joint, features):
        """Add their part of the log joint densities: none."""

    def gather(self, resp, features):
        """Return the sums of features (P, B) for responsibilities (K, B) that `unpack` needs."""
        return resp @ features.T

    def seen(self, covariances, factors):
        """Return second moments of these covariances, as the M-step needs them."""
        return covariances

    def improve(self, seen, previous):
        """Return the covariances that second moments call for."""
        return seen


class _Matrix(Structure):
    """What structures with a D x D matrix have in common."""

    isotropic = shared = False
    made_of = "matrix"
    few = 32
    """Rows for each feature below which scoring is cheaper centred than expanded."""

    def factor(self, covariances):
        """Return upper U with inverse(covariance) = U U', or raise SingularCovariance."""
        try:
            lower = np.linalg.cholesky(covariances)
        except np.linalg.LinAlgError:
            lower = np.stack([_cholesky_or_nan(covariance) for covariance in covariances])
        factors = np.stack([dtrtri(one, lower=1)[0].T for one in lower])
        self.require_definite(covariances, factors)
        return factors

    def require_definite(self, covariances, factors):
        """Raise SingularCovariance unless the covariances are more than rounding."""
        definite = are_definite(covariances, factors, ESTIMATED)
        if not definite.all():
            raise SingularCovariance(int(np.argmin(definite)))

    def factor_precisions(self, precisions):
        """Return upper U with precision = U U' (Cholesky of the matrix turned by 180 degrees)."""
        if not np.allclose(precisions, precisions.swapaxes(1, 2), rtol=1e-5, atol=1e-8):
            raise ValueError("a matrix is not symmetric")
        return np.linalg.cholesky(precisions[:, ::-1, ::-1])[:, ::-1, ::-1]

    def precisions(self, precisions_cholesky):
        """Return the precisions U U'."""
        return precisions_cholesky @ precisions_cholesky.swapaxes(1, 2)

    def invert(self, precisions_cholesky):
        """Return the covariances that belong to U."""
        roots = self.roots(precisions_cholesky)
        return roots @ roots.swapaxes(1, 2)

    def roots(self, precisions_cholesky):
        """Return lower L with covariance = L L'."""
        return np.stack([dtrtri(one.T, lower=1)[0] for one in precisions_cholesky])

    def colour(self, noise, root):
        """Return standard normal rows (N, D) with the covariance of one root L."""
        return noise @ root.T

    def rescale(self, covariances, precisions_cholesky, factors):
        """Return both for features multiplied by `factors` (D,)."""
        both = factors[:, None] * factors
        return covariances * both, precisions_cholesky / factors[:, None]

    def variances(self, covariances):
        """Return the variance of each feature (K or 1, D)."""
        return np.diagonal(covariances, axis1=1, axis2=2)

    def precision_diagonal(self, precisions_cholesky):
        """Return the diagonals of the precisions (K or 1, D)."""
        return np.square(precisions_cholesky).sum(axis=2)

    def matrices(self, covariances, n_components, n_features):
        """Return the covariances as full matrices (K, D, D)."""
        return np.broadcast_to(covariances, (n_components, n_features, n_features))

    def select(self, covariances, features):
        """Return the covariances of some features."""
        return covariances[:, features][:, :, features]

    def thinnest(self, params):
        """Return the least variance of each, and what the whole mixture has in that direction."""
        covariances, whole = params.covariances, _whole(self, params)
        directions = np.linalg.eigh(covariances)[1][:, :, 0]
        thin = np.einsum("ki,kij,kj->k", directions, covariances, directions)
        return thin, np.einsum("ki,ij,kj->k", directions, whole, directions)

    def from_variances(self, variances):
        """Return covariances for variances (K or 1, D)."""
        return variances[:, :, None] * np.eye(variances.shape[1])

    def log_det_precision(self, precisions_cholesky, n_features):
        """Return half the log determinant of each precision (K or 1,)."""
        return np.log(np.diagonal(precisions_cholesky, axis1=1, axis2=2)).sum(axis=1)

    def amplification(self, magnitudes, precisions_cholesky):
        """Return the sum of absolute terms (K,) in the expanded square; times EPS: nats lost."""
        precisions = np.abs(self.precisions(precisions_cholesky))
        return ((magnitudes[:, None] @ precisions)[:, 0] * magnitudes).sum(axis=1)

    def mahalanobis(self, centred, factor):
        """Return squared distances (B,) of centred points (D, B) under one factor U."""
        return squared_norms(factor.T @ centred)

    def scatter(self, centred, resp, factor=None):
        """Return sum_n r_n c_n c_n' for centred points (D, B)."""
        # The same factor twice: BLAS then makes only half of a symmetric matrix.
        weighted = centred * namespace(resp).sqrt(resp)
        return weighted @ weighted.T

    def outer(self, offsets, factors=None):
        """Return the outer product of each offset (K, D) with itself."""
        return offsets[:, :, None] * offsets[:, None, :]

    def least_points(self, n_features):
        """Return the number of points below which a covariance is singular, and a half."""
        return 0.0 if self.shared else n_features + 0.5

    def add_diagonal(self, covariances, variances):
        """Add variances (D,) to the diagonals, in place."""
        np.einsum("kii->ki", covariances)[...] += variances
        return covariances


class Full(_Matrix):
    """Each component has its own covariance matrix."""

    name = "full"
    public_shape = ("n_components", "n_features", "n_features")

    def few_components(self, n_features):
        """Return the number of components up to which centring on each mean is cheaper."""
        # Making the features x_i x_j takes as long as eight products with them; a product of
        # D x D matrices needs D well above eight to be fast.
        return min(8, n_features // 8)

    def n_statistics(self, n_features, n_components=0):
        """Number of rows of `features`."""
        return n_features * (n_features + 1) // 2 + n_features + 1

    def n_parameters(self, n_components, n_features):
        """Free numbers in the covariances."""
        return n_components * n_features * (n_features + 1) // 2

    def shape(self, n_components, n_features):
        """Shape of the covariances inside."""
        return (n_components, n_features, n_features)

    def to_public(self, values):
        """Return `values` in scikit-learn's shape."""
        return values

    to_internal = to_public

    def fill_features(self, features, n_features):
        """Complete features (P, B), whose rows for x stand, with 1 and x_i x_j for i <= j."""
        features[-1, :] = 1.0
        Z, row = features[-1 - n_features : -1, :], 0
        for i in range(n_features):
            multiply_into(features[row : row + n_features - i, :], Z[i:, :], Z[i, :])
            row += n_features - i

    def natural(self, params):
        """Return the parameters (K, P) whose product with the features is the log joint."""
        n_features = params.means.shape[1]
        precisions = self.precisions(params.precisions_cholesky)
        i, j = _upper(n_features)
        quadratic = precisions[:, i, j] * np.where(i == j, -0.5, -1.0)
        linear = (precisions @ params.means[:, :, None])[:, :, 0]
        return np.concatenate(
            [quadratic, linear, constant_terms(self, params, linear)[:, None]], axis=1
        )

    def common(self, Z, params):
        """Return the part of the log joint that the natural parameters leave out."""
        return 0.0

    def common_total(self, params, total):
        """Return the sum of `common` over all points with scatter `total` about the origin."""
        return 0.0

    def unpack(self, log_prob, packed, n_features, total):
        """Return the sums about the origin that the product (K, P) holds."""
        i, j = _upper(n_features)
        second = np.empty((len(packed), n_features, n_features))
        second[:, i, j] = second[:, j, i] = packed[:, : len(i)]
        return Sums(log_prob, packed[:, -1], packed[:, len(i) : -1], second)

    def centred_moments(self, second, counts, offsets, factors=None):
        """Return the covariances about the means from sums about centres `offsets` away."""
        return second / counts[:, None, None] - self.outer(offsets)

    def pool(self, values, counts):
        """Average one value for each component as the structure shares it."""
        return values


class Tied(Full):
    """All components share one covariance matrix.

    Then the quadratic term is the same for all components: it cancels from the responsibilities,
    and its sum over the data needs only their scatter, taken once. The features are just [x, 1].
    """

    name = "tied"
    shared = True
    few = 0
    public_shape = ("n_features", "n_features")

    def few_components(self, n_features):
        """Return 0: the features have no x_i x_j."""
        return 0

    def n_statistics(self, n_features, n_components=0):
        """Number of rows of `features`."""
        return n_features + 1

    def n_parameters(self, n_components, n_features):
        """Free numbers in the covariance."""
        return n_features * (n_features + 1) // 2

    def shape(self, n_components, n_features):
        """Shape of the covariance inside."""
        return (1, n_features, n_features)

    def to_public(self, values):
        """Return `values` in scikit-learn's shape."""
        return values[0]

    def to_internal(self, values):
        """Return `values` of scikit-learn's shape as used inside."""
        return values[None]

    def fill_features(self, features, n_features):
        """Complete features (P, B), whose rows for x stand, with 1."""
        features[-1, :] = 1.0

    def natural(self, params):
        """Return the parameters (K, P) whose product with the features is the log joint."""
        linear = params.means @ self.precisions(params.precisions_cholesky)[0]
        return np.concatenate([linear, constant_terms(self, params, linear)[:, None]], axis=1)

    def common(self, Z, params):
        """Return -x' Lambda x / 2 for points (D, B)."""
        return -0.5 * squared_norms(params.precisions_cholesky[0, ...].T @ Z)

    def common_total(self, params, total):
        """Return the sum of `common` over all points with scatter `total` about the origin."""
        return -0.5 * np.sum(self.precisions(params.precisions_cholesky)[0] * total)

    def unpack(self, log_prob, packed, n_features, total):
        """Return the sums about the origin that the product (K, P) and the scatter hold."""
        return Sums(log_prob, packed[:, -1], packed[:, :-1], total[None].copy())

    def centred_moments(self, second, counts, offsets, factors=None):
        """Return the covariance about the means from sums about centres `offsets` away."""
        return (second - (counts * offsets.T) @ offsets) / counts.sum()

    def pool(self, values, counts):
        """Average one value for each component as the structure shares it."""
        return np.tensordot(counts / counts.sum(), values, axes=1)[None]


class Diag(Structure):
    """Each component has its own variance for each feature."""

    name = "diag"
    public_shape = ("n_components", "n_features")
    isotropic = shared = False
    made_of = "variances"
    few = 0

    def n_statistics(self, n_features, n_components=0):
        """Number of rows of `features`."""
        return 2 * n_features + 1

    def n_parameters(self, n_components, n_features):
        """Free numbers in the variances."""
        return n_components * n_features

    def shape(self, n_components, n_features):
        """Shape of the variances inside."""
        return (n_components, n_features)

    def to_public(self, values):
        """Return `values` in scikit-learn's shape."""
        return values

    to_internal = to_public

    def factor(self, covariances):
        """Return 1 / std, or raise SingularCovariance."""
        sound = (covariances > 0).all(axis=1)
        if not sound.all():
            raise SingularCovariance(int(np.argmin(sound)))
        return 1.0 / np.sqrt(covariances)

    def factor_precisions(self, precisions):
        """Return 1 / std from precisions."""
        if not (precisions > 0).all():
            raise ValueError(f"the smallest is {precisions.min():g}")
        return np.sqrt(precisions)

    def precisions(self, precisions_cholesky):
        """Return the precisions."""
        return precisions_cholesky**2

    def invert(self, precisions_cholesky):
        """Return the variances that belong to 1 / std."""
        return precisions_cholesky**-2.0

    def roots(self, precisions_cholesky):
        """Return the standard deviations."""
        return 1.0 / precisions_cholesky

    def colour(self, noise, root):
        """Return standard normal rows (N, D) with the standard deviations of one root."""
        return noise * root

    def rescale(self, covariances, precisions_cholesky, factors):
        """Return both for features multiplied by `factors` (D,)."""
        factors = factors[: covariances.shape[1]]
        return covariances * factors**2, precisions_cholesky / factors

    def variances(self, covariances):
        """Return the variance of each feature (K, D or 1)."""
        return covariances

    def precision_diagonal(self, precisions_cholesky):
        """Return the precisions (K, D or 1)."""
        return precisions_cholesky**2

    def matrices(self, covariances, n_components, n_features):
        """Return the variances as full matrices (K, D, D)."""
        variances = np.broadcast_to(covariances, (n_components, n_features))
        return variances[:, :, None] * np.eye(n_features)

    def select(self, covariances, features):
        """Return the variances of some features."""
        return covariances[:, features]

    def thinnest(self, params):
        """Return the variance (K,) that is least beside the whole mixture's, and the latter."""
        covariances, whole = params.covariances, _whole(self, params)
        least = np.argmin(covariances / np.maximum(whole, np.finfo(float).tiny), axis=1)
        return covariances[np.arange(len(least)), least], whole[least]

    def from_variances(self, variances):
        """Return variances in the structure's shape for (K, D)."""
        return variances

    def log_det_precision(self, precisions_cholesky, n_features):
        """Return half the log determinant of each precision (K,)."""
        return np.log(precisions_cholesky).sum(axis=1)

    def amplification(self, magnitudes, precisions_cholesky):
        """Return the sum of absolute terms (K,) in the expanded square; times EPS: nats lost."""
        return np.square(magnitudes * precisions_cholesky).sum(axis=1)

    def mahalanobis(self, centred, factor):
        """Return squared distances (B,) of centred points (D, B) under one factor 1 / std."""
        return squared_norms(centred * factor[:, None])

    def scatter(self, centred, resp, factor=None):
        """Return sum_n r_n c_n^2 for centred points (D, B)."""
        return (centred * centred) @ resp

    def outer(self, offsets, factors=None):
        """Return the square of each offset (K, D)."""
        return offsets**2

    def least_points(self, n_features):
        """Return the number of points below which a variance is zero, and a half."""
        return 1.5

    def add_diagonal(self, covariances, variances):
        """Add variances (D,), in place."""
        covariances += variances[: covariances.shape[1]]
        return covariances

    def fill_features(self, features, n_features):
        """Complete features (P, B), whose rows for x stand, with 1 and x_i^2."""
        features[-1, :] = 1.0
        Z = features[n_features:-1, :]
        multiply_into(features[:n_features, :], Z, Z)

    def natural(self, params):
        """Return the parameters (K, P) whose product with the features is the log joint."""
        precisions = self.precisions(params.precisions_cholesky)
        linear = precisions * params.means
        constant = constant_terms(self, params, linear)[:, None]
        return np.concatenate([-0.5 * precisions, linear, constant], axis=1)

    common = Full.common
    common_total = Full.common_total

    def unpack(self, log_prob, packed, n_features, total):
        """Return the sums about the origin that the product (K, P) holds."""
        first = packed[:, -1 - n_features : -1]
        return Sums(log_prob, packed[:, -1], first, packed[:, : -1 - n_features])

    def centred_moments(self, second, counts, offsets, factors=None):
        """Return the variances about the means from sums about centres `offsets` away."""
        return second / counts[:, None] - self.outer(offsets)

    def pool(self, values, counts):
        """Average one value for each component as the structure shares it."""
        return values


class Spherical(Diag):
    """Each component has one variance for all features."""

    name = "spherical"
    public_shape = ("n_components",)
    isotropic = True

    def n_statistics(self, n_features, n_components=0):
        """Number of rows of `features`."""
        return n_features + 2

    def n_parameters(self, n_components, n_features):
        """Free numbers in the variances."""
        return n_components

    def shape(self, n_components, n_features):
        """Shape of the variances inside."""
        return (n_components, 1)

    def to_public(self, values):
        """Return `values` in scikit-learn's shape."""
        return values[:, 0]

    def to_internal(self, values):
        """Return `values` of scikit-learn's shape as used inside."""
        return values[:, None]

    def from_variances(self, variances):
        """Return variances in the structure's shape for (K, D)."""
        return variances.mean(axis=1, keepdims=True)

    def select(self, covariances, features):
        """Return the variances of some features: they are all the same."""
        return covariances

    def scatter(self, centred, resp, factor=None):
        """Return sum_n r_n |c_n|^2 for centred points (D, B)."""
        return squared_norms(centred) @ resp

    def log_det_precision(self, precisions_cholesky, n_features):
        """Return half the log determinant of each precision (K,)."""
        return n_features * np.log(precisions_cholesky[:, 0])

    def outer(self, offsets, factors=None):
        """Return the mean square of each offset (K, D)."""
        return np.square(offsets).mean(axis=1, keepdims=True)

    def fill_features(self, features, n_features):
        """Complete features (P, B), whose rows for x stand, with 1 and |x|^2."""
        features[-1, :] = 1.0
        features[0, :] = squared_norms(features[1:-1, :])

    def centred_moments(self, second, counts, offsets, factors=None):
        """Return the variances about the means from sums about centres `offsets` away."""
        return second / (counts[:, None] * offsets.shape[1]) - self.outer(offsets)


STRUCTURES = {structure.name: structure for structure in (Full(), Tied(), Diag(), Spherical())}
"""The structures that have no settings of their own; `low_rank` has the one more."""


def constant_terms(structure, params, linear):
    """Return the terms of the log joint without x, shape (K,); `linear` is Lambda mu."""
    n_features = params.means.shape[1]
    log_det = structure.log_det_precision(params.precisions_cholesky, n_features)
    mahalanobis = (linear * params.means).sum(axis=1)
    return np.log(params.weights) + log_det - 0.5 * (n_features * LOG_2PI + mahalanobis)


def _whole(structure, params):
    """Return the covariance of the whole mixture, in the shape of one covariance."""
    offsets = params.means - params.weights @ params.means
    shares = np.ones(1) if structure.shared else params.weights
    within = np.tensordot(shares, params.covariances, axes=1)
    return within + np.tensordot(params.weights, structure.outer(offsets), axes=1)


_UPPER = {}


def _upper(n_features):
    """Return the index pairs i <= j, row by row, remembered for each number of features."""
    if n_features not in _UPPER:
        _UPPER[n_features] = np.triu_indices(n_features)
    return _UPPER[n_features]


def _cholesky_or_nan(covariance):
    """Return the lower Cholesky factor, or NaN where there is none."""
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return np.full_like(covariance, np.nan)
