"""The whole way from pictures to a trained GMM-GAN at size, in one call that can be taken up again.

What ``python -m gmmlearn train`` does, alone or started by ``torchrun`` (chapter 16).
"""

import json
import os
import platform
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch

import gmmlearn
from gmmlearn import datasets
from gmmlearn._files import write_atomically
from gmmlearn._validation import as_count
from gmmlearn.deep import ranks
from gmmlearn.deep.arithmetic import multiply_adds
from gmmlearn.deep.autoencoder import Autoencoder, fit_autoencoder
from gmmlearn.deep.devices import choose_device, name_device
from gmmlearn.deep.gmm_gan import GMMGAN, fit_gmm_gan, mixture_of_codes
from gmmlearn.deep.networks import ConvDecoder, ConvEncoder
from gmmlearn.deep.pixels import as_pixels
from gmmlearn.deep.prior import MixturePrior
from gmmlearn.deep.speed import peak_memory
from gmmlearn.deep.training import seeded
from gmmlearn.scenes import make_scenes

DATA = ("digits", "scenes")
"""What a run can learn to draw."""
RATES = {"learning_rates": (1e-4, 4e-4)}
"""Of the game's generator and discriminator."""


class Plan(NamedTuple):
    """What a run does; the same plan and seed on the same machine give the same model."""

    data: str = "digits"
    """One of `DATA`."""
    side: int = 64
    """Pixels a side of scenes, 32 or 64; digits have the side of their files."""
    n_pictures: int = 10_000
    """At most so many to train on."""
    width: int = 32
    """Channels next to the pixels; time grows with its square."""
    latent_dim: int = 32
    """Numbers of a code."""
    components: tuple = (10, 20, 40)
    """Numbers of components to choose from, by held-out likelihood."""
    code_steps: int = 3000
    """Steps of the autoencoder."""
    n_steps: int = 5000
    """Steps of the game."""
    batch_size: int = 64
    """Pictures in a batch, of all processes together."""
    r1: float = 1.0
    """Weight of the R1 penalty."""
    bf16: bool = False
    """Whether networks compute in bfloat16."""
    seed: int = 0
    """Of all stages."""
    checkpoint_every: int = 500
    """Steps between two writings of the state."""


def pictures(plan):
    """Return the pixels to train on, and where they come from.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    tensor (N, C, side, side)
        Float32 in [-1, 1].
    str
    """
    n = as_count(plan.n_pictures, "n_pictures", at_least=2)
    if plan.data == "scenes":
        if plan.side not in (32, 64):
            raise ValueError(f"side is {plan.side}. Use scenes of 32 or 64 pixels a side.")
        images = make_scenes(n, rng=plan.seed, size=plan.side).images
        return as_pixels(images), f"{n} scenes, {plan.side} x {plan.side}, drawn by rule"
    if plan.data != "digits":
        raise ValueError(f"data is {plan.data!r}. Use one of: {', '.join(DATA)}.")
    if not os.environ.get("GMMLEARN_DATA"):
        images = datasets.digits().X[:n]
        told = "of scikit-learn's, 8 x 8, since GMMLEARN_DATA names no folder with MNIST"
        return as_pixels(images, (0, 16)), f"{len(images)} digits {told}"
    folder = Path(os.environ["GMMLEARN_DATA"])
    part = "train" if (folder / "train-images-idx3-ubyte.gz").exists() else "test"
    images = datasets.mnist(part).X[:n]
    return as_pixels(images, (0, 255)), f"{len(images)} of MNIST's {part} digits, 28 x 28"


def networks(plan, shape):
    """Return an untrained autoencoder and discriminator.

    Parameters
    ----------
    plan : Plan
    shape : (int, int, int)
        Channels and sides of a picture.

    Returns
    -------
    Autoencoder
    ConvEncoder
    """
    n_channels, side, _ = shape
    with seeded(plan.seed):
        autoencoder = Autoencoder(
            ConvEncoder(side, n_channels, plan.latent_dim, plan.width),
            ConvDecoder(plan.latent_dim, side, n_channels, plan.width, squash=True),
        )
        return autoencoder, ConvEncoder(side, n_channels, 1, plan.width, "leaky_relu")


class Begun(NamedTuple):
    """What `begin` returns: all that comes before the game."""

    model: GMMGAN
    """Generator as the decoder left it, prior as EM left it."""
    pixels: torch.Tensor
    """To train on."""
    source: str
    """Where they come from."""
    history: dict
    """The autoencoder's."""
    seconds: dict
    """Of the autoencoder, and of EM."""


def begin(plan, folder, device="auto", progress=None):
    """Train the autoencoder, fit mixtures to its codes and choose one, and build the model.

    Parameters
    ----------
    plan : Plan
    folder : str or Path
        Keeps the autoencoder's checkpoint.
    device : str or torch.device
    progress : bool, optional

    Returns
    -------
    Begun
    """
    pixels, source = pictures(plan)
    autoencoder, discriminator = networks(plan, pixels.shape[1:])
    loop = _loop(plan, Path(folder) / "codes.checkpoint", device, progress)
    coded = fit_autoencoder(autoencoder, pixels, plan.code_steps, code_penalty=0.05, **loop)
    began = perf_counter()
    selection = mixture_of_codes(autoencoder, pixels, plan.components, seed=plan.seed)
    seconds = {"codes": coded.seconds, "mixture": perf_counter() - began}
    model = GMMGAN.from_autoencoder(autoencoder, selection.estimator, discriminator)
    return Begun(model, pixels, source, coded.history, seconds)


def run(plan, folder, device="auto", progress=None):
    """Train autoencoder, mixture and game; write model, record and checkpoints into a folder.

    Broken off and called again, it goes on where it was, and ends with the same weights.

    Parameters
    ----------
    plan : Plan
    folder : str or Path
        Is made; of several processes, the first one writes.
    device : str or torch.device
    progress : bool, optional
        Whether bars show; by default in a terminal.

    Returns
    -------
    model : GMMGAN
    record : dict
        Plan, data, device, versions, seconds of each stage, arithmetic and losses; the same as in
        record.json.

    Raises
    ------
    ValueError
        If the plan is of no use, or the folder holds another plan's run.
    """
    folder, device = Path(folder), choose_device(device)
    folder.mkdir(parents=True, exist_ok=True)
    begun = begin(plan, folder, device, progress)
    loop = _loop(plan, folder / "game.checkpoint", device, progress)
    game = fit_gmm_gan(begun.model, begun.pixels, plan.n_steps, r1=plan.r1, **RATES, **loop)
    seconds = begun.seconds | {"game": game.seconds}
    record = {"data": begun.source, "plan": plan._asdict()}
    record |= described(begun.model, begun.pixels, device)
    record["seconds"] = {k: round(v, 3) for k, v in seconds.items()}
    record["pictures_per_second"] = round(plan.batch_size * plan.n_steps / game.seconds, 1)
    record["losses"] = {"codes": ends(begun.history), "game": ends(game.history)}
    if ranks.is_first():
        begun.model.save(folder / "model.safetensors")
        write_atomically(folder / "record.json", (json.dumps(record, indent=1) + "\n").encode())
    return begun.model.eval(), record


def _loop(plan, checkpoint, device, progress):
    """Return what both training loops are told."""
    return {
        "batch_size": plan.batch_size,
        "seed": plan.seed,
        "device": device,
        "bf16": plan.bf16,
        "progress": progress,
        "checkpoint": checkpoint,
        "checkpoint_every": plan.checkpoint_every,
    }


def described(model, pixels, device):
    """Return what a record says of a model and of the machine.

    Parameters
    ----------
    model : GMMGAN
    pixels : tensor (N, C, side, side)
    device : torch.device

    Returns
    -------
    dict
    """
    parts = {"generator": model.prior.means[:1], "discriminator": pixels[:1].to(device)}
    forward = {k: sum(multiply_adds(getattr(model, k), x)) for k, x in parts.items()}
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    return {
        "device": name_device(device),
        "processes": ranks.n_ranks(),
        "threads": torch.get_num_threads(),
        "versions": versions | {"torch": torch.__version__, "gmmlearn": gmmlearn.__version__},
        "shape": list(pixels.shape[1:]),
        "n_components": model.prior.n_components,
        "n_parameters": {k: sum(p.numel() for p in getattr(model, k).parameters()) for k in parts},
        "multiply_adds": forward,
        "peak_memory_bytes": peak_memory(device),
    }


def ends(history, n=100):
    """Return the means of each quantity over its first and its last steps.

    Parameters
    ----------
    history : dict of str to array (n_steps,)
    n : int

    Returns
    -------
    dict of str to [float, float]
    """
    return {
        k: [float(f"{part.mean():.5g}") for part in (v[:n], v[-n:])] for k, v in history.items()
    }


def load_run(folder):
    """Load the model that `run` wrote.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    GMMGAN
        In evaluation mode, on the processor.

    Raises
    ------
    ValueError
        If the folder holds no finished run.
    """
    path = Path(folder) / "record.json"
    if not path.exists():
        raise ValueError(f"{folder} holds no finished run: record.json is not there.")
    record = json.loads(path.read_text(encoding="utf-8"))
    plan = Plan(**record["plan"])
    autoencoder, discriminator = networks(plan, tuple(record["shape"]))
    prior = MixturePrior(record["n_components"], plan.latent_dim).requires_grad_(False)
    model = GMMGAN(autoencoder.decoder, discriminator, prior, autoencoder.encoder)
    return model.load(Path(folder) / "model.safetensors").eval()
