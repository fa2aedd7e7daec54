"""The bound of a variational autoencoder, term by term, in nats (chapter 11)."""

from typing import NamedTuple

import torch

from gmmlearn.gaussian import LOG_2PI


class ElboTerms(NamedTuple):
    """The two terms of the evidence's lower bound, for each picture (eq. vae-elbo)."""

    reconstruction_log_prob: torch.Tensor
    """(B,) nats: expected log density of the picture given its code."""
    kl: torch.Tensor
    """(B,) nats: what the code costs, the encoder's divergence from the prior."""

    @property
    def elbo(self):
        """(B,) nats: reconstruction_log_prob - kl, never above the evidence in expectation."""
        return self.reconstruction_log_prob - self.kl


def gaussian_log_prob(x, mean, log_var):
    """Return the log density of Gaussians with independent features.

    Parameters
    ----------
    x : tensor (B, ...)
        Points; all axes but the first are features.
    mean, log_var : tensor
        Mean and log of the variance of each feature, broadcast to the shape of x.

    Returns
    -------
    tensor (B,)
        Nats.

    Examples
    --------
    >>> x = torch.zeros(1, 2)
    >>> round(gaussian_log_prob(x, x, x).item(), 4)
    -1.8379
    """
    terms = (x - mean).square() * torch.exp(-log_var) + log_var + LOG_2PI
    return -0.5 * terms.flatten(1).sum(dim=1)


def gaussian_kl(z_mean, z_log_var):
    """Return the divergence of N(z_mean, exp(z_log_var)) from N(0, I) (eq. vae-kl).

    Parameters
    ----------
    z_mean, z_log_var : tensor (B, d)
        Means, and logs of the variances.

    Returns
    -------
    tensor (B,)
        Nats, never negative.

    Examples
    --------
    >>> gaussian_kl(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2)).item()
    0.5
    """
    # expm1: near the prior, exp(v) - 1 - v would lose its digits.
    return 0.5 * (z_mean.square() + torch.expm1(z_log_var) - z_log_var).sum(dim=1)


def reparameterise(z_mean, z_log_var, rng=None):
    """Draw codes, differentiably: mean plus scaled noise (eq. vae-reparameterise).

    Parameters
    ----------
    z_mean, z_log_var : tensor (B, d)
        Means, and logs of the variances.
    rng : torch.Generator or None
        Source of the noise, on the same device.

    Returns
    -------
    tensor (B, d)
        z_mean + std * noise, with noise from N(0, I).
    """
    noise = torch.randn(z_mean.shape, generator=rng, dtype=z_mean.dtype, device=z_mean.device)
    return z_mean + torch.exp(0.5 * z_log_var) * noise
