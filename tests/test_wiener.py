"""Wiener filters against the conditional Gaussian of chapter 1 and against brute force."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from gmmlearn.gaussian import Gaussian
from gmmlearn.mixture import Mixture
from gmmlearn.wiener import OPPONENT, Bank, axes_of, best_component, wiener


def random_prior(rng, n_components=4, n_features=8):
    roots = rng.standard_normal((n_components, n_features, n_features))
    scales = rng.uniform(0.02, 0.2, (n_components, 1, 1))
    covariances = scales**2 * roots @ roots.swapaxes(1, 2)
    weights = rng.dirichlet(np.full(n_components, 3.0))
    return Mixture(weights, np.zeros((n_components, n_features)), covariances)


@pytest.mark.parametrize("noise_std", [0.02, 0.1, 1.0])
def test_filter_is_the_conditional_mean(noise_std, monkeypatch):
    rng = np.random.default_rng(1)
    prior, Z = random_prior(rng), rng.standard_normal((12, 8)) * 0.3
    labels = rng.integers(4, size=12)
    clean = wiener(Z, labels, prior, noise_std)
    for z, k, found in zip(Z, labels, clean, strict=True):
        clean_too = np.tile(prior.covariances[k], (2, 2))
        both = clean_too + np.diag([0.0] * 8 + [noise_std**2] * 8)
        exact = Gaussian(np.zeros(16), both).condition(range(8, 16), z).mean
        # Directions below a hundredth of the noise are left out.
        np.testing.assert_allclose(found, exact, atol=0.01 * np.abs(z).max())
    monkeypatch.setattr("gmmlearn.wiener.NEGLIGIBLE", 0.0)
    np.testing.assert_allclose(wiener(Z, labels, prior, noise_std)[-1], exact, rtol=1e-9)


@pytest.mark.parametrize("noise_std", [0.05, 0.2])
def test_scores_are_the_joint_density_up_to_a_term_all_share(noise_std, monkeypatch):
    monkeypatch.setattr("gmmlearn.wiener.NEGLIGIBLE", 0.0)
    rng = np.random.default_rng(2)
    prior = random_prior(rng)
    Z = prior.sample(50, rng)[0] + noise_std * rng.standard_normal((50, 8))
    noisy = [
        np.log(w) + multivariate_normal(np.zeros(8), c + noise_std**2 * np.eye(8)).logpdf(Z)
        for w, c in zip(prior.weights, prior.covariances, strict=True)
    ]
    exact = np.stack(noisy, axis=1)
    scores = Bank(axes_of(prior), noise_std**2).log_joint(Z)
    np.testing.assert_allclose(scores - scores[:, :1], exact - exact[:, :1], rtol=1e-4, atol=1e-3)
    monkeypatch.undo()  # what is left out changes few decisions, and none that is clear
    clear = np.sort(exact, axis=1)
    clear = clear[:, -1] - clear[:, -2] > 0.2
    found = best_component(Z, prior, noise_std)
    np.testing.assert_array_equal(found[clear], exact.argmax(axis=1)[clear])
    assert clear.mean() > 0.7 and len(set(found)) > 1


def test_average_weighs_the_filters_by_responsibility():
    rng = np.random.default_rng(3)
    prior, Z = random_prior(rng), rng.standard_normal((20, 8))
    bank, resp = Bank(axes_of(prior), 0.01), rng.dirichlet(np.ones(4), 20)
    each = np.stack([wiener(Z, np.full(20, k), prior, 0.1) for k in range(4)], axis=1)
    expected = np.einsum("nk,nkd->nd", np.where(resp > 1e-3, resp, 0.0), each)
    np.testing.assert_allclose(bank.average(Z, resp), expected, atol=1e-9)


def test_pixel_variances_are_those_of_the_posterior():
    rng = np.random.default_rng(4)
    prior, noise_variance = random_prior(rng), 1e-4
    basis = np.linalg.qr(np.column_stack([np.ones(9), rng.standard_normal((9, 8))]))[0][:, 1:]
    found = Bank(axes_of(prior), noise_variance).pixel_variances(basis)
    for k, covariance in enumerate(prior.covariances):
        posterior = np.linalg.inv(np.linalg.inv(covariance) + np.eye(8) / noise_variance)
        # The mean of nine pixels has the variance of the noise divided by nine.
        exact = np.diag(basis @ posterior @ basis.T) + noise_variance / 9
        np.testing.assert_allclose(found[k], exact, atol=0.01 * noise_variance)


def test_opponent_axes_keep_noise_white_and_the_mean_of_colours():
    np.testing.assert_allclose(OPPONENT @ OPPONENT.T, np.eye(3) / 3, atol=1e-15)
    np.testing.assert_allclose(OPPONENT @ [0.3, 0.6, 0.9], [0.6, -0.6 / 6**0.5, 0.0], atol=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, Z: best_component(Z, p, 0.0), "noise_std must be a finite number > 0"),
        (lambda p, Z: best_component(Z[:, :3], p, 0.1), "Z has 3 features, expected 8"),
        (lambda p, Z: best_component(Z, "prior", 0.1), "Mixture with zero means.*got str"),
        (lambda p, Z: best_component(Z, shifted(p), 0.1), "Mixture with zero means"),
        (lambda p, Z: best_component(Z[:, :5], narrow(), 0.1), "no square"),
        (lambda p, Z: wiener(Z, [0, 1], p, 0.1), "labels must be 5 whole numbers"),
        (lambda p, Z: wiener(Z, [0, 1, 2, 3, 4], p, 0.1), r"labels must lie in 0\.\.3"),
    ],
)
def test_bad_input_is_named(call, message):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=message):
        call(random_prior(rng), rng.standard_normal((5, 8)))


def shifted(prior):
    return Mixture(prior.weights, prior.means + 1.0, prior.covariances)


def narrow():
    return Mixture([1.0], np.zeros((1, 5)), np.eye(5)[None])
