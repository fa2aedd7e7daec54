"""Paint the land: mountains, wooded hills, the meadow or field in front, and what lies on it."""

from typing import NamedTuple

import numpy as np

from gmmlearn.scenes._canvas import between, blend, mix, noise, pick, planes, smoothstep
from gmmlearn.scenes._light import MORNING

AUTUMN_LEAVES = np.array(
    ((0.80, 0.26, 0.12), (0.93, 0.55, 0.13), (0.95, 0.76, 0.22), (0.58, 0.33, 0.16))
)
"""Red, orange, yellow, brown."""
BLOSSOMS = np.array(((0.99, 0.80, 0.87), (0.98, 0.95, 0.95), (0.93, 0.62, 0.78)))
_FLOWERS = np.array(
    (
        (0.98, 0.90, 0.25),
        (0.98, 0.97, 0.95),
        (0.93, 0.35, 0.45),
        (0.66, 0.40, 0.85),
        (0.98, 0.75, 0.85),
    )
)
SNOW_WHITE = np.array((0.93, 0.95, 0.99))


class Land(NamedTuple):
    """Where the front meadow begins."""

    ridge: np.ndarray
    """Its upper edge (B, S), counted from the top, for each column."""
    horizon: np.ndarray
    """Mean height of the far edge (B,)."""


def paint_land(canvas, labels, nature, light, dice):
    """Paint mountains, hills and meadow, from far to near, and return where the meadow begins."""
    side = canvas.side
    x = ((np.arange(side) + 0.5) / side).astype(np.float32)
    horizon = between(dice["horizon"][:, 0], 0.44, 0.60)
    _paint_mountains(canvas, nature, light, dice, x, horizon)
    _paint_hills(canvas, labels, nature, light, dice, x, horizon)
    roll = _waves(x, dice["ground"][:, :6].reshape(-1, 3, 2), (0.6, 1.4, 2.6), 0.035)
    land = Land(horizon[:, None] + 0.07 + 0.07 * dice["horizon"][:, 1:2] + roll, horizon)
    _paint_meadow(canvas, nature, light, dice, x, land.ridge)
    return land


def _waves(x, dice, frequencies, height):
    """Return smooth curves (B, S): waves of given frequencies with phases and heights by dice."""
    turns = dice[:, :, 0, None] + x * np.array(frequencies)[:, None] * (0.7 + 0.6 * dice[:, :, 1:])
    shares = dice[:, :, 1:] / np.sqrt(len(frequencies))
    return (height * (shares * np.sin(2 * np.pi * turns)).sum(axis=1)).astype(np.float32)


def _below(ridge, first, last, side):
    """Return the opacity (B, rows, S) of all that lies below `ridge` in the rows first..last."""
    y = (np.arange(first, last, dtype=np.float32) + 0.5)[:, None]
    return np.clip(y - ridge[:, None, :].astype(np.float32) * side + 0.5, 0, 1)


def _paint_mountains(canvas, nature, light, dice, x, horizon):
    """Paint far peaks in the haze, white at the top for most of the year."""
    side, numbers = canvas.side, dice["mountains"]
    turns = numbers[:, :4, None] + x * np.array((1.1, 2.3, 4.7, 9.5))[:, None]
    peaks = np.abs(2 * (turns % 1) - 1) * np.array((0.5, 0.28, 0.14, 0.08))[:, None]
    height = between(np.sqrt(numbers[:, 4]), 0.04, 0.36)[:, None]
    ridge = horizon[:, None] + 0.02 - height * peaks.sum(axis=1)
    first, last = round(0.1 * side), round(0.68 * side)
    rock = mix([0.42, 0.45, 0.52], [0.56, 0.50, 0.47], numbers[:, 5]) * light.land
    hazy = mix(rock, light.horizon, between(numbers[:, 6], 0.35, 0.7))
    snowy = mix(SNOW_WHITE * light.land, light.horizon, 0.35)
    y = ((np.arange(first, last) + 0.5) / side)[:, None]
    line = horizon - height[:, 0] * between(nature.snow, 0.62, 0.2) * (0.9 + 0.2 * numbers[:, 7])
    texture = noise("patches", side, numbers[:, 8:10], last - first, side)
    covered = np.clip((line[:, None, None] - y) * 14 + 1.2 * (texture - 0.5), 0, 1)
    colour = planes(hazy) + covered[:, None].astype(np.float32) * planes(snowy - hazy)
    blend(canvas.pixels[:, :, first:last], _below(ridge, first, last, side), colour)


def _paint_hills(canvas, labels, nature, light, dice, x, horizon):
    """Paint two chains of hills under woods that change with the year."""
    side, numbers = canvas.side, dice["hills"]
    woods = _woods(nature, numbers)
    patchiness = between(numbers[:, 15], 0.3, 0.8)[:, None, None, None]
    for chain, (lift, haze) in enumerate(((0.0, 0.32), (0.05, 0.12))):
        waves = _waves(x, numbers[:, 4 * chain : 4 * chain + 4].reshape(-1, 2, 2), (1.1, 2.7), 0.07)
        crowns = noise("leaves", side, numbers[:, 12 + chain : 14 + chain], 1, side)[:, 0]
        ridge = horizon[:, None] + lift + waves - 0.018 * crowns
        first, last = round((0.30 + lift) * side), round(0.84 * side)
        texture = noise("leaves", side, numbers[:, 13:15], last - first, side)[:, None]
        most, some = (mix(wood * light.land, light.horizon, haze) for wood in woods)
        patches = smoothstep(4 * (texture - patchiness).astype(np.float32))
        colour = planes(most) * (0.75 + 0.5 * texture) + patches * planes(some - most)
        snow = planes(mix(SNOW_WHITE * light.land, light.horizon, haze))
        white = np.clip(2.2 * nature.snow[:, None, None, None] - 1.4 * texture - 0.2, 0, 0.85)
        colour += white.astype(np.float32) * (snow - colour)
        blend(canvas.pixels[:, :, first:last], _below(ridge, first, last, side), colour)
    _paint_mist(canvas, labels, light, dice, horizon)


def _woods(nature, numbers):
    """Return the colours (B, 3) of most trees of the woods, and of some."""
    deep = mix([0.16, 0.33, 0.16], [0.26, 0.42, 0.20], numbers[:, 8])
    young = mix([0.45, 0.62, 0.25], [0.55, 0.68, 0.35], numbers[:, 9])
    bare = mix([0.40, 0.34, 0.30], [0.48, 0.43, 0.36], numbers[:, 9])
    fiery, other = (pick(AUTUMN_LEAVES, numbers[:, column]) for column in (10, 11))
    most = mix(mix(deep, young, 0.8 * nature.fresh), fiery, 0.75 * nature.autumn)
    some = mix(deep, other, 0.7 * nature.autumn)
    some = mix(some, pick(BLOSSOMS, numbers[:, 11]), 0.45 * nature.blossom)
    some = mix(bare * 0.85, some, nature.leaves)
    evergreen = np.array((0.15, 0.28, 0.22))
    return mix(bare, most, nature.leaves), mix(some, evergreen, 0.8 * (numbers[:, 12] > 0.6))


def _paint_mist(canvas, labels, light, dice, horizon):
    """Lay the mist of the morning over the valley."""
    side = canvas.side
    y = (np.arange(side) + 0.5) / side
    at = (horizon + 0.05 + 0.05 * dice["horizon"][:, 2])[:, None]
    strength = np.where(labels.time == MORNING, 0.25 + 0.35 * dice["camera"][:, 5], 0.06)[:, None]
    alpha = (strength * np.exp(-(((y - at) / 0.06) ** 2))).astype(np.float32)
    first, last = round(0.36 * side), round(0.84 * side)
    misty = planes(mix(light.horizon, light.glow, 0.3))
    blend(canvas.pixels[:, :, first:last], alpha[:, first:last, None], misty)


def _paint_meadow(canvas, nature, light, dice, x, ridge):
    """Paint the ground in front: grass, some of it a ploughed or ripe field, snow on top."""
    side, ground = canvas.side, dice["ground"]
    first = round(0.44 * side)
    grass, rows = (colour * light.land for colour in _soils(nature, ground))
    texture = noise("leaves", side, ground[:, 8:10], side - first, side)[:, None]
    shade = noise("patches", side, ground[:, 9:11], side - first, side)
    depth = np.arange(first, side, dtype=np.float32)[:, None] / side
    bright = 0.72 + 0.22 * texture + 0.4 * (shade[:, None] - 0.5) + 0.22 * depth
    colour = planes(grass) * bright
    fields = np.flatnonzero(ground[:, 11] < 0.35)
    if fields.size:
        furrows = _furrows(x, first, side, ground[fields])
        colour[fields] += furrows * (planes(rows[fields]) - colour[fields])
    covered = smoothstep(3.5 * (shade - (1 - 1.1 * nature.snow)[:, None, None].astype("f4")) + 0.4)
    covered *= (nature.snow > 0.01)[:, None, None]
    snow = planes(SNOW_WHITE * light.land) * (0.9 + 0.1 * texture)
    colour += covered[:, None] * (snow - colour)
    blend(canvas.pixels[:, :, first:], _below(ridge, first, side, side), colour)


def _soils(nature, ground):
    """Return the colours (B, 3) of the grass, and of the rows of a field."""
    lush = mix([0.30, 0.50, 0.18], [0.42, 0.56, 0.24], ground[:, 6])
    fresh = mix([0.50, 0.69, 0.26], [0.62, 0.72, 0.34], ground[:, 6])
    dry = mix([0.80, 0.68, 0.33], [0.70, 0.62, 0.36], ground[:, 7])
    earth = mix([0.50, 0.40, 0.29], [0.58, 0.50, 0.36], ground[:, 7])
    withered = np.clip(0.5 * nature.autumn * ground[:, 8] + 0.7 * (1 - nature.leaves), 0, 1)
    grass = mix(lush, fresh, 0.85 * nature.fresh * (1 - nature.autumn))
    grass = mix(mix(grass, dry, 0.55 * nature.ripe), earth, withered)
    return grass, mix(earth, dry, np.clip(1.3 * nature.ripe, 0, 1))


def _furrows(x, first, side, ground):
    """Return the opacity (M, 1, rows, S) of furrows that run to a vanishing point."""
    depth = ((np.arange(first, side) + 0.5) / side - 0.38)[:, None]
    lean = (x - between(ground[:, 10, None], -0.4, 1.4))[:, None, :] / depth
    wave = np.sin(between(ground[:, 4], 9, 16)[:, None, None] * lean)
    return np.clip(0.5 + 1.4 * wave, 0, 0.85).astype(np.float32)[:, None]


def paint_flowers(canvas, nature, light, dice, land):
    """Scatter flowers over the meadow in spring, and fallen leaves in autumn."""
    palette = dice["ground"][:, 6:8]
    kinds = (("flowers", nature.flowers, _FLOWERS), ("litter", nature.litter, AUTUMN_LEAVES))
    for name, amount, colours in kinds:
        numbers = dice[name]
        n_dots = amount * (1 - 0.5 * nature.snow) * numbers.shape[1]
        which, dot = np.nonzero(np.arange(numbers.shape[1]) < n_dots[:, None] - 0.5)
        x, y, hue, size = numbers[which, dot].T
        # Two kinds of flower prevail in each picture.
        kind = np.where(hue < 0.5, palette[which, 0], np.where(hue < 0.8, palette[which, 1], hue))
        colour = pick(colours, kind) * light.land[which]
        edge = land.ridge[which, (x * canvas.side).astype(int)]
        height = edge + (1.0 - edge) * (0.03 + 0.97 * y**1.3)
        near = y + 0.3 * size > 0.75
        for sized, radius in ((~near, 1 / 128), (near, 1.6 / 128)):
            alpha = np.full(sized.sum(), 0.92)
            dots = (each[sized] for each in (which, x, height, colour))
            canvas.dots(*dots, alpha, radius)
