"""Answers to the exercises of chapter 9: right ones, and mistakes that are named."""

import numpy as np


def table(resp, levels, n_levels, alpha):
    counts = resp.T @ (levels[:, None] == np.arange(n_levels)) + alpha
    return counts / counts.sum(axis=1, keepdims=True)


def counts_of(resp, levels, n_levels):
    return resp.T @ (levels[:, None] == np.arange(n_levels))


def wrapped(resp, levels, n_levels, alpha):
    counts = resp.T @ np.eye(n_levels)[levels] + alpha
    return counts / counts.sum(axis=1, keepdims=True)


def but(weights, tables, level):
    rest = weights * (1 - tables[:, level])
    return rest / rest.sum()


def wanted(weights, tables, level):
    joint = weights * tables[:, level]
    return joint / joint.sum()


def product(weights, tables, level):
    return weights * np.delete(tables, level, axis=1).prod(axis=1)


def draw(X, r, epsilon, root=np.sqrt):
    shares = r / r.sum()
    mean = shares @ X
    return mean + (root(shares) * epsilon) @ (X - mean)


def features_apart(X, r, epsilon):
    variances = r @ (X - mean_of(X, r)) ** 2 / r.sum()
    return mean_of(X, r) + np.sqrt(variances) * epsilon[: X.shape[1]]


def mean_of(X, r):
    return r @ X / r.sum()


RIGHT = {
    "09-two-words": [0.4, np.float64(0.4), [0.4], 0.401],
    "09-table": [table],
    "09-but": [but],
    "09-draw": [draw, lambda X, r, e: draw(X, r, e)[None]],
}

MISTAKES = [
    ("09-two-words", 0.8, "entry for spring"),
    ("09-two-words", 1 / 7, "evening alone"),
    ("09-two-words", 0.04, "divide by that of the words"),
    ("09-two-words", 0.08, "divide by the sum over components"),
    ("09-two-words", 2 / 3, "odds of the first"),
    ("09-two-words", 1.5, "odds of the second"),
    ("09-two-words", 40, "not percent"),
    ("09-two-words", 0.6, "second component"),
    ("09-two-words", 0.9 / 1.7, "multiply them"),
    ("09-two-words", 0.45, "You averaged"),
    ("09-two-words", (0.8 + 1 / 7) / 2, "averaged the answers"),
    ("09-two-words", 0.5, "The words say something"),
    ("09-two-words", 0.3, "not the right number"),
    ("09-two-words", [0.4, 0.6], "should be one number"),
    ("09-table", lambda r, v, n, a: table(r, v, n, a).T, "swapped"),
    (
        "09-table",
        lambda r, v, n, a: (
            (counts_of(r, v, n) + a) / (counts_of(r, v, n).sum(1, keepdims=True) + a)
        ),
        "add L alpha",
    ),
    (
        "09-table",
        lambda r, v, n, a: counts_of(r, v, n) / counts_of(r, v, n).sum(1, keepdims=True),
        "left out the imaginary",
    ),
    (
        "09-table",
        lambda r, v, n, a: (counts_of(r, v, n) + a) / counts_of(r, v, n).sum(1, keepdims=True),
        "missing from the denominator",
    ),
    (
        "09-table",
        lambda r, v, n, a: (counts_of(r, v, n) + a) / (r.sum(0)[:, None] + n * a),
        "still count in your denominator",
    ),
    (
        "09-table",
        lambda r, v, n, a: (counts_of(r, v, n) + a) / (r.sum(0)[:, None] + a),
        "as many imaginary ones",
    ),
    (
        "09-table",
        lambda r, v, n, a: counts_of(r, v, n) / counts_of(r, v, n).sum(1, keepdims=True) + a,
        "to the counts, then divide",
    ),
    (
        "09-table",
        lambda r, v, n, a: table(np.eye(r.shape[1])[r.argmax(1)], v, n, a),
        "likeliest component",
    ),
    ("09-table", lambda r, v, n, a: table(r, v, n, a / n), "not a share of them"),
    ("09-table", lambda r, v, n, a: table(r, v, n, a - 1), "subtract nothing"),
    ("09-table", lambda r, v, n, a: counts_of(r, v, n) + a, "Those are counts"),
    ("09-table", wrapped, "means the last level"),
    ("09-table", lambda r, v, n, a: (counts_of(r, v, n) + a) / len(r), "divided by N"),
    (
        "09-table",
        lambda r, v, n, a: (counts_of(r, v, n) + a) / (counts_of(r, v, n) + a).sum(0),
        "columns sum to one",
    ),
    ("09-table", lambda r, v, n, a: np.full((r.shape[1], n), 1 / n), "not the right value"),
    ("09-but", wanted, "level that is not wanted"),
    ("09-but", lambda w, t, i: w * (1 - t[:, i]), "Divide by the sum"),
    ("09-but", lambda w, t, i: (1 - t[:, i]) / (1 - t[:, i]).sum(), "had before"),
    ("09-but", lambda w, t, i: 1 - wanted(w, t, i), "no distribution"),
    ("09-but", lambda w, t, i: (1 - wanted(w, t, i)) / 4, "not the complement"),
    ("09-but", product, "exclude each other"),
    ("09-but", lambda w, t, i: product(w, t, i) / product(w, t, i).sum(), "exclude each other"),
    ("09-but", lambda w, t, i: w, "not the right value"),
    ("09-draw", lambda X, r, e: draw(X, r, e, root=lambda s: s), "roots of the shares"),
    ("09-draw", lambda X, r, e: draw(X, r, e) - mean_of(X, r), "mean is missing"),
    (
        "09-draw",
        lambda X, r, e: mean_of(X, r) + (np.sqrt(r / r.sum()) * e) @ X,
        "Take the mean away",
    ),
    (
        "09-draw",
        lambda X, r, e: mean_of(X, r) + (np.sqrt(r) * e) @ (X - mean_of(X, r)),
        "by N_k",
    ),
    (
        "09-draw",
        lambda X, r, e: mean_of(X, r) + e @ (X - mean_of(X, r)) / np.sqrt(len(X)),
        "same share",
    ),
    (
        "09-draw",
        lambda X, r, e: X.mean(0) + (np.sqrt(r / r.sum()) * e) @ (X - X.mean(0)),
        "weighs pictures by r",
    ),
    (
        "09-draw",
        lambda X, r, e: mean_of(X, r) + (np.sqrt(r / len(X)) * e) @ (X - mean_of(X, r)),
        "not by N",
    ),
    (
        "09-draw",
        lambda X, r, e: r @ X / len(X) + (np.sqrt(r / r.sum()) * e) @ (X - r @ X / len(X)),
        "sum of the responsibilities",
    ),
    ("09-draw", features_apart, "features independently"),
    (
        "09-draw",
        lambda X, r, e: draw(X, r, np.random.default_rng().normal(size=len(e))),
        "not your own random ones",
    ),
    ("09-draw", lambda X, r, e: np.zeros(3), "not the right value"),
]
