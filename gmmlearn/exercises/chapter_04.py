"""Chapter 4: build EM from scratch."""

import numpy as np

from gmmlearn.exercises import call, diagnose, exercise, function_fault
from gmmlearn.mixture import Mixture


@exercise(
    "04-cost",
    hint="Write both costs as formulas in N, K and D, put 2 D for D, and divide by what you had. "
    "For N, set the formulas equal and cancel.",
)
def cost(answer):
    """Growth of the E-step with D: solves, factorisations, and the N at which they cost alike."""
    try:
        solves, factorisations, n_samples = (float(number) for number in answer)
    except (TypeError, ValueError):
        return "Give three numbers: (factor of the solves, factor of the factorisations, N)."
    if (solves, factorisations) == (8, 4):
        return "The two factors are exchanged."
    if (solves, factorisations) == (2, 3):
        return "Those are the powers of D: what does doubling D make of each power?"
    if solves != 4:
        if solves == 2:
            return "Solves: twice as long a point also means rows of the factor twice as long."
        return "The factor of the solves is wrong: how many entries does a triangle of D rows have?"
    if factorisations != 8:
        if factorisations == 4:
            return "Factorisations: D^2 is how many entries they fill; each takes a sum of up to D."
        return "The factor of the factorisations is wrong: read off the power of D."
    if n_samples == 48:
        return "N: you have lost the 3 of D^3 / 3."
    if n_samples in (256, 768):
        return "N: there are K factorisations, but also K solves for each point. What cancels?"
    return None if n_samples == 16 else "N is wrong: set N K D^2 equal to K D^3 / 3."


@exercise(
    "04-excess",
    hint="Write x - c as (x - mean) + (mean - c) and multiply out into four products. Which of "
    "them vanish in the weighted sum?",
)
def excess(answer):
    """What a weighted covariance has too much when it is centred on another point."""
    fault = function_fault(answer, "excess(mean, point)")
    if fault is not None:
        return fault
    for seed, n_features in enumerate((3, 2, 4)):
        rng = np.random.default_rng(seed)
        X, resp = rng.standard_normal((50, n_features)), rng.random(50)
        point = rng.standard_normal(n_features)
        mean = resp @ X / resp.sum()
        value, fault = call(answer, mean, point)
        if fault is not None:
            return fault
        # Independent of the formula: the two covariances themselves.
        about_point, about_mean = (
            (resp[:, None] * (X - c)).T @ (X - c) / resp.sum() for c in (point, mean)
        )
        expected = about_point - about_mean
        offset = mean - point
        products = "The product of the difference is not the difference of the products."
        mistakes = [
            (-expected, "The sign is turned round: centring elsewhere can only add spread."),
            (offset @ offset, "That is the inner product, one number; the excess is a matrix."),
            (np.diag(offset**2), "Right on the diagonal; but the features go astray together, so "
             "the other entries are not zero."),
            (2 * expected, "Twice too much: what is the weighted sum of x_n minus its own mean?"),
            (offset**2, "Those squares stand on the diagonal of the excess, which is a matrix."),
            (np.outer(mean, mean) - np.outer(point, point), products),
            (np.outer(point, point) - np.outer(mean, mean), products),
            (np.outer(mean, mean) - 2 * np.outer(mean, point) + np.outer(point, point),
             "There are two mixed products, and they differ: the order counts in a matrix."),
            (np.outer(mean, mean), "That is the excess about zero: where is the point?"),
            (offset, "That is how far the centre is off; the excess is quadratic in it."),
        ]  # fmt: skip
        fault = diagnose(value, expected, "the excess", mistakes)
        if fault is not None:
            return fault
    return None


@exercise(
    "04-chances",
    hint="Broadcasting makes all differences at once, shape (N, k, D). Over which axis do you "
    "add squares, over which do you take the minimum, and what makes the rest sum to one?",
)
def chances(answer):
    """Probabilities of k-means++ for the next centre."""
    fault = function_fault(answer, "chances(X, centres)")
    if fault is not None:
        return fault
    for seed, n_centres in enumerate((3, 1, 4)):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((20, 2 + seed))
        centres = X[rng.choice(20, size=n_centres, replace=False)]
        value, fault = call(answer, X, centres)
        if fault is not None:
            return fault
        squared = ((X[:, None] - centres) ** 2).sum(axis=2)
        nearest = squared.min(axis=1)
        expected = nearest / nearest.sum()
        remarks = {
            "These are squared distances; divide by their sum to make probabilities.": nearest,
            "The distances are not squared.": np.sqrt(nearest),
            "That is the distance to the farthest centre; the nearest one counts.": squared.max(1),
            "Only the last centre counts in yours; the nearest one should.": squared[:, -1],
            "You added the distances to all centres; only the nearest one counts.": squared.sum(1),
            "That is the farthest point for certain, where outliers always win.": (
                nearest == nearest.max()
            ),
            "You measure to the mean of the centres; the nearest centre counts.": (
                (X - centres.mean(axis=0)) ** 2
            ).sum(axis=1),
            "All points are equally likely in yours: where are the distances?": np.ones(20),
        }
        # With one centre several of these agree; the first case, with three, tells them apart.
        mistakes = [(wrong, remark) for remark, wrong in remarks.items()]
        mistakes += [(wrong / wrong.sum(), remark) for wrong, remark in mistakes]
        fault = diagnose(value, expected, "the array of probabilities", mistakes)
        if fault is not None:
            value = np.asarray(value, dtype=float)
            if value.shape == (20,) and nearest[value.argmax()] < np.median(nearest):
                return "Points near a centre are the likeliest in yours; the far ones should be."
            return fault
    return None


_REPEATED = "Repeating rows works for whole weights only; use the weights in the sums."
# What an answer may raise (a part of the message), and what that says about the answer.
_RAISED = {
    "weights sums to": "The mixing weights do not sum to one: by what total must they be divided?",
    "resp sums to": "m_step wants rows that sum to one, and weighted rows do not: write the sums "
    "yourself.",
    "resp contains": "Dividing each row by its sum cancels the weights again, and fails where a "
    "weight is zero.",
    "broadcast": "resp has shape (N, K) and sample_weight (N,): a product row by row needs "
    "sample_weight[:, None].",
    "Cannot cast": _REPEATED,  # np.repeat
}


@exercise(
    "04-weighted",
    hint="A sample of weight 3 is three equal rows. Go through the M-step: at which places is "
    "there a sum over n, the N of the weights among them?",
)
def weighted(answer):
    """M-step for samples that count several times."""
    fault = function_fault(answer, "weighted_m_step(X, resp, sample_weight)")
    if fault is not None:
        return fault
    for seed, n_components in enumerate((2, 3, 4)):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((40, 2 + seed))
        resp = rng.dirichlet(np.ones(n_components), size=40)
        # Whole numbers first, then any: a solution by repeating rows stops there.
        sample_weight = rng.integers(0, 5, 40).astype(float) if seed == 0 else rng.random(40) * 3
        try:
            value, fault = call(answer, X, resp, sample_weight)
        except (TypeError, ValueError) as error:
            fault = next((hint for part, hint in _RAISED.items() if part in str(error)), None)
            if fault is None:
                raise
        if fault is not None:
            return fault
        if not isinstance(value, Mixture):
            return "Return a Mixture(weights, means, covariances)."
        fault = _compare(value, X, resp, sample_weight)
        if fault is not None:
            return fault
    return None


def _compare(value, X, resp, sample_weight):
    """Return None if `value` is the weighted M-step, or what is wrong with it."""
    expected = _moments(X, resp, sample_weight)
    plain = _moments(X, resp, np.ones(len(X)))
    wrong = [
        (plain, "The {} ignore sample_weight (dividing rows by their sum cancels it)."),
        (_moments(X, resp, sample_weight**2), "The sample weights enter the {} twice, squared."),
        (_moments(X, resp, np.trunc(sample_weight)), _REPEATED),
        (_moments(X, resp, np.rint(sample_weight)), _REPEATED),
    ]
    columns = resp * sample_weight[:, None]
    factor = columns.sum(axis=0) / resp.sum(axis=0)
    numpys = np.array([np.cov(X.T, aweights=column) for column in columns.T])
    divided = "The {} are sums with the weights, divided by counts without them."
    parts = {
        "mixing weights": value.weights,
        "means": value.means,
        "covariances": value.covariances,
    }
    for i, (what, given) in enumerate(parts.items()):
        mistakes = [(moments[i], remark.format(what)) for moments, remark in wrong]
        if what == "means":
            mistakes.append((factor[:, None] * expected[i], divided.format(what)))
        if what == "covariances":
            if _is_raised(given, expected[i]):
                return "You add a variance to the diagonals (reg_covar); the M-step here has none."
            counts = columns.sum(axis=0)[:, None, None]
            mistakes += [
                (factor[:, None, None] * expected[i], divided.format(what)),
                (numpys, "np.cov corrects for an estimated mean; an M-step does not: ddof=0."),
                (counts / (counts - 1) * expected[i], "You divided by the total weight minus one."),
                (
                    _about(X, columns, 0 * expected[1]),
                    "These are second moments about the origin: where do the means go?",
                ),
                (_about(X, resp, expected[1]), wrong[0][1].format(what)),
                (
                    _about(X, columns * sample_weight[:, None], expected[1]),
                    wrong[1][1].format(what),
                ),
                (
                    _about(X, columns, plain[1]),
                    "The covariances are centred on the unweighted means.",
                ),
            ]
        fault = diagnose(given, expected[i], f"the array of {what}", mistakes)
        if fault is not None:
            return fault
    return None


def _is_raised(covariances, expected):
    """Return whether a small variance was added to each diagonal."""
    if covariances.shape != expected.shape:
        return False
    difference = covariances - expected
    added = np.trace(difference[0]) / len(difference[0])
    return added > 1e-9 and np.allclose(difference, added * np.eye(len(difference[0])), atol=1e-12)


def _about(X, columns, centres):
    """Return covariances (K, D, D) of points weighted by `columns`, about given centres."""
    pairs = zip(columns.T, centres, strict=True)
    return np.array([((w * (X - c).T) @ (X - c)) / w.sum() for w, c in pairs])


def _moments(X, resp, sample_weight):
    """Return weights, means and covariances, with NumPy's own weighted functions."""
    columns = (resp * sample_weight[:, None]).T
    return (
        columns.sum(axis=1) / sample_weight.sum(),
        np.array([np.average(X, axis=0, weights=column) for column in columns]),
        np.array([np.cov(X.T, aweights=column, ddof=0) for column in columns]),
    )
