"""The gallery: every figure of the chapters, made small, with its caption and its place.

```{gallery}
```
"""

import hashlib
import io
import os
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from inventory import chapters, figures, title
from PIL import Image
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

WIDTH = 600  # pixels; cards are at most half as wide on a page


def thumbnail(png, folder):
    """Write a figure, made small, and return its path; made once for each figure."""
    path = folder / f"{hashlib.sha256(png).hexdigest()[:16]}.webp"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.open(io.BytesIO(png)).convert("RGB")
        picture.thumbnail((WIDTH, 4 * WIDTH), Image.Resampling.LANCZOS)
        picture.save(path, "WEBP", quality=70, method=4)
    return path


class Gallery(SphinxDirective):
    """A section for each chapter, a card for each figure."""

    def run(self):
        return [self.chapter(number, path) for number, path in chapters().items() if figures(path)]

    def chapter(self, number, path):
        """Return the section of a chapter."""
        page = f"book/{path.stem}"
        self.env.note_dependency(str(path))
        words = nodes.inline("", title(path))
        heading = nodes.title("", "", self.link("doc", f"/{page}", words, explicit=True))
        section = nodes.section("", heading, ids=[f"gallery-{number}"], names=[])
        cards = nodes.container(classes=["gallery"])
        cards += [self.card(figure) for figure in figures(path)]
        section += addnodes.only("", cards, expr="html")
        return section

    def card(self, figure):
        """Return a figure, its number as a link, and its caption."""
        folder = Path(self.env.doctreedir).parent / "gallery"
        path = thumbnail(figure.png, folder)
        uri = Path(os.path.relpath(path, self.env.srcdir)).as_posix()
        card = nodes.container(classes=["gallery-card"])
        card += nodes.image(uri=f"/{uri}", alt=figure.alt, classes=["dark-light"], loading="lazy")
        text = nodes.container()
        self.state.nested_parse(StringList([figure.caption], self.env.docname), 0, text)
        number = self.link("numref", figure.name, nodes.literal("", figure.name), explicit=False)
        text[0].insert(0, [number, nodes.Text(". ")])
        card += text.children
        return card

    def link(self, kind, target, words, explicit):
        """Return a link that Sphinx resolves, or warns of."""
        return addnodes.pending_xref("", words, refdomain="std", reftype=kind, reftarget=target,
                                     refexplicit=explicit, refdoc=self.env.docname,
                                     refwarn=True)  # fmt: skip


def setup(app):
    """Register with Sphinx."""
    app.add_directive("gallery", Gallery)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
