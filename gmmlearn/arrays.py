"""Which kind of array came in, the namespace of its functions, and its way to the host."""

import numpy as np
from array_api_compat import (
    array_namespace,
    device,
    is_array_api_obj,
    is_dask_array,
    is_torch_array,
)

NUMPY, TORCH, DASK = "NumPy", "torch", "Dask"
REFUSED = {
    TORCH: ("low_rank", "missing values"),
    DASK: (),
}
"""What is not done with arrays of a kind; with NumPy arrays everything is."""
HOW_TO_HOST = {TORCH: "X.cpu().numpy()", DASK: "X.compute()"}


def kind_of(X):
    """Return the kind of array that `X` is; whatever else it is, NumPy will read it."""
    if isinstance(X, np.ndarray):
        return NUMPY
    if is_torch_array(X):
        return TORCH
    return DASK if is_dask_array(X) else NUMPY


def require_supported(kind, covariance_type, missing=False):
    """Raise ValueError, naming the combination, if it is not supported."""
    refused = REFUSED.get(kind, ())
    if covariance_type in refused:
        refuse(kind, f"covariance_type={covariance_type!r}")
    if missing and "missing values" in refused:
        refuse(kind, f"missing values (NaN) with covariance_type={covariance_type!r}")


def refuse(kind, what):
    """Raise ValueError: `what` is not done with arrays of this kind."""
    raise ValueError(
        f"X is a {kind} array, and {what} is not supported for those. "
        f"Pass a NumPy array: {HOW_TO_HOST[kind]}."
    )


def namespace(values):
    """Return the module whose functions take `values`."""
    return np if isinstance(values, np.ndarray) else array_namespace(values)


def to_host(values):
    """Return `values`, an array or a nested list of arrays and numbers, as NumPy's."""
    if isinstance(values, list):
        return [to_host(part) for part in values]
    if is_torch_array(values):
        return values.detach().cpu().numpy()
    return np.asarray(values) if is_array_api_obj(values) else values


def empty(shape, like, dtype=None):
    """Return an array to be filled, of the kind and place of `like`; of its type if a tensor."""
    if isinstance(like, np.ndarray):
        return np.empty(shape, dtype or np.float64)
    xp = namespace(like)
    return xp.empty(shape, dtype=getattr(xp, dtype) if dtype else like.dtype, device=device(like))


def move(values, like):
    """Return a NumPy array as an array of the kind and place of `like`; reals of its type too."""
    if isinstance(like, np.ndarray):
        return values
    dtype = like.dtype if values.dtype.kind == "f" else None
    # A copy, because tensors cannot be made of read-only arrays without a warning.
    return namespace(like).asarray(np.array(values), dtype=dtype, device=device(like))


def squared_norms(points):
    """Return |x|^2 (B,) of the columns of `points` (D, B)."""
    if isinstance(points, np.ndarray):
        return np.einsum("db,db->b", points, points)
    return namespace(points).sum(points * points, axis=0)


def multiply_into(out, one, other):
    """Write ``one * other`` into `out`."""
    if isinstance(out, np.ndarray):
        np.multiply(one, other, out=out)
    else:
        out[...] = one * other


def exp_in_place(values):
    """Replace `values` by their exponentials."""
    if isinstance(values, np.ndarray):
        np.exp(values, out=values)
    else:
        values[...] = namespace(values).exp(values)
