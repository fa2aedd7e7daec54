"""Corners of the prior x start factorial on MNIST's 10,000 test digits, 28 x 28. Chapter 16.

The digits are split at random: 8,000 to train, 1,000 to choose settings (`trials`), 1,000 held out
to measure. All games share small convolutional networks, batches, R1 penalty and averaging; cells
of one seed share first weights, and those with a decoder the autoencoder. There is no judge of such
digits in the package: one is trained here on the same 8,000, and its features are the "judge"
space; the "pixels" space has 14 x 14 means of four neighbours. The environment variable
GMMLEARN_DATA names the folder of the digits.

    python benchmarks/gmm_gan_mnist.py trials  # on validation digits, for --minutes; call it again
    python benchmarks/gmm_gan_mnist.py all     # the same for the measurement
    python benchmarks/gmm_gan_mnist.py record  # prints, writes gmmlearn/recorded/gmm_gan_mnist.json

Three seeds each; plain GAN and mixture decoder play 2,000 steps, the other two corners 1,000.

Keys of "summary" are those of `gmm_gan.py`: "means", "differences" (mixture decoder minus plain),
"speed", "seconds", "alone", "game"; "steering" is of the last step, triples over seeds. "judge" has
the classifier's accuracy on the held-out digits. The pictures of seed 0 are bytes 0..255 in
gmm_gan_mnist.safetensors: "ours" (10, 8, 28, 28), for each digit the heaviest component that mostly
draws it, and "plain" (80, 28, 28).
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
from functools import cache
from time import perf_counter, process_time

import gmm_gan
import numpy as np
import torch
from gmm_gan import compared, gained, heat, seconds, speed
from gmm_gan_cells import World, made, run, steered, tempered
from gmm_gan_measures import Cells, Yardstick, interval, measured, table
from provenance import RECORDED, ROOT, Kept, origin, write_record
from safetensors.numpy import save
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors
from torch.nn import functional

from gmmlearn import datasets
from gmmlearn._files import write_atomically
from gmmlearn.deep.features import Judge, Plan
from gmmlearn.deep.networks import ConvDecoder, ConvEncoder
from gmmlearn.deep.pixels import as_images, as_pixels
from gmmlearn.deep.training import seeded
from gmmlearn.metrics import agreement

FOLDER = ROOT / "_build" / "gmm_gan_mnist"
LIMITS, SIDE, WIDTH = (0, 255), 28, 16
LOOKS = (0, 500, 1000, 2000)
SPLITS = {"train": slice(0, 8000), "validation": slice(8000, 9000), "test": slice(9000, 10_000)}
JUDGE = Plan(SIDE, 1, LIMITS, (16, 32, 48), 32, {"digit": 10})
JUDGE_EPOCHS, JUDGE_NOISE = 6, 8.0
SEEDS, TRIAL_SEED = (0, 1, 2), 100
HEATS = (1.0, 1.2, 1.35, 1.6, 2.0)
"""Covariances of the mixture without a game are multiplied with these."""
BASE = gmm_gan.BASE | {
    "n_components": 40,
    "rates": {"random": [2e-3, 2e-3], "decoder": [3e-4, 1e-3]},
    "batch_size": 64,
    "looks": list(LOOKS),
}
PLAIN = {"prior": "normal", "start": "random"}
TRIALS = {
    "plain, rates 0.001 0.001": PLAIN | {"rates": {"random": [1e-3, 1e-3]}},
    "plain, rates 0.0005 0.001": PLAIN | {"rates": {"random": [5e-4, 1e-3]}},
    "plain, rates 0.001 0.001, R1 10": PLAIN | {"rates": {"random": [1e-3, 1e-3]}, "r1": 10.0},
    "plain, rates 0.002 0.002": PLAIN | {"rates": {"random": [2e-3, 2e-3]}},
    "mixture decoder, rates 0.0001 0.001": {"rates": {"decoder": [1e-4, 1e-3]}},
    "mixture decoder, rates 0.0003 0.001": {"rates": {"decoder": [3e-4, 1e-3]}},
}
"""Tried on validation digits, 1,000 steps each."""


def cells():
    """Return all cells by name."""
    found = {}
    short = {"looks": [0, 500, 1000]}
    pair = {"normal random": PLAIN, "mixture decoder": {}}
    corners = {
        "gaussian decoder": {"prior": "gaussian"} | short,
        "mixture random": {"start": "random"} | short,
    }
    for named in (pair, corners):  # the pair from all seeds first
        for seed in SEEDS:
            for name, changes in named.items():
                found[f"factorial/{name}/{seed}"] = BASE | changes | {"seed": seed}
    for name, changes in TRIALS.items():
        more = {"seed": TRIAL_SEED, "part": "validation", "looks": [0, 500, 1000]}
        found[f"tuning/{name}/{TRIAL_SEED}"] = BASE | changes | more
    return found


def kept():
    """Return the results that are there."""
    return Cells(FOLDER, cells())


# ------------------------------------------------------------------------------------ what is there


@cache
def part(name):
    """Return the digits of a part: 0..255, and labels."""
    data = datasets.mnist("test")
    rows = np.random.default_rng(0).permutation(len(data.X))[SPLITS[name]]
    return datasets.Labelled(data.X[rows], data.labels[rows])


@cache
def world():
    """Return the world of these digits."""
    return World(
        FOLDER,
        as_pixels(part("train").X, LIMITS),
        LIMITS,
        encoder=lambda dim: ConvEncoder(SIDE, 1, dim, WIDTH),
        generator=lambda dim: ConvDecoder(dim, SIDE, 1, WIDTH, squash=True),
        discriminator=lambda packing: ConvEncoder(SIDE, packing, 1, WIDTH, "leaky_relu"),
        yardstick=yardstick,
        judge=judge(),
    )


@cache
def yardstick(name):
    """Return the measures against a part."""
    spaces = {"pixels": averaged, "judge": judge().features}
    return Yardstick(part("train").X, part(name).X, spaces)


def averaged(images):
    """Return means of four neighbours, in [0, 1]: distances cost a quarter."""
    blocks = images.reshape(len(images), SIDE // 2, 2, SIDE // 2, 2)
    return blocks.mean(axis=(2, 4)).reshape(len(images), -1) / 255


@cache
def judge():
    """Return the classifier, trained on the training part unless its file is there."""
    path = FOLDER / "judge.safetensors"
    with seeded(0):
        network = Judge(JUDGE)
    if path.exists():
        network.load_state_dict(load_file(path))
        return network.eval().requires_grad_(False)
    busy, data = process_time(), part("train")
    learn(network, torch.as_tensor(data.X, dtype=torch.float32), torch.as_tensor(data.labels))
    print(f"judge: {process_time() - busy:.0f} s", flush=True)
    write_atomically(path, save_tensors(network.state_dict()))
    return network.eval().requires_grad_(False)


def learn(network, images, labels, size=64):
    """Train a classifier: AdamW, one cycle, pixels with a little noise."""
    rng, n_steps = torch.Generator().manual_seed(0), JUDGE_EPOCHS * (len(images) // size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=n_steps)
    for _ in range(JUDGE_EPOCHS):
        order = torch.randperm(len(images), generator=rng)
        for rows in order[: n_steps // JUDGE_EPOCHS * size].split(size):
            noise = JUDGE_NOISE * torch.randn(len(rows), SIDE, SIDE, generator=rng)
            _, logits = network(network.as_pixels(images[rows] + noise))
            loss = functional.cross_entropy(logits["digit"], labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()


def one(name, stop_at):
    """Do a cell, up to a step."""
    cell = cells()[name]
    ends = lambda n: n == cell["looks"][-1] and cell["part"] == "test"  # noqa: E731
    return run(world(), kept().path(name), name, cell, stop_at, asked_last, near=ends)


def asked_last(name, cell, model, n_steps):
    """Return what is measured once, after the last steps; keep the pictures of seed 0."""
    if n_steps < cell["looks"][-1]:
        return {}
    if name in ("factorial/normal random/0", "factorial/mixture decoder/0"):
        model.save(kept().path(name).with_suffix(".safetensors"))
    if cell["prior"] == "mixture" and cell["start"] == "decoder":
        return {"steering": {"step": n_steps} | steered(world(), model)}
    return {}


# --------------------------------------------------------------------------------------- the record


def alone(seeds):
    """Return the measures of decoder and mixture without a game, by temperature, for each seed."""
    parts = Kept(FOLDER / "alone")
    return {s: parts(str(s), heated, s) for s in seeds}


def heated(seed):
    """Return the measures of one seed's decoder and mixture without a game, by temperature."""
    model, _ = made(world(), BASE | {"seed": seed})
    return tempered(world(), model, "test", HEATS, near=False)


def reloaded(name):
    """Return the trained model of a cell."""
    model, _ = made(world(), cells()[name])
    return model.load(kept().path(name).with_suffix(".safetensors"))


def sheets():
    """Return pictures of both models as bytes."""

    def drawn(model, n, **given):
        return as_images(model.sample(n, **given), LIMITS).round().astype(np.uint8)

    ours, rows = reloaded("factorial/mixture decoder/0"), []
    shown = [
        np.bincount(judge().predict(drawn(ours, 100, component=k, rng=k))["digit"], minlength=10)
        for k in range(ours.prior.n_components)
    ]
    mostly, weights = np.argmax(shown, axis=1), ours.prior.weights.numpy()
    for digit in range(10):
        # A digit without a component of its own is shown by that which draws it most often.
        own = mostly == digit if (mostly == digit).any() else np.array(shown)[:, digit] >= max(
            counts[digit] for counts in shown
        )  # fmt: skip
        k = int(np.argmax(np.where(own, weights, 0)))
        rows.append(drawn(ours, 8, component=k, rng=1000 + k))
    plain = reloaded("factorial/normal random/0")
    return {"ours": np.stack(rows), "plain": drawn(plain, 80, rng=1000)}


def judged():
    """Return how often the classifier is right on held-out digits, with its interval."""
    test = part("test")
    share, low, high = agreement(test.labels, judge().predict(test.X)["digit"])
    return {"accuracy": share, "interval": [low, high], "n": len(test.X), "features": 32}


def whole():
    """Return the results of the cells that were measured to their end, by what and by seed."""
    planned, found = cells(), {}
    for name, runs in kept().results("factorial").items():
        for seed, result in runs.items():
            if result["looks"][-1]["step"] == planned[f"factorial/{name}/{seed}"]["looks"][-1]:
                found.setdefault(name, {})[seed] = result
    return found


def conclude():
    """Print the verdict and write everything that is there."""
    runs = whole()
    plain, ours = runs["normal random"], runs["mixture decoder"]
    steps = [n for n in measured(plain, ours) if n]
    steering = [r["steering"] for r in ours.values()]
    train, rng = part("train").X, np.random.default_rng(0)
    without = alone(sorted(ours))
    rows = [r for group in runs.values() for r in group.values()]
    keys = ("step", "frechet", "precision pixels", "recall pixels")
    record = {
        **origin(__file__, "torch"),
        "data": "MNIST's 10,000 test digits: 8,000 to train, 1,000 to choose, 1,000 held out",
        "seeds": sorted(ours),
        "seconds": round(sum(r["looks"][-1]["cpu_seconds"] for r in rows), 1),
        "seconds_are": "of the processor, measuring left out; other work shared the machine",
        "looks": LOOKS,
        "base": BASE,
        "judge": judged(),
        "beside": {
            "training digits": yardstick("test").look(lambda n, _: train[rng.permutation(8000)[:n]])
        },
        "trials": {
            name: [[look[k] for k in keys] for r in group.values() for look in r["looks"]]
            for name, group in kept().results("tuning").items()
        },
        "summary": {
            "means": table(runs),
            "differences": compared(ours, plain, steps),
            "speed": speed(plain, ours),
            "seconds": seconds(speed(plain, ours)),
            "alone": heat(without),
            "game": gained(ours, without),
            "steering": {k: interval([s[k] for s in steering]) for k in ("purity", "own")},
        },
        "runs": [{k: v for k, v in r.items() if k != "settings"} for r in rows],
    }
    write_atomically(RECORDED / "gmm_gan_mnist.safetensors", save(sheets()))
    write_record(RECORDED / "gmm_gan_mnist.json", record, indent=None)
    print(record["judge"], record["beside"], record["summary"], sep="\n")


def main():
    """Work on trials or cells, or write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("trials", "all", "record"))
    parser.add_argument("--minutes", type=float, default=2.5, help="begin no cell after that")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if arguments.what == "record":
        conclude()
        return
    until, group = perf_counter() + 60 * arguments.minutes, "factorial"
    if arguments.what == "trials":
        group = "tuning"
    for name in [name for name in cells() if name.startswith(group)]:
        for stop_at in LOOKS[1:]:  # look by look: a turn may end between two
            kept().work(one, name, stop_at, until)


if __name__ == "__main__":
    main()
