"""Models without a game, beside the GAN with a mixture inside: VAEs, a mixture VAE, flows.

The VAEs' settings are those that chapters 11 and 12 chose on validation digits (`autoencoders.py`,
`gmm_vae.py`); the flows' are chosen here, by the density of validation digits, with a seed of their
own (`FLOW_TRIALS`). Decoded codes are the means of pixels: no pixel noise is added.
"""

import json
from functools import cache, partial
from itertools import product
from time import process_time
from typing import NamedTuple

import autoencoders
import flows as mixtures_or_flows
import gmm_vae
import numpy as np
import torch
from gmm_gan_cells import autoencoder_of
from provenance import Kept

from gmmlearn import datasets, recorded
from gmmlearn._files import write_atomically
from gmmlearn.deep import flows
from gmmlearn.deep.autoencoder import to_codes, to_pixels
from gmmlearn.deep.budgets import n_parameters
from gmmlearn.deep.gmm_gan import mixture_of_codes
from gmmlearn.deep.pixels import as_images, as_pixels

LIMITS = (0, 16)
FLOW_SEED, FLOW_STEPS = 100, {"codes": 600, "pixels": 500}
FLOW_TRIALS = {
    "codes": list(product(("affine", "spline"), (6_000, 24_000), (1e-3, 5e-3))),
    "pixels": list(product(("affine",), (43_000, 170_000), (1e-3, 5e-3))),
}
"""Kind, parameters and learning rate. 6,000 parameters are those of 40 components of codes, 43,000
those of 20 components of pixels. Splines of pixels: chapter 13 has them behind, and slow."""
FLOW_SHAPES = {"affine": (3, 0, 1), "spline": (1, 8, 1)}


class Rival(NamedTuple):
    """A trained model, ready to be measured."""

    draw: object
    """draw(n, seed) returns pictures."""
    cpu_seconds: float
    notes: dict


def decoded(model, sample):
    """Return draw(n, seed) that decodes what `sample(n, rng)` returns; rng is NumPy's."""
    return lambda n, seed: as_images(
        to_pixels(model, sample(n, np.random.default_rng(seed))), LIMITS
    )


@cache
def pictures():
    """Return the digits as chapter 11's benchmark wants them."""
    return autoencoders.Data()


@cache
def trained_vae(seed):
    """Return chapter 11's VAE, and its CPU seconds."""
    chosen, busy = recorded.load("autoencoders")["chosen"], process_time()
    return autoencoders.make_vae(pictures(), seed, **chosen["VAE"]), process_time() - busy


def vae(world, cell):
    """Return the VAE with N(0, I)."""
    model, seconds = trained_vae(cell["seed"])
    dim = recorded.load("autoencoders")["chosen"]["VAE"]["latent_dim"]
    draw = decoded(model, lambda n, rng: rng.standard_normal((n, dim)))
    return Rival(draw, seconds, {})


def vae_mixture(world, cell):
    """Return the same VAE with a mixture fitted to its codes, K by validation digits."""
    model, seconds = trained_vae(cell["seed"])
    share, busy = recorded.load("autoencoders")["chosen"]["VAE reg_share"], process_time()
    _, fitted, nats = autoencoders.fit_mixtures(model, pictures(), cell["seed"], [share])
    best = max(nats, key=nats.get)
    mixture, seconds = fitted[best].mixture(), seconds + process_time() - busy
    draw = decoded(model, lambda n, rng: mixture.sample(n, rng)[0])
    return Rival(draw, seconds, {"n_components": best[0]})


def mixture_vae(world, cell):
    """Return chapter 12's VAE, whose mixture of ten components is trained with it."""
    chosen, busy = recorded.load("gmm_vae")["chosen"], process_time()
    plan = gmm_vae.SMALL
    model, _ = gmm_vae.learn(plan, world.pixels, **chosen, seed=cell["seed"])

    def draw(n, seed):
        with torch.no_grad():
            return as_images(model.decode(model.prior.sample(n, rng=seed)), LIMITS)

    return Rival(draw, process_time() - busy, {"n_components": gmm_vae.K})


# ------------------------------------------------------------------------------------------- flows


def points(world, of, cell):
    """Return points to fit and to validate, and the CPU seconds of the autoencoder."""
    if of == "pixels":
        parts = [datasets.dequantise(datasets.digits(p).X, rng=0) for p in ("train", "validation")]
        return *(part.reshape(len(part), -1) for part in parts), 0.0
    autoencoder, seconds = autoencoder_of(world, cell)
    held_out = as_pixels(datasets.digits("validation").X, LIMITS)
    return to_codes(autoencoder, world.pixels), to_codes(autoencoder, held_out), seconds


def fit(world, of, cell, kind, budget, rate):
    """Return a fitted flow, the nats of the validation points, and CPU seconds of all of it."""
    X, V, seconds = points(world, of, cell)
    busy, shape = process_time(), FLOW_SHAPES[kind]
    flow, _ = mixtures_or_flows.make(kind, X, shape, budget, cell["seed"])
    settings = {"learning_rate": rate, "check_every": 25, "seed": cell["seed"], "device": "cpu"}
    fitted = flows.fit_flow(flow, X, V, FLOW_STEPS[of], **settings)
    return flow, float(fitted.validation.max()), seconds + process_time() - busy


def flow_trials(world, base):
    """Return what was tried: setting and nats of validation points, by what the flow is of."""
    kept, found = Kept(world.folder / "flows"), {}
    for of, trials in FLOW_TRIALS.items():
        for trial in trials:
            name = f"{of}-{'-'.join(map(str, trial))}"
            nats = kept(name, try_flow, world, of, base | {"seed": FLOW_SEED}, trial)
            found.setdefault(of, []).append([*trial, nats])
    return found


def try_flow(world, of, cell, trial):
    """Return the nats of validation points."""
    return round(fit(world, of, cell, *trial)[1], 3)


def flow(of, world, cell):
    """Return a flow of codes, decoded, or of pixels."""
    *setting, _ = max(flow_trials(world, cell)[of], key=lambda trial: trial[-1])
    fitted, nats, seconds = fit(world, of, cell, *setting)
    notes = {"setting": setting, "validation nats": nats, "parameters": n_parameters(fitted)}
    if of == "pixels":
        return Rival(levels_of(fitted), seconds, notes)
    notes["mixture's validation nats"] = mixture_nats(world, cell)
    sample = lambda n, rng: flows.draw(fitted, n, int(rng.integers(2**31)))  # noqa: E731
    return Rival(decoded(autoencoder_of(world, cell)[0], sample), seconds, notes)


def levels_of(flow):
    """Return draw(n, seed) of whole-number pictures from a flow of dequantised pixels."""
    levels = datasets.DIGIT_LEVELS

    def draw(n, seed):
        drawn = np.floor(levels * flows.draw(flow, n, seed)).clip(0, levels - 1)
        return drawn.reshape(n, 8, 8)

    return draw


def mixture_nats(world, cell):
    """Return the nats of validation codes under the mixture of this cell."""
    _, V, _ = points(world, "codes", cell)
    autoencoder = autoencoder_of(world, cell)[0]
    settings = {"reg_share": cell["reg_share"], "seed": cell["seed"]}
    chosen = mixture_of_codes(autoencoder, world.pixels, (cell["n_components"],), "bic", **settings)
    return chosen.estimator.score(V)


N_STEPS = {
    "VAE": autoencoders.N_STEPS,
    "VAE, mixture afterwards": autoencoders.N_STEPS,
    "mixture VAE": gmm_vae.SMALL["n_before"] + gmm_vae.SMALL["n_joint"],
    "flow of codes": FLOW_STEPS["codes"],
    "flow of pixels": FLOW_STEPS["pixels"],
}
MAKERS = {
    "VAE": vae,
    "VAE, mixture afterwards": vae_mixture,
    "mixture VAE": mixture_vae,
    "flow of codes": partial(flow, "codes"),
    "flow of pixels": partial(flow, "pixels"),
}


def run(world, path, name, cell):
    """Write and return a rival's result, in the form of a game's."""
    what = name.split("/")[1]
    rival = MAKERS[what](world, cell)
    look = {"step": N_STEPS[what], "cpu_seconds": round(rival.cpu_seconds, 2)}
    look |= world.yardstick(cell["part"]).look(rival.draw)
    result = {"cell": name, "settings": {"seed": cell["seed"]}, "notes": rival.notes}
    write_atomically(path, json.dumps(result | {"looks": [look]}).encode())
    return result | {"looks": [look]}
