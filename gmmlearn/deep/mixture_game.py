"""The game with a mixture inside: latent points from components, an anchor, further losses."""

import torch
from torch import nn
from torch.nn import functional

from gmmlearn._validation import as_count, as_nonnegative, as_points, as_positive
from gmmlearn.deep import ranks
from gmmlearn.deep.autoencoder import require_pixels
from gmmlearn.deep.gan import Play, discriminator_step
from gmmlearn.deep.prior import Draw
from gmmlearn.deep.training import choose_device, train


def fit_gmm_gan(
    model,
    X,
    n_steps,
    *,
    batch_size=100,
    learning_rates=(1e-4, 1e-3),
    prior_rate=1e-3,
    anchor=1.0,
    r1=1.0,
    betas=(0.5, 0.99),
    decay=False,
    average=0.998,
    terms=(),
    device="auto",
    **options,
):
    """Let generator and discriminator play, with latent points from the model's mixture.

    The generator ends with the average of its weights (eq. gmm-gan-average). If the mixture is
    trainable, its parameters follow the same loss through the points (means and covariances) and
    through a score term (weights, eq. gmm-gan-gradient); the anchor (eq. gmm-gan-anchor), minus the
    mean log density of the data's codes, which is what EM minimises, keeps it from drifting.

    Parameters
    ----------
    model : GMMGAN
        Trained in place.
    X : tensor or array (N, ...)
        Pixels (N, C, side, side) in [-1, 1], or points (N, D).
    n_steps : int >= 1
        Turns: a step of the discriminator, then one of the generator.
    batch_size : int >= 2
        Samples in a batch, of all processes together.
    learning_rates : (float, float)
        Adam's, of generator and discriminator.
    prior_rate : float > 0
        Adam's, of a trainable mixture.
    anchor : float >= 0
        Weight of the anchor of a trainable mixture.
    r1 : float >= 0
        Weight of the R1 penalty.
    betas : (float, float)
        Adam's decay rates.
    decay : bool
        Whether the learning rates fall linearly to zero.
    average : float in (0, 1), optional
        How much of the average stays at each step; None ends with the last weights.
    terms : sequence of functions (z, labels, fake) -> tensor (B,)
        Further losses of the generator, such as those of `gmmlearn.deep.generator_terms`.
    device : str or torch.device
        The model is moved there, and stays.
    **options
        For `gmmlearn.deep.training.train`: seed, progress, checkpoint, ...

    Returns
    -------
    Trained
        History of the losses: "generator_loss" is the game's, "anchor" and "terms" are added to it.

    Raises
    ------
    ValueError
        If the data do not fit the model, or a setting is out of range.

    References
    ----------
    gurumurthy2017deligan; mescheder2018which.
    """
    X, rules = as_samples(X, "X"), Play(r1=as_nonnegative(r1, "r1"))
    n_steps, anchor = as_count(n_steps, "n_steps"), as_nonnegative(anchor, "anchor")
    batch_size = as_count(batch_size, "batch_size", at_least=2)
    ranks.require_shares(batch_size)
    if model.discriminator is None:
        raise ValueError("model has no discriminator. Give it one: model.discriminator = ...")
    device = choose_device(device)
    model.to(device)
    ranks.agree(model)
    learned = any(p.requires_grad for p in model.prior.parameters())
    if learned and anchor and model.encoder is None:
        raise ValueError("anchor needs the model's encoder. Pass one, or anchor=0.")
    rates = _as_rates(learning_rates)
    if learned:
        rates["prior"] = as_positive(prior_rate, "prior_rate")
    modules = {name: getattr(model, name) for name in rates}
    optimizers = {
        name: torch.optim.Adam(module.parameters(), rates[name], betas=betas)
        for name, module in modules.items()
    }
    line = torch.optim.lr_scheduler.LinearLR
    schedulers = {k: line(adam, 1.0, 0.0, n_steps) for k, adam in optimizers.items() if decay}
    makers = {name: modules[name] for name in rates if name != "discriminator"}
    averaged = makers if average is not None else {}
    maker, judge = ranks.together(_Maker(model)), ranks.together(model.discriminator)

    def step(batch, rng):
        draw, fake = maker(len(batch), rng)
        real = ranks.share(batch)
        report = discriminator_step(judge, optimizers["discriminator"], real, fake, rules)
        losses, parts = _makers_losses(model, draw, fake, terms)
        loss = losses.mean()
        if learned:
            loss = loss + score_term(losses, draw.weight)
        if learned and anchor:
            away = -model.prior.log_prob(model.encoder(real)).mean()
            loss, parts["anchor"] = loss + anchor * away, away.detach()
        _move({name: optimizers[name] for name in makers}, makers, loss)
        return report | parts

    trained = train(
        step,
        X,
        modules=modules,
        optimizers=optimizers,
        n_steps=n_steps,
        batch_size=batch_size,
        schedulers=schedulers,
        average=dict.fromkeys(averaged, average),
        device=device,
        **options,
    )
    for name, module in averaged.items():
        module.load_state_dict(trained.averaged[name].state_dict())
    return trained


def score_term(losses, weight):
    """Return zero, whose gradient is the losses' through the choice (eq. gmm-gan-gradient).

    Parameters
    ----------
    losses : tensor (B,)
        Of points from `MixturePrior.rsample`.
    weight : tensor (B,)
        The points' `weight`: ones, whose gradient is that of log pi.

    Returns
    -------
    tensor ()
    """
    fixed = losses.detach()
    # The others' mean, of all processes, makes it less noisy, and no less right.
    others = (ranks.total(fixed.sum()) - fixed) / max(len(fixed) * ranks.n_ranks() - 1, 1)
    return ((weight - 1.0) * (fixed - others)).mean()


def as_samples(X, name):
    """Return pictures in [-1, 1], or points of any size, as float32.

    Parameters
    ----------
    X : tensor or array (N, C, side, side) or (N, D)
    name : str
        Of the argument.

    Returns
    -------
    tensor
    """
    if len(getattr(X, "shape", ())) == 2:
        X = X.detach().cpu().numpy() if isinstance(X, torch.Tensor) else X
        return torch.as_tensor(as_points(X, name=name), dtype=torch.float32)
    return require_pixels(X, name)


class _Maker(nn.Module):
    """What makes samples: one draw for all processes, and the samples of this one's share."""

    def __init__(self, model):
        super().__init__()
        self.prior, self.generator = model.prior, model.generator

    def forward(self, n_samples, rng):
        """Return the share's latent points and what the generator makes of them."""
        draw = Draw(*map(ranks.share, self.prior.rsample(n_samples, rng)))
        return draw, self.generator(draw.z)


def _as_rates(learning_rates):
    """Return both rates by name."""
    if not isinstance(learning_rates, tuple | list) or len(learning_rates) != 2:
        raise ValueError(
            f"learning_rates is {learning_rates!r}, expected two: of generator and discriminator."
        )
    named = enumerate(("generator", "discriminator"))
    return {k: as_positive(learning_rates[i], f"learning_rates[{i}]") for i, k in named}


def _makers_losses(model, draw, fake, terms):
    """Return the losses (B,) of whoever made `fake`, and what is reported."""
    losses = functional.softplus(-model.discriminator(fake).flatten())
    report = {"generator_loss": losses.detach().mean()}
    for term in terms:
        losses = losses + term(draw.z, draw.labels, fake)
    if terms:
        report["terms"] = losses.detach().mean() - report["generator_loss"]
    return losses, report


def _move(optimizers, modules, loss):
    """Take one step of each optimizer; only the parameters of its modules get gradients."""
    for optimizer in optimizers.values():
        optimizer.zero_grad()
    loss.backward(inputs=[p for module in modules.values() for p in module.parameters()])
    for optimizer in optimizers.values():
        optimizer.step()
