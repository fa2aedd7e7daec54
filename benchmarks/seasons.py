"""Measure how well a joint mixture draws the scenes that are asked for. Chapter 9 shows the result.

For each setting and seed: scenes to learn from, a Painter, then the same 16 phrases ("spring
evening"), 60 draws each, shown to a judge that took no part in learning. Whole pictures and
pictures in the plane of the codes are measured beside each other; whole pictures are also asked for
by 480 sentences that name everything ("autumn night, rain, two trees").

    python benchmarks/seasons.py            # writes gmmlearn/recorded/seasons.json
    python benchmarks/seasons.py --dry-run  # only prints
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import warnings
from itertools import product
from time import perf_counter, process_time

import numpy as np
from provenance import RECORDED, origin, write_record
from sklearn.exceptions import ConvergenceWarning

from gmmlearn.deep.features import load_judge
from gmmlearn.metrics import (
    mean_pairwise_distance,
    nearest_distance_ratio,
    precision_recall,
)
from gmmlearn.painter import ATTRIBUTES, Painter, circle
from gmmlearn.scenes import SEASONS, TIMES, describe, make_scenes, sample_labels

SEEDS = (11, 12, 13)
N_TEST, N_DRAWS, N_SENTENCES = 4000, 60, 480
# Scenes to learn from, components, and what starts pure.
SETTINGS = [
    (6_000, 64, ("season", "time")),
    (6_000, 260, ()),
    (6_000, 260, ATTRIBUTES),
    (6_000, 520, ATTRIBUTES),
    (12_000, 1_000, ATTRIBUTES),
]


class Jury:
    """A judge, and held-out scenes as it sees them."""

    def __init__(self, seed):
        self.judge = load_judge("scenes")
        self.images, self.labels = make_scenes(N_TEST, rng=1000 * seed + 1)
        self.features = self.judge.features(self.images)
        n_fake = 16 * N_DRAWS
        self.real = self.features[:n_fake]
        self.ceiling = precision_recall(self.real, self.features[n_fake : 2 * n_fake])

    def diversity(self, features, season, time):
        """Return the spread of draws over that of held-out scenes of the same season and time."""
        same = (self.labels.season == season) & (self.labels.time == time)
        return mean_pairwise_distance(features) / mean_pairwise_distance(self.features[same])


def ask(painter, jury, train, seed, plane):
    """Return the judge's view of draws for all 16 phrases."""
    rng, images, diversity = np.random.default_rng(seed), [], []
    asked = list(product(range(len(SEASONS)), range(len(TIMES))))
    for season, time in asked:
        text = f"{SEASONS[season]} {TIMES[time]}"
        images.append(painter.draw(text, N_DRAWS, rng, plane=plane))
        diversity.append(jury.diversity(jury.judge.features(images[-1]), season, time))
    images, wanted = np.concatenate(images), np.repeat(asked, N_DRAWS, axis=0)
    seen, features = jury.judge.predict(images), jury.judge.features(images)
    fake = precision_recall(jury.real, features)
    codes = [painter.codes.encode(some) for some in (train, jury.images[: len(images)], images)]
    copies = nearest_distance_ratio(*codes)
    return {
        "season": int((seen["season"] == wanted[:, 0]).sum()),
        "time": int((seen["time"] == wanted[:, 1]).sum()),
        "n": len(images),
        "diversity": [round(value, 4) for value in diversity],
        "precision": fake.precision,
        "recall": fake.recall,
        "real_recall": jury.ceiling.recall,
        "real_precision": jury.ceiling.precision,
        "nearest_ratio": round(copies.ratio, 4),
        "nearest_contrast": round(copies.contrast, 4),
    }


def ask_sentences(painter, jury, seed):
    """Return how many of the sentences' attributes the judge sees in one draw of each."""
    labels, rng = sample_labels(N_SENTENCES, rng=1000 * seed + 2), np.random.default_rng(seed)
    images = np.concatenate([painter.draw(text, 1, rng) for text in describe(labels)])
    seen = jury.judge.predict(images)
    right = {name: seen[name] == getattr(labels, name) for name in ATTRIBUTES}
    counts = {name: int(hits.sum()) for name, hits in right.items()}
    return counts | {"all": int(np.all(list(right.values()), axis=0).sum()), "n": N_SENTENCES}


def measure(n_samples, n_components, stratify, seed, jury):
    """Return one row: a fit, and what the judge says of its draws."""
    scenes = make_scenes(n_samples, rng=1000 * seed)
    begin = process_time()
    painter = Painter.fit(scenes, n_components, rng=seed, stratify=stratify)
    seconds = process_time() - begin
    joint, labels = painter.joint, jury.labels
    points = np.hstack([painter.codes.encode(jury.images), circle(labels.day)])
    known = {name: getattr(labels, name) for name in ATTRIBUTES}
    # What the picture alone tells: its day would give the season away.
    unknown = np.arange(points.shape[1]) >= painter.codes.n_codes
    found = joint.predict_attributes(np.where(unknown, np.nan, points))
    return {
        "n_samples": n_samples,
        "n_components": n_components,
        "stratify": list(stratify),
        "seed": seed,
        "cpu_seconds": round(seconds, 1),
        "n_iter": len(joint.lower_bounds_),
        "held_out": round(float(joint.log_prob(points, known).mean()), 3),
        "purity": {
            name: round(float(joint.weights_ @ table.max(axis=1)), 4)
            for name, table in joint.tables_.items()
        },
        "predicted": {
            name: round(float((shares.argmax(axis=1) == known[name]).mean()), 4)
            for name, shares in found.items()
        },
        "whole": ask(painter, jury, scenes.images, seed, plane=False),
        "plane": ask(painter, jury, scenes.images, seed, plane=True),
        "sentences": ask_sentences(painter, jury, seed),
    }


def main():
    """Measure every setting, print a table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print, write nothing")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    begin, rows = perf_counter(), []
    juries = {seed: Jury(seed) for seed in SEEDS}
    print("   N     K strata seed        season  time  diversity    recall (real)  nearest")
    for (n_samples, n_components, stratify), seed in product(SETTINGS, SEEDS):
        row = measure(n_samples, n_components, stratify, seed, juries[seed])
        rows.append(row)
        for way in ("whole", "plane"):
            part = row[way]
            low, high = min(part["diversity"]), max(part["diversity"])
            print(
                f"{n_samples:6} {n_components:4} {len(stratify):5} {seed:5} {way}"
                f" {part['season'] / part['n']:8.3f} {part['time'] / part['n']:6.3f}"
                f"   {low:.2f}-{high:.2f} {part['recall']:8.3f} ({part['real_recall']:.3f})"
                f" {part['nearest_ratio']:6.2f}",
                flush=True,
            )
    seconds = round(perf_counter() - begin, 1)
    record = origin(__file__, "scikit-learn", seed=SEEDS, seconds=seconds, rows=rows)
    if not arguments.dry_run:
        write_record(RECORDED / "seasons.json", record)


if __name__ == "__main__":
    main()
