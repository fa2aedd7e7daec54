"""Blended and recovered moments, and the whitened start."""

import numpy as np
import pytest
from problems import ALL, blobs, gaussians
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture as Reference

from gmmlearn import GaussianMixture
from gmmlearn.ascent import Moments, Settings, blend, maximise, recover
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
@pytest.mark.parametrize("prior_strength", [0.0, 7.0])
def test_recovered_moments_call_for_the_same_parameters(covariance_type, prior_strength):
    structure = STRUCTURES[covariance_type]
    _, params = gaussians(structure)
    prior = structure.from_variances(np.full((1, 3), 0.3))
    reg = np.full(3, 0.05)
    settings = Settings(9, 0.0, reg, prior_strength=prior_strength, prior=prior)
    found = recover(structure, params, 40.0, settings)
    assert found.counts.sum() == pytest.approx(1.0)
    whole = found._replace(counts=40.0 * found.counts)
    for one, other in zip(maximise(structure, whole, params, settings), params, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


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
