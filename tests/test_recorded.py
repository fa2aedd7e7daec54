"""Recorded measurements load by name, and say where they come from."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from gmmlearn import recorded

FOLDER = Path(recorded.__file__).parent


def test_names_are_the_files():
    assert recorded.names() == sorted(path.stem for path in FOLDER.glob("*.json"))
    assert "em_lesson" in recorded.names()


@pytest.mark.parametrize("name", recorded.names())
def test_load_returns_the_file_with_its_origin(name):
    measurement = recorded.load(name)
    assert measurement == json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert {"script", "machine", "versions", "commit", "seconds"} <= set(measurement)
    assert {"seed", "seeds"} & set(measurement)
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


WEIGHTS = {
    "layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "layer.bias": np.array([0.5, -2.0]),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded, "files", lambda _: tmp_path)
    (tmp_path / "judge.safetensors").write_bytes(save(WEIGHTS))
    return tmp_path


def test_weights_come_back_as_saved_and_may_be_changed(folder):
    assert recorded.weight_names() == ["judge"]
    for _ in range(2):  # changing what was loaded changes nothing in the file
        loaded = recorded.load_weights("judge")
        assert set(loaded) == set(WEIGHTS)
        for key, array in WEIGHTS.items():
            assert loaded[key].dtype == array.dtype
            np.testing.assert_array_equal(loaded[key], array)
            loaded[key] += 1


@pytest.mark.parametrize("name", ["nothing", "../judge", "judge.safetensors", "", None])
def test_unknown_weights_list_what_there_is(folder, name):
    with pytest.raises(ValueError, match=r"name is .*there are only: judge\."):
        recorded.load_weights(name)


def test_no_weights_at_all_is_said(folder):
    (folder / "judge.safetensors").unlink()
    with pytest.raises(ValueError, match="there are only: none"):
        recorded.load_weights("judge")


@pytest.mark.parametrize("length", [0, 5, 40, -1])
def test_truncated_weights_are_refused_by_name(folder, length):
    path = folder / "judge.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"judge\.safetensors is not a whole safetensors file"):
        recorded.load_weights("judge")


def test_foreign_file_is_refused_and_not_executed(folder):
    class Trap:
        def __reduce__(self):
            return (folder.joinpath("executed").touch, ())

    (folder / "judge.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match=r"judge\.safetensors is not a whole safetensors file"):
        recorded.load_weights("judge")
    assert not (folder / "executed").exists()


@pytest.mark.parametrize("name", recorded.weight_names())
def test_recorded_weights_are_small_and_finite(name):
    most = {"gmm_gan_seasons": 3_000_000}.get(name, 1_000_000)  # pictures of colour, and words
    assert (FOLDER / f"{name}.safetensors").stat().st_size <= most
    assert all(np.isfinite(array).all() for array in recorded.load_weights(name).values())
