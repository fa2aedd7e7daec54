"""The house rules for chapters, read from the committed notebooks without running them.

Each notebook is re-run, and its outputs compared, by nbval; these tests hold what nbval does not
see. A message says what to change.
"""

import ast
import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted(ROOT.glob("book/[0-9][0-9]_*.ipynb"))

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
GATE = re.compile(r"^```+\{(exercise|solution)-(start|end)\}", re.MULTILINE)
DIRECTIVE = re.compile(r"^(`{3,}|:{3,})\{([\w:.-]+)\}.*?^\1\s*$", re.MULTILINE | re.DOTALL)


@dataclass
class Cell:
    """A cell, its place in the file (for messages) and the part of the chapter it is in."""

    number: int
    kind: str
    source: str
    part: str  # "lesson", "exercise" or "solution"
    tags: list
    metadata: dict
    outputs: list = field(default_factory=list)
    execution_count: int | None = None

    def __str__(self):
        first = self.source.strip().splitlines()[0] if self.source.strip() else "(empty)"
        return f"cell {self.number} ({first[:60]!r})"

    @property
    def lines(self):
        return [line for line in self.source.splitlines() if line.strip()]

    def outputs_of(self, mime):
        return [
            "".join(data) if isinstance(data, list) else data
            for output in self.outputs
            for key, data in output.get("data", {}).items()
            if key.startswith(mime)
        ]


@cache
def read(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells, part = [], "lesson"
    for number, raw in enumerate(notebook["cells"]):
        source = "".join(raw["source"])
        gates = GATE.findall(source) if raw["cell_type"] == "markdown" else []
        for kind, edge in gates:
            if edge == "start":
                part = kind
        metadata = raw["metadata"]
        cells.append(
            Cell(
                number=number,
                kind=raw["cell_type"],
                source=source,
                part=part,
                tags=metadata.get("tags", []),
                metadata=metadata,
                outputs=raw.get("outputs", []),
                execution_count=raw.get("execution_count"),
            )
        )
        if gates and gates[-1][1] == "end":
            part = "lesson"
    return notebook, cells


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return read(path)[0]


@pytest.fixture
def cells(path):
    return read(path)[1]


@pytest.fixture
def code(cells):
    return [cell for cell in cells if cell.kind == "code"]


@pytest.fixture
def lesson(code):
    return [cell for cell in code if cell.part == "lesson"]


def report(found, cure):
    """Fail with one line per finding and what to do about it."""
    assert not found, cure + "\n" + "\n".join(f"  {one}" for one in found)


# --- the file ---------------------------------------------------------------------------------


def test_is_a_valid_notebook(path):
    nbformat.validate(nbformat.read(path, as_version=4))


def test_is_at_most_one_megabyte(path):
    size = path.stat().st_size
    assert size <= 1_000_000, f"{size / 1e6:.2f} MB: lower the dpi or the number of frames"


def test_metadata_is_clean(notebook):
    metadata = notebook["metadata"]
    assert metadata["kernelspec"] == KERNELSPEC, f"set the kernelspec to {KERNELSPEC}"
    extra = set(metadata) - {"kernelspec", "language_info"}
    assert not extra, f"remove {sorted(extra)} from the notebook's metadata"


def test_cell_metadata_is_clean(cells):
    found = [
        f"{cell}: {sorted(extra)}"
        for cell in cells
        if (extra := set(cell.metadata) - {"tags", "mystnb"})
    ]
    report(found, "Keep only tags and mystnb in a cell's metadata:")


# --- run as committed -------------------------------------------------------------------------


def test_was_run_once_from_top_to_bottom(code):
    counts = [cell.execution_count for cell in code]
    assert counts == list(range(1, len(code) + 1)), f"run `make notebooks`; counts are {counts}"


def test_has_no_errors(code):
    found = [cell for cell in code for o in cell.outputs if o["output_type"] == "error"]
    report(found, "These cells raise (show an expected error by catching it):")


def test_has_nothing_on_stderr(code):
    found = [
        f"{cell}: {''.join(output['text'])[:200]}"
        for cell in code
        for output in cell.outputs
        if output.get("name") == "stderr"
    ]
    report(found, "Warnings and progress bars do not belong in a chapter:")


def test_is_compared_by_nbval(code):
    found = [cell for cell in code if "nbval-skip" in cell.tags or "nbval-skip" in cell.source]
    report(found, "Use nbval-ignore-output and assert the claim instead of nbval-skip:")


def test_asserts_what_is_not_compared(lesson):
    found = [
        cell
        for i, cell in enumerate(lesson)
        if "nbval-ignore-output" in cell.tags
        and not any(re.search(r"^\s*assert\b", near.source, re.M) for near in lesson[i : i + 4])
    ]
    report(found, "Not compared, so assert its claim in one of the next three code cells:")


# --- structure --------------------------------------------------------------------------------


def test_opens_with_its_only_title(path, cells):
    def titles(cell):
        text = re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL)
        return re.findall(r"^# .*", text, re.MULTILINE)

    number = int(path.stem[:2])
    assert cells[0].kind == "markdown", "start with a text cell"
    assert cells[0].source.startswith(f"# {number}. "), f"start with the title '# {number}. Verb'"
    found = [t for cell in cells if cell.kind == "markdown" for t in titles(cell)]
    assert len(found) == 1, f"one H1 per chapter; found {found}"


def test_imports_once_in_the_first_code_cell(code):
    def imports(cell):
        tree = ast.parse(cell.source)
        return any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree))

    assert imports(code[0]), "the first code cell holds the imports"
    report(
        [cell for cell in code[1:] if imports(cell)], "Move these imports to the first code cell:"
    )


def test_has_15_to_25_lesson_cells(lesson):
    assert 15 <= len(lesson) <= 25, f"{len(lesson)} code cells outside exercises and solutions"


def test_cells_are_short(lesson):
    found = [
        f"{cell}: {len(cell.lines)} lines"
        for cell in lesson
        if len(cell.lines) > (30 if "hide-input" in cell.tags else 20)
    ]
    report(found, "At most 20 lines (30 for a hidden figure cell): split, or move to the package:")
    middle = median(len(cell.lines) for cell in lesson)
    assert middle <= 6, f"the median cell has {middle} lines; at most 6"


def test_no_line_ends_in_a_semicolon(code):
    found = [cell for cell in code if any(line.rstrip().endswith(";") for line in cell.lines)]
    report(found, "nbval fails on a trailing ';': assign the value to _ instead:")


def test_has_1200_to_2500_words(cells):
    words = 0
    for cell in cells:
        if cell.kind != "markdown" or cell.part == "solution":
            continue
        text = re.sub(r"^(`{3,}|:{3,})\{(math|solution|dropdown|bibliography)\}.*?^\1\s*$", "",
                      cell.source, flags=re.MULTILINE | re.DOTALL)  # fmt: skip
        text = re.sub(r"^```\w.*?^```\s*$", "", text, flags=re.MULTILINE | re.DOTALL)
        text = re.sub(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}", "", text, flags=re.DOTALL)
        text = re.sub(r"\$\$.*?\$\$|\$[^$]+\$", "", text, flags=re.DOTALL)
        text = re.sub(r"^[`:]{3,}.*$|^:\w+:.*$", "", text, flags=re.MULTILINE)
        words += len(re.findall(r"[A-Za-z][\w'’-]*", text))
    assert 1200 <= words <= 2500, f"{words} words of prose"


# --- figures ----------------------------------------------------------------------------------


def test_one_figure_per_cell(code):
    found = [cell for cell in code if len(cell.outputs_of("image/")) > 1]
    report(found, "One figure per cell (each needs its own caption):")


def test_figures_have_caption_name_and_alt_text(code):
    found = []
    for cell in code:
        if not cell.outputs_of("image/"):
            continue
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        image = cell.metadata.get("mystnb", {}).get("image", {})
        missing = [f"figure.{key}" for key in ("caption", "name") if not figure.get(key)]
        missing += [] if image.get("alt") else ["image.alt"]
        missing += [] if "dark-light" in image.get("classes", "") else ["image.classes: dark-light"]
        if missing:
            found.append(f"{cell}: {', '.join(missing)}")
    report(found, "Missing from metadata.mystnb:")


def test_images_in_html_and_text_have_alt_text(cells):
    found = []
    for cell in cells:
        for html in [*cell.outputs_of("text/html"), *([cell.source] * (cell.kind == "markdown"))]:
            found += [
                f"{cell}: {tag[:80]}"
                for tag in re.findall(r"<img\b[^>]*>", html)
                if not re.search(r"""\balt=(["'])\s*\S.*?\1""", tag)
            ]
        if cell.kind == "markdown":
            if re.search(r"!\[\s*\]\(", cell.source):
                found.append(f"{cell}: ![](...)")
            found += [
                f"{cell}: {match[0][:80]}"
                for match in DIRECTIVE.finditer(cell.source)
                if match[2] in ("figure", "image") and ":alt:" not in match[0]
            ]
    report(found, "Say in alt text what the picture shows:")


# --- exercises --------------------------------------------------------------------------------


def gates(cells):
    found = [gate for c in cells if c.kind == "markdown" for gate in GATE.findall(c.source)]
    return [f"{kind}-{edge}" for kind, edge in found]


def test_exercises_and_solutions_come_in_pairs(cells):
    found = gates(cells)
    pair = ["exercise-start", "exercise-end", "solution-start", "solution-end"]
    assert len(found) >= 3 * len(pair), "at least three exercises, each with its solution"
    assert found == pair * (len(found) // len(pair)), (
        f"each exercise is followed by its solution, and every gate closes; found {found}"
    )


def test_exercises_ask_for_an_answer_and_check_it(cells):
    asked = [c for c in cells if c.part == "exercise" and c.kind == "code" and "check(" in c.source]
    wanted = gates(cells).count("exercise-start")
    assert len(asked) == wanted, (
        f"{wanted} exercises, {len(asked)} of them call check(name, answer)"
    )


def test_solutions_are_hidden_and_end_in_a_passed_check(cells):
    found, last = [], None
    for cell in cells:
        if cell.kind == "code" and cell.part == "solution":
            last = cell
        for kind, edge in GATE.findall(cell.source) if cell.kind == "markdown" else []:
            if (kind, edge) == ("solution", "start"):
                last = None
                if ":class: dropdown" not in cell.source:
                    found.append(f"{cell}: add ':class: dropdown'")
            if (kind, edge) == ("solution", "end"):
                end = ast.unparse(ast.parse(last.source).body[-1]) if last else ""
                if not re.fullmatch(r"assert (\w+\.)?check\(.*\)\.passed", end, re.DOTALL):
                    found.append(f"{cell}: the solution before it ends in {end[:80]!r}")
    report(found, "A solution ends in `assert check(name, answer).passed`:")
