"""The checkers of chapter 1 accept right answers and name the mistakes people make."""

import numpy as np
import pytest

from gmmlearn.exercises import check
from gmmlearn.gaussian import Gaussian, whiten

NAMES = ["01-halfwidth", "01-kl", "01-gap", "01-whiten"]


def kl(p, q, half=0.5, features=1.0, log_det=1.0, means=1.0):
    precision, offset = np.linalg.inv(q.covariance), p.mean - q.mean
    log_dets = np.linalg.slogdet(q.covariance)[1] - np.linalg.slogdet(p.covariance)[1]
    return half * (
        log_det * log_dets
        - features * p.n_features
        + np.trace(precision @ p.covariance)
        + means * offset @ precision @ offset
    )


def kl_own_distance(p, q):
    """The distance of the means measured with p's covariance."""
    offset = p.mean - q.mean
    return kl(p, q, means=0.0) + 0.5 * offset @ np.linalg.solve(p.covariance, offset)


def repair(joint, left, right, features=(0, 2)):
    dead = joint.condition(list(features), [left, right])
    return dead.mean[0], np.sqrt(dead.covariance[0, 0])


def repair_as_arrays(joint, left, right):
    dead = joint.condition([0, 2], [left, right])
    return dead.mean, np.sqrt(dead.covariance)


def whitened(X):
    fitted = Gaussian.fit(X)
    return whiten(X, fitted.mean, fitted.covariance_cholesky)


def rotated(X):
    """Another right answer, by eigenvectors."""
    centred = X - X.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(X))
    return centred @ axes / np.sqrt(variances)


def transpose_forgotten(X):
    fitted = Gaussian.fit(X)
    return (X - fitted.mean) @ np.linalg.inv(fitted.covariance_cholesky)


def in_place(X):
    X -= X.mean(axis=0)
    return whitened(X)


def unrelated(X):
    return whitened(np.random.default_rng(0).standard_normal(X.shape))


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("01-halfwidth", np.sqrt(0.75)),
        ("01-halfwidth", -0.866),
        ("01-halfwidth", [0.866]),
        ("01-kl", kl),
        ("01-kl", lambda p, q: [kl(p, q)]),
        ("01-kl", lambda p, q: np.full((1, 1), kl(p, q))),
        ("01-gap", repair),
        ("01-gap", lambda *args: np.array(repair(*args))),
        ("01-gap", repair_as_arrays),
        ("01-whiten", whitened),
        ("01-whiten", rotated),
    ],
)
def test_right_answers_pass(name, answer):
    assert check(name, answer).passed


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("01-halfwidth", 0.5, "87 %"),
        ("01-halfwidth", 0.75, "square of the correlation"),
        ("01-halfwidth", np.sqrt(0.5), "halves the variance"),
        ("01-halfwidth", 1.5, "between -1 and 1"),
        ("01-halfwidth", 0.6, "80% of the error bar"),
        ("01-halfwidth", "0.866", "text"),
        ("01-halfwidth", 0.866 + 0j, "complex"),
        ("01-halfwidth", [0.866, 0.5], "shape"),
        ("01-kl", lambda p, q: kl(q, p), "other direction"),
        ("01-kl", lambda p, q: kl(p, q, half=1.0), "one half"),
        ("01-kl", lambda p, q: kl(p, q, features=0.0), "number of features"),
        ("01-kl", lambda p, q: kl(p, q, log_det=0.0), "forgot the log-determinants"),
        ("01-kl", lambda p, q: kl(p, q, log_det=-1.0), "wrong sign"),
        ("01-kl", lambda p, q: kl(p, q, means=0.0), "distance of the means"),
        ("01-kl", kl_own_distance, "p's covariance"),
        ("01-kl", lambda p, q: kl(p, q) / np.log(2.0), "bits"),
        ("01-kl", lambda p, q: None, "returns None"),
        ("01-kl", lambda p, q: str(kl(p, q)), "text"),
        ("01-kl", lambda p, q: kl(p, q) if p is not q else [0.0, 0.0], "shape"),
        ("01-kl", lambda p, q: -kl(p, q), "never negative"),
        ("01-kl", lambda p, q: 1.0, "not the right value"),
        ("01-kl", lambda p, q: kl(p, q) if p is not q else 1.0, "from itself"),
        ("01-gap", lambda *args: repair(*args)[::-1], "wrong order"),
        (
            "01-gap",
            lambda j, *args: (repair(j, *args)[0] - j.mean[1], repair(j, *args)[1]),
            "own mean",
        ),
        ("01-gap", lambda *args: None, "returns None"),
        ("01-gap", lambda *args: (repair(*args)[0], str(repair(*args)[1])), "text"),
        ("01-gap", lambda j, left, right: ((left + right) / 2, 1.0), "average of the neighbours"),
        (
            "01-gap",
            lambda j, left, right: (j.condition([0], [left]).mean[0], 1.0),
            "only the left neighbour",
        ),
        ("01-gap", lambda j, left, right: repair(j, left, right, (0, 1)), "features 0 and 1"),
        ("01-gap", lambda j, left, right: repair(j, right, left), "swapped"),
        ("01-gap", lambda j, left, right: (0.0, 1.0), "conditional mean"),
        (
            "01-gap",
            lambda *args: (repair(*args)[0], repair(*args)[1] ** 2),
            "square root",
        ),
        (
            "01-gap",
            lambda j, *args: (repair(j, *args)[0], np.sqrt(j.covariance[1, 1])),
            "before the neighbours",
        ),
        ("01-gap", lambda *args: (repair(*args)[0], 1e3), "error bar is not"),
        ("01-gap", lambda *args: repair(*args)[0], "two things"),
        ("01-whiten", lambda X: whitened(X) + 1, "subtract the mean"),
        (
            "01-whiten",
            lambda X: whitened(X) * np.sqrt((len(X) - 1) / len(X)),
            "N - 1",
        ),
        ("01-whiten", lambda X: (X - X.mean(0)) / X.std(0), "still correlated"),
        ("01-whiten", transpose_forgotten, "mind the transpose"),
        ("01-whiten", lambda X: None, "returns None"),
        ("01-whiten", lambda X: X - X.mean(0), "not the identity"),
        ("01-whiten", lambda X: whitened(X)[1:], "shape"),
        ("01-whiten", unrelated, "no linear map"),
        ("01-whiten", in_place, "changes its argument"),
    ],
)
def test_known_mistakes_are_named(name, answer, message):
    result = check(name, answer)
    assert not result.passed
    assert message in result.message


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "answer", ["text", [], object(), float("nan"), lambda *args: "text", lambda: 0, ..., None]
)
def test_garbage_neither_raises_nor_passes(name, answer):
    assert not check(name, answer).passed
