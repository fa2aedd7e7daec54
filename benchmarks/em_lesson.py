"""Time `gmmlearn.em.fit_em` beside scikit-learn's GaussianMixture, from the same start.

Both run on one BLAS thread, in turn, for the same number of iterations; medians are compared. Each
fit is then profiled, to see where its time goes. Chapter 4 shows the result.

    python benchmarks/em_lesson.py            # writes gmmlearn/recorded/em_lesson.json
    python benchmarks/em_lesson.py --dry-run  # only prints
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import cProfile
import json
import platform
import pstats
import subprocess
import warnings
from pathlib import Path
from time import perf_counter

import numpy as np
import scipy
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_info

import gmmlearn
from gmmlearn.em import fit_em, start_mixture
from gmmlearn.mixture import Mixture

ROOT = Path(__file__).resolve().parents[1]
SEED = 0
ITERATIONS = 20
REG_COVAR = 1e-6
# (n_samples, n_features, n_components, repeats)
SIZES = [
    (500, 2, 3, 41),
    (5_000, 2, 8, 21),
    (50_000, 2, 8, 11),
    (20_000, 8, 16, 11),
    (50_000, 16, 16, 7),
    (2_000, 64, 8, 21),
    (20_000, 64, 8, 7),
]
# What a profile is divided into: part, and the function on each side that does it.
PARTS = {
    "densities": ("log_density", "_estimate_log_gaussian_prob"),
    "log-sum-exp": ("log_sum_exp", "_logsumexp"),
    "moments": ("_moments", "_estimate_gaussian_parameters"),
}


def data_and_start(n_samples, n_features, n_components):
    """Return points from a random mixture (N, D), and a start."""
    rng = np.random.default_rng(SEED)
    factors = rng.standard_normal((n_components, n_features, n_features)) / np.sqrt(n_features)
    truth = Mixture(
        np.full(n_components, 1.0 / n_components),
        3.0 * rng.standard_normal((n_components, n_features)),
        factors @ factors.transpose(0, 2, 1) + 0.1 * np.eye(n_features),
    )
    X, _ = truth.sample(n_samples, rng)
    return X, start_mixture(X, n_components, rng)


def fit_ours(X, start):
    """Run the lesson's EM; return weights, means, covariances."""
    mixture = fit_em(X, start, max_iter=ITERATIONS, tol=0.0, reg_covar=REG_COVAR).mixture
    return mixture.weights, mixture.means, mixture.covariances


def fit_sklearn(X, start):
    """Run scikit-learn's EM from the same start; return weights, means, covariances.

    It makes one more E-step than asked for, after the last iteration.
    """
    model = GaussianMixture(
        start.n_components,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=np.linalg.inv(start.covariances),
        reg_covar=REG_COVAR,
        max_iter=ITERATIONS,
        tol=0.0,
    ).fit(X)
    return model.weights_, model.means_, model.covariances_


FITS = {"ours": fit_ours, "sklearn": fit_sklearn}


def measure(n_samples, n_features, n_components, repeats):
    """Return one row: seconds per iteration of both, and where they go."""
    X, start = data_and_start(n_samples, n_features, n_components)
    seconds = {side: [] for side in FITS}
    fitted = {side: fit(X, start) for side, fit in FITS.items()}  # also warms both up
    for repeat in range(repeats):
        for side in sorted(FITS, reverse=bool(repeat % 2)):  # each goes first every other time
            begin = perf_counter()
            FITS[side](X, start)
            seconds[side].append((perf_counter() - begin) / ITERATIONS)
    row = {"n_samples": n_samples, "n_features": n_features, "n_components": n_components}
    row["repeats"] = repeats
    for index, side in enumerate(FITS):
        quartiles = [float(f"{q:.4g}") for q in np.quantile(seconds[side], [0.25, 0.5, 0.75])]
        row[side] = {"seconds": quartiles[1], "quartiles": quartiles}
        functions = [names[index] for names in PARTS.values()]
        row[side] |= profile(FITS[side], X, start, functions, -(-repeats // 4))
    ratio = np.median(seconds["sklearn"]) / np.median(seconds["ours"])
    row["sklearn_over_ours"] = float(f"{ratio:.4g}")
    pairs = zip(fitted["ours"], fitted["sklearn"], strict=True)
    difference = max(float(np.abs(a - b).max()) for a, b in pairs)
    row["largest_difference"] = float(f"{difference:.2g}")
    return row


def profile(fit, X, start, functions, n_fits):
    """Return the share of each part in `n_fits` fits, and function calls per iteration."""
    profiler = cProfile.Profile()
    for _ in range(n_fits):
        profiler.runcall(fit, X, start)
    stats = pstats.Stats(profiler)
    cumulative = {name: entry[3] for (_, _, name), entry in stats.stats.items()}
    # cProfile calls a C function "<built-in ...>", so plain names are Python functions.
    shares = [cumulative[name] / stats.total_tt for name in functions]
    parts = dict(zip([*PARTS, "rest"], [*shares, 1.0 - sum(shares)], strict=True))
    return {
        "parts": {part: round(share, 3) for part, share in parts.items()},
        "calls": round(stats.total_calls / (n_fits * ITERATIONS)),
    }


def origin():
    """Return where the numbers come from."""
    return {
        "script": "benchmarks/em_lesson.py",
        "machine": {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "blas": [
            {key: pool[key] for key in ("internal_api", "version", "num_threads")}
            for pool in threadpool_info()
            if pool["user_api"] == "blas"
        ],
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "scikit-learn": sklearn.__version__,
            "gmmlearn": gmmlearn.__version__,
        },
        "commit": commit(),
        "seed": SEED,
        "iterations": ITERATIONS,
        "reg_covar": REG_COVAR,
    }


def cpu_name():
    """Return the processor's name, as well as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def commit():
    """Return the commit that was measured, with + where the package has changed since."""
    try:
        run = ["git", "-C", str(ROOT)]
        head = subprocess.check_output([*run, "rev-parse", "HEAD"], text=True, stderr=-3).strip()
        changed = subprocess.check_output([*run, "status", "--porcelain", "gmmlearn/*.py"])
        return head + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def main():
    """Measure every size, print a table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print, write nothing")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # tol=0 never converges, as wanted
    begin, rows = perf_counter(), []
    print(f"{'N':>7} {'D':>3} {'K':>3} {'ours':>10} {'sklearn':>10}   ratio  difference")
    for size in SIZES:
        row = measure(*size)
        rows.append(row)
        print(
            f"{row['n_samples']:7d} {row['n_features']:3d} {row['n_components']:3d} "
            f"{1e3 * row['ours']['seconds']:7.2f} ms {1e3 * row['sklearn']['seconds']:7.2f} ms "
            f"{row['sklearn_over_ours']:7.2f}  {row['largest_difference']:.1e}",
            flush=True,
        )
        for side in FITS:
            shares = ", ".join(f"{part} {share:.0%}" for part, share in row[side]["parts"].items())
            print(f"    {side}: {shares}; {row[side]['calls']} calls")
    record = origin() | {"seconds": round(perf_counter() - begin, 1), "rows": rows}
    if not arguments.dry_run:
        path = ROOT / "gmmlearn" / "recorded" / "em_lesson.json"
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)} after {record['seconds']} s")


if __name__ == "__main__":
    main()
