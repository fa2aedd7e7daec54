"""Missing values: what the seen features say of the others, a block of incomplete rows at a time.

EM on incomplete rows replaces a missing value neither by a mean nor by a guess: each component adds
its conditional expectation to the first sums, and its conditional covariance, the correction, to
the second (little2019statistical, chapter 11). Rows of a block lack equally many features, so that
the matrices of all its patterns form one array, which LAPACK works through in one call.
"""

from itertools import groupby
from typing import NamedTuple

import numpy as np

from gmmlearn.covariance import SingularCovariance
from gmmlearn.gaussian import LOG_2PI

RISK_LIMIT = 2.0**17
"""Largest `amplification` of centred points for which precisions serve: costs 17 of 53 bits."""
FEW_ROWS = 64
"""Rows from which a pattern has blocks of its own, and the least size of any block."""


def patterns(X):
    """Return (rows, seen features) for each pattern of missing values; (None, None) if none is.

    Parameters
    ----------
    X : array (N, D)
        NaN is missing.

    Returns
    -------
    list of (int array, int array or None)
        Row numbers, and the features that they have; None for all. Complete rows come first.
    """
    step = max(1, (1 << 22) // X.shape[1])
    there = [~np.isnan(X[start : start + step]) for start in range(0, len(X), step)]
    if all(part.all() for part in there):
        return [(None, None)]
    packed = np.concatenate([np.packbits(part, axis=1) for part in there])
    _, first, group = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(group.ravel()))[:-1])
    found = [
        (part, np.flatnonzero(~np.isnan(X[one]))) for part, one in zip(rows, first, strict=True)
    ]
    found = [(part, None if len(seen) == X.shape[1] else seen) for part, seen in found]
    return sorted(found, key=lambda pair: pair[1] is not None)


def batches(found, n_features, largest):
    """Return (rows, first row of each pattern) for blocks of incomplete rows.

    Parameters
    ----------
    found : list
        Of `patterns`, without the complete rows.
    n_features : int
        Number of features D.
    largest : callable
        ``largest(n_missing)`` is the number of rows that a block may have.

    Returns
    -------
    list of (int array (B,), int array (P,))
        All rows of a block lack equally many features.
    """
    blocks = []
    found = sorted(found, key=lambda pair: len(pair[1]))
    for n_seen, group in groupby(found, key=lambda pair: len(pair[1])):
        parts = [rows for rows, _ in group]
        small = [rows for rows in parts if len(rows) < FEW_ROWS]
        runs = [[rows] for rows in parts if len(rows) >= FEW_ROWS] + ([small] if small else [])
        size = max(FEW_ROWS, largest(n_features - n_seen))
        for run in runs:
            rows = np.concatenate(run)
            edges = np.cumsum([0, *map(len, run[:-1])])
            for start in range(0, len(rows), size):
                inside = edges[(edges > start) & (edges < start + size)] - start
                blocks.append((rows[start : start + size], np.append(0, inside)))
    return blocks


class Holes:
    """The rows of one block, each of which lacks M features.

    Parameters
    ----------
    points : array (B, D)
        In the frame of the data; NaN is missing. Kept, with 0 for NaN.
    starts : int array (P,)
        The first row of each pattern.
    """

    def __init__(self, points, starts):
        missing = np.isnan(points)
        points[missing] = 0.0
        n_rows, n_features = points.shape
        self.points, self.rows = points, np.arange(n_rows)[:, None]
        self.pattern = np.repeat(np.arange(len(starts)), np.diff(starts, append=n_rows))
        self.alone = len(starts) == 1
        self.gone = np.nonzero(missing[starts])[1].reshape(len(starts), -1)
        self.seen = np.nonzero(~missing[starts])[1].reshape(len(starts), -1)
        self.gone_of_rows = self.gone[self.pattern]
        self.n_seen = n_features - self.gone.shape[1]

    def of_rows(self, values):
        """Return for each row the entry of `values` (P, ...) that belongs to its pattern."""
        return values if self.alone else values[self.pattern]


class Part(NamedTuple):
    """What one component says of the rows of a block."""

    log_prob: np.ndarray
    """log N of the seen features alone (B,)."""
    centred: np.ndarray
    """Expected points minus the component's mean (B, D)."""
    spread: np.ndarray
    """Conditional covariances (P, M, M), variances (P, M), or loadings and noise (P, M, r + 1)."""


class Independent:
    """Components whose features are independent: missing ones stay at the mean.

    Parameters
    ----------
    structure : a structure of `covariance`
    params : Parameters
        In the frame of the data.
    """

    def __init__(self, structure, params):
        self.structure, self.params = structure, params

    def part(self, k, holes, known):
        """Return the Part of component `k`."""
        mean, n_features = self.params.means[k], holes.points.shape[1]
        factor = np.broadcast_to(self.params.precisions_cholesky[k], n_features)
        centred = holes.points - mean
        centred[holes.rows, holes.gone_of_rows] = 0.0
        whitened = centred * factor
        log_prob = np.log(factor)[holes.seen].sum(axis=1) - 0.5 * holes.n_seen * LOG_2PI
        log_prob = holes.of_rows(log_prob) - 0.5 * np.einsum("bd,bd->b", whitened, whitened)
        variances = np.broadcast_to(self.params.covariances[k], n_features)
        return Part(log_prob, centred, variances[holes.gone])

    def total_spread(self, k, spread, holes, resp):
        """Return the sum of r_n times the conditional variances, as one of the structure's."""
        shares = np.bincount(holes.pattern, resp, len(spread))[:, None]
        n_features = holes.points.shape[1]
        total = np.bincount(holes.gone.ravel(), (shares * spread).ravel(), n_features)
        return total.sum(keepdims=True) if self.structure.isotropic else total

    def colour(self, noise, spread):
        """Return standard normal rows (B, M) with the conditional variances (B, M)."""
        return noise * np.sqrt(spread)


class Correlated:
    """Components with a matrix: seen features move the missing ones (eq. gaussian-conditional).

    With the precision Lambda, the missing features m have covariance inverse(Lambda_mm) given the
    seen ones o, and mean mu_m - inverse(Lambda_mm) Lambda_mo (x_o - mu_o). The density of the seen
    features follows from the same numbers, unless it would lose digits: then from their covariance.
    """

    def __init__(self, structure, params):
        self.structure, self.params = structure, params
        factors = params.precisions_cholesky
        self.precisions = structure.precisions(factors)
        std = np.sqrt(structure.variances(params.covariances))
        self.risky = ~(structure.amplification(std, factors) <= RISK_LIMIT)
        self.log_det = structure.log_det_precision(factors, params.means.shape[1])

    def part(self, k, holes, known):
        """Return the Part of component `k`; `known` remembers what does not depend on means."""
        slot = k % len(self.precisions)
        if slot not in known:
            known[slot] = self._spread(slot, holes)
        spread, log_prob, factors = known[slot]
        centred = holes.points - self.params.means[k]
        centred[holes.rows, holes.gone_of_rows] = 0.0
        if factors is not None:
            seen = centred[holes.rows, holes.of_rows(holes.seen)][:, :, None]
            whitened = np.linalg.solve(holes.of_rows(factors), seen)[:, :, 0]
        pull = (centred @ self.precisions[slot])[holes.rows, holes.gone_of_rows]
        if holes.alone:
            centred[:, holes.gone[0]] = -pull @ spread[0]
        else:
            step = (spread[holes.pattern] @ pull[:, :, None])[:, :, 0]
            centred[holes.rows, holes.gone_of_rows] = -step
        if factors is None:
            whitened = centred @ self.params.precisions_cholesky[slot]
        distances = np.einsum("bd,bd->b", whitened, whitened)
        return Part(holes.of_rows(log_prob) - 0.5 * distances, centred, spread)

    def _spread(self, slot, holes):
        """Return conditional covariances, log normalisers (P,), factors of the seen or None."""
        gone, seen, constant = holes.gone, holes.seen, 0.5 * holes.n_seen * LOG_2PI
        block = self.precisions[slot][gone[:, :, None], gone[:, None, :]]
        spread = np.linalg.inv(block)
        spread = 0.5 * (spread + spread.swapaxes(1, 2))
        if self.risky[slot]:
            covariance = self.params.covariances[slot]
            try:
                factors = np.linalg.cholesky(covariance[seen[:, :, None], seen[:, None, :]])
            except np.linalg.LinAlgError:
                raise SingularCovariance(slot) from None
            return spread, -_log_diagonal(factors) - constant, factors
        # Of the determinant of all features, what is left beside that of the missing ones.
        log_det = self.log_det[slot] - _log_diagonal(np.linalg.cholesky(block))
        return spread, log_det - constant, None

    def total_spread(self, k, spread, holes, resp):
        """Return the sum of r_n times the conditional covariances, (D, D)."""
        n_features = holes.points.shape[1]
        shares = np.bincount(holes.pattern, resp, len(spread))[:, None, None]
        places = holes.gone[:, :, None] * n_features + holes.gone[:, None, :]
        total = np.bincount(places.ravel(), (shares * spread).ravel(), n_features**2)
        return total.reshape(n_features, n_features)

    def colour(self, noise, spread):
        """Return standard normal rows (B, M) with the conditional covariances (B, M, M)."""
        return (np.linalg.cholesky(spread) @ noise[:, :, None])[:, :, 0]


class Factored:
    """Factor analysers: the seen features tell of the factors, these of the missing features.

    With loadings Y whitened by the noise, the factors have precision G = I + Y_o' Y_o given the
    seen features o, and mean inverse(G) Y_o' y_o; the missing ones have loadings W_m G^-1/2.
    """

    def __init__(self, structure, params):
        self.structure, self.params = structure, params
        self.loadings, self.noise = params.covariances[..., :-1], params.covariances[..., -1]

    def part(self, k, holes, known):
        """Return the Part of component `k`."""
        inverse_std, loadings = self.noise[k] ** -0.5, self.loadings[k]
        whitened = loadings * inverse_std[:, None]
        there = whitened[holes.seen]  # (P, O, r)
        precision = np.eye(loadings.shape[1]) + there.swapaxes(1, 2) @ there
        lower = np.linalg.cholesky(precision)
        y = (holes.points - self.params.means[k]) * inverse_std
        y[holes.rows, holes.gone_of_rows] = 0.0
        factors = np.linalg.solve(holes.of_rows(precision), (y @ whitened)[:, :, None])[:, :, 0]
        y -= factors @ whitened.T
        y[holes.rows, holes.gone_of_rows] = 0.0
        distances = np.square(y).sum(axis=1) + np.square(factors).sum(axis=1)
        log_prob = np.log(inverse_std)[holes.seen].sum(axis=1) - _log_diagonal(lower)
        log_prob = holes.of_rows(log_prob - 0.5 * holes.n_seen * LOG_2PI) - 0.5 * distances
        centred = holes.points - self.params.means[k]
        expected = (factors @ loadings.T)[holes.rows, holes.gone_of_rows]
        centred[holes.rows, holes.gone_of_rows] = expected
        turned = np.linalg.solve(lower, loadings[holes.gone].swapaxes(1, 2)).swapaxes(1, 2)
        noise = self.noise[k][holes.gone]
        return Part(log_prob, centred, np.concatenate([turned, noise[:, :, None]], axis=2))

    def total_spread(self, k, spread, holes, resp):
        """Return the sum of r_n times the conditional covariances, as the M-step sees them."""
        shares = np.bincount(holes.pattern, resp, len(spread))[:, None, None]
        factors = self.params.precisions_cholesky[k][
            np.insert(holes.gone, holes.gone.shape[1], -1, 1)
        ]
        values = shares * self.structure.seen(spread, factors)
        total = np.zeros(self.params.covariances.shape[1:])
        np.add.at(total, holes.gone, values)
        return total

    def colour(self, noise, spread):
        """Return standard normal rows (B, M) with the conditional covariances."""
        return self.structure.colour(noise[:, None], self.structure.factor(spread))[:, 0]


def _log_diagonal(factors):
    """Return the sum of logarithms (P,) of each factor's diagonal."""
    return np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)


def completion(structure, params):
    """Return how one set of parameters completes rows: one of the classes above."""
    kinds = {"variances": Independent, "matrix": Correlated, "loadings": Factored}
    return kinds[structure.made_of](structure, params)


class Gap:
    """One block of incomplete rows under one set of parameters.

    Parameters
    ----------
    kind : Independent, Correlated or Factored
    holes : Holes
    """

    def __init__(self, kind, holes):
        self.kind, self.structure, self.params = kind, kind.structure, kind.params
        self.holes, self._known, self._parts = holes, {}, {}

    def part(self, k):
        """Return what component `k` says, remembered for the sums after the densities."""
        if k not in self._parts:
            self._parts[k] = self.kind.part(k, self.holes, self._known)
        return self._parts[k]

    def log_joint(self):
        """Return log pi_k + log N of the seen features alone (K, B)."""
        log_joint = np.stack([self.part(k).log_prob for k in range(len(self.params.means))])
        with np.errstate(divide="ignore"):
            log_joint += np.log(self.params.weights)[:, None]
        return log_joint

    def sums(self, resp, centres):
        """Return counts, first and second sums of the expected points about the centres (K, D)."""
        counts, first = resp.sum(axis=1), np.empty_like(centres)
        second = np.zeros(self.structure.shape(*centres.shape))
        for k, offset in enumerate(self.params.means - centres):
            _, centred, spread = self.part(k)
            centred = (centred + offset).T
            first[k] = centred @ resp[k]
            slot = second[k % len(second)]
            factors = self.params.precisions_cholesky
            slot += self.structure.scatter(centred, resp[k], factors[k % len(factors)])
            slot += self.kind.total_spread(k, spread, self.holes, resp[k])
        return [counts, first, second]

    def mean(self, resp):
        """Return the mean of the missing values (B, M) given the seen ones."""
        return sum(
            resp[k, :, None] * self.expected(k, slice(None)) for k in range(len(self.params.means))
        )

    def draw(self, resp, rng):
        """Return one draw of the missing values (B, M) given the seen ones."""
        labels = (resp.cumsum(axis=0) < rng.uniform(size=resp.shape[1])).sum(axis=0)
        labels = np.minimum(labels, len(resp) - 1)
        drawn = rng.standard_normal(self.holes.gone_of_rows.shape)
        for k in np.unique(labels):
            members = np.flatnonzero(labels == k)
            spread = self.part(k).spread[self.holes.pattern[members]]
            drawn[members] = self.kind.colour(drawn[members], spread) + self.expected(k, members)
        return drawn

    def expected(self, k, members):
        """Return what component `k` expects of the missing values (B, M) of some rows."""
        gone, rows = self.holes.gone_of_rows[members], self.holes.rows[members]
        return self.params.means[k][gone] + self.part(k).centred[rows, gone]
