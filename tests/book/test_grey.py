"""Figures keep their meaning in grey: printed, or for readers who see no colours.

Of every picture of the book the colours are read off, each with its lightness (CIE L*, 0 black to
100 white). Colours that are equally light are one grey; such a picture must be in `TOLD_APART`,
which says by what else its marks can be told apart, and whoever enters it has looked.

Black, grey and paper do not count, and neither do marks of few pixels or of ever-changing shades.
"""

import base64
import io
import re
from itertools import combinations

import inventory
import numpy as np
import pytest
from contents import ROOT
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from gmmlearn import plots

SAME_GREY = 10.0
"""Colours whose lightness differs by less are taken for one grey: blue and the accent, which are
8 apart, are one in a thin line."""
ONE_COLOUR, NEUTRAL = 9.0, 14.0
"""Degrees between the directions, seen from paper, of what is one colour, and of what is grey."""
FAINT, FEW, FLAT = 60, 250, 0.05
"""Least distance from paper (of 441), number of pixels, and share of these that the commonest shade
has: marks are flat, what lies between colours is not."""
TOLD_APART = {
    "each has its name at it": [
        *("fig-02-latent", "fig-02-responsibilities", "fig-02-log-sum-exp", "fig-02-conditional"),
        *("fig-03-staircase", "fig-03-twenty-climbs", "fig-05-collapse", "fig-11-map"),
        *("fig-12-ascent", "fig-12-noise", "fig-12-latent", "fig-14-optimal"),
    ],
    "each has its own kind of mark, or of line": [
        *("fig-01-whitening", "fig-04-offset", "fig-04-coverage", "fig-04-runs", "fig-04-failure"),
        *("fig-06-digits", "fig-06-stepwise", "fig-07-validation", "fig-08-gain", "fig-11-seeds"),
        "fig-15-factorial",
    ],
    "each has its own place, or outline": [
        *("player-em-steps", "fig-04-speed", "fig-05-choosing", "fig-12-seeds", "fig-12-collapse"),
        *("fig-16-layers", "landing.png"),
    ],
    "they are no marks: pale ones overlap": ["fig-01-slice", "fig-01-plane"],
    "they are no marks: pixels of pictures": ["player-gmm-gan-year"],
}
LISTED = [name for names in TOLD_APART.values() for name in names]


def colours(picture):
    """Return {name: lightness} of the colours that stand in a picture, the commonest first.

    Drawn over paper with any opacity, also at the edge of a line, a colour moves straight towards
    paper; so what lies in one direction from paper is one colour. Its lightness is that of its
    commonest shade.
    """
    pixels = np.asarray(picture.convert("RGB"), dtype=np.int64).reshape(-1, 3)
    codes, counts = np.unique(pixels @ [65536, 256, 1], return_counts=True)
    shades = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    offsets = shades - 255.0 * np.array(to_rgb(plots.PAPER))
    lengths = np.linalg.norm(offsets, axis=1)
    ways = offsets / np.maximum(lengths, 1e-9)[:, None]
    neutral = ways @ np.full(3, -1 / np.sqrt(3)) > np.cos(np.radians(NEUTRAL))
    open_, found = (lengths > FAINT) & ~neutral, {}
    shades, counts, ways = shades[open_], counts[open_], ways[open_]
    while len(counts):
        top = counts.argmax()
        alike = ways @ ways[top] > np.cos(np.radians(ONE_COLOUR))
        if counts[alike].sum() >= FEW and counts[top] >= FLAT * counts[alike].sum():
            found["#{:02x}{:02x}{:02x}".format(*shades[top])] = lightness(shades[top])
        shades, counts, ways = shades[~alike], counts[~alike], ways[~alike]
    return found


def lightness(shade):
    """Return CIE L* of a colour 0..255."""
    rgb = np.asarray(shade) / 255.0
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    share = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * np.cbrt(share) - 16 if share > 216 / 24389 else share * 24389 / 27


def one_grey(picture):
    """Return the pairs of colours of a picture that are the same grey."""
    pairs = combinations(colours(picture).items(), 2)
    return [f"{a} {b}" for (a, la), (b, lb) in pairs if abs(la - lb) < SAME_GREY]


def pictures():
    """Return {name: picture} of every figure, of every animation's last frame, of every file."""
    found = {path.name: path.read_bytes() for path in ROOT.glob("book/_static/*.png")}
    for path in inventory.chapters().values():
        found |= {figure.name: figure.png for figure in inventory.figures(path)}
        for output in (one for cell in inventory.cells(path) for one in cell.get("outputs", [])):
            player = "".join(output.get("data", {}).get("text/html", ""))
            name = re.search(r'id="(player-[\w-]+)"', player)
            if name:
                frame = re.search(r'src="data:image/png;base64,([^"]+)"', player)[1]
                found[name[1]] = base64.b64decode(frame)
    return found


PICTURES = pictures()


@pytest.mark.parametrize("name", PICTURES)
def test_marks_of_one_grey_are_told_apart_by_more_than_colour(name):
    pairs = one_grey(Image.open(io.BytesIO(PICTURES[name])))
    if name in LISTED:
        assert pairs, f"{name} has no two colours of one grey any more: delete it from TOLD_APART"
    else:
        assert not pairs, (
            f"{name}: these colours are one grey, {', '.join(pairs)}. Look at the picture in grey. "
            "Give marks, line styles or labels that tell them apart, and say so in TOLD_APART."
        )


def test_the_list_names_pictures_of_the_book_once_each():
    assert sorted(LISTED) == sorted(set(LISTED) & PICTURES.keys())


def drawn(*marks, **settings):
    """Return the picture of lines, or of points, in these colours."""
    figure = Figure(facecolor=plots.PAPER)
    ax = figure.subplots()
    ax.set_facecolor(plots.PAPER)
    for i, color in enumerate(marks):
        ax.plot(np.arange(5), np.arange(5) % 2 + i, color=color, **settings)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Image.open(buffer)


BLUE, ORANGE, GREEN, PINK, SKY = plots.COMPONENT_COLORS[:5]


@pytest.mark.parametrize(
    ("marks", "found"),
    [
        ((ORANGE, SKY), 1),
        ((GREEN, PINK), 1),
        ((BLUE, plots.ACCENT), 1),
        ((GREEN, PINK, plots.ACCENT), 3),
        ((BLUE, ORANGE), 0),
        ((BLUE, BLUE), 0),
        ((plots.INK, plots.ACCENT), 0),
        ((plots.INK, "0.5"), 0),  # greys are what they are
    ],
)
@pytest.mark.parametrize("settings", [{}, {"linestyle": "", "marker": "o", "markersize": 12}])
def test_the_same_grey_is_found(marks, found, settings):
    assert len(one_grey(drawn(*marks, **settings))) == found


def test_a_pale_colour_is_the_same_colour_and_its_own_grey():
    assert len(colours(drawn(BLUE, linewidth=1))) == 1  # with all its edges
    (pale,) = colours(drawn(ORANGE, alpha=0.6, linewidth=5)).values()
    (full,) = colours(drawn(ORANGE, linewidth=5)).values()
    assert pale > full + SAME_GREY
    assert lightness((86, 180, 233)) == pytest.approx(69.8, abs=0.1)  # sky
    assert lightness((230, 159, 0)) == pytest.approx(70.6, abs=0.1)  # orange
    assert lightness((0, 0, 0)) == 0 and lightness((255, 255, 255)) == pytest.approx(100)
