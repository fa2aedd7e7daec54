"""Measure how generators spread over the modes of the ring and the grid. Chapter 14.

"ring" and "grid": networks, data, losses, optimiser and batches are those of lin2018pacgan's code.
Different are: far fewer steps (4,000; the code takes 400,000), and the networks move in turns, not
at the same time. These cells replace earlier ones of 2,000 steps on the ring and 1,000 on the grid,
save those with packs of four on the ring, which had 2,000 steps and are kept.
"lagging": small networks on a ring with wider modes, and a discriminator that learns ten
times slower than the generator. Its rates were chosen on seed 0, steps and seeds before these runs.
"control", added afterwards: the same, alone, with as many samples in a step as packs of two have.

    python benchmarks/gan.py             # runs every cell that is missing, then writes the record
    python benchmarks/gan.py --cells 2   # at most so many cells; the next call goes on
    python benchmarks/gan.py --data ring # of one experiment
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
from collections.abc import Callable
from time import process_time
from typing import NamedTuple

import numpy as np
import torch
from provenance import RECORDED, alone, origin, write_record
from safetensors.numpy import load_file, save

from gmmlearn._files import write_atomically
from gmmlearn.datasets import grid, ring
from gmmlearn.deep.gan import Play, discriminator_step, draw, generator_step
from gmmlearn.deep.networks import MLP
from gmmlearn.deep.pacgan import pacgan_discriminator, pacgan_generator
from gmmlearn.deep.prior import StandardNormal
from gmmlearn.deep.training import seeded, train
from gmmlearn.metrics import mode_statistics


class Experiment(NamedTuple):
    """What is trained on what, and how."""

    make: Callable
    std: float
    small: bool
    n_steps: int
    packs: int
    rates: tuple
    betas: tuple
    n_seeds: int
    packings: tuple = (1, 2, 4)


EXPERIMENTS = {
    "ring": Experiment(ring, 0.01, False, 4000, 100, (1e-4, 1e-4), (0.8, 0.999), 3),
    "grid": Experiment(grid, 0.05, False, 4000, 100, (1e-4, 1e-4), (0.8, 0.999), 3),
    "lagging": Experiment(ring, 0.05, True, 2000, 128, (1e-3, 1e-4), (0.5, 0.99), 10),
    # As many samples in a step as packs of two have.
    "control": Experiment(ring, 0.05, True, 2000, 256, (1e-3, 1e-4), (0.5, 0.99), 3, (1,)),
}
N_DATA, LATENT_DIM = 100_000, 2
EVERY, N_SAMPLES, N_DRAWN, N_FRAMES = 100, 2500, 500, 20
"""Steps between two looks, and samples judged at each; of seed 0, samples and looks that are kept
to be drawn."""
RECORD = RECORDED / "gan.json"
FRAMES = RECORDED / "gan_frames.safetensors"


def points(name, seed):
    """Return the data of an experiment."""
    plan = EXPERIMENTS[name]
    return plan.make(N_DATA, rng=1000 + seed, std=plan.std).X


def centres(name):
    """Return the centres of the modes of an experiment's data."""
    return np.unique(EXPERIMENTS[name].make(5000, 0, std=0).X.round(12), axis=0)


def build(small, packing):
    """Return a generator and a discriminator."""
    if small:
        return MLP(2, 2, 128, 3, "relu"), MLP(2 * packing, 1, 128, 3, "leaky_relu")
    return pacgan_generator(LATENT_DIM), pacgan_discriminator(packing)


def run(name, packing, seed):
    """Train one pair of networks; return what was measured on the way, and samples (T, n, 2)."""
    plan, prior, rules, looks = EXPERIMENTS[name], StandardNormal(2), Play(packing=packing), []
    X, middles = points(name, seed), centres(name)
    with seeded(seed):
        nets = dict(zip(("generator", "discriminator"), build(plan.small, packing), strict=True))
    adams = {
        key: torch.optim.Adam(net.parameters(), lr=rate, betas=plan.betas, fused=True)
        for (key, net), rate in zip(nets.items(), plan.rates, strict=True)
    }
    done = 0

    def step(real, rng):
        nonlocal done
        generator, discriminator = nets.values()
        fake = generator(prior.sample(len(real), rng=rng))
        report = discriminator_step(discriminator, adams["discriminator"], real, fake, rules)
        report |= generator_step(generator, discriminator, adams["generator"], fake, rules)
        done += 1
        if done % EVERY == 0:
            looks.append(draw(generator, prior, N_SAMPLES, seed=0))
        return report

    busy = process_time()
    train(
        step, X, modules=nets, optimizers=adams, n_steps=plan.n_steps,
        batch_size=plan.packs * packing, seed=seed, device="cpu", progress=False,
    )  # fmt: skip
    judged = [mode_statistics(samples, middles, plan.std) for samples in looks]
    cell = {
        "data": name,
        "packing": packing,
        "seed": seed,
        "cpu_seconds": round(process_time() - busy, 1),
        "n_modes": [one.n_modes for one in judged],
        "high_quality": [round(one.high_quality, 4) for one in judged],
        "reverse_kl": [round(one.reverse_kl, 4) for one in judged],
        "std_ratio": [spread(samples, middles, plan.std) for samples in looks],
    }
    thin = len(looks) // N_FRAMES
    return cell, np.array([samples[:N_DRAWN] for samples in looks[thin - 1 :: thin]], np.float16)


def spread(samples, centres, std):
    """Return the std of samples within their modes, as a ratio to the true one.

    Those within five std of a centre, about the mean of their mode; modes with at least ten.
    """
    offsets = samples[:, None] - centres
    nearest = np.square(offsets).sum(axis=2).argmin(axis=1)
    own = offsets[np.arange(len(samples)), nearest]
    near = np.linalg.norm(own, axis=1) < 5 * std
    squares = []
    for k in range(len(centres)):
        mode = own[near & (nearest == k)]
        if len(mode) >= 10:
            squares.append(mode.var(axis=0, ddof=1).mean())
    return float(np.sqrt(np.mean(squares)) / std) if squares else None


def key(cell):
    """Return what tells a cell from the others."""
    return cell["data"], cell["packing"], cell["seed"]


def read():
    """Return the cells that are there."""
    return json.loads(RECORD.read_text(encoding="utf-8"))["cells"] if RECORD.exists() else []


def write(cells):
    """Write the record whole or not at all."""
    record = origin(
        __file__,
        "torch",
        seeds={name: list(range(plan.n_seeds)) for name, plan in EXPERIMENTS.items()},
        every=EVERY,
        n_samples=N_SAMPLES,
        n_data=N_DATA,
        experiments={
            name: plan._replace(make=plan.make.__name__)._asdict()
            for name, plan in EXPERIMENTS.items()
        },
        seconds=round(sum(cell["cpu_seconds"] for cell in cells), 1),
        cells=sorted(cells, key=key),
    )
    write_record(RECORD, record)


def keep(name, frames):
    """Add samples to those that are drawn."""
    drawn = load_file(FRAMES) if FRAMES.exists() else {}
    write_atomically(FRAMES, save(drawn | {name: frames}))


def print_table(cells):
    """Print the means over the last five looks of each run, and their spread over seeds."""
    print("data    packing  seeds  modes          high quality     reverse KL")
    for data, packing in sorted({key(cell)[:2] for cell in cells}, reverse=True):
        rows = [cell for cell in cells if key(cell)[:2] == (data, packing)]
        texts = []
        for name in ("n_modes", "high_quality", "reverse_kl"):
            values = np.array([np.mean(cell[name][-5:]) for cell in rows])
            texts.append(f"{values.mean():6.3f} +- {values.std(ddof=len(rows) > 1):5.3f}")
        print(f"{data:7s} {packing:5d}  {len(rows):5d}  {'  '.join(texts)}", flush=True)


def main():
    """Run what is missing, one cell after the other, and keep each as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=10**6, help="at most so many cells")
    parser.add_argument("--data", choices=EXPERIMENTS, help="only this experiment")
    parser.add_argument("--packing", type=int, help="only this packing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    wanted = [
        (name, p, s)
        for s in range(10)
        for name, plan in EXPERIMENTS.items()
        if s < plan.n_seeds
        for p in plan.packings
    ]
    there = set(map(key, read()))
    only = arguments.data, arguments.packing
    missing = [
        k
        for k in wanted
        if k not in there and all(o in (None, w) for o, w in zip(only, k[:2], strict=True))
    ]
    for data, packing, seed in missing[: arguments.cells]:
        cell, frames = run(data, packing, seed)
        with alone(RECORD):  # read again: another process may have written meanwhile
            write([*read(), cell])
            if seed == 0:
                keep(f"{data} {packing}", frames)
        print(data, packing, seed, cell["cpu_seconds"], cell["high_quality"][-1], flush=True)
    print_table(read())


if __name__ == "__main__":
    main()
