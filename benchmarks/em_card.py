"""Time EM on tensors of a card: python benchmarks/em_card.py [--device cpu --size 2000 8 4].

Each library fits the same tensors from the same start, in turn, after one fit that loads kernels;
scikit-learn under its array-API dispatch. Beside them stand the card's two limits: the products'
arithmetic at its best rate, and reading the data once for each iteration. Prints JSON, which
benchmarks/em.py records; without a CUDA card, "not measured".
"""

import argparse
import json
import os
import statistics
import time
import warnings

os.environ["SCIPY_ARRAY_API"] = "1"  # SciPy reads it once; without it scikit-learn takes no tensors

import numpy as np
import sklearn
from em import N_ITER, fit_with, problem
from sklearn.mixture import GaussianMixture as Reference

from gmmlearn import GaussianMixture
from gmmlearn.covariance import STRUCTURES

try:
    import torch
except ImportError:
    torch = None

SIZE = (1_000_000, 64, 64)


def measure_on_card(where, size, covariance_type, dtype, repeats=3):
    """Return seconds of both libraries on tensors of a device, and the device's two limits."""
    X, start = problem(*size, covariance_type)
    X = torch.tensor(X, dtype=dtype, device=where)
    on_card = {
        name: torch.tensor(value, dtype=dtype, device=where)
        for name, value in start.items()
        if name.endswith("_init")
    }
    theirs = start | on_card | {"init_params": "random"}  # its k-means takes no tensors
    fits = {"gmmlearn": fit_with(GaussianMixture, X, start)}
    fits["scikit-learn"] = fit_with(Reference, X, theirs)
    seconds, answers = {name: [] for name in fits}, {}
    with sklearn.config_context(array_api_dispatch=True):
        for _ in range(1 + repeats):
            for name, fit in fits.items():
                took, (means, bound) = seconds_on_card(where, fit)
                seconds[name].append(took)
                answers[name] = torch.as_tensor(means).cpu().numpy(), float(bound)
    seconds = {name: times[1:] for name, times in seconds.items()}  # the first loads kernels
    rate, bandwidth = card_limits(where, dtype)
    n_samples, n_features, n_components = size
    n_statistics = STRUCTURES[covariance_type].n_statistics(n_features)
    return {
        "covariance_type": covariance_type,
        "dtype": str(dtype),
        "size": size,
        "seconds": seconds,
        "ratio": statistics.median(
            b / a for a, b in zip(seconds["gmmlearn"], seconds["scikit-learn"], strict=True)
        ),
        "means_differ": float(np.abs(answers["gmmlearn"][0] - answers["scikit-learn"][0]).max()),
        "bounds_differ": abs(answers["gmmlearn"][1] - answers["scikit-learn"][1]),
        "product_limit": N_ITER * 4.0 * n_samples * n_statistics * n_components / rate,
        "bandwidth_limit": N_ITER * n_samples * n_features * X.element_size() / bandwidth,
        "gflops": rate / 1e9,
        "gigabytes_per_second": bandwidth / 1e9,
    }


def seconds_on_card(where, function):
    """Return the seconds that a device takes for a function, and what it returns."""
    wait = torch.cuda.synchronize if where.startswith("cuda") else lambda: None
    wait()
    began = time.perf_counter()
    answer = function()
    wait()
    return time.perf_counter() - began, answer


def card_limits(where, dtype):
    """Return a device's best rates: floating-point operations in a product, bytes in a copy."""
    n, length = (8192, 1 << 27) if where.startswith("cuda") else (512, 1 << 20)
    a = torch.randn(n, n, dtype=dtype, device=where)
    source = torch.zeros(length, dtype=dtype, device=where)
    target = torch.empty_like(source)
    product = min(seconds_on_card(where, lambda: a @ a)[0] for _ in range(5))
    copy = min(seconds_on_card(where, lambda: target.copy_(source))[0] for _ in range(5))
    return 2.0 * n**3 / product, 2.0 * length * source.element_size() / copy


def main():
    """Measure every type and precision, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", nargs=3, type=int, default=SIZE)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # ten iterations do not converge
    where = arguments.device
    if torch is None or (where.startswith("cuda") and not torch.cuda.is_available()):
        print(json.dumps({"device": "not measured", "rows": []}))
        return
    rows = [
        measure_on_card(where, tuple(arguments.size), covariance_type, dtype)
        for covariance_type in ("diag", "full")
        for dtype in (torch.float64, torch.float32)
    ]
    name = torch.cuda.get_device_name(where) if where.startswith("cuda") else where
    print(json.dumps({"device": name, "rows": rows}))


if __name__ == "__main__":
    main()
