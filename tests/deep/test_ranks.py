"""Two processes must take the steps of one: compared in float64 after ten steps."""

import copy
import os

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing

from gmmlearn import datasets
from gmmlearn.deep import ranks, running
from gmmlearn.deep.autoencoder import Autoencoder, fit_autoencoder
from gmmlearn.deep.gmm_gan import GMMGAN, fit_gmm_gan
from gmmlearn.deep.networks import ConvDecoder, ConvEncoder
from gmmlearn.deep.pixels import as_pixels
from gmmlearn.deep.prior import MixturePrior
from gmmlearn.deep.training import seeded

N_STEPS, DIM = 10, 3
GAMES = {
    "fixed": {},
    "learned": {"trainable": True, "anchor": 0.5, "prior_rate": 0.01},
    "resumed": {"break_at": 6},
}


def started(trainable=False):
    with seeded(0):
        autoencoder = Autoencoder(
            ConvEncoder(8, 1, DIM, width=4), ConvDecoder(DIM, 8, 1, width=4, squash=True)
        )
        prior = MixturePrior(4, DIM).requires_grad_(trainable)
        discriminator = ConvEncoder(8, 1, 1, width=4, activation="leaky_relu")
    parts = autoencoder.decoder, discriminator, prior, autoencoder.encoder
    return GMMGAN(*copy.deepcopy(parts)).double(), autoencoder


def play(folder, trainable=False, break_at=None, **game):
    """Return weights and history after ten steps, resumed at a checkpoint if asked for."""
    X = as_pixels(datasets.digits("train").X[:60], (0, 16))
    game |= {"batch_size": 20, "learning_rates": (1e-3, 2e-3), "device": "cpu", "progress": False}
    for n_steps in [break_at] * bool(break_at) + [N_STEPS]:
        model, _ = started(trainable)
        sizes = []
        model.discriminator.register_forward_hook(lambda net, x, _, s=sizes: s.append(len(x[0])))
        if break_at:
            game["checkpoint"] = f"{folder}/run"
        trained = fit_gmm_gan(model, X, n_steps, **game)
    return {"weights": model.state_dict(), "history": trained.history, "sizes": set(sizes)}


def encode(_folder):
    """Return an autoencoder's weights and history after ten steps."""
    X = as_pixels(datasets.digits("train").X[:60], (0, 16))
    autoencoder = started()[1]
    trained = fit_autoencoder(autoencoder, X, N_STEPS, 20, device="cpu", progress=False)
    return {"weights": autoencoder.state_dict(), "history": trained.history}


def everything(folder):
    found = {name: play(folder, **game) for name, game in GAMES.items()}
    return found | {"autoencoder": encode(folder)}


def one_of_two(rank, folder):
    """Be one of two processes, as torchrun would have started them."""
    torch.set_num_threads(1)
    # A file, not a port: nothing else can have taken it.
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    write, written = running.write_checkpoint, []
    running.write_checkpoint = lambda path, *rest: written.append(path) or write(path, *rest)
    found = everything(folder) | {"written": len(written)}
    try:
        fit_gmm_gan(started()[0], torch.zeros(9, 1, 8, 8), 1, batch_size=5)
    except ValueError as error:
        found["refused"] = str(error)
    torch.save(found, f"{folder}/{rank}")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return what one process finds, and what each of two."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    multiprocessing.spawn(one_of_two, (str(folders[1]),), nprocs=2)
    pair = [torch.load(folders[1] / str(rank), weights_only=False) for rank in range(2)]
    return everything(str(folders[0])), *pair


@pytest.mark.parametrize("name", [*GAMES, "autoencoder"])
def test_two_processes_take_the_steps_of_one(found, name):
    alone, first, second = (part[name] for part in found)
    before, autoencoder = started(name == "learned")
    before = (autoencoder if name == "autoencoder" else before).state_dict()
    moved = {key.split(".")[0] for key, old in before.items()
             if not torch.equal(old, alone["weights"][key])}  # fmt: skip
    everywhere = {"generator", "discriminator", *["prior"] * (name == "learned")}
    assert moved == ({"encoder", "decoder"} if name == "autoencoder" else everywhere)
    single = name == "autoencoder"  # in float32, the only precision that it takes
    limits = {"rtol": 1e-5 * single, "atol": 1e-6 if single else 1e-8}
    for key, weight in alone["weights"].items():
        assert weight.dtype == (torch.float32 if single else torch.float64)
        assert torch.equal(first["weights"][key], second["weights"][key])
        torch.testing.assert_close(first["weights"][key], weight, **limits)
    assert alone["history"].keys() == first["history"].keys()
    for key, values in alone["history"].items():
        np.testing.assert_allclose(first["history"][key], values, **limits)
        np.testing.assert_array_equal(first["history"][key], second["history"][key])


def test_a_run_broken_off_ends_as_one_that_was_not(found):
    for part in found:
        for key, weight in part["fixed"]["weights"].items():
            assert torch.equal(weight, part["resumed"]["weights"][key])


def test_each_process_judges_its_share_alone(found):
    assert [part["fixed"]["sizes"] for part in found] == [{20}, {10}, {10}]


def test_the_first_process_alone_writes(found):
    assert found[1]["written"] == 2 and found[2]["written"] == 0  # at six steps, and at ten


def test_uneven_shares_are_refused(found):
    assert "batch_size is 5, which 2 processes cannot share evenly" in found[1]["refused"]


def test_alone_nothing_changes(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    x = torch.arange(4.0)
    network = torch.nn.Linear(1, 1)
    with ranks.joined():
        assert ranks.n_ranks() == 1 and ranks.is_first()
        assert ranks.share(x) is x and ranks.together(network) is network
        assert torch.equal(ranks.mean(x), x) and torch.equal(ranks.total(x), x)
    assert "RANK" not in os.environ
