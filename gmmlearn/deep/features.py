"""Judges: small networks that say what a picture shows, and describe it by a few features."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gmmlearn import recorded
from gmmlearn._validation import as_numbers
from gmmlearn.scenes import MAX_TREES, SEASONS, TIMES, WEATHERS


class Plan(NamedTuple):
    """What a judge looks at, and what it is asked."""

    side: int
    """Pixels a side."""
    n_channels: int
    """1 for grey, 3 for colour."""
    limits: tuple
    """Smallest and largest pixel."""
    widths: tuple
    """Channels of the convolutions; each but the first halves the picture."""
    n_features: int
    """F."""
    questions: dict
    """Number of answers to each question."""


PLANS = {
    "digits": Plan(8, 1, (0.0, 16.0), (24, 48, 64), 32, {"digit": 10}),
    "scenes": Plan(
        32,
        3,
        (-1.0, 1.0),
        (16, 32, 48, 64),
        64,
        {
            "season": len(SEASONS),
            "time": len(TIMES),
            "weather": len(WEATHERS),
            "n_trees": MAX_TREES + 1,
        },
    ),
}
"""The two judges."""
_BLOCK = 512


class Judge(nn.Module):
    """A convolutional network: pictures to features, features to an answer to each question.

    Parameters
    ----------
    plan : Plan
        Shapes and questions.
    """

    def __init__(self, plan):
        super().__init__()
        self.plan = plan
        layers, n_in = [], plan.n_channels
        for depth, n_out in enumerate(plan.widths):
            stride = 1 if depth == 0 else 2
            layers += [
                nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(n_out),
                nn.ReLU(),
            ]
            n_in = n_out
        last_side = plan.side >> (len(plan.widths) - 1)
        self.body = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(n_in * last_side**2, plan.n_features)
        )
        self.heads = nn.ModuleDict(
            {name: nn.Linear(plan.n_features, n) for name, n in plan.questions.items()}
        )

    def forward(self, pixels):
        """Return features (B, F) and the logits of each question (B, answers).

        Parameters
        ----------
        pixels : tensor (B, channels, side, side)
            Moved to [-1, 1].

        Returns
        -------
        (tensor, dict of str to tensor)
        """
        features = self.body(pixels)
        active = functional.relu(features)
        return features, {name: head(active) for name, head in self.heads.items()}

    def features(self, images):
        """Describe pictures by the numbers that the answers are read from.

        Parameters
        ----------
        images : array
            Digits (N, 8, 8), 0..16; or scenes (N, 32, 32, 3) or (N, 64, 64, 3), in [-1, 1].

        Returns
        -------
        array (N, F)
            Float64: the last hidden layer, before its rectifier.
        """
        return self._judge(images)[0]

    def predict_proba(self, images):
        """Answer each question with probabilities.

        Parameters
        ----------
        images : array
            As for `features`.

        Returns
        -------
        dict of str to array (N, answers)
        """
        return self._judge(images)[1]

    def predict(self, images):
        """Answer each question.

        Parameters
        ----------
        images : array
            As for `features`.

        Returns
        -------
        dict of str to array (N,)
            Digits: "digit". Scenes: "season", "time", "weather" (indices) and "n_trees".
        """
        return {name: p.argmax(axis=1) for name, p in self.predict_proba(images).items()}

    def _judge(self, images):
        """Return features (N, F) and probabilities of all questions, block by block."""
        pixels = self.as_pixels(self._checked(images))
        parts = []
        with torch.inference_mode():
            for first in range(0, len(pixels), _BLOCK):
                features, logits = self(pixels[first : first + _BLOCK])
                answers = {name: v.double().softmax(dim=1) for name, v in logits.items()}
                parts.append({"features": features.double()} | answers)
        joined = {name: np.concatenate([p[name].numpy() for p in parts]) for name in parts[0]}
        return joined.pop("features"), joined

    def as_pixels(self, images):
        """Bring pictures into the form that the network reads.

        Parameters
        ----------
        images : tensor (B, side, side) or (B, side, side, 3)
            In the range of `plan.limits`.

        Returns
        -------
        tensor (B, channels, side, side)
            Float32 in [-1, 1].
        """
        low, high = self.plan.limits
        pixels = ((images - low) / (high - low) * 2 - 1).to(torch.float32)
        return pixels[:, None] if self.plan.n_channels == 1 else pixels.permute(0, 3, 1, 2)

    def _checked(self, images):
        """Return images as a tensor (N, side, side[, 3]), or say what is wrong with them."""
        side, channels, (low, high) = self.plan[:3]
        tail = (side, side) if channels == 1 else (side, side, channels)
        hint = f"(n_samples, {', '.join(map(str, tail))})"
        images = as_numbers(images, "images", 1 + len(tail), hint)
        if channels == 3 and images.shape[1:] == (2 * side, 2 * side, 3):
            images = images.reshape(len(images), side, 2, side, 2, 3).mean(axis=(2, 4))
        if images.shape[1:] != tail:
            also = "" if channels == 1 else f" or (n_samples, {2 * side}, {2 * side}, 3)"
            raise ValueError(f"images has shape {images.shape}, expected {hint}{also}.")
        if images.min() < low or images.max() > high:
            raise ValueError(
                f"images has pixels from {images.min():.3g} to {images.max():.3g}, expected "
                f"{low:g} to {high:g}. Rescale them, or clip what a model drew: "
                f"np.clip(images, {low:g}, {high:g})."
            )
        return torch.from_numpy(images)


def load_judge(name):
    """Load a trained judge; how it was trained and how well it judges is in its record.

    Parameters
    ----------
    name : {"digits", "scenes"}
        What it judges. ``recorded.load("judges")`` has its accuracies.

    Returns
    -------
    Judge
        In evaluation mode.

    Raises
    ------
    ValueError
        If there is no such judge, or its weights are damaged.
    """
    if name not in PLANS:
        raise ValueError(f"name is {name!r}. Use one of: {', '.join(PLANS)}.")
    judge = Judge(PLANS[name])
    weights = recorded.load_weights(f"judge_{name}")
    try:
        judge.load_state_dict({key: torch.from_numpy(array) for key, array in weights.items()})
    except RuntimeError:
        raise ValueError(
            f"judge_{name} does not fit the network of this version of the package. "
            "Install the package again, or run benchmarks/judges.py."
        ) from None
    return judge.eval().requires_grad_(False)
