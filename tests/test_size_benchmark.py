"""The script that measures the GMM-GAN at size, all of it at twenty steps."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from safetensors.numpy import load_file  # noqa: E402

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import gmm_gan_size

        yield gmm_gan_size
    finally:
        sys.path.remove(str(BENCHMARKS))


def numbers(tree):
    """Yield all numbers of a record."""
    if isinstance(tree, dict | list):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from numbers(part)
    elif isinstance(tree, int | float):
        yield tree


def test_twenty_steps_of_everything(script, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("GMMLEARN_DATA", raising=False)
    output = tmp_path / "record.json"
    given = ["--tiny", "--device", "cpu", "--folder", str(tmp_path), "--output", str(output)]
    script.main([*given, "--minutes", "0"])  # nothing begins
    assert "time is up" in capsys.readouterr().out and not output.exists()
    script.main(given)
    record = json.loads(output.read_text())
    assert record["script"] == "benchmarks/gmm_gan_size.py" and record["seed"] == 0
    assert {"machine", "versions", "commit", "seconds"} <= set(record)
    assert record["devices"]["cuda"] == "not measured"
    found = record["devices"]["cpu"]
    assert all(map(math.isfinite, numbers(record)))
    for row in found["training"]:
        seconds = float(np.median(row["repeats"]))
        assert row["pictures_per_second"] == pytest.approx(10 / seconds, rel=1e-3)
        limit = found["limits"]["products bf16" if "bf16" in row["game"] else "products float32"]
        share = row["multiply_adds"] * row["pictures_per_second"] / limit
        assert row["share_of_limit"] == pytest.approx(share, rel=1e-3)
    assert {row["game"] for row in found["training"]} >= {"ours", "ours, no R1, bf16", "plain"}
    for case, run in found["runs"].items():
        assert run["plan"]["n_steps"] == 20 and set(run["seconds"]) == {"codes", "mixture", "game"}
        with_r1, without = (found["arithmetic"][case][k] for k in ("step", "step, no R1"))
        assert with_r1 > without > 0
    drawn = load_file(output.with_suffix(".safetensors"))
    assert {name: x.dtype for name, x in drawn.items()}["scenes after"] == np.uint8
    assert drawn["scenes after"].shape == (12, 3, 64, 64)
    assert not list(tmp_path.rglob("*.part"))

    # Called again, it does nothing anew, and keeps what another device found.
    record["devices"]["cuda"] = {"seconds": 2.0}
    output.write_text(json.dumps(record))
    monkeypatch.setattr(script, "timed", lambda *_: pytest.fail("measured again"))
    capsys.readouterr()
    script.main(given)
    again = json.loads(output.read_text())
    assert again["devices"]["cuda"] == {"seconds": 2.0}
    assert again["devices"]["cpu"]["training"] == found["training"]
