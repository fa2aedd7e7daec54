"""Checkers of chapter 1: one Gaussian."""

import numpy as np

from gmmlearn.exercises import exercise, mismatch
from gmmlearn.gaussian import Gaussian

_RETURNS_NONE = "your function returns None; end it with a return statement."


def _gaussian(rng, n_features):
    """Return a random Gaussian that is neither round nor centred."""
    root = rng.standard_normal((n_features, n_features))
    return Gaussian(rng.normal(0.0, 2.0, n_features), root @ root.T + 0.5 * np.eye(n_features))


def _close(value, other):
    """Whether two numbers or arrays agree to six digits."""
    return mismatch(value, other, "it") is None


def _one_number(value, what):
    """Return `value` as a number and None, or None and what keeps it from being one number."""
    value = np.squeeze(np.asarray(value))  # (1,) and (1, 1) are one number too
    if value.dtype.kind in "USc":
        return None, f"{what} should be a real number, not text or a complex number."
    fault = mismatch(value, 0.0, what, rtol=np.inf)
    return (None, fault) if fault else (float(value), None)


@exercise(
    "01-halfwidth",
    hint="Knowing a multiplies the variance of b by a factor that holds the correlation squared. "
    "By which factor must the variance shrink, so that its root is halved?",
)
def halfwidth(answer):
    correlation, fault = _one_number(answer, "the correlation")
    if fault:
        return fault
    correlation = abs(correlation)  # a negative correlation tells as much
    if abs(correlation - 0.5) < 2e-3:
        return "with a correlation of one half the error bar keeps 87 % of its width."
    if abs(correlation - 0.75) < 2e-3:
        return "that is the square of the correlation."
    if abs(correlation - np.sqrt(0.5)) < 2e-3:
        return "that halves the variance; the error bar is a standard deviation."
    if correlation > 1:
        return "a correlation lies between -1 and 1."
    left = np.sqrt(1.0 - correlation**2)
    if abs(left - 0.5) > 2e-3:
        return f"with that correlation {left:.0%} of the error bar remains."
    return None


@exercise(
    "01-kl",
    hint="Average log p - log q under p: the mean of (x - mu_q)' P (x - mu_q), with P = "
    "Sigma_q^-1, is a trace plus a squared distance of means. Where do the log-determinants "
    "stand?",
)
def kl(answer):
    if not callable(answer):
        return "give the function itself: answer = kl."
    rng = np.random.default_rng(101)
    for n_features in (1, 2, 5):
        p, q = _gaussian(rng, n_features), _gaussian(rng, n_features)
        fault = _kl_fault(answer(p, q), p, q)
        if fault:
            return fault
    value, fault = _one_number(answer(p, p), "the divergence of p from itself")
    if fault:
        return fault
    if abs(value) > 1e-8:
        return "the divergence of a Gaussian from itself should be 0."
    return None


def _kl_fault(value, p, q):
    """Say what is wrong with `value` as KL(p || q), by the terms that are missing from it."""
    if value is None:
        return _RETURNS_NONE
    value, fault = _one_number(value, "the divergence")
    if fault:
        return fault
    trace, distance, log_dets = _kl_terms(p, q)
    backward = _kl_terms(q, p)
    right = 0.5 * (log_dets - p.n_features + trace + distance)
    if _close(value, right):
        return None
    mistakes = {
        "that is the other direction: here p is true and q is believed.": 0.5
        * (sum(backward) - p.n_features),
        "you forgot the factor one half.": 2.0 * right,
        "you forgot to subtract the number of features D.": right + 0.5 * p.n_features,
        "you forgot the log-determinants.": right - 0.5 * log_dets,
        "the log-determinants have the wrong sign.": right - log_dets,
        "you forgot the distance of the means.": right - 0.5 * distance,
        "the distance of the means is measured with p's covariance; it should be q's.": right
        + 0.5 * (backward[1] - distance),
        "the sign is wrong: a divergence is never negative.": -right,
        "that is in bits; give nats, with the natural logarithm.": right / np.log(2.0),
    }
    general = "the divergence is one number, as it should be, but not the right value."
    return next((say for say, wrong in mistakes.items() if _close(value, wrong)), general)


def _kl_terms(p, q):
    """Return the trace, the squared distance of means and the log-determinants of KL(p || q)."""
    precision = np.linalg.inv(q.covariance)  # deliberately not the route of the solution
    offset = p.mean - q.mean
    log_dets = np.linalg.slogdet(q.covariance)[1] - np.linalg.slogdet(p.covariance)[1]
    return np.trace(precision @ p.covariance), offset @ precision @ offset, log_dets


@exercise(
    "01-gap",
    hint="Which features are known, and at which places do they stand in joint? Condition on "
    "those; what comes back is a Gaussian of the dead pixel, with a mean and a covariance.",
)
def gap(answer):
    if not callable(answer):
        return "give the function itself: answer = repair."
    rng = np.random.default_rng(103)
    for _ in range(3):
        joint = _gaussian(rng, 3)
        left, right = (float(value) for value in rng.normal(0.0, 2.0, 2))
        fault = _gap_fault(answer(joint, left, right), joint, left, right)
        if fault:
            return fault
    return None


def _gap_fault(pair, joint, left, right):
    """Say what is wrong with `pair` as mean and std of the middle feature."""
    if pair is None:
        return _RETURNS_NONE
    try:
        guess, bar = pair
    except (TypeError, ValueError):
        return "your function should return two things: the guess and its error bar."
    guess, fault = _one_number(guess, "the guess")
    if not fault:
        bar, fault = _one_number(bar, "the error bar")
    if fault:
        return fault
    cross, known = joint.covariance[1, [0, 2]], joint.covariance[np.ix_([0, 2], [0, 2])]
    gain = np.linalg.solve(known, cross)
    mean = joint.mean[1] + gain @ (np.array([left, right]) - joint.mean[[0, 2]])
    std = np.sqrt(joint.covariance[1, 1] - gain @ cross)
    if _close(guess, std) and _close(bar, mean):
        return "the pair is in the wrong order: first the guess, then its error bar."
    if not _close(guess, mean):
        return _guess_fault(guess, mean, joint, left, right)
    if _close(bar, std**2):
        return "the error bar is the variance; take its square root."
    if _close(bar, np.sqrt(joint.covariance[1, 1])):
        return "the error bar is the one before the neighbours are known."
    if not _close(bar, std):
        return "the guess is right, the error bar is not the conditional standard deviation."
    return None


def _guess_fault(guess, mean, joint, left, right):
    """Say which mistake leads to `guess` where `mean` is right."""
    if _close(guess, mean - joint.mean[1]):
        return "the guess leaves out the dead pixel's own mean."
    if _close(guess, (left + right) / 2):
        return "the guess is the average of the neighbours; use what the Gaussian knows."
    if _close(guess, joint.condition([0], [left]).mean[0]):
        return "the guess uses only the left neighbour."
    if _close(guess, joint.condition([0, 1], [left, right]).mean[0]):
        return "you conditioned on features 0 and 1; the dead pixel is feature 1."
    if _close(guess, joint.condition([0, 2], [right, left]).mean[0]):
        return "left and right are swapped: feature 0 is the left neighbour."
    return "the guess is not the conditional mean of the dead pixel."


@exercise(
    "01-whiten",
    hint="What is the covariance of A (x - mean) for any matrix A? Choose A from a factor of S "
    "so that it becomes I; then write the product for points that stand in rows.",
)
def whitened(answer):
    if not callable(answer):
        return "give the function itself: answer = whitened."
    rng = np.random.default_rng(104)
    for n_samples, n_features in ((30, 2), (50, 4)):
        given = _gaussian(rng, n_features).sample(n_samples, rng)
        X = given.copy()
        Z = answer(X)
        if not np.array_equal(X, given):
            return "your function changes its argument; work on a copy."
        fault = _whiten_fault(Z, given)
        if fault:
            return fault
    return None


def _whiten_fault(Z, X):
    """Say what keeps `Z` from being a whitened version of `X`."""
    if Z is None:
        return _RETURNS_NONE
    fault = mismatch(Z, np.zeros(X.shape), "the result", rtol=np.inf)
    if fault:
        return fault
    Z, n_samples = np.asarray(Z, dtype=float), len(X)
    centred = X - X.mean(axis=0)
    covariance = np.cov(Z.T, bias=True)
    identity = np.eye(X.shape[1])
    if np.abs(Z.mean(axis=0)).max() > 1e-6:
        return "the mean of the result is not zero: subtract the mean first."
    if np.allclose(covariance, identity * (n_samples - 1) / n_samples, atol=1e-6):
        return "you divided by N - 1; here the covariance divides by N."
    if not np.allclose(covariance, identity, atol=1e-6):
        factor = np.linalg.cholesky(np.cov(X.T, bias=True))
        if _close(Z, centred @ np.linalg.inv(factor)):
            return "for points in rows, z = L^-1 (x - mu) reads (X - mu) L^-T: mind the transpose."
        if np.allclose(np.diag(covariance), 1.0, atol=1e-6):
            return "the variances are 1, but the features are still correlated."
        return "the covariance of the result is not the identity."
    linear = centred @ np.linalg.lstsq(centred, Z, rcond=None)[0]
    if not np.allclose(linear, Z, atol=1e-6):
        return "the covariance is right, but the result is no linear map of the points of X."
    return None
