"""Number figures, equations, theorems and exercises by chapter: Figure 7.2, equation (7.3).

Sphinx can do this only for pages that it numbers itself, in order, and would call chapter 7
"5" while 5 and 6 are not written. Here the number is the one in the file's name.
"""

import re

from sphinx.environment.collectors.toctree import TocTreeCollector

count_through_the_book = TocTreeCollector.assign_figure_numbers


def count_by_chapter(self, env):
    # upstream: chapter numbers
    chapters = {page: re.search(r"(?:^|/)(\d\d)_", page) for page in env.found_docs}
    shown = env.toc_secnumbers  # put back below: titles carry their number themselves
    env.toc_secnumbers = {page: {"": (int(match[1]),)} for page, match in chapters.items() if match}
    try:
        return count_through_the_book(self, env)
    finally:
        env.toc_secnumbers = shown


def setup(app):
    TocTreeCollector.assign_figure_numbers = count_by_chapter
    return {"parallel_read_safe": True, "parallel_write_safe": True}
