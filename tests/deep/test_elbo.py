"""Each term of the bound against torch.distributions, integrals and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.distributions import Independent, Normal, kl_divergence

from gmmlearn.deep.elbo import ElboTerms, gaussian_kl, gaussian_log_prob, reparameterise


@pytest.fixture
def codes():
    rng = torch.Generator().manual_seed(0)
    mean = torch.randn(7, 3, generator=rng, dtype=torch.float64)
    return mean, 1.5 * torch.randn(7, 3, generator=rng, dtype=torch.float64)


def test_kl_equals_torch(codes):
    mean, log_var = codes
    ours = Independent(Normal(mean, torch.exp(0.5 * log_var)), 1)
    prior = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    torch.testing.assert_close(gaussian_kl(*codes), kl_divergence(ours, prior), rtol=0, atol=1e-12)


def test_kl_equals_an_integral():
    q = stats.norm(0.7, 1.6)

    def integrand(z):
        return q.pdf(z) * (q.logpdf(z) - stats.norm.logpdf(z))

    expected = integrate.quad(integrand, -15, 15)[0]
    value = gaussian_kl(
        torch.tensor([[0.7]]).double(), torch.tensor([[2 * math.log(1.6)]]).double()
    )
    assert value.item() == pytest.approx(expected, abs=1e-7)


def test_kl_keeps_its_digits_near_the_prior():
    tiny = torch.full((1, 1), 1e-6)  # float32
    assert gaussian_kl(torch.zeros(1, 1), tiny).item() >= 0.0
    assert gaussian_kl(torch.zeros(1, 1), torch.zeros(1, 1)).item() == 0.0


def test_log_prob_equals_scipy(codes):
    mean, log_var = codes
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = stats.norm.logpdf(*(t.numpy() for t in (x, mean, torch.exp(0.5 * log_var)))).sum(
        axis=1
    )
    np.testing.assert_allclose(gaussian_log_prob(x, mean, log_var), expected, rtol=1e-12)


def test_log_prob_counts_every_pixel_when_one_variance_serves_all():
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    log_var = torch.tensor(math.log(0.3), dtype=torch.float64)
    expected = stats.norm.logpdf(x.numpy(), 0.1, math.sqrt(0.3)).sum(axis=(1, 2, 3))
    ours = gaussian_log_prob(x, torch.full_like(x, 0.1), log_var)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_reparameterised_codes_have_the_asked_moments(codes):
    mean, log_var = codes
    rng, n = torch.Generator().manual_seed(3), 40_000
    z = reparameterise(mean[:1].expand(n, 3), log_var[:1].expand(n, 3), rng)
    std = torch.exp(0.5 * log_var[0])
    assert ((z.mean(dim=0) - mean[0]).abs() < 5 * std / math.sqrt(n)).all()
    assert ((z.std(dim=0) / std - 1).abs() < 5 / math.sqrt(2 * n)).all()


def test_the_gradient_through_the_draw_equals_the_closed_form():
    # f(z) = z' A z + b' z has mean f(mean) + sum_i A_ii var_i.
    rng = torch.Generator().manual_seed(4)
    A = torch.randn(3, 3, generator=rng, dtype=torch.float64)
    A, b = A + A.T, torch.randn(3, generator=rng, dtype=torch.float64)
    mean = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64, requires_grad=True)
    log_var = torch.tensor([0.3, -0.8, 0.1], dtype=torch.float64, requires_grad=True)
    n = 200_000
    z = reparameterise(mean.expand(n, 3), log_var.expand(n, 3), rng)
    value = ((z @ A) * z).sum(dim=1) + z @ b
    found = torch.autograd.grad(value.mean(), [mean, log_var])
    variance = log_var.detach().exp()
    expected = [2 * A @ mean.detach() + b, torch.diagonal(A) * variance]
    for one, exact in zip(found, expected, strict=True):
        torch.testing.assert_close(one, exact, rtol=0, atol=0.04)


def test_the_gradient_of_a_draw_equals_finite_differences_with_the_same_noise():
    mean, log_var = torch.tensor([[0.4, -0.3]]).double(), torch.tensor([[0.2, -1.0]]).double()

    def value(log_var):
        z = reparameterise(mean, log_var, torch.Generator().manual_seed(5))
        return torch.sin(3 * z).sum()

    free = log_var.clone().requires_grad_()
    (found,) = torch.autograd.grad(value(free), free)
    for j in range(2):
        nudge = torch.zeros(1, 2).double()
        nudge[0, j] = 1e-5
        slope = (value(log_var + nudge) - value(log_var - nudge)) / 2e-5
        assert found[0, j].item() == pytest.approx(slope.item(), abs=1e-8)


def test_the_same_generator_gives_the_same_draw_and_changes_nothing(codes):
    before = [part.clone() for part in codes]
    draws = [reparameterise(*codes, torch.Generator().manual_seed(6)) for _ in range(2)]
    assert torch.equal(*draws)
    assert all(map(torch.equal, codes, before))


def test_elbo_is_reconstruction_minus_cost():
    terms = ElboTerms(torch.tensor([5.0, 1.0]), torch.tensor([2.0, 4.0]))
    assert terms.elbo.tolist() == [3.0, -3.0]
