"""Answers to the exercises of chapter 4: right ones, and mistakes that are named."""

import numpy as np

from gmmlearn.em import m_step
from gmmlearn.mixture import Mixture


def chances(X, centres, power=2, reduce=np.min, normalise=True):
    distances = np.linalg.norm(X[:, None] - centres, axis=2)
    chance = reduce(distances**power, axis=1)
    return chance / chance.sum() if normalise else chance


def last_only(X, centres):
    return chances(X, centres[-1:])


def farthest(X, centres):
    return np.eye(len(X))[chances(X, centres).argmax()]


def to_mean(X, centres):
    return chances(X, centres.mean(axis=0, keepdims=True))


def near_ones(X, centres):
    chance = 1 / (1e-9 + chances(X, centres))
    return chance / chance.sum()


def mixed_twice(mean, point):
    return np.outer(mean, mean) - 2 * np.outer(mean, point) + np.outer(point, point)


def weighted(X, resp, sample_weight, for_weights=1, for_means=1, for_covariances=1, total=None):
    def columns(power):
        return resp * sample_weight[:, None] ** power

    counts = columns(for_weights).sum(axis=0)
    total = (sample_weight**for_weights).sum() if total is None else total
    means = (columns(for_means) / columns(for_means).sum(axis=0)).T @ X
    shares = columns(for_covariances) / columns(for_covariances).sum(axis=0)
    centred = X[:, None] - means
    covariances = np.einsum("nk,nki,nkj->kij", shares, centred, centred)
    return Mixture(counts / total, means, covariances)


def centred_on_plain(X, resp, sample_weight):
    right = weighted(X, resp, sample_weight)
    shares = resp * sample_weight[:, None]
    centred = X[:, None] - m_step(X, resp).means
    covariances = np.einsum("nk,nki,nkj->kij", shares / shares.sum(axis=0), centred, centred)
    return Mixture(right.weights, right.means, covariances)


def by_numpy(X, resp, sample_weight):
    right, columns = weighted(X, resp, sample_weight), (resp * sample_weight[:, None]).T
    return Mixture(right.weights, right.means, [np.cov(X.T, aweights=c) for c in columns])


def less_one(X, resp, sample_weight):
    right, counts = weighted(X, resp, sample_weight), sample_weight @ resp
    factor = (counts / (counts - 1))[:, None, None]
    return Mixture(right.weights, right.means, factor * right.covariances)


def uncentred(X, resp, sample_weight):
    right = weighted(X, resp, sample_weight)
    between = np.einsum("ki,kj->kij", right.means, right.means)
    return Mixture(right.weights, right.means, right.covariances + between)


def repeated(X, resp, sample_weight):
    times = sample_weight.astype(int)
    return m_step(np.repeat(X, times, axis=0), np.repeat(resp, times, axis=0))


def repeated_directly(X, resp, sample_weight):
    return m_step(np.repeat(X, sample_weight, axis=0), np.repeat(resp, sample_weight, axis=0))


def normalised(resp, sample_weight):
    with np.errstate(invalid="ignore"):
        share = resp * sample_weight[:, None]
        return share / share.sum(axis=1, keepdims=True)


def raised(X, resp, sample_weight, reg_covar):
    right = weighted(X, resp, sample_weight)
    covariances = right.covariances + reg_covar * np.eye(right.n_features)
    return Mixture(right.weights, right.means, covariances)


def divided(X, resp, sample_weight, what):
    right = weighted(X, resp, sample_weight)
    factor = sample_weight @ resp / resp.sum(axis=0)
    means = right.means * factor[:, None] if what == "means" else right.means
    covariances = right.covariances * factor[:, None, None]
    return Mixture(right.weights, means, covariances)


def outer(mean, point):
    return np.outer(mean - point, mean - point)


RIGHT = {
    "04-cost": [(4, 8, 16), np.array([4.0, 8.0, 16.0])],
    "04-excess": [outer, lambda mean, point: (outer(mean, point) + outer(mean, point)) / 2],
    "04-chances": [chances],
    "04-weighted": [weighted],
}

MISTAKES = [
    ("04-cost", 16, "three numbers"),
    ("04-cost", ("four", 8, 16), "three numbers"),
    ("04-cost", (8, 4, 16), "exchanged"),
    ("04-cost", (2, 3, 16), "powers of D:"),
    ("04-cost", (2, 8, 16), "twice as long"),
    ("04-cost", (3, 8, 16), "factor of the solves"),
    ("04-cost", (4, 4, 16), "sum of up to D"),
    ("04-cost", (4, 9, 16), "power of D"),
    ("04-cost", (4, 8, 48), "lost the 3"),
    ("04-cost", (4, 8, 256), "What cancels"),
    ("04-cost", (4, 8, 17), "N is wrong"),
    ("04-excess", lambda mean, point: -outer(mean, point), "sign"),
    ("04-excess", lambda mean, point: (mean - point) @ (mean - point), "inner product"),
    ("04-excess", lambda mean, point: np.diag((mean - point) ** 2), "diagonal"),
    ("04-excess", lambda mean, point: 2 * outer(mean, point), "Twice"),
    (
        "04-excess",
        lambda mean, point: np.outer(mean, mean) - np.outer(point, point),
        "product of the difference",
    ),
    (
        "04-excess",
        lambda mean, point: np.outer(point, point) - np.outer(mean, mean),
        "product of the difference",
    ),
    ("04-excess", lambda mean, point: (mean - point) ** 2, "squares stand on the diagonal"),
    ("04-excess", lambda mean, point: np.outer(mean, mean), "about zero"),
    ("04-excess", mixed_twice, "two mixed products"),
    ("04-excess", lambda mean, point: mean - point, "quadratic"),
    ("04-excess", lambda mean, point: 3 * outer(mean, point), "right but for a factor"),
    ("04-chances", lambda X, c: chances(X, c, normalise=False), "divide by their sum"),
    ("04-chances", lambda X, c: chances(X, c, power=1), "not squared"),
    ("04-chances", lambda X, c: chances(X, c, reduce=np.max), "farthest centre"),
    ("04-chances", last_only, "last centre"),
    ("04-chances", lambda X, c: chances(X, c, reduce=np.sum), "all centres"),
    ("04-chances", farthest, "outliers"),
    ("04-chances", near_ones, "near a centre are the likeliest"),
    ("04-chances", to_mean, "mean of the centres"),
    ("04-chances", lambda X, c: np.full(len(X), 1 / len(X)), "equally likely"),
    ("04-chances", lambda X, c: chances(X, c)[:-1], "shape"),
    ("04-weighted", lambda X, r, w: weighted(X, r, w, total=len(X)), "by what total"),
    ("04-weighted", lambda X, r, w: m_step(X, r * w[:, None]), "rows that sum to one"),
    ("04-weighted", lambda X, r, w: (1, 2, 3), "Return a Mixture"),
    ("04-weighted", lambda X, r, w: m_step(X, r), "mixing weights ignore"),
    ("04-weighted", lambda X, r, w: weighted(X, r, w, 2), "mixing weights twice"),
    ("04-weighted", lambda X, r, w: weighted(X, r, w, 1, 0), "means ignore"),
    ("04-weighted", lambda X, r, w: weighted(X, r, w, 1, 2), "means twice"),
    ("04-weighted", lambda X, r, w: weighted(X, r, w, 1, 1, 0), "covariances ignore"),
    ("04-weighted", lambda X, r, w: weighted(X, r, w, 1, 1, 2), "covariances twice"),
    ("04-weighted", by_numpy, "ddof=0"),
    ("04-weighted", less_one, "minus one"),
    ("04-weighted", uncentred, "about the origin"),
    ("04-weighted", centred_on_plain, "unweighted means"),
    ("04-weighted", repeated, "whole weights only"),
    ("04-weighted", lambda X, r, w: repeated(X, r, np.rint(w)), "whole weights only"),
    ("04-weighted", repeated_directly, "whole weights only"),
    ("04-weighted", lambda X, r, w: m_step(X, normalised(r, w)), "cancels the weights"),
    ("04-weighted", lambda X, r, w: m_step(X, normalised(r, w + 1e-9)), "rows by their sum"),
    ("04-weighted", lambda X, r, w: weighted(X, r * w, w), "sample_weight[:, None]"),
    ("04-weighted", lambda X, r, w: raised(X, r, w, 1e-6), "to the diagonals"),
    ("04-weighted", lambda X, r, w: raised(X, r, w, 1e-3), "to the diagonals"),
    ("04-weighted", lambda X, r, w: divided(X, r, w, "means"), "means are sums with"),
    ("04-weighted", lambda X, r, w: divided(X, r, w, "covariances"), "covariances are sums"),
    ("04-weighted", lambda X, r, w: weighted(X[:, :1], r, w), "shape"),
    ("04-weighted", lambda X, r, w: X + "text", "fails in its line 1"),
]
