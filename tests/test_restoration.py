"""Denoising against closed forms and limits, and adaptation against EM written out."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, uniform_filter
from scipy.stats import multivariate_normal

from gmmlearn import datasets
from gmmlearn.mixture import Mixture
from gmmlearn.patches import extract_patches, learn_patch_prior, patch_basis, reassemble, remove_dc
from gmmlearn.restoration import adapt, denoise, posterior_mean

RNG = np.random.default_rng(0)
CLEAN = datasets.photograph("china")[150:190, 200:250]
NOISE_STD = 0.1
NOISY = CLEAN + NOISE_STD * RNG.standard_normal(CLEAN.shape)
PRIOR = learn_patch_prior(datasets.photograph("flower")[::2, ::2], 6, 4000, 4, 10, rng=0)


@pytest.fixture
def exact(monkeypatch):
    monkeypatch.setattr("gmmlearn.wiener.NEGLIGIBLE", 0.0)


def single(prior):
    total = np.tensordot(prior.weights, prior.covariances, 1)
    return Mixture([1.0], np.zeros((1, prior.n_features)), total[None])


def mse(picture):
    return np.square(picture - CLEAN).mean()


def linear(picture, prior, noise_variance):
    """Filter each patch by the only component, with explicit inverses, and average."""
    basis = patch_basis(4)
    covariance = basis @ prior.covariances[0] @ basis.T
    gain = covariance @ np.linalg.inv(covariance + noise_variance * np.eye(16))
    patches = extract_patches(picture, 4)
    means = patches.mean(axis=1, keepdims=True)
    return reassemble((patches - means) @ gain.T + means, picture.shape)


def test_one_component_is_linear_wiener_restoration(exact):
    prior = single(PRIOR)
    expected = NOISY
    for beta in (1.0, 4.0):
        step = linear(expected, prior, NOISE_STD**2 / beta)
        expected = (NOISY + beta * step) / (1.0 + beta)
    found = denoise(NOISY, prior, NOISE_STD, betas=(1.0, 4.0))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    twice = denoise(2 * NOISY - NOISY, prior, NOISE_STD, betas=(1.0, 4.0))
    np.testing.assert_allclose(twice, found, atol=1e-6)


def test_one_component_has_a_linear_posterior_mean(exact):
    # One component has the same posterior variances everywhere, but not at each pixel of a patch.
    prior, basis = single(PRIOR), patch_basis(4)
    posterior = np.linalg.inv(np.linalg.inv(prior.covariances[0]) + np.eye(15) / NOISE_STD**2)
    certain = 1.0 / (np.diag(basis @ posterior @ basis.T) + NOISE_STD**2 / 16)
    Z, means = remove_dc(extract_patches(NOISY, 4))
    clean = Z @ (posterior / NOISE_STD**2) @ basis.T + means[:, None]
    total, weight = np.zeros(NOISY.shape), np.zeros(NOISY.shape)
    spots = [(r, c) for r in range(37) for c in range(47)]
    for patch, (r, c) in zip(clean, spots, strict=True):
        total[r : r + 4, c : c + 4] += (certain * patch).reshape(4, 4)
        weight[r : r + 4, c : c + 4] += certain.reshape(4, 4)
    found = posterior_mean(NOISY, prior, NOISE_STD)
    np.testing.assert_allclose(found, total / weight, atol=1e-6)


@pytest.mark.parametrize("restore", [denoise, posterior_mean])
def test_without_noise_nothing_changes(restore):
    np.testing.assert_allclose(restore(CLEAN, PRIOR, 1e-6), CLEAN, atol=1e-4)


def test_under_noise_without_end_only_patch_means_are_left():
    found = posterior_mean(CLEAN, PRIOR, 1e4)
    # The mean of all windows through a pixel of their means; borders have fewer windows.
    expected = reassemble(
        np.repeat(extract_patches(CLEAN, 4).mean(axis=1)[:, None], 16, axis=1), CLEAN.shape
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    middle = uniform_filter(uniform_filter(CLEAN, 4, origin=-1), 4, origin=0)
    np.testing.assert_allclose(found[8:-8, 8:-8], middle[8:-8, 8:-8], atol=1e-5)


def test_fidelity_without_end_returns_the_noisy_picture():
    np.testing.assert_allclose(denoise(NOISY, PRIOR, NOISE_STD, fidelity=1e9), NOISY, atol=1e-6)


def test_a_mixture_restores_better_than_one_gaussian_and_than_smoothing():
    smoothed = min(mse(gaussian_filter(NOISY, width)) for width in np.arange(0.3, 2.0, 0.1))
    assert mse(denoise(NOISY, PRIOR, NOISE_STD)) < 0.95 * smoothed
    assert mse(posterior_mean(NOISY, adapt(PRIOR, NOISY, NOISE_STD), NOISE_STD)) < 0.8 * smoothed
    assert mse(denoise(NOISY, PRIOR, NOISE_STD)) < mse(denoise(NOISY, single(PRIOR), NOISE_STD))


def em_step_by_hand(Z, fitted, learned, noise_variance, strength):
    d = Z.shape[1]
    noise = noise_variance * np.eye(d)
    log_joint = np.stack(
        [
            np.log(w) + multivariate_normal(np.zeros(d), c + noise).logpdf(Z)
            for w, c in zip(fitted.weights, fitted.covariances, strict=True)
        ],
        axis=1,
    )
    resp = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    resp /= resp.sum(axis=1, keepdims=True)
    covariances = []
    for k, covariance in enumerate(fitted.covariances):
        posterior = np.linalg.inv(np.linalg.inv(covariance) + np.eye(d) / noise_variance)
        total = strength * learned.covariances[k]
        for z, r in zip(Z, resp[:, k], strict=True):
            mean = posterior @ z / noise_variance
            total = total + r * (posterior + np.outer(mean, mean))
        covariances.append(total / (strength + resp[:, k].sum()))
    return Mixture(resp.mean(axis=0), learned.means, covariances)


def test_adaptation_is_em_on_noisy_patches(exact):
    Z, _ = remove_dc(extract_patches(NOISY, 4))
    expected = PRIOR
    for _ in range(2):
        expected = em_step_by_hand(Z, expected, PRIOR, NOISE_STD**2, 20.0)
    found = adapt(PRIOR, NOISY, NOISE_STD, strength=20.0, n_steps=2)
    np.testing.assert_allclose(found.weights, expected.weights, atol=1e-4)
    np.testing.assert_allclose(
        found.covariances, expected.covariances, atol=1e-3 * np.abs(expected.covariances).max()
    )


def test_the_penalised_likelihood_of_the_noisy_patches_never_falls(exact):
    Z, _ = remove_dc(extract_patches(NOISY, 4))
    strength, noise = 50.0, NOISE_STD**2 * np.eye(15)

    def objective(prior):
        noisy = Mixture(prior.weights, prior.means, prior.covariances + noise)
        penalty = sum(
            np.linalg.slogdet(new)[1] + np.trace(np.linalg.solve(new, old))
            for new, old in zip(prior.covariances, PRIOR.covariances, strict=True)
        )
        return noisy.log_prob(Z).sum() - 0.5 * strength * penalty

    steps = [objective(adapt(PRIOR, NOISY, NOISE_STD, strength, n)) for n in range(6)]
    assert np.diff(steps).min() > -1e-3 * np.ptp(steps)
    assert steps[-1] > steps[0] + 100


def test_adaptation_without_end_of_strength_keeps_the_covariances():
    found = adapt(PRIOR, NOISY, NOISE_STD, strength=1e12, n_steps=2)
    np.testing.assert_allclose(found.covariances, PRIOR.covariances, rtol=1e-5, atol=1e-9)


def test_adaptation_helps():
    adapted = adapt(PRIOR, NOISY, NOISE_STD)
    assert mse(denoise(NOISY, adapted, NOISE_STD)) < mse(denoise(NOISY, PRIOR, NOISE_STD))
    before, after = (mse(posterior_mean(NOISY, p, NOISE_STD)) for p in (PRIOR, adapted))
    assert after < 0.95 * before


def test_adaptation_leaves_out_patches_with_holes():
    mask = np.zeros(NOISY.shape, bool)
    mask[:, 25:] = True
    expected = adapt(PRIOR, NOISY[:, :25], NOISE_STD)
    holed = np.where(mask, np.nan, NOISY)
    found = adapt(PRIOR, holed, NOISE_STD, mask=mask)
    np.testing.assert_allclose(found.covariances, expected.covariances)


def test_colour_is_three_pictures_of_opponent_colours():
    clean = datasets.photograph("china", grey=False)[150:190, 200:250]
    noisy = clean + NOISE_STD * np.random.default_rng(1).standard_normal(clean.shape)
    priors = adapt(PRIOR, noisy, NOISE_STD)
    assert len(priors) == 3
    restored = denoise(noisy, priors, NOISE_STD)
    assert restored.shape == clean.shape
    brightness = denoise(noisy.mean(axis=2), priors[0], NOISE_STD / 3**0.5)
    np.testing.assert_allclose(restored.mean(axis=2), brightness, atol=1e-6)
    by_itself = [denoise(noisy[..., c], PRIOR, NOISE_STD) for c in range(3)]
    error = np.square(restored - clean).mean()
    assert error < 0.8 * np.square(np.stack(by_itself, axis=2) - clean).mean()
    grey = np.repeat(NOISY[..., None], 3, axis=2)
    same = denoise(grey, PRIOR, NOISE_STD)
    np.testing.assert_allclose(same, same.mean(axis=2, keepdims=True) * np.ones(3), atol=1e-6)


def test_inputs_stay_as_they_are():
    noisy = NOISY.copy()
    for restore in (denoise, posterior_mean):
        restore(noisy, PRIOR, NOISE_STD)
    mask = np.zeros(NOISY.shape, bool)
    mask[0, 0] = True
    adapt(PRIOR, noisy, NOISE_STD, mask=mask)
    np.testing.assert_array_equal(noisy, NOISY)
    assert mask.sum() == 1


HOLED = np.where(np.eye(40, 50) > 0, np.nan, CLEAN)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f(255 * NOISY, PRIOR, NOISE_STD), r"expected pixels in \[0, 1\] plus noise"),
        (lambda f: f(NOISY, PRIOR, 0.0), "noise_std must be a finite number > 0"),
        (lambda f: f(NOISY, PRIOR, -1.0), "noise_std must be a finite number >= 0"),
        (lambda f: f(HOLED, PRIOR, NOISE_STD), r"NaN.*inpaint\(image, mask, prior\)"),
        (lambda f: f(NOISY[:3], PRIOR, NOISE_STD), "3 x 50 pixels is smaller than a patch of 4"),
        (lambda f: f(NOISY[0], PRIOR, NOISE_STD), "image has shape"),
        (lambda f: f(NOISY[..., None], PRIOR, NOISE_STD), r"expected \(height, width\) or"),
        (lambda f: f(NOISY, [PRIOR] * 3, NOISE_STD), "three parts, image is grey"),
        (lambda f: f(np.ones((9, 9, 3)), [PRIOR] * 2, NOISE_STD), "prior has 2 parts"),
        (lambda f: f(NOISY, None, NOISE_STD), "prior must be a Mixture"),
        (lambda f: f("text", PRIOR, NOISE_STD), "image"),
    ],
)
@pytest.mark.parametrize(
    "function", [denoise, posterior_mean, lambda image, prior, std: adapt(prior, image, std)]
)
def test_bad_input_is_named(function, call, message):
    with pytest.raises(ValueError, match=message):
        call(function)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: denoise(NOISY, PRIOR, 0.1, betas=(1, 0)), "betas must be a finite number > 0"),
        (lambda: denoise(NOISY, PRIOR, 0.1, fidelity=-1), "fidelity"),
        (lambda: adapt(PRIOR, NOISY, 0.1, strength=0), "strength must be a finite number > 0"),
        (lambda: adapt(PRIOR, NOISY, 0.1, n_steps=-1), "n_steps must be at least 0"),
        (lambda: adapt(PRIOR, NOISY, 0.1, mask=np.indices(NOISY.shape)[1] % 3 > 0), "no patch"),
        (lambda: adapt(PRIOR, NOISY, 0.1, mask=np.ones((2, 2), bool)), "mask must be booleans"),
    ],
)
def test_bad_settings_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
