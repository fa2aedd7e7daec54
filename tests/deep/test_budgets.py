"""Numbers of parameters, against what really has an influence."""

import numpy as np
import pytest
import torch
import zuko

from gmmlearn.datasets import BLOBS
from gmmlearn.deep import flows
from gmmlearn.deep.budgets import largest_within, mixture_parameters, n_parameters
from gmmlearn.deep.prior import MixturePrior
from gmmlearn.gaussian import Gaussian
from gmmlearn.mixture import Mixture


@pytest.mark.parametrize("kind", ["NSF", "MAF", "RealNVP"])
@pytest.mark.parametrize("n_features", [2, 5])
def test_as_many_as_have_an_influence(kind, n_features):
    torch.manual_seed(0)
    flow = getattr(zuko.flows, kind)(
        n_features, transforms=2, hidden_features=(7, 6), activation=torch.nn.SiLU
    ).double()
    touched = [torch.zeros(p.shape, dtype=bool) for p in flow.parameters()]
    for _ in range(20):  # a spline's bin has a gradient only if a point lies in it
        x = 2 * torch.randn(50, n_features, dtype=torch.float64)
        z, ladj = flow.transform().call_and_ladj(x)
        outputs = z @ torch.randn(n_features, dtype=torch.float64) + ladj
        for seen, slope in zip(
            touched, torch.autograd.grad(outputs.sum(), flow.parameters()), strict=True
        ):
            seen |= slope != 0
    assert n_parameters(flow) == sum(int(seen.sum()) for seen in touched)


def test_a_mixture_has_what_a_hand_counts():
    # Three components in the plane: 2 weights, 6 numbers of means, 9 of covariances.
    assert n_parameters(Mixture(**BLOBS)) == mixture_parameters(3, 2) == 2 + 6 + 9
    assert mixture_parameters(1, 64) == 64 + 64 * 65 // 2
    assert n_parameters(MixturePrior.from_mixture(Mixture(**BLOBS))) == 17
    assert n_parameters(torch.nn.Linear(3, 4)) == 16


def test_whitening_and_base_are_counted():
    inner = zuko.flows.MAF(2, hidden_features=(5,))
    whole = flows.whitened(inner, Gaussian([0.0, 0.0], np.eye(2)))
    assert n_parameters(whole) == n_parameters(inner) + 5
    based = flows.flow_with_mixture_base(whole, MixturePrior(4, 2))
    assert n_parameters(based) == n_parameters(whole) + 23


@pytest.mark.parametrize("budget", [5, 11, 12, 599, 600])
def test_largest_within(budget):
    sizes = [K for K in range(1, 200) if 6 * K - 1 <= budget]
    assert largest_within(budget, lambda K: mixture_parameters(K, 2)) == max(sizes)


def test_what_is_refused():
    with pytest.raises(ValueError, match="model must be a Mixture or a torch Module"):
        n_parameters(np.zeros(3))
    with pytest.raises(ValueError, match="budget is 4, but the smallest model has 5"):
        largest_within(4, lambda K: mixture_parameters(K, 2))
    with pytest.raises(ValueError, match="n_features must be at least 1"):
        mixture_parameters(1, 0)
