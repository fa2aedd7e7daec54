"""Remove noise from photographs with a prior on their patches, and adapt the prior (chapter 8)."""

import numpy as np
from scipy.special import softmax

from gmmlearn._validation import as_count, as_mask, as_nonnegative, as_positive, as_rng
from gmmlearn.mixture import Mixture
from gmmlearn.patches import overlay, patch_basis, touched, without_holes
from gmmlearn.wiener import BLOCK, Bank, axes_of, blocks, by_channel, size_of

BETAS = (1.0, 4.0, 8.0, 16.0, 32.0)
"""Growing ties between the picture and its filtered patches, in units of 1 / noise variance."""


def denoise(image, prior, noise_std, betas=BETAS, fidelity=1.0):
    """Remove white noise by expected patch log-likelihood (EPLL).

    Alternates between filtering every patch by its best component, as if it had noise of variance
    s^2 / beta (eq. epll-split), and blending the averaged patches with the noisy picture
    (eq. epll-blend); beta grows.

    Parameters
    ----------
    image : array-like (H, W) or (H, W, 3)
        Noisy picture: pixels in [0, 1], plus noise.
    prior : Mixture, or three for a colour picture
        What `patches.learn_patch_prior` or `adapt` returned.
    noise_std : float > 0
        Standard deviation of the noise on each pixel.
    betas : sequence of float > 0
        The steps.
    fidelity : float >= 0
        Weight of the noisy picture in the blend: 1 is what the noise's variance says.

    Returns
    -------
    array like image
        Restored picture; may leave [0, 1] a little.

    Raises
    ------
    ValueError
        If the picture is no picture, its range is wrong, it holds NaN (then `inpaint` is meant) or
        it is smaller than a patch.

    References
    ----------
    zoran2011learning.
    """
    betas = [as_positive(beta, "betas") for beta in betas]
    fidelity = as_nonnegative(fidelity, "fidelity")

    def restore(channel, prior, noise_std):
        axes, picture = axes_of(prior), channel
        for beta in betas:
            bank = Bank(axes, noise_std**2 / beta)
            total, count = 0.0, 0.0
            for Z, means, at, basis in blocks(picture, prior):
                clean = bank.apply(Z, bank.best(Z)) @ basis.T + means
                total = total + overlay(clean, *at, picture.shape)
                count = count + overlay(np.ones_like(clean), *at, picture.shape)
            picture = (fidelity * channel + beta * total / count) / (fidelity + beta)
        return picture

    return by_channel(restore, image, prior, noise_std)


def posterior_mean(image, prior, noise_std):
    """Remove white noise in one pass: the mean of each clean patch, given the noisy one.

    All components take part, by their responsibilities. Where patches overlap, each counts by the
    inverse of its posterior variance at the pixel.

    Parameters
    ----------
    image : array-like (H, W) or (H, W, 3)
        Noisy picture: pixels in [0, 1], plus noise.
    prior : Mixture, or three for a colour picture
        What `patches.learn_patch_prior` or `adapt` returned.
    noise_std : float > 0
        Standard deviation of the noise on each pixel.

    Returns
    -------
    array like image
        Restored picture; may leave [0, 1] a little.
    """

    def restore(channel, prior, noise_std):
        bank = Bank(axes_of(prior), noise_std**2)
        spread = bank.pixel_variances(patch_basis(size_of(prior))).astype(np.float32)
        total, weight = 0.0, 0.0
        for Z, means, at, basis in blocks(channel, prior):
            resp = softmax(bank.log_joint(Z), axis=1)
            certain = 1.0 / (resp @ spread)
            clean = bank.average(Z, resp) @ basis.T + means
            total = total + overlay(certain * clean, *at, channel.shape)
            weight = weight + overlay(certain, *at, channel.shape)
        return total / weight

    return by_channel(restore, image, prior, noise_std)


def adapt(prior, image, noise_std, strength=100.0, n_steps=8, n_patches=20_000, mask=None, rng=0):
    """Adapt a prior to one noisy picture, by EM on the picture's own noisy patches.

    The E-step knows the noise: a patch of component k is drawn from N(0, Sigma_k + s^2 I). The
    M-step shrinks each covariance towards the learned one, which counts like `strength` patches
    (eq. patch-adapt).

    Parameters
    ----------
    prior : Mixture
        What `patches.learn_patch_prior` returned.
    image : array-like (H, W) or (H, W, 3)
        Noisy picture: pixels in [0, 1], plus noise.
    noise_std : float > 0
        Standard deviation of the noise on each pixel.
    strength : float > 0
        Imaginary patches behind each learned covariance.
    n_steps : int >= 0
        Iterations of EM.
    n_patches : int >= 1
        Noisy patches to learn from, drawn without replacement; all if there are fewer.
    mask : bool array (H, W), optional
        True where a pixel is missing; patches that contain such a pixel are left out.
    rng : numpy Generator, int or None
        Source of randomness.

    Returns
    -------
    Mixture, or three for a colour picture
        The adapted prior (of brightness and of two differences of colours).

    References
    ----------
    luo2016adaptive.
    """
    strength, n_steps = as_positive(strength, "strength"), as_count(n_steps, "n_steps", 0)
    rng, n_patches = as_rng(rng), as_count(n_patches, "n_patches")
    if mask is not None:
        mask = as_mask(mask, np.shape(image)[:2])
        image = without_holes(image, mask)

    def fit(channel, learned, noise_std):
        whole = slice(None) if mask is None else ~touched(mask, size_of(learned))
        coordinates = [block[0] for block in blocks(channel, learned, whole)]
        if not coordinates:
            raise ValueError(
                "mask leaves no patch whole, so there is nothing to adapt to. Use the prior as it "
                "is, or patches of fewer pixels."
            )
        Z = np.concatenate(coordinates)
        if len(Z) > n_patches:
            Z = Z[rng.choice(len(Z), n_patches, replace=False)]
        fitted = learned
        for _ in range(n_steps):
            fitted = _em_step(Z, fitted, learned, noise_std**2, strength)
        return fitted

    return by_channel(fit, image, prior, noise_std)


def _em_step(Z, fitted, learned, noise_variance, strength):
    """Return the prior after one step of EM on noisy patches Z, shrunk towards the learned."""
    bank = Bank(axes_of(fitted), noise_variance)
    resp = np.concatenate([softmax(bank.log_joint(Z[i : i + BLOCK]), axis=1)
                           for i in range(0, len(Z), BLOCK)])  # fmt: skip
    counts = resp.sum(axis=0, dtype=np.float64)
    covariances = np.empty_like(learned.covariances)
    for k, (share, count, wiener) in enumerate(zip(resp.T, counts, bank.filters, strict=True)):
        rows = np.flatnonzero(share > 1e-4)
        scatter = (Z[rows] * share[rows, None]).T @ Z[rows].astype(np.float64)
        # Clean patches given noisy ones: the filtered patch, plus what the filter leaves open.
        second = wiener @ scatter @ wiener + count * noise_variance * wiener
        shrunk = (second + strength * learned.covariances[k]) / (count + strength)
        covariances[k] = (shrunk + shrunk.T) / 2.0
    return Mixture(counts / counts.sum(), learned.means, covariances)
