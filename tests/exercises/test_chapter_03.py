"""Answers to the exercises of chapter 3: right ones, and mistakes that are named."""

import numpy as np

from gmmlearn import em


def gap(X, resp, mixture):
    log_posterior = em.e_step(X, mixture)[1]
    used = resp > 0
    return np.sum(resp[used] * (np.log(resp[used]) - log_posterior[used])) / len(X)


def gap_by_difference(X, resp, mixture):
    return mixture.log_prob(X).mean() - em.lower_bound(X, resp, mixture)


def careless_gap(X, resp, mixture):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sum(resp * np.log(resp / mixture.responsibilities(X))) / len(X)


def reverse_gap(X, resp, mixture):
    posterior = mixture.responsibilities(X)
    return np.sum(posterior * np.log(posterior / resp)) / len(X)


def gap_of_each_term(X, resp, mixture):
    return resp * (np.log(resp) - em.e_step(X, mixture)[1])


def cross_entropy(X, resp, mixture):
    return -np.sum(resp * em.e_step(X, mixture)[1]) / len(X)


def gap_of_each_point(X, resp, mixture):
    return gap_of_each_term(X, resp, mixture).sum(axis=1)


def gap_from_the_prior(X, resp, mixture):
    return np.sum(resp * np.log(resp / mixture.weights)) / len(X)


def variances(X, resp):
    covariances = em.m_step(X, resp).covariances
    return np.trace(covariances, axis1=1, axis2=2) / X.shape[1]


def squares(X, centres):
    return np.square(X[:, None] - centres).sum(axis=2)  # (N, K)


def around_the_sample_mean(X, resp):
    totals = (resp * squares(X, X.mean(axis=0)[None])).sum(axis=0)
    return totals / resp.sum(axis=0) / X.shape[1]


def by_determinant(X, resp):
    return np.linalg.det(em.m_step(X, resp).covariances) ** (1 / X.shape[1])


def unweighted(X, resp):
    return squares(X, em.m_step(X, resp).means).mean(axis=0) / X.shape[1]


def groups(X, means):
    return np.eye(len(means))[squares(X, means).argmin(axis=1)]


def iterate(X, means):
    resp = groups(X, means)
    return resp.T @ X / resp.sum(axis=0)[:, None]


def soft(X, means):
    resp = np.exp(-0.5 * squares(X, means))
    resp /= resp.sum(axis=1, keepdims=True)
    return resp.T @ X / resp.sum(axis=0)[:, None]


def underflowed(X, means):
    density = np.exp(-0.5 * squares(X, means) / 1e-8)
    with np.errstate(invalid="ignore"):
        resp = density / density.sum(axis=1, keepdims=True)
    return resp.T @ X / resp.sum(axis=0)[:, None]


def converged(X, means):
    for _ in range(100):
        means = iterate(X, means)
    return means


RIGHT = {
    "03-identical": [(0.5, 0.3, 0.2), np.array([0.5, 0.3, 0.2])],
    "03-gap": [gap, gap_by_difference],
    "03-spherical": [variances],
    "03-kmeans": [iterate, lambda X, means: iterate(X, means).tolist()],
}

MISTAKES = [
    ("03-identical", (1 / 3, 1 / 3, 1 / 3), "Bayes' rule"),
    ("03-identical", (0.33, 0.33, 0.33), "Bayes' rule"),
    ("03-identical", (1, 0, 0), "does not take all"),
    ("03-identical", (0.2, 0.3, 0.5), "wrong order"),
    ("03-identical", (0.5, 0.3, 0.1), "sum to one"),
    ("03-identical", (50, 30, 20), "sum to one"),
    ("03-identical", (0.6, 0.3, 0.1), "not the right value"),
    ("03-identical", ([0.5, 0.3, 0.2], "the sample mean"), "only the list of three weights"),
    ("03-identical", (np.full(3, 1 / 3), np.zeros((3, 2))), "only the list of three weights"),
    ("03-identical", "they stay", "only the list of three weights"),
    ("03-identical", 0.5, "has shape"),
    ("03-gap", lambda X, q, m: gap(X, q, m) * len(X), "sum over the points"),
    ("03-gap", lambda X, q, m: gap(X, q, m) / q.shape[1], "averaged over the components"),
    ("03-gap", lambda X, q, m: -gap(X, q, m), "sign"),
    ("03-gap", reverse_gap, "exchanged"),
    ("03-gap", lambda X, q, m: gap(X, q, m) * len(X) / q.shape[1], "exchange the two"),
    ("03-gap", lambda X, q, m: m.log_prob(X).sum() - em.lower_bound(X, q, m), "from a sum"),
    ("03-gap", cross_entropy, "entropy of q is missing"),
    ("03-gap", gap_of_each_point, "one by one"),
    ("03-gap", gap_of_each_term, "single terms"),
    ("03-gap", gap_from_the_prior, "prior weights"),
    ("03-gap", lambda X, q, m: -em.lower_bound(X, q, m), "joint density"),
    ("03-gap", lambda q, X, m: gap(X, q, m), "another order"),
    ("03-gap", lambda m, X, q: gap(X, q, m), "another order"),
    ("03-gap", lambda X, q, m: gap(X, q, m) / np.log(2), "bits"),
    ("03-gap", lambda X, q, m: em.lower_bound(X, q, m), "the bound itself"),
    ("03-gap", careless_gap, "NaN where some q are zero"),
    ("03-spherical", lambda X, r: np.sqrt(variances(X, r)), "standard deviation"),
    ("03-spherical", lambda X, r: 1 / variances(X, r), "precisions"),
    ("03-spherical", by_determinant, "equal determinant"),
    ("03-spherical", lambda X, r: variances(X, r) * X.shape[1], "all D directions"),
    ("03-spherical", lambda X, r: variances(X, r) * r.mean(axis=0), "number of all points"),
    ("03-spherical", around_the_sample_mean, "component's own mean"),
    ("03-spherical", lambda X, r: variances(X, r) * r.sum(0) / (r.sum(0) - 1), "N_k - 1"),
    ("03-spherical", lambda X, r: em.m_step(X, r).covariances.mean((1, 2)), "on its diagonal"),
    ("03-spherical", lambda X, r: np.diagonal(em.m_step(X, r).covariances, 0, 1, 2), "D variances"),
    ("03-spherical", unweighted, "where are the responsibilities"),
    ("03-spherical", lambda X, r: em.m_step(X, r).covariances, "has shape"),
    ("03-kmeans", lambda X, means: groups(X, means).argmax(axis=1), "groups, the E-step"),
    ("03-kmeans", groups, "responsibilities, the E-step"),
    ("03-kmeans", soft, "still soft"),
    ("03-kmeans", lambda X, means: groups(X, means).T @ X / len(X), "number of all points"),
    ("03-kmeans", lambda X, means: groups(X, means).T @ X, "sums of the groups"),
    (
        "03-kmeans",
        lambda X, means: [
            np.median(X[groups(X, means)[:, k] == 1], axis=0) for k in range(len(means))
        ],
        "medians",
    ),
    ("03-kmeans", lambda X, means: means, "M-step is missing"),
    ("03-kmeans", underflowed, "underflowed"),
    ("03-kmeans", lambda X, means: iterate(X, iterate(X, means)), "one iteration only"),
    ("03-kmeans", converged, "one iteration only"),
]
