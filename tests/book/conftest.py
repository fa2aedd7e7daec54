"""A headless Chromium for the tests that open the built pages."""

import os
import shutil

import pytest
from contents import HTML, missing

SCREENSHOTS = HTML.parent / "screenshots"
BROWSERS = [
    os.environ.get("GMMLEARN_CHROMIUM", ""),
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
]
# Nothing but the page: no updates, no telemetry, no sign-in.
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    if not (HTML / "index.html").exists():
        missing("the book is not built: run `make book`")
    program = next(filter(None, map(shutil.which, filter(None, BROWSERS))), None)
    if not program:
        missing("no Chromium found: install one, or set GMMLEARN_CHROMIUM to its path")
    from playwright.sync_api import sync_playwright

    SCREENSHOTS.mkdir(exist_ok=True)
    # Chromium refuses its sandbox to root, which is whom CI containers run as.
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS + root)
        yield browser
        browser.close()
