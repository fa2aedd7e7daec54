"""The four seasons: labels as asked for, and pictures that show what their labels say."""

import numpy as np
import pytest
from scipy.ndimage import median_filter
from scipy.stats import chisquare, kstest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gmmlearn import scenes
from gmmlearn.scenes._canvas import Canvas, Dice, _noise, noise
from gmmlearn.scenes._land import paint_land
from gmmlearn.scenes._light import light
from gmmlearn.scenes._trees import _plant
from gmmlearn.scenes._year import LENGTHS, STARTS, nature, season_of
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


def brightness(images):
    """Return the luma, 0 to 1, of pictures (N, H, W, 3) in [-1, 1]."""
    return (images + 1) / 2 @ np.array([0.299, 0.587, 0.114])


def pair(first, second, n_samples=60, **shared):
    """Return the same scenes under two conditions, by the same random numbers."""
    return (
        scenes.render(labelled(n_samples, **shared | change), rng=0) for change in (first, second)
    )


def test_sun_rises_on_the_left_and_sets_on_the_right():
    morning, evening = (brightness(x)[:, :14] for x in pair({"time": 0}, {"time": 2}))
    thirds = [
        (x[..., :10].mean(axis=(1, 2)), x[..., -10:].mean(axis=(1, 2))) for x in (morning, evening)
    ]
    assert (thirds[0][0] > thirds[0][1]).all()
    assert (thirds[1][0] < thirds[1][1]).all()


def test_evening_is_redder_and_night_darker_than_day():
    day, evening = pair({"time": 1}, {"time": 2})
    night = scenes.render(labelled(60, time=3), rng=0)
    redness = [(x[:, :16, :, 0] - x[:, :16, :, 2]).mean(axis=(1, 2)) for x in (day, evening)]
    assert (redness[1] > redness[0] + 0.3).all()
    assert (brightness(night).mean(axis=(1, 2)) < 0.55 * brightness(day).mean(axis=(1, 2))).all()
    # But the land can still be seen, and its colours told apart.
    land = night[:, 22:]
    assert brightness(land).mean() > 0.12
    assert (land.std(axis=(1, 2)).max(axis=1) > 0.02).all()


def test_rain_and_clouds_take_the_blue_from_the_sky():
    clear, rain = pair({"weather": 0}, {"weather": 2})
    cloudy = scenes.render(labelled(60, weather=1), rng=0)
    clear, cloudy, rain = (
        (x[:, :10, :, 2] - x[:, :10, :, 0]).mean(axis=(1, 2)) for x in (clear, cloudy, rain)
    )
    assert (rain < 0.5 * clear).all()
    assert (cloudy < 0.85 * clear).all()


def specks(images):
    """Return how many pixels of the upper half stand out brightly from their surroundings."""
    luma = brightness(images)[:, :16]
    around = np.stack([median_filter(x, size=3) for x in luma])
    return (luma - around > 0.08).sum(axis=(1, 2))


def test_snow_falls_only_where_the_label_says_so():
    january = {"day": 15.0, "time": 1}
    snow, rain = (specks(x) for x in pair({"weather": 3}, {"weather": 2}, **january))
    cloudy = specks(scenes.render(labelled(60, **january, weather=1), rng=0))
    assert (snow > rain).all()
    assert snow.min() > 2 * np.median(cloudy)
    assert np.mean(snow > cloudy) > 0.9
    # Even in June, if one asks for it.
    june = specks(scenes.render(labelled(60, weather=3), rng=0))
    assert june.min() > 8


def test_snow_lies_in_winter_alone():
    winter, summer = (x[:, 26:] for x in pair({"day": 15.0}, {"day": 200.0}))
    whiteness = [x.min(axis=-1).mean(axis=(1, 2)) for x in (winter, summer)]
    assert (whiteness[0] > whiteness[1] + 0.15).all()
    greenness = [(x[..., 1] - x[..., 0]).mean(axis=(1, 2)) for x in (winter, summer)]
    assert np.mean(greenness[1] > greenness[0]) > 0.9


def test_nature_follows_the_year():
    fortune = np.linspace(0, 0.999, 7)

    def on(day):
        return nature(np.full(7, float(day)), fortune)

    january, april, july, october = on(15), on(105), on(197), on(288)
    assert (january.leaves < 0.01).all()
    assert (january.snow > 0.44).all()
    assert (april.flowers > 0.6).all()
    assert (april.fresh > 0.9).all()
    assert (july.leaves > 0.99).all()
    assert (october.autumn > 0.99).all()
    assert (october.litter > 0.5).all()
    for now, shares in ((july, "blossom autumn litter snow"), (january, "blossom flowers litter")):
        for share in shares.split():
            assert getattr(now, share).max() < 0.06, share


@pytest.mark.parametrize("fortune", [0.0, 0.4, 0.99])
def test_nature_is_continuous_all_around_the_year(fortune):
    days = np.arange(0, 365, 0.25)
    shares = np.array(nature(days, np.full(len(days), fortune)))
    assert shares.min() >= 0
    assert shares.max() <= 1
    steps = np.abs(np.roll(shares, -1, axis=1) - shares)  # the last step leads into the new year
    assert steps.max() < 0.03


def test_year_is_shown_without_a_jump():
    images, labels = scenes.through_the_year(365, rng=1, size=16, time="day", n_trees=2)
    np.testing.assert_array_equal(labels.day, np.arange(365.0))
    np.testing.assert_array_equal(labels.season, season_of(labels.day))
    assert {int(v[0]) for v in labels[2:]} == {1, 0, 2}
    steps = np.abs(np.roll(images, -1, axis=0) - images).mean(axis=(1, 2, 3))
    assert steps.max() < 0.04
    assert np.abs(images[15] - images[197]).mean() > 0.2
    snowy = scenes.through_the_year(4, rng=1, weather="snow").labels
    np.testing.assert_array_equal(snowy.weather, 3)
    for given, message in (({"day": 3}, "day cannot be given"), ({"season": 1}, "season cannot")):
        with pytest.raises(ValueError, match=message):
            scenes.through_the_year(4, rng=0, **given)
    with pytest.raises(ValueError, match="weather must be one value"):
        scenes.through_the_year(2, rng=0, weather=["rain", "clear"])


def test_as_many_trees_stand_apart_as_the_label_says():
    n_trees = np.arange(100) % (scenes.MAX_TREES + 1)
    labels = labelled(100, day=15.0)._replace(n_trees=n_trees)
    images, empty = (
        scenes.render(x, 64, rng=3) for x in (labels, labels._replace(n_trees=0 * n_trees))
    )
    differs = np.abs(images - empty).max(axis=-1) > 0.05
    for picture, n in zip(differs, n_trees, strict=True):
        assert picture.any() == (n > 0)
    # Where the painter plants them: the picture differs there, and nowhere far from them.
    dice = Dice(np.random.default_rng(3).random((100, Dice.WIDTH), np.float32))
    trees = _plant(n_trees, dice, _land(labels, dice, 128))
    np.testing.assert_array_equal(np.bincount(trees.which, minlength=100), n_trees)
    near = np.zeros((100, 64), dtype=bool)
    for which, x, foot in zip(trees.which, trees.x, trees.foot, strict=True):
        column, row = int(64 * x), int(64 * foot)
        trunk = differs[which, row - 6 : row, max(column - 2, 0) : column + 3]
        assert trunk.any(axis=1).mean() > 0.8
        near[which, max(column - 13, 0) : column + 14] = True
        apart = np.abs(trees.x[trees.which == which] - x)
        assert np.sort(apart)[1:].min(initial=1.0) > 0.09
    assert not (differs.any(axis=1) & ~near).any()


def _land(labels, dice, side):
    canvas = Canvas(len(labels.day), side // 2)
    lit = light(labels.time, labels.weather, dice)
    return paint_land(canvas, labels, nature(labels.day, dice["year"][:, 0]), lit, dice)


def test_no_two_springs_look_alike():
    images = scenes.render(labelled(150, day=105.0, n_trees=2), rng=0)
    flat = images.reshape(150, -1)
    distance = np.abs(flat[:, None, ::7] - flat[None, :, ::7]).mean(axis=-1)
    assert distance[np.triu_indices(150, 1)].min() > 0.08


def test_mean_colour_does_not_give_the_season_away():
    images, labels = scenes.make_scenes(2400, rng=11)
    colour = images.mean(axis=(1, 2), dtype=np.float64)
    linear = make_pipeline(StandardScaler(), LogisticRegression())
    linear.fit(colour[:1600], labels.season[:1600])
    right = linear.score(colour[1600:], labels.season[1600:])
    assert 0.4 < right < 0.65


def test_noise_is_uniform_and_repeats_without_a_seam():
    at = np.random.default_rng(0).random((50, 2))
    for kind in ("clouds", "patches", "leaves"):
        tile = noise(kind, 64, np.zeros((1, 2)), 64, 64)
        wide = _noise(kind, 64)
        np.testing.assert_array_equal(wide[:64, :64], wide[128:, 128:])
        np.testing.assert_allclose(
            np.quantile(wide[:128, :128], [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=1e-3
        )
        steps = np.abs(np.diff(wide[:129], axis=0)).mean(axis=1)
        assert steps[127] < 1.3 * steps[:127].mean()  # no seam where the tile begins again
        assert noise(kind, 64, at, 20, 30).shape == (50, 20, 30)
        assert tile.dtype == np.float32
