"""Show the book at http://127.0.0.1:8000; rebuild it when a source changes, and reload the page.

A change runs `make book`, so warnings are errors here too: the terminal says what is wrong, the
page shows what could be built, and the next change builds everything anew.
"""

import subprocess
import sys

from livereload import Server

SOURCES = ["book", "gmmlearn", "_config.yml", "_toc.yml"]


def is_no_source(path):
    """Return whether a file is written by Python or Jupyter, not by an author."""
    return "__pycache__" in path or ".ipynb_checkpoints" in path or path.endswith(("~", ".swp"))


def rebuild():
    """Build the book, and say so if that failed."""
    if subprocess.run(["make", "book"]).returncode:
        print("The build failed: see above. The page shows what could be built.", file=sys.stderr)


def serve(html, sources, build, port):
    """Serve a folder to this machine alone; build and reload when one of the sources changes."""
    server = Server()
    for source in sources:
        server.watch(source, build, ignore=is_no_source)
    server.serve(root=html, host="127.0.0.1", port=port)


if __name__ == "__main__":
    serve("_build/html", SOURCES, rebuild, port=8000)
