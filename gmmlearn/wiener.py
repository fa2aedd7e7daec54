"""The Wiener filters of a patch prior, and which of them fits a noisy patch (chapter 8).

Where noise of variance s^2 lies on a patch, a component with covariance Sigma_k sees it as drawn
from N(0, Sigma_k + s^2 I), and the best estimate of the clean patch is the Wiener filter
Sigma_k (Sigma_k + s^2 I)^-1. Both are computed in each component's own axes, in float32, and
without the directions in which the component has less than a hundredth of the noise's variance.
"""

import numpy as np

from gmmlearn._validation import as_picture, as_points, as_positive
from gmmlearn.mixture import Mixture
from gmmlearn.patches import corners, patch_basis, side

BLOCK = 8192
NEGLIGIBLE = 0.01

# Rows: brightness, and two differences of colours. Orthogonal rows of length 1 / sqrt(3), so that
# brightness is the mean of the colours, and white noise stays white, with std / sqrt(3).
_HALVES, _SIXTHS = np.array([1.0, 0.0, -1.0]) / 2**0.5, np.array([1.0, -2.0, 1.0]) / 6**0.5
OPPONENT = np.stack([np.ones(3) / 3**0.5, _HALVES, _SIXTHS]) / 3**0.5


class Bank:
    """The filters of a prior for one variance of noise."""

    def __init__(self, axes, noise_variance):
        log_weights, variances, vectors = axes
        self.noise_variance, self.directions, self.filters = noise_variance, [], []
        self.offsets = log_weights.copy()
        for k, (all_variances, all_vectors) in enumerate(zip(variances, vectors, strict=True)):
            rank = max(1, int((all_variances > NEGLIGIBLE * noise_variance).sum()))
            kept, directions = all_variances[:rank], all_vectors[:, :rank]
            gains = kept / (kept + noise_variance)
            # 1 / s^2 - 1 / (lambda + s^2): what the component forgives of the distance |z|^2 / s^2.
            forgiven = directions * np.sqrt(gains / noise_variance)
            self.directions.append(forgiven.astype(np.float32))
            self.filters.append((directions * gains) @ directions.T)
            self.offsets[k] -= 0.5 * np.log1p(kept / noise_variance).sum()

    def log_joint(self, Z):
        """Return log pi_k + log N(z; 0, Sigma_k + s^2 I) but for a term all k share, (N, K)."""
        Z, scores = Z.astype(np.float32, copy=False), np.empty((len(Z), len(self.offsets)), "f4")
        for k, directions in enumerate(self.directions):
            seen = Z @ directions
            scores[:, k] = self.offsets[k] + 0.5 * np.einsum("ij,ij->i", seen, seen)
        return scores

    def best(self, Z):
        """Return the most probable component of each row (N,)."""
        return self.log_joint(Z).argmax(axis=1)

    def apply(self, Z, labels):
        """Return each row filtered by its component (N, D)."""
        clean, order = np.empty_like(Z), np.argsort(labels, kind="stable")
        bounds = np.searchsorted(labels[order], np.arange(len(self.filters) + 1))
        for k in np.unique(labels):
            rows = order[bounds[k] : bounds[k + 1]]
            clean[rows] = Z[rows] @ self.filters[k].astype(Z.dtype)
        return clean

    def average(self, Z, resp):
        """Return the mean of all filtered versions by responsibility (N, D)."""
        clean = np.zeros_like(Z)
        for k, share in enumerate(resp.T):
            rows = np.flatnonzero(share > 1e-3)
            filtered = Z[rows] @ self.filters[k].astype(Z.dtype)
            clean[rows] += share[rows, None] * filtered
        return clean

    def pixel_variances(self, basis):
        """Return the posterior variance of each pixel, whose patch's mean is unknown (K, P)."""
        inner = np.stack([((basis @ one) * basis).sum(axis=1) for one in self.filters])
        return self.noise_variance * (inner + 1.0 / len(basis))


def axes_of(prior):
    """Return log weights (K,), variances (K, D) from large to small, and directions (K, D, D)."""
    variances, vectors = np.linalg.eigh(prior.covariances)
    with np.errstate(divide="ignore"):
        log_weights = np.log(prior.weights)
    return log_weights, np.maximum(variances[:, ::-1], 0.0), vectors[:, :, ::-1]


def best_component(Z, prior, noise_std):
    """Return the component that most probably made each noisy patch (eq. patch-noisy).

    Parameters
    ----------
    Z : array-like (N, D)
        Noisy patches without their means, as `patches.remove_dc` returns them.
    prior : Mixture
        Zero-mean prior over D coordinates.
    noise_std : float > 0
        Standard deviation of the white noise.

    Returns
    -------
    int array (N,)
        The k with the largest pi_k N(z; 0, Sigma_k + s^2 I).
    """
    prior, noise_std = as_prior(prior), as_positive(noise_std, "noise_std")
    return Bank(axes_of(prior), noise_std**2).best(as_points(Z, prior.n_features, "Z"))


def wiener(Z, labels, prior, noise_std):
    """Filter noisy patches: the mean of the clean patch, its component given (eq. patch-wiener).

    Parameters
    ----------
    Z : array-like (N, D)
        Noisy patches without their means.
    labels : int array-like (N,)
        The component of each.
    prior : Mixture
        Zero-mean prior over D coordinates.
    noise_std : float > 0
        Standard deviation of the white noise.

    Returns
    -------
    array (N, D)
        Sigma_k (Sigma_k + s^2 I)^-1 z.
    """
    prior, noise_std = as_prior(prior), as_positive(noise_std, "noise_std")
    Z, labels = as_points(Z, prior.n_features, "Z"), np.asarray(labels)
    if labels.shape != (len(Z),) or labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be {len(Z)} whole numbers, one for each row of Z.")
    if labels.min() < 0 or labels.max() >= prior.n_components:
        raise ValueError(f"labels must lie in 0..{prior.n_components - 1}, the prior's components.")
    return Bank(axes_of(prior), noise_std**2).apply(Z, labels)


def size_of(prior):
    """Return the side of the patches that the prior describes."""
    return side(prior.n_features + 1, "prior")


def blocks(picture, prior, chosen=slice(None), block=BLOCK):
    """Yield blocks of the `chosen` patches in float32: coordinates, means, corners, the basis."""
    size = size_of(prior)
    rows, columns = (places[chosen] for places in corners(picture.shape, size))
    windows = np.lib.stride_tricks.sliding_window_view(picture.astype(np.float32), (size, size))
    basis = patch_basis(size).astype(np.float32)
    for i in range(0, len(rows), block):
        at = rows[i : i + block], columns[i : i + block]
        patches = windows[at].reshape(-1, size * size)
        yield patches @ basis, patches.mean(axis=1, keepdims=True), at, basis


def as_prior(prior, name="prior"):
    """Return `prior` if it is a zero-mean Mixture over the coordinates of square patches."""
    if not isinstance(prior, Mixture) or np.any(prior.means):
        raise ValueError(
            f"{name} must be a Mixture with zero means, as learn_patch_prior returns it, "
            f"got {type(prior).__name__}."
        )
    side(prior.n_features + 1, name)
    return prior


def by_channel(function, image, prior, noise_std, slack=8.0):
    """Apply function(channel, prior, noise_std) to a grey picture, or to opponent channels."""
    noise_std = as_positive(noise_std, "noise_std")
    priors = list(prior) if isinstance(prior, list | tuple) else [prior]
    priors = [as_prior(one) for one in priors]
    image = as_picture(image, slack=slack * noise_std, size=size_of(priors[0]))
    if image.ndim == 2:
        if len(priors) > 1:
            raise ValueError("prior has three parts, image is grey. Pass one Mixture.")
        return function(image, priors[0], noise_std)
    if len(priors) not in (1, 3):
        raise ValueError(f"prior has {len(priors)} parts. Pass one Mixture, or three for colour.")
    channels = np.moveaxis(image @ OPPONENT.T, 2, 0)
    triples = zip(channels, priors * 3 if len(priors) == 1 else priors, strict=True)
    results = [function(channel, one, noise_std / 3**0.5) for channel, one in triples]
    if isinstance(results[0], Mixture):
        return results
    return np.stack(results, axis=2) @ np.linalg.inv(OPPONENT).T
