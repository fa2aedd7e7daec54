"""Turn what a user passes into fresh arrays, or say what is wrong with it and how to mend it.

Every function returns a new float64 array (or leaves a float64 array as it is, never writing to
it) and raises ``ValueError`` with the argument's name, the fault and the cure.
"""

import operator

import numpy as np
from scipy.linalg.lapack import dtrtri

EPS = np.finfo(np.float64).eps
ROUNDING_SHARE = 32 * EPS
"""Share of a feature's variance, for each feature, that is only rounding if no more is its own."""
ESTIMATED = 2.0
"""How much more an estimate must have, so that whatever is derived from it has enough."""


def as_numbers(values, name, n_dims, shape_hint):
    """Return `values` as a finite float64 array with `n_dims` axes, none of them empty."""
    try:
        raw = np.asarray(values)
        if raw.dtype.kind == "c":
            raise TypeError("complex numbers")
        array = raw.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} cannot be read as an array of real numbers ({error}). "
            f"Pass numbers of shape {shape_hint}."
        ) from None
    if array.ndim != n_dims:
        cure = " One feature? Use X.reshape(-1, 1)." if (array.ndim, n_dims) == (1, 2) else ""
        raise ValueError(f"{name} has shape {array.shape}, expected {shape_hint}.{cure}")
    if array.size == 0:
        raise ValueError(f"{name} is empty (shape {array.shape}). Pass at least one number.")
    if not np.isfinite(array).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        kind = "NaN" if np.isnan(array[first]) else "infinity"
        raise ValueError(
            f"{name} contains {kind}, first at index {first}. "
            "Remove or replace such values: np.isfinite finds them."
        )
    return array


def as_points(X, n_features=None, name="X"):
    """Return `X` as points, shape (N, D)."""
    X = as_numbers(X, name, 2, "(n_samples, n_features)")
    if n_features is not None and X.shape[1] != n_features:
        raise ValueError(
            f"{name} has {X.shape[1]} features, expected {n_features}. "
            f"Pass an array of shape (n_samples, {n_features})."
        )
    return X


def as_probabilities(values, name, shape_hint="(n_components,)", n_dims=1):
    """Return `values` as probabilities that sum to one along the last axis."""
    values = as_numbers(values, name, n_dims, shape_hint)
    if (values < 0).any():
        raise ValueError(f"{name} contains a negative number ({values.min():g}). Use values >= 0.")
    totals = values.sum(axis=-1)
    if not np.allclose(totals, 1.0, rtol=0.0, atol=1e-8):
        worst = totals.flat[np.argmax(np.abs(totals - 1.0))]
        raise ValueError(
            f"{name} sums to {worst:.10g}, expected 1. "
            "Divide by the sum: values / values.sum(axis=-1, keepdims=True)."
        )
    return values


def as_responsibilities(resp, n_samples, n_components=None):
    """Return `resp` as responsibilities, shape (N, K); each row sums to one."""
    resp = as_probabilities(resp, "resp", "(n_samples, n_components)", n_dims=2)
    expected = (n_samples, resp.shape[1] if n_components is None else n_components)
    if resp.shape != expected:
        raise ValueError(
            f"resp has shape {resp.shape}, expected {expected}: one row for each sample of X and "
            "one column for each component."
        )
    return resp


def as_covariance(covariance, n_features, name="covariance"):
    """Return `covariance` (D, D) and its lower Cholesky factor (D, D)."""
    covariance = as_numbers(covariance, name, 2, f"({n_features}, {n_features})")
    if covariance.shape != (n_features, n_features):
        raise ValueError(
            f"{name} has shape {covariance.shape}, expected ({n_features}, {n_features}): "
            "one row and one column for each feature of the mean."
        )
    if not np.allclose(covariance, covariance.T, rtol=1e-8, atol=1e-12 * np.abs(covariance).max()):
        raise ValueError(f"{name} is not symmetric. Average it with its transpose: (C + C.T) / 2.")
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        factor = None
    if factor is None or not are_definite(covariance[None], dtrtri(factor, lower=1)[0].T[None])[0]:
        raise _not_definite(name, covariance)
    return covariance, factor


def _not_definite(name, covariance):
    """Return the error that a covariance is singular, up to rounding."""
    smallest = np.linalg.eigvalsh(covariance)[0]
    return ValueError(
        f"{name} is not positive definite (smallest eigenvalue {smallest:.3g}). Some direction "
        "has no spread: remove constant or duplicate features, use more samples or fewer "
        "components, or raise reg_covar, which adds a small variance to the diagonal."
    )


def are_definite(covariances, factors, margin=1.0):
    """Return which covariances (K, D, D) are positive definite beyond float64's rounding.

    A singular covariance, once computed, may come out slightly positive definite: its density would
    be huge and meaningless. So each feature must have a share of its variance that the others do
    not explain. It is one over the variance inflation factor, has no units, and never falls if some
    of the other features are left out, or given: marginals and conditionals of a definite
    covariance are definite.

    Parameters
    ----------
    covariances : array (K, D, D)
    factors : array (K, D, D)
        Upper U with inverse(covariance) = U U'; NaN if there is none.
    margin : float
        `ESTIMATED` for what was estimated from data.
    """
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    own = 1.0 / (variances * np.square(factors).sum(axis=2))
    return (own > margin * ROUNDING_SHARE * own.shape[1]).all(axis=1)


def require_spread(covariance, mean, name):
    """Raise if a feature, estimated from data, has no more spread than rounding of its values."""
    if (np.sqrt(np.diagonal(covariance)) <= 32 * EPS * np.abs(mean)).any():
        raise _not_definite(name, covariance)


def as_cholesky(factor, n_features, name="covariance_cholesky"):
    """Return `factor` (D, D) if it is lower triangular with a positive diagonal."""
    factor = as_numbers(factor, name, 2, f"({n_features}, {n_features})")
    shape_fits = factor.shape == (n_features, n_features)
    if not shape_fits or np.triu(factor, 1).any() or (np.diagonal(factor) <= 0).any():
        raise ValueError(
            f"{name} of shape {factor.shape} is not a lower Cholesky factor of shape "
            f"({n_features}, {n_features}). Pass np.linalg.cholesky(covariance)."
        )
    return factor


def as_features(features, n_features, name="features", leave_some=False):
    """Return `features` as distinct indices in [0, D), in the order given, shape (F,)."""
    chosen = np.asarray(features)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or chosen.size == 0:
        raise ValueError(
            f"{name} must be a non-empty list of feature indices such as [0, 2], got {features!r}."
        )
    if chosen.min() < 0 or chosen.max() >= n_features:
        raise ValueError(
            f"{name} contains an index outside 0..{n_features - 1}: {chosen.tolist()}. "
            f"The distribution has {n_features} features."
        )
    if np.unique(chosen).size != chosen.size:
        raise ValueError(f"{name} names a feature twice: {chosen.tolist()}. Name each once.")
    if leave_some and chosen.size == n_features:
        raise ValueError(
            f"{name} names all {n_features} features; nothing is left to describe. Name fewer."
        )
    return chosen


def as_count(value, name, at_least=1):
    """Return `value` as an int that is not below `at_least`."""
    try:
        count = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be a whole number, got {value!r}.") from None
    if count < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {count}.")
    return count


def as_nonnegative(value, name):
    """Return `value` as a finite float that is not below zero."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, got {value!r}.") from None
    if not (np.isfinite(number) and number >= 0):
        raise ValueError(f"{name} must be a finite number >= 0, got {value!r}.")
    return number


def as_level(value, name, usual):
    """Return `value` as a float strictly between 0 and 1."""
    try:
        level = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, got {value!r}. {usual} is usual.") from None
    if not 0.0 < level < 1.0:
        raise ValueError(f"{name} must lie between 0 and 1, got {value!r}. {usual} is usual.")
    return level


def as_rng(rng):
    """Return a numpy Generator made from a Generator, an integer seed, or None (fresh entropy)."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"rng must be a numpy.random.Generator, a whole number >= 0 or None, got {rng!r} "
            f"({error})."
        ) from None


def frozen(array):
    """Return a read-only copy of `array`."""
    copy = np.array(array)
    copy.flags.writeable = False
    return copy


def require_samples(X, at_least, name, purpose, cure):
    """Raise ValueError if `X` has fewer rows than `purpose` takes."""
    if len(X) < at_least:
        raise ValueError(
            f"{name} has {len(X)} sample{'s' * (len(X) != 1)}, but {purpose} takes at least "
            f"{at_least}. {cure}."
        )


def as_picture(image, name="image", slack=0.0, size=1):
    """Return `image` as float64 (H, W) or (H, W, 3) in [0, 1], give or take `slack`."""
    colour = np.ndim(image) == 3
    try:
        holes = bool(np.isnan(np.asarray(image, dtype=np.float64)).any())
    except (TypeError, ValueError):
        holes = False  # no numbers: said below
    if holes:
        raise ValueError(
            f"{name} contains NaN. Fill such pixels with any number and say where they are: "
            "inpaint(image, mask, prior) with mask = np.isnan(image)."
        )
    shape_hint = "(height, width) or (height, width, 3)"
    image = as_numbers(image, name, 3 if colour else 2, shape_hint)
    if colour and image.shape[2] != 3:
        raise ValueError(f"{name} has shape {image.shape}, expected {shape_hint}.")
    if min(image.shape[:2]) < size:
        raise ValueError(
            f"{name} of {image.shape[0]} x {image.shape[1]} pixels is smaller than a patch of "
            f"{size} x {size}. Pass a larger picture, or use smaller patches."
        )
    low, high = image.min(), image.max()
    if low < -slack or high > 1.0 + slack:
        raise ValueError(
            f"{name} has values from {low:.3g} to {high:.3g}, expected pixels in [0, 1]"
            f"{' plus noise' if slack else ''}. Grey levels 0..255? Divide by 255."
        )
    return image


def as_positive(value, name):
    """Return `value` as a finite float above zero."""
    number = as_nonnegative(value, name)
    if number == 0.0:
        raise ValueError(f"{name} must be a finite number > 0, got {value!r}.")
    return number


def as_mask(mask, shape, name="mask"):
    """Return `mask` as booleans of `shape` with at least one False."""
    mask = np.asarray(mask)
    if mask.shape != tuple(shape) or mask.dtype != bool:
        raise ValueError(
            f"{name} must be booleans of shape {tuple(shape)}, True where a pixel is missing, got "
            f"{mask.dtype} of shape {mask.shape}. From numbers: mask > 0."
        )
    if mask.all():
        raise ValueError(f"{name} says that every pixel is missing. Leave some to learn from.")
    return mask
