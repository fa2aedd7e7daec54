"""A mixture against brute-force enumeration, SciPy and numerical integrals."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate, special, stats

from gmmlearn.datasets import BLOBS
from gmmlearn.mixture import Mixture, log_sum_exp

X = np.random.default_rng(0).normal(size=(9, 2)) * 3


@pytest.fixture
def blobs():
    return Mixture(**BLOBS)


def random_mixture(n_components, n_features, rng):
    roots = rng.normal(size=(n_components, n_features, n_features))
    return Mixture(
        rng.dirichlet(np.ones(n_components)),
        3 * rng.normal(size=(n_components, n_features)),
        roots @ roots.transpose(0, 2, 1) + 0.2 * np.eye(n_features),
    )


def scipy_joint(mixture, points):
    """Return pi_k N(x; mu_k, Sigma_k), shape (N, K), by SciPy's density."""
    parts = zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    return np.stack([w * stats.multivariate_normal(m, c).pdf(points) for w, m, c in parts], axis=-1)


@pytest.mark.parametrize(("n_components", "n_features"), [(1, 1), (3, 2), (5, 4)])
def test_densities_and_responsibilities_equal_brute_force(n_components, n_features):
    rng = np.random.default_rng(n_components)
    mixture = random_mixture(n_components, n_features, rng)
    points = rng.normal(size=(8, n_features))
    joint = scipy_joint(mixture, points).reshape(8, n_components)
    np.testing.assert_allclose(mixture.log_joint(points), np.log(joint), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mixture.log_prob(points), np.log(joint.sum(axis=1)), rtol=1e-9)
    np.testing.assert_allclose(
        mixture.responsibilities(points), joint / joint.sum(axis=1, keepdims=True), atol=1e-10
    )
    np.testing.assert_allclose(
        mixture.component_log_prob(points), np.log(joint / mixture.weights), rtol=1e-9, atol=1e-9
    )


def test_density_integrates_to_one(blobs):
    x, step = np.linspace(-12, 12, 1201, retstep=True)
    nodes = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
    assert np.exp(blobs.log_prob(nodes)).sum() * step**2 == pytest.approx(1.0, abs=1e-8)


def test_far_points_do_not_underflow(blobs):
    far = np.array([[1e3, 1e3], [-1e4, 0.0]])
    assert (scipy_joint(blobs, far) == 0.0).all()
    resp = blobs.responsibilities(far)
    assert np.isfinite(blobs.log_prob(far)).all()
    np.testing.assert_allclose(resp.sum(axis=1), 1.0)


@given(
    hnp.arrays(
        float,
        st.tuples(st.integers(1, 4), st.integers(1, 6)),
        elements=st.floats(-1e300, 1e300) | st.just(-np.inf),
    )
)
def test_log_sum_exp_equals_scipy(log_terms):
    np.testing.assert_allclose(
        log_sum_exp(log_terms), special.logsumexp(log_terms, axis=-1), rtol=1e-12, atol=1e-12
    )


@given(seed=st.integers(0, 10_000), n_components=st.integers(1, 5))
def test_responsibilities_sum_to_one_and_permuting_changes_nothing(seed, n_components):
    rng = np.random.default_rng(seed)
    mixture = random_mixture(n_components, 2, rng)
    resp = mixture.responsibilities(X)
    assert (resp >= 0).all()
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, atol=1e-12)
    order = rng.permutation(n_components)
    permuted = Mixture(mixture.weights[order], mixture.means[order], mixture.covariances[order])
    np.testing.assert_allclose(permuted.log_prob(X), mixture.log_prob(X), rtol=1e-12)
    np.testing.assert_allclose(permuted.responsibilities(X), resp[:, order], atol=1e-12)


def test_every_labelling_gives_the_same_density(blobs):
    for order in map(list, permutations(range(3))):
        renamed = Mixture(blobs.weights[order], blobs.means[order], blobs.covariances[order])
        np.testing.assert_allclose(renamed.log_prob(X), blobs.log_prob(X), rtol=1e-13)


def test_a_component_of_weight_zero_takes_no_part(blobs):
    padded = Mixture(
        [*blobs.weights, 0.0], [*blobs.means, [9.0, 9.0]], [*blobs.covariances, np.eye(2)]
    )
    np.testing.assert_allclose(padded.log_prob(X), blobs.log_prob(X), rtol=1e-13)
    assert (padded.responsibilities(X)[:, 3] == 0).all()
    assert (padded.sample(1000, rng=0)[1] < 3).all()


def test_sample_has_the_moments_and_the_labels(blobs):
    n_samples = 200_000
    points, labels = blobs.sample(n_samples, rng=0)
    share = np.bincount(labels, minlength=3) / n_samples
    assert (np.abs(share - blobs.weights) < 5 * np.sqrt(0.25 / n_samples)).all()
    for k in range(3):
        members = points[labels == k]
        error = 6 * np.sqrt(np.diag(blobs.covariances[k]) / len(members))
        assert (np.abs(members.mean(axis=0) - blobs.means[k]) < error).all()
        np.testing.assert_allclose(np.cov(members.T), blobs.covariances[k], atol=0.04)
    # Labels come in random order, not sorted by component.
    assert (np.diff(labels) < 0).any()


def test_marginal_equals_the_numerical_integral(blobs):
    value, _ = integrate.quad(lambda y: np.exp(blobs.log_prob([[0.4, y]])[0]), -15, 15)
    assert np.exp(blobs.marginal([0]).log_prob([[0.4]])[0]) == pytest.approx(value, rel=1e-7)


def test_condition_equals_joint_over_marginal():
    mixture = random_mixture(3, 4, np.random.default_rng(5))
    points = np.random.default_rng(6).normal(size=(6, 4))
    points[:, [3, 1]] = [0.7, -0.2]
    conditional = mixture.condition([3, 1], [0.7, -0.2])
    known = mixture.marginal([3, 1]).log_prob([[0.7, -0.2]])
    np.testing.assert_allclose(
        conditional.log_prob(points[:, [0, 2]]), mixture.log_prob(points) - known, atol=1e-9
    )


def test_component_is_its_gaussian(blobs):
    np.testing.assert_allclose(
        blobs.component(2).log_prob(X), blobs.component_log_prob(X)[:, 2], rtol=1e-13
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": [0.5, 0.5, 0.5]}, "weights sums to 1.5, expected 1"),
        ({"weights": [1.2, -0.2, 0.0]}, "weights contains a negative number"),
        ({"weights": [0.5, 0.5]}, "speak of 2, 3 and 3 components"),
        ({"weights": [0.5, np.nan, 0.5]}, "weights contains NaN"),
        ({"means": np.zeros(3)}, r"means has shape \(3,\)"),
        ({"means": np.zeros((2, 2))}, "speak of 3, 2 and 3 components"),
        ({"covariances": np.eye(2)}, r"covariances has shape \(2, 2\), expected \(3, 2, 2\)"),
        ({"covariances": np.zeros((3, 2, 3))}, r"covariances\[0\] has shape"),
        ({"covariances": [np.eye(2), -np.eye(2), np.eye(2)]}, r"covariances\[1\] is not positive"),
    ],
)
def test_malformed_parameters_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Mixture(**(BLOBS | change))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.log_prob([[1.0]]), "X has 1 features, expected 2"),
        (lambda m: m.responsibilities([[np.nan, 0.0]]), "X contains NaN"),
        (lambda m: log_sum_exp(3.0), "log_terms of shape"),
        (lambda m: log_sum_exp(np.zeros((2, 0))), "log_terms of shape"),
        (lambda m: log_sum_exp([0.0, np.nan]), "log_terms .* no NaN"),
        (lambda m: m.sample(-1), "n_samples must be at least 1"),
        (lambda m: m.component(3), "components are numbered 0..2"),
        (lambda m: m.component(-1), "k must be at least 0"),
        (lambda m: m.marginal([2]), "features contains an index outside"),
        (lambda m: m.condition([0, 1], [0.0, 0.0]), "features names all 2 features"),
        (lambda m: m.condition([0], [0.0, 1.0]), "values has 2 entries"),
        (lambda m: m.condition([0], [np.nan]), "values contains NaN"),
    ],
)
def test_bad_input_is_named_and_refused(blobs, call, message):
    with pytest.raises(ValueError, match=message):
        call(blobs)


def test_nothing_passed_in_is_changed_and_nothing_inside_can_be():
    arrays = {name: np.array(value) for name, value in BLOBS.items()}
    copies = {name: value.copy() for name, value in arrays.items()}
    points = X.copy()
    mixture = Mixture(**arrays)
    mixture.responsibilities(points), mixture.condition([0], points[0, :1]), mixture.sample(3, 0)
    for name in arrays:
        np.testing.assert_array_equal(arrays[name], copies[name])
    np.testing.assert_array_equal(points, X)
    with pytest.raises(ValueError, match="read-only"):
        mixture.means[0] = 0.0
