"""Files that are never half written."""

import os
from pathlib import Path


def write_atomically(path, content):
    """Write bytes so that `path` holds either all of them or what it held before.

    Parameters
    ----------
    path : str or Path
    content : bytes
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # or a power cut could leave the new name with nothing in it
    os.replace(part, path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # makes the renaming itself last
        finally:
            os.close(folder)
