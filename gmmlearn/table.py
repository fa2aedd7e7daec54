"""Data prepared for sweeps: coordinates that lose no digits, blocks of rows, and their threads.

The rows of X are visited a block at a time, in coordinates centred on the data and scaled by powers
of two (`Frame`). Blocks are shared among threads in fixed stripes, whose results come in order, so
that sums do not depend on the number of threads.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cached_property, lru_cache, reduce
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from gmmlearn.covariance import EPS, Parameters
from gmmlearn.missing import Holes, batches, patterns

BLOCK_BYTES = 1 << 21
"""Size of one thread's block of features and responsibilities; a few fit a shared cache."""
MAX_STRIPES = 32
LIMITED_WORK = 1e5
"""Multiplications from which BLAS would use threads of its own."""
LARGEST = 1e150
"""Values beyond this have squares that overflow."""
THREADED_WORK = 2e7
"""Multiplications in a product from which threads repay what they cost, about a millisecond."""


class Frame(NamedTuple):
    """Coordinates z = (x - origin) / scale; scales are powers of two, so scaling rounds nothing."""

    origin: np.ndarray
    """The middle of the data (D,)."""
    scale: np.ndarray
    """About the standard deviation of each feature (D,); one value for all if isotropic."""

    @classmethod
    def around(cls, mean, variance, structure):
        """Return the frame for data of this mean and variance (D,)."""
        if structure.isotropic:
            variance = np.full_like(variance, variance.max())
        std = np.sqrt(np.where(variance > 0, variance, 1.0))
        return cls(mean, np.ldexp(1.0, np.frexp(std)[1]))

    @classmethod
    def of_parameters(cls, params, structure):
        """Return the frame around a mixture's own mean and spread."""
        weights = params.weights / params.weights.sum()
        mean = weights @ params.means
        variance = weights @ (np.square(params.means - mean))
        return cls.around(
            mean, variance + structure.variances(params.covariances).max(0), structure
        )

    def enter(self, params, structure):
        """Return parameters of x as parameters of z."""
        means = (params.means - self.origin) / self.scale
        return params._replace(means=means)._replace(**self._rescale(params, structure, -1))

    def leave(self, params, structure):
        """Return parameters of z as parameters of x."""
        means = params.means * self.scale + self.origin
        return params._replace(means=means)._replace(**self._rescale(params, structure, 1))

    def _rescale(self, params, structure, power):
        """Return covariances and their factors for features multiplied by scale ** power."""
        both = structure.rescale(params.covariances, params.precisions_cholesky, self.scale**power)
        return dict(zip(Parameters._fields[2:], both, strict=True))


class Block(NamedTuple):
    """Complete rows, or rows that lack equally many features."""

    rows: slice | np.ndarray
    size: int
    starts: np.ndarray | None
    """The first row of each pattern of missing values; None if all are there."""


class _OneBlasThread:
    """Keep BLAS at one thread while anybody is inside; the last to leave restores what was."""

    def __init__(self):
        self._lock, self._inside, self._limited = threading.Lock(), 0, []

    def __enter__(self):
        with self._lock:
            if self._inside == 0:
                self._limited = [(library, n) for library, n in _blas() if n > 1]
                for library, _ in self._limited:
                    library.set_num_threads(1)
            self._inside += 1

    def __exit__(self, *_):
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for library, n_threads in self._limited:
                    library.set_num_threads(n_threads)


ONE_BLAS_THREAD = _OneBlasThread()


class Table:
    """Data prepared for sweeps: a frame, and blocks of rows.

    Parameters
    ----------
    X : array (N, D)
        Points; NaN is missing. Never written to, never copied as a whole.
    structure : a structure of `covariance`
    n_components : int
        Number of components, which sets the size of the blocks.
    weight : array (N,), optional
        Weights of the rows.
    frame : Frame, optional
        Coordinates; by default measured from X.
    with_features : bool, default=True
        Whether blocks need room for the features of the structure beside z.
    """

    xp = np
    """Namespace of the arrays that the blocks are made of."""
    eps = EPS
    """Relative spacing of their numbers."""
    wide = np.float64
    """Type in which sums of several blocks are held."""

    def __init__(self, X, structure, n_components, weight=None, frame=None, with_features=True):
        self.X, self.weight, self.structure, self.n_components = X, weight, structure, n_components
        self.n_samples, self.n_features = X.shape
        total = self.n_samples if weight is None else self.xp.sum(weight, dtype=self.wide)
        self.total_weight = float(total)
        self.n_statistics = structure.n_statistics(self.n_features, n_components)
        # An exponential costs about as much as 32 multiplications.
        self.work = self.n_samples * (self.n_statistics + 32) * n_components
        self.centred = self._centres(structure, n_components)
        if not with_features or self.centred:
            self.n_statistics = self.n_features + 1
        block_size = self._block_size(8 * (self.n_statistics + n_components))
        self.block_size = max(1, min(block_size, self.n_samples))
        self.blocks = self._cut(n_components)
        n_blocks, n_stripes = len(self.blocks), min(len(self.blocks), MAX_STRIPES)
        edges = [n * n_blocks // n_stripes for n in range(n_stripes + 1)]
        self.stripes = [self.blocks[a:b] for a, b in pairwise(edges)]
        self._buffers = threading.local()
        self._map, self._kept = map, None
        self.frame = frame if frame is not None else self._measure()

    def _centres(self, structure, n_components):
        """Return whether points are centred on each mean because that is cheaper."""
        return n_components <= structure.few_components(self.n_features)

    def _block_size(self, row_bytes):
        """Return the number of rows of a block."""
        size = BLOCK_BYTES // row_bytes
        if self.work > THREADED_WORK:
            size = min(size, self.n_samples // 8)
        return min(max(size & ~63, 128), 4096)

    def fold(self, function):
        """Return ``function(table)``, summed over the parts that the data are in: here, one.

        What it returns must add: an array, a number, None for nothing, or a list of such.
        """
        return function(self)

    def on_host(self, random_state):
        """Return a Table of rows enough to start from, in memory: here, all."""
        return self

    def _few(self):
        """Return a few rows as a NumPy array."""
        return self.X[:: max(1, self.n_samples // 256)].astype(np.float64)

    def _patterns(self):
        """Return the patterns of missing values."""
        return patterns(self.X)

    def _cut(self, n_components):
        """Return all rows as blocks: complete rows first, then by the number of missing values."""
        found = self._patterns()
        complete = next((rows for rows, seen in found if seen is None), np.arange(0))
        n_rows = self.n_samples if complete is None else len(complete)
        blocks = []
        for start in range(0, n_rows, self.block_size):
            stop = min(start + self.block_size, n_rows)
            rows = slice(start, stop) if complete is None else complete[start:stop]
            blocks.append(Block(rows, stop - start, None))

        def largest(n_missing):
            each = n_components * (self.n_features + n_missing**2)
            return min(BLOCK_BYTES // (4 * each), self.block_size)

        incomplete = [pair for pair in found if pair[1] is not None]
        for rows, starts in batches(incomplete, self.n_features, largest):
            blocks.append(Block(rows, len(rows), starts))
        return blocks

    def _measure(self):
        """Return the frame of the data, from one pass around a few of its rows."""
        few = self._few()
        there = np.isfinite(few)
        shift = np.where(there, few, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        with np.errstate(over="ignore", invalid="ignore"):
            counts, first, second = self.fold(lambda table: table.moments(shift))
            self._refuse_empty(counts)
            mean = first / counts
            variance = np.maximum(second / counts - mean**2, 0.0)
        if not np.isfinite(variance).all() or (np.abs(shift + mean) > LARGEST).any():
            raise ValueError(
                "X has values that are infinite, or so large that their squares overflow. Divide "
                "such features by a constant first."
            )
        # What is left of a constant feature is rounding.
        variance[np.sqrt(variance) <= 8 * self.eps * (np.abs(shift) + np.abs(mean))] = 0.0
        frame = Frame.around(shift + mean, variance, self.structure)
        self.variance = variance / frame.scale**2
        return frame

    def moments(self, shift):
        """Return counts and the sums of x - shift and its square, each (D,), of what is there."""
        sums = np.zeros((3, self.n_features))
        for rows, size, starts in self.blocks:
            part = self.X[rows] - shift
            weight = np.ones(size) if self.weight is None else self.weight[rows]
            total = weight.sum()
            if starts is not None:
                there = ~np.isnan(part)
                total, part = weight @ there, np.where(there, part, 0.0)
            sums[:2] += [np.broadcast_to(total, self.n_features), weight @ part]
            part *= part
            sums[2] += weight @ part
        return list(sums)

    def _refuse_empty(self, totals):
        """Raise if a feature has no value at all."""
        if not (totals > 0).all():
            raise ValueError(
                f"Feature {int(np.argmin(totals))} of X has no value (all missing, or weight 0). "
                "Drop the feature."
            )

    @contextmanager
    def workers(self, n_sweeps=10):
        """Share blocks among as many threads as BLAS may use, each with one BLAS thread."""
        n_threads = _blas_threads() if self.work * n_sweeps > 10 * THREADED_WORK else 1
        with ExitStack() as stack:
            if self.work > LIMITED_WORK:
                # BLAS's own threads would wait for each other longer than a block takes.
                stack.enter_context(ONE_BLAS_THREAD)
            if n_threads > 1:
                self._map = stack.enter_context(ThreadPoolExecutor(n_threads)).map
            try:
                yield
            finally:
                self._map = map

    def map_stripes(self, function):
        """Return ``function(blocks)`` for each stripe of blocks, in order."""

        def quietly(blocks):
            # Overflow ends in a density that is not finite, which callers refuse by name.
            with np.errstate(over="ignore", invalid="ignore"):
                return function(blocks)

        return list(self._map(quietly, self.stripes))

    def load(self, block, with_features):
        """Return features (P, B) of a complete block, and their rows for z, (D, B)."""
        if self._kept is not None:
            return self._kept
        if not hasattr(self._buffers, "features"):
            self._buffers.features = self.zeros((self.n_statistics, self.block_size))
        features = self._buffers.features[:, : block.size]
        Z = features[-1 - self.n_features : -1, :]
        self._enter(block, Z)
        if with_features:
            self.structure.fill_features(features, self.n_features)
        if len(self.blocks) == 1 and (with_features or self.centred):
            self._kept = features, Z
        return features, Z

    def zeros(self, shape):
        """Return zeros of the blocks' kind."""
        return np.zeros(shape)

    def _enter(self, block, Z):
        """Write the rows of a complete block, in the frame, into Z (D, B)."""
        np.subtract(self.X[block.rows].T, self.frame.origin[:, None], out=Z)
        Z /= self.frame.scale[:, None]

    def move(self, values):
        """Return a small NumPy array as one of the blocks' kind."""
        return values

    def widen(self, values):
        """Return `values` in the type in which sums of several blocks are held."""
        return values

    def centres(self, means, exact):
        """Return `means` (K, D) with zeros for the components that are not in `exact`."""
        centres = np.zeros_like(means)
        if len(exact):
            centres[exact] = means[exact]
        return centres

    def load_holes(self, block):
        """Return an incomplete block, in the frame."""
        return Holes((self.X[block.rows] - self.frame.origin) / self.frame.scale, block.starts)

    def log_volume(self, block):
        """Return log |dx/dz| over the features that each row has: one number, or (B,)."""
        log_scale = np.log(self.frame.scale)
        if block.starts is None:
            return float(log_scale.sum())
        return ~np.isnan(self.X[block.rows]) @ log_scale

    @property
    def rounding(self):
        """Variance (D,) below which a feature's spread is only rounding, in the frame."""
        std = 4.0 * self.eps * (np.abs(self.frame.origin) / self.frame.scale + 1.0)
        return np.square(np.minimum(std, 1e150))

    @cached_property
    def shift(self):
        """Mean of log |dz/dx| over the rows' seen features: what turns densities of z into x's."""
        total = 0.0
        for block in self.blocks:
            weight = np.ones(block.size) if self.weight is None else self.weight[block.rows]
            total -= np.sum(weight * self.log_volume(block))
        return float(total / self.total_weight)

    @cached_property
    def total(self):
        """Scatter of the complete rows about the origin of the frame, (D, D)."""
        return self.fold(Table._scatter) + np.zeros((self.n_features, self.n_features))

    def _scatter(self):
        """Return the scatter (D, D) of the complete rows that are here."""

        def stripe(blocks):
            total = 0.0
            for block in blocks:
                if block.starts is None:
                    _, Z = self.load(block, False)
                    weighted = Z if self.weight is None else Z * self.weight[block.rows]
                    total = total + self.widen(weighted @ Z.T)
            return total

        return reduce(add, self.map_stripes(stripe))


def add(one, other):
    """Return the sum of two nested lists of arrays and numbers; None stands for nothing."""
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, list):
        return [add(a, b) for a, b in zip(one, other, strict=True)]
    if isinstance(one, np.ndarray):
        one += other
        return one
    return one + other


@lru_cache(maxsize=1)
def _blas_libraries():
    """Return threadpoolctl's controllers of the loaded BLAS libraries."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


def _blas():
    """Return each BLAS library with the number of threads that it may use now, 1 if unknown."""
    return [(library, library.get_num_threads() or 1) for library in _blas_libraries()]


def _blas_threads():
    """Return how many threads BLAS may use now; 1 if that cannot be known."""
    return max((n_threads for _, n_threads in _blas()), default=1)
