"""The checkers of chapter 12 know right answers from the mistakes people make."""

import numpy as np
import pytest
from scipy.special import softmax

from gmmlearn.exercises import check

NAMES = ["12-use", "12-logits", "12-score", "12-assign"]
IN_USE = 9 * 2 ** (-4 / 9)


def responsibilities(logits, component):
    return softmax(component + np.log(softmax(logits)), axis=1)


def logits(logits, component):
    return responsibilities(logits, component).mean(axis=0) - softmax(logits)


def spoil(*arrays):
    for array in arrays:
        array += 1
    return 0.0


def leave_out(values):
    return (values.sum() - values) / (len(values) - 1)


def score(values, labels, weights, centre=leave_out):
    rows = np.eye(len(weights))[labels] - weights
    return ((values - centre(values))[:, None] * rows).mean(axis=0)


def divergences(z_mean, z_log_var, means, variances):
    found = np.zeros((len(z_mean), len(means)))
    for n, (m, v) in enumerate(zip(z_mean, np.exp(z_log_var), strict=True)):
        for k in range(len(means)):
            ratio = v / variances[k]
            distance = (m - means[k]) ** 2 / variances[k]
            found[n, k] = 0.5 * np.sum(ratio - np.log(ratio) + distance - 1)
    return found


def assign(z_mean, z_log_var, weights, means, variances, power=-1.0):
    return softmax(
        np.log(weights) + power * divergences(z_mean, z_log_var, means, variances), axis=1
    )


def at_mean(z_mean, z_log_var, weights, means, variances):
    squared = (z_mean[:, None] - means) ** 2
    return softmax(
        np.log(weights) - 0.5 * (np.log(variances) + squared / variances).sum(axis=2), axis=1
    )


def reverse(z_mean, z_log_var, weights, means, variances):
    found = [
        divergences(means, np.log(variances), m[None], np.exp(v)[None])[:, 0]
        for m, v in zip(z_mean, z_log_var, strict=True)
    ]
    return softmax(np.log(weights) - np.array(found), axis=1)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("12-use", IN_USE),
        ("12-use", [6.61]),
        ("12-logits", logits),
        ("12-score", score),
        ("12-assign", assign),
    ],
)
def test_right_answers_pass(name, answer):
    assert check(name, answer).passed


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("12-use", 9, "counts the living"),
        ("12-use", 7, "unequal shares"),
        ("12-use", 5, "still does one's work"),
        ("12-use", 10, "That is K"),
        ("12-use", np.log(IN_USE), "in nats"),
        ("12-use", 2 ** np.log(IN_USE), "mix units"),
        ("12-use", 9 * 2 ** (4 / 9), "to be subtracted"),
        ("12-use", 4.5, "not all"),
        ("12-use", 10 * 2**-0.4, "nine share"),
        ("12-use", 3.2, "not the right number"),
        ("12-logits", lambda a, c: responsibilities(a, c).mean(axis=0), "EM's next weight"),
        ("12-logits", lambda a, c: responsibilities(a, c).mean(axis=0) / softmax(a), "were free"),
        (
            "12-logits",
            lambda a, c: responsibilities(a, c).mean(axis=0) / softmax(a) - 1,
            "differs by a factor",
        ),
        ("12-logits", lambda a, c: -logits(a, c), "sign"),
        ("12-logits", lambda a, c: len(c) * logits(a, c), "sum over points"),
        (
            "12-logits",
            lambda a, c: responsibilities(a, c).mean(axis=0) * (1 - softmax(a)),
            "other weights fall",
        ),
        ("12-logits", lambda a, c: softmax(c, axis=1).mean(axis=0) - softmax(a), "leave out"),
        (
            "12-logits",
            lambda a, c: responsibilities(a, c).mean(axis=0) - np.exp(a),
            "not their exponential",
        ),
        ("12-logits", lambda a, c: responsibilities(a, c) - softmax(a), "take their mean"),
        ("12-logits", spoil, "changes the arrays"),
        ("12-logits", 3.0, "Give a function"),
        ("12-score", lambda f, k, w: score(f, k, w, lambda f: 0 * f), "not centred"),
        ("12-score", lambda f, k, w: score(f, k, w, lambda f: f.mean()), "own value"),
        (
            "12-score",
            lambda f, k, w: (
                (f @ (np.eye(len(w))[k] - w) - leave_out(f) @ np.eye(len(w))[k]) / len(f)
            ),
            "the weights included",
        ),
        (
            "12-score",
            lambda f, k, w: (f - leave_out(f)) @ (np.eye(len(w))[k] / w) / len(f),
            "weights themselves",
        ),
        ("12-score", lambda f, k, w: -score(f, k, w), "sign"),
        ("12-score", lambda f, k, w: len(f) * score(f, k, w), "sum over draws"),
        (
            "12-score",
            lambda f, k, w: leave_out(f) @ (np.eye(len(w))[k] - w) / len(f),
            "baseline alone",
        ),
        (
            "12-score",
            lambda f, k, w: (f - leave_out(f))[:, None] * (np.eye(len(w))[k] - w),
            "one row for each draw",
        ),
        ("12-score", spoil, "changes the arrays"),
        ("12-score", "score", "Give a function"),
        ("12-assign", lambda m, v, w, a, b: assign(m, v, w / w, a, b), "weights are missing"),
        ("12-assign", at_mean, "variance counts"),
        ("12-assign", reverse, "wrong way round"),
        ("12-assign", lambda *parts: assign(*parts, power=1.0), "sign"),
        (
            "12-assign",
            lambda m, v, w, a, b: assign(m, np.log(v**2), w, a, b),
            "take their exponential",
        ),
        ("12-assign", lambda m, v, w, a, b: assign(m, v / 2, w, a, b), "standard deviations"),
        ("12-assign", lambda *parts: assign(*parts, power=-2.0), "twice too large"),
        (
            "12-assign",
            lambda m, *rest: assign(m, *rest, power=-1.0 / m.shape[1]),
            "do not average",
        ),
        (
            "12-assign",
            lambda m, v, w, a, b: softmax(
                np.log(w) - 0.5 * ((m[:, None] - a) ** 2 / b).sum(axis=2), axis=1
            ),
            "wide component",
        ),
        (
            "12-assign",
            lambda m, v, w, a, b: w * np.exp(-divergences(m, v, a, b)),
            "each row must sum to one",
        ),
        (
            "12-assign",
            lambda m, v, w, a, b: np.log(w) - divergences(m, v, a, b),
            "logarithms, and not normalised",
        ),
        ("12-assign", lambda *parts: np.log(assign(*parts)), "return probabilities"),
        ("12-assign", spoil, "changes the arrays"),
        ("12-assign", np.eye(3), "Give a function"),
    ],
)
def test_mistakes_are_named(name, answer, message):
    result = check(name, answer)
    assert not result.passed
    assert message in result.message


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "answer", ["text", [], object(), lambda: None, lambda *a: "text", lambda *a: 1 / 0, np.nan]
)
def test_garbage_never_passes_and_never_raises(name, answer):
    assert not check(name, answer).passed


def test_the_use_of_the_exercise_is_the_package_s():
    from gmmlearn.deep.gmm_vae import component_use

    resp = np.zeros((9, 10))
    resp[range(5), range(5)] = 1
    resp[5:7, 5:7] = resp[7:9, 7:9] = 0.5
    assert component_use(resp).in_use == pytest.approx(IN_USE)
