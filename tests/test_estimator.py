"""GaussianMixture against scikit-learn's from the same seed, and against itself."""

import gc
import json
import pickle
import subprocess
import sys
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import ALL, FITTED, STARTS, TYPES, blobs, start_of
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture as Reference
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_info, threadpool_limits

from gmmlearn import GaussianMixture, _validation, ascent, em, estimator, scoring
from gmmlearn.covariance import SingularCovariance
from gmmlearn.estimator import CollapsedComponentWarning
from gmmlearn.mixture import Mixture


def assert_same_fit(one, other, rtol=1e-6, names=FITTED):
    for name in names:
        a, b = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol, err_msg=name)


# -------------------------------------------------------------------- the same as scikit-learn


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::gmmlearn.estimator.CollapsedComponentWarning")
@ALL
@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("shape", [(600, 3, 3), (200, 1, 2), (900, 6, 5)])
def test_same_seed_same_fit_as_scikit_learn(covariance_type, init_params, shape):
    X = blobs(*shape)
    settings = {"covariance_type": covariance_type, "init_params": init_params, "random_state": 3}
    ours = GaussianMixture(shape[2], **settings).fit(X)
    theirs = Reference(shape[2], **settings).fit(X)
    assert_same_fit(ours, theirs)
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, abs=1e-8)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-7)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), atol=1e-8)
    for criterion in ("score", "aic", "bic"):
        assert getattr(ours, criterion)(X) == pytest.approx(getattr(theirs, criterion)(X))


@ALL
def test_several_starts_keep_the_same_best(covariance_type):
    X = blobs(400, 2, 6, spread=1.5)
    settings = {"covariance_type": covariance_type, "random_state": 0, "n_init": 4, "max_iter": 500}
    ours, theirs = GaussianMixture(6, **settings).fit(X), Reference(6, **settings).fit(X)
    assert_same_fit(ours, theirs)
    np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, atol=1e-8)


@ALL
def test_same_iterations_from_a_given_start(covariance_type):
    X = blobs(5000, 4)
    start = start_of(X, covariance_type) | {"max_iter": 10, "tol": 0.0}
    with pytest.warns(ConvergenceWarning):
        ours, theirs = GaussianMixture(**start).fit(X), Reference(**start).fit(X)
    assert_same_fit(ours, theirs, rtol=1e-9)
    np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, atol=1e-10)


@pytest.mark.parametrize("given", ["weights_init", "means_init", "precisions_init"])
@ALL
def test_partly_given_start(covariance_type, given):
    X = blobs()
    start = start_of(X, covariance_type)
    settings = {
        "n_components": 3,
        "covariance_type": covariance_type,
        "random_state": 0,
        given: start[given],
    }
    assert_same_fit(GaussianMixture(**settings).fit(X), Reference(**settings).fit(X))


@ALL
def test_no_iterations_leave_the_start(covariance_type):
    X = blobs()
    settings = {"covariance_type": covariance_type, "max_iter": 0, "random_state": 0}
    ours, theirs = GaussianMixture(3, **settings).fit(X), Reference(3, **settings).fit(X)
    assert_same_fit(ours, theirs)
    assert (ours.n_iter_, ours.converged_, ours.lower_bound_) == (0, False, -np.inf)


@ALL
def test_warm_start_goes_on_where_it_stopped(covariance_type):
    X = blobs(spread=1.5)
    settings = {"covariance_type": covariance_type, "random_state": 0, "warm_start": True}
    ours = GaussianMixture(3, max_iter=2, **settings)
    theirs = Reference(3, max_iter=2, **settings)
    for _ in range(4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            ours.fit(X), theirs.fit(X)
        assert_same_fit(ours, theirs)
        assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, abs=1e-9)


def test_warm_start_with_another_number_of_features_is_refused():
    mixture = GaussianMixture(2, warm_start=True, random_state=0).fit(blobs(n_features=2))
    with pytest.raises(ValueError, match="warm_start"):
        mixture.fit(blobs(n_features=3))


def test_the_lesson_and_the_tool_agree():
    X = blobs()
    start = start_of(X, "full") | {"max_iter": 7, "tol": 0.0}
    with pytest.warns(ConvergenceWarning):
        tool = GaussianMixture(**start).fit(X)
    covariances = np.linalg.inv(start["precisions_init"])
    begin = Mixture(start["weights_init"], start["means_init"], covariances)
    lesson = em.fit_em(X, begin, max_iter=7, tol=0.0)
    np.testing.assert_allclose(tool.means_, lesson.mixture.means, atol=1e-10)
    np.testing.assert_allclose(tool.covariances_, lesson.mixture.covariances, atol=1e-10)
    np.testing.assert_allclose(tool.lower_bounds_, lesson.lower_bounds, atol=1e-12)


def test_verbose_prints_scikit_learns_lines(capsys):
    X = blobs()
    settings = {"random_state": 0, "verbose": 2, "verbose_interval": 1}
    printed = []
    for mixture in (GaussianMixture(3, **settings), Reference(3, **settings)):
        mixture.fit(X)
        lines = capsys.readouterr().out.splitlines()
        printed.append([[word for word in line.split() if word[0].isalpha()] for line in lines])
    assert printed[0] == printed[1]


# ------------------------------------------------------------------------ scikit-learn's habits


def expected_failures(mixture):
    if mixture.n_components == 1:
        return {}
    reason = "k-means starts elsewhere when rows are repeated instead of weighted"
    return {"check_sample_weight_equivalence_on_dense_data": reason}


@parametrize_with_checks(
    [GaussianMixture(k, covariance_type=one) for one in (*TYPES, "low_rank") for k in (1, 3)],
    expected_failed_checks=expected_failures,
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@ALL
def test_pickle_clone_pipeline_and_search(covariance_type):
    X = blobs()
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    copy = pickle.loads(pickle.dumps(mixture))
    np.testing.assert_array_equal(copy.score_samples(X), mixture.score_samples(X))
    assert clone(mixture).get_params() == mixture.get_params()
    pipeline = make_pipeline(StandardScaler(), clone(mixture)).fit(X)
    assert pipeline.predict(X).shape == (len(X),)
    search = GridSearchCV(clone(mixture), {"n_components": [1, 3]}, cv=3).fit(X)
    assert search.best_params_ == {"n_components": 3}


def test_attributes_set_by_hand_are_used():
    mixture = GaussianMixture(2, covariance_type="diag")
    mixture.weights_, mixture.means_ = np.array([0.25, 0.75]), np.array([[0.0, 0.0], [3.0, 1.0]])
    mixture.precisions_cholesky_ = np.array([[1.0, 2.0], [0.5, 1.0]])
    X = np.array([[0.5, 0.1], [9.0, -4.0]])
    parts = [
        0.25 * multivariate_normal([0, 0], [1.0, 0.25]).pdf(X),
        0.75 * multivariate_normal([3, 1], [4.0, 1.0]).pdf(X),
    ]
    np.testing.assert_allclose(mixture.score_samples(X), np.log(np.sum(parts, axis=0)))


@ALL
def test_samples_follow_covariances_set_by_hand(covariance_type):
    mixture = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(blobs())
    mixture.covariances_ = 100.0 * mixture.covariances_
    wide = mixture.sample(2000, random_state=0)[0]
    del mixture.precisions_cholesky_
    np.testing.assert_array_equal(wide, mixture.sample(2000, random_state=0)[0])
    assert wide.std() > 3 * blobs().std()


@ALL
def test_fitted_attributes_are_plain_numbers(covariance_type):
    mixture = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(blobs())
    assert mixture.converged_ is True
    assert type(mixture.lower_bound_) is float
    assert json.loads(json.dumps(mixture.lower_bounds_)) == mixture.lower_bounds_


def test_fixed_parameters_are_not_counted():
    X = blobs()
    free = GaussianMixture(2, random_state=0).fit(X)
    given = {"weights_init": free.weights_, "means_init": free.means_}
    held = GaussianMixture(2, fixed={"weights", "means"}, random_state=0, **given).fit(X)
    n_features = X.shape[1]
    fewer = 2 * n_features + 1
    bic = held.bic(X) + 2 * len(X) * held.score(X)
    assert bic == pytest.approx((n_features * (n_features + 1)) * np.log(len(X)), rel=1e-9)
    assert free._n_parameters() - held._n_parameters() == fewer


def test_fits_in_many_threads_leave_the_machines_threads_as_they_were():
    X = np.random.default_rng(0).normal(size=(20_000, 8))

    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    def fit(seed):
        return GaussianMixture(4, max_iter=3, tol=1.0, random_state=seed).fit(X).means_

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        alone = [fit(seed) for seed in range(4)]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(fit, list(range(4)) * 3))
        assert threads() == before
    for k, means in enumerate(together):
        np.testing.assert_allclose(means, alone[k % 4], rtol=1e-8)


def test_unfitted_says_so():
    for method in ("predict", "predict_proba", "score_samples", "score", "aic", "bic"):
        with pytest.raises(NotFittedError):
            getattr(GaussianMixture(), method)(np.zeros((2, 2)))
    with pytest.raises(NotFittedError):
        GaussianMixture().sample()


@ALL
def test_nothing_passed_in_is_changed(covariance_type):
    X = blobs()
    start = start_of(X, covariance_type)
    weight = np.linspace(0, 1, len(X))
    kept = {name: np.array(value) for name, value in start.items()}
    before, weight_before = X.copy(), weight.copy()
    mixture = GaussianMixture(**start).fit(X, sample_weight=weight)
    mixture.predict(X), mixture.score(X, sample_weight=weight), mixture.sample(5)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(weight, weight_before)
    for name, value in kept.items():
        assert getattr(mixture, name) is start[name]
        np.testing.assert_array_equal(start[name], value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_components": 0}, "n_components"),
        ({"covariance_type": "round"}, "covariance_type.*'spherical'"),
        ({"weights_init": [0.5, 0.6]}, "weights_init sums to 1.1"),
        ({"weights_init": [1.0]}, r"weights_init has shape \(1,\), expected \(2,\)"),
        ({"means_init": [[0.0]]}, r"means_init has shape \(1, 1\), expected \(2, 3\)"),
        ({"precisions_init": np.ones((2, 3))}, "precisions_init has shape"),
        ({"precisions_init": -np.tile(np.eye(3), (2, 1, 1))}, "precisions_init.*positive definite"),
        ({"precisions_init": np.tile(np.tri(3), (2, 1, 1))}, "precisions_init.*symmetric"),
        ({"reg_covar": -1.0}, "reg_covar"),
        ({"n_components": 601}, "n_components is 601, but X has only n_samples = 600"),
    ],
)
def test_bad_arguments_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**{"n_components": 2, **settings}).fit(blobs())


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_is_refused(bad):
    X = blobs()
    mixture = GaussianMixture(2, random_state=0).fit(X)
    X[3, 1] = bad
    for method in (mixture.fit, mixture.predict, mixture.score_samples):
        with pytest.raises(ValueError, match="infinity"):
            method(X)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(5), "5 entries, but X has 600"),
        (-np.ones(600), "negative"),
        (np.zeros(600), "zero everywhere"),
        (np.full(600, np.nan), "sample_weight contains NaN"),
    ],
)
def test_bad_weights_are_named(weight, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2).fit(blobs(), sample_weight=weight)


def test_far_point_at_prediction_is_refused_not_guessed():
    mixture = GaussianMixture(2, random_state=0).fit(blobs())
    with pytest.raises(ValueError, match="overflow"):
        mixture.predict(np.full((1, 3), 1e200))


def test_singular_fit_names_the_component_and_the_cure():
    X = np.column_stack([blobs()[:, 0], np.zeros(600)])
    with pytest.raises(ValueError, match=r"component 0 is singular.*Raise reg_covar"):
        GaussianMixture(2, reg_covar=0.0, random_state=0).fit(X)


def test_import_does_not_load_the_whole_mixture_module():
    code = (
        "import sys; from gmmlearn import GaussianMixture; print('sklearn.mixture' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@ALL
def test_scoring_follows_every_change_of_the_fitted_attributes(covariance_type):
    X = blobs(200, spread=1.0)
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    spread = np.sqrt(4.0)  # precisions_cholesky_ of four times the covariance

    def in_place():
        mixture.means_[0] += 1.0

    def means():
        mixture.means_ = mixture.means_ + 0.5

    def weights():
        mixture.weights_[:] = [0.2, 0.3, 0.5]

    def both():
        mixture.covariances_ = 4.0 * mixture.covariances_
        mixture.precisions_cholesky_ /= spread

    def factors_alone():
        del mixture.covariances_
        mixture.precisions_cholesky_ = mixture.precisions_cholesky_ / spread

    def covariances_alone():
        mixture.covariances_ = 0.5 * mixture.mixture_covariances
        del mixture.precisions_cholesky_

    def again():
        mixture.fit(X[:100] + 1.0)

    for change in (in_place, means, weights, both, factors_alone, covariances_alone, again):
        before = mixture.score_samples(X)
        before_labels = mixture.predict_proba(X)
        mixture.mixture_covariances = mixture._structure.to_public(mixture._params_in()[2])
        change()
        after = mixture.score_samples(X)
        assert np.abs(after - before).max() > 1e-3, change.__name__
        assert np.abs(mixture.predict_proba(X) - before_labels).max() > 1e-6, change.__name__
        np.testing.assert_allclose(after, mixture.mixture().log_prob(X), err_msg=change.__name__)
        np.testing.assert_array_equal(after, pickle.loads(pickle.dumps(mixture)).score_samples(X))


@pytest.mark.parametrize("name", ["precisions_cholesky_", "loadings_", "noise_variance_"])
def test_scoring_follows_a_change_of_one_attribute_alone(name):
    X = blobs(200)
    covariance_type = "full" if name == "precisions_cholesky_" else "low_rank"
    mixture = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    before = mixture.score_samples(X)
    setattr(mixture, name, 1.1 * getattr(mixture, name))
    after = mixture.score_samples(X)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_array_equal(after, pickle.loads(pickle.dumps(mixture)).score_samples(X))


def test_what_scoring_remembers_is_its_own_mixture_s_and_goes_with_it(monkeypatch):
    X = blobs(200)
    one, other = (GaussianMixture(k, random_state=0).fit(X) for k in (2, 3))
    first = one.score_samples(X), other.score_samples(X)
    np.testing.assert_array_equal(one.score_samples(X), first[0])
    np.testing.assert_array_equal(other.score_samples(X), first[1])
    assert {one, other} <= set(scoring._KNOWN.keys())
    # Few rows and many take different ways; each must have its own posterior.
    np.testing.assert_allclose(one.score_samples(X[:5]), first[0][:5], rtol=1e-12)
    known, gone = weakref.ref(scoring._KNOWN[one].frame.origin), weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None and known() is None
    monkeypatch.setattr(scoring, "REMEMBERED", 0)
    large = clone(other).fit(X)
    np.testing.assert_array_equal(large.score_samples(X), first[1])
    assert large not in scoring._KNOWN


@ALL
def test_of_equal_bounds_the_first_start_is_kept(covariance_type, monkeypatch):
    arrived = []

    def level(*arguments):
        climb = ascent.climb(*arguments)
        arrived.append(climb._replace(lower_bounds=[*climb.lower_bounds[:-1], 1.5]))
        return arrived[-1]

    monkeypatch.setattr(estimator, "climb", level)
    mixture = GaussianMixture(
        3, covariance_type=covariance_type, n_init=3, init_params="random", random_state=0
    ).fit(blobs())
    assert len(arrived) == 3
    np.testing.assert_array_equal(mixture.weights_, arrived[0].params.weights)
    assert not np.array_equal(arrived[1].params.weights, arrived[0].params.weights)


# -------------------------------------------------------------------------------- sample weights


@ALL
@pytest.mark.parametrize("offset", [0.0, 1e7])
def test_integer_weight_equals_repeated_row(covariance_type, offset):
    X = blobs(300) + offset
    repeats = np.random.default_rng(1).integers(0, 4, len(X))
    start = start_of(X, covariance_type)
    weighted = GaussianMixture(**start).fit(X, sample_weight=repeats)
    repeated = GaussianMixture(**start).fit(np.repeat(X, repeats, axis=0))
    assert weighted.n_iter_ == repeated.n_iter_
    for name in FITTED:
        a, b = getattr(weighted, name), getattr(repeated, name)
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(weighted.lower_bounds_, repeated.lower_bounds_, atol=1e-10)
    score = weighted.score(X, sample_weight=repeats)
    assert score == pytest.approx(weighted.score(np.repeat(X, repeats, axis=0)), abs=1e-10)


@ALL
@pytest.mark.parametrize("scale", [1e-20, 1e-12, 1024.0, 1e12])
def test_scaling_all_weights_changes_nothing(covariance_type, scale):
    X, weight = blobs(), np.random.default_rng(0).uniform(0.1, 2.0, 600)
    start = start_of(X, covariance_type)
    one = GaussianMixture(**start).fit(X, sample_weight=weight)
    other = GaussianMixture(**start).fit(X, sample_weight=scale * weight)
    assert_same_fit(one, other, rtol=1e-8)


@ALL
@pytest.mark.parametrize("init_params", STARTS)
def test_weighted_starts_ignore_rows_of_weight_zero(covariance_type, init_params):
    X = blobs()
    weight = (np.arange(len(X)) % 3 > 0).astype(float)
    settings = {"covariance_type": covariance_type, "init_params": init_params, "random_state": 0}
    one = GaussianMixture(3, **settings, max_iter=500).fit(X, sample_weight=weight)
    other = GaussianMixture(3, **settings, max_iter=500).fit(X[weight > 0])
    if init_params != "random_from_data":  # a choice with probabilities draws other numbers
        assert_same_fit(one, other)


@ALL
@pytest.mark.parametrize("init_params", ["k-means++", "random_from_data"])
def test_a_single_point_starts_as_one_row_whatever_its_weight(covariance_type, init_params):
    X, weight = blobs(), np.random.default_rng(0).uniform(0.5, 3.0, 600)
    settings = {"covariance_type": covariance_type, "init_params": init_params, "max_iter": 0}
    mixture = GaussianMixture(3, **settings, random_state=0).fit(X, sample_weight=weight)
    np.testing.assert_allclose(mixture.weights_, 1.0 / weight.sum())


# -------------------------------------------------------------------------- digits are not lost


@ALL
@pytest.mark.parametrize("offset", [2.0**27, 2.0**33])
def test_offset_changes_nothing_but_the_means(covariance_type, offset):
    X = np.round(blobs() * 2.0**12) / 2.0**12  # so that the shift itself rounds nothing
    start = start_of(X, covariance_type)
    here = GaussianMixture(**start).fit(X)
    there = GaussianMixture(**start | {"means_init": start["means_init"] + offset}).fit(X + offset)
    assert_same_fit(here, there, rtol=1e-11, names=("weights_", "covariances_", "precisions_"))
    np.testing.assert_allclose(there.means_ - offset, here.means_, atol=2e-16 * offset)
    np.testing.assert_allclose(there.lower_bounds_, here.lower_bounds_, atol=1e-11)
    # The means are rounded at the offset's own digits, the densities with them.
    close = 64 * np.finfo(float).eps * offset
    np.testing.assert_allclose(there.score_samples(X + offset), here.score_samples(X), atol=close)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_features_of_very_different_scales(covariance_type):
    X = blobs()
    scales = np.array([2.0**-20, 1.0, 2.0**20])
    start = start_of(X, covariance_type) | {"reg_covar": 0.0}
    here = GaussianMixture(**start).fit(X)
    scaled = start_of(X * scales, covariance_type) | {"reg_covar": 0.0}
    there = GaussianMixture(**scaled).fit(X * scales)
    np.testing.assert_allclose(there.means_ / scales, here.means_, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(there.weights_, here.weights_, rtol=1e-11)
    np.testing.assert_allclose(there.lower_bound_, here.lower_bound_, atol=1e-11)


@ALL
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++"])
def test_tight_clusters_a_million_apart(covariance_type, init_params):
    if (covariance_type, init_params) == ("tied", "k-means++"):
        pytest.skip("starts too wide to tell the clusters apart, as scikit-learn does")
    rng = np.random.default_rng(0)
    centres = 1e6 * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    groups = [centre + 0.01 * rng.normal(size=(200, 2)) for centre in centres]
    X = np.concatenate(groups)
    settings = {"covariance_type": covariance_type, "init_params": init_params, "random_state": 0}
    mixture = GaussianMixture(3, **settings, reg_covar=0.0 if init_params == "kmeans" else 1e-6)
    mixture.fit(X)
    order = [int(np.argmin(np.abs(mixture.means_ - c).sum(axis=1))) for c in centres]
    full = np.stack([np.cov(group.T, ddof=0) for group in groups])
    full = full + mixture.reg_covar * np.eye(2)
    expected = {
        "full": full,
        "tied": full.mean(axis=0),
        "diag": np.diagonal(full, axis1=1, axis2=2),
        "spherical": np.trace(full, axis1=1, axis2=2) / 2,
    }[covariance_type]
    got = mixture.covariances_ if covariance_type == "tied" else mixture.covariances_[order]
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-11)
    means = [group.mean(axis=0) for group in groups]
    np.testing.assert_allclose(mixture.means_[order], means, atol=2e-10)  # rounding at 1e6
    np.testing.assert_allclose(mixture.predict_proba(X).max(axis=1), 1.0)


@ALL
@pytest.mark.parametrize("apart", [1e2, 1e4, 1e5, 1e6, 1e8])
def test_clusters_apart_keep_nine_digits(covariance_type, apart):
    groups = [part + apart * np.eye(3)[k] for k, part in enumerate(np.split(blobs(600, 3, 1), 3))]
    X = np.round(np.concatenate(groups) * 2.0**10) / 2.0**10
    settings = {"covariance_type": covariance_type, "random_state": 0, "reg_covar": 0.0}
    mixture = GaussianMixture(3, **settings).fit(X)
    labels = mixture.predict(X)
    parts = [X[labels == k] for k in range(3)]
    assert sorted(map(len, parts)) == [200, 200, 200]
    centred = [part - part.mean(axis=0) for part in parts]
    full = np.stack([part.T @ part / 200 for part in centred])
    expected = {
        "full": full,
        "tied": full.mean(axis=0),
        "diag": np.diagonal(full, axis1=1, axis2=2),
        "spherical": np.trace(full, axis1=1, axis2=2) / 3,
    }[covariance_type]
    np.testing.assert_allclose(mixture.covariances_, expected, rtol=2e-9, atol=2e-9)
    reference = np.concatenate(
        [
            np.log(1 / 3) + multivariate_normal(cov=covariance).logpdf(part)
            for part, covariance in zip(centred, mixture.mixture().covariances, strict=True)
        ]
    )
    close = 1e-8 + 64 * np.finfo(float).eps * apart  # the means are rounded at their own size
    np.testing.assert_allclose(mixture.score_samples(np.concatenate(parts)), reference, atol=close)


@ALL
def test_float32_at_an_offset_is_computed_in_float64(covariance_type):
    X = (blobs() + 1e4).astype(np.float32)
    start = start_of(X.astype(float), covariance_type)
    single, double = GaussianMixture(**start).fit(X), GaussianMixture(**start).fit(X.astype(float))
    assert_same_fit(single, double, rtol=1e-12)
    assert single.means_.dtype == np.float64
    variances = single.covariances_
    if covariance_type in ("full", "tied"):
        variances = np.diagonal(variances, axis1=-2, axis2=-1)
    assert (variances > 0).all()


def test_order_of_memory_changes_nothing():
    X = blobs()
    one, other = (GaussianMixture(3, random_state=0).fit(a) for a in (X, np.asfortranarray(X)))
    assert_same_fit(one, other, rtol=1e-12)


@ALL
def test_bound_never_falls_without_regularisation(covariance_type):
    X = blobs(400, 2, 5, spread=1.0)
    start = start_of(X, covariance_type, 5) | {"reg_covar": 0.0, "max_iter": 60, "tol": 0.0}
    with pytest.warns(ConvergenceWarning):
        bounds = GaussianMixture(**start).fit(X).lower_bounds_
    assert (np.diff(bounds) > -1e-12).all()


# ------------------------------------------------------------------------------------- sampling


@ALL
def test_samples_have_the_mixtures_moments(covariance_type):
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(blobs())
    X, labels = mixture.sample(200_000, random_state=1)
    np.testing.assert_allclose(np.bincount(labels) / len(X), mixture.weights_, atol=5e-3)
    for k in range(3):
        part = X[labels == k]
        covariance = {
            "full": lambda k=k: mixture.covariances_[k],
            "tied": lambda: mixture.covariances_,
            "diag": lambda k=k: np.diag(mixture.covariances_[k]),
            "spherical": lambda k=k: mixture.covariances_[k] * np.eye(3),
        }[covariance_type]()
        error = 5.0 * np.sqrt(np.diag(covariance) / len(part))
        assert (np.abs(part.mean(axis=0) - mixture.means_[k]) < error).all()
        np.testing.assert_allclose(np.cov(part.T), covariance, atol=0.02 * np.abs(covariance).max())


def test_sample_draws_anew_unless_told_otherwise():
    mixture = GaussianMixture(2, random_state=0).fit(blobs())
    first, second = mixture.sample(4)[0], mixture.sample(4)[0]
    assert not np.allclose(first, second)
    again = GaussianMixture(2, random_state=0).fit(blobs())
    np.testing.assert_array_equal(again.sample(4)[0], first)
    np.testing.assert_array_equal(again.sample(4)[0], second)
    one, other = mixture.sample(4, random_state=7)[0], mixture.sample(4, random_state=7)[0]
    np.testing.assert_array_equal(one, other)


# ------------------------------------------------ fixed parameters, priors, collapse, conditioning


@ALL
@pytest.mark.parametrize("fixed", ["weights", "means", "covariances"])
def test_fixed_parameters_stay_and_the_bound_still_rises(covariance_type, fixed):
    X = blobs(spread=1.5)
    start = start_of(X, covariance_type) | {"reg_covar": 0.0}
    mixture = GaussianMixture(**start, fixed={fixed}).fit(X)
    free = GaussianMixture(**start).fit(X)
    source = "precisions_init" if fixed == "covariances" else f"{fixed}_init"
    kept = mixture.precisions_ if fixed == "covariances" else getattr(mixture, f"{fixed}_")
    np.testing.assert_allclose(kept, start[source], rtol=1e-13, atol=1e-15)
    assert (np.diff(mixture.lower_bounds_) > -1e-12).all()
    assert mixture.lower_bound_ < free.lower_bound_


@ALL
def test_covariance_about_fixed_means_is_the_naive_one(covariance_type):
    X = blobs(spread=1.5)
    start = start_of(X, covariance_type) | {"reg_covar": 0.0, "max_iter": 1}
    with pytest.warns(ConvergenceWarning):
        before = GaussianMixture(**start | {"max_iter": 0}).fit(X)
        mixture = GaussianMixture(**start, fixed=["means"]).fit(X)
    resp = before.predict_proba(X)
    centred = X[:, None] - start["means_init"]
    counts = resp.sum(axis=0)
    full = np.einsum("nk,nkd,nke->kde", resp, centred, centred) / counts[:, None, None]
    variances = np.diagonal(full, axis1=1, axis2=2)
    expected = {
        "full": full,
        "tied": np.tensordot(counts / counts.sum(), full, axes=1),
        "diag": variances,
        "spherical": variances.mean(axis=1),
    }[covariance_type]
    np.testing.assert_allclose(mixture.covariances_, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("fixed", "message"), [({"mean"}, "fixed names 'mean'"), ({"means"}, "means_init is None")]
)
def test_bad_fixed_is_named(fixed, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, fixed=fixed).fit(blobs())


@ALL
def test_prior_is_a_weighted_average_and_its_bound_never_falls(covariance_type):
    X = blobs(200, 3, 2)
    start = start_of(X, covariance_type, 2) | {"reg_covar": 0.0}
    one_step = start | {"max_iter": 1}
    with pytest.warns(ConvergenceWarning):
        free = GaussianMixture(**one_step).fit(X)
        held = GaussianMixture(**one_step, prior_strength=5.0).fit(X)
    prior = X.var(axis=0) / 2 ** (2 / 3)
    counts = free.weights_ * len(X)
    shares = counts / (counts + 5)
    if covariance_type == "full":
        expected = shares[:, None, None] * free.covariances_
        expected = expected + (1 - shares)[:, None, None] * np.diag(prior)
    elif covariance_type == "tied":
        expected = (200 * free.covariances_ + 5 * np.diag(prior)) / 205
    elif covariance_type == "diag":
        expected = shares[:, None] * free.covariances_ + (1 - shares)[:, None] * prior
    else:
        expected = shares * free.covariances_ + (1 - shares) * prior.mean()
    np.testing.assert_allclose(held.covariances_, expected, rtol=1e-12, atol=1e-12)
    bounds = GaussianMixture(**start, prior_strength=5.0).fit(X).lower_bounds_
    assert (np.diff(bounds) > -1e-12).all()


def collapsing():
    """Return points with one far outlier, and a start that gives it a component of its own."""
    X = np.vstack([blobs(200, 2, 1), [[50.0, 50.0]]])
    return X, {"weights_init": [0.99, 0.01], "means_init": [[0.0, 0.0], [50.0, 50.0]]}


@ALL
def test_collapse_is_named_and_a_prior_prevents_it(covariance_type):
    X, start = collapsing()
    settings = {"n_components": 2, "covariance_type": covariance_type, "random_state": 0, **start}
    if covariance_type == "tied":
        GaussianMixture(**settings).fit(X)  # a shared covariance has samples enough
    else:
        with pytest.warns(CollapsedComponentWarning, match="component 1"):
            GaussianMixture(**settings).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CollapsedComponentWarning)
        held = GaussianMixture(**settings, prior_strength=1.0).fit(X)
    assert np.linalg.eigvalsh(held.mixture().covariances).min() > 1e-2


@ALL
def test_constant_and_collinear_features_are_no_collapse(covariance_type):
    X = blobs(300, 2, 2)
    X = np.column_stack([X, np.full(300, 3.0), X[:, 0]])
    GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)


@ALL
def test_component_without_samples_stays_where_it_was(covariance_type):
    X = blobs(200, 2, 1)
    start = start_of(X, covariance_type, 2)
    start["means_init"] = [[0.0, 0.0], [1e6, 1e6]]
    with pytest.warns(CollapsedComponentWarning, match="component 1"):
        mixture = GaussianMixture(**start).fit(X)
    np.testing.assert_allclose(mixture.means_[1], 1e6)
    if covariance_type != "tied":
        np.testing.assert_allclose(mixture.precisions_[1], start["precisions_init"][1], rtol=1e-9)
    assert np.isfinite(mixture.score(X))


@ALL
def test_marginal_and_condition_multiply_to_the_joint(covariance_type):
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(blobs())
    x = np.array([0.5, -1.0, 2.0])
    joint = mixture.score_samples(x[None])[0]
    marginal = mixture.marginal([2, 0]).log_prob(x[None, [2, 0]])[0]
    rest = mixture.condition([2, 0], x[[2, 0]]).log_prob(x[None, [1]])[0]
    assert marginal + rest == pytest.approx(joint, abs=1e-11)
    np.testing.assert_allclose(mixture.mixture().log_prob(blobs()), mixture.score_samples(blobs()))


def nearly_determined(rng, n_features, share):
    """Return points (40, D) of which others leave one feature about this share of its variance."""
    X = rng.normal(size=(40, n_features)) @ rng.normal(size=(n_features, n_features))
    X[:, -1] = X[:, :-1] @ rng.normal(size=n_features - 1)
    X[:, -1] += X[:, -1].std() * np.sqrt(share) * rng.normal(size=len(X))
    return X[:, rng.permutation(n_features)] * 10.0 ** rng.uniform(-4, 4, size=n_features)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@given(
    seed=st.integers(0, 2**32 - 1),
    n_features=st.integers(2, 8),
    beside_limit=st.floats(-0.5, 1.0),
    covariance_type=st.sampled_from(["full", "tied"]),
)
def test_what_fit_accepts_is_a_mixture_in_all_its_parts(
    seed, n_features, beside_limit, covariance_type
):
    rng = np.random.default_rng(seed)
    limit = _validation.ESTIMATED * _validation.ROUNDING_SHARE * n_features
    X = nearly_determined(rng, n_features, limit * 10.0**beside_limit)
    try:
        mixture = GaussianMixture(covariance_type=covariance_type, reg_covar=0, max_iter=2).fit(X)
    except SingularCovariance as error:
        assert "component 0 is singular" in str(error)
        return
    order = rng.permutation(n_features)
    known = order[: rng.integers(1, n_features)]
    for answer in (mixture, mixture.mixture()):
        answer.marginal(order)
        answer.marginal(order[:-1])
        answer.condition(known, X[0, known])
        answer.condition(known, 1e9 * X[0, known])  # far away: nothing is wrong with the spread


@ALL
def test_what_was_given_and_never_fitted_is_refused_by_name_if_singular_up_to_rounding(
    covariance_type,
):
    X = blobs(100, 2, 1)
    start = start_of(X, covariance_type, 2)
    start |= {"max_iter": 0}
    assert GaussianMixture(**start).fit(X).mixture().n_components == 2
    if covariance_type not in ("full", "tied"):
        return
    thin = np.array([[1.0, 1.0 - 1e-15], [1.0 - 1e-15, 1.0]])
    precisions = np.linalg.inv(thin)
    precisions = 0.5 * (precisions + precisions.T)
    tied = covariance_type == "tied"
    start["precisions_init"] = precisions if tied else np.stack([np.eye(2), precisions])
    with pytest.raises(SingularCovariance, match=f"component {0 if tied else 1} "):
        GaussianMixture(**start).fit(X)


def test_constant_feature_far_away_is_a_mixture_if_reg_covar_gave_it_spread():
    X = blobs(100, 2, 1)
    X = np.column_stack([X, np.full(100, 1e12)])
    mixture = GaussianMixture(random_state=0).fit(X)
    np.testing.assert_allclose(
        mixture.mixture().covariances[0], mixture.covariances_[0], rtol=1e-12
    )
    assert mixture.marginal([2]).covariances[0, 0, 0] == pytest.approx(1e-6)
