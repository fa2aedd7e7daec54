"""Four seasons: small colour pictures of a landscape, drawn by rule, with their true labels.

Data card
---------
Made by
    Code alone: nothing is downloaded, no photograph and no person's work is in it. As many pictures
    as one wants; a seed gives the same ones again (`make_scenes`).
Pictures
    Float32 (N, size, size, 3) in [-1, 1], sides of 16, 32, 64 or 128 pixels, supersampled 2 x 2.
    The same scene can be had at every size.
Labels
    day, in [0, 365), and what follows from it, the season (meteorological: spring begins on
    1 March); time of day; weather; number of trees in front, 0 to 4. They are true by construction.
How labels are drawn
    Season, time and number of trees uniform and independent, the weather given the season, the day
    uniform in the middle 80 % of its season (`sample_labels`). Between the seasons nature changes
    within about two weeks, and there a picture's season is a matter of opinion.
What varies within a label
    Horizon, mountains, hills and their woods; meadow, furrowed or ripe field; kinds, places and
    shapes of trees (oak, poplar, birch, fir), which of them blossom and in which colour; flowers,
    fallen leaves; how much snow lies; a cabin; sun, moon and its phase, stars, clouds; colours of
    sky and light; exposure, contrast and tint.
What to see
    Winter: snow on the ground, bare trees. Spring: flowers, blossom, light green. Summer: deep
    green, ripening gold. Autumn: red and yellow leaves on trees and ground and in the air. The
    morning's sun is low on the left, the evening's on the right.
Limits
    A painter's year in a temperate climate, not a model of nature: every night has a moon, noon's
    sun may stand anywhere above, trees hide no more of each other than twigs. The mean colour alone
    tells a linear classifier little of the season (`tests/test_scenes.py` measures it).
"""

from typing import NamedTuple

import numpy as np

from gmmlearn._validation import as_count, as_rng
from gmmlearn.scenes._cabin import paint_cabin
from gmmlearn.scenes._canvas import MAX_TREES, Canvas, Dice
from gmmlearn.scenes._land import paint_flowers, paint_land
from gmmlearn.scenes._light import light
from gmmlearn.scenes._sky import paint_clouds, paint_sky, paint_stars, paint_sun
from gmmlearn.scenes._trees import paint_trees
from gmmlearn.scenes._weather import develop, paint_weather
from gmmlearn.scenes._year import YEAR, nature
from gmmlearn.scenes.labels import (
    SEASONS,
    TIMES,
    WEATHERS,
    Labels,
    as_codes,
    as_labels,
    describe,
    sample_labels,
    season_of,
)

_SIZES = (16, 32, 64, 128)
_BLOCK = 64 * 32**2  # finished pixels drawn at a time, so that they stay in the processor's cache


__all__ = [
    "MAX_TREES",
    "SEASONS",
    "TIMES",
    "WEATHERS",
    "Labels",
    "Scenes",
    "describe",
    "make_scenes",
    "render",
    "sample_labels",
    "season_of",
    "through_the_year",
]


class Scenes(NamedTuple):
    """Pictures with their labels."""

    images: np.ndarray
    """Float32 (N, size, size, 3) in [-1, 1]."""
    labels: Labels
    """What they show."""


def make_scenes(n_samples, rng=None, size=32, **given):
    """Draw labelled scenes.

    Parameters
    ----------
    n_samples : int >= 1
        Number of scenes N.
    rng : numpy Generator, int or None
        Source of randomness; the same seed gives the same scenes.
    size : int
        Pixels a side: 16, 32, 64 or 128.
    **given
        Labels that are given, as in `sample_labels`: season="spring", n_trees=2, ...

    Returns
    -------
    Scenes
        Images (N, size, size, 3), float32 in [-1, 1], and their labels.

    Examples
    --------
    >>> images, labels = make_scenes(6, rng=0, season="winter", weather="snow")
    >>> images.shape, images.dtype
    ((6, 32, 32, 3), dtype('float32'))
    """
    size, rng = _as_size(size), as_rng(rng)
    labels = sample_labels(n_samples, rng, **given)
    return Scenes(render(labels, size, rng), labels)


def render(labels, size=32, rng=None):
    """Draw a picture for each label.

    Picture n depends on label n and on its own random numbers alone, the n-th row that is drawn
    from `rng`: other labels, or more of them behind it, change nothing in it. The same labels and
    seed at another size give the same scenes, finer or coarser.

    Parameters
    ----------
    labels : Labels
        Of N scenes. Any weather may fall on any day here: snow in June is drawn as asked.
    size : int
        Pixels a side: 16, 32, 64 or 128.
    rng : numpy Generator, int or None
        Source of randomness.

    Returns
    -------
    array (N, size, size, 3)
        Float32 pixels in [-1, 1].

    Raises
    ------
    ValueError
        If a label is out of range or contradicts another, or the size is not one of the four.
    """
    labels, size, rng = as_labels(labels), _as_size(size), as_rng(rng)
    return _render(labels, size, lambda n: rng.random((n, Dice.WIDTH), np.float32))


def through_the_year(n_frames, rng=None, size=32, **given):
    """Draw one place on equally spaced days of a year, all else unchanged.

    Parameters
    ----------
    n_frames : int >= 1
        Number of pictures N; the last is followed by the first without a jump.
    rng : numpy Generator, int or None
        Source of randomness, which chooses the place.
    size : int
        Pixels a side: 16, 32, 64 or 128.
    **given
        Labels of all frames: time, weather, n_trees. Weather is "clear" unless given.

    Returns
    -------
    Scenes
        N frames from 1 January on.
    """
    n_frames, size, rng = as_count(n_frames, "n_frames"), _as_size(size), as_rng(rng)
    refused = [name for name in ("day", "season") if name in given]
    if refused:
        raise ValueError(f"{refused[0]} cannot be given: the frames pass through all of the year.")
    if np.size(given.get("weather", "clear")) > 1:
        raise ValueError("weather must be one value: the frames differ in nothing but the day.")
    # Drawn without the weather, since sample_labels knows no summer with snow.
    weather = as_codes(given.pop("weather", "clear"), "weather")
    first = sample_labels(1, rng, **given)
    labels = Labels(*(np.repeat(part, n_frames) for part in first))
    days = np.arange(n_frames) * YEAR / n_frames
    labels = labels._replace(day=days, season=season_of(days), weather=np.full(n_frames, weather))
    row = rng.random((1, Dice.WIDTH), np.float32)
    return Scenes(_render(labels, size, lambda n: np.repeat(row, n, axis=0)), labels)


def _as_size(size):
    """Return `size` if scenes can be drawn in it."""
    if as_count(size, "size") not in _SIZES:
        raise ValueError(f"size is {size}. Use one of: {', '.join(map(str, _SIZES))}.")
    return int(size)


def _render(labels, size, next_rows):
    """Draw checked labels block by block; `next_rows(n)` gives the random numbers of the next n."""
    n_samples = len(labels.day)
    images = np.empty((n_samples, size, size, 3), dtype=np.float32)
    step = max(1, _BLOCK // size**2)
    for first in range(0, n_samples, step):
        part = slice(first, first + step)
        block = Labels(*(values[part] for values in labels))
        images[part] = 2 * _paint(block, size, Dice(next_rows(len(block.day)))) - 1
    return images


def _paint(labels, size, dice):
    """Paint one block of scenes, from back to front."""
    canvas = Canvas(len(labels.day), size)
    seen = nature(labels.day, dice["year"][:, 0])
    lit = light(labels.time, labels.weather, dice)
    paint_sky(canvas, labels, lit, dice)
    paint_stars(canvas, labels, dice)
    paint_sun(canvas, labels, lit, dice)
    paint_clouds(canvas, labels, lit, dice)
    land = paint_land(canvas, labels, seen, lit, dice)
    paint_cabin(canvas, labels, seen, lit, dice, land)
    paint_flowers(canvas, seen, lit, dice, land)
    paint_trees(canvas, labels, seen, lit, dice, land)
    paint_weather(canvas, labels, seen, lit, dice)
    return develop(canvas.averaged(), dice)
