"""The glossary, and the links that chapters make to it by themselves."""

import re

import glossary_links
import inventory
import pytest
from contents import HTML, ROOT, missing

SOURCE = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
LIST = SOURCE.partition("```{glossary}\n")[2]
ENTRIES = re.findall(r"((?:^\S.*\n)+)  (.+)$", LIST, re.MULTILINE)
CHAPTERS = sorted(path.stem for path in inventory.chapters().values())
LINK = r'<a class="term reference internal" href="glossary\.html#([\w-]+)" title="([^"]+)">'


@pytest.mark.parametrize(("terms", "definition"), ENTRIES, ids=str)
def test_entry_is_one_sentence_and_names_its_chapter(terms, definition):
    sentence, link = re.fullmatch(r"(.+) See (\{chapter\}`\d+(?:#[\w-]+)?`)\.", definition).groups()
    assert sentence.endswith(".")
    assert not re.search(r"\. [A-Z]", sentence), "one sentence"
    assert link


def test_terms_are_in_alphabetical_order_and_named_once():
    first = [terms.split("\n")[0].lower() for terms, _ in ENTRIES]
    assert len(first) > 60
    assert first == sorted(first)
    every = [term.lower() for terms, _ in ENTRIES for term in terms.strip().split("\n")]
    assert len(every) == len(set(every))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Two components share a latent\nvariable.", ["components", "latent\nvariable"]),
        ("The principal components differ.", ["principal components"]),
        ("EM and em, GANs but not gan", ["EM", "GANs"]),
        ("precomponent, sub-component, componental", []),
        ("precision", []),
        ("A mixture of Gaussians, by stepwise EM", ["mixture of Gaussians", "stepwise EM"]),
    ],
)
def test_terms_are_found_in_a_text(text, expected):
    terms = ["Component", "Latent variable", "Principal component", "EM", "GAN"]
    terms += ["Precision (matrix)", "Mixture of Gaussians", "Stepwise EM"]
    expression, _ = glossary_links.compile_terms(terms)
    assert [match[0] for match in expression.finditer(text)] == expected


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_links_each_term_once_in_its_prose(chapter):
    file = HTML / "book" / f"{chapter}.html"
    if not file.exists():
        missing(f"{file.name} is not built: run `make book`")
    page = file.read_text(encoding="utf-8")
    found = re.findall(LINK, page)
    anchors = [anchor for anchor, _ in found]
    assert len(found) >= 8
    assert len(anchors) == len(set(anchors))
    assert all(len(tip) > 20 for _, tip in found)
    text = re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL)
    for tag in ("h1", "h2", "h3", "pre", "code", "figcaption"):
        for inside in re.findall(rf"<{tag}\b.*?</{tag}>", text, re.DOTALL):
            assert 'class="term ' not in inside, f"a term is linked inside <{tag}>"
    assert not re.search(r'<a [^>]*>(?:(?!</a>).)*<a class="term', text, re.DOTALL)
