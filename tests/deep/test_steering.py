"""What ties samples to components: losses by value, and the told game."""

import numpy as np
import pytest
import torch
from torch import nn

from gmmlearn.deep.gan import fit_gan
from gmmlearn.deep.networks import MLP
from gmmlearn.deep.prior import MixturePrior
from gmmlearn.deep.steering import Teller, keep_component, keep_density, tell_components
from gmmlearn.deep.training import seeded
from gmmlearn.mixture import Mixture

TWO = Mixture([0.25, 0.75], [[-1.0, 0.0], [1.0, 0.5]], [np.eye(2), [[0.5, 0.2], [0.2, 0.4]]])


@pytest.fixture
def prior():
    return MixturePrior.from_mixture(TWO, trainable=False, dtype=torch.float64)


@pytest.fixture
def encoder():
    """A linear map from samples (B, 3) to codes (B, 2)."""
    encoder = nn.Linear(3, 2).double()
    with torch.no_grad():
        encoder.weight.copy_(torch.tensor([[1.0, 2.0, 0.0], [0.0, -1.0, 0.5]]))
        encoder.bias.copy_(torch.tensor([0.1, -0.2], dtype=torch.float64))
    return encoder


def test_losses_are_minus_logs_of_the_codes_density_and_responsibility(prior, encoder):
    fake = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    codes = fake.numpy() @ encoder.weight.detach().numpy().T + [0.1, -0.2]
    found = keep_density(encoder, prior, 0.5)(None, labels, fake).detach()
    np.testing.assert_allclose(found, -0.5 * TWO.log_prob(codes), rtol=1e-12)
    found = keep_component(encoder, prior, 2.0)(None, labels, fake).detach()
    own = TWO.responsibilities(codes)[np.arange(6), labels]
    np.testing.assert_allclose(found, -2.0 * np.log(own), rtol=1e-10)


def test_gradients_reach_the_samples(prior, encoder):
    fake = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.zeros(4, dtype=torch.long)
    for make in (keep_component, keep_density):
        (slope,) = torch.autograd.grad(make(encoder, prior)(None, labels, fake).sum(), fake)
        assert slope.abs().sum() > 0.1


def test_a_negative_strength_is_refused(prior, encoder):
    for make in (keep_component, keep_density):
        with pytest.raises(ValueError, match="strength must be a finite number >= 0"):
            make(encoder, prior, -1.0)


def test_told_samples_carry_the_responsibilities_of_their_codes(prior):
    codes = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    samples = torch.arange(20.0, dtype=torch.float64).reshape(5, 1, 2, 2)
    told = tell_components(samples, codes, prior)
    np.testing.assert_array_equal(told[:, :4], samples.reshape(5, 4))
    np.testing.assert_allclose(told[:, 4:], TWO.responsibilities(codes.numpy()), rtol=1e-12)
    teller = Teller(nn.Identity(), prior)
    torch.testing.assert_close(teller(codes), tell_components(codes, codes, prior))
    assert not list(teller.parameters())


def mirror(generator):
    """Train a generator to give -z."""
    optimizer = torch.optim.Adam(generator.parameters(), 1e-2)
    z = torch.linspace(-1.5, 1.5, 100)[:, None]
    for _ in range(100):
        optimizer.zero_grad()
        (generator(z) + z).square().mean().backward()
        optimizer.step()
    assert (generator(z) + z).abs().max() < 0.3


def test_a_told_discriminator_ties_components_to_sides():
    """A generator that starts mirrored, left for right, has to turn round: told, it does."""
    two = Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[0.04]], [[0.04]]])
    prior = MixturePrior.from_mixture(two, trainable=False)
    X = torch.tensor(two.sample(800, rng=0)[0], dtype=torch.float32)
    with seeded(0):
        generator, discriminator = MLP(1, 1, 32), MLP(1 + 2, 1, 64, activation="leaky_relu")
    mirror(generator)
    fit_gan(
        Teller(generator, prior),
        discriminator,
        tell_components(X, X, prior),
        prior,
        300,
        learning_rates=(2e-3, 4e-3),
        r1=0.05,
        device="cpu",
    )
    with torch.no_grad():
        for k, side in enumerate((-1.0, 1.0)):
            z = prior.sample(300, rng=2, component=k)
            assert generator(z).mean().item() * side > 0.5
