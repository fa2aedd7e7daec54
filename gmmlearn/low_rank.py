"""Low-rank covariances: mixtures of factor analysers, without any D x D array.

Each covariance is W W' + diag(noise), with loadings W (D, r) (eq. low-rank-covariance). In whitened
loadings, noise^-1/2 W = U diag(s) V' with m = 1 + s^2, the precision is diag(1 / noise) - P P'
(eq. low-rank-woodbury), where P = noise^-1/2 H and H = U diag(s / sqrt(m)). The E-step sees a point
through P alone, and so does the M-step: from the scatter S of a component it needs only S P and the
diagonal of S. Its new loadings are a root of S P (I + P' S P)^-1 P' S, its new noise is what they
leave of the diagonal of S. That is the M-step of factor analysis (ghahramani1996em) with expanded
parameters (liu1998parameter): the scale of the factors is fitted too, then absorbed by the
loadings, which costs nothing and climbs faster.

Inside, covariances are (K, D, r + 1): loadings and, last, noise variances. Their factors are
(K, D + 1, r + 1): H and 1 / sqrt(noise), and a last row 1 / sqrt(m). Second moments, as seen
through P, are (K, D, r + 1): S P and the diagonal of S.
"""

import numpy as np

from gmmlearn._validation import ESTIMATED, ROUNDING_SHARE
from gmmlearn.covariance import STRUCTURES, Full, SingularCovariance, Sums, constant_terms

LEAST_SHARE = 1e-8
"""Least share of a feature's variance that stays noise, unless its noise was smaller already."""

LEAST_NOISE = 4.0 / np.finfo(np.float64).max
"""Noise variances up to this have inverses that overflow."""


class LowRank:
    """Each component has loadings of r factors, and its own noise variance for each feature."""

    name = "low_rank"
    isotropic = shared = False
    made_of = "loadings"
    few = 0
    n_looks = 6
    """Steps on the starting responsibilities, which turn random loadings into principal ones."""
    inits = ("loadings_init", "noise_variance_init")

    def __init__(self, rank):
        self.rank = rank

    def few_components(self, n_features):
        """Return 0: products are cheaper than centring for any number of components."""
        return 0

    def require(self, n_features):
        """Raise ValueError unless the rank is below the number of features."""
        if self.rank >= n_features:
            raise ValueError(
                f"rank is {self.rank}, but X has n_features = {n_features}: a low-rank covariance "
                "needs rank < n_features. Use a lower rank, or covariance_type='full'."
            )

    # ------------------------------------------------------------------------ sizes and shapes

    def n_statistics(self, n_features, n_components=0):
        """Number of rows of `features`: projections on all components, x_i^2, x, 1."""
        return n_components * self.rank + 2 * n_features + 1

    def n_parameters(self, n_components, n_features):
        """Free numbers in the covariances: rotations of the factors change nothing."""
        rotations = self.rank * (self.rank - 1) // 2
        return n_components * (n_features * (self.rank + 1) - rotations)

    def shape(self, n_components, n_features):
        """Shape of the covariances inside."""
        return (n_components, n_features, self.rank + 1)

    def publish(self, params):
        """Return the fitted attributes; the columns of loadings are ordered by their part."""
        covariances = params.covariances
        turned = covariances[..., :-1] @ _decompose(covariances)[2].swapaxes(1, 2)
        largest = np.take_along_axis(turned, np.abs(turned).argmax(axis=1)[:, None], axis=1)
        return {
            "loadings_": turned * np.where(largest < 0, -1.0, 1.0),
            "noise_variance_": covariances[..., -1].copy(),
        }

    def fitted(self, mixture):
        """Return the covariances of a fitted mixture, or None, and None for their factors."""
        loadings = getattr(mixture, "loadings_", None)
        return None if loadings is None else _pack(loadings, mixture.noise_variance_), None

    def matrices(self, covariances, n_components, n_features):
        """Return the covariances as full matrices (K, D, D)."""
        loadings, noise = covariances[..., :-1], covariances[..., -1]
        return loadings @ loadings.swapaxes(1, 2) + noise[:, :, None] * np.eye(n_features)

    def select(self, covariances, features):
        """Return the covariances of some features."""
        return covariances[:, features]

    # ----------------------------------------------------------------- covariances, and factors

    def factor(self, covariances):
        """Return H, 1 / sqrt(noise) and 1 / sqrt(m), or raise SingularCovariance."""
        sound = (covariances[..., -1] > LEAST_NOISE).all(axis=1)
        sound &= np.isfinite(covariances).all(axis=(1, 2))
        if not sound.all():
            raise SingularCovariance(int(np.argmin(sound)))
        directions, size, _ = _decompose(covariances)
        shrink = 1.0 / np.hypot(1.0, size)
        H = directions * (size * shrink)[:, None]
        last = np.concatenate([shrink, np.zeros((len(shrink), 1))], axis=1)[:, None]
        return np.concatenate([_pack(H, covariances[..., -1] ** -0.5), last], axis=1)

    def require_definite(self, covariances, factors):
        """Raise SingularCovariance unless the noise is more than rounding of full matrices."""
        own = covariances[..., -1] / self.variances(covariances)
        definite = (own > ESTIMATED * ROUNDING_SHARE * own.shape[1]).all(axis=1)
        if not definite.all():
            raise SingularCovariance(int(np.argmin(definite)))

    def precisions(self, factors):
        """Return the precisions as full matrices (K, D, D)."""
        seen = factors[:, :-1, :-1] * factors[:, :-1, -1:]
        inverse = factors[:, :-1, -1] ** 2
        return inverse[:, :, None] * np.eye(inverse.shape[1]) - seen @ seen.swapaxes(1, 2)

    def roots(self, factors):
        """Return what `colour` needs: the factors themselves."""
        return factors

    def colour(self, noise, root):
        """Return standard normal rows (N, D) with the covariance of one root."""
        H, std = root[..., :-1, :-1], 1.0 / root[..., None, :-1, -1]
        shrink = root[..., -1:, :-1]
        # The symmetric root I + U (sqrt(m) - 1) U' of the whitened covariance.
        return (noise + (noise @ H / (shrink * (1.0 + shrink))) @ H.swapaxes(-1, -2)) * std

    def rescale(self, covariances, factors, by):
        """Return both for features multiplied by `by` (D,)."""
        covariances, factors = covariances * by[:, None], factors.copy()
        covariances[..., -1] *= by
        factors[:, :-1, -1] /= by
        return covariances, factors

    def variances(self, covariances):
        """Return the variance of each feature (K, D)."""
        return np.square(covariances[..., :-1]).sum(axis=2) + covariances[..., -1]

    def precision_diagonal(self, factors):
        """Return the diagonals of the precisions (K, D)."""
        H, root = factors[:, :-1, :-1], factors[:, :-1, -1]
        return np.maximum(1.0 - np.square(H).sum(axis=2), 0.0) * root**2

    def thinnest(self, params):
        """Return the least variance of each, and what the whole mixture has in that direction."""
        weights, means, covariances, factors = params
        offsets = means - weights @ means
        thin, there = np.empty(len(covariances)), np.empty(len(covariances))
        diagonals = self.precision_diagonal(factors)
        for k in range(len(covariances)):
            direction = np.zeros(means.shape[1])
            direction[np.argmax(diagonals[k])] = 1.0
            P = factors[k, :-1, :-1] * factors[k, :-1, -1:]
            for _ in range(20):
                direction = direction * factors[k, :-1, -1] ** 2 - P @ (P.T @ direction)
                direction /= np.linalg.norm(direction)
            along = np.square(direction @ covariances[..., :-1]).sum(axis=1)
            along = along + covariances[..., -1] @ direction**2
            thin[k], there[k] = along[k], weights @ (along + (offsets @ direction) ** 2)
        return thin, there

    def least_points(self, n_features):
        """Return the number of points that loadings alone go through, and a half."""
        return self.rank + 1.5

    def from_variances(self, variances):
        """Return covariances without loadings for variances (K, D)."""
        covariances = np.zeros((*variances.shape, self.rank + 1))
        covariances[..., -1] = variances
        return covariances

    def first_guess(self, params, random_state):
        """Return the parameters with random loadings, for the first look at the data."""
        noise = params.covariances[..., -1]
        loadings = random_state.standard_normal((*noise.shape[1:], self.rank))
        covariances = _pack(loadings * np.sqrt(noise)[..., None], noise)
        return params._replace(
            covariances=covariances, precisions_cholesky=self.factor(covariances)
        )

    def log_det_precision(self, factors, n_features):
        """Return half the log determinant of each precision (K,) (eq. low-rank-determinant)."""
        return np.log(factors[:, :-1, -1]).sum(axis=1) + np.log(factors[:, -1, :-1]).sum(axis=1)

    def amplification(self, magnitudes, factors):
        """Return the sum of absolute terms (K,) in the expanded square; times EPS: nats lost."""
        whitened = magnitudes * factors[:, :-1, -1]
        seen = np.einsum("kd,kdr->kr", whitened, np.abs(factors[:, :-1, :-1]))
        return np.square(whitened).sum(axis=1) + np.square(seen).sum(axis=1)

    # ------------------------------------------------------------------- points about one centre

    def mahalanobis(self, centred, factor):
        """Return squared distances (B,) of centred points (D, B) under one factor."""
        whitened = centred * factor[:-1, -1:]
        H = factor[:-1, :-1]
        # The symmetric root of I - H H': subtracting squares instead would lose digits.
        whitened -= H @ ((H.T @ whitened) / (1.0 + factor[-1, :-1, None]))
        return np.einsum("db,db->b", whitened, whitened)

    def scatter(self, centred, resp, factor):
        """Return sum_n r_n c_n c_n' for centred points (D, B), seen through one factor."""
        weighted = centred * resp
        seen = _seen_through(factor).T @ centred
        return _pack(weighted @ seen.T, np.einsum("db,db->d", weighted, centred))

    def outer(self, offsets, factors):
        """Return the outer product of each offset (K, D) with itself, seen through the factors."""
        seen = np.einsum("kd,kdr->kr", offsets, _seen_through(factors))
        return _pack(offsets[:, :, None] * seen[:, None, :], offsets**2)

    # ------------------------------------------------------------------- the two matrix products

    def fill_features(self, features, n_features):
        """Complete features (P, B), whose rows for x stand, with 1 and x_i^2."""
        features[-1] = 1.0
        Z = features[-1 - n_features : -1]
        np.square(Z, out=features[-1 - 2 * n_features : -1 - n_features])

    def projection(self, factors):
        """Return the projections P' of all components, one below the other (K r, D)."""
        seen = _seen_through(factors).swapaxes(1, 2)
        return seen.reshape(-1, seen.shape[2])

    def project(self, features, Z, projection):
        """Fill the first rows of features with the projections of points (D, B)."""
        np.matmul(projection, Z, out=features[: len(projection)])

    def natural(self, params):
        """Return the parameters (K, 2 D + 1) whose product with [x^2, x, 1] lacks |P' x|^2 / 2."""
        means, factors = params.means, params.precisions_cholesky
        inverse, P = factors[:, :-1, -1] ** 2, _seen_through(factors)
        seen = np.einsum("kd,kdr->kr", means, P)
        linear = inverse * means - np.einsum("kr,kdr->kd", seen, P)
        constant = constant_terms(self, params, linear)[:, None]
        return np.concatenate([-0.5 * inverse, linear, constant], axis=1)

    def add_projected(self, log_joint, features):
        """Add |P' x|^2 / 2 to the log joint densities (K, B), in place."""
        seen = features[: len(log_joint) * self.rank].reshape(len(log_joint), self.rank, -1)
        log_joint += 0.5 * np.einsum("krb,krb->kb", seen, seen)

    def gather(self, resp, features):
        """Return the sums (K, r D + 2 D + 1) of all that `unpack` needs."""
        n_seen = len(resp) * self.rank
        n_features = (len(features) - n_seen - 1) // 2
        seen = features[:n_seen].reshape(len(resp), self.rank, -1) * resp[:, None]
        cross = seen.reshape(n_seen, -1) @ features[-1 - n_features : -1].T
        return np.concatenate([cross.reshape(len(resp), -1), resp @ features[n_seen:].T], axis=1)

    common = Full.common
    common_total = Full.common_total

    def unpack(self, log_prob, packed, n_features, total):
        """Return the sums about the origin that `gather` found."""
        cross, square = np.split(packed[:, : -1 - n_features], [self.rank * n_features], axis=1)
        cross = cross.reshape(len(packed), self.rank, n_features).swapaxes(1, 2)
        return Sums(log_prob, packed[:, -1], packed[:, -1 - n_features : -1], _pack(cross, square))

    # ------------------------------------------------------------------------------------ M-step

    def centred_moments(self, second, counts, offsets, factors):
        """Return the second moments about the means from sums about centres `offsets` away."""
        return second / counts[:, None, None] - self.outer(offsets, factors)

    def pool(self, values, counts):
        """Average one value for each component as the structure shares it."""
        return values

    def add_diagonal(self, covariances, variances):
        """Add variances (D,) to the noise, in place."""
        covariances[..., -1] += variances
        return covariances

    def seen(self, covariances, factors):
        """Return second moments of these covariances, as the M-step needs them: S P, diagonal."""
        P, loadings, noise = _seen_through(factors), covariances[..., :-1], covariances[..., -1:]
        return _pack(
            loadings @ (loadings.swapaxes(1, 2) @ P) + noise * P, self.variances(covariances)
        )

    def improve(self, seen, previous):
        """Return covariances with a higher likelihood than the previous, from S P and diagonal."""
        cross, diagonal = seen[..., :-1], seen[..., -1]
        gram = _seen_through(previous.precisions_cholesky).swapaxes(1, 2) @ cross
        gram = 0.5 * (gram + gram.swapaxes(1, 2)) + np.eye(self.rank)
        values, vectors = np.linalg.eigh(np.where(np.isfinite(gram), gram, 0.0))
        sound = (values > 0.5).all(axis=1)
        if not sound.all():  # I + P' S P has no eigenvalue below one but for rounding
            raise SingularCovariance(int(np.argmin(sound)))
        loadings = cross @ (vectors / np.sqrt(values)[:, None])
        least = np.minimum(previous.covariances[..., -1], LEAST_SHARE * diagonal)
        noise = np.maximum(diagonal - np.square(loadings).sum(axis=2), least)
        return _pack(loadings, noise)


def _pack(loadings, noise):
    """Return (..., D, r + 1) from (..., D, r) and (..., D)."""
    return np.concatenate([loadings, noise[..., None]], axis=-1)


def _seen_through(factors):
    """Return P = noise^-1/2 H, shape (..., D, r)."""
    return factors[..., :-1, :-1] * factors[..., :-1, -1:]


def _decompose(covariances):
    """Return U (K, D, r), s (K, r), V' (K, r, r) of the loadings whitened by their noise."""
    whitened = covariances[..., :-1] / np.sqrt(covariances[..., -1:])
    n_components, n_features, rank = whitened.shape
    missing = np.zeros((n_components, max(0, rank - n_features), rank))
    directions, size, turn = np.linalg.svd(
        np.concatenate([whitened, missing], axis=1), full_matrices=False
    )
    return directions[:, :n_features], size, turn


def structure_of(covariance_type, rank):
    """Return the covariance structure of this name."""
    return LowRank(rank) if covariance_type == LowRank.name else STRUCTURES[covariance_type]


def dense_attribute(mixture, name):
    """Return covariances_, precisions_ or precisions_cholesky_ of a fit with loadings."""
    full = ("covariances_", "precisions_", "precisions_cholesky_")
    if name not in full or "loadings_" not in vars(mixture):
        raise AttributeError(f"{type(mixture).__name__!r} object has no attribute {name!r}")
    structure = LowRank(mixture.loadings_.shape[2])
    covariances, _ = structure.fitted(mixture)
    if name == "precisions_":
        return structure.precisions(structure.factor(covariances))
    matrices = structure.matrices(covariances, *mixture.means_.shape)
    return matrices if name == "covariances_" else Full().factor(matrices)
