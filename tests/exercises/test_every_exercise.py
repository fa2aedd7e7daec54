"""What holds for every exercise; `pytest tests/exercises -n 0 -k 03-gap` runs one of them.

``test_chapter_NN.py`` holds answers to the exercises of chapter NN in two tables: `RIGHT`, from
the name of each exercise to a list of answers that pass, the plainest first, and `MISTAKES`, a list
of (name, wrong answer, part of what is said about it) with an entry for every sentence that the
checker can say. Neither needs entries for garbage, for functions that change their arguments, or
for right answers in another form: those are made here.
"""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from gmmlearn import exercises
from gmmlearn.exercises import check

NAMES = exercises.names()
CHAPTERS = sorted({name[:2] for name in NAMES})
GARBAGE = [
    "text",
    "",
    [],
    {},
    [[1], [2, 3]],
    object(),
    True,
    float("nan"),
    1j,
    np.array([[np.nan]]),
    np.empty((0, 3)),
    np.array(["text"]),
    np.array([None]),
    lambda: 0,
    lambda *_: None,
    lambda *_: "text",
    lambda *_: np.nan,
    lambda *_: object(),
    lambda *_: [],
    lambda *_: [[1], [2, 3]],
    lambda *_: 1j,
    lambda *arguments: arguments,
    lambda *_: _[0],
    lambda *_: leave,
    int,
    max,
    print,
    np.linalg.inv,
]
_SAID = {}
# What is said of any wrong value.
UNSPECIFIC = re.compile(
    "right (value|number)|shape|one number|could not be used|fails in its line|right but for|"
    "entries, the first|in another order|within five percent|not percent|that do not sum to one|"
    "symmetric, and"
)


def leave(*arguments):
    raise SystemExit


def table(chapter):
    """Return the module with the answers to the exercises of a chapter."""
    return import_module(f"test_chapter_{chapter}")


def rows(pick):
    return [row for chapter in CHAPTERS for row in pick(table(chapter))]


RIGHT = rows(lambda t: [(name, answer) for name, some in t.RIGHT.items() for answer in some])
MISTAKES = rows(lambda t: t.MISTAKES)


@pytest.fixture(autouse=True)
def _new_session(monkeypatch):
    monkeypatch.setattr(exercises, "_MISSES", {})


def hint(name):
    return exercises._EXERCISES[name].hint


def first_message(name, answer):
    """Return what is said to the first answer of a session; asked once for each of the tables."""
    key = name, id(answer)  # the tables keep the answers, of which some have no hash
    if key not in _SAID:
        exercises._MISSES.pop(name, None)
        _SAID[key] = check(name, answer).message
    return _SAID[key]


def messages(name):
    """Return what is said about each mistake of the table."""
    return [first_message(name, answer) for given, answer, _ in MISTAKES if given == name]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_right_answers_pass(name, answer):
    result = check(name, answer)
    assert result.passed, result.message
    assert result.message == f"{name}: correct."


@pytest.mark.parametrize(("name", "answer", "said"), MISTAKES)
def test_mistakes_are_named_and_the_second_one_gets_the_hint(name, answer, said):
    first = first_message(name, answer)
    assert said in first, first
    exercises._MISSES[name] = 1
    second = check(name, answer)
    assert not second.passed
    assert second.message == f"{first}\nHint: {hint(name)}"


@pytest.mark.parametrize("name", NAMES)
def test_at_least_three_mistakes_are_told_apart(name):
    unspecific = {first_message(name, garbage) for garbage in GARBAGE}
    specific = set(messages(name)) - unspecific
    assert len({m for m in specific if not UNSPECIFIC.search(m)}) >= 3, specific


@pytest.mark.parametrize("name", NAMES)
def test_garbage_neither_raises_nor_passes(name):
    for garbage in GARBAGE:
        assert first_message(name, garbage).startswith(f"{name}: not yet. "), garbage


@pytest.mark.parametrize("name", NAMES)
def test_a_blank_is_not_answered_yet_and_gets_no_hint(name):
    check(name, "text")
    for blank in (..., None):
        assert check(name, blank).message == f"{name}: not answered yet."


# --- the texts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_hint_is_a_sentence_or_two_without_code(name):
    assert re.fullmatch(r"[A-Z`].{40,280}[.?]", hint(name)), hint(name)
    assert not re.search(r"`[^`]*[(=]|np\.|\breturn |lambda|\*\*", hint(name))


def test_no_two_hints_are_alike():
    assert len({hint(name) for name in NAMES}) == len(NAMES)


def numbers(text):
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


@pytest.mark.parametrize("name", [n for n, a in RIGHT if not callable(a)])
def test_no_text_holds_a_number_of_the_solution(name):
    solution = np.ravel(next(a for n, a in RIGHT if n == name)).astype(float)
    telling = [abs(number) for number in solution if number not in (0.0, 1.0)]
    for text in (hint(name), *messages(name)):
        for number in numbers(text.removeprefix(name)):
            assert not np.isclose(number, telling, rtol=5e-3).any(), text


# What these functions are given names a value, and is no sentence.
NAMING = {"mismatch", "diagnose", "function_fault", "first_fault"}
NAMING |= {"_one_number", "_judge", "_judge_number"}


def sentences(chapter):
    """Yield what the checkers of a chapter can say, cut where a value is inserted."""
    module = import_module(f"gmmlearn.exercises.chapter_{chapter}")
    tree = ast.parse(Path(inspect.getsourcefile(module)).read_text())
    silent = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(
            node
        ):
            silent.add(node.body[0].value)
        if isinstance(node, ast.keyword) and node.arg == "hint":
            silent.add(node.value)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in NAMING:
            silent.update(node.args)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in silent:
            for part in re.split(r"\{[^}]*\}", node.value):
                if part.count(" ") >= 3:
                    yield part


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_sentence_is_said_to_some_mistake(chapter):
    said = "\n".join(m for name in NAMES if name[:2] == chapter for m in messages(name)).lower()
    assert [part for part in sentences(chapter) if part.lower() not in said] == []


# --- right answers in another form ----------------------------------------------------------------


def listed(value):
    """Return `value` with lists for arrays and tuples."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(map(listed, value)) if type(value) in (list, tuple) else value


def arrayed(value):
    """Return `value` with arrays for numbers, and tuples for lists."""
    if isinstance(value, int | float | np.number):
        return np.asarray(value)
    return tuple(map(arrayed, value)) if type(value) in (list, tuple) else value


def plain(value):
    """Return `value` with Python's numbers for NumPy's."""
    if isinstance(value, np.number):
        return value.item()
    return tuple(map(plain, value)) if type(value) in (list, tuple) else value


def bracketed(value):
    """Return one number as an array of one."""
    return np.array([value]) if isinstance(value, int | float | np.number) else value


def rounded(value):
    """Return one number with two significant digits where it is not whole."""
    if isinstance(value, float | np.floating) and value != round(value):
        return float(f"{value:.2g}")
    return tuple(map(rounded, value)) if type(value) in (list, tuple) else value


def tensors(value):
    """Return `value` with torch tensors for arrays."""
    torch = pytest.importorskip("torch")
    if isinstance(value, np.ndarray | np.floating):
        return torch.tensor(value)
    return tuple(map(tensors, value)) if type(value) in (list, tuple) else value


@pytest.mark.parametrize("form", [listed, arrayed, plain, bracketed, tensors])
@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_right_answers_pass_in_another_form(name, answer, form):
    if callable(answer):

        def reshaped(*arguments, further=None, **options):
            return form(answer(*arguments))
    else:
        reshaped = form(answer)
    result = check(name, reshaped)
    assert result.passed, result.message


@pytest.mark.parametrize(("name", "answer"), [row for row in RIGHT if not callable(row[1])])
def test_two_digits_will_do_in_a_prediction(name, answer):
    result = check(name, rounded(answer))
    assert result.passed, result.message


@pytest.mark.parametrize(("name", "answer"), [row for row in RIGHT if not callable(row[1])])
def test_every_number_of_a_prediction_is_judged(name, answer):
    right = np.asarray(answer, dtype=float)
    for place in np.ndindex(right.shape):
        for factor in (0.96, 1.04):
            wrong = right.copy()
            wrong[place] = factor * right[place] if abs(right[place]) > 1e-6 else factor - 1.0
            assert not check(name, wrong).passed, wrong


@pytest.mark.parametrize(("name", "answer"), [row for row in RIGHT if callable(row[1])])
def test_changing_an_argument_is_noticed(name, answer):
    changed = []

    def careless(*arguments):
        value = answer(*arguments)
        for argument in arguments:
            for part in argument if isinstance(argument, list | tuple) else [argument]:
                if isinstance(part, np.ndarray):
                    part[...] = 0
                    changed.append(part)
        return value

    result = check(name, careless)
    assert result.passed != bool(changed)
    if changed:
        assert re.search("changes an array", result.message)
