"""Settings for every test: unit tests, docstring examples, notebooks and built pages."""

import os

# Before anything loads NumPy; test workers and notebook kernels inherit it. The tests run one
# process per core, and a last digit must not depend on how many cores there are.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import matplotlib  # noqa: E402
from hypothesis import settings  # noqa: E402

# No test opens a window. Not by environment variable: notebook kernels draw in the page.
matplotlib.use("agg")

# The same examples on every machine, and no failure because a machine is slow.
settings.register_profile("book", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("book")
