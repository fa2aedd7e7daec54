"""Train the judges of digits and scenes, and measure how well they judge. Chapters 9 and 10.

Pictures that a model drew are often blurred, and a judge that has seen sharp ones alone would take
blur for something else. So in training some pictures are blurred, made noisy, or rebuilt from a few
principal components; the record has the accuracy on such pictures beside that on clean ones.

    python benchmarks/judges.py            # writes gmmlearn/recorded/judge*
    python benchmarks/judges.py --dry-run  # only prints
"""

import os

# Before NumPy is imported: its BLAS reads these once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
from time import perf_counter, process_time

import numpy as np
import torch
from provenance import RECORDED, origin, rounded, write_record
from safetensors.numpy import save
from sklearn.decomposition import PCA
from sklearn.metrics import confusion_matrix
from torch.nn import functional

from gmmlearn._files import write_atomically
from gmmlearn.datasets import digits
from gmmlearn.deep.features import PLANS, Judge
from gmmlearn.metrics import agreement
from gmmlearn.scenes import make_scenes

# Pictures of these seeds are used here and nowhere else.
SCENE_SEEDS = {"train": 1001, "validation": 1002, "test": 1003}
N_SCENES = {"train": 20_000, "validation": 3_000, "test": 5_000}
DIGIT_SEEDS = range(5)
"""The judge that is kept is the one with the lowest loss on the validation part."""
EPOCHS = {"digits": 80, "scenes": 18}
BATCH = {"digits": 64, "scenes": 128}
N_COMPONENTS = {"digits": (8, 40), "scenes": (30, 200)}
"""Principal components that rebuilt pictures keep in training, from and to."""
MEASURED_COMPONENTS = {"digits": (8, 16, 32), "scenes": (40, 100)}


def load(name):
    """Return pictures and answers of the three parts."""
    if name == "digits":
        parts = {part: digits(part) for part in ("train", "validation", "test")}
        return {part: (data.X, {"digit": data.labels}) for part, data in parts.items()}
    made = {part: make_scenes(N_SCENES[part], seed) for part, seed in SCENE_SEEDS.items()}
    questions = PLANS["scenes"].questions
    return {
        part: (images, {q: getattr(labels, q) for q in questions})
        for part, (images, labels) in made.items()
    }


class Spoiler:
    """Spoil pictures the way models do: blur, noise, too few principal components."""

    def __init__(self, images, name, seed):
        self.low, self.high = PLANS[name].limits
        self.range, self.shape = N_COMPONENTS[name], images.shape[1:]
        some = images[:4000]
        flat = some.reshape(len(some), -1)
        pca = PCA(self.range[1], random_state=seed).fit(flat)
        self.mean, self.axes = (
            torch.as_tensor(a, dtype=torch.float32) for a in (pca.mean_, pca.components_)
        )

    def rebuild(self, images, n_components):
        """Return pictures (B, ...) rebuilt from their first components, clipped to the range."""
        flat = images.reshape(len(images), -1) - self.mean
        rebuilt = flat @ self.axes[:n_components].T @ self.axes[:n_components] + self.mean
        return rebuilt.clip(self.low, self.high).reshape(images.shape)

    def blur(self, images, std):
        """Return pictures (B, H, W[, 3]) under a Gaussian blur of `std` pixels."""
        offsets = torch.arange(-3, 4)
        kernel = torch.exp(-0.5 * (offsets / std) ** 2)
        kernel = kernel / kernel.sum()
        colours = images.reshape(*images.shape[:3], -1).permute(0, 3, 1, 2)
        n = colours.shape[1]
        padded = functional.pad(colours, (3, 3, 3, 3), mode="replicate")
        across = functional.conv2d(padded, kernel.view(1, 1, 1, 7).repeat(n, 1, 1, 1), groups=n)
        both = functional.conv2d(across, kernel.view(1, 1, 7, 1).repeat(n, 1, 1, 1), groups=n)
        return both.permute(0, 2, 3, 1).reshape(images.shape)

    def __call__(self, images, rng):
        """Spoil half of a batch: two thirds of it rebuilt, one third blurred, all of it noisy."""
        images = images.clone()
        sixth = len(images) // 6
        rebuilt, blurred = slice(0, 2 * sixth), slice(2 * sixth, 3 * sixth)
        n_components = int(np.exp(rng.uniform(*np.log(self.range))))
        images[rebuilt] = self.rebuild(images[rebuilt], n_components)
        images[blurred] = self.blur(images[blurred], float(rng.uniform(0.3, 1.2)))
        spread = (self.high - self.low) * rng.uniform(0.0, 0.03)
        noise = torch.from_numpy(rng.standard_normal((3 * sixth, *self.shape), np.float32))
        images[: 3 * sixth] += spread * noise
        return images.clip(self.low, self.high)


def moved(images, rng):
    """Return digits (B, 8, 8) turned, sheared, scaled and shifted a little."""
    n = len(images)
    turn, shear = rng.uniform(-0.2, 0.2, n), rng.uniform(-0.15, 0.15, n)
    scale = rng.uniform(0.9, 1.1, (n, 2, 1))
    matrix = np.empty((n, 2, 3), dtype=np.float32)
    matrix[:, 0, :2] = np.stack([np.cos(turn), shear - np.sin(turn)], axis=1)
    matrix[:, 1, :2] = np.stack([np.sin(turn), np.cos(turn)], axis=1)
    matrix[:, :, :2] *= scale
    matrix[:, :, 2] = rng.uniform(-0.2, 0.2, (n, 2))
    places = functional.affine_grid(torch.from_numpy(matrix), (n, 1, 8, 8), align_corners=False)
    return functional.grid_sample(images[:, None], places, align_corners=False)[:, 0]


def train(name, parts, seed):
    """Return a trained judge."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    images, answers = parts["train"]
    spoil = Spoiler(images, name, seed)
    images = torch.as_tensor(images, dtype=torch.float32)
    answers = {question: torch.as_tensor(codes) for question, codes in answers.items()}
    judge, size, n_epochs = Judge(PLANS[name]), BATCH[name], EPOCHS[name]
    optimiser = torch.optim.AdamW(judge.parameters(), lr=1e-3, weight_decay=1e-2)
    n_steps = n_epochs * (len(images) // size)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=n_steps)
    for epoch in range(n_epochs):
        judge.train()
        order, total, begin = rng.permutation(len(images)), 0.0, perf_counter()
        for first in range(0, len(images) - size + 1, size):
            batch = torch.from_numpy(order[first : first + size])
            seen = images[batch] if name == "scenes" else moved(images[batch], rng)
            _, logits = judge(judge.as_pixels(spoil(seen, rng)))
            loss = sum(functional.cross_entropy(logits[q], answers[q][batch]) for q in logits)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            total += loss.item()
        if name == "scenes" or epoch == n_epochs - 1:
            right = accuracy(judge.eval(), *parts["validation"])
            report = ", ".join(f"{q} {one['accuracy']:.4f}" for q, one in right.items())
            mean = total * size / len(images)
            took = perf_counter() - begin
            print(
                f"  {name} {seed}: epoch {epoch + 1}, loss {mean:.3f}, {report}, {took:.0f} s",
                flush=True,
            )
    return judge.eval()


def accuracy(judge, images, answers):
    """Return the share of right answers to each question, with Wilson's 95 % interval."""
    judged, result = judge.predict(images), {}
    for question, codes in answers.items():
        share, low, high = agreement(codes, judged[question])
        result[question] = {"accuracy": share, "interval": [low, high], "n": len(codes)}
    return result


def validation_loss(judge, images, answers):
    """Return the mean negative log probability of the right answers, in nats."""
    probabilities = judge.predict_proba(images)
    rows = np.arange(len(images))
    return float(sum(-np.log(probabilities[q][rows, c]).mean() for q, c in answers.items()))


def measure(name, judge, parts, seed):
    """Return accuracies on the test part, clean and spoiled, and the confusions."""
    images, answers = parts["test"]
    spoil = Spoiler(parts["train"][0], name, seed)
    tensor = torch.as_tensor(images, dtype=torch.float32)
    seen = {"clean": images, "blurred by 1 pixel": spoil.blur(tensor, 1.0).numpy()}
    for n in MEASURED_COMPONENTS[name]:
        seen[f"rebuilt from {n} components"] = spoil.rebuild(tensor, n).numpy()
    if name == "scenes":  # sides of 64 pixels: other pictures
        large, labels = make_scenes(1000, SCENE_SEEDS["test"], size=64)
        on_large = accuracy(judge, large, {q: getattr(labels, q) for q in answers})
    judged = judge.predict(images)
    low, high = PLANS[name].limits
    result = {kind: accuracy(judge, np.clip(x, low, high), answers) for kind, x in seen.items()}
    if name == "scenes":
        result["64 x 64"] = on_large
    confusion = {q: confusion_matrix(codes, judged[q]).tolist() for q, codes in answers.items()}
    return {"accuracy": result, "confusion": confusion}


def weights_of(judge):
    """Return the judge's parameters and running means as arrays."""
    return {key: tensor.numpy() for key, tensor in judge.state_dict().items()}


def choose(name):
    """Train a judge from each seed, and return the best on validation with all that is recorded."""
    parts = load(name)
    judges = {s: train(name, parts, s) for s in (DIGIT_SEEDS if name == "digits" else [0])}
    losses = {seed: validation_loss(judge, *parts["validation"]) for seed, judge in judges.items()}
    best = min(losses, key=losses.get)
    tests = [accuracy(judge, *parts["test"]) for judge in judges.values()]
    record = {
        "epochs": EPOCHS[name],
        "batch": BATCH[name],
        "n_train": len(parts["train"][0]),
        "training_seed": best,
        "validation_loss": list(losses.values()),
        "test_accuracy_of_each": {q: [t[q]["accuracy"] for t in tests] for q in tests[0]},
    }
    return judges[best], measure(name, judges[best], parts, best) | record


def main():
    """Train both judges, print their accuracies, write weights and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print, write nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    begin, busy = perf_counter(), process_time()
    seeds = {"digits": list(DIGIT_SEEDS), "scenes": SCENE_SEEDS}
    record = origin(__file__, "torch", seed=seeds)
    for name in PLANS:
        judge, record[name] = choose(name)
        for kind, answers in record[name]["accuracy"].items():
            shares = [
                f"{question} {one['accuracy']:.4f} {np.round(one['interval'], 4)}"
                for question, one in answers.items()
            ]
            print(f"{name}, {kind}: {', '.join(shares)}", flush=True)
        if not arguments.dry_run:
            write_atomically(RECORDED / f"judge_{name}.safetensors", save(weights_of(judge)))
    record["seconds"] = round(perf_counter() - begin, 1)
    record["cpu_seconds"] = round(process_time() - busy, 1)
    if not arguments.dry_run:
        write_record(RECORDED / "judges.json", rounded(record))


if __name__ == "__main__":
    main()
