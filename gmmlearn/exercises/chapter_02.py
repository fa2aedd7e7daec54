"""Checkers of chapter 2: mixtures."""

from functools import cache

import numpy as np
from scipy.special import logsumexp

from gmmlearn.exercises import call, diagnose, exercise, function_fault, mismatch
from gmmlearn.mixture import Mixture


@exercise(
    "02-narrow-wide",
    hint="A responsibility is the weight times the density of one component, divided by the sum "
    "over both. At the common mean the exponentials are one: what is left of each density?",
)
def _narrow_wide(answer):
    fault = mismatch(answer, [0.75, 0.0], "the list of two responsibilities", rtol=0.01)
    if fault is None or "right value" not in fault:
        return fault
    near, far = np.asarray(answer, dtype=float)
    if np.abs(near - 0.25) < 0.01 and np.abs(far - 1.0) < 0.01:
        return "Both are responsibilities of component 1; component 0's are asked for."
    if np.abs(far - 1.0) < 0.01:
        return "At x = 100 you name the narrow component. Which finds that point less absurd?"
    if np.abs(near - 0.5) < 0.01:
        return "At x = 0 you used the weights alone. The two densities differ in height there."
    if np.abs(near - 0.9) < 0.01:
        return (
            "At x = 0 you compared variances. "
            "The height of a density goes with one over the standard deviation."
        )
    if np.abs(near - 0.25) < 0.01:
        return "At x = 0 that is the responsibility of the wide component, not of component 0."
    if np.abs(near - 0.75) < 0.01:
        return (
            "The value at x = 0 is right, the one at x = 100 is not. "
            "Compare the exponents of both components there."
        )
    return (
        "The value at x = 0 is not right. "
        "Compare the heights of both densities at their common mean, then divide by the sum."
    )


@exercise(
    "02-boundary",
    hint="Where both responsibilities are one half, the log-odds are zero. Put in both densities "
    "and multiply out the squares: what cancels?",
)
def _boundary(answer):
    fault = function_fault(answer, "boundary(weight, a, variance)")
    if fault:
        return fault
    rng = np.random.default_rng(2)
    weights = np.concatenate([rng.uniform(0.05, 0.4, 3), rng.uniform(0.6, 0.95, 3)])
    cases = np.column_stack([weights, rng.uniform(0.5, 3.0, 6), rng.uniform(0.3, 0.9, 6)])
    weight, a, variance = cases.T
    log_odds = np.log(weight) - np.log1p(-weight)
    expected = variance / (2 * a) * log_odds
    values = [call(answer, *map(float, case)) for case in cases]
    fault = next((fault for _, fault in values if fault), None)
    if fault:
        return fault
    given = [_numbers(value) for value, _ in values]
    if any(value is None or value.size != 1 for value in given):
        return "The function should return one number: a point x."
    mistakes = {
        "The sign is wrong: your boundary moves towards the heavier component.": -expected,
        "That is the midpoint of the means. It is right for equal weights only.": 0 * expected,
        "A weight below one half moves the boundary to the other side: mind the sign.": (
            np.abs(expected)
        ),
        "You used the odds of the weights; the logarithm is missing.": (
            variance / (2 * a) * weight / (1 - weight)
        ),
        "You used the standard deviation where the variance belongs.": (
            np.sqrt(variance) / (2 * a) * log_odds
        ),
        "You squared the variance; the argument is s^2 already.": variance**2 / (2 * a) * log_odds,
        "The variance is missing: components with more spread overlap more.": log_odds / (2 * a),
        "You are off by a factor of 2: multiply out (x + a)^2 - (x - a)^2 again.": 2 * expected,
        "You are off by a factor of one half: mind the 1/2 in the exponent.": expected / 2,
        "The ratio of a and the variance is upside down: more spread moves the boundary further.": (
            2 * a / variance * log_odds
        ),
        "Use the natural logarithm: the exponents in a density are powers of e.": (
            expected / np.log(10.0)
        ),
        "You used log(weight) alone; the other component has a weight too.": (
            variance / (2 * a) * np.log(weight)
        ),
    }
    given = np.ravel(given)
    mistakes = [(wrong, sentence) for sentence, wrong in mistakes.items()]
    return diagnose(given, expected, "the list of boundaries in six random cases", mistakes)


@exercise(
    "02-log-mean-exp",
    hint="A mean is a sum divided by K: what does that do to the logarithm? Shift each row by "
    "its maximum as in log-sum-exp, and ask what the shift should be where that is not "
    "finite.",
)
def _log_mean_exp(answer):
    fault = function_fault(answer, "log_mean_exp(log_terms)")
    if fault:
        return fault
    terms = np.random.default_rng(3).normal(size=(6, 4))
    with np.errstate(all="ignore"):
        value, fault = call(answer, terms)
        return fault or _means_fault(value, terms) or _extremes_fault(answer, terms)


def _means_fault(value, terms):
    """Say what is wrong with the logarithms of the means of moderate terms."""
    given = _numbers(value, allow_infinite=True)
    shape = None if given is None else given.shape
    if shape == ():
        return "You averaged over the whole array. Take the mean with axis=-1, row by row."
    if shape in ((6, 1), (6, 6)):
        return (
            f"The result has shape {shape}: keepdims keeps an axis of length one, which has to go "
            "where the maxima are added."
        )
    if shape != (6,):
        return (
            f"For input of shape (6, 4) the result should be 6 numbers, not {shape}. "
            "Take the last axis only."
        )
    total, largest = logsumexp(terms, axis=-1), terms.max(axis=-1)
    expected = total - np.log(4)
    mistakes = [
        (expected - largest, "Add the maximum back: the shift must not change the result."),
        (total, "You took the sum, not the mean: K is missing."),
        (total / 4, "You divided the logarithm by K. The mean divides inside the logarithm."),
        (terms.mean(-1), "That is the mean of the logarithms, not the logarithm of the mean."),
        (total + np.log(4), "You added log K where it should be subtracted."),
        (total - np.log(3), "You divided by K - 1. A mean of K terms divides by K."),
        (largest + np.log(np.exp(terms - largest[:, None]).mean()), "You averaged over all rows at "
         "once. Take the mean with axis=-1, row by row."),
    ]  # fmt: skip
    return diagnose(given, expected, "the array of six results", mistakes)


def _extremes_fault(answer, terms):
    """Say what is wrong with the results for terms that are huge, tiny or infinite."""

    def at(*arguments):
        return _numbers(answer(np.array(*arguments)), allow_infinite=True)

    expected = logsumexp(terms, axis=-1) - np.log(4)
    for size, cure in (
        (1000.0, "the exponential overflows"),
        (-1000.0, "every exponential is rounded to zero"),
    ):
        shifted = at(terms + size)
        if shifted is None or not np.allclose(shifted, expected + size, rtol=1e-10):
            return f"With terms near {size:g} the result is wrong: {cure}. Shift first."
    spread = [[0.0, 5000.0], [0.0, -5000.0]]
    apart = at(spread)
    if apart is None or not np.allclose(apart, logsumexp(spread, axis=-1) - np.log(2)):
        return "With terms 5000 apart the result is wrong. Shift each row by its own maximum."
    empty = at([[-np.inf, -np.inf]])
    if empty is None or empty.shape != (1,) or np.isnan(empty[0]):
        return "A row of minus infinities gives NaN. What is -inf minus -inf?"
    if not np.isneginf(empty[0]):
        return "A row of minus infinities is a mean of zeros, and log 0 is minus infinity."
    mixed = at([[-np.inf, 0.0]])
    if mixed is None or mixed.shape != (1,) or np.isnan(mixed[0]):
        return "A row in which only some terms are minus infinity gives NaN."
    if not np.isclose(mixed[0], -np.log(2)):
        return "A term of -inf adds zero to the sum, but it is still one of the K terms."
    cube = at(np.zeros((2, 3, 4)))
    if cube is None or cube.shape != (2, 3):
        return "For input of shape (2, 3, 4) the result should have shape (2, 3)."
    return None


@exercise(
    "02-regression",
    hint="Condition first: the slice is a mixture in one dimension, with weights, means and "
    "covariances of its own. Its variance has two parts; which of them would be left if "
    "every component were a point?",
)
def _regression(answer):
    fault = function_fault(answer, "regress(mixture, x1)")
    if fault:
        return fault
    given = []
    for mixture, x1, _, _ in _regression_cases():
        value, fault = call(answer, mixture, x1)
        if fault:
            return fault
        values = _pair(value)
        if values.size == 1:
            return "The function returns one number. Return two: mean and standard deviation."
        if values.size != 2:
            return "The function should return a pair of numbers: mean and standard deviation."
        given.append(values)
    given = np.array(given)
    expected = np.array([right for _, _, right, _ in _regression_cases()])
    wrong = {
        name: np.array([moments[name] for *_, moments in _regression_cases()]) for name in _MISTAKEN
    }
    if np.allclose(given, expected, rtol=1e-6):
        return None
    if np.allclose(given[:, ::-1], expected, rtol=1e-6):
        return "The two numbers are right, but in the wrong order: the mean comes first."
    if np.allclose(given[:, 0], wrong["other"][:, 0]):
        return "You conditioned on feature 1. The number x1 is a value of feature 0."
    if np.allclose(given[:, 0], wrong["prior"][:, 0]):
        return "You kept the old weights. A component counts by its responsibility for x1."
    if np.allclose(given[:, 0], wrong["level"][:, 0]):
        return (
            "You averaged the components' means of x2. "
            "Given x1, the mean within a component moves with x1."
        )
    if not np.allclose(given[:, 0], expected[:, 0], rtol=1e-6):
        return "The mean is not right. Average the conditional means with the slice's own weights."
    if np.allclose(given[:, 1], expected[:, 1] ** 2):
        return "The mean is right. The second number is the variance; take its square root."
    if np.allclose(given[:, 1], wrong["inside"][:, 1]):
        return (
            "The mean is right. The spread within the components is only one part: "
            "their means differ too."
        )
    if np.allclose(given[:, 1], wrong["between"][:, 1]):
        return (
            "The mean is right. The spread between the components is only one part: "
            "each has its own variance too."
        )
    if np.allclose(given[:, 1], wrong["stds"][:, 1]):
        return "The mean is right. You averaged standard deviations; variances are what add up."
    return "The mean is right, the standard deviation is not. Add the parts within and between."


_MISTAKEN = ("prior", "level", "inside", "between", "other", "stds")


@cache
def _regression_cases():
    """Return for each case the arguments, the right moments, and those with each mistake."""
    return [
        (
            *_random_case(seed),
            _moments_by_integral(*_random_case(seed)),
            {name: _moments_of_slice(*_random_case(seed), name) for name in _MISTAKEN},
        )
        for seed in range(3)
    ]


def _random_case(seed):
    """Return a mixture of three components in the plane and a value of the first feature."""
    rng = np.random.default_rng(seed)
    factors = np.tril(rng.normal(size=(3, 2, 2)), -1) + rng.uniform(0.6, 1.2, (3, 2, 1)) * np.eye(2)
    weights = np.array([0.5, 0.3, 0.2])
    means = rng.uniform(-2.0, 2.0, (3, 2))
    return Mixture(weights, means, factors @ factors.transpose(0, 2, 1)), float(rng.uniform(-1, 1))


def _moments_by_integral(mixture, x1):
    """Return mean and standard deviation of x2 given x1 by a numerical integral."""
    x2 = np.linspace(-20.0, 20.0, 8001)
    density = np.exp(mixture.log_prob(np.column_stack([np.full_like(x2, x1), x2])))
    density /= density.sum()
    mean = density @ x2
    return mean, np.sqrt(density @ np.square(x2 - mean))


def _moments_of_slice(mixture, x1, mistake):
    """Return mean and standard deviation of x2 given x1 with one mistake made on purpose."""
    sliced = mixture.condition([1 if mistake == "other" else 0], [x1])
    weights = mixture.weights if mistake == "prior" else sliced.weights
    means = mixture.means[:, 1] if mistake == "level" else sliced.means[:, 0]
    mean = weights @ means
    within = 0.0 if mistake == "between" else weights @ sliced.covariances[:, 0, 0]
    between = 0.0 if mistake == "inside" else weights @ np.square(means - mean)
    if mistake == "stds":
        return mean, weights @ np.sqrt(sliced.covariances[:, 0, 0])
    return mean, np.sqrt(within + between)


def _pair(values):
    """Return the numbers in `values` as a flat array, each squeezed; empty where there are none."""
    flat = _numbers(values, allow_infinite=True)
    if flat is None and isinstance(values, tuple | list):  # such as shapes (1,) and (1, 1)
        parts = [_numbers(value, allow_infinite=True) for value in values]
        if all(part is not None and part.size == 1 for part in parts):
            flat = np.array([part.item() for part in parts])
    return np.empty(0) if flat is None else flat.ravel()


def _numbers(values, allow_infinite=False):
    """Return `values` as a float array, or None where they are no numbers."""
    try:
        values = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        return None
    return values if allow_infinite or np.isfinite(values).all() else None
