"""Answers to the exercises of chapter 2: right ones, and mistakes that are named."""

import numpy as np
from scipy.special import logsumexp


def boundary(weight, a, variance):
    return variance / (2 * a) * np.log(weight / (1 - weight))


def log_mean_exp(log_terms):
    log_terms = np.asarray(log_terms)
    return logsumexp(log_terms, axis=-1) - np.log(log_terms.shape[-1])


def naive(log_terms):
    return np.log(np.exp(log_terms).mean(axis=-1))


def naive_below(log_terms):
    return np.log(np.exp(np.minimum(log_terms, 700.0)).mean(axis=-1))


def shifted_down_only(log_terms):
    largest = np.maximum(log_terms.max(axis=-1, keepdims=True), 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(log_terms - largest).mean(axis=-1)) + largest[..., 0]


def shape_forgotten(log_terms):
    return log_mean_exp(log_terms).ravel()


def shifted_by_all(log_terms):
    largest = log_terms.max()
    return np.log(np.exp(log_terms - largest).mean(axis=-1)) + largest


def shifted_to_nan(log_terms):
    largest = log_terms.max(axis=-1, keepdims=True)
    return np.log(np.exp(log_terms - largest).mean(axis=-1)) + largest[..., 0]


def drops_zero_terms(log_terms):
    kept = np.isfinite(log_terms).sum(axis=-1)
    with np.errstate(divide="ignore"):
        return logsumexp(log_terms, axis=-1) - np.log(np.maximum(kept, 1))


def floors_at_a_tiny_number(log_terms):
    return log_mean_exp(np.maximum(log_terms, -1e9))


def nan_for_any_infinity(log_terms):
    with np.errstate(invalid="ignore"):
        result = log_mean_exp(log_terms)
    some = np.isneginf(log_terms).any(axis=-1) & np.isfinite(log_terms).any(axis=-1)
    return np.where(some, np.nan, result)


def mean_without_axis(log_terms):
    largest = log_terms.max(axis=-1, keepdims=True)
    return np.log(np.exp(log_terms - largest).mean()) + largest[..., 0]


def regress(mixture, x1):
    sliced = mixture.condition([0], [x1])
    mean = sliced.weights @ sliced.means[:, 0]
    within = sliced.weights @ sliced.covariances[:, 0, 0]
    return mean, np.sqrt(within + sliced.weights @ (sliced.means[:, 0] - mean) ** 2)


def regress_in_matrices(mixture, x1):
    """The equations word for word: a mean of shape (1,), a standard deviation of shape (1, 1)."""
    sliced = mixture.condition([0], [x1])
    mean = sliced.weights @ sliced.means
    offset = sliced.means - mean
    within = np.einsum("k,kij->ij", sliced.weights, sliced.covariances)
    return mean, np.sqrt(within + (sliced.weights * offset.T) @ offset)


def regress_other(mixture, x1):
    sliced = mixture.condition([1], [x1])
    return sliced.weights @ sliced.means[:, 0], 1.0


def regress_prior(mixture, x1):
    sliced = mixture.condition([0], [x1])
    return mixture.weights @ sliced.means[:, 0], 1.0


def regress_level(mixture, x1):
    return mixture.condition([0], [x1]).weights @ mixture.means[:, 1], 1.0


def regress_within(mixture, x1):
    sliced = mixture.condition([0], [x1])
    return regress(mixture, x1)[0], np.sqrt(sliced.weights @ sliced.covariances[:, 0, 0])


def regress_between(mixture, x1):
    sliced, mean = mixture.condition([0], [x1]), regress(mixture, x1)[0]
    return mean, np.sqrt(sliced.weights @ (sliced.means[:, 0] - mean) ** 2)


def regress_stds(mixture, x1):
    sliced = mixture.condition([0], [x1])
    return regress(mixture, x1)[0], sliced.weights @ np.sqrt(sliced.covariances[:, 0, 0])


def regress_variance(mixture, x1):
    mean, std = regress(mixture, x1)
    return mean, std**2


RIGHT = {
    "02-narrow-wide": [[0.75, 0.0], np.array([0.75, 1e-9])],
    "02-boundary": [boundary, lambda w, a, v, *, unit=1: unit * boundary(w, a, v)],
    "02-log-mean-exp": [log_mean_exp],
    "02-regression": [
        regress,
        lambda mixture, x1: np.array(regress(mixture, x1)),
        lambda mixture, x1: list(map(float, regress(mixture, x1))),
        regress_in_matrices,
    ],
}

MISTAKES = [
    ("02-narrow-wide", [0.75, 1.0], "less absurd"),
    ("02-narrow-wide", [0.5, 0.0], "weights alone"),
    ("02-narrow-wide", [0.9, 0.0], "standard deviation"),
    ("02-narrow-wide", [0.25, 0.0], "wide component"),
    ("02-narrow-wide", [0.25, 1.0], "responsibilities of component 1"),
    ("02-narrow-wide", [0.75, 0.5], "one at x = 100"),
    ("02-narrow-wide", [0.6, 0.0], "heights"),
    ("02-narrow-wide", 0.75, "shape"),
    ("02-boundary", lambda w, a, v: -boundary(w, a, v), "sign"),
    ("02-boundary", lambda w, a, v: v / (2 * a) * w / (1 - w), "logarithm is missing"),
    ("02-boundary", lambda w, a, v: boundary(w, a, np.sqrt(v)), "standard deviation"),
    ("02-boundary", lambda w, a, v: 2 * boundary(w, a, v), "factor of 2"),
    ("02-boundary", lambda w, a, v: boundary(w, a, v) / 2, "one half"),
    ("02-boundary", lambda w, a, v: v / (2 * a) * np.log(w), "log(weight) alone"),
    ("02-boundary", lambda w, a, v: abs(boundary(w, a, v)), "other side"),
    ("02-boundary", lambda w, a, v: 0.0, "midpoint"),
    ("02-boundary", lambda w, a, v: boundary(w, a, v**2), "squared the variance"),
    ("02-boundary", lambda w, a, v: np.log(w / (1 - w)) / (2 * a), "variance is missing"),
    ("02-boundary", lambda w, a, v: 2 * a / v * np.log(w / (1 - w)), "upside down"),
    ("02-boundary", lambda w, a, v: a, "right value"),
    ("02-boundary", lambda w, a, v: boundary(w, a, v) / np.log(10), "natural logarithm"),
    ("02-boundary", lambda w, a, v: "here", "one number"),
    ("02-log-mean-exp", naive, "near 1000"),
    ("02-log-mean-exp", naive_below, "near 1000"),
    ("02-log-mean-exp", shifted_down_only, "near -1000"),
    ("02-log-mean-exp", shape_forgotten, "shape (2, 3, 4)"),
    ("02-log-mean-exp", shifted_by_all, "5000 apart"),
    ("02-log-mean-exp", shifted_to_nan, "-inf minus -inf"),
    ("02-log-mean-exp", floors_at_a_tiny_number, "mean of zeros"),
    ("02-log-mean-exp", nan_for_any_infinity, "only some terms"),
    ("02-log-mean-exp", drops_zero_terms, "still one of the K"),
    ("02-log-mean-exp", lambda a: logsumexp(a, axis=-1) - np.log(a.shape[-1] - 1), "K - 1"),
    ("02-log-mean-exp", lambda a: log_mean_exp(a) - a.max(axis=-1), "Add the maximum back"),
    ("02-log-mean-exp", lambda a: log_mean_exp(a)[..., None], "keepdims"),
    ("02-log-mean-exp", lambda a: log_mean_exp(a) + 0 * a.max(axis=-1, keepdims=True), "keepdims"),
    ("02-log-mean-exp", mean_without_axis, "axis=-1"),
    ("02-log-mean-exp", lambda a: logsumexp(a, axis=0), "last axis"),
    ("02-log-mean-exp", lambda a: logsumexp(a, axis=-1), "K is missing"),
    ("02-log-mean-exp", lambda a: logsumexp(a, axis=-1) / 4, "inside the logarithm"),
    ("02-log-mean-exp", lambda a: a.mean(axis=-1), "mean of the logarithms"),
    ("02-log-mean-exp", lambda a: logsumexp(a, axis=-1) + np.log(4), "subtracted"),
    ("02-log-mean-exp", lambda a: logsumexp(a) - np.log(a.size), "axis=-1"),
    ("02-regression", regress_prior, "old weights"),
    ("02-regression", regress_level, "moves with x1"),
    ("02-regression", lambda mixture, x1: (0.0, 1.0), "mean is not right"),
    ("02-regression", regress_variance, "square root"),
    ("02-regression", regress_within, "their means differ"),
    ("02-regression", regress_stds, "averaged standard deviations"),
    ("02-regression", regress_between, "own variance"),
    ("02-regression", lambda m, x1: (regress(m, x1)[0], 7.0), "standard deviation is not"),
    ("02-regression", lambda mixture, x1: regress(mixture, x1)[::-1], "wrong order"),
    ("02-regression", regress_other, "feature 0"),
    ("02-regression", lambda mixture, x1: 0.0, "one number"),
    ("02-regression", lambda mixture, x1: np.array([0.0]), "one number"),
    ("02-regression", lambda mixture, x1: (0.0, 1.0, 2.0), "pair"),
    ("02-regression", lambda mixture, x1: (0.0, "wide"), "pair"),
]
