"""Where EM begins: starting responsibilities, the same as scikit-learn's for the same seed."""

import numpy as np

from gmmlearn.covariance import Parameters
from gmmlearn.missing import Gap


class _Start:
    """Responsibilities that no parameters made; takes the place of a Posterior in `sweep`."""

    exact = np.arange(0)
    natural = ()

    def begin(self, structure, params):
        """Remember the parameters that fill missing values, before there are better ones."""
        self.structure, self.params = structure, params
        return self

    def gap(self, block):
        """Return what an incomplete block needs."""
        return Gap(self.structure, self.params, block.seen)

    def respond_seen(self, block, gap, Z_seen):
        """Return 0 and the responsibilities (K, B) of incomplete rows."""
        return self.respond(block, None, Z_seen)

    def outside(self, table):
        """Return 0: nothing was left out of log p(x), which is not known yet."""
        return 0.0


class Labels(_Start):
    """Each point belongs to one component."""

    def __init__(self, labels, n_components):
        self.labels, self.n_components = labels, n_components

    def respond(self, block, features, Z):
        """Return 0 and responsibilities (K, B) of zero and one."""
        members = self.labels[block.rows] == np.arange(self.n_components)[:, None]
        return 0.0, members.astype(float)


class Soft(_Start):
    """Responsibilities drawn uniformly."""

    def __init__(self, resp):
        self.resp = resp

    def respond(self, block, features, Z):
        """Return 0 and responsibilities (K, B)."""
        return 0.0, np.ascontiguousarray(self.resp[block.rows].T)


class Single(_Start):
    """Component k belongs to one point; the other points to none."""

    def __init__(self, indices, weight):
        self.indices = indices
        # A sweep multiplies by the row's weight; one point counts once whatever its weight.
        self.shares = np.ones(len(indices)) if weight is None else 1.0 / weight[indices]

    def respond(self, block, features, Z):
        """Return 0 and responsibilities (K, B), one entry for each component overall."""
        rows = block.rows
        rows = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        return 0.0, (rows == self.indices[:, None]) * self.shares[:, None]


def by_kmeans(X, n_components, weight, random_state):
    """Start from the clusters of one run of k-means."""
    from sklearn.cluster import KMeans

    kmeans = KMeans(n_components, n_init=1, random_state=random_state)
    return Labels(kmeans.fit(X, sample_weight=weight).labels_, n_components)


def by_random(X, n_components, weight, random_state):
    """Start from random responsibilities."""
    resp = random_state.uniform(size=(len(X), n_components))
    resp /= resp.sum(axis=1)[:, None]
    return Soft(resp)


def by_random_points(X, n_components, weight, random_state):
    """Start from K different points."""
    chance = None if weight is None else weight / weight.sum()
    return Single(random_state.choice(len(X), n_components, replace=False, p=chance), weight)


def by_kmeans_plusplus(X, n_components, weight, random_state):
    """Start from K points far apart."""
    from sklearn.cluster import kmeans_plusplus

    _, indices = kmeans_plusplus(X, n_components, sample_weight=weight, random_state=random_state)
    return Single(indices, weight)


STARTS = {
    "kmeans": by_kmeans,
    "k-means++": by_kmeans_plusplus,
    "random": by_random,
    "random_from_data": by_random_points,
}


def blank(table, n_components):
    """Return one broad Gaussian over all data, K times: what a component without points keeps."""
    structure, n_features = table.structure, table.n_features
    variances = np.where(table.variance > 0, table.variance, 1.0)
    n_covariances = structure.shape(n_components, n_features)[0]
    covariances = structure.from_variances(np.tile(variances, (n_covariances, 1)))
    return Parameters(
        np.full(n_components, 1.0 / n_components),
        np.zeros((n_components, n_features)),
        covariances,
        structure.factor(covariances),
    )
