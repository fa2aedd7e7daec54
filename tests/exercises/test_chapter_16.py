"""Answers to the exercises of chapter 16: right ones, and mistakes that are named."""

import numpy as np
import torch
from torch import nn

from gmmlearn.deep.arithmetic import multiply_adds


def count(side, n_in, n_out, kernel, stride, padding):
    return ((side + 2 * padding - kernel) // stride + 1) ** 2 * kernel**2 * n_in * n_out


def by_package(side, n_in, n_out, kernel, stride, padding):
    layer = nn.Conv2d(n_in, n_out, kernel, stride, padding)
    return multiply_adds(layer, torch.zeros(1, n_in, side, side))[0]


def out(side, kernel, stride, padding):
    return (side + 2 * padding - kernel) // stride + 1


def speed(work, n_bytes, rate, bandwidth):
    return min(rate, bandwidth * work / n_bytes)


def spacing(x):
    return 2.0 ** (np.floor(np.log2(np.abs(x))) - 7)


def by_torch(x):
    """Step to the next number of bf16 away from zero, after cutting x down to one."""
    bits = torch.as_tensor(np.abs(x), dtype=torch.float32).view(torch.int32) >> 16
    here, there = ((bits + i << 16).view(torch.float32).double() for i in (0, 1))
    return (there - here).numpy()


RIGHT = {
    "16-count": [count, by_package],
    "16-roof": [
        lambda w, b, r, s: max(w / r, b / s),
        lambda w, b, r, s: w / speed(w, b, r, s),
    ],
    "16-shares": [
        lambda g, n: n @ g / n.sum(),
        lambda g, n: np.average(g, axis=0, weights=n),
    ],
    "16-bf16": [spacing, by_torch],
}

MISTAKES = [
    ("16-count", lambda s, i, o, k, t, p: k * k * i * o, "Those are the weights"),
    ("16-count", lambda s, i, o, k, t, p: s * s * k * k * i * o, "every place that comes in"),
    ("16-count", lambda s, i, o, k, t, p: out(s, k, t, p) * k * k * i * o, "has two sides: the"),
    ("16-count", lambda *a: count(*a) // a[1], "over all channels that come in"),
    ("16-count", lambda *a: count(*a) // a[2], "That is one channel"),
    ("16-count", lambda *a: count(*a) // a[3], "The kernel has two sides"),
    ("16-count", lambda *a: 2 * count(*a), "Those are operations"),
    ("16-count", lambda *a: count(*a[:5], 0), "Padding makes what goes out larger"),
    ("16-count", lambda *a: count(*a) + a[2] * out(a[0], *a[3:]) ** 2, "Biases are left out"),
    ("16-count", lambda *a: 17, "not the right number"),
    ("16-roof", lambda w, b, r, s: min(w / r, b / s), "shorter of the two"),
    ("16-roof", lambda w, b, r, s: w / r, "shorter of the two"),
    ("16-roof", lambda w, b, r, s: b / s, "shorter of the two"),
    ("16-roof", lambda w, b, r, s: w / r + b / s, "You added the times"),
    ("16-roof", lambda w, b, r, s: (w / r + b / s) / 2, "A mean of two times"),
    ("16-roof", speed, "the speed under the roof"),
    ("16-roof", lambda w, b, r, s: w / b, "That is the intensity"),
    ("16-roof", lambda w, b, r, s: 1 / max(w / r, b / s), "not rate over work"),
    ("16-roof", lambda w, b, r, s: w / s, "bytes go with the bandwidth"),
    ("16-roof", lambda *a: 17.0, "not the right number"),
    ("16-shares", lambda g, n: g.mean(axis=0), "a larger one counts for more"),
    ("16-shares", lambda g, n: g.sum(axis=0), "the step would grow"),
    ("16-shares", lambda g, n: n @ g, "divide by their number"),
    ("16-shares", lambda g, n: n @ g / len(n), "not of processes"),
    ("16-shares", lambda g, n: g @ n / n.sum(), "rows are processes"),
    ("16-shares", lambda g, n: g[0], "the first process alone"),
    ("16-shares", lambda g, n: (1 / n) @ g / (1 / n).sum(), "counts more, not less"),
    ("16-shares", lambda g, n: np.zeros(g.shape[1]), "right value"),
    ("16-bf16", lambda x: spacing(x) / 2, "the leading one is not"),
    ("16-bf16", lambda x: spacing(x) * 2, "twice the spacing"),
    ("16-bf16", lambda x: spacing(x) / 8, "spacing of float16"),
    ("16-bf16", lambda x: spacing(x) / 2**16, "spacing of float32"),
    ("16-bf16", lambda x: np.full(x.shape, 2.0**-7), "it grows with the number"),
    ("16-bf16", lambda x: 2.0 ** (np.ceil(np.log2(np.abs(x))) - 7), "Round the exponent down"),
    ("16-bf16", lambda x: np.abs(x) / 128, "does not change"),
    ("16-bf16", lambda x: spacing(x) * 2**14, "More bits make steps smaller"),
    ("16-bf16", lambda x: np.sign(x) * spacing(x), "A spacing is positive"),
    ("16-bf16", lambda x: spacing(x) * 2**7, "the power of two below"),
    ("16-bf16", lambda x: np.full(x.shape, 0.3), "right value"),
]
