"""The block loop against the lesson's E-step and M-step, and its own two routes."""

import warnings

import numpy as np
import pytest
from problems import FITTED, blobs
from problems import gaussians as problem
from threadpoolctl import threadpool_limits

from gmmlearn import GaussianMixture
from gmmlearn import table as table_module
from gmmlearn.covariance import STRUCTURES, Full
from gmmlearn.em import e_step
from gmmlearn.mixture import Mixture
from gmmlearn.statistics import LOSS_LIMIT, Posterior, lossy, normalise, sweep
from gmmlearn.table import Table

ALL = pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)


def as_mixture(structure, params):
    """Return the same parameters as the lesson's Mixture."""
    n_components, n_features = params.means.shape
    variances = structure.variances(params.covariances)
    full = np.array([np.diag(np.broadcast_to(v, n_features)) for v in variances])
    full = np.broadcast_to(full, (n_components, n_features, n_features))
    return Mixture(params.weights, params.means, full)


def naive_sums(X, params, resp, centres):
    centred = X[:, None] - centres
    first = np.einsum("nk,nkd->kd", resp, centred)
    return resp.sum(axis=0), first, np.einsum("nk,nkd,nke->kde", resp, centred, centred)


@ALL
@pytest.mark.parametrize("route", ["expanded", "centred", "mixed"])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_those_of_the_lessons_e_step(structure, route, weighted, monkeypatch):
    monkeypatch.setattr(
        table_module, "BLOCK_BYTES", 1
    )  # blocks of 128: several, the last one short
    X, params = problem(structure)
    weight = np.random.default_rng(3).uniform(0.5, 2.0, len(X)) if weighted else None
    table = Table(X, structure, 3, weight)
    Z = (X - table.frame.origin) / table.frame.scale
    exact = {"expanded": [], "centred": [0, 1, 2], "mixed": [0, 2]}[route]
    if structure.shared and route == "mixed":
        pytest.skip("a shared covariance takes one route for all")
    posterior = Posterior(structure, params)
    posterior.exact = exact
    if route == "centred":
        posterior.natural = None
    centres = np.zeros((3, 3))
    centres[exact] = params.means[exact]
    sums = sweep(table, posterior, centres, exact)
    log_prob, log_resp = e_step(Z, as_mixture(structure, params))
    w = np.ones(len(X)) if weight is None else weight
    counts, first, second = naive_sums(Z, params, w[:, None] * np.exp(log_resp), centres)
    diagonal = np.diagonal(second, axis1=1, axis2=2)
    second = {
        "full": second,
        "tied": second.sum(axis=0)[None],
        "diag": diagonal,
        "spherical": diagonal.sum(axis=1, keepdims=True),
    }[structure.name]
    assert len(table.blocks) == 4
    np.testing.assert_allclose(sums.log_prob, w @ log_prob, rtol=1e-12)
    np.testing.assert_allclose(sums.counts, counts, rtol=1e-11)
    np.testing.assert_allclose(sums.first, first, atol=1e-10)
    np.testing.assert_allclose(sums.second, second, atol=1e-9)


@ALL
def test_result_does_not_depend_on_the_number_of_threads(structure, monkeypatch):
    monkeypatch.setattr(table_module, "BLOCK_BYTES", 1)
    X, params = problem(structure, n_samples=2000)
    results = []
    for n_threads in (1, 2, 3):
        monkeypatch.setattr(table_module, "_blas_threads", lambda n=n_threads: n)
        monkeypatch.setattr(table_module, "THREADED_WORK", 0)
        table = Table(X, structure, 3)
        with threadpool_limits(1), table.workers():
            results.append(sweep(table, Posterior(structure, params), np.zeros((3, 3))))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_normalise_survives_extremes():
    log_joint = np.array([[-1000.0, 800.0, 0.0], [-1000.0, 0.0, -np.inf]])
    log_prob = normalise(log_joint)
    np.testing.assert_allclose(log_prob, [-1000.0 + np.log(2.0), 800.0, 0.0])
    np.testing.assert_allclose(log_joint, [[0.5, 1.0, 1.0], [0.5, 0.0, 0.0]])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_few_components_are_centred_and_nothing_else_changes(weighted, missing, monkeypatch):
    X = blobs(400, 16, 2, spread=1.0)
    X[np.random.default_rng(2).random(X.shape) < missing] = np.nan
    weight = np.random.default_rng(3).uniform(0.5, 2.0, 400) if weighted else None
    settings = {"random_state": 0, "max_iter": 7, "tol": 0.0}
    fits = []
    for few in (2, 0):
        monkeypatch.setattr(Full, "few_components", lambda self, n_features, few=few: few)
        assert Table(X, STRUCTURES["full"], 2).centred == bool(few)
        with warnings.catch_warnings(action="ignore"):
            fits.append(GaussianMixture(2, **settings).fit(X, sample_weight=weight))
            fits[-1].partial_fit(X, sample_weight=weight)
        fits[-1].scores = fits[-1].score_samples(X)
    for name in (*FITTED, "scores", "lower_bounds_"):
        one, other = (getattr(fit, name) for fit in fits)
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical"])
def test_lossy_components_are_those_whose_amplification_is_too_large(name):
    structure, rng, seen = STRUCTURES[name], np.random.default_rng(0), set()
    for _ in range(200):
        n_features = int(rng.integers(1, 6))
        roots = rng.normal(size=(3, n_features, n_features))
        matrices = roots @ roots.swapaxes(1, 2)
        covariances = structure.from_variances(np.diagonal(matrices, axis1=1, axis2=2))
        if structure.made_of == "matrix":
            covariances = matrices
        factors = structure.factor(covariances[:1] if structure.shared else covariances)
        reach = 10.0 ** rng.uniform(0, 4, size=(3, 1)) * np.abs(rng.normal(size=(3, n_features)))
        large = structure.amplification(reach, factors) > LOSS_LIMIT
        expected = np.arange(3) if structure.shared and large.any() else np.flatnonzero(large)
        np.testing.assert_array_equal(lossy(structure, reach, factors), expected)
        seen.add(int(large.sum()))
    assert len(seen) > 2
