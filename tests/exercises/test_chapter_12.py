"""Answers to the exercises of chapter 12: right ones, and mistakes that are named."""

import numpy as np
from scipy.special import softmax

IN_USE = 9 * 2 ** (-4 / 9)


def responsibilities(logits, component):
    return softmax(component + np.log(softmax(logits)), axis=1)


def logits(logits, component):
    return responsibilities(logits, component).mean(axis=0) - softmax(logits)


def leave_out(values):
    return (values.sum() - values) / (len(values) - 1)


def score(values, labels, weights, centre=leave_out):
    rows = np.eye(len(weights))[labels] - weights
    return ((values - centre(values))[:, None] * rows).mean(axis=0)


def divergences(z_mean, z_log_var, means, variances):
    found = np.zeros((len(z_mean), len(means)))
    for n, (m, v) in enumerate(zip(z_mean, np.exp(z_log_var), strict=True)):
        for k in range(len(means)):
            ratio = v / variances[k]
            distance = (m - means[k]) ** 2 / variances[k]
            found[n, k] = 0.5 * np.sum(ratio - np.log(ratio) + distance - 1)
    return found


def assign(z_mean, z_log_var, weights, means, variances, power=-1.0):
    return softmax(
        np.log(weights) + power * divergences(z_mean, z_log_var, means, variances), axis=1
    )


def at_mean(z_mean, z_log_var, weights, means, variances):
    squared = (z_mean[:, None] - means) ** 2
    return softmax(
        np.log(weights) - 0.5 * (np.log(variances) + squared / variances).sum(axis=2), axis=1
    )


def reverse(z_mean, z_log_var, weights, means, variances):
    found = [
        divergences(means, np.log(variances), m[None], np.exp(v)[None])[:, 0]
        for m, v in zip(z_mean, z_log_var, strict=True)
    ]
    return softmax(np.log(weights) - np.array(found), axis=1)


def logits_by_hand(logits, component):
    weights = np.exp(logits) / np.exp(logits).sum()
    joint = weights * np.exp(component)
    return (joint / joint.sum(axis=1, keepdims=True) - weights).mean(axis=0)


def score_by_loop(values, labels, weights):
    found = np.zeros(len(weights))
    for n, k in enumerate(labels):
        others = np.delete(np.asarray(values), n).mean()
        found[k] += values[n] - others
        found -= (values[n] - others) * np.asarray(weights)
    return found / len(values)


def divided_by_all(values, labels, weights):
    others = (values.sum() - values) / len(values)
    return (values - others) @ (np.eye(len(weights))[labels] - weights) / len(values)


def added_baseline(values, labels, weights):
    others = (values.sum() - values) / (len(values) - 1)
    return (values + others) @ (np.eye(len(weights))[labels] - weights) / len(values)


RIGHT = {
    "12-use": [IN_USE, 6.61, np.exp(np.log(9) - 4 / 9 * np.log(2))],
    "12-logits": [logits, logits_by_hand],
    "12-score": [score, score_by_loop],
    "12-assign": [assign],
}

MISTAKES = [
    ("12-use", np.log(9), "entropy of the shares alone"),
    ("12-logits", lambda a, c: len(c) * logits(a, c) + (len(c) - 1) * softmax(a), "their mean"),
    ("12-logits", lambda a, c: logits(a, c) + softmax(a) - a, "not the logits"),
    ("12-score", divided_by_all, "fewer than all"),
    ("12-score", added_baseline, "do not add"),
    ("12-assign", lambda m, v, w, a, b: assign(m, v, np.exp(w), a, b), "add their logarithms"),
    ("12-assign", lambda m, v, w, a, b: assign(m, v, w, a, b**2), "neither root nor square"),
    ("12-assign", lambda m, v, w, a, b: assign(m, v, w, a, b**0.5), "neither root nor square"),
    ("12-use", 9, "counts the living"),
    ("12-use", 7, "unequal shares"),
    ("12-use", 5, "still does one's work"),
    ("12-use", 10, "That is K"),
    ("12-use", np.log(IN_USE), "in nats"),
    ("12-use", 2 ** np.log(IN_USE), "mix units"),
    ("12-use", 9 * 2 ** (4 / 9), "to be subtracted"),
    ("12-use", 4.5, "not all"),
    ("12-use", 10 * 2**-0.4, "nine share"),
    ("12-use", 3.2, "not the right number"),
    ("12-logits", lambda a, c: responsibilities(a, c).mean(axis=0), "EM's next weight"),
    ("12-logits", lambda a, c: responsibilities(a, c).mean(axis=0) / softmax(a), "were free"),
    (
        "12-logits",
        lambda a, c: responsibilities(a, c).mean(axis=0) / softmax(a) - 1,
        "differs by a factor",
    ),
    ("12-logits", lambda a, c: -logits(a, c), "sign"),
    ("12-logits", lambda a, c: len(c) * logits(a, c), "sum over points"),
    (
        "12-logits",
        lambda a, c: responsibilities(a, c).mean(axis=0) * (1 - softmax(a)),
        "other weights fall",
    ),
    ("12-logits", lambda a, c: softmax(c, axis=1).mean(axis=0) - softmax(a), "leave out"),
    (
        "12-logits",
        lambda a, c: responsibilities(a, c).mean(axis=0) - np.exp(a),
        "not their exponential",
    ),
    ("12-logits", lambda a, c: responsibilities(a, c) - softmax(a), "one row a point"),
    ("12-score", lambda f, k, w: score(f, k, w, lambda f: 0 * f), "not centred"),
    ("12-score", lambda f, k, w: score(f, k, w, lambda f: f.mean()), "own value"),
    (
        "12-score",
        lambda f, k, w: (f @ (np.eye(len(w))[k] - w) - leave_out(f) @ np.eye(len(w))[k]) / len(f),
        "the weights included",
    ),
    (
        "12-score",
        lambda f, k, w: (f - leave_out(f)) @ (np.eye(len(w))[k] / w) / len(f),
        "weights themselves",
    ),
    ("12-score", lambda f, k, w: -score(f, k, w), "sign"),
    ("12-score", lambda f, k, w: len(f) * score(f, k, w), "sum over draws"),
    (
        "12-score",
        lambda f, k, w: leave_out(f) @ (np.eye(len(w))[k] - w) / len(f),
        "baseline alone",
    ),
    (
        "12-score",
        lambda f, k, w: (f - leave_out(f))[:, None] * (np.eye(len(w))[k] - w),
        "one row a draw",
    ),
    ("12-assign", lambda m, v, w, a, b: assign(m, v, w / w, a, b), "weights are missing"),
    ("12-assign", at_mean, "variance counts"),
    ("12-assign", reverse, "wrong way round"),
    ("12-assign", lambda *parts: assign(*parts, power=1.0), "sign"),
    (
        "12-assign",
        lambda m, v, w, a, b: assign(m, np.log(v**2), w, a, b),
        "take their exponential",
    ),
    ("12-assign", lambda m, v, w, a, b: assign(m, v / 2, w, a, b), "standard deviations"),
    ("12-assign", lambda *parts: assign(*parts, power=-2.0), "twice too large"),
    (
        "12-assign",
        lambda m, *rest: assign(m, *rest, power=-1.0 / m.shape[1]),
        "do not average",
    ),
    (
        "12-assign",
        lambda m, v, w, a, b: softmax(
            np.log(w) - 0.5 * ((m[:, None] - a) ** 2 / b).sum(axis=2), axis=1
        ),
        "wide component",
    ),
    (
        "12-assign",
        lambda m, v, w, a, b: w * np.exp(-divergences(m, v, a, b)),
        "each row must sum to one",
    ),
    (
        "12-assign",
        lambda m, v, w, a, b: np.log(w) - divergences(m, v, a, b),
        "logarithms, and not normalised",
    ),
    ("12-assign", lambda *parts: np.log(assign(*parts)), "return probabilities"),
]
