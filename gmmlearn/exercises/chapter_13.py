"""Checkers of chapter 13: normalising flows."""

import numpy as np
from scipy.stats import norm

from gmmlearn.exercises import call, diagnose, exercise, first_fault, function_fault


@exercise(
    "13-passes",
    hint="Each transform has one network. Which of its inputs are known at the start, in each "
    "direction?",
)
def passes(answer):
    density, sample = 3, 3 * 64
    mistakes = [
        ([sample, density], "It is the other way round: given x, all inputs are known at once."),
        ([density, density], "To go back, a network needs coordinates that are not yet found."),
        ([1, 64], "That is one transform; there are several."),
        ([density, density * 63], "Each coordinate takes a pass of its own, the first included."),
        ([density, density * 65], "There are as many passes as coordinates, and none to begin."),
        ([sample, sample], "Given x, a network gives all its outputs in one pass."),
        ([density, 64], "The coordinates are found one by one in each transform, not in one."),
        ([density, density + 64], "The transforms are undone in turn: multiply, do not add."),
        ([density, 6], "Two passes undo a coupling. Here each coordinate waits for the last."),
    ]
    return diagnose(answer, [density, sample], "the list of both numbers", mistakes)


@exercise(
    "13-exp",
    hint="Which z belongs to x, and what is its derivative with respect to x? Put both into the "
    "density of one stretched coordinate.",
)
def exponential(answer):
    rng = np.random.default_rng(1301)
    cases = (
        (rng.uniform(0.3, 4.0, 7), rng.normal(0.0, 0.5), rng.uniform(0.3, 0.9)) for _ in range(3)
    )
    return first_fault(answer, "answer(x, m, s)", cases, _exponential_fault)


def _exponential_fault(value, x, m, s):
    """Say what is wrong with `value` as the density of e^z."""
    back = norm.pdf(np.log(x), m, s)
    unit = norm.pdf((np.log(x) - m) / s)
    mistakes = [
        (back, "The volume factor is missing: your density does not integrate to one."),
        (
            back * x,
            "You multiply by the slope of the map to x; the density needs that of the way back.",
        ),
        (norm.pdf(x, m, s), "You put x into the density of z: go back to z first."),
        (
            norm.pdf(np.exp(x), m, s) * np.exp(x),
            "You went forward once more: the way back is not the map itself.",
        ),
        (back * np.exp(-x), "The slope of the way back belongs to z = log x, not to x."),
        (np.log(back / x), "That is the logarithm of the density."),
        (unit / x, "Divide by s as well: you stretch twice, by s and by the exponential."),
        (norm.pdf(np.log(x), m, s**2) / x, "Here s is the standard deviation: do not square it."),
        (norm.pdf(np.log(x), m, np.sqrt(s)) / x, "s is the standard deviation, not the variance."),
    ]
    return diagnose(value, back / x, "the density", mistakes)


def _network(column):
    """Return a and b, as some network might."""
    return np.sin(2.0 * column) + 0.4, np.cos(column) - 0.3 * column


@exercise(
    "13-coupling",
    hint="The first coordinate is not changed, so the network can be asked at once. Solve for the "
    "second; what stands on the diagonal of the Jacobian?",
)
def coupling(answer):
    fault = function_fault(answer, "answer(z, network)")
    if fault:
        return fault
    z = np.random.default_rng(1302).normal(0.0, 1.2, (6, 2))
    value, fault = call(answer, z, _network)
    if fault:
        return fault
    if not isinstance(value, tuple | list) or len(value) != 2:
        return "Return two things: x and the log-determinants."
    a, b = _network(z[:, 0])
    return _back_fault(value[0], z, a, b) or _log_det_fault(value[1], z, a)


def _back_fault(x, z, a, b):
    """Say what is wrong with the points."""
    one, two = z.T
    wrong_a, wrong_b = _network(two)
    seconds = {
        "You go from x to z; the question is the way back.": np.exp(a) * two + b,
        "Undo the shift before the stretch: it was added last.": two * np.exp(-a) - b,
        "You divide by a; the slope is its exponential.": (two - b) / a,
        "The sign of a is wrong on the way back.": (two - b) * np.exp(a),
        "The shift is added again; take it away.": (two + b) * np.exp(-a),
    }
    mistakes = [(np.column_stack([one, second]), text) for text, second in seconds.items()]
    mistakes.append(((two - b) * np.exp(-a), "Return both coordinates of each point."))
    other = np.column_stack([(one - wrong_b) * np.exp(-wrong_a), two])
    asked = np.column_stack([one, (two - wrong_b) * np.exp(-wrong_a)])
    mistakes.append((other, "It is the first coordinate that stays as it is."))
    mistakes.append((asked, "Ask the network about the first coordinate, the one that is known."))
    right = np.column_stack([one, (two - b) * np.exp(-a)])
    return diagnose(x, right, "the array of points", mistakes)


def _log_det_fault(value, z, a):
    """Say what is wrong with the log-determinants."""
    mistakes = [
        (-a, "That is the log-determinant of the way back, from z to x."),
        (np.exp(a), "That is the determinant, not its logarithm."),
        (a.sum(), "One number for each point is asked, not their sum."),
        (2 * a, "Only one of the two coordinates is stretched."),
        (np.zeros(len(z)), "The map does change volumes: one coordinate is stretched."),
    ]
    return diagnose(value, a, "the array of log-determinants", mistakes)


@exercise(
    "13-strays",
    hint="How far may each mode's set of z be widened before it meets another one? What does it "
    "then hold, beyond what it held?",
)
def strays(answer):
    rng = np.random.default_rng(1303)
    cases = (
        (
            0.97 * rng.dirichlet(np.full(n_modes, 4.0)),
            rng.uniform(1.0, 2.0),
            rng.uniform(3.0, 5.0),
        )
        for n_modes in (2, 5)
    )
    return first_fault(answer, "answer(shares, distance, stretch)", cases, _strays_fault)


def _strays_fault(value, shares, distance, stretch):
    """Say what is wrong with the least share of strays."""
    quantiles, radius = norm.ppf(shares), distance / (2 * stretch)

    def gain(r):
        return (norm.cdf(quantiles + r) - shares).sum()

    one_each = norm.cdf(quantiles + radius) - shares
    mistakes = [
        (
            gain(2 * radius),
            "The sets are widened by the whole distance: then they overlap. Half "
            "of it is each one's own.",
        ),
        (gain(distance / 2), "The stretch is missing: distances are smaller among the z."),
        (gain(distance * stretch / 2), "Multiplied by the stretch? Going back to z divides."),
        (norm.cdf(quantiles + radius).sum(), "Take away what the modes hold themselves."),
        (
            (norm.cdf(shares + radius) - shares).sum(),
            "A share is a probability: which quantile does it belong to?",
        ),
        (
            norm.cdf(norm.ppf(shares.sum()) + radius) - shares.sum(),
            "Widen each mode's set by itself, and add up afterwards.",
        ),
        (2 * gain(radius), "Each set is widened once: half the distance is counted already."),
        (one_each.min(), "That is the gain of one mode: add up all of them."),
        (one_each, "That is one gain for each mode: add them up."),
        (one_each.mean(), "That is the mean over the modes, not the sum."),
        (
            (norm.pdf(quantiles) * radius).sum(),
            "That is the bound to first order in the width; the exact one is asked.",
        ),
        (1 - shares.sum(), "That is the share of strays there is, not the least possible."),
        (-gain(-radius), "The sets grow, they do not shrink: add the width to the quantile."),
    ]
    return diagnose(value, gain(radius), "the share of strays", mistakes)
