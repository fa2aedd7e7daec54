"""Checkers for the exercises of chapter 10."""

import numpy as np
from scipy.spatial.distance import cdist

from gmmlearn import metrics
from gmmlearn.exercises import call, diagnose, exercise, first_fault, function_fault


@exercise(
    "10-distance",
    hint="In one dimension covariances are numbers and commute: what is the root of their "
    "product? Mind that the given numbers are variances.",
)
def _distance(answer):
    mean, std, other_mean, other_std = 1.0, 2.0, 3.0, 5.0
    means, stds = (mean - other_mean) ** 2, (std - other_std) ** 2
    variances = std**2 + other_std**2
    return diagnose(
        answer,
        means + stds,
        "The squared distance",
        [
            (np.sqrt(means + stds), "That is the distance itself; the squared one was asked for."),
            (variances, "You left out the means, and the overlap."),
            (
                means + variances - 2 * np.sqrt(std * other_std),
                "That takes the root twice: the given numbers are variances, rooted once.",
            ),
            (means, "You compared the means alone: the spreads differ too."),
            (stds, "You compared the spreads alone: the means differ too."),
            (abs(mean - other_mean) + stds, "The difference of the means enters squared."),
            (means + variances, "You left out the overlap: x and y may depend on each other."),
            (means + variances - std * other_std, "The overlap enters twice."),
            (means + variances + 2 * std * other_std, "The overlap has the wrong sign."),
            (
                means + variances - 2 * std**2 * other_std**2,
                "The overlap multiplies standard deviations, not variances.",
            ),
            (
                means + (std**2 - other_std**2) ** 2,
                "You took variances for standard deviations.",
            ),
            (means + other_std**2 - std**2, "You subtracted variances: take their roots first."),
        ],
        rtol=1e-3,
    )


@exercise(
    "10-bias",
    hint="The difference of the two means is itself a mean, of n independent differences. What "
    "is the covariance of one of them, and what becomes of it in a mean of n?",
)
def _bias(answer):
    fault = function_fault(answer, "answer(covariance, other_covariance, cross, n)")
    if fault is not None:
        return fault
    for seed in range(3):
        rng = np.random.default_rng(seed)
        n, size = int(rng.integers(20, 90)), int(rng.integers(2, 6))
        root = rng.normal(size=(2 * size, 2 * size))
        joint = root @ root.T
        parts = joint[:size, :size], joint[size:, size:], joint[:size, size:]
        value, fault = call(answer, *parts, n)
        if fault is not None:
            return fault
        first, second, cross = parts
        a, b, c = map(np.trace, parts)
        fault = diagnose(
            value,
            (a + b - 2 * c) / n,
            "The excess",
            [
                (-2 * c / n, "The variances of both sides are missing."),
                (
                    (first + second - 2 * cross) / n,
                    "That is a covariance matrix: a squared length adds up variances.",
                ),
                ((a + b) / n, "You left out C: partners are not independent."),
                ((a + b - c) / n, "C enters twice: once for x with y, once for y with x."),
                ((a + b + 2 * c) / n, "C has the wrong sign: this is a difference of means."),
                ((a + b + c) / n, "C has the wrong sign, and enters twice."),
                ((a - b) / n, "Variances add, also for a difference."),
                (a + b - 2 * c, "That is the excess of one pair: means of n pairs vary less."),
                ((a + b - 2 * c) / (2 * n), "Divide by the number of pairs, not of pictures."),
                (2 * (a + b - 2 * c) / n, "That is twice the excess: count each pair once."),
                ((a + b - 2 * c) / (n - 1), "The variance of a mean divides by n, not by n - 1."),
                ((a + b - 2 * c) / n**2, "The variance of a mean is that of one pair over n."),
                ((a + b) / n - 2 * c / n**2, "C is divided by n, as the variances are."),
                ((a + b) / n - 2 * c, "C is divided by n, as the variances are."),
                (
                    np.sqrt((a + b - 2 * c) / n),
                    "That is a root: squared distances add variances.",
                ),
                (
                    (first + second - 2 * cross).sum() / n,
                    "Only the diagonal counts: a squared length has no products of features.",
                ),
            ],
        )
        if fault:
            return fault
    return None


def _bell(a, b):
    """Return a kernel with k(x, x) = 1."""
    return np.exp(-0.5 * cdist(a, b, "sqeuclidean"))


def _cubic(a, b):
    """Return a kernel whose k(x, x) depends on x."""
    return (a @ b.T / 2 + 0.5) ** 3


@exercise(
    "10-mmd",
    hint="Within a set, the mean is over pairs of different samples: how many pairs are there, "
    "and where in the kernel's matrix do those stand that must not count?",
)
def _mmd(answer):
    return first_fault(answer, "answer(kernel, real, fake)", _mmd_cases(), _mmd_fault)


def _mmd_cases():
    """Yield kernels, and two sets of points of different size."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        real, fake = rng.normal(size=(7 + seed, 3)), rng.normal(size=(12 - seed, 3)) + 0.5
        yield _cubic if seed == 2 else _bell, real, fake


def _mmd_fault(value, kernel, real, fake):
    """Say what is wrong with an unbiased estimate."""
    n, m, cross = len(real), len(fake), kernel(real, fake).mean()
    whole = [kernel(X, X).sum() for X in (real, fake)]
    sums = [kernel(X, X).sum() - np.trace(kernel(X, X)) for X in (real, fake)]
    ones = (whole[0] - n) / (n * (n - 1)) + (whole[1] - m) / (m * (m - 1))
    own = sums[0] / (n * (n - 1)) + sums[1] / (m * (m - 1))
    biased = kernel(real, real).mean() + kernel(fake, fake).mean()
    return diagnose(
        value,
        own - 2 * cross,
        "The value",
        [
            (biased - 2 * cross, "Pairs of a sample with itself are in it: that is biased."),
            (
                sums[0] / n**2 + sums[1] / m**2 - 2 * cross,
                "You left out the pairs i = j, but still count them in the number of pairs.",
            ),
            (
                whole[0] / (n * (n - 1)) + whole[1] / (m * (m - 1)) - 2 * cross,
                "You divide by the pairs i ≠ j, but the pairs i = j are still in the sum.",
            ),
            (
                own - 2 * cross * m / (m - 1),
                "Between the sets all pairs count: none is a sample with itself.",
            ),
            (
                own - 2 * cross * n / (n - 1),
                "Between the sets all pairs count: none is a sample with itself.",
            ),
            (own / 2 - 2 * cross, "Half of the pairs: i before j is one, i after j another."),
            (
                sum(whole) - 2 * n * m * cross,
                "Those are sums: divide each by its own number of pairs.",
            ),
            (
                sum(sums) - 2 * n * m * cross,
                "Those are sums: divide each by its own number of pairs.",
            ),
            (own - cross, "The mean between the sets enters twice."),
            (own + 2 * cross, "The mean between the sets has the wrong sign."),
            (2 * cross - own, "The sign is turned round: equal sets give zero on average."),
            (np.sqrt(max(own - 2 * cross, 0)), "No root: it would bring the bias back."),
            (sums[0] / (n * (n - 1)) - 2 * cross, "The fake samples have pairs too."),
            (
                ones - 2 * cross,
                "You subtracted 1 for each pair i = j: subtract kernel(x, x), which need not be 1.",
            ),
            (metrics.kernel_distance(real, fake), "Use the kernel you are given."),
        ],
    )


@exercise(
    "10-coverage",
    hint="Distances from real to real give each ball's radius (who is nearest to a sample?), "
    "distances from real to fake say who lies inside. Ask each ball a question with yes or "
    "no.",
)
def _coverage(answer):
    fault = function_fault(answer, "answer(real, fake, k)")
    if fault is not None:
        return fault
    for seed in range(4):
        rng = np.random.default_rng(seed)
        real, fake = rng.normal(size=(60, 2)), 0.7 * rng.normal(size=(25 + seed, 2)) + 0.6
        k = 2 + seed
        value, fault = call(answer, real, fake, k)
        if fault is not None:
            return fault
        distances, sorted_real = cdist(real, fake), np.sort(cdist(real, real), axis=1)

        def covered(place, distances=distances, sorted_real=sorted_real):
            return distances <= sorted_real[:, place, None]

        precision, recall = metrics.precision_recall(real, fake, k)
        fault = diagnose(
            value,
            covered(k).any(axis=1).mean(),
            "The coverage",
            [
                (recall, "That is recall: the balls belong to real samples here."),
                (precision, "That is precision: count real samples, not fake ones."),
                (
                    covered(k - 1).any(axis=1).mean(),
                    "Your radius is that of the neighbour before: a sample is no neighbour of "
                    "itself.",
                ),
                (covered(k).any(axis=1).sum(), "That is a number of samples: divide by theirs."),
                (
                    covered(k).any(axis=1).sum() / len(fake),
                    "Divide by the number of real samples: each of them has a ball.",
                ),
                (covered(k).sum() / (k * len(fake)), "That is the density, which counts balls."),
                (covered(k).mean(), "One fake sample in a ball is enough: take any, not the mean."),
                (1 - covered(k).any(axis=1).mean(), "That is the share that is not covered."),
                (100 * covered(k).any(axis=1).mean(), "That is in percent: give a share."),
                (
                    1.0,
                    "Every ball holds somebody: the radius must come from the real samples alone.",
                ),
                (
                    covered(3).any(axis=1).mean(),
                    "You used three neighbours: use k.",
                ),
            ],
        )
        if fault:
            return fault
    return None
