"""Patches, their basis without the mean, and priors learned from photographs."""

import numpy as np
import pytest

from gmmlearn import datasets
from gmmlearn.mixture import Mixture
from gmmlearn.patches import (
    corners,
    extract_patches,
    learn_patch_prior,
    load_patch_prior,
    patch_basis,
    reassemble,
    remove_dc,
    turned,
)

RNG = np.random.default_rng(0)
PICTURE = RNG.random((21, 30))


@pytest.mark.parametrize("size", [2, 5, 8])
@pytest.mark.parametrize("stride", [1, 2])
def test_patches_are_the_windows(size, stride):
    patches = extract_patches(PICTURE, size, stride)
    rows, columns = corners(PICTURE.shape, size, stride)
    for patch, r, c in zip(patches, rows, columns, strict=True):
        np.testing.assert_array_equal(
            patch.reshape(size, size), PICTURE[r : r + size, c : c + size]
        )
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows)


@pytest.mark.parametrize("size", [2, 5, 8])
@pytest.mark.parametrize("stride", [1, 2])
def test_untouched_patches_give_the_picture_back(size, stride):
    patches = extract_patches(PICTURE, size, stride)
    np.testing.assert_allclose(reassemble(patches, PICTURE.shape, stride), PICTURE)


def test_overlaps_are_averaged():
    patches = RNG.random((20 * 29, 4))
    whole = reassemble(patches, PICTURE.shape)
    grid = patches.reshape(20, 29, 2, 2)
    assert whole[0, 0] == pytest.approx(grid[0, 0, 0, 0])
    inside = [grid[4, 6, 1, 1], grid[4, 7, 1, 0], grid[5, 6, 0, 1], grid[5, 7, 0, 0]]
    assert whole[5, 7] == pytest.approx(np.mean(inside))


@pytest.mark.parametrize("size", [2, 3, 8])
def test_basis_is_orthonormal_and_has_no_mean(size):
    basis = patch_basis(size)
    np.testing.assert_allclose(basis.T @ basis, np.eye(size**2 - 1), atol=1e-12)
    np.testing.assert_allclose(basis.sum(axis=0), 0.0, atol=1e-12)
    expected = np.eye(size**2) - 1.0 / size**2
    np.testing.assert_allclose(basis @ basis.T, expected, atol=1e-12)


def test_coordinates_and_means_give_the_patches_back():
    patches = extract_patches(PICTURE)
    coordinates, means = remove_dc(patches)
    np.testing.assert_allclose(means, patches.mean(axis=1))
    np.testing.assert_allclose(coordinates @ patch_basis(8).T + means[:, None], patches)
    np.testing.assert_allclose(remove_dc(patches + 3.0)[0], coordinates, atol=1e-12)


def test_turned_patches_take_the_eight_positions():
    patch = RNG.random((3, 3))
    turns = [np.rot90(patch, k) for k in range(4)]
    eight = {one.tobytes() for t in turns for one in (t, t[:, ::-1])}
    found = turned(np.tile(patch.ravel(), (500, 1)), rng=0)
    assert {one.tobytes() for one in found} == eight


def test_a_prior_of_one_component_is_the_second_moment():
    photograph = RNG.random((40, 50))
    prior = learn_patch_prior(photograph, 1, size=4, reg_covar=0.0, rng=3)
    assert not prior.means.any()
    rng = np.random.default_rng(3)  # the same draws
    X, _ = remove_dc(turned(extract_patches(photograph, 4), rng))
    np.testing.assert_allclose(prior.covariances[0], X.T @ X / len(X), rtol=1e-8, atol=1e-12)


def test_learning_finds_the_components_of_made_patches():
    # Stripes along one axis or the other at low contrast, and flat noise.
    rng, n = np.random.default_rng(0), 600
    noise = 0.5 + 0.01 * rng.standard_normal((n, 24))
    stripes = noise + 0.1 * rng.standard_normal((n, 1))
    prior = learn_patch_prior([noise, np.clip(stripes, 0, 1)], 3, size=4, max_iter=300, rng=0)
    traces = np.trace(prior.covariances, axis1=1, axis2=2)
    flat = np.argmin(traces)
    assert traces[flat] == pytest.approx(15 * 0.01**2, rel=0.1)
    assert prior.weights[flat] == pytest.approx(0.5, abs=0.03)
    others = np.delete(prior.weights * traces, flat).sum() / (1.0 - prior.weights[flat])
    assert others == pytest.approx(16 * 0.1**2 * 0.75 + 15 * 0.01**2, rel=0.15)


def test_learning_takes_several_photographs_and_repeats_by_seed():
    photographs = [datasets.photograph("china")[:40, :60], datasets.photograph("flower")[:50, :40]]
    first, second = (learn_patch_prior(photographs, 3, 900, 4, 5, rng=1) for _ in range(2))
    np.testing.assert_array_equal(first.covariances, second.covariances)
    assert first.n_features == 15 and first.n_components == 3


@pytest.mark.parametrize("name", ["china", "flower"])
def test_recorded_priors_know_their_photograph(name):
    prior = load_patch_prior(name)
    assert prior.n_features == 63
    other = load_patch_prior({"china": "flower", "flower": "china"}[name])
    patches = extract_patches(datasets.photograph(name)[100:180, 200:300])
    Z, _ = remove_dc(patches)
    assert prior.log_prob(Z).mean() > other.log_prob(Z).mean() + 3.0
    single = Mixture([1.0], np.zeros((1, 63)), [Z.T @ Z / len(Z)])
    assert prior.log_prob(Z).mean() > single.log_prob(Z).mean() + 3.0


def test_inputs_stay_as_they_are():
    photograph, patches = PICTURE.copy(), extract_patches(PICTURE)
    before = patches.copy()
    learn_patch_prior(photograph, 2, size=4, max_iter=2, rng=0)
    remove_dc(patches), turned(patches, 0), reassemble(patches, PICTURE.shape)
    np.testing.assert_array_equal(photograph, PICTURE)
    np.testing.assert_array_equal(patches, before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: extract_patches(PICTURE, 22), "shape 21 x 30 is smaller than a patch of 22"),
        (lambda: extract_patches(PICTURE[0]), "image has shape"),
        (lambda: extract_patches(PICTURE, 4, 5), "stride is 5.*some would be in none"),
        (lambda: extract_patches(PICTURE, 1), "size must be at least 2"),
        (lambda: reassemble(np.ones((5, 4)), (21, 30)), "5 rows, but .* has 580 patches"),
        (lambda: remove_dc(np.ones((5, 6))), "6 pixels each, which is no square"),
        (lambda: learn_patch_prior(255 * PICTURE), r"photographs .*\[0, 1\].*Divide by 255"),
        (lambda: learn_patch_prior([PICTURE, -PICTURE]), r"photographs\[1\]"),
        (lambda: learn_patch_prior(np.ones((9, 9, 3))), "in colour"),
        (lambda: learn_patch_prior(PICTURE[:5], size=8), "smaller than a patch"),
        (lambda: learn_patch_prior(np.full((9, 9), np.nan)), "inpaint"),
        (lambda: learn_patch_prior(PICTURE, 0), "n_components must be at least 1"),
        (lambda: load_patch_prior("moon"), "Use 'china' or 'flower'"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
