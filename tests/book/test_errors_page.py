"""The page of errors and cures: each example gives its message, each cure runs in silence."""

import re
import warnings

import pytest
import torch
from contents import ROOT

PAGE = (ROOT / "book" / "errors.md").read_text(encoding="utf-8")
ENTRIES = re.split(r"^### ", PAGE, flags=re.MULTILINE)
BLOCK = re.compile(r"^```(python|text)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
START = BLOCK.findall(ENTRIES[0])[0][1]


def said(code, names):
    """Return the error or warning of some code as Python prints it, '' if there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(code, names)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def squeezed(text):
    return " ".join(text.split())


@pytest.mark.parametrize("entry", ENTRIES[1:], ids=lambda entry: entry.partition("\n")[0])
def test_example_gives_the_message_and_the_cure_helps(entry, monkeypatch):
    # zuko, once imported anywhere, switches the checks of torch's distributions off.
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", True)
    blocks = BLOCK.findall(entry)
    assert [kind for kind, _ in blocks] == ["python", "text", "python"]
    names = {}
    exec(START, names)
    shown, found = squeezed(blocks[1][1]), squeezed(said(blocks[0][1], names))
    if shown.endswith(" ..."):  # a long message, shortened
        assert found.startswith(shown.removesuffix(" ..."))
    else:
        assert found == shown
    assert said(blocks[2][1], names) == ""


def test_page_has_errors_of_each_kind():
    kinds = set(re.findall(r"^```text\n(\w+): ", PAGE, re.MULTILINE))
    assert len(ENTRIES) > 25
    assert {"ValueError", "CollapsedComponentWarning", "RuntimeError", "Diverged"} <= kinds
