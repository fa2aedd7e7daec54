"""Compare answers with what is right and with known mistakes; for the checkers of the chapters."""

import inspect
from numbers import Real

import numpy as np


def function_fault(answer, signature):
    """Return None where `answer` is a function, else a sentence that asks for one.

    Parameters
    ----------
    answer : object
        What the learner gave.
    signature : str
        How the function is called, such as "gap(X, q, mixture)".

    Returns
    -------
    str or None
        A class is no function.
    """
    if callable(answer) and not inspect.isclass(answer):
        return None
    return f"Give a function {signature}, without calling it."


def call(function, *arguments):
    """Call a learner's function on copies of `arguments`.

    Parameters
    ----------
    function : callable
        The answer.
    *arguments : object
        Arrays and tensors, also in lists and tuples, are copied; anything else is passed as it is.

    Returns
    -------
    value : object
        What the function returned.
    fault : str or None
        A sentence where the function changed an array or returned nothing.
    """
    copies = [_copy(argument) for argument in arguments]
    value = function(*copies)
    if not all(map(_unchanged, arguments, copies)):
        return value, "Your function changes an array that was passed to it: work on a copy."
    if value is None:
        return value, "Your function returns None: end it with a return statement."
    return value, None


def first_fault(answer, signature, cases, judge):
    """Try a learner's function on one case after the other, until something is wrong.

    Parameters
    ----------
    answer : object
        What the learner gave.
    signature : str
        How the function is called, as in `function_fault`.
    cases : iterable of tuple
        The arguments of each call.
    judge : callable
        ``judge(value, *arguments)`` returns None where `value` is right, else what is wrong.

    Returns
    -------
    str or None
        The first sentence that anything has to say.
    """
    fault = function_fault(answer, signature)
    for arguments in () if fault else cases:
        value, fault = call(answer, *arguments)
        fault = fault or judge(value, *arguments)
        if fault:
            break
    return fault


def _copy(argument):
    """Return a copy of an array, and of a list or tuple with copies of its arrays."""
    if isinstance(argument, list | tuple):
        return type(argument)([_copy(part) for part in argument])
    if hasattr(argument, "detach"):  # a tensor; torch itself may be absent
        return argument.detach().clone().requires_grad_(argument.requires_grad)
    return argument.copy() if isinstance(argument, np.ndarray) else argument


def _unchanged(before, after):
    """Return whether the arrays in an argument are as they were."""
    if isinstance(before, list | tuple):
        return len(before) == len(after) and all(map(_unchanged, before, after))
    if hasattr(before, "detach"):
        before, after = np.asarray(before.detach().cpu()), np.asarray(after.detach().cpu())
    return not isinstance(before, np.ndarray) or np.array_equal(
        before, after, equal_nan=before.dtype.kind == "f"
    )


def mismatch(answer, expected, what, rtol=1e-6):
    """Return None where `answer` equals `expected`, else a sentence that says how it differs.

    Parameters
    ----------
    answer : object
        What the learner gave; in place of one number, an array of one will do.
    expected : array-like
        The right value.
    what : str
        Name of the value in the sentence, such as "the mean".
    rtol : float
        Allowed difference, relative to the largest expected magnitude.

    Returns
    -------
    str or None
        It never contains the expected value.
    """
    what = what[:1].upper() + what[1:]
    expected = np.asarray(expected, dtype=float)
    if hasattr(answer, "detach"):  # a tensor, which NumPy refuses where it has a gradient
        answer = answer.detach().cpu()
    try:
        numbers = np.asarray(answer)
    except ValueError:  # rows of different lengths
        numbers = np.asarray(None)
    if numbers.dtype == object and all(isinstance(number, Real) for number in numbers.flat):
        numbers = numbers.astype(float)  # fractions
    if numbers.dtype.kind not in "biuf":  # text, None, functions, complex numbers
        return f"{what} should be made of real numbers, not {type(answer).__name__}."
    numbers = numbers.astype(float)
    if expected.shape == () and numbers.size == 1:
        numbers = numbers.reshape(())
    if expected.shape == () and numbers.shape != ():
        return f"{what} should be one number, not an array of shape {numbers.shape}."
    if numbers.shape != expected.shape:
        turned = numbers.ndim == 2 and numbers.shape == expected.shape[::-1]
        cure = ": rows and columns are exchanged" if turned else ""
        return f"{what} has shape {numbers.shape}, expected {expected.shape}{cure}."
    if not np.isfinite(numbers).all():
        return f"{what} contains NaN or infinity."
    allowed = rtol * (np.abs(expected).max(initial=0.0) or 1.0)
    if np.abs(numbers - expected).max(initial=0.0) <= allowed:
        return None
    return f"{what} {_difference(numbers, expected, allowed)}."


def _difference(numbers, expected, allowed):
    """Say how two arrays of one shape differ, by what they have in common."""

    def equal(left, right):
        return np.abs(left - right).max() <= allowed

    if equal(numbers, -expected):
        return "has the wrong sign"
    if equal(numbers / 100, expected):
        return "is a hundred times too large: give a share, not percent"
    if np.abs(numbers - expected).max() < 0.05 * np.abs(expected).max():
        return "is close, within five percent, but not equal"
    if expected.size == 1:
        return "is not the right number" if expected.shape == () else "is not the right value"
    if expected.ndim == 2 and numbers.shape == numbers.T.shape and equal(numbers, expected.T):
        return "is transposed: rows and columns are exchanged"
    if (
        expected.size > 2 and numbers.any() and np.ptp(expected) > allowed
    ):  # two numbers have too much in common
        if equal(np.sort(numbers, axis=None), np.sort(expected, axis=None)):
            return "holds the right numbers in another order"
        if equal(numbers - numbers.mean(), expected - expected.mean()):
            return "is right but for a constant that is added to all of it"
        if equal(numbers * (expected * numbers).sum() / (numbers**2).sum(), expected):
            return "is right but for a factor, the same in all of it"
    if np.allclose(expected.sum(axis=-1), 1.0) and not np.allclose(numbers.sum(axis=-1), 1.0):
        return "does not sum to one" if expected.ndim == 1 else "has rows that do not sum to one"
    if expected.ndim == 2 and len(expected) > 1 and expected.shape == expected.T.shape:
        if equal(expected, expected.T) and not equal(numbers, numbers.T):
            return "should be symmetric, and is not"
    wrong = np.argwhere(np.abs(numbers - expected) > allowed)
    if expected.size > 4 and len(wrong) < expected.size:
        where = ", ".join(map(str, wrong[0]))
        return f"is wrong in {len(wrong)} of {expected.size} entries, the first of them [{where}]"
    return "has the right shape, but not the right value"


def diagnose(answer, expected, what, mistakes, rtol=1e-6):
    """Return None where `answer` is right, else the remark on a known mistake, else the fault.

    Parameters
    ----------
    answer : object
        What the learner gave.
    expected : array-like
        The right value.
    what : str
        Name of the value in the sentence, such as "the mean".
    mistakes : iterable of (array-like, str)
        Wrong values that people really give, each with its remark.
    rtol : float
        Allowed difference, as in `mismatch`.

    Returns
    -------
    str or None
        One sentence.
    """
    fault = mismatch(answer, expected, what, rtol)
    if fault is None:
        return None
    remarks = (remark for wrong, remark in mistakes if mismatch(answer, wrong, what, rtol) is None)
    return next(remarks, fault)
