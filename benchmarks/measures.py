"""Let every measure of `gmmlearn.metrics` examine samplers with known faults, on digits.

The digits that no model was fitted to are split at random, again and again, into real ones and a
pool that the samplers draw from. Each measure compares n samples with the real ones, in the space
of the pixels, of 20 principal components, and of a judge's features. Recorded are the median and
the middle 95 % of the values over splits. Chapter 10 shows the result.

    python benchmarks/measures.py            # writes gmmlearn/recorded/measures.json
    python benchmarks/measures.py --dry-run  # only prints
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
from time import perf_counter

import numpy as np
from provenance import RECORDED, origin, write_record

from gmmlearn import datasets, metrics
from gmmlearn.datasets import Labelled
from gmmlearn.em import fit_em, start_mixture
from gmmlearn.gaussian import Gaussian
from gmmlearn.mixture import Mixture

N_SPLITS, N_REAL = 40, 400
SIZES = (50, 100, 200, 300)
N_AXES, N_COMPONENTS, SHARE, N_BINS = 20, 20, 0.2, 20


def parts():
    """Return the digits to fit to, and those that nothing is fitted to."""
    held = [datasets.digits(part) for part in ("validation", "test")]
    return datasets.digits("train"), Labelled(*map(np.concatenate, zip(*held, strict=True)))


def models(train):
    """Return two densities fitted to the training digits: one Gaussian, and chapter 7's mixture."""
    X = datasets.dequantise(train.X, rng=0)
    std = X.std(axis=0)
    start = start_mixture(X / std, N_COMPONENTS, 0, reg_covar=SHARE)
    q = fit_em(X / std, start, tol=1e-3, reg_covar=SHARE).mixture
    mixture = Mixture(q.weights, q.means * std, q.covariances * np.outer(std, std))
    return {"one Gaussian": Gaussian.fit(X), "mixture": mixture}


def draw(model, n_samples, rng):
    """Return pictures with pixels 0..16."""
    drawn = model.sample(n_samples, rng)
    points = drawn[0] if isinstance(model, Mixture) else drawn
    levels = np.clip(np.floor(datasets.DIGIT_LEVELS * points), 0, datasets.DIGIT_LEVELS - 1)
    return levels.reshape(-1, 8, 8)


def spaces(train):
    """Return functions from pictures (N, 8, 8) with pixels 0..16 to features."""
    from gmmlearn.deep.features import load_judge

    flat = train.X.reshape(-1, 64) / 16
    centre, axes = flat.mean(axis=0), np.linalg.eigh(np.cov(flat.T))[1][:, -N_AXES:]
    judge = load_judge("digits")
    return {
        "pixels": lambda X: X.reshape(-1, 64) / 16,
        "plane": lambda X: (X.reshape(-1, 64) / 16 - centre) @ axes,
        "judge": judge.features,
    }, judge


def measure(train, real, fake):
    """Return what each measure says of features, by name."""
    few = min(len(real), len(fake)) <= real.shape[1]
    bins = metrics.ndb(train, fake, N_BINS, rng=0)
    pairs = [metrics.mean_pairwise_distance(X) for X in (fake, real)]
    return {
        "Frechet": np.nan if few else metrics.frechet_distance(real, fake),
        "kernel": metrics.kernel_distance(real, fake),
        **metrics.precision_recall(real, fake)._asdict(),
        "NDB": bins.n_different,
        "shares": bins.jensen_shannon,
        "diversity": pairs[0] / pairs[1],
        **metrics.nearest_distance_ratio(train, real, fake)._asdict(),
    }


def examine(progress=print):
    """Return values by space, sampler, size and measure, one for each split."""
    train, held = parts()
    fitted, (features, judge) = models(train), spaces(train)
    of_train = {space: f(train.X) for space, f in features.items()}
    values = {}
    for split in range(N_SPLITS):
        rng = np.random.default_rng(split)
        order = rng.permutation(len(held.X))
        real, pool = (Labelled(held.X[i], held.labels[i]) for i in np.split(order, [N_REAL]))
        samples = metrics.faulty_samples(pool, train, max(SIZES), rng)
        samples = {name: tuple(labelled) for name, labelled in samples.items()}
        samples |= {name: (draw(p, max(SIZES), rng), None) for name, p in fitted.items()}
        for space, f in features.items():
            of_real = f(real.X)
            for name, (X, labels) in samples.items():
                of_fake = f(X)
                for n in SIZES:
                    found = measure(of_train[space], of_real, of_fake[:n])
                    if space == "judge" and labels is not None:
                        seen = judge.predict(X[:n])["digit"]
                        found["agreement"] = metrics.agreement(labels[:n], seen).estimate
                    for key, value in found.items():
                        values.setdefault((space, name, n, key), []).append(value)
        progress(f"split {split + 1} of {N_SPLITS}")
    return values


def rows(values):
    """Return one row for each space, sampler, size and measure, with whether it sees the fault."""
    ends = {key: np.quantile(v, [0.025, 0.5, 0.975]) for key, v in values.items()}
    found = []
    for (space, name, n, key), (low, median, high) in ends.items():
        if np.isnan(median):
            continue
        honest = ends[space, "honest", n, key]
        row = {"space": space, "sampler": name, "n_samples": n, "measure": key}
        numbers = {"low": low, "median": median, "high": high}
        row |= {k: float(f"{value:.4g}") for k, value in numbers.items()}
        found.append(row | {"sees": bool(low > honest[2] or high < honest[0])})
    return found


def main():
    """Examine, print a table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print, write nothing")
    arguments = parser.parse_args()
    begin = perf_counter()
    table = rows(examine())
    for row in table:
        if row["n_samples"] == max(SIZES):
            print(
                f"{row['space']:7} {row['sampler']:15} {row['measure']:10} {row['median']:9.3g} "
                f"[{row['low']:.3g}, {row['high']:.3g}]{' sees' if row['sees'] else ''}"
            )
    record = origin(
        __file__,
        *("scipy", "scikit-learn", "torch"),
        seed=list(range(N_SPLITS)),
        n_real=N_REAL,
        n_bins=N_BINS,
        seconds=round(perf_counter() - begin, 1),
        rows=table,
    )
    if not arguments.dry_run:
        write_record(RECORDED / "measures.json", record, indent=None)


if __name__ == "__main__":
    main()
