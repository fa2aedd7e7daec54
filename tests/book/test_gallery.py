"""The gallery shows every figure of the chapters, small, described, and linked."""

import io
import re
from html import unescape

import gallery
import inventory
import pytest
from contents import HTML, missing
from PIL import Image

CHAPTERS = inventory.chapters().values()
FIGURES = [(path.stem, figure) for path in CHAPTERS for figure in inventory.figures(path)]


@pytest.fixture(scope="module")
def page():
    file = HTML / "book" / "gallery.html"
    if not file.exists():
        missing("gallery.html is not built: run `make book`")
    return file.read_text(encoding="utf-8")


def test_every_figure_has_a_card(page):
    assert len(FIGURES) > 40
    cards = page.split('<div class="gallery-card')[1:]
    assert len(cards) == len(FIGURES)
    for (chapter, figure), card in zip(FIGURES, cards, strict=True):
        alt = unescape(re.search(r'<img alt="([^"]*)"', card)[1])
        assert " ".join(alt.split()) == " ".join(figure.alt.split())
        link = re.search(rf'href="{chapter}\.html#([\w-]+)">Figure (\d+)\.\d+</a>', card)
        assert link[1] == figure.name
        assert int(link[2]) == int(chapter[:2])


def test_thumbnails_are_small(page):
    names = re.findall(r'src="\.\./_images/(\w+\.webp)"', page)
    assert len(names) == len(FIGURES)
    sizes = [(HTML / "_images" / name).stat().st_size for name in names]
    assert max(sizes) < 60_000
    assert sum(sizes) / len(sizes) < 25_000


def test_thumbnail_keeps_the_shape_and_is_made_once(tmp_path):
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((1200, 300)).save(buffer, "PNG")
    path = gallery.thumbnail(buffer.getvalue(), tmp_path)
    small = Image.open(path)
    assert small.size == (600, 150)
    assert small.getpixel((300, 5))[0] < 30 < 220 < small.getpixel((300, 145))[0]
    path.write_bytes(b"kept")
    assert gallery.thumbnail(buffer.getvalue(), tmp_path).read_bytes() == b"kept"
