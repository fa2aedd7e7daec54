"""The published networks: their sizes, their start, and what maxout is."""

import numpy as np
import pytest
import torch
from torch import nn

from gmmlearn.deep.pacgan import Maxout, pacgan_discriminator, pacgan_generator


def n_parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_maxout_is_the_largest_of_its_affine_maps():
    layer = Maxout(3, 4, n_pieces=5)
    x = torch.randn(6, 3)
    weights, offsets = (p.detach().numpy() for p in layer.affine.parameters())
    pieces = x.numpy() @ weights.T + offsets
    expected = [[pieces[i, j::4].max() for j in range(4)] for i in range(6)]
    np.testing.assert_allclose(layer(x).detach(), expected, rtol=1e-5)


@pytest.mark.parametrize("packing", [1, 2, 4])
def test_sizes_are_those_of_the_published_layers(packing):
    # Weights without offsets, two numbers of each batch normalisation, and the last layer.
    assert n_parameters(pacgan_generator()) == 2 * 400 + 3 * 400**2 + 4 * 2 * 400 + 400 * 2 + 2
    discriminator = pacgan_discriminator(packing)
    expected = (2 * packing + 1) * 1000 + 2 * 201 * 1000 + 201
    assert n_parameters(discriminator) == expected
    assert discriminator(torch.zeros(3, 2 * packing)).shape == (3,)
    assert pacgan_generator()(torch.randn(3, 2)).shape == (3, 2)


def test_weights_start_small_and_offsets_at_zero():
    torch.manual_seed(0)
    for network in (pacgan_generator(), pacgan_discriminator()):
        for module in network.modules():
            if isinstance(module, nn.Linear) and module.weight.numel() > 1e4:
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                assert not module.bias.any()
