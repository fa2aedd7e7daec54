"""Answers to the exercises of chapter 7: right ones, and mistakes that are named."""

import numpy as np
from scipy.stats import multivariate_normal

from gmmlearn.mixture import Mixture

CHANGE = -2 * np.log(1e6) / (64 * np.log(2))


def bits(log_prob, n_pixels, n_levels):
    return -np.mean(log_prob) / (n_pixels * np.log(2)) + np.log2(n_levels)


def factors(x, mean, loadings, noise, eye=1.0, sign=-1.0, det=1.0, constant=2 * np.pi):
    """Return the log density by Woodbury, or a mistake."""
    c, scaled = x - mean, loadings / noise[:, None]
    M = eye * np.eye(loadings.shape[1]) + loadings.T @ scaled
    distance = (c**2 / noise).sum() + sign * c @ scaled @ np.linalg.solve(M, scaled.T @ c)
    log_det = np.log(noise).sum() + det * np.linalg.slogdet(M)[1]
    return -0.5 * (distance + log_det + len(x) * np.log(constant))


def dense(x, mean, loadings, noise):
    covariance = loadings @ loadings.T + np.diag(noise)
    if len(x) > 100:  # as much memory, in less time
        return factors(x, mean, loadings, noise) + 0.0 * covariance[0, 0]
    return multivariate_normal(mean, covariance).logpdf(x)


def conditional(mixture, x, hidden):
    return mixture.condition(np.setdiff1d(np.arange(x.size), hidden), np.delete(x, hidden))


def fill(x, hidden, values):
    whole = x.copy()
    whole[hidden] = values
    return whole


def complete(mixture, x, hidden):
    given = conditional(mixture, x, hidden)
    return fill(x, np.sort(hidden), given.weights @ given.means)


def marginals(mixtures, visible, values):
    return np.array([m.marginal(visible).log_prob(values[None])[0] for m in mixtures])


def classify(mixtures, log_prior, visible, values):
    return int(np.argmax(marginals(mixtures, visible, values) + log_prior))


def best_component(mixtures, log_prior, visible, values):
    joints = [m.marginal(visible).log_joint(values[None]).max() for m in mixtures]
    return np.argmax(np.array(joints) + log_prior)


def draw(mixture, x, hidden):
    return fill(x, np.sort(hidden), conditional(mixture, x, hidden).sample(1)[0][0])


def assume_64(mixture, x, hidden):
    visible = np.setdiff1d(np.arange(64), hidden)
    given = mixture.condition(visible, x[visible])
    return fill(x, np.sort(hidden), given.weights @ given.means)


def cool(mixture, temperature):
    return Mixture(mixture.weights, mixture.means, temperature**2 * mixture.covariances)


def scaled(power):
    return lambda m, t: Mixture(m.weights, m.means, t**power * m.covariances)


def without_weights(mixture, x, hidden):
    return fill(x, np.sort(hidden), mixture.weights @ conditional(mixture, x, hidden).means)


def given_hidden(mixture, x, hidden):
    hidden = np.sort(hidden)
    if 2 * len(hidden) != len(x):
        return x
    given = mixture.condition(hidden, x[hidden])
    return fill(x, hidden, given.weights @ given.means)


def likeliest(mixture, x, hidden):
    given = conditional(mixture, x, hidden)
    return fill(x, np.sort(hidden), given.means[np.argmax(given.weights)])


def hidden_only(mixture, x, hidden):
    given = conditional(mixture, x, hidden)
    return given.weights @ given.means


RIGHT = {
    "07-unbounded": [CHANGE, round(CHANGE, 2), np.float64(CHANGE), [CHANGE], np.array([[CHANGE]])],
    "07-bits": [bits],
    "07-factors": [factors],
    "07-checkerboard": [complete],
    "07-half": [classify],
    "07-temperature": [cool],
}

MISTAKES = [
    ("07-unbounded", -CHANGE, "the sign is not"),
    ("07-unbounded", CHANGE * np.log(2), "in nats"),
    ("07-unbounded", 0.43, "bits need another division. And the sign"),
    ("07-unbounded", -0.16, "one constant pixel"),
    ("07-unbounded", 2 * CHANGE, "twice too much"),
    ("07-unbounded", CHANGE / 4, "one constant pixel"),
    ("07-unbounded", CHANGE / 2, "half of it"),
    ("07-unbounded", -2 * 6 / 64, "base 10"),
    ("07-unbounded", -2 * 6 / (64 * np.log(2)), "base 10"),
    ("07-unbounded", 64 * CHANGE * np.log(2), "nats per picture"),
    ("07-unbounded", 64 * CHANGE, "per picture, not per pixel"),
    ("07-unbounded", [CHANGE, CHANGE], "one number"),
    ("07-unbounded", 16 * CHANGE, "by the 4 constant pixels"),
    ("07-unbounded", 7.0, "not the right number"),
    ("07-bits", lambda a, d, n: -a.mean() / (d * np.log(2)), "levels are missing"),
    ("07-bits", lambda a, d, n: -a.mean() / (d * np.log(2)) - np.log2(n), "levels enter with"),
    ("07-bits", lambda a, d, n: a.mean() / (d * np.log(2)) + np.log2(n), "sign of the log"),
    ("07-bits", lambda a, d, n: -a.mean() / d + np.log(n), "nats per pixel"),
    ("07-bits", lambda a, d, n: -a.mean() / (d * np.log(2)) + np.log(n), "both terms"),
    ("07-bits", lambda a, d, n: -a.mean() / d + np.log2(n), "still in nats"),
    ("07-bits", lambda a, d, n: -a.mean() / d * np.log(2) + np.log2(n), "multiplied by ln 2"),
    ("07-bits", lambda a, d, n: bits(a, d, n) + (d - 1) * np.log2(n), "once for each pixel"),
    ("07-bits", lambda a, d, n: bits(a, d, 1) + n, "Add the logarithm of the number"),
    ("07-bits", lambda a, d, n: -np.inf, "take no exponential"),
    ("07-bits", lambda a, d, n: d * bits(a, d, n), "bits per picture"),
    ("07-bits", lambda a, d, n: -a.mean() / np.log(2) + np.log2(n), "counted per picture"),
    ("07-bits", lambda a, d, n: -a.sum() / (d * np.log(2)) + np.log2(n), "the sum over"),
    ("07-bits", lambda a, d, n: -a / (d * np.log(2)) + np.log2(n), "one value for each"),
    ("07-bits", lambda a, d, n: 0.0, "not the right number"),
    ("07-bits", lambda a, d, n: bits(a, d, 17), "assumed 17 levels"),
    ("07-factors", dense, "made a D x D matrix"),
    ("07-factors", lambda *a: factors(*a, det=0.0), "determinant of M is missing"),
    ("07-factors", lambda *a: factors(*a, det=0.5), "halved twice"),
    ("07-factors", lambda *a: -2 * factors(*a), "minus one half"),
    (
        "07-factors",
        lambda x, m, W, p: factors(x, m, W, p) + 0.5 * np.log(p).sum(),
        "determinant of the noise is missing",
    ),
    (
        "07-factors",
        lambda x, m, W, p: factors(x, m, W, p) + np.log(p).sum(),
        "determinant of the noise has the wrong sign",
    ),
    ("07-factors", lambda *a: factors(*a, det=-1.0), "enters with the wrong sign"),
    ("07-factors", lambda *a: factors(*a, sign=1.0), "Woodbury subtracts"),
    ("07-factors", lambda *a: factors(*a, sign=0.0), "the noise alone"),
    ("07-factors", lambda x, m, W, p: factors(x, m, 0 * W, p), "density of the noise alone"),
    ("07-factors", lambda *a: factors(*a, eye=0.0), "lacks its identity"),
    ("07-factors", lambda x, m, W, p: factors(x, m, W, p**2), "not standard deviations"),
    ("07-factors", lambda x, m, W, p: factors(x, m, W, p**0.5), "do not take their root"),
    ("07-factors", lambda *a: factors(*a, constant=1.0), "constant D log 2 pi is missing"),
    (
        "07-factors",
        lambda x, m, W, p: factors(x, m, W, p, constant=1.0) - 1.5 * np.log(2 * np.pi),
        "not the r factors",
    ),
    ("07-factors", lambda *a: -factors(*a), "sign is wrong"),
    ("07-factors", lambda *a: np.exp(factors(*a)), "return its logarithm"),
    ("07-factors", lambda *a: 0.0, "not the right number"),
    ("07-checkerboard", hidden_only, "hidden pixels alone"),
    (
        "07-checkerboard",
        lambda m, x, h: fill(x, h, hidden_only(m, x, h)),
        "not in increasing order",
    ),
    ("07-checkerboard", given_hidden, "condition on the visible ones"),
    ("07-checkerboard", without_weights, "weights from before"),
    ("07-checkerboard", likeliest, "likeliest component alone"),
    (
        "07-checkerboard",
        lambda m, x, h: fill(x, np.sort(h), conditional(m, x, h).means.mean(axis=0)),
        "equally",
    ),
    (
        "07-checkerboard",
        lambda m, x, h: fill(x, np.sort(h), m.weights @ m.means[:, np.sort(h)]),
        "must be conditioned",
    ),
    ("07-checkerboard", lambda m, x, h: m.weights @ m.means, "stay as they are"),
    ("07-checkerboard", lambda m, x, h: x, "wrong in 3 of 6 entries"),
    ("07-checkerboard", draw, "changes between calls"),
    ("07-checkerboard", assume_64, "ask x for their number"),
    ("07-half", lambda m, p, v, x: np.argmax(marginals(m, v, x)), "left out the prior"),
    ("07-half", lambda m, p, v, x: np.argmax(p), "prior alone"),
    ("07-half", lambda m, p, v, x: np.argmin(marginals(m, v, x) + p), "least likely"),
    ("07-half", lambda *a: classify(*a) + 1, "from zero"),
    ("07-half", lambda m, p, v, x: np.argmax(marginals(m, v, x) - p), "You subtracted"),
    ("07-half", lambda m, p, v, x: np.argmax(marginals(m, v, x) * p), "You multiplied"),
    ("07-half", lambda m, p, v, x: max(marginals(m, v, x) + p), "That is a score"),
    ("07-half", best_component, "sum over each class"),
    (
        "07-half",
        lambda m, p, v, x: np.argmax(marginals(m, v, x) + np.exp(p)),
        "add its logarithm",
    ),
    ("07-half", lambda m, p, v, x: classify(m, p, np.sort(v), x), "sorted visible"),
    ("07-half", lambda m, p, v, x: 1, "of 60 random cases"),
    ("07-half", lambda m, p, v, x: marginals(m, v, x) + p, "one class"),
    ("07-temperature", scaled(1), "distances scale by its root"),
    ("07-temperature", scaled(0.5), "took the root"),
    ("07-temperature", scaled(-2), "You divided"),
    ("07-temperature", scaled(-1), "You divided"),
    ("07-temperature", scaled(3), "right but for a factor"),
    ("07-temperature", lambda m, t: m.means, "Return a Mixture"),
    (
        "07-temperature",
        lambda m, t: Mixture(m.weights, t * m.means, t**2 * m.covariances),
        "means must stay",
    ),
    (
        "07-temperature",
        lambda m, t: Mixture(m.weights[::-1], m.means, t**2 * m.covariances),
        "weights must stay",
    ),
]
