"""The machinery of `check`; the answers of each chapter are tested in tests/exercises/."""

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gmmlearn import exercises
from gmmlearn.exercises import call, check, first_fault, function_fault, mismatch

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


def divide(p, q):
    return 1 / 0


def divide_inside(p, q):
    p.marginal([0])
    return divide(p, q)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (divide, "Your function fails in its line 2: ZeroDivisionError: division by zero"),
        (divide_inside, "Your function fails in its line 3: ZeroDivisionError: division by zero"),
        (leave, "Your function fails in its line 2: SystemExit: "),
        (lambda: 1, "Your answer could not be used: TypeError: "),
    ],
)
def test_functions_that_raise_are_reported(answer, said):
    assert said in check("01-kl", answer).message


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("answer", [np.ones(3), object(), [], lambda: 1 / 0, float("nan")])
def test_check_never_raises_and_never_passes_garbage(answer):
    assert not check("00-toy", answer).passed


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("name", ["00-toi", "nonsense", 3, None, [1], np.array(["a", "b"])])
def test_unknown_exercise_is_named(name):
    result = check(name, 1)
    assert not result.passed
    assert "There is no exercise" in result.message
    if str(name) == "00-toi":
        assert "Did you mean '00-toy'?" in result.message


def test_exchanged_arguments_are_noticed():
    result = check(np.mean, "01-kl")
    assert result.message == "The name comes first: check('01-kl', answer)."
    assert not result.passed


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([1.0, 2.0 + 1e-9], None),
        ([1.0, 2.03], "is close, within five percent, but not equal."),
        ([100.0, 200.0], "is a hundred times too large: give a share, not percent."),
        (np.array([1, 2]), None),
        ([Fraction(1), Fraction(4, 2)], None),
        ([1.0, 2.1], "has the right shape, but not the right value."),
        ([-1.0, -2.0], "has the wrong sign."),
        ([1.0], "has shape (1,), expected (2,)."),
        ([1.0, float("nan")], "contains NaN or infinity."),
        ("two", "should be made of real numbers, not str."),
        (["1.0", "2.0"], "should be made of real numbers, not list."),
        (None, "should be made of real numbers, not NoneType."),
        ([1.0, 2.0j], "should be made of real numbers, not list."),
        ([[1.0], [1.0, 2.0]], "should be made of real numbers, not list."),
    ],
)
def test_mismatch_says_how_a_pair_differs(answer, message):
    assert mismatch(answer, [1.0, 2.0], "the pair") == (message and f"The pair {message}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda A: A + 1e-9, None),
        (lambda A: -A, "has the wrong sign."),
        (lambda A: A.T, "is transposed: rows and columns are exchanged."),
        (lambda A: A[::-1], "holds the right numbers in another order."),
        (lambda A: A + 3.0, "is right but for a constant that is added to all of it."),
        (lambda A: A / 8.0, "is right but for a factor, the same in all of it."),
        (lambda A: A * [1, 1, 2], "is wrong in 2 of 9 entries, the first of them [0, 2]."),
        (lambda A: A**2 + 0.5, "has the right shape, but not the right value."),
        (lambda A: 0.0 * A, "is wrong in 8 of 9 entries, the first of them [0, 0]."),
        (lambda A: A[:, :2], "has shape (3, 2), expected (3, 3)."),
    ],
)
def test_mismatch_says_what_two_matrices_have_in_common(change, message):
    A = np.array([[2.0, 1.0, 3.0], [5.0, 7.0, 4.0], [6.0, 8.0, 0.0]])
    assert mismatch(change(A), A, "the matrix") == (message and f"The matrix {message}")


def test_mismatch_names_exchanged_axes_and_takes_one_number_in_brackets():
    fault = mismatch(np.ones((3, 2)), np.ones((2, 3)), "it")
    assert fault == "It has shape (3, 2), expected (2, 3): rows and columns are exchanged."
    for one in (2.0, [2.0], np.array([[2.0]])):
        assert mismatch(one, 2.0, "the mean") is None
    assert mismatch([3.0], 2.0, "the mean") == "The mean is not the right number."
    fault = mismatch([2.0, 2.0], 2.0, "the mean")
    assert fault == "The mean should be one number, not an array of shape (2,)."
    assert mismatch(-2.0, 2.0, "the mean") == "The mean has the wrong sign."


def test_mismatch_takes_tensors():
    torch = pytest.importorskip("torch")
    assert mismatch(torch.tensor([1.0, 2.0], requires_grad=True), [1.0, 2.0], "it") is None


def test_call_hands_over_copies_and_notices_changes():
    given = np.array([1.0, np.nan])
    arguments = given, [given.copy()], "text"
    assert call(lambda array, several, text: array[0], *arguments) == (1.0, None)

    def change(array, several, text):
        (array if text == "text" else several[0])[0] = 9.0
        return 1.0

    for text in ("text", "other"):
        value, fault = call(change, given, [given.copy()], text)
        assert value == 1.0 and "changes an array" in fault
    assert given[0] == 1.0
    assert "returns None" in call(print, given)[1]


def test_call_copies_tensors():
    torch = pytest.importorskip("torch")
    given = torch.tensor([1.0, 2.0], requires_grad=True)
    value, fault = call(lambda x: (2 * x).sum().backward() or x.grad.sum(), given)
    assert value == 4.0 and fault is None and given.grad is None

    def change(x):
        x.data[0] = 9.0
        return 1.0

    assert "changes an array" in call(change, given)[1]
    assert given[0] == 1.0


def test_only_functions_are_functions():
    assert function_fault(np.mean, "f(x)") is None
    for answer in (3, np.ones(2), int):
        assert function_fault(answer, "f(x)") == "Give a function f(x), without calling it."


def test_first_fault_stops_at_the_first_case_that_goes_wrong():
    tried = []

    def judge(value, x, y):
        tried.append(x)
        return None if value == x + y else f"wrong at {x}"

    cases = [(1, 2), (3, 4), (5, 6)]
    assert first_fault(lambda x, y: x + y, "f(x, y)", cases, judge) is None
    assert tried == [1, 3, 5]
    assert first_fault(lambda x, y: 3, "f(x, y)", cases, judge) == "wrong at 3"
    assert tried == [1, 3, 5, 1, 3]
    assert "returns None" in first_fault(lambda x, y: None, "f(x, y)", cases, judge)
    assert "Give a function f(x, y)" in first_fault(3.0, "f(x, y)", cases, judge)
    assert tried == [1, 3, 5, 1, 3]


def test_every_exercise_of_the_book_has_a_checker_and_the_reverse():
    chapters = "".join(path.read_text() for path in sorted(BOOK.glob("*.ipynb")))
    assert set(re.findall(r'check\(\\"(\d\d-[\w-]+)\\"', chapters)) == set(exercises.names())
