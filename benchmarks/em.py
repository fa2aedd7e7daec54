"""Time EM beside scikit-learn and pomegranate: python benchmarks/em.py [--repeats 5] [--no-write].

Every library starts from the same parameters and makes the same ten iterations in float64 with
the same thread limit, in turn; the ratio of each pair of runs is taken before the median (of
pomegranate one run). Prints a table and writes gmmlearn/recorded/em.json. pomegranate is optional:
pip install pomegranate. Where there is a CUDA card, tensors on it are fitted as well, against
scikit-learn on the same card, by em_card.py.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
from provenance import RECORDED, origin, write_record
from sklearn.mixture import GaussianMixture as Reference
from threadpoolctl import threadpool_limits

from gmmlearn import GaussianMixture
from gmmlearn.covariance import STRUCTURES

SEED, N_ITER = 0, 10
SMALL = [(100, 2, 2), (1000, 2, 3), (1000, 16, 8), (10_000, 4, 4)]
FEW = [(1000, 64, 1), (1000, 64, 8), (20_000, 16, 2), (20_000, 64, 2), (20_000, 64, 8)]
LARGE = [(100_000, 2, 8), (100_000, 8, 16), (200_000, 16, 32)]
SIZES = {
    "full": [*SMALL, *FEW, *LARGE, (50_000, 32, 16), (20_000, 64, 32)],
    "tied": [*SMALL, *LARGE, (50_000, 32, 16), (20_000, 64, 32)],
    "diag": [*SMALL, *LARGE, (20_000, 64, 64)],
    "spherical": [*SMALL, *LARGE, (20_000, 64, 64)],
}
POMEGRANATE_TYPES = {"full": "full", "diag": "diag"}


def problem(n_samples, n_features, n_components, covariance_type):
    """Return points from overlapping Gaussians, and one start for all libraries."""
    rng = np.random.default_rng(SEED)
    centres = 2.0 * rng.normal(size=(n_components, n_features))
    X = rng.standard_normal((n_samples, n_features))
    for part in np.array_split(X, max(1, n_samples // 10_000)):  # no copy of X, for print_memory
        part += centres[rng.integers(n_components, size=len(part))]
    variances = X[:10_000].var(axis=0)
    variances = {
        "full": np.tile(np.diag(variances), (n_components, 1, 1)),
        "tied": np.diag(variances),
        "diag": np.tile(variances, (n_components, 1)),
        "spherical": np.full(n_components, variances.mean()),
    }[covariance_type]
    inverse = np.linalg.inv if covariance_type in ("full", "tied") else np.reciprocal
    return X, {
        "n_components": n_components,
        "covariance_type": covariance_type,
        "weights_init": np.full(n_components, 1.0 / n_components),
        "means_init": centres + 0.5 * rng.normal(size=centres.shape),
        "precisions_init": inverse(variances),
        "reg_covar": 0.0,
        "max_iter": N_ITER,
        "tol": 0.0,
    }


def fit_pomegranate(X, start):
    """Return a function that makes the same iterations, or None if that is not possible."""
    try:
        import torch
        from pomegranate.distributions import Normal
        from pomegranate.gmm import GeneralMixtureModel
    except ImportError:
        return None
    if start["covariance_type"] not in POMEGRANATE_TYPES:
        return None
    torch.set_num_threads(threads())
    full = start["covariance_type"] == "full"
    covariances = np.linalg.inv(start["precisions_init"]) if full else 1 / start["precisions_init"]
    points = torch.from_numpy(X)

    def fit():
        parts = [
            Normal(torch.tensor(mean), torch.tensor(covariance), start["covariance_type"])
            for mean, covariance in zip(start["means_init"], covariances, strict=True)
        ]
        model = GeneralMixtureModel(parts, priors=torch.tensor(start["weights_init"]))
        for _ in range(N_ITER):
            bound = model.summarize(points)
            model.from_summaries()
        means = np.stack([part.means.numpy() for part in parts])
        return means, float(bound) / len(X)

    return fit


def fit_with(estimator, X, start):
    """Return a function that fits and returns means and the last bound."""

    def fit():
        fitted = estimator(**start).fit(X)
        return fitted.means_, fitted.lower_bound_

    return fit


def threads():
    """Return the thread limit for all."""
    return min(2, os.cpu_count())


def measure(size, covariance_type, repeats):
    """Return one row of the table, and print it."""
    X, start = problem(*size, covariance_type)
    fits = {"gmmlearn": fit_with(GaussianMixture, X, start)}
    fits["scikit-learn"] = fit_with(Reference, X, start)
    pomegranate = fit_pomegranate(X, start) if size[0] >= 10_000 else None
    if pomegranate is not None:
        fits["pomegranate"] = pomegranate
    seconds, answers = {name: [] for name in fits}, {}
    for number in range(repeats * (10 if size[0] <= 1000 else 1)):
        for name, fit in fits.items():
            if name == "pomegranate" and number > 0:
                continue  # takes minutes
            began = time.perf_counter()
            answers[name] = fit()
            seconds[name].append(time.perf_counter() - began)
    row = {"covariance_type": covariance_type, "size": size, "seconds": seconds}
    row["ratio"], row["means_differ"], row["bounds_differ"] = {}, {}, {}
    for name in list(fits)[1:]:
        pairs = zip(seconds[name], seconds["gmmlearn"], strict=False)
        row["ratio"][name] = statistics.median(theirs / ours for theirs, ours in pairs)
        row["means_differ"][name] = float(np.abs(answers[name][0] - answers["gmmlearn"][0]).max())
        row["bounds_differ"][name] = abs(answers[name][1] - answers["gmmlearn"][1])
    row["product_limit"] = product_seconds(size, covariance_type)
    row["to_product_limit"] = min(seconds["gmmlearn"]) / row["product_limit"]
    print_row(row)
    return row


def product_seconds(size, covariance_type):
    """Return the seconds that the products' arithmetic takes at the machine's best rate."""
    n_samples, n_features, n_components = size
    n_statistics = STRUCTURES[covariance_type].n_statistics(n_features)
    return N_ITER * 2 * 2.0 * n_samples * n_statistics * n_components / product_rate()


def product_rate(n=2048, cache=[]):  # noqa: B006
    """Return the best rate of a large matrix product, floating-point operations per second."""
    if not cache:
        a, times = np.random.default_rng(0).normal(size=(n, n)), []
        for _ in range(5):
            began = time.perf_counter()
            a @ a
            times.append(time.perf_counter() - began)
        cache.append(2.0 * n**3 / min(times))
    return cache[0]


def memory(which, size=(1_000_000, 16, 32)):
    """Return the MB that a fit of two iterations takes beyond the data, in its own process."""
    done = subprocess.run(
        [sys.executable, __file__, "--memory", which, *map(str, size)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def print_memory(which, size):
    """Print the largest amount of memory, in MB, that NumPy and Python hold during a fit."""
    estimator = {"gmmlearn": GaussianMixture, "scikit-learn": Reference}[which]
    X, start = problem(*size, "full")
    tracemalloc.start()  # counts what is allocated from here on: not X
    estimator(**start | {"max_iter": 2}).fit(X)
    print(tracemalloc.get_traced_memory()[1] / 2**20)


def cards():
    """Return the graphics card's name and its rows, from em_card.py; or "not measured", []."""
    card = Path(__file__).with_name("em_card.py")
    done = subprocess.run([sys.executable, card], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return found["device"], found["rows"]


def environment(script=__file__):
    """Return what the record begins with: machine, versions and seed."""
    return origin(
        script,
        *("scipy", "scikit-learn", "pomegranate", "torch"),
        seed=SEED,
        iterations=N_ITER,
        threads=threads(),
        load_average=os.getloadavg(),
        product_gflops=product_rate() / 1e9,
        date=time.strftime("%Y-%m-%d"),
    )


def print_row(row):
    """Print one row of the table."""
    size = "{:>7,} x {:<2} K={:<2}".format(*row["size"])
    best = {name: min(times) for name, times in row["seconds"].items()}
    cells = [f"{row['covariance_type']:9} {size} gmmlearn {best['gmmlearn']:8.4f} s"]
    cells.append(f"({row['to_product_limit']:4.1f} x products alone)")
    for name, ratio in row["ratio"].items():
        cells.append(f"{name} {ratio:6.1f}x (means {row['means_differ'][name]:.0e})")
    print("  ".join(cells), flush=True)


def main():
    """Measure, print as it goes, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-write", action="store_true")
    parser.add_argument("--memory", nargs=4)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # ten iterations do not converge
    if arguments.memory:
        print_memory(arguments.memory[0], tuple(map(int, arguments.memory[1:])))
        return
    began = time.perf_counter()
    with threadpool_limits(threads()):
        rows = [
            measure(size, covariance_type, arguments.repeats)
            for covariance_type, sizes in SIZES.items()
            for size in sizes
        ]
        record = {**environment(), "rows": rows}
    record["memory_mb"] = {which: memory(which) for which in ("gmmlearn", "scikit-learn")}
    print("memory beyond the data, 1,000,000 x 16 K=32:", record["memory_mb"])
    record["gpu"], record["gpu_rows"] = cards()
    print("GPU:", record["gpu"])
    for row in record["gpu_rows"]:
        best = {name: min(times) for name, times in row["seconds"].items()}
        limits = (
            f"limits: products {row['product_limit']:.3f} s, bytes {row['bandwidth_limit']:.3f} s"
        )
        print(
            f"{row['covariance_type']:9} {row['dtype']:14} gmmlearn {best['gmmlearn']:8.3f} s",
            end="",
        )
        print(f"  scikit-learn {row['ratio']:6.1f}x  {limits}")
    record["seconds"] = time.perf_counter() - began
    if not arguments.no_write:
        write_record(RECORDED / "em.json", record)


if __name__ == "__main__":
    main()
