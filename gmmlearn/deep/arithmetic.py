"""The arithmetic of a network, counted: what a device's speed is compared with (chapter 16)."""

import math

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


def layer_multiply_adds(layer, in_shape, out_shape):
    """Count the multiply-adds of one layer for one sample (eq. size-linear, eq. size-convolution).

    Parameters
    ----------
    layer : nn.Linear, nn.Conv2d or nn.ConvTranspose2d
    in_shape, out_shape : tuple of int
        Of one sample: (features,), or (channels, height, width).

    Returns
    -------
    int
        Products with padding counted as if it were pixels, biases and activations left out.
    """
    if isinstance(layer, nn.ConvTranspose2d):  # each pixel that comes in is spread by the kernel
        return math.prod(in_shape) * layer.weight[0].numel()
    if isinstance(layer, nn.Conv2d):  # each number that goes out is a sum under the kernel
        return math.prod(out_shape) * layer.weight[0].numel()
    return math.prod(in_shape[:-1]) * layer.weight.numel()


def multiply_adds(network, x):
    """Count the multiply-adds of a network's forward pass for one sample, layer by layer.

    Parameters
    ----------
    network : nn.Module
        Of linear layers and convolutions, and layers without products.
    x : tensor (B, ...)
        Samples that the network takes; they are passed through it once.

    Returns
    -------
    list of int
        One count for each layer that has weights, in the order of the pass.

    Examples
    --------
    >>> from gmmlearn.deep.networks import ConvEncoder
    >>> multiply_adds(ConvEncoder(8, 1, 2, width=3), torch.zeros(1, 1, 8, 8))
    [768, 96]
    """
    counts, kinds = [], (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    layers = [layer for layer in network.modules() if isinstance(layer, kinds)]

    def count(layer, inputs, output):
        shapes = tuple(inputs[0].shape[1:]), tuple(output.shape[1:])
        counts.append(layer_multiply_adds(layer, *shapes))

    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.no_grad():
            network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return counts


def step_multiply_adds(step, batch_size):
    """Count the multiply-adds of a training step for one sample, by torch (eq. size-turn).

    Parameters
    ----------
    step : callable
        Does one step on a batch: forward and backward passes.
    batch_size : int
        Samples in it.

    Returns
    -------
    float
    """
    with _Counter() as counter:
        step()
    return counter.n_operations / 2 / batch_size  # a multiply-add is two operations


class _Counter(TorchDispatchMode):
    """Adds up what torch's formulas give for each product; its own counter knows no R1."""

    def __init__(self):
        super().__init__()
        self.n_operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Call the function, and count it if there is a formula for it."""
        found = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function._overloadpacket)
        if formula is not None:
            self.n_operations += formula(*args, **(kwargs or {}), out_val=found)
        return found
