"""How nature looks on each day of the year."""

from typing import NamedTuple

import numpy as np

YEAR = 365
SEASONS = ("winter", "spring", "summer", "autumn")
STARTS = (334, 59, 151, 243)
"""First day of each season, counted from 0 = 1 January: the meteorological seasons."""
LENGTHS = (90, 92, 92, 91)
"""Days of each season."""

# Within about this many days a change is half over on either side of its date.
_PACE = 3.5


class Nature(NamedTuple):
    """What a day looks like: shares in [0, 1], each of shape (B,)."""

    leaves: np.ndarray
    """Leaves on the trees, from bare to full."""
    blossom: np.ndarray
    """Trees in blossom."""
    fresh: np.ndarray
    """The light green of young leaves and grass, against the deep green of summer."""
    autumn: np.ndarray
    """Red, orange and yellow in the leaves."""
    litter: np.ndarray
    """Fallen leaves on the ground."""
    flowers: np.ndarray
    """Flowers in the meadow."""
    ripe: np.ndarray
    """Gold of the fields and of dry grass."""
    snow: np.ndarray
    """Ground that is under snow."""


def season_of(day):
    """Return the season's code for each day in [0, 365)."""
    after = (np.asarray(day)[..., None] - np.array(STARTS)) % YEAR
    return np.argmin(after, axis=-1)


def nature(day, fortune):
    """Return how nature looks.

    Parameters
    ----------
    day : array (B,)
        Days in [0, 365).
    fortune : array (B,)
        Uniform in [0, 1): how mild or harsh this particular year is.

    Returns
    -------
    Nature
        Continuous in `day`, and on day 365 the same as on day 0.
    """
    early = day + 4 * (fortune - 0.5)  # a mild year is a few days ahead
    spring, summer, autumn, winter = (
        _span(early, *dates) for dates in ((59, 151), (151, 243), (243, 334), (334, 59))
    )
    into_spring = np.clip((early - 59) / 92, 0, 1)
    into_summer = np.clip((early - 151) / 92, 0, 1)
    into_autumn = np.clip((early - 243) / 91, 0, 1)
    bareness = _span(early, 322, 72, pace=6)
    deep = np.clip((early - 130) / 30, 0, 1) * np.clip((275 - early) / 30, 0, 1)
    return Nature(
        leaves=1 - np.maximum(bareness, 0.45 * autumn * into_autumn),
        blossom=spring * np.clip(1.5 - 1.1 * into_spring, 0, 1),
        fresh=np.clip(1 - deep, 0, 1),
        autumn=_span(early, 246, 20),
        litter=autumn * np.clip(0.35 + 0.9 * into_autumn, 0, 1),
        flowers=spring * (1 - 0.35 * into_spring) + 0.12 * summer * (1 - into_summer),
        ripe=summer * into_summer**0.7 + 0.35 * autumn,
        # Some winters cover half of the ground, some all of it, whatever their dates.
        snow=winter * (0.45 + 0.55 * ((fortune * 7.31) % 1.0)),
    )


def _span(day, first, last, pace=_PACE):
    """Return about 1 from day `first` to day `last`, about 0 otherwise, smooth in between."""
    length = (last - first) % YEAR
    middle = first + length / 2
    away = np.abs((day - middle + YEAR / 2) % YEAR - YEAR / 2)
    return 1 / (1 + np.exp((away - length / 2) / pace))
