"""Autoencoder and variational autoencoder: maps to codes and back, learned (chapter 11)."""

import math

import numpy as np
import torch
from torch import nn

from gmmlearn._validation import as_count, as_nonnegative, as_numbers, as_points, as_positive
from gmmlearn.deep import ranks
from gmmlearn.deep.elbo import ElboTerms, gaussian_kl, gaussian_log_prob, reparameterise
from gmmlearn.deep.training import train

_BLOCK = 2048
"""Pictures in one pass outside training."""


class Autoencoder(nn.Module):
    """An encoder from pictures to codes, a decoder back.

    Parameters
    ----------
    encoder : nn.Module
        Pixels (B, C, side, side) to codes (B, d); points (B, D) do as well.
    decoder : nn.Module
        Codes (B, d) to pixels.

    References
    ----------
    bourlard1988auto.

    Examples
    --------
    >>> from gmmlearn.deep.networks import MLP
    >>> model = Autoencoder(MLP((1, 8, 8), 2), MLP(2, (1, 8, 8)))
    >>> model(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 1, 8, 8])
    """

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, x):
        """Return the codes (B, d) of pixels (B, C, side, side)."""
        return self.encoder(x)

    def decode(self, z):
        """Return the pixels (B, C, side, side) of codes (B, d)."""
        return self.decoder(z)

    def forward(self, x):
        """Return what comes back."""
        return self.decode(self.encode(x))


class VAE(nn.Module):
    """A density of pictures: Gaussian pixels around a decoded code (eq. vae-evidence).

    Parameters
    ----------
    encoder : nn.Module
        Pixels (B, C, side, side) to 2 d numbers: the means of d codes, then the logs of their
        variances.
    decoder : nn.Module
        Codes (B, d) to the means of the pixels.
    prior : nn.Module, optional
        Density of codes with `latent_dim`, `log_prob(z)` and `sample(n)`; None is N(0, I). Its
        parameters, if it has any, are trained with the rest.
    pixel_std : float > 0
        Standard deviation of each pixel around its mean, in units of pixels in [-1, 1].
    learn_pixel_std : bool
        Whether `pixel_std` is only where training starts.

    Raises
    ------
    ValueError
        If `pixel_std` is not positive; on use, if the encoder's numbers do not fit the prior.

    References
    ----------
    kingma2014auto; rezende2014stochastic.
    """

    def __init__(self, encoder, decoder, prior=None, pixel_std=0.2, learn_pixel_std=False):
        super().__init__()
        self.encoder, self.decoder, self.prior = encoder, decoder, prior
        log_var = torch.tensor(2.0 * math.log(as_positive(pixel_std, "pixel_std")))
        self.pixel_log_var = nn.Parameter(log_var, requires_grad=bool(learn_pixel_std))

    @property
    def pixel_std(self):
        """Standard deviation of each pixel around the decoder's mean."""
        return math.exp(0.5 * self.pixel_log_var.item())

    def encode(self, x):
        """Return `z_mean` and `z_log_var`, (B, d) each, for pixels (B, C, side, side)."""
        numbers = self.encoder(x)
        if numbers.ndim != 2 or numbers.shape[1] % 2:
            raise ValueError(
                f"encoder returns shape {tuple(numbers.shape)}, expected (batch_size, 2 * "
                "latent_dim): a mean and a log variance for each code."
            )
        z_mean, z_log_var = numbers.chunk(2, dim=1)
        if self.prior is not None and self.prior.latent_dim != z_mean.shape[1]:
            raise ValueError(
                f"prior has latent_dim = {self.prior.latent_dim}, but the encoder returns "
                f"{numbers.shape[1]} numbers, which is latent_dim = {z_mean.shape[1]}. An encoder "
                f"for this prior has out_features = {2 * self.prior.latent_dim}."
            )
        return z_mean, z_log_var

    def decode(self, z):
        """Return the means (B, C, side, side) of the pixels of codes (B, d)."""
        return self.decoder(z)

    def log_prior(self, z):
        """Return the prior's log density (B,) of codes (B, d), in nats."""
        if self.prior is not None:
            return self.prior.log_prob(z)
        return gaussian_log_prob(z, torch.zeros_like(z), torch.zeros_like(z))


def elbo_terms(model, x, rng=None):
    """Return the two terms of the bound, from one draw of each code (eq. vae-elbo).

    Parameters
    ----------
    model : VAE
    x : tensor (B, C, side, side)
        Pixels in [-1, 1].
    rng : torch.Generator or None
        Source of the noise, on the model's device.

    Returns
    -------
    ElboTerms
        Nats. For the prior N(0, I) `kl` is exact; for any other it is log q(z | x) - log p(z) at
        the draw, which is right on average and may be negative.
    """
    z_mean, z_log_var = model.encode(x)
    z = reparameterise(z_mean, z_log_var, rng)
    mean = model.decode(z)
    if mean.shape != x.shape:
        raise ValueError(
            f"decoder returns shape {tuple(mean.shape)} for pixels of shape {tuple(x.shape)}. "
            "Build it for these pictures."
        )
    if model.prior is None:
        kl = gaussian_kl(z_mean, z_log_var)
    else:
        kl = gaussian_log_prob(z, z_mean, z_log_var) - model.log_prior(z)
    return ElboTerms(gaussian_log_prob(x, mean, model.pixel_log_var), kl)


def fit_autoencoder(
    model, pixels, n_steps=3000, batch_size=100, learning_rate=2e-3, code_penalty=0.0, **loop
):
    """Train an autoencoder by its squared error, with Adam (eq. autoencoder-pca if linear).

    Parameters
    ----------
    model : Autoencoder
        Trained in place.
    pixels : tensor (N, C, side, side)
        Pictures in [-1, 1], as from `as_pixels`.
    n_steps, batch_size : int
        Steps, and pictures in each.
    learning_rate : float > 0
        Its start; it falls to zero along a cosine.
    code_penalty : float >= 0
        Times half the squared length of the code, added to half the squared error: keeps the codes
        near zero, at the price of errors (eq. gmm-gan-codes, ghosh2020from).
    **loop
        `seed`, `device`, `progress`, `checkpoint` and the rest of `training.train`.

    Returns
    -------
    Trained
        `history` has "squared_error", the mean over pictures of its sum over pixels, and
        "code_length", the mean squared length of codes.

    Raises
    ------
    ValueError
        If an argument is malformed, or the networks do not fit the pictures.

    References
    ----------
    ghosh2020from.
    """
    pixels = require_pixels(pixels, "pixels", at_least=2)
    code_penalty = as_nonnegative(code_penalty, "code_penalty")
    _require_shape(model(_probe(model, pixels)), pixels)

    ranks.require_shares(as_count(batch_size, "batch_size", at_least=2))

    def losses(batch, rng):
        x = ranks.share(batch)
        z = model.encode(x)
        error = (model.decode(z) - x).square().flatten(1).sum(dim=1).mean()
        length = z.square().sum(dim=1).mean()
        return 0.5 * (error + code_penalty * length), {
            "squared_error": error,
            "code_length": length,
        }

    return _fit(losses, model, pixels, n_steps, batch_size, learning_rate, loop)


def fit_vae(model, pixels, n_steps=3000, batch_size=100, learning_rate=2e-3, **loop):
    """Train a VAE by raising its bound, with Adam.

    Parameters
    ----------
    model : VAE
        Trained in place, its prior included.
    pixels : tensor (N, C, side, side)
        Pictures in [-1, 1], as from `as_pixels`.
    n_steps, batch_size : int
        Steps, and pictures in each.
    learning_rate : float > 0
        Its start; it falls to zero along a cosine.
    **loop
        `seed`, `device`, `progress`, `checkpoint` and the rest of `training.train`.

    Returns
    -------
    Trained
        `history` has "elbo", "reconstruction_log_prob" and "kl", mean nats per picture.

    Raises
    ------
    ValueError
        If an argument is malformed, or the networks do not fit the pictures or the prior.

    References
    ----------
    kingma2014auto.
    """
    pixels = require_pixels(pixels, "pixels", at_least=2)
    elbo_terms(model, _probe(model, pixels))

    def losses(x, rng):
        terms = elbo_terms(model, x, rng)
        report = terms._asdict() | {"elbo": terms.elbo}
        report = {name: value.mean() for name, value in report.items()}
        return -report["elbo"], report

    return _fit(losses, model, pixels, n_steps, batch_size, learning_rate, loop)


def _fit(losses, model, pixels, n_steps, batch_size, learning_rate, loop):
    """Run the loop: `losses` returns what falls, and what is reported."""
    as_count(batch_size, "batch_size", at_least=2)
    n_steps = as_count(n_steps, "n_steps")
    learning_rate = as_positive(learning_rate, "learning_rate")
    optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], lr=learning_rate
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    ranks.agree(model)

    def step(batch, rng):
        loss, report = losses(batch, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        ranks.average_gradients(model)
        optimizer.step()
        return {name: value.detach() for name, value in report.items()}

    return train(
        step,
        pixels,
        modules={"model": model},
        optimizers={"model": optimizer},
        schedulers={"model": schedule},
        n_steps=n_steps,
        batch_size=batch_size,
        **loop,
    )


def to_codes(model, pixels, rng=None):
    """Encode pictures, block by block.

    Parameters
    ----------
    model : Autoencoder or VAE
    pixels : tensor (N, C, side, side)
        Pictures in [-1, 1].
    rng : int or None
        For a VAE: None returns the encoder's means; a seed draws one code for each picture from
        the encoder's Gaussian, as its decoder was trained on.

    Returns
    -------
    array (N, d)
        Float64.
    """
    pixels = require_pixels(pixels, "pixels")
    device = _device(model)
    noise = None if rng is None else torch.Generator(device).manual_seed(as_count(rng, "rng", 0))
    parts = []
    with torch.no_grad():
        for x in pixels.split(_BLOCK):
            z = model.encode(x.to(device))
            if isinstance(z, tuple):
                z = z[0] if noise is None else reparameterise(*z, noise)
            parts.append(z.double().cpu())
    return torch.cat(parts).numpy()


def to_pixels(model, codes):
    """Decode codes, block by block.

    Parameters
    ----------
    model : Autoencoder or VAE
    codes : array-like (N, d)
        Codes, of pictures or drawn from a prior or a mixture.

    Returns
    -------
    tensor (N, C, side, side)
        Float32 on the processor; a decoder without a squashing end may leave [-1, 1], and
        `as_images` clips.
    """
    if isinstance(codes, torch.Tensor):
        codes = codes.detach().cpu().numpy()
    codes = torch.as_tensor(as_points(codes, name="codes"), dtype=torch.float32)
    with torch.no_grad():
        return torch.cat([model.decode(z.to(_device(model))).cpu() for z in codes.split(_BLOCK)])


def require_pixels(pixels, name, at_least=1):
    """Return `pixels` as float32 (N, C, side, side), or say what is wrong with them.

    Parameters
    ----------
    pixels : tensor or array (N, C, side, side), or points (N, D)
        Values in [-1, 1].
    name : str
        Their name in the message.
    at_least : int
        Least number of pictures.

    Returns
    -------
    tensor

    Raises
    ------
    ValueError
        If they are not finite, lie outside [-1, 1], or are too few.
    """
    if not isinstance(pixels, torch.Tensor):
        shape_hint = "(n_samples, channels, side, side)"
        pixels = torch.from_numpy(as_numbers(pixels, name, np.ndim(pixels), shape_hint))
    if pixels.ndim < 2 or pixels.numel() == 0:
        raise ValueError(
            f"{name} has shape {tuple(pixels.shape)}, expected (n_samples, channels, side, side). "
            "A single picture? Use pixels[None]. Pictures as arrays? Use as_pixels(images)."
        )
    if len(pixels) < at_least:
        raise ValueError(
            f"{name} has {len(pixels)} picture, but training takes batches of at least "
            f"{at_least}. Pass more pictures."
        )
    low, high = pixels.min().item(), pixels.max().item()
    if not (low >= -1.0 and high <= 1.0):  # also NaN
        raise ValueError(
            f"{name} has values from {low:.3g} to {high:.3g}, expected pixels in [-1, 1]. "
            "Use as_pixels(images, limits), with limits=(0, 16) for digits."
        )
    return pixels.to(torch.float32)


def _probe(model, pixels):
    """Return two pictures on the model's device, to see whether the networks fit."""
    return pixels[:2].to(_device(model))


def _require_shape(output, pixels):
    """Raise unless the decoder returns pictures of the shape of `pixels`."""
    if output.shape[1:] != pixels.shape[1:]:
        raise ValueError(
            f"decoder returns shape {tuple(output.shape)} for pixels of shape "
            f"{tuple(pixels[: len(output)].shape)}. Build it for these pictures."
        )


def _device(model):
    """Return where the model's parameters are."""
    return next(model.parameters()).device
