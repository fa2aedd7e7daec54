"""Flows: densities against a numerical volume factor, bases, fits, and what is refused."""

import numpy as np
import pytest
import torch
import zuko
from scipy.stats import chisquare, multivariate_normal

from gmmlearn.datasets import BLOBS, spiral
from gmmlearn.deep import flows
from gmmlearn.deep.prior import MixturePrior
from gmmlearn.deep.training import seeded
from gmmlearn.gaussian import Gaussian
from gmmlearn.mixture import Mixture

TILTED = Gaussian([1.0, -2.0], [[2.0, 1.2], [1.2, 1.5]])


def make(kind, n_features=2, **settings):
    """Return a small flow in float64 with reproducible, far from zero weights."""
    with seeded(3):
        flow = getattr(zuko.flows, kind)(n_features, hidden_features=(8, 8), **settings)
        for parameter in flow.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape)
    return flow.double()


def with_mixture(flow):
    prior = MixturePrior.from_mixture(Mixture(**BLOBS), dtype=torch.float64)
    return flows.flow_with_mixture_base(flow, prior)


FLOWS = {
    "spline": lambda: make("NSF", transforms=2, bins=4),
    "autoregressive": lambda: make("MAF", transforms=3),
    "coupling": lambda: make("RealNVP", transforms=4),
    "gaussian": lambda: flows.gaussian_flow(TILTED).double(),
    "whitened": lambda: flows.whitened(make("MAF", transforms=2), TILTED).double(),
    "mixture base": lambda: with_mixture(make("MAF", transforms=2)),
}


@pytest.fixture(params=FLOWS)
def flow(request):
    return FLOWS[request.param]()


def slopes(flow, x, step=1e-6):
    """Return the Jacobian of f at one point by central differences."""
    moves = step * np.eye(len(x))
    ends = flows.carry(flow, np.concatenate([x + moves, x - moves]))
    return (ends[: len(x)] - ends[len(x) :]).T / (2 * step)


def base_log_prob(flow, z):
    """Return log densities of the base by SciPy."""
    if isinstance(flow.base, flows._Base):
        parts = [
            weight * multivariate_normal(mean, covariance).pdf(z)
            for weight, mean, covariance in zip(*BLOBS.values(), strict=True)
        ]
        return np.log(np.sum(parts, axis=0))
    return multivariate_normal(np.zeros(z.shape[1])).logpdf(z)


def test_density_is_the_base_times_the_volume_factor(flow):
    X = np.random.default_rng(0).normal([1.0, -2.0], 1.5, size=(20, 2))
    determinants = [np.linalg.det(slopes(flow, x)) for x in X]
    expected = base_log_prob(flow, flows.carry(flow, X)) + np.log(np.abs(determinants))
    assert np.allclose(flows.log_prob(flow, X), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["NSF", "MAF", "RealNVP"])
def test_density_in_five_dimensions(kind):
    flow = flows.whitened(make(kind, 5), Gaussian(np.arange(5.0), np.eye(5) + 0.5)).double()
    X = np.random.default_rng(1).normal(np.arange(5.0), 1.5, size=(6, 5))
    determinants = [np.linalg.det(slopes(flow, x)) for x in X]
    expected = base_log_prob(flow, flows.carry(flow, X)) + np.log(np.abs(determinants))
    assert np.allclose(flows.log_prob(flow, X), expected, rtol=0, atol=1e-6)


def test_density_integrates_to_one(flow):
    ticks = np.linspace(-25, 25, 801)
    nodes = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    mass = np.exp(flows.log_prob(flow, nodes, block=100_000)).sum() * (ticks[1] - ticks[0]) ** 2
    assert mass == pytest.approx(1.0, abs=2e-3)


def test_samples_fall_as_the_density_says(flow):
    X = flows.draw(flow, 20_000, seed=1)
    edges = [np.quantile(axis, np.linspace(0.02, 0.98, 6)) for axis in X.T]
    counts = np.histogram2d(*X.T, bins=edges)[0].ravel()
    # The mass of each cell by the midpoint rule, 60 x 60 points in each.
    fine = [np.interp((np.arange(300) + 0.5) / 60, np.arange(6), edge) for edge in edges]
    areas = [np.repeat(np.diff(edge) / 60, 60) for edge in edges]
    nodes = np.stack(np.meshgrid(*fine, indexing="ij"), axis=-1).reshape(-1, 2)
    mass = np.exp(flows.log_prob(flow, nodes)).reshape(300, 300) * np.outer(*areas)
    mass = mass.reshape(5, 60, 5, 60).sum(axis=(1, 3)).ravel()
    observed, expected = np.append(counts, 20_000 - counts.sum()), np.append(mass, 1 - mass.sum())
    assert chisquare(observed, 20_000 * expected).pvalue > 1e-4


def test_inverse_undoes_the_map(flow):
    X = np.random.default_rng(2).normal(size=(50, 2))
    assert np.allclose(flows.carry(flow, flows.carry(flow, X), inverse=True), X, atol=1e-9)
    assert not np.allclose(flows.carry(flow, X), X, atol=0.1)


def test_an_affine_flow_is_the_gaussian():
    flow, X = flows.gaussian_flow(TILTED).double(), TILTED.sample(200, 0)
    assert np.allclose(flows.log_prob(flow, X), TILTED.log_prob(X), rtol=0, atol=1e-6)
    assert np.allclose(
        flows.log_prob(flow, X),
        multivariate_normal(TILTED.mean, TILTED.covariance).logpdf(X),
        atol=1e-5,
    )
    drawn = flows.draw(flow, 50_000)
    assert np.allclose(drawn.mean(axis=0), TILTED.mean, atol=0.03)
    assert np.allclose(np.cov(drawn.T), TILTED.covariance, atol=0.06)


def test_whitening_comes_first():
    inner, X = make("MAF"), TILTED.sample(30, 1)
    whole = flows.whitened(inner, TILTED).double()
    white = np.linalg.solve(np.linalg.cholesky(TILTED.covariance), (X - TILTED.mean).T).T
    assert np.allclose(flows.carry(whole, X), flows.carry(inner, white), atol=1e-5)


@pytest.mark.parametrize("kind", ["NSF", "MAF", "RealNVP"])
def test_start_at_identity(kind):
    flow = make(kind, 3)
    X = np.random.default_rng(0).normal(size=(40, 3))
    assert flows.start_at_identity(flow) is flow
    assert np.allclose(flows.carry(flow, X), X, atol=1e-9)
    assert np.allclose(flows.log_prob(flow, X), multivariate_normal(np.zeros(3)).logpdf(X))
    # It is a start, not an end: gradients still reach the last layers.
    flow().log_prob(torch.tensor(X) ** 2).mean().backward()
    assert flow.transform.transforms[0].hyper[-1].weight.grad.abs().max() > 0


def test_a_flow_that_starts_at_its_mixture_base():
    flow = with_mixture(flows.start_at_identity(make("NSF", bins=4)))
    mixture = Mixture(**BLOBS)
    X, _ = mixture.sample(100, 0)
    assert np.allclose(flows.log_prob(flow, X), mixture.log_prob(X), atol=1e-9)
    drawn = flows.draw(flow, 20_000)
    assert np.allclose(drawn.mean(axis=0), mixture.weights @ mixture.means, atol=0.06)
    assert flow().sample((4, 3)).shape == (4, 3, 2)


def test_a_mixture_base_learns_with_the_map_or_stays():
    X, mixture = spiral(500, 0), Mixture(**BLOBS)
    for trainable in (True, False):
        prior = MixturePrior.from_mixture(mixture, trainable=trainable)
        flow = flows.flow_with_mixture_base(make("MAF", transforms=1).float(), prior)
        flows.fit_flow(flow, X, X, n_steps=20, device="cpu")
        moved = np.abs(prior.to_mixture().means - mixture.means).max()
        assert (moved > 1e-3) == trainable


def fitted(seed=0, **settings):
    with seeded(0):
        flow = zuko.flows.NSF(2, transforms=2, bins=4, hidden_features=(8,))
    flow = flows.whitened(flow, TILTED)
    settings = {"n_steps": 150, "check_every": 25, "device": "cpu", "seed": seed} | settings
    X = TILTED.sample(2000, 0)
    return flow, flows.fit_flow(flow, X, TILTED.sample(1000, 1), **settings)


def test_fit_finds_the_density_that_made_the_data():
    flow, fit = fitted(n_steps=400)
    test = TILTED.sample(20_000, 2)
    gap = TILTED.log_prob(test) - flows.log_prob(flow, test)
    assert 0.0 < gap.mean() < 0.03  # a Kullback-Leibler divergence, so not below zero
    start = fit.validation[0]
    assert start < TILTED.log_prob(TILTED.sample(1000, 1)).mean() - 0.05 < fit.validation.max()


def test_fit_keeps_what_validation_likes_best():
    flow, fit = fitted()
    kept = flows.log_prob(flow, TILTED.sample(1000, 1)).mean()
    assert fit.steps.tolist() == [0, 25, 50, 75, 100, 125, 150] and fit.loss.shape == (150,)
    assert kept == pytest.approx(fit.validation.max(), abs=1e-6)
    assert fit.best_step == fit.steps[fit.validation.argmax()] and fit.seconds > 0
    # What is reported is the mean, in nats, of what is minimised.
    assert -fit.loss[-20:].mean() == pytest.approx(fit.validation[-1], abs=0.15)


def test_fit_keeps_the_start_if_every_step_is_worse():
    with seeded(0):
        flow = zuko.flows.MAF(2, hidden_features=(8,))
    flow = flows.whitened(flows.start_at_identity(flow), TILTED)
    X = TILTED.sample(300, 0)
    fit = flows.fit_flow(flow, X, X, n_steps=3, learning_rate=3.0, device="cpu")
    assert fit.best_step == 0 and fit.validation[-1] < fit.validation[0]
    assert np.allclose(flows.log_prob(flow, X), TILTED.log_prob(X), atol=1e-4)


def test_fit_repeats_and_leaves_its_input_alone():
    state = torch.random.get_rng_state()
    one, two, other = (fitted(seed, n_steps=30) for seed in (0, 0, 1))
    assert np.array_equal(one[1].loss, two[1].loss)
    assert not np.array_equal(one[1].loss, other[1].loss)
    assert np.array_equal(flows.draw(one[0], 5, seed=4), flows.draw(two[0], 5, seed=4))
    assert not np.array_equal(flows.draw(one[0], 5, seed=4), flows.draw(one[0], 5, seed=5))
    assert torch.equal(state, torch.random.get_rng_state())
    X = spiral(300, 0)
    before = X.copy()
    flow = zuko.flows.MAF(2, transforms=1, hidden_features=(4,))
    flows.fit_flow(flow, X, X, n_steps=2, device="cpu")
    flows.log_prob(flow, X)
    flows.carry(flow, X)
    assert np.array_equal(X, before)


def test_blocks_change_nothing():
    flow, X = make("NSF"), np.random.default_rng(0).normal(size=(23, 2))
    assert np.allclose(flows.log_prob(flow, X, block=5), flows.log_prob(flow, X), rtol=1e-12)


NAN = np.array([[0.0, np.nan]])
WRONG = {
    "flow must be a zuko Flow": lambda f: flows.log_prob(torch.nn.Linear(2, 2), np.zeros((3, 2))),
    "X contains NaN": lambda f: flows.log_prob(f, NAN),
    "X has 3 features, expected 2": lambda f: flows.log_prob(f, np.zeros((4, 3))),
    "block must be": lambda f: flows.log_prob(f, np.zeros((4, 2)), block=0),
    "X has 1 features": lambda f: flows.carry(f, np.zeros((4, 1))),
    "n_samples must be at least 1": lambda f: flows.draw(f, 0),
    "gaussian must be a Gaussian": lambda f: flows.Whitening(np.eye(2)),
    "gaussian has 3 features, but the flow has 2": lambda f: flows.whitened(
        f, Gaussian(np.zeros(3), np.eye(3))
    ),
    "prior has 3 features, but the flow has 2": lambda f: flows.flow_with_mixture_base(
        f, MixturePrior(2, 3)
    ),
    "X_validation has 3 features": lambda f: flows.fit_flow(f, np.zeros((9, 2)), np.zeros((9, 3))),
    "X_validation contains NaN": lambda f: flows.fit_flow(f, np.zeros((9, 2)), NAN),
    "n_steps must be": lambda f: flows.fit_flow(f, np.zeros((9, 2)), np.zeros((9, 2)), n_steps=0),
    "check_every must be": lambda f: flows.fit_flow(
        f, np.zeros((9, 2)), np.zeros((9, 2)), check_every=0
    ),
    "learning_rate must be": lambda f: flows.fit_flow(
        f, np.zeros((9, 2)), np.zeros((9, 2)), learning_rate=0.0
    ),
    "flow has nothing to learn": lambda f: flows.fit_flow(
        flows.gaussian_flow(TILTED), np.zeros((9, 2)), np.zeros((9, 2))
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_refused(message):
    with pytest.raises(ValueError, match=message):
        WRONG[message](make("MAF"))
