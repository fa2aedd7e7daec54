"""Chapter 3: climb with EM."""

from itertools import permutations

import numpy as np

from gmmlearn import em
from gmmlearn.datasets import BLOBS
from gmmlearn.exercises import call, diagnose, exercise, function_fault, mismatch
from gmmlearn.mixture import Mixture


def _trials(zeros=False):
    """Yield three cases of points, responsibilities and mixture; N, K and D all differ."""
    for seed, n_features in enumerate((2, 3, 1)):
        rng = np.random.default_rng(seed)
        n_components = 5 - n_features
        spread = rng.standard_normal((n_components, n_features, n_features))
        mixture = Mixture(
            rng.dirichlet(np.full(n_components, 5.0)),
            2.0 * rng.standard_normal((n_components, n_features)),
            spread @ spread.swapaxes(1, 2) + np.eye(n_features),
        )
        X = mixture.sample(40 + seed, rng)[0]
        resp = rng.dirichlet(np.ones(n_components), size=len(X))
        if zeros:
            resp[::3] = np.eye(n_components)[rng.integers(n_components, size=len(resp[::3]))]
        yield X, resp, mixture


def _exchanged(function, arrays, expected):
    """Return whether the function is right once its arguments are put in another order."""
    for order in list(permutations(arrays))[1:]:
        try:
            with np.errstate(all="ignore"):
                if _same(call(function, *order)[0], expected):
                    return True
        except Exception:  # this order is not the learner's either
            continue
    return False


def _same(value, other):
    """Return whether two values have equal shape and agree to six digits."""
    return mismatch(value, other, "it") is None


@exercise(
    "03-identical",
    hint="Write one point's responsibilities by Bayes' rule and cancel what all components have "
    "in common. A new weight is the mean of its column.",
)
def identical(answer):
    """Weights after ten iterations from three identical components."""
    try:
        weights = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        weights = np.empty((0, 0))  # no numbers, or rows of different lengths
    if weights.ndim > 1:
        return "Give only the list of three weights; what happens to the means is in the solution."
    mistakes = [
        (np.full(3, 1 / 3), "Equal densities do not make equal responsibilities: look at Bayes' "
         "rule again, something else stands in the numerator."),
        ((1.0, 0.0, 0.0), "The heaviest component does not take all: a responsibility is a share, "
         "and shares do not sharpen when all densities are equal."),
    ]  # fmt: skip
    fault = diagnose(weights, (0.5, 0.3, 0.2), "the array of weights", mistakes, rtol=0.01)
    if fault is not None and weights.shape == (3,):
        if not np.isclose(weights.sum(), 1.0, atol=0.02):
            return "Weights sum to one; yours do not."
        if _same(np.sort(weights), (0.2, 0.3, 0.5)):
            return "Right numbers, wrong order."
    return fault


@exercise(
    "03-gap",
    hint="For one point it is a sum over the components: q times the logarithm of a ratio. What "
    "stands below q in that ratio, and what is such a term worth where q is zero?",
)
def gap(answer):
    """Mean divergence of any responsibilities from the posterior."""
    fault = function_fault(answer, "gap(X, q, mixture)")
    if fault is not None:
        return fault
    for zeros in (False, True):
        for X, q, mixture in _trials(zeros):
            log_prob = mixture.log_prob(X).mean()
            expected = log_prob - em.lower_bound(X, q, mixture)
            try:
                value, fault = call(answer, X, q, mixture)
            except Exception:
                if _exchanged(answer, (X, q, mixture), expected):
                    return "The arguments stand in another order: gap(X, q, mixture)."
                raise
            if fault is not None:
                return fault
            if zeros and _same(np.isnan(np.asarray(value, dtype=float)), True):
                return (
                    "It gives NaN where some q are zero: those terms count as zero, leave them out."
                )
            posterior = mixture.responsibilities(X)
            with np.errstate(divide="ignore", invalid="ignore"):
                reverse = np.sum(posterior * np.log(posterior / q)) / len(X)
                each = q * np.log(q / posterior)
                cross = -np.sum(q * np.log(posterior)) / len(X)
                prior = np.sum(q * np.log(q / mixture.weights)) / len(X)
            mistakes = [
                (expected * len(X), "That is the sum over the points; the bound is a mean."),
                (expected * len(X) / q.shape[1], "You added over the points and averaged over the "
                 "components: exchange the two."),
                (len(X) * log_prob - (log_prob - expected), "You subtracted a mean from a sum: "
                 "both are to be in nats per point."),
                (cross, "The entropy of q is missing: take the logarithm of a ratio."),
                (each.sum(axis=1), "Those are the divergences of the points one by one: average "
                 "them."),
                (each, "Those are the single terms: sum over k, average over n."),
                (prior, "You divided by the prior weights; the posterior also knows the point."),
                (expected - log_prob, "You divided by the joint density: divide by a distribution "
                 "over the components."),
                (expected / q.shape[1], "You averaged over the components as well: sum over k, "
                 "average over n."),
                (-expected, "The sign is turned round: a gap is never negative."),
                (reverse, "The two distributions are exchanged: which of them averages the "
                 "logarithm?"),
                (expected / np.log(2), "That is in bits; use the natural logarithm."),
                (log_prob - expected, "That is the bound itself, not the gap."),
            ]  # fmt: skip
            fault = diagnose(value, expected, "the gap", mistakes)
            if fault is not None:
                return fault
    return None


@exercise(
    "03-spherical",
    hint="Put v I into the bound: the log-determinant becomes D log v, and of the data one "
    "weighted sum of squared distances is left. Differentiate by v.",
)
def spherical(answer):
    """One variance for each component."""
    fault = function_fault(answer, "variances(X, resp)")
    if fault is not None:
        return fault
    for X, resp, _ in _trials():
        means = (resp.T @ X) / resp.sum(axis=0)[:, None]
        squares = np.square(X[:, None] - means).sum(axis=2)  # (N, K)
        totals, counts, n_features = (resp * squares).sum(axis=0), resp.sum(axis=0), X.shape[1]
        expected = totals / (counts * n_features)
        full = em.m_step(X, resp).covariances
        around_all = (resp * np.square(X - X.mean(axis=0)).sum(axis=1)[:, None]).sum(axis=0)
        value, fault = call(answer, X, resp)
        if fault is not None:
            return fault
        mistakes = [
            (np.sqrt(expected), "That is the standard deviation; a variance is its square."),
            (1 / expected, "Those are the precisions, 1 / v; give the variances."),
            (np.linalg.det(full) ** (1 / n_features), "A round Gaussian with an equal determinant "
             "does not maximise the bound: put v_k I into it and differentiate."),
            (totals / counts, "One variance serves all D directions: you have added the "
             "directions up."),
            (totals / (len(X) * n_features), "You divided by the number of all points; component "
             "k answers for fewer."),
            (around_all / (counts * n_features), "You measured distances from the mean of all "
             "points, not from the component's own mean."),
            (totals / ((counts - 1) * n_features), "You divided by N_k - 1: the bound's maximum "
             "divides by N_k."),
            (np.diagonal(full, axis1=1, axis2=2), "Those are D variances for each component; here "
             "one serves all directions."),
            (full.mean(axis=(1, 2)), "You averaged all entries of the covariance: only variances, "
             "on its diagonal, count."),
            (squares.mean(axis=0) / n_features, "Every point counts in full for every component: "
             "where are the responsibilities?"),
        ]  # fmt: skip
        # Where D is 1 some mistakes are no mistakes; the cases with more features find them.
        fault = diagnose(value, expected, "the array of variances", mistakes)
        if fault is not None:
            return fault
    return None


def _lloyd(X, means):
    """Return the means of the points nearest to each of `means`: one iteration of k-means."""
    nearest = np.square(X[:, None] - means).sum(axis=2).argmin(axis=1)
    return np.array([X[nearest == k].mean(axis=0) for k in range(len(means))])


@exercise(
    "03-kmeans",
    hint="Write the ratio of two responsibilities of the same point: its exponent is a "
    "difference of squared distances, divided by 2 epsilon. Where does that ratio go, and "
    "who has the point then?",
)
def kmeans(answer):
    """One EM iteration in the limit of vanishing covariances."""
    fault = function_fault(answer, "iterate(X, means)")
    if fault is not None:
        return fault
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = Mixture(**BLOBS).sample(60, rng)[0]
        means = np.array([[-2.0, 0.0], [2.0, 1.0], [1.0, -2.0]]) + 0.3 * rng.standard_normal((3, 2))
        distances = np.square(X[:, None] - means).sum(axis=2)
        hard = np.eye(3)[distances.argmin(axis=1)]
        expected = _lloyd(X, means)
        soft = np.exp(-0.5 * distances)
        soft /= soft.sum(axis=1, keepdims=True)
        later, further = _lloyd(X, expected), []
        while not _same(later, (further or [expected])[-1]):
            further.append(later)
            later = _lloyd(X, later)
        value, fault = call(answer, X, means)
        if fault is not None:
            return fault
        if isinstance(value, np.ndarray) and value.dtype == float and np.isnan(value).any():
            return "All densities underflowed: take the limit by hand: who gets the point?"
        mistakes = [
            (distances.argmin(axis=1), "Those are the groups, the E-step; the M-step still has to "
             "average each of them."),
            (hard, "Those are the responsibilities, the E-step; the M-step still has to average."),
            ((soft.T @ X) / soft.sum(axis=0)[:, None], "Your responsibilities are still soft: what "
             "do they become as the covariances vanish?"),
            (hard.T @ X / len(X), "You divided by the number of all points, not by each group's."),
            (hard.T @ X, "Those are the sums of the groups, not their averages."),
            ([np.median(X[row == 1], axis=0) for row in hard.T], "Those are medians; the M-step "
             "takes the mean."),
            (means, "The means have not moved: the M-step is missing."),
            *((more, "Make one iteration only.") for more in further),
        ]  # fmt: skip
        fault = diagnose(value, expected, "the array of new means", mistakes)
        if fault is not None:
            return fault
    return None
