"""Parts that tie a generator to its mixture: further losses, a told judge, samples refined."""

import torch
from torch import nn

from gmmlearn._validation import as_nonnegative


def keep_component(encoder, prior, strength=1.0):
    """Return a loss that is low where a sample tells its component (eq. gmm-gan-information).

    The loss of a sample from component k is minus log p(k | code of the sample), so the mixture
    itself guesses which component a sample came from, and the generator helps it.

    Parameters
    ----------
    encoder : nn.Module
        Samples to codes (B, d).
    prior : MixturePrior
        Of such codes.
    strength : float >= 0
        What the loss is multiplied with.

    Returns
    -------
    function (z, labels, fake) -> tensor (B,)
        For the `terms` of `gmm_gan.fit_gmm_gan`; nats times strength.

    References
    ----------
    chen2016infogan.
    """
    strength = as_nonnegative(strength, "strength")

    def loss(z, labels, fake):
        guesses = prior.log_joint(encoder(fake)).log_softmax(dim=1)
        return -strength * guesses.gather(1, labels[:, None])[:, 0]

    return loss


def keep_density(encoder, prior, strength=1.0):
    """Return a loss that is low where a sample's code is likely (eq. gmm-gan-density).

    The loss is minus log p(code of the sample). It pulls towards the middle of the components: with
    much strength it costs diversity.

    Parameters
    ----------
    encoder : nn.Module
        Samples to codes (B, d).
    prior : MixturePrior
        Of such codes.
    strength : float >= 0
        What the loss is multiplied with.

    Returns
    -------
    function (z, labels, fake) -> tensor (B,)
        For the `terms` of `gmm_gan.fit_gmm_gan`; nats times strength.
    """
    strength = as_nonnegative(strength, "strength")

    def loss(z, labels, fake):
        return -strength * prior.log_prob(encoder(fake))

    return loss


def tell_components(samples, codes, prior):
    """Join flattened samples and the responsibilities of their codes.

    Parameters
    ----------
    samples : tensor (B, ...)
        Real ones with the codes of an encoder, or a generator's with the latent points they are
        made of.
    codes : tensor (B, d)
    prior : MixturePrior

    Returns
    -------
    tensor (B, features + K)
        What a discriminator reads that is told the component.
    """
    return torch.cat([samples.flatten(1), prior.responsibilities(codes)], dim=1)


class Teller(nn.Module):
    """A generator that tells with each sample its component (eq. gmm-gan-told).

    With it and `tell_components` of the real data, `gan.fit_gan` plays the game in which the
    discriminator is told the component (mirza2014conditional).

    Parameters
    ----------
    generator : nn.Module
        Latent points (B, d) to samples.
    prior : MixturePrior
        Where the latent points come from; fixed here.

    References
    ----------
    mirza2014conditional.
    """

    def __init__(self, generator, prior):
        super().__init__()
        self.generator = generator
        # A list, so that the prior's parameters are not among those that the game trains.
        self._prior = [prior]

    def forward(self, z):
        """Return samples and responsibilities of latent points z (B, d), joined."""
        return tell_components(self.generator(z), z, self._prior[0])


class Refiner(nn.Module):
    """A generator that moves the samples of a mixture of data a little (eq. gmm-gan-refiner).

    Its samples are z + network(z). The network's last linear layer begins at zero, so that before
    the first step the samples are the mixture's own.

    Parameters
    ----------
    network : nn.Module
        Samples (B, ...) to shifts of the same shape. Its last linear layer is set to zero.

    Examples
    --------
    >>> refiner = Refiner(nn.Linear(2, 2))
    >>> refiner(torch.tensor([[1.0, -2.0]])).tolist()
    [[1.0, -2.0]]
    """

    def __init__(self, network):
        super().__init__()
        last = [m for m in network.modules() if isinstance(m, nn.Linear)]
        if not last:
            raise ValueError("network has no linear layer to begin at zero. Use an `MLP`.")
        with torch.no_grad():
            last[-1].weight.zero_()
            last[-1].bias.zero_()
        self.network = network

    def forward(self, z):
        """Return z and its shift, added.

        Parameters
        ----------
        z : tensor (B, ...)

        Returns
        -------
        tensor (B, ...)
        """
        return z + self.network(z)
