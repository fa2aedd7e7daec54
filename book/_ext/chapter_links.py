"""Links to chapters that hold before the chapter is written.

    {chapter}`5`                       chapter 5
    {chapter}`5#how-many-components`   chapter 5, linked to that section
    {section}`5#how-many-components`   How many components? (chapter 5)

A chapter that is not there yet is named without a link; a section that is not there is a warning.
"""

from docutils import nodes
from inventory import chapters, sections
from sphinx.addnodes import pending_xref
from sphinx.util.nodes import make_refnode


def link(role, rawtext, text, lineno, inliner, options=None, content=()):
    """Return the words of a link, to be resolved by `resolve`."""
    number, _, anchor = text.partition("#")
    path = chapters().get(int(number))
    shown = f"chapter {int(number)}"
    if role == "section" and path:
        shown = f"{sections(path).get(anchor, anchor)} ({shown})"
    words = nodes.inline(rawtext, shown)
    if path is None:
        return [words], []
    place = pending_xref("", words, refdomain="", reftype="chapter", reftarget=text)
    place["refdoc"] = inliner.document.settings.env.docname
    inliner.document.settings.env.note_dependency(str(path))
    return [place], []


def resolve(app, env, node, words):
    """Return the link of a chapter that exists, to a section that exists."""
    if node["reftype"] != "chapter":
        return None
    number, _, anchor = node["reftarget"].partition("#")
    path = chapters()[int(number)]
    if anchor and anchor not in sections(path):
        return None  # Sphinx warns
    return make_refnode(app.builder, node["refdoc"], f"book/{path.stem}", anchor, words)


def setup(app):
    """Register with Sphinx."""
    app.add_role("chapter", link)
    app.add_role("section", link)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
