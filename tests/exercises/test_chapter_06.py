"""Answers to the exercises of chapter 6: right ones, and mistakes that are named."""

import numpy as np


def back(a, h, c, half=0.5, square=1.0, factor=1.0, two_pi=2 * np.pi, with_variance=1.0):
    variance = -half / a
    mean = h * variance
    log_factor = np.log(two_pi) + with_variance * np.log(variance)
    return np.exp(c + factor * log_factor / 2 + square * mean**2 / 2 / variance), mean, variance


def merge(one, two, between=None, shared=None, scale=1.0):
    count = one[0] + two[0]
    share, apart = two[0] / count, two[1] - one[1]
    between = share * (1 - share) if between is None else between
    of_two = share if shared is None else shared
    covariance = (1 - of_two) * one[2] + of_two * two[2] + between * np.outer(apart, apart)
    return count, one[1] + share * apart, scale * covariance


def by_one_share(one, two):
    return merge(one, two, between=one[0] * two[0] / (one[0] + two[0]))


def inner(one, two):
    count, mean, _ = merge(one, two)
    product = one[0] * two[0] / count**2 * (one[1] - two[1]) @ (one[1] - two[1])
    return count, mean, merge(one, two, between=0.0)[2] + product


def sum_of_means(one, two):
    return one[0] + two[0], one[0] * one[1] + two[0] * two[1], one[2]


def unbiased(one, two):
    count = one[0] + two[0]
    return merge(one, two, scale=count / (count - 1))


def merge_expanded(one, two):
    count, mean, _ = merge(one, two)
    moments = [n * (covariance + np.outer(m, m)) for n, m, covariance in (one, two)]
    return count, mean, sum(moments) / count - np.outer(mean, mean)


def shares(steps):
    return np.array([g * np.prod(1 - steps[j + 1 :]) for j, g in enumerate(steps)])


def shares_after_earlier_steps(steps):
    return np.array([g * np.prod(1 - steps[1:j]) for j, g in enumerate(steps)])


def shares_up_to_own_step(steps):
    return np.array([g * np.prod(1 - steps[1 : j + 1]) for j, g in enumerate(steps)])


RIGHT = {
    "06-count": [(2145, 129, 137280), np.array([2145.0, 129.0, 137280.0])],
    "06-back": [back, lambda a, h, c: [np.array([number]) for number in back(a, h, c)]],
    "06-merge": [merge, lambda one, two: list(merge(one, two))],
    "06-forget": [shares, lambda steps: shares(steps).tolist()],
}

MISTAKES = [
    ("06-count", 2145, "three numbers"),
    ("06-count", (4161, 129, 137280), "one feature, not two"),
    ("06-count", (4160, 128, 137280), "one feature, not two"),
    ("06-count", (2080, 129, 137280), "and the constant"),
    ("06-count", (7, 129, 137280), "insert D"),
    ("06-count", (2145, 64, 137280), "besides the squares"),
    ("06-count", (2145, 2145, 137280), "zero for every component"),
    ("06-count", (2145, 7, 137280), "diagonal precision"),
    ("06-count", (2145, 129, 68640), "makes two"),
    ("06-count", (2145, 129, 274560), "counts once"),
    ("06-count", (2145, 129, 4290), "there are K"),
    ("06-count", (2145, 129, 7), "multiply-adds is wrong"),
    ("06-back", lambda a, h, c: 1.0, "three numbers"),
    ("06-back", lambda a, h, c: (1.0, 2.0), "three numbers"),
    ("06-back", lambda a, h, c: back(a, h, c, half=1.0), "the 1/2"),
    ("06-back", lambda a, h, c: back(a, h, c, half=-0.5), "a is, too"),
    ("06-back", lambda a, h, c: (1, 1, -2 * a), "precision"),
    ("06-back", lambda a, h, c: (1, 1, (-2 * a) ** -0.5), "standard deviation"),
    ("06-back", lambda a, h, c: (1, h, -0.5 / a), "h itself"),
    ("06-back", lambda a, h, c: (1, h / 2 / a, -0.5 / a), "wrong sign"),
    ("06-back", lambda a, h, c: back(a, h, c)[::-1], "in another order"),
    ("06-back", lambda a, h, c: back(a, h, c, with_variance=2.0), "halve its logarithm"),
    ("06-back", lambda a, h, c: (1, -h / a, -0.5 / a), "twice too large"),
    ("06-back", lambda a, h, c: (1, h * -2 * a, -0.5 / a), "multiply h by the variance"),
    ("06-back", lambda a, h, c: back(a, h, c, two_pi=1.0), "lacks the 2 pi"),
    ("06-back", lambda a, h, c: back(a, h, c, with_variance=0.0), "lacks the determinant"),
    ("06-back", lambda a, h, c: back(a, h, c, square=0.0), "lacks the term"),
    ("06-back", lambda a, h, c: back(a, h, c, square=-1.0), "wrong sign"),
    ("06-back", lambda a, h, c: back(a, h, c, factor=0.0), "lacks the factor"),
    ("06-back", lambda a, h, c: (np.log(back(a, h, c)[0]), *back(a, h, c)[1:]), "logarithm"),
    ("06-back", lambda a, h, c: (np.exp(c), *back(a, h, c)[1:]), "That is exp(c)"),
    ("06-merge", lambda one, two: 3.0, "triple"),
    ("06-merge", lambda one, two: (50.0, one[1], one[2]), "not averaged"),
    (
        "06-merge",
        lambda one, two: (one[0] + two[0], (one[1] + two[1]) / 2, 1),
        "weigh the same",
    ),
    ("06-merge", lambda one, two: (one[0] + two[0], one[1] + two[1], 1), "do not add"),
    ("06-merge", lambda one, two: (one[0] + two[0], one[1], one[2]), "rounded down to zero"),
    ("06-merge", sum_of_means, "count of all points"),
    ("06-merge", lambda one, two: merge(one, two, between=0.0), "lacks the spread"),
    ("06-merge", lambda one, two: (*merge(one, two)[:2], one[2] + two[2]), "do not add"),
    ("06-merge", lambda one, two: merge(one, two, between=0.0, shared=0.5), "and add the spread"),
    ("06-merge", lambda one, two: merge(one, two, shared=0.5), "Weigh the covariances by their"),
    ("06-merge", by_one_share, "both shares"),
    ("06-merge", inner, "is a matrix"),
    ("06-merge", lambda one, two: dict(zip("nmc", merge(one, two), strict=True)), "triple"),
    ("06-merge", lambda one, two: merge(one, two, between=1.0), "has the wrong factor"),
    ("06-merge", lambda one, two: merge(one, two, between=0.25), "depends on the counts"),
    ("06-merge", lambda one, two: merge(one, two, scale=one[0] + two[0]), "That is the scatter"),
    ("06-merge", unbiased, "count minus one"),
    ("06-merge", merge_expanded, "digits are lost"),
    ("06-forget", lambda steps: steps, "later steps"),
    ("06-forget", lambda steps: steps / steps.sum(), "recursion"),
    ("06-forget", lambda steps: shares(steps)[::-1], "turned round"),
    ("06-forget", lambda steps: steps * np.cumprod((1 - steps)[::-1])[::-1], "own step"),
    ("06-forget", lambda steps: steps * np.cumprod(1 - steps), "begins at the first step"),
    ("06-forget", shares_after_earlier_steps, "cannot touch a batch"),
    ("06-forget", shares_up_to_own_step, "cannot touch a batch"),
    ("06-forget", lambda steps: shares(steps) / steps, "did it enter"),
    ("06-forget", lambda steps: np.full(len(steps), 1 / len(steps)), "1/j only"),
    ("06-forget", lambda steps: steps[1:], "shape"),
]
