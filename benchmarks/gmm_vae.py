"""Groups of digits found without labels, and how a mixture in the latent space collapses.

Settings are chosen by the bound on validation digits, without a label, with a seed of its own. Then
five ways to find ten groups in all 1,797 small digits run from each of ten seeds; labels are read
once, to score them. Four more trainings, with parts of the cure missing, say what makes
components collapse. MNIST's 10,000 test digits follow if the environment variable GMMLEARN_DATA
names their folder. Each finished part is kept in --folder, so that a run that was broken off goes
on. Chapter 12 shows the result.

    python benchmarks/gmm_vae.py            # writes gmmlearn/recorded/gmm_vae.json
    python benchmarks/gmm_vae.py --dry-run  # only prints
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import warnings

import numpy as np
import torch
from provenance import RECORDED, Kept, origin, write_record
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from gmmlearn import GaussianMixture
from gmmlearn.datasets import digits, mnist
from gmmlearn.deep.autoencoder import (
    VAE,
    Autoencoder,
    elbo_terms,
    fit_autoencoder,
    fit_vae,
    to_codes,
)
from gmmlearn.deep.gmm_vae import assign, component_use, fit_gmm_vae, start_prior
from gmmlearn.deep.networks import MLP
from gmmlearn.deep.pixels import as_pixels
from gmmlearn.deep.prior import MixturePrior
from gmmlearn.deep.training import seeded
from gmmlearn.metrics import clustering_accuracy

K, SEEDS, MNIST_SEEDS = 10, tuple(range(10)), (0, 1, 2)
TUNING_SEED, TUNING_SEEDS = 100, (101, 102, 103)
LATENT_DIMS, PIXEL_STDS, MNIST_STDS = (6, 10, 16), (0.15, 0.2, 0.25), (0.2, 0.3, 0.4)
SMALL = {"side": 8, "width": 128, "n_before": 800, "n_joint": 800, "warm_up": 200}
LARGE = {"side": 28, "width": 256, "n_before": 1200, "n_joint": 1200, "warm_up": 300}
EM = {"n_init": 3, "prior_strength": 1.0}
"""Settings of every mixture that EM fits, the same for pixels, principal axes and codes."""
VARIANTS = {
    "no cure": {"wide": True, "em_start": False, "warm_up": 0},
    "EM start alone": {"wide": True, "em_start": True, "warm_up": 0},
    "pixel_std alone": {"em_start": False, "warm_up": 0},
    "all but warm-up": {"em_start": True, "warm_up": 0},
}
"""What each training of the collapse lacks; `wide` is a pixel_std of 1, the plain squared error."""


def build(plan, latent_dim, pixel_std, seed, prior=None):
    """Return a new VAE."""
    shape, width = (1, plan["side"], plan["side"]), plan["width"]
    with seeded(seed):
        prior = MixturePrior(K, latent_dim) if prior else None
        return VAE(
            MLP(shape, 2 * latent_dim, width), MLP(latent_dim, shape, width), prior, pixel_std
        )


def learn(plan, pixels, latent_dim, pixel_std, seed, wide=False, em_start=True, warm_up=None):
    """Return a trained VAE with a mixture, and the mixture that EM had found before, or None.

    `wide` replaces `pixel_std` by 1 in the joint training.
    """
    loop = {"seed": seed, "device": "cpu", "progress": False}
    model, fitted = build(plan, latent_dim, pixel_std, seed, prior=not em_start), None
    if em_start:
        fit_vae(model, pixels, plan["n_before"], **loop)
        fitted = start_prior(model, pixels, K, seed, **EM)
    if wide:
        model.pixel_log_var.data.zero_()
    before = to_codes(model, pixels)
    warm_up = plan["warm_up"] if warm_up is None else warm_up
    n_steps = plan["n_joint"] + (0 if em_start else plan["n_before"])  # as many steps in all
    fit_gmm_vae(model, pixels, n_steps, warm_up=warm_up, **loop)
    return model, None if fitted is None else fitted.predict(before)


def bound(model, pixels):
    """Return the mean bound of ten draws of each code, nats per picture."""
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        return float(np.mean([elbo_terms(model, pixels, rng).elbo.mean() for _ in range(10)]))


def grid_point(plan, parts, latent_dim, pixel_std):
    """Return the bound on held-out digits."""
    model, _ = learn(plan, parts[0], latent_dim, pixel_std, TUNING_SEED)
    elbo = round(bound(model, parts[1]), 2)
    return {"latent_dim": latent_dim, "pixel_std": pixel_std, "elbo": elbo}


def gain(plan, parts, latent_dim, pixel_std, seed):
    """Return the bound on held-out digits with N(0, I), and with a mixture after as many steps."""
    normal = build(plan, latent_dim, pixel_std, seed)
    n_steps = plan["n_before"] + plan["n_joint"]
    fit_vae(normal, parts[0], n_steps, seed=seed, device="cpu", progress=False)
    model, _ = learn(plan, parts[0], latent_dim, pixel_std, seed)
    return {
        "normal": round(bound(normal, parts[1]), 2),
        "mixture": round(bound(model, parts[1]), 2),
    }


def state_of(model, pixels, labels):
    """Return what a trained model does with its components."""
    resp = assign(model, pixels)
    use = component_use(resp)
    return {
        "in_use": round(use.in_use, 3),
        "n_alive": use.n_alive,
        "accuracy": round(clustering_accuracy(labels, resp.argmax(axis=1)), 4),
        "elbo": round(bound(model, pixels), 2),
    }


def score_all(plan, pixels, labels, latent_dim, pixel_std, seed):
    """Return the accuracy of all five ways, from one seed, and the state of the last."""
    X, scores = pixels.flatten(1).double().numpy(), {}

    def score(name, found):
        scores[name] = round(clustering_accuracy(labels, found), 4)

    score("k-means", KMeans(K, n_init=10, random_state=seed).fit_predict(X))
    mixture = GaussianMixture(K, random_state=seed, **EM)
    score("PCA, mixture", mixture.fit_predict(PCA(latent_dim, random_state=seed).fit_transform(X)))
    shape, width = (1, plan["side"], plan["side"]), plan["width"]
    with seeded(seed):
        model = Autoencoder(MLP(shape, latent_dim, width), MLP(latent_dim, shape, width))
    n_steps = plan["n_before"] + plan["n_joint"]
    fit_autoencoder(model, pixels, n_steps, seed=seed, device="cpu", progress=False)
    score("autoencoder, mixture", mixture.fit_predict(to_codes(model, pixels)))
    model, found = learn(plan, pixels, latent_dim, pixel_std, seed)
    score("VAE, mixture", found)
    state = state_of(model, pixels, labels)
    return {"accuracy": scores | {"mixture VAE": state["accuracy"]}, "state": state}


def measure(kept):
    """Return the record's numbers; `kept` remembers finished parts."""
    parts = [as_pixels(digits(part).X, (0, 16)) for part in ("train", "validation")]
    grid = [
        kept(f"grid-{d}-{std}", grid_point, SMALL, parts, d, std)
        for d in LATENT_DIMS
        for std in PIXEL_STDS
    ]
    best = max(grid, key=lambda row: row["elbo"])
    chosen = {name: best[name] for name in ("latent_dim", "pixel_std")}
    print("chosen", chosen, flush=True)
    held_out = [kept(f"gain-{s}", gain, SMALL, parts, *chosen.values(), s) for s in TUNING_SEEDS]
    data = digits("all")
    pixels = as_pixels(data.X, (0, 16))
    rows = [
        kept(f"seed-{seed}", score_all, SMALL, pixels, data.labels, *chosen.values(), seed)
        for seed in SEEDS
    ]
    collapse = {"cured": [row["state"] for row in rows]}
    for name, lacks in VARIANTS.items():
        collapse[name] = []
        for seed in SEEDS:
            key = f"{name.replace(' ', '-')}-{seed}"
            state = kept(key, one_variant, pixels, data.labels, chosen, seed, lacks)
            collapse[name].append(state)
    return {
        "grid": grid,
        "chosen": chosen,
        "held_out": held_out,
        "accuracy": {name: [row["accuracy"][name] for row in rows] for name in rows[0]["accuracy"]},
        "collapse": collapse,
        "mnist": large_digits(kept, chosen["latent_dim"]),
    }


def one_variant(pixels, labels, chosen, seed, lacks):
    """Return the state after a training that lacks something."""
    model, _ = learn(SMALL, pixels, *chosen.values(), seed, **lacks)
    return state_of(model, pixels, labels)


def large_digits(kept, latent_dim):
    """Return what was measured on MNIST's 10,000 test digits."""
    if not os.environ.get("GMMLEARN_DATA"):
        return "not measured"
    data = mnist("test")
    pixels = as_pixels(data.X, (0, 255))
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(pixels)))
    parts = pixels[order[:8000]], pixels[order[8000:]]
    grid = [
        kept(f"mnist-grid-{std}", grid_point, LARGE, parts, latent_dim, std) for std in MNIST_STDS
    ]
    best = max(grid, key=lambda row: row["elbo"])
    rows = [
        kept(f"mnist-{seed}", score_all, LARGE, pixels, data.labels, latent_dim,
             best["pixel_std"], seed)
        for seed in MNIST_SEEDS
    ]  # fmt: skip
    return {
        "data": "MNIST's 10,000 test digits, 28 x 28, fitted and scored on all of them",
        "published": {
            "accuracy": 0.9446,
            "data": "all 70,000 digits",
            "source": "jiang2017variational, its best run",
        },
        "seeds": MNIST_SEEDS,
        "grid": grid,
        "pixel_std": best["pixel_std"],
        "accuracy": {name: [row["accuracy"][name] for row in rows] for name in rows[0]["accuracy"]},
        "state": [row["state"] for row in rows],
    }


def main():
    """Measure, print, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print, write nothing")
    parser.add_argument("--folder", help="where finished parts are kept")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    kept = Kept(arguments.folder)
    numbers = measure(kept)
    record = origin(
        __file__,
        *("scikit-learn", "torch"),
        seeds=SEEDS,
        tuning_seeds=[TUNING_SEED, *TUNING_SEEDS],
        n_components=K,
        small=SMALL,
        large=LARGE,
        em=EM,
        seconds=kept.origin()["seconds"],
    )
    if not arguments.dry_run:
        write_record(RECORDED / "gmm_vae.json", record | numbers)


if __name__ == "__main__":
    main()
