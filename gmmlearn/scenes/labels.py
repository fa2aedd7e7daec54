"""What a scene shows: its labels, how they are drawn, and how they read in words."""

from typing import NamedTuple

import numpy as np

from gmmlearn._validation import as_count, as_numbers, as_rng
from gmmlearn.scenes._canvas import MAX_TREES
from gmmlearn.scenes._light import TIMES, WEATHERS
from gmmlearn.scenes._year import LENGTHS, SEASONS, STARTS, YEAR, season_of

WEATHER_SHARES = (
    (0.30, 0.25, 0.10, 0.35),
    (0.40, 0.30, 0.30, 0.00),
    (0.50, 0.30, 0.20, 0.00),
    (0.35, 0.35, 0.30, 0.00),
)
"""P(weather | season): a row for each of `SEASONS`, a column for each of `WEATHERS`."""
MARGIN = 0.1
"""Share of each season, at either end, from which no day is drawn: there, pictures are of both."""
_CODED = {"season": SEASONS, "time": TIMES, "weather": WEATHERS}
_NUMBERS = ("no tree", "one tree", "two trees", "three trees", "four trees")


class Labels(NamedTuple):
    """What N scenes show; each field has shape (N,)."""

    day: np.ndarray
    """Day of the year in [0, 365), 0 is the start of 1 January (float)."""
    season: np.ndarray
    """Index in `SEASONS`; follows from the day."""
    time: np.ndarray
    """Index in `TIMES`."""
    weather: np.ndarray
    """Index in `WEATHERS`."""
    n_trees: np.ndarray
    """Number of trees in front, 0..MAX_TREES."""


def sample_labels(n_samples, rng=None, **given):
    """Draw labels, all of them or those that are not given.

    Season, time of day and number of trees are uniform and independent; the weather depends on the
    season (`WEATHER_SHARES`), so that a given weather also speaks for the season: snow falls in
    winter alone. Days are uniform in the middle 80 % of the season, away from the borders, where
    the pictures of two seasons look the same.

    Parameters
    ----------
    n_samples : int >= 1
        Number of scenes N.
    rng : numpy Generator, int or None
        Source of randomness.
    **given
        Any of season, time, weather (a word, an index, or an array (N,) of either), n_trees
        (0..MAX_TREES) and day (in [0, 365)), each one value or (N,).

    Returns
    -------
    Labels

    Raises
    ------
    ValueError
        If a name or a value is unknown, or values contradict each other: the message says which.

    Examples
    --------
    >>> labels = sample_labels(3, rng=0, season="spring", time=["day", "day", "night"])
    >>> [SEASONS[code] for code in labels.season]
    ['spring', 'spring', 'spring']
    >>> labels.time
    array([1, 1, 3])
    """
    n_samples, rng = as_count(n_samples, "n_samples"), as_rng(rng)
    given = _as_given(given, n_samples)
    uniform = rng.random((n_samples, 5))
    season, weather = _draw_season_and_weather(uniform[:, 0], given)
    inside = MARGIN + (1 - 2 * MARGIN) * uniform[:, 1]
    day = (np.array(STARTS)[season] + np.array(LENGTHS)[season] * inside) % YEAR
    return Labels(
        given.get("day", day),
        season,
        given.get("time", (uniform[:, 2] * len(TIMES)).astype(int)),
        weather,
        given.get("n_trees", (uniform[:, 3] * (MAX_TREES + 1)).astype(int)),
    )


def _draw_season_and_weather(uniform, given):
    """Draw both codes (N,) from their joint distribution, given what is known of them."""
    joint = np.array(WEATHER_SHARES) / len(SEASONS)
    joint = np.tile(joint, (len(uniform), 1, 1))
    if "season" in given:
        joint *= np.eye(len(SEASONS))[given["season"]][:, :, None]
    if "day" in given:
        joint *= np.eye(len(SEASONS))[season_of(given["day"])][:, :, None]
    if "weather" in given:
        joint *= np.eye(len(WEATHERS))[given["weather"]][:, None, :]
    cumulative = joint.reshape(len(uniform), -1).cumsum(axis=1)
    impossible = np.flatnonzero(cumulative[:, -1] == 0)
    if impossible.size:
        names = [name for name in ("season", "day", "weather") if name in given]
        values = [_word(name, given[name][impossible[0]]) for name in names]
        raise ValueError(
            f"{' and '.join(names)} contradict each other: {', '.join(values)}. Leave one out; "
            "snow falls in winter, and a day has one season."
        )
    drawn = (uniform[:, None] * cumulative[:, -1:] >= cumulative).sum(axis=1)
    return np.divmod(drawn, len(WEATHERS))


def _as_given(given, n_samples):
    """Return given labels as arrays (N,), or say what is wrong with them."""
    unknown = [name for name in given if name not in Labels._fields]
    if unknown:
        raise ValueError(f"{unknown[0]} is not a label. Give any of: {', '.join(Labels._fields)}.")
    checked = {}
    for name, values in given.items():
        array = as_codes(values, name)
        if array.ndim > 1 or array.size not in (1, n_samples):
            raise ValueError(
                f"{name} has shape {array.shape}, expected one value or ({n_samples},), one for "
                "each scene."
            )
        checked[name] = np.array(np.broadcast_to(array, n_samples))
    return checked


def as_codes(values, name):
    """Return `values` of the label `name`, words or numbers, as a checked array of numbers.

    Parameters
    ----------
    values : array-like of str or number
        One value or many.
    name : str
        A field of `Labels`.

    Returns
    -------
    array
        Codes, counts or days, of the same shape.
    """
    words = _CODED.get(name)
    array = np.asarray(values)
    if words and array.dtype.kind == "U":
        wrong = [word for word in array.flat if word not in words]
        if wrong:
            raise ValueError(f"{name} is {str(wrong[0])!r}. Use one of: {', '.join(words)}.")
        return np.vectorize(words.index, otypes=[int])(array)
    array = as_numbers(array, name, array.ndim, "(n_samples,)")
    top = YEAR if name == "day" else len(words) - 1 if words else MAX_TREES
    fits = (array >= 0) & ((array < YEAR) if name == "day" else (array <= top))
    if name != "day":
        fits &= array == np.round(array)
    if not fits.all():
        what = f"in [0, {YEAR})" if name == "day" else f"a whole number from 0 to {top}"
        words = f", or one of: {', '.join(words)}" if words else ""
        raise ValueError(f"{name} is {array[~fits].flat[0]:g}. It must be {what}{words}.")
    return array if name == "day" else array.astype(int)


def as_labels(labels):
    """Return `labels` as checked arrays of one length, the season that of the day.

    Parameters
    ----------
    labels : Labels
        One value or an array (N,) in each field.

    Returns
    -------
    Labels
        Arrays (N,).
    """
    try:
        labels = Labels(*labels)
    except TypeError:
        raise ValueError(
            "labels must be a Labels of day, season, time, weather and n_trees: "
            "draw them with sample_labels."
        ) from None
    arrays = Labels(*(np.atleast_1d(as_codes(v, n)) for n, v in labels._asdict().items()))
    shapes = {name: array.shape for name, array in arrays._asdict().items()}
    if len(set(shapes.values())) > 1 or arrays.day.ndim > 1:
        raise ValueError(f"labels have the shapes {shapes}. Give each the same shape (n_samples,).")
    wrong = np.flatnonzero(arrays.season != season_of(arrays.day))
    if wrong.size:
        day, season = arrays.day[wrong[0]], SEASONS[arrays.season[wrong[0]]]
        raise ValueError(
            f"labels say that day {day:g} is in {season}, but it is in "
            f"{SEASONS[season_of(day)]}. Set season=season_of(day)."
        )
    return arrays


def _word(name, value):
    """Return a label's value as one would say it."""
    return _CODED[name][value] if name in _CODED else f"day {value:g}"


def describe(labels):
    """Put labels into words.

    Parameters
    ----------
    labels : Labels
        Of N scenes.

    Returns
    -------
    list of str
        Such as "spring evening, rain, two trees", N of them.

    Examples
    --------
    >>> describe(Labels(100.0, 1, 2, 2, 2))
    ['spring evening, rain, two trees']
    """
    rows = zip(*as_labels(labels)[1:], strict=True)
    return [f"{SEASONS[s]} {TIMES[t]}, {WEATHERS[w]}, {_NUMBERS[n]}" for s, t, w, n in rows]
