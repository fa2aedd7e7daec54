"""The joint mixture against brute-force enumeration, latent classes by hand, GaussianMixture."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning

from gmmlearn import conditional
from gmmlearn.conditional import JointMixture
from gmmlearn.estimator import GaussianMixture

LEVELS = {"season": ("winter", "spring", "summer"), "night": (0, 1)}
TYPES = pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])


def scenes(n_samples=300, seed=0, missing=0.0):
    """Return codes (N, 2) and attributes that hang together through a hidden group."""
    rng = np.random.default_rng(seed)
    group = rng.integers(3, size=n_samples)
    codes = 2.0 * np.column_stack([group, group**2]) + rng.normal(size=(n_samples, 2))
    season = (group + (rng.uniform(size=n_samples) < 0.2)) % 3
    night = (rng.uniform(size=n_samples) < 0.2 + 0.3 * group).astype(int)
    attributes = {"season": season, "night": night}
    for values in attributes.values():
        values[rng.uniform(size=n_samples) < missing] = -1
    return codes, attributes


def fitted(covariance_type="full", n_components=3, seed=0, **settings):
    settings = {"tol": 1e-6, "max_iter": 500, "random_state": seed} | settings
    joint = JointMixture(
        n_components, covariance_type=covariance_type, levels=LEVELS, concentration=0.3, **settings
    )
    return joint.fit(*scenes(seed=seed))


@pytest.fixture(scope="module")
def joint():
    return fitted()


def by_hand(joint, code, known):
    """Return p(k, code, known) (K,) as a product of SciPy's density and table entries."""
    mixture = joint.gaussians_.mixture()
    values = []
    for k in range(joint.n_components):
        value = mixture.weights[k]
        if code is not None:
            value *= multivariate_normal(mixture.means[k], mixture.covariances[k]).pdf(code)
        for name, number in known.items():
            value *= joint.tables_[name][k, number]
        values.append(value)
    return np.array(values)


@TYPES
def test_joint_density_is_a_product_given_the_component(covariance_type):
    joint, (codes, attributes) = fitted(covariance_type), scenes(20, seed=5)
    rows = [{name: attributes[name][n] for name in attributes} for n in range(20)]
    products = np.array([by_hand(joint, codes[n], rows[n]) for n in range(20)])
    np.testing.assert_allclose(joint.log_prob(codes, attributes), np.log(products.sum(1)))
    resp = products / products.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(joint.responsibilities(codes, attributes), resp, atol=1e-12)


def test_missing_attributes_and_codes_are_summed_out(joint):
    codes, attributes = scenes(6, seed=7)
    every = list(itertools.product(range(3), range(2)))
    summed = np.zeros(6)
    for season, night in every:
        full = {"season": np.full(6, season), "night": np.full(6, night)}
        summed += np.exp(joint.log_prob(codes, full))
    np.testing.assert_allclose(joint.log_prob(codes), np.log(summed))
    missing = {"season": attributes["season"], "night": np.full(6, -1)}
    by_night = [
        np.exp(joint.log_prob(codes, attributes | {"night": np.full(6, n)})) for n in (0, 1)
    ]
    np.testing.assert_allclose(joint.log_prob(codes, missing), np.log(sum(by_night)))
    # Codes are integrated out: all probabilities of attributes alone sum to one.
    alone = {
        "season": np.array([season for season, _ in every]),
        "night": np.array([night for _, night in every]),
    }
    assert np.exp(joint.log_prob(attributes=alone)).sum() == pytest.approx(1.0)
    expected = [by_hand(joint, None, {"season": s, "night": n}).sum() for s, n in every]
    np.testing.assert_allclose(np.exp(joint.log_prob(attributes=alone)), expected)


def test_conditioning_on_attributes_is_bayes_rule(joint):
    mixture, x = joint.condition(season="spring", night=1), np.array([[1.5, 2.0], [4.0, 8.0]])
    known = {"season": 1, "night": 1}
    evidence = by_hand(joint, None, known).sum()
    expected = [np.log(by_hand(joint, code, known).sum() / evidence) for code in x]
    np.testing.assert_allclose(mixture.log_prob(x), expected)
    np.testing.assert_allclose(mixture.means, joint.gaussians_.means_)


def test_asking_for_any_of_several_levels_adds_their_joint_densities(joint):
    x = np.array([[1.0, 1.0]])
    wanted = [{"season": 0, "night": 1}, {"season": 2, "night": 1}]
    evidence = sum(by_hand(joint, None, known).sum() for known in wanted)
    density = sum(by_hand(joint, x[0], known).sum() for known in wanted) / evidence
    mixture = joint.condition(season=("winter", "summer"), night=1)
    np.testing.assert_allclose(mixture.log_prob(x), np.log(density))
    np.testing.assert_allclose(joint.condition().weights, joint.weights_)
    everything = joint.condition(season=LEVELS["season"])
    np.testing.assert_allclose(everything.weights, joint.weights_)


def test_attributes_given_a_code_by_enumeration(joint):
    codes, attributes = scenes(5, seed=9)
    attributes["night"][:] = [0, 1, -1, 0, -1]
    found = joint.predict_attributes(codes, {"night": attributes["night"]})
    for n, night in enumerate(attributes["night"]):
        known = {} if night < 0 else {"night": night}
        parts = [by_hand(joint, codes[n], known | {"season": s}).sum() for s in range(3)]
        np.testing.assert_allclose(found["season"][n], np.divide(parts, np.sum(parts)))
    np.testing.assert_array_equal(found["night"][0], [1, 0])
    np.testing.assert_array_equal(found["night"][1], [0, 1])
    np.testing.assert_allclose(found["night"].sum(axis=1), 1.0)
    np.testing.assert_allclose(found["night"][2], joint.predict_attributes(codes)["night"][2])


def brute_step(joint, codes, attributes):
    """Return what one dense E-step and M-step make of a full-covariance joint mixture."""
    rows = [{n: v[i] for n, v in attributes.items() if v[i] >= 0} for i in range(len(codes))]
    resp = np.array([by_hand(joint, code, row) for code, row in zip(codes, rows, strict=True)])
    resp /= resp.sum(axis=1, keepdims=True)
    counts = resp.sum(axis=0)
    means = resp.T @ codes / counts[:, None]
    covariances = [np.cov(codes.T, aweights=r, bias=True) + 1e-6 * np.eye(2) for r in resp.T]
    tables = {}
    for name, levels in LEVELS.items():
        sums = np.array([resp[attributes[name] == level].sum(0) for level in range(len(levels))])
        tables[name] = ((sums + 0.3) / (sums.sum(axis=0) + 0.3 * len(levels))).T
    return counts / len(codes), means, np.array(covariances), tables


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_one_iteration_equals_a_dense_step(missing):
    codes, attributes = scenes(missing=missing)
    short, longer = (
        JointMixture(3, levels=LEVELS, concentration=0.3, tol=0.0, max_iter=n, random_state=0).fit(
            codes, attributes
        )
        for n in (2, 3)
    )
    weights, means, covariances, tables = brute_step(short, codes, attributes)
    np.testing.assert_allclose(longer.weights_, weights, rtol=1e-9)
    np.testing.assert_allclose(longer.gaussians_.means_, means, rtol=1e-9)
    np.testing.assert_allclose(longer.gaussians_.covariances_, covariances, rtol=1e-8)
    for name, table in tables.items():
        np.testing.assert_allclose(longer.tables_[name], table, rtol=1e-9)
    prior = sum(0.3 * np.log(table).sum() for table in short.tables_.values())
    bound = (short.log_prob(codes, attributes).sum() + prior) / len(codes)
    assert longer.lower_bounds_[-1] == pytest.approx(bound, rel=1e-10)


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 1000),
    covariance_type=st.sampled_from(["full", "tied", "diag", "spherical"]),
    n_components=st.integers(1, 5),
    strength=st.sampled_from([0.0, 4.0]),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_bound_never_falls(seed, covariance_type, n_components, strength):
    joint = JointMixture(
        n_components,
        covariance_type=covariance_type,
        concentration=0.2,
        reg_covar=0.0,
        prior_strength=strength,
        tol=0.0,
        max_iter=15,
        random_state=seed,
    ).fit(*scenes(200, seed, missing=0.2))
    assert np.diff(joint.lower_bounds_).min() > -1e-10


@TYPES
def test_without_attributes_it_is_a_gaussian_mixture(covariance_type):
    codes, _ = scenes()
    shared = {"covariance_type": covariance_type, "tol": 1e-6, "max_iter": 500, "random_state": 3}
    alone = GaussianMixture(3, **shared).fit(codes)
    joint = JointMixture(3, **shared).fit(codes, {})
    np.testing.assert_allclose(joint.lower_bounds_, alone.lower_bounds_, rtol=1e-12)
    np.testing.assert_allclose(joint.gaussians_.means_, alone.means_, rtol=1e-10)
    np.testing.assert_allclose(joint.log_prob(codes), alone.score_samples(codes), rtol=1e-10)


def test_codes_that_say_nothing_leave_a_latent_class_model(monkeypatch):
    # Each row stands there twice, with codes 1 and -1: every component has mean 0 and variance 1,
    # so only the attributes tell components apart.
    rng, n_components = np.random.default_rng(4), 2
    answers = {name: rng.integers(2, size=60) for name in ("a", "b", "c")}
    labels = rng.integers(n_components, size=60)
    joint = JointMixture(n_components, concentration=0.5, tol=0.0, max_iter=7, reg_covar=0.0)
    monkeypatch.setattr(conditional, "start_labels", lambda *_: np.tile(labels, 2))
    twice = {name: np.tile(values, 2) for name, values in answers.items()}
    with pytest.warns(ConvergenceWarning, match="did not converge in 7"):
        joint.fit(np.repeat([1.0, -1.0], 60)[:, None], twice)

    resp = np.eye(n_components)[labels]
    for _ in range(8):  # the start is an M-step of its own
        weights = resp.mean(axis=0)
        tables = {
            name: (2 * resp.T @ np.eye(2)[values] + 0.5) / (2 * resp.sum(0)[:, None] + 1.0)
            for name, values in answers.items()
        }
        resp = weights * np.prod([tables[n][:, answers[n]].T for n in answers], axis=0)
        resp /= resp.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(joint.weights_, weights, rtol=1e-8)
    for name, table in tables.items():
        np.testing.assert_allclose(joint.tables_[name], table, rtol=1e-8)


def test_rows_without_any_code_teach_the_tables():
    codes, attributes = scenes()
    codes[::3] = np.nan
    joint = JointMixture(3, levels=LEVELS, concentration=0.3, random_state=0, max_iter=500)
    joint.fit(codes, attributes)
    known = {name: values[::3] for name, values in attributes.items()}
    np.testing.assert_allclose(
        joint.responsibilities(codes[::3], known), joint.responsibilities(None, known), atol=1e-9
    )
    assert np.isfinite(joint.lower_bounds_).all()
    assert np.diff(joint.lower_bounds_).min() > -1e-5  # reg_covar costs a little


def test_samples_have_the_conditional_moments_and_frequencies(joint):
    codes, attributes = joint.sample(20_000, rng=1, season=("winter", "summer"))
    mixture = joint.condition(season=("winter", "summer"))
    mean = mixture.weights @ mixture.means
    error = codes.std(axis=0) / np.sqrt(20_000)
    assert (np.abs(codes.mean(axis=0) - mean) < 5 * error).all()
    assert set(attributes["season"]) == {0, 2}
    joints = np.array([by_hand(joint, None, {"season": s}).sum() for s in (0, 2)])
    assert np.mean(attributes["season"] == 2) == pytest.approx(joints[1] / joints.sum(), abs=0.02)
    both = [by_hand(joint, None, {"season": 2, "night": n}).sum() for n in (0, 1)]
    night = attributes["night"][attributes["season"] == 2].mean()
    assert night == pytest.approx(both[1] / sum(both), abs=0.03)
    again = joint.sample(20_000, rng=1, season=("winter", "summer"))
    np.testing.assert_array_equal(codes, again[0])


def test_nothing_passed_in_is_changed(joint):
    codes, attributes = scenes()
    before, kept = codes.copy(), {name: values.copy() for name, values in attributes.items()}
    JointMixture(2, stratify=("night",), random_state=0).fit(codes, attributes)
    joint.predict_attributes(codes, attributes)
    np.testing.assert_array_equal(codes, before)
    for name, values in kept.items():
        np.testing.assert_array_equal(attributes[name], values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"concentration": 0.0}, "concentration is 0"),
        ({"concentration": -1.0}, "concentration must be a finite number >= 0"),
        ({"stratify": ("sky",)}, r"stratify names \['sky'\]"),
        ({"levels": {"sky": ("blue",)}}, r"levels names \['sky'\]"),
        ({"n_components": 0}, "n_components"),
        ({"covariance_type": "round"}, "covariance_type"),
        ({"n_components": 1000}, "only n_samples = 300"),
        ({"n_components": 3, "stratify": ("season", "night")}, "stratify makes 6 combinations"),
    ],
)
def test_malformed_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        JointMixture(**({"n_components": 2} | settings)).fit(*scenes())


def test_malformed_questions_are_refused(joint):
    with pytest.raises(ValueError, match="both empty"):
        joint.log_prob()
    with pytest.raises(ValueError, match=r"no level 'autumn'.*: winter, spring, summer"):
        joint.condition(season="autumn")
    with pytest.raises(ValueError, match="no attribute 'sky'"):
        joint.sample(3, sky="blue")
    with pytest.raises(ValueError, match="3 entries, but there are 1"):
        joint.log_prob([[0.0, 0.0]], {"season": [0, 1, 1]})
