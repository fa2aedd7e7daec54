"""Paint a cabin at the edge of the meadow, in some of the pictures, with light in its windows."""

import numpy as np

from gmmlearn.scenes._canvas import between, mix, pick, planes
from gmmlearn.scenes._land import SNOW_WHITE
from gmmlearn.scenes._light import EVENING, MORNING, NIGHT

_SHARE = 0.35
_WALLS = np.array(((0.55, 0.20, 0.16), (0.47, 0.34, 0.24), (0.85, 0.82, 0.74), (0.40, 0.42, 0.46)))
_ROOFS = np.array(((0.28, 0.22, 0.22), (0.52, 0.27, 0.20), (0.33, 0.33, 0.38)))


def paint_cabin(canvas, labels, nature, light, dice, land):
    """Paint walls, roof, snow on the roof, and windows that are lit when it is dark."""
    numbers = dice["cabin"]
    chosen = np.flatnonzero(numbers[:, 0] < _SHARE)
    numbers, side = numbers[chosen], canvas.side
    half = round(0.11 * side)
    x = between(numbers[:, 1], 0.08, 0.92)
    foot = land.ridge[chosen, (x * side).astype(int)] + 0.03
    size = between(numbers[:, 2], 0.6, 1.0)[:, None, None]
    up = ((2 * half - np.arange(2 * half) - 0.5) / (2 * half))[:, None] / size
    across = (np.arange(2 * half) + 0.5 - half) / half / size
    out = np.abs(across)
    sharp = half * size
    walls = np.clip(np.minimum(0.62 - out, 0.42 - up) * sharp + 0.5, 0, 1)
    roof = np.clip(np.minimum(0.85 - out - (up - 0.38) * 1.9, up - 0.38) * sharp + 0.5, 0, 1)
    window = (np.abs(out - 0.3) < 0.17) & (np.abs(up - 0.24) < 0.09)
    lamp = np.isin(labels.time[chosen], (EVENING, NIGHT)) | (
        (labels.time[chosen] == MORNING) & (numbers[:, 5] < 0.3)
    )
    shine = light.land[chosen]
    wall = pick(_WALLS, numbers[:, 3]) * shine
    tiles = pick(_ROOFS, numbers[:, 4]) * shine
    tiles = mix(tiles, SNOW_WHITE * shine, 0.9 * nature.snow[chosen])
    glass = np.where(lamp[:, None], (1.0, 0.82, 0.42), 0.45 * shine)
    colour = planes(wall) + window[:, None].astype("f4") * planes(glass - wall)
    colour = colour + roof[:, None].astype("f4") * (planes(tiles) - colour)
    alpha = np.maximum(walls, roof).astype(np.float32)
    top = np.round(foot * side).astype(int) - 2 * half
    left = np.round(x * side).astype(int) - half
    canvas.stamp(chosen, top, left, alpha, alpha[:, None] * colour)
