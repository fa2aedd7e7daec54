"""Are the shares right? Bins of unknown data (NDB), modes of known data."""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import ndtr, rel_entr

from gmmlearn._validation import (
    as_count,
    as_level,
    as_nonnegative,
    as_points,
    as_probabilities,
    as_rng,
)

# Distances in one block: 32 MiB.
_BLOCK = 2**22


class Bins(NamedTuple):
    """How the samples fall into bins of the training data."""

    n_different: int
    """NDB: number of bins whose share differs significantly."""
    jensen_shannon: float
    """Jensen-Shannon divergence of the two sets of shares, in nats (at most log 2)."""
    p_values: np.ndarray
    """Two-sided p-value of each bin (K,)."""
    train_shares: np.ndarray
    """Share of training samples in each bin (K,), largest first."""
    fake_shares: np.ndarray
    """Share of fake samples in the same bins (K,)."""


def ndb(train, fake, n_bins=20, level=0.05, rng=None):
    """Count the statistically different bins, NDB (eq. ndb-z).

    The protocol: (1) k-means on the training samples, best of four starts, makes n_bins bins;
    (2) every fake sample goes to the bin with the nearest centre (Euclidean, features as given);
    (3) for each bin a two-proportion z-test with pooled variance, two-sided; (4) count the p-values
    below `level`, without correction for the number of bins.

    Parameters
    ----------
    train : array-like (N, F)
        Features of real samples, n_bins or more.
    fake : array-like (M, F)
        Features of samples.
    n_bins : int >= 2
        Number of bins K. Bins that expect fewer than about five fake samples make the normal
        approximation poor.
    level : float in (0, 1)
        Level of significance of each bin's test.
    rng : numpy Generator, int or None
        Source of randomness for k-means.

    Returns
    -------
    Bins
        NDB, divergence, p-values and shares.

    Notes
    -----
    Honest samples have NDB of about `level` times n_bins, if the bins fit the training samples no
    better than others: with few samples in a bin they do, so measure held-out samples too.

    References
    ----------
    richardson2018gans.
    """
    from sklearn.cluster import KMeans

    train = as_points(train, name="train")
    fake = as_points(fake, train.shape[1], name="fake")
    n_bins, rng = as_count(n_bins, "n_bins", at_least=2), as_rng(rng)
    level = as_level(level, "level", usual=0.05)
    n_distinct = len(np.unique(train, axis=0))
    if n_distinct < n_bins:
        raise ValueError(
            f"train has {n_distinct} different samples for {n_bins} bins. "
            "Pass more samples, or lower n_bins."
        )
    seed = int(rng.integers(2**31))
    kmeans = KMeans(n_bins, n_init=4, random_state=seed).fit(train)
    counts = np.bincount(kmeans.labels_, minlength=n_bins)
    order = np.argsort(-counts, kind="stable")
    fake_labels = kmeans.predict(fake)
    train_shares = counts[order] / len(train)
    fake_shares = np.bincount(fake_labels, minlength=n_bins)[order] / len(fake)
    p_values = _two_proportions(train_shares, len(train), fake_shares, len(fake))
    middle = (train_shares + fake_shares) / 2
    divergence = (rel_entr(train_shares, middle) + rel_entr(fake_shares, middle)).sum() / 2
    n_different = int((p_values < level).sum())
    return Bins(n_different, float(divergence), p_values, train_shares, fake_shares)


def _two_proportions(p, n, q, m):
    """Return two-sided p-values of the hypothesis that p and q estimate the same share."""
    pooled = (n * p + m * q) / (n + m)
    std = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return 2 * ndtr(-np.abs(p - q) / std)


class Modes(NamedTuple):
    """How samples spread over known modes."""

    n_modes: int
    """Modes with at least one sample of high quality."""
    high_quality: float
    """Share of samples within `n_stds` standard deviations of the nearest centre."""
    reverse_kl: float
    """KL divergence of the samples' shares of modes from the true ones, in nats."""
    counts: np.ndarray
    """Samples nearest to each centre (K,), good or not."""


def mode_statistics(samples, centres, std, weights=None, n_stds=3.0):
    """Count modes, samples of high quality and the reverse KL of known modes (eq. reverse-kl).

    Parameters
    ----------
    samples : array-like (N, D)
        What a sampler drew.
    centres : array-like (K, D)
        The modes' centres.
    std : float > 0
        Each mode's standard deviation, the same in all directions.
    weights : array-like (K,), optional
        The modes' true shares, all positive; by default equal.
    n_stds : float > 0
        How many standard deviations from its centre a sample may lie.

    Returns
    -------
    Modes
        Number of modes found, share of high quality, reverse KL, counts.

    Notes
    -----
    Each sample belongs to the nearest centre, good or not. In D = 2 dimensions even perfect samples
    lie within 3 standard deviations with probability 1 - exp(-4.5) = 0.989 only.

    References
    ----------
    lin2018pacgan.

    Examples
    --------
    >>> centres = [[0.0, 0.0], [4.0, 0.0]]
    >>> samples = [[0.1, 0.0], [0.0, 0.2], [3.9, 0.0], [2.9, 1.5]]
    >>> mode_statistics(samples, centres, std=0.1)[:2]
    (2, 0.75)
    """
    centres = as_points(centres, name="centres")
    samples = as_points(samples, centres.shape[1], name="samples")
    std, n_stds = as_nonnegative(std, "std"), as_nonnegative(n_stds, "n_stds")
    for value, name in ((std, "std"), (n_stds, "n_stds")):
        if value == 0:
            raise ValueError(f"{name} is 0: no sample lies so near to a centre. Use {name} > 0.")
    n_modes = len(centres)
    weights = np.full(n_modes, 1 / n_modes) if weights is None else _weights(weights, n_modes)
    # Rows in blocks, so that 100,000 samples of many modes need little memory.
    counts, good = np.zeros(n_modes, dtype=int), np.zeros(n_modes, dtype=int)
    rows = max(1, _BLOCK // n_modes)
    for i in range(0, len(samples), rows):
        distances = cdist(samples[i : i + rows], centres)
        nearest = distances.argmin(axis=1)
        near = distances.min(axis=1) < n_stds * std
        counts += np.bincount(nearest, minlength=n_modes)
        good += np.bincount(nearest[near], minlength=n_modes)
    reverse_kl = rel_entr(counts / len(samples), weights).sum()
    quality = good.sum() / len(samples)
    return Modes(int((good > 0).sum()), float(quality), float(reverse_kl), counts)


def _weights(weights, n_modes):
    """Return positive shares, one for each mode."""
    weights = as_probabilities(weights, "weights", f"({n_modes},)")
    if weights.shape != (n_modes,) or (weights == 0).any():
        raise ValueError(
            f"weights must be {n_modes} positive shares, one for each centre, got shape "
            f"{weights.shape} with smallest {weights.min():g}. Leave out modes of weight 0."
        )
    return weights
