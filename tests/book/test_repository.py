"""What the book's own files promise each other: pages, citations, size, no private paths."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from contents import ROOT, pages
from pybtex.database import parse_file

IDENTIFIERS = {"doi", "url", "isbn", "eprint"}
TEXT = {".bib", ".cfg", ".cff", ".css", ".ipynb", ".js", ".json", ".md", ".py", ".toml", ".txt",
        ".yml"}  # fmt: skip


@cache
def files():
    """What is or would be committed; everything outside hidden and built folders without git."""
    try:
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        found = [ROOT / name for name in run.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        skip = {".venv", "_build", ".git", "__pycache__", "gmmlearn.egg-info"}
        found = [p for p in ROOT.rglob("*") if not skip & set(p.relative_to(ROOT).parts)]
    return [p for p in found if p.is_file()]


def source(page):
    found = [ROOT / f"{page}{end}" for end in (".md", ".ipynb")]
    return next((path for path in found if path.exists()), None)


@pytest.mark.parametrize("page", pages())
def test_page_of_the_contents_exists(page):
    assert source(page), f"_toc.yml names {page}, which is neither a .md nor a .ipynb file"


def test_every_chapter_is_in_the_contents():
    chapters = {f"book/{p.stem}" for p in ROOT.glob("book/[0-9][0-9]_*.ipynb")}
    assert chapters <= set(pages()), f"add to _toc.yml: {sorted(chapters - set(pages()))}"


@cache
def bibliography():
    return parse_file(str(ROOT / "book/references.bib")).entries


@pytest.mark.parametrize("key", sorted(bibliography()))
def test_reference_is_complete(key):
    entry = bibliography()[key]
    missing = {"title", "year"} - set(entry.fields)
    missing |= set() if entry.persons else {"author"}
    missing |= set() if IDENTIFIERS & set(entry.fields) else {" or ".join(sorted(IDENTIFIERS))}
    assert not missing, f"references.bib, {key}: add {', '.join(sorted(missing))}"


def test_citations_are_in_the_bibliography():
    cited = {
        (path.name, key.strip())
        for path in files()
        if path.parent == ROOT / "book" and path.suffix in {".md", ".ipynb"}
        for keys in re.findall(r"\{cite[:\w]*\}`([^`<]+)`", path.read_text(encoding="utf-8"))
        for key in keys.split(",")
    }
    unknown = sorted(one for one in cited if one[1] not in bibliography())
    assert not unknown, f"not in references.bib: {unknown}"


@pytest.mark.parametrize("name", ["_config.yml", "CONTRIBUTING.md"])
def test_file_stays_short(name):
    lines = len((ROOT / name).read_text(encoding="utf-8").splitlines())
    assert lines <= 60, f"{name} has {lines} lines; at most 60"


def test_no_path_of_somebody_s_machine():
    here = Path(__file__)
    private = re.compile(r"(?<![\w.])/(?:home|root|Users|work)/\w+|\b[A-Z]:\\\\?Users\b")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in files()
        if (path.suffix in TEXT or path.name in {"Makefile", "run"}) and path != here
        for match in private.finditer(path.read_text(encoding="utf-8"))
    ]
    assert not found, f"paths of one machine: {found[:5]}"


def test_requirements_name_no_package_index():
    for path in ROOT.glob("*requirements*.txt"):
        found = re.findall(r"index-url|find-links|trusted-host|://", path.read_text())
        assert not found, f"{path.name} names an index; the reader's own is used"
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line), (
            f"constraints.txt: exact pins only: {line}"
        )
