"""Draws from an ensemble have the moments of the M-step, and condition as one Gaussian would."""

import numpy as np
import pytest

from gmmlearn.em import m_step
from gmmlearn.ensemble import Ensemble
from gmmlearn.gaussian import Gaussian


def problem(n_samples=40, n_features=4, n_components=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)) @ rng.normal(size=(n_features, n_features))
    return X, rng.dirichlet(0.5 * np.ones(n_components), size=n_samples)


@pytest.fixture(scope="module")
def ensemble():
    return Ensemble(*problem())


def test_means_are_those_of_the_m_step(ensemble):
    mixture = m_step(*problem())
    for k in range(3):
        np.testing.assert_allclose(ensemble.mean(k), mixture.means[k], atol=1e-4)


def test_draws_have_the_covariance_of_the_m_step(ensemble):
    mixture = m_step(*problem())
    draws = ensemble.sample(np.repeat([0, 1, 2], 40_000), rng=1).reshape(3, 40_000, 4)
    for k, part in enumerate(draws):
        scale = np.sqrt(np.diagonal(mixture.covariances[k]))
        assert np.abs((part.mean(axis=0) - mixture.means[k]) / scale).max() < 0.03
        error = (np.cov(part.T) - mixture.covariances[k]) / np.outer(scale, scale)
        assert np.abs(error).max() < 0.04


def test_predictive_draws_vary_as_new_points_do():
    # 500 components of six points each: draws scatter about the estimated means as new points would
    rng, n_points, n_components = np.random.default_rng(0), 6, 500
    X = rng.normal(size=(n_components, n_points, 1))
    ensemble = Ensemble(X.reshape(-1, 1), np.repeat(np.eye(n_components), n_points, axis=0))
    labels, means = np.repeat(np.arange(n_components), 40), X.mean(axis=1)
    new = rng.normal(size=(n_components, 40, 1))
    spread = np.square(new.reshape(-1, 1) - means[labels]).mean()
    draws = ensemble.sample(labels, rng=1, predictive=True)
    assert np.square(draws - means[labels]).mean() == pytest.approx(spread, rel=0.08)
    assert spread == pytest.approx(1 + 1 / n_points, rel=0.03)
    narrow = ensemble.sample(labels, rng=1)
    assert np.square(narrow - means[labels]).mean() == pytest.approx(1 - 1 / n_points, rel=0.08)


def test_one_point_is_drawn_as_it_is():
    ensemble = Ensemble([[1.0, 2.0], [3.0, 5.0], [4.0, 4.0]], np.eye(3)[[0, 1, 1]][:, :2])
    draws = ensemble.sample(np.zeros(3, int), rng=0, predictive=True)
    np.testing.assert_allclose(draws, [[1.0, 2.0]] * 3)


def test_conditional_draws_are_those_of_the_conditional_gaussian(ensemble):
    features, values, noise = [2, 0], [0.7, -0.4], 0.3
    mixture, k = m_step(*problem()), 1
    measured = mixture.covariances[k].copy()
    measured[features, features] += noise  # the known features are measured with noise
    gaussian = Gaussian(mixture.means[k], measured).condition(features, values)
    draws = ensemble.sample(np.full(60_000, k), 2, features, values, noise)[:, [1, 3]]
    scale = np.sqrt(np.diagonal(gaussian.covariance))
    assert np.abs((draws.mean(axis=0) - gaussian.mean) / scale).max() < 0.03
    error = (np.cov(draws.T) - gaussian.covariance) / np.outer(scale, scale)
    assert np.abs(error).max() < 0.04
    mean = ensemble.conditional_mean(k, features, values, noise)
    np.testing.assert_allclose(mean[[1, 3]], gaussian.mean, atol=1e-4)


def test_without_noise_the_known_features_are_met(ensemble):
    draws = ensemble.sample(np.array([0, 2, 1]), 3, [3], [1.5])
    np.testing.assert_allclose(draws[:, 3], 1.5)
    assert ensemble.conditional_mean(2, [3], [1.5])[3] == pytest.approx(1.5)


def test_labels_say_which_component_each_draw_is_from():
    X = np.array([[0.0], [0.1], [100.0], [100.1]], dtype=np.float32)
    ensemble = Ensemble(X, np.repeat(np.eye(2), 2, axis=0))
    draws = ensemble.sample(np.array([1, 0, 1]), rng=0)
    assert draws.dtype == np.float32
    np.testing.assert_allclose(draws[:, 0], [100, 0, 100], atol=1)
    np.testing.assert_array_equal(draws, ensemble.sample(np.array([1, 0, 1]), rng=0))


def test_nothing_passed_in_is_changed():
    X, resp = problem()
    before = X.copy(), resp.copy()
    Ensemble(X, resp).sample(np.array([0, 1]), 0, [0], [1.0])
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(resp, before[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 3],), r"labels has entries from 0 to 3, but the components are numbered 0..2"),
        (([-1],), "entries from -1"),
        (([0.5],), "labels must be whole numbers"),
        (([],), "labels must be whole numbers"),
        (([0], 0, [4], [1.0]), "features contains an index outside"),
        (([0], 0, [1], [1.0, 2.0]), "values has 2 entries, but features names 1"),
        (([0], 0, [1], [1.0], -1.0), "reg_covar must be a finite number >= 0"),
    ],
)
def test_bad_questions_are_refused(ensemble, arguments, message):
    with pytest.raises(ValueError, match=message):
        ensemble.sample(*arguments)


def test_bad_ensembles_are_refused():
    X, resp = problem()
    with pytest.raises(ValueError, match="resp has shape"):
        Ensemble(X[:5], resp)
    with pytest.raises(ValueError, match="leaves component 1 without any point"):
        Ensemble(X, np.tile([1.0, 0.0], (40, 1)))
    with pytest.raises(ValueError, match=r"no spread in component 0\. Raise reg_covar"):
        Ensemble(np.ones((3, 2)), np.ones((3, 1))).sample([0], 0, [0], [1.0])
    with pytest.raises(ValueError, match="X contains NaN"):
        Ensemble([[np.nan, 1.0]], [[1.0]])
