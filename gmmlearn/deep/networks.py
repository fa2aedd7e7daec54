"""Networks: perceptrons for points and small pictures, convolutions for larger ones.

Every network is a plain sequence of layers, so that it can be printed, sliced and changed. None
has batch norm: there, what the network says of one picture would depend on the others. The last
layer has no activation, unless `squash` is asked for.
"""

import itertools
import math
from contextlib import contextmanager

import torch
from torch import nn

from gmmlearn._validation import as_count, as_positive

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
}
"""Names of activations, and what makes the layer."""


class Layers(nn.Sequential):
    """A sequence whose slices are plain sequences."""

    def __getitem__(self, place):
        """Return a layer, or a sequence of some."""
        return nn.Sequential(*list(self)[place]) if isinstance(place, slice) else list(self)[place]


class MLP(Layers):
    """A perceptron: linear layers with activations between them.

    Parameters
    ----------
    in_features, out_features : int or tuple of int
        Numbers that come in and go out. A tuple is the shape of one sample: ``(1, 8, 8)`` for
        digits, which are flattened on the way in and unflattened on the way out.
    width : int
        Numbers between two layers.
    depth : int
        Hidden layers; 0 gives a linear map.
    activation : str
        A key of `ACTIVATIONS`.
    squash : bool
        Whether a tanh at the end keeps the output between -1 and 1.

    Examples
    --------
    >>> encoder = MLP((1, 8, 8), 2)
    >>> encoder(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 2])
    >>> decoder = MLP(2, (1, 8, 8), squash=True)
    >>> decoder(torch.zeros(5, 2)).shape
    torch.Size([5, 1, 8, 8])
    """

    def __init__(
        self, in_features, out_features, width=128, depth=2, activation="silu", squash=False
    ):
        as_count(width, "width")
        as_count(depth, "depth", at_least=0)
        _require_activation(activation)
        sizes = [_size(in_features, "in_features"), *[width] * depth]
        layers = [nn.Flatten()] if isinstance(in_features, tuple) else []
        for n_in, n_out in itertools.pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
        layers.append(nn.Linear(sizes[-1], _size(out_features, "out_features")))
        if isinstance(out_features, tuple):
            layers.append(nn.Unflatten(1, out_features))
        super().__init__(*layers, *[nn.Tanh()] * squash)
        start_weights(self, activation)


class FourierFeatures(nn.Module):
    """Points and random waves of them, for a network that is to see fine shapes.

    A perceptron learns what changes slowly over its input long before what changes fast. Of points
    x it is given x, sin(x W) and cos(x W) instead, with W drawn once from a Gaussian.

    Parameters
    ----------
    in_features : int
        F, of a point.
    n_waves : int
        Columns of W; F + 2 n_waves numbers go out.
    std : float > 0
        Of the entries of W: shapes of the size 1 / std are seen best.

    References
    ----------
    tancik2020fourier.

    Examples
    --------
    >>> judge = nn.Sequential(FourierFeatures(2, n_waves=8, std=2.0), MLP(18, 1))
    >>> judge(torch.zeros(5, 2)).shape
    torch.Size([5, 1])
    """

    def __init__(self, in_features, n_waves=32, std=1.0):
        super().__init__()
        shape = as_count(in_features, "in_features"), as_count(n_waves, "n_waves")
        self.register_buffer("waves", as_positive(std, "std") * torch.randn(shape))

    def forward(self, x):
        """Return points and waves.

        Parameters
        ----------
        x : tensor (B, F)

        Returns
        -------
        tensor (B, F + 2 n_waves)
        """
        angles = x @ self.waves
        return torch.cat([x, angles.sin(), angles.cos()], dim=1)


class ConvEncoder(Layers):
    """Convolutions from pixels to numbers: each halves the picture and doubles the channels.

    Parameters
    ----------
    side : {8, 28, 32, 64}
        Pixels a side. Pictures are halved down to 4 x 4, or 7 x 7 from 28.
    n_channels : int
        1 for grey, 3 for colour.
    out_features : int
        Numbers that go out: `latent_dim` for an autoencoder, twice that for a VAE, 1 for a
        discriminator.
    width : int
        Channels after the first convolution. Time and parameters grow with its square.
    activation : str
        A key of `ACTIVATIONS`.

    Examples
    --------
    >>> ConvEncoder(28, 1, 10, width=8)(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 10])
    """

    def __init__(self, side, n_channels, out_features, width=32, activation="silu"):
        channels, last_side = _stages(side, n_channels, width)
        as_count(out_features, "out_features")
        _require_activation(activation)
        layers = []
        for n_in, n_out in itertools.pairwise(channels):
            layers += [nn.Conv2d(n_in, n_out, 4, stride=2, padding=1), ACTIVATIONS[activation]()]
        super().__init__(
            *layers, nn.Flatten(), nn.Linear(channels[-1] * last_side**2, out_features)
        )
        start_weights(self, activation)


class ConvDecoder(Layers):
    """Transposed convolutions from numbers to pixels: the mirror of `ConvEncoder`.

    Kernels of 4 with a stride of 2 overlap evenly: every pixel is a sum of equally many terms, so
    that no chequerboard shows.

    Parameters
    ----------
    latent_dim : int
        Numbers that come in.
    side, n_channels, width, activation
        As for `ConvEncoder`; `width` counts the channels before the last layer.
    squash : bool
        Whether a tanh at the end keeps pixels between -1 and 1.

    Examples
    --------
    >>> ConvDecoder(10, 32, 3, width=8)(torch.zeros(5, 10)).shape
    torch.Size([5, 3, 32, 32])
    """

    def __init__(self, latent_dim, side, n_channels, width=32, activation="silu", squash=False):
        as_count(latent_dim, "latent_dim")
        channels, first_side = _stages(side, n_channels, width)
        channels = channels[::-1]
        _require_activation(activation)
        layers = [
            nn.Linear(latent_dim, channels[0] * first_side**2),
            nn.Unflatten(1, (channels[0], first_side, first_side)),
        ]
        for n_in, n_out in itertools.pairwise(channels):
            layers += [ACTIVATIONS[activation]()]
            layers += [nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1)]
        super().__init__(*layers, *[nn.Tanh()] * squash)
        start_weights(self, activation)


def start_weights(network, activation):
    """Draw initial weights that keep the size of the signal from layer to layer.

    A sum of n terms w a of mean zero has the variance n var(w) E[a^2]. So w gets the variance
    1 / (n E[a^2]): for a rectifier that is He's 2 / n. The first layer sees data and the last one
    is left at 1 / n, so that training begins with small outputs. Biases begin at zero.

    Parameters
    ----------
    network : nn.Sequential
        Changed in place. Weights come from torch's global generator: see `training.seeded`.
    activation : str
        A key of `ACTIVATIONS`: what stands between the layers.

    References
    ----------
    he2015delving.
    """
    layers = [m for m in network.modules() if getattr(m, "weight", None) is not None]
    inner_gain = 1.0 / math.sqrt(_mean_square(activation))
    for place, layer in enumerate(layers):
        gain = 1.0 if place in (0, len(layers) - 1) else inner_gain
        nn.init.normal_(layer.weight, std=gain / math.sqrt(_n_terms(layer)))
        nn.init.zeros_(layer.bias)


@contextmanager
def at_rest(*networks):
    """Hold networks in evaluation mode and without gradients, so that a trial changes nothing.

    Parameters
    ----------
    *networks : nn.Module
        Every part goes back to the mode that it had: no running mean moves meanwhile.
    """
    modes = [(part, part.training) for network in networks for part in network.modules()]
    for network in networks:
        network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes:
            part.training = training


def apply_network(network, x, name, hint):
    """Apply a network, or say that it does not fit.

    Parameters
    ----------
    network : callable
    x : tensor (B, ...)
        What it is tried on.
    name : str
        What the network is called in the error.
    hint : str
        Where the shape comes from, such as "latent_dim of the prior is 2".

    Returns
    -------
    tensor

    Raises
    ------
    ValueError
        If the network cannot take a batch of this shape.
    """
    try:
        return network(x)
    except RuntimeError as error:
        raise ValueError(
            f"{name} cannot take a batch of shape {tuple(x.shape)}: {hint}. Build it for that "
            f"({error})."
        ) from None


def _n_terms(layer):
    """Return how many terms make one number of a layer's output."""
    n_terms = layer.weight[0].numel()
    if isinstance(layer, nn.ConvTranspose2d):  # (in, out, side, side), and strides share a kernel
        n_terms = layer.weight[:, 0].numel() // math.prod(layer.stride)
    return n_terms


def _mean_square(activation):
    """Return E[a(x)^2] for standard normal x."""
    x = torch.linspace(-10.0, 10.0, 20_001, dtype=torch.float64)
    weights = torch.exp(-(x**2) / 2)
    squares = ACTIVATIONS[activation]()(x) ** 2
    return float((weights * squares).sum() / weights.sum())


def _stages(side, n_channels, width):
    """Return the channels after each halving, the pixels' first, and the side at the end."""
    as_count(n_channels, "n_channels")
    as_count(width, "width")
    if side not in (8, 28, 32, 64):
        raise ValueError(f"side is {side!r}. Use pictures of 8, 28, 32 or 64 pixels a side.")
    channels = [n_channels]
    while side % 2 == 0 and side > 4:
        side //= 2
        channels.append(width << (len(channels) - 1))
    return channels, side


def _size(features, name):
    """Return how many numbers a count or a shape stands for."""
    shape = features if isinstance(features, tuple) else (features,)
    return math.prod(as_count(size, name) for size in shape)


def _require_activation(activation):
    """Raise if there is no such activation."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}. Use one of: {', '.join(ACTIVATIONS)}.")
