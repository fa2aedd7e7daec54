"""The machinery of `check`; the answers of each chapter are tested in tests/exercises/."""

import re
from pathlib import Path

import numpy as np
import pytest

from gmmlearn import exercises
from gmmlearn.exercises import check, mismatch

BOOK = Path(__file__).parents[1] / "book"


@pytest.fixture
def toy(monkeypatch):
    exercises.names()  # loads the chapters, so that they register in the real table
    monkeypatch.setattr(exercises, "_EXERCISES", dict(exercises._EXERCISES))
    monkeypatch.setattr(exercises, "_MISSES", {})

    @exercises.exercise("00-toy", hint="It is even.")
    def toy(answer):
        return None if answer == 2 else "That is not two."


@pytest.mark.usefixtures("toy")
def test_check_says_right_wrong_and_not_answered(capsys):
    assert check("00-toy", 2).passed
    assert capsys.readouterr().out == "00-toy: correct.\n"
    result = check("00-toy", 3)
    assert not result.passed
    assert result.message == "00-toy: not yet. That is not two."
    for blank in (..., None):
        result = check("00-toy", blank)
        assert not result.passed
        assert result.message == "00-toy: not answered yet."


@pytest.mark.usefixtures("toy")
def test_hint_comes_with_the_second_wrong_answer_and_every_further_one(capsys):
    plain, hinted = "00-toy: not yet. That is not two.", "\nHint: It is even."
    for blank in (..., None):
        check("00-toy", blank)  # a blank counts as no answer
    said = [check("00-toy", wrong).message for wrong in (3, 4, 5)]
    assert said == [plain, plain + hinted, plain + hinted]
    assert plain + hinted + "\n" in capsys.readouterr().out
    assert check("00-toy", ...).message == "00-toy: not answered yet."
    check("no-such-exercise", 3)
    assert check("00-toy", 2).message == "00-toy: correct."
    assert check("00-toy", 3).message == plain  # a right answer forgets the wrong ones


@pytest.mark.usefixtures("toy")
def test_hints_are_counted_for_each_exercise_alone():
    check("01-kl", 3)
    assert "Hint" not in check("00-toy", 3).message


def leave(*arguments):
    raise SystemExit


@pytest.mark.parametrize("answer", [leave, lambda p, q: 1 / 0])
def test_functions_that_raise_are_reported(answer):
    assert "could not be used" in check("01-kl", answer).message


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("answer", [np.ones(3), object(), [], lambda: 1 / 0, float("nan")])
def test_check_never_raises_and_never_passes_garbage(answer):
    assert not check("00-toy", answer).passed


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("name", ["00-toi", "nonsense", 3, None, [1]])
def test_unknown_exercise_is_named(name):
    result = check(name, 1)
    assert not result.passed
    assert "There is no exercise" in result.message
    if name == "00-toi":
        assert "Did you mean '00-toy'?" in result.message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([1.0, 2.0 + 1e-9], None),
        ([1.0, 2.1], "the pair has the right shape, but not the right value."),
        ([1.0], r"the pair has shape (1,), expected (2,)."),
        ([1.0, float("nan")], "the pair contains NaN or infinity."),
        ("two", "the pair should be made of numbers, not str."),
        (["1.0", "2.0"], "the pair should be made of numbers, not list."),
        (None, "the pair should be made of numbers, not NoneType."),
        ([1.0, 2.0j], "the pair should be made of numbers, not list."),
        ([[1.0], [1.0, 2.0]], "the pair should be made of numbers, not list."),
    ],
)
def test_mismatch_says_how_it_differs(answer, message):
    assert mismatch(answer, [1.0, 2.0], "the pair") == message


def test_every_exercise_of_the_book_has_a_checker_and_the_reverse():
    chapters = "".join(path.read_text() for path in sorted(BOOK.glob("*.ipynb")))
    assert set(re.findall(r'check\(\\"(\d\d-[\w-]+)\\"', chapters)) == set(exercises.names())
