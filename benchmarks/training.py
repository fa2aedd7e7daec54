"""Time `gmmlearn.deep.training.train` beside the barest torch loop doing the same work.

Both train a denoising autoencoder with Adam and an exponential average of its weights, on the same
batches with the same noise, so that they end with the same weights to the last bit, which is
checked. They run in turn, in short pieces, on one thread; each pair of pieces gives one ratio.
Seconds are the processor's, so that other programs on the machine count for little. Then the
switches: a step in bfloat16, one with Adam's fused kernel, and one compiled, its compiling apart.

    python benchmarks/training.py            # writes gmmlearn/recorded/training.json
    python benchmarks/training.py --dry-run  # only prints
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import platform
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch
from provenance import commit, cpu_name
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import gmmlearn
from gmmlearn.datasets import digits
from gmmlearn.deep.checkpoints import write_atomically
from gmmlearn.deep.networks import MLP, ConvDecoder, ConvEncoder
from gmmlearn.deep.pixels import as_pixels
from gmmlearn.deep.training import _derive, seeded, train

ROOT = Path(__file__).resolve().parents[1]
SEED, BATCH_SIZE, DECAY = 0, 100, 0.999


def perceptron():
    """Return 8 x 8 digits, and a small perceptron for them."""
    pixels = as_pixels(digits("train").X, limits=(0, 16))
    return pixels, torch.nn.Sequential(MLP((1, 8, 8), 8), MLP(8, (1, 8, 8)))


def convolutions():
    """Return the same digits at 28 x 28, and a small convolutional network for them."""
    pixels = as_pixels(digits("train").X, limits=(0, 16))
    pixels = torch.nn.functional.interpolate(pixels, (28, 28), mode="bilinear")
    return pixels, torch.nn.Sequential(
        ConvEncoder(28, 1, 8, width=8), ConvDecoder(8, 28, 1, width=8)
    )


# (name, what makes data and network, steps, repeats)
CASES = [
    ("perceptron, 8 x 8 digits", perceptron, 300, 41),
    ("convolutions, 28 x 28 digits", convolutions, 30, 21),
]


class Case:
    """One training run: data, network, optimizer, step."""

    def __init__(self, make, fused=None):
        with seeded(SEED):
            self.pixels, self.net = make()
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3, fused=fused)
        self.times = []

    def step(self, batch, rng):
        """Take away some noise."""
        self.times.append(process_time())
        noise = torch.randn(batch.shape, generator=rng)
        loss = (self.net(batch + 0.1 * noise) - batch).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss}

    def weights(self):
        """Return all weights in one array."""
        return torch.cat([p.detach().flatten() for p in self.net.parameters()]).numpy()


def bare(case, n_steps):
    """Train by the barest loop, and return the losses."""
    of_batches, of_step, _ = _derive(SEED)
    generator, rng = torch.Generator(), torch.Generator().manual_seed(of_step)
    average = AveragedModel(case.net, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
    losses, epoch = [], 0
    while True:
        order = torch.randperm(
            len(case.pixels), generator=generator.manual_seed(of_batches + epoch)
        )
        for first in range(0, len(order) - BATCH_SIZE + 1, BATCH_SIZE):
            batch = case.pixels[order[first : first + BATCH_SIZE]]
            losses.append(case.step(batch, rng)["loss"].detach())
            average.update_parameters(case.net)
            if len(losses) == n_steps:
                return torch.stack(losses).numpy()
        epoch += 1


def ours(case, n_steps, **switches):
    """Train by the package's loop, and return the losses."""
    trained = train(
        case.step,
        case.pixels,
        modules={"net": case.net},
        optimizers={"adam": case.optimizer},
        n_steps=n_steps,
        batch_size=BATCH_SIZE,
        average={"net": DECAY},
        seed=SEED,
        device="cpu",
        **switches,
    )
    return trained.history["loss"]


def seconds(run, make, n_steps, fused=None):
    """Return how long a run takes, with all that it does before and after, and what it gives."""
    case = Case(make, fused)
    begin = process_time()
    losses = run(case, n_steps)
    return process_time() - begin, case, losses


def summary(values):
    """Return median and quartiles, in four digits."""
    low, middle, high = (float(f"{q:.4g}") for q in np.quantile(values, [0.25, 0.5, 0.75]))
    return {"median": middle, "quartiles": [low, high]}


def measure(name, make, n_steps, repeats):
    """Return one row: steps per second of both loops, their ratio, and what the switches give."""
    for run in (bare, ours):
        seconds(run, make, 3)
    runs = {"bare": bare, "ours": ours, "fused": ours}
    runs["bf16"] = lambda case, n: ours(case, n, bf16=True)
    rates = {side: [] for side in runs}
    for repeat in range(repeats):
        ends = {}
        # Each goes first every other time; the switches need fewer repeats.
        sides = sorted(("bare", "ours"), reverse=bool(repeat % 2))
        sides += ["fused", "bf16"] if repeat % 5 == 0 else []
        for side in sides:
            taken, ends[side], losses = seconds(runs[side], make, n_steps, side == "fused" or None)
            rates[side].append(n_steps / taken)
            assert np.isfinite(losses).all()
        assert np.array_equal(ends["bare"].weights(), ends["ours"].weights())
    row = {"case": name, "steps": n_steps, "repeats": repeats}
    row["steps_per_second"] = {side: summary(values) for side, values in rates.items()}
    row["ours_over_bare"] = summary(np.divide(rates["ours"], rates["bare"]))
    for side in ("fused", "bf16"):
        row[f"{side}_over_ours"] = summary(np.divide(rates[side], np.median(rates["ours"])))
    return row | compiled(make, n_steps, rates["ours"])


def compiled(make, n_steps, plain):
    """Return how long compiling takes, and how fast the steps are afterwards."""
    begin = process_time()
    try:
        _, case, _ = seconds(lambda c, n: ours(c, n, compile=True), make, 2 * n_steps)
    except Exception as error:
        return {"compiled": f"does not work here: {type(error).__name__}"}
    steady = n_steps / (case.times[-1] - case.times[n_steps - 1])
    ratio = float(f"{steady / np.median(plain):.4g}")
    waited = round(case.times[1] - begin, 1)
    return {"compiled_over_ours": ratio, "seconds_of_compiling": waited}


def main():
    """Measure every case, print a table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print, write nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    begin, rows = perf_counter(), []
    print(f"{'':30} {'bare':>9} {'ours':>9}  ours/bare (quartiles)  fused   bf16  compiled")
    for case in CASES:
        row = measure(*case)
        rows.append(row)
        rates = {side: value["median"] for side, value in row["steps_per_second"].items()}
        low, high = row["ours_over_bare"]["quartiles"]
        fused, bf16 = (row[f"{side}_over_ours"]["median"] for side in ("fused", "bf16"))
        print(
            f"{row['case']:30} {rates['bare']:7.0f}/s {rates['ours']:7.0f}/s  "
            f"{row['ours_over_bare']['median']:.3f} ({low:.3f} to {high:.3f})  "
            f"{fused:7.2f} {bf16:6.2f}  {row.get('compiled_over_ours', '-')}",
            flush=True,
        )
    record = {
        "script": "benchmarks/training.py",
        "machine": {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "threads": 1,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
            "gmmlearn": gmmlearn.__version__,
        },
        **commit(),
        "seed": SEED,
        "batch_size": BATCH_SIZE,
        "seconds": round(perf_counter() - begin, 1),
        "rows": rows,
    }
    if not arguments.dry_run:
        path = ROOT / "gmmlearn" / "recorded" / "training.json"
        write_atomically(path, (json.dumps(record, indent=1) + "\n").encode())
        print(f"wrote {path.relative_to(ROOT)} after {record['seconds']} s")


if __name__ == "__main__":
    main()
