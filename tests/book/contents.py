"""What the book consists of: its pages, and the folder that they are built in."""

import os
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"


def pages():
    """Return the names of all pages in _toc.yml, in the order of the book."""

    def below(entry):
        inner = [*entry.get("parts", []), *entry.get("chapters", []), *entry.get("sections", [])]
        name = entry.get("root") or entry.get("file")
        return [name] * bool(name) + [page for one in inner for page in below(one)]

    return below(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))


def missing(what):
    """No book or no browser: a failure in CI, elsewhere a skip that says what to do."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)
