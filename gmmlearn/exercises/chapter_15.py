"""Checkers for the exercises of chapter 15."""

import numpy as np

from gmmlearn.exercises import diagnose, exercise, first_fault
from gmmlearn.mixture import Mixture


@exercise(
    "15-told",
    hint="The bound has two terms: what the component is worth before a picture is seen, and what "
    "remains unknown afterwards. Bring both to the same unit before you subtract.",
)
def _told(answer):
    n_components, chance = 20, 0.6
    nats = np.log(n_components) + np.log(chance)
    return diagnose(
        answer,
        nats / np.log(2),
        "The information",
        [
            (nats, "That is in nats: bits were asked for."),
            (np.log2(n_components), "That is all there is to know: some of it stays unknown."),
            (np.log(n_components), "That is all there is to know, and in nats."),
            (-np.log2(chance), "That is what stays unknown: what is told is the rest."),
            (-np.log(chance), "That is what stays unknown, and in nats."),
            (
                np.log2(n_components) - np.log2(chance),
                "The logarithm of a probability is negative: the bound lies below the entropy.",
            ),
            (
                np.log2(n_components) + np.log(chance),
                "The entropy is in bits there, the loss in nats: convert both.",
            ),
            (chance * np.log2(n_components), "A share of the entropy is not what the bound says."),
            (np.log2(n_components) - chance, "Subtract the mean loss, not the probability."),
            (n_components * chance, "That is the number of components told apart: how many bits?"),
            (nats * np.log(2), "From nats to bits one divides by log 2."),
        ],
        rtol=0.02,  # two digits will do
    )


@exercise(
    "15-drift",
    hint="Set the sum of two gradients to zero. Chapter 3 has the anchor's gradient by the mean; "
    "the mean over all codes leaves the component's share in it.",
)
def _drift(answer):
    return first_fault(
        answer, "answer(codes, resp, covariance, slope, anchor)", _drift_cases(), _drift_fault
    )


def _drift_cases():
    """Yield the arguments of each call."""
    for seed, anchor in ((0, 0.5), (1, 2.0), (2, 7.0)):
        rng, d = np.random.default_rng(seed), 2 + seed
        codes, root = rng.normal(size=(12 + seed, d)) + 3, rng.normal(size=(d, d))
        resp, slope = rng.uniform(0.05, 1, len(codes)), rng.normal(size=d)
        yield codes, resp, root @ root.T / 4 + np.eye(d) / 2, slope, anchor


def _drift_fault(value, codes, resp, covariance, slope, anchor):
    """Say what is wrong with the place where a mean comes to rest."""
    mean, share, count = resp @ codes / resp.sum(), resp.mean(), resp.sum()
    pull = covariance @ slope
    whitened = np.linalg.solve(covariance, slope)
    return diagnose(
        value,
        mean - pull / (anchor * share),
        "The mean",
        [
            (mean, "That is where EM puts it: the game pulls it away from there."),
            (mean + pull / (anchor * share), "Losses are descended: it drifts against the slope."),
            (mean - pull / anchor, "A component feels the anchor by its share of the codes only."),
            (
                mean - pull / (anchor * count),
                "The anchor is a mean over codes: a share belongs there, not a count.",
            ),
            (
                mean - whitened / (anchor * share),
                "You multiplied by the precision: a wide component drifts further, not less.",
            ),
            (
                mean - slope / (anchor * share),
                "The covariance is missing: how far it drifts depends on the direction.",
            ),
            (
                mean - anchor * pull / share,
                "With a stronger anchor it drifts further in your answer.",
            ),
            (mean - pull / share, "The anchor's weight is missing."),
            (
                mean - pull * share / anchor,
                "A heavier component drifts further in your answer: divide by the share.",
            ),
            (
                codes.mean(axis=0) - pull / (anchor * share),
                "It starts from the mean of all codes there: weigh them by responsibilities.",
            ),
            (-pull / (anchor * share), "That is the drift alone: where does the mean end?"),
        ],
    )


@exercise(
    "15-keep",
    hint="The loss is minus the logarithm of one responsibility. Compute it from log joint "
    "densities, as chapter 2 does, and leave the exponential to the end.",
)
def _keep(answer):
    return first_fault(answer, "answer(mixture, codes, labels)", _keep_cases(), _keep_fault)


def _keep_cases():
    """Yield the arguments of each call; the last codes are far from everything."""
    for seed, far in ((0, 0.0), (1, 0.0), (2, 300.0)):
        rng = np.random.default_rng(seed)
        widths = np.array([1.0, 2.0, 0.5])[:, None, None]
        mixture = Mixture([0.6, 0.3, 0.1], rng.normal(size=(3, 2)), widths * np.eye(2))
        codes = rng.normal(size=(7 + seed, 2)) + far
        yield mixture, codes, rng.integers(3, size=len(codes))


def _keep_fault(value, mixture, codes, labels):
    """Say what is wrong with the losses."""
    rows = np.arange(len(codes))
    log_joint, log_prob = mixture.log_joint(codes), mixture.log_prob(codes)
    right = log_prob - log_joint[rows, labels]
    if log_prob.max() < -700:
        numbers = np.asarray(getattr(value, "detach", lambda: value)())
        if numbers.dtype.kind == "f" and numbers.shape == right.shape:
            if not np.isfinite(numbers).all():
                return "Far from all components it is no number: stay with logarithms to the end."
    log_densities = log_joint - np.log(mixture.weights)
    unweighted = np.logaddexp.reduce(log_densities, axis=1) - log_densities[rows, labels]
    return diagnose(
        value,
        right,
        "The loss",
        [
            (-right, "That is the logarithm itself: a loss is low where the guess is good."),
            (np.exp(-right), "That is the probability: take minus its logarithm."),
            (1 - np.exp(-right), "That is the chance of a wrong guess: take a logarithm."),
            (-log_joint[rows, labels], "Divide by the density of the code: guesses sum to one."),
            (-log_densities[rows, labels], "That asks how likely the code is, not whose it is."),
            (unweighted, "The mixing weights belong into the guess."),
            (-log_prob, "That is keep_density: the labels have no say in it."),
            (
                log_prob - log_joint.max(axis=1),
                "You took the likeliest component: the one that was drawn counts.",
            ),
            (right.mean(), "One loss for each picture, not their mean."),
            (right.sum(), "One loss for each picture, not their sum."),
        ],
    )


@exercise(
    "15-cool",
    hint="A new mixture has three parts. Which of them says how wide a component is? Samples' "
    "distances from their mean then shrink by the root of the temperature.",
)
def _cool(answer):
    return first_fault(answer, "answer(mixture, temperature)", _cool_cases(), _cool_fault)


def _cool_cases():
    """Yield the arguments of each call."""
    for seed, temperature in ((0, 0.5), (1, 0.8), (2, 2.0)):
        rng, d = np.random.default_rng(seed), 2 + seed
        roots, means = rng.normal(size=(3, d, d)), 3 * rng.normal(size=(3, d))
        yield Mixture([0.5, 0.3, 0.2], means, roots @ roots.mT + np.eye(d)), temperature


def _cool_fault(value, warm, temperature):
    """Say what is wrong with a cooled mixture."""
    if not isinstance(value, Mixture):
        return f"Return a Mixture, not {type(value).__name__}."
    if not np.allclose(value.weights, warm.weights):
        return "The mixing weights have changed: only the width of components should."
    if not np.allclose(value.means, warm.means):
        return "The means have moved: the components stay where they are."
    right = temperature * warm.covariances
    return diagnose(
        value.covariances,
        right,
        "The stack of covariances",
        [
            (warm.covariances, "The covariances are as before."),
            (
                temperature**2 * warm.covariances,
                "You multiplied the standard deviations: the temperature belongs to covariances.",
            ),
            (
                np.sqrt(temperature) * warm.covariances,
                "You took the root of the temperature: standard deviations shrink by it.",
            ),
            (
                warm.covariances / temperature,
                "They are divided by the temperature: cooler means narrower.",
            ),
            (
                warm.covariances + (temperature - 1) * warm.covariances * np.eye(warm.n_features),
                "Only the variances have changed: covariances between features shrink as well.",
            ),
        ],
    )
