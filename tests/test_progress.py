"""The bar of long fits: where it is drawn, what it shows, and that it goes."""

import re

import numpy as np
import pytest
from problems import blobs

from gmmlearn import GaussianMixture, progress

pytest.importorskip("tqdm")
SETTINGS = {"n_components": 3, "random_state": 0, "tol": 1e-6, "max_iter": 500}


@pytest.fixture
def at_once(monkeypatch):
    """Draw the bar from the beginning, at every iteration."""
    monkeypatch.setitem(progress.BAR, "delay", 0)
    monkeypatch.setitem(progress.BAR, "mininterval", 0)


@pytest.fixture
def bars(monkeypatch):
    """Collect the bars that fits make."""
    made, make = [], progress.make_bar

    def collect(*arguments):
        made.append(make(*arguments))
        return made[-1]

    monkeypatch.setattr(progress, "make_bar", collect)
    return made


def test_bar_is_drawn_on_stderr_with_the_bound(at_once, bars, capsys):
    mixture = GaussianMixture(**SETTINGS, verbose=1, n_init=2).fit(blobs(spread=1.5))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Initialization 0" in printed.err and "Initialization 1" in printed.err
    bounds = [float(text) for text in re.findall(r"bound (-?\d+\.\d+)", printed.err)]
    assert round(mixture.lower_bound_, 5) in bounds
    # Drawn from the bounds before, one an iteration, of the whole data in its own units.
    assert set(np.round(mixture.lower_bounds_, 5)) <= set(bounds)
    assert len(bars) == 2 and all(bar.disable for bar in bars)  # closed
    assert re.split(r"[\r\n]", printed.err)[-1].strip() == ""  # and wiped away


def test_short_fits_show_nothing(bars, capsys):
    GaussianMixture(**SETTINGS, verbose=1).fit(blobs())
    assert len(bars) == 1
    assert capsys.readouterr() == ("", "")


def test_quiet_fits_make_no_bar(bars, capsys):
    GaussianMixture(**SETTINGS).fit(blobs())
    assert bars == [] and capsys.readouterr() == ("", "")


@pytest.mark.parametrize("n_init", [1, 3])
def test_bar_goes_when_the_fit_fails(at_once, bars, n_init):
    X = np.column_stack([blobs()[:, 0], np.zeros(600)])
    with pytest.raises(ValueError, match="singular"):
        GaussianMixture(2, reg_covar=0.0, verbose=1, random_state=0, n_init=n_init).fit(X)
    assert len(bars) == 1 and bars[0].disable


def test_lines_without_tqdm(monkeypatch, capsys):
    monkeypatch.setattr(progress, "make_bar", lambda *_: None)
    GaussianMixture(**SETTINGS, verbose=1).fit(blobs())
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "Initialization 0" and "converged" in out and err == ""
