"""Time `gmmlearn.em.fit_em` beside scikit-learn's GaussianMixture, from the same start.

Both run on one BLAS thread, in turn. Each is timed over n and over 2n iterations; the difference,
divided by n, is the time of an iteration, without set-up, argument checks and scikit-learn's last
E-step. Each fit is then profiled, to see where its time goes. Chapter 4 shows the result.

    python benchmarks/em_lesson.py            # writes gmmlearn/recorded/em_lesson.json
    python benchmarks/em_lesson.py --dry-run  # only prints
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import cProfile
import pstats
import warnings
from functools import partial
from time import perf_counter

import numpy as np
from provenance import RECORDED, origin, write_record
from scipy.linalg import solve_triangular
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_info

from gmmlearn._validation import as_points
from gmmlearn.em import fit_em, start_mixture
from gmmlearn.mixture import Mixture

SEED = 0
REG_COVAR = 1e-6
# (n_samples, n_features, n_components, iterations n, repeats)
SIZES = [
    (500, 2, 3, 40, 41),
    (5_000, 2, 8, 20, 21),
    (50_000, 2, 8, 6, 11),
    (20_000, 8, 16, 6, 11),
    (50_000, 16, 16, 4, 9),
    (2_000, 64, 8, 10, 21),
    (20_000, 64, 8, 4, 9),
]
# What a profile is divided into: part, and the function on each side that does it.
PARTS = {
    "densities": ("component_log_prob", "_estimate_log_gaussian_prob"),
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


def prepare_ours(X, start, n_iter):
    """Return a function that runs the lesson's EM."""
    return partial(fit_em, X, start, max_iter=n_iter, tol=0.0, reg_covar=REG_COVAR)


def prepare_sklearn(X, start, n_iter):
    """Return a function that runs scikit-learn's EM from the same start."""
    model = GaussianMixture(
        start.n_components,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=np.linalg.inv(start.covariances),
        reg_covar=REG_COVAR,
        max_iter=n_iter,
        tol=0.0,
    )
    return partial(model.fit, X)


PREPARE = {"ours": prepare_ours, "sklearn": prepare_sklearn}


def seconds(function):
    """Return how long one call takes."""
    begin = perf_counter()
    function()
    return perf_counter() - begin


def summary(values):
    """Return median and quartiles, in four digits."""
    quartiles = [float(f"{q:.4g}") for q in np.quantile(values, [0.25, 0.5, 0.75])]
    return {"seconds": quartiles[1], "quartiles": quartiles}


def measure(n_samples, n_features, n_components, n_iter, repeats):
    """Return one row: seconds per iteration of both, and where they go."""
    X, start = data_and_start(n_samples, n_features, n_components)
    fits = {
        side: [prepare(X, start, n_iter * m) for m in (1, 2)] for side, prepare in PREPARE.items()
    }
    ours, theirs = (fits[side][1]() for side in PREPARE)  # also warms both up
    per_iteration = {side: [] for side in PREPARE}
    for repeat in range(repeats):
        for side in sorted(PREPARE, reverse=bool(repeat % 2)):  # each goes first every other time
            once, twice = map(seconds, fits[side])
            per_iteration[side].append((twice - once) / n_iter)
    row = {"n_samples": n_samples, "n_features": n_features, "n_components": n_components}
    row |= {"iterations": n_iter, "repeats": repeats}
    for index, side in enumerate(PREPARE):
        functions = [names[index] for names in PARTS.values()]
        row[side] = summary(per_iteration[side]) | profile(fits[side], functions, n_iter)
    row["pieces"] = pieces(X, start)
    ratio = np.median(per_iteration["sklearn"]) / np.median(per_iteration["ours"])
    row["sklearn_over_ours"] = float(f"{ratio:.4g}")
    names = ("weights", "means", "covariances")
    pairs = [(getattr(ours.mixture, name), getattr(theirs, name + "_")) for name in names]
    row["largest_difference"] = float(f"{max(float(np.abs(a - b).max()) for a, b in pairs):.2g}")
    return row


def profile(fits, functions, n_iter):
    """Return the share of each part in fits of 2n iterations, and function calls per iteration."""
    profilers = [cProfile.Profile() for _ in fits]
    for profiler, fit in zip([*profilers, profilers[1]], [*fits, fits[1]], strict=True):
        profiler.runcall(fit)
    once, twice = map(pstats.Stats, profilers)
    cumulative = {name: entry[3] for (_, _, name), entry in twice.stats.items()}
    # cProfile calls a C function "<built-in ...>", so plain names are Python functions.
    shares = [cumulative[name] / twice.total_tt for name in functions]
    parts = dict(zip([*PARTS, "rest"], [*shares, 1.0 - sum(shares)], strict=True))
    return {
        "parts": {part: round(share, 3) for part, share in parts.items()},
        "calls": round((twice.total_calls / 2 - once.total_calls) / n_iter),
    }


def pieces(X, start):
    """Return seconds for one component: to check X, and to whiten by a solve or by a product."""
    mean, factor = start.means[0], start.covariances_cholesky[0]
    inverse = solve_triangular(factor, np.eye(len(mean)), lower=True).T.copy()
    centred, work = X - mean, np.empty_like(X)  # no allocation is timed
    ways = {
        "check": lambda: as_points(X, len(mean)),
        "solve": lambda: solve_triangular(
            factor, work.T, lower=True, overwrite_b=True, check_finite=False
        ),
        "product": lambda: np.matmul(centred, inverse, out=work),
    }
    timed = {way: [] for way in ways}
    for _ in range(21):
        for way, function in ways.items():
            work[:] = centred
            timed[way].append(seconds(function))
    return {way: float(f"{np.median(values):.4g}") for way, values in timed.items()}


def blas():
    """Return which libraries of linear algebra are in use, and their threads."""
    return [
        {key: pool[key] for key in ("internal_api", "version", "num_threads")}
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    ]


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
        for side in PREPARE:
            shares = ", ".join(f"{part} {share:.0%}" for part, share in row[side]["parts"].items())
            print(f"    {side}: {shares}; {row[side]['calls']} calls")
    record = origin(
        __file__,
        *("scipy", "scikit-learn"),
        blas=blas(),
        seed=SEED,
        reg_covar=REG_COVAR,
        seconds=round(perf_counter() - begin, 1),
        rows=rows,
    )
    if not arguments.dry_run:
        write_record(RECORDED / "em_lesson.json", record)


if __name__ == "__main__":
    main()
