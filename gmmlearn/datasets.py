"""Every data set of the book as seeded arrays. Nothing is downloaded."""

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gmmlearn._validation import as_count, as_nonnegative, as_numbers, as_rng

# The running example of chapters 2 to 4, as arguments of `Mixture`: three overlapping blobs.
BLOBS = {
    "weights": (0.5, 0.3, 0.2),
    "means": ((-2.0, 0.0), (2.0, 1.5), (1.5, -2.0)),
    "covariances": (
        ((1.0, 0.8), (0.8, 1.5)),
        ((0.8, -0.5), (-0.5, 0.6)),
        ((1.5, 0.0), (0.0, 0.2)),
    ),
}

DIGIT_LEVELS = 17
"""Pixels of the 8 x 8 digits take the whole values 0..16."""

_MNIST_STEMS = {"test": "t10k", "train": "train"}
_DIGIT_PARTS = {"train": slice(0, 1000), "validation": slice(1000, 1297), "test": slice(1297, 1797)}


class Labelled(NamedTuple):
    """Data with labels."""

    X: np.ndarray
    """Points (N, D) or images (N, height, width)."""
    labels: np.ndarray
    """Whole numbers (N,): the mode or the class of each."""


def ring(n_samples, rng=None, n_modes=8, radius=1.0, std=0.01):
    """Draw points around equally spaced centres on a circle (lin2018pacgan's ring).

    Parameters
    ----------
    n_samples : int >= 1
        Number of points N.
    rng : numpy Generator, int or None
        Source of randomness.
    n_modes : int >= 1
        Number of centres.
    radius : float >= 0
        Radius of the circle.
    std : float >= 0
        Standard deviation of each mode, the same in both directions.

    Returns
    -------
    Labelled
        X (N, 2) and the mode of each point.
    """
    angles = 2.0 * np.pi * np.arange(as_count(n_modes, "n_modes")) / n_modes
    centres = as_nonnegative(radius, "radius") * np.column_stack([np.cos(angles), np.sin(angles)])
    return _around(centres, n_samples, rng, std)


def grid(n_samples, rng=None, n_per_side=5, spacing=2.0, std=0.05):
    """Draw points around the nodes of a square grid centred on zero (lin2018pacgan's grid).

    Parameters
    ----------
    n_samples : int >= 1
        Number of points N.
    rng : numpy Generator, int or None
        Source of randomness.
    n_per_side : int >= 1
        Nodes along each side; the grid has n_per_side ** 2 modes.
    spacing : float >= 0
        Distance between neighbouring nodes.
    std : float >= 0
        Standard deviation of each mode, the same in both directions.

    Returns
    -------
    Labelled
        X (N, 2) and the mode of each point.
    """
    n_per_side = as_count(n_per_side, "n_per_side")
    ticks = as_nonnegative(spacing, "spacing") * (np.arange(n_per_side) - (n_per_side - 1) / 2)
    centres = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    return _around(centres, n_samples, rng, std)


def _around(centres, n_samples, rng, std):
    """Draw points with equal probability from round Gaussians at `centres`."""
    n_samples, std, rng = as_count(n_samples, "n_samples"), as_nonnegative(std, "std"), as_rng(rng)
    labels = rng.integers(len(centres), size=n_samples)
    return Labelled(centres[labels] + std * rng.standard_normal((n_samples, 2)), labels)


def spiral(n_samples, rng=None, turns=1.5, std=0.12):
    """Draw points along a spiral of outer radius 3, with Gaussian noise in both directions.

    Parameters
    ----------
    n_samples : int >= 1
        Number of points N.
    rng : numpy Generator, int or None
        Source of randomness.
    turns : float >= 0
        Turns from the centre outwards; the innermost 22 % of them are left out.
    std : float >= 0
        Standard deviation of the noise.

    Returns
    -------
    array (N, 2)
        Points.
    """
    n_samples, rng = as_count(n_samples, "n_samples"), as_rng(rng)
    turns, std = as_nonnegative(turns, "turns"), as_nonnegative(std, "std")
    # The square root spreads the points evenly along the curve, not bunched in the middle.
    position = np.sqrt(rng.uniform(0.05, 1.0, n_samples))
    angle = 2.0 * np.pi * turns * position
    curve = 3.0 * position[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return curve + std * rng.standard_normal((n_samples, 2))


def digits(part="all"):
    """Load scikit-learn's 8 x 8 handwritten digits, in a fixed shuffled order.

    Parameters
    ----------
    part : {"all", "train", "validation", "test"}
        All 1,797 images, or 1,000 to train, 297 to choose settings, 500 to test.

    Returns
    -------
    Labelled
        X (N, 8, 8) with pixels 0..16 (0 is paper, 16 is ink) and the digits 0..9.

    Notes
    -----
    The same 13 people wrote all of them, so the parts share writers.

    References
    ----------
    alpaydin1998cascading.
    """
    from sklearn.datasets import load_digits

    if part not in ("all", *_DIGIT_PARTS):
        raise ValueError(f"part is {part!r}. Use 'all', 'train', 'validation' or 'test'.")
    bunch = load_digits()
    # scikit-learn's order groups the writers; a fixed shuffle gives each part all of them.
    order = np.random.default_rng(0).permutation(len(bunch.target))
    chosen = order[_DIGIT_PARTS.get(part, slice(None))]
    return Labelled(bunch.images[chosen], bunch.target[chosen])


def mnist(part="test", folder=None):
    """Read MNIST's 28 x 28 digits from files that you have; nothing is downloaded.

    Parameters
    ----------
    part : {"test", "train"}
        10,000 or 60,000 pictures, in the order of the files.
    folder : str or Path, optional
        Where the four files with their usual names are, such as t10k-images-idx3-ubyte.gz; unless
        given, the environment variable GMMLEARN_DATA names it.

    Returns
    -------
    Labelled
        X (N, 28, 28) with pixels 0..255 (0 is paper, 255 is ink) and the digits 0..9.

    Raises
    ------
    ValueError
        If no folder is named, a file is not there, or it is damaged.

    References
    ----------
    lecun1998gradient.
    """
    if part not in _MNIST_STEMS:
        raise ValueError(f"part is {part!r}. Use 'test' or 'train'.")
    folder = os.environ.get("GMMLEARN_DATA") if folder is None else folder
    if not folder:
        raise ValueError(
            "folder is None and the environment variable GMMLEARN_DATA is not set. Set one to the "
            "folder that holds t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz."
        )
    stem = Path(folder) / _MNIST_STEMS[part]
    images, labels = (
        _read_idx(f"{stem}-images-idx3-ubyte.gz"),
        _read_idx(f"{stem}-labels-idx1-ubyte.gz"),
    )
    return Labelled(images.astype(float), labels.astype(int))


def _read_idx(path):
    """Return the array of an IDX file: two zeros, its type, its axes, their lengths, the bytes."""
    try:
        raw = gzip.decompress(Path(path).read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} cannot be read ({error}). Get MNIST's files and name their folder."
        ) from None
    n_axes = raw[3] if raw[:3] == bytes([0, 0, 8]) else 0
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", count=n_axes, offset=4))
    if not n_axes or len(raw) != 4 + 4 * n_axes + math.prod(shape):
        raise ValueError(f"{path} is no whole IDX file of bytes. Get it again.")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def dequantise(images, rng=None, n_levels=DIGIT_LEVELS):
    """Spread whole-number pixels uniformly over their bins: x = (v + u) / levels (eq. dequantise).

    Parameters
    ----------
    images : array-like (N, ...)
        Pixels 0..n_levels - 1.
    rng : numpy Generator, int or None
        Source of randomness.
    n_levels : int >= 2
        Number of grey levels.

    Returns
    -------
    array (N, D)
        Flattened images in [0, 1).

    References
    ----------
    theis2016note.
    """
    n_levels = as_count(n_levels, "n_levels", at_least=2)
    images = np.asarray(images)
    if images.ndim < 2 or images.size == 0:
        raise ValueError(
            f"images has shape {images.shape}, expected (n_samples, height, width) or "
            "(n_samples, n_pixels). A single image? Use images[None]."
        )
    flat = as_numbers(images.reshape(len(images), -1), "images", 2, "(n_samples, n_pixels)")
    if flat.min() < 0 or flat.max() > n_levels - 1 or (flat != np.round(flat)).any():
        raise ValueError(
            f"images must hold whole numbers from 0 to {n_levels - 1}, got values from "
            f"{flat.min():g} to {flat.max():g}. Pass the raw pixels and their number of levels."
        )
    return (flat + as_rng(rng).random(flat.shape)) / n_levels


def photograph(name, grey=True):
    """Load one of scikit-learn's two photographs.

    Parameters
    ----------
    name : {"china", "flower"}
        Which photograph.
    grey : bool
        True: the luma 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). False: the three colours.

    Returns
    -------
    array (427, 640) or (427, 640, 3)
        Pixels in [0, 1].
    """
    from sklearn.datasets import load_sample_image

    if name not in ("china", "flower"):
        raise ValueError(f"name is {name!r}. Use 'china' or 'flower'.")
    pixels = load_sample_image(f"{name}.jpg") / 255.0
    return pixels @ np.array([0.299, 0.587, 0.114]) if grey else pixels
