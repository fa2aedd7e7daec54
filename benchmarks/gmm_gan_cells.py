"""One cell of the benchmarks of a generator with a mixture inside: its parts, its game, its looks.

A cell is a dict of settings; `BASE` in the scripts says what they are. A world is what it is played
on.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import process_time
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save

from gmmlearn.deep.autoencoder import Autoencoder, fit_autoencoder
from gmmlearn.deep.checkpoints import write_atomically
from gmmlearn.deep.gan import fit_gan
from gmmlearn.deep.gmm_gan import GMMGAN, fit_gmm_gan, mixture_of_codes
from gmmlearn.deep.networks import MLP
from gmmlearn.deep.pixels import as_images
from gmmlearn.deep.prior import MixturePrior
from gmmlearn.deep.steering import Teller, keep_component, keep_density, tell_components
from gmmlearn.deep.training import seeded
from gmmlearn.mixture import Mixture


class World(NamedTuple):
    """Pictures, the networks for them, and who judges."""

    folder: Path
    """Where what is finished is kept."""
    pixels: torch.Tensor
    """Training pictures, in [-1, 1]."""
    limits: tuple
    """Smallest and largest pixel of the pictures that are measured."""
    encoder: Callable
    """Latent size to a network."""
    generator: Callable
    """Latent size to a network; decoders are such too."""
    discriminator: Callable
    """Packing to a network."""
    yardstick: Callable
    """Part ("validation" or "test") to a `Yardstick`."""
    judge: object
    """With `predict`, whose "digit" says what a picture shows."""

    def drawer(self, model):
        """Return draw(n, seed) of pictures from a model."""
        return lambda n, seed: as_images(model.sample(n, rng=seed), self.limits)


TEMPERATURES = (0.9, 0.8)
"""What covariances are multiplied with, after training, to trade recall for precision."""


@cache
def trained_autoencoder(world, seed, dim, n_steps, code_penalty):
    """Return an autoencoder and the CPU seconds that it took, from its file if it is there."""
    path = world.folder / f"autoencoder-{seed}-{dim}-{n_steps}-{code_penalty}.safetensors"
    with seeded(1000 + seed):
        autoencoder = Autoencoder(world.encoder(dim), world.generator(dim))
    if path.exists():
        weights = load_file(path)
        seconds = weights.pop("seconds").item()
        autoencoder.load_state_dict(weights)
        return autoencoder, seconds
    busy = process_time()
    fit_autoencoder(
        autoencoder, world.pixels, n_steps, code_penalty=code_penalty, seed=seed, device="cpu",
        progress=False,
    )  # fmt: skip
    seconds = torch.tensor(process_time() - busy, dtype=torch.float64)
    write_atomically(path, save(autoencoder.state_dict() | {"seconds": seconds}))
    return autoencoder, seconds.item()


def autoencoder_of(world, cell):
    """Return the autoencoder of a cell, and the CPU seconds that it took."""
    settings = (cell[name] for name in ("seed", "latent_dim", "code_steps", "code_penalty"))
    return trained_autoencoder(world, *settings)


def made(world, cell):
    """Return the model before its first step, and the CPU seconds that its parts took."""
    dim, seed = cell["latent_dim"], cell["seed"]
    with seeded(seed):
        generator, discriminator = world.generator(dim), world.discriminator(1)
    unit = Mixture([1.0], np.zeros((1, dim)), [np.eye(dim)])
    if (cell["prior"], cell["start"]) == ("normal", "random"):
        prior, seconds = MixturePrior.from_mixture(unit, trainable=False), 0.0
        model = GMMGAN(generator, discriminator, prior)
    else:
        autoencoder, seconds = autoencoder_of(world, cell)
        busy, mixture = process_time(), unit
        if cell["prior"] != "normal":
            chosen = (cell["n_components"] if cell["prior"] == "mixture" else 1,)
            settings = {"reg_share": cell["reg_share"], "seed": seed, "criterion": "bic"}
            settings |= cell["covariance"]
            mixture = mixture_of_codes(autoencoder, world.pixels, chosen, **settings).estimator
        if cell["start"] == "random":
            autoencoder = Autoencoder(autoencoder.encoder, generator)
        trainable = cell["variant"] == "learned"
        model = GMMGAN.from_autoencoder(autoencoder, mixture, discriminator, trainable)
        seconds += process_time() - busy
    with seeded(seed):  # judges that do not read single pictures
        if cell["variant"] == "told":  # pictures and responsibilities
            n_read = world.pixels[0].numel() + cell["n_components"]
            model.reader = MLP(n_read, 1, activation="leaky_relu")
        if cell["packing"] > 1:
            model.reader = world.discriminator(cell["packing"])
    return model, seconds


def play(world, model, cell, n_steps, checkpoint):
    """Train up to n_steps in all, from the checkpoint if it is there."""
    common = {"learning_rates": cell["rates"][cell["start"]], "r1": cell["r1"]}
    common |= {"betas": tuple(cell["betas"]), "average": cell["average"], "seed": cell["seed"]}
    common |= {"checkpoint": checkpoint, "checkpoint_every": 10**9}
    common |= {"batch_size": cell["batch_size"], "device": "cpu", "progress": False}
    pixels, variant = world.pixels, cell["variant"]
    if variant == "told":
        with torch.no_grad():
            X = tell_components(pixels, model.encoder(pixels), model.prior)
        teller = Teller(model.generator, model.prior)
        trained = fit_gan(teller, model.reader, X, model.prior, n_steps, **common)
        model.generator.load_state_dict(trained.averaged["generator"].generator.state_dict())
        return
    if cell["packing"] > 1:
        common["packing"] = cell["packing"]
        trained = fit_gan(model.generator, model.reader, pixels, model.prior, n_steps, **common)
        model.generator.load_state_dict(trained.averaged["generator"].state_dict())
        return
    keepers = {"keep component": keep_component, "keep density": keep_density}
    terms = [
        make(model.encoder, model.prior, cell["strength"])
        for name, make in keepers.items()
        if name == variant
    ]
    fit_gmm_gan(model, pixels, n_steps, terms=terms, **common)


def run(world, path, name, cell, stop_at, last=lambda *_: {}, near=lambda _: True):
    """Train one cell up to a step, from where it was left; write what was measured on the way.

    `last(name, cell, model, n_steps)` returns what is asked once, at the step to stop at;
    `near(n_steps)` says whether a look measures distances to training pictures.
    """
    model, ready = made(world, cell)
    result = {"cell": name, "settings": cell, "ready_cpu_seconds": round(ready, 2), "looks": []}
    if path.exists():
        result = json.loads(path.read_text(encoding="utf-8"))
    busy = result["looks"][-1]["cpu_seconds"] if result["looks"] else ready
    for n_steps in cell["looks"][len(result["looks"]) :]:
        if n_steps > stop_at:
            break
        began = process_time()
        if n_steps:
            play(world, model, cell, n_steps, path.with_suffix(".checkpoint"))
        busy += process_time() - began
        found = world.yardstick(cell["part"]).look(world.drawer(model), near(n_steps))
        result["looks"].append({"step": n_steps, "cpu_seconds": round(busy, 2)} | found)
        if n_steps and n_steps == min(stop_at, cell["looks"][-1]):
            result |= last(name, cell, model, n_steps)
        write_atomically(path, json.dumps(result).encode())
    return result


def tempered(world, model, part, temperatures=TEMPERATURES, near=True):
    """Return the measures with all covariances of the prior multiplied by each temperature."""
    prior, found = model.prior, []
    for temperature in temperatures:
        q = prior.to_mixture()
        q = Mixture(q.weights, q.means, temperature * q.covariances)
        model.prior = MixturePrior.from_mixture(q, trainable=False)
        measures = world.yardstick(part).look(world.drawer(model), near)
        found.append({"temperature": temperature} | measures)
    model.prior = prior
    return found


def steered(world, model):
    """Return how much a component says: of the digit, and of the component found in its samples."""
    weights, purity, own = model.prior.weights.tolist(), [], []
    for k in range(len(weights)):
        x = model.sample(200, component=k, rng=k)
        digits = world.judge.predict(as_images(x, world.limits))["digit"]
        purity.append(np.bincount(digits, minlength=10).max() / 200)
        own.append(model.prior.responsibilities(model.encode(x))[:, k].mean().item())
    return {"purity": float(np.dot(weights, purity)), "own": float(np.dot(weights, own))}
