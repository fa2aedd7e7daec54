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
from sphinx.util.nodes import make_refnode

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
        heading = nodes.title("", "", self.link("doc", f"/{page}", words))
        section = nodes.section("", heading, ids=[f"gallery-{number}"], names=[])
        cards = nodes.container(classes=["gallery"])
        cards += [self.card(page, figure) for figure in figures(path)]
        section += addnodes.only("", cards, expr="html")
        return section

    def card(self, page, figure):
        """Return a figure, its number as a link, and its caption."""
        folder = Path(self.env.doctreedir).parent / "gallery"
        path = thumbnail(figure.png, folder)
        uri = Path(os.path.relpath(path, self.env.srcdir)).as_posix()
        card = nodes.container(classes=["gallery-card"])
        card += nodes.image(uri=f"/{uri}", alt=figure.alt, classes=["dark-light"], loading="lazy")
        text = nodes.container()
        self.state.nested_parse(StringList([figure.caption], self.env.docname), 0, text)
        number = self.link("figure-of-chapter", figure.name, nodes.inline("", figure.name), page)
        text[0].insert(0, [number, nodes.Text(". ")])
        card += text.children
        return card

    def link(self, kind, target, words, page=None):
        """Return a link that is resolved later, or warned of."""
        return addnodes.pending_xref("", words, refdomain="std" if page is None else "",
                                     reftype=kind, reftarget=target, refexplicit=True, page=page,
                                     refdoc=self.env.docname, refwarn=True)  # fmt: skip


def number_figure(app, env, node, words):
    """Return the link 'Figure 7.2'; Sphinx's own would read the whole chapter again for each."""
    if node["reftype"] != "figure-of-chapter":
        return None
    page, name = node["page"], node["reftarget"]
    number = env.toc_fignumbers.get(page, {}).get("figure", {}).get(name)
    if number is None:
        return None
    text = nodes.Text(f"Figure {'.'.join(map(str, number))}")
    return make_refnode(app.builder, node["refdoc"], page, name, text)


def setup(app):
    """Register with Sphinx."""
    app.add_directive("gallery", Gallery)
    app.connect("missing-reference", number_figure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
