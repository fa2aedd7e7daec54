"""Frames, blocks and threads."""

from itertools import pairwise

import numpy as np
import pytest
from problems import gaussians as problem

from gmmlearn import table as table_module
from gmmlearn.covariance import STRUCTURES
from gmmlearn.table import Frame, Table


def test_workers_leave_the_thread_limit_as_it_was():
    table = Table(np.random.default_rng(0).normal(size=(100_000, 2)), STRUCTURES["diag"], 2)
    before = table_module._blas_threads()
    with table.workers():
        pass
    assert table_module._blas_threads() == before


def test_workers_keep_every_blas_library_at_one_thread_and_give_the_threads_back(monkeypatch):
    class Library:
        def __init__(self, n_threads):
            self.n_threads = n_threads

        def get_num_threads(self):
            return self.n_threads

        def set_num_threads(self, n_threads):
            self.n_threads = n_threads

    libraries = [Library(4), Library(1), Library(None)]  # None: it cannot say
    monkeypatch.setattr(table_module, "_blas_libraries", lambda: libraries)
    assert table_module._blas_threads() == 4
    table = Table(np.random.default_rng(0).normal(size=(2000, 2)), STRUCTURES["diag"], 2)
    with table.workers(n_sweeps=1):
        with table_module.ONE_BLAS_THREAD:
            assert [library.n_threads for library in libraries] == [1, 1, None]
        assert [library.n_threads for library in libraries] == [1, 1, None]
    assert [library.n_threads for library in libraries] == [4, 1, None]


def test_blocks_are_no_larger_than_the_data_and_come_in_stripes_in_order():
    structure = STRUCTURES["full"]
    assert Table(np.random.default_rng(0).normal(size=(100, 64)), structure, 1).block_size == 100
    table = Table(np.random.default_rng(0).normal(size=(20_000, 16)), structure, 3)
    rows = [block.rows for blocks in table.stripes for block in blocks]
    assert len(table.stripes) == min(len(rows), table_module.MAX_STRIPES) > 1
    assert rows[0].start == 0 and rows[-1].stop == 20_000
    assert all(one.stop == other.start for one, other in pairwise(rows))


def test_frame_goes_there_and_back_exactly():
    structure = STRUCTURES["full"]
    X, params = problem(structure)
    frame = Table(X, structure, 3).frame
    back = frame.enter(frame.leave(params, structure), structure)
    np.testing.assert_allclose(back.means, params.means, atol=1e-14)
    np.testing.assert_array_equal(back.covariances, params.covariances)
    np.testing.assert_array_equal(back.precisions_cholesky, params.precisions_cholesky)
    np.testing.assert_allclose(frame.origin, X.mean(axis=0))
    ratio = frame.scale / X.std(axis=0)
    assert (ratio > 0.99).all() and (ratio < 2.01).all()
    assert (np.log2(frame.scale) % 1 == 0).all()


def test_frame_of_a_constant_feature_at_a_large_offset_is_one():
    X = np.column_stack([np.full(1000, 0.1) + 1e9, np.arange(1000.0)])
    np.testing.assert_array_equal(Table(X, STRUCTURES["diag"], 2).variance[0], 0.0)


def test_values_whose_squares_overflow_are_refused():
    X = np.array([[1e200], [-1e200], [0.0]])
    with pytest.raises(ValueError, match=r"overflow\. Divide"):
        Table(X, STRUCTURES["full"], 1)


def test_frame_of_parameters_covers_the_mixture():
    structure = STRUCTURES["diag"]
    _, params = problem(structure)
    frame = Frame.of_parameters(params, structure)
    np.testing.assert_allclose(frame.origin, params.weights @ params.means)
