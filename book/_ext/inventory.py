"""What the package offers and which chapters use it, read from the source without importing it.

Everything is read once: a build is one process.
"""

import ast
import base64
import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from docutils.nodes import make_id

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "gmmlearn"
Definition = ast.ClassDef | ast.FunctionDef


class Entry(NamedTuple):
    """A public class, function or method."""

    name: str
    """In full, such as gmmlearn.em.m_step."""
    module: str
    kind: str
    """class, function or method."""
    doc: str

    @property
    def short(self):
        """The name within the module, with brackets where it is called."""
        return self.name.removeprefix(f"{self.module}.") + "()" * (self.kind != "class")

    @property
    def summary(self):
        """The first sentence of the docstring."""
        return self.doc.partition("\n\n")[0].replace("\n", " ")


def _sources():
    """Yield (dotted name, path) of each module a reader may meet; a learner's answers go through
    `check`, not through the checkers of exercises."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(p.startswith(("_", "chapter_")) for p in parts) and len(parts) > 1:
            yield ".".join(parts), path


@cache
def _tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def modules():
    """Return {dotted name: path} of the modules."""
    return dict(_sources())


@cache
def entries(module):
    """Return the public classes, functions and methods of a module, in the order of its source."""
    found = []
    for node in _tree(modules()[module]).body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        is_class = isinstance(node, ast.ClassDef)
        doc = ast.get_docstring(node) or ""
        name = f"{module}.{node.name}"
        found.append(Entry(name, module, "class" if is_class else "function", doc))
        for one in node.body if is_class else []:
            if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
                doc = ast.get_docstring(one) or ""
                found += [Entry(f"{name}.{one.name}", module, "method", doc)] if doc else []
    return found


def _attributes():
    """Return the attributes {module: their names}, where the lazy package offers them."""
    init = PACKAGE / "__init__.py"
    for node in _tree(init).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "_MODULE_OF":
            return ast.literal_eval(node.value)
    return {}


@cache
def public_names():
    """Return {the name as somebody may write it: the full name}, of everything public."""
    names = {one.name: one.name for module in modules() for one in entries(module)}
    names |= {f"gmmlearn.{name}": f"gmmlearn.{m}.{name}" for name, m in _attributes().items()}
    # A folder such as gmmlearn.metrics offers what its modules define.
    for folder, path in modules().items():
        if path.name == "__init__.py":
            for node in _tree(path).body:
                if isinstance(node, ast.ImportFrom) and node.module in modules():
                    names |= {
                        f"{folder}.{a.name}": full
                        for a in node.names
                        if (full := f"{node.module}.{a.name}") in names
                    }
    return names


def chapters():
    """Return {number: path} of the notebooks."""
    found = sorted(ROOT.glob("book/[0-9][0-9]_*.ipynb"))
    return {int(path.stem[:2]): path for path in found}


@cache
def cells(path):
    """Return the cells of a notebook."""
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def title(path):
    """Return the title of a chapter, its number in front."""
    return "".join(cells(path)[0]["source"]).partition("\n")[0].removeprefix("# ")


@cache
def sections(path):
    """Return {anchor: heading} of a chapter's sections."""
    text = "\n".join(
        "".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "markdown"
    )
    return {make_id(name): name for name in re.findall(r"^##+ (.+)$", text, re.MULTILINE)}


def _dotted(node):
    """Return a.b.c for the attribute c of b of a, or None."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join([node.id, *names[::-1]]) if isinstance(node, ast.Name) else None


@cache
def used(path):
    """Return the full names of the classes and functions that a chapter's code names."""
    code = "\n".join(
        re.sub(r"^\s*[%!].*$", "", "".join(cell["source"]), flags=re.M)
        for cell in cells(path)
        if cell["cell_type"] == "code"
    )
    tree, known = ast.parse(code), public_names()
    local = {"gmmlearn": "gmmlearn"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gmmlearn"):
            local |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            local |= {a.asname: a.name for a in node.names if a.asname}
    found = set()
    for node in ast.walk(tree):
        first, _, rest = (_dotted(node) or "").partition(".")
        if first in local:
            found.add(known.get(local[first] + "." * bool(rest) + rest))
    return found - {None}


class Figure(NamedTuple):
    """A figure of a chapter."""

    name: str
    caption: str
    alt: str
    png: bytes


@cache
def figures(path):
    """Return the figures of a chapter, those of the exercises' solutions left out."""
    found, solution = [], False
    for cell in cells(path):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            solution = "{solution-start}" in source or (solution and "{solution-end}" not in source)
            continue
        shown = cell["metadata"].get("mystnb", {})
        if solution or "figure" not in shown:
            continue
        for output in cell["outputs"]:
            if "image/png" in output.get("data", {}):
                png = base64.b64decode("".join(output["data"]["image/png"]))
                name, caption = shown["figure"]["name"], shown["figure"]["caption"]
                found.append(Figure(name, caption, shown["image"]["alt"], png))
    return found
