"""What the benchmarks of the GMM-GAN share: measures, cells that go on, intervals over seeds."""

import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from scipy import stats

from gmmlearn import metrics

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def shared():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import gmm_gan_measures

        yield gmm_gan_measures
    finally:
        sys.path.remove(str(BENCHMARKS))


def run(*pairs):
    return {"looks": [{"step": n, "cpu_seconds": n / 100, "frechet": f} for n, f in pairs]}


def test_an_interval_is_students(shared):
    values = [3.0, 5.0, 4.0, 8.0, 1.0]
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    np.testing.assert_allclose(shared.interval(values), [4.2, *expected], rtol=1e-3)
    assert shared.interval([2.0]) == [2.0, None, None]


def test_differences_are_paired_by_seed_and_have_a_sign(shared):
    ours = {s: run((0, 9.0), (10, f)) for s, f in {2: 1.0, 0: 4.0, 9: 7.0, 1: 2.0}.items()}
    theirs = {s: run((0, 9.0), (20, f)) for s, f in {0: 5.0, 1: 4.0, 2: 6.0, 7: 99.0}.items()}
    mean, low, high = shared.paired(ours, theirs, 10, "frechet", their_step=20)
    expected = stats.ttest_rel([4.0, 2.0, 1.0], [5.0, 4.0, 6.0]).confidence_interval()
    np.testing.assert_allclose([mean, low, high], [-8 / 3, *expected], rtol=1e-3)


def test_a_table_has_the_common_steps_and_the_common_measures(shared):
    runs = {0: run((0, 9.0), (10, 1.0)), 1: run((0, 7.0), (10, 3.0), (20, 0.0))}
    runs[0]["looks"][0]["ratio"] = 1.0
    assert shared.measured(runs) == [0, 10]
    made = shared.table({"plain": runs})["plain"]
    assert set(made) == {"0", "10"}
    assert set(made["0"]) == {"frechet"}
    assert made["10"]["frechet"][0] == 2.0


def test_the_first_look_below_a_bound_leaves_out_the_start(shared):
    result = run((0, 1.0), (500, 8.0), (1000, 5.0), (2000, 4.0))
    assert shared.first_below(result, 5.0) == {"step": 1000, "cpu_seconds": 10.0}
    assert shared.first_below(result, 3.9) is None


def test_a_look_is_the_mean_of_the_metrics_of_each_draw(shared):
    rng = np.random.default_rng(0)
    train, real, *fakes = rng.normal(size=(4, 60, 2, 2))
    spaces = {"pixels": lambda X: X.reshape(-1, 4), "judge": lambda X: X.reshape(-1, 4)[:, :2] ** 3}
    asked = []

    def draw(n, seed):
        asked.append((n, seed))
        return fakes[seed - 5000]

    found = shared.Yardstick(train, real, spaces).look(draw)
    assert asked == [(60, 5000), (60, 5001)]

    def mean(function):
        return np.mean([function(fake) for fake in fakes])

    pixels, judge = spaces.values()
    expected = {
        "frechet": mean(lambda x: metrics.frechet_distance(judge(real), judge(x))),
        "precision pixels": mean(lambda x: metrics.precision_recall(pixels(real), pixels(x))[0]),
        "recall judge": mean(lambda x: metrics.precision_recall(judge(real), judge(x))[1]),
        "ratio": mean(
            lambda x: metrics.nearest_distance_ratio(pixels(train), pixels(real), pixels(x)).ratio
        ),
    }
    assert {m: found[m] for m in expected} == pytest.approx(expected, rel=1e-4)
    assert "ratio" not in shared.Yardstick(train, real, spaces).look(draw, near=False)


def test_cells_go_on_where_they_were_left(shared, tmp_path, capsys):
    cells = shared.Cells(tmp_path, {f"a/x y/{s}": {"looks": [0, 10, 20]} for s in range(2)})
    calls = []

    def one(name, stop_at):
        calls.append((name, stop_at))
        result = run(*((n, 1.0) for n in (0, 10, 20) if n <= stop_at))
        cells.path(name).write_text(shared.json.dumps(result))
        return result

    soon = perf_counter() + 60
    cells.work(one, "a", 10, soon)
    cells.work(one, "a", 10, soon)
    assert calls == [("a/x y/0", 10), ("a/x y/1", 10)]
    cells.work(one, "a", 99, perf_counter() - 1)
    assert len(calls) == 2
    assert "time is up" in capsys.readouterr().out
    cells.work(one, "a", 99, soon)
    assert [cells.reached(name) for name in cells.cells] == [20, 20]
    assert sorted(cells.results("a")["x y"]) == [0, 1]
    assert cells.results("b") == {}
