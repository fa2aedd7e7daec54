"""What the benchmarks write: origins, records, parts that are kept."""

import json
import sys
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import pytest

import gmmlearn

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import provenance  # noqa: E402

sys.path.remove(str(BENCHMARKS))


def test_origin_says_where_numbers_come_from():
    found = provenance.origin(str(BENCHMARKS / "gan.py"), "scipy", "no-such-library", seed=3)
    assert list(found) == ["script", "machine", "versions", "commit", "changed", "seed"]
    assert found["script"] == "benchmarks/gan.py" and found["seed"] == 3
    assert list(found["versions"]) == ["python", "numpy", "scipy", "no-such-library", "gmmlearn"]
    assert found["versions"]["numpy"] == np.__version__
    assert found["versions"]["no-such-library"] == "not installed"
    assert found["versions"]["gmmlearn"] == gmmlearn.__version__
    assert found["machine"]["threads"] == 1  # as the tests' settings ask for
    assert set(found["machine"]) == {"cpu", "cores", "threads", "system"}


def test_a_record_that_json_cannot_hold_leaves_the_old_one(tmp_path, capsys):
    path = tmp_path / "one.json"
    provenance.write_record(path, {"seconds": 1.5, "rows": [1, "ü"]})
    assert json.loads(path.read_text("utf-8")) == {"seconds": 1.5, "rows": [1, "ü"]}
    assert capsys.readouterr().out == "wrote one.json, 1.5 s of work\n"
    with pytest.raises(TypeError):
        provenance.write_record(path, {"seconds": 2.0, "rows": object()})
    assert json.loads(path.read_text("utf-8"))["seconds"] == 1.5
    assert [one.name for one in tmp_path.iterdir()] == ["one.json"]


def test_floats_are_rounded_wherever_they_stand():
    given = {"a": [1.23456789, {"b": 98765.4321}], "n": 1234567, "s": "1.23456789", "t": True}
    expected = {"a": [1.2346, {"b": 98765.0}], "n": 1234567, "s": "1.23456789", "t": True}
    assert provenance.rounded(given) == expected


def test_parts_are_computed_once(tmp_path):
    calls = []

    def part(x, y):
        calls.append((x, y))
        return {"sum": x + y}

    kept = provenance.Kept(tmp_path / "new")
    assert kept("try_a", part, 1, 2) == {"sum": 3}
    assert kept("seed_0", part, 3, 4) == {"sum": 7}
    again = provenance.Kept(str(tmp_path / "new"))
    assert again("try_a", part, 1, 2) == {"sum": 3}
    assert calls == [(1, 2), (3, 4)]
    assert again("try_b", part, 5, 6) == {"sum": 11}
    # What a run used counts, not what lies in the folder.
    assert set(again.parts) == {"try_a", "try_b"}
    for names, beginnings in (({"try_a", "try_b"}, ["try_"]), (set(), ["seed_"])):
        expected = round(sum(again.parts[name]["seconds"] for name in names), 1)
        assert again.origin(*beginnings)["seconds"] == expected
        assert bool(again.origin(*beginnings)["commits"]) == bool(names)
    assert again.origin()["seconds"] == again.origin("try_")["seconds"]


def test_without_a_folder_nothing_is_left():
    kept = provenance.Kept()
    assert kept("one", list) == []
    folder = kept.folder
    assert (folder / "one.json").exists()
    del kept
    assert not folder.exists()


def count_up(path):
    """Read a number and write the next, with time between for another to come."""
    for _ in range(20):
        with provenance.alone(path):
            number = int(path.read_text())
            for _ in range(2000):
                pass
            path.write_text(str(number + 1))


def test_processes_that_share_a_record_wait_for_each_other(tmp_path):
    path = tmp_path / "counter.json"
    path.write_text("0")
    with Pool(3) as pool:
        pool.map(count_up, [path] * 3)
    assert int(path.read_text()) == 60
