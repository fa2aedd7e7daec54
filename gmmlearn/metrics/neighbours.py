"""What the nearest neighbours say: precision and recall, alikeness, memorising, diversity."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from gmmlearn._validation import as_count, as_level, as_points, require_samples

# Distances in one block: 32 MiB.
_BLOCK = 2**22


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1]."""

    precision: float
    """Share of fake samples that lie among the real ones."""
    recall: float
    """Share of real samples that lie among the fake ones."""


def precision_recall(real, fake, n_neighbors=3):
    """Return improved precision and recall (eq. precision-recall).

    Parameters
    ----------
    real, fake : array-like (N, F), (M, F)
        Features, more samples of each than n_neighbors.
    n_neighbors : int >= 1
        A set's region is the union of balls around its samples, each reaching to the sample's
        n_neighbors-th nearest neighbour in the same set.

    Returns
    -------
    PrecisionRecall
        precision: share of fake samples in the region of the real ones; recall: the reverse.

    Notes
    -----
    Both depend on the sizes of the sets, and one outlier among the real samples has a ball that
    forgives much. Real samples against real ones do not score 1: measure that first.

    References
    ----------
    kynkaanniemi2019improved.

    Examples
    --------
    >>> real, fake = [[0.0], [1.0], [2.0], [3.0]], [[0.1], [0.3], [9.0], [9.5]]
    >>> precision_recall(real, fake, n_neighbors=1)
    PrecisionRecall(precision=0.5, recall=0.25)
    """
    real = as_points(real, name="real")
    fake = as_points(fake, real.shape[1], name="fake")
    n_neighbors = as_count(n_neighbors, "n_neighbors")
    for X, name in ((real, "real"), (fake, "fake")):
        purpose, cure = f"{n_neighbors} neighbours", "Pass more samples, or lower n_neighbors"
        require_samples(X, n_neighbors + 1, name, purpose, cure)
    real_radii, fake_radii = _radii(real, n_neighbors), _radii(fake, n_neighbors)
    # One pass over the distances serves both directions.
    precise, recalled = [], np.zeros(len(real), dtype=bool)
    for distances in _distance_blocks(fake, real):
        precise.append((distances <= real_radii).any(axis=1))
        reach = fake_radii[sum(map(len, precise[:-1])) :][: len(distances)]
        recalled |= (distances <= reach[:, None]).any(axis=0)
    return PrecisionRecall(float(np.concatenate(precise).mean()), float(recalled.mean()))


def nearest_neighbor_accuracy(real, fake):
    """Return how well the nearest neighbour tells real samples from fake ones.

    Each sample is classified, real or fake, as the sample nearest to it among all others: the
    two-sample test of lopezpaz2017revisiting with one nearest neighbour, left one out. Where both
    sets are large it is 0.5 if their densities agree, and 1 if they do not overlap.

    Parameters
    ----------
    real, fake : array-like (N, F), (N, F)
        Features, as many samples of each: otherwise chance is not 0.5. Held-out real samples; with
        those that the sampler was fitted to, a copier scores less than 0.5.

    Returns
    -------
    float
        Share of all samples whose nearest other one is of their own kind.

    Notes
    -----
    It looks at the nearest samples alone, so it sees finer shapes the more samples there are, and
    more samples of an imperfect sampler score worse: compare at equal N. Two sets of N
    samples from one distribution in the plane scatter around 0.5 with a std of 0.45 / sqrt(N).

    References
    ----------
    lopezpaz2017revisiting, xu2018empirical.

    Examples
    --------
    >>> nearest_neighbor_accuracy([[0.0], [1.0]], [[2.5], [9.0]])
    0.75
    """
    real = as_points(real, name="real")
    fake = as_points(fake, real.shape[1], name="fake")
    require_samples(real, 2, "real", "a nearest other sample", "Pass more samples")
    if len(fake) != len(real):
        raise ValueError(
            f"fake has {len(fake)} samples, but real has {len(real)}: then chance is not 0.5. "
            "Pass as many of each."
        )
    X, own = np.concatenate([real, fake]), np.arange(2 * len(real))
    _, nearest = KDTree(X).query(X, k=2)
    # Of copies, the sample itself may come second, or not at all.
    other = np.where(nearest[:, 0] == own, nearest[:, 1], nearest[:, 0])
    right = (other < len(real)) == (own < len(real))
    return float(right.mean())


class NearestDistance(NamedTuple):
    """Fake samples against held-out ones, by their nearest training samples."""

    ratio: float
    """Typical distance to the nearest, divided by that of held-out samples; about 1 if honest."""
    contrast: float
    """Typical nearest over second nearest distance, divided by the same of held-out samples."""


def nearest_distance_ratio(train, heldout, fake, quantile=0.5):
    """Return how near fake samples are to training samples, in units of held-out ones.

    Parameters
    ----------
    train : array-like (N, F)
        Features of what the sampler was fitted to.
    heldout : array-like (H, F)
        Features of real samples that it has not seen.
    fake : array-like (M, F)
        Features of its samples.
    quantile : float in (0, 1)
        What counts as typical: 0.5 is the median. A lower quantile finds a sampler that copies
        now and then.

    Returns
    -------
    NearestDistance
        `ratio`, far below 1 for copies, and `contrast`, far below 1 if each sample has one training
        sample that is much nearer than every other.

    Notes
    -----
    `ratio` alone acquits a copier that adds noise, and convicts samples that are blurred towards
    the middle of the data. `contrast` sees a noisy copy, while the noise is smaller than the
    distance between training samples. Neither sees a copier whose training set holds everything
    twice (the second nearest is then as near), nor copies that the features do not recognise
    (shifted by a pixel, say). meehan2020nonparametric makes a test of `ratio`'s idea.

    References
    ----------
    meehan2020nonparametric.

    Examples
    --------
    >>> train, heldout = [[0.0], [1.0], [3.0]], [[0.5], [2.0]]
    >>> nearest_distance_ratio(train, heldout, fake=[[0.0], [3.0]])
    NearestDistance(ratio=0.0, contrast=0.0)
    """
    train = as_points(train, name="train")
    require_samples(train, 2, "train", "a second nearest sample", "Pass more samples")
    quantile = as_level(quantile, "quantile", usual=0.5)
    typical = []
    for X, name in ((heldout, "heldout"), (fake, "fake")):
        X = as_points(X, train.shape[1], name=name)
        two = np.concatenate(
            [np.partition(d, 1, axis=1)[:, :2] for d in _distance_blocks(X, train)]
        )
        nearest, second = two.T
        # A copy of a training sample that is there twice: its nearest is no nearer than the next.
        contrast = np.divide(nearest, second, out=np.ones_like(nearest), where=second > 0)
        typical.append(np.quantile([nearest, contrast], quantile, axis=1))
    if (typical[0] == 0).any():
        raise ValueError(
            "heldout contains training samples: half of it, or more, has distance 0 to train. "
            "Pass real samples that are not in train."
        )
    return NearestDistance(*(float(value) for value in typical[1] / typical[0]))


def mean_pairwise_distance(features):
    """Return the mean Euclidean distance between two different samples: a measure of diversity.

    Parameters
    ----------
    features : array-like (N, F)
        Two samples or more.

    Returns
    -------
    float
        In units of the features. Compare it with that of real samples.

    Examples
    --------
    >>> mean_pairwise_distance([[0.0], [1.0], [4.0], [7.0]])
    4.0
    """
    features = as_points(features, name="features")
    require_samples(features, 2, "features", "a mean over pairs", "Pass more samples")
    total = sum(distances.sum() for distances in _distance_blocks(features, features))
    return float(total / (len(features) * (len(features) - 1.0)))


def _radii(X, n_neighbors):
    """Return each row's distance to its n-th nearest other row."""
    # Each row is nearest to itself, at place 0, also where rows repeat.
    blocks = _distance_blocks(X, X)
    return np.concatenate([np.partition(d, n_neighbors, axis=1)[:, n_neighbors] for d in blocks])


def _distance_blocks(X, Y):
    """Yield the distances from blocks of X's rows to all of Y; copies have distance 0 exactly."""
    rows = max(1, _BLOCK // len(Y))
    for i in range(0, len(X), rows):
        yield cdist(X[i : i + rows], Y)
