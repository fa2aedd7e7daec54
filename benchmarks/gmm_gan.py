"""Measure what a mixture inside gives a generator: prior x start, variants, K. Chapter 15.

Digits, 8 x 8. All cells share networks, batches, R1 penalty, averaging and number of steps; cells
of one seed share the discriminator's first weights, and those with a decoder the autoencoder. The
settings were chosen on the validation digits (group "tune", other seeds), the rest is measured on
the test digits, once.

    python benchmarks/gmm_gan.py tune         # each call does what is missing, for --minutes
    python benchmarks/gmm_gan.py factorial
    python benchmarks/gmm_gan.py variants
    python benchmarks/gmm_gan.py record       # prints, writes gmmlearn/recorded/gmm_gan.json
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import fcntl
import json
import tempfile
from functools import cache
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch
from provenance import ROOT

from gmmlearn import datasets, metrics
from gmmlearn.deep.autoencoder import Autoencoder, fit_autoencoder
from gmmlearn.deep.features import load_judge
from gmmlearn.deep.gan import fit_gan
from gmmlearn.deep.gmm_gan import GMMGAN, fit_gmm_gan, mixture_of_codes
from gmmlearn.deep.networks import MLP
from gmmlearn.deep.pixels import as_images, as_pixels
from gmmlearn.deep.prior import MixturePrior
from gmmlearn.deep.steering import Teller, keep_component, keep_density, tell_components
from gmmlearn.deep.training import seeded
from gmmlearn.mixture import Mixture

CELLS = ROOT / "_build" / "gmm_gan"
SHAPE, LIMITS = (1, 8, 8), (0, 16)
LOOKS = (0, 250, 500, 1000, 2000, 4000)
"""Steps after which the averaged generator is measured."""
N_DRAWS = 4
"""Sets of samples at each look, as many samples each as there are real digits; means are kept."""
TEMPERATURES = (0.9, 0.8, 0.7)
"""What covariances are multiplied with, after training, to trade recall for precision."""
BASE = {
    "prior": "mixture",
    "start": "decoder",
    "variant": "fixed",
    "n_components": 20,
    "reg_share": 0.01,
    "latent_dim": 16,
    "code_steps": 2000,
    "code_penalty": 0.05,
    "rates": {"random": [1e-3, 1e-3], "decoder": [1e-4, 1e-3]},
    "r1": 1.0,
    "average": 0.998,
    "looks": list(LOOKS),
}
"""What a cell does unless it says otherwise."""


def cells():
    """Return all cells by name."""
    made = {}

    def add(group, name, seeds, **changes):
        for seed in seeds:
            made[f"{group}/{name}/{seed}"] = BASE | changes | {"seed": seed}

    for rates in ([5e-4, 5e-4], [1e-3, 1e-3], [2e-3, 2e-3], [1e-3, 2e-3]):
        for r1 in (0.2, 1.0):
            name = f"plain rates {rates[0]:g} {rates[1]:g} r1 {r1:g}"
            changes = {"rates": {"random": rates}, "r1": r1, "looks": [1000, 2000, 4000]}
            add("tune", name, (100, 101), prior="normal", start="random", **changes)
    for rate in (5e-5, 1e-4, 2e-4, 5e-4):
        changes = {"rates": {"decoder": [rate, 1e-3]}, "looks": [0, 500, 1000, 4000]}
        add("tune", f"mixture rate {rate:g}", (100, 101), **changes)
    for prior in ("normal", "gaussian", "mixture"):
        for start in ("random", "decoder"):
            add("factorial", f"{prior} {start}", range(8), prior=prior, start=start)
    short = {"looks": [0, 1000]}
    for variant in ("fixed", "learned", "keep component", "keep density", "told"):
        add("variants", variant, range(5), variant=variant, **short)
    for n_components in (5, 10, 40):
        add("variants", f"K {n_components}", range(5), n_components=n_components, **short)
    return made


# ------------------------------------------------------------------------------------ what is there


@cache
def data(part):
    """Return pixels of the training digits, and the features of all that is compared with."""
    train, real = datasets.digits("train").X, datasets.digits(part).X
    return as_pixels(train, LIMITS), features(train), features(real)


def features(images):
    """Return what is compared, of pictures with pixels 0..16."""
    return {"pixels": images.reshape(-1, 64) / 16, "judge": judge().features(images)}


@cache
def judge():
    """Return the judge of digits."""
    return load_judge("digits")


def measure(fake, part):
    """Return all measures of pictures with pixels 0..16."""
    _, train, real = data(part)
    fake = features(fake)
    found = {"frechet": metrics.frechet_distance(real["judge"], fake["judge"])}
    found["kernel"] = metrics.kernel_distance(real["judge"], fake["judge"])
    for space in ("pixels", "judge"):
        pair = metrics.precision_recall(real[space], fake[space])
        found[f"precision {space}"], found[f"recall {space}"] = pair
    found |= metrics.nearest_distance_ratio(
        train["pixels"], real["pixels"], fake["pixels"]
    )._asdict()
    return found


def means(rows):
    """Return the means of the measures."""
    return {k: float(f"{np.mean([row[k] for row in rows]):.5g}") for k in rows[0]}


def look(model, part):
    """Return the mean measures of several sets of samples."""
    n = len(data(part)[2]["pixels"])
    draws = [as_images(model.sample(n, rng=5000 + i), LIMITS) for i in range(N_DRAWS)]
    return means([measure(images, part) for images in draws])


def cooled(model, part):
    """Return the measures with all covariances of the prior multiplied by less than one."""
    warm, found = model.prior, []
    for temperature in TEMPERATURES:
        q = warm.to_mixture()
        cool = Mixture(q.weights, q.means, temperature * q.covariances)
        model.prior = MixturePrior.from_mixture(cool, trainable=False)
        found.append({"temperature": temperature} | look(model, part))
    model.prior = warm
    return found


def steered(model):
    """Return how much a component says: of the digit, and of the component found in its samples."""
    weights, purity, own = model.prior.weights.tolist(), [], []
    for k in range(len(weights)):
        x = model.sample(200, component=k, rng=k)
        digits = judge().predict(as_images(x, LIMITS))["digit"]
        purity.append(np.bincount(digits, minlength=10).max() / 200)
        own.append(model.prior.responsibilities(model.encode(x))[:, k].mean().item())
    return {"purity": float(np.dot(weights, purity)), "own": float(np.dot(weights, own))}


# ------------------------------------------------------------------------------------------ a cell


@cache
def trained_autoencoder(seed, dim, n_steps, code_penalty, part):
    """Return an autoencoder and the CPU seconds that it took."""
    busy = process_time()
    with seeded(1000 + seed):
        autoencoder = Autoencoder(MLP(SHAPE, dim), MLP(dim, SHAPE, squash=True))
    fit_autoencoder(
        autoencoder, data(part)[0], n_steps, code_penalty=code_penalty, seed=seed, device="cpu",
        progress=False,
    )  # fmt: skip
    return autoencoder, process_time() - busy


def made(cell, part):
    """Return the model before its first step, and the CPU seconds that its parts took."""
    dim, seed, told = cell["latent_dim"], cell["seed"], cell["variant"] == "told"
    with seeded(seed):
        generator = MLP(dim, SHAPE, squash=True)
        discriminator = MLP(SHAPE, 1, activation="leaky_relu")
    unit = Mixture([1.0], np.zeros((1, dim)), [np.eye(dim)])
    if (cell["prior"], cell["start"]) == ("normal", "random"):
        prior = MixturePrior.from_mixture(unit, trainable=False)
        return GMMGAN(generator, discriminator, prior), 0.0
    settings = seed, dim, cell["code_steps"], cell["code_penalty"], part
    autoencoder, seconds = trained_autoencoder(*settings)
    busy, mixture = process_time(), unit
    if cell["prior"] != "normal":
        chosen = (cell["n_components"] if cell["prior"] == "mixture" else 1,)
        settings = {"reg_share": cell["reg_share"], "seed": seed, "criterion": "bic"}
        mixture = mixture_of_codes(autoencoder, data(part)[0], chosen, **settings).estimator
    if cell["start"] == "random":
        autoencoder = Autoencoder(autoencoder.encoder, generator)
    trainable = cell["variant"] == "learned"
    model = GMMGAN.from_autoencoder(autoencoder, mixture, discriminator, trainable)
    if told:  # it reads pictures and responsibilities
        with seeded(seed):
            model.told = MLP(64 + cell["n_components"], 1, activation="leaky_relu")
    return model, seconds + process_time() - busy


def play(model, cell, pixels, n_steps, checkpoint):
    """Train up to n_steps in all, from the checkpoint if it is there."""
    common = {"learning_rates": cell["rates"][cell["start"]], "r1": cell["r1"]}
    common |= {"betas": (0.5, 0.99), "average": cell["average"], "seed": cell["seed"]}
    common |= {"checkpoint": checkpoint, "checkpoint_every": 10**9}
    common |= {"device": "cpu", "progress": False}
    variant = cell["variant"]
    if variant == "told":
        with torch.no_grad():
            X = tell_components(pixels, model.encoder(pixels), model.prior)
        teller = Teller(model.generator, model.prior)
        trained = fit_gan(teller, model.told, X, model.prior, n_steps, **common)
        model.generator.load_state_dict(trained.averaged["generator"].generator.state_dict())
        return
    keepers = {"keep component": keep_component, "keep density": keep_density}
    terms = [
        make(model.encoder, model.prior, 0.1) for name, make in keepers.items() if name == variant
    ]
    fit_gmm_gan(model, pixels, n_steps, terms=terms, **common)


def run(name, cell):
    """Train one cell; return what was measured on the way."""
    part = "validation" if name.startswith("tune") else "test"
    pixels = data(part)[0]
    model, busy = made(cell, part)
    found, ready = [], busy
    with tempfile.TemporaryDirectory() as folder:
        for n_steps in cell["looks"]:
            began = process_time()
            if n_steps:
                play(model, cell, pixels, n_steps, Path(folder) / "run")
            busy += process_time() - began
            found.append({"step": n_steps, "cpu_seconds": round(busy, 2)} | look(model, part))
    result = {"cell": name, "settings": cell, "ready_cpu_seconds": round(ready, 2), "looks": found}
    if cell["start"] == {"normal": "random", "mixture": "decoder"}.get(cell["prior"]):
        result["cooled"] = cooled(model, part)
    if cell["prior"] == "mixture" and cell["start"] == "decoder":
        result["steering"] = steered(model)
        result["nats"] = model.log_prob(model.encode(pixels)).mean().item()
    if name == "factorial/mixture decoder/0":
        model.save(CELLS / "digits.safetensors")
    return result


def path_of(name):
    """Return the file of a cell's result."""
    return CELLS / f"{name.replace('/', '--').replace(' ', '_')}.json"


def work(group, minutes):
    """Run the missing cells of a group until the time is up."""
    until = perf_counter() + 60 * minutes
    for name, cell in cells().items():
        if not name.startswith(group) or path_of(name).exists():
            continue
        if perf_counter() > until:
            print("time is up: call again")
            return
        with open(path_of(name).with_suffix(".claim"), "w") as claim:
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # another process is at it
                continue
            if path_of(name).exists():
                continue
            result = run(name, cell)
            part = path_of(name).with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps(result), encoding="utf-8")
            os.replace(part, path_of(name))
        last = result["looks"][-1]
        shown = {k: round(v, 3) for k, v in last.items() if k != "contrast"}
        print(name, " ".join(f"{k}={v}" for k, v in shown.items()), flush=True)
    print(f"{group} is complete")


def main():
    """Work on a group, or write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("group", choices=("tune", "factorial", "variants", "record"))
    parser.add_argument("--minutes", type=float, default=3.0, help="start no cell after that")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    CELLS.mkdir(parents=True, exist_ok=True)
    work(arguments.group, arguments.minutes)


if __name__ == "__main__":
    main()
