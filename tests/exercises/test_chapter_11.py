"""Answers to the exercises of chapter 11: right ones, and mistakes that are named."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm


def divergence(S, P):
    """Return KL of N(0, S) from N(0, inverse of P)."""
    return 0.5 * (np.trace(P @ S) - len(P) - np.linalg.slogdet(P @ S)[1])


def precision(W, variance):
    return np.eye(W.shape[1]) + W.T @ W / variance


def hadamard(P):
    return 0.5 * (np.log(np.diag(P)).sum() - np.linalg.slogdet(P)[1])


def gap(W, variance):
    return hadamard(precision(W, variance))


def half_log_det(W, variance, less=lambda P: 0.0):
    P = precision(W, variance)
    return 0.5 * abs(less(P) - np.linalg.slogdet(P)[1])


def gap_by_divergence(W, variance):
    P = precision(W, variance)
    return divergence(np.diag(1 / np.diag(P)), P)


def with_marginals(W, variance):
    P = precision(W, variance)
    return divergence(np.diag(np.diag(np.linalg.inv(P))), P)


def other_way(W, variance):
    P = precision(W, variance)
    return divergence(np.linalg.inv(P), np.diag(np.diag(P)))


def log_q(z, mean, log_var):
    return norm.logpdf(z, mean, np.exp(0.5 * np.asarray(log_var))).sum(axis=1)


def cost(z, mean, log_var, prior):
    return log_q(z, mean, log_var) - prior.log_prob(z)


def standard_cost(z, mean, log_var, prior):
    return 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum(axis=1)


def entropy_cost(z, mean, log_var, prior):
    entropy = 0.5 * (np.log(2 * np.pi * np.e) + np.asarray(log_var)).sum(axis=1)
    return -entropy - prior.log_prob(z)


def cost_by_components(z, mean, log_var, prior):
    joint = np.stack([prior.component(k).log_prob(z) for k in range(prior.n_components)], axis=1)
    return log_q(z, mean, log_var) - logsumexp(joint + np.log(prior.weights), axis=1)


def tighter(log_joint, log_q):
    return logsumexp(log_joint - log_q, axis=1) - np.log(log_q.shape[1])


def tighter_by_hand(log_joint, log_q):
    ratio = log_joint - log_q
    top = ratio.max(axis=1, keepdims=True)
    return np.log(np.exp(ratio - top).mean(axis=1)) + top[:, 0]


def shifted_by_all(log_joint, log_q):
    top = (log_joint - log_q).max()
    with np.errstate(divide="ignore"):
        return np.log(np.exp(log_joint - log_q - top).mean(axis=1)) + top


def underflows(log_joint, log_q):
    return np.log(np.exp(log_joint - log_q).mean(axis=1))


RIGHT = {
    "11-price": [np.log(2), 0.6931, [0.5 * np.log(4)]],
    "11-gap": [gap, gap_by_divergence],
    "11-cost": [cost, cost_by_components],
    "11-tighter": [tighter, tighter_by_hand],
}

MISTAKES = [
    ("11-price", np.log(4), "half in front"),
    ("11-price", 1.0, "in bits"),
    ("11-price", -np.log(2), "never negative"),
    ("11-price", 0.5 * (0.25 - 1 + np.log(4)), "mean is zero"),
    ("11-price", 0.5 * (0.25 + np.log(4)), "scatter less"),
    ("11-price", 0.5 * np.log(3), "own precision is missing"),
    ("11-price", 0.5 * np.log(2), "standard deviation for a variance"),
    ("11-price", 3.0, "not the right number"),
    ("11-gap", lambda W, v: 2 * gap(W, v), "The half"),
    ("11-gap", lambda W, v: -gap(W, v), "below zero"),
    ("11-gap", lambda W, v: hadamard(W.T @ W / v), "lacks the identity"),
    ("11-gap", lambda W, v: gap(W, 1.0), "know the noise variance"),
    ("11-gap", lambda W, v: gap(W, v**2), "no square"),
    ("11-gap", lambda W, v: gap(W, v**0.5), "no root"),
    ("11-gap", lambda W, v: gap(W, 1 / v), "Divide by"),
    ("11-gap", half_log_det, "diagonal is missing"),
    ("11-gap", lambda W, v: half_log_det(W, v, np.trace), "logarithms are added"),
    ("11-gap", with_marginals, "posterior's own variances"),
    ("11-gap", lambda W, v: hadamard(np.linalg.inv(precision(W, v))), "precision's diagonal"),
    ("11-gap", other_way, "other divergence"),
    ("11-gap", lambda W, v: hadamard(W @ W.T + v * np.eye(len(W))), "about the pixels"),
    ("11-gap", lambda W, v: 0.1, "not the right number"),
    ("11-cost", lambda z, m, v, p: -cost(z, m, v, p), "turned round"),
    ("11-cost", standard_cost, "closed form for N(0, I)"),
    ("11-cost", lambda z, m, v, p: log_q(z, m, v) - log_q(z, 0, 0 * z), "against N(0, I)"),
    ("11-cost", lambda z, m, v, p: cost(z, m, 2 * np.asarray(v), p), "not a std"),
    ("11-cost", lambda z, m, v, p: cost(z, m, np.asarray(v) / 2, p), "log of a variance"),
    (
        "11-cost",
        lambda z, m, v, p: cost(z, m, v, p) + 0.5 * z.shape[1] * np.log(2 * np.pi),
        "constant",
    ),
    ("11-cost", lambda z, m, v, p: log_q(z, m, v) - p.log_prob(m), "not about its mean"),
    ("11-cost", lambda z, m, v, p: cost(z, m, v, p) + v.sum(axis=1), "subtracted, not added"),
    ("11-cost", lambda z, m, v, p: log_q(z, m, v) / z.shape[1] - p.log_prob(z), "sum over feat"),
    (
        "11-cost",
        lambda z, m, v, p: np.exp(log_q(z, m, v)) * cost(z, m, v, p),
        "weigh nothing",
    ),
    ("11-cost", entropy_cost, "both densities at z"),
    ("11-cost", lambda z, m, v, p: -p.log_prob(z), "own log density is missing"),
    ("11-cost", lambda z, m, v, p: log_q(z, m, v), "prior's log density is missing"),
    ("11-cost", lambda z, m, v, p: log_q(z, m, v) - np.exp(p.log_prob(z)), "take its logarithm"),
    ("11-cost", lambda z, m, v, p: log_q(z, m, v) - p.log_joint(z).max(axis=1), "All components"),
    ("11-cost", lambda z, m, v, p: cost(z, m, v, p).mean(), "one for each"),
    ("11-cost", lambda z, m, v, p: np.arange(len(z)), "not the right value"),
    ("11-tighter", lambda j, q: (j - q).mean(axis=1), "mean of logarithms"),
    ("11-tighter", lambda j, q: tighter(j, q) + np.log(q.shape[1]), "sum over draws"),
    ("11-tighter", lambda j, q: tighter(j, 0 * q), "divided by its q"),
    ("11-tighter", lambda j, q: tighter(j, -q), "is subtracted"),
    ("11-tighter", lambda j, q: (j - q).max(axis=1), "best draw alone"),
    ("11-tighter", lambda j, q: tighter(j.T, q.T), "stand in a row"),
    ("11-tighter", lambda j, q: np.exp(tighter(j, q)), "estimate itself"),
    ("11-tighter", lambda j, q: tighter(j, q).mean(), "one for each"),
    ("11-tighter", lambda j, q: tighter(j.ravel()[None], q.ravel()[None])[0], "not pictures"),
    ("11-tighter", lambda j, q: tighter(j, 0 * q) - tighter(q, 0 * q), "by its own q"),
    ("11-tighter", lambda j, q: logsumexp(j - q, axis=1) / q.shape[1], "inside the logarithm"),
    ("11-tighter", underflows, "densities underflow"),
    ("11-tighter", shifted_by_all, "of each row"),
    ("11-tighter", lambda j, q: np.arange(len(j)), "not the right value"),
]
