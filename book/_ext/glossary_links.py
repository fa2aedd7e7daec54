"""Link each term of the glossary where a chapter first uses it, with its definition as a tip.

Never in code, formulas, headings, captions or links. A plural ending is allowed. A term with
brackets, "Precision (of a matrix)", has other meanings too and is linked by hand only.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

GLOSSARY = "book/glossary"
CLOSED = (nodes.title, nodes.caption, nodes.literal, nodes.literal_block, nodes.doctest_block,
          nodes.math, nodes.math_block, nodes.reference, nodes.raw, nodes.rubric, nodes.term,
          addnodes.pending_xref)  # fmt: skip


def read_terms(env):
    """Return {term: (anchor, definition)} of the glossary."""
    if GLOSSARY not in env.found_docs:
        return {}
    found = {}
    for item in env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        terms = [part for part in item.children if isinstance(part, nodes.term)]
        definition = item.children[-1].astext().partition(" See chapter")[0].replace("\n", " ")
        for term in terms:
            found[term.astext()] = (terms[0]["ids"][0], definition)
    return found


def pattern_of(term):
    """Return a regular expression of a term as it may stand in a text."""
    words = r"\s+".join(map(re.escape, term.split()))
    plural = "(?:s|es)?" if not term.endswith("s") else ""
    # Names such as EM stand as they are; other terms may begin a sentence, or stand within one.
    first = term[0] if term[:2].isupper() else f"[{term[0].upper()}{term[0].lower()}]"
    return f"{first}{words[1:]}{plural}"


def compile_terms(terms):
    """Return one expression for all terms, the longest first, and who is who in it."""
    names = sorted((t for t in terms if "(" not in t), key=len, reverse=True)
    parts = [f"(?P<t{i}>{pattern_of(name)})" for i, name in enumerate(names)]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(parts)})(?![\w-])"), names


def is_chapter(page):
    return re.search(r"/\d\d_\w+$", page) is not None


class LinkTerms(SphinxPostTransform):
    """Link the first use of each term on a chapter's page."""

    default_priority = 500

    def run(self):
        terms = self.env.glossary
        if not terms or not is_chapter(self.env.docname):
            return
        expression, names = compile_terms(terms)
        met = set()
        for text in list(self.document.findall(nodes.Text)):
            if not closed(text):
                parts = self.split(text, expression, names, met)
                if len(parts) > 1:
                    text.parent.replace(text, parts)

    def split(self, text, expression, names, met):
        """Return a text in parts, the first uses of terms as links."""
        parts, end, shown = [], 0, text.astext()
        for match in expression.finditer(shown):
            anchor, definition = self.env.glossary[names[int(match.lastgroup[1:])]]
            if anchor in met:
                continue
            met.add(anchor)
            link = make_refnode(self.app.builder, self.env.docname, GLOSSARY, anchor,
                                nodes.Text(match[0]), definition)  # fmt: skip
            link["classes"].append("term")
            parts += [nodes.Text(shown[end : match.start()]), link]
            end = match.end()
        return [*parts, nodes.Text(shown[end:])]


def closed(text):
    """Return whether a text is where no link may be, or outside the paragraphs of the page."""
    above = text.parent
    inside = False
    while above is not None:
        if isinstance(above, CLOSED):
            return True
        inside |= isinstance(above, nodes.paragraph)
        above = above.parent
    return not inside


def note_terms(app, env):
    """Read the glossary; if it changed, every chapter is written anew."""
    before, env.glossary = getattr(env, "glossary", None), read_terms(env)
    return [] if before == env.glossary else sorted(filter(is_chapter, env.found_docs))


def setup(app):
    """Register with Sphinx."""
    app.connect("env-updated", note_terms)
    app.add_post_transform(LinkTerms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
