"""Codes against scikit-learn's PCA, and against projecting by hand."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from gmmlearn.codes import PictureCodes
from gmmlearn.datasets import digits

IMAGES = digits("train").X


def pictures(n_samples=60, seed=0):
    """Return colour pictures (N, 4, 5, 3) in [-1, 1] that vary along a few directions."""
    rng = np.random.default_rng(seed)
    few = rng.uniform(-0.3, 0.3, size=(n_samples, 6)) @ rng.normal(size=(6, 60))
    return np.clip(few + 0.01 * rng.normal(size=(n_samples, 60)), -1, 1).reshape(-1, 4, 5, 3)


@pytest.fixture(scope="module")
def codes():
    return PictureCodes.fit(IMAGES, n_codes=20, limits=(0, 16), rng=0)


def test_codes_are_principal_components(codes):
    flat = IMAGES.reshape(len(IMAGES), -1)
    pca = PCA(20, svd_solver="full").fit(flat)
    np.testing.assert_allclose(codes.mean.ravel(), flat.mean(axis=0))
    found, expected = codes.encode(IMAGES), pca.transform(flat)
    # The sign of an axis is free; the last axes of a randomised decomposition are less exact.
    np.testing.assert_allclose(np.abs(found[:, :10]), np.abs(expected[:, :10]), atol=1e-3)
    np.testing.assert_allclose(found.var(axis=0), expected.var(axis=0), rtol=1e-3)
    eigenvalues = np.linalg.eigvalsh(np.cov(flat.T, bias=True))
    assert codes.noise_variance == pytest.approx(eigenvalues[:-20].mean(), rel=1e-3)


def test_decoding_projects_onto_the_plane_and_clips(codes):
    flat = codes.axes.reshape(20, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(20), atol=1e-10)
    centred = IMAGES.reshape(len(IMAGES), -1) - codes.mean.ravel()
    projected = (centred @ flat.T @ flat + codes.mean.ravel()).reshape(IMAGES.shape)
    decoded = codes.decode(codes.encode(IMAGES))
    assert decoded.dtype == np.float32
    assert projected.min() < 0
    assert projected.max() > 16
    np.testing.assert_allclose(decoded, np.clip(projected, 0, 16), atol=1e-5)


def test_colour_pictures_come_back():
    images = pictures()
    codes = PictureCodes.fit(images, n_codes=12, rng=0)
    again = codes.decode(codes.encode(images))
    assert again.shape == images.shape
    assert np.abs(again - images).mean() < 0.02
    single = PictureCodes.fit(images.astype(np.float32), n_codes=12, rng=0)
    np.testing.assert_allclose(
        np.abs(single.encode(images)), np.abs(codes.encode(images)), atol=1e-3
    )


def test_what_was_passed_in_stays_and_what_comes_out_is_frozen():
    images = pictures()
    before = images.copy()
    codes = PictureCodes.fit(images, n_codes=3, rng=0)
    codes.decode(codes.encode(images))
    np.testing.assert_array_equal(images, before)
    with pytest.raises(ValueError, match="read-only"):
        codes.axes[0] = 0


@pytest.mark.parametrize(
    ("images", "settings", "message"),
    [
        (2 * np.ones((9, 4, 4)), {}, r"values from 2 to 2, expected \[-1, 1\]. Rescale"),
        (np.full((9, 4, 4), np.nan, np.float32), {}, "NaN"),
        (np.ones((9, 4)), {}, r"images has shape \(9, 4\)"),
        (np.ones((9, 4, 4), np.float32), {"n_codes": 9}, "have at most 8 axes"),
        (np.ones((9, 4, 4)), {"n_codes": 0}, "n_codes must be at least 1"),
    ],
)
def test_bad_pictures_are_refused(images, settings, message):
    with pytest.raises(ValueError, match=message):
        PictureCodes.fit(images, **({"n_codes": 2} | settings))


def test_one_broken_pixel_is_found(codes):
    images = IMAGES.astype(np.float32)
    images[7, 3, 3] = np.nan
    with pytest.raises(ValueError, match="images has values from nan"):
        codes.encode(images)


def test_bad_codes_and_sizes_are_refused(codes):
    with pytest.raises(ValueError, match="codes has 3 features, expected 20"):
        codes.decode(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"images are \(4, 4\) each, expected \(8, 8\)"):
        codes.encode(np.zeros((2, 4, 4)))
    with pytest.raises(ValueError, match=r"mean has shape \(3, 3\), but axes are \(2, 2\)"):
        PictureCodes(np.zeros((3, 3)), np.zeros((1, 2, 2)))
