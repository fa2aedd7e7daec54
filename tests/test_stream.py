"""Stepwise EM on streams, against batch EM from the same start and against itself."""

import warnings

import numpy as np
import pytest
from problems import ALL, FITTED, blobs

from gmmlearn import GaussianMixture, datasets
from gmmlearn.covariance import STRUCTURES
from gmmlearn.stream import follow
from gmmlearn.table import Table


def passes(X, stream, n_passes, n_batches, seed=0):
    """Stream `X` in random order, several times; return the start, as arguments."""
    rng, start = np.random.default_rng(seed), None
    for _ in range(n_passes):
        for part in np.array_split(X[rng.permutation(len(X))], n_batches):
            stream.partial_fit(part)
            start = start or {
                "weights_init": stream.weights_,
                "means_init": stream.means_,
                "precisions_init": stream.precisions_,
            }
    return start


def share_of_gain(X, n_components, n_passes, n_batches, seed=0, **settings):
    """Return what share of `fit`'s gain over one Gaussian, from the same start, a stream makes."""
    stream = GaussianMixture(n_components, random_state=seed, **settings)
    start = passes(X, stream, n_passes, n_batches, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        batch = GaussianMixture(n_components, **settings, **start).fit(X).score(X)
        single = GaussianMixture(1, **settings).fit(X).score(X)
    return (stream.score(X) - single) / (batch - single)


@ALL
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_stream_makes_nearly_all_of_batch_ems_gain(covariance_type, missing):
    X = blobs(6000, 3, 3)
    X[np.random.default_rng(0).random(X.shape) < missing] = np.nan
    assert share_of_gain(X, 3, 8, 20, covariance_type=covariance_type) > 0.995


def principal_digits():
    X = datasets.digits().X.reshape(1797, -1)
    X = X - X.mean(axis=0)
    return X @ np.linalg.svd(X, full_matrices=False)[2][:8].T


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("draw", "n_components", "n_batches"),
    [
        (lambda seed: blobs(3000, 3, 3, seed, spread=1.5), 3, 60),
        (lambda seed: datasets.spiral(2000, rng=seed), 10, 10),
        (lambda seed: principal_digits(), 10, 8),
    ],
    ids=["small batches", "spiral", "digits"],
)
def test_twenty_passes_come_as_far_as_fit(draw, n_components, n_batches, seed):
    assert share_of_gain(draw(seed), n_components, 20, n_batches, seed) > 0.995


@pytest.mark.parametrize("seed", range(4))
def test_four_hundred_batches_climb_as_far_as_eighteen_iterations(seed):
    # Five groups on top of each other: EM needs hundreds of iterations. T batches do for sqrt(T)
    # to 2 sqrt(T) of them.
    X = blobs(3000, 2, 5, seed, spread=1.0)
    short = {"tol": 0.0, "max_iter": 18}
    assert share_of_gain(X, 5, 20, 20, seed, **short) > 0.995


@ALL
def test_first_batch_is_one_iteration_of_fit(covariance_type):
    X = blobs()
    settings = {"covariance_type": covariance_type, "random_state": 0}
    stream = GaussianMixture(3, **settings).partial_fit(X)
    with pytest.warns(UserWarning, match="did not converge"):
        fit = GaussianMixture(3, **settings, max_iter=1).fit(X)
    for name in FITTED:
        np.testing.assert_allclose(getattr(stream, name), getattr(fit, name), rtol=1e-12)
    assert stream.lower_bounds_ == pytest.approx(fit.lower_bounds_)


@ALL
def test_stream_goes_on_after_fit_and_fit_forgets_the_stream(covariance_type):
    X = blobs()
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0, tol=1e-8)
    mixture.set_params(max_iter=2000).fit(X)
    before = mixture.means_.copy()
    mixture.partial_fit(X)
    np.testing.assert_allclose(mixture.means_, before, atol=1e-2)
    again = mixture.fit(X).means_
    np.testing.assert_allclose(again, before)


@ALL
def test_stream_weighs_rows(covariance_type):
    X, repeats = blobs(), np.arange(600) % 3
    one, other = (GaussianMixture(3, covariance_type=covariance_type, random_state=0) for _ in "ab")
    one.fit(X), other.fit(X)
    one.partial_fit(X[:200], sample_weight=repeats[:200])
    other.partial_fit(np.repeat(X[:200], repeats[:200], axis=0))
    np.testing.assert_allclose(one.means_, other.means_, rtol=1e-10)
    np.testing.assert_allclose(one.covariances_, other.covariances_, rtol=1e-9, atol=1e-12)


@ALL
def test_prior_weighs_no_more_in_a_stream_than_all_rows_so_far(covariance_type):
    X = blobs(3000)
    settings = {"covariance_type": covariance_type, "random_state": 0, "prior_strength": 5.0}
    mixture = GaussianMixture(3, **settings, tol=1e-8, max_iter=2000).fit(X)
    before = mixture.covariances_.copy()
    mixture.partial_fit(X)
    np.testing.assert_allclose(mixture.covariances_, before, atol=0.02 * np.abs(before).max())


@ALL
def test_small_batches_and_offsets_lose_no_digits(covariance_type):
    X = np.round(blobs() * 2.0**12) / 2.0**12
    here = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    moved = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X + 2.0**27)
    order = np.abs(moved.means_ - 2.0**27 - here.means_[:, None]).sum(axis=2).argmin(axis=1)
    for part in np.array_split(X, 200):
        here.partial_fit(part), moved.partial_fit(part + 2.0**27)
    np.testing.assert_allclose(moved.means_[order] - 2.0**27, here.means_, atol=1e-6)
    a = moved.covariances_ if covariance_type == "tied" else moved.covariances_[order]
    np.testing.assert_allclose(a, here.covariances_, rtol=1e-6, atol=1e-8)


def naive_moments(X, resp):
    counts = resp.sum(axis=0)
    means = resp.T @ X / counts[:, None]
    centred = X[:, None] - means
    return counts / len(X), means, np.einsum("nk,nkd,nke->kde", resp, centred, centred)


def test_one_step_by_hand():
    structure, X = STRUCTURES["full"], blobs(800)
    mixture = GaussianMixture(3, random_state=0, reg_covar=0.0).partial_fit(X[:600])
    before, mixture_before = mixture._running, mixture.mixture()
    table = Table(X[600:], structure, 3, frame=before.frame)
    after, _ = follow(table, before)
    Z = (X[600:] - before.frame.origin) / before.frame.scale
    resp = mixture_before.responsibilities(X[600:])  # after one batch both sets of moments agree
    counts, means, scatter = naive_moments(Z, resp)
    raw = before.found.covariances + before.found.means[:, :, None] * before.found.means[:, None]
    new = scatter / resp.sum(axis=0)[:, None, None] + means[:, :, None] * means[:, None]
    share = np.sqrt(200 / 800)
    expected = (1 - share) * before.found.counts + share * counts
    first = ((1 - share) * before.found.counts)[:, None] * before.found.means
    first = (first + (share * counts)[:, None] * means) / expected[:, None]
    second = ((1 - share) * before.found.counts)[:, None, None] * raw
    second = (second + (share * counts)[:, None, None] * new) / expected[:, None, None]
    np.testing.assert_allclose(after.found.counts, expected, rtol=1e-12)
    np.testing.assert_allclose(after.found.means, first, atol=1e-12)
    covariances = second - first[:, :, None] * first[:, None]
    np.testing.assert_allclose(after.found.covariances, covariances, atol=1e-12)
    shown = 1 - (600 / 800) ** 4
    averaged = (1 - shown) * before.found.counts + shown * expected
    np.testing.assert_allclose(after.average.counts, averaged, rtol=1e-12)
    assert after.weight == 800


@ALL
def test_a_small_batch_after_fit_moves_little(covariance_type):
    X = blobs(6000)
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0, tol=1e-6)
    mixture.set_params(max_iter=1000).fit(X)
    before, score = mixture.means_.copy(), mixture.score(X)
    mixture.partial_fit(X[:5] + 20.0)
    # Five of 6,005 rows enter the moments with share sqrt(5 / 6005), the average with 4 x 5 / 6005.
    assert np.abs(mixture.means_ - before).max() < 0.02
    mixture.fit(X)
    for part in np.array_split(X[:500], 100):
        mixture.partial_fit(part)
    assert mixture.score(X) > score - 0.002


@ALL
def test_regularisation_is_not_added_twice(covariance_type):
    X = blobs(2000)
    settings = {"covariance_type": covariance_type, "random_state": 0, "reg_covar": 0.5}
    mixture = GaussianMixture(3, **settings, tol=1e-8, max_iter=2000).fit(X)
    before = mixture.covariances_.copy()
    for _ in range(5):
        mixture.partial_fit(X)
    np.testing.assert_allclose(mixture.covariances_, before, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_components": 2}, "n_components is 2, but was 3"),
        ({"covariance_type": "diag"}, "covariance_type is 'diag', but was 'tied'"),
    ],
)
def test_another_shape_is_refused_until_fit(begin, change, message):
    X = blobs()
    mixture = GaussianMixture(3, covariance_type="tied", random_state=0)
    getattr(mixture, begin)(X)
    before = mixture.means_.copy()
    mixture.set_params(**change)
    with pytest.raises(ValueError, match=f"partial_fit cannot go on: {message}.*or call fit"):
        mixture.partial_fit(X)
    np.testing.assert_array_equal(mixture.means_, before)
    mixture.set_params(warm_start=True)
    with pytest.raises(ValueError, match=f"warm_start cannot go on: {message}"):
        mixture.fit(X)
    mixture.set_params(warm_start=False).fit(X).partial_fit(X)


def test_batches_are_not_changed():
    X, weight = blobs(), np.linspace(0.1, 1.0, 600)
    kept, kept_weight = X.copy(), weight.copy()
    mixture = GaussianMixture(3, random_state=0).partial_fit(X, sample_weight=weight)
    mixture.partial_fit(X, sample_weight=weight)
    np.testing.assert_array_equal(X, kept)
    np.testing.assert_array_equal(weight, kept_weight)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_scaling_all_weights_changes_no_step(scale):
    X, weight = blobs(), np.linspace(0.1, 1.0, 600)
    one, other = (GaussianMixture(3, random_state=0) for _ in "ab")
    for _ in range(3):
        one.partial_fit(X, sample_weight=weight)
        other.partial_fit(X, sample_weight=scale * weight)
    np.testing.assert_allclose(one.means_, other.means_, rtol=1e-9)
