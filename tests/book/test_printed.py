"""The book as LaTeX: chapters keep their numbers, and nothing points to pages that are left out."""

from types import SimpleNamespace

import pytest
from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.utils import new_document
from printed import NumberChapters
from sphinx.addnodes import start_of_file


def page(name, title, *content):
    section = nodes.section("", nodes.title("", title), *content)
    return start_of_file("", section, docname=name)


def link(uri, words):
    return nodes.reference("", "", nodes.inline("", words), refuri=uri, internal=True)


@pytest.fixture
def book():
    links = link("%book/gallery", "Gallery"), link("%book/07_digits#a", "digits")
    document = new_document("book", get_default_settings())
    document += page("book/index", "From Mixtures", nodes.paragraph("", "", *links))
    document += page("book/07_digits", "7. Draw digits")
    document += page("book/gallery", "Gallery")
    document.settings.env = SimpleNamespace(toc_fignumbers={})
    NumberChapters(document).run()
    return document


def test_screen_pages_go_and_words_of_links_to_them_stay(book):
    assert [one["docname"] for one in book.findall(start_of_file)] == [
        "book/index",
        "book/07_digits",
    ]
    assert [one["refuri"] for one in book.findall(nodes.reference)] == ["%book/07_digits#a"]
    assert next(book.findall(nodes.paragraph)).astext() == "Gallerydigits"


def test_a_chapter_has_the_number_of_its_file(book):
    titles = [one.astext() for one in book.findall(nodes.title)]
    assert titles == ["From Mixtures", "Draw digits"]
    counters = [one.astext() for one in book.findall(nodes.raw)]
    assert r"{chapter}{0}" in counters[0] and r"{secnumdepth}{-1}" in counters[0]
    assert r"{chapter}{6}" in counters[1] and r"{secnumdepth}{1}" in counters[1]
