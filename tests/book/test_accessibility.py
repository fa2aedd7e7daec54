"""axe-core on every built page, on a desk in light and on a phone in dark.

What axe calls serious or critical fails. Below that it reports of the upstream theme: a search
box outside any landmark (rule "region", moderate).
"""

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


@pytest.fixture(scope="module", params=["light desk", "dark phone"])
def window(request, browser):
    mode, device = request.param.split()
    size = {"width": 1280, "height": 900} if device == "desk" else {"width": 390, "height": 844}
    context = browser.new_context(viewport=size)
    context.add_init_script(f"localStorage.mode = localStorage.theme = '{mode}'")
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("page", pages())
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
