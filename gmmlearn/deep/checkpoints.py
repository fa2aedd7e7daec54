"""Checkpoints: the whole state of a training run in one file that is never half written.

The file is a safetensors file: tensors one after another, and a header of text that holds the
rest as JSON. Reading it executes nothing. It is written under another name, flushed to the disk
and renamed: a run that is killed, at whatever moment, leaves the old file or the new one.
"""

import json
from collections import Counter

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from gmmlearn._files import write_atomically

_FORMAT = "gmmlearn checkpoint 1"


def write_checkpoint(path, state, settings):
    """Write the state of a run.

    Parameters
    ----------
    path : str or Path
        The file; an older one of that name is replaced as a whole.
    state : nested dicts, lists and tuples of tensors, numbers, strings, booleans and None
        What torch's `state_dict` methods return, for instance.
    settings : dict of str to str, number, boolean or None
        What the run was started with: only a run with the same settings reads the file.

    Raises
    ------
    ValueError
        If the state holds anything else: only plain values are read back without executing code.
    """
    tensors = {}
    header = {
        "format": _FORMAT,
        "settings": json.dumps(settings),
        "state": json.dumps(_pack(state, "state", tensors)),
    }
    write_atomically(path, save(tensors, header))


def read_checkpoint(path, settings):
    """Read the state of a run, if it is one with these settings.

    Parameters
    ----------
    path : str or Path
    settings : dict
        As for `write_checkpoint`.

    Returns
    -------
    state
        Equal to what was written, tensors on the CPU.

    Raises
    ------
    ValueError
        If the file is cut short, is another kind of file, or belongs to another run.
    """
    cure = "Delete it to start anew, or name another file."
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != _FORMAT:
                raise ValueError(f"checkpoint {path} was not written by this package. {cure}")
            _require_same(path, json.loads(header["settings"]), json.loads(json.dumps(settings)))
            return _unpack(json.loads(header["state"]), file)
    except SafetensorError as error:
        raise ValueError(
            f"checkpoint {path} is cut short, or is another kind of file ({error}). {cure}"
        ) from None


def _pack(value, place, tensors):
    """Return `value` as JSON's types, its tensors moved to `tensors` under the name of a place."""
    if isinstance(value, torch.Tensor):
        tensors[place] = value.detach().cpu().clone().contiguous()  # tied weights become two
        return {"tensor": place}
    if isinstance(value, dict):  # as pairs: JSON would turn Adam's whole numbers into strings
        kind = "counter" if isinstance(value, Counter) else "dict"
        return {kind: [[k, _pack(v, f"{place}/{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        packed = [_pack(v, f"{place}/{i}", tensors) for i, v in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": packed}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"{place} is a {type(value).__name__}, which a checkpoint cannot hold. Use modules, "
        "optimizers and schedulers whose state_dict() holds tensors, numbers and text."
    )


def _unpack(value, file):
    """Return what `_pack` was given."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return file.get_tensor(content).clone()  # the file's own memory may go
    if kind in ("dict", "counter"):
        parts = {k: _unpack(v, file) for k, v in content}
        return parts if kind == "dict" else Counter(parts)
    parts = [_unpack(v, file) for v in content]
    return tuple(parts) if kind == "tuple" else parts


def _require_same(path, written, wanted):
    """Raise if a checkpoint was written with other settings."""
    for name in sorted(written.keys() | wanted.keys()):
        if written.get(name) != wanted.get(name):
            raise ValueError(
                f"checkpoint {path} was written for {name} = {written.get(name)}, not "
                f"{wanted.get(name)}. Go back to the former, or delete the file or name another "
                "one to start anew."
            )
