"""Time `gmmlearn.deep.training.train` beside the barest torch loop doing the same work.

Both train a denoising autoencoder with Adam and an exponential average of its weights, on the same
batches with the same noise; that they end with the same weights to the last bit is checked. They
take turns at every step, in one process on one thread, so that whatever else the machine does slows
both alike; seconds are the processor's. Each hundred steps give one ratio, with all that the
package's loop does between steps: drawing, averaging, history, the look at what is finite, the copy
of the last good state. Setting up, once a run, is timed apart. The switches are compared with the
same bare loop without them.

    python benchmarks/training.py            # writes gmmlearn/recorded/training.json
    python benchmarks/training.py --dry-run  # only prints
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
from time import perf_counter, process_time

import numpy as np
import torch
from provenance import RECORDED, origin, write_record
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gmmlearn.datasets import digits
from gmmlearn.deep.networks import MLP, ConvDecoder, ConvEncoder
from gmmlearn.deep.pixels import as_pixels
from gmmlearn.deep.training import _derive, seeded, train

SEED, BATCH_SIZE, DECAY, BLOCK = 0, 100, 0.999, 100


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


# (name, what makes data and network, blocks of steps, and with each switch)
CASES = [
    ("perceptron, 8 x 8 digits", perceptron, 20, 6),
    ("convolutions, 28 x 28 digits", convolutions, 3, 1),
]
SWITCHES = {"fused": {"fused": True}, "bf16": {"bf16": True}, "compile": {"compile": True}}


class Case:
    """One training run: data, network, optimizer, step."""

    def __init__(self, make, fused=None):
        with seeded(SEED):
            self.pixels, self.net = make()
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3, fused=fused)

    def step(self, batch, rng):
        """Take away some noise."""
        noise = torch.randn(batch.shape, generator=rng)
        loss = (self.net(batch + 0.1 * noise) - batch).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss}

    def weights(self):
        """Return all weights in one array."""
        return torch.cat([p.detach().flatten() for p in self.net.parameters()]).numpy()


def bare(case):
    """Train by the barest loop; yield after each step."""
    of_batches, of_step, _ = _derive(SEED)
    generator, rng = torch.Generator(), torch.Generator().manual_seed(of_step)
    average = AveragedModel(case.net, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
    losses, epoch = [], 0
    while True:
        generator.manual_seed(of_batches + epoch)
        order = torch.randperm(len(case.pixels), generator=generator)
        for first in range(0, len(order) - BATCH_SIZE + 1, BATCH_SIZE):
            batch = case.pixels[order[first : first + BATCH_SIZE]]
            losses.append(case.step(batch, rng)["loss"].detach())
            average.update_parameters(case.net)
            yield
        epoch += 1


def in_turn(make, n_blocks, fused=None, **switches):
    """Let both loops step in turn; return seconds per step of each (n_blocks,), bare first."""
    theirs, ours = Case(make), Case(make, fused)
    loop, marks = bare(theirs), []

    def step(batch, rng):
        begin = process_time()
        with torch.autocast("cpu", enabled=False):
            next(loop)
        marks.append((begin, process_time()))
        return ours.step(batch, rng)

    run(ours, step, (n_blocks + 1) * BLOCK + 1, **switches)
    if not switches and not fused:
        assert np.array_equal(theirs.weights(), ours.weights())
    begin, end = np.array(marks).T
    # Ours goes from the end of a bare step to the beginning of the next. The first block warms up.
    pair = end[:-1] - begin[:-1], begin[1:] - end[:-1]
    return [s[BLOCK:].reshape(n_blocks, BLOCK).mean(axis=1) for s in pair]


def run(case, step, n_steps, **switches):
    """Train by the package's loop."""
    train(
        step,
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


def summary(values):
    """Return median and quartiles, in four digits."""
    low, middle, high = (float(f"{q:.4g}") for q in np.quantile(values, [0.25, 0.5, 0.75]))
    return {"median": middle, "quartiles": [low, high]}


def set_up(make, repeats=9):
    """Return the processor's milliseconds of a run of one step, beyond those of a bare one."""
    extra = []
    for _ in range(repeats):
        ours, theirs = Case(make), Case(make)
        times = [process_time()]
        run(ours, ours.step, 1)
        times.append(process_time())
        next(bare(theirs))
        times.append(process_time())
        extra.append(1e3 * (2 * times[1] - times[0] - times[2]))
    return summary(extra)


def measure(name, make, n_blocks, n_blocks_of_switches):
    """Return one row: steps per second of both loops, their ratio, and what the switches give."""
    seconds = in_turn(make, n_blocks)
    row = {"case": name, "steps": n_blocks * BLOCK}
    row["steps_per_second"] = {
        side: summary(1 / s) for side, s in zip(("bare", "ours"), seconds, strict=True)
    }
    row["ours_over_bare"] = summary(seconds[0] / seconds[1])
    row["set_up_milliseconds"] = set_up(make)
    for switch, settings in SWITCHES.items():
        try:
            seconds = in_turn(make, n_blocks_of_switches, **settings)
            row[f"{switch}_over_bare"] = summary(seconds[0] / seconds[1])
        except Exception as error:
            row[f"{switch}_over_bare"] = f"does not work here: {type(error).__name__}"
    return row


def write(row, seconds):
    """Put a row into the record, written whole or not at all."""
    path = RECORDED / "training.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    rows = [one for one in rows if one["case"] != row["case"]] + [row | {"seconds": seconds}]
    record = origin(
        __file__,
        "torch",
        threads=1,
        seed=SEED,
        batch_size=BATCH_SIZE,
        seconds=round(sum(one["seconds"] for one in rows), 1),
        rows=rows,
    )
    write_record(path, record)


def main():
    """Measure every case, print a table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print, write nothing")
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for case in CASES:
        if arguments.case not in case[0]:
            continue
        begin = perf_counter()
        row = measure(*case)
        print(row["case"])
        print(f"  steps a second, bare and ours: {row['steps_per_second']}")
        for name, value in row.items():
            if name.endswith(("_bare", "_milliseconds")):
                print(f"  {name}: {value}", flush=True)
        if not arguments.dry_run:
            write(row, round(perf_counter() - begin, 1))


if __name__ == "__main__":
    main()
