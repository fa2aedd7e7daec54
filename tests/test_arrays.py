"""Each kind of array gives NumPy's result or is refused by name: the published table."""

import re
import warnings

import dask.array
import numpy as np
import pytest
import torch
from problems import FITTED, blobs

from gmmlearn import GaussianMixture, arrays
from gmmlearn.arrays import DASK, NUMPY, TORCH

MAKE = {
    NUMPY: np.array,
    TORCH: torch.tensor,
    DASK: lambda X: dask.array.from_array(X, chunks={0: 130}),
}
COLUMNS = ("complete", "weights", "missing values", "both")


def published_table():
    """Return {(kind, structure, column): whether supported} as the docstring has it."""
    rows = re.findall(r"^ +(NumPy|torch|Dask) +(\w+) +(.*)$", GaussianMixture.__doc__, re.MULTILINE)
    return {
        (kind, structure, column): cell == "yes"
        for kind, structure, cells in rows
        for column, cell in zip(COLUMNS, cells.split(), strict=True)
    }


TABLE = published_table()


def problem(column):
    X = blobs(300, 3, 3)
    if column in ("missing values", "both"):
        X[np.random.default_rng(1).random(X.shape) < 0.1] = np.nan
    weight = np.random.default_rng(2).uniform(0.0, 2.0, 300)
    weight[::11] = 0.0
    return X, weight if column in ("weights", "both") else None


def fit(X, weight, covariance_type):
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0, max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return mixture.fit(X, sample_weight=weight)


def test_the_table_is_whole():
    structures = {structure for _, structure, _ in TABLE}
    accepted = GaussianMixture._parameter_constraints["covariance_type"][0].options
    assert structures == accepted
    assert len(TABLE) == 3 * len(structures) * len(COLUMNS)


@pytest.mark.parametrize("cell", TABLE, ids=" ".join)
def test_cell_of_the_published_table(cell):
    kind, structure, column = cell
    X, weight = problem(column)
    given, kept = MAKE[kind](X), X.copy()
    if not TABLE[cell]:
        with pytest.raises(ValueError, match=structure) as refusal:
            fit(given, weight, structure)
        if kind != NUMPY:
            assert f"X is a {kind} array" in str(refusal.value)
            assert arrays.HOW_TO_HOST[kind] in str(refusal.value)
        if structure in str(arrays.REFUSED):
            return
        assert "missing values (NaN)" in str(refusal.value)
        return
    mixture, reference = fit(given, weight, structure), fit(X, weight, structure)
    for name in FITTED:
        value, expected = getattr(mixture, name), getattr(reference, name)
        assert isinstance(value, np.ndarray)
        np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-12, err_msg=name)
    assert mixture.n_iter_ == reference.n_iter_
    for method in ("score_samples", "predict", "predict_proba"):
        answer, expected = getattr(mixture, method)(given), getattr(reference, method)(X)
        assert type(answer) is type(given)
        assert answer.dtype == MAKE[kind](expected).dtype
        np.testing.assert_allclose(np.asarray(answer), expected, rtol=1e-9, atol=1e-10)
    assert mixture.score(given, None, weight) == pytest.approx(reference.score(X, None, weight))
    for criterion in ("aic", "bic", "icl"):
        assert getattr(mixture, criterion)(given) == pytest.approx(getattr(reference, criterion)(X))
    np.testing.assert_array_equal(np.asarray(given), kept)
