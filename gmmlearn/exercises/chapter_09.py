"""Checkers of chapter 9: words and pictures under one component."""

import numpy as np

from gmmlearn.exercises import call, diagnose, exercise, first_fault, function_fault


@exercise(
    "09-two-words",
    hint="Within a component the words are independent: how probable are both together there? "
    "Then apply Bayes' rule with the weights.",
)
def _two_words(answer):
    mistakes = [
        (0.8, "That is the table's entry for spring: evening counts too, and Bayes' rule."),
        (1 / 7, "You used the evening alone: spring was asked for as well."),
        (
            0.04,
            "That is joint with the words: divide by that of the words.",
        ),
        (2 / 3, "Those are the odds of the first against the second."),
        (1.5, "Those are the odds of the second against the first."),
        (0.08, "That is the product of the tables' entries: divide by the sum over components."),
        (0.6, "That is the second component's probability."),
        (0.9 / 1.7, "You added probabilities of words that must both be true: multiply them."),
        (0.45, "You averaged over words that must both be true: multiply them."),
        (
            (0.8 + 1 / 7) / 2,
            "You averaged the answers to each word: multiply the words' probabilities first.",
        ),
        (0.5, "The words say something: the weights alone are the answer before they are asked."),
    ]
    return diagnose(answer, 0.4, "The probability", mistakes, rtol=0.01)


@exercise(
    "09-table",
    hint="Turn the levels into one-hot rows. Which row should a picture of unknown level get, so "
    "that it counts nowhere, and what must each row of the table sum to?",
)
def _table(answer):
    return first_fault(answer, "table(resp, levels, n_levels, alpha)", _table_cases(), _table_fault)


def _table_cases():
    """Yield responsibilities, levels with gaps, their number, and a pseudocount."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        n_levels, alpha = 3 + seed % 2, (0.5, 0.1, 2.0, 0.3)[seed]
        resp = rng.dirichlet(np.ones(2 + seed), size=30)
        levels = rng.integers(-1, n_levels - (seed == 2), size=30)
        yield resp, levels, n_levels, alpha


def _table_fault(value, resp, levels, n_levels, alpha):
    """Say what is wrong with a table."""
    counts = np.stack([resp[levels == level].sum(axis=0) for level in range(n_levels)], axis=1)
    seen = counts.sum(axis=1, keepdims=True)
    one = np.eye(resp.shape[1])[resp.argmax(axis=1)]
    hard = np.stack([one[levels == level].sum(axis=0) for level in range(n_levels)], axis=1)
    n_k = resp.sum(axis=0)[:, None]
    expected = (counts + alpha) / (seen + alpha * n_levels)
    wrapped = counts.copy()
    wrapped[:, -1] += resp[levels == -1].sum(axis=0)
    mistakes = [
        (expected.T, "Rows and columns are swapped: one row for each component."),
        (
            (counts + alpha) / (seen + alpha),
            "Each level has alpha: add L alpha below.",
        ),
        (counts / seen, "You left out the imaginary pictures."),
        ((counts + alpha) / seen, "The imaginary pictures are missing from the denominator."),
        (
            (counts + alpha) / (n_k + alpha * n_levels),
            "Pictures without a level still count in your denominator.",
        ),
        (
            (wrapped + alpha) / (n_k + alpha * n_levels),
            "An index of -1 means the last level in NumPy: leave such pictures out.",
        ),
        (
            (counts + alpha) / (n_k + alpha),
            "Below, count the level's pictures and as many imaginary ones as above.",
        ),
        (counts / seen + alpha, "Add the imaginary pictures to the counts, then divide."),
        (
            (hard + alpha) / (hard + alpha).sum(axis=1, keepdims=True),
            "You gave each picture to its likeliest component: count responsibilities.",
        ),
        (
            (counts + alpha / n_levels) / (seen + alpha),
            "Each level has alpha imaginary pictures, not a share of them.",
        ),
        (
            (counts + alpha - 1) / (counts + alpha - 1).sum(axis=1, keepdims=True),
            "Here alpha is the number of imaginary pictures itself: subtract nothing.",
        ),
        (counts + alpha, "Those are counts: each row must be divided by its sum."),
        ((counts + alpha) / len(resp), "You divided by N: each row must sum to one."),
        (
            (counts + alpha) / (counts + alpha).sum(axis=0),
            "Your columns sum to one: normalise over levels, not over components.",
        ),
    ]
    return diagnose(value, expected, "The table", mistakes)


@exercise(
    "09-but",
    hint="How probable is it, within one component, that the attribute has any other level? From "
    "there it is Bayes' rule as always.",
)
def _but(answer):
    fault = function_fault(answer, "but(weights, table, level)")
    if fault is not None:
        return fault
    for seed in range(3):
        rng = np.random.default_rng(seed)
        weights, table = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(4), size=5)
        value, fault = call(answer, weights, table, seed)
        if fault:
            return fault
        rest = weights * (1 - table[:, seed])
        wanted = weights * table[:, seed]
        product = weights * np.delete(table, seed, axis=1).prod(axis=1)
        exclude = "Levels exclude each other: add their probabilities."
        mistakes = [
            (product / product.sum(), exclude),
            (product, exclude),
            (wanted / wanted.sum(), "Those are the weights of the level that is not wanted."),
            (rest, "Divide by the sum: weights given something sum to one."),
            (
                (1 - table[:, seed]) / (1 - table[:, seed]).sum(),
                "You left out the weights that the components had before.",
            ),
            (
                1 - wanted / wanted.sum(),
                "One minus the weights for the level is no distribution over components.",
            ),
            (
                (1 - wanted / wanted.sum()) / 4,
                "Not wanting a level is not the complement over components: use 1 - t.",
            ),
        ]
        fault = diagnose(value, rest / rest.sum(), "The array of weights", mistakes)
        if fault:
            return fault
    return None


@exercise(
    "09-draw",
    hint="First turn the responsibilities into shares; they make the mean. The covariance of the "
    "draw must hold each share once: what then stands before each deviation?",
)
def _draw(answer):
    fault = function_fault(answer, "draw(X, r, epsilon)")
    if fault is not None:
        return fault
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, r, epsilon = rng.normal(size=(7, 3)) + 2, rng.uniform(size=7), rng.normal(size=7)
        value, fault = call(answer, X, r, epsilon)
        if fault:
            return fault
        again, _ = call(answer, X, r, epsilon)
        if isinstance(again, np.ndarray) and not np.array_equal(value, again):
            return "Two calls differ: use the numbers epsilon, not your own random ones."
        if np.shape(value) == (1, X.shape[1]):
            value = np.ravel(value)
        shares = r / r.sum()
        mean = shares @ X
        expected = mean + (np.sqrt(shares) * epsilon) @ (X - mean)
        by_all = r @ X / len(X)
        mistakes = [
            (
                by_all + (np.sqrt(shares) * epsilon) @ (X - by_all),
                "The mean divides by the sum of the responsibilities, not by N.",
            ),
            (
                mean + np.sqrt(shares @ (X - mean) ** 2) * epsilon[:3],
                "That draws the features independently: combine whole pictures instead.",
            ),
            (
                mean + (shares * epsilon) @ (X - mean),
                "Deviations need the roots of the shares.",
            ),
            (expected - mean, "The mean is missing."),
            (mean + (np.sqrt(shares) * epsilon) @ X, "Take the mean away first."),
            (
                mean + (np.sqrt(r) * epsilon) @ (X - mean),
                "Divide the responsibilities by N_k, their sum.",
            ),
            (
                mean + (np.sqrt(r / len(X)) * epsilon) @ (X - mean),
                "Divide the responsibilities by N_k, their sum, not by N.",
            ),
            (
                mean + epsilon @ (X - mean) / np.sqrt(7),
                "Every picture has the same share in yours: use r.",
            ),
            (
                X.mean(axis=0) + (np.sqrt(shares) * epsilon) @ (X - X.mean(axis=0)),
                "The mean of a component weighs pictures by r.",
            ),
        ]
        fault = diagnose(value, expected, "The draw", mistakes)
        if fault:
            return fault
    return None
