"""Answers to the exercises of chapter 13: right ones, and mistakes that are named."""

import numpy as np
from scipy.stats import lognorm, norm


def density(x, m, s):
    return norm.pdf(np.log(x), m, s) / x


def back(z, network, first=0, sign=-1.0, shift=-1.0):
    a, b = network(z[:, first])
    return np.column_stack([z[:, 0], (z[:, 1] + shift * b) * np.exp(sign * a)]), a


def other_way(z, network):
    a, b = network(z[:, 0])
    return np.column_stack([z[:, 0], np.exp(a) * z[:, 1] + b]), a


def shift_last(z, network):
    a, b = network(z[:, 0])
    return np.column_stack([z[:, 0], z[:, 1] * np.exp(-a) - b]), a


def without_exp(z, network):
    a, b = network(z[:, 0])
    return np.column_stack([z[:, 0], (z[:, 1] - b) / a]), a


def other_half(z, network):
    a, b = network(z[:, 1])
    return np.column_stack([(z[:, 0] - b) * np.exp(-a), z[:, 1]]), a


def with_log_det(change):
    return lambda z, network: (back(z, network)[0], change(network(z[:, 0])[0]))


def strays(shares, distance, stretch, half=2.0, sign=1.0):
    shares = np.asarray(shares)
    return (norm.cdf(norm.ppf(shares) + sign * distance / (half * stretch)) - shares).sum()


def strays_of_shares(shares, distance, stretch):
    return (norm.cdf(shares + distance / (2 * stretch)) - shares).sum()


def gains(shares, distance, stretch):
    return norm.cdf(norm.ppf(shares) + distance / (2 * stretch)) - shares


RIGHT = {
    "13-passes": [[3, 192], (3, 192), np.array([3, 192])],
    "13-exp": [density, lambda x, m, s: lognorm.pdf(x, s, scale=np.exp(m))],
    "13-coupling": [back, lambda z, network: list(back(z, network))],
    "13-strays": [strays, lambda u, d, M: gains(u, d, M).sum()],
}

MISTAKES = [
    ("13-passes", [192, 3], "other way round"),
    ("13-passes", [3, 3], "not yet found"),
    ("13-passes", [1, 64], "there are several"),
    ("13-passes", [192, 192], "all its outputs in one pass"),
    ("13-passes", [3, 189], "the first included"),
    ("13-passes", [3, 195], "none to begin"),
    ("13-passes", [3, 64], "one by one in each transform"),
    ("13-passes", [3, 67], "multiply, do not add"),
    ("13-passes", [3, 6], "undo a coupling"),
    ("13-passes", 192, "shape"),
    ("13-exp", lambda x, m, s: density(x, m, s) * x, "volume factor is missing"),
    ("13-exp", lambda x, m, s: norm.pdf(np.log(x), m, s) * np.exp(-x), "not to x"),
    ("13-exp", lambda x, m, s: density(x, m, s**2), "do not square"),
    ("13-exp", lambda x, m, s: density(x, m, s) * x**2, "slope of the map to x"),
    ("13-exp", lambda x, m, s: norm.pdf(x, m, s), "go back to z first"),
    ("13-exp", lambda x, m, s: norm.pdf(np.exp(x), m, s) * np.exp(x), "forward once more"),
    ("13-exp", lambda x, m, s: np.log(density(x, m, s)), "logarithm of the density"),
    ("13-exp", lambda x, m, s: density(x, m, s) * s, "Divide by s as well"),
    ("13-exp", lambda x, m, s: density(x, m, np.sqrt(s)), "not the variance"),
    ("13-exp", lambda x, m, s: None, "returns None"),
    ("13-coupling", other_way, "the way back"),
    ("13-coupling", shift_last, "Undo the shift before"),
    ("13-coupling", without_exp, "You divide by a"),
    ("13-coupling", lambda z, n: back(z, n, sign=1.0), "sign of a"),
    ("13-coupling", lambda z, n: back(z, n, shift=1.0), "added again"),
    ("13-coupling", lambda z, n: (back(z, n)[0][:, 1], back(z, n)[1]), "both coordinates"),
    ("13-coupling", other_half, "first coordinate that stays"),
    ("13-coupling", lambda z, n: back(z, n, first=1), "Ask the network"),
    ("13-coupling", lambda z, n: back(z, n)[0], "Return two things"),
    ("13-coupling", with_log_det(lambda a: -a), "from z to x"),
    ("13-coupling", with_log_det(np.exp), "not its logarithm"),
    ("13-coupling", with_log_det(np.sum), "not their sum"),
    ("13-coupling", with_log_det(lambda a: 2 * a), "Only one of the two"),
    ("13-coupling", with_log_det(lambda a: 0 * a), "does change volumes"),
    ("13-strays", strays_of_shares, "which quantile"),
    ("13-strays", lambda u, d, M: strays(u.sum(keepdims=True), d, M), "by itself"),
    ("13-strays", lambda u, d, M: 2 * strays(u, d, M), "is widened once"),
    ("13-strays", lambda u, d, M: gains(u, d, M).min(), "gain of one mode"),
    ("13-strays", lambda u, d, M: strays(u, d, M, half=1.0), "Half of it"),
    ("13-strays", lambda u, d, M: strays(u, d, 1.0), "stretch is missing"),
    ("13-strays", lambda u, d, M: strays(u, d, 1 / M), "Going back to z divides"),
    ("13-strays", lambda u, d, M: strays(u, d, M) + np.sum(u), "what the modes hold"),
    ("13-strays", gains, "add them up"),
    ("13-strays", lambda u, d, M: gains(u, d, M).mean(), "not the sum"),
    (
        "13-strays",
        lambda u, d, M: (norm.pdf(norm.ppf(u)) * d / (2 * M)).sum(),
        "to first order",
    ),
    ("13-strays", lambda u, d, M: 1 - np.sum(u), "not the least possible"),
    ("13-strays", lambda u, d, M: -strays(u, d, M, sign=-1.0), "they do not shrink"),
]
