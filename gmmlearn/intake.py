"""What a user passes becomes rows of a supported kind, their weights, and a Table of them."""

import numpy as np
from sklearn.utils.validation import validate_data

from gmmlearn._validation import as_numbers
from gmmlearn.arrays import DASK, NUMPY, TORCH, kind_of, move, namespace, require_supported, to_host
from gmmlearn.table import Table


def tabulate(X, *arguments, **settings):
    """Return the Table for the kind of `X`; arguments as of `Table`."""
    kind = kind_of(X)
    if kind == TORCH:
        from gmmlearn.device import DeviceTable

        return DeviceTable(X, *arguments, **settings)
    if kind == DASK:
        from gmmlearn.cluster import ChunkedTable

        return ChunkedTable(X, *arguments, **settings)
    return Table(X, *arguments, **settings)


def points(mixture, X, reset=False):
    """Return `X` as an array (N, D) of its kind, checked against what `mixture` knows or learns.

    NaN is missing, where that is supported.
    """
    kind, needed = kind_of(X), 2 if reset else 1
    require_supported(kind, mixture.covariance_type)
    if kind == NUMPY:
        return validate_data(
            mixture,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            ensure_min_samples=needed,
        )
    X = _tensor(X) if kind == TORCH else _chunked(X)
    if X.ndim != 2:
        raise ValueError(
            f"X has shape {tuple(X.shape)}, expected (n_samples, n_features). Reshape your data: "
            "X.reshape(-1, 1) if there is one feature."
        )
    validate_data(mixture, X, reset=reset, skip_check_array=True)
    if X.shape[0] < needed or X.shape[1] < 1:
        raise ValueError(
            f"Found array with {X.shape[0]} sample(s) and {X.shape[1]} feature(s) while a minimum "
            f"of {needed} and 1 is required. Pass more."
        )
    return _finite(mixture, X) if kind == TORCH else _whole_rows(X)


def _tensor(X):
    """Return a tensor that takes no part in gradients, of a type that is computed in."""
    xp = namespace(X)
    if X.dtype not in (xp.float32, xp.float64):
        raise ValueError(
            f"X is a torch array of {X.dtype}, which is not supported. Pass float64 or float32: "
            "X.double() or X.float()."
        )
    return X.detach()


def _finite(mixture, X):
    """Return the tensor `X`, or raise if a number is missing or infinite."""
    xp = namespace(X)
    if not bool(xp.all(xp.isfinite(X))):
        require_supported(TORCH, mixture.covariance_type, missing=bool(xp.any(xp.isnan(X))))
        raise ValueError("X contains infinity. Remove or replace such values.")
    return X


def _chunked(X):
    """Return a Dask array of NumPy's real numbers."""
    if not isinstance(X._meta, np.ndarray) or X.dtype.kind not in "fiub":
        raise ValueError(
            f"X is a Dask array of {type(X._meta).__name__} of {X.dtype}, which is not supported. "
            "Pass chunks of NumPy arrays of real numbers: X.map_blocks(np.asarray, dtype=float)."
        )
    return X if X.dtype in (np.float64, np.float32) else X.astype(np.float64)


def _whole_rows(X):
    """Return the Dask array `X`, or raise unless its chunks are of whole rows of known number."""
    if np.isnan(X.shape[0]):
        raise ValueError(
            "X is a Dask array that does not know its number of rows. Use X.compute_chunk_sizes()."
        )
    if X.numblocks[1] > 1:
        raise ValueError(
            f"X is a Dask array with {X.numblocks[1]} chunks of columns, but a point must lie in "
            "one chunk. Use X.rechunk({1: -1})."
        )
    return X


def rows(mixture, X, sample_weight, reset=True):
    """Return rows (N, D), and their weights (N,) or None; those of no weight may be left out."""
    X = points(mixture, X, reset)
    mixture._structure.require(X.shape[1])
    weight = None if sample_weight is None else weight_for(X, sample_weight)
    kind, n_samples = kind_of(X), X.shape[0]
    if weight is not None and kind != DASK:
        xp = namespace(X)
        kept = np.flatnonzero(to_host(weight > 0))
        if len(kept) < n_samples:
            kept, n_samples = move(kept, like=X), len(kept)
            X, weight = xp.take(X, kept, axis=0), xp.take(weight, kept, axis=0)
    if reset and n_samples < mixture.n_components:
        raise ValueError(
            f"n_components is {mixture.n_components}, but X has only n_samples = {n_samples} rows "
            "(of positive weight). Use at most one component for each."
        )
    return X, weight


def weight_for(X, sample_weight):
    """Return `sample_weight` as an array (N,) of the kind, place and chunks of `X`."""
    kind, n_samples = kind_of(X), X.shape[0]
    if kind != DASK:
        return move(as_weight(to_host(sample_weight), n_samples), like=X)
    import dask.array

    if kind_of(sample_weight) != DASK:
        sample_weight = dask.array.from_array(as_weight(sample_weight, n_samples))
    if sample_weight.shape != (n_samples,):
        raise ValueError(
            f"sample_weight has shape {sample_weight.shape}, but X has {n_samples} rows. "
            "Pass one each."
        )
    return sample_weight.astype(np.float64).rechunk((X.chunks[0],))


def as_weight(sample_weight, n_samples):
    """Return `sample_weight` as an array (N,) of numbers >= 0, not all 0."""
    weight = as_numbers(sample_weight, "sample_weight", 1, "(n_samples,)")
    if len(weight) != n_samples:
        raise ValueError(
            f"sample_weight has {len(weight)} entries, but X has {n_samples} rows. Pass one each."
        )
    if (weight < 0).any():
        raise ValueError(
            f"sample_weight has a negative entry ({weight.min():g}). Use 0 for rows to leave out."
        )
    if not weight.any():
        raise ValueError("sample_weight is zero everywhere. Give some row a positive weight.")
    return weight
