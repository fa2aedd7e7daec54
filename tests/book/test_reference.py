"""The reference: every public function has its entry, and equations and functions are linked."""

import re
from functools import cache

import contents
import inventory
import pytest
import reference
from contents import HTML, missing

ENTRIES = [one for module in inventory.modules() for one in inventory.entries(module)]


@cache
def html(page):
    file = HTML / f"{page}.html"
    if not file.exists():
        missing(f"{file.name} is not built: run `make book`")
    return file.read_text(encoding="utf-8")


def reference_pages():
    return [page for page in contents.pages() if page.startswith("book/reference/")]


@cache
def entry(name):
    """Return the page that holds an entry, and the entry's HTML up to the next one."""
    for page in reference_pages():
        if f'id="{name}"' in html(page):
            rest = html(page).split(f'id="{name}"', 1)[1]
            return page, re.split(r'<dt class="sig|<section', rest, maxsplit=1)[0]
    return None, ""


def test_every_public_function_has_an_entry():
    assert len(ENTRIES) > 300
    lost = [one.name for one in ENTRIES if entry(one.name)[0] is None]
    assert not lost, f"on no page of the reference: {lost}"


def test_no_entry_is_shown_twice():
    shown = [name for page in reference_pages() for name in re.findall(r'<dt[^>]* id="([\w.]+)"',
             html(page))]  # fmt: skip
    assert len(shown) == len(set(shown))


def citations():
    return [
        (one.name, label)
        for one in ENTRIES
        for label in dict.fromkeys(reference.EQUATION.findall(one.doc))
    ]


@pytest.mark.parametrize(("name", "label"), citations())
def test_function_and_equation_point_at_each_other(name, label):
    page, text = entry(name)
    there = re.search(rf'href="\.\./(\w+)\.html#equation-{label}"[^>]*>eq\. (\d+\.\d+)<', text)
    assert there, f"{name} does not link eq. {label}"
    chapter = html(f"book/{there[1]}")
    assert f"({there[2]})" in chapter  # the number that readers see beside the equation
    line = re.search(
        rf'id="equation-{label}".*?</div>\s*(?:</div>\s*)?<p class="in-code">(.*?)</p>',
        chapter,
        re.DOTALL,
    )
    assert line, f"no line of functions below eq. {label}"
    if page != reference.INSIDE:
        assert f'href="{page.removeprefix("book/")}.html#{name}"' in line[1]


def test_entry_names_the_chapters_that_use_it():
    for number, path in inventory.chapters().items():
        for name in inventory.used(path):
            link = rf'href="\.\./{path.stem}\.html"[^>]*><span class="doc">{number}<'
            assert re.search(link, entry(name)[1]), f"{name} does not name chapter {number}"


def test_chapters_use_what_their_code_names(tmp_path):
    code = "from gmmlearn import em, metrics as m\nem.e_step\nm.ndb(em)\nem.m_step_of(x).fit_em"
    cell = {"cell_type": "code", "source": code.splitlines(keepends=True)}
    path = tmp_path / "01_x.ipynb"
    path.write_text(inventory.json.dumps({"cells": [cell]}))
    assert inventory.used(path) == {"gmmlearn.em.e_step", "gmmlearn.metrics.bins.ndb"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see eq. em-e-step.", "see :equation:`em-e-step`."),
        ("`e_step`, `reg_covar`", ":py:obj:`e_step <gmmlearn.em.e_step>`, ``reg_covar``"),
        ("``kept`` |det| means_", "``kept`` \\|det\\| means\\_"),
        ("chapters 1, 99", "chapters :doc:`1 </book/01_gaussian>`, 99"),
        ("key1999word, other1999word", ":cite:t:`key1999word`, other1999word"),
    ],
)
def test_docstrings_become_links(text, expected):
    assert reference.linked(text, "gmmlearn.em.m_step", {"key1999word"}) == expected
