"""Dask arrays: chunks of any size, on threads and on processes, and what is refused."""

import dask
import dask.array
import numpy as np
import pytest
from problems import ALL as BY_NAME
from problems import FITTED, blobs, start_of

from gmmlearn import GaussianMixture
from gmmlearn import cluster as cluster_module
from gmmlearn.cluster import ChunkedTable
from gmmlearn.covariance import STRUCTURES
from gmmlearn.table import Table


def assert_same(one, other, rtol=1e-9):
    for name in FITTED:
        a, b = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12, err_msg=name)


@BY_NAME
@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_fit_is_numpys_whatever_the_chunks(covariance_type, scheduler):
    X = blobs(700)
    start = start_of(X, covariance_type) | {"tol": 1e-3}
    expected = GaussianMixture(**start).fit(X)
    with dask.config.set(scheduler=scheduler):
        for rows in ((700,), (1, 99, 500, 100), (20,) * 35):  # 35 chunks: a tree of two levels
            ours = GaussianMixture(**start).fit(dask.array.from_array(X, chunks=(rows, 3)))
            assert_same(ours, expected)
            assert ours.n_iter_ == expected.n_iter_


def test_weights_may_be_dasks_or_numpys_and_in_other_chunks():
    X = blobs(300)
    weight = np.random.default_rng(0).integers(0, 3, size=300).astype(float)
    weight[:100] = 0.0  # a whole chunk without weight
    expected = GaussianMixture(3, random_state=0).fit(X, sample_weight=weight)
    lazy = dask.array.from_array(X, chunks=(100, 3))
    for given in (weight, list(weight), dask.array.from_array(weight, chunks=130)):
        ours = GaussianMixture(3, random_state=0).fit(lazy, sample_weight=given)
        assert_same(ours, expected)
        score = ours.score(lazy, sample_weight=given)
        assert score == pytest.approx(expected.score(X, sample_weight=weight), abs=1e-10)


def test_numbers_of_other_types_are_read():
    X = np.round(10 * blobs(300)).astype(int)
    expected = GaussianMixture(3, random_state=0).fit(X)
    assert_same(
        GaussianMixture(3, random_state=0).fit(dask.array.from_array(X, chunks=64)), expected
    )


def test_answers_are_lazy_and_of_the_fit_at_that_time():
    X = blobs(300)
    calls = []

    def spy(block):
        calls.append(len(block))
        return block

    lazy = dask.array.from_array(X, chunks=(100, 3)).map_blocks(spy, meta=X[:0])
    mixture = GaussianMixture(3, random_state=0).fit(X)
    expected = mixture.score_samples(X), mixture.predict_proba(X)
    answers = mixture.score_samples(lazy), mixture.predict_proba(lazy)
    assert not calls
    assert [answer.chunks for answer in answers] == [((100,) * 3,), ((100,) * 3, (3,))]
    mixture.fit(X + 50.0)
    for answer, value in zip(answers, expected, strict=True):
        np.testing.assert_allclose(answer.compute(), value, rtol=1e-10)
    assert calls


def test_missing_values_are_filled_lazily_by_their_mean_only():
    X = blobs(300)
    X[::7, 1] = np.nan
    mixture = GaussianMixture(3, random_state=0).fit(X)
    lazy = dask.array.from_array(X, chunks=(100, 3))
    np.testing.assert_allclose(mixture.impute(lazy).compute(), mixture.impute(X), rtol=1e-12)
    with pytest.raises(ValueError, match=r"X is a Dask array.*draw=True.*Pass"):
        mixture.impute(lazy, draw=True)


def test_partial_sums_are_left_as_they_are():
    parts = [[1.0, np.ones(2)], None, [2.0, np.full(2, 3.0)]]
    total = cluster_module._total(parts)
    np.testing.assert_array_equal(total[1], 4.0)
    np.testing.assert_array_equal(parts[0][1], 1.0)


def test_tables_agree_about_frame_and_total():
    X = np.add(blobs(500), [0.0, 1e6, 1e-3])
    X[::5, 0] = np.nan
    weight = np.random.default_rng(0).uniform(size=500)
    structure = STRUCTURES["tied"]
    expected = Table(X, structure, 2, weight)
    lazy = [dask.array.from_array(values, chunks={0: 90}) for values in (X, weight)]
    ours = ChunkedTable(lazy[0], structure, 2, lazy[1])
    np.testing.assert_allclose(ours.frame.origin, expected.frame.origin, rtol=1e-12)
    np.testing.assert_array_equal(ours.frame.scale, expected.frame.scale)
    np.testing.assert_allclose(ours.variance, expected.variance, rtol=1e-9)
    np.testing.assert_allclose(ours.total, expected.total, rtol=1e-9, atol=1e-9)
    assert ours.shift == pytest.approx(expected.shift, rel=1e-12)
    assert ours.total_weight == pytest.approx(expected.total_weight, rel=1e-12)


@pytest.mark.filterwarnings("ignore")  # of the network, the ports and the clock
def test_two_processes_give_the_same():
    from dask.distributed import Client, LocalCluster

    X = blobs(400)
    X[::9, 2] = np.nan
    expected = GaussianMixture(3, random_state=0).fit(X)
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(processes=True, **settings) as cluster, Client(cluster):
        lazy = dask.array.from_array(X, chunks=(100, 3))
        ours = GaussianMixture(3, random_state=0).fit(lazy)
        assert_same(ours, expected)
        labels = ours.predict(lazy).compute()
    np.testing.assert_array_equal(labels, expected.predict(X))
