"""Build a book that needs no network.

MathJax comes from the installed package sphinx-mathjax-offline. One file of it is enough:
it carries TeX input, SVG output with all glyphs, and the hidden MathML that screen readers
read. Jupyter Book's "run this page on a remote server" scripts (thebe) are left out.
"""

import shutil
from importlib.metadata import distribution
from pathlib import Path


def copy_mathjax(app):
    if app.builder.format != "html":
        return
    package = distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline")
    target = Path(app.outdir, "_static", app.config.mathjax_path)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(Path(package, "static", "mathjax", target.name), target)


def leave_out_thebe(app, config):
    # upstream: thebe
    for listeners in app.events.listeners.values():
        listeners[:] = [one for one in listeners if one.handler.__module__ != "sphinx_thebe"]
    styles = app.registry.css_files
    styles[:] = [one for one in styles if "thebe" not in one[0]]


def setup(app):
    app.connect("config-inited", leave_out_thebe)
    app.connect("builder-inited", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
