"""Recorded measurements load by name, and say where they come from."""

import json
from pathlib import Path

import pytest

from gmmlearn import recorded

FOLDER = Path(recorded.__file__).parent


def test_names_are_the_files():
    assert recorded.names() == sorted(path.stem for path in FOLDER.glob("*.json"))
    assert "em_lesson" in recorded.names()


@pytest.mark.parametrize("name", recorded.names())
def test_load_returns_the_file_with_its_origin(name):
    measurement = recorded.load(name)
    assert measurement == json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert {"script", "machine", "versions", "commit", "seed", "seconds"} <= set(measurement)
    assert (FOLDER.parents[1] / measurement["script"]).is_file()


@pytest.mark.parametrize("name", ["nothing", "", "../recorded/em_lesson", "em_lesson.json", None])
def test_unknown_name_lists_what_there_is(name):
    with pytest.raises(ValueError, match=r"name is .*there are only: .*em_lesson"):
        recorded.load(name)


def test_em_lesson_is_consistent():
    measurement = recorded.load("em_lesson")
    assert isinstance(measurement["changed"], list)  # files that differed from the commit
    for row in measurement["rows"]:
        for side in ("ours", "sklearn"):
            low, middle, high = row[side]["quartiles"]
            assert 0 < low <= middle == row[side]["seconds"] <= high
            assert sum(row[side]["parts"].values()) == pytest.approx(1.0, abs=2e-3)
        ratio = row["sklearn"]["seconds"] / row["ours"]["seconds"]
        assert row["sklearn_over_ours"] == pytest.approx(ratio, rel=2e-3)
        assert row["largest_difference"] < 1e-8
        assert min(row["pieces"].values()) > 0
