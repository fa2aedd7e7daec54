"""The data sets: their known modes, ranges and parts."""

import gzip

import numpy as np
import pytest
from sklearn.datasets import load_digits

from gmmlearn import datasets
from gmmlearn.mixture import Mixture


def test_blobs_are_a_mixture_with_overlap():
    mixture = Mixture(**datasets.BLOBS)
    points, labels = mixture.sample(2000, rng=0)
    guessed = mixture.responsibilities(points).argmax(axis=1)
    assert 0.9 < (guessed == labels).mean() < 0.999


@pytest.mark.parametrize(
    ("draw", "n_modes", "std"), [(datasets.ring, 8, 0.01), (datasets.grid, 25, 0.05)]
)
def test_modes_have_equal_shares_the_std_and_the_published_places(draw, n_modes, std):
    points, labels = draw(50_000, rng=0)
    share = np.bincount(labels, minlength=n_modes) / len(labels)
    np.testing.assert_allclose(share, 1 / n_modes, atol=5 * np.sqrt(1 / n_modes / len(labels)))
    centres = np.array([points[labels == k].mean(axis=0) for k in range(n_modes)])
    if draw is datasets.ring:
        np.testing.assert_allclose(np.hypot(*centres.T), 1.0, atol=0.001)
        angles = np.sort(np.mod(np.arctan2(centres[:, 1], centres[:, 0]) + 0.01, 2 * np.pi))
        np.testing.assert_allclose(np.diff(angles), np.pi / 4, atol=0.001)
    else:
        np.testing.assert_allclose(centres, 2 * np.round(centres / 2), atol=0.01)
        assert len(np.unique(np.round(centres), axis=0)) == 25
        assert np.abs(np.round(centres)).max() == 4
    np.testing.assert_allclose((points - centres[labels]).std(axis=0), std, rtol=0.02)


def test_spiral_lies_around_its_curve():
    points = datasets.spiral(2000, rng=0, turns=1.5, std=0.0)
    radius, angle = np.hypot(*points.T), np.arctan2(points[:, 1], points[:, 0])
    np.testing.assert_allclose(np.mod(3 * np.pi * radius / 3, 2 * np.pi), np.mod(angle, 2 * np.pi))
    assert 0.6 < radius.min() < 0.75 < 2.9 < radius.max() <= 3.0
    noisy = datasets.spiral(2000, rng=0, turns=1.5, std=0.1)
    assert np.std(noisy - points) == pytest.approx(0.1, rel=0.1)


def test_every_draw_is_seeded_and_otherwise_fresh():
    for draw in (datasets.ring, datasets.grid, datasets.spiral):
        first, again, other = (np.asarray(draw(20, rng=seed)[0]) for seed in (4, 4, 5))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()


def test_digits_parts_are_disjoint_and_complete():
    whole = datasets.digits()
    parts = [datasets.digits(part) for part in ("train", "validation", "test")]
    assert [len(part.X) for part in parts] == [1000, 297, 500]
    np.testing.assert_array_equal(np.concatenate([part.X for part in parts]), whole.X)
    np.testing.assert_array_equal(np.concatenate([part.labels for part in parts]), whole.labels)
    # The shuffle moves each image together with its label: compare as multisets.
    raw = load_digits()

    def rows(images, labels):
        return sorted(map(bytes, np.column_stack([images.reshape(1797, 64), labels]).astype("u1")))

    assert rows(whole.X, whole.labels) == rows(raw.images, raw.target)
    assert min(np.bincount(parts[0].labels)) > 80


def test_dequantised_pixels_stay_in_their_bins():
    images = datasets.digits("test").X
    flat = datasets.dequantise(images, rng=0)
    assert flat.shape == (500, 64)
    np.testing.assert_array_equal(np.floor(flat * 17), images.reshape(500, 64))
    noise = flat * 17 - images.reshape(500, 64)
    assert noise.mean() == pytest.approx(0.5, abs=0.01)
    assert noise.var() == pytest.approx(1 / 12, abs=0.002)


def test_photographs_are_in_range_and_grey_is_the_luma():
    for name in ("china", "flower"):
        color, grey = datasets.photograph(name, grey=False), datasets.photograph(name)
        assert color.shape == (427, 640, 3)
        assert 0 <= color.min() < 0.1 < 0.9 < color.max() <= 1
        expected = 0.299 * color[..., 0] + 0.587 * color[..., 1] + 0.114 * color[..., 2]
        np.testing.assert_allclose(grey, expected, atol=1e-12)
    assert (datasets.photograph("china") != datasets.photograph("flower")).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: datasets.ring(0), "n_samples must be at least 1"),
        (lambda: datasets.ring(5, n_modes=0), "n_modes must be at least 1"),
        (lambda: datasets.ring(5, std=-1), "std must be a finite number >= 0"),
        (lambda: datasets.ring(5, radius=np.inf), "radius must be a finite number >= 0"),
        (lambda: datasets.grid(5, n_per_side=1.5), "n_per_side must be a whole number"),
        (lambda: datasets.grid(5, rng="seed"), "rng must be"),
        (lambda: datasets.spiral(5, turns=-1), "turns must be a finite number >= 0"),
        (lambda: datasets.digits("dev"), "part is 'dev'. Use 'all', 'train'"),
        (lambda: datasets.digits(["train"]), r"part is \['train'\]. Use"),
        (lambda: datasets.photograph("cat"), "name is 'cat'. Use 'china' or 'flower'"),
        (lambda: datasets.dequantise([[0.5]]), "images must hold whole numbers from 0 to 16"),
        (lambda: datasets.dequantise([[17]]), "images must hold whole numbers from 0 to 16"),
        (lambda: datasets.dequantise([[-1]]), "images must hold whole numbers from 0 to 16"),
        (lambda: datasets.dequantise([[np.nan]]), "images contains NaN"),
        (lambda: datasets.dequantise([]), "images"),
        (lambda: datasets.dequantise(3), "images"),
        (lambda: datasets.dequantise([[1]], n_levels=1), "n_levels must be at least 2"),
    ],
)
def test_bad_input_is_named_and_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_nothing_passed_in_is_changed():
    images = datasets.digits("test").X
    copy = images.copy()
    datasets.dequantise(images, rng=0)
    np.testing.assert_array_equal(images, copy)


def write_idx(path, array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))


@pytest.fixture
def mnist_folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(256, size=(5, 28, 28)), np.array([7, 2, 1, 0, 4])
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", images)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", labels)
    monkeypatch.delenv("GMMLEARN_DATA", raising=False)
    return tmp_path, images, labels


def test_mnist_is_read_from_a_folder_or_the_environment(mnist_folder, monkeypatch):
    folder, images, labels = mnist_folder
    found = datasets.mnist("test", folder)
    np.testing.assert_array_equal(found.X, images)
    np.testing.assert_array_equal(found.labels, labels)
    monkeypatch.setenv("GMMLEARN_DATA", str(folder))
    np.testing.assert_array_equal(datasets.mnist().X, images)


def test_mnist_says_what_is_missing(mnist_folder):
    folder, _, _ = mnist_folder
    with pytest.raises(ValueError, match="GMMLEARN_DATA is not set"):
        datasets.mnist()
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz cannot be read"):
        datasets.mnist("train", folder)
    with pytest.raises(ValueError, match="Use 'test' or 'train'"):
        datasets.mnist("validation", folder)
    path = folder / "t10k-labels-idx1-ubyte.gz"
    whole = path.read_bytes()
    for damaged in (
        whole[:-9],
        gzip.compress(b"other"),
        gzip.compress(gzip.decompress(whole)[:-1]),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"t10k-labels.*(cannot be read|no whole IDX)"):
            datasets.mnist("test", folder)
