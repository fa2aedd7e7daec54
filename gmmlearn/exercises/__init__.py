"""Check the answers to the book's exercises: ``check("03-gap", answer)``.

The exercises of chapter NN live in ``chapter_NN.py``. Each is a function that gets the answer and
returns None when it is right, or a sentence that says what is wrong with it. Its hint stands beside
it and is printed from the second wrong answer on::

    @exercise("03-gap", hint="What stands below q in the logarithm? Keep only terms with q > 0.")
    def gap(answer): ...

A hint helps one step further: it names the equation or the first step, as a question where it can,
in one or two sentences, without the solution's numbers and without code.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from traceback import walk_tb

from gmmlearn.exercises.judging import call, diagnose, first_fault, function_fault, mismatch

__all__ = [
    "CheckResult",
    "call",
    "check",
    "diagnose",
    "exercise",
    "first_fault",
    "function_fault",
    "mismatch",
    "names",
]

_EXERCISES = {}
_MISSES = {}  # wrong answers to each exercise since this session began or it was last solved


@dataclass(frozen=True)
class _Exercise:
    """What is known of an exercise: `checker(answer)` is None or a sentence, `hint` a sentence."""

    checker: Callable
    hint: str


@dataclass(frozen=True)
class CheckResult:
    """What `check` returns."""

    name: str
    """Name of the exercise."""
    passed: bool
    """Whether the answer is right."""
    message: str
    """What was printed."""

    def _ipython_display_(self):
        """Show nothing: the message is printed already."""


def exercise(name, *, hint):
    """Register the decorated function as the checker of exercise `name`.

    Parameters
    ----------
    name : str
        Such as "03-gap".
    hint : str
        One or two sentences, printed from the second wrong answer on.

    Returns
    -------
    callable
        The decorator.
    """

    def register(checker):
        _EXERCISES[name] = _Exercise(checker, hint)
        return checker

    return register


def names():
    """Return the names of all exercises, in the order of the book.

    Returns
    -------
    list of str
        Such as "03-gap".
    """
    for module in iter_modules(__path__):
        if module.name.startswith("chapter_"):
            import_module(f"{__name__}.{module.name}")
    return sorted(_EXERCISES)


def check(name, answer):
    """Say whether `answer` solves exercise `name`; print what is wrong if it does not.

    A second wrong answer to the same exercise also gets a hint, and so does every further one
    until a right answer.

    Parameters
    ----------
    name : str
        Name of the exercise, such as "03-gap".
    answer : object
        Your answer; ``...`` means not answered yet.

    Returns
    -------
    CheckResult
        With `.passed` and `.message`. Nothing is ever raised, whatever the answer is.
    """
    passed, message = _judge(name, answer)
    print(message)
    return CheckResult(str(name), passed, message)


def _judge(name, answer):
    """Return whether `answer` is right, and what to print."""
    known = names()
    if not isinstance(name, str) or name not in known:
        if isinstance(answer, str) and answer in known:
            return False, f"The name comes first: check({answer!r}, answer)."
        nearest = difflib.get_close_matches(str(name), known, n=1)
        cure = f"Did you mean {nearest[0]!r}?" if nearest else f"There are: {', '.join(known)}."
        return False, f"There is no exercise {name!r}. {cure}"
    if answer is ... or answer is None:
        return False, f"{name}: not answered yet."
    try:
        fault = _EXERCISES[name].checker(answer)
    except (Exception, SystemExit) as error:  # a learner's function may do anything
        fault = f"{_place(error, answer)}: {type(error).__name__}: {error}"
    if fault is None:
        _MISSES.pop(name, None)
        return True, f"{name}: correct."
    _MISSES[name] = _MISSES.get(name, 0) + 1
    hint = f"\nHint: {_EXERCISES[name].hint}" if _MISSES[name] > 1 else ""
    return False, f"{name}: not yet. {fault}{hint}"


def _place(error, answer):
    """Say where in the answer an error was raised, as far as that is known."""
    code = getattr(answer, "__code__", None)
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code is code]
    if not lines:
        return "Your answer could not be used"
    return f"Your function fails in its line {lines[-1] - code.co_firstlineno + 1}"
