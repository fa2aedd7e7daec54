"""Measure what a mixture inside gives a generator: prior x start, variants, K. Chapter 15.

Digits, 8 x 8. All cells share networks, batches, R1 penalty and averaging; the two that matter most
take 4,000 steps, the others 1,000. Cells
of one seed share the discriminator's first weights, and those with a decoder the autoencoder. The
settings were chosen beforehand on the validation digits (`TUNING`); all seeds are measured on the
test digits, once.

    python benchmarks/gmm_gan.py all     # does what is missing, for --minutes; call it again
    python benchmarks/gmm_gan.py record  # prints, writes gmmlearn/recorded/gmm_gan.json
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import fcntl
import itertools
import json
from functools import cache
from time import perf_counter, process_time

import measures
import numpy as np
import torch
from provenance import RECORDED, ROOT, origin, write_record
from safetensors.torch import load_file, save
from scipy import stats

from gmmlearn import datasets, metrics
from gmmlearn._files import write_atomically
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
LOOKS = (0, 500, 1000, 2000, 4000)
"""Steps after which the averaged generator is measured."""
N_DRAWS = 2
"""Sets of samples at each look, as many samples each as there are real digits; means are kept."""
TEMPERATURES = (0.9, 0.8)
"""What covariances are multiplied with, after training, to trade recall for precision."""
TUNING = (
    ("plain, d 16, rates 0.0005 0.0005, R1 1, beta1 0.5", 4000, 17.8, 0.871, 0.736),
    ("plain, d 16, rates 0.0005 0.0005, R1 0.2, beta1 0.5", 4000, 13.6, 0.852, 0.620),
    ("plain, d 16, rates 0.0005 0.0005, R1 5, beta1 0.5", 4000, 14.8, 0.843, 0.730),
    ("plain, d 16, rates 0.001 0.001, R1 1, beta1 0.5", 4000, 11.5, 0.886, 0.749),
    ("plain, d 16, rates 0.0005 0.0005, R1 1, beta1 0", 4000, 14.2, 0.858, 0.712),
    ("plain, d 8, rates 0.0005 0.0005, R1 1, beta1 0.5", 4000, 18.0, 0.862, 0.633),
    ("plain, d 16, rates 0.001 0.001, R1 1, beta1 0.5, decay", 4000, 12.0, 0.832, 0.740),
    ("plain, d 16, rates 0.002 0.002, R1 1, beta1 0.5", 4000, 11.5, 0.907, 0.718),
    ("plain, d 16, rates 0.001 0.002, R1 1, beta1 0.5", 4000, 11.3, 0.875, 0.747),
    ("plain, d 16, rates 0.002 0.002, R1 0.2, beta1 0.5, decay", 4000, 17.4, 0.858, 0.753),
    ("plain, d 16, rates 0.001 0.001, R1 0.2, beta1 0.5", 4000, 12.6, 0.919, 0.679),
    ("plain, d 16, rates 0.001 0.001, R1 0.2, beta1 0.5", 6000, 10.2, 0.929, 0.743),
    ("plain, d 16, rates 0.001 0.001, R1 0.2, beta1 0.5", 8000, 10.3, 0.931, 0.718),
    ("mixture decoder, K 20, rates 0.0005 0.0005, R1 1, beta1 0.5", 3000, 10.9, 0.926, 0.697),
    ("mixture decoder, K 20, rates 0.0002 0.0005, R1 1, beta1 0.5", 3000, 11.3, 0.915, 0.811),
    ("mixture decoder, K 20, rates 0.0002 0.0005, R1 5, beta1 0.5", 3000, 10.6, 0.921, 0.810),
    ("mixture decoder, K 20, rates 0.0002 0.0005, R1 0.2, beta1 0.5", 3000, 10.5, 0.920, 0.794),
    ("mixture decoder, K 20, rates 0.0001 0.0005, R1 1, beta1 0.5", 3000, 11.5, 0.923, 0.811),
    ("mixture decoder, K 20, rates 0.0001 0.001, R1 1, reg_share 0.01", 2000, 10.6, 0.907, 0.832),
    ("mixture decoder, K 10, rates 0.0001 0.001, R1 1, reg_share 0.01", 2000, 13.7, 0.874, 0.801),
    ("mixture decoder, K 40, rates 0.0001 0.001, R1 1, reg_share 0.01", 2000, 9.9, 0.905, 0.846),
    ("mixture decoder, K 20, rates 0.0001 0.001, R1 1, reg_share 0.001", 2000, 11.0, 0.906, 0.815),
    ("mixture decoder, K 20, rates 0.0001 0.001, R1 1, reg_share 0.05", 2000, 11.9, 0.901, 0.827),
    (
        "mixture decoder, K 20, rates 0.0001 0.001, R1 1, reg_share 0.01, covariances x 0.7",
        2000,
        10.2,
        0.921,
        0.803,
    ),
    ("mixture decoder, K 40, rates 0.0001 0.001, R1 1, reg_share 0.1", 2000, 11.7, 0.892, 0.837),
)
"""One seed each on the validation digits: setting, steps, Frechet distance, precision, recall in
pixels. Chosen, with R1 = 1 for all: the rates with the least Frechet distance of a plain GAN after
4,000 steps, and those of a generator from a decoder that keep most recall. Networks of the same
sizes in a bare loop."""
GROUPS = ("factorial", "variants")
BASE = {
    "prior": "mixture",
    "start": "decoder",
    "variant": "fixed",
    "n_components": 20,
    "reg_share": 0.01,
    "latent_dim": 16,
    "code_steps": 2000,
    "code_penalty": 0.05,
    "rates": {"random": [1e-3, 2e-3], "decoder": [1e-4, 1e-3]},
    "r1": 1.0,
    "average": 0.998,
    "looks": list(LOOKS),
}
"""What a cell does unless it says otherwise."""


def results_of(names):
    """Return what the finished ones of these cells found, by name and seed."""
    found = {}
    for name in names:
        if path_of(name).exists():
            result = json.loads(path_of(name).read_text(encoding="utf-8"))
            _, cell, seed = name.split("/")
            found.setdefault(cell, {})[int(seed)] = result
    return found


def cells():
    """Return all cells by name."""
    made = {}

    def add(group, name, seeds, **changes):
        for seed in seeds:
            made[f"{group}/{name}/{seed}"] = BASE | changes | {"seed": seed}

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
    for n_components in (5, 10, 40):
        add("variants", f"K {n_components}", range(3), n_components=n_components, **short)
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
    """Return an autoencoder and the CPU seconds that it took, from its file if it is there."""
    path = CELLS / f"autoencoder-{seed}-{dim}-{n_steps}-{code_penalty}.safetensors"
    with seeded(1000 + seed):
        autoencoder = Autoencoder(MLP(SHAPE, dim), MLP(dim, SHAPE, squash=True))
    if path.exists():
        weights = load_file(path)
        seconds = weights.pop("seconds").item()
        autoencoder.load_state_dict(weights)
        return autoencoder, seconds
    busy = process_time()
    fit_autoencoder(
        autoencoder, data(part)[0], n_steps, code_penalty=code_penalty, seed=seed, device="cpu",
        progress=False,
    )  # fmt: skip
    seconds = torch.tensor(process_time() - busy, dtype=torch.float64)
    write_atomically(path, save(autoencoder.state_dict() | {"seconds": seconds}))
    return autoencoder, seconds.item()


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


def run(name, cell, stop_at):
    """Train one cell up to a step, from where it was left; write what was measured on the way."""
    part, path = "test", path_of(name)
    pixels = data(part)[0]
    model, ready = made(cell, part)
    result = {"cell": name, "settings": cell, "ready_cpu_seconds": round(ready, 2), "looks": []}
    if path.exists():
        result = json.loads(path.read_text(encoding="utf-8"))
    busy = result["looks"][-1]["cpu_seconds"] if result["looks"] else ready
    for n_steps in cell["looks"][len(result["looks"]) :]:
        if n_steps > stop_at:
            break
        began = process_time()
        if n_steps:
            play(model, cell, pixels, n_steps, path.with_suffix(".checkpoint"))
        busy += process_time() - began
        row = {"step": n_steps, "cpu_seconds": round(busy, 2)} | look(model, part)
        result["looks"].append(row)
        if n_steps in (1000, 2000, 4000) and n_steps == min(stop_at, cell["looks"][-1]):
            result |= asked_last(name, cell, model, part, pixels, n_steps)
        write_atomically(path, json.dumps(result).encode())
    return result


def asked_last(name, cell, model, part, pixels, n_steps):
    """Return what is measured once, after the last steps; keep the weights that are recorded."""
    found, rivals = {}, {"normal": "random", "mixture": "decoder"}
    if cell["start"] == rivals.get(cell["prior"]) and name.startswith("factorial"):
        found["cooled"] = {"step": n_steps, "rows": cooled(model, part)}
    if cell["prior"] == "mixture" and cell["start"] == "decoder":
        found["steering"] = {"step": n_steps} | steered(model)
        found["nats"] = model.log_prob(model.encode(pixels)).mean().item()
    if name == "factorial/mixture decoder/0":
        model.save(CELLS / "digits.safetensors")
    return found


def path_of(name):
    """Return the file of a cell's result."""
    return CELLS / f"{name.replace('/', '--').replace(' ', '_')}.json"


PASSES = (("factorial", 2000), ("factorial", 4000), ("variants", 1000))
"""Groups, and the step up to which each pass goes."""


def work(group, stop_at, until):
    """Go on with the cells of a group until the time is up."""
    for name, cell in cells().items():
        last = min(stop_at, cell["looks"][-1])
        if not name.startswith(group) or reached(name) >= last:
            continue
        if perf_counter() > until:
            print("time is up: call again", flush=True)
            return
        with open(path_of(name).with_suffix(".claim"), "w") as claim:
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # another process is at it
                continue
            if reached(name) >= last:
                continue
            result = run(name, cell, stop_at)
        shown = {k: round(v, 3) for k, v in result["looks"][-1].items() if k != "contrast"}
        print(name, " ".join(f"{k}={v}" for k, v in shown.items()), flush=True)


def reached(name):
    """Return the last step that a cell was measured at."""
    if not path_of(name).exists():
        return -1
    return json.loads(path_of(name).read_text(encoding="utf-8"))["looks"][-1]["step"]


# --------------------------------------------------------------------------------------- the record


def results(group):
    """Return what the finished cells of a group found, by name and seed."""
    return results_of(name for name in cells() if name.startswith(group))


def interval(values):
    """Return mean and 95 % interval (Student's t) over seeds."""
    values = np.asarray(values, dtype=float)
    half = np.nan
    if len(values) > 1:
        half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return [float(f"{v:.4g}") for v in (values.mean(), values.mean() - half, values.mean() + half)]


def at(result, step, measure):
    """Return a measure of a cell at a step."""
    return next(look[measure] for look in result["looks"] if look["step"] == step)


def paired(ours, theirs, step, measure):
    """Return the mean difference over common seeds, with its interval."""
    seeds = sorted(set(ours) & set(theirs))
    return interval([at(ours[s], step, measure) - at(theirs[s], step, measure) for s in seeds])


def first_below(result, bound):
    """Return the first look, after step 0, at which the Frechet distance is at most `bound`."""
    reached = [k for k in result["looks"] if k["step"] and k["frechet"] <= bound]
    return {k: reached[0][k] for k in ("step", "cpu_seconds")} if reached else None


def beside():
    """Return the measures of real digits, and of chapter 7's mixture of pixels."""
    train, test = datasets.digits("train"), datasets.digits("test")
    rng = np.random.default_rng(0)
    real = [train.X[rng.permutation(1000)[: len(test.X)]] for _ in range(N_DRAWS)]
    pixels = measures.models(train)["mixture"]
    drawn = [measures.draw(pixels, len(test.X), rng) for _ in range(N_DRAWS)]
    return {
        "training digits": means([measure(x, "test") for x in real]),
        "mixture of pixels": means([measure(x, "test") for x in drawn]),
    }


def measured(*groups):
    """Return the steps that all these runs were measured at."""
    steps = [{look["step"] for look in r["looks"]} for runs in groups for r in runs.values()]
    return sorted(set.intersection(*steps))


def summary():
    """Return what the groups found, over seeds."""
    factorial = results("factorial")
    plain, ours = factorial["normal random"], factorial["mixture decoder"]
    compared = [k for k in plain[0]["looks"][0] if k not in ("step", "cpu_seconds")]
    table = {
        name: {str(n): {m: interval([at(r, n, m) for r in runs.values()]) for m in compared}
               for n in measured(runs)}
        for name, runs in (factorial | results("variants")).items()
    }  # fmt: skip
    both = measured(plain, ours)
    differences = {str(n): {m: paired(ours, plain, n, m) for m in compared} for n in both if n}
    speed = {}
    for seed in sorted(set(plain) & set(ours)):
        bound = at(plain[seed], both[-1], "frechet")
        goal = {k: at(plain[seed], both[-1], k) for k in ("step", "cpu_seconds", "frechet")}
        speed[str(seed)] = {"plain": goal, "ours": first_below(ours[seed], bound)}
    return {"means": table, "differences": differences, "speed": speed}


def card(result):
    """Return the model card of the recorded weights."""
    return {
        "weights": "gmm_gan_digits",
        "data": "1,000 training digits of scikit-learn's, 8 x 8, 13 writers",
        "what": "autoencoder, EM on its codes, decoder as generator, adversarial steps",
        "seed": 0,
        "chosen": "the first seed, not the best",
        "settings": result["settings"],
        "measures": result["looks"][-1],
        "steering": result["steering"],
        "limits": "draws digits of these writers only; no density of pictures; components are "
        "styles, not classes; 8 x 8 pixels",
    }


def conclude():
    """Print the verdict and write everything that is there."""
    found = summary()
    groups = {group: results(group) for group in GROUPS}
    weights = RECORDED / "gmm_gan_digits.safetensors"
    write_atomically(weights, (CELLS / "digits.safetensors").read_bytes())
    all_runs = [r for group in groups.values() for runs in group.values() for r in runs.values()]
    record = {
        **origin(__file__, "torch"),
        "seeds": sorted(found and groups["factorial"]["mixture decoder"]),
        "seconds": round(sum(r["looks"][-1]["cpu_seconds"] for r in all_runs), 1),
        "seconds_are": "of the processor, measuring left out; other work shared the machine",
        "looks": LOOKS,
        "base": BASE,
        "beside": beside(),
        "tuning": TUNING,
        "summary": found,
        "card": card(groups["factorial"]["mixture decoder"][0]),
        "runs": [{k: v for k, v in r.items() if k != "settings"} for r in all_runs],
    }
    write_record(RECORDED / "gmm_gan.json", record, indent=None)
    for step, row in found["differences"].items():
        print(step, {m: row[m] for m in ("precision pixels", "recall pixels", "frechet")})
    print(found["speed"])


def main():
    """Work on a group, or write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("all", "record"))
    parser.add_argument("--minutes", type=float, default=2.8, help="begin no cell after that")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    CELLS.mkdir(parents=True, exist_ok=True)
    if arguments.what == "record":
        conclude()
    else:
        until = perf_counter() + 60 * arguments.minutes
        for group, stop_at in PASSES:
            work(group, stop_at, until)


if __name__ == "__main__":
    main()
