"""Where EM over codes and attributes begins; test_conditional.py tests where it goes."""

import numpy as np
import pytest

from gmmlearn.joint_ascent import apportion, start_labels


def test_stratified_start_keeps_each_combination_apart():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(200, 2))
    codes[::7, 0] = np.nan
    attributes = {"season": rng.integers(3, size=200), "night": rng.integers(-1, 1, size=200)}
    labels = start_labels(codes, attributes, 8, ("season", "night"), random_state=0)
    assert set(labels) == set(range(8))
    for k in range(8):
        for values in attributes.values():
            assert len(set(values[labels == k])) == 1
    again = start_labels(codes, attributes, 8, ("season", "night"), random_state=0)
    np.testing.assert_array_equal(labels, again)


def test_apportion_shares_in_proportion():
    np.testing.assert_array_equal(apportion(np.array([100, 300, 5]), 9), [2, 6, 1])
    np.testing.assert_array_equal(apportion(np.array([7]), 4), [4])
    with pytest.raises(ValueError, match="n_components is 2, but stratify makes 3"):
        apportion(np.array([1, 1, 1]), 2)
