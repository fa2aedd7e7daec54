"""How fast a device is, and how fast a game runs on it: measured in the same way everywhere."""

import resource
import sys
from time import perf_counter, process_time

import torch

_SIDES = {"cpu": 1024, "cuda": 8192}
_BYTES = {"cpu": 2**27, "cuda": 2**31}


def clock(device):
    """Return a time in seconds after all work of the device is done.

    Parameters
    ----------
    device : torch.device
        On a processor the time is the process's own, so that whatever else runs does not count;
        elsewhere it is that of the wall.

    Returns
    -------
    float
    """
    if device.type == "cpu":
        return process_time()
    torch.get_device_module(device).synchronize()
    return perf_counter()


def seconds_of(function, device, repeats=5):
    """Return the least time that a call takes, after one that is not counted.

    Parameters
    ----------
    function : callable
    device : torch.device
    repeats : int

    Returns
    -------
    float
        The least: whatever disturbs a call makes it longer.
    """
    function()
    times = []
    for _ in range(repeats):
        began = clock(device)
        function()
        times.append(clock(device) - began)
    return min(times)


def product_rate(device, dtype=torch.float32):
    """Measure a device's limit: multiply-adds a second in one large matrix product.

    Parameters
    ----------
    device : torch.device
    dtype : torch.dtype

    Returns
    -------
    float
    """
    side = _SIDES.get(device.type, 2048)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return side**3 / seconds_of(lambda: a @ b, device)


def copy_rate(device):
    """Measure how many bytes a second a device reads and writes while it copies a long array.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    float
    """
    n_bytes = _BYTES.get(device.type, 2**28)
    x = torch.zeros(n_bytes // 4, device=device)
    y = torch.empty_like(x)
    return 2 * n_bytes / seconds_of(lambda: y.copy_(x), device)


def peak_memory(device):
    """Return the most memory used so far, in bytes.

    Parameters
    ----------
    device : torch.device
        On CUDA, what tensors took since ``torch.cuda.reset_peak_memory_stats``; elsewhere all that
        the process held since it began.

    Returns
    -------
    int
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


class Stopwatch:
    """A term of `fit_gmm_gan` that adds nothing and looks at the clock at two of its steps.

    Parameters
    ----------
    first, last : int
        Steps, counted from 1; what is before the first one is warming up.

    Examples
    --------
    >>> watch = Stopwatch(1, 2)
    >>> for _ in range(2):
    ...     zeros = watch(None, None, torch.ones(3, 1))
    >>> zeros.tolist(), watch.seconds_per_step < 1
    ([0.0, 0.0, 0.0], True)
    """

    def __init__(self, first, last):
        self.marks, self.n_seen, self.times = (first, last), 0, []

    def __call__(self, z, labels, fake):
        """Return zeros (B,)."""
        self.n_seen += 1
        if self.n_seen in self.marks:
            self.times.append(clock(fake.device))
        return torch.zeros(len(fake), dtype=fake.dtype, device=fake.device)

    @property
    def seconds_per_step(self):
        """Mean seconds of the steps between the two."""
        return (self.times[1] - self.times[0]) / (self.marks[1] - self.marks[0])
