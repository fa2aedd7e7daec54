"""Chapter 5: know when EM goes wrong."""

from itertools import product

import numpy as np

from gmmlearn.exercises import call, diagnose, exercise, function_fault


@exercise(
    "05-shrink",
    hint="A correlation is a covariance divided by two standard deviations. In which rows does a "
    "product of two deviations survive the filling, and in which does a square?",
)
def shrink(answer):
    """Factor of a correlation after mean filling with 60 % and 90 % seen."""
    seen = 0.6 * 0.9
    mistakes = [
        (seen, "That is the factor of the covariance; the standard deviations shrink, too."),
        (1.0, "Covariance and variances do not shrink alike: which rows count for each?"),
        (1 / np.sqrt(seen), "Mean filling cannot make features more alike: turn the ratio over."),
        (np.sqrt(0.4 * 0.1), "Those are the shares of holes; use the shares that are seen."),
        (0.4 * 0.1, "Those are the shares of holes; use the shares that are seen."),
        (seen**2, "That is too far down: divide the covariance by both standard deviations."),
        *(
            (one**power, "Both features have holes: the shares of both enter.")
            for one in (0.6, 0.9)
            for power in (1.0, 0.5)
        ),
        (1 - 0.4 - 0.1, "Holes fall independently of one another: shares multiply."),
        (0.5 * (0.6 + 0.9), "Do not average the shares: a product needs both entries."),
    ]
    return diagnose(answer, np.sqrt(seen), "the factor", mistakes, rtol=1e-2)


@exercise(
    "05-weights",
    hint="Collect everything that stands before the logarithm of one weight: the count and the "
    "prior make one number together. Chapter 3 has maximised such a sum already.",
)
def weights(answer):
    """MAP mixing weights under a symmetric Dirichlet prior."""
    fault = function_fault(answer, "map_weights(counts, a)")
    if fault is not None:
        return fault
    for seed, (n_components, a) in enumerate([(3, 2.5), (2, 1.3), (5, 7.0), (4, 1.0)]):
        counts = np.random.default_rng(seed).uniform(0.0, 50.0, n_components)
        value, fault = call(answer, counts, a)
        if fault is not None:
            return fault
        raised = counts + a - 1.0
        posterior_mean = (counts + a) / (counts + a).sum()
        mistakes = [
            (posterior_mean, "That is the posterior mean; the maximum has a - 1 for a."),
            (raised, "These do not sum to one: divide by their total."),
            (raised / counts.sum(), "These do not sum to one: the imaginary points count in N."),
            (counts / counts.sum(), "The prior is missing."),
            ((counts + a - 1.0) / (counts.sum() + a - 1.0), "Each of K components gets imaginary "
             "points: the total grows by K times as much."),
        ]  # fmt: skip
        imagined = n_components * a
        mistakes += [
            (raised / (counts.sum() + imagined), "Numerator and total disagree: both have a - 1."),
            ((counts + a) / (counts + a - 1).sum(), "Numerator and total disagree: both have "
             "a - 1."),
            ((counts - a + 1) / (counts - a + 1).sum(), "The imaginary points are taken away, not "
             "added: mind the sign."),
        ]  # fmt: skip
        fault = diagnose(value, raised / raised.sum(), "the array of weights", mistakes)
        if fault is not None:
            return fault
    return None


@exercise(
    "05-count",
    hint="Count weights, means and covariance one after the other. In each, ask which numbers "
    "follow from the others, and how many copies of it there are.",
)
def count(answer):
    """Free parameters of a mixture with one covariance for all components."""
    fault = function_fault(answer, "n_parameters(K, D)")
    if fault is not None:
        return fault
    K, D = np.array([(3, 4), (5, 2), (2, 7), (1, 3)]).T
    values = [call(answer, *map(int, case)) for case in zip(K, D, strict=True)]
    fault = next((fault for _, fault in values if fault is not None), None)
    if fault is not None:
        return fault
    values = [np.squeeze(value) for value, _ in values]
    symmetric = "The covariance is symmetric: entries below the diagonal are not free."
    # Each part as it should be, and as people have it; several may be wrong at once.
    weights = [
        (K - 1, None),
        (K, "The last weight follows from the others: they sum to one."),
        (0 * K, "You left out the weights."),
    ]
    means = [
        (K * D, None),
        (D, "Each component has its own mean."),
        (0 * D, "Where are the means?"),
    ]
    one = [
        (D * (D + 1) // 2, None),
        (D * D, symmetric),
        (D, "That is one variance for each feature; the matrix is full."),
        (D * (D - 1) // 2, "The diagonal of the covariance is free, too."),
        (0 * D, "Where is the covariance?"),
    ]
    shared = "That is one covariance for each component; here all share one."
    covariances = one + [(K * entries, shared) for entries, _ in one[:4]]
    mistakes = []
    for parts in product(weights, means, covariances):
        remarks = [remark for _, remark in parts if remark]
        mistakes.append((len(remarks), sum(number for number, _ in parts), *remarks[:1]))
    mistakes.sort(key=lambda mistake: mistake[0])  # one fault explains more than two do
    right = mistakes[0][1]
    return diagnose(values, right, "the list of four counts", [m[1:] for m in mistakes[1:]])


@exercise(
    "05-moment",
    hint="The expectation of a product is the product of the expectations plus a covariance. "
    "What does each entry of x - mean become on average, and which entries still have a "
    "covariance once x_o is known?",
)
def moment(answer):
    """Expected outer product of an incomplete row about a mean, given what is seen."""
    fault = function_fault(answer, "second_moment(x, mean, covariance)")
    if fault is not None:
        return fault
    for seed, (n_features, gone) in enumerate([(4, [1, 2]), (3, [0]), (5, [4, 0, 2]), (3, [])]):
        rng = np.random.default_rng(seed)
        root = rng.standard_normal((n_features, n_features + 2))
        covariance, mean = root @ root.T, rng.standard_normal(n_features)
        x = rng.standard_normal(n_features)
        x[gone] = np.nan
        value, fault = call(answer, x, mean, covariance)
        if fault is not None:
            return fault
        fault = _judge_moment(value, x, mean, covariance)
        if fault is not None:
            return fault
    return None


def _judge_moment(value, x, mean, covariance):
    """Return None if `value` is the expected outer product, or what is wrong with it."""
    gone = np.isnan(x)
    # Independent of the block formulas: the precision matrix of the whole row.
    precision = np.linalg.inv(covariance)
    residual = np.linalg.inv(precision[np.ix_(gone, gone)])
    offset = np.where(gone, 0.0, x - mean)
    filled_by_mean = np.outer(offset, offset)
    offset[gone] = -residual @ precision[np.ix_(gone, ~gone)] @ offset[~gone]
    outer = np.outer(offset, offset)

    def added(moment, block):
        moment = moment.copy()
        moment[np.ix_(gone, gone)] += block
        return moment

    marginal = covariance[np.ix_(gone, gone)]
    expected_row = np.where(gone, mean + offset, x)
    mistakes = [
        (outer, "The correction is missing: the holes have spread of their own."),
        (added(outer, marginal), "Your correction is the covariance of the missing entries before "
         "anything is seen: use the conditional one."),
        (added(filled_by_mean, residual), "You filled the holes with the mean; what is seen moves "
         "them."),
        (added(filled_by_mean, marginal), "You filled the holes as if nothing were seen: condition "
         "on the seen entries."),
        (filled_by_mean, "That is mean filling: neither moved nor corrected."),
        (added(outer, -residual), "The correction adds spread: its sign is turned round."),
        (added(np.outer(expected_row, expected_row), residual), "That is the moment about the "
         "origin: subtract the mean first."),
        (added(outer, residual) + np.outer(mean, mean), "That is the moment about the origin: "
         "subtract the mean first."),
        (added(np.zeros_like(outer), residual), "That is the correction alone; the outer product "
         "of the expected offsets is missing."),
    ]  # fmt: skip
    return diagnose(value, added(outer, residual), "the second moment", mistakes)
