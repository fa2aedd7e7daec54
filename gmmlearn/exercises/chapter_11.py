"""Checkers for the exercises of chapter 11."""

import numpy as np
from scipy.special import logsumexp

from gmmlearn.exercises import diagnose, exercise, first_fault
from gmmlearn.gaussian import LOG_2PI
from gmmlearn.mixture import Mixture


@exercise(
    "11-price",
    hint="How much of the code's variance is left once the picture is seen, and where is the "
    "rest? It is in the means: the two parts add up to the prior's.",
)
def _price(answer):
    signal = 3.0  # squared length of the column, over the noise variance
    left = 1.0 / (1.0 + signal)
    price = -0.5 * np.log(left)

    def cost(mean_square, variance):
        return 0.5 * (mean_square + variance - 1.0 - np.log(variance))

    return diagnose(
        answer,
        price,
        "The cost",
        [
            (2 * price, "The half in front of the closed form is missing."),
            (price / np.log(2), "That is in bits: nats were asked for."),
            (-price, "A divergence is never negative."),
            (
                cost(0.0, left),
                "That is the cost where the mean is zero: over pictures it scatters.",
            ),
            (cost(1.0, left), "The means scatter less than the codes do: part is left inside."),
            (cost(1 - 1 / signal, 1 / signal), "The prior's own precision is missing."),
            (cost(1 - left**0.5, left**0.5), "You took a standard deviation for a variance."),
        ],
        rtol=1e-2,
    )


@exercise(
    "11-gap",
    hint="What is the precision of the posterior, and which variances does the best encoder "
    "choose? Put both into the divergence of two Gaussians with one mean.",
)
def _gap(answer):
    return first_fault(answer, "answer(loadings, noise_variance)", _gap_cases(), _gap_fault)


def _gap_cases():
    """Yield loadings and noise variances."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        # With two codes the two divergences are equal: a mistake could not be named.
        n_features, latent_dim = 5 + seed, 3 + seed % 2
        yield rng.standard_normal((n_features, latent_dim)), float(rng.uniform(0.3, 0.8))


def _gap_fault(value, W, variance):
    """Say what is wrong with a gap."""
    gram, identity = W.T @ W, np.eye(W.shape[1])

    def hadamard(P):
        return 0.5 * (np.log(np.diagonal(P)).sum() - np.linalg.slogdet(P)[1])

    P = identity + gram / variance
    C = np.linalg.inv(P)
    overlap = np.diagonal(P) @ np.diagonal(C) - len(P)
    marginal = 0.5 * overlap - hadamard(C)
    reverse = 0.5 * overlap - hadamard(P)
    pixels = W @ W.T + variance * np.eye(len(W))
    return diagnose(
        value,
        hadamard(P),
        "The gap",
        [
            (2 * hadamard(P), "The half of the divergence is missing."),
            (-hadamard(P), "That is below zero: which of the two is never below the other?"),
            (hadamard(gram / variance), "The precision lacks the identity: the prior's part."),
            (hadamard(identity + gram), "The precision must know the noise variance."),
            (hadamard(identity + gram / variance**2), "noise_variance is a variance: no square."),
            (hadamard(identity + gram / variance**0.5), "noise_variance is a variance: no root."),
            (hadamard(identity + gram * variance), "Divide by the noise variance."),
            (
                0.5 * np.linalg.slogdet(P)[1],
                "The precision's diagonal is missing: the best encoder has variances of its own.",
            ),
            (
                0.5 * (np.trace(P) - np.linalg.slogdet(P)[1]),
                "Of the diagonal, logarithms are added, not the entries.",
            ),
            (
                marginal,
                "You used the posterior's own variances: the best diagonal q has 1 / Lambda_jj.",
            ),
            (hadamard(C), "The best variances come from the precision's diagonal."),
            (reverse, "That is the other divergence: the encoder's Gaussian stands first."),
            (hadamard(pixels), "That is about the pixels; the gap is about the codes."),
        ],
    )


@exercise(
    "11-cost",
    hint="The divergence is a mean, under the encoder's Gaussian, of the difference of two log "
    "densities. What is that difference at the code that was drawn?",
)
def _cost(answer):
    return first_fault(answer, "answer(z, z_mean, z_log_var, prior)", _cost_cases(), _cost_fault)


def _cost_cases():
    """Yield codes, what they were drawn from, and a mixture."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        n, d = 5 + seed, 2 + seed
        factors = rng.standard_normal((3, d, d))
        prior = Mixture(
            rng.dirichlet(np.ones(3)),
            2.0 * rng.standard_normal((3, d)),
            factors @ factors.transpose(0, 2, 1) + np.eye(d),
        )
        z_mean, z_log_var = rng.standard_normal((2, n, d))
        z = z_mean + np.exp(0.5 * z_log_var) * rng.standard_normal((n, d))
        yield z, z_mean, z_log_var, prior


def _cost_fault(value, z, z_mean, z_log_var, prior):
    """Say what is wrong with the cost of drawn codes."""

    def normal(z, mean, log_var, constant=LOG_2PI):
        return -0.5 * ((z - mean) ** 2 / np.exp(log_var) + log_var + constant).sum(axis=1)

    log_q, log_p = normal(z, z_mean, z_log_var), prior.log_prob(z)
    standard = normal(z, 0.0, np.zeros_like(z))
    exact = 0.5 * (z_mean**2 + np.exp(z_log_var) - 1 - z_log_var).sum(axis=1)
    return diagnose(
        value,
        log_q - log_p,
        "The cost",
        [
            (log_p - log_q, "The difference is turned round: the encoder's log density is first."),
            (exact, "That is the closed form for N(0, I): this prior is a mixture."),
            (log_q - standard, "You measured against N(0, I): ask the prior that is passed in."),
            (normal(z, z_mean, 2 * z_log_var) - log_p, "exp(z_log_var) is a variance, not a std."),
            (normal(z, z_mean, z_log_var / 2) - log_p, "z_log_var is the log of a variance."),
            (normal(z, z_mean, z_log_var, 0.0) - log_p, "The constant log 2 pi is missing."),
            (log_q - prior.log_prob(z_mean), "Ask the prior about the code, not about its mean."),
            (
                normal(z, z_mean, z_log_var) + z_log_var.sum(axis=1) - log_p,
                "The encoder's log density has half of z_log_var subtracted, not added.",
            ),
            (
                log_q / z.shape[1] - log_p,
                "The encoder's log density is a sum over features, not a mean.",
            ),
            (
                np.exp(log_q) * (log_q - log_p),
                "The codes are drawn from q already: weigh nothing by its density.",
            ),
            (
                -0.5 * (z_log_var + 1.0 + LOG_2PI).sum(axis=1) - log_p,
                "That takes the mean of log q, unbiased too: here evaluate both densities at z.",
            ),
            (-log_p, "The encoder's own log density is missing."),
            (log_q, "The prior's log density is missing."),
            (log_q - np.exp(log_p), "You subtracted a density: take its logarithm."),
            (log_q - prior.log_joint(z).max(axis=1), "All components of the prior count."),
            ((log_q - log_p).mean(), "That is the mean over pictures: return one for each."),
        ],
    )


@exercise(
    "11-tighter",
    hint="Which mean is an unbiased estimate of the evidence? Take it before the logarithm, and "
    "in a way that survives densities too small for a float.",
)
def _tighter(answer):
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return first_fault(answer, "answer(log_joint, log_q)", _tighter_cases(), _tighter_fault)


def _tighter_cases():
    """Yield log densities of several draws."""
    # The last pictures are improbable, each to another degree: one shift for all will not do.
    for seed, level in enumerate((-5.0, 0.0, np.array([[-4e3], [-3e3], [-2e3], [-1e3]]))):
        rng = np.random.default_rng(seed)
        log_q = rng.standard_normal((4, 7 + seed)) - 3.0
        yield level + 2.0 * rng.standard_normal(log_q.shape), log_q


def _tighter_fault(value, log_joint, log_q):
    """Say what is wrong with a bound from several draws."""
    log_ratio, n_draws = log_joint - log_q, log_joint.shape[1]
    expected = logsumexp(log_ratio, axis=1) - np.log(n_draws)
    fault = diagnose(
        value,
        expected,
        "The bound",
        [
            (log_ratio.mean(axis=1), "That is the mean of logarithms: the bound we had already."),
            (expected + np.log(n_draws), "That is the sum over draws: a mean was asked for."),
            (logsumexp(log_joint, axis=1) - np.log(n_draws), "Each draw is divided by its q."),
            (
                logsumexp(log_joint + log_q, axis=1) - np.log(n_draws),
                "The log of q is subtracted, since the joint density is divided by q.",
            ),
            (
                logsumexp(log_joint, axis=1) - logsumexp(log_q, axis=1),
                "Each draw is divided by its own q, before the average.",
            ),
            (
                logsumexp(log_ratio, axis=1) / n_draws,
                "The mean divides by the number of draws inside the logarithm.",
            ),
            (log_ratio.max(axis=1), "That is the best draw alone: all of them count."),
            (
                logsumexp(log_ratio, axis=0) - np.log(len(log_ratio)),
                "Draws of one picture stand in a row: average along it.",
            ),
            (np.exp(expected), "That is the estimate itself: take its logarithm."),
            (expected.mean(), "That is the mean over pictures: return one for each."),
            (logsumexp(log_ratio) - np.log(log_ratio.size), "Average draws, not pictures."),
        ],
    )
    if fault is not None and log_joint.mean() < -1000 and np.shape(value) == expected.shape:
        if np.isneginf(np.asarray(value, dtype=float)).any():
            return "Tiny densities underflow: pull the largest term of each row out first."
    return fault
