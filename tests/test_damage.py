"""Masks of scratches and of printed text."""

import numpy as np
import pytest

from gmmlearn.damage import printed_text, scratches


@pytest.mark.parametrize("make", [scratches, printed_text])
def test_masks_are_boolean_repeat_by_seed_and_leave_most_pixels(make):
    mask = make((90, 120), rng=3)
    assert mask.shape == (90, 120) and mask.dtype == bool
    np.testing.assert_array_equal(mask, make((90, 120), rng=3))
    assert (mask != make((90, 120), rng=4)).any()
    assert 0.03 < mask.mean() < 0.35
    assert set(mask.view(np.uint8).ravel().tolist()) == {0, 1}  # Pillow's own booleans are 0, 255


def test_a_scratch_is_a_straight_line_of_its_width():
    mask = scratches((80, 80), 1, 3, rng=5)
    rows, columns = np.nonzero(mask)
    spread = np.linalg.eigvalsh(np.cov(rows, columns))
    assert spread[0] < 1.5 < 50 < spread[1]  # three pixels across: variance (9 - 1) / 12


def test_text_stands_in_lines():
    ink = printed_text((120, 200), height=12, rng=0).any(axis=1)
    assert 6 <= (np.diff(ink.astype(int)) == 1).sum() + ink[0] <= 9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scratches((9, 9), 0), "n_scratches must be at least 1"),
        (lambda: scratches((9, 9), width=0), "width must be at least 1"),
        (lambda: printed_text((9, 9), 5), "height must be at least 6"),
        (lambda: printed_text((9, 9), words=""), "words is empty"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
