"""Markov random fields beside mixtures, on scikit-learn's two photographs. Chapter 8 shows it.

Texture: bits per pixel of 8 x 8 patches without their mean (63 coordinates of dequantised grey
levels) under Gaussian Markov fields, one Gaussian, scale mixtures and full mixtures, learned on
some tiles of one photograph, measured on its other tiles and on the other photograph.
Restoration: the same models as priors of expected patch log-likelihood, in dB.
Segmentation: does a Potts field on a colour mixture find the labels of the clean picture again when
noise is added? The strength is chosen on one photograph and reported on the other.

    python benchmarks/markov.py            # writes gmmlearn/recorded/markov.json
    python benchmarks/markov.py --dry-run  # only prints
    python benchmarks/markov.py --parts texture  # measures one part anew, keeps the others
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import warnings
from time import perf_counter, process_time

import numpy as np
from provenance import RECORDED, origin, rounded, write_record
from scipy.linalg import helmert
from sklearn.exceptions import ConvergenceWarning

from gmmlearn import GaussianMixture, datasets
from gmmlearn.estimator import CollapsedComponentWarning
from gmmlearn.gaussian import Gaussian
from gmmlearn.mixture import Mixture
from gmmlearn.patches import extract_patches, load_patch_prior, patch_basis, remove_dc, turned
from gmmlearn.potts import boundary_length, segment
from gmmlearn.restoration import denoise
from gmmlearn.scale_mixture import fit_scale_mixture
from gmmlearn.texture import fit_field

NAMES = ("china", "flower")
SEEDS = (0, 1, 2)

TILE, SIZE, LEVELS = 64, 8, 256
# Windows 9 apart do not overlap, and do not keep step with the 8 x 8 blocks of the JPEG files.
TRAIN_STRIDE, TEST_STRIDE = 3, 9
BASIS = helmert(SIZE**2).T  # (64, 63): orthonormal, without the mean
RADII = (0, 1, 1.5, 3, 4)
N_SCALES = 10
SIZES = (10, 50, 200)
REG_COVARS = (1e-6, 3e-6)

CROP = 256
N_MORE = 40_000
RESTORED_NOISE = (15, 25, 50)

N_COLOURS, REG_COLOUR = 5, 1e-4
NOISE_STDS = (25, 50)  # in grey levels of 255
STRENGTHS = (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3)
NOISE_SEEDS = (0, 1, 2)


def tiles(name):
    """Return the photograph's 60 whole tiles of grey levels 0..255, (60, 64, 64)."""
    grey = np.round((LEVELS - 1) * datasets.photograph(name)).astype(int)
    rows, columns = (range(0, n - TILE + 1, TILE) for n in grey.shape)
    return np.array([grey[r : r + TILE, c : c + TILE] for r in rows for c in columns])


def codes(tiles, stride, rng):
    """Return the dequantised coordinates of each tile's windows, (tiles, windows, 63)."""
    windows = np.lib.stride_tricks.sliding_window_view(tiles, (SIZE, SIZE), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].reshape(-1, SIZE**2)
    return (datasets.dequantise(windows, rng, LEVELS) @ BASIS).reshape(len(tiles), -1, 63)


def bits(log_prob):
    """Return mean bits per pixel: of the 63 coordinates, in units of one grey level."""
    return np.log2(LEVELS) - np.mean(log_prob, axis=-1) / (63 * np.log(2))


def fit_mixture(X, n_components, start, reg_covar, seed):
    """Return a zero-mean mixture of full covariances, from one of two starts.

    Random patches as starts can leave all components alike, and EM there for good; groups of like
    contrast cannot, but a good random start ends a little higher.
    """
    settings = {"means_init": np.zeros((n_components, X.shape[1])), "fixed": {"means"}}
    if start == "contrast":
        settings |= {"precisions_init": groups(X, n_components, reg_covar, seed)}
        settings |= {"weights_init": np.full(n_components, 1 / n_components)}
    settings |= {"init_params": "random_from_data", "random_state": seed, "reg_covar": reg_covar}
    return GaussianMixture(n_components, tol=1e-2, max_iter=25, **settings).fit(X)


def groups(X, n_components, reg_covar, seed):
    """Return the precisions of patches grouped by contrast, each group split at random in five."""
    rank = np.argsort(np.argsort(np.square(X).sum(axis=1)))
    part = np.random.default_rng(seed).integers(5, size=len(X))
    labels = 5 * (rank * (n_components // 5) // len(X)) + part
    moments = [X[labels == k].T @ X[labels == k] for k in range(n_components)]
    moments /= np.bincount(labels)[:, None, None]
    precisions = np.linalg.inv(moments + reg_covar * np.eye(X.shape[1]))
    return (precisions + precisions.swapaxes(1, 2)) / 2


def textures(name, seed):
    """Yield (model, number of parameters, log density) of everything learned on one photograph."""
    rng = np.random.default_rng(seed)
    mine, others = tiles(name), tiles(NAMES[1 - NAMES.index(name)])
    order = rng.permutation(len(mine))
    train, validation, test = np.split(order, [36, 48])
    X = codes(mine[train], TRAIN_STRIDE, rng).reshape(-1, 63)
    valid = codes(mine[validation], TEST_STRIDE, rng).reshape(-1, 63)
    held_out = {"same": codes(mine[test], TEST_STRIDE, rng), "other": codes(others, 9, rng)}
    yield {"test": test, "n_train": len(X)}

    def row(model, n_parameters, log_prob, **more):
        measured = {where: bits(tilewise(log_prob, Y)) for where, Y in held_out.items()}
        row = {"model": model, "n_parameters": n_parameters, "per_tile": measured}
        where = held_out["other"].reshape(-1, 63)
        return row | {"by_contrast": by_contrast(log_prob(where), where)} | more

    for radius in RADII:
        field = fit_field(X, BASIS, radius)
        gaussian = field.patch_gaussian(BASIS)
        yield row(f"field, radius {radius:g}", field.n_parameters, gaussian.log_prob)
        if radius == 1:
            scaled = fit_scale_mixture(X, gaussian, N_SCALES)
            n_parameters = field.n_parameters - 1 + 2 * N_SCALES - 1
            first = row(f"field, radius 1, {N_SCALES} scales", n_parameters, scaled.log_prob)
    full = Gaussian(np.zeros(63), X.T @ X / len(X))
    yield row("full Gaussian", 63 * 64 // 2, full.log_prob)
    yield first
    scaled = fit_scale_mixture(X, full, N_SCALES)
    n_parameters = 63 * 64 // 2 + 2 * N_SCALES - 2
    yield row(f"full Gaussian, {N_SCALES} scales", n_parameters, scaled.log_prob)
    candidates = [(start, reg) for start in ("random", "contrast") for reg in REG_COVARS]
    for n_components in SIZES:
        fits = {case: fit_mixture(X, n_components, *case, seed) for case in candidates}
        scores = {case: float(bits(fit.score_samples(valid))) for case, fit in fits.items()}
        best = min(scores, key=scores.get)
        if n_components == SIZES[-2]:  # the largest is costly: it takes the last one's choice
            candidates = [best]
        n_parameters = n_components * 63 * 64 // 2 + n_components - 1
        more = {"start": best[0], "reg_covar": best[1], "validation": scores[best]}
        yield row(f"mixture, K = {n_components}", n_parameters, fits[best].score_samples, **more)


def measure_more_patches(name):
    """Return bits of the scaled field and of K = 50, from few patches and from more; one seed."""
    rng = np.random.default_rng(0)
    mine, others = tiles(name), tiles(NAMES[1 - NAMES.index(name)])
    train, _, test = np.split(rng.permutation(len(mine)), [36, 48])
    held_out = {"same": codes(mine[test], TEST_STRIDE, rng), "other": codes(others, 9, rng)}
    windows = np.lib.stride_tricks.sliding_window_view(mine[train], (SIZE, SIZE), axis=(1, 2))
    windows, rows = windows.reshape(-1, SIZE**2), []
    for n_train in (13_000, N_MORE):
        chosen = turned(windows[rng.choice(len(windows), n_train, replace=False)], rng)
        X = datasets.dequantise(chosen, rng, LEVELS) @ BASIS
        scaled = fit_scale_mixture(X, fit_field(X, BASIS, 1).patch_gaussian(BASIS), N_SCALES)
        mixture = fit_mixture(X, 50, "random", REG_COVARS[0], 0)
        models = {"field, radius 1, 10 scales": scaled.log_prob}
        for model, log_prob in (models | {"mixture, K = 50": mixture.score_samples}).items():
            row = {"model": model, "n_train": n_train}
            for where, Y in held_out.items():
                row[where] = float(bits(tilewise(log_prob, Y)).mean())
            rows.append(row)
            print(
                f"{name:7}{model:28}{n_train:7,} {row['same']:.3f} {row['other']:.3f}", flush=True
            )
    return rows


def tilewise(log_prob, Y):
    """Return the log densities of windows by tile, (tiles, windows)."""
    return log_prob(Y.reshape(-1, Y.shape[2])).reshape(Y.shape[:2])


def by_contrast(log_prob, Y):
    """Return bits of the flattest third of the windows, the middle and the roughest third."""
    third = np.digitize(Y.std(axis=1), np.quantile(Y.std(axis=1), [1 / 3, 2 / 3]))
    return [float(bits(log_prob[third == j])) for j in range(3)]


def interval(values, rng=0):
    """Return the middle 95 % of the means of 2,000 redrawings of tiles."""
    rows = np.random.default_rng(rng).integers(len(values), size=(2000, len(values)))
    return [float(v) for v in np.percentile(values[rows].mean(axis=1), [2.5, 97.5])]


def pooled(runs, where):
    """Return each tile's mean over the seeds in which it was held out, (tiles,)."""
    if where == "other":
        return np.mean([run["per_tile"]["other"] for run in runs], axis=0)
    sums, counts = np.zeros(60), np.zeros(60)
    for run in runs:
        sums[run["test"]] += run["per_tile"]["same"]
        counts[run["test"]] += 1
    return sums[counts > 0] / counts[counts > 0]


def measure_textures(name):
    """Return one row for each model learned on `name`, over all seeds."""
    runs, n_train = {}, 0
    for seed in SEEDS:
        found = textures(name, seed)
        split = next(found)
        n_train = split["n_train"]
        for row in found:
            runs.setdefault(row["model"], []).append(row | {"test": split["test"]})
    rows, reference = [], f"field, radius 1, {N_SCALES} scales"
    for model, found in runs.items():
        row = {"model": model, "n_parameters": found[0]["n_parameters"]}
        for where in ("same", "other"):
            values, compared = pooled(found, where), pooled(runs[reference], where)
            row[where] = {
                "bits": float(values.mean()),
                "interval": interval(values),
                "by_seed": [float(np.mean(one["per_tile"][where])) for one in found],
                "over_scaled_field": interval(values - compared),
            }
        row["by_contrast"] = np.mean([one["by_contrast"] for one in found], axis=0).tolist()
        for key in {"start", "reg_covar", "validation"} & set(found[0]):
            row[key] = [one[key] for one in found]
        rows.append(row)
        print(
            f"{name:7}{model:28}{row['n_parameters']:8,}  "
            f"{row['same']['bits']:.3f} {np.round(row['same']['interval'], 2)}  "
            f"{row['other']['bits']:.3f} {np.round(row['other']['interval'], 2)}  "
            f"{np.round(row['by_contrast'], 2)}",
            flush=True,
        )
    return {"n_train": n_train, "rows": rows}


def priors(name):
    """Return the priors learned from the patches of one photograph, by name."""
    photograph, rng = datasets.photograph(name), np.random.default_rng(0)
    levels = np.round((LEVELS - 1) * extract_patches(photograph, SIZE, TRAIN_STRIDE)).astype(int)
    X, _ = remove_dc(datasets.dequantise(levels, rng, LEVELS))
    basis = patch_basis(SIZE)
    field = fit_field(X, basis, 1).patch_gaussian(basis)
    full = Gaussian(np.zeros(63), X.T @ X / len(X))
    return {
        "field, radius 1": Mixture([1.0], [field.mean], [field.covariance]),
        f"field, radius 1, {N_SCALES} scales": fit_scale_mixture(X, field, N_SCALES),
        "full Gaussian": Mixture([1.0], [full.mean], [full.covariance]),
        f"full Gaussian, {N_SCALES} scales": fit_scale_mixture(X, full, N_SCALES),
        "mixture, K = 50": load_patch_prior(name),  # what benchmarks/patches.py learned
    }


def measure_restorations(name):
    """Return the mean PSNR of the other photograph's centre, restored by priors learned here."""
    other = datasets.photograph(NAMES[1 - NAMES.index(name)])
    top, left = ((n - CROP) // 2 for n in other.shape)
    clean, rows = other[top : top + CROP, left : left + CROP], []
    for model, prior in priors(name).items():
        row = {"model": model, "psnr": [], "by_seed": []}
        for level in RESTORED_NOISE:
            runs = []
            for seed in SEEDS:
                noise = np.random.default_rng(seed).standard_normal(clean.shape) * level / 255
                restored = np.clip(denoise(clean + noise, prior, level / 255), 0, 1)
                runs.append(float(-10 * np.log10(np.square(restored - clean).mean())))
            row["psnr"].append(float(np.mean(runs)))
            row["by_seed"].append(runs)
        rows.append(row)
        print(f"{name:7}{model:28}", np.round(row["psnr"], 2), "dB", flush=True)
    return {"noise": list(RESTORED_NOISE), "rows": rows}


def colours(name):
    """Return every second pixel of a photograph, and a mixture of its colours."""
    picture = datasets.photograph(name, grey=False)[::2, ::2]
    fitted = GaussianMixture(N_COLOURS, reg_covar=REG_COLOUR, max_iter=300, random_state=0)
    fitted.fit(picture.reshape(-1, 3))
    return picture, Mixture(fitted.weights_, fitted.means_, fitted.covariances_)


def log_joint(mixture, picture, noise_std=0.0):
    """Return the log joint of each pixel and colour, with known noise added to the mixture."""
    covariances = mixture.covariances + noise_std**2 * np.eye(3)
    noisy = Mixture(mixture.weights, mixture.means, covariances)
    return noisy.log_joint(picture.reshape(-1, 3)).reshape(*picture.shape[:2], -1)


def measure_segmentations():
    """Return how well noisy pictures find the clean ones' labels, by noise, picture, strength."""
    rows = []
    for level in NOISE_STDS:
        for name in NAMES:
            picture, mixture = colours(name)
            clean = segment(log_joint(mixture, picture), 0.0)
            agreement, length = [], []
            for seed in NOISE_SEEDS:
                noise = np.random.default_rng(seed).standard_normal(picture.shape) * level / 255
                joint = log_joint(mixture, picture + noise, level / 255)
                labels = [segment(joint, strength, tol=1e-4).labels for strength in STRENGTHS]
                agreement.append([float((one == clean.labels).mean()) for one in labels])
                length.append([boundary_length(one) for one in labels])
            rows.append(
                {
                    "picture": name,
                    "noise": level,
                    "agreement": np.mean(agreement, axis=0).tolist(),
                    "agreement_std": np.std(agreement, axis=0, ddof=1).tolist(),
                    "boundary": np.mean(length, axis=0).tolist(),
                    "clean_boundary": boundary_length(clean.labels),
                }
            )
            print(f"noise {level}, {name}:", np.round(rows[-1]["agreement"], 3), flush=True)
    return {
        "n_components": N_COLOURS,
        "strengths": list(STRENGTHS),
        "noise_seeds": list(NOISE_SEEDS),
        "chosen": {name: choose(rows, name) for name in NAMES},
        "rows": rows,
    }


def choose(rows, name):
    """Return, for each noise level, the strength that is best on the *other* photograph."""
    best = {}
    for row in rows:
        if row["picture"] != name:
            best[str(row["noise"])] = STRENGTHS[int(np.argmax(row["agreement"]))]
    return best


PARTS = {
    "restoration": lambda: {name: measure_restorations(name) for name in NAMES},
    "segmentation": measure_segmentations,
    "more_patches": lambda: {name: measure_more_patches(name) for name in NAMES},
    "texture": lambda: {name: measure_textures(name) for name in NAMES},
}


def main():
    """Measure, print tables, write the record; parts that are not asked for stay as recorded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print, write nothing")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    # The flower's background is almost one colour, and wanted as a component.
    warnings.simplefilter("ignore", CollapsedComponentWarning)
    path = RECORDED / "markov.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    before = {"commit": record.get("commit"), "cpu_seconds": record.get("cpu_seconds")}
    measured = record.get("measured", {part: before for part in PARTS if part in record})
    begin, source = perf_counter(), origin(__file__, "scipy", "scikit-learn", seed=list(SEEDS))
    for part in arguments.parts:
        start = process_time()
        record[part] = PARTS[part]()
        spent = process_time() - start
        measured[part] = {"commit": source["commit"], "cpu_seconds": spent}
    record |= source | {"measured": measured, "seconds": perf_counter() - begin}
    if not arguments.dry_run:
        write_record(path, rounded(record))


if __name__ == "__main__":
    main()
