"""Tensors: the device's pass against NumPy's, in two namespaces, and its accuracy in float32."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import array_api_strict
import numpy as np
import pytest
import torch
from array_api_compat import array_namespace
from problems import ALL as BY_NAME
from problems import blobs, gaussians, start_of
from sklearn.exceptions import ConvergenceWarning

from gmmlearn import GaussianMixture
from gmmlearn import device as device_module
from gmmlearn import table as table_module
from gmmlearn.covariance import STRUCTURES
from gmmlearn.device import DeviceTable
from gmmlearn.statistics import LOSS_LIMIT, SINGLE_LOSS_LIMIT, Posterior, sweep
from gmmlearn.table import Table

ALL = pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)
KINDS = {"torch": torch.asarray, "array_api_strict": array_api_strict.asarray}
needs_card = pytest.mark.skipif(not torch.cuda.is_available(), reason="skipped: no CUDA device")


def quietly(mixture, X, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(X, **arguments)


@ALL
@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("exact", [[], [0, 1, 2], [0, 2]], ids=["expanded", "centred", "mixed"])
@pytest.mark.parametrize("weighted", [False, True])
def test_pass_is_numpys(structure, make, exact, weighted, monkeypatch):
    if structure.shared and len(exact) == 2:
        pytest.skip("a shared covariance takes one route for all")
    monkeypatch.setattr(table_module, "BLOCK_BYTES", 1)  # blocks of 128, the last one short
    X, params = gaussians(structure)
    weight = np.random.default_rng(3).uniform(0.5, 2.0, len(X)) if weighted else None
    tensors = make(X), None if weight is None else make(weight)
    results = []
    for kind, data, row_weight in ((Table, X, weight), (DeviceTable, *tensors)):
        table = kind(data, structure, 3, row_weight)
        posterior = Posterior(structure, params)
        posterior.exact = np.array(exact, dtype=int)
        if len(exact) == 3:
            posterior.natural = None
        centres = table.centres(params.means, exact)
        sums = sweep(table, posterior, centres, exact)
        whole = posterior.on(table).whole_log_joint(table, table.blocks[-1])
        assert len(table.blocks) == 4
        results.append([*sums, np.asarray(whole), table.shift, table.variance, table.total])
        results[-1] += [*table.frame, table.total_weight]
    for ours, expected in zip(*results[::-1], strict=True):
        assert isinstance(ours, float | np.ndarray)
        np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-9)


def test_tensors_stay_tensors_of_their_type_and_place():
    X = torch.tensor(blobs(), dtype=torch.float32, requires_grad=True)
    mixture = GaussianMixture(3, random_state=0).fit(X)
    for answer, dtype in (
        (mixture.score_samples(X), torch.float32),
        (mixture.predict_proba(X), torch.float32),
        (mixture.predict(X), torch.int64),
    ):
        assert (answer.dtype, answer.device, answer.requires_grad) == (dtype, X.device, False)
    labels = GaussianMixture(3, random_state=0).fit_predict(X)
    assert torch.equal(labels, mixture.predict(X))


def test_a_mixture_answers_for_every_kind():
    X = blobs()
    of_tensor = GaussianMixture(3, random_state=0).fit(torch.tensor(X))
    of_array = GaussianMixture(3, random_state=0).fit(X)
    np.testing.assert_allclose(of_tensor.score_samples(X), of_array.score_samples(X), rtol=1e-10)
    answer = of_array.score_samples(torch.tensor(X)).numpy()
    np.testing.assert_allclose(answer, of_array.score_samples(X), rtol=1e-10)


@BY_NAME
def test_tight_clusters_far_apart_keep_their_digits(covariance_type):
    rng = np.random.default_rng(0)
    means = np.array([[0.0, 0.0], [1e6, 0.0], [0.0, 1e6], [0.02, 0.01]])
    X = means[rng.integers(4, size=2000)] + 0.01 * rng.normal(size=(2000, 2))
    start = start_of(X, covariance_type, 4) | {"means_init": means, "max_iter": 10, "reg_covar": 0}
    start["precisions_init"] = 1e4 * np.ones_like(start["precisions_init"])
    if covariance_type in ("full", "tied"):
        start["precisions_init"] *= np.eye(2)
    ours = quietly(GaussianMixture(**start), torch.tensor(X))
    expected = quietly(GaussianMixture(**start), X)
    np.testing.assert_allclose(ours.covariances_, expected.covariances_, rtol=1e-10)
    assert ours.lower_bound_ == pytest.approx(expected.lower_bound_, abs=1e-10)


@BY_NAME
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_float32_is_right_to_a_thousandth_of_a_nat(covariance_type, offset):
    X = (blobs(2000) + offset).astype(np.float32)
    start = start_of(X.astype(float), covariance_type) | {"max_iter": 20, "tol": 0.0}
    ours = quietly(GaussianMixture(**start), torch.tensor(X))
    expected = quietly(GaussianMixture(**start), X)  # NumPy computes in float64
    np.testing.assert_allclose(ours.weights_, expected.weights_, rtol=1e-4)
    scale = np.abs(expected.covariances_).max()
    np.testing.assert_allclose(ours.covariances_, expected.covariances_, atol=1e-4 * scale)
    answer = ours.score_samples(torch.tensor(X)).numpy()
    assert np.abs(answer - expected.score_samples(X)).max() < 2e-3


def test_float32_takes_the_centred_route_much_earlier():
    structure = STRUCTURES["diag"]
    _, params = gaussians(structure)
    between = np.sqrt(np.sqrt(LOSS_LIMIT * SINGLE_LOSS_LIMIT) / 3)
    params = params._replace(means=params.means + between)
    single = DeviceTable(
        torch.zeros(2, 3), structure, 3, frame=Table(np.eye(3), structure, 1).frame
    )
    assert len(Posterior(structure, params, eps=single.eps).exact) == 3
    assert len(Posterior(structure, params).exact) == 0


def test_starts_are_made_of_some_rows_when_there_are_many(monkeypatch):
    monkeypatch.setattr(device_module, "START_ROWS", 200)
    X = blobs(2000, spread=8.0)
    weight = np.ones(2000)
    weight[:500] = 0.0
    tensor = torch.tensor(X)
    first = GaussianMixture(3, random_state=0).fit(tensor, sample_weight=weight)
    again = GaussianMixture(3, random_state=0).fit(tensor, sample_weight=weight)
    np.testing.assert_array_equal(first.means_, again.means_)
    whole = GaussianMixture(3, random_state=0).fit(X, sample_weight=weight)
    assert first.lower_bound_ == pytest.approx(whole.lower_bound_, abs=1e-3)
    table = DeviceTable(tensor, STRUCTURES["full"], 3, torch.tensor(weight))
    few = table.on_host(np.random.RandomState(0))
    assert 100 < few.n_samples < 200 and (few.weight > 0).all()
    assert {tuple(row) for row in few.X} <= {tuple(row) for row in X[500:]}


def test_streams_of_tensors():
    X = blobs(900)
    ours, expected = (GaussianMixture(3, random_state=0) for _ in range(2))
    for part in np.split(X, 3):
        ours.partial_fit(torch.tensor(part))
        expected.partial_fit(part)
    np.testing.assert_allclose(ours.means_, expected.means_, rtol=1e-9)
    np.testing.assert_allclose(ours.covariances_, expected.covariances_, rtol=1e-9)


def test_constant_and_collinear_features_are_singular_in_float32():
    X = blobs(500, 4, 2)
    X[:, 3] = 2.0 * X[:, 0] + X[:, 1]
    with pytest.raises(ValueError, match="singular"):
        GaussianMixture(2, reg_covar=0.0).fit(torch.tensor(X, dtype=torch.float32))
    X[:, 3] = 1e4 + 0.1
    with pytest.raises(ValueError, match="singular"):
        GaussianMixture(2, reg_covar=0.0).fit(torch.tensor(X, dtype=torch.float32))


@needs_card
@BY_NAME
@pytest.mark.parametrize("weighted", [False, True])
def test_a_card_gives_numpys_result_and_keeps_the_data(covariance_type, weighted):
    X = blobs(5000)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(X)) if weighted else None
    start = start_of(X, covariance_type) | {"max_iter": 20}
    tensor = torch.tensor(X, device="cuda")
    ours = quietly(GaussianMixture(**start), tensor, sample_weight=weight)
    expected = quietly(GaussianMixture(**start), X, sample_weight=weight)
    np.testing.assert_allclose(ours.covariances_, expected.covariances_, rtol=1e-10)
    for method in ("score_samples", "predict", "predict_proba"):
        answer = getattr(ours, method)(tensor)
        assert answer.device == tensor.device
        np.testing.assert_allclose(answer.cpu(), getattr(expected, method)(X), atol=1e-9)


@needs_card
def test_a_card_in_float32():
    X = blobs(5000).astype(np.float32)
    start = start_of(X.astype(float), "full") | {"max_iter": 20}
    ours = quietly(GaussianMixture(**start), torch.tensor(X, device="cuda"))
    expected = quietly(GaussianMixture(**start), X)
    np.testing.assert_allclose(ours.weights_, expected.weights_, rtol=1e-4)


def test_namespace_of_a_tensor_needs_no_dispatch_setting():
    import sklearn

    assert not sklearn.get_config()["array_api_dispatch"]
    assert array_namespace(torch.zeros(1)).__name__.startswith("array_api_compat")


def test_the_benchmark_of_cards_runs_on_a_processor():
    script = Path(__file__).parents[1] / "benchmarks" / "em_card.py"
    command = [sys.executable, script, "--device", "cpu", "--size", "500", "3", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)["rows"]
    assert {(row["covariance_type"], row["dtype"]) for row in rows} == {
        (covariance_type, f"torch.float{bits}")
        for covariance_type in ("diag", "full")
        for bits in (32, 64)
    }
    for row in rows:
        assert row["means_differ"] < (1e-10 if row["dtype"] == "torch.float64" else 1e-3)
        assert min(row["seconds"]["gmmlearn"]) > row["bandwidth_limit"]
