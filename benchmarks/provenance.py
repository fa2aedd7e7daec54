"""Where recorded numbers come from: the processor, and the commit that was measured."""

import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


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
