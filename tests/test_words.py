"""Words become attributes; what is not understood is named."""

import pytest

from gmmlearn import scenes
from gmmlearn.words import MONTHS, SMALL_WORDS, VOCABULARY, known_words, parse


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (
            "a spring evening with two trees",
            {"season": "spring", "time": "evening", "n_trees": 2},
        ),
        ("Spring!", {"season": "spring"}),
        ("a snowy winter night", {"season": "winter", "time": "night", "weather": "snow"}),
        ("rain at dusk in the fall", {"season": "autumn", "time": "evening", "weather": "rain"}),
        ("a sunset with a tree", {"time": "evening", "n_trees": 1}),
        ("trees", {"n_trees": (2, 3, 4)}),
        ("no trees, sunny", {"weather": "clear", "n_trees": 0}),
        ("a treeless landscape", {"n_trees": 0}),
        ("3 trees", {"n_trees": 3}),
        ("without trees", {"n_trees": 0}),
        ("two trees and two trees", {"n_trees": 2}),
        ("a scene", {}),
        ("a fine summer day, day", {"season": "summer", "time": "day", "weather": "clear"}),
        ("a may morning", {"season": "spring", "time": "morning", "day": 135.5}),
        ("January", {"season": "winter", "day": 15.5}),
        ("december in winter", {"season": "winter", "day": 349.5}),
    ],
)
def test_texts_are_read(text, asked):
    assert parse(text) == asked
    assert list(parse(text)) == list(asked)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spring and winter", "'spring' and 'winter' contradict each other: a scene has one seas"),
        ("a july evening in autumn", "'july' and 'autumn' contradict"),
        ("may and june", "'may' and 'june' contradict"),
        ("april in may", "'april' and 'may' contradict each other: a scene has one day"),
        ("a sunny rain", "'sunny' and 'rain' contradict each other: a scene has one weather"),
        ("one tree, two trees", "'one' and 'two' contradict"),
        ("two evenings", "The word 'evenings' is not known. Did you mean 'evening'?"),
        ("two", "'two' counts nothing"),
        ("two in the evening", "'two' counts nothing"),
        ("two three trees", "'two' and 'three' follow each other"),
        ("seven trees", "seven trees are too many: a scene has 0 to 4"),
        ("a dragon", "(?s)The word 'dragon' is not known. Known are.season: winter"),
        (3, "text must be a string, not int"),
    ],
)
def test_what_is_not_understood_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_the_vocabulary_speaks_of_the_scenes():
    assert tuple(VOCABULARY["season"]) == scenes.SEASONS
    assert tuple(VOCABULARY["time"]) == scenes.TIMES
    assert tuple(VOCABULARY["weather"]) == scenes.WEATHERS
    assert sum(days for _, days in MONTHS) == 365


def test_every_word_is_known_once_and_listed():
    words = [w for levels in VOCABULARY.values() for ws in levels.values() for w in ws]
    assert len(set(words)) == len(words)
    assert not set(words) & SMALL_WORDS
    text = known_words()
    assert all(word in text for word in words)
    for attribute, levels in VOCABULARY.items():
        for level, synonyms in levels.items():
            assert all(parse(word) == {attribute: level} for word in synonyms)
            assert level in synonyms


def test_every_scene_is_understood_as_it_is_described():
    labels = scenes.sample_labels(200, rng=0)
    for n, text in enumerate(scenes.describe(labels)):
        assert parse(text) == {
            "season": scenes.SEASONS[labels.season[n]],
            "time": scenes.TIMES[labels.time[n]],
            "weather": scenes.WEATHERS[labels.weather[n]],
            "n_trees": labels.n_trees[n],
        }
