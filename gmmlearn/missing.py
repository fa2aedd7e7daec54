"""Missing values: what the seen features say of the others, one pattern at a time.

EM on incomplete rows replaces a missing value neither by a mean nor by a guess: each component adds
its conditional expectation to the first sums, and its conditional covariance, the correction, to
the second (little2019statistical, chapter 11).
"""

import numpy as np

from gmmlearn.gaussian import LOG_2PI


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


class Gap:
    """One pattern of missing values under one set of parameters.

    Parameters
    ----------
    structure : a structure of `covariance`
    params : Parameters
        In the frame of the data.
    seen : int array (O,)
        The features that are there.
    """

    def __init__(self, structure, params, seen):
        self.structure, self.params, self.seen = structure, params, seen
        self.gone = np.setdiff1d(np.arange(params.means.shape[1]), seen)
        self.factors, self.gain, self.residual = structure.split(params, seen, self.gone)

    def log_joint(self, Z_seen):
        """Return log pi_k + log N of the seen features alone (K, B), for points (O, B)."""
        weights, means = self.params[:2]
        n_seen = len(self.seen)
        log_det = self.structure.log_det_precision(self.factors, n_seen)
        with np.errstate(divide="ignore"):
            constant = np.log(weights) + log_det - 0.5 * n_seen * LOG_2PI
        distances = [
            self.structure.mahalanobis(
                Z_seen - mean[self.seen, None], self.factors[k % len(self.factors)]
            )
            for k, mean in enumerate(means)
        ]
        return constant[:, None] - 0.5 * np.stack(distances)

    def complete(self, k, Z_seen):
        """Return the expected points (D, B) under component `k`."""
        mean = self.params.means[k]
        points = np.empty((len(mean), Z_seen.shape[1]))
        points[self.seen] = Z_seen
        points[self.gone] = mean[self.gone, None]
        if self.gain is not None:
            gain = self.gain[k % len(self.gain)]
            points[self.gone] += gain @ (Z_seen - mean[self.seen, None])
        return points

    def sums(self, Z_seen, resp, centres):
        """Return counts, first and second sums of the expected points about the centres (K, D)."""
        counts, first = resp.sum(axis=1), np.empty_like(centres)
        second = np.zeros(self.structure.shape(*centres.shape))
        for k, centre in enumerate(centres):
            centred = self.complete(k, Z_seen) - centre[:, None]
            first[k] = centred @ resp[k]
            slot = k % len(second)
            second[slot] += self.structure.scatter(centred, resp[k])
            residual = counts[k] * self.residual[k % len(self.residual)]
            self.structure.add_residual(second[slot], self.gone, residual)
        return [counts, first, second]

    def mean(self, Z_seen, resp):
        """Return the mean of the missing values (M, B) given the seen ones."""
        parts = [self.complete(k, Z_seen)[self.gone] for k in range(len(resp))]
        return np.einsum("kb,kmb->mb", resp, np.stack(parts))

    def draw(self, Z_seen, resp, rng):
        """Return one draw of the missing values (M, B) given the seen ones."""
        labels = (resp.cumsum(axis=0) < rng.uniform(size=resp.shape[1])).sum(axis=0)
        labels = np.minimum(labels, len(resp) - 1)
        noise = rng.standard_normal((len(self.gone), len(labels)))
        for k in np.unique(labels):
            members = labels == k
            root = self.structure.residual_root(self.residual[k % len(self.residual)])
            spread = self.structure.colour(noise[:, members].T, root).T
            noise[:, members] = self.complete(k, Z_seen[:, members])[self.gone] + spread
        return noise
