"""Pixels: there and back, and what is refused."""

import numpy as np
import pytest
import torch

from gmmlearn.datasets import digits
from gmmlearn.deep.pixels import as_images, as_pixels


def test_each_pixel_goes_where_it_belongs():
    images = np.random.default_rng(0).uniform(0, 1, (4, 5, 5, 3))
    pixels = as_pixels(images, limits=(0, 1))
    assert pixels.shape == (4, 3, 5, 5)
    assert pixels.dtype == torch.float32
    assert pixels.is_contiguous()
    for n, row, column, channel in [(0, 0, 4, 2), (3, 1, 2, 0), (2, 4, 0, 1)]:
        expected = np.interp(images[n, row, column, channel], [0, 1], [-1, 1])
        assert pixels[n, channel, row, column].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("limits", [(-1, 1), (0, 16), (0, 1), (0, 255)])
@pytest.mark.parametrize("tail", [(6, 6), (6, 6, 3)])
def test_there_and_back_is_where_one_began(limits, tail):
    low, high = limits
    images = np.random.default_rng(1).uniform(low, high, (3, *tail))
    images[0].flat[:2] = limits
    before = images.copy()
    back = as_images(as_pixels(images, limits), limits)
    assert back.shape == images.shape and back.dtype == np.float64
    np.testing.assert_allclose(back, images, atol=1e-6 * (high - low))
    np.testing.assert_array_equal(back[0].flat[:2], limits)
    np.testing.assert_array_equal(images, before)


def test_digits_become_pixels_and_return_exactly():
    images = digits("test").X
    np.testing.assert_array_equal(as_images(as_pixels(images, (0, 16)), (0, 16)), images)


def test_what_lies_outside_is_clipped_on_the_way_back():
    pixels = torch.tensor([[[[-3.0, 0.0], [1.0001, 0.5]]]], requires_grad=True)
    np.testing.assert_array_equal(as_images(pixels, (0, 2)), [[[0.0, 1.0], [2.0, 1.5]]])
    assert pixels[0, 0, 0, 0].item() == -3.0


@pytest.mark.parametrize(
    ("images", "limits", "match"),
    [
        (np.full((2, 4, 4), 1.5), (-1, 1), "images has pixels from 1.5 to 1.5, expected -1 to 1"),
        (np.full((2, 4, 4), -0.1), (0, 16), "images has pixels from -0.1.*expected 0 to 16"),
        (np.zeros((2, 4, 5)), (-1, 1), r"images has shape \(2, 4, 5\)"),
        (np.zeros((2, 4, 4, 4)), (-1, 1), r"images has shape \(2, 4, 4, 4\)"),
        (np.zeros((4, 4)), (-1, 1), "images has shape"),
        (np.full((2, 4, 4), np.nan), (-1, 1), "images contains NaN"),
        (np.zeros((2, 4, 4)), (1, 1), "limits must be two numbers, the smaller first"),
        (np.zeros((2, 4, 4)), (0, 1, 2), "limits must be two numbers"),
    ],
)
def test_bad_images_are_refused_by_name(images, limits, match):
    with pytest.raises(ValueError, match=match):
        as_pixels(images, limits)


@pytest.mark.parametrize(
    ("pixels", "match"),
    [
        (torch.zeros(2, 2, 4, 4), "pixels has shape"),
        (torch.zeros(2, 4, 4), "pixels has shape"),
        (torch.full((1, 1, 2, 2), torch.inf), "pixels contains infinity"),
    ],
)
def test_bad_pixels_are_refused_by_name(pixels, match):
    with pytest.raises(ValueError, match=match):
        as_images(pixels)
