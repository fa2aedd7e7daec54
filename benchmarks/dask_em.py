"""Fit data larger than memory: python benchmarks/dask_em.py [--chunks 128] [--no-write].

The workers of a local cluster, each a process with a memory limit, make chunks of points and write
them to disk; `GaussianMixture.fit` then visits the chunks where they are read. The same points,
all in one NumPy array, are fitted from the same start. Prints what differs and what it took, and
writes gmmlearn/recorded/dask.json.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # the workers inherit it: each has one core

import dask  # noqa: E402
import dask.array  # noqa: E402
import numpy as np  # noqa: E402
from dask.distributed import Client, LocalCluster  # noqa: E402
from em import environment  # noqa: E402
from provenance import RECORDED, write_record  # noqa: E402

from gmmlearn import GaussianMixture  # noqa: E402

SEED, N_WORKERS, LIMIT_MIB = 0, 2, 320
ROWS, N_FEATURES, N_COMPONENTS, N_ITER = 50_000, 16, 8, 5
FITTED = ("weights_", "means_", "covariances_")


def write_chunk(folder, number, centres):
    """Write one chunk of points from overlapping Gaussians; return its bytes."""
    rng = np.random.default_rng([SEED, number])
    X = rng.standard_normal((ROWS, N_FEATURES)) + centres[rng.integers(len(centres), size=ROWS)]
    np.save(Path(folder) / f"{number}.npy", X)
    return X.nbytes


def read_chunk(folder, number):
    """Return one chunk."""
    return np.load(Path(folder) / f"{number}.npy")


def peak_mib():
    """Return the most memory that this process has held, in MiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def spilled(dask_worker):
    """Return how often a worker wrote data to disk because its memory was short."""
    metrics = getattr(dask_worker.data, "cumulative_metrics", {})
    return sum(
        value for (what, unit), value in metrics.items() if (what, unit) == ("disk-write", "count")
    )


def start_of(centres):
    """Return the settings of both fits: one start, a fixed number of iterations."""
    rng = np.random.default_rng(SEED)
    return {
        "n_components": N_COMPONENTS,
        "weights_init": np.full(N_COMPONENTS, 1.0 / N_COMPONENTS),
        "means_init": centres + 0.5 * rng.normal(size=centres.shape),
        "precisions_init": np.tile(np.eye(N_FEATURES) / 4.0, (N_COMPONENTS, 1, 1)),
        "max_iter": N_ITER,
        "tol": 0.0,
    }


def timed(function):
    """Return what `function` returns, and its seconds."""
    began = time.perf_counter()
    return function(), time.perf_counter() - began


def on_cluster(folder, n_chunks, start, centres):
    """Return the mixture fitted on a cluster, and what it took."""
    settings = {"n_workers": N_WORKERS, "threads_per_worker": 1, "dashboard_address": None}
    limit = f"{LIMIT_MIB}MiB"
    with (
        LocalCluster(processes=True, memory_limit=limit, **settings) as cluster,
        Client(cluster) as client,
    ):
        numbers = range(n_chunks)
        n_bytes = sum(
            client.gather(
                client.map(write_chunk, [folder] * n_chunks, numbers, [centres] * n_chunks)
            )
        )
        processes = client.run(os.getpid)
        before = client.run(peak_mib)
        shape = (ROWS, N_FEATURES)
        chunks = [dask.delayed(read_chunk)(folder, number) for number in numbers]
        X = dask.array.concatenate([dask.array.from_delayed(one, shape, float) for one in chunks])
        mixture, seconds = timed(lambda: GaussianMixture(**start).fit(X))
        score, score_seconds = timed(lambda: mixture.score(X))
        return mixture, {
            "data_mib": n_bytes / 2**20,
            "n_samples": X.shape[0],
            "n_chunks": n_chunks,
            "limit_mib_of_each": LIMIT_MIB,
            "peak_mib_before_fit": sorted(before.values()),
            "peak_mib": sorted(client.run(peak_mib).values()),
            "spilled": sorted(client.run(spilled).values()),
            "workers_restarted": processes != client.run(os.getpid),
            "seconds_fit": seconds,
            "seconds_score": score_seconds,
            "score": score,
        }


def main():
    """Fit, fit again in memory, compare, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=128)
    parser.add_argument("--no-write", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # so few iterations do not converge
    began = time.perf_counter()
    centres = 2.0 * np.random.default_rng(SEED).normal(size=(N_COMPONENTS, N_FEATURES))
    start = start_of(centres)
    with tempfile.TemporaryDirectory() as folder:
        mixture, record = on_cluster(folder, arguments.chunks, start, centres)
        X = np.concatenate([read_chunk(folder, number) for number in range(arguments.chunks)])
    whole, record["seconds_fit_in_memory"] = timed(lambda: GaussianMixture(**start).fit(X))
    record["differ"] = {
        name: float(np.abs(getattr(mixture, name) - getattr(whole, name)).max()) for name in FITTED
    }
    record["differ"]["lower_bound_"] = abs(mixture.lower_bound_ - whole.lower_bound_)
    record["differ"]["score"] = abs(record["score"] - whole.score(X))
    record = {**environment(__file__), "workers": N_WORKERS, **record}
    record |= {"threads": 1, "iterations": N_ITER}
    record["versions"]["dask"] = dask.__version__
    record["size"] = [record.pop("n_samples"), N_FEATURES, N_COMPONENTS]
    record["seconds"] = time.perf_counter() - began
    print(json.dumps(record, indent=1))
    assert record["data_mib"] > N_WORKERS * LIMIT_MIB or arguments.no_write
    assert max(record["differ"].values()) < 1e-8
    if not arguments.no_write:
        write_record(RECORDED / "dask.json", record)


if __name__ == "__main__":
    main()
