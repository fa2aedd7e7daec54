"""Scaled copies of one Gaussian against the estimator's spherical mixture, SciPy and truth."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, multivariate_t

from gmmlearn import GaussianMixture
from gmmlearn.gaussian import Gaussian, whiten
from gmmlearn.scale_mixture import fit_scale_mixture

SHAPE = Gaussian([1.0, -2.0, 0.5], [[2.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 0.5]])


def draw(n_samples, variances, weights, rng):
    rng = np.random.default_rng(rng)
    scales = rng.choice(variances, size=n_samples, p=weights)
    return SHAPE.mean + np.sqrt(scales)[:, None] * (SHAPE.sample(n_samples, rng) - SHAPE.mean)


def found_scales(mixture):
    return mixture.covariances[:, 0, 0] / SHAPE.covariance[0, 0]


def test_it_equals_the_estimator_s_spherical_mixture_of_whitened_points():
    X = draw(500, [0.1, 1.0, 9.0], [0.3, 0.4, 0.3], 0)
    found = fit_scale_mixture(X, SHAPE, 3, max_iter=2000, tol=1e-12)
    Z = whiten(X, SHAPE.mean, SHAPE.covariance_cholesky)
    start = np.geomspace(*np.quantile(np.square(Z).mean(axis=1), [0.01, 0.99]), 3)
    settings = {"covariance_type": "spherical", "fixed": {"means"}, "reg_covar": 0.0}
    settings |= {"means_init": np.zeros((3, 3)), "weights_init": np.full(3, 1 / 3)}
    settings |= {"precisions_init": 1 / start, "max_iter": 2000, "tol": 1e-12}
    other = GaussianMixture(3, **settings).fit(Z)
    np.testing.assert_allclose(found_scales(found), other.covariances_, rtol=1e-4)
    np.testing.assert_allclose(found.weights, other.weights_, atol=1e-5)
    log_det = np.log(np.diagonal(SHAPE.covariance_cholesky)).sum()
    np.testing.assert_allclose(found.log_prob(X), other.score_samples(Z) - log_det, rtol=1e-4)


def test_all_components_share_shape_and_mean():
    found = fit_scale_mixture(draw(300, [0.1, 4.0], [0.5, 0.5], 1), SHAPE, 4)
    for mean, covariance, scale in zip(
        found.means, found.covariances, found_scales(found), strict=True
    ):
        np.testing.assert_array_equal(mean, SHAPE.mean)
        np.testing.assert_allclose(covariance, scale * SHAPE.covariance)


def test_known_scales_are_found():
    found = fit_scale_mixture(draw(40_000, [0.05, 4.0], [0.3, 0.7], 2), SHAPE, 2)
    np.testing.assert_allclose(np.sort(found_scales(found)), [0.05, 4.0], rtol=0.03)
    np.testing.assert_allclose(np.sort(found.weights), [0.3, 0.7], atol=0.01)


def test_one_component_is_the_gaussian_at_its_best_scale():
    X = draw(400, [0.5, 2.0], [0.5, 0.5], 3)
    found = fit_scale_mixture(X, SHAPE, 1)
    precision = np.linalg.inv(SHAPE.covariance)
    best = np.einsum("ni,ij,nj->", X - SHAPE.mean, precision, X - SHAPE.mean) / X.size
    assert found_scales(found)[0] == pytest.approx(best)
    expected = multivariate_normal(SHAPE.mean, best * SHAPE.covariance).logpdf(X)
    np.testing.assert_allclose(found.log_prob(X), expected, rtol=1e-9)


def test_many_scales_follow_heavy_tails():
    """Student's t is an endless mixture of scaled Gaussians."""
    true = multivariate_t(SHAPE.mean, SHAPE.covariance, df=2, seed=4)
    X, fresh = true.rvs(20_000), true.rvs(20_000)
    gaps = [
        (true.logpdf(fresh) - fit_scale_mixture(X, SHAPE, K).log_prob(fresh)).mean()
        for K in (1, 2, 4, 10)
    ]
    assert (np.diff(gaps) < 0).all()
    assert gaps[0] > 1.0 and 0 < gaps[-1] < 0.02


def test_more_iterations_never_fit_worse_and_nothing_is_changed():
    X = draw(300, [0.1, 1.0, 9.0], [0.3, 0.4, 0.3], 5)
    copy = X.copy()
    X.flags.writeable = False
    values = [
        fit_scale_mixture(X, SHAPE, 5, max_iter=n, tol=0.0).log_prob(X).mean() for n in range(1, 30)
    ]
    assert (np.diff(values) >= -1e-12).all()
    np.testing.assert_array_equal(X, copy)


def test_a_component_without_points_is_kept():
    rng = np.random.default_rng(6)
    sphere = rng.standard_normal((200, 3))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    X = sphere * rng.choice([1e-8, 1.0, 1e8], size=(200, 1))
    found = fit_scale_mixture(X, Gaussian(np.zeros(3), np.eye(3)), 8)
    assert found.weights.sum() == pytest.approx(1.0)
    assert np.isfinite(found.log_prob(X)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((4, 3)), "shape"), "gaussian must be a Gaussian, not str"),
        ((np.ones((4, 2)), SHAPE), "X has 2 features, expected 3"),
        ((np.full((4, 3), np.nan), SHAPE), "X contains NaN"),
        ((np.array([[0.0, 0.0, 0.0], SHAPE.mean]), SHAPE), r"X\[1\] equals the mean"),
        ((np.ones((4, 3)), SHAPE, 0), "n_components must be at least 1"),
        ((np.ones((4, 3)), SHAPE, 2, 0), "max_iter must be at least 1"),
        ((np.ones((4, 3)), SHAPE, 2, 5, -1.0), "tol must be a finite number >= 0"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_scale_mixture(*arguments)
