"""The package's reference, made from its docstrings; functions and chapters point at each other.

A page of the reference says which modules it shows:

    ```{modules} gmmlearn.em gmmlearn.deep.*
    ```

A star stands for every module that no other page names, so that a new module appears by itself.
In a docstring `eq. em-m-step-means` becomes a link to that equation, `chapter 3` to the chapter, a
source's key to the bibliography, and a public name in backticks to its own entry. Each entry says
where in the book it is explained and used; each equation of a chapter says which functions cite it.
"""

import re
from fnmatch import fnmatch
from pathlib import Path

from docutils import nodes
from inventory import chapters, entries, modules, public_names, used
from pybtex.database import parse_file
from sphinx.ext.autodoc import ClassDocumenter, bool_option
from sphinx.ext.napoleon import Config, NumpyDocstring
from sphinx.roles import XRefRole
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

FENCE = re.compile(r"^```\{modules\} +(.+)\n```$", re.MULTILINE)
EQUATION = re.compile(r"\beq\. ([a-z][\w-]*\w)")
EVERYTHING_ELSE = "gmmlearn.*"
REFERENCE = "book/reference"
INSIDE = f"{REFERENCE}/inside"
# What a docstring's text may hold that reStructuredText reads otherwise, or that becomes a link.
MARKS = re.compile(
    r"(?P<literal>``[^`]+``)"
    r"|(?<![:\w])`(?P<name>[^`\n]+)`"
    rf"|(?P<equation>{EQUATION.pattern})"
    r"|\b(?P<chapters>chapters? \d+(?:(?:, | and | to )\d+)*)"
    r"|\b(?P<source>[a-z]+\d{4}[a-z]+)\b"
    r"|(?P<special>\||(?<=\w)_(?!\w))"
)

STYLE = Config(
    napoleon_use_param=False,
    napoleon_use_rtype=False,
    napoleon_custom_sections=["Data card", ("Attributes", "params_style")],
)


# --- pages ------------------------------------------------------------------------------------


def shown_by(pattern, named):
    """Return the modules with public entries that a pattern of a page stands for."""
    if "*" not in pattern:
        return [pattern]
    return [m for m in modules() if m not in named and entries(m) and fnmatch(m, pattern)]


def fill(app, page, source):
    """Write the modules that a page asks for into its text."""
    if not FENCE.search(source[0]):
        return
    named = set()
    folder = Path(app.srcdir, page).parent
    # Longer patterns first: gmmlearn.deep.* takes its modules before gmmlearn.* does.
    fences = {path: FENCE.findall(path.read_text(encoding="utf-8")) for path in folder.glob("*.md")}
    patterns = {p: path for path, found in fences.items() for f in found for p in f.split()}
    shown = {}
    for pattern in sorted(patterns, key=lambda p: ("*" in p, -len(p))):
        shown[pattern] = shown_by(pattern, named)
        named |= set(shown[pattern])
    source[0] = FENCE.sub(
        lambda fence: "\n".join(
            section(app.env, module, brief=pattern == EVERYTHING_ELSE)
            for pattern in fence[1].split()
            for module in shown[pattern]
        ),
        source[0],
    )
    for path in [*modules().values(), *chapters().values(), *fences, __file__]:
        app.env.note_dependency(str(path))


def section(env, module, brief):
    """Return the Markdown of a module: its docstring, unless brief a table, and each entry."""
    rows, details = [], []
    for one in entries(module):
        if one.kind == "method":
            continue
        rows += [
            f"   * - :py:obj:`{one.short} <{one.name}>`",
            f"     - {linked(one.summary, one.name, env.bibliography_keys)}",
        ]
        details += ["", f".. auto{one.kind}:: {one.name}"]
        if one.kind == "class":
            details += ["   :members:"]
            details += [] if brief else ["   :inherited-members: BaseEstimator, tuple, Module"]
    table = [".. list-table::", "   :class: entries", "   :widths: 30 70", "", *rows]
    lines = [f".. automodule:: {module}", "", *([] if brief else table), "", *details]
    name = module.removeprefix("gmmlearn.")
    return "\n".join([f"## {name}", "", "```{eval-rst}", *lines, "```", ""])


# --- docstrings -------------------------------------------------------------------------------


def sources(app):
    """Return the keys of the bibliography."""
    files = [Path(app.srcdir, name) for name in app.config.bibtex_bibfiles]
    return {key for file in files for key in parse_file(str(file)).entries}


def linked(text, owner, keys):
    """Return a docstring's text with links: equations, chapters, sources, names of the package."""

    def link(match):
        kind, found = match.lastgroup, match[0]
        if kind == "name":
            return name_link(match["name"], owner)
        if kind == "equation":
            return f":equation:`{found.removeprefix('eq. ')}`"
        if kind == "chapters":
            return chapter_links(found)
        if kind == "source":
            return f":cite:t:`{found}`" if found in keys else found
        return "\\" * (kind == "special") + found

    return MARKS.sub(link, text)


def chapter_links(text):
    """Return 'chapters 5, 6' with a link for each chapter that is written."""

    def link(match):
        path = chapters().get(int(match[2]))
        return f":doc:`{match[0]} </book/{path.stem}>`" if path else match[0]

    return re.sub(r"(chapter )?\b(\d+)", link, text)


def name_link(text, owner):
    """Return a public name as a link to its entry, anything else as code."""
    name, known = text.removesuffix("()"), public_names()
    scope = owner.split(".")
    for n in range(len(scope), 0, -1):
        full = known.get(".".join([*scope[:n], name]))
        if full and full != owner:
            return f":py:obj:`{text} <{full}>`"
    return f"``{text}``"


def link_docstring(app, what, name, obj, options, lines):
    """Put links into a docstring, note what it cites, and make its sections reStructuredText."""
    text = "\n".join(lines)
    for label in dict.fromkeys(EQUATION.findall(text)):
        app.env.cited_equations.setdefault(label, {})[name] = app.env.docname
    # Examples are code: what follows a prompt stays as it is.
    parts = re.split(r"(^ *>>> .*?(?:\n\s*\n|\Z))", text, flags=re.MULTILINE | re.DOTALL)
    parts[::2] = [linked(part, name, app.env.bibliography_keys) for part in parts[::2]]
    # A property's docstring is a sentence like any other, not "type: description".
    what = "object" if what in ("attribute", "data", "property") else what
    lines[:] = NumpyDocstring("".join(parts), STYLE, app, what, name, obj, options).lines()
    name_chapters(app.env, what, name, lines)


def name_chapters(env, what, name, lines):
    """End an entry with where it is explained and used."""
    labels = [label for label, names in env.cited_equations.items() if name in names]
    places = [f":equation:`{label}`" for label in labels]
    numbers = [n for n, path in chapters().items() if name in used(path)]
    if numbers:
        word = "used in chapter" + "s" * (len(numbers) > 1)
        places.append(f"{word} " + ", ".join(chapter_links(str(n)) for n in numbers))
    if places and what != "module":
        lines += ["", ":In the book: " + "; ".join(places), ""]


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out what scikit-learn and others put into our classes."""
    made = getattr(obj, "fget", None) or getattr(obj, "func", None) or obj  # of a property
    home = getattr(made, "__module__", None)
    foreign = bool(home) and not home.startswith("gmmlearn")
    alias = (getattr(obj, "__doc__", None) or "").startswith("Alias for field number")
    return True if foreign or alias else None


# --- equations --------------------------------------------------------------------------------


class NameEquations(SphinxPostTransform):
    """Write a link to an equation as 'eq. 3.4', with the chapter's title as its tip."""

    default_priority = 50  # after references are resolved

    def run(self):
        for place in self.document.findall(nodes.inline):
            if "equation-link" not in place["classes"]:
                continue
            for link in place.findall(nodes.reference):
                number = link.astext().strip("()")
                link.children = []
                link += nodes.Text(f"eq. {number}")
                page = self.env.domains["math"].equations[place["label"]][0]
                link["reftitle"] = self.env.titles[page].astext()


class NameFunctions(SphinxPostTransform):
    """Say below an equation which functions of the package cite it."""

    default_priority = 50
    formats = ("html",)

    def run(self):
        cited = self.env.cited_equations
        for block in list(self.document.findall(nodes.math_block)):
            names = cited.get(block.get("label"), {})
            if names:
                block.parent.insert(block.parent.index(block) + 1, self.line(names))

    def line(self, names):
        """Return the line of links, the tool's own insides only where nothing else cites."""
        order = self.env.toctree_includes[f"{REFERENCE}/index"]
        named = sorted(names.items(), key=lambda one: order.index(one[1]))
        named = [one for one in named if one[1] != INSIDE] or named
        line = nodes.paragraph("", "In code: ", classes=["in-code"])
        for i, (name, page) in enumerate(named):
            module = name if name in modules() else ""
            home = module.rpartition(".")[0] or max(filter(name.startswith, modules()), key=len)
            short = name.removeprefix(f"{home}.")
            code = nodes.literal(short, short)
            anchor = f"module-{name}" if module else name
            line += nodes.Text(", " * (i > 0))
            line += make_refnode(self.app.builder, self.env.docname, page, anchor, code)
        return line


class EquationRole(XRefRole):
    """A link to an equation, to be written by `NameEquations`."""

    def result_nodes(self, document, env, node, is_ref):
        node["refdomain"], node["reftype"] = "math", "eq"
        place = nodes.inline("", "", node, classes=["equation-link"], label=node["reftarget"])
        return [place], []


def begin(app, env, pages):
    """Prepare what docstrings cite."""
    if not hasattr(env, "cited_equations"):
        env.cited_equations = {}
    env.bibliography_keys = sources(app)


def forget(app, env, page):
    """Drop what a page cited; it is about to be read again."""
    for names in getattr(env, "cited_equations", {}).values():
        for name in [name for name, where in names.items() if where == page]:
            del names[name]


def rewrite(app, env):
    """Name the pages whose equations gained or lost a function."""
    now = {label: dict(names) for label, names in env.cited_equations.items() if names}
    before = getattr(env, "shown_equations", {})
    env.shown_equations = now
    equations = env.domains["math"].equations
    changed = {label for label in {*now, *before} if now.get(label) != before.get(label)}
    return sorted({equations[label][0] for label in changed if label in equations})


def configure(app, config):
    """Read docstrings as numpydoc writes them; show them in the order of the source."""
    config.autodoc_member_order = "bysource"
    config.autodoc_preserve_defaults = True
    # An attribute's value may be a path on this disk. A class's attributes have the options that
    # the class has.
    ClassDocumenter.option_spec["no-value"] = bool_option
    config.autodoc_default_options = {"no-value": True}
    config.autodoc_typehints = "none"
    config.add_module_names = False
    # Every page would carry some hundreds of entries; each module begins with a table instead.
    config.toc_object_entries = False
    # Types are words such as "array (N, D)"; where one is a class of ours, it becomes a link.
    config.nitpick_ignore_regex = [("py:class", ".*")]


def setup(app):
    """Register with Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("config-inited", configure)
    app.connect("env-before-read-docs", begin)
    app.connect("env-purge-doc", forget)
    app.connect("env-updated", rewrite)
    app.connect("source-read", fill)
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("autodoc-process-docstring", link_docstring)
    app.add_role("equation", EquationRole(warn_dangling=True))
    app.add_post_transform(NameEquations)
    app.add_post_transform(NameFunctions)
    return {"version": "1"}
