"""Mend what the page builder writes that a screen reader would stumble over; see upstream.py."""


def mend_bibliography(app, page, template, context, doctree):
    """Make a bibliography a list of list items."""
    # upstream: bibliography
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def name_toggles(app, page, template, context, doctree):
    """Name what opens and closes a section of the sidebar."""
    # upstream: toggles
    if make := context.get("generate_toctree_html"):
        context["generate_toctree_html"] = lambda *args, **settings: str(
            make(*args, **settings)
        ).replace("<summary>", '<summary aria-label="Pages of this section">')


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", mend_bibliography)
    app.connect("html-page-context", name_toggles, priority=900)  # the theme's function is there
    return {"parallel_read_safe": True, "parallel_write_safe": True}
