"""Each structure against SciPy's density, naive sums, and numbers worked by hand."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from gmmlearn.covariance import STRUCTURES, Parameters, SingularCovariance

K, D, N = 3, 4, 50
ALL = pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)


def example(structure, seed=0):
    """Return parameters of the structure, and the same covariances as K full matrices."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(K, D, D))
    matrices = raw @ raw.swapaxes(1, 2) + np.eye(D)
    full = {
        "full": matrices,
        "tied": np.repeat(matrices[:1], K, axis=0),
        "diag": np.stack([np.diag(np.diag(matrix)) for matrix in matrices]),
        "spherical": np.stack([matrix[0, 0] * np.eye(D) for matrix in matrices]),
    }[structure.name]
    covariances = {
        "full": full,
        "tied": full[:1],
        "diag": np.diagonal(full, axis1=1, axis2=2).copy(),
        "spherical": full[:, :1, 0],
    }[structure.name]
    weights = np.array([0.5, 0.3, 0.2])
    means = 2.0 * rng.normal(size=(K, D))
    return Parameters(weights, means, covariances, structure.factor(covariances)), full


def features_of(structure, X):
    """Return the features (P, B) of points (B, D)."""
    features = np.empty((structure.n_statistics(X.shape[1]), len(X)))
    features[-1 - X.shape[1] : -1] = X.T
    structure.fill_features(features, X.shape[1])
    return features


def reference_log_joint(params, full, X):
    pairs = zip(params.weights, params.means, full, strict=True)
    return np.stack([np.log(w) + multivariate_normal(m, c).logpdf(X) for w, m, c in pairs])


@ALL
def test_one_matrix_product_gives_scipys_log_density(structure):
    params, full = example(structure)
    X = np.random.default_rng(1).normal(size=(N, D))
    log_joint = structure.natural(params) @ features_of(structure, X)
    log_joint = log_joint + structure.common(X.T, params)
    np.testing.assert_allclose(log_joint, reference_log_joint(params, full, X), atol=1e-11)


@ALL
def test_centred_distances_give_scipys_log_density(structure):
    params, full = example(structure)
    X = np.random.default_rng(1).normal(size=(N, D))
    factors = params.precisions_cholesky
    distances = np.stack(
        [
            structure.mahalanobis((X - mean).T, factors[k % len(factors)])
            for k, mean in enumerate(params.means)
        ]
    )
    log_det = structure.log_det_precision(params.precisions_cholesky, D)
    log_joint = np.log(params.weights)[:, None] + log_det[:, None] - D / 2 * np.log(2 * np.pi)
    expected = reference_log_joint(params, full, X)
    np.testing.assert_allclose(log_joint - distances / 2, expected, atol=1e-11)


@ALL
def test_common_total_is_the_sum_of_common(structure):
    params, _ = example(structure)
    Z = np.random.default_rng(1).normal(size=(D, N))
    total = structure.common_total(params, Z @ Z.T)
    np.testing.assert_allclose(total, np.sum(structure.common(Z, params)), rtol=1e-12)


@ALL
def test_moments_from_the_product_are_the_naive_ones(structure):
    rng = np.random.default_rng(2)
    X, resp = rng.normal(size=(N, D)) + 1.0, rng.dirichlet(np.ones(K), size=N)
    packed = resp.T @ features_of(structure, X).T
    sums = structure.unpack(-1.0, packed, D, X.T @ X)
    means = sums.first / sums.counts[:, None]
    moments = structure.centred_moments(sums.second, sums.counts, means)
    full = np.stack([np.cov(X.T, aweights=resp[:, k], ddof=0) for k in range(K)])
    pooled = np.tensordot(resp.sum(axis=0) / N, full, axes=1)
    variances = np.diagonal(full, axis1=1, axis2=2)
    expected = {
        "full": full,
        "tied": pooled[None],
        "diag": variances,
        "spherical": variances.mean(axis=1, keepdims=True),
    }[structure.name]
    np.testing.assert_allclose(sums.counts, resp.sum(axis=0))
    np.testing.assert_allclose(means, resp.T @ X / resp.sum(axis=0)[:, None])
    np.testing.assert_allclose(moments, expected, atol=1e-12)


@ALL
def test_factors_invert(structure):
    params, full = example(structure)
    factors = params.precisions_cholesky
    np.testing.assert_allclose(structure.invert(factors), params.covariances, atol=1e-12)
    precisions = structure.precisions(factors)
    np.testing.assert_allclose(structure.factor_precisions(precisions), factors, atol=1e-12)
    roots = structure.roots(factors)
    noise = np.random.default_rng(0).normal(size=(5, D))
    expected = noise @ np.linalg.cholesky(full[1]).T
    np.testing.assert_allclose(structure.colour(noise, roots[1 % len(roots)]), expected)


@ALL
def test_log_determinant(structure):
    params, full = example(structure)
    log_det = structure.log_det_precision(params.precisions_cholesky, D)
    expected = -0.5 * np.linalg.slogdet(full)[1]
    np.testing.assert_allclose(np.broadcast_to(log_det, K), expected)


@ALL
def test_rescaled_features_rescale_the_density_by_the_jacobian(structure):
    params, _ = example(structure)
    factors = np.full(D, 8.0) if structure.isotropic else np.array([8.0, 0.5, 1.0, 2.0])
    covariances, cholesky = structure.rescale(*params[2:], factors)
    np.testing.assert_allclose(cholesky, structure.factor(covariances), rtol=1e-12)
    change = structure.log_det_precision(cholesky, D)
    change = change - structure.log_det_precision(params.precisions_cholesky, D)
    np.testing.assert_allclose(change, -np.log(factors).sum())


@ALL
def test_public_shape_and_back(structure):
    params, _ = example(structure)
    public = structure.to_public(params.covariances)
    sizes = {"n_components": K, "n_features": D}
    assert public.shape == tuple(sizes[axis] for axis in structure.public_shape)
    np.testing.assert_array_equal(structure.to_internal(public), params.covariances)
    assert structure.shape(K, D) == params.covariances.shape


def test_free_parameters_by_hand():
    counts = {name: one.n_parameters(2, 3) for name, one in STRUCTURES.items()}
    assert counts == {"full": 12, "tied": 6, "diag": 6, "spherical": 2}


@ALL
def test_singular_covariance_names_the_component(structure):
    covariances = example(structure)[0].covariances.copy()
    covariances[-1] = 0.0
    with pytest.raises(SingularCovariance, match=f"component {len(covariances) - 1} .*reg_covar"):
        structure.factor(covariances)


def test_covariance_of_too_few_points_is_refused_whatever_rounding_makes_of_it():
    rng = np.random.default_rng(0)
    for _ in range(300):
        n_features = rng.integers(2, 7)
        mix = rng.normal(size=(n_features, n_features)) + 3.0 * rng.normal(size=n_features)
        X = rng.normal(size=(n_features, n_features)) @ mix
        with pytest.raises(SingularCovariance):
            STRUCTURES["full"].factor(np.cov(X.T, ddof=0)[None])


def test_covariance_that_is_singular_but_for_rounding_is_refused():
    column = np.random.default_rng(0).normal(size=(100, 1))
    X = np.hstack([column, 3.0 * column + 0.1])
    with pytest.raises(SingularCovariance):
        STRUCTURES["full"].factor(np.cov(X.T)[None])


@ALL
def test_amplification_bounds_the_loss_of_the_expanded_square(structure):
    params, full = example(structure)
    far = params._replace(means=params.means + 1e5)
    X = far.means[0] + np.random.default_rng(1).normal(size=(N, D))
    reach = np.abs(far.means) + np.sqrt(structure.variances(far.covariances))
    bound = np.finfo(float).eps * structure.amplification(reach, far.precisions_cholesky)[0]
    got = structure.natural(far) @ features_of(structure, X) + structure.common(X.T, far)
    error = np.abs(got - reference_log_joint(far, full, X))[0].max()
    assert 1e-3 * bound < error < 8 * bound
