"""Checkpoints: one file that is whole or not there, and a run that ends the same after any kill."""

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gmmlearn.deep import running, training
from gmmlearn.deep.checkpoints import read_checkpoint, write_atomically, write_checkpoint
from gmmlearn.deep.networks import MLP
from gmmlearn.deep.training import seeded, train

STATE = {
    "tensors": [torch.arange(6.0).reshape(2, 3), torch.tensor(3), torch.zeros(0)],
    "kinds": (
        torch.tensor([1.0 / 3.0], dtype=torch.float64),
        torch.tensor([0.1, -0.0], dtype=torch.bfloat16),
        torch.tensor([True, False]),
        torch.arange(300).to(torch.uint8),
    ),
    "plain": {0: 1e-300, 17: float("inf"), "lr": 0.1 + 0.2, "none": None, "on": True, "n": 2**60},
    "empty": [{}, [], ()],
    "counter": Counter({3: 2}),
    "dict": {"tensor": "no tensor", "dict": [1, (2, 3)]},
}


def equal(a, b):
    """Return whether nested values are the same, down to the last bit and type."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and a == b


def test_what_was_written_is_read(tmp_path):
    write_checkpoint(tmp_path / "run", STATE, {"seed": 1})
    assert equal(read_checkpoint(tmp_path / "run", {"seed": 1}), STATE)
    assert os.listdir(tmp_path) == ["run"]


def test_the_file_is_safetensors_and_json(tmp_path):
    write_checkpoint(tmp_path / "run", STATE, {"seed": 1})
    with safe_open(tmp_path / "run", framework="np") as file:
        header = file.metadata()
        assert len(list(file.keys())) == 7
    assert json.loads(header["settings"]) == {"seed": 1}
    assert json.loads(header["state"])["dict"][0][0] == "tensors"


def test_tied_and_strided_tensors_are_kept(tmp_path):
    tied = torch.arange(12.0).reshape(3, 4)
    state = {"a": tied, "b": tied, "c": tied.T, "d": tied[1:, ::2]}
    write_checkpoint(tmp_path / "run", state, {})
    assert equal(read_checkpoint(tmp_path / "run", {}), state)


def test_what_would_need_code_to_be_read_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="state/scheduler/lr_lambdas/0 is a function, which a"):
        write_checkpoint(
            tmp_path / "run", {"scheduler": {"lr_lambdas": [lambda n: n]}}, {"seed": 0}
        )
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_cut_short_is_refused_by_name(tmp_path):
    path = tmp_path / "run"
    write_checkpoint(path, STATE, {})
    whole = path.read_bytes()
    for length in (0, 5, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"run is cut short, or is.*Delete it to start anew"):
            read_checkpoint(path, {})
    path.write_bytes(whole + b"0")
    with pytest.raises(ValueError, match="run is cut short, or is another kind of file"):
        read_checkpoint(path, {})


def test_a_file_of_another_kind_is_refused_by_name(tmp_path):
    path = tmp_path / "run"
    torch.save({"a": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="run is cut short, or is another kind of file"):
        read_checkpoint(path, {})
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="run was not written by this package"):
        read_checkpoint(path, {})


def test_nothing_is_executed(tmp_path, monkeypatch):
    """A pickle that would run a command is refused unread."""

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    torch.save(Bomb(), tmp_path / "run")
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(ValueError, match="another kind of file"):
        read_checkpoint(tmp_path / "run", {})
    assert not (tmp_path / "exploded").exists()


def test_settings_of_another_run_are_refused_by_name(tmp_path):
    path = tmp_path / "run"
    write_checkpoint(path, STATE, {"seed": 1, "batch_size": 10})
    for settings, message in [
        ({"seed": 2, "batch_size": 10}, "was written for seed = 1, not 2"),
        ({"seed": 1}, "was written for batch_size = 10, not None"),
        ({"seed": 1, "batch_size": 10, "z": "a"}, "was written for z = None, not a"),
    ]:
        with pytest.raises(ValueError, match=message):
            read_checkpoint(path, settings)


def test_writing_replaces_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "run"
    write_atomically(path, b"first")
    calls = []
    for name in ("fsync", "replace"):
        function = getattr(os, name)

        def spy(*arguments, name=name, function=function):
            calls.append((name, path.read_bytes()))
            return function(*arguments)

        monkeypatch.setattr(os, name, spy)
    write_atomically(str(path), b"second")
    # The content is on the disk before it gets its name, and the name after.
    assert calls == [("fsync", b"first"), ("replace", b"first"), ("fsync", b"second")]
    assert path.read_bytes() == b"second" and os.listdir(tmp_path) == ["run"]


# Runs that are broken off

N_STEPS = 60
RUN = {"n_steps": N_STEPS, "batch_size": 6, "average": {"net": 0.9}, "seed": 5, "device": "cpu"}


class Run:
    """A run that uses everything that has a state: moments, schedule, average, noise, dropout."""

    def __init__(self, lr=1e-2, width=6, n_warm=20):
        self.X = np.random.default_rng(0).normal(size=(20, 3))  # 3 batches an epoch, 2 sit out
        with seeded(0):
            self.net = MLP(3, 3, width=width, depth=1).append(torch.nn.Dropout(0.1))
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=lr, amsgrad=True)
        self.scheduler = torch.optim.lr_scheduler.SequentialLR(
            self.optimizer,
            [
                torch.optim.lr_scheduler.LinearLR(self.optimizer, 0.1, total_iters=n_warm),
                torch.optim.lr_scheduler.MultiStepLR(self.optimizer, [10, 20]),
            ],
            milestones=[20],
        )
        self.n_taken = 0

    def step(self, batch, rng):
        self.n_taken += 1
        noise = torch.randn(batch.shape, generator=rng)
        loss = (self.net(batch + noise) - batch).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss}

    def train(self, **changes):
        return train(
            self.step,
            changes.pop("X", self.X),
            modules={"net": self.net},
            optimizers={"adam": self.optimizer},
            schedulers={"plan": self.scheduler},
            **RUN | changes,
        )


def ending(run, trained):
    """Return all that a run ends with."""
    return [
        run.net.state_dict(),
        run.optimizer.state_dict(),
        run.scheduler.state_dict(),
        trained.averaged["net"].state_dict(),
        {name: values.tobytes() for name, values in trained.history.items()},
    ]


@pytest.fixture(scope="module")
def uninterrupted():
    """What the run ends with if nothing happens to it."""
    run = Run()
    return ending(run, run.train())


@pytest.mark.parametrize("every", [1, 60, 1000])
def test_writing_checkpoints_changes_nothing(every, tmp_path, uninterrupted):
    run = Run()
    trained = run.train(checkpoint=tmp_path / "run", checkpoint_every=every)
    assert equal(ending(run, trained), uninterrupted)
    again = Run()
    trained = again.train(checkpoint=tmp_path / "run")
    assert again.n_taken == 0
    assert equal(ending(again, trained), uninterrupted)


class Stop(Exception):
    """Something that happens to a run."""


def break_off(path, at, every, error=Stop):
    """Start a run that fails in the middle of a step."""
    run = Run()
    inner = run.step

    def step(batch, rng):
        values = inner(batch, rng)
        if run.n_taken == at:
            raise error
        return values

    run.step = step
    with pytest.raises(error):
        run.train(checkpoint=path, checkpoint_every=every)
    return run


@pytest.mark.parametrize("at", [1, 9, 60])
@pytest.mark.parametrize("every", [1, 7])
def test_a_run_that_fails_is_taken_up(at, every, tmp_path, uninterrupted):
    break_off(tmp_path / "run", at, every)
    run = Run()
    trained = run.train(checkpoint=tmp_path / "run", checkpoint_every=every)
    assert run.n_taken == N_STEPS - (at - 1) // every * every
    assert equal(ending(run, trained), uninterrupted)


def test_ctrl_c_leaves_a_checkpoint(tmp_path, monkeypatch, uninterrupted):
    monkeypatch.setattr(training, "_CHECK_EVERY", 10)
    broken = break_off(tmp_path / "run", 47, 1000, KeyboardInterrupt)
    # The same objects go on, as in a notebook, where the cell is run again.
    broken.step = Run.step.__get__(broken)
    broken.n_taken = 0
    trained = broken.train(checkpoint=tmp_path / "run")
    assert broken.n_taken == 20
    assert equal(ending(broken, trained), uninterrupted)


def test_a_longer_run_continues(tmp_path, uninterrupted):
    Run().train(n_steps=25, checkpoint=tmp_path / "run")
    run = Run()
    trained = run.train(checkpoint=tmp_path / "run")
    assert run.n_taken == N_STEPS - 25
    assert equal(ending(run, trained), uninterrupted)
    with pytest.raises(ValueError, match=r"n_steps is 25, but checkpoint .* holds 60 steps"):
        Run().train(n_steps=25, checkpoint=tmp_path / "run")


def test_the_time_before_counts(tmp_path, monkeypatch):
    clock = itertools.count()
    for module in (training, running):
        monkeypatch.setattr(module, "perf_counter", lambda: float(next(clock)))
    # Looked at when the run begins, when the file is written, and at the end.
    assert Run().train(n_steps=5, checkpoint=tmp_path / "run").seconds == 2.0
    assert Run().train(n_steps=6, checkpoint=tmp_path / "run").seconds == 1.0 + 2.0


def test_a_schedule_planned_for_fewer_steps_is_not_stretched(tmp_path):
    """A cosine to zero would rise again after its end."""

    def train_for(n_steps):
        run = Run()
        run.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(run.optimizer, n_steps)
        return run.train(n_steps=n_steps, checkpoint=tmp_path / "run")

    train_for(5)
    train_for(5)
    with pytest.raises(ValueError, match=r"CosineAnnealingLR of .*'T_max': 5.*'T_max': 10"):
        train_for(10)


def test_schedules_with_functions_are_known_again():
    makes = [
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda n: 0.9**n),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=9),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 2),
    ]
    for make in makes:
        plans = []
        for n_steps in (0, 5):
            run = Run()
            scheduler = make(run.optimizer)
            for _ in range(n_steps):
                run.optimizer.step()
                scheduler.step()
            plans.append(training._plan(scheduler))
        assert plans[0] == plans[1] and plans[0]


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        ({}, {"batch_size": 7}, "batch_size = 6, not 7"),
        ({}, {"seed": 6}, "seed = 5, not 6"),
        ({}, {"average": {"net": 0.99}}, r"average\['net'\] = 0.9, not 0.99"),
        ({}, {"average": None}, r"average\['net'\] = 0.9, not None"),
        ({}, {"bf16": True}, "bf16 = False, not True"),
        ({}, {"X": np.zeros((20, 3))}, r"X = float32 \(20, 3\) .*, not float32 \(20, 3\)"),
        ({"lr": 0.02}, {}, r"optimizers\['adam'\] = Adam of .*'initial_lr|'lr': 0.01"),
        ({"n_warm": 19}, {}, r"schedulers\['plan'\] = SequentialLR of .*20.*, not .*19"),
        ({"width": 7}, {}, r"modules\['net'\] = MLP of .*\(6, 3\).*, not .*\(7, 3\)"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused_by_name(make, changes, message, tmp_path):
    path = tmp_path / "run"
    Run().train(n_steps=2, checkpoint=path)
    before = path.read_bytes()
    run = Run(**make)
    weights = [p.detach().clone() for p in run.net.parameters()]
    with pytest.raises(ValueError, match=f"checkpoint .*run was written for {message}"):
        run.train(checkpoint=path, **changes)
    assert path.read_bytes() == before
    assert all(map(torch.equal, weights, run.net.parameters()))


def test_a_damaged_checkpoint_is_refused_before_anything_is_trained(tmp_path):
    path = tmp_path / "run"
    Run().train(n_steps=2, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-1])
    run = Run()
    with pytest.raises(ValueError, match=r"run is cut short.*Delete it to start anew"):
        run.train(checkpoint=path)
    assert run.n_taken == 0


# Real kills. Torch takes seconds to import: one process does it and forks the runs.

CHILD = """
import os, signal, sys, time
sys.path.insert(0, {tests!r})
import torch
import test_checkpoints as here
from gmmlearn.deep import checkpoints
torch.set_num_threads(1)
here.Run().train(n_steps=1)  # what torch imports at the first step, it imports once

def halt(place):
    # Says that the run is in the middle of something, and waits there for the kill.
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(60)

for line in sys.stdin:
    place, path = line.split()
    if os.fork():
        os.wait()
        os.write(1, b"gone\\n")
        continue
    run = here.Run()
    step, after = run.step, int(place.split(":")[1])
    if place.startswith("any"):
        os.write(1, b"%d\\n" % os.getpid())
    def slow(batch, rng):
        values = step(batch, rng)
        if place.startswith("step") and run.n_taken == after:
            halt(place)
        return values
    run.step = slow
    for name in ("fsync", "replace"):
        if place.startswith(name):
            function, calls = getattr(os, name), []
            def wait(*arguments):
                calls.append(1)
                if len(calls) == after:
                    halt(place)
                return function(*arguments)
            setattr(os, name, wait)
    if place.startswith("write"):
        write = checkpoints.write_atomically
        def torn(path, content, calls=[]):
            calls.append(1)
            if len(calls) == after:
                part = path + ".part"
                open(part, "wb").write(content[: len(content) // 2])
                halt(place)
            write(path, content)
        checkpoints.write_atomically = torn
    run.train(checkpoint=path, checkpoint_every=4)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def forks():
    """A process that starts a run for each line that it reads."""
    code = CHILD.format(tests=str(Path(__file__).parent))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()


PLACES = [
    *("step:1", "step:23", "step:24", "step:60"),
    *("write:1", "write:3", "fsync:1", "fsync:2", "fsync:7", "fsync:8"),
    *("replace:1", "replace:5", "replace:15"),
    *[f"any:{i}" for i in range(6)],
]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked")
@pytest.mark.parametrize("place", PLACES)
def test_a_killed_run_ends_as_one_that_was_not(place, forks, tmp_path, uninterrupted):
    path = tmp_path / "run"
    forks.stdin.write(f"{place} {path}\n")
    forks.stdin.flush()
    child = int(forks.stdout.readline())
    if place.startswith("any"):
        time.sleep(random.Random(place).uniform(0.0, 0.08))
    with contextlib.suppress(ProcessLookupError):  # a fast machine may have finished
        os.kill(child, signal.SIGKILL)
    assert forks.stdout.readline() == "gone\n"
    run = Run()
    trained = run.train(checkpoint=path, checkpoint_every=4)
    assert equal(ending(run, trained), uninterrupted)
    if place == "step:23":
        assert run.n_taken == 40
    if place.startswith("write:"):
        assert run.n_taken == 60 - 4 * (int(place.split(":")[1]) - 1)
    assert not (tmp_path / "run.part").exists()
