"""What is wrong with tensors, Dask arrays and their weights is said by name, with a cure."""

import dask.array
import numpy as np
import pytest
import torch
from problems import blobs

from gmmlearn import GaussianMixture

X = blobs(60)
FEATURES = r"X has 2 features, but GaussianMixture is expecting 3"


def chunked(values, **settings):
    return dask.array.from_array(np.asarray(values), **settings)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.tensor(X[:, 0]), r"X has shape \(60,\), expected .*Reshape your data"),
        (torch.tensor(X).to(torch.int64), r"X is a torch array of torch.int64.*X.double\(\)"),
        (torch.tensor(X).to(torch.float16), r"X is a torch array of torch.float16.*X.float\(\)"),
        (torch.tensor(X).to(torch.complex64), r"X is a torch array of torch.complex64"),
        (torch.tensor(np.where(X > 3, np.inf, X)), r"X contains infinity\. Remove"),
        (torch.tensor(np.where(X > 3, np.nan, X)), r"X is a torch array, and missing values"),
        (torch.tensor(X[:1]), r"1 sample.*minimum of 2"),
        (torch.tensor(X[:, :0]), r"0 feature"),
        (torch.tensor(X[:2]), r"n_components is 3, but X has only n_samples = 2"),
        (torch.tensor(X) * 1e200, r"overflow\. Divide"),
        (chunked(X[:, 0]), r"X has shape \(60,\), expected .*Reshape your data"),
        (chunked(X, chunks=(60, 2)), r"X is a Dask array with 2 chunks of columns.*rechunk"),
        (chunked(X)[chunked(X)[:, 0] > 0], r"compute_chunk_sizes"),
        (chunked(X).astype(complex), r"X is a Dask array of ndarray of complex128.*Pass"),
        (chunked(np.where(X > 3, np.inf, X)), r"infinite, or so large"),
        (chunked(X[:2]), r"n_components is 3, but X has only n_samples = 2"),
        (chunked(np.where([True, False, False], np.nan, X)), r"Feature 0 of X has no value"),
    ],
)
def test_bad_data_are_named(data, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(3).fit(data)


@pytest.mark.parametrize("make", [torch.tensor, chunked])
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(59), "sample_weight has .*59.*60"),
        (np.where(np.arange(60) == 7, -1.0, 1.0), "sample_weight has a negative entry"),
        (np.zeros(60), "sample_weight is zero everywhere"),
        (np.where(np.arange(60) == 7, np.nan, 1.0), "sample_weight contains NaN"),
    ],
)
def test_bad_weights_are_named(make, weight, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(3).fit(make(X), sample_weight=weight)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(59), r"sample_weight has shape \(59,\), but X has 60 rows"),
        (np.where(np.arange(60) == 7, -1.0, 1.0), "sample_weight has a negative"),
        (np.zeros(60), "sample_weight is zero everywhere"),
        (np.where(np.arange(60) == 7, np.nan, 1.0), "sample_weight has .*missing entry"),
    ],
)
def test_bad_weights_of_dask_are_named(weight, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(3).fit(chunked(X), sample_weight=chunked(weight))


@pytest.mark.parametrize("make", [torch.tensor, chunked])
def test_other_features_than_at_fit_are_refused(make):
    mixture = GaussianMixture(3, random_state=0).fit(make(X))
    assert mixture.n_features_in_ == 3
    with pytest.raises(ValueError, match=FEATURES):
        mixture.predict(make(X[:, :2]))


def test_rows_too_far_to_be_told_apart_are_refused():
    mixture = GaussianMixture(3, random_state=0).fit(X)
    far = torch.tensor(np.full((1, 3), 1e200))
    with pytest.raises(ValueError, match="so far from the mixture"):
        mixture.score_samples(far)


def test_imputing_tensors_is_refused_by_name():
    mixture = GaussianMixture(3, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"X is a torch array.*impute.*X\.cpu\(\)\.numpy\(\)"):
        mixture.impute(torch.tensor(X))
