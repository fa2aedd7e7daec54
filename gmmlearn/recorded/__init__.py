"""Measurements that chapters show: each is a JSON file that a script of `benchmarks/` wrote."""

import json
from importlib.resources import files


def names():
    """Return the names that `load` knows.

    Returns
    -------
    list of str
        In alphabetical order.
    """
    found = (entry.name for entry in files(__name__).iterdir())
    return sorted(name.removesuffix(".json") for name in found if name.endswith(".json"))


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
