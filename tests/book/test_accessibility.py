"""axe-core on every built page, light and dark, on a desk and on a phone.

In CI each page is read in all four windows; elsewhere in two, taken in turn, so that each page is
read in both modes and on both devices.

Whatever axe reports fails, minor faults too, but for what is `EXCUSED`. Both that and what this
book mends in its theme must still be faults of it: book/_ext/upstream.py lists them.
"""

import os
from pathlib import Path

import axe_playwright_python
import contents
import pytest
from contents import HTML
from upstream import FAULTS

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
# Formulas are thousands of elements that MathJax writes; test_pages.py holds that each carries
# its MathML.
RUN = "axe.run({exclude: [['mjx-container']]}, {resultTypes: ['violations']})"
READY = "document.documentElement.dataset.scroll === 'ready'"
EXCUSED = {"region"}  # upstream: landmark
# By rule: a page, and what takes the mend from it.
MENDED = {
    "summary-name": (
        "book/02_mixtures.html",
        "document.querySelectorAll('summary').forEach((e) => e.removeAttribute('aria-label'))",
    ),
    "aria-required-children": (
        "book/bibliography.html",
        "document.querySelectorAll('[role=listitem]')"
        ".forEach((e) => e.setAttribute('role', 'doc-biblioentry'))",
    ),
    "color-contrast": (
        "book/index.html",
        "document.querySelector('link[href*=custom]').remove()",
    ),
    "region": ("book/index.html", "0"),
}


def pages():
    return [f"{name}.html" for name in [*contents.pages(), "search"]]


def visits():
    """Return (window, page) of each reading, in the order of windows, which are opened once."""
    windows = ["light desk", "dark phone", "dark desk", "light phone"]
    turns = [windows, windows] if os.environ.get("CI") else [windows[:2], windows[2:]]
    return [
        pytest.param(window, page, id=f"{window}-{page}")
        for window in windows
        for i, page in enumerate(pages())
        if window in turns[i % 2]
    ]


@pytest.fixture(scope="module")
def window(request, browser):
    mode, device = request.param.split()
    size = {"width": 1280, "height": 900} if device == "desk" else {"width": 390, "height": 844}
    context = browser.new_context(viewport=size)
    context.add_init_script(f"localStorage.mode = localStorage.theme = '{mode}'")
    yield context.new_page()
    context.close()


def violations(window, page, spoil=""):
    """Return what axe finds on a page, after a script has run there."""
    window.goto((HTML / page).as_uri())
    window.wait_for_function(READY, timeout=20_000)
    window.evaluate(AXE.read_text(encoding="utf-8"))
    window.evaluate(spoil or "0")
    return window.evaluate(RUN)["violations"]


@pytest.mark.parametrize(("window", "page"), visits(), indirect=["window"])
def test_axe_finds_nothing(window, page):
    found = [
        f"{fault['id']}: {fault['help']}: {fault['nodes'][0]['html'][:200]}"
        for fault in violations(window, page)
        if fault["id"] not in EXCUSED
    ]
    assert not found


def test_upstream_faults_are_those_that_axe_knows():
    assert {fault.rule for fault in FAULTS.values() if fault.rule} == MENDED.keys()
    assert EXCUSED <= MENDED.keys()


@pytest.mark.parametrize("rule", MENDED)
@pytest.mark.parametrize("window", ["light desk"], indirect=True)
def test_what_is_mended_or_excused_is_still_a_fault_upstream(window, rule):
    assert rule in {fault["id"] for fault in violations(window, *MENDED[rule])}, (
        f"axe no longer finds {rule}: delete the entry here and in book/_ext/upstream.py, "
        "and what stands at its mark"
    )
