"""Data and starts that several test modules share."""

import numpy as np
import pytest

from gmmlearn.covariance import Parameters

TYPES = ("full", "tied", "diag", "spherical")
ALL = pytest.mark.parametrize("covariance_type", TYPES)
STARTS = ("kmeans", "k-means++", "random", "random_from_data")
FITTED = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


def blobs(n_samples=600, n_features=3, n_components=3, seed=0, spread=4.0):
    """Return overlapping groups with different covariances, centred on the origin."""
    rng = np.random.default_rng(seed)
    means = spread * rng.normal(size=(n_components, n_features))
    roots = 0.7 * rng.normal(size=(n_components, n_features, n_features))
    labels = rng.integers(n_components, size=n_samples)
    noise = rng.normal(size=(n_samples, n_features))
    X = means[labels] + np.einsum("nd,ned->ne", noise, roots[labels])
    return X - X.mean(axis=0)


def start_of(X, covariance_type, n_components=3, seed=0):
    """Return arguments that fix the whole start."""
    rng = np.random.default_rng(seed)
    precision = 1.0 / X.var(axis=0)
    return {
        "n_components": n_components,
        "covariance_type": covariance_type,
        "weights_init": np.full(n_components, 1.0 / n_components),
        "means_init": X[rng.choice(len(X), n_components, replace=False)],
        "precisions_init": {
            "full": np.tile(np.diag(precision), (n_components, 1, 1)),
            "tied": np.diag(precision),
            "diag": np.tile(precision, (n_components, 1)),
            "spherical": np.full(n_components, 1.0 / X.var(axis=0).mean()),
        }[covariance_type],
        "tol": 1e-6,
        "max_iter": 2000,
    }


def gaussians(structure, n_samples=500, n_features=3, n_components=3, seed=0):
    """Return points and parameters in their own frame."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)) * [1.0, 3.0, 0.2] + [5.0, -2.0, 0.0]
    shape = structure.shape(n_components, n_features)
    variances = rng.uniform(0.5, 2.0, size=(shape[0], n_features))
    covariances = structure.from_variances(variances)
    means = rng.normal(size=(n_components, n_features))
    weights = rng.dirichlet(np.ones(n_components))
    return X, Parameters(weights, means, covariances, structure.factor(covariances))
