"""How many numbers a model is made of: two models are compared at equally many (chapter 13)."""

import torch
from zuko.nn import MaskedLinear

from gmmlearn._validation import as_count
from gmmlearn.deep.flows import Whitening
from gmmlearn.mixture import Mixture


def n_parameters(model):
    """Count the numbers that were, or can be, fitted to data.

    Parameters
    ----------
    model : Mixture or torch Module
        For a mixture: K - 1 weights, K D means, K D (D + 1) / 2 covariances. For a network: its
        parameters, without those that a mask sets to zero. `whitened` adds those of its Gaussian.

    Returns
    -------
    int

    Examples
    --------
    >>> from gmmlearn.datasets import BLOBS
    >>> n_parameters(Mixture(**BLOBS))
    17
    """
    if isinstance(model, Mixture):
        return mixture_parameters(model.n_components, model.n_features)
    if not isinstance(model, torch.nn.Module):
        raise ValueError(
            f"model must be a Mixture or a torch Module, not {type(model).__name__}. Of a fitted "
            "GaussianMixture, pass Mixture(gm.weights_, gm.means_, gm.covariances_)."
        )
    if isinstance(model, Whitening):
        return mixture_parameters(1, len(model.mean))
    if hasattr(model, "to_mixture"):  # its raw tensors may hold more than is free
        return mixture_parameters(*model.means.shape)
    own = sum(
        int(model.mask.sum()) if isinstance(model, MaskedLinear) and name == "weight" else p.numel()
        for name, p in model.named_parameters(recurse=False)
    )
    return own + sum(map(n_parameters, model.children()))


def mixture_parameters(n_components, n_features):
    """Return the number of free parameters of a mixture with full covariances.

    Parameters
    ----------
    n_components, n_features : int >= 1
        K and D.

    Returns
    -------
    int
        K (1 + D + D (D + 1) / 2) - 1.
    """
    n_components = as_count(n_components, "n_components")
    n_features = as_count(n_features, "n_features")
    return n_components * (1 + n_features + n_features * (n_features + 1) // 2) - 1


def largest_within(budget, count):
    """Return the largest size whose number of parameters stays within a budget.

    Parameters
    ----------
    budget : int >= 1
        Parameters that may be spent.
    count : callable
        From a size, 1, 2, ..., to a number of parameters that grows with it.

    Returns
    -------
    int

    Examples
    --------
    >>> largest_within(600, lambda n_components: mixture_parameters(n_components, 2))
    100
    """
    budget = as_count(budget, "budget")
    if count(1) > budget:
        raise ValueError(
            f"budget is {budget}, but the smallest model has {count(1)} parameters. Raise the "
            "budget, or make the model simpler: fewer transforms, fewer bins."
        )
    high = 2
    while count(high) <= budget:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= budget else (low, middle)
    return low
