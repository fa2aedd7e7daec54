"""Tensors: the pass over the data runs where they are, in their own precision.

Only small things travel: the parameters to the device at the beginning of a pass, the sums back at
its end. The M-step stays on the host, in float64, whatever the tensors are.
"""

from contextlib import nullcontext

import numpy as np
from array_api_compat import device

from gmmlearn.arrays import move, namespace, to_host
from gmmlearn.table import Table

START_ROWS = 50_000
"""Rows, drawn at random, that a start is made from if there are more."""
CARD_BYTES = 1 << 28
"""Size of a block on a graphics card: large enough to keep it busy."""


class DeviceTable(Table):
    """A Table whose rows are a tensor, complete and finite; parameters as of `Table`."""

    def __init__(self, X, structure, n_components, weight=None, frame=None, with_features=True):
        self.xp, self.device = namespace(X), device(X)
        self.eps = float(self.xp.finfo(X.dtype).eps)
        self.wide = _wide(self.xp, self.device)
        if frame is not None:
            frame = frame._replace(origin=self._rounded(frame.origin, X.dtype))
        super().__init__(X, structure, n_components, weight, frame, with_features)
        self.frame = self.frame._replace(origin=self._rounded(self.frame.origin, X.dtype))
        self._origin, self._scale = self.move(self.frame.origin), self.move(self.frame.scale)

    def _rounded(self, values, dtype):
        """Return `values` (NumPy) rounded to the numbers that the tensor can hold."""
        return values if self.eps == Table.eps else values.astype(np.float32).astype(np.float64)

    def _centres(self, structure, n_components):
        """Return False: one large product keeps a device busier than several small ones."""
        return False

    def _block_size(self, row_bytes):
        """Return the number of rows of a block, by the memory of the device."""
        on_card = "cpu" not in str(self.device).lower()
        size = _card_bytes(self.device) // row_bytes if on_card else super()._block_size(row_bytes)
        return max(128, min(size & ~63, 1 << 20))

    def _patterns(self):
        """Return the only pattern that is supported: nothing is missing."""
        return [(None, None)]

    def fold(self, function):
        """Return ``function(table)`` on the host."""
        return to_host(function(self))

    def workers(self, n_sweeps=10):
        """Leave threads to the library of the tensors."""
        return nullcontext()

    def on_host(self, random_state):
        """Return a Table of rows enough to start from, in memory."""

        def take(values, rows):
            if rows is None:
                return to_host(values)
            return to_host(self.xp.take(values, move(rows, like=values), axis=0))

        return rows_on_host(self, random_state, take)

    def _few(self):
        """Return a few rows as a NumPy array."""
        return to_host(self.X[:: max(1, self.n_samples // 256), :]).astype(np.float64)

    def moments(self, shift):
        """Return counts and the sums of x - shift and its square, each (D,)."""
        first = second = 0.0
        shift = self.move(shift)
        for block in self.blocks:
            part = self.X[block.rows, :] - shift
            if self.weight is None:
                sums = self.xp.sum(part, axis=0), self.xp.sum(part * part, axis=0)
            else:
                weight = self.weight[block.rows]
                sums = weight @ part, weight @ (part * part)
            first, second = first + self.widen(sums[0]), second + self.widen(sums[1])
        return [np.full(self.n_features, self.total_weight), first, second]

    @property
    def shift(self):
        """Log |dz/dx|, the same for all rows: what turns densities of z into x's."""
        return -float(np.log(self.frame.scale).sum())

    def zeros(self, shape):
        """Return zeros of the tensor's type and place."""
        return self.xp.zeros(shape, dtype=self.X.dtype, device=self.device)

    def _enter(self, block, Z):
        """Write the rows of a block, in the frame, into Z (D, B)."""
        Z[...] = self.X[block.rows, :].T - self._origin[:, None]
        Z /= self._scale[:, None]

    def move(self, values):
        """Return a small NumPy array as a tensor of the data's type, where the data are."""
        return move(values, like=self.X)

    def widen(self, values):
        """Return `values` in float64, where the device has it."""
        return self.xp.astype(values, self.wide)

    def centres(self, means, exact):
        """Return `means`, as the tensor can hold them, with zeros for those not in `exact`."""
        return self._rounded(super().centres(means, exact), self.X.dtype)


def _wide(xp, where):
    """Return the widest real type that a device has: Apple's have no float64."""
    return xp.float32 if str(where).startswith("mps") else xp.float64


def _card_bytes(where):
    """Return the size of a block on a graphics card: at most an eighth of what is free."""
    import torch

    if where.type != "cuda":
        return CARD_BYTES
    return min(CARD_BYTES, torch.cuda.mem_get_info(where)[0] // 8)


def rows_on_host(table, random_state, take):
    """Return a table's rows in memory, `START_ROWS` random ones if there are more.

    `take(values, rows)` brings those rows of data or weights to the host, all if `rows` is None.
    """
    rows, n_samples = None, table.X.shape[0]
    if n_samples > START_ROWS:
        rng = np.random.default_rng(random_state.randint(2**31))
        rows = np.sort(rng.choice(n_samples, START_ROWS, replace=False, shuffle=False))
    X = take(table.X, rows).astype(np.float64)
    weight = None if table.weight is None else take(table.weight, rows).astype(np.float64)
    if weight is not None and not weight.all():
        X, weight = X[weight > 0], weight[weight > 0]
    small = Table(X, table.structure, table.n_components, weight, table.frame)
    small.variance = table.variance
    return small
