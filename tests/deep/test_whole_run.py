"""The whole run: its record, the same seed, a kill and its resumption, bad plans."""

import json
import math
import subprocess
import sys

import pytest
import torch

from gmmlearn import datasets
from gmmlearn.deep.whole_run import Plan, ends, load_run, networks, pictures, run

TINY = {"n_pictures": 120, "width": 2, "latent_dim": 3, "components": (2,), "batch_size": 20}
TINY |= {"code_steps": 20, "n_steps": 20, "checkpoint_every": 5}
KILLED = """
import os, sys
from gmmlearn.deep import running
from gmmlearn.deep.whole_run import Plan, run
write, left = running.write_checkpoint, iter(range({writes}))
def once(path, state, settings):
    write(path, state, settings)
    if next(left, None) is None:
        os.kill(os.getpid(), 9)
running.write_checkpoint = once
run(Plan(**{plan}), {folder!r}, "cpu", False)
"""


@pytest.fixture(autouse=True)
def no_mnist(monkeypatch):
    monkeypatch.delenv("GMMLEARN_DATA", raising=False)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("GMMLEARN_DATA", raising=False)
        folder = tmp_path_factory.mktemp("run")
        return (folder, *run(Plan(**TINY), folder, "cpu", False))


def test_a_record_says_what_ran(done):
    folder, model, record = done
    assert json.loads((folder / "record.json").read_text()) == json.loads(json.dumps(record))
    assert record["data"].startswith("120 digits of scikit-learn's, 8 x 8")
    assert record["plan"]["seed"] == 0 and record["processes"] == 1
    assert record["shape"] == [1, 8, 8] and record["n_components"] == 2
    assert set(record["seconds"]) == {"codes", "mixture", "game"}
    counted = sum(p.numel() for p in model.generator.parameters())
    assert record["n_parameters"]["generator"] == counted
    # 3 numbers to 2 x 4 x 4 pixels, each spread by a kernel of 4 x 4.
    assert record["multiply_adds"]["generator"] == 3 * 32 + 32 * 16
    rate = record["pictures_per_second"] * record["seconds"]["game"]
    assert rate == pytest.approx(20 * 20, rel=0.05)
    losses = [v for stage in record["losses"].values() for pair in stage.values() for v in pair]
    assert losses and all(map(math.isfinite, losses))
    assert not list(folder.glob("*.part"))


def test_the_ends_of_a_history():
    values = torch.arange(10.0).numpy()
    assert ends({"loss": values}, n=2) == {"loss": [0.5, 8.5]}


def test_the_game_moved_the_generator(done):
    _, model, _ = done
    started, _ = networks(Plan(**TINY), (1, 8, 8))
    moved = zip(model.generator.parameters(), started.decoder.parameters(), strict=True)
    assert not any(torch.equal(one, other) for one, other in moved)


def test_a_run_is_loaded_as_it_was(done):
    folder, model, _ = done
    again = load_run(folder)
    assert not again.training
    assert torch.equal(again.sample(5, rng=1), model.sample(5, rng=1))


def test_the_same_seed_gives_the_same_run_and_another_another(done, tmp_path):
    _, model, record = done
    again, told = run(Plan(**TINY), tmp_path / "again", "cpu", False)
    assert told["losses"] == record["losses"]
    assert torch.equal(again.sample(5, rng=1), model.sample(5, rng=1))
    other, _ = run(Plan(**TINY | {"seed": 1}), tmp_path / "other", "cpu", False)
    assert not torch.allclose(other.sample(5, rng=1), model.sample(5, rng=1))


@pytest.mark.parametrize("writes", [2, 6])  # in the autoencoder, and in the game
def test_a_killed_run_ends_as_one_that_was_not(done, tmp_path, writes):
    _, model, record = done
    code = KILLED.format(writes=writes, plan=TINY, folder=str(tmp_path))
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr
    assert (tmp_path / "game.checkpoint").exists() == (writes > 4)
    assert not (tmp_path / "record.json").exists()
    again, told = run(Plan(**TINY), tmp_path, "cpu", False)
    assert told["losses"] == record["losses"]
    for key, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[key])


def test_another_plan_does_not_go_on_with_a_run(done, tmp_path):
    (tmp_path / "codes.checkpoint").write_bytes((done[0] / "codes.checkpoint").read_bytes())
    with pytest.raises(ValueError, match="was written for seed = 0, not 1"):
        run(Plan(**TINY | {"seed": 1}), tmp_path, "cpu", False)


def test_scenes_have_three_channels_and_the_asked_side():
    pixels, told = pictures(Plan("scenes", side=32, n_pictures=3, seed=4))
    again, _ = pictures(Plan("scenes", side=32, n_pictures=3, seed=4))
    assert pixels.shape == (3, 3, 32, 32) and torch.equal(pixels, again)
    assert told == "3 scenes, 32 x 32, drawn by rule"


def test_mnist_is_taken_where_it_is(monkeypatch, tmp_path):
    digits = datasets.Labelled(255.0 * torch.ones(9, 28, 28).numpy(), torch.zeros(9).numpy())
    asked = []
    monkeypatch.setattr(datasets, "mnist", lambda part: asked.append(part) or digits)
    monkeypatch.setenv("GMMLEARN_DATA", str(tmp_path))
    pixels, told = pictures(Plan(n_pictures=7))
    assert pixels.shape == (7, 1, 28, 28) and pixels.max() == 1
    assert told == "7 of MNIST's test digits, 28 x 28"
    (tmp_path / "train-images-idx3-ubyte.gz").touch()
    assert "train digits" in pictures(Plan())[1] and asked == ["test", "train"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "faces"}, "data is 'faces'. Use one of: digits, scenes"),
        ({"data": "scenes", "side": 48}, "side is 48. Use scenes of 32 or 64"),
        ({"n_pictures": 1}, "n_pictures must be at least 2"),
        ({"batch_size": 500}, "X has only 120 samples"),
    ],
)
def test_plans_of_no_use_are_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        run(Plan(**TINY | change), tmp_path, "cpu", False)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"holds no finished run: record.json is not there"):
        load_run(tmp_path)
