"""Scores of single samples, and how sure one may be of a number."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from gmmlearn._validation import as_count, as_level, as_numbers, as_rng


class Interval(NamedTuple):
    """An estimate with an interval of confidence around it."""

    estimate: float
    """The number from the data as they are."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""


def agreement(asked, judged, level=0.95):
    """Return the share of samples in which a judge sees what was asked, with Wilson's interval.

    Parameters
    ----------
    asked, judged : array-like (N,)
        Labels: whole numbers or texts.
    level : float in (0, 1)
        Confidence that the interval holds the true share.

    Returns
    -------
    Interval
        Estimate, low and high, in [0, 1].

    References
    ----------
    wilson1927probable.

    Examples
    --------
    >>> [round(x, 3) for x in agreement([3, 1, 4, 1], [3, 1, 4, 7])]
    [0.75, 0.301, 0.954]
    """
    asked, judged = (_labels(*pair) for pair in ((asked, "asked"), (judged, "judged")))
    if asked.shape != judged.shape:
        raise ValueError(
            f"judged has {len(judged)} labels, but asked has {len(asked)}. "
            "Pass one for each sample."
        )
    if (asked.dtype.kind == "U") != (judged.dtype.kind == "U"):
        raise ValueError("judged and asked mix texts with numbers. Use the same kind of labels.")
    n, share, z = (
        len(asked),
        float((asked == judged).mean()),
        ndtri(0.5 + as_level(level, "level", usual=0.95) / 2),
    )
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Rounding must not put an end outside [0, 1] or past the estimate.
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return Interval(share, float(min(low, share)), float(max(high, share)))


def _labels(values, name):
    """Return labels as an array (N,) of whole numbers or texts."""
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "biuU":
        raise ValueError(
            f"{name} must be a list of labels, whole numbers or texts, shape (n_samples,); got "
            f"shape {array.shape} of type {array.dtype}. Probabilities? Take their argmax."
        )
    return array


def bits_per_pixel(log_prob, n_pixels, n_levels):
    """Turn log densities of dequantised pictures into bits per pixel (eq. bits-per-pixel).

    Parameters
    ----------
    log_prob : array-like (N,)
        Log density of each picture, pixels dequantised to [0, 1), in nats. Of several draws of the
        noise, pass their mean.
    n_pixels : int >= 1
        Pixels (times colours) of a picture.
    n_levels : int >= 2
        Levels of a pixel before dequantising.

    Returns
    -------
    array (N,)
        Bits per pixel of each picture; their mean is the model's score.

    References
    ----------
    theis2016note.

    Examples
    --------
    >>> bits_per_pixel([0.0], n_pixels=64, n_levels=16)  # the uniform density on the cube
    array([4.])
    """
    log_prob = as_numbers(log_prob, "log_prob", 1, "(n_samples,)")
    n_pixels = as_count(n_pixels, "n_pixels")
    n_levels = as_count(n_levels, "n_levels", at_least=2)
    return np.log2(n_levels) - log_prob / (n_pixels * np.log(2))


def mean_interval(values, level=0.95):
    """Return the mean of a few values with Student's interval, as for one value from each seed.

    Parameters
    ----------
    values : array-like (N,)
        At least two. To compare two models, pass the differences of runs with the same seed.
    level : float in (0, 1)
        Confidence that the interval holds the mean over all seeds.

    Returns
    -------
    Interval
        Mean, low and high.

    Notes
    -----
    Right for independent values that are nearly normal; with five, nothing but a guess at that can
    be had.

    Examples
    --------
    >>> [round(x, 3) for x in mean_interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    """
    values = as_numbers(values, "values", 1, "(n_samples,)")
    n = len(values)
    if n < 2:
        raise ValueError("values has one entry, which says nothing of the spread. Run more seeds.")
    quantile = stdtrit(n - 1, 0.5 + as_level(level, "level", usual=0.95) / 2)
    mean, half = values.mean(), quantile * values.std(ddof=1) / np.sqrt(n)
    return Interval(float(mean), float(mean - half), float(mean + half))


def bootstrap_interval(statistic, *samples, n_resamples=1000, level=0.95, rng=None):
    """Return a statistic with its percentile bootstrap interval.

    Parameters
    ----------
    statistic : callable
        Maps arrays of rows to one number, ``statistic(*samples)``.
    samples : array-like (N, ...)
        One set of rows or more; rows of each are redrawn with replacement, independently of the
        other sets'. Paired sets? Pass one array that holds both.
    n_resamples : int >= 2
        How often.
    level : float in (0, 1)
        Confidence.
    rng : numpy Generator, int or None
        Source of randomness.

    Returns
    -------
    Interval
        The statistic of the samples as they are, and the percentiles of the redrawn ones.

    Notes
    -----
    Right for means and shares. Distances between sets are biased upward once more by each redraw,
    because repeated rows look like a poorer sample: the interval may lie above the estimate
    altogether. For them draw new samples, or reflect the interval at the estimate d: from
    2 d - high to 2 d - low (chapter 10).

    References
    ----------
    efron1979bootstrap.

    Examples
    --------
    >>> interval = bootstrap_interval(np.mean, np.arange(100.0), rng=0)
    >>> interval.low < interval.estimate < interval.high
    True
    """
    arrays = [np.asarray(values) for values in samples]
    if not arrays or any(array.ndim == 0 or len(array) < 2 for array in arrays):
        raise ValueError(
            "samples must be one array or more, each with two rows or more to redraw. "
            "Call bootstrap_interval(statistic, X) or bootstrap_interval(statistic, real, fake)."
        )
    n_resamples, rng = as_count(n_resamples, "n_resamples", at_least=2), as_rng(rng)
    tail = (1 - as_level(level, "level", usual=0.95)) / 2
    values = [_number(statistic(*arrays))]
    for _ in range(n_resamples):
        redrawn = (array[rng.integers(len(array), size=len(array))] for array in arrays)
        values.append(_number(statistic(*redrawn)))
    low, high = np.quantile(values[1:], [tail, 1 - tail])
    return Interval(values[0], float(low), float(high))


def _number(value):
    """Return what a statistic gave as a float."""
    if np.ndim(value) != 0 or not np.isfinite(value):
        raise ValueError(
            f"statistic must return one finite number, got {value!r}. Pick one entry, or a mean."
        )
    return float(value)
