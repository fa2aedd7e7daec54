"""One block loop of additive sufficient statistics: the E-step, and all that the M-step needs.

The rows of X are visited a block at a time, in coordinates centred on the data and scaled by powers
of two (`Frame`), so that responsibilities are never stored for more than a block. Blocks are shared
among threads in fixed stripes, whose sums are added in order: the result does not depend on the
number of threads.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cached_property, lru_cache, reduce
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from gmmlearn.covariance import EPS, Parameters, Sums
from gmmlearn.gaussian import LOG_2PI
from gmmlearn.missing import Gap, patterns

LOSS_LIMIT = 2.0**23
"""Largest `amplification` for which the square is expanded: costs up to 23 of 53 bits."""
BLOCK_BYTES = 1 << 21
"""Size of one thread's block of features and responsibilities; a few fit a shared cache."""
LONG_ROWS = 512
"""Number of features from which BLAS is faster, by some 6 %, at the transposed product."""
MAX_STRIPES = 32
LIMITED_WORK = 1e5
"""Multiplications from which BLAS would use threads of its own."""
LARGEST = 1e150
"""Values beyond this have squares that overflow."""
NO_COMPONENTS = np.arange(0)
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
    """Rows that share a pattern of missing values."""

    rows: slice | np.ndarray
    size: int
    seen: np.ndarray | None
    """Indices of the features that are not missing; None if all are there."""


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

    def __init__(self, X, structure, n_components, weight=None, frame=None, with_features=True):
        self.X, self.weight, self.structure = X, weight, structure
        self.n_samples, self.n_features = X.shape
        self.total_weight = float(self.n_samples if weight is None else weight.sum())
        self.n_statistics = structure.n_statistics(self.n_features)
        # An exponential costs about as much as 32 multiplications.
        self.work = self.n_samples * (self.n_statistics + 32) * n_components
        if not with_features:
            self.n_statistics = self.n_features + 1
        size = BLOCK_BYTES // (8 * (self.n_statistics + n_components))
        if self.work > THREADED_WORK:
            size = min(size, self.n_samples // 8)
        self.block_size = int(np.clip(size & ~63, 128, 4096))
        self.patterns = patterns(X)
        self.blocks = self._cut()
        edges = np.linspace(0, len(self.blocks), min(len(self.blocks), MAX_STRIPES) + 1).astype(int)
        self.stripes = [self.blocks[a:b] for a, b in pairwise(edges)]
        self._buffers = threading.local()
        self._map, self._kept = map, None
        self.frame = frame if frame is not None else self._measure()

    def _cut(self):
        """Return all rows as blocks: complete rows first, then one pattern after another."""
        blocks, step = [], self.block_size
        for rows, seen in self.patterns:
            n_rows = self.n_samples if rows is None else len(rows)
            for start in range(0, n_rows, step):
                stop = min(start + step, n_rows)
                part = slice(start, stop) if rows is None else rows[start:stop]
                blocks.append(Block(part, stop - start, seen))
        return blocks

    def _measure(self):
        """Return the frame of the data, from one pass around a few of its rows."""
        few = self.X[:: max(1, self.n_samples // 256)].astype(np.float64)
        there = np.isfinite(few)
        shift = np.where(there, few, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        sums = np.zeros((3, self.n_features))
        with np.errstate(over="ignore", invalid="ignore"):
            for rows, size, seen in self.blocks:
                seen = slice(None) if seen is None else seen
                part = self.X[rows][:, seen] - shift[seen]
                weight = np.ones(size) if self.weight is None else self.weight[rows]
                first = weight @ part
                part *= part
                sums[:, seen] += [np.full_like(first, weight.sum()), first, weight @ part]
            self._refuse_empty(sums[0])
            mean = sums[1] / sums[0]
            variance = np.maximum(sums[2] / sums[0] - mean**2, 0.0)
        if not np.isfinite(variance).all() or (np.abs(shift + mean) > LARGEST).any():
            raise ValueError(
                f"X has values as large as {np.nanmax(np.abs(self.X)):.3g}: squares overflow. "
                "Divide such features by a constant first."
            )
        # What is left of a constant feature is rounding.
        variance[np.sqrt(variance) <= 8 * EPS * (np.abs(shift) + np.abs(mean))] = 0.0
        frame = Frame.around(shift + mean, variance, self.structure)
        self.variance = variance / frame.scale**2
        return frame

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
                stack.enter_context(_threadpools().limit(limits=1, user_api="blas"))
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
            shape = (self.n_statistics, self.block_size)
            self._buffers.features = np.empty(shape)
        features = self._buffers.features[:, : block.size]
        Z = features[-1 - self.n_features : -1]
        np.subtract(self.X[block.rows].T, self.frame.origin[:, None], out=Z)
        Z /= self.frame.scale[:, None]
        if with_features:
            self.structure.fill_features(features, self.n_features)
            if len(self.blocks) == 1:
                self._kept = features, Z
        return features, Z

    def load_seen(self, block):
        """Return the values (O, B) that an incomplete block has, in the frame."""
        part = self.X[block.rows][:, block.seen].T
        return (part - self.frame.origin[block.seen, None]) / self.frame.scale[block.seen, None]

    @property
    def rounding(self):
        """Variance (D,) below which a feature's spread is only rounding, in the frame."""
        std = 4.0 * EPS * (np.abs(self.frame.origin) / self.frame.scale + 1.0)
        return np.square(np.minimum(std, 1e150))

    @cached_property
    def shift(self):
        """Mean of log |dz/dx| over the rows' seen features: what turns densities of z into x's."""
        log_scale, total = np.log(self.frame.scale), 0.0
        for rows, size, seen in self.blocks:
            weight = size if self.weight is None else self.weight[rows].sum()
            total -= weight * (log_scale if seen is None else log_scale[seen]).sum()
        return float(total / self.total_weight)

    @cached_property
    def total(self):
        """Scatter of the complete rows about the origin of the frame, (D, D)."""

        def stripe(blocks):
            total = np.zeros((self.n_features, self.n_features))
            for block in blocks:
                if block.seen is None:
                    _, Z = self.load(block, False)
                    total += (Z if self.weight is None else Z * self.weight[block.rows]) @ Z.T
            return total

        return sum(self.map_stripes(stripe))


class Posterior:
    """The E-step for one set of parameters, by the route that keeps the digits.

    Parameters
    ----------
    structure : a structure of `covariance`
    params : Parameters
        In the frame of the data.
    few : bool, default=False
        Whether the rows are so few that centring is cheaper than finding out if it is needed.

    Attributes
    ----------
    exact : int array
        Components whose square must not be expanded; all or none if they share a covariance.
    """

    def __init__(self, structure, params, few=False):
        self.structure, self.params, self.natural = structure, params, None
        if few:
            self.exact = np.arange(len(params.means))
            return
        reach = np.abs(params.means) + np.sqrt(structure.variances(params.covariances))
        risk = structure.amplification(reach, params.precisions_cholesky)
        self.exact = lossy(structure, risk)
        if len(self.exact) < len(risk):
            self.natural = structure.natural(params)

    def log_joint(self, features, Z):
        """Return log pi_k + log N(x; ...) (K, B), without the structure's common term."""
        if self.natural is None:
            log_joint = np.empty((len(self.params.means), Z.shape[1]))
        elif len(features) < LONG_ROWS:
            log_joint = self.natural @ features
        else:
            log_joint = np.ascontiguousarray((features.T @ self.natural.T).T)
        if len(self.exact):
            self._write_exact(Z, log_joint)
        return log_joint

    def _write_exact(self, Z, log_joint):
        """Write the rows of `exact`, from points centred on each mean in turn."""
        weights, means, _, factors = self.params
        log_det = self.structure.log_det_precision(factors, len(Z))
        with np.errstate(divide="ignore"):
            constant = np.log(weights) + log_det - 0.5 * len(Z) * LOG_2PI
        for k in self.exact:
            centred = Z - means[k][:, None]
            distances = self.structure.mahalanobis(centred, factors[k % len(factors)])
            np.subtract(constant[k], 0.5 * distances, out=log_joint[k])

    @property
    def common_is_left_out(self):
        """Whether `log_joint` lacks the structure's common term."""
        return self.structure.shared and self.natural is not None

    def whole_log_joint(self, table, block):
        """Return log pi_k + log N(x; ...) (K, B) of any block, in the frame."""
        if block.seen is not None:
            return self.gap(block).log_joint(table.load_seen(block))
        features, Z = table.load(block, self.natural is not None)
        log_joint = self.log_joint(features, Z)
        if self.common_is_left_out:
            log_joint += self.structure.common(Z, self.params)
        return log_joint

    def outside(self, table):
        """Return the sum over all rows of the common term that `respond` leaves out, nats."""
        if not self.common_is_left_out:
            return 0.0
        return self.structure.common_total(self.params, table.total)

    def gap(self, block):
        """Return what an incomplete block needs."""
        return Gap(self.structure, self.params, block.seen)

    def respond(self, block, features, Z):
        """Return log p(x) (B,), without the common term, and responsibilities (K, B)."""
        log_joint = self.log_joint(features, Z)
        return normalise(log_joint), log_joint

    def respond_seen(self, block, gap, Z_seen):
        """Return log p(x) (B,) and responsibilities (K, B) of incomplete rows."""
        log_joint = gap.log_joint(Z_seen)
        return normalise(log_joint), log_joint


def lossy(structure, risk):
    """Return the components whose `amplification` (K,) is too large; all if they share."""
    if risk.max() <= LOSS_LIMIT:
        return NO_COMPONENTS
    chosen = np.flatnonzero(~(risk <= LOSS_LIMIT))
    return np.arange(len(risk)) if structure.shared and len(chosen) else chosen


def normalise(log_joint):
    """Turn log joint densities (K, B) into responsibilities in place; return log p(x) (B,)."""
    top = log_joint.max(axis=0)
    log_joint -= top
    np.exp(log_joint, out=log_joint)
    norm = log_joint.sum(axis=0)
    log_joint *= 1.0 / norm
    top += np.log(norm)
    return top


def sweep(table, posterior, centres, exact=()):
    """Visit all rows once; return their Sums about `centres` (eq. em-e-step, em-counts).

    Parameters
    ----------
    table : Table
    posterior : Posterior, or any object with its `respond`
        Responsibilities of each block.
    centres : array (K, D)
        Points that the sums of the components in `exact` are taken about, without expanding any
        square. Those of the others are zero: their sums come from one matrix product.
    exact : int array
        Component numbers; all or none if they share a covariance.

    Returns
    -------
    Sums
    """
    structure, n_features = table.structure, table.n_features
    packed = len(exact) < len(centres)

    def visit(block):
        """Return log p, the product, sums about centres, and sums of incomplete rows, or 0 each."""
        if block.seen is None:
            features, Z = table.load(block, packed or posterior.natural is not None)
            log_norm, resp = posterior.respond(block, features, Z)
        else:
            Z, gap = table.load_seen(block), posterior.gap(block)
            log_norm, resp = posterior.respond_seen(block, gap, Z)
        if table.weight is not None:
            weight = table.weight[block.rows]
            log_norm, resp = log_norm * weight, resp * weight
        log_prob = float(np.sum(log_norm))
        if block.seen is not None:
            return [log_prob, 0.0, None, gap.sums(Z, resp, centres)]
        product = resp @ features.T if packed else 0.0
        return [log_prob, product, _about(structure, Z, resp, centres, exact), None]

    def stripe(blocks):
        return reduce(_add, map(visit, blocks))

    log_prob, product, about, filled = reduce(_add, table.map_stripes(stripe))
    log_prob += posterior.outside(table)
    if about is None:
        return Sums(log_prob, *filled)
    if packed:
        total = table.total if structure.shared else None
        sums = structure.unpack(log_prob, product, n_features, total)
        for whole, part in zip(sums[1:], about, strict=False):
            whole[exact] = part
    else:
        sums = Sums(log_prob, *about)
    return sums if filled is None else Sums(log_prob, *_add(list(sums[1:]), filled))


def _add(one, other):
    """Return the sum of two nested lists of arrays and numbers; None stands for nothing."""
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, list):
        return [_add(a, b) for a, b in zip(one, other, strict=True)]
    if isinstance(one, np.ndarray):
        one += other
        return one
    return one + other


def _about(structure, Z, resp, centres, exact):
    """Return counts, first and second sums of points (D, B) about the centres of `exact`."""
    if not len(exact):
        return []
    n_exact, n_features = len(exact), centres.shape[1]
    second = np.zeros(structure.shape(n_exact, n_features))
    first = np.empty((n_exact, n_features))
    for row, k in enumerate(exact):
        centred = Z - centres[k][:, None]
        first[row] = centred @ resp[k]
        second[row % len(second)] += structure.scatter(centred, resp[k])
    return [resp[exact].sum(axis=1), first, second]


@lru_cache(maxsize=1)
def _threadpools():
    """Return the controller of the loaded BLAS libraries."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _blas_threads():
    """Return how many threads BLAS may use now; 1 if that cannot be known."""
    pools = _threadpools().select(user_api="blas").info()
    return max((pool["num_threads"] for pool in pools), default=1)
