"""Shapes in the plane: their curves, their spread, and that no Gaussian fits a group."""

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_moons

from gmmlearn import shapes

ALL = pytest.mark.parametrize("draw", [shapes.pinwheel, shapes.crescents, shapes.rings])


def turned_back(X, labels, n_arms, bend):
    """Return (u, v) of a pinwheel's points: u stands on both sides, so repeat until it settles."""
    z = (X[:, 0] + 1j * X[:, 1]) * np.exp(-2j * np.pi * labels / n_arms)
    u = np.abs(z)
    for _ in range(200):
        u = 0.5 * u + 0.5 * (z * np.exp(-1j * bend * np.exp(u))).real
    return u, (z * np.exp(-1j * bend * np.exp(u))).imag


def test_pinwheel_is_bent_gaussian_arms():
    X, labels = shapes.pinwheel(20_000, rng=0, n_arms=3, radial_std=0.2, tangential_std=0.04)
    u, v = turned_back(X, labels, 3, 0.25)
    assert (np.mean(u), np.std(u)) == pytest.approx((1.0, 0.2), abs=0.005)
    assert (np.mean(v), np.std(v)) == pytest.approx((0.0, 0.04), abs=0.001)
    assert abs(np.corrcoef(u, v)[0, 1]) < 0.03
    assert stats.kstest((u - 1.0) / 0.2, "norm").pvalue > 0.001
    X, labels = shapes.pinwheel(1000, rng=0, n_arms=3, bend=0.0, tangential_std=0.0)
    angles = 2 * np.pi * labels / 3
    across = -np.sin(angles) * X[:, 0] + np.cos(angles) * X[:, 1]
    np.testing.assert_allclose(across, 0.0, atol=1e-12)


def test_crescents_lie_on_the_curves_of_make_moons_at_random_places():
    X, labels = shapes.crescents(4000, rng=0, std=0.0)
    upper, lower = X[labels == 0], X[labels == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1.0)
    np.testing.assert_allclose(np.hypot(*(lower - [1.0, 0.5]).T), 1.0)
    assert (upper[:, 1] >= -1e-12).all() and (lower[:, 1] <= 0.5 + 1e-12).all()
    theirs, their_labels = make_moons(4000, noise=0.0)
    for k in (0, 1):
        ours = X[labels == k]
        np.testing.assert_allclose(ours.mean(0), theirs[their_labels == k].mean(0), atol=0.05)
        np.testing.assert_allclose(np.cov(ours.T), np.cov(theirs[their_labels == k].T), atol=0.03)
    places = np.arctan2(upper[:, 1], upper[:, 0]) / np.pi
    assert stats.kstest(places, "uniform").pvalue > 0.001


def test_rings_stand_on_a_ring():
    X, labels = shapes.rings(30_000, rng=0, n_rings=5, radius=0.2, std=0.0)
    for k in range(5):
        centre = [np.cos(2 * np.pi * k / 5), np.sin(2 * np.pi * k / 5)]
        away = X[labels == k] - centre
        np.testing.assert_allclose(np.hypot(*away.T), 0.2)
        angles = np.mod(np.arctan2(away[:, 1], away[:, 0]), 2 * np.pi) / (2 * np.pi)
        assert stats.kstest(angles, "uniform").pvalue > 0.001


@pytest.mark.parametrize("draw", [shapes.crescents, shapes.rings])
def test_noise_goes_both_ways_with_its_std(draw):
    clean, noisy = draw(20_000, rng=3, std=0.0), draw(20_000, rng=3, std=0.1)
    np.testing.assert_array_equal(clean.labels, noisy.labels)
    noise = noisy.X - clean.X
    np.testing.assert_allclose(np.cov(noise.T), 0.01 * np.eye(2), atol=0.0004)


@ALL
def test_groups_are_equally_likely_seeded_and_no_gaussians(draw):
    X, labels = draw(20_000, rng=0)
    assert X.shape == (20_000, 2) and np.isfinite(X).all()
    counts = np.bincount(labels)
    assert stats.chisquare(counts).pvalue > 0.001
    again, other = draw(20_000, rng=0), draw(20_000, rng=1)
    np.testing.assert_array_equal(X, again.X)
    assert (X != other.X).any()
    # The squared Mahalanobis distances of a Gaussian's points follow chi2 with two degrees.
    group = X[labels == 0] - X[labels == 0].mean(axis=0)
    lengths = np.einsum("ij,jk,ik->i", group, np.linalg.inv(np.cov(group.T)), group)
    assert stats.kstest(lengths, stats.chi2(2).cdf).statistic > 0.05


@pytest.mark.parametrize(
    ("draw", "given", "message"),
    [
        (shapes.pinwheel, {"n_arms": 0}, "n_arms must be at least 1"),
        (shapes.pinwheel, {"radial_std": -1}, "radial_std must be a finite number >= 0"),
        (shapes.pinwheel, {"tangential_std": -1}, "tangential_std must be a finite number >= 0"),
        (shapes.pinwheel, {"bend": np.nan}, "bend must be a finite number"),
        (shapes.crescents, {"std": -0.1}, "std must be a finite number >= 0"),
        (shapes.rings, {"n_rings": 1.5}, "n_rings must be a whole number"),
        (shapes.rings, {"radius": -1}, "radius must be a finite number >= 0"),
        (shapes.rings, {"rng": "seed"}, "rng must be"),
    ],
)
def test_bad_input_is_named(draw, given, message):
    with pytest.raises(ValueError, match=message):
        draw(10, **given)
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        draw(0)
