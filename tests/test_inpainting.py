"""Inpainting against chapter 1's conditional Gaussian, Laplace's equation and scikit-image."""

import numpy as np
import pytest

from gmmlearn import datasets
from gmmlearn.gaussian import Gaussian
from gmmlearn.inpainting import EXACT, UNKNOWN, _conditional, inpaint, smooth_fill
from gmmlearn.mixture import Mixture
from gmmlearn.patches import learn_patch_prior, patch_basis
from gmmlearn.restoration import adapt

CLEAN = datasets.photograph("china")[150:190, 200:250]
PRIOR = learn_patch_prior(datasets.photograph("flower")[::2, ::2], 6, 4000, 4, 10, rng=0)
MASK = np.zeros(CLEAN.shape, bool)
MASK[7:33, 11:13] = MASK[20:22, 3:45] = True  # two scratches


def mse(picture):
    return np.square(picture - CLEAN)[MASK].mean()


def test_smooth_fill_is_harmonic_and_exact_on_planes():
    rows, columns = np.indices(CLEAN.shape)
    plane = 0.1 + 0.01 * rows + 0.004 * columns
    np.testing.assert_allclose(smooth_fill(np.where(MASK, 9.0, plane), MASK), plane, atol=1e-12)
    filled = smooth_fill(np.where(MASK, 9.0, CLEAN), MASK)
    shifted = [np.roll(filled, step, axis) for step in (1, -1) for axis in (0, 1)]
    around = np.mean(shifted, axis=0)
    np.testing.assert_allclose(filled[MASK], around[MASK], atol=1e-12)
    np.testing.assert_array_equal(filled[~MASK], CLEAN[~MASK])


def test_smooth_fill_reaches_the_corners():
    mask = np.ones((5, 6), bool)
    mask[2, 3] = False
    np.testing.assert_allclose(smooth_fill(np.full((5, 6), 0.3), mask), 0.3)


def test_missing_pixels_get_their_conditional_mean_and_variance():
    rng = np.random.default_rng(0)
    basis = patch_basis(3)
    roots = 0.1 * rng.standard_normal((4, 8, 8))
    covariances = basis @ (roots @ roots.swapaxes(1, 2)) @ basis.T + UNKNOWN**2
    patches, known = rng.random((4, 9)), rng.random((4, 9)) < 0.6
    known[0] = True
    known[0, 4] = False
    mean, variance = _conditional(patches, known, covariances)
    for n in range(4):
        given = np.flatnonzero(known[n])
        centre = patches[n, given].mean()
        # Twice the same pixels: as they are, and as they were seen.
        both = np.block([[covariances[n], covariances[n]], [covariances[n], covariances[n]]])
        both += np.diag([1e-14] * 9 + [EXACT**2] * 9)
        exact = Gaussian(np.full(18, centre), both).condition(9 + given, patches[n, given])
        np.testing.assert_allclose(mean[n], exact.mean[:9], atol=1e-6)
        expected = np.maximum(np.diag(exact.covariance)[:9], EXACT**2)
        np.testing.assert_allclose(variance[n], expected, rtol=1e-3, atol=1e-8)


def test_one_component_one_patch_is_a_conditional_gaussian():
    total = np.tensordot(PRIOR.weights, PRIOR.covariances, 1)
    prior = Mixture([1.0], np.zeros((1, 15)), total[None])
    patch, mask = CLEAN[10:14, 20:24], np.zeros((4, 4), bool)
    mask[1, 1] = mask[2, 3] = True
    covariance = patch_basis(4) @ total @ patch_basis(4).T + UNKNOWN**2
    # What was seen carries a little noise; what is asked for does not.
    seen = covariance + EXACT**2 * np.diag((~mask).ravel())
    known = np.flatnonzero(~mask.ravel())
    centre = patch.ravel()[known].mean()
    exact = Gaussian(np.full(16, centre), seen).condition(known, patch.ravel()[known]).mean
    np.testing.assert_allclose(inpaint(patch, mask, prior)[mask], exact, atol=1e-5)


@pytest.mark.parametrize("garbage", [0.0, 1.0, np.nan, 77.0])
def test_known_pixels_stay_and_missing_ones_do_not_matter(garbage):
    damaged = np.where(MASK, garbage, CLEAN)
    restored = inpaint(damaged, MASK, PRIOR)
    np.testing.assert_array_equal(restored[~MASK], CLEAN[~MASK])
    np.testing.assert_array_equal(restored, inpaint(np.where(MASK, 0.5, CLEAN), MASK, PRIOR))


def test_nothing_missing_changes_nothing():
    np.testing.assert_array_equal(inpaint(CLEAN, np.zeros(CLEAN.shape, bool), PRIOR), CLEAN)


def test_a_patch_without_known_pixels_is_filled():
    mask = np.zeros(CLEAN.shape, bool)
    mask[10:20, 10:20] = True
    restored = inpaint(CLEAN, mask, PRIOR)
    assert np.isfinite(restored).all() and -0.2 < restored.min() and restored.max() < 1.2


def test_patches_fill_better_than_smoothness_alone():
    pytest.importorskip("skimage")
    from skimage.restoration import inpaint_biharmonic

    adapted = adapt(PRIOR, CLEAN, 0.01, mask=MASK)
    error = mse(inpaint(CLEAN, MASK, adapted))
    assert error < 0.9 * mse(inpaint_biharmonic(np.where(MASK, 0.0, CLEAN), MASK))
    assert error < 0.9 * mse(smooth_fill(CLEAN, MASK))


def test_colour():
    clean = datasets.photograph("china", grey=False)[150:190, 200:250]
    damaged = np.where(MASK[..., None], np.nan, clean)
    restored = inpaint(damaged, MASK, adapt(PRIOR, damaged, 0.01, mask=MASK))
    np.testing.assert_array_equal(restored[~MASK], clean[~MASK])
    smooth = np.stack([smooth_fill(clean[..., c], MASK) for c in range(3)], axis=2)
    assert np.square(restored - clean).mean() < 0.9 * np.square(smooth - clean).mean()


def test_inputs_stay_as_they_are():
    image, mask = CLEAN.copy(), MASK.copy()
    inpaint(image, mask, PRIOR)
    smooth_fill(image, mask)
    np.testing.assert_array_equal(image, CLEAN)
    np.testing.assert_array_equal(mask, MASK)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: inpaint(CLEAN, MASK[1:], PRIOR), r"mask must be booleans of shape \(40, 50\)"),
        (lambda: inpaint(CLEAN, MASK.astype(int), PRIOR), "mask > 0"),
        (lambda: inpaint(CLEAN, np.ones_like(MASK), PRIOR), "every pixel is missing"),
        (lambda: inpaint(255 * CLEAN, MASK, PRIOR), r"\[0, 1\]\. Grey levels 0\.\.255\? Divide"),
        (lambda: inpaint(np.where(MASK, CLEAN, np.nan), MASK, PRIOR), "contains NaN"),
        (lambda: inpaint(CLEAN, MASK, None), "prior must be a Mixture"),
        (lambda: inpaint(CLEAN[:3], MASK[:3], PRIOR), "smaller than a patch"),
        (lambda: inpaint(CLEAN, MASK, PRIOR, noise_stds=(0.1, 0.0)), "noise_stds must be"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
