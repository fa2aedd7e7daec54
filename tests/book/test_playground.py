"""The EM playground in a headless Chromium: its arithmetic is the package's, and hands reach it."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from gmmlearn import GaussianMixture, Mixture, datasets
from gmmlearn.covariance import STRUCTURES

PAGE = Path(__file__).parents[2] / "_build" / "html" / "book" / "playground.html"
REG_COVAR = "1e-3"


@pytest.fixture
def window(browser):
    """The page, freshly opened on a phone that is also a desk: with touch, mouse and keyboard."""
    context = browser.new_context(viewport={"width": 1000, "height": 900}, has_touch=True)
    window = context.new_page()
    faults = []
    window.on("pageerror", lambda error: faults.append(str(error)))
    window.goto(PAGE.as_uri())
    window.wait_for_function("window.gmmPlayground !== undefined")
    yield window
    context.close()
    assert not faults


def state(window):
    return window.evaluate("gmmPlayground.state()")


def choose(window, **settings):
    for name, value in settings.items():
        window.select_option(f"#pg-{name}", value)


def problem(structure):
    """Points, and a start that `structure` allows, with covariances and with precisions."""
    X = Mixture(**datasets.BLOBS).sample(150, rng=3)[0]
    rng = np.random.default_rng(4)
    means = X[rng.choice(len(X), 3, replace=False)]
    weights = np.array([0.2, 0.5, 0.3])
    full = np.array(
        [[[0.9, 0.3], [0.3, 0.5]], [[1.5, -0.4], [-0.4, 1.0]], [[0.4, 0.1], [0.1, 2.0]]]
    )
    if structure == "tied":
        full[:] = full[0]
    elif structure in ("diag", "spherical"):
        full *= np.eye(2)
        if structure == "spherical":
            full[:, 1, 1] = full[:, 0, 0]
    inverse = np.linalg.inv(full)
    precisions = {
        "full": inverse,
        "tied": inverse[0],
        "diag": np.diagonal(inverse, axis1=1, axis2=2),
        "spherical": inverse[:, 0, 0],
    }[structure]
    return X, weights, means, full, precisions


@pytest.mark.parametrize("structure", ["full", "tied", "diag", "spherical"])
def test_parameters_are_the_packages(window, structure):
    X, weights, means, full, precisions = problem(structure)
    mixture = {
        "weights": weights.tolist(),
        "means": means.tolist(),
        "covariances": full[:, [0, 0, 1], [0, 1, 1]].tolist(),
    }
    settings = {"points": X.tolist(), "mixture": mixture, "structure": structure, "reg": REG_COVAR}
    window.evaluate("(settings) => gmmPlayground.load(settings)", settings)
    done = 0
    for n_iter in (1, 5, 50):
        for _ in range(n_iter - done):
            window.click("#pg-em")
        done = n_iter
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            expected = GaussianMixture(
                3, covariance_type=structure, weights_init=weights, means_init=means,
                precisions_init=precisions, max_iter=n_iter, tol=0.0, reg_covar=float(REG_COVAR),
            ).fit(X).mixture()  # fmt: skip
        found = state(window)["mixture"]
        np.testing.assert_allclose(found["weights"], expected.weights, atol=1e-6)
        np.testing.assert_allclose(found["means"], expected.means, atol=1e-6)
        covariances = expected.covariances[:, [0, 0, 1], [0, 1, 1]]
        np.testing.assert_allclose(found["covariances"], covariances, atol=1e-6)
    bounds = state(window)["bounds"]
    window.click("#pg-e")
    assert len(bounds) == 50
    before = expected.log_prob(X).mean()
    assert state(window)["bounds"][-1] == pytest.approx(before, abs=1e-6)


def test_every_structure_can_be_chosen(window):
    names = window.eval_on_selector_all("#pg-structure option", "all => all.map((o) => o.value)")
    assert set(names) <= set(STRUCTURES)


def test_steps_alternate_and_back_returns(window):
    start = state(window)
    assert window.is_disabled("#pg-m")
    window.click("#pg-e")
    resp = np.array(state(window)["resp"])
    assert resp.shape == (240, 3)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0)
    assert window.is_disabled("#pg-e")
    window.click("#pg-m")
    assert state(window)["mixture"] != start["mixture"]
    assert state(window)["resp"] is None
    window.click("#pg-back")
    window.click("#pg-back")
    assert state(window) == start
    assert window.is_disabled("#pg-back")


def test_run_stops_at_a_maximum_and_the_bound_never_fell(window):
    choose(window, size="60", reg="0", start="spread")
    window.click("#pg-run")
    window.wait_for_function("!gmmPlayground.state().running", timeout=30_000)
    bounds = np.array(state(window)["bounds"])
    assert np.diff(bounds).min() > -1e-12
    assert bounds[-1] - bounds[-2] < 1e-9
    assert "has stopped" in window.inner_text("#pg-status")


def test_collapse_is_named_and_regularisation_stops_it(window):
    choose(window, start="point", reg="0")
    window.click("#pg-run")
    window.wait_for_function("!gmmPlayground.state().running", timeout=30_000)
    assert state(window)["fault"] == 0
    assert "Component 1 has collapsed" in window.inner_text("#pg-status")
    assert window.is_disabled("#pg-em")
    choose(window, reg="0.01")
    window.click("#pg-first")
    for _ in range(30):
        window.click("#pg-em")
    assert state(window)["fault"] is None
    variances = np.array(state(window)["mixture"]["covariances"])[:, [0, 2]]
    assert variances.min() >= 0.01


def test_mouse_adds_drags_and_deletes(window):
    choose(window, data="empty")
    box = window.locator("#pg-canvas").bounding_box()
    at = [box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.25]
    window.mouse.click(*at)
    assert state(window)["points"] == [pytest.approx([3.0, 2.25], abs=0.05)]
    window.mouse.move(*at)
    window.mouse.down()
    window.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    window.mouse.up()
    assert state(window)["points"] == [pytest.approx([0.0, 0.0], abs=0.05)]
    window.check("input[value=delete]")
    window.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert state(window)["points"] == []
    assert state(window)["mixture"] is None


def test_a_finger_adds_points(window):
    choose(window, data="empty", k="1")
    window.locator("#pg-canvas").scroll_into_view_if_needed()
    box = window.locator("#pg-canvas").bounding_box()
    window.touchscreen.tap(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.75)
    assert state(window)["points"] == [pytest.approx([-3.0, -2.25], abs=0.05)]


def test_keyboard_does_everything(window):
    choose(window, data="empty", k="1")
    window.focus("#pg-canvas")
    for key in ["Enter", "Shift+ArrowRight", "Enter", "Shift+ArrowUp", "Enter"]:
        window.keyboard.press(key)
    assert state(window)["points"] == [[0, 0], [1, 0], [1, 1]]
    for key in ["m", "ArrowUp", "m", "ArrowRight"]:  # picks up the last point, puts it down
        window.keyboard.press(key)
    assert state(window)["points"][2] == pytest.approx([1.0, 1.2])
    window.keyboard.press("Delete")
    assert len(state(window)["points"]) == 2
    window.keyboard.press("e")
    assert state(window)["resp"] == [[1], [1]]
    window.keyboard.press("b")
    assert state(window)["resp"] is None


def test_a_moved_mean_starts_anew(window):
    window.click("#pg-em")
    box = window.locator("#pg-canvas").bounding_box()
    x, y = state(window)["mixture"]["means"][1]
    at = [box["x"] + box["width"] * (x + 6) / 12, box["y"] + box["height"] * (4.5 - y) / 9]
    window.mouse.move(*at)
    window.mouse.down()
    window.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    window.mouse.up()
    now = state(window)
    assert now["mixture"]["means"][1] == pytest.approx([0.0, 0.0], abs=0.05)
    assert now["bounds"] == []
    assert now["points"] == state(window)["points"]


def test_too_few_points_are_asked_for(window):
    choose(window, data="empty")
    assert "at least 3 different points" in window.inner_text("#pg-status")
    assert window.is_disabled("#pg-run")
