"""Checkers for the exercises of chapter 12."""

import numpy as np

from gmmlearn.exercises import diagnose, exercise, first_fault


@exercise(
    "12-use",
    hint="The exponent is the entropy of the shares, less what a picture leaves open on average. "
    "Which share of the pictures leaves open one of two?",
)
def _use(answer):
    shares, open_ = np.log(9.0), 4.0 / 9.0 * np.log(2.0)
    expected = np.exp(shares - open_)
    return diagnose(
        answer,
        expected,
        "The number in use",
        [
            (9.0, "That counts the living: merged components do not do different work."),
            (7.0, "That counts groups of pictures; but the groups have unequal shares."),
            (5.0, "That counts only components of their own: a merged pair still does one's work."),
            (10.0, "That is K: which component never gets a picture?"),
            (shares - open_, "That is the information in nats: in_use is its exponential."),
            (2.0 ** (shares - open_), "You mix units: e to the nats, or 2 to the bits."),
            (shares, "That is the entropy of the shares alone, and in nats."),
            (np.exp(shares + open_), "What a picture leaves open is to be subtracted."),
            (9.0 / 2.0, "Only pictures of merged pairs are undecided, not all: take the mean."),
            (10.0 * 2.0**-0.4, "The dead component has no share: nine share the pictures."),
        ],
        rtol=0.005,
    )


def _softmax(logits):
    shifted = np.exp(logits - logits.max())
    return shifted / shifted.sum()


@exercise(
    "12-logits",
    hint="Differentiate log sum_k pi_k N_k: responsibilities come out of the chain rule. What is "
    "the derivative of log pi_k with respect to a_j, for k = j and for k different from j?",
)
def _logits(answer):
    return first_fault(answer, "answer(logits, component_log_prob)", _logits_cases(), _logits_fault)


def _logits_cases():
    """Yield logits and component log densities."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        n_samples, n_components = 5 + 2 * seed, 2 + seed
        logits = rng.normal(size=n_components) + 2.0  # softmax does not care, exp alone would
        yield logits, 2.0 * rng.normal(size=(n_samples, n_components)) - 3.0


def _logits_fault(value, logits, component):
    """Say what is wrong with a gradient of the mean log density."""

    def height(a):
        joint = component + np.log(_softmax(a))
        return np.logaddexp.reduce(joint, axis=1).mean()

    # Independent of the formula taught: central differences.
    steps = 1e-5 * np.eye(len(logits))
    expected = np.array([(height(logits + e) - height(logits - e)) / 2e-5 for e in steps])
    weights = _softmax(logits)
    joint = component + np.log(weights)
    resp = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
    blind = np.exp(component - np.logaddexp.reduce(component, axis=1)[:, None])
    mean = resp.mean(axis=0)
    mistakes = [
        (mean, "That is EM's next weight: the gradient is zero where it equals the weight."),
        (mean / weights, "That is the derivative by the weights, as if they were free: they are a "
         "softmax of the logits."),
        (mean / weights - 1.0, "That is the derivative by weights kept to a sum of one; the "
         "logits' differs by a factor."),
        (-expected, "The sign is wrong: a component that is asked more than its weight must rise."),
        (len(component) * expected, "That is the sum over points, not their mean."),
        (mean * (1.0 - weights), "When one logit rises, the other weights fall: their terms are "
         "missing."),
        (resp.sum(axis=0) - weights, "You added responsibilities up: take their mean over points."),
        (mean - logits, "Subtract the weights that belong to the logits, not the logits."),
        (blind.mean(axis=0) - weights, "Your responsibilities leave out the weights."),
        (mean - np.exp(logits), "The weights are a softmax of the logits, not their exponential."),
        (resp - weights, "That is one row a point: take their mean."),
    ]  # fmt: skip
    return diagnose(value, expected, "The gradient", mistakes, rtol=1e-5)


@exercise(
    "12-score",
    hint="The derivative of log pi_k is a row: 1 at k, less all weights. Multiply it by the "
    "value less the mean of the other values, and average over the draws.",
)
def _score(answer):
    return first_fault(answer, "answer(values, labels, weights)", _score_cases(), _score_fault)


def _score_cases():
    """Yield values of draws, their components, and weights."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        n_samples, n_components = 5 + 2 * seed, 3 + seed
        values = rng.normal(size=n_samples) + 3.0
        labels = rng.integers(n_components, size=n_samples)
        yield values, labels, rng.dirichlet(np.full(n_components, 3.0))


def _score_fault(value, values, labels, weights):
    """Say what is wrong with a score term of the logits."""
    n_samples, chosen = len(values), np.eye(len(weights))[labels]
    score = chosen - weights
    others = np.array([np.delete(values, n).mean() for n in range(n_samples)])
    expected = (values - others) @ score / n_samples
    own = (values - values.mean()) @ score / n_samples
    mistakes = [
        (values @ score / n_samples, "It is not centred: subtract the mean of the other values."),
        (own, "Your baseline contains the sample's own value, which makes it biased: leave it "
         "out."),
        ((values - others) @ (chosen / weights) / n_samples, "That is the derivative by the "
         "weights themselves: a logit moves all of them."),
        (-expected, "The sign is wrong: the gradient points to larger values."),
        (expected * n_samples, "That is the sum over draws, not their mean."),
        ((values - others * (n_samples - 1) / n_samples) @ score / n_samples, "The others are one "
         "fewer than all: divide their sum by n - 1."),
        ((values + others) @ score / n_samples, "Subtract the baseline, do not add it."),
        (others @ score / n_samples, "You multiplied by the baseline alone."),
        ((values - others)[:, None] * score, "That is one row a draw: take their mean."),
        (values @ score / n_samples - others @ chosen / n_samples, "The baseline multiplies the "
         "whole derivative of log pi_k, the weights included."),
    ]  # fmt: skip
    return diagnose(value, expected, "The gradient", mistakes)


@exercise(
    "12-assign",
    hint="With diagonal covariances D_k is a sum over features. It has the form (log of a ratio "
    "of variances + variance ratio + squared distance over a variance - 1) / 2.",
)
def _assign(answer):
    return first_fault(
        answer,
        "answer(z_mean, z_log_var, weights, means, variances)",
        _assign_cases(),
        _assign_fault,
    )


def _assign_cases():
    """Yield encoders' Gaussians and diagonal mixtures."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        n, k, d = 4 + 2 * seed, 3 + seed, 2 + seed
        yield (
            rng.normal(size=(n, d)),
            rng.normal(size=(n, d)) - 0.5,
            rng.dirichlet(np.full(k, 2.0)),
            rng.normal(size=(k, d)),
            rng.uniform(0.3, 2.0, size=(k, d)),
        )


def _assign_fault(value, z_mean, z_log_var, weights, means, variances):
    """Say what is wrong with the best q(component | x)."""
    mean, var = z_mean[:, None], np.exp(z_log_var)[:, None]  # (N, 1, d)
    squared = (mean - means) ** 2

    def normalised(log_terms):
        return np.exp(log_terms - np.logaddexp.reduce(log_terms, axis=1)[:, None])

    def divergence(var, variances=variances):
        terms = np.log(variances / var) + (var + squared) / variances - 1.0
        return 0.5 * terms.sum(axis=2)

    log_weights, right = np.log(weights), divergence(var)
    reverse = 0.5 * (np.log(var / variances) + (variances + squared) / var - 1.0).sum(axis=2)
    at_mean = -0.5 * (np.log(variances) + squared / variances).sum(axis=2)
    log_terms = log_weights - right
    distances = -0.5 * (squared / variances).sum(axis=2)
    not_stds = "The components' variances are variances: take neither root nor square."
    mistakes = [
        (normalised(-right), "The weights are missing."),
        (normalised(weights - right), "You added the weights themselves: add their logarithms."),
        (normalised(log_weights - divergence(var, variances**2)), not_stds),
        (normalised(log_weights - divergence(var, np.sqrt(variances))), not_stds),
        (normalised(log_weights + at_mean), "Those are the responsibilities of the mean code: its "
         "variance counts too."),
        (normalised(log_weights - reverse), "The divergence is the wrong way round: it is q's from "
         "the component."),
        (normalised(log_weights + right), "The sign is wrong: a large divergence makes a component "
         "unlikely."),
        (normalised(log_weights - divergence(z_log_var[:, None] ** 2)), "z_log_var holds "
         "logarithms: take their exponential."),
        (normalised(log_weights - divergence(np.sqrt(var))), "You used standard deviations: "
         "exp(z_log_var) is the variance."),
        (normalised(log_weights - 2.0 * right), "The divergence is twice too large: where does the "
         "factor one half stand?"),
        (normalised(log_weights - right / z_mean.shape[1]), "Sum over features, do not average."),
        (normalised(log_weights + distances), "The log variances are missing: a wide component is "
         "less dense."),
        (np.exp(log_terms), "Normalise: each row must sum to one."),
        (log_terms, "Those are logarithms, and not normalised."),
        (np.log(normalised(log_terms)), "Those are logarithms: return probabilities."),
    ]  # fmt: skip
    # The logarithm of a negative "variance" is no number; such mistakes are found by other remarks.
    mistakes = [(wrong, remark) for wrong, remark in mistakes if np.isfinite(wrong).all()]
    return diagnose(value, normalised(log_terms), "The matrix", mistakes)
