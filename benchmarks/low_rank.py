"""Low-rank covariances beside full and diagonal ones, on digits of 64 and of 784 pixels.

Bits per pixel of held-out, dequantised pictures. Each family of models chooses its number of
components, rank and regularisation on validation pictures; the test pictures are looked at once,
with three seeds. Regularisation is a share of each pixel's variance for the small digits, and the
same variance for all pixels of the large ones, some of which are blank in all training pictures
but not in all others. Those are MNIST's 10,000 test digits, split anew, measured with time and
memory of a fit if the environment variable GMMLEARN_DATA names a folder with
t10k-images-idx3-ubyte.gz. Chapter 7 shows the result.

    python benchmarks/low_rank.py            # writes gmmlearn/recorded/low_rank.json
    python benchmarks/low_rank.py --dry-run  # only prints
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import itertools
import tracemalloc
import warnings
from time import perf_counter

import numpy as np
from em_lesson import blas
from provenance import RECORDED, origin, write_record

from gmmlearn import GaussianMixture, datasets

SEEDS = (1, 2, 3)
SHARES = (0.01, 0.03, 0.1, 0.2, 0.4)
SIZES = (1, 5, 10, 20)
FAMILIES = {
    "full": [{}],
    "diag": [{}],
    "low_rank": [{"rank": rank} for rank in (2, 4, 8, 16)],
}
PLANE = 20
"""Principal components of the mixture in a plane, as in chapter 7."""
MNIST_VARIANCES = (1e-5, 3e-5)
MNIST_RANKS = (4, 8, 16)
MNIST_SIZES = (10, 20)
FULL_ITERATIONS = 3


def bits(log_prob, n_pixels, n_levels):
    """Return bits per pixel of each picture from log densities in nats (N,)."""
    return np.log2(n_levels) - log_prob / (n_pixels * np.log(2))


def fit(X, seed, reg_covar, std=None, **settings):
    """Return a mixture fitted to X / std, and std: by default of each pixel."""
    std = X.std(axis=0) if std is None else std
    mixture = GaussianMixture(reg_covar=reg_covar, random_state=seed, max_iter=300, **settings)
    return mixture.fit(X / std), std


def held_out(fitted, images, n_levels, seed, n_draws=2):
    """Return bits per pixel of each picture: the mean over draws of the dequantising noise."""
    mixture, std = fitted
    rng = np.random.default_rng(seed)
    draws = [datasets.dequantise(images, rng, n_levels) for _ in range(n_draws)]
    log_prob = np.mean([mixture.score_samples(x / std) for x in draws], axis=0)
    return bits(log_prob - np.log(std).sum(), len(std), n_levels)


def interval(values):
    """Return the middle 95 % of bootstrap means."""
    rows = np.random.default_rng(0).integers(len(values), size=(2000, len(values)))
    return [round(float(q), 4) for q in np.percentile(values[rows].mean(axis=1), [2.5, 97.5])]


def summary(per_seed):
    """Return mean, bootstrap interval over pictures, and the mean of each seed (S, N)."""
    return {
        "bits": round(float(np.mean(per_seed)), 4),
        "interval": interval(np.mean(per_seed, axis=0)),
        "seeds": [round(float(values.mean()), 4) for values in per_seed],
    }


def small_digits():
    """Return a row for each family of models of the 8 x 8 digits."""
    train, validation, test = map(datasets.digits, ("train", "validation", "test"))
    fresh = {seed: datasets.dequantise(train.X, seed) for seed in (0, *SEEDS)}
    rows = []
    for family, variants in FAMILIES.items():
        for variant in variants:
            tried = []
            for n_components, share in itertools.product(SIZES, SHARES):
                settings = {"n_components": n_components, "covariance_type": family, **variant}
                fitted = fit(fresh[0], 0, share, **settings)
                value = held_out(fitted, validation.X, datasets.DIGIT_LEVELS, 0).mean()
                tried.append((float(value), n_components, share))
            best, n_components, share = min(tried)
            settings = {"n_components": n_components, "covariance_type": family, **variant}
            begin = perf_counter()
            models = [fit(fresh[seed], seed, share, **settings) for seed in SEEDS]
            taken = (perf_counter() - begin) / len(SEEDS)
            levels = datasets.DIGIT_LEVELS
            values = [held_out(m, test.X, levels, s) for m, s in zip(models, SEEDS, strict=True)]
            n_parameters = models[0][0]._n_parameters()
            row = settings | {"share": share, "validation": round(best, 4)}
            row |= summary(values) | {"n_parameters": n_parameters, "seconds": round(taken, 2)}
            rows.append(row)
            print(row, flush=True)
    rows.append(plane_row(fresh, validation, test))
    print(rows[-1], flush=True)
    return rows


def plane_row(fresh, validation, test):
    """Return the row of full mixtures of the codes in a plane, with noise in all directions."""
    levels, tried = datasets.DIGIT_LEVELS, []
    for n_components, reg_covar in itertools.product(SIZES, (0.001, 0.003, 0.01, 0.03)):
        model = fit_plane(fresh[0], n_components, reg_covar, 0)
        tried.append(
            (float(plane_bits(model, validation.X, levels, 0).mean()), n_components, reg_covar)
        )
    best, n_components, reg_covar = min(tried)
    models = [fit_plane(fresh[seed], n_components, reg_covar, seed) for seed in SEEDS]
    values = [plane_bits(m, test.X, levels, s) for m, s in zip(models, SEEDS, strict=True)]
    row = {"n_components": n_components, "covariance_type": "full in a plane", "axes": PLANE}
    return row | {"share": reg_covar, "validation": round(best, 4)} | summary(values)


def fit_plane(X, n_components, reg_covar, seed):
    """Return a mixture of codes, the axes (D, M), the centre (D,) and the noise variance."""
    centre = X.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(X.T, bias=True))
    axes, noise = axes[:, -PLANE:], variances[:-PLANE].mean()
    mixture = GaussianMixture(n_components, reg_covar=reg_covar, random_state=seed, max_iter=300)
    return mixture.fit((X - centre) @ axes), axes, centre, noise


def plane_bits(model, images, n_levels, seed, n_draws=2):
    """Return bits per pixel of each picture."""
    mixture, axes, centre, noise = model
    rng, values = np.random.default_rng(seed), []
    for _ in range(n_draws):
        centred = datasets.dequantise(images, rng, n_levels) - centre
        codes = centred @ axes
        rest = np.square(centred).sum(axis=1) - np.square(codes).sum(axis=1)
        n_rest = len(axes) - PLANE
        outside = -0.5 * (n_rest * np.log(2 * np.pi * noise) + rest / noise)
        values.append(mixture.score_samples(codes) + outside)
    return bits(np.mean(values, axis=0), len(axes), n_levels)


def large_digits(folder):
    """Return what was measured on MNIST's 10,000 test digits."""
    images = datasets.mnist("test", folder).X.reshape(-1, 784)
    order = np.random.default_rng(0).permutation(len(images))
    train, validation, test = np.split(images[order], [8000, 9000])
    X = {seed: datasets.dequantise(train, seed, 256) for seed in (0, 1)}
    tried = []
    for rank, n_components in itertools.product(MNIST_RANKS, MNIST_SIZES):
        for variance in MNIST_VARIANCES:
            settings = {"n_components": n_components, "covariance_type": "low_rank", "rank": rank}
            fitted = fit(X[0], 0, variance, np.ones(784), tol=1e-1, **settings)
            value = float(held_out(fitted, validation, 256, 0, 1).mean())
            tried.append(settings | {"reg_covar": variance, "validation": round(value, 4)})
            print(tried[-1], flush=True)
    best = min(tried, key=lambda row: row["validation"])
    settings = {key: best[key] for key in ("n_components", "covariance_type", "rank")}
    chosen = fit(X[1], 1, best["reg_covar"], np.ones(784), tol=1e-1, **settings)
    values = held_out(chosen, test, 256, 1)
    # A few pictures with ink where there never was any have most of the mean's spread.
    chosen = summary([values]) | {"median": round(float(np.median(values)), 4)}
    rows = [timed(X[0], 1e-5, n_components=10, covariance_type="low_rank", rank=8)]
    rows.append(timed(X[0], 1e-5, FULL_ITERATIONS, n_components=10, covariance_type="full"))
    for row in rows:
        print(row, flush=True)
    return {
        "data": "MNIST's 10,000 test digits, 28 x 28, 256 levels, dequantised",
        "split": {"train": 8000, "validation": 1000, "test": 1000},
        "tried": tried,
        "chosen": best | chosen,
        "independent": round(independent_bits(X[0], validation, test), 4),
        "fits": rows,
    }


def independent_bits(X, validation, test):
    """Return bits per pixel of independent Gaussians, with a variance added as validation says."""

    def value(images, added):
        centred, variances = (
            datasets.dequantise(images, 0, 256) - X.mean(axis=0),
            X.var(axis=0) + added,
        )
        log_prob = -0.5 * (np.log(2 * np.pi * variances) + centred**2 / variances).sum(axis=1)
        return float(bits(log_prob, 784, 256).mean())

    added = min(10.0 ** np.arange(-7, 0, 0.5), key=lambda one: value(validation, one))
    return value(test, added)


def timed(X, reg_covar, max_iter=None, **settings):
    """Return seconds and megabytes beyond the data of one fit, from random points."""
    settings |= {"reg_covar": reg_covar, "random_state": 0, "init_params": "random_from_data"}
    settings |= {"tol": 1e-1} if max_iter is None else {"tol": 0.0, "max_iter": max_iter}
    begin = perf_counter()
    mixture = GaussianMixture(**settings).fit(X)
    taken = perf_counter() - begin
    tracemalloc.start()
    GaussianMixture(**settings | {"max_iter": 1}).fit(X)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return {
        key: value for key, value in settings.items() if key in ("n_components", "covariance_type")
    } | {
        "rank": settings.get("rank"),
        "n_samples": len(X),
        "iterations": mixture.n_iter_,
        "seconds": round(taken, 1),
        "megabytes": round(peak, 1),
        "data_megabytes": round(X.nbytes / 1e6, 1),
        "covariance_numbers": mixture._structure.n_parameters(settings["n_components"], X.shape[1]),
    }


def main():
    """Measure, print, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print, write nothing")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    begin = perf_counter()
    small, folder = small_digits(), os.environ.get("GMMLEARN_DATA")
    large = large_digits(folder) if folder else "not measured"
    record = origin(
        __file__,
        *("scipy", "scikit-learn"),
        blas=blas(),
        seeds=[0, *SEEDS],
        seconds=round(perf_counter() - begin, 1),
        small=small,
        large=large,
    )
    if not arguments.dry_run:
        write_record(RECORDED / "low_rank.json", record)


if __name__ == "__main__":
    main()
