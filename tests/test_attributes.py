"""Attributes are read strictly; their tables and features agree with counting by hand."""

import numpy as np
import pytest

from gmmlearn.attributes import as_asked, as_attributes, levels_of, one_hot, smoothed, split

LEVELS = {"season": ("winter", "summer"), "n_trees": (0, 1, 2)}


def test_one_hot_has_a_row_of_zeros_where_an_attribute_is_missing():
    known = as_attributes({"n_trees": [2, -1, 0], "season": np.array([0, 1, -1])}, 3)
    expected = [[1, 0, 0, 0, 1], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
    np.testing.assert_array_equal(one_hot(known, LEVELS, 3), expected)
    only = one_hot({"season": known["season"]}, LEVELS, 3)
    np.testing.assert_array_equal(only[:, 2:], 0)
    np.testing.assert_array_equal(only[:, :2], np.array(expected)[:, :2])


def test_smoothed_tables_are_shares_of_counts_and_imaginary_samples():
    counts = np.array([[6.0, 2.0, 0.0, 3.0, 1.0]])
    tables, log_prior = smoothed(counts, LEVELS, concentration=0.5)
    table = split(tables, LEVELS)
    assert log_prior == pytest.approx(0.5 * np.log(tables).sum())
    np.testing.assert_allclose(table["season"], [[6.5 / 9, 2.5 / 9]])
    np.testing.assert_allclose(table["n_trees"], [[0.5 / 5.5, 3.5 / 5.5, 1.5 / 5.5]])
    np.testing.assert_array_equal(counts, [[6, 2, 0, 3, 1]])


def test_levels_are_those_named_or_those_seen():
    known = as_attributes({"season": [0, 0], "n_trees": [2, -1]}, 2)
    found = levels_of(known, {"season": ["winter", "summer"]})
    assert found == {"season": ("winter", "summer"), "n_trees": (0, 1, 2)}


def test_what_is_asked_becomes_numbers_of_levels():
    assert as_asked({"season": "summer", "n_trees": (2, 1)}, LEVELS) == {
        "season": [1],
        "n_trees": [2, 1],
    }
    assert as_asked({"n_trees": [1, 1]}, LEVELS) == {"n_trees": [1]}


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ([0, 1], "must be a dict"),
        ({"season": [0.5, 1.0]}, r"\['season'\] of type float64.*whole numbers"),
        ({"season": [[0, 1]]}, r"shape \(1, 2\) must be whole numbers"),
        ({"season": ["a", "b"]}, "whole numbers"),
        ({"season": [0, 1, 1]}, "has 3 entries, but there are 2"),
        ({"season": [0, -2]}, "contains -2. Number levels"),
    ],
)
def test_malformed_attributes_are_refused(attributes, message):
    with pytest.raises(ValueError, match=message):
        as_attributes(attributes, 2)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({"weather": ("rain",)}, r"levels names \['weather'\], but attributes has \['season'\]"),
        ({"season": ("winter", "winter")}, "names a level twice"),
        (None, "is missing everywhere"),
    ],
)
def test_malformed_levels_are_refused(levels, message):
    with pytest.raises(ValueError, match=message):
        levels_of({"season": np.array([-1, -1])}, levels)


def test_numbers_without_a_level_are_refused():
    with pytest.raises(ValueError, match=r"contains 2, but its levels.*0..1: winter, summer"):
        one_hot({"season": np.array([0, 2])}, LEVELS, 2)
    with pytest.raises(ValueError, match=r"attributes has \['sky'\], but the model knows"):
        one_hot({"sky": np.array([0, 0])}, LEVELS, 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sky": "blue"}, "no attribute 'sky'. Known are: season, n_trees"),
        ({"season": "autumn"}, "has no level 'autumn'. Known are: winter, summer"),
        ({"season": ("winter", "fall")}, "has no level 'fall'"),
        ({"n_trees": 3}, "has no level 3. Known are: 0, 1, 2"),
        ({"n_trees": ()}, "asked for no level at all"),
    ],
)
def test_unknown_levels_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        as_asked(given, LEVELS)
