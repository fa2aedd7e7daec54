"""What the painters share: random numbers by name, noise, and ways to put colour on a canvas.

A canvas is float32 of shape (B, 3, S, S): B pictures, colours in [0, 1], S pixels a side before the
supersampling is undone. Places are in [0, 1], x to the right and y down, whatever S is.
"""

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

MAX_TREES = 4
SUPERSAMPLING = 2
MAX_SIZE = 128

# How many uniform numbers in [0, 1) each painter has for one picture, by purpose.
_DICE = {
    "year": (1,),
    "sky": (6,),
    "sun": (4,),
    "stars": (40, 3),
    "clouds": (4,),
    "camera": (6,),
    "horizon": (3,),
    "mountains": (12,),
    "hills": (16,),
    "ground": (12,),
    "place": (MAX_TREES, 4),
    "tree": (MAX_TREES, 12),
    "crown": (MAX_TREES, 7, 3),
    "branches": (MAX_TREES, 33, 3),
    "flowers": (70, 4),
    "litter": (90, 4),
    "flakes": (90, 4),
    "streaks": (45, 3),
    "falling": (16, 4),
}
_SIZES = {name: int(np.prod(shape)) for name, shape in _DICE.items()}


class Dice:
    """The random numbers of some pictures, one row for each: nothing else in a picture is random.

    Parameters
    ----------
    rows : array (B, Dice.WIDTH)
        Uniform numbers in [0, 1).
    """

    WIDTH = sum(_SIZES.values())

    def __init__(self, rows):
        ends = np.cumsum(list(_SIZES.values()))
        parts = zip(_DICE.items(), np.split(rows, ends[:-1], axis=1), strict=True)
        self._parts = {name: part.reshape(len(rows), *shape) for (name, shape), part in parts}

    def __getitem__(self, name):
        return self._parts[name]


def between(uniform, low, high):
    """Return uniform numbers moved from [0, 1) to [low, high)."""
    return low + (high - low) * uniform


def mix(first, second, share):
    """Return colours (B, 3) between two, `share` (B,) of the way to the second."""
    share = np.asarray(share)[..., None]
    return np.asarray(first) * (1 - share) + np.asarray(second) * share


def smoothstep(values):
    """Return `values` clipped to [0, 1] and eased at both ends, in place."""
    np.clip(values, 0, 1, out=values)
    return values * values * (3 - 2 * values)


def planes(colours):
    """Return colours (B, 3) as (B, 3, 1, 1), to be mixed into canvases."""
    return np.asarray(colours, dtype=np.float32)[:, :, None, None]


@lru_cache(maxsize=12)
def _noise(kind, side):
    """Return tileable noise, uniform in [0, 1], of two pictures' side and one more to cut from."""
    stretch, roughness, low_cut = {
        "clouds": (2.2, 1.7, 0.0),
        "leaves": (1.0, 0.6, 12.0),
        "patches": (1.6, 1.3, 3.0),
    }[kind]
    n_fine = 4 * SUPERSAMPLING * MAX_SIZE // 2  # the same noise for every size, thinned out
    frequency = np.fft.fftfreq(n_fine, 1 / n_fine)
    radius = np.hypot(frequency[:, None], stretch * frequency[None, : n_fine // 2 + 1])
    radius[0, 0] = np.inf
    spectrum = radius**-roughness * (radius > low_cut)
    white = np.random.default_rng(7).standard_normal((n_fine, n_fine))
    smooth = np.fft.irfft2(np.fft.rfft2(white) * spectrum, (n_fine, n_fine))
    smooth = smooth[:: n_fine // (2 * side), :: n_fine // (2 * side)]
    ranks = np.empty(smooth.size, dtype=np.float32)
    ranks[np.argsort(smooth, axis=None)] = np.linspace(0, 1, smooth.size, dtype=np.float32)
    tile = ranks.reshape(2 * side, 2 * side)
    return np.tile(tile, (2, 2))[: 3 * side, : 3 * side]


def noise(kind, side, at, height, width):
    """Cut a window of noise for each picture.

    Parameters
    ----------
    kind : {"clouds", "patches", "leaves"}
        Broad and stretched, medium, or fine.
    side : int
        S, the canvas's pixels a side.
    at : array (B, 2)
        Where to cut, uniform in [0, 1).
    height, width : int
        Of the window, at most S.

    Returns
    -------
    array (B, height, width)
        Each value uniform in [0, 1] over the tile, so a threshold is a covered share.
    """
    windows = sliding_window_view(_noise(kind, side), (height, width))
    corner = (at * 2 * side).astype(int)
    return windows[corner[:, 0], corner[:, 1]]


def blend(canvas, alpha, colour):
    """Put `colour` (B, 3, ...) over `canvas` (B, 3, H, W) with opacity `alpha` (B, H, W)."""
    canvas += alpha[:, None] * (colour - canvas)


def stamp(canvas, chosen, top, left, alpha, colour):
    """Put a small picture over some canvases, each at its own place; what sticks out is cut off.

    Parameters
    ----------
    canvas : array (B, 3, S, S)
        Changed in place.
    chosen : array (M,)
        Which canvases, each at most once.
    top, left : array (M,)
        Pixel of the stamp's upper left corner.
    alpha : array (M, h, w)
        Opacity.
    colour : array (M, 3, h, w) or (M, 3, 1, 1)
        Colours.
    """
    side, (height, width) = canvas.shape[-1], alpha.shape[1:]
    windows = sliding_window_view(canvas, (height, width), axis=(2, 3), writeable=True)
    inside_top = np.clip(top, 0, side - height)
    inside_left = np.clip(left, 0, side - width)
    # A stamp over the edge: the same window, moved inside, of a stamp padded with nothing.
    for m in np.flatnonzero((inside_top != top) | (inside_left != left)):
        alpha[m] = shifted(alpha[m], top[m] - inside_top[m], left[m] - inside_left[m])
        if colour.shape[2:] == alpha.shape[1:]:
            colour[m] = np.roll(
                colour[m], (top[m] - inside_top[m], left[m] - inside_left[m]), (1, 2)
            )
    under = windows[chosen, :, inside_top, inside_left]
    windows[chosen, :, inside_top, inside_left] = under + alpha[:, None] * (colour - under)


def shifted(picture, down, right):
    """Return `picture` (h, w) moved, with zeros where nothing came from."""
    moved = np.zeros_like(picture)
    height, width = picture.shape
    if abs(down) < height and abs(right) < width:
        moved[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = (
            picture[max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]
        )
    return moved


def dots(canvas, which, x, y, colours, alpha, radius):
    """Put small squares of colour on canvases.

    Parameters
    ----------
    canvas : array (B, 3, S, S)
        Changed in place.
    which : array (M,)
        Canvas of each dot.
    x, y : array (M,)
        Centres in [0, 1]; dots outside are not drawn.
    colours : array (M, 3)
        Colours.
    alpha : array (M,)
        Opacity.
    radius : float
        Half a side, as a share of the canvas.
    """
    side = canvas.shape[-1]
    width = max(1, round(2 * radius * side))
    inside = (x >= 0) & (x < 1) & (y >= 0) & (y < 1)
    which, colours, alpha = which[inside], colours[inside], alpha[inside, None]
    column, row = ((v[inside] * side).astype(int) for v in (x, y))
    for down in range(width):
        for right in range(width):
            place = which, slice(None), np.minimum(row + down, side - 1)
            place = (*place, np.minimum(column + right, side - 1))
            under = canvas[place]
            canvas[place] = under + alpha * (colours - under)


def averaged(canvas):
    """Return pictures (B, S / 2, S / 2, 3): the supersampling undone by averaging."""
    n, _, side, _ = canvas.shape
    size = side // SUPERSAMPLING
    blocks = canvas.reshape(n, 3, size, SUPERSAMPLING, size, SUPERSAMPLING)
    means = sum(
        blocks[:, :, :, i, :, j] for i in range(SUPERSAMPLING) for j in range(SUPERSAMPLING)
    )
    return (means / SUPERSAMPLING**2).transpose(0, 2, 3, 1)
