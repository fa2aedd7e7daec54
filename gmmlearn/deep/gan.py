"""Two networks that play against each other: losses on logits, R1, packing, and the two steps."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from gmmlearn._validation import as_count, as_nonnegative, as_positive
from gmmlearn.deep.networks import apply_network, at_rest
from gmmlearn.deep.training import choose_device, train

KINDS = ("minimax", "non_saturating", "hinge")
"""What the two losses may be."""


class Play(NamedTuple):
    """The rules of a game."""

    kind: str = "non_saturating"
    """One of `KINDS`."""
    r1: float = 0.0
    """Weight of the R1 penalty; 0 leaves it out."""
    packing: int = 1
    """How many samples the discriminator sees at once."""


PLAIN = Play()
"""The non-saturating game, without penalty or packing."""


def discriminator_loss(real_logits, fake_logits, kind="non_saturating"):
    """Average what the discriminator minimises (eq. gan-discriminator-loss, eq. gan-hinge).

    Parameters
    ----------
    real_logits : tensor (B,)
        Log odds, any real numbers, that samples of the data are real.
    fake_logits : tensor (B,)
        The same for samples of the generator.
    kind : {"minimax", "non_saturating", "hinge"}
        The first two are the same for the discriminator: twice the mean binary cross entropy of
        telling real from fake, in nats.

    Returns
    -------
    tensor ()

    Examples
    --------
    >>> loss = discriminator_loss(torch.zeros(3), torch.zeros(3))  # it knows nothing: 2 log 2
    >>> round(loss.item(), 4)
    1.3863
    """
    _require_logits(real_logits, "real_logits")
    _require_logits(fake_logits, "fake_logits")
    if _known(kind) == "hinge":
        return functional.relu(1 - real_logits).mean() + functional.relu(1 + fake_logits).mean()
    # -log D = softplus(-logit) and -log(1 - D) = softplus(logit): no probability that rounds to 0.
    return functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()


def generator_loss(fake_logits, kind="non_saturating"):
    """Average what the generator minimises (eq. gan-generator-losses, eq. gan-hinge).

    Parameters
    ----------
    fake_logits : tensor (B,)
        Log odds that samples of the generator are real.
    kind : {"minimax", "non_saturating", "hinge"}
        Mean of log(1 - D), of -log D, or of minus the logit.

    Returns
    -------
    tensor ()
    """
    _require_logits(fake_logits, "fake_logits")
    if _known(kind) == "minimax":
        return -functional.softplus(fake_logits).mean()
    if kind == "hinge":
        return -fake_logits.mean()
    return functional.softplus(-fake_logits).mean()


def r1_penalty(discriminator, real):
    """Average the squared length of the logits' gradient at real samples (eq. gan-r1).

    Parameters
    ----------
    discriminator : callable
        Samples (or packs) to logits, each from its own sample alone: no batch normalisation.
    real : tensor (B, ...)
        Real samples, or packs of them.

    Returns
    -------
    tensor ()
        Differentiable in the discriminator's parameters.

    References
    ----------
    mescheder2018which.

    Examples
    --------
    >>> slope = torch.tensor([3.0, 4.0])
    >>> r1_penalty(lambda x: x @ slope, torch.randn(5, 2)).item()
    25.0
    """
    real = real.detach().requires_grad_(True)
    # The sum: each logit depends on its own sample alone, so its gradient is that sample's.
    total = discriminator(real).sum()
    (slopes,) = torch.autograd.grad(total, real, create_graph=True)
    return slopes.square().flatten(1).sum(dim=1).mean()


def pack(x, n):
    """Join each n neighbours of a batch into one, for the discriminator to judge together.

    Parameters
    ----------
    x : tensor (B, F, ...)
        Samples: points, or pictures with channels first.
    n : int >= 1
        Samples in a pack; divides B.

    Returns
    -------
    tensor (B / n, n F, ...)
        Features or channels one after the other.

    References
    ----------
    lin2018pacgan.

    Examples
    --------
    >>> pack(torch.arange(8.0).reshape(4, 2), 2)
    tensor([[0., 1., 2., 3.],
            [4., 5., 6., 7.]])
    """
    n = as_count(n, "n")
    if x.ndim < 2 or len(x) == 0 or len(x) % n:
        raise ValueError(
            f"x has shape {tuple(x.shape)}, which does not make packs of {n}. Pass samples of "
            f"shape (B, features, ...) with B a multiple of {n}."
        )
    return x.reshape(len(x) // n, n * x.shape[1], *x.shape[2:])


def discriminator_step(discriminator, optimizer, real, fake, rules=PLAIN):
    """Take one step towards telling `real` from `fake`; the generator is left as it is.

    Parameters
    ----------
    discriminator : torch module
        Packs (B / packing, ...) to logits (B / packing,) or (B / packing, 1).
    optimizer : torch optimizer
        Of the discriminator's parameters.
    real, fake : tensor (B, ...)
        Samples of the data and of the generator.
    rules : Play
        Which game.

    Returns
    -------
    dict of str to tensor ()
        "discriminator_loss", without the penalty; "real_logit" and "fake_logit", the means; and
        "r1", the penalty, where it has a weight.
    """
    # Without its graph, nothing reaches the generator from here.
    real, fake = pack(real, rules.packing), pack(fake.detach(), rules.packing)
    real_logits, fake_logits = _judge(discriminator, real), _judge(discriminator, fake)
    loss = discriminator_loss(real_logits, fake_logits, rules.kind)
    report = {
        "discriminator_loss": loss.detach(),
        "real_logit": real_logits.detach().mean(),
        "fake_logit": fake_logits.detach().mean(),
    }
    if rules.r1:
        penalty = r1_penalty(discriminator, real)
        loss = loss + rules.r1 / 2 * penalty
        report["r1"] = penalty.detach()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return report


def generator_step(generator, discriminator, optimizer, fake, rules=PLAIN):
    """Take one step towards being called real; the discriminator is left as it is.

    Parameters
    ----------
    generator : torch module
        Its parameters move.
    discriminator : torch module
        Judges, and keeps its parameters and their gradients.
    optimizer : torch optimizer
        Of the generator's parameters.
    fake : tensor (B, ...)
        What the generator made of a batch of latent points, with its graph.
    rules : Play
        Which game.

    Returns
    -------
    dict of str to tensor ()
        "generator_loss".
    """
    loss = generator_loss(_judge(discriminator, pack(fake, rules.packing)), rules.kind)
    optimizer.zero_grad()
    # Only these gradients: the discriminator's would be computed in vain, and lie about.
    loss.backward(inputs=[p for p in generator.parameters() if p.requires_grad])
    optimizer.step()
    return {"generator_loss": loss.detach()}


def fit_gan(
    generator,
    discriminator,
    X,
    prior,
    n_steps,
    *,
    batch_size=100,
    kind="non_saturating",
    r1=0.0,
    packing=1,
    learning_rates=(1e-4, 1e-4),
    betas=(0.5, 0.999),
    average=None,
    device="auto",
    **options,
):
    """Train both networks in turns: a step of the discriminator, then one of the generator.

    Parameters
    ----------
    generator : torch module
        Latent points (B, latent_dim) to samples shaped as those of X. It is trained in place.
    discriminator : torch module
        Packs of samples to one logit each. It is trained in place.
    X : array or tensor (N, ...)
        Data: points (N, features), or pixels (N, channels, side, side) in [-1, 1].
    prior : object
        With `latent_dim` and ``sample(n, rng=torch_generator)``, such as
        `gmmlearn.deep.prior.MixturePrior`.
    n_steps : int >= 1
        How many turns.
    batch_size : int >= 2
        Packs in a batch: each step takes `packing` times as many samples.
    kind : {"minimax", "non_saturating", "hinge"}
        Losses of both.
    r1 : float >= 0
        Weight of the R1 penalty; its half multiplies the mean squared gradient (eq. gan-r1).
    packing : int >= 1
        How many samples the discriminator sees at once.
    learning_rates : (float, float)
        Adam's, of generator and discriminator.
    betas : (float, float)
        Adam's decay rates, of both.
    average : float in (0, 1), optional
        Keep an exponential average of the generator's weights with this decay.
    device : str or torch.device
        Networks and prior are moved there, and stay.
    **options
        For `gmmlearn.deep.training.train`: seed, progress, checkpoint, ...

    Returns
    -------
    Trained
        History of what the two steps report; the averaged generator, if asked for, is
        ``averaged["generator"]``.

    Raises
    ------
    ValueError
        If the networks, the prior and the data do not fit each other, or a setting is out of range.
    Diverged
        If a loss is no longer finite.

    References
    ----------
    goodfellow2014generative.
    """
    batch_size = as_count(batch_size, "batch_size", at_least=2)
    rules = Play(_known(kind), as_nonnegative(r1, "r1"), as_count(packing, "packing"))
    if rules.r1 and options.get("compile"):
        raise ValueError(
            "compile has no second derivatives, which r1 needs. Leave one of them out."
        )
    device = choose_device(device)
    for module in (generator, discriminator, prior):
        if isinstance(module, torch.nn.Module):
            module.to(device)
    _require_fit(generator, discriminator, X, prior, rules.packing, device)
    modules = {"generator": generator, "discriminator": discriminator}
    rates = dict(zip(modules, _pair(learning_rates), strict=True))
    optimizers = {
        name: torch.optim.Adam(module.parameters(), lr=rates[name], betas=betas)
        for name, module in modules.items()
    }

    def step(real, rng):
        fake = generator(prior.sample(len(real), rng=rng))
        report = discriminator_step(discriminator, optimizers["discriminator"], real, fake, rules)
        moved = generator_step(generator, discriminator, optimizers["generator"], fake, rules)
        return report | moved

    return train(
        step,
        X,
        modules=modules,
        optimizers=optimizers,
        n_steps=n_steps,
        batch_size=batch_size * rules.packing,
        average=None if average is None else {"generator": average},
        device=device,
        **options,
    )


def draw(generator, prior, n_samples, seed=0):
    """Draw samples from a trained generator.

    Parameters
    ----------
    generator : torch module
        Used in evaluation mode, and left in the mode it was in.
    prior : object
        With ``sample(n, rng=torch_generator)``.
    n_samples : int >= 1
        How many.
    seed : int
        The same seed draws the same latent points.

    Returns
    -------
    array (n_samples, ...)
        Float64, in the generator's range.
    """
    n_samples, training = as_count(n_samples, "n_samples"), generator.training
    device = next((p.device for p in generator.parameters()), torch.device("cpu"))
    rng = torch.Generator(device).manual_seed(seed)
    generator.eval()
    try:
        with torch.no_grad():
            return generator(prior.sample(n_samples, rng=rng)).double().cpu().numpy()
    finally:
        generator.train(training)


def _judge(discriminator, packs):
    """Return one logit for each pack, shape (B,)."""
    logits = discriminator(packs)
    if logits.numel() != len(packs):
        raise ValueError(
            f"discriminator returns shape {tuple(logits.shape)} for {len(packs)} packs, expected "
            f"({len(packs)},) or ({len(packs)}, 1): one logit for each, without a sigmoid."
        )
    return logits.flatten()


def _pair(rates):
    """Return two positive learning rates."""
    if np.shape(rates) != (2,):
        raise ValueError(
            f"learning_rates is {rates!r}, expected two: of generator and of discriminator."
        )
    return [as_positive(rate, f"learning_rates[{i}]") for i, rate in enumerate(rates)]


def _known(kind):
    """Return `kind` if it is one of `KINDS`."""
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}. Use one of: {', '.join(KINDS)}.")
    return kind


def _require_logits(logits, name):
    """Raise unless `logits` is a batch of single numbers."""
    if logits.ndim != 1 or len(logits) == 0:
        raise ValueError(
            f"{name} has shape {tuple(logits.shape)}, expected (B,). From (B, 1): logits.flatten()."
        )


def _require_fit(generator, discriminator, X, prior, packing, device):
    """Raise unless prior, generator, data and discriminator fit each other, tried on two packs."""
    z = prior.sample(2 * packing, rng=torch.Generator(device).manual_seed(0))
    with at_rest(generator, discriminator):
        hint = f"latent_dim of the prior is {z.shape[1]}"
        fake = apply_network(generator, z, "generator", hint)
        if fake.shape[1:] != tuple(np.shape(X)[1:]):
            raise ValueError(
                f"generator makes samples of shape {tuple(fake.shape[1:])}, but those of X "
                f"have {tuple(np.shape(X)[1:])}. Make its output fit."
            )
        packs = pack(fake, packing)
        hint = f"{packing} samples make a pack of shape {tuple(packs.shape[1:])}"
        apply_network(lambda x: _judge(discriminator, x), packs, "discriminator", hint)
