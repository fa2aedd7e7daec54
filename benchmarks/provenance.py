"""What every benchmark writes: where its numbers come from, records, parts that are kept."""

import fcntl
import json
import os
import platform
import shutil
import subprocess
import tempfile
import weakref
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter

from threadpoolctl import threadpool_info

import gmmlearn
from gmmlearn._files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
RECORDED = ROOT / "gmmlearn" / "recorded"


def origin(script, *libraries, **more):
    """Return what every record begins with: script, machine, versions, commit, and `more`.

    `script` is the caller's ``__file__``; `libraries` are installed packages beside NumPy and this
    one, such as "torch" or "scikit-learn". Threads are the most that any library takes at present.
    """
    return {
        "script": Path(script).resolve().relative_to(ROOT).as_posix(),
        "machine": {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "threads": max((pool["num_threads"] for pool in threadpool_info()), default=1),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in ("numpy", *libraries)},
            "gmmlearn": gmmlearn.__version__,
        },
        **commit(),
        **more,
    }


def cpu_name():
    """Return the processor's name, as well as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def commit():
    """Return the commit that was measured, and which files of code differ from it."""
    code = ["gmmlearn/*.py", "benchmarks/*.py"]
    try:
        git = ["git", "-C", str(ROOT)]
        head = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True, stderr=-3).strip()
        changed = subprocess.check_output([*git, "status", "--porcelain", "--", *code], text=True)
        return {"commit": head, "changed": [line[3:] for line in changed.splitlines()]}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": "unknown", "changed": []}


def _version(library):
    """Return the installed version of a library, as its package says."""
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def write_record(path, record, indent=1):
    """Write a record as JSON, whole or not at all, and say so."""
    write_atomically(path, (json.dumps(record, indent=indent) + "\n").encode())
    print(f"wrote {Path(path).name}, {record['seconds']} s of work", flush=True)


def rounded(value):
    """Return `value` with all floats in it at five digits."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


@contextmanager
def alone(path):
    """Let no other process read and write a file at the same time, if it asks here as well."""
    with open(Path(tempfile.gettempdir()) / f"gmmlearn-{Path(path).name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Kept:
    """Parts of a long measurement, each kept in a folder, so that a run broken off goes on.

    Without a folder the parts are kept nowhere. `kept(name, function, *arguments)` returns what
    the function returns, as JSON gives it back, and computes it only if no part has that name.
    """

    def __init__(self, folder=None):
        self.folder = Path(folder or tempfile.mkdtemp())
        if not folder:
            weakref.finalize(self, shutil.rmtree, self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.parts = {}

    def __call__(self, name, function, *arguments):
        path = self.folder / f"{name}.json"
        if not path.exists():
            begin = perf_counter()
            part = {"value": function(*arguments)}
            part |= {"seconds": round(perf_counter() - begin, 1)} | commit()
            write_atomically(path, json.dumps(part).encode())
            print(name, f"{part['seconds']} s", flush=True)
        self.parts[name] = json.loads(path.read_text(encoding="utf-8"))
        return self.parts[name]["value"]

    def origin(self, *beginnings):
        """Return commits, changed files and seconds of the parts used whose names begin so."""
        parts = [part for name, part in self.parts.items() if name.startswith(beginnings or "")]
        return {
            "commits": sorted({part["commit"] for part in parts}),
            "changed": sorted({path for part in parts for path in part["changed"]}),
            "seconds": round(sum(part["seconds"] for part in parts), 1),
        }
