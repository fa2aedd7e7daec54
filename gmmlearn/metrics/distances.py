"""Two distances between the distributions that two sets of features come from."""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from gmmlearn._validation import (
    as_count,
    as_numbers,
    as_points,
    as_positive,
    as_rng,
    require_samples,
)

# Numbers in one block of kernel values: 32 MiB.
_BLOCK = 2**22


def frechet_distance(real, fake):
    """Return the squared Frechet distance between Gaussians fitted to two sets (eq. frechet).

    Parameters
    ----------
    real, fake : array-like (N, F), (M, F)
        Features, with N > F and M > F.

    Returns
    -------
    float
        In squared units of the features, zero for equal means and covariances. Covariances divide
        by N - 1 and M - 1.

    Raises
    ------
    ValueError
        If a set has too few samples for a covariance of full rank; the message says how many it
        takes.

    Notes
    -----
    On the features of the Inception network this is the FID (heusel2017gans). On others it is a
    Frechet distance on those features, and must be called so: values cannot be compared.
    The estimate is biased upward, by about a constant divided by the number of samples
    (chong2020effectively): compare only sets of equal size.

    References
    ----------
    dowson1982frechet, heusel2017gans, chong2020effectively.

    Examples
    --------
    >>> points = [[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]
    >>> shifted = [[3.0, 0.0], [4.0, 0.0], [3.0, 2.0]]
    >>> round(frechet_distance(points, shifted), 6)
    9.0
    """
    real = as_points(real, name="real")
    fake = as_points(fake, real.shape[1], name="fake")
    roots = []
    for X, name in ((real, "real"), (fake, "fake")):
        purpose = f"a covariance of {X.shape[1]} features"
        require_samples(X, X.shape[1] + 1, name, purpose, "Pass more samples, or fewer features")
        # R'R is the covariance: no product is formed, so no digits are lost.
        roots.append(np.linalg.qr((X - X.mean(axis=0)) / np.sqrt(len(X) - 1), mode="r"))
    return _frechet(real.mean(axis=0), fake.mean(axis=0), *roots)


def frechet_distance_gaussians(mean, covariance, other_mean, other_covariance):
    """Return the squared Frechet distance between two given Gaussians (eq. frechet).

    Parameters
    ----------
    mean, other_mean : array-like (F,)
        Means.
    covariance, other_covariance : array-like (F, F)
        Covariances; singular ones are allowed.

    Returns
    -------
    float
        In squared units of the features.

    References
    ----------
    dowson1982frechet.

    Examples
    --------
    >>> round(frechet_distance_gaussians([0.0], [[1.0]], [3.0], [[4.0]]), 6)
    10.0
    """
    mean = as_numbers(mean, "mean", 1, "(n_features,)")
    other_mean = as_numbers(other_mean, "other_mean", 1, "(n_features,)")
    if other_mean.shape != mean.shape:
        raise ValueError(
            f"other_mean has shape {other_mean.shape}, expected {mean.shape} as mean has. "
            "Describe both Gaussians by the same features."
        )
    root = _root(covariance, len(mean), "covariance")
    return _frechet(mean, other_mean, root, _root(other_covariance, len(mean), "other_covariance"))


def _root(covariance, n_features, name):
    """Return R with R'R = covariance."""
    covariance = as_numbers(covariance, name, 2, f"({n_features}, {n_features})")
    if covariance.shape != (n_features, n_features) or not np.allclose(covariance, covariance.T):
        raise ValueError(
            f"{name} of shape {covariance.shape} is not a symmetric matrix of shape "
            f"({n_features}, {n_features}). Pass np.cov(X.T), or average it with its transpose."
        )
    variances, axes = np.linalg.eigh(covariance)
    if variances[0] < -1e-10 * abs(variances[-1]):
        raise ValueError(
            f"{name} has a negative eigenvalue ({variances[0]:.3g}): no variance is negative. "
            "Pass np.cov(X.T)."
        )
    return np.sqrt(np.maximum(variances, 0.0))[:, None] * axes.T


def _frechet(mean, other_mean, root, other_root):
    """Return the squared distance from means and roots R of covariances R'R.

    The singular values of R S' are the roots of the eigenvalues of R (S'S) R', a symmetric product
    with the spectrum of the two covariances' product.
    """
    overlap = np.linalg.svd(root @ other_root.T, compute_uv=False).sum()
    spread = np.square(root).sum() + np.square(other_root).sum() - 2.0 * overlap
    return float(np.square(mean - other_mean).sum() + max(spread, 0.0))


class KernelBlocks(NamedTuple):
    """The kernel distance as a mean over independent blocks."""

    mean: float
    """Mean over blocks: unbiased, like each block's value."""
    std_error: float
    """Standard deviation over blocks, divided by the root of their number."""
    values: np.ndarray
    """One value for each block."""


def kernel_distance(real, fake, bandwidth=None):
    """Return the unbiased squared maximum mean discrepancy (eq. mmd-unbiased).

    Parameters
    ----------
    real, fake : array-like (N, F), (M, F)
        Features, two samples or more of each.
    bandwidth : float > 0, optional
        Of the Gaussian kernel exp(-|x - y|^2 / (2 bandwidth^2)), in units of the features: the size
        of the shapes that it sees best. None takes the cubic kernel.

    Returns
    -------
    float
        Zero on average for two sets from one distribution, so it can be negative.

    Notes
    -----
    The cubic kernel is (x'y / F + 1)^3, which compares the first three moments. On the features of
    the Inception network this is the KID (binkowski2018demystifying). The Gaussian kernel compares
    all of the distributions; values at different bandwidths cannot be compared.

    References
    ----------
    gretton2012kernel, binkowski2018demystifying.

    Examples
    --------
    >>> round(kernel_distance([[0.0], [1.0]], [[2.0], [3.0]]), 6)
    297.5
    """
    real, fake = _pair(real, fake)
    kernel = _cubic if bandwidth is None else _gaussian(as_positive(bandwidth, "bandwidth"))
    between = _kernel_sum(kernel, real, fake) / _pairs(real, fake)
    return float(_within(kernel, real) + _within(kernel, fake) - 2.0 * between)


def kernel_distance_blocks(real, fake, n_blocks=10, rng=None):
    """Estimate the kernel distance and its standard error from independent blocks.

    Parameters
    ----------
    real, fake : array-like (N, F), (M, F)
        Features; N and M at least 2 n_blocks.
    n_blocks : int >= 2
        Both sets are shuffled and cut into this many disjoint parts.
    rng : numpy Generator, int or None
        Source of randomness.

    Returns
    -------
    KernelBlocks
        Mean, standard error, and one unbiased value for each block.

    References
    ----------
    binkowski2018demystifying.
    """
    real, fake = _pair(real, fake)
    n_blocks, rng = as_count(n_blocks, "n_blocks", at_least=2), as_rng(rng)
    for X, name in ((real, "real"), (fake, "fake")):
        purpose, cure = f"{n_blocks} blocks of two", "Pass more samples, or lower n_blocks"
        require_samples(X, 2 * n_blocks, name, purpose, cure)
    parts = [np.array_split(rng.permutation(X), n_blocks) for X in (real, fake)]
    values = np.array([kernel_distance(*pair) for pair in zip(*parts, strict=True)])
    std_error = values.std(ddof=1) / np.sqrt(n_blocks)
    return KernelBlocks(float(values.mean()), float(std_error), values)


def _pair(real, fake):
    """Return both sets as points with two rows or more."""
    real = as_points(real, name="real")
    fake = as_points(fake, real.shape[1], name="fake")
    for X, name in ((real, "real"), (fake, "fake")):
        require_samples(X, 2, name, "a mean over pairs", "Pass more samples")
    return real, fake


def _pairs(X, Y):
    """Return the number of pairs as a float."""
    return float(len(X)) * len(Y)


def _within(kernel, X):
    """Return the kernel's mean over pairs of different rows."""
    return _kernel_sum(kernel, X, X, with_own=False) / (_pairs(X, X) - len(X))


def _kernel_sum(kernel, X, Y, with_own=True):
    """Return the sum of the kernel over all pairs, or without i = j; a block of rows at a time."""
    rows, total = max(1, _BLOCK // len(Y)), 0.0
    for i in range(0, len(X), rows):
        values = kernel(X[i : i + rows], Y)
        total += values.sum() - (0.0 if with_own else np.trace(values, offset=i))
    return total


def _cubic(X, Y):
    """Return (x'y / F + 1)^3 of all pairs."""
    shifted = X @ Y.T / X.shape[1] + 1.0
    return shifted * shifted * shifted


def _gaussian(bandwidth):
    """Return the Gaussian kernel as a function of two sets."""
    return lambda X, Y: np.exp(cdist(X, Y, "sqeuclidean") / (-2.0 * bandwidth**2))
