"""Answers to the exercises of chapter 10: right ones, and mistakes that are named."""

import numpy as np
from scipy.spatial.distance import cdist

from gmmlearn import metrics


def excess(covariance, other_covariance, cross, n):
    return np.trace(covariance + other_covariance - 2 * cross) / n


def by_difference(covariance, other_covariance, cross, n):
    joint = np.block([[covariance, cross], [cross.T, other_covariance]])
    turn = np.hstack([np.eye(len(cross)), -np.eye(len(cross))])
    return np.linalg.eigvalsh(turn @ joint @ turn.T).sum() / n


def own(kernel, X):
    values = kernel(X, X)
    return (values.sum() - np.trace(values)) / (len(X) * (len(X) - 1))


def mmd(kernel, real, fake):
    return own(kernel, real) + own(kernel, fake) - 2 * kernel(real, fake).mean()


def biased(kernel, real, fake):
    return kernel(real, real).mean() + kernel(fake, fake).mean() - 2 * kernel(real, fake).mean()


def by_loops(kernel, real, fake):
    def mean(pairs):
        return np.mean([kernel(a[None], b[None])[0, 0] for a, b in pairs])

    def different(X):
        return [(a, b) for i, a in enumerate(X) for j, b in enumerate(X) if i != j]

    between = mean([(a, b) for a in real for b in fake])
    return mean(different(real)) + mean(different(fake)) - 2 * between


def half_corrected(kernel, real, fake):
    parts = [own(kernel, X) * (len(X) - 1) / len(X) for X in (real, fake)]
    return sum(parts) - 2 * kernel(real, fake).mean()


def between(kernel, real, fake, factor):
    return mmd(kernel, real, fake) + 2 * (1 - factor) * kernel(real, fake).mean()


def sums_of_pairs(kernel, real, fake):
    own_sums = sum(own(kernel, X) * len(X) * (len(X) - 1) for X in (real, fake))
    return own_sums - 2 * kernel(real, fake).sum()


def less_one(kernel, real, fake):
    parts = [(kernel(X, X).sum() - len(X)) / (len(X) * (len(X) - 1)) for X in (real, fake)]
    return sum(parts) - 2 * kernel(real, fake).mean()


def other_half(kernel, real, fake):
    parts = [kernel(X, X).sum() / (len(X) * (len(X) - 1)) for X in (real, fake)]
    return sum(parts) - 2 * kernel(real, fake).mean()


def inside(real, fake, k):
    radii = np.sort(cdist(real, real), axis=1)[:, k]
    return cdist(real, fake) <= radii[:, None]


def radii_of_fakes(real, fake, k):
    radii = np.sort(cdist(real, fake), axis=1)[:, k - 1]
    return (cdist(real, fake) <= radii[:, None]).any(axis=1).mean()


def coverage(real, fake, k):
    return inside(real, fake, k).any(axis=1).mean()


RIGHT = {
    "10-distance": [13, 13.0, [13.0], np.array([13])],
    "10-bias": [excess, by_difference],
    "10-mmd": [mmd, by_loops],
    "10-coverage": [coverage],
}

MISTAKES = [
    ("10-distance", np.sqrt(13), "distance itself"),
    ("10-distance", 4, "means alone"),
    ("10-distance", 29, "left out the means"),
    ("10-distance", 33 - 2 * np.sqrt(10), "the root twice"),
    ("10-distance", 9, "spreads alone"),
    ("10-distance", 11, "enters squared"),
    ("10-distance", 33, "left out the overlap"),
    ("10-distance", 23, "enters twice"),
    ("10-distance", 53, "wrong sign"),
    ("10-distance", -167, "multiplies standard deviations"),
    ("10-distance", 445, "variances for standard deviations"),
    ("10-distance", 25, "subtracted variances"),
    ("10-distance", 12, "not the right number"),
    ("10-distance", [13, 13], "one number"),
    ("10-bias", lambda a, b, c, n: [0.0, 1.0], "one number"),
    ("10-bias", lambda a, b, c, n: excess(0 * a, 0 * b, c, n), "of both sides are missing"),
    ("10-bias", lambda a, b, c, n: excess(a, b, 0 * c, n), "left out C"),
    ("10-bias", lambda a, b, c, n: excess(a, b, c / 2, n), "C enters twice"),
    ("10-bias", lambda a, b, c, n: excess(a, b, -c, n), "C has the wrong sign: this"),
    ("10-bias", lambda a, b, c, n: excess(a, b, -c / 2, n), "wrong sign, and enters"),
    ("10-bias", lambda a, b, c, n: np.trace(a - b) / n, "Variances add"),
    ("10-bias", lambda a, b, c, n: excess(a, b, c, 1), "of one pair: means"),
    ("10-bias", lambda a, b, c, n: excess(a, b, c, 2 * n), "not of pictures"),
    ("10-bias", lambda a, b, c, n: excess(a, b, c, n / 2), "twice the excess"),
    ("10-bias", lambda a, b, c, n: excess(a, b, c, n - 1), "not by n - 1"),
    ("10-bias", lambda a, b, c, n: excess(a, b, c, n**2), "of one pair over n"),
    ("10-bias", lambda a, b, c, n: excess(a, b, c / n, n), "C is divided by n"),
    ("10-bias", lambda a, b, c, n: excess(a, b, c * n, n), "C is divided by n"),
    ("10-bias", lambda a, b, c, n: np.sqrt(excess(a, b, c, n)), "That is a root"),
    ("10-bias", lambda a, b, c, n: (a + b - 2 * c).sum() / n, "Only the diagonal"),
    ("10-bias", lambda a, b, c, n: (a + b - 2 * c) / n, "adds up variances"),
    ("10-bias", lambda a, b, c, n: 0.0, "not the right number"),
    ("10-mmd", biased, "with itself are in it"),
    ("10-mmd", lambda k, x, y: between(k, x, y, len(y) / (len(y) - 1)), "all pairs count"),
    ("10-mmd", lambda k, x, y: between(k, x, y, len(x) / (len(x) - 1)), "all pairs count"),
    ("10-mmd", lambda k, x, y: (mmd(k, x, y) - 2 * k(x, y).mean()) / 2, "Half of the pairs"),
    ("10-mmd", lambda k, x, y: k(x, x).sum() + k(y, y).sum() - 2 * k(x, y).sum(), "are sums"),
    ("10-mmd", sums_of_pairs, "are sums"),
    ("10-mmd", half_corrected, "still count them"),
    ("10-mmd", other_half, "still in the sum"),
    ("10-mmd", lambda k, x, y: mmd(k, x, y) + k(x, y).mean(), "enters twice"),
    ("10-mmd", lambda k, x, y: mmd(k, x, y) + 4 * k(x, y).mean(), "has the wrong sign"),
    ("10-mmd", lambda k, x, y: -mmd(k, x, y), "turned round"),
    ("10-mmd", lambda k, x, y: np.sqrt(mmd(k, x, y)), "No root"),
    ("10-mmd", lambda k, x, y: own(k, x) - 2 * k(x, y).mean(), "have pairs too"),
    ("10-mmd", less_one, "subtract kernel(x, x)"),
    ("10-mmd", lambda k, x, y: metrics.kernel_distance(x, y), "Use the kernel you are given"),
    ("10-mmd", lambda k, x, y: 0.0, "not the right number"),
    ("10-coverage", lambda x, y, k: metrics.precision_recall(x, y, k).recall, "That is recall"),
    ("10-coverage", lambda x, y, k: metrics.precision_recall(x, y, k)[0], "That is precision"),
    ("10-coverage", lambda x, y, k: coverage(x, y, k - 1), "the neighbour before"),
    ("10-coverage", lambda x, y, k: inside(x, y, k).any(axis=1).sum(), "number of samples"),
    ("10-coverage", lambda x, y, k: coverage(x, y, k) * len(x) / len(y), "Divide by the number"),
    ("10-coverage", lambda x, y, k: inside(x, y, k).sum() / (k * len(y)), "the density"),
    ("10-coverage", lambda x, y, k: inside(x, y, k).mean(), "One fake sample in a ball"),
    ("10-coverage", lambda x, y, k: 1 - coverage(x, y, k), "not covered"),
    ("10-coverage", lambda x, y, k: coverage(x, y, 3), "use k"),
    ("10-coverage", lambda x, y, k: 100 * coverage(x, y, k), "in percent"),
    ("10-coverage", radii_of_fakes, "from the real samples alone"),
    ("10-coverage", lambda x, y, k: 0.123, "not the right number"),
]
