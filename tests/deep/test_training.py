"""The loop: repeatable, exact, careful with what is not finite, and plain about bad input."""

import copy
import sys
import types

import numpy as np
import pytest
import torch
from torch import nn

from gmmlearn import progress
from gmmlearn.deep import training
from gmmlearn.deep.batches import as_data, describe_data, draw_batches
from gmmlearn.deep.networks import MLP
from gmmlearn.deep.training import Diverged, choose_device, name_device, seeded, train

X = np.random.default_rng(0).normal(size=(50, 3))


class Case:
    """A small autoencoder with noise, in float64."""

    def __init__(self, lr=1e-2, dtype=torch.float64, optimizer=torch.optim.Adam):
        with seeded(0):
            self.net = MLP(3, 3, width=8, depth=1).to(dtype)
        self.optimizer = optimizer(self.net.parameters(), lr=lr)
        self.seen, self.past, self.loss_scale = [], [], {}

    def step(self, batch, rng):
        """Learn to undo noise."""
        self.seen.append(batch)
        noise = torch.randn(batch.shape, generator=rng, dtype=batch.dtype, device=batch.device)
        loss = (self.net(batch + 0.1 * noise) - batch).square().mean()
        loss = loss * self.loss_scale.get(len(self.seen) - 1, 1.0)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.past.append([p.detach().clone() for p in self.net.parameters()])
        return {"loss": loss, "largest": batch.abs().max()}

    def train(self, n_steps=20, X=X, **settings):
        """Train on the CPU, unless told otherwise."""
        settings = {"batch_size": 10, "device": "cpu"} | settings
        return train(
            self.step,
            X,
            modules={"net": self.net},
            optimizers={"adam": self.optimizer},
            n_steps=n_steps,
            **settings,
        )

    def weights(self):
        """Return all weights in one array."""
        return torch.cat([p.detach().flatten() for p in self.net.parameters()]).double().numpy()


def test_loop_equals_one_written_out():
    case = Case()
    trained = case.train(25, average={"net": 0.9}, seed=3)
    other = Case()
    batches = [b for (b,) in take(draw_batches(as_data(X, torch.float64), 10, of_batches(3)), 25)]
    rng = torch.Generator().manual_seed(training._derive(3)[1])
    losses, average = [], None
    for batch in batches:
        noise = torch.randn(batch.shape, generator=rng, dtype=torch.float64)
        loss = (other.net(batch + 0.1 * noise) - batch).square().mean()
        other.optimizer.zero_grad()
        loss.backward()
        other.optimizer.step()
        losses.append(loss.item())
        weights = other.weights()
        average = weights if average is None else 0.9 * average + 0.1 * weights
    np.testing.assert_array_equal(trained.history["loss"], losses)
    np.testing.assert_array_equal(trained.history["largest"], [b.abs().max() for b in batches])
    np.testing.assert_array_equal(case.weights(), other.weights())
    averaged = trained.averaged["net"]
    theirs = torch.cat([p.flatten() for p in averaged.parameters()]).numpy()
    np.testing.assert_allclose(theirs, average, rtol=0, atol=1e-12)
    assert type(averaged) is MLP and not averaged.training
    assert not any(p.requires_grad for p in averaged.parameters())
    assert trained.history["loss"].shape == (25,) and trained.history["loss"].dtype == np.float64
    assert trained.device == torch.device("cpu") and trained.seconds > 0


def of_batches(seed):
    return training._derive(seed)[0]


def take(batches, n):
    return [next(batches) for _ in range(n)]


def test_same_seed_same_history_other_seed_other_history():
    histories = [Case().train(30, seed=seed).history["loss"] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(histories[0], histories[1])
    assert (histories[0] != histories[2]).all()


@pytest.mark.parametrize("n_steps", [1, 99, 100, 101, 250])
def test_how_often_the_losses_are_looked_at_changes_nothing(n_steps, monkeypatch):
    one = Case()
    history = one.train(n_steps).history["loss"]
    assert len(one.seen) == n_steps
    monkeypatch.setattr(training, "_CHECK_EVERY", 7)
    other = Case()
    np.testing.assert_array_equal(other.train(n_steps).history["loss"], history)
    np.testing.assert_array_equal(other.weights(), one.weights())


def test_the_device_is_waited_for_now_and_then_only(monkeypatch):
    waits, fetch = [], torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: waits.append(1) or fetch(tensor))
    Case().train(250)
    assert len(waits) == 3


def test_neither_the_data_nor_torchs_global_state_is_changed():
    before, numbers = X.copy(), torch.get_rng_state()
    case = Case()
    X.flags.writeable = False
    try:
        case.train(5, progress=False)
    finally:
        X.flags.writeable = True
    np.testing.assert_array_equal(X, before)
    assert torch.equal(torch.get_rng_state(), numbers)

    def spoil(batch, rng):
        batch.zero_()
        return Case.step(case, batch, rng)

    tensor = torch.from_numpy(X)
    case.step, case_step = spoil, case.step
    case.train(5, X=tensor)
    np.testing.assert_array_equal(X, before)
    assert case_step is not None


def test_global_noise_is_repeatable_too():
    def losses(global_seed):
        torch.manual_seed(global_seed)
        case = Case()
        case.net.append(nn.Dropout(0.5))
        return case.train(10).history["loss"]

    with torch.random.fork_rng(devices=[]):
        np.testing.assert_array_equal(losses(0), losses(1))


def test_seeded_networks_are_repeatable_and_leave_no_trace():
    before = torch.get_rng_state()
    nets = []
    for seed in (0, 0, 1):
        with seeded(seed):
            nets.append(MLP(2, 2)[0].weight)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(nets[0], nets[1]) and not torch.equal(nets[0], nets[2])


def test_an_epoch_shows_every_sample_once_in_an_order_of_its_own():
    data = (torch.arange(20), torch.arange(20) * 10)
    batches = take(draw_batches(data, 5, seed=0), 12)
    epochs = [torch.cat([b[0] for b in batches[i : i + 4]]) for i in (0, 4, 8)]
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(20))
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 3
    assert all(torch.equal(b[1], 10 * b[0]) for b in batches)  # parts stay together


def test_leftover_samples_sit_out_and_take_turns():
    data = (torch.arange(13),)
    batches = take(draw_batches(data, 5, seed=1), 40)
    assert all(len(b[0]) == 5 for b in batches)
    for i in range(0, 40, 2):
        assert len(set(torch.cat([batches[i][0], batches[i + 1][0]]).tolist())) == 10
    counts = torch.cat([b[0] for b in batches]).bincount(minlength=13)
    assert counts.min() >= 9 and counts.max() <= 20  # 20 epochs, 10 of 13 in each


@pytest.mark.parametrize("first", [1, 2, 3, 7])
def test_batches_can_be_taken_up_anywhere(first):
    data = (torch.arange(13),)
    whole = take(draw_batches(data, 5, seed=2), 10)
    later = take(draw_batches(data, 5, seed=2, first_step=first), 10 - first)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(whole[first:], later, strict=True))


def test_neighbouring_seeds_share_no_epoch():
    data = (torch.arange(20),)
    epochs = [
        tuple(batch.tolist())
        for seed in range(5)
        for (batch,) in take(draw_batches(data, 20, of_batches(seed)), 50)
    ]
    assert len(set(epochs)) == 250


def test_data_take_the_modules_precision_and_tuples_stay_tuples():
    case = Case(dtype=torch.float32)
    case.train(2)
    assert case.seen[0].dtype == torch.float32
    seen = []

    def step(batch, rng):
        seen.append(batch)
        return {"loss": batch[0].mean()}

    labels = np.arange(50)
    settings = {"modules": {"net": case.net}, "optimizers": {"adam": case.optimizer}}
    train(step, (X, labels), n_steps=1, batch_size=4, device="cpu", **settings)
    x, picked = seen[0]
    assert picked.dtype == torch.int64
    np.testing.assert_allclose(x.numpy(), X[picked], rtol=1e-6)


def test_a_quantity_that_changes_later_is_written_as_it_was():
    case = Case()
    level = nn.Parameter(torch.zeros((), dtype=torch.float64))
    case.net.register_parameter("level", level)

    def step(batch, rng):
        with torch.no_grad():
            level.add_(1.0)
        return {"level": level, "whole": torch.tensor(3), "half": torch.tensor(0.5).bfloat16()}

    case.step = step
    history = case.train(5).history
    np.testing.assert_array_equal(history["level"], [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(history["whole"], 3.0)
    np.testing.assert_array_equal(history["half"], 0.5)


def test_schedulers_step_once_after_each_step():
    case = Case(lr=0.1)
    rates = []
    inner = case.step

    def step(batch, rng):
        rates.append(case.optimizer.param_groups[0]["lr"])
        return inner(batch, rng)

    case.step = step
    half = torch.optim.lr_scheduler.ExponentialLR(case.optimizer, 0.5)
    case.train(4, schedulers={"half": half})
    np.testing.assert_allclose(rates, [0.1, 0.05, 0.025, 0.0125])


@pytest.mark.parametrize(("bad", "kind"), [(float("nan"), "NaN"), (float("inf"), "infinite")])
@pytest.mark.parametrize("at", [0, 13, 24])
def test_divergence_is_named_and_undone(bad, kind, at, monkeypatch):
    monkeypatch.setattr(training, "_CHECK_EVERY", 5)
    case, other = Case(), Case()
    case.loss_scale[at] = bad
    schedules = [torch.optim.lr_scheduler.ExponentialLR(c.optimizer, 0.99) for c in (case, other)]
    with pytest.raises(Diverged, match=rf"loss is {kind} at step {at} of 25, counted") as caught:
        case.train(25, average={"net": 0.9}, schedulers={"s": schedules[0]})
    for cure in ("Lower the learning rate", "adam 0.00", "clip_grad_norm_", "bf16 off"):
        assert cure in str(caught.value)
    good = at // 5 * 5
    assert f"as they were after {good} steps" in str(caught.value)
    assert caught.value.step == at and caught.value.quantity == "loss"
    if good:
        other.train(good, schedulers={"s": schedules[1]}, average={"net": 0.9})
    np.testing.assert_array_equal(case.weights(), other.weights())
    assert schedules[0].state_dict() == schedules[1].state_dict()
    ours, theirs = (c.optimizer.state_dict() for c in (case, other))
    assert ours["param_groups"] == theirs["param_groups"]
    assert ours["state"].keys() == theirs["state"].keys()
    for place, moments in ours["state"].items():
        for name, value in moments.items():
            assert torch.equal(value, theirs["state"][place][name])
    past = caught.value.history["loss"]
    assert len(past) == at + 1 and np.isfinite(past[:-1]).all() and not np.isfinite(past[-1])


def test_weights_that_are_not_finite_are_found_at_the_end_of_a_run():
    case = Case()
    inner = case.step

    def step(batch, rng):
        values = inner(batch, rng)
        with torch.no_grad():
            case.net[0].bias[2] = torch.nan
        return values

    case.step = step
    before = case.weights()
    with pytest.raises(Diverged, match="weights of 'net' are not all finite at step 0 of 1"):
        case.train(1)
    np.testing.assert_array_equal(case.weights(), before)


def test_moments_that_are_not_finite_are_found():
    case = Case(dtype=torch.float32, lr=1e-30)
    case.loss_scale[1] = 1e30  # whose square no float32 can hold: Adam would stand still for ever
    with pytest.raises(Diverged, match="moments of 'adam' are not all finite"):
        case.train(3)


def test_modules_that_are_spoilt_already_are_refused():
    case = Case()
    with torch.no_grad():
        case.net[0].bias[0] = torch.inf
    with pytest.raises(ValueError, match="weights of 'net' are not all finite before the first"):
        case.train(3)
    assert case.seen == []


def test_an_error_that_comes_of_nan_is_called_divergence(monkeypatch):
    # zuko, once imported anywhere, switches the checks of torch's distributions off.
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", True)
    case = Case()
    case.loss_scale[3] = float("nan")
    inner = case.step

    def step(batch, rng):
        values = inner(batch, rng)
        torch.distributions.Normal(torch.stack([case.net[0].weight.mean()]), 1.0)
        return values

    case.step = step
    with pytest.raises(Diverged, match="weights of 'net' are not all finite at step 3") as caught:
        case.train(10)
    assert len(caught.value.history["loss"]) == 3  # the fourth was not returned

    def broken(batch, rng):
        raise KeyError("a mistake of the step's own")

    case.step = broken
    with pytest.raises(KeyError, match="of the step's own"):
        case.train(10)


def test_ctrl_c_leaves_the_last_good_state(monkeypatch):
    monkeypatch.setattr(training, "_CHECK_EVERY", 5)
    case, other = Case(), Case()
    inner = case.step

    def step(batch, rng):
        values = inner(batch, rng)
        if len(case.seen) == 13:
            raise KeyboardInterrupt
        return values

    case.step = step
    with pytest.raises(KeyboardInterrupt):
        case.train(20)
    other.train(10)
    np.testing.assert_array_equal(case.weights(), other.weights())


def test_bf16_computes_in_bf16_with_the_present_weights():
    case = Case(dtype=torch.float32)
    seen = []

    def step(batch, rng):
        """As a GAN does: use weights, change them, use them again."""
        first = case.net(batch)
        with torch.no_grad():
            for p in case.net.parameters():
                p.mul_(0.0)
        second = case.net(batch)
        seen.append((first.dtype, second.abs().max().item()))
        return {"loss": second.float().mean()}

    case.step = step
    case.train(1, bf16=True)
    assert seen == [(torch.bfloat16, 0.0)]
    ordinary, halved = (Case(dtype=torch.float32).train(50, bf16=b).history for b in (False, True))
    assert (ordinary["loss"] != halved["loss"]).any()
    np.testing.assert_allclose(ordinary["loss"], halved["loss"], rtol=0.05)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own
def test_compiled_training_gives_the_same_numbers(monkeypatch):
    """Traced and differentiated ahead of time; making machine code would take half a minute."""
    make = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self: make(self, backend="aot_eager"))
    case = Case()
    ours = case.train(5, compile=True).history["loss"]
    np.testing.assert_allclose(ours, Case().train(5).history["loss"], rtol=1e-9)
    assert case.net._compiled_call_impl is None  # as it came: second derivatives work again


class Pair(nn.Module):
    """Two networks side by side, and no forward."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Sequential(nn.Linear(2, 2)), nn.ModuleList([MLP(2, 2)])


def test_networks_are_compiled_wherever_they_are(monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    case, pair, line = Case(), Pair(), nn.Linear(2, 2)
    modules = {"net": case.net, "pair": pair, "line": line}
    settings = {"optimizers": {"adam": case.optimizer}, "batch_size": 2, "device": "cpu"}
    train(case.step, X, modules=modules, n_steps=1, **settings)
    assert compiled == []
    train(case.step, X, modules=modules, n_steps=1, compile=True, **settings)
    assert compiled == [case.net, pair.first, pair.second[0], line]


def test_modes_are_left_alone():
    case = Case()
    case.net.eval()
    case.train(2)
    assert not case.net.training


def test_an_optimizer_can_be_used_again():
    case = Case()
    case.train(3)
    before = copy.deepcopy(case.optimizer.state_dict())
    case.train(2)
    after = case.optimizer.state_dict()["state"][0]["step"]
    assert before["state"][0]["step"] == 3 and after == 5


# Bars


@pytest.mark.parametrize(
    ("asked", "terminal", "notebook", "shown"),
    [
        (None, True, False, True),
        (None, False, False, False),
        (None, True, True, False),
        (True, False, False, True),
        (False, True, False, False),
    ],
)
def test_a_bar_shows_in_terminals_only(asked, terminal, notebook, shown, monkeypatch):
    made = []

    def make_bar(*arguments, **look):
        made.append(progress.make_bar(*arguments, **look))
        return made[-1]

    shell = types.SimpleNamespace(kernel=1) if notebook else types.SimpleNamespace()
    monkeypatch.setattr(training, "make_bar", make_bar)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    fake = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", fake)
    Case().train(3, progress=asked)
    assert [(bar.n, bar.total, bar.unit) for bar in made] == [(3, 3, "step")] * shown
    assert all(bar.disable for bar in made)  # closed


def test_a_bar_shows_the_last_quantities(monkeypatch, capsys):
    monkeypatch.setitem(progress.BAR, "delay", 0)
    monkeypatch.setitem(progress.BAR, "mininterval", 0)
    trained = Case().train(4, progress=True)
    assert f"loss {trained.history['loss'][-1]:.4g}" in capsys.readouterr().err


# Devices


def test_devices_are_chosen_in_order(monkeypatch):
    there = {"cuda": False, "mps": False}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there["cuda"])
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there["mps"])
    assert choose_device() == torch.device("cpu")
    there["mps"] = True
    assert choose_device() == torch.device("mps")
    there["cuda"] = True
    assert choose_device() == torch.device("cuda", 0)
    assert choose_device("cpu") == torch.device("cpu")
    there["cuda"] = False
    for missing in ("cuda", "xpu"):
        with pytest.raises(ValueError, match=f'device is "{missing}", but torch sees none here'):
            choose_device(missing)
    with pytest.raises(ValueError, match="device is 'gpu'"):
        choose_device("gpu")


def test_devices_have_names(monkeypatch):
    assert name_device("cpu").startswith("CPU, ") and len(name_device("cpu")) > 5
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"board {device.index}")
    assert name_device("cuda:1") == "CUDA, board 1"


# Bad input


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"batch_size": 1}, "batch_size is 1: a batch of one"),
        ({"batch_size": 51}, "batch_size is 51, but X has only 50 samples. Use at most 50"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"n_steps": 0}, "n_steps must be at least 1"),
        ({"n_steps": 2.5}, "n_steps must be a whole number"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"checkpoint_every": 0}, "checkpoint_every must be at least 1"),
        ({"checkpoint": "/nowhere/at/all.ckpt"}, "checkpoint is to be in /nowhere/at"),
        ({"average": {"other": 0.9}}, "average names 'other', but modules has only"),
        ({"average": {"net": 1.0}}, r"average\['net'\] must lie between 0 and 1"),
        ({"device": "gpu"}, "device is 'gpu'"),
        ({"X": np.where(X == X[3, 1], np.nan, X)}, r"X contains NaN, first at index \(3, 1\)"),
        ({"X": (X, -np.inf * np.ones(50))}, r"X\[1\] contains infinity, first at index \(0,\)"),
        ({"X": (X, X[:49])}, r"X holds parts of \[50, 49\] rows"),
        ({"X": ()}, "X is an empty tuple"),
        ({"X": np.zeros((0, 3))}, r"X has shape \(0, 3\)"),
        ({"X": np.array(["a", "b"])}, "X cannot be read as an array of numbers"),
        ({"X": X + 1j}, "X holds complex numbers"),
        ({"modules": {}}, "modules must be a dict of names to Modules"),
        ({"modules": nn.Linear(2, 2)}, "modules must be a dict"),
        ({"optimizers": {"adam": 3}}, "optimizers must be a dict of names to Optimizers"),
        ({"modules": {"o": nn.Linear(2, 2)}}, r"optimizers\['adam'\] changes parameters of shapes"),
    ],
)
def test_bad_arguments_are_refused_by_name(changes, match):
    case = Case()
    settings = {"modules": {"net": case.net}, "optimizers": {"adam": case.optimizer}, "X": X}
    settings |= {"n_steps": 3, "batch_size": 10, "device": "cpu"} | changes
    with pytest.raises(ValueError, match=match):
        train(case.step, settings.pop("X"), **settings)
    assert case.seen == []


@pytest.mark.parametrize(
    ("returned", "match"),
    [
        (None, "step returned NoneType, expected a dict"),
        ({}, "step returned dict, expected a dict such as"),
        ({"loss": 0.5}, "step returned 'loss' as float, expected a tensor without axes"),
        ({"loss": torch.zeros(3)}, r"step returned 'loss' as Tensor of shape \(3,\)"),
    ],
)
def test_bad_quantities_are_refused_by_name(returned, match):
    case = Case()
    case.step = lambda batch, rng: returned
    with pytest.raises(ValueError, match=match):
        case.train(3)


def test_quantities_keep_their_names():
    case = Case()
    returned = iter([{"a": torch.zeros(()), "b": torch.ones(())}] * 2 + [{"a": torch.zeros(())}])
    case.step = lambda batch, rng: next(returned)
    with pytest.raises(ValueError, match=r"step returned \['a'\], but \['a', 'b'\] before"):
        case.train(3)
    swapped = iter(
        [{"a": torch.zeros(()), "b": torch.ones(())}, {"b": torch.ones(()), "a": torch.zeros(())}]
    )
    case.step = lambda batch, rng: next(swapped)
    np.testing.assert_array_equal(case.train(2).history["b"], 1.0)


def test_data_are_known_again_by_a_hash():
    data = (torch.arange(12.0).reshape(4, 3), torch.arange(4))
    same = (torch.arange(12.0).reshape(4, 3), torch.arange(4))
    assert describe_data(data) == describe_data(same)
    assert describe_data(data).startswith("float32 (4, 3) ")
    same[0][2, 1] += 1e-5
    assert describe_data(data) != describe_data(same)
