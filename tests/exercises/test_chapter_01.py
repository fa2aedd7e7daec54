"""Answers to the exercises of chapter 1: right ones, and mistakes that are named."""

import numpy as np

from gmmlearn.gaussian import Gaussian, whiten


def kl(p, q, half=0.5, features=1.0, log_det=1.0, means=1.0):
    precision, offset = np.linalg.inv(q.covariance), p.mean - q.mean
    log_dets = np.linalg.slogdet(q.covariance)[1] - np.linalg.slogdet(p.covariance)[1]
    return half * (
        log_det * log_dets
        - features * p.n_features
        + np.trace(precision @ p.covariance)
        + means * offset @ precision @ offset
    )


def kl_own_distance(p, q):
    """The distance of the means measured with p's covariance."""
    offset = p.mean - q.mean
    return kl(p, q, means=0.0) + 0.5 * offset @ np.linalg.solve(p.covariance, offset)


def kl_own_trace(p, q):
    """The trace with p's precision."""
    trace = np.trace(np.linalg.solve(q.covariance, p.covariance))
    return kl(p, q) + 0.5 * (np.trace(np.linalg.solve(p.covariance, q.covariance)) - trace)


def kl_trace_of_factors(p, q):
    factors = np.linalg.solve(q.covariance_cholesky, p.covariance_cholesky)
    return kl(p, q) + 0.5 * (np.trace(factors) - np.square(factors).sum())


def repair(joint, left, right, features=(0, 2)):
    dead = joint.condition(list(features), [left, right])
    return dead.mean[0], np.sqrt(dead.covariance[0, 0])


def repair_as_arrays(joint, left, right):
    dead = joint.condition([0, 2], [left, right])
    return dead.mean, np.sqrt(dead.covariance)


def whitened(X):
    fitted = Gaussian.fit(X)
    return whiten(X, fitted.mean, fitted.covariance_cholesky)


def rotated(X):
    """Another right answer, by eigenvectors."""
    centred = X - X.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(X))
    return centred @ axes / np.sqrt(variances)


def transpose_forgotten(X):
    fitted = Gaussian.fit(X)
    return (X - fitted.mean) @ np.linalg.inv(fitted.covariance_cholesky)


def unrelated(X):
    return whitened(np.random.default_rng(0).standard_normal(X.shape))


RIGHT = {
    "01-halfwidth": [np.sqrt(0.75), 0.87, -0.866, [0.866]],
    "01-kl": [kl, lambda p, q: [kl(p, q)], lambda p, q: np.full((1, 1), kl(p, q))],
    "01-gap": [repair, lambda *args: np.array(repair(*args)), repair_as_arrays],
    "01-whiten": [whitened, rotated],
}

MISTAKES = [
    ("01-halfwidth", 0.5, "far from enough"),
    ("01-halfwidth", 0.75, "square of the correlation"),
    ("01-halfwidth", np.sqrt(0.5), "halves the variance"),
    ("01-halfwidth", 1.5, "between -1 and 1"),
    ("01-halfwidth", 0.25, "variance that is left"),
    ("01-halfwidth", 86.6, "not in percent"),
    ("01-halfwidth", 0.6, "80% of the error bar"),
    ("01-halfwidth", "0.866", "real numbers, not str"),
    ("01-halfwidth", 0.866 + 0j, "complex"),
    ("01-halfwidth", [0.866, 0.5], "shape"),
    ("01-kl", lambda p, q: kl(q, p), "other direction"),
    ("01-kl", lambda p, q: kl(p, q, half=1.0), "one half"),
    ("01-kl", lambda p, q: kl(p, q, features=0.0), "number of features"),
    ("01-kl", lambda p, q: kl(p, q, log_det=0.0), "forgot the log-determinants"),
    ("01-kl", lambda p, q: kl(p, q, log_det=-1.0), "wrong sign"),
    ("01-kl", lambda p, q: kl(p, q, means=0.0), "distance of the means"),
    ("01-kl", kl_own_distance, "p's covariance"),
    ("01-kl", lambda p, q: kl(p, q, log_det=0.5), "Cholesky factor"),
    ("01-kl", kl_trace_of_factors, "square its entries"),
    ("01-kl", kl_own_trace, "inverse belongs to q"),
    ("01-kl", lambda p, q: kl(p, q) / np.log(2.0), "bits"),
    ("01-kl", lambda p, q: None, "returns None"),
    ("01-kl", lambda p, q: str(kl(p, q)), "real numbers, not str"),
    ("01-kl", lambda p, q: kl(p, q) if p is not q else [0.0, 0.0], "shape"),
    ("01-kl", lambda p, q: -kl(p, q), "never negative"),
    ("01-kl", lambda p, q: 1.0, "not the right number"),
    ("01-kl", lambda p, q: kl(p, q) if p is not q else 1.0, "from itself"),
    ("01-gap", lambda *args: repair(*args)[::-1], "wrong order"),
    (
        "01-gap",
        lambda j, *args: (repair(j, *args)[0] - j.mean[1], repair(j, *args)[1]),
        "own mean",
    ),
    ("01-gap", lambda *args: None, "returns None"),
    ("01-gap", lambda *args: (repair(*args)[0], str(repair(*args)[1])), "real numbers, not str"),
    ("01-gap", lambda j, left, right: ((left + right) / 2, 1.0), "average of the neighbours"),
    (
        "01-gap",
        lambda j, left, right: (j.condition([0], [left]).mean[0], 1.0),
        "only the left neighbour",
    ),
    ("01-gap", lambda j, left, right: repair(j, left, right, (0, 1)), "features 0 and 1"),
    ("01-gap", lambda j, left, right: repair(j, right, left), "swapped"),
    ("01-gap", lambda j, left, right: (0.0, 1.0), "conditional mean"),
    (
        "01-gap",
        lambda *args: (repair(*args)[0], repair(*args)[1] ** 2),
        "square root",
    ),
    (
        "01-gap",
        lambda j, *args: (repair(j, *args)[0], np.sqrt(j.covariance[1, 1])),
        "before the neighbours",
    ),
    ("01-gap", lambda *args: (repair(*args)[0], 1e3), "error bar is not"),
    ("01-gap", lambda *args: repair(*args)[0], "two things"),
    (
        "01-gap",
        lambda j, left, right: (j.condition([2], [right]).mean[1], 1.0),
        "only the right neighbour",
    ),
    ("01-whiten", lambda X: (X - X.mean()) / X.std(), "axis=0"),
    (
        "01-whiten",
        lambda X: (X - X.mean(0)) @ np.linalg.inv(np.cov(X.T, bias=True)),
        "whole covariance",
    ),
    (
        "01-whiten",
        lambda X: (X - X.mean(0)) @ np.linalg.cholesky(np.cov(X.T, bias=True)).T,
        "stretches",
    ),
    ("01-whiten", lambda X: whitened(X) + 1, "subtract the mean"),
    (
        "01-whiten",
        lambda X: whitened(X) * np.sqrt((len(X) - 1) / len(X)),
        "N - 1",
    ),
    ("01-whiten", lambda X: (X - X.mean(0)) / X.std(0), "still correlated"),
    ("01-whiten", transpose_forgotten, "transpose the factor"),
    ("01-whiten", lambda X: None, "returns None"),
    ("01-whiten", lambda X: X - X.mean(0), "not the identity"),
    (
        "01-whiten",
        lambda X: np.linalg.svd(X - X.mean(0), full_matrices=False)[0],
        "identity but for a factor",
    ),
    ("01-whiten", lambda X: whitened(X)[1:], "shape"),
    ("01-whiten", unrelated, "no linear map"),
]
