"""Mend what the page builder writes that a screen reader would stumble over.

docutils gives a bibliography's entries the role doc-biblioentry. A list may not hold it, and
WAI-ARIA has deprecated it (https://github.com/w3c/dpub-aria/issues/15).
"""


def mend_bibliography(app, page, template, context, doctree):
    """Make a bibliography a list of list items."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", mend_bibliography)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
