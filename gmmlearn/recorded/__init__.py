"""Measurements (JSON) and trained weights (safetensors) that scripts of `benchmarks/` wrote."""

import json
from importlib.resources import files


def names():
    """Return the names that `load` knows.

    Returns
    -------
    list of str
        In alphabetical order.
    """
    return _stems(".json")


def weight_names():
    """Return the names that `load_weights` knows.

    Returns
    -------
    list of str
        In alphabetical order.
    """
    return _stems(".safetensors")


def _stems(suffix):
    """Return the sorted names, without `suffix`, of the files of this folder that end in it."""
    found = (entry.name for entry in files(__name__).iterdir())
    return sorted(name.removesuffix(suffix) for name in found if name.endswith(suffix))


def load(name):
    """Load a recorded measurement.

    Parameters
    ----------
    name : str
        Name of the script of `benchmarks/` that made it, such as "em_lesson".

    Returns
    -------
    dict
        The numbers, and where they come from: machine, versions, commit, seed, seconds.

    Raises
    ------
    ValueError
        If nothing of that name is recorded.

    Examples
    --------
    >>> load("em_lesson")["script"]
    'benchmarks/em_lesson.py'
    """
    # Comparing with the listing also keeps names such as "../x" inside this folder.
    if name not in names():
        raise ValueError(f"name is {name!r}, but there are only: {', '.join(names())}.")
    return json.loads(files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8"))


def load_weights(name):
    """Load recorded weights; nothing in the file is executed.

    Parameters
    ----------
    name : str
        Name of the weights, such as "judge_digits".

    Returns
    -------
    dict of str to array
        Each tensor by its name, as a fresh NumPy array.

    Raises
    ------
    ValueError
        If no weights of that name are recorded, or the file is damaged or of another format.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as read

    if name not in weight_names():
        known = ", ".join(weight_names()) or "none"
        raise ValueError(f"name is {name!r}, but there are only: {known}.")
    file = files(__name__).joinpath(f"{name}.safetensors")
    try:
        tensors = read(file.read_bytes())
    except SafetensorError as error:
        raise ValueError(
            f"{file.name} is not a whole safetensors file ({error}). "
            "Install the package again, or run the script of benchmarks/ that writes it."
        ) from None
    # The reader's arrays are views of the file's bytes, which cannot be written to.
    return {key: array.copy() for key, array in tensors.items()}
