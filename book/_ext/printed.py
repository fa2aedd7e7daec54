"""The book as LaTeX: a chapter keeps its number, and pages that only make sense on a screen go.

LaTeX would count the chapters itself, and call chapter 7 "8", since the playground stands before
it. So each chapter says its number, its title loses it, and all other pages have none.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

SCREEN_ONLY = {"book/gallery"}


def raw(text):
    return nodes.raw("", text, format="latex")


class NumberChapters(SphinxPostTransform):
    """Set LaTeX's counter at the head of each page."""

    default_priority = 650  # before the page builder moves pages into parts
    formats = ("latex",)

    def run(self):
        for page in list(self.document.findall(addnodes.start_of_file)):
            name = page["docname"]
            if name in SCREEN_ONLY:
                page.parent.remove(page)
                continue
            chapter = re.search(r"/(\d\d)_\w+$", name)
            number = int(chapter[1]) if chapter else 0
            depth = 1 if chapter else -1
            page.insert(0, raw(rf"\setcounter{{secnumdepth}}{{{depth}}}" "\n"
                               rf"\setcounter{{chapter}}{{{max(number - 1, 0)}}}"))  # fmt: skip
            title = next(page.findall(nodes.title), None)
            if chapter and title is not None:
                first = next(title.findall(nodes.Text))
                first.parent.replace(first, nodes.Text(re.sub(r"^\d+\. ", "", first.astext())))
            self.label_exercises(page)
        for link in list(self.document.findall(nodes.reference)):
            if link.get("refuri", "").removeprefix("%").partition("#")[0] in SCREEN_ONLY:
                link.replace_self(link.children)

    def label_exercises(self, page):
        """Let links find an exercise from another page, by the name that they use."""
        numbers = self.env.toc_fignumbers.get(page["docname"], {}).get("exercise", {})
        for node in list(page.findall(lambda node: node.tagname.startswith("exercise"))):
            place = next((numbers[one] for one in node["ids"] if one in numbers), None)
            if place and "label" in node:
                number = ".".join(map(str, place))
                label = rf"\detokenize{{{page['docname']}:{node['label']}}}"
                node.parent.insert(
                    node.parent.index(node),
                    raw(rf"\makeatletter\def\@currentlabel{{{number}}}\makeatother"
                        rf"\phantomsection\label{{{label}}}"),
                )  # fmt: skip


def setup(app):
    """Register with Sphinx."""
    app.add_post_transform(NumberChapters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
