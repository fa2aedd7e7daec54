"""Dask arrays: data larger than memory, or on a cluster; each chunk sends its sums, no rows."""

import copy
from contextlib import nullcontext
from functools import reduce
from typing import NamedTuple

import numpy as np

from gmmlearn.device import rows_on_host
from gmmlearn.table import ONE_BLAS_THREAD, Frame, Table, add

ARITY = 8
"""How many partial sums are added at a time."""


class ChunkedTable(Table):
    """A Table whose rows are the chunks of a Dask array; parameters as of `Table`."""

    def __init__(self, X, structure, n_components, weight=None, frame=None, with_features=True):
        self.X, self.weight, self.structure, self.n_components = X, weight, structure, n_components
        self.n_samples, self.n_features = X.shape
        self.centred = self._centres(structure, n_components)
        chunks = X.to_delayed()[:, 0]
        weights = [None] * len(chunks) if weight is None else weight.to_delayed()
        self._chunks = list(zip(chunks, weights, strict=True))
        self.frame = Frame(np.zeros(self.n_features), np.ones(self.n_features))
        self.total_weight = self.fold(lambda table: table.total_weight)
        if self.total_weight is None:
            raise ValueError("sample_weight is zero everywhere. Give some row a positive weight.")
        self.frame = self._measure() if frame is None else frame

    def fold(self, function):
        """Return ``function(table)`` summed by Dask over one Table for each chunk, in a tree."""
        import dask

        task = Task(function, self.structure, self.n_components, self.frame)
        task = dask.delayed(task, pure=False, traverse=False)
        sums = [dask.delayed(_run)(task, X, weight) for X, weight in self._chunks]
        while len(sums) > 1:
            groups = [sums[start : start + ARITY] for start in range(0, len(sums), ARITY)]
            sums = [dask.delayed(_total)(group) for group in groups]
        return sums[0].compute()

    def workers(self, n_sweeps=10):
        """Leave threads and processes to Dask."""
        return nullcontext()

    def on_host(self, random_state):
        """Return a Table of rows enough to start from, in memory."""

        def take(values, rows):
            return (values if rows is None else values[rows]).compute()

        return rows_on_host(self, random_state, take)

    def _few(self):
        """Return a few rows as a NumPy array."""
        return self.X[:256].compute().astype(np.float64)

    @property
    def shift(self):
        """Mean of log |dz/dx| over the rows' seen features."""
        return self.fold(lambda table: table.shift * table.total_weight) / self.total_weight


class Task(NamedTuple):
    """What is sent to every chunk."""

    function: object
    structure: object
    n_components: int
    frame: Frame


def _run(task, X, weight):
    """Return the task's function of one chunk's Table, or None if no row has weight."""
    if weight is not None:
        if not (np.isfinite(weight) & (weight >= 0)).all():
            raise ValueError(
                "sample_weight has a negative, infinite or missing entry. Use 0 for rows to "
                "leave out."
            )
        X, weight = X[weight > 0], weight[weight > 0]
    if not len(X):
        return None
    with ONE_BLAS_THREAD:
        return task.function(Table(X, task.structure, task.n_components, weight, task.frame))


def _total(parts):
    """Return the sum of the chunks' sums, leaving them as they are."""
    return reduce(add, parts[1:], copy.deepcopy(parts[0]))


def lazily(mixture, X, function, shape, dtype):
    """Return ``mixture._each_row`` of every chunk as a Dask array that is computed when asked."""
    return X.map_blocks(
        _score,
        mixture=mixture,
        function=function,
        shape=shape,
        drop_axis=None if shape else 1,
        chunks=(X.chunks[0], *((size,) for size in shape)),
        dtype=dtype,
        meta=np.empty((0,) * (1 + len(shape)), dtype),
    )


def _score(X, mixture, function, shape):
    """Return the answers for one chunk."""
    if not len(X):
        return np.empty((0, *shape))
    return mixture._each_row(X, function, shape)
