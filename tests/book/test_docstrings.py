"""The package's docstrings and the book point at each other, and name every argument."""

import ast
import re
from pathlib import Path

import pytest
from pybtex.database import parse_file

import gmmlearn

ROOT = Path(__file__).parents[2]


def documented():
    """Yield (place, node) of each module, class, function and method of the package."""
    for path in sorted((ROOT / "gmmlearn").rglob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        place = path.relative_to(ROOT)
        yield f"{place}", module
        for node in module.body:
            inner = node.body if isinstance(node, ast.ClassDef) else []
            for one in [node, *inner]:
                if isinstance(one, ast.ClassDef | ast.FunctionDef):
                    yield f"{place}:{one.name}", one


DOCUMENTED = dict(documented())
TEXTS = {place: text for place, node in DOCUMENTED.items() if (text := ast.get_docstring(node))}


def book_labels():
    pages = [p.read_text(encoding="utf-8") for p in (ROOT / "book").glob("[0-9]*.ipynb")]
    return {label for page in pages for label in re.findall(r"\$\$ \(([\w-]+)\)", page)}


def test_equations_cited_by_docstrings_are_in_the_book():
    cited = {
        (label, at)
        for at, text in TEXTS.items()
        for label in re.findall(r"eq\. (\S+?)[).,\s]", text)
    }
    assert len(cited) > 10
    missing = sorted((label, at) for label, at in cited if label not in book_labels())
    assert not missing, f"no chapter labels these equations: {missing}"


def test_sources_cited_by_docstrings_are_in_the_bibliography():
    known = set(parse_file(str(ROOT / "book/references.bib")).entries)
    cited = {key for text in TEXTS.values() for key in re.findall(r"\b[a-z]+\d{4}[a-z]+\b", text)}
    assert len(cited) > 4
    assert cited <= known, f"not in references.bib: {sorted(cited - known)}"


def functions():
    """Yield the place of each function; the checkers of exercises are called through `check`."""
    for place, node in DOCUMENTED.items():
        name = getattr(node, "name", "")
        hidden = name.startswith("__") or "/chapter_" in place
        if isinstance(node, ast.FunctionDef) and not hidden:
            yield place


def is_for_readers(place):
    """Functions of the modules that the package offers; those of the others serve within."""
    path, name = place.split(":")
    parts = Path(path).with_suffix("").parts[1:]
    offered = not set(parts).isdisjoint(gmmlearn.__all__)
    private = name.startswith("_") or any(p.startswith("_") and p != "__init__" for p in parts)
    return offered and not private


@pytest.mark.parametrize("place", list(functions()))
def test_function_is_documented(place):
    node, text = DOCUMENTED[place], TEXTS.get(place, "")
    assert text, f"{place}: add a docstring"
    if not is_for_readers(place):
        return
    named = node.args.args + node.args.kwonlyargs
    arguments = [a.arg for a in named if a.arg not in {"self", "cls"}]
    missing = [name for name in arguments if not re.search(rf"\b{name}\b", text)]
    assert not missing, f"{place}: the docstring does not speak of {missing}"
    returns = any(isinstance(n, ast.Return) and n.value is not None for n in ast.walk(node))
    one_line = "\n" not in text
    assert not returns or one_line or "Returns" in text, f"{place}: say what it returns"
