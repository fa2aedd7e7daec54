"""Batches: data as tensors on a device, drawn in an order that a seed and an epoch settle."""

import hashlib
import itertools

import numpy as np
import torch

from gmmlearn._validation import as_count


def as_data(X, dtype):
    """Return data as tensors that share their first axis.

    Parameters
    ----------
    X : array or tensor (N, ...), or a tuple of such
    dtype : torch.dtype
        What floating-point numbers become; whole numbers and booleans stay as they are.

    Returns
    -------
    tuple of tensor

    Raises
    ------
    ValueError
        If X has no rows, holds NaN or infinity, or its parts differ in length.
    """
    parts = X if isinstance(X, tuple) else (X,)
    names = [f"X[{i}]" if isinstance(X, tuple) else "X" for i in range(len(parts))]
    tensors = tuple(_as_tensor(*pair, dtype) for pair in zip(parts, names, strict=True))
    if not tensors:
        raise ValueError("X is an empty tuple. Pass at least one array.")
    lengths = [len(tensor) for tensor in tensors]
    if len(set(lengths)) > 1:
        raise ValueError(f"X holds parts of {lengths} rows. Pass parts of the same length.")
    return tensors


def _as_tensor(values, name, dtype):
    """Return `values` (N, ...) as a tensor of finite numbers."""
    try:
        if not isinstance(values, torch.Tensor):
            values = torch.from_numpy(np.array(values, order="C"))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be read as an array of numbers ({error}).") from None
    if values.ndim == 0 or values.numel() == 0:
        raise ValueError(
            f"{name} has shape {tuple(values.shape)}, expected (n_samples, ...) with at least one "
            "sample."
        )
    if values.is_complex():
        raise ValueError(f"{name} holds complex numbers. Pass real ones, such as both parts.")
    if not values.is_floating_point():
        return values.detach()
    finite = values.isfinite()
    if not finite.all():
        first = tuple((~finite).nonzero()[0].tolist())
        kind = "NaN" if values[first].isnan() else "infinity"
        raise ValueError(
            f"{name} contains {kind}, first at index {first}. Remove or replace such values: "
            "np.isfinite finds them."
        )
    return values.detach().to(dtype)


def as_batch_size(batch_size, n_samples):
    """Return `batch_size` if batches of that size can be drawn."""
    batch_size = as_count(batch_size, "batch_size")
    if batch_size == 1:
        raise ValueError(
            "batch_size is 1: a batch of one has no spread, and its gradient is mostly noise. Use "
            "at least 2; 32 to 256 are usual."
        )
    if batch_size > n_samples:
        raise ValueError(
            f"batch_size is {batch_size}, but X has only {n_samples} samples. Use at most "
            f"{n_samples}."
        )
    return batch_size


def draw_batches(data, batch_size, seed, first_step=0):
    """Draw batches without end.

    In an epoch every sample comes at most once, in a new order; the few that fill no batch sit out,
    others each time. An epoch's order depends on the seed and its number alone, so that a run can
    be taken up at any step.

    Parameters
    ----------
    data : tuple of tensor
        From `as_data`.
    batch_size : int
    seed : int
    first_step : int
        Batches before this one are left out.

    Yields
    ------
    tuple of tensor
        Copies of rows, (batch_size, ...) each.
    """
    n_samples, device = len(data[0]), data[0].device
    per_epoch = n_samples // batch_size
    first_epoch, first_batch = divmod(first_step, per_epoch)
    generator = torch.Generator()
    for epoch in itertools.count(first_epoch):
        generator.manual_seed(seed + epoch)
        order = torch.randperm(n_samples, generator=generator)[: per_epoch * batch_size]
        rows_of_batches = order.to(device).view(per_epoch, batch_size).unbind()
        for rows in rows_of_batches[first_batch:]:
            yield tuple([part.index_select(0, rows) for part in data])
        first_batch = 0


def describe_data(data):
    """Return shape, type and a short hash of data, to know them again.

    Parameters
    ----------
    data : tuple of tensor

    Returns
    -------
    str
        Of large data every n-th number is looked at, a million in all.
    """
    described = []
    for part in data:
        numbers = part.reshape(-1)[:: max(1, part.numel() >> 20)].contiguous().cpu()
        digest = hashlib.blake2b(numbers.view(torch.uint8).numpy(), digest_size=6).hexdigest()
        kind = str(part.dtype).removeprefix("torch.")
        described.append(f"{kind} {tuple(part.shape)} {digest}")
    return ", ".join(described)
