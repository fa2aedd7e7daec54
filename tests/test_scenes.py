"""The four seasons: labels as asked for, and pictures that show what their labels say."""

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from gmmlearn import scenes
from gmmlearn.scenes._year import LENGTHS, STARTS, season_of
from gmmlearn.scenes.labels import MARGIN, WEATHER_SHARES

JUNE = 170.0


def labelled(n_samples, day=JUNE, time=1, weather=0, n_trees=0):
    """Return equal labels of n scenes."""
    one = scenes.Labels(day, season_of(day), time, weather, n_trees)
    return scenes.Labels(*(np.full(n_samples, value) for value in one))


# Labels


def test_seasons_are_the_meteorological_ones():
    first_days = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30])  # of each month
    expected = [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0]
    np.testing.assert_array_equal(season_of(first_days), expected)
    np.testing.assert_array_equal(season_of((first_days - 0.01) % 365), np.roll(expected, 1))
    assert sum(LENGTHS) == 365
    np.testing.assert_array_equal((np.array(STARTS) + LENGTHS) % 365, np.roll(STARTS, -1))


def test_labels_follow_their_documented_distribution():
    n = 20_000
    labels = scenes.sample_labels(n, rng=0)
    for values, n_values in ((labels.season, 4), (labels.time, 4), (labels.n_trees, 5)):
        assert chisquare(np.bincount(values, minlength=n_values)).pvalue > 1e-3
    # Independent: each pair of values as often as the product of their shares.
    pairs = np.bincount(labels.time * 5 + labels.n_trees, minlength=20)
    assert chisquare(pairs).pvalue > 1e-3
    for season, shares in enumerate(WEATHER_SHARES):
        counts = np.bincount(labels.weather[labels.season == season], minlength=4)
        possible = np.array(shares) > 0
        assert counts[~possible].sum() == 0
        expected = np.array(shares)[possible] * counts.sum()
        assert chisquare(counts[possible], expected).pvalue > 1e-3
    np.testing.assert_array_equal(labels.season, season_of(labels.day))


def test_days_are_uniform_in_the_middle_of_their_season():
    labels = scenes.sample_labels(8000, rng=1)
    share = (labels.day - np.array(STARTS)[labels.season]) % 365 / np.array(LENGTHS)[labels.season]
    assert kstest(share, "uniform", (MARGIN, 1 - 2 * MARGIN)).pvalue > 1e-3


def test_given_labels_are_kept_and_the_rest_is_conditioned_on_them():
    asked = {"season": ["spring", "autumn"] * 50, "time": 3, "n_trees": np.arange(100) % 5}
    labels = scenes.sample_labels(100, rng=0, **asked)
    np.testing.assert_array_equal(labels.season, [1, 3] * 50)
    np.testing.assert_array_equal(labels.time, 3)
    np.testing.assert_array_equal(labels.n_trees, np.arange(100) % 5)
    assert set(scenes.sample_labels(50, rng=0, weather="snow").season) == {0}
    # Bayes: P(season | rain) is proportional to P(rain | season).
    rainy = scenes.sample_labels(20_000, rng=0, weather="rain")
    shares = np.array(WEATHER_SHARES)[:, 2]
    counts = np.bincount(rainy.season, minlength=4)
    assert chisquare(counts, shares / shares.sum() * 20_000).pvalue > 1e-3
    days = np.array([0.0, 100.5, 364.9])
    dated = scenes.sample_labels(3, rng=0, day=days)
    np.testing.assert_array_equal(dated.day, days)
    np.testing.assert_array_equal(dated.season, [0, 1, 0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seson": "spring"}, r"seson is not a label. Give any of: day, season, time"),
        ({"season": "sprig"}, r"season is 'sprig'. Use one of: winter, spring, summer, autumn"),
        ({"time": "noon"}, r"time is 'noon'. Use one of: morning, day, evening, night"),
        ({"season": 4}, r"season is 4. It must be a whole number from 0 to 3, or one of: winter"),
        ({"n_trees": 5}, r"n_trees is 5. It must be a whole number from 0 to 4"),
        ({"n_trees": 1.5}, r"n_trees is 1.5"),
        ({"n_trees": -1}, r"n_trees is -1"),
        ({"n_trees": "two"}, r"n_trees cannot be read"),
        ({"day": 365}, r"day is 365. It must be in \[0, 365\)"),
        ({"day": np.nan}, r"day contains NaN"),
        ({"time": [0, 1]}, r"time has shape \(2,\), expected one value or \(3,\)"),
        ({"time": np.zeros((3, 1))}, r"time has shape \(3, 1\)"),
        ({"season": "summer", "weather": "snow"}, r"season and weather contradict.*summer, snow"),
        ({"season": "summer", "day": 3}, r"season and day contradict each other: summer, day 3"),
        ({"day": 200, "weather": "snow"}, r"day and weather contradict each other: day 200, snow"),
    ],
)
def test_bad_label_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        scenes.make_scenes(3, rng=0, **given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"season": np.array([0, 0])},
            r"labels say that day 170 is in winter, but it is in summer",
        ),
        ({"time": np.array([0, 1, 2])}, r"labels have the shapes .*Give each the same shape"),
        ({"weather": np.array([0, 7])}, r"weather is 7"),
    ],
)
def test_labels_that_cannot_be_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        scenes.render(labelled(2)._replace(**change), rng=0)


def test_render_wants_labels_and_a_size_it_knows():
    with pytest.raises(ValueError, match="labels must be a Labels of day, season, time"):
        scenes.render([1, 2], rng=0)
    with pytest.raises(ValueError, match=r"size is 48. Use one of: 16, 32, 64, 128"):
        scenes.render(labelled(1), size=48)
    with pytest.raises(ValueError, match="rng must be"):
        scenes.render(labelled(1), rng=-1)


def test_words_for_labels():
    labels = scenes.sample_labels(2, rng=0, day=[10, 250], time="night", weather="rain", n_trees=0)
    assert scenes.describe(labels) == ["winter night, rain, no tree", "autumn night, rain, no tree"]


# Pictures


@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_pictures_are_float32_in_range_and_seeded(size):
    first, again, other = (scenes.make_scenes(5, rng=seed, size=size) for seed in (4, 4, 5))
    assert first.images.shape == (5, size, size, 3)
    assert first.images.dtype == np.float32
    assert -1 <= first.images.min() < -0.5 < 0.5 < first.images.max() <= 1
    np.testing.assert_array_equal(first.images, again.images)
    for part, same in zip(first.labels, again.labels, strict=True):
        np.testing.assert_array_equal(part, same)
    assert (first.images != other.images).any(axis=(1, 2, 3)).all()


def test_picture_depends_on_its_own_label_and_numbers_alone():
    labels = scenes.sample_labels(70, rng=0)  # more than one block
    images = scenes.render(labels, rng=1)
    fewer = scenes.Labels(*(part[:40] for part in labels))
    np.testing.assert_array_equal(scenes.render(fewer, rng=1), images[:40])
    time = np.where(np.arange(70) < 35, labels.time, (labels.time + 1) % 4)
    changed = (scenes.render(labels._replace(time=time), rng=1) != images).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, np.arange(70) >= 35)


def test_labels_are_not_changed():
    labels = scenes.sample_labels(20, rng=0)
    before = [part.copy() for part in labels]
    scenes.render(labels, rng=0)
    for part, copy in zip(labels, before, strict=True):
        np.testing.assert_array_equal(part, copy)


def test_scene_is_the_same_at_every_size():
    small, large = (scenes.make_scenes(40, rng=0, size=size).images for size in (32, 64))
    halved = large.reshape(40, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    distance = np.abs(small[:, None] - halved[None]).mean(axis=(2, 3, 4))
    np.testing.assert_array_equal(distance.argmin(axis=1), np.arange(40))
    assert np.diag(distance).mean() < 0.05 < distance.mean() / 4
