"""Answers to the exercises of chapter 5: right ones, and mistakes that are named."""

import numpy as np


def map_weights(counts, a):
    return (counts + a - 1) / (counts.sum() + len(counts) * (a - 1))


def n_parameters(K, D):
    return K - 1 + K * D + D * (D + 1) // 2


def blocks(x, mean, covariance):
    m, o = np.flatnonzero(np.isnan(x)), np.flatnonzero(~np.isnan(x))
    gain = covariance[np.ix_(m, o)] @ np.linalg.inv(covariance[np.ix_(o, o)])
    return m, o, gain, covariance[np.ix_(m, m)] - gain @ covariance[np.ix_(o, m)]


def second_moment(x, mean, covariance):
    m, o, gain, residual = blocks(x, mean, covariance)
    offset = x - mean
    offset[m] = gain @ offset[o]
    moment = np.outer(offset, offset)
    moment[np.ix_(m, m)] += residual
    return moment


def uncorrected(x, mean, covariance):
    m, _, _, residual = blocks(x, mean, covariance)
    moment = second_moment(x, mean, covariance)
    moment[np.ix_(m, m)] -= residual
    return moment


def marginal_correction(x, mean, covariance):
    m = np.flatnonzero(np.isnan(x))
    moment = uncorrected(x, mean, covariance)
    moment[np.ix_(m, m)] += covariance[np.ix_(m, m)]
    return moment


def mean_filled(x, mean, covariance):
    offset = np.where(np.isnan(x), 0.0, x - mean)
    return np.outer(offset, offset)


def mean_filled_corrected(x, mean, covariance):
    m, _, _, residual = blocks(x, mean, covariance)
    moment = mean_filled(x, mean, covariance)
    moment[np.ix_(m, m)] += residual
    return moment


def mean_filled_marginally(x, mean, covariance):
    m = np.flatnonzero(np.isnan(x))
    moment = mean_filled(x, mean, covariance)
    moment[np.ix_(m, m)] += covariance[np.ix_(m, m)]
    return moment


def about_zero(x, mean, covariance):
    m, o, gain, residual = blocks(x, mean, covariance)
    row = x.copy()
    row[m] = mean[m] + gain @ (x - mean)[o]
    moment = np.outer(row, row)
    moment[np.ix_(m, m)] += residual
    return moment


RIGHT = {
    "05-shrink": [np.sqrt(0.54), 0.735, 0.73, [0.735], np.array([[0.735]])],
    "05-weights": [map_weights, lambda counts, a: list(map_weights(counts, a))],
    "05-count": [n_parameters, lambda K, D: np.array([n_parameters(K, D)])],
    "05-moment": [second_moment],
}

MISTAKES = [
    ("05-shrink", 0.54, "factor of the covariance"),
    ("05-shrink", 1, "shrink alike"),
    ("05-shrink", 1.361, "turn the ratio over"),
    ("05-shrink", 0.2, "shares of holes"),
    ("05-shrink", 0.2916, "too far down"),
    ("05-shrink", 0.9, "Both features"),
    ("05-shrink", 0.77, "Both features"),
    ("05-shrink", 0.5, "shares multiply"),
    ("05-shrink", 73, "not percent"),
    ("05-shrink", 0.75, "average the shares"),
    ("05-shrink", 0.1, "not the right number"),
    ("05-shrink", [0.6, 0.9], "one number"),
    ("05-count", lambda K, D: K * D**3, "right value"),
    ("05-count", lambda K, D: [K, D], "has shape (4, 2)"),
    ("05-weights", lambda n, a: (n + a) / (n + a).sum(), "posterior mean"),
    ("05-weights", lambda n, a: n + a - 1, "divide by their total"),
    ("05-weights", lambda n, a: (n + a - 1) / n.sum(), "imaginary points count"),
    ("05-weights", lambda n, a: n / n.sum(), "prior is missing"),
    ("05-weights", lambda n, a: (n + a - 1) / (n + a).sum(), "both have a - 1"),
    ("05-weights", lambda n, a: (n + a) / (n + a - 1).sum(), "both have a - 1"),
    ("05-weights", lambda n, a: (n - a + 1) / (n - a + 1).sum(), "mind the sign"),
    ("05-weights", lambda n, a: np.log(n + a), "does not sum to one"),
    ("05-weights", lambda n, a: (n + a - 1) / (n.sum() + a - 1), "K times as much"),
    ("05-count", lambda K, D: n_parameters(K, D) + 1, "sum to one"),
    ("05-count", lambda K, D: n_parameters(K, D) - K + 1, "left out the weights"),
    ("05-count", lambda K, D: K - 1 + K * D + K * D * (D + 1) // 2, "all share one"),
    ("05-count", lambda K, D: K - 1 + K * D + D * D, "symmetric"),
    ("05-count", lambda K, D: K + K * D + K * D * (D + 1) / 2, "sum to one"),
    ("05-count", lambda K, D: K - 1 + D * (D + 1) / 2, "Where are the means"),
    ("05-count", lambda K, D: K - 1 + K * D, "Where is the covariance"),
    ("05-count", lambda K, D: K - 1 + K * D + D, "matrix is full"),
    ("05-count", lambda K, D: K - 1 + K * D + D * (D - 1) // 2, "diagonal of the covariance"),
    ("05-count", lambda K, D: K - 1 + D + D * (D + 1) // 2, "its own mean"),
    ("05-moment", uncorrected, "correction is missing"),
    ("05-moment", marginal_correction, "before anything is seen"),
    ("05-moment", mean_filled, "That is mean filling"),
    ("05-moment", mean_filled_corrected, "what is seen moves"),
    ("05-moment", mean_filled_marginally, "as if nothing were seen"),
    ("05-moment", lambda x, m, S: second_moment(x, m, S) - uncorrected(x, m, S), "alone"),
    ("05-moment", about_zero, "about the origin: subtract the mean first"),
    (
        "05-moment",
        lambda x, m, S: second_moment(x, m, S) + np.outer(m, m),
        "about the origin: subtract the mean first",
    ),
    (
        "05-moment",
        lambda x, m, S: 2 * uncorrected(x, m, S) - second_moment(x, m, S),
        "turned round",
    ),
    ("05-moment", lambda x, m, S: second_moment(x, m, S)[0], "shape"),
]
