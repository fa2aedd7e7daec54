"""One block loop of additive sufficient statistics: the E-step, and all that the M-step needs.

Responsibilities are never stored for more than a block. Each component takes the route that keeps
its digits: one matrix product of features where the square may be expanded, points centred on its
own mean where not.
"""

from functools import cached_property, reduce

import numpy as np

from gmmlearn.covariance import Sums
from gmmlearn.gaussian import LOG_2PI
from gmmlearn.missing import Gap, completion

LOSS_LIMIT = 2.0**23
"""Largest `amplification` for which the square is expanded: costs up to 23 of 53 bits."""
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
        if block.starts is not None:
            return self.gap(table.load_holes(block)).log_joint()
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
        if block.starts is None:
            features, Z = table.load(block, packed or posterior.natural is not None)
            log_norm, resp = posterior.respond(block, features, Z)
        else:
            gap = posterior.gap(table.load_holes(block))
            log_norm, resp = posterior.respond_seen(block, gap)
        if table.weight is not None:
            weight = table.weight[block.rows]
            log_norm, resp = log_norm * weight, resp * weight
        log_prob = float(np.sum(log_norm))
        if block.starts is not None:
            return [log_prob, 0.0, None, gap.sums(resp, centres)]
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
