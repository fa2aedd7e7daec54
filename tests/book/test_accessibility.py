"""axe-core on every built page, light and dark, on a desk and on a phone.

In CI each page is read in all four windows; elsewhere in two, taken in turn, so that each page is
read in both modes and on both devices.

What axe calls serious or critical fails. Below that it reports of the upstream theme: a search
box outside any landmark (rule "region", moderate).
"""

import os
from pathlib import Path

import axe_playwright_python
import contents
import pytest
from contents import HTML

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
# Formulas are thousands of elements that MathJax writes; test_pages.py holds that each carries
# its MathML.
RUN = "axe.run({exclude: [['mjx-container']]}, {resultTypes: ['violations']})"
READY = "document.documentElement.dataset.scroll === 'ready'"


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


@pytest.mark.parametrize(("window", "page"), visits(), indirect=["window"])
def test_axe_finds_nothing_serious(window, page):
    window.goto((HTML / page).as_uri())
    window.wait_for_function(READY, timeout=20_000)
    window.evaluate(AXE.read_text(encoding="utf-8"))
    found = window.evaluate(RUN)["violations"]
    serious = [
        f"{fault['id']}: {fault['help']}: {fault['nodes'][0]['html'][:200]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
    assert not serious
