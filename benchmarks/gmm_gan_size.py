"""Measure what a GMM-GAN costs at size, on whatever device is there. Chapter 16.

For 28 x 28 digits and 64 x 64 scenes: pictures per second in training and in sampling, memory, in
float32, in bf16 and compiled, beside the device's own limit (one large matrix product, measured in
the same process) and beside a plain DCGAN loop with the same networks. The pictures of these timed
steps are noise, of which arithmetic takes no notice. Then the whole run, from pictures to weights:
on a processor a reduced one. Parts that are done are kept, and a run that is broken off goes on.

    python benchmarks/gmm_gan_size.py                # writes gmmlearn/recorded/gmm_gan_size.json
    python benchmarks/gmm_gan_size.py --minutes 3    # begins nothing after that; call it again
    python benchmarks/gmm_gan_size.py --device cuda  # adds that device to the same file
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import itertools
import json
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from provenance import RECORDED, ROOT, Kept, origin, rounded, write_record
from safetensors.torch import load_file, save
from torch.nn import functional

from gmmlearn._files import write_atomically
from gmmlearn.deep.arithmetic import multiply_adds, step_multiply_adds
from gmmlearn.deep.gmm_gan import GMMGAN, fit_gmm_gan
from gmmlearn.deep.prior import MixturePrior
from gmmlearn.deep.speed import (
    Stopwatch,
    copy_rate,
    peak_memory,
    product_rate,
    seconds_of,
)
from gmmlearn.deep.training import choose_device, name_device, seeded
from gmmlearn.deep.whole_run import Plan, begin, networks, run

CASES = {"digits": (1, 28, 28), "scenes": (3, 64, 64)}
GAMES = {
    "ours": {"r1": 1.0},
    "ours, no R1": {"r1": 0.0},
    "ours, bf16": {"r1": 1.0, "bf16": True},
    "ours, no R1, bf16": {"r1": 0.0, "bf16": True},
    "ours, no R1, compiled": {"r1": 0.0, "compile": True},
    "plain": None,
}
"""What is timed: settings of `fit_gmm_gan`, or a plain loop. R1 needs second derivatives, which
compiled networks have not."""
WAYS = ("float32", "bf16", "compiled")
"""How samples are drawn."""
PACES = {
    "cpu": {"width": 16, "batch_size": 32, "warm": 3, "timed": 16, "repeats": 3, "n_samples": 256},
    "cuda": {"width": 64, "batch_size": 256, "warm": 20, "timed": 200, "repeats": 5,
             "n_samples": 8192},
    "tiny": {"width": 2, "batch_size": 10, "warm": 2, "timed": 2, "repeats": 1, "n_samples": 10},
}  # fmt: skip
"""How the timed steps are taken on each kind of device, and in a test."""
PLANS = {
    "cpu": {
        "digits": Plan("digits", width=16, code_steps=1500, n_steps=1500),
        "scenes": Plan("scenes", n_pictures=2000, width=16, components=(10, 20), code_steps=400,
                       n_steps=300, batch_size=32, checkpoint_every=50),
    },
    "cuda": {
        "digits": Plan("digits", width=64, code_steps=5000, n_steps=20_000, batch_size=256),
        "scenes": Plan("scenes", n_pictures=20_000, width=64, latent_dim=64, batch_size=256,
                       components=(20, 40, 80), code_steps=5000, n_steps=20_000),
    },
    "tiny": {
        case: Plan(case, n_pictures=60, width=2, latent_dim=3, components=(2,), code_steps=20,
                   n_steps=20, batch_size=10)
        for case in CASES
    },
}  # fmt: skip
"""The whole runs."""
LATENT_DIM, N_COMPONENTS, N_SHOWN = 32, 20, 12


def without_compiler(names, kind):
    """Return names, in a test without those that need a compiler."""
    return [name for name in names if kind != "tiny" or "compiled" not in name]


def fresh(case, pace, device, latent_dim=LATENT_DIM):
    """Return an untrained model with the networks of a case."""
    plan = Plan(case, width=pace["width"], latent_dim=latent_dim)
    autoencoder, discriminator = networks(plan, CASES[case])
    with seeded(0):
        prior = MixturePrior(N_COMPONENTS, latent_dim).requires_grad_(False)
    return GMMGAN(autoencoder.decoder, discriminator, prior, autoencoder.encoder).to(device)


def noise(case, n):
    """Return n pictures of noise in [-1, 1]."""
    return 2 * torch.rand(n, *CASES[case], generator=torch.Generator().manual_seed(0)) - 1


def ours(case, settings, pace, device):
    """Return the seconds of a step of `fit_gmm_gan`."""
    watch = Stopwatch(pace["warm"], pace["warm"] + pace["timed"])
    fit_gmm_gan(
        fresh(case, pace, device),
        noise(case, 4 * pace["batch_size"]),
        pace["warm"] + pace["timed"],
        batch_size=pace["batch_size"],
        terms=(watch,),
        device=device,
        progress=False,
        **settings,
    )
    return watch.seconds_per_step


def plain(case, pace, device):
    """Return the seconds of a step of DCGAN's loop, as it stands in tutorials."""
    model, n = fresh(case, pace, device), pace["batch_size"]
    X = noise(case, 4 * n).to(device)
    generator, discriminator = model.generator, model.discriminator
    adam = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
    for_generator, for_discriminator = (
        adam(generator.parameters()),
        adam(discriminator.parameters()),
    )
    ones, zeros = (value(n, 1, device=device) for value in (torch.ones, torch.zeros))
    bce = functional.binary_cross_entropy_with_logits
    watch = Stopwatch(pace["warm"], pace["warm"] + pace["timed"])
    for _ in range(pace["warm"] + pace["timed"]):
        real = X[torch.randint(len(X), (n,), device=device)]
        fake = generator(torch.randn(n, LATENT_DIM, device=device))
        for_discriminator.zero_grad()
        (bce(discriminator(real), ones) + bce(discriminator(fake.detach()), zeros)).backward()
        for_discriminator.step()
        for_generator.zero_grad()
        bce(discriminator(fake), ones).backward()
        for_generator.step()
        watch(None, None, fake)
    return watch.seconds_per_step


def timed(case, game, pace, device):
    """Return seconds of a step and, on CUDA, the most memory that it took."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    settings = GAMES[game]
    step = partial(plain) if settings is None else partial(ours, settings=settings)
    found = {"seconds": step(case=case, pace=pace, device=device)}
    return found | ({"peak_memory_bytes": peak_memory(device)} if device.type == "cuda" else {})


def arithmetic(case, pace):
    """Return the multiply-adds for a picture: of each network, and of a step as torch counts."""
    model, cpu = fresh(case, pace, "cpu"), torch.device("cpu")
    found = {
        "generator": multiply_adds(model.generator, torch.zeros(1, LATENT_DIM)),
        "discriminator": multiply_adds(model.discriminator, noise(case, 1)),
    }
    one = pace | {"batch_size": 4, "warm": 1, "timed": 1}
    for name, r1 in (("step", 1.0), ("step, no R1", 0.0)):
        two_steps = partial(ours, case, {"r1": r1}, one, cpu)
        found[name] = step_multiply_adds(two_steps, batch_size=8)
    return found


def sampled(case, kind, pace, device):
    """Return pictures per second of `sample`: in float32, in bf16, or compiled."""
    model, n = fresh(case, pace, device).eval(), pace["n_samples"]
    if kind == "compiled":
        model.generator.compile()
    with torch.autocast(device.type, torch.bfloat16, enabled=kind == "bf16"):
        return n / seconds_of(lambda: model.sample(n, rng=0), device, repeats=3)


def limits(device):
    """Return the device's own limits."""
    names = {"float32": torch.float32, "bf16": torch.bfloat16}
    found = {f"products {name}": product_rate(device, dtype) for name, dtype in names.items()}
    return found | {"bytes copied": copy_rate(device)}


def reduced(case, plan, folder, device):
    """Return the record of a whole run, and write what it drew before and after the game."""
    folder = folder / f"run-{case}"
    folder.mkdir(parents=True, exist_ok=True)
    before = begin(plan, folder, device, False).model.eval()
    first = before.sample(N_SHOWN, rng=0)
    model, record = run(plan, folder, device, False)
    drawn = {"before": first, "after": model.sample(N_SHOWN, rng=0)}
    levels = {k: ((x.clamp(-1, 1) + 1) * 127.5).round().byte() for k, x in drawn.items()}
    write_atomically(folder / "drawn.safetensors", save(levels))
    return record


def jobs(kind, device, folder):
    """Yield name, function and arguments of each part; the short ones first."""
    pace = PACES[kind]
    yield "limits", limits, (device,)
    for case in CASES:
        yield f"arithmetic--{case}", arithmetic, (case, pace)
    games, ways = (without_compiler(names, kind) for names in (GAMES, WAYS))
    for repeat, case, game in itertools.product(range(pace["repeats"]), CASES, games):
        if "compiled" not in game or not repeat:
            yield f"{case}--{game}--{repeat}", timed, (case, game, pace, device)
    for case, how in itertools.product(CASES, ways):
        yield f"sampled--{case}--{how}", sampled, (case, how, pace, device)
    for case, plan in PLANS[kind].items():
        yield f"run--{case}", reduced, (case, plan, folder, device)


def table(kept, kind):
    """Return a row for each game: speed, and the share of the device's limit that it reaches."""
    found, rows, pace = kept.parts, [], PACES[kind]
    for case, game in itertools.product(CASES, without_compiler(GAMES, kind)):
        parts = [v["value"] for k, v in found.items() if k.startswith(f"{case}--{game}--")]
        count = found[f"arithmetic--{case}"]["value"]["step" if "R1" not in game else "step, no R1"]
        if game == "plain":
            count = found[f"arithmetic--{case}"]["value"]["step, no R1"]
        limit = found["limits"]["value"][f"products {'bf16' if 'bf16' in game else 'float32'}"]
        seconds = float(np.median([part["seconds"] for part in parts]))
        row = {"case": case, "game": game, "repeats": [part["seconds"] for part in parts]}
        row["pictures_per_second"] = pace["batch_size"] / seconds
        row["multiply_adds"] = count
        row["share_of_limit"] = row["pictures_per_second"] * count / limit
        memory = [part.get("peak_memory_bytes") for part in parts]
        rows.append(row | ({"peak_memory_bytes": max(memory)} if all(memory) else {}))
    return rows


def of_device(kept, kind, device):
    """Return what was found on one device."""
    values = {name: part["value"] for name, part in kept.parts.items()}
    sampling = [name.split("--")[1:] for name in values if name.startswith("sampled")]
    return {
        "name": name_device(device),
        "pace": PACES[kind],
        **kept.origin(),
        "limits": values["limits"],
        "arithmetic": {case: values[f"arithmetic--{case}"] for case in CASES},
        "training": table(kept, kind),
        "sampling": {case: {how: values[f"sampled--{case}--{how}"]
                            for c, how in sampling if c == case} for case in CASES},
        "runs": {case: values[f"run--{case}"] for case in CASES},
    }  # fmt: skip


def write(kept, kind, device, folder, output):
    """Write the record, other devices' findings kept; and what the runs drew."""
    record = origin(__file__, "torch", seed=0, devices={"cuda": "not measured"})
    if output.exists():
        record["devices"] = json.loads(output.read_text(encoding="utf-8"))["devices"]
    record["devices"][device.type] = rounded(of_device(kept, kind, device))
    measured = [one for one in record["devices"].values() if isinstance(one, dict)]
    record["seconds"] = round(sum(one["seconds"] for one in measured), 1)
    drawn = {}
    for case in CASES:
        parts = load_file(folder / f"run-{case}" / "drawn.safetensors")
        drawn |= {f"{case} {when}": part for when, part in parts.items()}
    write_atomically(output.with_suffix(".safetensors"), save(drawn))
    write_record(output, record)


def main(arguments=None):
    """Do what is missing, then write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin nothing after that")
    parser.add_argument("--tiny", action="store_true", help="twenty steps of all, for a test")
    parser.add_argument("--folder", type=Path, default=ROOT / "_build" / "gmm_gan_size")
    parser.add_argument("--output", type=Path, default=RECORDED / "gmm_gan_size.json")
    asked = parser.parse_args(arguments)
    device = choose_device(asked.device)
    kind = "tiny" if asked.tiny else device.type
    if device.type == "cpu":
        torch.set_num_threads(1)  # seconds are the processor's
    kept, until = Kept(asked.folder / kind), perf_counter() + 60 * asked.minutes
    for name, function, given in jobs(kind, device, kept.folder):
        if perf_counter() > until and not (kept.folder / f"{name}.json").exists():
            print("time is up: call again")
            return
        kept(name, function, *given)
    write(kept, kind, device, kept.folder, asked.output)
    for row in table(kept, kind):
        print(f"{row['case']:8}{row['game']:24}{row['pictures_per_second']:9.0f} pictures/s"
              f"{row['share_of_limit']:7.0%} of the limit")  # fmt: skip


if __name__ == "__main__":
    main()
