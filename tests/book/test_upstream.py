"""The list of upstream faults: every entry is in use, and every use is in the list."""

import re

import pytest
from contents import ROOT
from upstream import FAULTS

PLACES = (
    "_config.yml",
    "book/_ext/*.py",
    "book/_static/*.*",
    "book/_latex/*.sty",
    "tests/book/*.py",
)


def marks():
    """Return the names that stand in comments, after "upstream:"."""
    texts = [
        path.read_text(encoding="utf-8")
        for place in PLACES
        for path in ROOT.glob(place)
        if path.suffix in (".py", ".css", ".js", ".yml", ".sty") and path.stem != "test_upstream"
    ]
    return set(re.findall(r"(?:#|%|/\*) upstream: ([a-z ]*[a-z])", "\n".join(texts)))


def test_marks_and_list_agree():
    assert marks() == set(FAULTS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_threads_and_what_came_of_them(name):
    fault = FAULTS[name]
    assert fault.of and fault.reports and fault.state and fault.what.endswith(".")
    for thread in fault.reports:
        assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+", thread)
