"""Faults of the theme and the page builder, what is done about each here, and who has been told.

Where a fault is mended or excused, a comment says ``upstream: NAME``; tests/book/test_upstream.py
holds that marks and this list agree, and test_accessibility.py that what axe-core finds without
a mend is still found. With a new version of the theme, try which of these can go.
"""

from typing import NamedTuple


class Fault(NamedTuple):
    """A fault, and the threads on GitHub that speak of it."""

    of: str
    what: str
    reports: tuple
    state: str
    rule: str = ""
    """The rule of axe-core that is broken."""


FAULTS = {
    "toggles": Fault(
        "pydata-sphinx-theme",
        "The sidebar opens and closes a section by a summary without a word in it.",
        (
            "https://github.com/pydata/pydata-sphinx-theme/pull/1582",
            "https://github.com/pytorch/pytorch_sphinx_theme/pull/234",
        ),
        "no report found there; the first brought it, the second mends it in another theme",
        "summary-name",
    ),
    "bibliography": Fault(
        "docutils",
        "Entries have the role doc-biblioentry: a list may not hold it, and it is deprecated.",
        ("https://github.com/w3c/dpub-aria/pull/22", "https://github.com/w3c/dpub-aria/issues/70"),
        "no report found at docutils; the standard deprecated the role",
        "aria-required-children",
    ),
    "contrast": Fault(
        "sphinx-book-theme",
        "Links on the grounds of tables and boxes have a contrast of 4.0 to 4.3; 4.5 is asked for.",
        (
            "https://github.com/pydata/pydata-sphinx-theme/issues/2199",
            "https://github.com/pydata/pydata-sphinx-theme/issues/1052",
        ),
        "both closed, for the theme beneath; no report found at sphinx-book-theme",
        "color-contrast",
    ),
    "landmark": Fault(
        "sphinx-book-theme",
        "The book's title above the sidebar's links lies in no landmark (moderate; not mended).",
        (
            "https://github.com/pydata/pydata-sphinx-theme/issues/1428",
            "https://github.com/pydata/pydata-sphinx-theme/pull/1793",
        ),
        "closed: they speak of other parts of the page; no report found of this one",
        "region",
    ),
    "first visit": Fault(
        "pydata-sphinx-theme",
        "A mode that was never chosen is the empty string, an error in the console.",
        (
            "https://github.com/pydata/pydata-sphinx-theme/issues/1635",
            "https://github.com/yvanvds/DataBeheer/issues/26",
        ),
        "closed; the second found it again",
    ),
    "light outputs": Fault(
        "pydata-sphinx-theme",
        "Every HTML output lies on a light ground in dark mode, whatever it looks like.",
        (
            "https://github.com/pydata/pydata-sphinx-theme/issues/739",
            "https://github.com/pydata/pydata-sphinx-theme/pull/1812",
        ),
        "closed, and wanted for tables that bring their own colours",
    ),
    "dimmed figures": Fault(
        "pydata-sphinx-theme",
        "In dark mode pictures are dimmed and framed, unless their class is dark-light.",
        (
            "https://github.com/pydata/pydata-sphinx-theme/issues/879",
            "https://github.com/pydata/pydata-sphinx-theme/pull/942",
        ),
        "closed: the class is the cure",
    ),
    "thebe": Fault(
        "sphinx-thebe",
        "Its script and style come with every page, also of a book that has no use for them.",
        (
            "https://github.com/jupyter-book/jupyter-book/issues/1014",
            "https://github.com/executablebooks/sphinx-thebe/issues/22",
        ),
        "closed: only the library itself waits for a click",
    ),
    "excerpts": Fault(
        "Sphinx",
        "From the disk, results of a search come without excerpts, with an error for each.",
        (
            "https://github.com/sphinx-doc/sphinx/issues/9156",
            "https://github.com/sphinx-doc/sphinx/issues/10407",
        ),
        "browsers forbid it; the second is open",
    ),
    "tab stops": Fault(
        "MathJax 3",
        "With its menu, every formula is a stop of the tabulator key.",
        (
            "https://github.com/mathjax/MathJax/issues/1352",
            "https://github.com/fast-reflexes/better-react-mathjax/issues/12",
        ),
        "closed; the second says what switches it off in version 3",
    ),
    "chapter numbers": Fault(
        "Sphinx",
        "Chapters are counted from 1 in the order of the contents; no number can be given.",
        ("https://github.com/sphinx-doc/sphinx/issues/8128",),
        "open",
    ),
    "bbm": Fault(
        "sphinx-jupyterbook-latex",
        "Its class asks for a font package that no page needs.",
        ("https://github.com/LarsonLab/MRI-education-resources/pull/40",),
        "no report found there; this book met it, too",
    ),
}
