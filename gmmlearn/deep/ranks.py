"""Several processes that train one model: each takes a share of the batch, all take one step.

Without `joined`, or in a process that torchrun did not start, everything here does nothing.
"""

import contextlib
import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel


@contextlib.contextmanager
def joined():
    """Join the processes that ``torchrun`` started, for a while; alone, change nothing.

    Gloo joins processors, NCCL cards of CUDA: the process with local rank r takes card r.

    Examples
    --------
    >>> with joined():
    ...     share(torch.arange(4))
    tensor([0, 1, 2, 3])
    """
    if "RANK" not in os.environ or dist.is_initialized():
        yield
        return
    on_cuda = torch.cuda.is_available()
    if on_cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if on_cuda else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def n_ranks():
    """Return how many processes train together; 1 alone."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first():
    """Return whether this process writes files and shows bars."""
    return not dist.is_initialized() or dist.get_rank() == 0


def wait():
    """Wait until all processes are here."""
    if n_ranks() > 1:
        dist.barrier()


def require_shares(batch_size):
    """Raise unless a batch can be split evenly: a mean of means is the mean of equal shares only.

    Parameters
    ----------
    batch_size : int
    """
    if batch_size % n_ranks():
        raise ValueError(
            f"batch_size is {batch_size}, which {n_ranks()} processes cannot share evenly. Use a "
            f"multiple of {n_ranks()}."
        )


def share(batch):
    """Return this process's rows of something that all processes hold alike.

    Parameters
    ----------
    batch : tensor (B, ...)
        A batch of data, or of noise from a generator that is in the same state in all processes.

    Returns
    -------
    tensor (B / n, ...)
    """
    return batch.chunk(n_ranks())[dist.get_rank()] if n_ranks() > 1 else batch


def total(values):
    """Return the sum over processes, without gradients.

    Parameters
    ----------
    values : tensor

    Returns
    -------
    tensor
    """
    values = values.detach()
    if n_ranks() > 1:
        values = values.clone()
        dist.all_reduce(values)
    return values


def mean(values):
    """Return the mean over processes, without gradients.

    Parameters
    ----------
    values : tensor

    Returns
    -------
    tensor
    """
    return total(values) / n_ranks() if n_ranks() > 1 else values


def agree(module):
    """Give all processes the first one's parameters and buffers.

    Parameters
    ----------
    module : nn.Module
        Changed in place, except in the first process.
    """
    if n_ranks() > 1:
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, src=0)


def together(module):
    """Return a module whose backward pass averages gradients over processes (eq. size-shares).

    Call it once or more, then backward once: a parameter's gradient is sent when it is complete, so
    that a penalty on gradients with respect to the input, which puts a second derivative into the
    same backward pass, needs nothing of its own.

    Parameters
    ----------
    module : nn.Module
        With parameters that ask for gradients, all of which each backward pass reaches.

    Returns
    -------
    nn.Module
        The module itself, alone.

    References
    ----------
    li2020pytorch.
    """
    if n_ranks() == 1:
        return module
    return DistributedDataParallel(module)


def average_gradients(module):
    """Average gradients over the processes, for a backward pass outside of `together`.

    Parameters
    ----------
    module : nn.Module
        Its parameters' gradients are changed in place.
    """
    if n_ranks() > 1:
        for parameter in module.parameters():
            if parameter.grad is not None:
                parameter.grad.copy_(mean(parameter.grad))
