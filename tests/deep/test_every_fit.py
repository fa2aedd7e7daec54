"""What every model's fit inherits from the loop: it can be broken off, and computed in bfloat16."""

import numpy as np
import pytest
import torch
from torch import nn

from gmmlearn.datasets import digits
from gmmlearn.deep import running
from gmmlearn.deep.autoencoder import VAE, Autoencoder, fit_autoencoder, fit_vae
from gmmlearn.deep.gan import fit_gan
from gmmlearn.deep.gmm_gan import GMMGAN
from gmmlearn.deep.gmm_vae import fit_gmm_vae
from gmmlearn.deep.mixture_game import fit_gmm_gan
from gmmlearn.deep.networks import MLP
from gmmlearn.deep.pixels import as_pixels
from gmmlearn.deep.prior import MixturePrior, StandardNormal
from gmmlearn.deep.training import seeded

PIXELS = as_pixels(digits("train").X[:100], limits=(0, 16))
SHAPE = (1, 8, 8)
KINDS = ["autoencoder", "vae", "gmm_vae", "gan", "gmm_gan"]


def encoder(n_numbers=4):
    return MLP(SHAPE, n_numbers, width=16)


def decoder():
    return MLP(4, SHAPE, width=16, squash=True)


def fit(kind, **loop):
    """Fit a small model of a kind, and return it and its history."""
    loop = {"n_steps": 12, "batch_size": 20, "device": "cpu", "seed": 1} | loop
    with seeded(0):
        if kind == "autoencoder":
            model = Autoencoder(encoder(), decoder())
            trained = fit_autoencoder(model, PIXELS, **loop)
        elif kind == "vae":
            model = VAE(encoder(8), decoder())
            trained = fit_vae(model, PIXELS, **loop)
        elif kind == "gmm_vae":
            model = VAE(encoder(8), decoder(), prior=MixturePrior(3, 4))
            trained = fit_gmm_vae(model, PIXELS, warm_up=6, **loop)
        elif kind == "gan":
            model = nn.ModuleList([decoder(), encoder(1)])
            trained = fit_gan(*model, PIXELS, StandardNormal(4), r1=1.0, average=0.9, **loop)
        else:
            model = GMMGAN(decoder(), encoder(1), MixturePrior(3, 4), encoder())
            trained = fit_gmm_gan(model, PIXELS, decay=True, **loop)
    return model, trained.history


class Stop(Exception):
    """Something that happens to a run."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_that_was_broken_off_ends_as_one_that_was_not(kind, tmp_path, monkeypatch):
    model, history = fit(kind)
    keep = {"checkpoint": tmp_path / "run", "checkpoint_every": 4}
    take, taken = running.Run.take, []

    def fail_at_the_third(run, *arguments):
        taken.append(1)
        if len(taken) == 3:
            raise Stop
        return take(run, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(running.Run, "take", fail_at_the_third)
        with pytest.raises(Stop):
            fit(kind, **keep)
    again, resumed = fit(kind, **keep)
    ours, theirs = again.state_dict(), model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert list(history) == list(resumed)
    for name in history:
        np.testing.assert_array_equal(resumed[name], history[name])


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_in_bf16_goes_about_the_same_way(kind):
    ordinary, halved = (fit(kind, bf16=bf16)[1] for bf16 in (False, True))
    for name, values in ordinary.items():
        spread = np.abs(values).max()
        np.testing.assert_allclose(halved[name], values, rtol=0.1, atol=0.03 * spread + 0.03)
    assert any((halved[name] != ordinary[name]).any() for name in ordinary)
