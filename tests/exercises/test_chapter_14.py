"""Answers to the exercises of chapter 14: right ones, and mistakes that are named."""

import numpy as np
import torch
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm
from torch import relu
from torch.nn import functional
from torch.nn.functional import softplus

from gmmlearn.deep.gan import discriminator_step

BITS = (2 * np.log(2) - 0.8) / 2 / np.log(2)


def by_package(generator, discriminator, optimizer, real, z):
    report = discriminator_step(discriminator, optimizer, real, generator(z))
    return report["discriminator_loss"].item()


def step(generator, discriminator, optimizer, real, z, **change):
    """Take the step in plain torch, with a mistake if asked for."""
    fake = generator(z) if change.get("attached") else generator(z).detach()
    logits = torch.cat([discriminator(real), discriminator(fake)])
    if change.get("squashed"):
        logits = logits.sigmoid()
    is_real = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))])
    if change.get("exchanged"):
        is_real = 1 - is_real
    terms = functional.binary_cross_entropy_with_logits(logits, is_real, reduction="none")
    n = len(real)
    loss = terms.mean() if change.get("pooled") else terms[:n].mean() + terms[n:].mean()
    if change.get("averaged"):
        loss = loss / 2
    if not change.get("stale"):
        optimizer.zero_grad()
    (-loss if change.get("uphill") else loss).backward()
    if change.get("twice"):
        optimizer.step()
    if change.get("still") is None:
        optimizer.step()
    if change.get("moves_generator"):
        with torch.no_grad():
            next(generator.parameters()).add_(1)
    return loss.item()


def loss_of(formula):
    def answer(generator, discriminator, optimizer, real, z):
        return formula(discriminator(real), discriminator(generator(z))).item()

    return answer


def wrong(**change):
    return lambda *arguments: step(*arguments, **change)


def r1(theta, std, fake_std):
    slope, offset = 1 / fake_std**2 - 1 / std**2, -theta / fake_std**2
    return offset**2 + std**2 * slope**2


def by_integral(theta, std, fake_std):
    def squared_slope(x):
        return ((x - theta) / fake_std**2 - x / std**2) ** 2

    return quad(lambda x: norm.pdf(x, 0, std) * squared_slope(x), -12 * std, 12 * std)[0]


def at_fakes(theta, std, fake_std):
    slope, offset = 1 / fake_std**2 - 1 / std**2, -theta / fake_std**2
    return (slope * theta + offset) ** 2 + fake_std**2 * slope**2


def stds_for_variances(theta, std, fake_std):
    return (theta / fake_std) ** 2 + std**2 * (1 / fake_std - 1 / std) ** 2


def by_exponentials(log_p, log_q):
    with np.errstate(invalid="ignore"):
        return np.exp(log_p) / (np.exp(log_p) + np.exp(log_q))


RIGHT = {
    "14-bits": [BITS, 1 - 0.4 / np.log(2)],
    "14-optimal": [
        lambda log_p, log_q: expit(log_p - log_q),
        lambda log_p, log_q: np.exp(log_p - np.logaddexp(log_p, log_q)),
    ],
    "14-r1": [r1, by_integral],
    "14-step": [by_package, step],
}

MISTAKES = [
    ("14-bits", BITS * np.log(2), "in nats: bits"),
    ("14-bits", 2 * BITS * np.log(2), "twice the divergence, and in nats"),
    ("14-bits", 2 * BITS, "the loss adds two expectations"),
    ("14-bits", BITS * np.log(2) ** 2, "divides by log 2"),
    ("14-bits", -BITS, "Turn it round"),
    ("14-bits", np.log(2) - 0.4 / np.log(2), "convert all"),
    ("14-bits", 0.6, "took the loss for bits"),
    ("14-bits", 1 - 0.8 / np.log(2), "costs log 2 twice"),
    ("14-bits", 0.8 / np.log(2), "the loss in bits"),
    ("14-bits", 0.8, "falls as the divergence grows"),
    ("14-bits", 0.5, "not the right number"),
    ("14-optimal", lambda p, q: expit(q - p), "of being fake"),
    ("14-optimal", lambda p, q: p - q, "the logit"),
    ("14-optimal", lambda p, q: -np.logaddexp(0, q - p), "the logarithm of the prob"),
    ("14-optimal", lambda p, q: np.exp(p - q), "Those are odds"),
    ("14-optimal", lambda p, q: p / (p + q), "You divided logarithms"),
    ("14-optimal", lambda p, q: (p > q).astype(float), "That is a decision"),
    ("14-optimal", lambda p, q: np.exp(p), "the density of real samples"),
    ("14-optimal", by_exponentials, "divide 0 by 0: use the difference of the logarithms"),
    ("14-optimal", lambda p, q: np.full(len(p), 0.5), "right value"),
    ("14-optimal", lambda p, q: np.clip(expit(p - q), 1e-4, 1 - 1e-4), "far out"),
    ("14-r1", lambda t, s, f: r1(t, s, f) / 2, "The half belongs to the weight"),
    ("14-r1", lambda t, s, f: t**2 / f**4, "squared the mean slope"),
    ("14-r1", lambda t, s, f: r1(0, s, f), "their variance"),
    ("14-r1", lambda t, s, f: abs(t) / f**2, "length of the mean slope"),
    ("14-r1", lambda t, s, f: t**2 / f**4 + r1(0, s, f) / s**2, "their own variance, too"),
    ("14-r1", lambda t, s, f: t**2 / f**4 + s**2 * (f**-2 - s**-2), "is squared in the variance"),
    ("14-r1", at_fakes, "over fake samples"),
    ("14-r1", lambda t, s, f: np.sqrt(r1(t, s, f)), "That is a root"),
    ("14-r1", stds_for_variances, "variances, not by standard"),
    ("14-r1", lambda t, s, f: t**2 / f**4 + r1(0, s, f) / s, "times the variance of x"),
    ("14-r1", lambda t, s, f: t**2 / f**4 + s**2 * (f**-2 + s**-2) ** 2, "not added"),
    ("14-r1", lambda t, s, f: 0.3, "not the right number"),
    ("14-step", wrong(attached=True), "detach the fakes"),
    ("14-step", wrong(stale=True), "zero_grad() comes first"),
    ("14-step", wrong(still=True), "step() comes after backward()"),
    ("14-step", wrong(exchanged=True), "are exchanged"),
    ("14-step", wrong(averaged=True), "Add the two means"),
    ("14-step", wrong(pooled=True), "each on their own"),
    ("14-step", wrong(squashed=True), "the sigmoid of them twice"),
    ("14-step", wrong(uphill=True), "goes uphill"),
    ("14-step", wrong(twice=True), "has not moved down its gradient"),
    ("14-step", wrong(moves_generator=True), "parameters have moved"),
    ("14-step", loss_of(lambda r, f: softplus(-r).mean()), "The fakes have no say"),
    ("14-step", loss_of(lambda r, f: softplus(f).mean()), "real samples have no say"),
    ("14-step", loss_of(lambda r, f: softplus(-r).sum() + softplus(f).sum()), "not sums"),
    ("14-step", loss_of(lambda r, f: relu(1 - r).mean() + relu(1 + f).mean()), "hinge loss"),
    ("14-step", lambda *_: 0.1, "not the right number"),
]
