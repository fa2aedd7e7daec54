"""Completion where the answer is known: a linear decoder, whose conditionals are Gaussian."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from gmmlearn.deep.autoencoder import VAE
from gmmlearn.deep.completion import _langevin, complete, visible_log_joint
from gmmlearn.deep.networks import MLP
from gmmlearn.deep.prior import MixturePrior, StandardNormal
from gmmlearn.deep.training import seeded
from gmmlearn.gaussian import Gaussian
from gmmlearn.mixture import Mixture

STD = 0.15
HIDDEN = np.array([[[False, True], [False, True]]])  # (1, 2, 2): pixels 1 and 3


def linear(seed=0):
    """Return a linear VAE of 2 x 2 pictures, and its loadings and offset."""
    rng = np.random.default_rng(seed)
    W, m = 0.2 * rng.standard_normal((4, 2)), 0.1 * rng.standard_normal(4)
    with seeded(seed):
        model = VAE(MLP((1, 2, 2), 4, depth=0), MLP(2, (1, 2, 2), depth=0), pixel_std=STD)
    layer = next(part for part in model.decoder if isinstance(part, nn.Linear))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(W))
        layer.bias.copy_(torch.tensor(m))
    return model, W, m


def pictures(n=3, seed=1):
    rng = np.random.default_rng(seed)
    return torch.tensor(0.3 * rng.standard_normal((n, 1, 2, 2)), dtype=torch.float32)


def test_log_joint_counts_visible_pixels_alone():
    model, W, m = linear()
    x, z = pictures(), torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    mean = z.numpy() @ W.T + m
    expected = stats.norm.logpdf(x.numpy().reshape(3, 4), mean, STD)[:, [0, 2]].sum(axis=1)
    expected += stats.norm.logpdf(z.numpy()).sum(axis=1)
    hidden = torch.tensor(HIDDEN)
    found = visible_log_joint(model, z, x, hidden)
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-4)
    other = visible_log_joint(model, z, torch.where(hidden, 0.7, x), hidden)
    assert torch.equal(found, other)
    given = visible_log_joint(model, z, x, hidden, StandardNormal(2))
    torch.testing.assert_close(given, found)


def test_the_mean_is_the_gaussians_conditional_mean():
    model, W, m = linear()
    x = pictures()
    result = complete(model, x, HIDDEN, StandardNormal(2), n_chains=128, n_steps=500, rng=0)
    joint = Gaussian(m, W @ W.T + STD**2 * np.eye(4))
    for n in range(3):
        flat = x[n].numpy().ravel().astype(float)
        given = joint.condition([0, 2], flat[[0, 2]])
        found = result.mean[n].numpy().ravel()
        np.testing.assert_allclose(found[[1, 3]], given.mean, atol=0.012)
        # Draws are decoded codes: their spread is the conditional's without the pixels' noise.
        spread = np.sqrt(np.diag(given.covariance) - STD**2)
        np.testing.assert_allclose(
            result.draws[:, n, 0, :, 1].numpy().std(axis=0), spread, rtol=0.4
        )
    assert 0.4 < result.accepted < 0.8


def test_the_starts_alone_are_near_the_conditional():
    # Two steps can hardly mend starts that fit badly, or that belong to another picture.
    model, W, m = linear()
    x = (2 * pictures(4, seed=5)).clamp(-1, 1)
    settings = {"n_chains": 3000, "n_steps": 2, "n_starts": 20_000, "rng": 0}
    found = complete(model, x, HIDDEN, StandardNormal(2), **settings).mean
    joint = Gaussian(m, W @ W.T + STD**2 * np.eye(4))
    means = [joint.condition([0, 2], p.numpy().ravel()[[0, 2]].astype(float)).mean for p in x]
    assert np.ptp(means, axis=0).max() > 0.15
    np.testing.assert_allclose(found.numpy().reshape(4, 4)[:, [1, 3]], means, atol=0.03)


def test_chains_draw_from_the_target():
    # The logarithm of a gamma variable: skewed, so that a wrong ratio shows.
    shape, rate = 9.0, 4.0

    def target(z):
        value = (shape * z - torch.exp(z) * rate).sum(dim=1)
        return value, shape - torch.exp(z) * rate

    rng = torch.Generator().manual_seed(0)
    start = math.log(shape / rate) + 0.3 * torch.randn(4000, 1, generator=rng)
    for z, share in _langevin(target, start, torch.full((1,), 0.33), 200, rng):
        last = z, share
    values = torch.exp(last[0]).numpy().ravel()
    assert stats.kstest(values, stats.gamma(shape, scale=1 / rate).cdf).pvalue > 0.01
    assert 0.4 < last[1] < 0.75


def test_a_mixture_prior_gives_the_mixtures_conditional_mean():
    model, W, m = linear(seed=2)
    prior = Mixture(
        [0.3, 0.7], [[-2.0, 0.5], [1.0, 1.0]], [0.2 * np.eye(2), [[0.5, 0.2], [0.2, 0.4]]]
    )
    pushed = Mixture(
        prior.weights,
        prior.means @ W.T + m,
        W @ prior.covariances @ W.T + STD**2 * np.eye(4),
    )
    x = torch.tensor(pushed.sample(4, rng=0)[0].clip(-1, 1), dtype=torch.float32)
    x = x.reshape(4, 1, 2, 2)
    module = MixturePrior.from_mixture(prior, trainable=False).float()
    result = complete(model, x, HIDDEN, module, n_chains=200, n_steps=300, n_starts=4000, rng=1)
    for n in range(4):
        flat = x[n].numpy().ravel().astype(float)
        given = pushed.condition([0, 2], flat[[0, 2]])
        found = result.mean[n].numpy().ravel()[[1, 3]]
        np.testing.assert_allclose(found, given.weights @ given.means, atol=0.03)


def test_visible_pixels_stay_and_hidden_ones_may_hold_anything():
    model, *_ = linear()
    x = pictures()
    settings = {"n_chains": 4, "n_steps": 20, "n_starts": 50, "rng": 3}
    plain = complete(model, x, HIDDEN, StandardNormal(2), **settings)
    hidden = torch.tensor(HIDDEN).expand_as(x)
    holes = torch.where(hidden, math.nan, x)
    before = holes.clone()
    again = complete(model, holes, HIDDEN, StandardNormal(2), **settings)
    assert torch.equal(plain.mean, again.mean)
    assert torch.equal(plain.draws, again.draws)
    assert torch.equal(plain.mean[~hidden], x[~hidden])
    assert (plain.draws[:, ~hidden] == x[~hidden]).all()
    assert plain.draws.shape == (4, 3, 1, 2, 2)
    assert torch.equal(holes.nan_to_num(9.0), before.nan_to_num(9.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixels": 3 * torch.ones(2, 1, 2, 2)}, r"pixels has values.*\[-1, 1\]"),
        ({"hidden": np.ones((1, 2, 2), dtype=bool)}, "every pixel of a picture"),
        ({"hidden": np.zeros((3, 3), dtype=bool)}, "hidden must be booleans.*broadcast"),
        ({"hidden": np.zeros((1, 2, 2))}, "hidden must be booleans"),
        ({"n_chains": 0}, "n_chains must be at least 1"),
        ({"n_steps": 1}, "n_steps must be at least 2"),
        ({"n_starts": 3}, "n_starts must be at least 8"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"pixels": pictures(), "hidden": HIDDEN, "prior": StandardNormal(2)} | change
    with pytest.raises(ValueError, match=message):
        complete(linear()[0], **arguments)
