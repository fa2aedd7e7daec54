"""Networks: what they compute, how large they are, and that everything is connected."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch import nn

from gmmlearn.deep.networks import ACTIVATIONS, MLP, ConvDecoder, ConvEncoder, FourierFeatures
from gmmlearn.deep.training import seeded

SIZES = [(8, 1), (28, 1), (32, 1), (32, 3)]


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", lambda x: x * (x > 0)),
        ("leaky_relu", lambda x: torch.where(x > 0, x, 0.2 * x)),
        ("silu", lambda x: x / (1 + torch.exp(-x))),
        ("gelu", lambda x: x * (1 + torch.erf(x / math.sqrt(2))) / 2),
        ("elu", lambda x: torch.where(x > 0, x, torch.exp(x) - 1)),
        ("tanh", lambda x: 1 - 2 / (torch.exp(2 * x) + 1)),
    ],
)
def test_perceptron_equals_its_formula(name, function):
    with seeded(0):
        net = MLP(3, 2, width=7, depth=2, activation=name).double()
        X = torch.randn(5, 3, dtype=torch.float64)
        for p in net.parameters():  # biases begin at zero: then a forgotten one would not show
            nn.init.normal_(p)
    w = dict(net.named_parameters())
    hidden = function(X @ w["0.weight"].T + w["0.bias"])
    hidden = function(hidden @ w["2.weight"].T + w["2.bias"])
    expected = hidden @ w["4.weight"].T + w["4.bias"]
    torch.testing.assert_close(net(X), expected, rtol=1e-12, atol=1e-12)


def test_perceptrons_of_pictures_are_those_of_their_flat_pixels():
    with seeded(1):
        encoder, decoder = MLP((1, 8, 8), 4), MLP(2, (1, 8, 8), squash=True)
        pixels, z = torch.rand(5, 1, 8, 8), torch.randn(5, 2)
    torch.testing.assert_close(encoder(pixels), encoder[1:](pixels.reshape(5, 64)))
    flat = decoder[:5](z)
    torch.testing.assert_close(decoder(z), torch.tanh(flat).reshape(5, 1, 8, 8))


def test_parameter_counts_by_hand():
    assert n_parameters(MLP(3, 2, width=7, depth=2)) == (3 * 7 + 7) + (7 * 7 + 7) + (7 * 2 + 2)
    assert n_parameters(MLP(3, 2, depth=0)) == 3 * 2 + 2
    assert n_parameters(MLP((1, 8, 8), 5, width=10, depth=1)) == 64 * 10 + 10 + 10 * 5 + 5
    # Kernels of 4 x 4; 28 -> 14 -> 7 with 1, 6, 12 channels.
    convolutions = (1 * 6 * 16 + 6) + (6 * 12 * 16 + 12)
    assert n_parameters(ConvEncoder(28, 1, 5, width=6)) == convolutions + 12 * 49 * 5 + 5
    convolutions = (12 * 6 * 16 + 6) + (6 * 1 * 16 + 1)
    assert n_parameters(ConvDecoder(5, 28, 1, width=6)) == 5 * 588 + 588 + convolutions
    # 32 -> 16 -> 8 -> 4 with 3, 4, 8, 16 channels.
    convolutions = (3 * 4 + 4 * 8 + 8 * 16) * 16 + 4 + 8 + 16
    assert n_parameters(ConvEncoder(32, 3, 5, width=4)) == convolutions + 256 * 5 + 5
    convolutions = (3 * 4 + 4 * 8 + 8 * 16) * 16 + 8 + 4 + 3
    assert n_parameters(ConvDecoder(5, 32, 3, width=4)) == 5 * 256 + 256 + convolutions
    # 64 -> 32 -> 16 -> 8 -> 4 with 3, 2, 4, 8, 16 channels.
    convolutions = (3 * 2 + 2 * 4 + 4 * 8 + 8 * 16) * 16 + 2 + 4 + 8 + 16
    assert n_parameters(ConvEncoder(64, 3, 5, width=2)) == convolutions + 256 * 5 + 5
    assert ConvDecoder(5, 64, 3, width=2)(torch.zeros(2, 5)).shape == (2, 3, 64, 64)


@pytest.mark.parametrize(("side", "n_channels"), SIZES)
def test_each_output_of_an_encoder_sees_each_pixel(side, n_channels):
    with seeded(2):
        encoder = ConvEncoder(side, n_channels, 3, width=4).double()
        pixels = torch.randn(n_channels, side, side, dtype=torch.float64)
    seen = torch.func.jacrev(lambda x: encoder(x[None])[0])(pixels)
    assert seen.shape == (3, n_channels, side, side)
    assert (seen != 0).all()


@pytest.mark.parametrize(("side", "n_channels"), SIZES)
@pytest.mark.parametrize("squash", [False, True])
def test_each_pixel_of_a_decoder_depends_on_each_latent(side, n_channels, squash):
    with seeded(3):
        decoder = ConvDecoder(2, side, n_channels, width=4, squash=squash).double()
        z = torch.randn(2, dtype=torch.float64)
    moves = torch.func.jacrev(lambda z: decoder(z[None])[0])(z)
    assert moves.shape == (n_channels, side, side, 2)
    assert (moves != 0).all()
    drawn = decoder(100 * z[None])
    assert bool((drawn.abs() <= 1).all()) == squash


def test_a_picture_is_encoded_alike_in_any_company():
    with seeded(4):
        encoder = ConvEncoder(28, 1, 3, width=4).double()
        pixels = torch.randn(5, 1, 28, 28, dtype=torch.float64)
    torch.testing.assert_close(encoder(pixels)[2:3], encoder(pixels[2:3]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_initial_weights_keep_the_signal(name):
    """Inside, each sum has variance one; the last is damped by E[a^2], from SciPy's integral."""
    square = ACTIVATIONS[name]()
    mean_square = quad(
        lambda x: square(torch.tensor(x, dtype=torch.float64)).item() ** 2 * norm.pdf(x), -12, 12
    )[0]
    sizes = np.mean([sizes_of_sums(MLP, name, seed) for seed in range(5)], axis=0)
    np.testing.assert_allclose(sizes[:-1], 1.0, atol=0.1)
    assert sizes[-1] == pytest.approx(mean_square, abs=0.1)


def sizes_of_sums(make, activation, seed):
    """Return the mean square of what each linear layer gives for standard normal data."""
    with seeded(seed):
        net = make(200, 400, width=400, depth=6, activation=activation)
        signal = torch.randn(300, 200)
    sizes = []
    for layer in net:
        signal = layer(signal)
        if isinstance(layer, nn.Linear):
            sizes.append(signal.detach().square().mean().item())
    return sizes


def test_initial_weights_of_convolutions_keep_the_signal():
    sizes = np.zeros((2, 3))
    n_seeds = 20
    for seed in range(n_seeds):
        with seeded(seed):
            nets = ConvEncoder(32, 3, 20), ConvDecoder(50, 32, 3)
            signals = torch.randn(10, 3, 32, 32), torch.randn(10, 50)
        for net, signal, row in zip(nets, signals, sizes, strict=True):
            place = 0
            for layer in net:
                signal = layer(signal)
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                    edge = signal.shape[-1] // 4  # there, terms are missing
                    inside = signal.detach()[..., edge:-edge, edge:-edge]
                    row[place] += inside.square().mean().item() / n_seeds
                    place += 1
        for net in nets:
            assert all((p == 0).all() for n, p in net.named_parameters() if n.endswith("bias"))
    np.testing.assert_allclose(sizes[0], 1.0, atol=0.1)
    # The decoder's last layer is damped: E[silu(x)^2] = 0.356.
    np.testing.assert_allclose(sizes[1], [1.0, 1.0, 0.356], atol=0.1)


def test_slices_are_networks():
    with seeded(8):
        net, X = MLP(3, 2), torch.randn(4, 3)
    torch.testing.assert_close(net[-1](net[:-1](X)), net(X))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: MLP(2, 1, activation="swish"), "activation is 'swish'. Use one of: relu"),
        (lambda: MLP(2, 1, width=0), "width must be at least 1"),
        (lambda: MLP(2, 1, depth=-1), "depth must be at least 0"),
        (lambda: MLP(2.5, 1), "in_features must be a whole number"),
        (lambda: MLP(2, (1, 0, 8)), "out_features must be at least 1"),
        (lambda: ConvEncoder(30, 1, 2), "side is 30. Use pictures of 8, 28, 32 or 64"),
        (lambda: ConvDecoder(2, 128, 3), "side is 128"),
        (lambda: ConvDecoder(0, 28, 1), "latent_dim must be at least 1"),
        (lambda: ConvEncoder(28, 0, 2), "n_channels must be at least 1"),
    ],
)
def test_bad_arguments_are_refused_by_name(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_fourier_features_are_the_points_and_waves_of_a_gaussian_kernel():
    torch.manual_seed(0)
    features = FourierFeatures(2, n_waves=20_000, std=1.5).double()
    x = torch.tensor([[0.3, -0.4], [0.5, 0.2]], dtype=torch.float64)
    found = features(x)
    torch.testing.assert_close(found[:, :2], x)
    # Bochner: the mean of cos(w'x) cos(w'y) + sin(w'x) sin(w'y) tends to exp(-std^2 |x - y|^2 / 2).
    waves = found[:, 2:]
    alike = (waves[0] * waves[1]).sum().item() / 20_000
    assert alike == pytest.approx(math.exp(-(1.5**2) * (x[0] - x[1]).square().sum() / 2), abs=0.02)
    assert (waves[0] * waves[0]).sum().item() / 20_000 == pytest.approx(1.0)
    assert not list(features.parameters())  # drawn once, never trained
    assert set(features.state_dict()) == {"waves"}  # and saved with the network


@pytest.mark.parametrize(
    ("given", "name"), [((0, 3), "in_features"), ((2, 0), "n_waves"), ((2, 3, 0.0), "std")]
)
def test_fourier_features_refuse_by_name(given, name):
    with pytest.raises(ValueError, match=f"^{name} must"):
        FourierFeatures(*given)
