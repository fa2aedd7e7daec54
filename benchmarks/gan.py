"""Measure how PacGAN's networks spread over the modes of the ring and the grid. Chapter 14.

Networks, data, losses, optimiser and batches are those of lin2018pacgan's code. Different are: far
fewer steps (the code takes 400,000), and the networks move in turns, not at the same time. Steps
and seeds were fixed before the first run was looked at in full.

    python benchmarks/gan.py             # runs every cell that is missing, then writes the record
    python benchmarks/gan.py --cells 2   # at most so many cells; the next call goes on
    python benchmarks/gan.py --data ring # of one data set
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import platform
from time import process_time

import numpy as np
import torch
from provenance import ROOT, commit, cpu_name
from safetensors.numpy import load_file, save_file

import gmmlearn
from gmmlearn.datasets import grid, ring
from gmmlearn.deep.gan import Play, discriminator_step, draw, generator_step
from gmmlearn.deep.pacgan import pacgan_discriminator, pacgan_generator
from gmmlearn.deep.prior import StandardNormal
from gmmlearn.deep.training import seeded, train
from gmmlearn.metrics import mode_statistics

SEEDS, PACKINGS = range(5), (1, 2, 4)
N_STEPS = {"ring": 2000, "grid": 1000}
EVERY, N_SAMPLES, N_DRAWN = 100, 2500, 500
"""Steps between two looks, samples judged at each, and samples of seed 0 kept to be drawn."""
SETTINGS = {"n_data": 100_000, "packs": 100, "rate": 1e-4, "betas": [0.8, 0.999], "latent_dim": 2}
MAKERS, STDS = {"ring": ring, "grid": grid}, {"ring": 0.01, "grid": 0.05}
RECORD = ROOT / "gmmlearn" / "recorded" / "gan.json"
FRAMES = ROOT / "gmmlearn" / "recorded" / "gan_frames.safetensors"


def centres_of(data):
    """Return the modes' centres (K, 2)."""
    return np.unique(MAKERS[data](5000, 0, std=0).X.round(12), axis=0)


def run(data, packing, seed):
    """Train one pair of networks; return what was measured on the way, and samples (T, n, 2)."""
    X, centres = MAKERS[data](SETTINGS["n_data"], rng=1000 + seed).X, centres_of(data)
    prior, rules, looks = StandardNormal(SETTINGS["latent_dim"]), Play(packing=packing), []
    with seeded(seed):
        nets = {"generator": pacgan_generator(), "discriminator": pacgan_discriminator(packing)}
    adams = {
        name: torch.optim.Adam(net.parameters(), lr=SETTINGS["rate"], betas=SETTINGS["betas"])
        for name, net in nets.items()
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

    busy, batch_size = process_time(), SETTINGS["packs"] * packing
    train(
        step, X, modules=nets, optimizers=adams, n_steps=N_STEPS[data], batch_size=batch_size,
        seed=seed, device="cpu", progress=False,
    )  # fmt: skip
    judged = [mode_statistics(samples, centres, STDS[data]) for samples in looks]
    cell = {
        "data": data,
        "packing": packing,
        "seed": seed,
        "cpu_seconds": round(process_time() - busy, 1),
        "n_modes": [one.n_modes for one in judged],
        "high_quality": [round(one.high_quality, 4) for one in judged],
        "reverse_kl": [round(one.reverse_kl, 4) for one in judged],
    }
    return cell, np.array([samples[:N_DRAWN] for samples in looks], dtype=np.float16)


def key(cell):
    """Return what tells a cell from the others."""
    return cell["data"], cell["packing"], cell["seed"]


def read():
    """Return the cells that are there."""
    return json.loads(RECORD.read_text(encoding="utf-8"))["cells"] if RECORD.exists() else []


def write(cells):
    """Write the record whole or not at all."""
    origin = {
        "script": "benchmarks/gan.py",
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "threads": 1,
                    "system": f"{platform.system()} {platform.machine()}"},
        "versions": {"python": platform.python_version(), "numpy": np.__version__,
                     "torch": torch.__version__, "gmmlearn": gmmlearn.__version__},
        **commit(),
        "seeds": list(SEEDS),
        "n_steps": N_STEPS,
        "every": EVERY,
        "n_samples": N_SAMPLES,
        "settings": SETTINGS,
        "cpu_seconds": round(sum(cell["cpu_seconds"] for cell in cells), 1),
        "cells": sorted(cells, key=key),
    }  # fmt: skip
    waiting = RECORD.with_name(f"{RECORD.name}.{os.getpid()}")
    waiting.write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
    os.replace(waiting, RECORD)


def keep(name, frames):
    """Add samples to those that are drawn."""
    drawn = load_file(FRAMES) if FRAMES.exists() else {}
    waiting = FRAMES.with_name(f"{FRAMES.name}.{os.getpid()}")
    save_file(drawn | {name: frames}, waiting)
    os.replace(waiting, FRAMES)


def print_table(cells):
    """Print the means over the last five looks of each run, and their spread over seeds."""
    print("data  packing  seeds  modes          high quality     reverse KL")
    for data, packing in sorted({key(cell)[:2] for cell in cells}, reverse=True):
        rows = [cell for cell in cells if key(cell)[:2] == (data, packing)]
        texts = []
        for name in ("n_modes", "high_quality", "reverse_kl"):
            values = np.array([np.mean(cell[name][-5:]) for cell in rows])
            texts.append(f"{values.mean():6.3f} +- {values.std(ddof=len(rows) > 1):5.3f}")
        print(f"{data}  {packing:7d}  {len(rows):5d}  {'  '.join(texts)}", flush=True)


def main():
    """Run what is missing, one cell after the other, and keep each as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=10**6, help="at most so many cells")
    parser.add_argument("--data", choices=MAKERS, help="only this data set")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    wanted = [(d, p, s) for s in SEEDS for d in MAKERS for p in PACKINGS]
    there = set(map(key, read()))
    missing = [k for k in wanted if k not in there and arguments.data in (None, k[0])]
    for data, packing, seed in missing[: arguments.cells]:
        cell, frames = run(data, packing, seed)
        # Read again: another process may have written meanwhile.
        write([*read(), cell])
        if seed == 0:
            keep(f"{data} {packing}", frames)
        print(data, packing, seed, cell["cpu_seconds"], cell["high_quality"][-1], flush=True)
    print_table(read())


if __name__ == "__main__":
    main()
