"""Beside each notebook that a page offers, the same as a script, for _static/download.js."""

import json
from pathlib import Path


def write_scripts(app, error):
    """Write NAME.ipynb.js for each notebook of the built book."""
    if error or app.builder.format != "html":
        return
    for path in Path(app.outdir, "_sources").rglob("*.ipynb"):
        call = f"saveNotebook({json.dumps(path.name)}, {json.dumps(path.read_text('utf-8'))});\n"
        path.with_name(f"{path.name}.js").write_text(call, encoding="utf-8")


def setup(app):
    """Register with Sphinx."""
    app.add_js_file("download.js", defer="defer")
    app.connect("build-finished", write_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
