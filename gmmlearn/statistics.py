"""One block loop of additive sufficient statistics: the E-step, and all that the M-step needs.

Responsibilities are never stored for more than a block. Each component takes the route that keeps
its digits: one matrix product of features where the square may be expanded, points centred on its
own mean where not.
"""

import copy
from functools import cached_property, reduce

import numpy as np

from gmmlearn.arrays import empty, exp_in_place, namespace
from gmmlearn.covariance import EPS, Parameters, Sums
from gmmlearn.gaussian import LOG_2PI
from gmmlearn.missing import Gap, completion
from gmmlearn.table import add

LOSS_LIMIT = 2.0**23
"""Largest `amplification` for which the square is expanded: costs up to 23 of 53 bits."""
SINGLE_LOSS_LIMIT = 2.0**13
"""The same for float32: costs up to 13 of 24 bits."""
LONG_ROWS = 512
"""Number of features from which BLAS is faster, by some 6 %, at the transposed product."""
NO_COMPONENTS = np.arange(0)


class Posterior:
    """The E-step for one set of parameters, by the route that keeps the digits.

    Parameters
    ----------
    structure : a structure of `covariance`
    params : Parameters
        In the frame of the data.
    few : bool, default=False
        Whether the rows are so few that centring is cheaper than finding out if it is needed.
    eps : float, default=EPS
        Relative spacing of the numbers that it will be computed in.

    Attributes
    ----------
    exact : int array
        Components whose square must not be expanded; all or none if they share a covariance.
    """

    def __init__(self, structure, params, few=False, eps=EPS):
        self.structure, self.params, self.natural = structure, params, None
        self.projection = structure.projection(params.precisions_cholesky)
        if few:
            self.exact = np.arange(len(params.means))
            return
        reach = np.abs(params.means) + np.sqrt(structure.variances(params.covariances))
        self.exact = lossy(structure, reach, params.precisions_cholesky, eps)
        if len(self.exact) < len(reach):
            self.natural = structure.natural(params)

    def on(self, table):
        """Return the same with its arrays where the table's blocks are, once for each pass."""
        if table.xp is np:
            return self
        moved = copy.copy(self)
        moved.constant = self.constant
        moved.natural = None if self.natural is None else table.move(self.natural)
        weights, means, covariances, factors = self.params
        moved.params = Parameters(weights, table.move(means), covariances, table.move(factors))
        return moved

    @cached_property
    def constant(self):
        """What no point changes in the log joint density of each component (K,)."""
        weights, means, _, factors = self.params
        n_features = means.shape[1]
        log_det = self.structure.log_det_precision(factors, n_features)
        with np.errstate(divide="ignore"):
            return np.log(weights) + log_det - 0.5 * n_features * LOG_2PI

    def log_joint(self, features, Z):
        """Return log pi_k + log N(x; ...) (K, B), without the structure's common term."""
        if self.natural is None:
            log_joint = empty((len(self.params.weights), Z.shape[1]), like=Z)
        else:
            of_x = features[-self.natural.shape[1] :, :]
            if of_x.shape[0] < LONG_ROWS or not isinstance(of_x, np.ndarray):
                log_joint = self.natural @ of_x
            else:
                log_joint = np.ascontiguousarray((of_x.T @ self.natural.T).T)
            self.structure.add_projected(log_joint, features)
        for k in self.exact:
            log_joint[int(k), :] = self._centred_log_joint(int(k), Z)
        return log_joint

    def _centred_log_joint(self, k, Z):
        """Return the log joint density (B,) of component `k`, from points centred on its mean."""
        _, means, _, factors = self.params
        centred = Z - means[k, :][:, None]
        distances = self.structure.mahalanobis(centred, factors[k % factors.shape[0], ...])
        return float(self.constant[k]) - 0.5 * distances

    @property
    def common_is_left_out(self):
        """Whether `log_joint` lacks the structure's common term."""
        return self.structure.shared and self.natural is not None

    def whole_log_joint(self, table, block):
        """Return log pi_k + log N(x; ...) (K, B) of any block, in the frame."""
        if block.starts is not None:
            return self.gap(table.load_holes(block)).log_joint()
        features, Z = table.load(block, self.natural is not None)
        if self.natural is not None:
            self.structure.project(features, Z, self.projection)
        log_joint = self.log_joint(features, Z)
        if self.common_is_left_out:
            log_joint += self.structure.common(Z, self.params)
        return log_joint

    def outside(self, table):
        """Return the sum over all rows of the common term that `respond` leaves out, nats."""
        if not self.common_is_left_out:
            return 0.0
        return self.structure.common_total(self.params, table.total)

    @cached_property
    def completion(self):
        """How these parameters complete rows."""
        return completion(self.structure, self.params)

    def gap(self, holes):
        """Return what an incomplete block needs."""
        return Gap(self.completion, holes)

    def respond(self, block, features, Z):
        """Return log p(x) (B,), without the common term, and responsibilities (K, B)."""
        log_joint = self.log_joint(features, Z)
        return normalise(log_joint), log_joint

    def respond_seen(self, block, gap):
        """Return log p(x) (B,) and responsibilities (K, B) of incomplete rows."""
        log_joint = gap.log_joint()
        return normalise(log_joint), log_joint


def lossy(structure, reach, factors, eps=EPS):
    """Return the components with too large an `amplification` of `reach` (K, D); all if shared."""
    limit = LOSS_LIMIT if eps == EPS else SINGLE_LOSS_LIMIT
    if structure.made_of == "matrix":
        # |P_ij| <= sqrt(P_ii P_jj): a bound without products of matrices, and mostly enough.
        root = np.sqrt(structure.precision_diagonal(factors))
        if (reach * root).sum(axis=1).max() ** 2 <= limit:
            return NO_COMPONENTS
    risk = structure.amplification(reach, factors)
    if risk.max() <= limit:
        return NO_COMPONENTS
    chosen = np.flatnonzero(~(risk <= limit))
    return np.arange(len(risk)) if structure.shared and len(chosen) else chosen


def normalise(log_joint):
    """Turn log joint densities (K, B) into responsibilities in place; return log p(x) (B,)."""
    xp = namespace(log_joint)
    top = xp.max(log_joint, axis=0)
    log_joint -= top
    exp_in_place(log_joint)
    norm = xp.sum(log_joint, axis=0)
    log_joint *= 1.0 / norm
    top += xp.log(norm)
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

    def here(part):
        """Return the sums of the rows of one Table: `_visit` of each block, added."""
        moved, about = posterior.on(part), part.move(centres)

        def stripe(blocks):
            return reduce(add, (_visit(part, block, moved, about, exact) for block in blocks))

        return reduce(add, part.map_stripes(stripe))

    log_prob, product, about, filled = table.fold(here)
    log_prob = float(log_prob) + posterior.outside(table)
    if about is None:
        return Sums(log_prob, *filled)
    if packed:
        total = table.total if structure.shared else None
        sums = structure.unpack(log_prob, product, n_features, total)
        for whole, part in zip(sums[1:], about, strict=False):
            whole[exact] = part
    else:
        sums = Sums(log_prob, *about)
    return sums if filled is None else Sums(log_prob, *add(list(sums[1:]), filled))


def _visit(table, block, posterior, centres, exact):
    """Return log p, the product, sums about centres, and sums of incomplete rows, or 0 each."""
    packed = len(exact) < centres.shape[0]
    if block.starts is None:
        expanded = packed or posterior.natural is not None
        features, Z = table.load(block, expanded)
        if expanded:
            table.structure.project(features, Z, posterior.projection)
        log_norm, resp = posterior.respond(block, features, Z)
    else:
        gap = posterior.gap(table.load_holes(block))
        log_norm, resp = posterior.respond_seen(block, gap)
    if table.weight is not None:
        weight = table.weight[block.rows]
        log_norm, resp = log_norm * weight, resp * weight
    log_prob = table.xp.sum(log_norm, dtype=table.wide)
    if block.starts is not None:
        return [log_prob, 0.0, None, gap.sums(resp, centres)]
    product = table.widen(table.structure.gather(resp, features)) if packed else 0.0
    factors = posterior.params.precisions_cholesky
    return [log_prob, product, _about(table, Z, resp, centres, exact, factors), None]


def _about(table, Z, resp, centres, exact, factors):
    """Return counts, first and second sums of points (D, B) about the centres of `exact`."""
    if not len(exact):
        return []
    n_exact, n_features = len(exact), centres.shape[1]
    counts, first = table.zeros((n_exact,)), table.zeros((n_exact, n_features))
    second = table.zeros(table.structure.shape(n_exact, n_features))
    for row, k in enumerate(map(int, exact)):
        centred, share = Z - centres[k, :][:, None], resp[k, :]
        counts[row] = table.xp.sum(share)
        first[row, :] = centred @ share
        part = table.structure.scatter(centred, share, factors[k % factors.shape[0], ...])
        second[row % second.shape[0], ...] += part
    return [table.widen(part) for part in (counts, first, second)]
