"""The built book, opened from the disk in a headless Chromium, as a reader would see it.

Every page is opened in light and in dark, on a desk and on a phone. One visit collects all
facts; each test then judges one of them. Screenshots stay in _build/screenshots.
"""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import contents
import pytest
from contents import HTML, ROOT

SCREENSHOTS = ROOT / "_build" / "screenshots"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SEARCH = "search.html?q=mixture"

# Facts about a page that need a browser, gathered in one call.
FACTS = r"""() => {
  const shown = (e) => e.getClientRects().length > 0;
  const name = (e) => `<${e.tagName.toLowerCase()} class="${e.getAttribute("class") || ""}">`;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const raw = [];
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (text.parentElement.closest("code, pre, script, style, noscript, mjx-container")) continue;
    if (/\$|\\\(|\\\[|\\begin\{|\\[a-zA-Z]+\{/.test(text.data)) raw.push(text.data.trim());
  }
  if (/[$\\]/.test(document.title)) raw.push(`<title>${document.title}</title>`);
  for (const math of document.querySelectorAll(".math"))
    if (!math.querySelector("mjx-container")) raw.push(math.textContent.trim());
  for (const error of document.querySelectorAll("mjx-merror"))
    raw.push(`MathJax: ${error.getAttribute("data-mjx-error") || error.textContent}`);
  for (const unknown of document.querySelectorAll("mjx-assistive-mml mtext"))
    if (unknown.textContent.startsWith("\\")) raw.push(`unknown: ${unknown.textContent}`);

  const reachable = (e) => e.tabIndex >= 0 && e.getAttribute("aria-label");
  const boxes = [...document.querySelectorAll(".bd-article *")].filter((e) => shown(e)
    && ["auto", "scroll"].includes(getComputedStyle(e).overflowX)
    && e.scrollWidth > e.clientWidth + 1);
  return {
    mode: document.documentElement.dataset.theme,
    raw,
    silent: [...document.querySelectorAll("mjx-container")]
      .filter((e) => !e.querySelector("mjx-assistive-mml math")).length,
    noAlt: [...document.images].filter((e) => !e.alt.trim()).map((e) => e.outerHTML.slice(0, 150)),
    broken: [...document.images].filter((e) => e.complete && !e.naturalWidth && shown(e))
      .map((e) => e.src.slice(0, 150)),
    dimmed: [...document.querySelectorAll(".bd-article img.dark-light")]
      .filter((e) => getComputedStyle(e).filter !== "none").length,
    overflow: document.scrollingElement.scrollWidth - innerWidth,
    tooWide: [...document.querySelectorAll(".bd-article *")].filter((e) => shown(e)
      && e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scrolls")).map(name),
    boxes: boxes.length,
    unreachable: boxes.filter((e) => !reachable(e)).map(name),
    links: [...document.querySelectorAll("a[href]")].map((e) => e.href),
    results: document.querySelectorAll("#search-results li").length,
  };
}"""
# Math is set and scroll.js has run; a search has written its last line.
READY = """() => document.documentElement.dataset.scroll === "ready"
  && (!document.querySelector("#search-results") || document.querySelector("#search-results li"))"""


def pages():
    return [f"{name}.html" for name in contents.pages()] + [SEARCH, "genindex.html"]


@pytest.fixture(scope="module", params=["light", "dark"])
def reader(request, browser):
    """A browser window in one mode, and what it tried to load or complained about."""
    mode = request.param
    context = browser.new_context(viewport=DESK, color_scheme="light")
    if mode == "dark":  # chosen by the reader before; light is a first visit, nothing stored
        context.add_init_script("localStorage.mode = localStorage.theme = 'dark'")
    window = context.new_page()
    heard = {"requests": [], "complaints": []}
    window.on("request", lambda request: heard["requests"].append(request.url))
    window.on("requestfailed", lambda request: heard["complaints"].append(f"no {request.url}"))
    window.on("pageerror", lambda error: heard["complaints"].append(str(error)))
    window.on("console", lambda message: heard["complaints"].append(message.text)
              if message.type in ("error", "warning") else None)  # fmt: skip
    yield mode, window, heard
    context.close()


@pytest.fixture(scope="module", params=pages())
def visit(request, reader):
    page, (mode, window, heard) = request.param, reader
    file, _, query = page.partition("?")
    if not (HTML / file).exists():
        if file == "genindex.html":
            pytest.skip("this book has no index")
        pytest.fail(f"{file} is in _toc.yml but not in _build/html: run `make book`")
    for list_ in heard.values():
        list_.clear()
    window.set_viewport_size(DESK)
    window.goto((HTML / file).as_uri() + (f"?{query}" if query else ""))
    window.wait_for_function(READY, timeout=20_000)
    name = f"{Path(file).stem}-{mode}"
    window.screenshot(path=SCREENSHOTS / f"{name}-desk.png", full_page=True)
    facts = {"page": page, "asked": mode, "desk": window.evaluate(FACTS)}
    window.set_viewport_size(PHONE)
    # Two frames: one to lay out, one in which scroll.js marks what overflows now.
    window.evaluate("new Promise((done) => setTimeout(() => requestAnimationFrame(done), 100))")
    window.screenshot(path=SCREENSHOTS / f"{name}-phone.png", full_page=True)
    facts["phone"] = window.evaluate(FACTS)
    return facts | {key: list(list_) for key, list_ in heard.items()}


def test_shows_the_mode_asked_for(visit):
    assert visit["desk"]["mode"] == visit["asked"]


def test_console_is_quiet(visit):
    assert not visit["complaints"], "the page reports errors or warnings in the console"


def test_asks_the_network_for_nothing(visit):
    remote = [url for url in visit["requests"] if not url.startswith(("file:", "data:", "blob:"))]
    assert not remote, "everything a page needs must be in the built folder"


def test_formulas_are_set(visit):
    assert not visit["desk"]["raw"], "TeX is left as text, or MathJax could not set it"


def test_formulas_can_be_read_aloud(visit):
    assert not visit["desk"]["silent"], "formulas without the MathML that screen readers read"


def test_images_are_there_and_described(visit):
    assert not visit["desk"]["broken"], "images that do not load"
    assert not visit["desk"]["noAlt"], "images without alt text"


def test_figures_keep_their_colours(visit):
    assert not visit["desk"]["dimmed"], "figures of class dark-light are filtered"


@pytest.mark.parametrize("device", ["desk", "phone"])
def test_page_does_not_scroll_sideways(visit, device):
    facts = visit[device]
    assert facts["overflow"] <= 0, f"wider than the window: {facts['tooWide'][:5]}"


@pytest.mark.parametrize("device", ["desk", "phone"])
def test_keyboard_reaches_boxes_that_scroll(visit, device):
    found = visit[device]["unreachable"]
    assert not found, "boxes that scroll sideways need tabindex and aria-label (see scroll.js)"


def test_search_finds_something(visit):
    if visit["page"] == SEARCH:
        assert visit["desk"]["results"] > 0


class Anchors(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = set()

    def handle_starttag(self, tag, attributes):
        self.found |= {value for key, value in attributes if key in ("id", "name")}


@cache
def anchors(file):
    parser = Anchors()
    parser.feed(file.read_text(encoding="utf-8"))
    return parser.found


def test_links_lead_somewhere(visit):
    dead = []
    for link in set(visit["desk"]["links"]):
        address, anchor = urldefrag(link)
        if not address.startswith("file:"):
            continue
        file = Path(re.sub(r"^/([A-Za-z]:)", r"\1", unquote(urlsplit(address).path)))
        if not file.is_file():
            dead.append(link)
        elif anchor and file.suffix == ".html" and unquote(anchor) not in anchors(file):
            dead.append(link)
    assert not dead, "links to pages or anchors that do not exist"


def test_animations_play_and_can_be_stepped(reader):
    _, window, _ = reader
    chapters = [p for p in sorted(HTML.glob("book/[0-9]*.html")) if "gmm-player" in p.read_text()]
    assert chapters, "chapter 3 has an animation"
    for chapter in chapters:
        window.goto(chapter.as_uri())
        player = window.locator(".gmm-player").first
        image, slider = player.locator("img"), player.locator("input[type=range]")
        last = image.get_attribute("src")
        slider.focus()
        window.keyboard.press("Home")  # the keyboard reaches the first frame
        first = image.get_attribute("src")
        assert slider.input_value() == "0"
        assert first != last
        player.locator("button").click()
        window.wait_for_function("(i) => i.value >= 2", arg=slider.element_handle())
        assert image.get_attribute("src") not in (first, last)
        player.locator("button").click()  # pause
        here = slider.input_value()
        window.wait_for_timeout(900)
        assert slider.input_value() == here
