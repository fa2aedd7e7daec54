"""Measure how well mixtures of patches restore photographs, beside standard methods.

A prior is learned from one of scikit-learn's two photographs and restores the other. Settings of
scikit-image's methods are tuned on the centre of the photograph that the prior was learned from.
Our own are the same everywhere: part "tuning" shows steps and strength of adaptation on pieces of
one photograph. "nlm oracle" is non-local means with settings chosen on the answer itself.

    python benchmarks/patches.py            # writes gmmlearn/recorded/patches.json and the priors
    python benchmarks/patches.py --dry-run  # only prints
    python benchmarks/patches.py --learn    # learns and writes the priors, nothing else
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import itertools
from functools import partial
from pathlib import Path
from time import process_time

import numpy as np
from provenance import RECORDED, origin, write_record
from safetensors.numpy import save_file
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity
from skimage.restoration import (
    denoise_nl_means,
    denoise_tv_chambolle,
    denoise_wavelet,
    inpaint_biharmonic,
)

from gmmlearn import damage, datasets
from gmmlearn.inpainting import inpaint, smooth_fill
from gmmlearn.mixture import Mixture
from gmmlearn.patches import learn_patch_prior, load_patch_prior
from gmmlearn.restoration import adapt, denoise, posterior_mean

NAMES = ("china", "flower")
OTHER = {"china": "flower", "flower": "china"}
LEVELS = (15, 25, 50)
SEEDS = (0, 1, 2)
TUNING_SEED = 100
N_COMPONENTS = 50


def psnr(found, truth, where=slice(None)):
    """Return the peak signal-to-noise ratio in dB of pixels in [0, 1]."""
    return float(-10.0 * np.log10(np.mean(np.square(found - truth)[where])))


def crop(picture, size=256):
    """Return the centre of a picture."""
    top, left = ((n - size) // 2 for n in picture.shape[:2])
    return picture[top : top + size, left : left + size]


def noisy(clean, level, seed):
    """Return a picture with noise of so many grey levels."""
    return clean + level / 255 * np.random.default_rng(seed).standard_normal(clean.shape)


def choices(**settings):
    """Return all combinations of settings."""
    values = itertools.product(*settings.values())
    return [dict(zip(settings, one, strict=True)) for one in values]


# Each standard method: a function of noisy picture, noise's std and settings, and its settings.
STANDARD = {
    "gaussian": (
        lambda y, s, width: gaussian_filter(y, [width, width, 0][: y.ndim]),
        choices(width=[0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.7, 2.0]),
    ),
    "tv": (
        lambda y, s, weight: denoise_tv_chambolle(
            y, weight=weight * s, channel_axis=-1 if y.ndim == 3 else None
        ),
        choices(weight=[0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.6]),
    ),
    "wavelets": (
        lambda y, s, wavelet, method: denoise_wavelet(
            y,
            sigma=s,
            wavelet=wavelet,
            method=method,
            mode="soft",
            wavelet_levels=None,
            rescale_sigma=True,
            convert2ycbcr=False,
            channel_axis=-1 if y.ndim == 3 else None,
        ),
        choices(wavelet=["haar", "db2", "sym4", "bior4.4"], method=["BayesShrink", "VisuShrink"]),
    ),
    "nlm": (
        lambda y, s, size, reach, h: denoise_nl_means(
            y, size, reach, h=h * s, sigma=s, channel_axis=-1 if y.ndim == 3 else None
        ),
        choices(size=[5, 7], reach=[6, 9], h=[0.5, 0.6, 0.7, 0.8]),
    ),
}


def tuned(method, clean, y, noise_std):
    """Return the settings of a standard method that restore `clean` best."""
    function, grid = STANDARD[method]
    return max(grid, key=lambda one: psnr(function(y, noise_std, **one), clean))


def single(prior):
    """Return the one Gaussian with the mixture's covariance."""
    whole = np.tensordot(prior.weights, prior.covariances, 1)
    return Mixture([1.0], np.zeros((1, prior.n_features)), whole[None])


def measure_tuning():
    """Return PSNR at noise 25 by steps and strength of adaptation, within one photograph each.

    A prior of the photograph's left half adapts to a noisy piece of its right half.
    """
    rows = []
    for name in NAMES:
        picture, s = datasets.photograph(name), 25 / 255
        half = learn_patch_prior(picture[:, :320], N_COMPONENTS, 50_000, max_iter=15, rng=0)
        clean = picture[100:292, 384:576]
        y = noisy(clean, 25, TUNING_SEED)
        for strength, n_steps in ((100, 0), (100, 1), (100, 3), (100, 8), (30, 8), (300, 8)):
            own = adapt(half, y, s, strength, n_steps)
            row = {"picture": name, "strength": strength, "n_steps": n_steps}
            row["psnr"] = round(psnr(posterior_mean(y, own, s), clean), 2)
            print(row, flush=True)
            rows.append(row)
    return rows


def measure_noise(name, level, colour=False):
    """Return PSNR and SSIM by method and seed, for `name` restored, and all settings."""
    size = 128 if colour else 256
    names = name, OTHER[name]
    clean, known = (crop(datasets.photograph(one, grey=not colour), size) for one in names)
    prior, s = load_patch_prior(OTHER[name]), level / 255
    example = noisy(known, level, TUNING_SEED)
    settings = {method: tuned(method, known, example, s) for method in STANDARD}
    settings["nlm oracle"] = tuned("nlm", clean, noisy(clean, level, SEEDS[0]), s)
    rows = []
    for seed in SEEDS:
        y = noisy(clean, level, seed)
        found = {"noisy": y}
        for method, chosen in settings.items():
            found[method] = STANDARD[method.split()[0]][0](y, s, **chosen)
        own = adapt(prior, y, s)
        found["one gaussian"] = denoise(y, single(prior), s)
        found["one gaussian one pass"] = posterior_mean(y, single(prior), s)
        found["epll"] = denoise(y, prior, s)
        found["adapted epll"] = denoise(y, own, s)
        found["one pass"] = posterior_mean(y, prior, s)
        found["adapted one pass"] = posterior_mean(y, own, s)
        for method, picture in found.items():
            axis = -1 if colour else None
            similar = structural_similarity(clean, picture, data_range=1.0, channel_axis=axis)
            row = {"seed": seed, "method": method, "psnr": round(psnr(picture, clean), 3)}
            rows.append(row | {"ssim": round(float(similar), 4)})
    print(f"{name}{' in colour' if colour else ''}, noise {level}")
    report(rows)
    return {"settings": settings, "rows": rows}


def measure_steps():
    """Return PSNR of the six cases by steps of adaptation, one seed."""
    rows = []
    for name, level in itertools.product(NAMES, LEVELS):
        clean, prior, s = (
            crop(datasets.photograph(name)),
            load_patch_prior(OTHER[name]),
            level / 255,
        )
        y = noisy(clean, level, SEEDS[0])
        for n_steps in (1, 3, 8):
            found = posterior_mean(y, adapt(prior, y, s, n_steps=n_steps), s)
            row = {"picture": name, "noise": level, "n_steps": n_steps}
            rows.append(row | {"psnr": round(psnr(found, clean), 3)})
            print(rows[-1], flush=True)
    return rows


def report(rows):
    """Print mean and spread of PSNR by method."""
    for method in dict.fromkeys(row["method"] for row in rows):
        values = [row["psnr"] for row in rows if row["method"] == method]
        print(f"    {method:20} {np.mean(values):.2f}, over {np.ptp(values):.3f}", flush=True)


def measure_holes():
    """Return rows of PSNR inside the holes."""
    rows = []
    for name in NAMES:
        clean, prior = crop(datasets.photograph(name), 160), load_patch_prior(OTHER[name])
        for kind, seed in itertools.product(("scratches", "text"), SEEDS):
            mask = damage.scratches(clean.shape, rng=seed)
            if kind == "text":
                mask = damage.printed_text(clean.shape, rng=seed)
            damaged = np.where(mask, 1.0, clean)
            own = adapt(prior, damaged, 0.01, mask=mask)
            found = {
                "mean of neighbours": smooth_fill(damaged, mask),
                "biharmonic": inpaint_biharmonic(damaged, mask),
                "prior": inpaint(damaged, mask, prior),
                "adapted prior": inpaint(damaged, mask, own),
            }
            for method, picture in found.items():
                score = round(psnr(picture, clean, mask), 3)
                row = {"picture": name, "damage": kind, "seed": seed, "method": method}
                rows.append(row | {"missing": round(float(mask.mean()), 3), "psnr": score})
        for kind in ("scratches", "text"):
            print(f"{name}, {kind}")
            for method in dict.fromkeys(r["method"] for r in rows):
                values = [
                    r["psnr"]
                    for r in rows
                    if (r["picture"], r["damage"], r["method"]) == (name, kind, method)
                ]
                print(f"    {method:20} {np.mean(values):.2f}", flush=True)
    return rows


def measure_components():
    """Return PSNR at noise 25 by number of components; each prior is learned here."""
    rows = []
    for name, n_components in itertools.product(NAMES, (10, 50, 200)):
        begin = process_time()
        prior = learn_patch_prior(
            datasets.photograph(OTHER[name]), n_components, 50_000, max_iter=20, rng=0
        )
        seconds, s = process_time() - begin, 25 / 255
        clean = crop(datasets.photograph(name))
        y = noisy(clean, 25, 0)
        own = adapt(prior, y, s)
        row = {"picture": name, "n_components": n_components, "cpu_seconds": round(seconds, 1)}
        row |= {
            "epll": round(psnr(denoise(y, prior, s), clean), 2),
            "adapted epll": round(psnr(denoise(y, own, s), clean), 2),
            "adapted one pass": round(psnr(posterior_mean(y, own, s), clean), 2),
        }
        print(row, flush=True)
        rows.append(row)
    return rows


def measure_speed():
    """Return CPU-seconds for a full photograph, with what a megapixel costs."""
    rows = []
    for name, level in itertools.product(NAMES, (25,)):
        prior, s = load_patch_prior(OTHER[name]), level / 255
        y = noisy(datasets.photograph(name), level, 0)
        clock = [process_time()]
        own = adapt(prior, y, s)
        clock.append(process_time())
        denoise(y, own, s)
        clock.append(process_time())
        posterior_mean(y, own, s)
        clock.append(process_time())
        parts = dict(zip(("adapt", "epll", "mean"), np.diff(clock).round(1).tolist(), strict=True))
        per_megapixel = (parts["epll"] / y.size * 1e6, parts["mean"] / y.size * 1e6)
        row = {"picture": name, "noise": level, "pixels": y.size} | parts
        row |= {"epll_per_megapixel": round(per_megapixel[0], 1)}
        row |= {"mean_per_megapixel": round(per_megapixel[1], 1)}
        print(row, flush=True)
        rows.append(row)
    return rows


def learn():
    """Learn and store the prior of each photograph, in half precision."""
    for name in NAMES:
        prior = learn_patch_prior(datasets.photograph(name), N_COMPONENTS, rng=0)
        lower = prior.covariances_cholesky[:, *np.tril_indices(prior.n_features)]
        stored = {
            "weights": prior.weights.astype("f4"),
            "factors": np.ascontiguousarray(lower, "f2"),
        }
        path = RECORDED / f"patches_{name}.safetensors"
        save_file(stored, path)
        print(f"wrote {path.name}, {path.stat().st_size / 1e3:.0f} kB", flush=True)


PARTS = {
    f"{name} {level}": partial(measure_noise, name, level) for name in NAMES for level in LEVELS
}
PARTS |= {
    f"{name} {level} colour": partial(measure_noise, name, level, colour=True)
    for name in NAMES
    for level in LEVELS
}
PARTS |= {"tuning": measure_tuning, "steps": measure_steps, "components": measure_components}
PARTS |= {"holes": measure_holes, "speed": measure_speed}


def main():
    """Measure everything, print tables, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print, write nothing")
    parser.add_argument("--learn", action="store_true", help="learn the priors, nothing else")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), help="some parts")
    parser.add_argument("--to", type=Path, default=RECORDED / "patches.json")
    arguments = parser.parse_args()
    if arguments.learn:
        return learn()
    begin, libraries = process_time(), ("scipy", "scikit-image", "PyWavelets")
    record = origin(__file__, *libraries, seed=SEEDS, n_components=N_COMPONENTS)
    record |= {part: PARTS[part]() for part in arguments.only}
    record["seconds"] = round(process_time() - begin, 1)
    if not arguments.dry_run:
        write_record(arguments.to, record)


if __name__ == "__main__":
    main()
