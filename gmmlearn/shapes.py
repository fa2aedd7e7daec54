"""Data sets in the plane whose groups are no Gaussians: bent arms, crescents, rings of rings."""

import numpy as np

from gmmlearn._validation import as_count, as_nonnegative, as_rng
from gmmlearn.datasets import Labelled


def pinwheel(n_samples, rng=None, n_arms=5, radial_std=0.3, tangential_std=0.05, bend=0.25):
    """Draw points from Gaussian arms around a hub, bent (johnson2016composing's pinwheel).

    An arm is a Gaussian of mean (1, 0), long in the first direction and thin in the second; its
    point (u, v) is then turned about the origin by the arm's angle plus ``bend * exp(u)``.

    Parameters
    ----------
    n_samples : int >= 1
        Number of points N.
    rng : numpy Generator, int or None
        Source of randomness.
    n_arms : int >= 1
        Number of arms, equally likely.
    radial_std, tangential_std : float >= 0
        Standard deviations along an arm and across it, before it is bent.
    bend : float >= 0
        In radians; 0 leaves the arms Gaussian.

    Returns
    -------
    Labelled
        X (N, 2) and the arm of each point.

    References
    ----------
    johnson2016composing.

    Examples
    --------
    >>> X, labels = pinwheel(1000, rng=0)
    >>> X.shape, int(labels.max())
    ((1000, 2), 4)
    """
    n_arms, bend = as_count(n_arms, "n_arms"), as_nonnegative(bend, "bend")
    radial_std = as_nonnegative(radial_std, "radial_std")
    tangential_std = as_nonnegative(tangential_std, "tangential_std")
    labels, rng = _labels(n_samples, n_arms, rng)
    u = 1.0 + radial_std * rng.standard_normal(len(labels))
    v = tangential_std * rng.standard_normal(len(labels))
    along = _on_circle(2.0 * np.pi * labels / n_arms + bend * np.exp(u))
    across = along[:, ::-1] * [-1.0, 1.0]
    return Labelled(u[:, None] * along + v[:, None] * across, labels)


def crescents(n_samples, rng=None, std=0.05):
    """Draw points around two half circles of radius 1 that reach into each other.

    The curves are those of scikit-learn's ``make_moons``. That places its points at equal steps
    along them, so that two of its samples are more alike than independent ones; here the places are
    random.

    Parameters
    ----------
    n_samples : int >= 1
        Number of points N.
    rng : numpy Generator, int or None
        Source of randomness.
    std : float >= 0
        Standard deviation of the noise, in both directions.

    Returns
    -------
    Labelled
        X (N, 2) and the crescent of each point: 0 is the upper one, around the origin, 1 the lower
        one, around (1, 0.5).

    Examples
    --------
    >>> X, labels = crescents(1000, rng=0, std=0)
    >>> np.allclose(np.hypot(*X[labels == 0].T), 1.0)
    True
    """
    std = as_nonnegative(std, "std")
    labels, rng = _labels(n_samples, 2, rng)
    angles = np.pi * (rng.random(len(labels)) + labels)  # the lower half is the second
    curve = np.column_stack([np.cos(angles), np.sin(angles)]) + labels[:, None] * [1.0, 0.5]
    return Labelled(curve + std * rng.standard_normal(curve.shape), labels)


def rings(n_samples, rng=None, n_rings=6, radius=0.35, std=0.03):
    """Draw points around small circles, whose centres stand on the unit circle: a ring of rings.

    Parameters
    ----------
    n_samples : int >= 1
        Number of points N.
    rng : numpy Generator, int or None
        Source of randomness.
    n_rings : int >= 1
        Number of small circles, equally likely.
    radius : float >= 0
        Of the small circles.
    std : float >= 0
        Standard deviation of the noise, in both directions.

    Returns
    -------
    Labelled
        X (N, 2) and the small circle of each point.

    Examples
    --------
    >>> X, labels = rings(1000, rng=0, std=0)
    >>> np.allclose(np.hypot(*(X[labels == 0] - [1.0, 0.0]).T), 0.35)
    True
    """
    n_rings, std = as_count(n_rings, "n_rings"), as_nonnegative(std, "std")
    radius = as_nonnegative(radius, "radius")
    labels, rng = _labels(n_samples, n_rings, rng)
    curve = _on_circle(2.0 * np.pi * labels / n_rings)
    curve += radius * _on_circle(2.0 * np.pi * rng.random(len(labels)))
    return Labelled(curve + std * rng.standard_normal(curve.shape), labels)


def _labels(n_samples, n_groups, rng):
    """Return equally likely groups (N,), and the generator that drew them."""
    n_samples, rng = as_count(n_samples, "n_samples"), as_rng(rng)
    return rng.integers(n_groups, size=n_samples), rng


def _on_circle(angles):
    """Return the points (N, 2) of the unit circle at angles (N,)."""
    return np.column_stack([np.cos(angles), np.sin(angles)])
