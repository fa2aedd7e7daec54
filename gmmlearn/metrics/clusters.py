"""Do clusters found without labels agree with classes?"""

import numpy as np
from scipy.optimize import linear_sum_assignment


def clustering_accuracy(labels, clusters):
    """Return the share of samples that are right when clusters are named in the best way.

    Each cluster is the name of at most one class and each class has at most one cluster; among all
    such namings, the assignment problem finds the one that is right most often (kuhn1955hungarian).
    With as many clusters as samples it is therefore low, unlike purity.

    Parameters
    ----------
    labels : int array-like (N,)
        True classes.
    clusters : int array-like (N,)
        The cluster of each sample; any numbers, in any order.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If there are no samples, the lengths differ, or an entry is no whole number.

    References
    ----------
    kuhn1955hungarian.

    Examples
    --------
    >>> clustering_accuracy([0, 0, 1, 1], [7, 7, 3, 7])
    0.75
    """
    classes, clusters = _as_names(labels, "labels"), _as_names(clusters, "clusters")
    if len(classes) != len(clusters):
        raise ValueError(
            f"labels has {len(classes)} entries, clusters {len(clusters)}. Pass one each for every "
            "sample."
        )
    together = np.zeros((classes.max() + 1, clusters.max() + 1))
    np.add.at(together, (classes, clusters), 1)
    return float(together[linear_sum_assignment(together, maximize=True)].sum() / len(classes))


def _as_names(values, name):
    """Return whole numbers (N,) renumbered from 0 without gaps."""
    values = np.asarray(values)
    if values.ndim != 1 or values.dtype.kind not in "iu" or values.size == 0:
        raise ValueError(
            f"{name} must be whole numbers of shape (n_samples,), got {values.dtype} of shape "
            f"{values.shape}. Responsibilities? Use resp.argmax(axis=1)."
        )
    return np.unique(values, return_inverse=True)[1]
