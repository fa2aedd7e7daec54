"""Where EM over codes and attributes begins, and its loop."""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state

from gmmlearn.ascent import Climb, log_prior, step
from gmmlearn.starts import Labels, blank
from gmmlearn.statistics import Posterior, normalise


def start_labels(codes, attributes, n_components, stratify, random_state):
    """Return starting labels (N,): k-means of the codes inside each stratum.

    Parameters
    ----------
    codes : array (N, D)
        Codes; NaN is missing.
    attributes : dict of str to int array (N,)
        Numbers of levels, -1 where missing.
    n_components : int
        Number of components K, shared out by `apportion`.
    stratify : sequence of str
        Each combination of these attributes' levels is a stratum.
    random_state : int, RandomState or None
        Source of randomness.

    Returns
    -------
    int array (N,)

    Raises
    ------
    ValueError
        If an attribute is unknown, or there are more strata than components.
    """
    strange = sorted(set(stratify) - set(attributes))
    if strange:
        raise ValueError(f"stratify names {strange}, but attributes has {sorted(attributes)}.")
    random_state = check_random_state(random_state)
    filled = np.where(np.isnan(codes), np.nanmean(codes, axis=0), codes)
    keys = np.array([attributes[name] for name in stratify]).reshape(-1, len(codes))
    _, strata = np.unique(keys, axis=1, return_inverse=True)
    strata = strata.ravel()
    labels, first = np.empty(len(codes), int), 0
    for stratum, n_parts in enumerate(apportion(np.bincount(strata), n_components)):
        rows = strata == stratum
        kmeans = KMeans(n_parts, n_init=1, random_state=random_state)
        labels[rows] = first + kmeans.fit(filled[rows]).labels_
        first += n_parts
    return labels


class JointPosterior(Posterior):
    """The E-step over codes and attributes (eq. joint-e-step); remembers the counts for the tables.

    Parameters
    ----------
    posterior : Posterior
        Of the codes alone.
    log_tables : array (K, L)
        Log probability of each level in each component.
    features : array (N, L)
        The attributes, one-hot.
    """

    def __init__(self, posterior, log_tables, features):
        vars(self).update(vars(posterior))
        self.log_tables, self.features, self._counts = log_tables, features, {}

    def respond(self, block, features, Z):
        """Return log p(code, attributes) (B,), and responsibilities (K, B)."""
        return self._finish(block, self.log_joint(features, Z))

    def respond_seen(self, block, gap):
        """Return the same for incomplete rows."""
        return self._finish(block, gap.log_joint())

    def _finish(self, block, log_joint):
        """Add the attributes to log joint densities (K, B) and normalise them."""
        features = self.features[block.rows]
        log_joint += self.log_tables @ features.T
        log_prob = normalise(log_joint)
        # By block: a second sweep over the same rows replaces the first.
        first = block.rows.start if isinstance(block.rows, slice) else int(block.rows[0])
        self._counts[first] = log_joint @ features
        return log_prob, log_joint

    def counts(self):
        """Return the expected counts of each level in each component (K, L)."""
        return sum(self._counts[first] for first in sorted(self._counts))


def climb_jointly(table, settings, n_components, labels, features, smooth):
    """Repeat E-steps and M-steps over both kinds of data until the bound changes little.

    Parameters
    ----------
    table : Table
        The codes.
    settings : Settings
    n_components : int
        Number of components K.
    labels : int array (N,)
        Component of each sample at the start.
    features : array (N, L)
        The attributes, one-hot.
    smooth : callable
        Makes tables (K, L) of expected counts, and their log prior in nats.

    Returns
    -------
    climb : Climb
        Of the Gaussians; the bounds are those of both.
    tables : array (K, L)
        After the last M-step.
    """
    structure = table.structure
    before = blank(table, n_components)
    start = Labels(labels, n_components).begin(structure, before)
    posterior, _ = step(table, start, before, settings)
    tables, table_prior = smooth((labels[:, None] == np.arange(n_components)).T @ features)
    bounds, converged = [], False
    while not converged and len(bounds) < settings.max_iter:
        prior = log_prior(structure, posterior.params, settings) + table_prior
        joint = JointPosterior(posterior, np.log(tables), features)
        posterior, sums = step(table, joint, posterior.params, settings)
        tables, table_prior = smooth(joint.counts())
        bounds.append(float((sums.log_prob + prior) / table.total_weight))
        converged = len(bounds) > 1 and abs(bounds[-1] - bounds[-2]) < settings.tol
    return Climb(posterior.params, bounds, converged), tables


def apportion(sizes, n_parts):
    """Share parts among groups in proportion to their sizes, at least one each.

    Parameters
    ----------
    sizes : int array (G,)
        Sizes of the groups, none of them 0.
    n_parts : int
        Number of parts, at least G.

    Returns
    -------
    int array (G,)
        Summing to `n_parts`; no group has more parts than members if that is possible.

    Raises
    ------
    ValueError
        If there are fewer parts than groups.
    """
    if n_parts < len(sizes):
        raise ValueError(
            f"n_components is {n_parts}, but stratify makes {len(sizes)} combinations. "
            "Use at least one component for each, or stratify by fewer attributes."
        )
    parts = np.ones(len(sizes), int)
    for _ in range(n_parts - len(sizes)):  # the next part goes where the parts are largest
        parts[np.argmax(sizes / parts)] += 1
    return parts
