"""What the painters share: random numbers by name, noise, and ways to put colour on a canvas.

Pixels are float32 of shape (B, 3, S, S): B pictures, colours in [0, 1], S pixels a side before the
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
    "cabin": (6,),
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


def pick(table, uniform):
    """Return one row of `table` for each uniform number in [0, 1), all equally likely."""
    return table[(len(table) * uniform).astype(int)]


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


def blend(pixels, alpha, colour):
    """Put `colour` (B, 3, ...) over `pixels` (B, 3, H, W) with opacity `alpha` (B, H, W)."""
    change = colour - pixels
    change *= alpha[:, None]
    pixels += change


class Canvas:
    """Pictures being painted, with a margin around them that catches what sticks out.

    Parameters
    ----------
    n_pictures : int
        B.
    size : int
        Pixels a side of the finished pictures.
    """

    def __init__(self, n_pictures, size):
        self.side = SUPERSAMPLING * size
        self._margin = round(0.2 * self.side)
        whole = self.side + 2 * self._margin
        inside = slice(self._margin, self._margin + self.side)
        self._whole = np.zeros((n_pictures, 3, whole, whole), dtype=np.float32)
        self.pixels = self._whole[:, :, inside, inside]

    def stamp(self, chosen, top, left, alpha, paint):
        """Put a small picture over some of the pictures, each at its own place.

        Parameters
        ----------
        chosen : array (M,)
            Which pictures, each at most once.
        top, left : array (M,)
            Pixel of the stamp's upper left corner.
        alpha : array (M, h, w)
            Opacity.
        paint : array (M, 3, h, w)
            Colours times opacity.
        """
        windows = sliding_window_view(self._whole, alpha.shape[1:], axis=(2, 3), writeable=True)
        at = chosen, slice(None), top + self._margin, left + self._margin
        windows[at] = windows[at] * (1 - alpha[:, None]) + paint

    def dots(self, which, x, y, colours, alpha, radius):
        """Put small squares of colour on the pictures.

        Parameters
        ----------
        which : array (M,)
            Picture of each dot.
        x, y : array (M,)
            Corners in [0, 1]; dots outside are not drawn.
        colours : array (M, 3)
            Colours.
        alpha : array (M,)
            Opacity.
        radius : float
            Half a side, as a share of the picture.
        """
        inside = (x >= 0) & (x < 1) & (y >= 0) & (y < 1)
        which, colours, alpha = which[inside], colours[inside], alpha[inside, None]
        column, row = ((v[inside] * self.side).astype(int) for v in (x, y))
        width = max(1, round(2 * radius * self.side))
        for down in range(width):
            for right in range(width):
                at = which, slice(None), self._margin + row + down, self._margin + column + right
                under = self._whole[at]
                self._whole[at] = under + alpha * (colours - under)

    def averaged(self):
        """Return the pictures (B, size, size, 3): the supersampling undone by averaging."""
        step = range(SUPERSAMPLING)
        parts = [self.pixels[:, :, i::SUPERSAMPLING, j::SUPERSAMPLING] for i in step for j in step]
        return (sum(parts) / SUPERSAMPLING**2).transpose(0, 2, 3, 1)
