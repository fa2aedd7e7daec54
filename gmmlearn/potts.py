"""The Potts field: labels of pixels that like to agree, by mean field (chapter 8)."""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax, xlogy

from gmmlearn._validation import as_count, as_nonnegative, as_numbers, as_probabilities


class Segmentation(NamedTuple):
    """What `segment` returns."""

    labels: np.ndarray
    """Most probable label of each pixel, int (H, W)."""
    marginals: np.ndarray
    """Probability of each label at each pixel, (H, W, K)."""
    bounds: list
    """The bound, in nats: of the mixture alone, then after each sweep."""


def segment(log_joint, strength, max_iter=100, tol=1e-6):
    """Label pixels whose neighbours like to agree: a Potts field, mean field (eq. potts-update).

    Parameters
    ----------
    log_joint : array-like (H, W, K)
        log pi_k + log p(pixel | k) for each pixel and label, such as a mixture's `log_joint`.
    strength : float >= 0
        Nats that the field pays for each pair of neighbours (left, right, up, down) that agree.
        0 is the mixture alone.
    max_iter : int >= 1
        Largest number of sweeps; each updates the black fields of a checkerboard, then the white.
    tol : float >= 0
        Stop when a sweep raises the bound by less, in nats per pixel.

    Returns
    -------
    Segmentation
        labels, marginals, bounds.

    Raises
    ------
    ValueError
        If an argument is malformed.

    Notes
    -----
    The bound never falls, but where it ends depends on the mixture it starts from: a field much
    stronger than the colours' evidence freezes the first regions that it meets.

    References
    ----------
    besag1986statistical; bishop2006pattern, section 10.1.

    Examples
    --------
    >>> import numpy as np
    >>> log_joint = np.zeros((3, 3, 2))
    >>> log_joint[..., 0], log_joint[1, 1] = 1.0, [0.0, 1.0]  # the middle pixel disagrees
    >>> segment(log_joint, strength=0.0).labels[1, 1], segment(log_joint, strength=1.0).labels[1, 1]
    (np.int64(1), np.int64(0))
    """
    log_joint = _as_log_joint(log_joint)
    strength, tol = as_nonnegative(strength, "strength"), as_nonnegative(tol, "tol")
    marginals = softmax(log_joint, axis=2)
    bounds = [_bound(log_joint, marginals, strength)]
    black = np.indices(log_joint.shape[:2]).sum(axis=0) % 2 == 0
    for _ in range(as_count(max_iter, "max_iter")):
        # Neighbours have the other colour: all pixels of one colour may change at once.
        for colour in (black, ~black):
            neighbours = neighbour_sum(marginals)[colour]
            marginals[colour] = softmax(log_joint[colour] + strength * neighbours, axis=1)
        bounds.append(_bound(log_joint, marginals, strength))
        if bounds[-1] - bounds[-2] < tol * black.size:
            break
    return Segmentation(marginals.argmax(axis=2), marginals, bounds)


def potts_bound(log_joint, marginals, strength):
    """Return mean field's lower bound on log sum_z exp(score of labelling z) (eq. potts-bound).

    Parameters
    ----------
    log_joint : array-like (H, W, K)
        log pi_k + log p(pixel | k).
    marginals : array-like (H, W, K)
        Probabilities q; each pixel's sum to one.
    strength : float >= 0
        Nats for each pair of neighbours that agree.

    Returns
    -------
    float
        In nats, for the whole picture.
    """
    log_joint = _as_log_joint(log_joint)
    marginals = as_probabilities(marginals, "marginals", f"{log_joint.shape}", n_dims=3)
    if marginals.shape != log_joint.shape:
        raise ValueError(
            f"marginals has shape {marginals.shape}, but log_joint has {log_joint.shape}. "
            "Pass one probability for each pixel and label."
        )
    return _bound(log_joint, marginals, as_nonnegative(strength, "strength"))


def _bound(log_joint, marginals, strength):
    """Return the bound of arrays that are known to fit."""
    pairs = 0.5 * np.sum(marginals * neighbour_sum(marginals))  # each pair is met twice
    alone = np.sum(marginals * log_joint) - xlogy(marginals, marginals).sum()
    return float(alone + strength * pairs)


def neighbour_sum(values):
    """Add up the values left, right, above and below of each pixel; outside there is nothing.

    Parameters
    ----------
    values : array (H, W, ...)
        One value, or several, for each pixel.

    Returns
    -------
    array (H, W, ...)
        Sums over two to four neighbours.
    """
    values = np.asarray(values)
    sums = np.zeros_like(values)
    sums[1:] += values[:-1]
    sums[:-1] += values[1:]
    sums[:, 1:] += values[:, :-1]
    sums[:, :-1] += values[:, 1:]
    return sums


def boundary_length(labels):
    """Count the pairs of neighbouring pixels with different labels.

    Parameters
    ----------
    labels : int array (H, W)
        One label for each pixel.

    Returns
    -------
    int
        Length of all boundaries between regions, in pixel edges.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2:
        raise ValueError(f"labels has shape {labels.shape}, expected (height, width).")
    return int((labels[1:] != labels[:-1]).sum() + (labels[:, 1:] != labels[:, :-1]).sum())


def _as_log_joint(log_joint):
    """Return `log_joint` as a finite array (H, W, K)."""
    return as_numbers(log_joint, "log_joint", 3, "(height, width, n_components)")
