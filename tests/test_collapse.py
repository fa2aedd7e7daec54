"""What is warned of as a collapse, why, and what is not."""

import re
import warnings

import numpy as np
import pytest
from problems import ALL, blobs

from gmmlearn import GaussianMixture
from gmmlearn.collapse import CollapsedComponentWarning

SCALES = pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e6])


def warning_of(X, n_components=2, **settings):
    """Return the fitted mixture and the text of its collapse warning, or an empty one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mixture = GaussianMixture(n_components, random_state=0, **settings).fit(X)
    texts = [str(w.message) for w in caught if w.category is CollapsedComponentWarning]
    return mixture, "".join(texts)


def beside(points, scale=1.0, n_samples=200):
    """Return one group and some points far away, and a start that gives them a component."""
    X = np.vstack([blobs(n_samples, 2, 1), np.asarray(points, float)]) * scale
    mean = np.mean(points, axis=0) * scale
    return X, {"weights_init": [0.99, 0.01], "means_init": [[0.0, 0.0], mean]}


# Floors far below the data's variances, in the data's own units.
@SCALES
@pytest.mark.parametrize("floor", [1e-12, 1e-6])
@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_a_single_point_is_named_in_any_unit(covariance_type, scale, floor):
    X, start = beside([[50.0, 50.0]], scale)
    settings = {"covariance_type": covariance_type, "reg_covar": floor * scale**2}
    assert "component 1 (on about 1 points)" in warning_of(X, **settings, **start)[1]


@SCALES
def test_two_points_in_a_plane_are_a_needle(scale):
    X, start = beside([[50.0, 50.0], [51.0, 50.3]], scale)
    _, text = warning_of(X, reg_covar=1e-6 * scale**2, **start)
    assert "component 1 (on about 2 points)" in text
    assert not warning_of(X, covariance_type="diag", reg_covar=1e-9 * scale**2, **start)[1]


@ALL
@SCALES
def test_duplicates_are_named(covariance_type, scale):
    X, start = beside(np.full((30, 2), 50.0), scale)
    settings = {"covariance_type": covariance_type, "reg_covar": 1e-6 * scale**2}
    _, text = warning_of(X, **settings, **start)
    if covariance_type == "tied":
        assert not text
    else:
        assert "component 1 (on a single point or its duplicates)" in text


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
@SCALES
def test_a_feature_with_two_values_is_named(covariance_type, scale):
    rng = np.random.default_rng(0)
    X = np.column_stack([blobs(300, 2, 1), 9.0 * rng.integers(2, size=300)]) * scale
    _, text = warning_of(X, covariance_type=covariance_type, reg_covar=1e-6 * scale**2)
    assert text.count("flat: on duplicate points, or on one value of a discrete feature") == 2


def test_an_empty_component_is_named():
    X, start = beside([[5.0, 5.0]])
    start["means_init"][1] = [1e6, 1e6]
    settings = {"precisions_init": np.tile(np.eye(2), (2, 1, 1)), "reg_covar": 0.0}
    assert "component 1 (empty)" in warning_of(X, **settings, **start)[1]


def test_two_components_on_the_same_duplicates_are_both_named():
    X, start = beside(np.full((40, 2), 50.0))
    start = {"weights_init": [0.8, 0.1, 0.1], "means_init": [*start["means_init"], [50.0, 50.0]]}
    precisions = {"precisions_init": np.tile(np.eye(2), (3, 1, 1))}
    _, text = warning_of(X, 3, **start, **precisions)
    assert "component 1 (on a single" in text and "component 2 (on the points of another" in text


@ALL
@SCALES
@pytest.mark.parametrize("spread", [1e-1, 1e-3, 1e-5])
def test_tight_groups_of_real_points_are_no_collapse(covariance_type, scale, spread):
    rng = np.random.default_rng(0)
    groups = [rng.normal(size=(100, 2)) * spread + centre for centre in ([0, 0], [1, 0], [0, 1])]
    X = np.concatenate(groups) * scale
    settings = {"covariance_type": covariance_type, "init_params": "kmeans"}
    for reg_covar in (0.0, 1e-6, 1e-6 * scale**2):
        assert not warning_of(X, 3, reg_covar=reg_covar, **settings)[1]


@ALL
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_features_of_all_scales_are_no_collapse(covariance_type, offset):
    X = (blobs(400) + offset) * [1e-6, 1.0, 1e6]
    assert not warning_of(X, 3, covariance_type=covariance_type)[1]


@ALL
def test_discrete_features_with_many_values_are_no_collapse(covariance_type):
    X = np.round(5.0 * blobs(500, 3, 3))
    for step in (1e-4, 1.0, 1e4):
        assert not warning_of(step * X, 3, covariance_type=covariance_type)[1]


@ALL
def test_constant_and_collinear_features_are_no_collapse(covariance_type):
    rng = np.random.default_rng(0)
    tight = np.concatenate([1e-4 * rng.normal(size=(100, 2)) + c for c in ([0, 0], [1, 2])])
    X = np.column_stack([tight, np.full(200, 3.0), tight[:, 0] + tight[:, 1]])
    assert not warning_of(X, covariance_type=covariance_type)[1]


def test_a_prior_silences_because_it_holds_components_open():
    X, start = beside([[50.0, 50.0]])
    assert not warning_of(X, prior_strength=0.1, **start)[1]


def test_weights_do_not_change_what_is_named():
    X, start = beside([[50.0, 50.0]])
    for weight in (1e-9, 1.0, 1e9):
        with pytest.warns(CollapsedComponentWarning, match=r"component 1 \(on about 1 points\)"):
            GaussianMixture(2, **start).fit(X, sample_weight=np.full(len(X), weight))


def test_missing_values_beside_a_collapse():
    X, start = beside(np.full((30, 2), 50.0))
    X[:60, 0] = np.nan
    assert "component 1 (on a single point" in warning_of(X, **start)[1]


@pytest.mark.parametrize("method", ["fit", "fit_predict"])
def test_warnings_point_at_the_users_line(method):
    X, start = beside([[50.0, 50.0]])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(GaussianMixture(2, max_iter=1, **start), method)(X)
    assert len(caught) == 2
    assert {re.sub(r".*/", "", w.filename) for w in caught} == {"test_collapse.py"}
