"""Measure what a mixture inside gives a generator: prior x start, variants, ablations, rivals.

Chapter 15. Digits, 8 x 8. All games share networks, batches, R1 penalty and averaging. Cells of one
seed share the discriminator's first weights, and those with a decoder the autoencoder. Settings
were chosen on validation digits (`gmm_gan_tuning.py`); test digits are asked once, by each seed.

    python benchmarks/gmm_gan.py all     # does what is missing, for --minutes; call it again
    python benchmarks/gmm_gan.py trials  # the same for what is tried on validation digits
    python benchmarks/gmm_gan.py record  # prints, writes gmmlearn/recorded/gmm_gan.json

Measures: "frechet" and "kernel" distance in the judge's features; "precision" and "recall" (3
neighbours) in pixels and in the judge's features; "ratio" and "contrast" of distances to training
digits, in pixels. A triple is mean and 95 % interval (Student's t) over seeds. Keys of "summary":

- "means": cell, steps, measure: triple. "mixture decoder" at step "0" is autoencoder and mixture
  alone; "packed plain" sees two pictures at once; "untuned plain" has `fit_gan`'s own settings. The
  rivals without a game (VAE, flows) have one look, at their last step.
- "differences": steps, measure: triple of "mixture decoder" minus the plain GAN at as many steps.
- "remedies": the same for each remedy; "untuned" for both beside the untuned GAN.
- "rivals": rival, measure: triple of "mixture decoder" at its last step minus the rival.
- "aim": of "mixture decoder" and each remedy, also with covariances multiplied after training, and
  of decoder and mixture without a game ("alone"): what was found of the aim, and whether it is met:
  precision 0.10 above the plain GAN, interval above 0.05; recall at most 0.02 below; ratio at least
  0.9. Training digits themselves: see "beside". "chosen": the two that validation digits chose.
- "speed": by seed, when the plain GAN's last Frechet distance was reached; "ours" leaves out step
  0, "before the game" says whether autoencoder and mixture alone have it.
- "seconds": of "speed", over seeds, for ours and each remedy, the autoencoder's and EM's included:
  "plain", "ours", their "difference", "times sooner", triples.
- "alone": decoder and mixture without a game, five seeds, covariances multiplied by a temperature.
- "game": what the game adds: precision minus that of "alone", heated until recall is the same, and
  the Frechet distance minus the least of "alone".
- "criteria": for each criterion the K that it chooses on each seed's codes, and what these give
  after 1,000 steps.
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import itertools
import warnings
from functools import cache
from time import perf_counter

import gmm_gan_rivals as rivals
import gmm_gan_tuning as tuning
import measures
import numpy as np
import torch
from gmm_gan_cells import TEMPERATURES, World, autoencoder_of, made, run, steered, tempered
from gmm_gan_measures import Cells, Yardstick, at, first_below, interval, measured, paired, table
from provenance import RECORDED, ROOT, Kept, origin, write_record

from gmmlearn import datasets
from gmmlearn._files import write_atomically
from gmmlearn.collapse import CollapsedComponentWarning
from gmmlearn.deep.features import load_judge
from gmmlearn.deep.gmm_gan import mixture_of_codes
from gmmlearn.deep.networks import MLP
from gmmlearn.deep.pixels import as_pixels

FOLDER = ROOT / "_build" / "gmm_gan"
SHAPE, LIMITS = (1, 8, 8), (0, 16)
LOOKS = (0, 500, 1000, 2000, 4000)
"""Steps after which the averaged generator is measured."""
BASE = {
    "prior": "mixture",
    "start": "decoder",
    "variant": "fixed",
    "strength": 0.1,
    "n_components": 20,
    "reg_share": 0.01,
    "covariance": {},
    "latent_dim": 16,
    "code_steps": 2000,
    "code_penalty": 0.05,
    "rates": {"random": [1e-3, 2e-3], "decoder": [1e-4, 1e-3]},
    "betas": [0.5, 0.99],
    "r1": 1.0,
    "packing": 1,
    "batch_size": 100,
    "average": 0.998,
    "looks": list(LOOKS),
    "part": "test",
}
"""What a cell does unless it says otherwise."""
PACKED = {"prior": "normal", "start": "random", "packing": 2, "r1": 0.2}
"""The trial with the least Frechet distance."""
UNTUNED = {"prior": "normal", "start": "random", "r1": 0.0, "betas": [0.5, 0.999], "average": None}
UNTUNED |= {"rates": {"random": [1e-4, 1e-4]}}
STRUCTURES = {
    "tied": {"covariance_type": "tied"},
    "diag": {"covariance_type": "diag"},
    "spherical": {"covariance_type": "spherical"},
    "low_rank 2": {"covariance_type": "low_rank", "rank": 2},
    "low_rank 5": {"covariance_type": "low_rank", "rank": 5},
}
REMEDIES = {
    "K 40, long": {"n_components": 40},
    "K 40, slow": {"n_components": 40, "rates": {"decoder": [5e-5, 1e-3]}},
}
CHOSEN = ("K 40, long, covariances x 0.8", "K 40, slow, covariances x 0.9")
"""Of the trials that keep recall (0.02 below the plain GAN or better) and a ratio of 0.9 on
validation digits: the two with the most precision there."""
BEST = "factorial/mixture decoder/0"
"""The cell whose weights are recorded."""
NUMBERS, CRITERIA = (5, 10, 20, 40, 80), ("bic", "icl", "held-out")
HEATS = (0.8, 0.9, 1.0, 1.1, 1.2, 1.35)
"""Covariances of the mixture without a game are multiplied with these."""
SHRUNK = "K 20, reg_share 0.05"
"""The cell of what "held-out" chooses with five times the variance added to the diagonals."""
PASSES = (("factorial", 2000), ("factorial", 4000), ("variants", 1000), ("ablations", 1000))
PASSES += (("remedies", 4000), ("rivals", 4000))
"""Groups, and the step up to which each pass goes."""
COOLED = ("factorial", "remedies", "tuning")
"""Groups whose plain GANs and models of ours are measured with smaller covariances too."""
GROUPS = ("factorial", "variants", "ablations", "rivals", "remedies")


def cells():
    """Return all cells by name."""
    found = {}

    def add(group, name, seeds, **changes):
        for seed in seeds:
            found[f"{group}/{name}/{seed}"] = BASE | changes | {"seed": seed}

    for seed in range(5):
        add("factorial", "normal random", (seed,), prior="normal", start="random")
        add("factorial", "mixture decoder", (seed,))
    for seed in range(5):
        for start, prior in itertools.product(
            ("random", "decoder"), ("normal", "gaussian", "mixture")
        ):
            if (start, prior) not in (("random", "normal"), ("decoder", "mixture")):
                changes = {"prior": prior, "start": start, "looks": [0, 500, 1000]}
                add("factorial", f"{prior} {start}", (seed,), **changes)
    short = {"looks": [0, 1000]}
    for variant in ("learned", "keep component", "keep density", "told"):
        add("variants", variant, range(3), variant=variant, **short)
    for n_components in (5, 10, 40, 80):
        add("variants", f"K {n_components}", range(3), n_components=n_components, **short)
    for name, covariance in STRUCTURES.items():
        add("ablations", f"covariance {name}", range(3), covariance=covariance, **short)
    add("ablations", SHRUNK, range(3), reg_share=0.05, **short)
    for dim in (4, 8, 32):
        add("ablations", f"latent {dim}", range(3), latent_dim=dim, **short)
    for name, n_steps in rivals.N_STEPS.items():
        add("rivals", name, range(5), looks=[n_steps])
    add("rivals", "untuned plain", range(5), **UNTUNED)
    add("rivals", "packed plain", range(5), **PACKED)
    for name, changes in REMEDIES.items():
        add("remedies", name, range(5), **changes)
    for name, changes in tuning.trials().items():
        add("tuning", name, (tuning.SEED,), **changes)
    return found


def kept():
    """Return the results that are there."""
    return Cells(FOLDER, cells())


# ------------------------------------------------------------------------------------ what is there


@cache
def world():
    """Return the digits' world."""
    return World(
        FOLDER,
        as_pixels(datasets.digits("train").X, LIMITS),
        LIMITS,
        encoder=lambda dim: MLP(SHAPE, dim),
        generator=lambda dim: MLP(dim, SHAPE, squash=True),
        discriminator=lambda packing: MLP((packing, 8, 8), 1, activation="leaky_relu"),
        yardstick=yardstick,
        judge=load_judge("digits"),
    )


@cache
def yardstick(part):
    """Return the measures against a part of the digits."""
    spaces = {"pixels": lambda X: X.reshape(-1, 64) / 16, "judge": load_judge("digits").features}
    return Yardstick(datasets.digits("train").X, datasets.digits(part).X, spaces)


def one(name, stop_at):
    """Do a cell, up to a step."""
    path, cell = kept().path(name), cells()[name]
    if name.split("/")[1] in rivals.N_STEPS:
        return rivals.run(world(), path, name, cell)
    return run(world(), path, name, cell, stop_at, asked_last)


def asked_last(name, cell, model, n_steps):
    """Return what is measured once, after the last steps; keep the weights that are recorded."""
    found, matched = {}, {"normal": "random", "mixture": "decoder"}
    if cell["start"] == matched.get(cell["prior"]) and name.startswith(COOLED):
        found["cooled"] = {"step": n_steps, "rows": tempered(world(), model, cell["part"])}
    if cell["prior"] == "mixture" and cell["start"] == "decoder":
        found["steering"] = {"step": n_steps} | steered(world(), model)
        found["nats"] = model.log_prob(model.encode(world().pixels)).mean().item()
    if name.endswith("/0") and name.startswith(("factorial/mixture decoder", "remedies")):
        model.save(kept().path(name).with_suffix(".safetensors"))
    return found


# --------------------------------------------------------------------------------------- the record


def beside():
    """Return the measures of real digits, and of chapter 7's mixture of pixels."""
    train, of_test, rng = datasets.digits("train"), yardstick("test"), np.random.default_rng(0)
    pixels = measures.models(train)["mixture"]
    return {
        "training digits": of_test.look(lambda n, _: train.X[rng.permutation(1000)[:n]]),
        "mixture of pixels": of_test.look(lambda n, _: measures.draw(pixels, n, rng)),
    }


def criteria():
    """Return the number of components that each criterion chooses on the codes, by seed."""
    parts, found = Kept(FOLDER / "criteria"), {}
    for criterion, share in (*((c, BASE["reg_share"]) for c in CRITERIA), ("held-out", 0.05)):
        rows = {s: parts(f"{criterion}-{share}-{s}", choose, s, criterion, share) for s in range(3)}
        found[f"{criterion}, reg_share {share}"] = rows
    return found


def choose(seed, criterion, share):
    """Return the number of components that a criterion chooses, and its values."""
    autoencoder = autoencoder_of(world(), BASE | {"seed": seed})[0]
    settings = {"reg_share": share, "seed": seed}
    tried = mixture_of_codes(autoencoder, world().pixels, NUMBERS, criterion, **settings)
    values = {str(row.n_components): float(f"{row.value:.6g}") for row in tried.table}
    return {"chosen": tried.n_components, "values": values}


def judged(chosen, runs):
    """Return the mean measures, after 1,000 steps, of what each criterion chose."""
    names, found = ("frechet", "precision pixels", "recall pixels", "ratio"), {}
    for criterion, rows in chosen.items():
        _, share = criterion.split(", ")
        cells = {s: f"K {row['chosen']}" for s, row in rows.items()}
        if share != f"reg_share {BASE['reg_share']}":
            cells = {s: f"{cell}, {share}" for s, cell in cells.items()}
        found[criterion] = {"seeds": rows}
        if set(cells.values()) <= set(runs):
            of = [runs[cell][s] for s, cell in cells.items()]
            found[criterion] |= {m: interval([at(r, 1000, m) for r in of]) for m in names}
    return found


def alone(n_components):
    """Return the measures of decoder and mixture without a game, by temperature, for each seed."""
    parts = Kept(FOLDER / "alone")
    return {s: parts(f"{n_components}-{s}", heated, s, n_components) for s in range(5)}


def heated(seed, n_components):
    """Return the measures of one seed's decoder and mixture without a game, by temperature."""
    cell = BASE | {"seed": seed, "n_components": n_components}
    model, _ = made(world(), cell)
    return tempered(world(), model, cell["part"], HEATS)


def heat(by_seed):
    """Return the mean measures at each temperature, with intervals."""
    rows = list(zip(*by_seed.values(), strict=True))
    return {
        str(same[0]["temperature"]): {
            m: interval([row[m] for row in same]) for m in same[0] if m != "temperature"
        }
        for same in rows
    }


def gained(ours, by_seed):
    """Return by how much a game's precision beats that without it, heated to equal recall.

    And the Frechet distance minus the least that a temperature gives.
    """
    n, seeds = measured(ours)[-1], sorted(set(ours) & set(by_seed))
    least = {s: min(row["frechet"] for row in by_seed[s]) for s in seeds}
    found = {"frechet": interval([at(ours[s], n, "frechet") - least[s] for s in seeds])}
    for space in ("pixels", "judge"):
        gains = []
        for seed in seeds:
            rows = by_seed[seed]
            line = sorted((row[f"recall {space}"], row[f"precision {space}"]) for row in rows)
            expected = np.interp(at(ours[seed], n, f"recall {space}"), *np.transpose(line))
            gains.append(at(ours[seed], n, f"precision {space}") - expected)
        found[f"precision {space}"] = interval(gains)
    return found


def compared(ours, theirs, steps):
    """Return the mean differences of all measures, with intervals, at each of some steps."""
    names = [k for k in next(iter(theirs.values()))["looks"][0] if k not in ("step", "cpu_seconds")]
    return {str(n): {m: paired(ours, theirs, n, m) for m in names} for n in steps}


def speed(plain, ours):
    """Return when the plain GAN's last Frechet distance was reached, by seed."""
    last, found = measured(plain, ours)[-1], {}
    for seed in sorted(set(plain) & set(ours)):
        bound = at(plain[seed], last, "frechet")
        goal = {k: at(plain[seed], last, k) for k in ("step", "cpu_seconds", "frechet")}
        before = bool(at(ours[seed], 0, "frechet") <= bound)
        reached = first_below(ours[seed], bound)
        found[str(seed)] = {"plain": goal, "ours": reached, "before the game": before}
    return found


def seconds(found):
    """Return the seconds of `speed` over seeds, or None if a seed never got there."""
    if any(row["ours"] is None for row in found.values()):
        return None
    theirs, mine = ([row[k]["cpu_seconds"] for row in found.values()] for k in ("plain", "ours"))
    return {
        "plain": interval(theirs),
        "ours": interval(mine),
        "difference": interval(np.subtract(mine, theirs)),
        "times sooner": interval(np.divide(theirs, mine)),
    }


AIM = {"precision pixels": (0.10, 0.05), "recall pixels": -0.02, "ratio": 0.9}
"""Of ours minus plain: precision's mean, and its interval's lower end; recall's mean; and ours'."""


def at_temperature(by_seed, temperature, step):
    """Return rows measured at a temperature, by seed, in the form of runs with one look."""
    rows = {s: next(row for row in rows if row["temperature"] == temperature)
            for s, rows in by_seed.items()}  # fmt: skip
    return {s: {"looks": [row | {"step": step}]} for s, row in rows.items()}


def aim(ours, plain):
    """Return how the aim is met at the last step."""
    n = measured(plain, ours)[-1]
    gain, loss = (paired(ours, plain, n, f"{m} pixels") for m in ("precision", "recall"))
    ratio = interval([at(r, n, "ratio") for r in ours.values()])
    least, lower = AIM["precision pixels"]
    met = {
        "precision": gain[0] >= least and gain[1] > lower,
        "recall": loss[0] >= AIM["recall pixels"],
        "ratio": ratio[0] >= AIM["ratio"],
    }
    short = round(max(least - gain[0], 0.0), 4)
    found = {"step": n, "precision gain": gain, "recall gain": loss, "ratio": ratio}
    return found | {"met": met, "precision is short of the aim by": short}


def against(ours, rivals_found):
    """Return the differences between ours and each rival, both after their last steps."""
    found, n = {}, measured(ours)[-1]
    for name, runs in rivals_found.items():
        last = measured(runs)[-1]
        names = ("frechet", "precision pixels", "recall pixels", "ratio")
        found[name] = {m: paired(ours, runs, n, m, last) for m in names}
    return found


def summary():
    """Return what the groups found, over seeds; the docstring above explains the keys."""
    by_group = {group: kept().results(group) for group in GROUPS}
    factorial, rest = by_group["factorial"], by_group["rivals"]
    plain, ours = factorial["normal random"], factorial["mixture decoder"]
    steps = [n for n in measured(plain, ours) if n]
    everything = {name: runs for group in by_group.values() for name, runs in group.items()}
    numbers = by_group["variants"] | by_group["ablations"] | {"K 20": ours}
    contenders = {"mixture decoder": ours} | by_group["remedies"]
    without = {K: alone(K) for K in (20, 40)}
    cold = {
        f"{name}, covariances x {t}": at_temperature(
            {s: r["cooled"]["rows"] for s, r in runs.items()}, t, LOOKS[-1]
        )
        for name, runs in contenders.items()
        for t in TEMPERATURES
    }
    no_game = {
        f"K {K} alone, covariances x {t}": at_temperature(rows, t, LOOKS[-1])
        for K, rows in without.items()
        for t in (1.0, 1.1)
    }
    return {
        "means": table(everything | cold),
        "differences": compared(ours, plain, steps),
        "remedies": {
            name: compared(runs, plain, steps) for name, runs in by_group["remedies"].items()
        },
        "untuned": {
            name: compared(runs, rest["untuned plain"], steps)
            for name, runs in {"normal random": plain, **contenders}.items()
        },
        "rivals": {name: against(runs, rest) for name, runs in contenders.items()},
        "aim": {name: aim(runs, plain) for name, runs in (contenders | cold | no_game).items()}
        | {"chosen": CHOSEN},
        "speed": speed(plain, ours),
        "seconds": {name: seconds(speed(plain, runs)) for name, runs in contenders.items()},
        "alone": {f"K {K}": heat(rows) for K, rows in without.items()},
        "game": {
            name: gained(runs, without[40 if "K 40" in name else 20])
            for name, runs in contenders.items()
        },
        "criteria": judged(criteria(), numbers),
    }


def card(name):
    """Return the model card of the recorded weights."""
    result = kept().result(name)
    return {
        "weights": "gmm_gan_digits",
        "cell": name,
        "data": "1,000 training digits of scikit-learn's, 8 x 8, 13 writers",
        "what": "autoencoder, EM on its codes, decoder as generator, adversarial steps",
        "seed": 0,
        "chosen": "the first seed, not the best",
        "settings": result["settings"],
        "measures": result["looks"][-1],
        "steering": result["steering"],
        "limits": "draws digits of these writers only; no density of pictures; components are "
        "styles, not classes; 8 x 8 pixels; at equal recall no more precise in pixels than decoder "
        "and mixture without the game; 40 components are a little better",
    }


def tried():
    """Return what the trials found on validation digits: cell, steps, and three measures."""
    keys = ("step", "frechet", "precision pixels", "recall pixels", "ratio")
    found = kept().results("tuning")
    return {
        name: [[look[k] for k in keys] for run in runs.values() for look in run["looks"]]
        for name, runs in found.items()
    }


def conclude():
    """Print the verdict and write everything that is there."""
    found = summary()
    weights = kept().path(BEST).with_suffix(".safetensors")
    write_atomically(RECORDED / "gmm_gan_digits.safetensors", weights.read_bytes())
    groups = [kept().results(group) for group in GROUPS]
    all_runs = [r for group in groups for runs in group.values() for r in runs.values()]
    record = {
        **origin(__file__, "torch", "zuko"),
        "seeds": list(range(5)),
        "seconds": round(sum(r["looks"][-1]["cpu_seconds"] for r in all_runs), 1),
        "seconds_are": "of the processor, measuring left out; other work shared the machine",
        "looks": LOOKS,
        "base": BASE,
        "beside": beside(),
        "tuning": tuning.TUNING,
        "trials": {"seed": tuning.SEED, "games": tried()},
        "summary": found,
        "card": card(BEST),
        "runs": [{k: v for k, v in r.items() if k != "settings"} for r in all_runs],
    }
    record["trials"]["flows"] = rivals.flow_trials(world(), BASE)
    write_record(RECORDED / "gmm_gan.json", record, indent=None)
    for step, row in found["differences"].items():
        print(step, {m: row[m] for m in ("precision pixels", "recall pixels", "frechet")})
    print(found["seconds"], found["aim"], sep="\n")


def main():
    """Work on a group, or write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("all", "trials", "record"))
    parser.add_argument("--minutes", type=float, default=2.8, help="begin no cell after that")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # Of 80 components some collapse, on fewer points than a covariance has axes.
    warnings.simplefilter("ignore", CollapsedComponentWarning)
    if arguments.what == "record":
        conclude()
        return
    until = perf_counter() + 60 * arguments.minutes
    for group, stop_at in PASSES if arguments.what == "all" else (("tuning", 4000),):
        kept().work(one, group, stop_at, until)


if __name__ == "__main__":
    main()
