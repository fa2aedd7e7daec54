"""Counts of multiply-adds: against loops that count, and against torch's own counter."""

import itertools

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gmmlearn.deep.arithmetic import layer_multiply_adds, multiply_adds, step_multiply_adds
from gmmlearn.deep.gan import r1_penalty
from gmmlearn.deep.networks import MLP, ConvDecoder, ConvEncoder


def test_a_convolution_is_counted_as_its_loops_run():
    layer = nn.Conv2d(3, 5, 4, stride=2, padding=1)
    count = sum(1 for _ in itertools.product(range(5), range(6), range(4), range(3), range(16)))
    assert layer_multiply_adds(layer, (3, 12, 8), (5, 6, 4)) == count


def test_a_transposed_convolution_is_counted_as_its_loops_run():
    layer = nn.ConvTranspose2d(3, 5, 4, stride=2, padding=1)
    count = sum(1 for _ in itertools.product(range(3), range(6), range(4), range(5), range(16)))
    assert layer_multiply_adds(layer, (3, 6, 4), (5, 12, 8)) == count


def test_a_linear_layer_is_counted_once_for_each_row():
    assert layer_multiply_adds(nn.Linear(7, 3), (7,), (3,)) == 21
    assert layer_multiply_adds(nn.Linear(7, 3), (4, 7), (4, 3)) == 84


@pytest.mark.parametrize(
    ("network", "x"),
    [
        (MLP(6, (1, 8, 8), width=10), torch.zeros(3, 6)),
        (ConvEncoder(28, 1, 5, width=6), torch.zeros(2, 1, 28, 28)),
        (ConvDecoder(5, 64, 3, width=2), torch.zeros(2, 5)),
    ],
)
def test_torch_counts_the_same(network, x):
    counts = multiply_adds(network, x)
    with FlopCounterMode(display=False) as counter:
        network(x)
    assert 2 * len(x) * sum(counts) == counter.get_total_flops()
    assert len(counts) == sum(1 for m in network if getattr(m, "weight", None) is not None)
    assert not any(m._forward_hooks for m in network)


def test_a_step_costs_three_times_the_pass_but_for_the_first_layer():
    network = ConvEncoder(8, 1, 5, width=6)
    x = torch.randn(4, 1, 8, 8)
    forward = multiply_adds(network, x)
    # Pixels ask for no gradient: the first layer has none to send back.
    found = step_multiply_adds(lambda: network(x).sum().backward(), batch_size=4)
    assert found == 3 * sum(forward) - forward[0]


def test_a_penalty_on_the_slope_is_counted_too():
    """A linear network's slope is a product of its weights: three products, and their gradients."""
    network = nn.Sequential(nn.Linear(5, 7, bias=False), nn.Linear(7, 1, bias=False))
    x = torch.randn(4, 5)
    plain = step_multiply_adds(lambda: network(x).sum().backward(), batch_size=4)
    first, last = 35, 7
    assert plain == 2 * first + 3 * last
    penalised = step_multiply_adds(lambda: r1_penalty(network, x).backward(), batch_size=4)
    # Forward; slopes back to x; then, backward through those, for W1 and what it met, and for W2.
    assert penalised == 2 * (first + last) + 2 * first + last
