"""Half-hidden pictures completed by a VAE: codes drawn given what is visible (chapter 11)."""

from typing import NamedTuple

import torch

from gmmlearn._validation import as_count
from gmmlearn.deep.autoencoder import require_pixels
from gmmlearn.deep.elbo import gaussian_log_prob
from gmmlearn.deep.prior import as_generator

TARGET = 0.57
"""Share of Langevin proposals that is best accepted, in many dimensions (roberts1998optimal)."""


class Completion(NamedTuple):
    """Completed pictures; what was visible is kept as it was."""

    mean: torch.Tensor
    """(B, C, side, side): the mean of all draws, which has the least expected squared error."""
    draws: torch.Tensor
    """(n_chains, B, C, side, side): one completion by each chain, without pixel noise."""
    accepted: float
    """Share of accepted proposals; near zero, the chains stand still and the draws mean little."""


def visible_log_joint(model, z, pixels, hidden, prior=None):
    """Return the log density of codes together with the visible pixels (eq. vae-visible).

    As a function of the code it is the posterior's log density, up to a constant.

    Parameters
    ----------
    model : VAE
    z : tensor (B, d)
        Codes.
    pixels : tensor (B, C, side, side)
        Pictures in [-1, 1]; hidden ones count for nothing.
    hidden : bool tensor
        True where a pixel is hidden, broadcast to the shape of `pixels`.
    prior : nn.Module, optional
        Density of codes; by default the model's own.

    Returns
    -------
    tensor (B,)
        Nats.
    """
    mean = model.decode(z)
    # A hidden pixel stands at its mean, and its constant is taken off again.
    seen = torch.where(hidden, mean, pixels)
    log_prob = gaussian_log_prob(seen, mean, model.pixel_log_var)
    n_hidden = hidden.expand_as(pixels).flatten(1).sum(dim=1)
    log_prob = log_prob - n_hidden * gaussian_log_prob(z.new_zeros(1, 1), 0.0, model.pixel_log_var)
    return log_prob + (model.log_prior(z) if prior is None else prior.log_prob(z))


def complete(model, pixels, hidden, prior, n_chains=8, n_steps=300, n_starts=1000, rng=None):
    """Fill hidden pixels in: draw codes given the visible ones, and decode them.

    The encoder is of no use here, since it wants whole pictures. The posterior of the code given
    some pixels is known up to a constant, with its gradient, so Langevin chains draw from it:
    each proposes a step uphill plus noise, and accepts by Metropolis' rule.

    Parameters
    ----------
    model : VAE
    pixels : tensor (B, C, side, side)
        Pictures in [-1, 1]; hidden pixels may hold anything, NaN too.
    hidden : bool array or tensor
        True where a pixel is hidden, broadcast to the shape of `pixels`.
    prior : nn.Module
        Density of codes with `sample` and `log_prob`: ``StandardNormal(d)``, or the mixture fitted
        to codes as a ``MixturePrior``.
    n_chains : int
        Chains for each picture.
    n_steps : int
        Steps of each; the first half settles the step size and is not counted.
    n_starts : int
        Draws from the prior, of which each chain takes one by how well it fits what is visible.
    rng : torch.Generator, int or None
        Source of randomness.

    Returns
    -------
    Completion

    Raises
    ------
    ValueError
        If pixels lie outside [-1, 1], or nothing is visible.

    Notes
    -----
    Chains seldom cross between distant codes; how many are on either side is settled by the starts.

    References
    ----------
    roberts1996exponential; mattei2018leveraging.
    """
    n_chains, n_steps = as_count(n_chains, "n_chains"), as_count(n_steps, "n_steps", at_least=2)
    n_starts = as_count(n_starts, "n_starts", at_least=n_chains)
    device = model.pixel_log_var.device
    hidden = _as_hidden(hidden, pixels)
    pixels = torch.where(hidden, torch.zeros(()), torch.as_tensor(pixels, dtype=torch.float32))
    pixels, hidden = require_pixels(pixels, "pixels").to(device), hidden.to(device)
    rng = as_generator(rng, device)
    start, scale = _starts(model, pixels, hidden, prior, n_chains, n_starts, rng)
    x, mask = (part.repeat(n_chains, 1, 1, 1) for part in (pixels, hidden))

    def target(z):
        z = z.detach().requires_grad_()
        with torch.enable_grad():
            value = visible_log_joint(model, z, x, mask, prior)
            (slope,) = torch.autograd.grad(value.sum(), z)
        return value.detach(), slope

    total, accepted = torch.zeros_like(x), 0.0
    for t, (z, share) in enumerate(_langevin(target, start, scale, n_steps, rng)):
        if t >= n_steps // 2:
            with torch.no_grad():
                total += model.decode(z)
            accepted += share / (n_steps - n_steps // 2)
    with torch.no_grad():
        draws = torch.where(mask, model.decode(z), x).unflatten(0, (n_chains, -1))
    mean = total.unflatten(0, (n_chains, -1)).mean(dim=0) / (n_steps - n_steps // 2)
    return Completion(torch.where(hidden, mean, pixels).cpu(), draws.cpu(), accepted)


def _starts(model, pixels, hidden, prior, n_chains, n_starts, rng):
    """Return codes (n_chains * B, d) that fit the visible pixels, and the scale of each code."""
    with torch.no_grad():
        z = prior.sample(n_starts, rng=rng).to(pixels)
        drawn = model.decode(z)
        # All codes against all pictures: square of the visible difference, by matrix products.
        seen = (~hidden).to(pixels).flatten(1)
        x, y = pixels.flatten(1), drawn.flatten(1)
        distance = (seen * x**2).sum(dim=1)[:, None] - 2 * (seen * x) @ y.T + seen @ (y**2).T
        fit = -0.5 * distance * torch.exp(-model.pixel_log_var)
        chosen = torch.multinomial(fit.softmax(dim=1), n_chains, replacement=True, generator=rng)
        scale = torch.exp(0.5 * model.encode(drawn)[1]).mean(dim=0)
    return z[chosen.T.flatten()], scale


def _langevin(target, z, scale, n_steps, rng):
    """Yield codes and the share of accepted steps, of Metropolis-adjusted Langevin chains."""
    step = torch.full((len(z), 1), 0.5, device=z.device)
    value, slope = target(z)
    for t in range(n_steps):
        spread = step * scale
        noise = torch.randn(z.shape, generator=rng, device=z.device)
        moved = z + 0.5 * spread**2 * slope + spread * noise
        new_value, new_slope = target(moved)
        back = (z - moved - 0.5 * spread**2 * new_slope) / spread
        log_ratio = new_value - value + 0.5 * (noise**2 - back**2).sum(dim=1)
        chance = log_ratio.clamp(max=0.0).exp().nan_to_num(0.0)
        taken = torch.rand(chance.shape, generator=rng, device=z.device) < chance
        z = torch.where(taken[:, None], moved, z)
        value = torch.where(taken, new_value, value)
        slope = torch.where(taken[:, None], new_slope, slope)
        if t < n_steps // 2:  # later changes would spoil the chain
            step = step * torch.exp(0.1 * (chance - TARGET))[:, None]
        yield z, taken.float().mean().item()


def _as_hidden(hidden, pixels):
    """Return `hidden` as booleans of the shape of `pixels`, each picture with something visible."""
    hidden = torch.as_tensor(hidden)
    shape = tuple(pixels.shape)
    try:
        fits = hidden.dtype == torch.bool and torch.broadcast_shapes(hidden.shape, shape) == shape
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(
            f"hidden must be booleans that broadcast to the shape of pixels, {shape}, got "
            f"{hidden.dtype} of shape {tuple(hidden.shape)}. For one mask: booleans (side, side)."
        )
    hidden = hidden.expand(shape)
    if hidden.flatten(1).all(dim=1).any():
        raise ValueError("hidden says that every pixel of a picture is. Leave some visible.")
    return hidden
