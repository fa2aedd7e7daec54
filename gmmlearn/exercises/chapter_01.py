"""Checkers of chapter 1: one Gaussian."""

import numpy as np

from gmmlearn.exercises import diagnose, exercise, first_fault, mismatch
from gmmlearn.gaussian import Gaussian


def _gaussian(rng, n_features):
    """Return a random Gaussian that is neither round nor centred."""
    root = rng.standard_normal((n_features, n_features))
    return Gaussian(rng.normal(0.0, 2.0, n_features), root @ root.T + 0.5 * np.eye(n_features))


def _close(value, other):
    """Whether two numbers or arrays agree to six digits."""
    return mismatch(value, other, "it") is None


def _one_number(value, what):
    """Return `value` as a number and None, or None and what keeps it from being one number."""
    fault = mismatch(value, 0.0, what, rtol=np.inf)
    return (None, fault) if fault else (np.asarray(value, dtype=float).item(), None)


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
    if correlation > 1:
        return "A correlation lies between -1 and 1; give it as a number, not in percent."
    mistakes = [
        (0.5, "Half a correlation is far from enough to take half of the error bar."),
        (0.75, "That is the square of the correlation."),
        (0.25, "That is the share of the variance that is left: what share is explained?"),
        (np.sqrt(0.5), "That halves the variance; the error bar is a standard deviation."),
    ]
    remark = next((remark for wrong, remark in mistakes if abs(correlation - wrong) < 4e-3), None)
    left = np.sqrt(1.0 - correlation**2)
    if remark is None and abs(left - 0.5) > 0.01:  # 0.87 is right, too
        return f"With that correlation {left:.0%} of the error bar remains."
    return remark


@exercise(
    "01-kl",
    hint="Average log p - log q under p: the mean of (x - mu_q)' P (x - mu_q), with P = "
    "Sigma_q^-1, is a trace plus a squared distance of means. Where do the log-determinants "
    "stand?",
)
def kl(answer):
    rng = np.random.default_rng(101)
    pairs = [(_gaussian(rng, d), _gaussian(rng, d)) for d in (1, 2, 5)]
    fault = first_fault(answer, "kl(p, q)", pairs, _kl_fault)
    if fault:
        return fault
    p = pairs[-1][0]
    value, fault = _one_number(answer(p, p), "the divergence of p from itself")
    if fault:
        return fault
    return None if abs(value) < 1e-8 else "The divergence of a Gaussian from itself should be 0."


def _kl_fault(value, p, q):
    """Say what is wrong with `value` as KL(p || q), by the terms that are missing from it."""
    trace, distance, log_dets = _kl_terms(p, q)
    backward = _kl_terms(q, p)
    right = 0.5 * (log_dets - p.n_features + trace + distance)
    mistakes = {
        "That is the other direction: here p is true and q is believed.": 0.5
        * (sum(backward) - p.n_features),
        "You forgot the factor one half.": 2.0 * right,
        "You forgot to subtract the number of features D.": right + 0.5 * p.n_features,
        "You forgot the log-determinants.": right - 0.5 * log_dets,
        "The log-determinants have the wrong sign.": right - log_dets,
        "The log-determinant of a covariance is twice that of its Cholesky factor.": right
        - 0.25 * log_dets,
        "The trace of L_q^-1 L_p is not that of Sigma_q^-1 Sigma_p: square its entries.": right
        + 0.5 * (_trace_of_factors(p, q) - trace),
        "The trace is that of the other direction: the inverse belongs to q.": right
        + 0.5 * (backward[0] - trace),
        "You forgot the distance of the means.": right - 0.5 * distance,
        "The distance of the means is measured with p's covariance; it should be q's.": right
        + 0.5 * (backward[1] - distance),
        "The sign is wrong: a divergence is never negative.": -right,
        "That is in bits; give nats, with the natural logarithm.": right / np.log(2.0),
    }
    return diagnose(value, right, "the divergence", [(v, k) for k, v in mistakes.items()])


def _trace_of_factors(p, q):
    """Return the trace that forgets to square."""
    return np.trace(np.linalg.solve(q.covariance_cholesky, p.covariance_cholesky))


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
    rng = np.random.default_rng(103)
    cases = ((_gaussian(rng, 3), *map(float, rng.normal(0.0, 2.0, 2))) for _ in range(3))
    return first_fault(answer, "repair(joint, left, right)", cases, _gap_fault)


def _gap_fault(pair, joint, left, right):
    """Say what is wrong with `pair` as mean and std of the middle feature."""
    try:
        guess, bar = pair
    except (TypeError, ValueError):
        return "Your function should return two things: the guess and its error bar."
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
        return "The pair is in the wrong order: first the guess, then its error bar."
    if not _close(guess, mean):
        return _guess_fault(guess, mean, joint, left, right)
    if _close(bar, std**2):
        return "The error bar is the variance; take its square root."
    if _close(bar, np.sqrt(joint.covariance[1, 1])):
        return "The error bar is the one before the neighbours are known."
    if not _close(bar, std):
        return "The guess is right, the error bar is not the conditional standard deviation."
    return None


def _guess_fault(guess, mean, joint, left, right):
    """Say which mistake leads to `guess` where `mean` is right."""
    if _close(guess, mean - joint.mean[1]):
        return "The guess leaves out the dead pixel's own mean."
    if _close(guess, (left + right) / 2):
        return "The guess is the average of the neighbours; use what the Gaussian knows."
    if _close(guess, joint.condition([0], [left]).mean[0]):
        return "The guess uses only the left neighbour."
    if _close(guess, joint.condition([2], [right]).mean[1]):
        return "The guess uses only the right neighbour."
    if _close(guess, joint.condition([0, 1], [left, right]).mean[0]):
        return "You conditioned on features 0 and 1; the dead pixel is feature 1."
    if _close(guess, joint.condition([0, 2], [right, left]).mean[0]):
        return "Left and right are swapped: feature 0 is the left neighbour."
    return "The guess is not the conditional mean of the dead pixel."


@exercise(
    "01-whiten",
    hint="What is the covariance of A (x - mean) for any matrix A? Choose A from a factor of S "
    "so that it becomes I; then write the product for points that stand in rows.",
)
def whitened(answer):
    rng = np.random.default_rng(104)
    cases = ((_gaussian(rng, d).sample(n, rng),) for n, d in ((30, 2), (50, 4)))
    return first_fault(answer, "whitened(X)", cases, _whiten_fault)


def _whiten_fault(Z, X):
    """Say what keeps `Z` from being a whitened version of `X`."""
    fault = mismatch(Z, np.zeros(X.shape), "the result", rtol=np.inf)
    if fault:
        return fault
    Z, n_samples = np.asarray(Z, dtype=float), len(X)
    centred = X - X.mean(axis=0)
    covariance = np.cov(Z.T, bias=True)
    identity = np.eye(X.shape[1])
    if np.abs(Z.mean(axis=0)).max() > 1e-6:
        if np.abs(Z.mean()) < 1e-6:
            return "Each feature has a mean of its own: average over the points, axis=0."
        return "The mean of the result is not zero: subtract the mean first."
    if np.allclose(covariance, identity * (n_samples - 1) / n_samples, atol=1e-6):
        return "You divided by N - 1; here the covariance divides by N."
    if not np.allclose(covariance, identity, atol=1e-6):
        S = np.cov(X.T, bias=True)
        factor = np.linalg.cholesky(S)
        if _close(Z, centred @ np.linalg.inv(factor)):
            return "Points stand in rows: transpose the factor's inverse before you multiply by it."
        if _close(covariance, np.linalg.inv(S)):
            return "You divided by the whole covariance: only a root of it is to be undone."
        if _close(Z, centred @ factor.T) or _close(Z, centred @ factor):
            return "That stretches the cloud once more: the map has to be inverted."
        if np.allclose(np.diag(covariance), 1.0, atol=1e-6):
            return "The variances are 1, but the features are still correlated."
        if _close(covariance / covariance[0, 0], identity):
            return "The covariance of the result is the identity but for a factor."
        return "The covariance of the result is not the identity."
    linear = centred @ np.linalg.lstsq(centred, Z, rcond=None)[0]
    if not np.allclose(linear, Z, atol=1e-6):
        return "The covariance is right, but the result is no linear map of the points of X."
    return None
