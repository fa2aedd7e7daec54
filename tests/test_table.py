"""Frames, blocks and threads."""

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
