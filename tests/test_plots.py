"""Drawing: what is drawn is what was passed in."""

import io
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from PIL import Image

from gmmlearn import plots
from gmmlearn.datasets import BLOBS
from gmmlearn.mixture import Mixture


@pytest.fixture
def ax():
    return Figure().subplots()


def luminance(color):
    """Return the relative luminance of a colour (WCAG 2)."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_style_is_set_and_figures_are_opaque():
    with mpl.rc_context():
        plots.use_style()
        assert to_rgba(mpl.rcParams["figure.facecolor"])[3] == 1.0
        assert mpl.rcParams["figure.figsize"][0] == 7.0


def test_ink_reads_on_paper():
    contrast = (luminance(plots.PAPER) + 0.05) / (luminance(plots.INK) + 0.05)
    assert contrast > 7  # WCAG AAA


def test_component_colors_are_distinct_and_repeat():
    assert len({plots.component_color(k) for k in range(7)}) == 7
    assert plots.component_color(7) == plots.component_color(0)
    greys = [luminance(plots.component_color(k)) for k in range(3)]
    assert np.abs(np.diff(sorted(greys))).min() > 0.08  # the first three differ in grey print


def test_points_take_the_colour_of_their_component(ax):
    X = np.arange(6.0).reshape(3, 2)
    assert plots.points(ax, X, labels=[0, 1, 2]) is ax
    plots.points(ax, X, resp=np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]))
    by_label, by_resp = ax.collections
    np.testing.assert_array_equal(by_label.get_offsets(), X)
    blue, orange = (np.array(to_rgb(plots.component_color(k))) for k in (0, 1))
    np.testing.assert_allclose(by_label.get_facecolors()[1, :3], orange)
    np.testing.assert_allclose(by_resp.get_facecolors()[2, :3], (blue + orange) / 2)


def test_ellipses_are_level_sets_of_the_gaussian(ax):
    mixture = Mixture(**BLOBS)
    plots.ellipses(ax, mixture.means, mixture.covariances)
    assert len(ax.patches) == 6
    for i, patch in enumerate(ax.patches):
        rim = patch.get_patch_transform().transform(patch.get_path().vertices)
        component = mixture.component(i // 2)
        radius = np.sqrt(2 * (component.log_prob(component.mean[None]) - component.log_prob(rim)))
        # Vertices include the control points of the curves, which lie outside by up to 1.1 %.
        on_curve = np.sort(radius)[: len(radius) // 3]
        np.testing.assert_allclose(on_curve, 1 + i % 2, rtol=1e-6)


def test_contours_enclose_the_peak(ax):
    mixture = Mixture(**BLOBS)
    plots.contours(ax, mixture.log_prob, (-6, 6), (-5, 5), n_levels=4)
    drawn = ax.collections[0]
    assert len(drawn.levels) == 4
    for level, path in zip(drawn.levels, drawn.get_paths(), strict=True):
        np.testing.assert_allclose(np.exp(mixture.log_prob(path.vertices)), level, rtol=0.05)
    plots.contours(ax, mixture.log_prob, (-6, 6), (-5, 5), filled=True)
    assert ax.get_xlim() == (-6, 6)


def test_image_grid_puts_each_image_in_its_place(ax):
    images = np.arange(5 * 2 * 3).reshape(5, 2, 3)
    plots.image_grid(ax, images, n_columns=3)
    sheet = ax.images[0].get_array()
    assert sheet.shape == (4, 9)
    np.testing.assert_array_equal(sheet[:2, 3:6], images[1])
    np.testing.assert_array_equal(sheet[2:, :3], images[3])
    assert (sheet[2:, 6:] == 0).all()


def test_image_grid_keeps_fractions_for_whole_number_limits(ax):
    plots.image_grid(ax, np.full((1, 2, 2), 0.4), limits=(0, 1))
    np.testing.assert_array_equal(ax.images[0].get_array(), np.full((2, 2), 0.4))


def test_image_grid_shows_colours_as_they_are(ax):
    images = np.random.default_rng(0).random((2, 4, 4, 3))
    plots.image_grid(ax, images)
    np.testing.assert_array_equal(ax.images[0].get_array()[:, 4:], images[1])


def test_player_is_offline_accessible_and_repeatable():
    def draw(ax, i):
        ax.plot([0, i], [0, 1])

    def render():
        return plots.animate(
            draw, ["start", "a < b", "</script>"], "demo", 'A "line"', "It tilts.", (3, 2)
        )._repr_html_()

    page = render()
    assert page == render()
    assert not re.search(r"https?:|<link|src=\"(?!data:)", page)
    assert 'alt="A &quot;line&quot;"' in page
    assert page.count("</script>") == 1
    assert 'aria-label="Frame"' in page
    assert "<figcaption>" in page
    assert "It tilts." in page


def test_player_frames_are_the_drawings():
    player = plots.animate(
        lambda ax, i: ax.set_facecolor(["red", "blue"][i]), ["r", "b"], "n", "a", "c"
    )
    middle = [np.array(Image.open(io.BytesIO(f)).convert("RGB"))[180, 300] for f in player.frames]
    assert [int(m.argmax()) for m in middle] == [0, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ax: plots.component_color("blue"), "k must be a whole number"),
        (lambda ax: plots.points(ax, np.ones(3)), r"X has shape \(3,\)"),
        (lambda ax: plots.points(ax, np.ones((3, 3))), "X has 3 features, expected 2"),
        (lambda ax: plots.points(ax, np.ones((3, 2)), labels=[0, 1]), "speak of 2 samples"),
        (
            lambda ax: plots.points(ax, np.ones((3, 2)), labels=[0, 1, -1]),
            "labels must be at least",
        ),
        (lambda ax: plots.points(ax, np.ones((1, 2)), resp=[[0.5, 0.6]]), "resp sums to 1.1"),
        (lambda ax: plots.ellipses(ax, [[0, 0]], [np.eye(3)]), r"covariances\[0\] has shape"),
        (lambda ax: plots.ellipses(ax, [[0, 0]], [-np.eye(2)]), "not positive definite"),
        (lambda ax: plots.ellipses(ax, [[0, 0], [1, 1]], [np.eye(2)]), "covariances has 1 entries"),
        (lambda ax: plots.contours(ax, len, (1, 0), (0, 1)), "xlim must be two numbers"),
        (lambda ax: plots.contours(ax, len, (0, 1), (0, 1), n_grid=1), "n_grid must be at least 2"),
        (lambda ax: plots.image_grid(ax, np.ones((8, 8))), r"images has shape \(8, 8\)"),
        (lambda ax: plots.image_grid(ax, np.ones((0, 8, 8))), "images is empty"),
        (lambda ax: plots.image_grid(ax, np.ones((2, 8, 8, 4))), "last axis of size 3"),
        (lambda ax: plots.image_grid(ax, np.ones((2, 8, 8)), n_columns=0), "n_columns must be"),
        (lambda ax: plots.animate(lambda ax, i: None, [], "n", "a", "c"), "labels is empty"),
    ],
)
def test_bad_input_is_named_and_refused(ax, call, message):
    with pytest.raises(ValueError, match=message):
        call(ax)
