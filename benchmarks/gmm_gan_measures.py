"""What the benchmarks of a generator with a mixture inside share: measures, cells, intervals."""

import fcntl
import json
from time import perf_counter

import numpy as np

from gmmlearn import metrics


class Yardstick:
    """Chapter 10's measures of pictures against real ones, in several spaces.

    Parameters
    ----------
    train, real : array (N, side, side), (M, side, side)
        What models learn from, and what their samples are compared with.
    spaces : dict of str to function (pictures) -> array (N, F)
        "pixels" and "judge"; the distances of sets are those of the judge's features, the distances
        to training pictures those of pixels.
    n_draws : int
        Sets of samples at each look, as many samples each as there are real pictures.
    """

    def __init__(self, train, real, spaces, n_draws=2):
        self.spaces, self.n_draws, self.n_real = spaces, n_draws, len(real)
        self.train = spaces["pixels"](train)
        self.real = {name: space(real) for name, space in spaces.items()}

    def measure(self, images, near=True):
        """Return the measures of pictures by name; `near` asks for those that find copies."""
        fake = {name: space(images) for name, space in self.spaces.items()}
        found = {"frechet": metrics.frechet_distance(self.real["judge"], fake["judge"])}
        found["kernel"] = metrics.kernel_distance(self.real["judge"], fake["judge"])
        for space in self.spaces:
            pair = metrics.precision_recall(self.real[space], fake[space])
            found[f"precision {space}"], found[f"recall {space}"] = pair
        if near:
            pair = metrics.nearest_distance_ratio(self.train, self.real["pixels"], fake["pixels"])
            found |= pair._asdict()
        return found

    def look(self, draw, near=True):
        """Return the mean measures of several sets; `draw(n, seed)` returns pictures."""
        sets = [draw(self.n_real, 5000 + i) for i in range(self.n_draws)]
        return means([self.measure(images, near) for images in sets])


class Cells:
    """Results by name, "group/what/seed", each in a file: what was broken off goes on.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    cells : dict of str to dict
        Settings by name; "looks" are the steps that a cell is measured at.
    """

    def __init__(self, folder, cells):
        self.folder, self.cells = folder, cells
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name):
        """Return the file of a cell's result."""
        return self.folder / f"{name.replace('/', '--').replace(' ', '_')}.json"

    def result(self, name):
        """Return a cell's result so far, or None."""
        path = self.path(name)
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def reached(self, name):
        """Return the last step that a cell was measured at."""
        result = self.result(name)
        return result["looks"][-1]["step"] if result else -1

    def results(self, group):
        """Return what the cells of a group found so far, by what and by seed."""
        found = {}
        for name in self.cells:
            if name.startswith(f"{group}/") and (result := self.result(name)):
                _, what, seed = name.split("/")
                found.setdefault(what, {})[int(seed)] = result
        return found

    def work(self, run, group, stop_at, until):
        """Go on with the cells of a group until the time is up; `run(name, stop_at)` does one."""
        for name, cell in self.cells.items():
            last = min(stop_at, cell["looks"][-1])
            if not name.startswith(group) or self.reached(name) >= last:
                continue
            if perf_counter() > until:
                print("time is up: call again", flush=True)
                return
            with open(self.path(name).with_suffix(".claim"), "w") as claim:
                try:
                    fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:  # another process is at it
                    continue
                if self.reached(name) >= last:
                    continue
                result = run(name, stop_at)
            shown = {k: round(v, 3) for k, v in result["looks"][-1].items() if k != "contrast"}
            print(name, " ".join(f"{k}={v}" for k, v in shown.items()), flush=True)


# -------------------------------------------------------------------------------------- over seeds


def means(rows):
    """Return the means of the measures."""
    return {k: float(f"{np.mean([row[k] for row in rows]):.5g}") for k in rows[0]}


def interval(values):
    """Return mean and 95 % interval (Student's t) over seeds; of one seed there is no interval."""
    if len(values) < 2:
        return [float(f"{values[0]:.4g}"), None, None]
    return [float(f"{v:.4g}") for v in metrics.mean_interval(values)]


def at(result, step, measure):
    """Return a measure of a cell at a step."""
    return next(look[measure] for look in result["looks"] if look["step"] == step)


def paired(ours, theirs, step, measure, their_step=None):
    """Return the mean difference over common seeds, with its interval."""
    seeds, other = sorted(set(ours) & set(theirs)), step if their_step is None else their_step
    return interval([at(ours[s], step, measure) - at(theirs[s], other, measure) for s in seeds])


def first_below(result, bound):
    """Return the first look, after step 0, at which the Frechet distance is at most `bound`."""
    reached = [k for k in result["looks"] if k["step"] and k["frechet"] <= bound]
    return {k: reached[0][k] for k in ("step", "cpu_seconds")} if reached else None


def measured(*groups):
    """Return the steps that all these runs were measured at."""
    steps = [{look["step"] for look in r["looks"]} for runs in groups for r in runs.values()]
    return sorted(set.intersection(*steps))


def table(groups):
    """Return mean and interval of each measure, by what and by step."""
    made = {}
    for what, runs in groups.items():
        for step in measured(runs):
            rows = [next(k for k in r["looks"] if k["step"] == step) for r in runs.values()]
            names = set.intersection(*map(set, rows)) - {"step", "cpu_seconds"}
            row = {m: interval([r[m] for r in rows]) for m in rows[0] if m in names}
            made.setdefault(what, {})[str(step)] = row
    return made
