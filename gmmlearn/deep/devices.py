"""Devices and chance: where to compute, and generators that are put back."""

import contextlib
import platform
from pathlib import Path

import torch

from gmmlearn._validation import as_count


def choose_device(device="auto"):
    """Choose where to compute.

    Parameters
    ----------
    device : str or torch.device
        "auto" takes the first there is of CUDA, MPS (Apple's) and the CPU.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If torch knows no such device, or does not see one here.
    """
    if device == "auto":
        found = [kind for kind in ("cuda", "mps") if _is_there(kind)]
        device = (*found, "cpu")[0]
    try:
        device = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(f'device is {device!r}. Use "auto", "cuda", "mps" or "cpu".') from None
    if not _is_there(device.type):
        raise ValueError(f'device is "{device}", but torch sees none here. Use "auto" or "cpu".')
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    return device


def _is_there(kind):
    """Return whether torch sees a device of this kind."""
    if kind == "mps":
        return torch.backends.mps.is_available()
    return kind == "cpu" or (kind == "cuda" and torch.cuda.is_available())


def name_device(device):
    """Name a device as its maker does.

    Parameters
    ----------
    device : torch.device or str

    Returns
    -------
    str
        Such as "CPU, AMD EPYC 7763" or "CUDA, NVIDIA H200".
    """
    device = choose_device(device)
    if device.type == "cuda":
        return f"CUDA, {torch.cuda.get_device_name(device)}"
    if device.type == "mps":
        return f"MPS, {platform.processor() or platform.machine()}"
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"CPU, {name}"


@contextlib.contextmanager
def seeded(seed):
    """Make networks with repeatable initial weights; torch's global generators are put back.

    Parameters
    ----------
    seed : int

    Examples
    --------
    >>> with seeded(0):
    ...     one = torch.nn.Linear(2, 2)
    >>> with seeded(0):
    ...     other = torch.nn.Linear(2, 2)
    >>> bool((one.weight == other.weight).all())
    True
    """
    seed = as_count(seed, "seed", at_least=0)
    on_cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if on_cuda else []):
        torch.default_generator.manual_seed(seed)
        if on_cuda:  # torch.manual_seed would leave other GPUs changed
            torch.cuda.manual_seed(seed)
        yield


@contextlib.contextmanager
def own_globals(device, seed):
    """Seed torch's global generators for a while, and make cuDNN repeatable."""
    on_cuda = device.type == "cuda"
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[device] if on_cuda else []))
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
            flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
            stack.enter_context(flags)
        yield
