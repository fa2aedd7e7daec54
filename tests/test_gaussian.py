"""One Gaussian against SciPy, numerical integrals and finite differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from gmmlearn._validation import are_definite
from gmmlearn.gaussian import Gaussian, log_density, whiten

MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.4], [-0.3, 0.4, 0.8]])
X = np.random.default_rng(0).normal(size=(7, 3)) * 2


@pytest.fixture
def gaussian():
    return Gaussian(MEAN, COVARIANCE)


def random_gaussian(n_features, rng):
    root = rng.normal(size=(n_features, n_features))
    return Gaussian(rng.normal(size=n_features), root @ root.T + 0.1 * np.eye(n_features))


@pytest.mark.parametrize("n_features", [1, 2, 5, 20])
def test_log_prob_equals_scipy(n_features):
    rng = np.random.default_rng(n_features)
    gaussian, points = random_gaussian(n_features, rng), rng.normal(size=(11, n_features))
    expected = stats.multivariate_normal(gaussian.mean, gaussian.covariance).logpdf(points)
    np.testing.assert_allclose(gaussian.log_prob(points), expected, rtol=1e-10, atol=1e-10)


def test_log_prob_by_hand():
    # N(3; 1, 4): -log(2 sqrt(2 pi)) - (3 - 1)^2 / (2 * 4)
    assert Gaussian([1.0], [[4.0]]).log_prob([[3.0]])[0] == pytest.approx(-2.1120857137646178)


def test_density_integrates_to_one():
    gaussian = Gaussian([0.3, -0.2], [[0.5, 0.3], [0.3, 0.4]])
    total, _ = integrate.dblquad(
        lambda y, x: np.exp(gaussian.log_prob([[x, y]])[0]), -6, 6, -6, 6, epsabs=1e-6
    )
    assert total == pytest.approx(1.0, abs=1e-5)


def test_log_density_survives_where_the_determinant_underflows():
    n_features = 400
    gaussian = Gaussian(np.zeros(n_features), 0.01 * np.eye(n_features))
    assert np.linalg.det(gaussian.covariance) == 0.0
    expected = n_features * stats.norm(scale=0.1).logpdf(0.0)
    assert gaussian.log_prob(np.zeros((1, n_features)))[0] == pytest.approx(expected, rel=1e-12)


def test_whiten_inverts_the_affine_map(gaussian):
    z = whiten(X, gaussian.mean, gaussian.covariance_cholesky)
    np.testing.assert_allclose(gaussian.mean + z @ gaussian.covariance_cholesky.T, X, atol=1e-12)
    np.testing.assert_allclose(
        log_density(X, gaussian.mean, gaussian.covariance_cholesky), gaussian.log_prob(X)
    )


def test_cholesky_factor_is_lower_and_squares_to_the_covariance(gaussian):
    factor = gaussian.covariance_cholesky
    np.testing.assert_array_equal(factor, np.tril(factor))
    np.testing.assert_allclose(factor @ factor.T, COVARIANCE, atol=1e-14)


def test_fit_is_the_maximum_of_the_likelihood():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 3)) + 2.0
    best = Gaussian.fit(points)
    np.testing.assert_allclose(best.covariance, np.cov(points.T, bias=True), atol=1e-12)
    top = best.log_prob(points).sum()
    for _ in range(50):
        nudge = 0.02 * rng.normal(size=(3, 3))
        other = Gaussian(
            best.mean + 0.02 * rng.normal(size=3),
            best.covariance + nudge @ nudge.T + nudge + nudge.T,
        )
        assert other.log_prob(points).sum() < top


def test_fit_adds_reg_covar_to_the_diagonal():
    plain, regularised = Gaussian.fit(X), Gaussian.fit(X, reg_covar=0.5)
    np.testing.assert_allclose(
        regularised.covariance - plain.covariance, 0.5 * np.eye(3), atol=1e-12
    )


def test_sample_has_the_moments(gaussian):
    n_samples = 200_000
    points = gaussian.sample(n_samples, rng=0)
    # Five standard errors of the mean and of the covariance of a Gaussian.
    error = 5 * np.sqrt(np.diag(COVARIANCE) / n_samples)
    assert (np.abs(points.mean(axis=0) - MEAN) < error).all()
    variances = np.diag(COVARIANCE)
    error = 5 * np.sqrt((np.outer(variances, variances) + COVARIANCE**2) / n_samples)
    assert (np.abs(np.cov(points.T) - COVARIANCE) < error).all()


def test_sample_is_seeded_and_otherwise_fresh(gaussian):
    np.testing.assert_array_equal(gaussian.sample(5, rng=3), gaussian.sample(5, rng=3))
    assert (gaussian.sample(5) != gaussian.sample(5)).any()


def test_marginal_equals_the_numerical_integral():
    gaussian = Gaussian([0.3, -0.2], [[0.5, 0.3], [0.3, 0.4]])
    value, _ = integrate.quad(lambda y: np.exp(gaussian.log_prob([[0.7, y]])[0]), -8, 8)
    assert np.exp(gaussian.marginal([0]).log_prob([[0.7]])[0]) == pytest.approx(value, rel=1e-8)


def test_marginal_keeps_the_order_asked_for(gaussian):
    swapped = gaussian.marginal([2, 0])
    np.testing.assert_array_equal(swapped.mean, MEAN[[2, 0]])
    np.testing.assert_array_equal(swapped.covariance, COVARIANCE[np.ix_([2, 0], [2, 0])])


def test_condition_equals_joint_over_marginal(gaussian):
    for given_features, rest in [([0], [1, 2]), ([2, 0], [1]), ([1], [0, 2])]:
        conditional = gaussian.condition(given_features, X[0, given_features])
        points = np.tile(X[0], (7, 1))
        points[:, rest] = X[:, rest]
        known = gaussian.marginal(given_features).log_prob(points[:, given_features])
        np.testing.assert_allclose(
            conditional.log_prob(points[:, rest]), gaussian.log_prob(points) - known, atol=1e-10
        )


@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100.0), shift=st.floats(-100.0, 100.0))
def test_scaling_and_shifting_change_the_log_density_by_the_known_amount(seed, scale, shift):
    gaussian = random_gaussian(3, np.random.default_rng(seed))
    moved = Gaussian(scale * gaussian.mean + shift, scale**2 * gaussian.covariance)
    np.testing.assert_allclose(
        moved.log_prob(scale * X + shift),
        gaussian.log_prob(X) - 3 * np.log(scale),
        rtol=1e-6,
        atol=1e-6,
    )


@given(seed=st.integers(0, 10_000))
def test_conditioning_in_two_steps_is_conditioning_at_once(seed):
    rng = np.random.default_rng(seed)
    gaussian, values = random_gaussian(4, rng), rng.normal(size=2)
    at_once = gaussian.condition([0, 2], values)
    in_steps = gaussian.condition([0], values[:1]).condition([1], values[1:])
    np.testing.assert_allclose(in_steps.mean, at_once.mean, atol=1e-8)
    np.testing.assert_allclose(in_steps.covariance, at_once.covariance, atol=1e-8)


@pytest.mark.parametrize(
    ("mean", "covariance", "message"),
    [
        ([], np.eye(2), "mean is empty"),
        ([[0.0]], [[1.0]], r"mean has shape \(1, 1\)"),
        ([0.0, np.nan], np.eye(2), "mean contains NaN, first at index"),
        (["a", "b"], np.eye(2), "mean cannot be read"),
        ([0.0, 1j], np.eye(2), "mean cannot be read"),
        ([0.0, 0.0], np.eye(3), r"covariance has shape \(3, 3\), expected \(2, 2\)"),
        ([0.0, 0.0], [[1.0, 0.5], [0.0, 1.0]], "covariance is not symmetric"),
        ([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]], "covariance is not positive definite .*-1"),
        ([0.0, 0.0], [[1.0, np.inf], [np.inf, 1.0]], "covariance contains infinity"),
    ],
)
def test_malformed_parameters_are_refused(mean, covariance, message):
    with pytest.raises(ValueError, match=message):
        Gaussian(mean, covariance)


@given(seed=st.integers(0, 10_000), n_features=st.integers(1, 12), fault=st.sampled_from("NCD"))
def test_fit_refuses_a_covariance_that_is_singular_up_to_rounding(seed, n_features, fault):
    rng = np.random.default_rng(seed)
    n_samples = n_features if fault == "N" else 57  # N: too few samples
    points = rng.normal(size=(n_samples, n_features)) + 10 * rng.normal(size=n_features)
    if fault == "C":  # a constant feature
        points[:, rng.integers(n_features)] = rng.normal()
    if fault == "D":  # a feature that is a combination of the others
        points = np.column_stack([points, points @ rng.normal(size=n_features)])
    with pytest.raises(ValueError, match=r"covariance is not positive definite.*reg_covar"):
        Gaussian.fit(points)
    assert np.isfinite(Gaussian.fit(points, reg_covar=1e-6).log_prob(points)).all()


def test_spread_below_the_rounding_of_the_mean_is_refused_from_data_alone():
    points = 1e8 + np.array([[0.0], [1.5e-8], [1.5e-8]])  # one step of float64 apart
    with pytest.raises(ValueError, match=r"covariance is not positive definite.*reg_covar"):
        Gaussian.fit(points)
    far = Gaussian([1e20], [[1.0]])  # said, not estimated
    assert far.log_prob([[1e20]]) == pytest.approx(-0.5 * np.log(2 * np.pi))


def test_definite_means_that_each_feature_has_variance_of_its_own():
    rng = np.random.default_rng(0)
    for n_features in (2, 3, 7):
        # The last feature is the others' sum and a share of its own: its inflation factor.
        root = np.eye(n_features)
        for factor, fine in ((1.02, True), (0.98, False)):
            share = factor * 32 * np.finfo(float).eps * n_features
            root[-1, :-1] = 1.0
            root[-1, -1] = np.sqrt(share * (n_features - 1) / (1.0 - share))
            scale = 10.0 ** rng.uniform(-6, 6, size=(n_features, 1))
            inverse = np.linalg.inv(root).T / scale.T.swapaxes(0, 1)
            covariance = (scale * root) @ (scale * root).T
            inflation = (np.diagonal(covariance) * np.square(inverse).sum(axis=1)).max()
            assert inflation == pytest.approx(1.0 / share, rel=1e-6)
            assert are_definite(covariance[None], inverse[None])[0] == fine
            assert not are_definite(covariance[None], inverse[None], margin=2.0)[0]


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
def test_fit_accepts_tight_but_resolvable_spread(offset):
    points = offset + 1e-5 * np.random.default_rng(0).normal(size=(50, 3))
    assert np.isfinite(Gaussian.fit(points).log_prob(points)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.log_prob([1.0, 2.0, 3.0]), r"X has shape \(3,\).*reshape"),
        (lambda g: g.log_prob(np.zeros((2, 2))), "X has 2 features, expected 3"),
        (lambda g: g.log_prob(np.zeros((0, 3))), "X is empty"),
        (lambda g: g.log_prob([[np.inf, 0, 0]]), "X contains infinity"),
        (lambda g: g.sample(0), "n_samples must be at least 1"),
        (lambda g: g.sample(2.5), "n_samples must be a whole number"),
        (lambda g: g.sample(2, rng="x"), "rng must be"),
        (lambda g: g.sample(2, rng=-1), "rng must be"),
        (lambda g: g.marginal([3]), "features contains an index outside 0..2"),
        (lambda g: g.marginal([]), "features must be a non-empty list"),
        (lambda g: g.marginal([0, 0]), "features names a feature twice"),
        (lambda g: g.marginal([0.5]), "features must be a non-empty list"),
        (lambda g: g.condition([0, 1, 2], [0, 0, 0]), "features names all 3 features"),
        (lambda g: g.condition([0], [0.0, 1.0]), "values has 2 entries, but features names 1"),
        (lambda g: g.condition([0], 0.0), "values has shape"),
        (
            lambda g: log_density(X, MEAN, COVARIANCE),
            "covariance_cholesky .* is not a lower Cholesky",
        ),
        (lambda g: log_density(X, MEAN[:2], np.eye(2)), "X has 3 features, expected 2"),
        (lambda g: whiten(X, MEAN, -np.eye(3)), "covariance_cholesky .* is not a lower Cholesky"),
        (lambda g: whiten(X, MEAN, np.eye(2)), "covariance_cholesky .* is not a lower Cholesky"),
        (lambda g: Gaussian.fit([[1.0, 2.0]]), "covariance is not positive definite.*reg_covar"),
        (lambda g: Gaussian.fit(X, reg_covar=-1), "reg_covar must be a finite number >= 0"),
        (lambda g: Gaussian.fit(X, reg_covar="much"), "reg_covar must be a number"),
    ],
)
def test_bad_input_is_named_and_refused(gaussian, call, message):
    with pytest.raises(ValueError, match=message):
        call(gaussian)


def test_nothing_passed_in_is_changed_and_nothing_inside_can_be():
    mean, covariance, points = MEAN.copy(), COVARIANCE.copy(), X.copy()
    gaussian = Gaussian(mean, covariance)
    gaussian.log_prob(points), gaussian.condition([0], points[0, :1]), Gaussian.fit(points)
    np.testing.assert_array_equal(mean, MEAN)
    np.testing.assert_array_equal(covariance, COVARIANCE)
    np.testing.assert_array_equal(points, X)
    mean[0] = 99.0
    assert gaussian.mean[0] == MEAN[0]
    with pytest.raises(ValueError, match="read-only"):
        gaussian.mean[0] = 0.0
