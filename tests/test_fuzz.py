"""Anything goes in; a finite answer or a ValueError that names the cure comes out."""

import warnings

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from problems import TYPES

from gmmlearn import GaussianMixture
from gmmlearn.starts import STARTS

CURES = ("Use", "Raise", "Drop", "Pass", "Divide", "Remove", "reg_covar", "Look for", "minimum of")
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def tables(draw, extreme=True):
    """Return points (N, D): several scales, offsets, duplicates, constant and collinear columns."""
    n_samples, n_features = draw(st.integers(2, 40)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(n_samples, n_features))
    X += 6.0 * rng.integers(3, size=(n_samples, 1))
    largest = 300 if extreme and draw(st.integers(0, 9)) == 0 else 8
    X *= 10.0 ** rng.integers(-largest, largest, size=n_features, endpoint=True)
    X += np.array([0.0, 1.0, -1e5, 1e9])[rng.integers(4, size=n_features)]
    kind = draw(
        st.sampled_from(["plain", "duplicates", "constant", "collinear", "integers", "one"])
    )
    if kind == "duplicates":
        X = X[rng.integers(max(1, n_samples // 3), size=n_samples)]
    elif kind == "constant":
        X[:, rng.integers(n_features)] = rng.normal()
    elif kind == "collinear":
        X[:, -1] = 2.0 * X[:, 0] + 1.0
    elif kind == "integers":
        X = rng.integers(-2, 3, size=X.shape).astype(float)
    elif kind == "one":
        X[:] = X[0]
    if draw(st.booleans()):
        X[rng.random(X.shape) < draw(st.sampled_from([0.05, 0.3, 0.8]))] = np.nan
    return X


def fit_quietly(mixture, X, **arguments):
    """Fit, or return None after a ValueError that names a cure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            return mixture.fit(X, **arguments)
        except ValueError as error:
            assert any(cure in str(error) for cure in CURES), str(error)
            return None


def assert_sound(mixture, X):
    """Check that every answer is finite and consistent."""
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert np.isfinite(getattr(mixture, name)).all(), name
    assert mixture.weights_.sum() == 1 or abs(mixture.weights_.sum() - 1) < 1e-12
    variances = mixture.covariances_
    if mixture.covariance_type in ("full", "tied", "low_rank"):
        variances = np.diagonal(variances, axis1=-2, axis2=-1)
    assert (variances > 0).all()
    resp = mixture.predict_proba(X)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0)
    assert np.isfinite(mixture.score_samples(X)).all()
    assert (mixture.predict(X) < mixture.n_components).all()
    filled = mixture.impute(X)
    there = ~np.isnan(X)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[there], X[there])


@FUZZ
@given(
    X=tables(),
    n_components=st.integers(1, 6),
    covariance_type=st.sampled_from(TYPES),
    init_params=st.sampled_from(sorted(STARTS)),
    reg_covar=st.sampled_from([0.0, 1e-6, 1e-2]),
    prior_strength=st.sampled_from([0.0, 1.0]),
)
def test_finite_or_an_error_that_helps(
    X, n_components, covariance_type, init_params, reg_covar, prior_strength
):
    before = X.copy()
    mixture = GaussianMixture(
        n_components,
        covariance_type=covariance_type,
        init_params=init_params,
        reg_covar=reg_covar,
        prior_strength=prior_strength,
        random_state=0,
    )
    if fit_quietly(mixture, X) is not None:
        assert_sound(mixture, X)
    np.testing.assert_array_equal(X, before)


@FUZZ
@given(
    X=tables(extreme=False),
    n_components=st.integers(1, 4),
    covariance_type=st.sampled_from(TYPES),
    prior_strength=st.sampled_from([0.0, 1.0]),
    weighted=st.booleans(),
)
def test_bound_never_falls(X, n_components, covariance_type, prior_strength, weighted):
    mixture = GaussianMixture(
        n_components,
        covariance_type=covariance_type,
        init_params="random",
        reg_covar=0.0,
        prior_strength=prior_strength,
        tol=0.0,
        max_iter=30,
        random_state=0,
    )
    weight = np.random.default_rng(0).uniform(0.1, 3.0, len(X)) if weighted else None
    if fit_quietly(mixture, X, sample_weight=weight) is not None:
        bounds = np.array(mixture.lower_bounds_)
        assert (np.diff(bounds) > -1e-7 * (1.0 + np.abs(bounds[1:]))).all()
