"""Paint what falls: snowflakes, rain, leaves; and what the camera does to the picture."""

import numpy as np

from gmmlearn.scenes._canvas import between, pick
from gmmlearn.scenes._land import AUTUMN_LEAVES
from gmmlearn.scenes._light import RAIN, SNOW


def paint_weather(canvas, labels, nature, light, dice):
    """Let leaves, snow or rain fall in front of everything."""
    _paint_falling_leaves(canvas, nature, light, dice)
    _paint_flakes(canvas, labels, light, dice)
    _paint_rain(canvas, labels, light, dice)


def _paint_falling_leaves(canvas, nature, light, dice):
    """Let a few leaves drift through the air in autumn."""
    numbers = dice["falling"]
    amount = nature.litter * numbers.shape[1]
    which, leaf = np.nonzero(np.arange(numbers.shape[1]) < 0.9 * amount[:, None] - 0.5)
    x, y, hue, _ = numbers[which, leaf].T
    colours = pick(AUTUMN_LEAVES, hue) * light.land[which]
    canvas.dots(which, x, 0.2 + 0.7 * y, colours, np.full(len(which), 0.95), 1.3 / 128)


def _paint_flakes(canvas, labels, light, dice):
    """Let snow fall: small flakes far away, large ones near."""
    numbers = dice["flakes"]
    shown = (labels.weather == SNOW) * between(dice["camera"][:, 4], 0.55, 1.0)
    which, flake = np.nonzero(np.arange(numbers.shape[1]) < (shown * numbers.shape[1])[:, None])
    x, y, near, _ = numbers[which, flake].T
    white = 0.35 + 0.65 * np.minimum(light.land[which] * 1.5, 1.0)
    for large, radius in ((False, 1 / 128), (True, 1.9 / 128)):
        sized = (near > 0.7) == large
        alpha = np.full(sized.sum(), 0.85)
        canvas.dots(which[sized], x[sized], y[sized], white[sized], alpha, radius)


def _paint_rain(canvas, labels, light, dice):
    """Draw slanted streaks, in one direction for each picture."""
    numbers, side = dice["streaks"], canvas.side
    rainy = np.flatnonzero(labels.weather == RAIN)
    slant = between(dice["camera"][rainy, 3], -0.45, 0.45)
    steps = np.arange(round(0.11 * side)) / side
    x, y, near = (numbers[rainy, :, i, None] for i in range(3))
    long = steps < between(near, 0.05, 0.11)
    down = np.broadcast_to(y * 1.1 - 0.1 + steps, long.shape)
    across = x * 1.5 - 0.25 + slant[:, None, None] * steps
    across = np.broadcast_to(across, long.shape)
    which = np.broadcast_to(rainy[:, None, None], long.shape)
    pale = 0.45 * light.horizon + 0.55 * (0.45 + 0.5 * light.land)
    alpha = np.broadcast_to(between(near, 0.3, 0.6), long.shape)[long]
    canvas.dots(which[long], across[long], down[long], pale[which[long]], alpha, 0.5 / side)


def develop(pictures, dice):
    """Give each finished picture (B, s, s, 3) its exposure, contrast and tint, and clip it."""
    camera = dice["camera"]
    tint = between(camera[:, 0:1], -0.06, 0.06) * (1, 0.1, -1)
    gain = between(camera[:, 1:2], 0.84, 1.12) * (1 + tint)
    contrast = between(camera[:, 2], 0.85, 1.1)[:, None]
    offset = 0.45 * gain * (1 - contrast)
    shape = (len(pictures), 1, 1, 3)
    pictures *= (gain * contrast).reshape(shape).astype(np.float32)
    pictures += offset.reshape(shape).astype(np.float32)
    return np.clip(pictures, 0, 1, out=pictures)
