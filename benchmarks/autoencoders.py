"""Codes, and what they are drawn from: N(0, I), one Gaussian, or a mixture. Chapter 11.

An autoencoder and a VAE learn scikit-learn's 8 x 8 digits from each of five seeds. Codes are then
drawn from three densities and decoded, and the pictures are measured against test digits as
chapter 10 recommends. The VAEs also fill in hidden halves, beside chapter 7's mixture of pixels.
All settings are chosen on validation digits, with a seed that is not used again; test digits have
no say. Each finished part is kept in --folder, so that a run that was broken off goes on; the
record names the commit of each part.

    python benchmarks/autoencoders.py            # writes gmmlearn/recorded/autoencoders.json
    python benchmarks/autoencoders.py --dry-run  # only prints
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import warnings

import numpy as np
import torch
from provenance import RECORDED, Kept, origin, write_record
from sklearn.neighbors import KNeighborsRegressor

from gmmlearn import GaussianMixture, metrics
from gmmlearn.collapse import CollapsedComponentWarning
from gmmlearn.datasets import dequantise, digits
from gmmlearn.deep.autoencoder import (
    VAE,
    Autoencoder,
    elbo_terms,
    fit_autoencoder,
    fit_vae,
    to_codes,
    to_pixels,
)
from gmmlearn.deep.completion import complete, visible_log_joint
from gmmlearn.deep.features import load_judge
from gmmlearn.deep.networks import MLP
from gmmlearn.deep.pixels import as_images, as_pixels
from gmmlearn.deep.prior import MixturePrior, StandardNormal
from gmmlearn.deep.training import seeded
from gmmlearn.em import fit_em, start_mixture
from gmmlearn.gaussian import Gaussian
from gmmlearn.mixture import Mixture

LIMITS = (0, 16)
TUNING_SEED, SEEDS = 100, (0, 1, 2, 3, 4)
N_STEPS, WIDTH = 2500, 128
LATENT_DIMS, PIXEL_STDS = (8, 12, 16), (0.15, 0.2, 0.25, 0.3)
N_COMPONENTS, REG_SHARES = (5, 10, 20, 40), (0.003, 0.01, 0.03)
N_DRAWN, N_SETS = 500, 4
"""Pictures in each drawn set, as many as test digits; and sets, whose measures are averaged."""
N_COMPLETED, N_CODES = 100, 4
"""Test digits to complete, as in chapter 7; draws of each picture's code that a mixture sees."""
INDEX = np.arange(64).reshape(8, 8)
HALVES = {
    "top": INDEX[:4],
    "bottom": INDEX[4:],
    "left": INDEX[:, :4],
    "right": INDEX[:, 4:],
}


class Data:
    """The three parts of the digits: as pictures, as pixels, and as the judge sees them."""

    def __init__(self):
        self.judge = load_judge("digits")
        self.images = {part: digits(part).X for part in ("train", "validation", "test")}
        self.pixels = {part: as_pixels(X, LIMITS) for part, X in self.images.items()}
        self.features = {part: self.judge.features(X) for part, X in self.images.items()}
        self.flat = {part: X.reshape(-1, 64) / 16 for part, X in self.images.items()}


# ----------------------------------------------------------------------------------- the models


def make_vae(data, seed, latent_dim, pixel_std):
    """Return a trained VAE."""
    with seeded(seed):
        encoder = MLP((1, 8, 8), 2 * latent_dim, width=WIDTH)
        decoder = MLP(latent_dim, (1, 8, 8), width=WIDTH)
    model = VAE(encoder, decoder, pixel_std=pixel_std)
    fit_vae(model, data.pixels["train"], n_steps=N_STEPS, seed=seed, device="cpu")
    return model


def make_autoencoder(data, seed, latent_dim):
    """Return a trained autoencoder."""
    with seeded(seed):
        encoder = MLP((1, 8, 8), latent_dim, width=WIDTH)
        decoder = MLP(latent_dim, (1, 8, 8), width=WIDTH)
    model = Autoencoder(encoder, decoder)
    fit_autoencoder(model, data.pixels["train"], n_steps=N_STEPS, seed=seed, device="cpu")
    return model


def codes_of(model, pixels, seed):
    """Return codes: of an autoencoder its own, of a VAE several draws for each picture."""
    if isinstance(model, Autoencoder):
        return to_codes(model, pixels)
    draws = [to_codes(model, pixels, rng=1000 * seed + i) for i in range(N_CODES)]
    return np.concatenate(draws)


def fit_mixtures(model, data, seed, shares):
    """Return mixtures of codes, and the held-out nats of each, by number and share."""
    train, held_out = (codes_of(model, data.pixels[p], seed) for p in ("train", "validation"))
    fitted, nats = {}, {}
    for K in N_COMPONENTS:
        for share in shares:
            reg_covar = share * train.var(axis=0).mean()
            mixture = GaussianMixture(K, reg_covar=reg_covar, random_state=seed, max_iter=300)
            fitted[K, share] = mixture.fit(train)
            nats[K, share] = float(mixture.score(held_out))
    one = GaussianMixture(1, random_state=seed).fit(train)
    return one, fitted, nats


def held_out_elbo(model, data):
    """Return the mean bound of the validation digits in nats."""
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        draws = [elbo_terms(model, data.pixels["validation"], rng).elbo.mean() for _ in range(20)]
    return float(torch.stack(draws).mean())


def fit_pixels(data, n_components, seed):
    """Return chapter 7's density of dequantised pixels: share 0.2 of each pixel's variance."""
    X = dequantise(data.images["train"], rng=seed)
    if n_components == 1:
        return Gaussian.fit(X)
    std = X.std(axis=0)
    start = start_mixture(X / std, n_components, seed, reg_covar=0.2)
    q = fit_em(X / std, start, tol=1e-3, reg_covar=0.2).mixture
    return Mixture(q.weights, q.means * std, q.covariances * np.outer(std, std))


# ------------------------------------------------------------------------------------- measures


def measure(images, data, part="test"):
    """Return chapter 10's measures of pictures (N, 8, 8) against real ones."""
    real, fake, train = data.features[part], data.judge.features(images), data.features["train"]
    precision, recall = metrics.precision_recall(real, fake)
    near = metrics.nearest_distance_ratio(train, real, fake)
    flat = images.reshape(-1, 64) / 16
    near_pixels = metrics.nearest_distance_ratio(data.flat["train"], data.flat[part], flat)
    return {
        "frechet": metrics.frechet_distance(real, fake),
        "precision": precision,
        "recall": recall,
        "ratio": near.ratio,
        "contrast": near.contrast,
        "pixel_ratio": near_pixels.ratio,
        "pixel_contrast": near_pixels.contrast,
    }


def measure_sets(draw, data, seed, part="test"):
    """Return the mean measures of several drawn sets; `draw(n, rng)` returns pictures."""
    rng = np.random.default_rng([seed, 7])
    sets = [measure(draw(N_DRAWN, rng), data, part) for _ in range(N_SETS)]
    return {name: round(float(np.mean([one[name] for one in sets])), 4) for name in sets[0]}


def from_codes(model, sample):
    """Return `draw(n, rng)` that decodes what `sample(n, rng)` returns."""
    return lambda n, rng: as_images(to_pixels(model, sample(n, rng)), LIMITS)


def priors(one, mixture, latent_dim):
    """Return the three densities of codes, as `sample(n, rng)`."""
    return {
        "N(0, I)": lambda n, rng: rng.standard_normal((n, latent_dim)),
        "one Gaussian": lambda n, rng: one.mixture().sample(n, rng)[0],
        "mixture": lambda n, rng: mixture.mixture().sample(n, rng)[0],
    }


def try_vaes(data, latent_dim):
    """Return the bound of validation digits for each standard deviation of pixels."""
    tried = []
    for pixel_std in PIXEL_STDS:
        model = make_vae(data, TUNING_SEED, latent_dim, pixel_std)
        row = {"model": "VAE", "latent_dim": latent_dim, "pixel_std": pixel_std}
        tried.append(row | {"elbo": round(held_out_elbo(model, data), 3)})
        print(tried[-1], flush=True)
    return {"tried": tried}


def try_autoencoder(data, latent_dim):
    """Return how near an autoencoder's mixture comes to validation digits: it has no density."""
    model = make_autoencoder(data, TUNING_SEED, latent_dim)
    share = best_share(model, data)
    _, fitted, nats = fit_mixtures(model, data, TUNING_SEED, [share])
    mixture = fitted[max(nats, key=nats.get)].mixture()
    draw = from_codes(model, lambda n, rng: mixture.sample(n, rng)[0])
    found = measure_sets(draw, data, TUNING_SEED, "validation")
    row = {"model": "autoencoder", "latent_dim": latent_dim, "reg_share": share}
    print(row, found, flush=True)
    return {"tried": [row | {"frechet": found["frechet"]}]}


def choose(data, tried):
    """Return the settings that did best on validation digits."""
    vae = max((row for row in tried if row["model"] == "VAE"), key=lambda row: row["elbo"])
    plain = min((row for row in tried if "frechet" in row), key=lambda row: row["frechet"])
    chosen = {
        "VAE": {key: vae[key] for key in ("latent_dim", "pixel_std")},
        "autoencoder": {"latent_dim": plain["latent_dim"]},
        "autoencoder reg_share": plain["reg_share"],
    }
    chosen["VAE reg_share"] = best_share(make_vae(data, TUNING_SEED, **chosen["VAE"]), data)
    return {"chosen": chosen}


def best_share(model, data):
    """Return the share of the codes' variance that, added, does best on validation codes."""
    *_, nats = fit_mixtures(model, data, TUNING_SEED, REG_SHARES)
    return max(nats, key=nats.get)[1]


def run_seed(data, seed, chosen):
    """Return the rows of one seed: drawn pictures of both models, and completions of the VAE."""
    rows, completions = [], []
    for name, make in (("autoencoder", make_autoencoder), ("VAE", make_vae)):
        model = make(data, seed, **chosen[name])
        one, fitted, nats = fit_mixtures(model, data, seed, [chosen[f"{name} reg_share"]])
        best = max(nats, key=nats.get)
        for prior, sample in priors(one, fitted[best], chosen[name]["latent_dim"]).items():
            row = {"model": name, "prior": prior, "seed": seed}
            row |= {"n_components": best[0]} if prior == "mixture" else {}
            rows.append(row | measure_sets(from_codes(model, sample), data, seed))
            print(rows[-1], flush=True)
        if name == "VAE":
            completions = complete_halves(model, fitted[best], data, seed)
    for n_components, name in ((1, "one Gaussian"), (20, "mixture")):
        density = fit_pixels(data, n_components, seed)
        row = {"model": "pixels", "prior": name, "seed": seed}
        rows.append(row | measure_sets(from_pixels(density), data, seed))
        print(rows[-1], flush=True)
    return {"rows": rows, "completions": completions}


def from_pixels(density):
    """Return `draw(n, rng)` of whole-number pictures from a density of dequantised pixels."""

    def draw(n, rng):
        points = density.sample(n, rng)
        points = points[0] if isinstance(points, tuple) else points
        return np.clip(np.floor(17 * points), 0, 16).reshape(-1, 8, 8)

    return draw


def real_rows(data):
    """Return measures of training digits as if drawn: what real pictures score at this size."""
    order = [np.random.default_rng([seed, 9]).permutation(1000)[:N_DRAWN] for seed in range(10)]
    found = [measure(data.images["train"][rows], data) for rows in order]
    names = ("frechet", "precision", "recall")
    return {name: round(float(np.mean([one[name] for one in found])), 4) for name in names}


# --------------------------------------------------------------------------------- hidden halves


def complete_halves(model, mixture, data, seed):
    """Return squared errors of each picture's hidden half, by side and way of the VAE."""
    x, rows = data.pixels["test"][:N_COMPLETED], []
    narrow = StandardNormal(model.encode(x[:1])[0].shape[1])
    fitted = MixturePrior.from_mixture(mixture.mixture(), trainable=False).float()
    for side, hidden in HALVES.items():
        mask = np.isin(INDEX, hidden)[None]
        normal = complete(model, x, mask, narrow, rng=seed)
        mixed = complete(model, x, mask, fitted, rng=seed)
        ways = {
            "VAE, N(0, I)": normal.mean,
            "VAE, mixture": mixed.mean,
            "VAE, mixture, one draw": mixed.draws[0],
            "VAE, mixture, likeliest code": likeliest(model, x, mask, fitted, mixed),
            "VAE, encode and decode": iterate(model, data, x, mask),
        }
        for way, y in ways.items():
            guess = middles(as_images(y, LIMITS))
            row = {"side": side, "way": way, "seed": seed, "accepted": round(mixed.accepted, 3)}
            rows.append(row | squared_error(guess, data, hidden))
    return rows


def complete_pixels(data, seed):
    """Return the same of the ways without a network, which see the same grey levels."""
    mixture, rows = fit_pixels(data, 20, seed), []
    for side, hidden in HALVES.items():
        guesses = {
            "mixture of pixels": conditional_means(mixture, data, hidden),
            "k nearest": nearest(data, hidden),
        }
        for way, guess in guesses.items():
            row = {"side": side, "way": way, "seed": seed}
            rows.append(row | squared_error(guess, data, hidden))
            print(row, f"{np.sqrt(np.mean(rows[-1]['squared_error'])):.4f}", flush=True)
    return {"completions": rows}


def middles(images):
    """Return flat pictures (N, 64) in [0, 1], each pixel in the middle of its grey level's bin."""
    return (np.asarray(images).reshape(-1, 64) + 0.5) / 17


def squared_error(guess, data, hidden):
    """Return each picture's mean squared error over its hidden half, as a field of a row.

    The target of every way is chapter 7's: test digits with noise within each grey level.
    """
    truth = dequantise(data.images["test"], rng=7)[:N_COMPLETED]
    error = np.square(guess - truth)[:, hidden.ravel()].mean(axis=1)
    return {"squared_error": [float(f"{e:.4g}") for e in error]}


def likeliest(model, x, mask, prior, completion, n_steps=300):
    """Return completions by the likeliest code: Adam uphill from each chain's last draw."""
    hidden = torch.from_numpy(mask)
    best, top = torch.zeros_like(x), torch.full((len(x),), -torch.inf)
    for draw in completion.draws[:3]:
        z = model.encode(draw)[0].detach().requires_grad_()
        optimizer = torch.optim.Adam([z], lr=0.05)
        for _ in range(n_steps):
            optimizer.zero_grad()
            (-visible_log_joint(model, z, x, hidden, prior).sum()).backward()
            optimizer.step()
        with torch.no_grad():
            value = visible_log_joint(model, z, x, hidden, prior)
            better = value > top
            top = torch.where(better, value, top)
            best = torch.where(better[:, None, None, None], model.decode(z), best)
    return best


def iterate(model, data, x, mask, n_rounds=50):
    """Return completions by encoding and decoding again and again, from the average picture."""
    hidden = torch.from_numpy(mask)
    filled = torch.where(hidden, data.pixels["train"].mean(dim=0), x)
    with torch.no_grad():
        for _ in range(n_rounds):
            filled = torch.where(hidden, model.decode(model.encode(filled)[0]), x)
    return filled


def conditional_means(mixture, data, hidden):
    """Return whole pictures, hidden pixels at their conditional mean, within the grey levels."""
    visible, whole = np.setdiff1d(INDEX, hidden), middles(data.images["test"][:N_COMPLETED])
    for picture in whole:
        given = mixture.condition(visible, picture[visible])
        picture[np.sort(hidden.ravel())] = given.weights @ given.means
    return whole.clip(*middles([[0] * 64, [16] * 64])[:, 0])


def nearest(data, hidden):
    """Return the mean of the k nearest training pictures' hidden halves, k by validation."""
    visible, hidden = np.setdiff1d(INDEX, hidden), np.sort(hidden.ravel())
    train, tuning, whole = (middles(data.images[p]) for p in ("train", "validation", "test"))
    whole = whole[:N_COMPLETED]
    fits = [KNeighborsRegressor(k).fit(train[:, visible], train[:, hidden]) for k in range(1, 16)]
    losses = [np.square(f.predict(tuning[:, visible]) - tuning[:, hidden]).mean() for f in fits]
    whole[:, hidden] = fits[int(np.argmin(losses))].predict(whole[:, visible])
    return whole


# ----------------------------------------------------------------------------------- the record


def summarise(rows):
    """Print each model's measures, mean and standard deviation over seeds."""
    names = ("frechet", "precision", "recall", "ratio", "contrast", "pixel_ratio")
    print(f"{'':28}" + "".join(f"{name:>16}" for name in names))
    for model, prior in dict.fromkeys((row["model"], row["prior"]) for row in rows):
        of = [row for row in rows if (row["model"], row["prior"]) == (model, prior)]
        cells = [np.array([row[name] for row in of]) for name in names]
        print(
            f"{model + ', ' + prior:28}",
            *(f"{c.mean():8.2f} ± {c.std(ddof=1):5.2f}" for c in cells),
        )


def main():
    """Choose, run each seed, print, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print, write nothing")
    parser.add_argument("--folder", help="where finished parts are kept")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # With forty components some collapse: their held-out nats say so, and they are not chosen.
    warnings.simplefilter("ignore", CollapsedComponentWarning)
    kept, data = Kept(arguments.folder), Data()
    trials = [
        kept(f"try_{name}_{d}", run, data, d)
        for name, run in (("vae", try_vaes), ("autoencoder", try_autoencoder))
        for d in LATENT_DIMS
    ]
    tried = [row for trial in trials for row in trial["tried"]]
    chosen = kept("chosen", choose, data, tried)["chosen"]
    parts = [kept(f"seed_{seed}", run_seed, data, seed, chosen) for seed in SEEDS]
    simple = [kept(f"pixels_{seed}", complete_pixels, data, seed) for seed in SEEDS]
    rows = [row for part in parts for row in part["rows"]]
    summarise(rows)
    record = origin(
        __file__,
        *("torch", "scikit-learn"),
        device="cpu, one thread",
        seeds=list(SEEDS),
        tuning_seed=TUNING_SEED,
        parts={
            "trials": kept.origin("try_"),
            "choice": kept.origin("chosen"),
            "networks": kept.origin("seed_"),
            "completions of pixels": kept.origin("pixels_"),
        },
        seconds=kept.origin()["seconds"],
        n_steps=N_STEPS,
        width=WIDTH,
        n_drawn=N_DRAWN,
        n_sets=N_SETS,
        chosen=chosen,
        tried=tried,
        real=real_rows(data),
        rows=rows,
        completions=[row for part in (*parts, *simple) for row in part["completions"]],
    )
    if not arguments.dry_run:
        write_record(RECORDED / "autoencoders.json", record)


if __name__ == "__main__":
    main()
