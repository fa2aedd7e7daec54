"""Pixels: pictures as the tensors that every image model of this folder takes, and back."""

import numpy as np
import torch

from gmmlearn._validation import as_numbers


def as_pixels(images, limits=(-1.0, 1.0)):
    """Turn pictures into pixels.

    Parameters
    ----------
    images : array (N, side, side) or (N, side, side, 3)
        Grey or coloured pictures.
    limits : (float, float)
        Black and white, or the ends of a colour: (0, 16) for digits, (0, 1) for photographs.

    Returns
    -------
    tensor (N, C, side, side)
        Float32 in [-1, 1]; C is 1 for grey, 3 for colour.

    Raises
    ------
    ValueError
        If a picture is not square, or a pixel lies outside `limits`.

    Examples
    --------
    >>> as_pixels([[[0, 8], [16, 4]]], limits=(0, 16))
    tensor([[[[-1.0000,  0.0000],
              [ 1.0000, -0.5000]]]])
    """
    low, high = _as_limits(limits)
    colour = np.ndim(images) == 4
    hint = "(n_samples, side, side) or (n_samples, side, side, 3)"
    images = as_numbers(images, "images", 4 if colour else 3, hint)
    if images.shape[1] != images.shape[2] or (colour and images.shape[3] != 3):
        raise ValueError(f"images has shape {images.shape}, expected {hint}.")
    if images.min() < low or images.max() > high:
        raise ValueError(
            f"images has pixels from {images.min():.3g} to {images.max():.3g}, expected "
            f"{low:g} to {high:g}. Pass the limits of these pictures, such as limits=(0, 16) for "
            "digits, or clip them."
        )
    pixels = ((images - low) / (high - low) * 2.0 - 1.0).astype(np.float32)
    pixels = pixels.transpose(0, 3, 1, 2) if colour else pixels[:, None]
    return torch.from_numpy(np.ascontiguousarray(pixels))


def as_images(pixels, limits=(-1.0, 1.0)):
    """Turn pixels into pictures, clipped.

    Parameters
    ----------
    pixels : tensor (N, C, side, side)
        C is 1 or 3. What a model drew may lie outside [-1, 1]: it is clipped.
    limits : (float, float)
        As for `as_pixels`.

    Returns
    -------
    array (N, side, side) or (N, side, side, 3)
        Float64 within `limits`.

    Examples
    --------
    >>> as_images(torch.tensor([[[[-1.5, 0.0], [1.0, -0.5]]]]), limits=(0, 16))
    array([[[ 0.,  8.],
            [16.,  4.]]])
    """
    low, high = _as_limits(limits)
    if isinstance(pixels, torch.Tensor):
        pixels = pixels.detach().cpu().double().numpy()
    hint = "(n_samples, 1, side, side) or (n_samples, 3, side, side)"
    pixels = as_numbers(pixels, "pixels", 4, hint)
    if pixels.shape[1] not in (1, 3) or pixels.shape[2] != pixels.shape[3]:
        raise ValueError(f"pixels has shape {pixels.shape}, expected {hint}.")
    # The middle first: so that -1 and 1 give the limits themselves.
    images = (low + high) / 2 + np.clip(pixels, -1.0, 1.0) * ((high - low) / 2)
    return images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)


def _as_limits(limits):
    """Return the two limits as floats, the lower one first."""
    low, high = as_numbers(limits, "limits", 1, "(2,)") if np.size(limits) == 2 else (0.0, 0.0)
    if not low < high:
        raise ValueError(f"limits must be two numbers, the smaller first, got {limits!r}.")
    return float(low), float(high)
