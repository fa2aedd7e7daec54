"""Categorical attributes of samples: their levels, their one-hot features, what is asked of them.

One-hot features make attributes as cheap as Gaussians in EM: the log probabilities of all samples
are one matrix product with the log tables (K, L), the expected counts one product of the
responsibilities with the same features.
"""

from collections.abc import Collection, Mapping

import numpy as np

MISSING = -1
"""What stands for an attribute that is not known."""


def as_attributes(attributes, n_samples):
    """Return `attributes` as a dict of int arrays (N,); -1 is missing.

    Parameters
    ----------
    attributes : dict of str to array-like (N,)
        Number of the level of each sample, -1 where it is not known.
    n_samples : int
        Number of samples N.

    Returns
    -------
    dict of str to int array (N,)

    Raises
    ------
    ValueError
        If it is no dict, or an entry is not N whole numbers >= -1.
    """
    if not isinstance(attributes, Mapping):
        raise ValueError(
            f"attributes must be a dict such as {{'season': [0, 3, 1]}}, not "
            f"{type(attributes).__name__}."
        )
    read = {}
    for name, values in attributes.items():
        values = np.asarray(values)
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise ValueError(
                f"attributes[{name!r}] of type {values.dtype} and shape {values.shape} must be "
                "whole numbers (n_samples,): the number of each sample's level, -1 if unknown."
            )
        if len(values) != n_samples:
            raise ValueError(
                f"attributes[{name!r}] has {len(values)} entries, but there are {n_samples} "
                "codes. Pass one for each."
            )
        if (values < MISSING).any():
            raise ValueError(
                f"attributes[{name!r}] contains {values.min()}. Number levels 0, 1, ...; -1 is "
                "for missing."
            )
        read[str(name)] = values.astype(int)
    return read


def levels_of(attributes, levels=None):
    """Return the levels of each attribute: those named, or 0, 1, ... up to the largest seen.

    Parameters
    ----------
    attributes : dict of str to int array (N,)
        From `as_attributes`.
    levels : dict of str to sequence, optional
        Names of levels.

    Returns
    -------
    dict of str to tuple

    Raises
    ------
    ValueError
        If `levels` names an attribute that is not there or a level twice, or an attribute is
        missing everywhere.
    """
    named = {} if levels is None else dict(levels)
    strange = sorted(set(named) - set(attributes))
    if strange:
        raise ValueError(f"levels names {strange}, but attributes has {sorted(attributes)}.")
    found = {}
    for name, values in attributes.items():
        largest = int(values.max())
        if name not in named and largest == MISSING:
            raise ValueError(f"attributes[{name!r}] is missing everywhere. Leave it out.")
        found[name] = tuple(named.get(name, range(largest + 1)))
        if len(set(found[name])) < len(found[name]):
            raise ValueError(f"levels[{name!r}] names a level twice. Name each once.")
    return found


def one_hot(attributes, levels, n_samples):
    """Return one column for each level of each attribute: 1 where it is; a row of 0 is missing.

    Parameters
    ----------
    attributes : dict of str to int array (N,)
        From `as_attributes`; what `levels` has and `attributes` has not is missing.
    levels : dict of str to tuple
        From `levels_of`.
    n_samples : int
        Number of samples N.

    Returns
    -------
    array (N, L)
        L counts the levels of all attributes, in the order of `levels`.

    Raises
    ------
    ValueError
        If an attribute is unknown, or a number has no level.
    """
    strange = sorted(set(attributes) - set(levels))
    if strange:
        raise ValueError(f"attributes has {strange}, but the model knows {sorted(levels)}.")
    features = np.zeros((n_samples, sum(map(len, levels.values()))))
    for name, columns in _columns(levels):
        values = attributes.get(name, np.full(n_samples, MISSING))
        if values.max(initial=MISSING) >= len(levels[name]):
            raise ValueError(
                f"attributes[{name!r}] contains {values.max()}, but its levels are numbered "
                f"0..{len(levels[name]) - 1}: {', '.join(map(str, levels[name]))}."
            )
        features[:, columns] = values[:, None] == np.arange(len(levels[name]))
    return features


def split(stacked, levels):
    """Return the columns (..., L) of each attribute by name.

    Parameters
    ----------
    stacked : array (..., L)
        Columns of all attributes side by side, as in `one_hot`.
    levels : dict of str to tuple
        From `levels_of`.

    Returns
    -------
    dict of str to array
    """
    return {name: stacked[..., columns] for name, columns in _columns(levels)}


def smoothed(counts, levels, concentration):
    """Return the tables that expected counts call for (eq. joint-m-step-tables).

    Parameters
    ----------
    counts : array (K, L)
        Responsibilities times `one_hot`.
    levels : dict of str to tuple
        From `levels_of`.
    concentration : float > 0
        Imaginary samples of each level.

    Returns
    -------
    tables : array (K, L)
        For each attribute, probabilities that sum to one.
    log_prior : float
        Their log density under the Dirichlet prior, up to a constant, nats.
    """
    tables = counts + concentration
    for part in split(tables, levels).values():
        part /= part.sum(axis=1, keepdims=True)
    return tables, float(concentration * np.log(tables).sum())


def as_asked(given, levels):
    """Return what is asked of each attribute as numbers of levels.

    Parameters
    ----------
    given : dict of str to level, or collection of levels
        Names of levels such as ``{"season": "spring"}``; a collection asks for any of them.
    levels : dict of str to tuple
        From `levels_of`.

    Returns
    -------
    dict of str to list of int

    Raises
    ------
    ValueError
        If an attribute or a level is unknown; the message lists those that are known.
    """
    asked = {}
    for name, wanted in given.items():
        if name not in levels:
            raise ValueError(f"There is no attribute {name!r}. Known are: {', '.join(levels)}.")
        several = isinstance(wanted, Collection) and not isinstance(wanted, str)
        numbers = {level: number for number, level in enumerate(levels[name])}
        chosen = list(dict.fromkeys(wanted)) if several else [wanted]
        strange = [level for level in chosen if level not in numbers]
        if strange or not chosen:
            fault = f"has no level {strange[0]!r}" if strange else "is asked for no level at all"
            raise ValueError(f"{name} {fault}. Known are: {', '.join(map(str, levels[name]))}.")
        asked[name] = [numbers[level] for level in chosen]
    return asked


def _columns(levels):
    """Yield the name and the columns of each attribute."""
    end = 0
    for name, names in levels.items():
        start, end = end, end + len(names)
        yield name, slice(start, end)
