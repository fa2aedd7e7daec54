"""The game: losses against arithmetic of many digits, steps against steps by hand."""

import copy

import mpmath
import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gmmlearn.deep.gan import (
    KINDS,
    Play,
    discriminator_loss,
    discriminator_step,
    draw,
    fit_gan,
    generator_loss,
    generator_step,
    pack,
    r1_penalty,
)

LOGITS = [-1000.0, -37.5, -1.3, 0.0, 0.4, 1.0, 2.6, 41.0, 1000.0]


class Normal:
    """A prior for the tests."""

    def __init__(self, latent_dim):
        self.latent_dim = latent_dim

    def sample(self, n, rng=None):
        return torch.randn(n, self.latent_dim, generator=rng)


class Constant(Normal):
    """A prior without chance."""

    def sample(self, n, rng=None):
        return torch.linspace(-1, 1, n * self.latent_dim).reshape(n, self.latent_dim)


def tensor(values, **options):
    return torch.tensor(values, dtype=torch.float64, **options)


def losses_of_one(kind, s):
    """Return the loss of a real, of a fake, and of a fake for the generator, from probabilities."""
    if kind == "hinge":
        return max(mpmath.mpf(0), 1 - s), max(mpmath.mpf(0), 1 + s), -s
    real, fake = 1 / (1 + mpmath.exp(-s)), 1 / (1 + mpmath.exp(s))  # D and 1 - D
    fooled = mpmath.log(fake) if kind == "minimax" else -mpmath.log(real)
    return -mpmath.log(real), -mpmath.log(fake), fooled


# --- losses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_losses_equal_those_from_probabilities_of_500_digits(kind):
    with mpmath.workdps(500):
        of_one = np.array([[float(v) for v in losses_of_one(kind, mpmath.mpf(s))] for s in LOGITS])
    real, fake = tensor(LOGITS[:5]), tensor(LOGITS)
    expected = of_one[:5, 0].mean() + of_one[:, 1].mean()
    assert discriminator_loss(real, fake, kind).item() == pytest.approx(expected, rel=1e-13)
    for s, (a, b, g) in zip(LOGITS, of_one, strict=True):
        one = tensor([s])
        # Far out, the discriminator's loss of one logit is its size: alone, without cancellation.
        assert discriminator_loss(one, one, kind).item() == pytest.approx(a + b, rel=1e-13)
        assert generator_loss(one, kind).item() == pytest.approx(g, rel=1e-13, abs=1e-300)
    assert generator_loss(fake, kind).item() == pytest.approx(of_one[:, 2].mean(), rel=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_generators_loss_equal_derivatives_of_50_digits(kind):
    logits = tensor(LOGITS, requires_grad=True)
    generator_loss(logits, kind).backward()
    with mpmath.workdps(500):
        slopes = [
            float(mpmath.diff(lambda s: losses_of_one(kind, s)[2], mpmath.mpf(s))) for s in LOGITS
        ]
    np.testing.assert_allclose(logits.grad * len(LOGITS), slopes, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_discriminators_loss_equal_finite_differences(kind):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(2, 6)) * 2
    real, fake = (tensor(s, requires_grad=True) for s in start)
    discriminator_loss(real, fake, kind).backward()
    for which, row in ((0, real), (1, fake)):
        for i in range(6):
            ends = []
            for step in (1e-6, -1e-6):
                moved = start.copy()
                moved[which, i] += step
                ends.append(discriminator_loss(*map(tensor, moved), kind).item())
            assert row.grad[i].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_finite_in_float32_at_a_thousand(kind):
    for s in (-1000.0, 1000.0):
        logits = torch.full((3,), s, requires_grad=True)
        loss = discriminator_loss(logits, logits, kind) + generator_loss(logits, kind)
        loss.backward()
        assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("distance", [0.0, 0.7, 3.0])
def test_the_least_loss_is_2_log_2_less_twice_the_jensen_shannon_divergence(distance):
    real, fake = norm(0, 1), norm(distance, 1.5)

    def mixed(x):
        return (real.pdf(x) + fake.pdf(x)) / 2

    divergence = sum(
        quad(lambda x, p=p: p.pdf(x) * np.log(p.pdf(x) / mixed(x)), -9, 14, limit=200)[0] / 2
        for p in (real, fake)
    )
    shares = (np.arange(20_000) + 0.5) / 20_000
    logits = [tensor(real.logpdf(x) - fake.logpdf(x)) for x in (real.ppf(shares), fake.ppf(shares))]
    least = discriminator_loss(*logits, "minimax").item()
    assert least == pytest.approx(2 * np.log(2) - 2 * divergence, abs=2e-4)
    for change in (0.1, -0.1):  # no other logit is better
        for factor in (0, 1):
            other = [s * (1 + change * factor) + change * (1 - factor) for s in logits]
            assert discriminator_loss(*other, "minimax").item() >= least - 1e-12


def test_bad_logits_and_kinds_are_refused():
    good = torch.zeros(3)
    with pytest.raises(ValueError, match=r"kind is 'wasserstein'. Use one of: minimax"):
        discriminator_loss(good, good, "wasserstein")
    with pytest.raises(ValueError, match="kind is 'x'"):
        generator_loss(good, "x")
    with pytest.raises(ValueError, match=r"real_logits has shape \(3, 1\).*flatten"):
        discriminator_loss(torch.zeros(3, 1), good)
    with pytest.raises(ValueError, match=r"fake_logits has shape \(0,\)"):
        generator_loss(torch.zeros(0))


# --- R1 and packing ---------------------------------------------------------------------------


def test_r1_equals_the_squared_gradient_of_a_quadratic_logit():
    rng = np.random.default_rng(1)
    root, b, X = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=(7, 3))
    A = root + root.T

    def value(matrix):
        return np.square(X @ matrix + b).sum(axis=1).mean()

    matrix = tensor(A, requires_grad=True)
    x = tensor(X)

    def discriminator(x):
        return 0.5 * torch.einsum("ni,ij,nj->n", x, (matrix + matrix.T) / 2, x) + x @ tensor(b)

    penalty = r1_penalty(discriminator, x)
    assert penalty.item() == pytest.approx(value(A), rel=1e-12)
    assert not x.requires_grad and x.grad is None
    penalty.backward()
    for i, j in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[i, j] = step[j, i] = 1e-6
        slope = (value(A + step) - value(A - step)) / 2e-6
        here = matrix.grad[i, j] + (matrix.grad[j, i] if i != j else 0)
        assert here.item() == pytest.approx(slope, rel=1e-6)


def test_r1_of_pictures_sums_over_all_pixels():
    pixels = torch.randn(4, 3, 2, 2, dtype=torch.float64)
    penalty = r1_penalty(lambda x: (x**3).sum(dim=(1, 2, 3))[:, None], pixels)
    expected = np.square(3 * pixels.numpy() ** 2).sum() / 4
    assert penalty.item() == pytest.approx(expected, rel=1e-12)


def test_packs_hold_neighbours_one_after_the_other():
    points = torch.arange(12.0).reshape(6, 2)
    expected = [np.concatenate([points[3 * i + j] for j in range(3)]) for i in range(2)]
    np.testing.assert_array_equal(pack(points, 3), expected)
    pixels = torch.randn(4, 3, 5, 5)
    np.testing.assert_array_equal(pack(pixels, 2)[1], np.concatenate([pixels[2], pixels[3]]))
    assert torch.equal(pack(points, 1), points)
    for bad, n in ((points, 4), (torch.zeros(6), 2), (torch.zeros(0, 2), 1)):
        with pytest.raises(ValueError, match=rf"x has shape .* packs of {n}"):
            pack(bad, n)
    with pytest.raises(ValueError, match="n must be at least 1"):
        pack(points, 0)


# --- the two steps ----------------------------------------------------------------------------


def small_pair(packing=1, dtype=torch.float32):
    torch.manual_seed(3)
    generator = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).to(dtype)
    discriminator = nn.Sequential(nn.Linear(2 * packing, 8), nn.Tanh(), nn.Linear(8, 1)).to(dtype)
    return generator, discriminator


def remember(network):
    """Give each parameter a gradient, and return copies of both."""
    for p in network.parameters():
        p.grad = torch.randn_like(p)
    return [(p.detach().clone(), p.grad.clone()) for p in network.parameters()]


def same(network, before):
    pairs = zip(network.parameters(), before, strict=True)
    return all(torch.equal(p, q) and torch.equal(p.grad, g) for p, (q, g) in pairs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("r1", [0.0, 2.0])
def test_each_step_moves_its_own_network_and_leaves_the_other(kind, r1):
    packing = 2
    generator, discriminator = small_pair(packing)
    rules, X = Play(kind, r1, packing), torch.randn(10, 2)
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in (generator, discriminator)]
    fake = generator(torch.randn(10, 3))
    ours, others = remember(discriminator), remember(generator)
    kept = X.clone()
    report = discriminator_step(discriminator, optimizers[1], X, fake, rules)
    assert same(generator, others) and not same(discriminator, ours)
    assert torch.equal(X, kept) and not X.requires_grad and X.grad is None
    assert set(report) == {"discriminator_loss", "real_logit", "fake_logit"} | (
        {"r1"} if r1 else set()
    )
    others = remember(discriminator)
    moved = [p.detach().clone() for p in generator.parameters()]
    report |= generator_step(generator, discriminator, optimizers[0], fake, rules)
    assert same(discriminator, others)
    assert not any(torch.equal(p, q) for p, q in zip(generator.parameters(), moved, strict=True))
    assert all(value.shape == () and not value.requires_grad for value in report.values())
    assert all(p.requires_grad for p in discriminator.parameters())


@pytest.mark.parametrize("r1", [0.0, 0.6])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_of_the_smallest_game_equal_steps_by_hand(kind, r1):
    """Data at 1, one fake point theta, logit psi x: three numbers by hand."""
    theta, psi, rate = 1.7, 0.4, 0.1
    generator, discriminator = (nn.Linear(1, 1, bias=False, dtype=torch.float64) for _ in "GD")
    with torch.no_grad():
        generator.weight.fill_(theta), discriminator.weight.fill_(psi)
    optimizers = [torch.optim.SGD(n.parameters(), lr=rate) for n in (generator, discriminator)]
    ones = torch.ones(2, 1, dtype=torch.float64)

    def sigmoid(s):
        return 1 / (1 + np.exp(-s))

    for _ in range(25):
        fake = generator(ones)
        discriminator_step(discriminator, optimizers[1], ones, fake, Play(kind, r1))
        generator_step(generator, discriminator, optimizers[0], fake, Play(kind, r1))
        if kind == "hinge":
            slope = -(psi < 1) + theta * (psi * theta > -1)
        else:
            slope = -sigmoid(-psi) + theta * sigmoid(psi * theta)
        psi -= rate * (slope + r1 * psi)
        s = psi * theta
        slope = {"hinge": -1, "minimax": -sigmoid(s), "non_saturating": -sigmoid(-s)}[kind]
        theta -= rate * slope * psi
    assert generator.weight.item() == pytest.approx(theta, rel=1e-12)
    assert discriminator.weight.item() == pytest.approx(psi, rel=1e-12)


def test_frozen_layers_of_the_generator_stay():
    generator, discriminator = small_pair()
    generator[0].requires_grad_(False)
    frozen, free = generator[0].weight.clone(), generator[2].weight.detach().clone()
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)
    generator_step(generator, discriminator, optimizer, generator(torch.randn(6, 3)))
    assert torch.equal(generator[0].weight, frozen) and generator[0].weight.grad is None
    assert not torch.equal(generator[2].weight, free)


def test_reported_numbers_are_those_before_the_step():
    generator, discriminator = small_pair()
    before = copy.deepcopy(discriminator)
    X, fake = torch.randn(6, 2), generator(torch.randn(6, 3))
    optimizer = torch.optim.SGD(discriminator.parameters(), lr=0.5)
    report = discriminator_step(discriminator, optimizer, X, fake, Play(r1=4.0))
    real_logits, fake_logits = before(X).flatten(), before(fake).flatten()
    expected = {
        "discriminator_loss": discriminator_loss(real_logits, fake_logits),
        "real_logit": real_logits.mean(),
        "fake_logit": fake_logits.mean(),
        "r1": r1_penalty(before, X),
    }
    for name, value in expected.items():
        assert report[name].item() == pytest.approx(value.item(), rel=1e-6), name


# --- training ---------------------------------------------------------------------------------


def fitted(X=None, seed=0, n_steps=6, **options):
    generator, discriminator = small_pair(options.get("packing", 1))
    X = np.random.default_rng(0).normal(size=(50, 2)) if X is None else X
    defaults = {"batch_size": 8, "device": "cpu"}
    return (
        generator,
        discriminator,
        fit_gan(generator, discriminator, X, Normal(3), n_steps, seed=seed, **defaults | options),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_history(kind):
    options = {"kind": kind, "r1": 1.0, "packing": 2, "average": 0.9}
    first, again, other = (fitted(seed=s, **options)[2] for s in (4, 4, 5))
    assert first.history["generator_loss"].shape == (6,)
    for name, values in first.history.items():
        assert np.array_equal(values, again.history[name]), name
        assert not np.array_equal(values, other.history[name]), name
    z = torch.randn(5, 3)
    assert torch.equal(first.averaged["generator"](z), again.averaged["generator"](z))


def test_training_equals_a_loop_by_hand():
    """Data and latent points without chance: what is left is the game and its two optimisers."""
    packing, rates, betas, n_steps = 2, (0.02, 0.005), (0.3, 0.9), 5
    X = np.ones((20, 2)) * [0.5, -1.0]
    generator, discriminator = small_pair(packing)
    options = {"packing": packing, "learning_rates": rates, "betas": betas, "batch_size": 4}
    trained = fit_gan(
        generator, discriminator, X, Constant(3), n_steps, r1=0.5, device="cpu", **options
    )
    ours, theirs = small_pair(packing)
    adams = [
        torch.optim.Adam(n.parameters(), lr=r, betas=betas)
        for n, r in zip((ours, theirs), rates, strict=True)
    ]
    softplus = nn.functional.softplus
    for t in range(n_steps):
        # The discriminator moves first; the generator answers the one that has moved.
        real = torch.tensor(X[:8], dtype=torch.float32).reshape(4, 4).requires_grad_()
        fake = ours(Constant(3).sample(8)).reshape(4, 4)
        loss = softplus(-theirs(real)).mean() + softplus(theirs(fake.detach())).mean()
        (slopes,) = torch.autograd.grad(theirs(real).sum(), real, create_graph=True)
        adams[1].zero_grad()
        (loss + 0.25 * slopes.square().sum(dim=1).mean()).backward()
        adams[1].step()
        adams[0].zero_grad()
        fooled = softplus(-theirs(fake)).mean()
        fooled.backward()
        adams[0].step()
        assert trained.history["discriminator_loss"][t] == pytest.approx(loss.item(), rel=1e-5)
        assert trained.history["generator_loss"][t] == pytest.approx(fooled.item(), rel=1e-5)
    for p, q in zip(generator.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-6)


def test_the_generator_finds_the_mean_of_the_data():
    X = 2.0 + 0.5 * np.random.default_rng(0).standard_normal((2000, 1))
    torch.manual_seed(0)
    generator, discriminator = nn.Linear(1, 1), nn.Linear(1, 1)
    with torch.no_grad():
        generator.weight.fill_(0.5), generator.bias.zero_()
    kept = X.copy()
    trained = fit_gan(
        generator, discriminator, X, Normal(1), 600, batch_size=64, r1=1.0, average=0.98,
        learning_rates=(0.02, 0.02), device="cpu",
    )  # fmt: skip
    # A linear discriminator compares means alone.
    assert trained.averaged["generator"].bias.item() == pytest.approx(2.0, abs=0.1)
    assert np.array_equal(X, kept)


def test_networks_with_running_means_or_spectral_norm_train_and_draw():
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    discriminator = nn.Sequential(spectral_norm(nn.Linear(2, 8)), nn.ReLU(), nn.Linear(8, 1))
    X = np.random.default_rng(0).normal(size=(40, 2))
    fit_gan(generator, discriminator, X, Normal(2), 3, batch_size=8, device="cpu")
    # One pass through the generator for each turn: its running mean moved three times.
    assert generator[1].num_batches_tracked.item() == 3
    assert generator.training
    first, again, other = (draw(generator, Normal(2), 5, seed=s) for s in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.dtype == np.float64 and generator.training
    assert generator[1].num_batches_tracked.item() == 3
    z = Normal(2).sample(5, torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(first, generator.eval()(z).detach().double())
    draw(generator, Normal(2), 5)
    assert not generator.training


def test_what_does_not_fit_is_refused_by_name():
    X = np.zeros((20, 2))
    generator, discriminator = small_pair()
    cases = [
        ((generator, discriminator, X, Normal(4)), {}, "generator cannot take .* latent_dim"),
        ((generator, discriminator, np.zeros((20, 3)), Normal(3)), {}, r"shape \(2,\).*\(3,\)"),
        ((generator, discriminator, X, Normal(3)), {"packing": 2}, "discriminator cannot take"),
        ((generator, nn.Linear(2, 2), X, Normal(3)), {}, "discriminator returns shape"),
        ((generator, discriminator, X, Normal(3)), {"batch_size": 1}, "batch_size must be at lea"),
        ((generator, discriminator, X, Normal(3)), {"kind": "x"}, "kind is 'x'"),
        ((generator, discriminator, X, Normal(3)), {"r1": -1}, "r1 must be"),
        ((generator, discriminator, X, Normal(3)), {"packing": 0}, "packing must be"),
        ((generator, discriminator, X, Normal(3)), {"learning_rates": (1e-4, 0)}, r"rates\[1\]"),
        ((generator, discriminator, X, Normal(3)), {"learning_rates": 1e-4}, "learning_rates"),
    ]
    for arguments, options, message in cases:
        with pytest.raises(ValueError, match=message):
            fit_gan(*arguments, 2, **options)
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        draw(generator, Normal(3), 0)
