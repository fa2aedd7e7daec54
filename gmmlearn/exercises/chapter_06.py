"""Chapter 6: find the speed limit of EM."""

import numpy as np

from gmmlearn.exercises import call, diagnose, exercise, function_fault, mismatch

EARLIER = "That product runs over earlier steps; they cannot touch a batch that is yet to come."


@exercise(
    "06-count",
    hint="The features are the distinct products x_i x_j, the x_i, and a constant. For diagonal "
    "covariances, which products drop out? For the work, ask what one row of (N, P) times "
    "(P, K) takes.",
)
def count(answer):
    """Features of full and of diagonal covariances, and multiply-adds of both products."""
    give = "Give three numbers: (P full, P diagonal, multiply-adds per point)."
    try:
        if np.shape(answer) != (3,):
            return give
        full, diagonal, work = (float(number) for number in answer)
    except (TypeError, ValueError):
        return give
    if full != 2145:
        if full in (4096, 4160, 4161):
            return "P full: x_i x_j and x_j x_i are one feature, not two."
        if full in (2080, 2144, 2081, 2016, 2017):
            return "P full: there are squares and pairs, linear features, and the constant."
        return "P full is wrong: insert D in the formula at the beginning of the chapter."
    if diagonal != 129:
        if diagonal in (64, 65, 128):
            return "P diagonal: only the pairs with i != j go; what stays besides the squares?"
        if diagonal == 2145:
            return "P diagonal: features whose parameter is zero for every component can go."
        return "P diagonal is wrong: which entries of a diagonal precision are not zero?"
    if work == 2145 * 32:
        return "Multiply-adds: that is one product; an iteration makes two."
    if work == 4 * 2145 * 32:
        return "Multiply-adds: one multiplication with its addition counts once."
    if work == 2 * 2145:
        return "Multiply-adds: that is for one component; there are K."
    return None if work == 2 * 2145 * 32 else "The number of multiply-adds is wrong."


@exercise(
    "06-back",
    hint="Expand the log joint and compare powers of x: that of x^2 knows the variance alone, "
    "that of x also the mean, and only the constant knows the weight.",
)
def back(answer):
    """Weight, mean and variance from natural parameters in one dimension."""
    fault = function_fault(answer, "back(a, h, c)")
    if fault is not None:
        return fault
    rng = np.random.default_rng(0)
    for _ in range(5):
        weight, mean, variance = rng.uniform(0.1, 0.9), rng.normal(), rng.uniform(0.3, 3.0)
        # Independent of the formula: the parabola through three values of the log joint.
        x = np.array([-1.0, 0.0, 1.0])
        log_joint = np.log(weight * np.exp(-0.5 * (x - mean) ** 2 / variance))
        log_joint = log_joint - 0.5 * np.log(2 * np.pi * variance)
        with np.errstate(all="ignore"):  # a negative variance is remarked on below
            value, fault = call(answer, *np.polyfit(x, log_joint, 2))
        if fault is not None:
            return fault
        try:
            given = [float(np.squeeze(number)) for number in value]
        except (TypeError, ValueError):
            return "back should return three numbers: (weight, mean, variance)."
        right = (weight, mean, variance)
        if "another order" in (mismatch(given, right, "it") or ""):
            return "Right numbers in another order: (weight, mean, variance)."
        if len(given) != 3:
            return "back should return three numbers: (weight, mean, variance)."
        fault = _compare_back(given, weight, mean, variance)
        if fault is not None:
            return fault
    return None


def _compare_back(given, weight, mean, variance):
    """Return what is wrong with (weight, mean, variance), or None."""
    std, square = np.sqrt(variance), mean**2 / (2 * variance)
    parts = [
        ("the variance", 2, variance, [
            (2 * variance, "The variance is twice too large: where is the 1/2 of the exponent?"),
            (-variance, "The variance is negative: a is, too."),
            (std, "That is the standard deviation, not the variance."),
            (1 / variance, "That is the precision, not the variance."),
        ]),
        ("the mean", 1, mean, [
            (mean / variance, "That is h itself: it still holds the precision."),
            (-mean, "The mean has the wrong sign."),
            (2 * mean, "The mean is twice too large."),
            (mean / variance**2, "The mean: multiply h by the variance instead of dividing."),
        ]),
        ("the weight", 0, weight, [
            (np.log(weight), "That is the logarithm of the weight."),
            (weight * np.exp(-square) / np.sqrt(2 * np.pi * variance), "That is exp(c): c holds "
             "two more terms besides the logarithm of the weight."),
            (weight * np.exp(-square), "The weight lacks the term with the squared mean."),
            (weight * np.exp(-2 * square), "The squared mean enters the weight with the wrong "
             "sign."),
            (weight / np.sqrt(2 * np.pi), "The weight lacks the 2 pi."),
            (weight * std, "The determinant enters the weight by its root: halve its logarithm."),
            (weight / std, "The weight lacks the determinant, here the variance."),
            (weight / np.sqrt(2 * np.pi * variance), "The weight lacks the factor in front of the "
             "exponential."),
        ]),
    ]  # fmt: skip
    for what, i, expected, mistakes in parts:
        fault = diagnose(given[i], expected, what, mistakes)
        if fault is not None:
            return fault
    return None


@exercise(
    "06-merge",
    hint="About the common mean, a group's spread is its own covariance plus the outer product "
    "of how far its mean lies away: the excess of chapter 4. How far is it, in shares of "
    "the difference of the two means?",
)
def merge(answer):
    """Count, mean and covariance of two sets of points from those of each."""
    fault = function_fault(answer, "merge(one, two)")
    if fault is not None:
        return fault
    for seed, (sizes, offset) in enumerate((((30, 70), 0.0), ((5, 40), 3.0), ((20, 10), 1e8))):
        rng = np.random.default_rng(seed)
        n_features = 2 + seed
        # Multiples of 2^-10: adding the offset rounds nothing.
        points = [
            np.round(1024 * (rng.standard_normal((n, n_features)) + shift)) / 1024
            for n, shift in zip(sizes, (0.0, 2.0), strict=True)
        ]
        together = np.vstack(points)
        one, two = ((len(p), p.mean(axis=0) + offset, np.cov(p.T, ddof=0)) for p in points)
        value, fault = call(answer, one, two)
        if fault is not None:
            return fault
        try:
            count, mean, covariance = tuple(value) if not isinstance(value, dict) else ()
        except (TypeError, ValueError):
            return "merge should return a triple: (count, mean, covariance)."
        fault = _compare_merge((count, mean, covariance), one, two, together, offset, sum(sizes))
        if fault is not None:
            return fault
    return None


def _compare_merge(value, one, two, together, offset, total):
    """Return what is wrong with a merged triple, or None."""
    count, mean, covariance = value
    within = (one[0] * one[2] + two[0] * two[2]) / total
    outer = np.outer(two[1] - one[1], two[1] - one[1])
    between = one[0] * two[0] / total**2 * outer
    fault = diagnose(count, total, "the count", [(total / 2, "Counts add; they are not averaged.")])
    if fault is None:
        plain = (one[1] + two[1]) / 2
        unequal = "The mean: both means weigh the same in yours, whatever the counts."
        fault = diagnose(mean, together.mean(axis=0) + offset, "the mean", [
            (one[1], "The mean is that of the first set alone: is a share rounded down to zero?"),
            (total * together.mean(axis=0), "Divide the sum of both by the count of all points."),
            (plain, unequal), (one[1] + two[1], "Means do not add: weigh them by their counts."),
        ] if not offset else [])  # fmt: skip
    if fault is None:
        fault = diagnose(covariance, np.cov(together.T, ddof=0), "the covariance", [
            (within, "The covariance lacks the spread between the two means."),
            (one[2] + two[2], "Covariances do not add: they are divided by their counts."),
            ((one[2] + two[2]) / 2, "Weigh the covariances by their counts, and add the spread "
             "between the means."),
            ((one[2] + two[2]) / 2 + between, "Weigh the covariances by their counts."),
            (within + total * between, "The spread between the means is divided by the square of "
             "the count: it takes both shares."),
            (within + np.trace(between), "You added a number to all entries: the outer product of "
             "the difference is a matrix."),
            (within + outer, "The spread between the means has the wrong factor."),
            (within + outer / 4, "The spread between the means depends on the counts."),
            (total * (within + between), "That is the scatter: divide by the count."),
            ((within + between) * total / (total - 1), "You divided by the count minus one."),
        ])  # fmt: skip
        if fault is not None and offset and np.shape(covariance) == outer.shape:
            return (
                "Right near the origin, but digits are lost for points near 1e8: square only "
                "differences of means."
            )
    return fault


@exercise(
    "06-forget",
    hint="Follow the second of three batches by hand: with which share does it enter, and what "
    "does the third step do to what is there?",
)
def forget(answer):
    """Shares of the batches in the sums after the last step of stepwise EM."""
    fault = function_fault(answer, "shares(steps)")
    if fault is not None:
        return fault
    for seed, n_steps in enumerate((4, 7, 1, 30)):
        steps = np.random.default_rng(seed).uniform(0.1, 0.8, n_steps)
        steps[0] = 1.0
        value, fault = call(answer, steps)
        if fault is not None:
            return fault
        # Independent of the formula: follow each batch through the recursion.
        expected = np.zeros(n_steps)
        for step, entering in zip(steps, np.eye(n_steps), strict=True):
            expected = (1 - step) * expected + step * entering
        from_own = np.cumprod((1 - steps)[::-1])[::-1]
        up_to_own = np.append(1.0, np.cumprod(1 - steps[1:]))[:n_steps]
        before = np.append(1.0, up_to_own)[:n_steps]
        mistakes = [
            (steps, "Those are the steps: later steps have shrunk what was there."),
            (steps / steps.sum(), "Scaling the steps to sum one is not what the recursion does."),
            (expected[::-1], "The order is turned round: the first batch comes first."),
            (steps * from_own, "The product should begin after the batch's own step."),
            (steps * np.cumprod(1 - steps), "That product begins at the first step, which is one "
             "and leaves nothing: which steps come after a batch?"),
            (steps * before, EARLIER),
            (steps * up_to_own, EARLIER),
            (np.append(from_own[1:], 1.0), "That is what later steps leave of a batch; with which "
             "share did it enter?"),
            (np.full(n_steps, 1 / n_steps), "Equal shares hold for steps 1/j only."),
        ]  # fmt: skip
        fault = diagnose(value, expected, "the array of shares", mistakes)
        if fault is not None:
            return fault
    return None
