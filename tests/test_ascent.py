"""Stepwise EM, blended moments, and the whitened start."""

import numpy as np
import pytest
from problems import ALL, FITTED, blobs
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture as Reference

from gmmlearn import GaussianMixture
from gmmlearn.ascent import Moments, blend
from gmmlearn.covariance import STRUCTURES


def moments_of(structure, X, resp):
    """Return the Moments of full data, taken naively."""
    counts = resp.sum(axis=0)
    means = resp.T @ X / counts[:, None]
    centred = X[:, None] - means
    full = np.einsum("nk,nkd,nke->kde", resp, centred, centred) / counts[:, None, None]
    variances = np.diagonal(full, axis1=1, axis2=2)
    return Moments(
        counts / len(X),
        means,
        {
            "full": full,
            "tied": np.tensordot(counts / counts.sum(), full, axes=1)[None],
            "diag": variances,
            "spherical": variances.mean(axis=1, keepdims=True),
        }[structure.name],
    )


@ALL
def test_blended_moments_are_those_of_the_joined_data(covariance_type):
    structure, rng = STRUCTURES[covariance_type], np.random.default_rng(0)
    X, resp = blobs(90), rng.dirichlet(np.ones(4), size=90)
    old, new = (moments_of(structure, X[part], resp[part]) for part in (slice(60), slice(60, 90)))
    got, expected = blend(structure, old, new, 1 / 3), moments_of(structure, X, resp)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@ALL
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_stream_makes_nearly_all_of_batch_ems_gain(covariance_type, missing):
    rng = np.random.default_rng(0)
    X = blobs(6000, 3, 3)
    X[rng.random(X.shape) < missing] = np.nan
    settings = {"covariance_type": covariance_type, "random_state": 0}
    single = GaussianMixture(1, **settings).fit(X).score(X)
    stream, start = GaussianMixture(3, **settings), None
    for _ in range(8):
        for part in np.array_split(X[rng.permutation(len(X))], 20):
            stream.partial_fit(part)
            start = start or {
                "weights_init": stream.weights_,
                "means_init": stream.means_,
                "precisions_init": stream.precisions_,
            }
    batch = GaussianMixture(3, **settings, **start, tol=1e-7, max_iter=5000).fit(X)
    assert stream.score(X) - single > 0.995 * (batch.score(X) - single)
    assert stream.n_iter_ == len(stream.lower_bounds_) == 160


@ALL
def test_first_batch_is_one_iteration_of_fit(covariance_type):
    X = blobs()
    settings = {"covariance_type": covariance_type, "random_state": 0}
    stream = GaussianMixture(3, **settings).partial_fit(X)
    with pytest.warns(UserWarning, match="did not converge"):
        fit = GaussianMixture(3, **settings, max_iter=1).fit(X)
    for name in FITTED:
        np.testing.assert_allclose(getattr(stream, name), getattr(fit, name), rtol=1e-12)
    assert stream.lower_bounds_ == pytest.approx(fit.lower_bounds_)


@ALL
def test_stream_goes_on_after_fit_and_fit_forgets_the_stream(covariance_type):
    X = blobs()
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0, tol=1e-8)
    mixture.set_params(max_iter=2000).fit(X)
    before = mixture.means_.copy()
    mixture.partial_fit(X)
    np.testing.assert_allclose(mixture.means_, before, atol=1e-2)
    again = mixture.fit(X).means_
    np.testing.assert_allclose(again, before)


@ALL
def test_stream_weighs_rows(covariance_type):
    X, repeats = blobs(), np.arange(600) % 3
    one, other = (GaussianMixture(3, covariance_type=covariance_type, random_state=0) for _ in "ab")
    one.fit(X), other.fit(X)
    one.partial_fit(X[:200], sample_weight=repeats[:200])
    other.partial_fit(np.repeat(X[:200], repeats[:200], axis=0))
    np.testing.assert_allclose(one.means_, other.means_, rtol=1e-10)
    np.testing.assert_allclose(one.covariances_, other.covariances_, rtol=1e-9, atol=1e-12)


@ALL
def test_prior_weighs_no_more_in_a_stream_than_all_rows_so_far(covariance_type):
    X = blobs(3000)
    settings = {"covariance_type": covariance_type, "random_state": 0, "prior_strength": 5.0}
    mixture = GaussianMixture(3, **settings, tol=1e-8, max_iter=2000).fit(X)
    before = mixture.covariances_.copy()
    mixture.partial_fit(X)
    np.testing.assert_allclose(mixture.covariances_, before, atol=0.02 * np.abs(before).max())


@ALL
def test_small_batches_and_offsets_lose_no_digits(covariance_type):
    X = np.round(blobs() * 2.0**12) / 2.0**12
    here = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    moved = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X + 2.0**27)
    order = np.abs(moved.means_ - 2.0**27 - here.means_[:, None]).sum(axis=2).argmin(axis=1)
    for part in np.array_split(X, 200):
        here.partial_fit(part), moved.partial_fit(part + 2.0**27)
    np.testing.assert_allclose(moved.means_[order] - 2.0**27, here.means_, atol=1e-6)
    a = moved.covariances_ if covariance_type == "tied" else moved.covariances_[order]
    np.testing.assert_allclose(a, here.covariances_, rtol=1e-6, atol=1e-8)


def stretched(seed=0):
    """Return scikit-learn #34842: groups apart along a short axis, stretched along another."""
    X, labels = make_blobs(600, centers=[[-3.0, 0.0], [3.0, 0.0]], random_state=seed)
    X[:, 0] *= 0.02
    X[:, 1] *= 20.0
    return X @ np.array([[0.8, 0.6], [-0.6, 0.8]]), labels


def test_whitened_start_survives_unequal_scales():
    for seed in range(5):
        X, labels = stretched(seed)
        settings = {"n_components": 2, "random_state": 0, "max_iter": 1000}
        plain = Reference(**settings).fit(X)
        ours = GaussianMixture(**settings).fit(X)
        whitened = GaussianMixture(**settings, init_params="whitened").fit(X)
        assert adjusted_rand_score(labels, plain.predict(X)) < 0.5  # the failure, reproduced
        assert adjusted_rand_score(labels, ours.predict(X)) < 0.5
        assert adjusted_rand_score(labels, whitened.predict(X)) > 0.9


@ALL
def test_whitened_start_of_constant_and_collinear_features(covariance_type):
    X = blobs(300, 2, 2)
    X = np.column_stack([X, np.full(300, 3.0), X[:, 0]])
    settings = {"covariance_type": covariance_type, "random_state": 0, "init_params": "whitened"}
    assert np.isfinite(GaussianMixture(2, **settings).fit(X).score(X))
