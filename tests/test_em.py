"""EM against scikit-learn, brute force, finite differences and its own promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from gmmlearn.datasets import BLOBS
from gmmlearn.em import e_step, fit_em, lower_bound, m_step, start_mixture
from gmmlearn.mixture import Mixture

X = Mixture(**BLOBS).sample(400, rng=0)[0]


@pytest.fixture
def start():
    return start_mixture(X, 3, rng=1)


def random_resp(n_samples, n_components, rng):
    return rng.dirichlet(np.ones(n_components), size=n_samples)


def sklearn_fit(points, start, n_iter, reg_covar, tol=0.0):
    estimator = GaussianMixture(
        start.n_components,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=np.linalg.inv(start.covariances),
        reg_covar=reg_covar,
        max_iter=n_iter,
        tol=tol,
    )
    return estimator.fit(points)


def test_e_step_equals_bayes_rule(start):
    log_prob, log_resp = e_step(X, start)
    np.testing.assert_allclose(log_prob, start.log_prob(X), rtol=1e-13)
    np.testing.assert_allclose(np.exp(log_resp), start.responsibilities(X), atol=1e-13)


def test_m_step_equals_weighted_moments():
    resp = random_resp(len(X), 4, np.random.default_rng(2))
    mixture = m_step(X, resp, reg_covar=0.25)
    np.testing.assert_allclose(mixture.weights, resp.mean(axis=0), rtol=1e-12)
    for k in range(4):
        np.testing.assert_allclose(
            mixture.means[k], np.average(X, axis=0, weights=resp[:, k]), rtol=1e-12, atol=1e-12
        )
        covariance = np.cov(X.T, aweights=resp[:, k], bias=True) + 0.25 * np.eye(2)
        np.testing.assert_allclose(mixture.covariances[k], covariance, rtol=1e-12, atol=1e-12)


def test_m_step_keeps_its_digits_far_from_the_origin():
    resp = random_resp(len(X), 2, np.random.default_rng(3))
    near, far = m_step(X, resp), m_step(X + 1e8, resp)
    np.testing.assert_allclose(far.covariances, near.covariances, rtol=1e-6)


def test_lower_bound_by_hand():
    # One point at 0, two unit Gaussians at 0 and 1 with equal weights, q = (1/4, 3/4).
    mixture = Mixture([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[1.0]]])
    log_normal = -0.5 * np.log(2 * np.pi)
    expected = 0.25 * (np.log(0.5) + log_normal - np.log(0.25)) + 0.75 * (
        np.log(0.5) + log_normal - 0.5 - np.log(0.75)
    )
    assert lower_bound([[0.0]], [[0.25, 0.75]], mixture) == pytest.approx(expected, rel=1e-14)


def test_lower_bound_accepts_certain_responsibilities(start):
    hard = np.eye(3)[start.responsibilities(X).argmax(axis=1)]
    expected = start.log_joint(X)[hard.astype(bool)].mean()
    assert lower_bound(X, hard, start) == pytest.approx(expected, rel=1e-13)


@given(seed=st.integers(0, 10_000))
def test_gap_of_the_bound_is_the_divergence_from_the_posterior(seed):
    rng = np.random.default_rng(seed)
    mixture = start_mixture(X, 3, rng)
    resp, posterior = random_resp(len(X), 3, rng), mixture.responsibilities(X)
    with np.errstate(divide="ignore"):  # a posterior may underflow: the divergence is infinite
        divergence = (resp * (np.log(resp) - e_step(X, mixture)[1])).sum(axis=1).mean()
    gap = mixture.log_prob(X).mean() - lower_bound(X, resp, mixture)
    assert gap >= 0
    assert gap == pytest.approx(divergence, rel=1e-10, abs=1e-10)
    assert lower_bound(X, posterior, mixture) == pytest.approx(mixture.log_prob(X).mean())


def test_m_step_is_stationary_by_finite_differences(start):
    resp = start.responsibilities(X)
    best, step = m_step(X, resp), 1e-5

    def slope(parameter, direction):
        values = []
        for sign in (1, -1):
            changed = {
                "weights": best.weights,
                "means": best.means,
                "covariances": best.covariances,
            }
            changed[parameter] = changed[parameter] + sign * step * direction
            values.append(lower_bound(X, resp, Mixture(**changed)))
        return (values[0] - values[1]) / (2 * step)

    rng = np.random.default_rng(0)
    for _ in range(10):
        tilt = rng.normal(size=3)
        symmetric = rng.normal(size=(3, 2, 2))
        assert abs(slope("weights", tilt - tilt.mean())) < 1e-7  # the weights keep summing to one
        assert abs(slope("means", rng.normal(size=(3, 2)))) < 1e-7
        assert abs(slope("covariances", symmetric + symmetric.transpose(0, 2, 1))) < 1e-7


def test_m_step_beats_every_nearby_mixture(start):
    resp = start.responsibilities(X)
    best = m_step(X, resp)
    top, rng = lower_bound(X, resp, best), np.random.default_rng(4)
    for _ in range(50):
        root = 0.1 * rng.normal(size=(3, 2, 2))
        other = Mixture(
            rng.dirichlet(100 * best.weights),
            best.means + 0.05 * rng.normal(size=(3, 2)),
            best.covariances + root @ root.transpose(0, 2, 1),
        )
        assert lower_bound(X, resp, other) < top


@pytest.mark.parametrize("n_iter", range(1, 11))
@pytest.mark.filterwarnings(
    f"ignore::{ConvergenceWarning.__module__}.{ConvergenceWarning.__name__}"
)
def test_each_iteration_equals_scikit_learn(start, n_iter):
    ours = fit_em(X, start, max_iter=n_iter, tol=0.0, reg_covar=1e-6)
    theirs = sklearn_fit(X, start, n_iter, reg_covar=1e-6)
    np.testing.assert_allclose(ours.mixture.weights, theirs.weights_, rtol=1e-8)
    np.testing.assert_allclose(ours.mixture.means, theirs.means_, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(ours.mixture.covariances, theirs.covariances_, rtol=1e-8, atol=1e-8)
    assert ours.lower_bounds[-1] == pytest.approx(theirs.lower_bound_, rel=1e-10)


def test_optimum_equals_scikit_learn(start):
    ours = fit_em(X, start, max_iter=2000, tol=1e-13)
    theirs = sklearn_fit(X, start, 2000, reg_covar=1e-6, tol=1e-13)
    assert ours.converged
    assert ours.mixture.log_prob(X).mean() == pytest.approx(theirs.score(X), abs=1e-8)


@given(
    seed=st.integers(0, 10_000),
    n_components=st.integers(1, 4),
    n_features=st.integers(1, 3),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_bound_never_falls(seed, n_components, n_features, scale):
    rng = np.random.default_rng(seed)
    points = scale * (rng.normal(size=(60, n_features)) + rng.integers(0, 3, size=(60, 1)))
    start = start_mixture(points, n_components, rng, reg_covar=0.0)
    try:
        result = fit_em(points, start, max_iter=30, tol=0.0, reg_covar=0.0)
    except ValueError as error:  # without regularisation a component may collapse: it must say so
        assert "covariances[" in str(error) or "without any sample" in str(error)
        return
    assert np.diff(result.lower_bounds).min(initial=0.0) > -1e-9


def test_fit_finds_the_mixture_that_made_the_points():
    points = Mixture(**BLOBS).sample(20_000, rng=7)[0]
    found = fit_em(points, start_mixture(points, 3, rng=0), max_iter=500, tol=1e-8).mixture
    order = np.argsort(-found.weights)  # the true weights fall from component 0 to 2
    np.testing.assert_allclose(found.weights[order], BLOBS["weights"], atol=0.02)
    np.testing.assert_allclose(found.means[order], BLOBS["means"], atol=0.1)
    np.testing.assert_allclose(found.covariances[order], BLOBS["covariances"], atol=0.15)


def test_fit_stops_when_the_bound_stands_still(start):
    result = fit_em(X, start, max_iter=500, tol=1e-4)
    steps = np.abs(np.diff(result.lower_bounds))
    assert result.converged
    assert steps[-1] < 1e-4 <= steps[:-1].min()
    short = fit_em(X, start, max_iter=3, tol=1e-4)
    assert not short.converged
    assert len(short.lower_bounds) == 3


@pytest.mark.parametrize("spread", [True, False])
def test_start_summarises_the_groups_around_its_centres(spread):
    points = np.array([[0.0, 0.0], [0.1, 0.0], [9.0, 9.0], [9.0, 9.2], [9.2, 9.0]])
    # Far groups: k-means++ almost surely takes one centre in each; uniform choice may not.
    start = start_mixture(points, 2, rng=0, spread=True)
    order = np.argsort(start.weights)
    np.testing.assert_allclose(start.weights[order], [0.4, 0.6])
    np.testing.assert_allclose(start.means[order], [[0.05, 0.0], [9.2 / 3 + 6, 9.2 / 3 + 6]])
    within = points - start.means[order][[0, 0, 1, 1, 1]]
    np.testing.assert_allclose(start.covariances[0], within.T @ within / 5 + 1e-6 * np.eye(2))
    np.testing.assert_array_equal(start.covariances[0], start.covariances[1])
    assert start_mixture(points, 5, rng=0, spread=spread).n_components == 5


def test_spread_start_chooses_by_squared_distance():
    # After a first centre at 0, points at 1 and 3 must be chosen 1 : 9.
    points = np.array([[0.0], [1.0], [3.0]])
    pairs = {frozenset(p): 0 for p in [(0.0, 1.0), (0.0, 3.0), (1.0, 3.0)]}
    n_draws = 4000
    for seed in range(n_draws):
        start = start_mixture(points, 2, rng=seed)
        # The smaller group is a single point: the groups tell which two centres were chosen.
        groups = {0.5: (0.0, 3.0), 2.0: (0.0, 1.0)}
        key = next((groups[m] for m in start.means.ravel() if m in groups), None)
        assert key is not None
        pairs[frozenset(key)] += 1
    # {0 | 1, 3} arises from centres (0, 1) with tie-free assignment; {0, 1 | 3} from the others.
    # P(0 | 1,3) = 1/3 * 1/10 + 1/3 * 1/5 = 0.1
    share = pairs[frozenset((0.0, 1.0))] / n_draws
    assert share == pytest.approx(0.1, abs=5 * np.sqrt(0.09 / n_draws))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: start_mixture(X, 0), "n_components must be at least 1"),
        (lambda: start_mixture(X, 2.0), "n_components must be a whole number"),
        (lambda: start_mixture(X[:3], 4), "n_components is 4, but X has only 3 samples"),
        (lambda: start_mixture(np.ones((5, 2)), 2), "X has only 1 different points"),
        (lambda: start_mixture(np.ones((5, 2)), 2, spread=False), "X has only 1 different points"),
        (lambda: start_mixture([[np.nan]], 1), "X contains NaN"),
        (lambda: start_mixture(X, 2, rng=1.5), "rng must be"),
        (lambda: m_step(X, np.full((len(X), 2), 0.4)), "resp sums to 0.8, expected 1"),
        (lambda: m_step(X, np.ones((3, 1))), r"resp has shape \(3, 1\), expected \(400, 1\)"),
        (lambda: m_step(X, np.ones(400)), "resp has shape"),
        (lambda: m_step(X, np.eye(2)[np.zeros(400, int)]), "resp leaves component 1 without any"),
        (lambda: m_step(X, np.ones((400, 1)), reg_covar=np.nan), "reg_covar must be a finite"),
        (lambda: m_step(X, np.eye(400)), r"covariances\[0\] is not positive definite.*reg_covar"),
        (lambda: e_step(X[:, :1], Mixture(**BLOBS)), "X has 1 features"),
        (lambda: lower_bound(X, np.ones((400, 1)), Mixture(**BLOBS)), r"resp has shape \(400, 1\)"),
        (lambda: e_step(X, None), "mixture must be a Mixture, not NoneType"),
        (lambda: lower_bound(X, np.ones((400, 1)), BLOBS), "mixture must be a Mixture, not dict"),
        (lambda: fit_em(X, 3), "start must be a Mixture, not int"),
        (lambda: fit_em(X, Mixture(**BLOBS), max_iter=0), "max_iter must be at least 1"),
        (lambda: fit_em(X, Mixture(**BLOBS), tol=-1.0), "tol must be a finite number >= 0"),
    ],
)
def test_bad_input_is_named_and_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_nothing_passed_in_is_changed(start):
    points, resp = X.copy(), start.responsibilities(X)
    copy = resp.copy()
    m_step(points, resp), lower_bound(points, resp, start), fit_em(points, start, max_iter=2)
    np.testing.assert_array_equal(points, X)
    np.testing.assert_array_equal(resp, copy)


def test_m_step_and_start_refuse_spread_that_is_only_rounding_of_the_values():
    points = 1e8 + 1.5e-8 * np.random.default_rng(0).integers(2, size=(20, 1))
    with pytest.raises(ValueError, match=r"covariances\[0\] is not positive definite"):
        m_step(points, np.full((20, 2), 0.5))
    with pytest.raises(ValueError, match=r"covariances\[0\] is not positive definite"):
        start_mixture(points, 1, rng=0, reg_covar=0.0)
    alone = start_mixture([[1e8], [1e8 + 1.0], [1e8 + 4.0]], 2, rng=0, reg_covar=0.0)
    assert (alone.covariances > 0.1).all()  # a group of one point has the spread of all
