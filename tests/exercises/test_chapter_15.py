"""Answers to the exercises of chapter 15: right ones, and mistakes that are named."""

import numpy as np
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from gmmlearn.mixture import Mixture

BITS = np.log2(20) + np.log2(0.6)


def drift(codes, resp, covariance, slope, anchor):
    mean, share = resp @ codes / resp.sum(), resp.mean()
    return mean - covariance @ slope / (anchor * share)


def by_descent(codes, resp, covariance, slope, anchor):
    """Minimise the two losses themselves, with responsibilities held fixed."""

    def loss(mean):
        log_prob = multivariate_normal(mean, covariance).logpdf(codes)
        return slope @ mean - anchor * (resp * log_prob).mean()

    return minimize(loss, codes.mean(axis=0), tol=1e-12, options={"gtol": 1e-10}).x


def parts(codes, resp, covariance, slope, anchor):
    return resp @ codes / resp.sum(), covariance @ slope, resp.mean()


def wrong_drift(formula):
    def answer(codes, resp, covariance, slope, anchor):
        mean, pull, share = parts(codes, resp, covariance, slope, anchor)
        return formula(mean, pull, share, anchor)

    return answer


def by_precision(codes, resp, covariance, slope, anchor):
    mean, _, share = parts(codes, resp, covariance, slope, anchor)
    return mean - np.linalg.inv(covariance) @ slope / (anchor * share)


def without_covariance(codes, resp, covariance, slope, anchor):
    mean, _, share = parts(codes, resp, covariance, slope, anchor)
    return mean - slope / (anchor * share)


def from_all_codes(codes, resp, covariance, slope, anchor):
    _, pull, share = parts(codes, resp, covariance, slope, anchor)
    return codes.mean(axis=0) - pull / (anchor * share)


def by_count(codes, resp, covariance, slope, anchor):
    mean, pull, _ = parts(codes, resp, covariance, slope, anchor)
    return mean - pull / (anchor * resp.sum())


def keep(mixture, codes, labels):
    log_joint = mixture.log_joint(codes)
    return np.logaddexp.reduce(log_joint, axis=1) - log_joint[np.arange(len(codes)), labels]


def chances(mixture, codes, labels):
    return np.exp(-keep(mixture, codes, labels))


def of_label(mixture, codes, labels):
    return mixture.log_joint(codes)[np.arange(len(codes)), labels]


def by_density(mixture, codes, labels):
    """Divide densities, which underflow far away."""
    with np.errstate(divide="ignore", invalid="ignore"):
        joint = np.exp(mixture.log_joint(codes))
        return -np.log(joint[np.arange(len(codes)), labels] / joint.sum(axis=1))


def without_weights(mixture, codes, labels):
    log_densities = mixture.log_joint(codes) - np.log(mixture.weights)
    return np.logaddexp.reduce(log_densities, axis=1) - log_densities[np.arange(len(codes)), labels]


def likeliest(mixture, codes, labels):
    return mixture.log_prob(codes) - mixture.log_joint(codes).max(axis=1)


def cool(mixture, temperature):
    return Mixture(mixture.weights, mixture.means, temperature * mixture.covariances)


def by_factors(mixture, temperature):
    roots = np.sqrt(temperature) * mixture.covariances_cholesky
    return Mixture(mixture.weights, mixture.means, roots @ roots.mT)


def with_covariances(formula):
    def answer(q, temperature):
        return Mixture(q.weights, q.means, formula(q.covariances, temperature))

    return answer


def variances_only(covariances, temperature):
    on_diagonal = np.eye(covariances.shape[1], dtype=bool)
    # Wider at first, so that what is left stays positive definite.
    return np.where(on_diagonal, temperature * covariances, covariances)


RIGHT = {
    "15-told": [BITS, np.log(12) / np.log(2)],
    "15-drift": [drift, by_descent],
    "15-keep": [
        keep,
        lambda mixture, codes, labels: mixture.log_prob(codes) - of_label(mixture, codes, labels),
    ],
    "15-cool": [cool, by_factors],
}

MISTAKES = [
    ("15-told", np.log(12), "in nats: bits"),
    ("15-told", np.log2(20), "some of it stays unknown"),
    ("15-told", np.log(20), "all there is to know, and in nats"),
    ("15-told", -np.log2(0.6), "what is told is the rest"),
    ("15-told", -np.log(0.6), "what stays unknown, and in nats"),
    ("15-told", np.log2(20) - np.log2(0.6), "of a probability is negative"),
    ("15-told", np.log2(20) + np.log(0.6), "convert both"),
    ("15-told", 0.6 * np.log2(20), "A share of the entropy"),
    ("15-told", np.log2(20) - 0.6, "not the probability"),
    ("15-told", 12, "how many bits"),
    ("15-told", np.log(12) * np.log(2), "divides by log 2"),
    ("15-told", 1.0, "not the right number"),
    ("15-drift", wrong_drift(lambda m, p, s, a: m), "where EM puts it"),
    ("15-drift", wrong_drift(lambda m, p, s, a: m + p / (a * s)), "against the slope"),
    ("15-drift", wrong_drift(lambda m, p, s, a: m - p / a), "by its share of the codes only"),
    ("15-drift", by_count, "not a count"),
    ("15-drift", by_precision, "multiplied by the precision"),
    ("15-drift", without_covariance, "The covariance is missing"),
    ("15-drift", wrong_drift(lambda m, p, s, a: m - a * p / s), "With a stronger anchor"),
    ("15-drift", wrong_drift(lambda m, p, s, a: m - p / s), "anchor's weight is missing"),
    ("15-drift", wrong_drift(lambda m, p, s, a: m - p * s / a), "A heavier component"),
    ("15-drift", from_all_codes, "the mean of all codes there"),
    ("15-drift", wrong_drift(lambda m, p, s, a: -p / (a * s)), "the drift alone"),
    ("15-drift", wrong_drift(lambda m, p, s, a: 0 * m), "right value"),
    ("15-keep", lambda q, z, k: -keep(q, z, k), "the logarithm itself"),
    ("15-keep", chances, "take minus its logarithm"),
    ("15-keep", lambda q, z, k: 1 - chances(q, z, k), "chance of a wrong guess"),
    ("15-keep", lambda q, z, k: -of_label(q, z, k), "guesses sum to one"),
    (
        "15-keep",
        lambda q, z, k: np.log(q.weights)[k] - of_label(q, z, k),
        "how likely the code is, not whose",
    ),
    ("15-keep", without_weights, "weights belong into the guess"),
    ("15-keep", lambda q, z, k: -q.log_prob(z), "That is keep_density"),
    ("15-keep", likeliest, "You took the likeliest component"),
    ("15-keep", lambda q, z, k: keep(q, z, k).mean(), "not their mean"),
    ("15-keep", lambda q, z, k: keep(q, z, k).sum(), "not their sum"),
    ("15-keep", by_density, "stay with logarithms to the end"),
    ("15-keep", lambda q, z, k: np.zeros(len(z)), "right value"),
    ("15-cool", with_covariances(lambda S, t: S), "The covariances are as before"),
    ("15-cool", with_covariances(lambda S, t: t**2 * S), "multiplied the standard deviations"),
    ("15-cool", with_covariances(lambda S, t: np.sqrt(t) * S), "took the root"),
    ("15-cool", with_covariances(lambda S, t: S / t), "divided by the temperature"),
    ("15-cool", with_covariances(variances_only), "Only the variances have changed"),
    ("15-cool", lambda q, t: Mixture(q.weights, t * q.means, t * q.covariances), "have moved"),
    (
        "15-cool",
        lambda q, t: Mixture(q.weights[::-1], q.means, t * q.covariances),
        "mixing weights have changed",
    ),
    ("15-cool", lambda q, t: t * q.covariances, "Return a Mixture, not ndarray"),
    ("15-cool", with_covariances(lambda S, t: S + np.eye(S.shape[1])), "right value"),
]
