"""The painter draws what its joint mixture says, in the plane and as whole pictures."""

import numpy as np
import pytest

from gmmlearn import painter as module
from gmmlearn.painter import RADIUS, Painter, circle, draw
from gmmlearn.scenes import make_scenes

SCENES = make_scenes(1200, rng=5)


@pytest.fixture(scope="module")
def painter():
    return Painter.fit(SCENES, n_codes=20, n_components=48, stratify=("season", "time"), rng=0)


def test_days_lie_on_a_circle():
    np.testing.assert_allclose(circle([0, 365 / 4]), [[RADIUS, 0], [0, RADIUS]], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(circle(np.arange(365)), axis=1), RADIUS)
    gap = np.linalg.norm(circle([364.9]) - circle([0.0]))
    assert gap < 0.02


def test_weights_are_bayes_rule_over_words_and_day(painter):
    asked = painter.weights(season="summer")
    np.testing.assert_allclose(asked, painter.joint.component_probabilities(season="summer"))
    whole = painter.joint.condition(season="summer")
    place, n_codes = circle([190.0]), painter.codes.n_codes
    joint = whole.weights * np.exp(
        whole.marginal([n_codes, n_codes + 1]).component_log_prob(place)[0]
    )
    np.testing.assert_allclose(
        painter.weights(190.0, season="summer"), joint / joint.sum(), atol=1e-12
    )


def test_both_ways_of_drawing_have_the_same_codes(painter):
    """In mean and variance of each code, for whatever is asked."""
    text = "a summer evening"
    whole = painter.codes.encode(painter.draw(text, 3000, rng=0))
    plane = painter.codes.encode(painter.draw(text, 3000, rng=1, plane=True))
    spread = plane.std(axis=0)
    assert np.abs((whole.mean(axis=0) - plane.mean(axis=0)) / spread).max() < 0.15
    # The covariances of EM have reg_covar more.
    extra = np.sqrt(whole.var(axis=0) + 0.3) / spread
    assert np.abs(extra - 1).max() < 0.12


def test_pictures_of_summer_look_like_summer_not_winter(painter):
    images, labels = SCENES
    drawn = painter.draw("a summer day", 64, rng=0)
    assert drawn.shape == (64, 32, 32, 3)
    assert drawn.dtype == np.float32
    assert np.abs(drawn).max() <= 1
    means = {
        season: images[(labels.season == season) & (labels.time == 1)].mean(axis=0)
        for season in (0, 2)
    }
    distance = {season: np.abs(drawn.mean(axis=0) - mean).mean() for season, mean in means.items()}
    assert distance[2] < 0.25 * distance[0]


def test_a_day_moves_the_mean_picture(painter):
    early, late = (painter.mean(day, season="spring", time="day") for day in (75, 135))
    spring = painter.mean(season="spring", time="day")
    assert spring.shape == (32, 32, 3)
    assert np.abs(early - late).mean() > 0.02
    chosen = (SCENES.labels.season == 1) & (SCENES.labels.time == 1)
    images, days = SCENES.images[chosen], SCENES.labels.day[chosen]
    near = images[days < 90].mean(axis=0)
    far = images[days > 120].mean(axis=0)
    assert np.abs(early - near).mean() < np.abs(late - near).mean()
    assert np.abs(late - far).mean() < np.abs(early - far).mean()


def test_a_month_is_drawn_by_its_day(painter):
    plain = painter.draw("april", 4, rng=0)
    again = painter.draw("april", 4, rng=0)
    np.testing.assert_array_equal(plain, again)
    assert painter.draw("april", 4, rng=0, plane=True).shape == (4, 32, 32, 3)


def test_words_are_read_before_anything_is_learned(monkeypatch):
    monkeypatch.setattr(module, "standard_painter", lambda: pytest.fail("was fitted"))
    with pytest.raises(ValueError, match="'dragon' is not known"):
        draw("a dragon in spring")


def test_draw_uses_the_standard_painter(monkeypatch, painter):
    monkeypatch.setattr(module, "standard_painter", lambda: painter)
    np.testing.assert_array_equal(draw("winter", 3, rng=1), painter.draw("winter", 3, rng=1))


def test_one_component_for_each_combination_of_attributes():
    few = make_scenes(300, rng=1, weather="clear", n_trees=1)
    painter = Painter.fit(few, n_codes=5, rng=0)
    assert painter.joint.n_components == 16
    for name in ("season", "time"):
        assert painter.joint.tables_[name].max(axis=1).min() > 0.9
