"""Incomplete rows against EM written out row by row, and against SciPy's marginal densities."""

import numpy as np
import pytest
from problems import ALL, FITTED, TYPES, blobs, start_of
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning

from gmmlearn import GaussianMixture, missing
from gmmlearn.missing import batches, patterns


def with_gaps(X, share=0.3, seed=0, empty_row=True):
    """Return a copy of X with values missing at random, one row without any."""
    rng = np.random.default_rng(seed)
    X = X.copy()
    X[rng.random(X.shape) < share] = np.nan
    if empty_row:
        X[7] = np.nan
    return X


def full_covariances(mixture):
    """Return the covariances as K full matrices."""
    shape = (*mixture.means_.shape, mixture.means_.shape[1])
    eye = np.eye(shape[1])
    return {
        "full": lambda: mixture.covariances_,
        "tied": lambda: np.broadcast_to(mixture.covariances_, shape),
        "diag": lambda: mixture.covariances_[:, :, None] * eye,
        "spherical": lambda: mixture.covariances_[:, None, None] * eye,
    }[mixture.covariance_type]()


def project(covariance_type, matrices, counts):
    """Return full covariances (K, D, D) under the structure's restriction."""
    eye = np.eye(matrices.shape[1])
    variances = np.diagonal(matrices, axis1=1, axis2=2)
    return {
        "full": lambda: matrices,
        "tied": lambda: np.tile(np.average(matrices, axis=0, weights=counts), (len(counts), 1, 1)),
        "diag": lambda: variances[:, :, None] * eye,
        "spherical": lambda: variances.mean(axis=1)[:, None, None] * eye,
    }[covariance_type]()


def em_row_by_row(X, weights, means, covariances, covariance_type, n_iter):
    """EM on incomplete rows, one row and one component at a time."""
    bounds = []
    for _ in range(n_iter):
        log_joint = np.tile(np.log(weights), (len(X), 1))
        points = np.tile(means, (len(X), 1, 1))
        extra = np.zeros((len(X), len(means), X.shape[1], X.shape[1]))
        for n, x in enumerate(X):
            seen = ~np.isnan(x)
            for k, (mean, cov) in enumerate(zip(means, covariances, strict=True)):
                if seen.any():
                    part = multivariate_normal(mean[seen], cov[np.ix_(seen, seen)])
                    log_joint[n, k] += part.logpdf(x[seen])
                gain = cov[:, seen] @ np.linalg.inv(cov[np.ix_(seen, seen)])
                points[n, k] = mean + gain @ (x[seen] - mean[seen])
                extra[n, k] = cov - gain @ cov[seen]
        log_prob = np.logaddexp.reduce(log_joint, axis=1)
        bounds.append(log_prob.mean())
        resp = np.exp(log_joint - log_prob[:, None])
        counts = resp.sum(axis=0)
        means = np.einsum("nk,nkd->kd", resp, points) / counts[:, None]
        centred = points - means
        second = np.einsum("nk,nkd,nke->kde", resp, centred, centred)
        second += np.einsum("nk,nkde->kde", resp, extra)
        covariances = project(covariance_type, second / counts[:, None, None], counts)
        weights = counts / len(X)
    return weights, means, covariances, bounds


@ALL
def test_em_is_that_of_single_rows(covariance_type):
    X = with_gaps(blobs(60, 3, 2, spread=2.0))
    start = start_of(np.nan_to_num(X), covariance_type, 2)
    start |= {"reg_covar": 0.0, "max_iter": 4, "tol": 0.0}
    with pytest.warns(ConvergenceWarning):
        mixture = GaussianMixture(**start).fit(X)
    begin = GaussianMixture(2, covariance_type=covariance_type)
    begin.means_ = start["means_init"]
    inverse = np.linalg.inv if covariance_type in ("full", "tied") else np.reciprocal
    begin.covariances_ = inverse(start["precisions_init"])
    weights, means, covariances, bounds = em_row_by_row(
        X, start["weights_init"], begin.means_, full_covariances(begin), covariance_type, 4
    )
    np.testing.assert_allclose(mixture.weights_, weights, rtol=1e-11)
    np.testing.assert_allclose(mixture.means_, means, atol=1e-11)
    np.testing.assert_allclose(full_covariances(mixture), covariances, atol=1e-11)
    np.testing.assert_allclose(mixture.lower_bounds_, bounds, rtol=1e-12)


@ALL
def test_density_of_an_incomplete_row_is_the_marginal_density(covariance_type):
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(blobs())
    X = with_gaps(blobs(40), 0.5)
    covariances = full_covariances(mixture)
    expected = np.zeros(len(X))
    for n, x in enumerate(X):
        seen = np.flatnonzero(~np.isnan(x))
        if len(seen):
            parts = [
                w * multivariate_normal(m[seen], c[np.ix_(seen, seen)]).pdf(x[seen])
                for w, m, c in zip(mixture.weights_, mixture.means_, covariances, strict=True)
            ]
            expected[n] = np.log(sum(parts))
    np.testing.assert_allclose(mixture.score_samples(X), expected, atol=1e-11)
    np.testing.assert_allclose(mixture.predict_proba(X[[7]])[0], mixture.weights_)
    np.testing.assert_array_equal(mixture.predict(X), mixture.predict_proba(X).argmax(axis=1))


@ALL
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_bound_never_falls_and_every_start_works(covariance_type, init_params):
    X = with_gaps(blobs(300, 3, 3), 0.2)
    settings = {"covariance_type": covariance_type, "init_params": init_params, "random_state": 0}
    settings |= {"reg_covar": 0.0, "prior_strength": 1.0, "tol": 1e-5, "max_iter": 2000}
    mixture = GaussianMixture(3, **settings).fit(X)
    assert (np.diff(mixture.lower_bounds_) > -1e-12).all()
    assert mixture.score(X) > mixture.lower_bound_  # which includes a log prior below zero


@ALL
def test_values_missing_at_random_bias_nothing(covariance_type):
    settings = {"covariance_type": covariance_type, "random_state": 0, "tol": 1e-6}
    complete, _ = GaussianMixture(2, **settings).fit(blobs(500, 3, 2)).sample(30_000)
    expected = GaussianMixture(2, **settings).fit(complete)
    gaps = with_gaps(complete, 0.25)
    got = GaussianMixture(2, **settings, max_iter=1000).fit(gaps)
    np.testing.assert_allclose(got.means_, expected.means_, atol=0.05)
    np.testing.assert_allclose(
        full_covariances(got), full_covariances(expected), atol=0.03 * complete.var()
    )


@ALL
def test_integer_weight_equals_repeated_row_with_gaps(covariance_type):
    X = with_gaps(blobs(200))
    repeats = np.random.default_rng(1).integers(0, 4, len(X))
    start = start_of(np.nan_to_num(X), covariance_type)
    weighted = GaussianMixture(**start).fit(X, sample_weight=repeats)
    repeated = GaussianMixture(**start).fit(np.repeat(X, repeats, axis=0))
    for name in FITTED:
        a, b = getattr(weighted, name), getattr(repeated, name)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(weighted.lower_bounds_, repeated.lower_bounds_, atol=1e-10)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_offset_loses_no_digits_with_gaps(covariance_type):
    X = with_gaps(np.round(blobs() * 2.0**12) / 2.0**12)
    start = start_of(np.nan_to_num(X), covariance_type) | {"max_iter": 20, "tol": 0.0}
    moved = start | {"means_init": start["means_init"] + 2.0**27}
    with pytest.warns(ConvergenceWarning):
        here = GaussianMixture(**start).fit(X)
        there = GaussianMixture(**moved).fit(X + 2.0**27)
    np.testing.assert_allclose(there.covariances_, here.covariances_, rtol=1e-8)
    np.testing.assert_allclose(there.lower_bounds_, here.lower_bounds_, atol=1e-9)


@ALL
def test_impute_is_the_conditional_mean(covariance_type):
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(blobs())
    X = with_gaps(blobs(30), 0.4)
    filled = mixture.impute(X)
    there = ~np.isnan(X)
    np.testing.assert_array_equal(filled[there], X[there])
    for x, row in zip(X, filled, strict=True):
        seen = np.flatnonzero(~np.isnan(x))
        if len(seen) == 0:
            np.testing.assert_allclose(row, mixture.weights_ @ mixture.means_, atol=1e-12)
        elif len(seen) < 3:
            rest = mixture.condition(seen, x[seen])
            np.testing.assert_allclose(row[np.isnan(x)], rest.weights @ rest.means, atol=1e-10)


@ALL
def test_drawn_values_have_the_conditional_moments(covariance_type):
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(blobs())
    X = np.tile([np.nan, 0.3, np.nan], (100_000, 1))
    drawn = mixture.impute(X, draw=True, random_state=0)[:, [0, 2]]
    rest = mixture.condition([1], [0.3])
    mean = rest.weights @ rest.means
    spread = rest.means - mean
    covariance = np.einsum("k,kij->ij", rest.weights, rest.covariances)
    covariance += np.einsum("k,ki,kj->ij", rest.weights, spread, spread)
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=5 * np.sqrt(covariance.max() / 1e5))
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.03 * covariance.max())
    again = mixture.impute(X[:5], draw=True, random_state=3)
    np.testing.assert_array_equal(again, mixture.impute(X[:5], draw=True, random_state=3))
    assert not np.allclose(mixture.impute(X, draw=True)[0], mixture.impute(X, draw=True)[0])


def test_feature_without_any_value_is_named():
    X = blobs()
    X[:, 1] = np.nan
    with pytest.raises(ValueError, match="Feature 1 of X has no value"):
        GaussianMixture(2).fit(X)


def test_patterns_hold_every_row_once():
    X = with_gaps(blobs(200, 9), 0.2)
    found = patterns(X)
    assert found[0][1] is None
    np.testing.assert_array_equal(np.sort(np.concatenate([rows for rows, _ in found])), range(200))
    for rows, seen in found:
        expected = np.zeros(9, bool)
        expected[np.arange(9) if seen is None else seen] = True
        np.testing.assert_array_equal(~np.isnan(X[rows]), np.tile(expected, (len(rows), 1)))
    assert patterns(blobs()) == [(None, None)]


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@pytest.mark.parametrize("limit", [0.0, np.inf])
def test_both_routes_to_the_density_agree_with_single_rows(covariance_type, limit, monkeypatch):
    monkeypatch.setattr(missing, "RISK_LIMIT", limit)
    test_em_is_that_of_single_rows(covariance_type)
    test_density_of_an_incomplete_row_is_the_marginal_density(covariance_type)


def test_nearly_equal_features_lose_no_digits():
    mixture = GaussianMixture(1)
    apart = 2.0**-36  # the first two features are equal but for this variance
    covariance = np.array([[1.0, 1.0, 0.5], [1.0, 1.0 + apart, 0.5], [0.5, 0.5, 1.0]])
    mixture.weights_, mixture.means_ = np.ones(1), np.zeros((1, 3))
    mixture.covariances_ = covariance[None]
    X = np.array([[0.3, np.nan, np.nan], [np.nan, -0.7, 1.1], [0.4, np.nan, -2.0], [np.nan] * 3])
    seen = [[0], [1, 2], [0, 2]]
    expected = [
        multivariate_normal(cov=covariance[np.ix_(s, s)]).logpdf(x[s])
        for s, x in zip(seen, X, strict=False)
    ]
    np.testing.assert_allclose(mixture.score_samples(X), [*expected, 0.0], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("n_missing", [1, 3])
def test_blocks_hold_every_incomplete_row_once(n_missing):
    rng, X = np.random.default_rng(0), blobs(3000, 6)
    X[rng.random(X.shape) < 0.1 * n_missing] = np.nan
    found = [pair for pair in patterns(X) if pair[1] is not None]
    blocks = batches(found, 6, lambda n: 100)
    incomplete = np.flatnonzero(np.isnan(X).any(axis=1))
    np.testing.assert_array_equal(np.sort(np.concatenate([b[0] for b in blocks])), incomplete)
    for rows, starts in blocks:
        gone = np.isnan(X[rows])
        assert len(rows) <= 100 and len(set(gone.sum(axis=1))) == 1
        changes = np.flatnonzero((gone[1:] != gone[:-1]).any(axis=1)) + 1
        np.testing.assert_array_equal(starts, [0, *changes])
