"""Fill missing pixels with a prior on patches: scratches, printed text (chapter 8)."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve

from gmmlearn._validation import as_mask, as_positive
from gmmlearn.patches import overlay, patch_basis, touched, without_holes
from gmmlearn.wiener import Bank, axes_of, blocks, by_channel, size_of

NOISE_STDS = (0.05, 0.03, 0.01)
"""How far from the truth the filled pixels are taken to be, step by step."""
# Known pixels are taken to be this exact, and a patch's mean this unknown: std, brightness 0..1.
EXACT, UNKNOWN = 0.003, 1.0
BLOCK = 512


def smooth_fill(image, mask):
    """Return `image` with each missing pixel the mean of its neighbours (Laplace's equation).

    Parameters
    ----------
    image : array (H, W)
        Grey picture.
    mask : bool array (H, W)
        True where a pixel is missing.

    Returns
    -------
    array (H, W)
        Filled picture.
    """
    filled, number = image.copy(), np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    rows, columns = np.nonzero(mask)
    right, entries = np.zeros(len(rows)), [[], [], []]
    for down, across in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        r, c = rows + down, columns + across
        inside = (r >= 0) & (r < mask.shape[0]) & (c >= 0) & (c < mask.shape[1])
        here, r, c = np.flatnonzero(inside), r[inside], c[inside]
        open_ = mask[r, c]
        right[here[~open_]] += image[r[~open_], c[~open_]]
        for at, to, value in ((here, here, 1.0), (here[open_], number[r, c][open_], -1.0)):
            for entry, part in zip(entries, (at, to, np.full(len(at), value)), strict=True):
                entry.append(part)
    at, to, values = map(np.concatenate, entries)
    filled[mask] = spsolve(coo_array((values, (at, to))).tocsc(), right)
    return filled


def inpaint(image, mask, prior, noise_stds=NOISE_STDS):
    """Fill missing pixels: the mean of each patch given its known pixels.

    Starts from a smooth fill. At each step, every patch that contains missing pixels takes its most
    probable component, and its missing pixels their conditional mean given the known ones. Where
    patches overlap, each counts by the inverse of its conditional variance at the pixel.

    Parameters
    ----------
    image : array-like (H, W) or (H, W, 3)
        Picture in [0, 1]; missing pixels may hold anything, NaN too.
    mask : bool array (H, W)
        True where a pixel is missing.
    prior : Mixture, or three for a colour picture
        What `patches.learn_patch_prior` or `restoration.adapt` (with the same mask) returned.
    noise_stds : sequence of float > 0
        How far from the truth the filled pixels are taken to be, one for each step.

    Returns
    -------
    array like image
        Known pixels are as given.

    Raises
    ------
    ValueError
        If the mask is not boolean, has another shape, or leaves nothing to learn from.
    """
    noise_stds = [as_positive(one, "noise_stds") for one in noise_stds]
    mask = as_mask(mask, np.shape(image)[:2])
    given = without_holes(image, mask)

    def restore(channel, prior, scale):
        if not mask.any():
            return channel
        picture, axes = smooth_fill(channel, mask), axes_of(prior)
        covariances = _pixel_covariances(prior)
        chosen = touched(mask, size_of(prior))
        for noise_std in noise_stds:
            bank = Bank(axes, (noise_std * scale) ** 2)
            picture = _step(picture, mask, prior, bank, covariances, chosen)
        return picture

    if not mask.any():
        by_channel(
            lambda channel, prior, scale: channel, given, prior, 1.0, slack=0.0
        )  # only to check
        return given
    # With a noise_std of one, each channel is told how much smaller its own is.
    restored = by_channel(restore, given, prior, 1.0, slack=0.0)
    given[mask] = restored[mask]
    return given


def _pixel_covariances(prior):
    """Return each component's covariance of pixels, the patch's mean unknown (K, P, P)."""
    basis = patch_basis(size_of(prior))
    return basis @ prior.covariances @ basis.T + UNKNOWN**2


def _step(picture, mask, prior, bank, covariances, chosen):
    """Return the picture with its missing pixels estimated once from all patches."""
    total, weight = np.zeros(picture.shape), np.zeros(picture.shape)
    size = size_of(prior)
    holes = np.lib.stride_tricks.sliding_window_view(mask, (size, size))
    for Z, means, at, basis in blocks(picture, prior, chosen, BLOCK):
        patches = Z @ basis.T + means
        known = ~holes[at].reshape(len(Z), -1)
        estimate, variance = _conditional(patches, known, covariances[bank.best(Z)])
        total += overlay(estimate / variance, *at, picture.shape)
        weight += overlay(1.0 / variance, *at, picture.shape)
    return np.where(mask, total / np.maximum(weight, 1e-12), picture)


def _conditional(patches, known, covariances):
    """Return mean and variance (N, P) of pixels given the known ones (eq. gaussian-conditional).

    To solve for all patches at once, a missing pixel keeps its row with a one on the diagonal.
    """
    known, everywhere = known.astype(float), np.arange(known.shape[1])
    offsets = (patches * known).sum(axis=1, keepdims=True)
    offsets /= np.maximum(known.sum(axis=1, keepdims=True), 1.0)
    system = covariances * known[:, :, None] * known[:, None, :]
    system[:, everywhere, everywhere] += np.where(known, EXACT**2, 1.0)
    cross = covariances * known[:, :, None]  # known pixel, any pixel
    gain = np.linalg.solve(system, cross)
    mean = offsets + np.einsum("nkp,nk->np", gain, (patches - offsets) * known)
    variance = covariances[:, everywhere, everywhere] - np.einsum("nkp,nkp->np", gain, cross)
    return mean, np.maximum(variance, EXACT**2)
