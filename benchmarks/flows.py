"""Hold mixtures against flows within the same budget of parameters, by held-out nats (chapter 13).

Everything is chosen on validation data: the number of components, the flow's shape, its learning
rate, and the step whose weights are kept. Test data are used once, for the numbers written here.
Seconds are the processor's: others may use the machine.

    python benchmarks/flows.py                               # all; writes recorded/flows.json
    python benchmarks/flows.py --data ring --stage choose    # a part of it
    python benchmarks/flows.py --data ring --stage measure   # what is there is not done again
"""

import argparse
import json
import warnings
from functools import partial
from itertools import product
from time import process_time

import numpy as np
import torch
import zuko
from provenance import RECORDED, alone, origin, write_record
from sklearn.exceptions import ConvergenceWarning

from gmmlearn import datasets
from gmmlearn.deep import flows
from gmmlearn.deep.budgets import largest_within, mixture_parameters, n_parameters
from gmmlearn.deep.prior import MixturePrior
from gmmlearn.deep.training import seeded
from gmmlearn.estimator import CollapsedComponentWarning, GaussianMixture
from gmmlearn.gaussian import Gaussian, whiten
from gmmlearn.mixture import Mixture
from gmmlearn.patches import extract_patches

RECORD = RECORDED / "flows.json"
RING_STD, SPIRAL_STD, TURNS = 0.05, 0.12, 1.5
CHECK_EVERY = 100
# A mode ends at this many standard deviations: of two features, e^{-12.5} lies beyond.
REACH = 5.0
TASKS = {
    "ring": {"budgets": (600, 2000), "steps": 1500, "tries": 600},
    "spiral": {"budgets": (600, 2000), "steps": 1500, "tries": 600},
    # As many as mixtures of 5 and of 20 components have.
    "patches": {"budgets": (10_724, 42_899), "steps": 2000, "tries": 500},
}
SEEDS = (0, 1, 2)
SIZES = {"ring": (5_000, 2_000, 10_000), "patches": (30_000, 5_000, 10_000)}
SIZES["spiral"] = SIZES["ring"]
SHAPES = {  # by number of features: transforms, bins, hidden layers
    "spline": {2: [(2, 8, 2), (3, 6, 2)], 64: [(1, 4, 1), (1, 8, 1)]},
    "affine": {2: [(4, 0, 2), (8, 0, 2)], 64: [(3, 0, 1), (6, 0, 1)]},
}
RATES = {2: (3e-3, 1e-2, 3e-2), 64: (1e-3, 3e-3, 1e-2)}
MODELS = {
    "ring": ("mixture", "affine", "spline", "mixture base"),
    "spiral": ("mixture", "affine", "spline"),
    "patches": ("mixture", "affine"),  # splines: four times as slow, and behind in the trials
}


def ring_modes():
    """Return the centres of the ring's modes (8, 2)."""
    angles = 2.0 * np.pi * np.arange(8) / 8
    return np.column_stack([np.cos(angles), np.sin(angles)])


def patches(seed):
    """Return patches (N, 64) in [0, 1) to train, validate and test, from separate blocks.

    Each photograph is cut into 80 blocks; 48 of them train, 16 validate, 16 test. Grey levels
    0..255 are spread evenly over their bins, so that the density is a bound on a code length.
    """
    rng, parts = np.random.default_rng(seed), ([], [], [])
    for name in ("china", "flower"):
        levels = np.round(255 * datasets.photograph(name))
        corners = product(range(0, 424, 53), range(0, 640, 64))
        blocks = [levels[row : row + 53, column : column + 64] for row, column in corners]
        order = rng.permutation(80)
        for part, chosen in zip(parts, np.split(order, [48, 64]), strict=True):
            part += [extract_patches(blocks[i]) for i in chosen]
    for part, count in zip(parts, SIZES["patches"], strict=True):
        every = np.concatenate(part)
        chosen = every[rng.choice(len(every), count, replace=False)]
        yield datasets.dequantise(chosen, rng, n_levels=256)


def load(task, seed):
    """Return points to train, validate and test."""
    if task == "patches":
        return list(patches(seed))
    draw = partial(datasets.ring, std=RING_STD)
    if task == "spiral":
        draw = partial(datasets.spiral, turns=TURNS, std=SPIRAL_STD)
    points = map(draw, SIZES[task], np.random.default_rng(seed).spawn(3))
    return [getattr(part, "X", part) for part in points]


def truth(task):
    """Return the density that drew the points, as a mixture: exact, or 1,500 points of a curve."""
    if task == "ring":
        centres, std = ring_modes(), RING_STD
    else:
        position = np.sqrt(0.05 + 0.95 * (np.arange(1500) + 0.5) / 1500)
        angle = 2.0 * np.pi * TURNS * position
        centres = 3.0 * position[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        std = SPIRAL_STD
    count = len(centres)
    return Mixture(np.full(count, 1 / count), centres, np.tile(std**2 * np.eye(2), (count, 1, 1)))


def between(points):
    """Return the share of points that belong to no mode of the ring."""
    distances = np.linalg.norm(points[:, None] - ring_modes(), axis=-1).min(axis=1)
    return float((distances > REACH * RING_STD).mean())


def fit_mixture(X, V, budget, seed):
    """Return the mixture within the budget that validation likes best, and its settings."""
    n_features = X.shape[1]
    most = largest_within(budget, partial(mixture_parameters, n_features=n_features))
    sizes = [K for K in (1, 2, 5, 8, 12, 20, 30, 45, 70, 100, 150, 220) if K < most] + [most]
    sizes = sizes if n_features == 2 else sizes[-1:]  # on patches, more has always been better
    best = None
    for K, reg_covar in product(sizes, (1e-6, 1e-4, 1e-3) if n_features == 2 else (1e-6,)):
        begin = process_time()
        model = GaussianMixture(
            K, reg_covar=reg_covar, random_state=seed, max_iter=200 if n_features == 2 else 40
        ).fit(X)
        taken, score = process_time() - begin, model.score(V)
        if best is None or score > best[0]:
            settings = {"components": K, "reg_covar": reg_covar}
            best = score, model.mixture(), settings, taken
    return best


def build(kind, n_features, shape, width):
    """Return a flow of zuko, with reproducible weights if called under `seeded`."""
    transforms, bins, depth = shape
    settings = {"hidden_features": (width,) * depth}
    if kind == "affine":
        return zuko.flows.MAF(n_features, transforms=transforms, **settings)
    flow = zuko.flows.NSF(n_features, transforms=transforms, bins=bins, **settings)
    if n_features > 2:
        # Patches have heavy tails, and splines end at [-5, 5]: an affine transform comes first.
        first = zuko.flows.MAF(n_features, transforms=1, **settings)
        flow.transform.transforms.insert(0, first.transform.transforms[0])
    return flow


def make(kind, X, shape, budget, seed, base=None):
    """Return a flow within the budget, that starts at one Gaussian or at its base mixture."""
    n_features = X.shape[1]
    spent = mixture_parameters(1, n_features) + (n_parameters(base) if base else 0)
    with seeded(seed):
        width = largest_within(
            budget - spent, lambda width: n_parameters(build(kind, n_features, shape, width))
        )
        flow = build(kind, n_features, shape, width)
    if n_features > 2 or base:
        flows.start_at_identity(flow)
    if base:
        flow = flows.flow_with_mixture_base(flow, base)
    return flows.whitened(flow, Gaussian.fit(X)), width


def fit_flow(kind, X, V, budget, seed, settings, n_steps, base=None):
    """Return a fitted flow, and how the fit went."""
    shape, rate = settings
    flow, width = make(kind, X, shape, budget, seed, base)
    fit = flows.fit_flow(
        flow, X, V, n_steps, learning_rate=rate, check_every=CHECK_EVERY, seed=seed, device="cpu"
    )
    return flow, fit, width


def tries(task, budget, kind, rates):
    """Yield a row for each shape and learning rate, after a few steps on the first seed."""
    X, V, _ = load(task, SEEDS[0])
    for settings in product(SHAPES[kind][X.shape[1]], rates or RATES[X.shape[1]]):
        _, fit, width = fit_flow(kind, X, V, budget, 0, settings, TASKS[task]["tries"])
        row = {"data": task, "budget": budget, "model": kind, "settings": list(settings)}
        row |= {"width": width, "validation": float(fit.validation.max())}
        row |= {"seconds": round(fit.seconds, 2)}
        print(row, flush=True)
        yield row


def mixture_base(X, V, budget, seed):
    """Return a mixture in whitened coordinates, with half of the budget, as a base to train."""
    gaussian = Gaussian.fit(X)
    mean, factor = gaussian.mean, gaussian.covariance_cholesky
    mixture = fit_mixture(whiten(X, mean, factor), whiten(V, mean, factor), budget // 2, seed)[1]
    return MixturePrior.from_mixture(mixture)


def ends(task, seed):
    """Return a row of what one Gaussian gives, and the density that drew the points."""
    X, _, T = load(task, seed)
    row = {"data": task, "seed": seed, "gaussian": float(Gaussian.fit(X).log_prob(T).mean())}
    if task == "patches":
        return row
    return row | {"truth": float(truth(task).log_prob(T).mean())}


def measure(task, budget, model, seed, chosen):
    """Return a row: how one model did on one seed's data."""
    X, V, T = load(task, seed)
    row = {"data": task, "budget": budget, "model": model, "seed": seed}
    if model == "mixture":
        score, fitted, settings, taken = fit_mixture(X, V, budget, seed)
        nats, drawn, step = fitted.log_prob(T), fitted.sample(20_000, seed)[0], None
    else:
        kind = {"mixture base": "spline" if task != "patches" else "affine"}.get(model, model)
        base = mixture_base(X, V, budget, seed) if model == "mixture base" else None
        n_steps = TASKS[task]["steps"]
        begin = process_time()
        fitted, fit, width = fit_flow(kind, X, V, budget, seed, chosen[kind], n_steps, base)
        score, taken, step = fit.validation.max(), process_time() - begin, fit.best_step
        nats, drawn = flows.log_prob(fitted, T), flows.draw(fitted, 20_000, seed)
        (transforms, bins, depth), rate = chosen[kind]
        settings = {"transforms": transforms, "bins": bins, "layers": depth, "width": width}
        settings |= {"learning_rate": rate, "components": base.n_components if base else 1}
    # One point far from all others may cost a flow millions of nats.
    usual = np.sort(nats)[len(nats) // 1000 :]
    row |= {"test": float(nats.mean()), "usual": float(usual.mean()), "worst": float(nats.min())}
    row |= {"validation": float(score), "parameters": n_parameters(fitted)}
    row |= {"seconds": round(taken, 4), "step": step, "settings": settings}
    row |= {"between": between(drawn)} if task == "ring" else {}
    print(row, flush=True)
    return row


def label(row):
    """Return what tells a row from the others."""
    told = {key: row.get(key) for key in ("data", "budget", "model", "seed")}
    return json.dumps(told if "seed" in row else told | {"settings": row["settings"]})


def keep(rows, new):
    """Return rows with one more, instead of an earlier one with the same label."""
    return [row for row in rows if label(row) != label(new)] + [new]


def choose(task, budget, kinds, rates):
    """Try each shape and learning rate of some kinds of flow, and keep what validation says."""
    for kind in kinds:
        for row in tries(task, budget, kind, rates):
            add("tried", row)


def compare(task, budget, model, seed):
    """Measure one model on one seed's data, with the best settings that were tried."""
    here = (t for t in read()["tried"] if (t["data"], t["budget"]) == (task, budget))
    chosen = {t["model"]: t["settings"] for t in sorted(here, key=by_validation)}
    add("rows", measure(task, budget, model, seed, chosen))
    add("ends", ends(task, seed))


def add(name, row):
    """Write one more row; it takes the place of an earlier one with the same keys."""
    libraries = "scikit-learn", "torch", "zuko"
    source = origin(__file__, *libraries, seeds=SEEDS, ring_std=RING_STD, reach=REACH)
    with alone(RECORD):
        record = read()  # only now: another part may have been written meanwhile
        record[name] = keep(record.get(name, []), row)
        seconds = sum(
            r.get("seconds") or 0.0 for r in [*record.get("rows", []), *record.get("tried", [])]
        )
        more = {"seconds": round(seconds, 1), "plan": TASKS}
        write_record(RECORD, record | source | more)


def main():
    """Choose, measure, print, and write the new rows beside the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--budgets", nargs="+", type=int)
    parser.add_argument("--models", nargs="+", choices=MODELS["ring"])
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--rates", nargs="+", type=float, help="learning rates to choose from")
    parser.add_argument("--again", action="store_true", help="replace what was measured before")
    parser.add_argument("--stage", choices=("choose", "measure"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", CollapsedComponentWarning)
    for task, stage in product(
        asked.data, (asked.stage,) if asked.stage else ("choose", "measure")
    ):
        for budget in asked.budgets or TASKS[task]["budgets"]:
            models = asked.models or (SHAPES if stage == "choose" else MODELS[task])
            if stage == "choose":
                choose(task, budget, [kind for kind in SHAPES if kind in models], asked.rates)
            else:
                done = {label(row) for row in read().get("rows", []) if not asked.again}
                for seed, model in product(asked.seeds or SEEDS, models):
                    if (
                        label({"data": task, "budget": budget, "model": model, "seed": seed})
                        in done
                    ):
                        continue
                    compare(task, budget, model, seed)


def by_validation(row):
    """Return what tries are sorted by."""
    return row["validation"]


def read():
    """Return the record so far."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


if __name__ == "__main__":
    main()
