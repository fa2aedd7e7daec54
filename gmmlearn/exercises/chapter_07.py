"""Checkers for the exercises of chapter 7."""

import tracemalloc
from functools import cache

import numpy as np

from gmmlearn.exercises import call, diagnose, exercise, first_fault, function_fault, mismatch
from gmmlearn.mixture import Mixture, log_sum_exp


def _random_mixture(rng, n_components=3, n_features=6):
    """Return a mixture with correlated features and unequal weights."""
    roots = rng.standard_normal((n_components, n_features, n_features))
    covariances = roots @ roots.swapaxes(1, 2) / n_features + 0.3 * np.eye(n_features)
    weights = rng.dirichlet(np.full(n_components, 3.0))
    return Mixture(weights, rng.standard_normal((n_components, n_features)), covariances)


def _close(answer, value, rtol=1e-6):
    """Whether `answer` is numeric, has the shape of `value` and is close to it."""
    return mismatch(answer, value, "it", rtol) is None


@exercise(
    "07-unbounded",
    hint="Write the log density of one constant pixel, whose variance is reg_covar, and take the "
    "difference of the two cases. How many such pixels are there, and how do nats of a "
    "picture become bits of a pixel?",
)
def _unbounded(answer):
    nats = 4 * 0.5 * np.log(1e6)
    expected = -nats / (64 * np.log(2))
    fault = mismatch(answer, expected, "the change", rtol=0.02)
    if fault is None or "wrong sign" in fault:
        return fault and "The size is right, the sign is not: does a higher density cost more bits?"
    base_10 = "That is with the logarithm to base 10: a density holds the natural one."
    mistakes = [
        (-nats / 64, "That is in nats: bits need another division."),
        (2 * expected, "That is twice too much: look at the factor in front of the "
         "log-determinant."),
        (expected / 4, "That is the change that one constant pixel makes; there are more."),
        (expected / np.log(10), base_10),
        (-nats / 64 / np.log(10), base_10),
        (expected / 2, "That is half of it: does the factor one half, or a root, enter twice?"),
        (-nats, "That is nats per picture: divide by 64 pixels and by ln 2."),
        (64 * expected, "That is per picture, not per pixel."),
        (16 * expected, "You divided by the 4 constant pixels; bits per pixel divide by all 64."),
    ]  # fmt: skip
    for wrong, remark in mistakes:  # to two decimals
        if _close(answer, wrong, 0.03):
            return remark
        if _close(answer, -wrong, 0.03):
            return f"{remark} And the sign is wrong."
    return fault


@exercise(
    "07-bits",
    hint="The probability of a picture is its density times the volume of a small cube. How long "
    "is the cube's side, and what does that add for each pixel, in bits?",
)
def _bits(answer):
    return first_fault(answer, "answer(log_prob, n_pixels, n_levels)", _bits_cases(), _bits_fault)


def _bits_cases():
    """Yield log densities of pictures, and numbers of pixels and grey levels."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        n_pixels, n_levels = int(rng.integers(20, 800)), int(rng.integers(3, 257))
        log_prob = 100.0 * rng.standard_normal(int(rng.integers(4, 9))) + 5.0 * n_pixels
        yield log_prob, n_pixels, n_levels


def _bits_fault(value, log_prob, n_pixels, n_levels):
    """Say what is wrong with a mean number of bits per pixel."""
    if np.shape(value) == () and not np.isfinite(float(value)):
        return "Densities of pictures over- and underflow: take no exponential of log_prob."
    ln_2, levels = np.log(2.0), np.log2(n_levels)
    nats = -log_prob.mean() / n_pixels
    bits, expected = nats / ln_2, nats / ln_2 + levels
    mistakes = [
        (bits, "The levels are missing: a density on [0, 1) is not yet a probability of a "
         "picture."),
        (bits - levels, "The levels enter with the wrong sign: smaller cubes hold less mass."),
        (levels - bits, "The sign of the log density is wrong: a likelier picture needs fewer "
         "bits."),
        (nats + np.log(n_levels), "That is nats per pixel: turn them into bits."),
        (bits + np.log(n_levels), "You mix units: both terms must be in bits."),
        (nats + levels, "You mix units: the log density is still in nats."),
        (bits + n_pixels * levels, "The levels enter once for each pixel already: do not multiply "
         "them again."),
        (bits + n_levels, "Add the logarithm of the number of levels, to base 2."),
        (nats * ln_2 + levels, "You multiplied by ln 2 where you should divide."),
        (expected * n_pixels, "That is bits per picture: divide by the number of pixels."),
        (bits * n_pixels + levels, "The density is counted per picture, the levels per pixel."),
        (bits * len(log_prob) + levels, "That is the sum over pictures, not their mean."),
        (bits + np.log2(17), "You assumed 17 levels: use n_levels."),
        (-log_prob / (n_pixels * ln_2) + levels, "That is one value for each picture: take their "
         "mean."),
    ]  # fmt: skip
    return diagnose(value, expected, "the number of bits", mistakes)


@exercise(
    "07-checkerboard",
    hint="Conditioning wants the visible indices and their values, and gives a mixture of the "
    "rest in increasing order. What is the mean of a mixture, and where do its entries "
    "belong?",
)
def _checkerboard(answer):
    fault = function_fault(answer, "answer(mixture, x, hidden)")
    if fault is not None:
        return fault
    for seed in range(4):
        rng = np.random.default_rng(seed)
        mixture, x = _random_mixture(rng), rng.standard_normal(6)
        # The last round asks for an order that is not increasing.
        hidden = np.array([[0, 2, 4], [1, 2], [3, 4, 5], [5, 0, 3]][seed])
        try:
            value, fault = call(answer, mixture, x, hidden)
            again, _ = call(answer, mixture, x, hidden)
        except IndexError:
            return f"The picture has {x.size} pixels here, not 64: ask x for their number."
        if fault is not None:
            return fault
        fault = _completion_fault(value, mixture, x, hidden)
        if fault and np.shape(value) == x.shape and not _close(again, value):
            return "That changes between calls: return the conditional mean, not a draw."
        if fault:
            return fault
    return None


def _completion_fault(value, mixture, x, hidden):
    """Say what is wrong with a completed picture."""
    sorted_hidden = np.sort(hidden)
    visible = np.setdiff1d(np.arange(x.size), hidden)
    # Independent of Mixture.condition: solve with the covariance of the visible pixels.
    blocks = zip(mixture.means, mixture.covariances, strict=True)
    means = np.array(
        [
            mean[sorted_hidden]
            + covariance[np.ix_(sorted_hidden, visible)]
            @ np.linalg.solve(covariance[np.ix_(visible, visible)], x[visible] - mean[visible])
            for mean, covariance in blocks
        ]
    )
    weights = mixture.marginal(visible).responsibilities(x[None, visible])[0]

    def filled(values, where=sorted_hidden):
        whole = x.copy()
        whole[where] = values
        return whole

    unconditioned = "Each component's mean must be conditioned on the visible pixels too."
    plain = mixture.means[:, sorted_hidden]
    mistakes = [
        (weights @ means, "You returned the hidden pixels alone: put them back into the picture."),
        (filled(weights @ means, hidden), "The values land on the wrong pixels when hidden is not "
         "in increasing order."),
        (filled(mixture.weights @ means), "You averaged with the weights from before: what is "
         "visible changes the weights."),
        (filled(means[np.argmax(weights)]), "You used the likeliest component alone: the mean is "
         "over all components."),
        (filled(means.mean(axis=0)), "You averaged the components equally: weight them."),
        (filled(mixture.weights @ plain), unconditioned),
        (filled(weights @ plain), unconditioned),
    ]  # fmt: skip
    if len(hidden) == len(visible):
        swapped = mixture.condition(sorted_hidden, x[sorted_hidden])
        mistakes.append((filled(swapped.weights @ swapped.means), "You conditioned on the hidden "
                         "pixels: condition on the visible ones."))  # fmt: skip
    fault = diagnose(value, filled(weights @ means), "the picture", mistakes)
    if fault and np.shape(value) == x.shape and not _close(np.asarray(value)[visible], x[visible]):
        return "Visible pixels must stay as they are."
    return fault


@exercise(
    "07-half",
    hint="For each class, the density of the visible pixels alone is a marginal of its mixture. "
    "By Bayes' rule, what has to be added to its logarithm before you compare the classes?",
)
def _half(answer):
    fault = function_fault(answer, "answer(mixtures, log_prior, visible, values)")
    if fault is not None:
        return fault
    given = []
    for case, _, _ in _half_cases():
        value, fault = call(answer, *case)
        if fault is not None:
            return fault
        fault = mismatch(value, 0, "the class", rtol=np.inf)
        if fault is not None:
            return f"{fault} Return the number of one class."
        given.append(np.asarray(value, dtype=float).item())
        if given[-1] != round(given[-1]):
            return "That is a score, not the number of a class: return the place of the largest."
    right = [number for _, number, _ in _half_cases()]
    if given == right:
        return None
    mistaken = zip(*(numbers for _, _, numbers in _half_cases()), strict=True)
    remarks = (remark for remark, wrong in zip(_HALF, mistaken, strict=True) if [*wrong] == given)
    wrong = np.not_equal(given, right).sum()
    return next(remarks, f"{wrong} of 60 random cases got another class than the likeliest.")


@cache
def _half_cases():
    """Return for each case the arguments, the right class, and those of the known mistakes."""
    cases = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        mixtures = [_random_mixture(rng, n_features=5) for _ in range(4)]
        log_prior = np.log(rng.dirichlet(np.full(4, 0.8)) * 0.96 + 0.01)
        visible, values = rng.permutation(5)[:3], rng.standard_normal(3)
        log_joints = np.stack([_marginal_log_joint(p, visible, values) for p in mixtures])
        unsorted = np.stack([_marginal_log_joint(p, np.sort(visible), values) for p in mixtures])
        right = np.argmax(log_sum_exp(log_joints) + log_prior)
        mistaken = [mistake(log_joints, log_prior, unsorted) for mistake in _HALF.values()]
        cases.append(((mixtures, log_prior, visible, values), right, mistaken))
    return cases


# Each mistake as a function of the log joints (C, K), the log prior, and the log joints that come
# of sorting the visible pixels without their values.
_HALF = {
    "You left out the prior: frequent classes deserve a head start.": (
        lambda a, prior, _: np.argmax(log_sum_exp(a))
    ),
    "You used the prior alone: what do the visible pixels say?": (
        lambda a, prior, _: np.argmax(prior)
    ),
    "That is the least likely class.": lambda a, prior, _: np.argmin(log_sum_exp(a) + prior),
    "Classes count from zero, as arrays do.": (
        lambda a, prior, _: np.argmax(log_sum_exp(a) + prior) + 1
    ),
    "You compared the likeliest components: sum over each class's components.": (
        lambda a, prior, _: np.argmax(a.max(axis=1) + prior)
    ),
    "You added the prior itself to a log density: add its logarithm, as it is given.": (
        lambda a, prior, _: np.argmax(log_sum_exp(a) + np.exp(prior))
    ),
    "You subtracted the logarithm of the prior: a frequent class deserves more.": (
        lambda a, prior, _: np.argmax(log_sum_exp(a) - prior)
    ),
    "You multiplied logarithms: where probabilities multiply, logarithms add.": (
        lambda a, prior, _: np.argmax(log_sum_exp(a) * prior)
    ),
    "You sorted visible but not values: each value belongs to the pixel at its place.": (
        lambda a, prior, unsorted: np.argmax(log_sum_exp(unsorted) + prior)
    ),
}


def _marginal_log_joint(mixture, visible, values):
    """Return log weight plus log density of the visible features, for each component."""
    means = mixture.means[:, visible]
    covariances = mixture.covariances[:, visible][:, :, visible]
    offsets = values - means
    solved = np.linalg.solve(covariances, offsets[..., None])[..., 0]
    mahalanobis = (offsets * solved).sum(axis=1)
    log_det = np.linalg.slogdet(2.0 * np.pi * covariances)[1]
    return np.log(mixture.weights) - 0.5 * (mahalanobis + log_det)


@exercise(
    "07-temperature",
    hint="A sample is the mean plus a root of the covariance times noise. If the root is "
    "multiplied by a number, what happens to the covariance?",
)
def _temperature(answer):
    fault = function_fault(answer, "answer(mixture, temperature)")
    if fault is not None:
        return fault
    for seed, temperature in enumerate((0.5, 2.0, 0.3)):
        mixture = _random_mixture(np.random.default_rng(seed))
        cooled, fault = call(answer, mixture, temperature)
        if fault is not None:
            return fault
        if not isinstance(cooled, Mixture):
            return f"Return a Mixture, not {type(cooled).__name__}."
        if cooled.means.shape != mixture.means.shape or not _close(cooled.means, mixture.means):
            return "The means must stay where they are."
        if not _close(cooled.weights, mixture.weights):
            return "The weights must stay as they are."
        if _close(cooled.covariances, temperature * mixture.covariances):
            return (
                "You scaled the covariances by the temperature: distances scale by its root then."
            )
        if _close(cooled.covariances, np.sqrt(temperature) * mixture.covariances):
            return "You took the root where the square is needed."
        divided = [mixture.covariances / temperature**power for power in (1, 2)]
        if any(_close(cooled.covariances, wrong) for wrong in divided):
            return "You divided: a low temperature must bring samples nearer to the mean."
        fault = mismatch(
            cooled.covariances, temperature**2 * mixture.covariances, "the array of covariances"
        )
        if fault:
            return fault
    return None


@exercise(
    "07-factors",
    hint="Determinant and inverse both reduce to M, which is r x r. The inverse of the noise is "
    "a division, row by row; the rest is an order of multiplication that never leaves r "
    "columns.",
)
def _factors(answer):
    fault = function_fault(answer, "answer(x, mean, loadings, noise)")
    if fault is not None:
        return fault
    for seed, n_features in enumerate((5, 12, 3000)):
        rng = np.random.default_rng(seed)
        loadings = rng.standard_normal((n_features, 3)) / np.sqrt(n_features / 4)
        mean, noise = rng.standard_normal(n_features), rng.uniform(0.2, 3.0, n_features)
        x = mean + loadings @ rng.standard_normal(3) + rng.standard_normal(n_features)
        (value, fault), largest = _with_peak(call, answer, x, mean, loadings, noise)
        if fault is not None:
            return fault
        if n_features == 3000 and largest > 4 * n_features**2:
            return "You made a D x D matrix: use the two identities."
        fault = _factor_fault(value, x - mean, loadings, noise)
        if fault:
            return fault
    return None


def _with_peak(function, *arguments):
    """Return what a function returns, and the most memory that it held, in bytes."""
    tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    try:
        value = function(*arguments)
        return value, tracemalloc.get_traced_memory()[1] - before
    finally:
        if not tracing:
            tracemalloc.stop()


def _factor_fault(value, centred, loadings, noise):
    """Say what is wrong with a log density of a factor analyser."""
    rank, constant = loadings.shape[1], len(centred) * np.log(2 * np.pi)

    # Independent of the identities taught: whitened by the noise, then by singular values.
    def log_prob(noise, *, identity=1.0, pull=1.0, with_det=1.0, own_det=1.0, constant=constant):
        scaled = loadings / np.sqrt(noise)[:, None]
        axes, size, _ = np.linalg.svd(scaled, full_matrices=False)
        whitened = centred / np.sqrt(noise)
        share = size**2 / (identity + size**2)
        distance = whitened @ whitened - pull * share @ (axes.T @ whitened) ** 2
        log_det = own_det * np.log(noise).sum() + with_det * np.log(identity + size**2).sum()
        return -0.5 * (distance + log_det + constant)

    expected = log_prob(noise)
    return diagnose(
        value,
        expected,
        "The log density",
        [
            (log_prob(noise, with_det=0.0), "The determinant of M is missing."),
            (log_prob(noise, with_det=0.5), "The log-determinant of M is halved twice."),
            (log_prob(noise, own_det=0.0), "The determinant of the noise is missing."),
            (log_prob(noise, own_det=-1.0), "The determinant of the noise has the wrong sign."),
            (-2 * expected, "The factor of minus one half is missing."),
            (log_prob(noise, with_det=-1.0), "The determinant of M enters with the wrong sign."),
            (log_prob(noise, pull=-1.0), "Woodbury subtracts: factors explain distance away."),
            (log_prob(noise, pull=0.0), "That distance knows the noise alone."),
            (log_prob(noise, pull=0.0, with_det=0.0), "That is the density of the noise alone."),
            (log_prob(noise, identity=0.0), "M lacks its identity matrix."),
            (log_prob(noise**2), "noise holds variances, not standard deviations."),
            (log_prob(np.sqrt(noise)), "noise holds variances: do not take their root."),
            (log_prob(noise, constant=0.0), "The constant D log 2 pi is missing."),
            (
                log_prob(noise, constant=rank * np.log(2 * np.pi)),
                "The constant counts the D pixels, not the r factors.",
            ),
            (-expected, "The sign is wrong: that is minus the log density."),
            (np.exp(expected), "That is the density: return its logarithm."),
        ],
    )
