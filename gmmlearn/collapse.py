"""Components that collapsed: what they hold on to, told from the data, in whatever units."""

import os
import sys
from pathlib import Path

import numpy as np
import sklearn

MUCH_THINNER = 100.0
"""A component is thin if the whole mixture has this many times its variance in some direction."""
EMPTY = 1e-6
"""Points of which a component has fewer describe nothing."""
ENOUGH_ROWS = 1000
"""Rows of a component that are looked at, beside ten for each feature."""
FLAT = 1e-10
"""Spread, beside the largest, that is only rounding of sums."""
ROUNDING = 16 * np.finfo(np.float64).eps
"""Spread, beside the size of the values, that is only their rounding."""


class CollapsedComponentWarning(UserWarning):
    """A component describes single or duplicate points, or none."""


def collapsed(mixture, table):
    """Return what to warn of, or None: components that are empty, or thin for lack of points.

    Thin means much thinner, in some direction, than the whole mixture. That alone is no fault: a
    tight cluster may be real. It is one if the component has fewer points than its covariance
    needs, or if only `reg_covar` keeps it from being flat and its points do lie in a plane.

    Parameters
    ----------
    mixture : GaussianMixture
        Fitted.
    table : Table
        What it was fitted to.

    Returns
    -------
    str or None
    """
    counts = mixture.weights_ / mixture.weights_.sum() * table.n_samples
    found = {int(k): "empty" for k in np.flatnonzero(counts < EMPTY)}
    structure, params = mixture._structure, mixture._params_in()
    precisions = structure.precision_diagonal(params.precisions_cholesky).sum(axis=1)
    # A variance cannot be below this unless the precisions add up to its inverse.
    at_floor = precisions * 2.0 * mixture.reg_covar >= 1.0
    few = (counts < structure.least_points(table.n_features)) & (mixture.prior_strength == 0)
    suspects = np.flatnonzero((at_floor | few) & (counts >= EMPTY))
    if len(suspects):
        weights = params.weights / params.weights.sum()
        thin, whole = structure.thinnest(params._replace(weights=weights))
        for k in suspects:
            slot = k % len(thin)
            if whole[slot] <= MUCH_THINNER * thin[slot]:
                continue
            if few[k]:
                found[int(k)] = f"on about {max(1, round(counts[k]))} points"
            elif thin[slot] <= 2.0 * mixture.reg_covar:
                reason = _reason(mixture, table, None if structure.shared else k)
                found.update({int(k): reason} if reason else {})
    if not found:
        return None
    names = ", ".join(f"component {k} ({found[k]})" for k in sorted(found))
    return (
        f"Collapsed: {names}. Densities there mean nothing. Use fewer components or another start, "
        "set prior_strength, or raise reg_covar; where a feature has few distinct values, add "
        "noise of their spacing or leave it out."
    )


def _reason(mixture, table, k):
    """Return why the points of component `k` (of all, if None) have no spread, or None if some."""
    X = table.on_host(np.random.RandomState(0)).X
    X = X[~np.isnan(X).any(axis=1)].astype(np.float64)
    labels = mixture.predict(X) if len(X) else np.arange(0)
    members = np.arange(len(X)) if k is None else np.flatnonzero(labels == k)
    if not len(members):
        return "on the points of another component, or on incomplete rows"
    part = _thinned(X[members], ENOUGH_ROWS)
    if len(np.unique(part, axis=0)) == 1:
        return "on a single point or its duplicates"
    whole = _thinned(X - X.mean(axis=0), ENOUGH_ROWS)
    within = _thinned(X - mixture.means_[labels], ENOUGH_ROWS) if k is None else part
    sizes = np.abs(X).max(axis=0)
    if _rank(within, sizes, mixture._structure) < _rank(whole, sizes, mixture._structure):
        return "flat: on duplicate points, or on one value of a discrete feature"
    return None


def _thinned(X, n_rows):
    """Return about `n_rows` rows of `X`, more if it has many features."""
    return X[:: max(1, len(X) // (n_rows + 10 * X.shape[1]))]


def _rank(X, sizes, structure):
    """Return the number of directions that a structure tells apart in which `X` has spread."""
    centred = X - X[0]  # first: the mean of equal values is rounded, their difference is not
    centred -= centred.mean(axis=0)
    spread = np.abs(centred).max(axis=0)
    there = spread > ROUNDING * sizes
    if structure.isotropic or not there.any():
        return int(there.any())
    if structure.made_of != "matrix":
        return int(there.sum())
    rounding = (ROUNDING * sizes[there] / spread[there]).max()
    values = np.linalg.svd(centred[:, there] / spread[there], compute_uv=False)
    return int((values > max(FLAT, rounding) * values[0]).sum())


def user_level():
    """Return the `stacklevel` for which the caller's warning points at the line of the user."""
    inside = tuple(str(Path(path).parent) + os.sep for path in (__file__, sklearn.__file__))
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(inside):
        frame, level = frame.f_back, level + 1
    return level
