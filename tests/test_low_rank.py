"""Mixtures of factor analysers against dense EM, SciPy's density and scikit-learn's."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import blobs
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from test_fuzz import FUZZ, assert_sound, fit_quietly, tables

from gmmlearn import GaussianMixture
from gmmlearn import table as table_module
from gmmlearn.covariance import Parameters, SingularCovariance
from gmmlearn.estimator import CollapsedComponentWarning
from gmmlearn.low_rank import LowRank
from gmmlearn.starts import STARTS
from gmmlearn.statistics import Posterior, sweep
from gmmlearn.table import Table

K, D, R, N = 3, 6, 2, 400
STRUCTURE = LowRank(R)


def analysers(n_samples=N, seed=0, spread=2.0):
    """Return points of three factor analysers (N, D), and a start for them."""
    rng = np.random.default_rng(seed)
    loadings, means = rng.normal(size=(K, D, R)), spread * rng.normal(size=(K, D))
    std, labels = rng.uniform(0.3, 1.0, size=(K, D)), rng.integers(K, size=n_samples)
    X = means[labels] + np.einsum("nr,ndr->nd", rng.normal(size=(n_samples, R)), loadings[labels])
    X += std[labels] * rng.normal(size=(n_samples, D))
    return X, {
        "n_components": K,
        "covariance_type": "low_rank",
        "rank": R,
        "weights_init": [0.5, 0.3, 0.2],
        "means_init": means + 0.5 * rng.normal(size=means.shape),
        "loadings_init": loadings + 0.5 * rng.normal(size=loadings.shape),
        "noise_variance_init": rng.uniform(0.5, 2.0, size=(K, D)),
        "reg_covar": 0.0,
        "tol": 1e-5,
        "max_iter": 3000,
    }


def parameters(seed=0):
    """Return parameters of the structure, and the same covariances as matrices (K, D, D)."""
    rng = np.random.default_rng(seed)
    loadings, noise = 2.0 * rng.normal(size=(K, D, R)), rng.uniform(0.2, 2.0, size=(K, D))
    covariances = np.concatenate([loadings, noise[..., None]], axis=2)
    full = loadings @ loadings.swapaxes(1, 2) + noise[:, :, None] * np.eye(D)
    means = rng.normal(size=(K, D))
    params = Parameters(
        np.array([0.5, 0.3, 0.2]), means, covariances, STRUCTURE.factor(covariances)
    )
    return params, full


def dense_log_joint(X, weights, means, full):
    """Return log pi_k + log N (N, K) of rows with or without missing values, by SciPy."""
    values = np.tile(np.log(weights), (len(X), 1))
    for n, x in enumerate(X):
        seen = ~np.isnan(x)
        if seen.any():
            for k in range(len(weights)):
                part = multivariate_normal(means[k][seen], full[k][np.ix_(seen, seen)])
                values[n, k] += part.logpdf(x[seen])
    return values


def dense_step(X, weights, means, loadings, noise, weight=None, keep_means=False):
    """Return the parameters after one iteration, and the bound before it, by D x D matrices.

    Factor analysis is written as regression on the factors, with E[z] and E[z z'] of each row, and
    the factors' own second moment is fitted as well and then absorbed by the loadings.
    """
    full = loadings @ loadings.swapaxes(1, 2) + noise[:, :, None] * np.eye(X.shape[1])
    log_joint = dense_log_joint(X, weights, means, full)
    log_prob = np.logaddexp.reduce(log_joint, axis=1)
    resp = np.exp(log_joint - log_prob[:, None])
    weight = np.ones(len(X)) if weight is None else weight
    resp *= weight[:, None]
    counts, new = resp.sum(axis=0), ([], [], [])
    for k in range(len(weights)):
        # Expected points, and the covariance of what is missing, row by row.
        points, extra = np.empty_like(X), np.zeros_like(full[k])
        for n, x in enumerate(X):
            seen = ~np.isnan(x)
            gain = full[k][:, seen] @ np.linalg.inv(full[k][np.ix_(seen, seen)])
            points[n] = means[k] + gain @ (x - means[k])[seen]
            extra += resp[n, k] * (full[k] - gain @ full[k][seen])
        mean = means[k] if keep_means else resp[:, k] @ points / counts[k]
        centred = points - mean
        S = ((centred.T * resp[:, k]) @ centred + extra) / counts[k]
        beta = loadings[k].T @ np.linalg.inv(full[k])
        z_x, z_z = beta @ S, np.eye(len(beta)) - beta @ loadings[k] + beta @ S @ beta.T
        regression = z_x.T @ np.linalg.inv(z_z)
        new[0].append(mean)
        new[1].append(regression @ np.linalg.cholesky(z_z))
        new[2].append(np.diag(S - regression @ z_x))
    return counts / counts.sum(), *map(np.array, new), weight @ log_prob / weight.sum()


def assert_same_covariances(mixture, loadings, noise, atol=1e-10):
    products = mixture.loadings_ @ mixture.loadings_.swapaxes(1, 2)
    np.testing.assert_allclose(products, loadings @ loadings.swapaxes(1, 2), atol=atol)
    np.testing.assert_allclose(mixture.noise_variance_, noise, atol=atol)


def fit_quickly(**settings):
    return GaussianMixture(**{"covariance_type": "low_rank", "random_state": 0, **settings})


# ------------------------------------------------------------------------------------- densities


def test_both_routes_give_scipys_log_density():
    params, full = parameters()
    X = np.random.default_rng(1).normal(size=(50, D))
    expected = dense_log_joint(X, params.weights, params.means, full).T
    features = np.empty((STRUCTURE.n_statistics(D, K), 50))
    features[-1 - D : -1] = X.T
    STRUCTURE.fill_features(features, D)
    STRUCTURE.project(features, X.T, STRUCTURE.projection(params.precisions_cholesky))
    posterior = Posterior(STRUCTURE, params)
    assert posterior.natural is not None
    np.testing.assert_allclose(posterior.log_joint(features, X.T), expected, atol=1e-11)
    posterior.natural, posterior.exact = None, np.arange(K)
    np.testing.assert_allclose(posterior.log_joint(features, X.T), expected, atol=1e-11)


def test_factors_are_those_of_the_matrices():
    params, full = parameters()
    inverse = np.linalg.inv(full)
    factors = params.precisions_cholesky
    np.testing.assert_allclose(STRUCTURE.precisions(factors), inverse, atol=1e-12)
    np.testing.assert_allclose(STRUCTURE.matrices(params.covariances, K, D), full)
    log_det = -0.5 * np.linalg.slogdet(full)[1]
    np.testing.assert_allclose(STRUCTURE.log_det_precision(factors, D), log_det)
    diagonals = np.diagonal(inverse, axis1=1, axis2=2)
    np.testing.assert_allclose(STRUCTURE.precision_diagonal(factors), diagonals)
    variances = np.diagonal(full, axis1=1, axis2=2)
    np.testing.assert_allclose(STRUCTURE.variances(params.covariances), variances)
    # A root times its transpose is the covariance.
    root = STRUCTURE.colour(np.eye(D), factors[1])
    np.testing.assert_allclose(root.T @ root, full[1], atol=1e-12)


def test_rescaled_features_rescale_the_covariance():
    params, full = parameters()
    by = np.array([8.0, 0.5, 1.0, 2.0, 4.0, 0.25])
    covariances, factors = STRUCTURE.rescale(*params[2:], by)
    expected = full * by[:, None] * by
    np.testing.assert_allclose(STRUCTURE.matrices(covariances, K, D), expected)
    np.testing.assert_allclose(STRUCTURE.precisions(factors), np.linalg.inv(expected), atol=1e-12)


def test_thinnest_direction_is_the_least_eigenvector():
    params, full = parameters()
    covariances = params.covariances.copy()
    covariances[1, :, -1] *= 1e-4
    covariances[1, 3, -1] = 1e-7
    full = STRUCTURE.matrices(covariances, K, D)
    params = params._replace(
        covariances=covariances, precisions_cholesky=STRUCTURE.factor(covariances)
    )
    thin, there = STRUCTURE.thinnest(params)
    values, vectors = np.linalg.eigh(full[1])
    offsets = params.means - params.weights @ params.means
    whole = np.einsum("k,kde->de", params.weights, full)
    whole += np.einsum("k,kd,ke->de", params.weights, offsets, offsets)
    assert thin[1] == pytest.approx(values[0], rel=1e-6)
    assert there[1] == pytest.approx(vectors[:, 0] @ whole @ vectors[:, 0], rel=1e-3)


@pytest.mark.parametrize("noise", [0.0, -1.0, np.nan])
def test_noise_without_variance_names_the_component(noise):
    covariances = parameters()[0].covariances.copy()
    covariances[1, 2, -1] = noise
    with pytest.raises(SingularCovariance, match=r"component 1 .*reg_covar"):
        STRUCTURE.factor(covariances)


def test_amplification_bounds_the_loss_of_the_expanded_square():
    params, full = parameters()
    far = params._replace(means=params.means + 1e5)
    X = far.means[0] + np.random.default_rng(1).normal(size=(50, D))
    reach = np.abs(far.means) + np.sqrt(STRUCTURE.variances(far.covariances))
    bound = np.finfo(float).eps * STRUCTURE.amplification(reach, far.precisions_cholesky)
    posterior = Posterior(STRUCTURE, far)
    assert len(posterior.exact) == K
    posterior.exact, posterior.natural = [], STRUCTURE.natural(far)
    features = np.empty((STRUCTURE.n_statistics(D, K), 50))
    features[-1 - D : -1] = X.T
    STRUCTURE.fill_features(features, D)
    STRUCTURE.project(features, X.T, posterior.projection)
    error = posterior.log_joint(features, X.T)[0] - dense_log_joint(X, *far[:2], full)[:, 0]
    assert 1e-3 * bound[0] < np.abs(error).max() < 8 * bound[0]


# -------------------------------------------------------------------------------------------- EM


@pytest.mark.parametrize("exact", [[], [0, 1, 2], [0, 2]])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_the_naive_ones(exact, weighted, monkeypatch):
    monkeypatch.setattr(table_module, "BLOCK_BYTES", 1)  # several blocks, the last one short
    params, full = parameters()
    X = np.random.default_rng(1).normal(size=(N, D))
    weight = np.random.default_rng(2).uniform(0.5, 2.0, N) if weighted else None
    table = Table(X, STRUCTURE, K, weight)
    Z = (X - table.frame.origin) / table.frame.scale
    posterior = Posterior(STRUCTURE, params)
    posterior.exact = np.array(exact, int)
    centres = np.zeros((K, D))
    centres[posterior.exact] = params.means[posterior.exact]
    sums = sweep(table, posterior, centres, posterior.exact)
    log_joint = dense_log_joint(Z, params.weights, params.means, full)
    log_prob = np.logaddexp.reduce(log_joint, axis=1)
    resp = np.exp(log_joint - log_prob[:, None])
    resp = resp if weight is None else resp * weight[:, None]
    centred = Z[:, None] - centres
    second = np.einsum("nk,nkd,nke->kde", resp, centred, centred)
    H, inverse_std = np.split(params.precisions_cholesky[:, :-1], [R], axis=2)
    assert len(table.blocks) > 3
    np.testing.assert_allclose(
        sums.log_prob, np.dot(1 if weight is None else weight, log_prob).sum()
    )
    np.testing.assert_allclose(sums.counts, resp.sum(axis=0))
    np.testing.assert_allclose(sums.first, np.einsum("nk,nkd->kd", resp, centred), atol=1e-10)
    np.testing.assert_allclose(sums.second[..., :R], second @ (H * inverse_std), atol=1e-9)
    diagonals = np.diagonal(second, axis1=1, axis2=2)
    np.testing.assert_allclose(sums.second[..., R], diagonals, atol=1e-9)


@pytest.mark.parametrize("missing", [0.0, 0.25])
@pytest.mark.parametrize("offset", [0.0, 2.0**20])
@pytest.mark.parametrize("weighted", [False, True])
def test_iterations_are_those_of_dense_matrices(missing, offset, weighted):
    X, start = analysers(120 if missing else N)
    rng = np.random.default_rng(5)
    X[rng.random(X.shape) < missing] = np.nan
    weight = rng.uniform(0.2, 3.0, len(X)) if weighted else None
    begin = start | {"means_init": start["means_init"] + offset, "max_iter": 3, "tol": 0.0}
    with pytest.warns(ConvergenceWarning):
        mixture = GaussianMixture(**begin).fit(X + offset, sample_weight=weight)
    state = [
        np.array(start[f"{n}_init"]) for n in ("weights", "means", "loadings", "noise_variance")
    ]
    bounds = []
    for _ in range(3):
        *state, bound = dense_step(X, *state, weight)
        bounds.append(bound)
    close = 1e-9 if offset else 1e-11
    np.testing.assert_allclose(mixture.lower_bounds_, bounds, rtol=close)
    np.testing.assert_allclose(mixture.weights_, state[0], rtol=100 * close)
    np.testing.assert_allclose(mixture.means_ - offset, state[1], atol=1e-9 + 1e-15 * offset)
    assert_same_covariances(mixture, *state[2:], atol=100 * close)


def test_regularisation_is_added_to_the_noise():
    X, start = analysers()
    start |= {"max_iter": 1}
    with pytest.warns(ConvergenceWarning):
        plain = GaussianMixture(**start).fit(X)
        more = GaussianMixture(**start | {"reg_covar": 0.5}).fit(X)
    assert_same_covariances(more, plain.loadings_, plain.noise_variance_ + 0.5)


def test_one_component_is_factor_analysis():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 3)) @ rng.normal(size=(3, 12)) + 5.0
    X += rng.uniform(0.3, 1.0, size=12) * rng.normal(size=X.shape)
    ours = fit_quickly(rank=3, tol=1e-11, max_iter=5000, reg_covar=0.0).fit(X)
    theirs = FactorAnalysis(3, tol=1e-8, max_iter=5000, svd_method="lapack").fit(X)
    assert ours.score(X) == pytest.approx(theirs.score(X), abs=1e-7)
    np.testing.assert_allclose(ours.covariances_[0], theirs.get_covariance(), atol=1e-4)


def test_almost_full_rank_reaches_fulls_likelihood():
    X = blobs(600, 5, 2)
    settings = {"n_components": 2, "random_state": 0, "tol": 1e-9, "max_iter": 20_000}
    full = GaussianMixture(**settings).fit(X)
    most = GaussianMixture(**settings, covariance_type="low_rank", rank=4).fit(X)
    assert most.score(X) == pytest.approx(full.score(X), abs=1e-5)
    np.testing.assert_allclose(most.predict_proba(X), full.predict_proba(X), atol=1e-3)


def test_expanded_parameters_climb_faster_than_plain_em():
    X, _ = analysers(2000)
    means = X.mean(axis=0)[None]
    loadings, noise = 0.1 * np.random.default_rng(0).normal(size=(1, D, R)), X.var(axis=0)[None]
    start = {"loadings_init": loadings, "noise_variance_init": noise, "means_init": means}
    with pytest.warns(ConvergenceWarning):
        ours = fit_quickly(rank=R, reg_covar=0.0, max_iter=10, tol=0.0, **start).fit(X)
    S = np.cov(X.T, ddof=0)
    for _ in range(10):
        full = loadings[0] @ loadings[0].T + np.diag(noise[0])
        beta = loadings[0].T @ np.linalg.inv(full)
        z_z = np.eye(R) - beta @ loadings[0] + beta @ S @ beta.T
        plain = S @ beta.T @ np.linalg.inv(z_z)
        loadings, noise = plain[None], np.diag(S - plain @ beta @ S)[None]
    full = loadings[0] @ loadings[0].T + np.diag(noise[0])
    assert ours.score(X) > multivariate_normal(means[0], full).logpdf(X).mean() + 1e-3


@settings(FUZZ, max_examples=60)
@given(
    X=tables(extreme=False),
    n_components=st.integers(1, 4),
    rank=st.integers(1, 3),
    prior_strength=st.sampled_from([0.0, 1.0]),
    weighted=st.booleans(),
)
def test_bound_never_falls(X, n_components, rank, prior_strength, weighted):
    mixture = fit_quickly(
        n_components=n_components,
        rank=rank,
        init_params="random",
        reg_covar=0.0,
        prior_strength=prior_strength,
        tol=0.0,
        max_iter=30,
    )
    weight = np.random.default_rng(0).uniform(0.1, 3.0, len(X)) if weighted else None
    if fit_quietly(mixture, X, sample_weight=weight) is not None:
        bounds = np.array(mixture.lower_bounds_)
        assert (np.diff(bounds) > -1e-7 * (1.0 + np.abs(bounds[1:]))).all()


@settings(FUZZ, max_examples=60)
@given(
    X=tables(),
    n_components=st.integers(1, 6),
    rank=st.integers(1, 4),
    init_params=st.sampled_from(sorted(STARTS)),
    reg_covar=st.sampled_from([0.0, 1e-6, 1e-2]),
    prior_strength=st.sampled_from([0.0, 1.0]),
)
def test_finite_or_an_error_that_helps(
    X, n_components, rank, init_params, reg_covar, prior_strength
):
    before = X.copy()
    mixture = fit_quickly(
        n_components=n_components,
        rank=rank,
        init_params=init_params,
        reg_covar=reg_covar,
        prior_strength=prior_strength,
    )
    if fit_quietly(mixture, X) is not None:
        assert (mixture.noise_variance_ > 0).all()
        assert np.isfinite(mixture.loadings_).all()
        assert_sound(mixture, X)
    np.testing.assert_array_equal(X, before)


# ------------------------------------------------------------------------------- what users ask


@pytest.mark.parametrize("init_params", sorted(STARTS))
def test_every_start_finds_the_analysers(init_params):
    X, start = analysers(900, spread=4.0)
    known = GaussianMixture(**start).fit(X)
    found = fit_quickly(n_components=K, rank=R, init_params=init_params, max_iter=3000, tol=1e-8)
    assert found.fit(X).score(X) > known.score(X) - 1e-2


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++"])
def test_start_is_near_the_principal_axes_of_the_clusters(init_params):
    X, _ = analysers(3000, spread=6.0)
    settings = {"n_components": K, "rank": R, "init_params": init_params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = fit_quickly(**settings, max_iter=0).fit(X)
        one, end = (fit_quickly(**settings, max_iter=n, tol=1e-8).fit(X) for n in (1, 3000))
    single = fit_quickly(n_components=1, rank=R).fit(X).score(X)
    assert one.score(X) - single > 0.9 * (end.score(X) - single)
    assert np.square(start.loadings_).sum() > 0.8 * np.square(end.loadings_).sum()


def test_fit_of_images_needs_little_more_memory_than_the_data():
    n_samples, n_features = 2000, 784
    X = np.random.default_rng(0).normal(size=(n_samples, n_features))
    settings = {"n_components": 10, "rank": 8, "init_params": "random_from_data", "max_iter": 2}
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture = fit_quickly(**settings).fit(X).partial_fit(X)
    mixture.predict(X), mixture.sample(10), mixture.marginal(range(20))
    mixture.condition(range(700), np.zeros(700))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Ten covariance matrices of 784 features would take 49 MB.
    assert peak < 30e6


def test_integer_weight_equals_repeated_row():
    X, start = analysers(200)
    repeats = np.random.default_rng(1).integers(0, 4, len(X))
    weighted = GaussianMixture(**start).fit(X, sample_weight=repeats)
    repeated = GaussianMixture(**start).fit(np.repeat(X, repeats, axis=0))
    assert weighted.n_iter_ == repeated.n_iter_
    np.testing.assert_allclose(weighted.means_, repeated.means_, atol=1e-9)
    assert_same_covariances(weighted, repeated.loadings_, repeated.noise_variance_, atol=1e-9)


def test_criteria_do_not_count_rotations():
    X, start = analysers()
    mixture = GaussianMixture(**start).fit(X)
    covariances = K * (D * R + D - R * (R - 1) // 2)
    n_parameters = covariances + K * D + K - 1
    log_prob = mixture.score(X) * N
    assert mixture.bic(X) == pytest.approx(-2 * log_prob + n_parameters * np.log(N))
    assert mixture.aic(X) == pytest.approx(-2 * log_prob + n_parameters * 2)
    most = np.log(mixture.predict_proba(X).max(axis=1)).sum()
    assert mixture.icl(X) == pytest.approx(mixture.bic(X) - 2 * most)


def test_matrices_are_formed_when_asked_for():
    X, start = analysers()
    mixture = GaussianMixture(**start).fit(X)
    assert not {"covariances_", "precisions_", "precisions_cholesky_"} & vars(mixture).keys()
    W, noise = mixture.loadings_, mixture.noise_variance_
    full = W @ W.swapaxes(1, 2) + noise[:, :, None] * np.eye(D)
    np.testing.assert_allclose(mixture.covariances_, full)
    np.testing.assert_allclose(mixture.precisions_, np.linalg.inv(full), atol=1e-10)
    U = mixture.precisions_cholesky_
    np.testing.assert_allclose(U @ U.swapaxes(1, 2), mixture.precisions_, atol=1e-9)
    assert np.tril(U, -1).any() == 0
    with pytest.raises(AttributeError, match="no attribute 'covariance_'"):
        mixture.covariance_  # noqa: B018
    assert not hasattr(GaussianMixture(covariance_type="low_rank"), "covariances_")
    # The columns of the loadings are orthogonal in units of the noise, the strongest first.
    gram = np.einsum("kdr,kd,kds->krs", W, 1 / noise, W)
    np.testing.assert_allclose(gram[:, 0, 1], 0.0, atol=1e-8 * gram.max())
    assert (gram[:, 0, 0] >= gram[:, 1, 1]).all()


def test_refit_with_another_structure_leaves_nothing_behind():
    X, start = analysers()
    mixture = GaussianMixture(**start).fit(X)
    plain = {"loadings_init": None, "noise_variance_init": None}
    mixture.set_params(covariance_type="full", **plain).fit(X)
    assert not hasattr(mixture, "loadings_") and "covariances_" in vars(mixture)
    mixture.set_params(covariance_type="low_rank", warm_start=True)
    with pytest.raises(ValueError, match="warm_start"):
        mixture.fit(X)


def test_marginal_and_condition_multiply_to_the_joint():
    X, start = analysers()
    mixture = GaussianMixture(**start).fit(X)
    known, rest = [4, 0, 3], [1, 2, 5]
    for x in X[:5]:
        marginal = mixture.marginal(known).log_prob(x[None, known])[0]
        conditional = mixture.condition(known, x[known])
        joint = mixture.score_samples(x[None])[0]
        assert marginal + conditional.log_prob(x[None, rest])[0] == pytest.approx(joint, abs=1e-10)
    through = mixture.mixture().condition(known, X[0, known])
    direct = mixture.condition(known, X[0, known])
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(direct, name), getattr(through, name), atol=1e-10)


def test_missing_values_are_expected_and_drawn_from_the_conditional():
    X, start = analysers()
    mixture = GaussianMixture(**start).fit(X)
    holes = X[:1].copy()
    holes[0, [1, 2, 5]] = np.nan
    conditional = mixture.condition([0, 3, 4], X[0, [0, 3, 4]])
    mean = conditional.weights @ conditional.means
    np.testing.assert_allclose(mixture.impute(holes)[0, [1, 2, 5]], mean)
    draws = mixture.impute(np.repeat(holes, 40_000, axis=0), draw=True, random_state=0)
    offsets = conditional.means - mean
    covariance = np.einsum("k,kde->de", conditional.weights, conditional.covariances)
    covariance += np.einsum("k,kd,ke->de", conditional.weights, offsets, offsets)
    close = 0.03 * np.diag(covariance).max()
    np.testing.assert_allclose(np.cov(draws[:, [1, 2, 5]].T), covariance, atol=close)
    empty = np.full((1, D), np.nan)
    np.testing.assert_allclose(mixture.predict_proba(empty)[0], mixture.weights_)
    nearly = empty.copy()
    nearly[0, 2] = 0.3  # fewer features than factors
    full = mixture.covariances_[:, 2, 2]
    parts = mixture.weights_ * np.exp(
        [
            multivariate_normal(m, v).logpdf(0.3)
            for m, v in zip(mixture.means_[:, 2], full, strict=True)
        ]
    )
    assert mixture.score_samples(nearly)[0] == pytest.approx(np.log(parts.sum()))


def test_samples_have_the_mixtures_moments():
    X, start = analysers()
    mixture = GaussianMixture(**start).fit(X)
    drawn, labels = mixture.sample(200_000, random_state=0)
    for k, covariance in enumerate(mixture.covariances_):
        part = drawn[labels == k]
        close = 5 * np.sqrt(np.diag(covariance).max() / len(part))
        np.testing.assert_allclose(part.mean(axis=0), mixture.means_[k], atol=close)
        np.testing.assert_allclose(np.cov(part.T), covariance, atol=0.02 * covariance.max())


def test_stream_makes_nearly_all_of_batch_ems_gain():
    X, _ = analysers(6000, spread=3.0)
    rng = np.random.default_rng(0)
    single = fit_quickly(rank=R).fit(X).score(X)
    stream = fit_quickly(n_components=K, rank=R)
    for _ in range(8):
        for part in np.array_split(X[rng.permutation(len(X))], 20):
            stream.partial_fit(part)
    batch = fit_quickly(n_components=K, rank=R, tol=1e-8, max_iter=5000).fit(X)
    assert stream.score(X) - single > 0.995 * (batch.score(X) - single)
    # A stream of the same data goes on from the optimum and stays there.
    before = batch.score(X)
    assert batch.partial_fit(X).score(X) == pytest.approx(before, abs=1e-3)


def test_warm_start_fixed_pickle_clone_and_search():
    X, start = analysers()
    mixture = GaussianMixture(**start | {"warm_start": True, "max_iter": 2, "tol": 0.0})
    straight = GaussianMixture(**start | {"max_iter": 4, "tol": 0.0})
    with pytest.warns(ConvergenceWarning):
        mixture.fit(X).fit(X), straight.fit(X)
    assert_same_covariances(mixture, straight.loadings_, straight.noise_variance_, atol=1e-9)
    copy = pickle.loads(pickle.dumps(mixture))
    np.testing.assert_array_equal(copy.score_samples(X), mixture.score_samples(X))
    assert clone(mixture).get_params().keys() == mixture.get_params().keys()
    fixed = {"weights": "weights_", "means": "means_", "covariances": "noise_variance_"}
    for name, attribute in fixed.items():
        held = GaussianMixture(**start, fixed={name}).fit(X)
        given = start[f"{attribute}init"]
        np.testing.assert_allclose(getattr(held, attribute), given, rtol=1e-12)
        assert (np.diff(held.lower_bounds_) > -1e-10).all()
        assert held.lower_bound_ < GaussianMixture(**start).fit(X).lower_bound_
    search = GridSearchCV(fit_quickly(n_components=K, reg_covar=1e-3), {"rank": [1, 2, 5]}, cv=3)
    assert search.fit(X).best_params_["rank"] > 1


def test_step_about_fixed_means_is_that_of_dense_matrices():
    X, start = analysers()
    with pytest.warns(ConvergenceWarning):
        mixture = GaussianMixture(**start | {"max_iter": 1}, fixed={"means"}).fit(X)
    names = ("weights", "means", "loadings", "noise_variance")
    state = [np.array(start[f"{name}_init"]) for name in names]
    _, _, loadings, noise, _ = dense_step(X, *state, keep_means=True)
    assert_same_covariances(mixture, loadings, noise)


def test_collapse_is_named_and_a_prior_prevents_it():
    X = np.vstack([blobs(200, 4, 1), np.full((1, 4), 50.0)])
    means = [np.zeros(4), np.full(4, 50.0)]
    settings = {"n_components": 2, "weights_init": [0.99, 0.01], "means_init": means}
    with pytest.warns(CollapsedComponentWarning, match="component 1"):
        fit_quickly(**settings, max_iter=500).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CollapsedComponentWarning)
        held = fit_quickly(**settings, prior_strength=1.0, max_iter=500).fit(X)
    assert np.linalg.eigvalsh(held.covariances_).min() > 1e-2


def test_nothing_passed_in_is_changed():
    X, start = analysers()
    kept = {name: np.array(value) for name, value in start.items()}
    before = X.copy()
    mixture = GaussianMixture(**start).fit(X)
    mixture.predict(X), mixture.sample(3), mixture.partial_fit(X)
    np.testing.assert_array_equal(X, before)
    for name, value in kept.items():
        np.testing.assert_array_equal(start[name], value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 6}, "rank is 6, but X has n_features = 6.*Use a lower rank"),
        ({"rank": 0}, "rank"),
        ({"loadings_init": np.ones((3, 6, 2))}, "noise_variance_init is None. Pass"),
        ({"noise_variance_init": np.ones((3, 6))}, "loadings_init is None. Pass"),
        ({"loadings_init": np.ones((3, 6))}, r"loadings_init has shape .*expected \(3, 6, 2\)"),
        (
            {"loadings_init": np.ones((3, 6, 1)), "noise_variance_init": np.ones((3, 6))},
            r"loadings_init has shape \(3, 6, 1\), expected \(3, 6, 2\)",
        ),
        (
            {"loadings_init": np.ones((3, 6, 2)), "noise_variance_init": np.zeros((3, 6))},
            "noise_variance_init has an entry that is not positive",
        ),
        (
            {"precisions_init": np.tile(np.eye(6), (3, 1, 1))},
            "precisions_init does not fit.*Use l",
        ),
        (
            {"covariance_type": "diag", "noise_variance_init": np.ones((3, 6))},
            "noise_variance_init does not fit covariance_type='diag'. Use precisions_init",
        ),
        ({"fixed": {"covariances"}}, "loadings_init and noise_variance_init is None"),
    ],
)
def test_bad_arguments_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        fit_quickly(**{"n_components": K, "rank": R, **settings}).fit(analysers()[0])
