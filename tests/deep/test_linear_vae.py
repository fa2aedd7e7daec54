"""Where everything is known: evidence, posterior, bound and gap against SciPy and brute force."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from scipy.optimize import minimize
from sklearn.decomposition import PCA

from gmmlearn.deep.linear_vae import LinearVAE

D = 5


def make(latent_dim=3, seed=0, orthogonal=False):
    rng = np.random.default_rng(seed)
    loadings = rng.standard_normal((D, latent_dim))
    if orthogonal:
        loadings = np.linalg.qr(loadings)[0] * rng.uniform(0.5, 3.0, latent_dim)
    model = LinearVAE(loadings, rng.standard_normal(D), 0.4)
    return model, rng.standard_normal((6, D))


def arrays(model):
    return [p.detach().numpy() for p in (model.loadings, model.offset, model.noise_variance)]


def values(tensor):
    return tensor.detach().numpy()


@pytest.mark.parametrize("seed", range(3))
def test_evidence_equals_scipy(seed):
    model, X = make(seed=seed)
    W, m, variance = arrays(model)
    dense = stats.multivariate_normal(m, W @ W.T + variance * np.eye(D))
    np.testing.assert_allclose(values(model.log_prob(X)), dense.logpdf(X), rtol=1e-11)


def test_posterior_is_a_slice_of_the_joint_gaussian():
    model, X = make()
    W, m, variance = arrays(model)
    covariance = W @ W.T + variance * np.eye(D)
    gain = W.T @ np.linalg.inv(covariance)
    mean, spread = map(values, model.posterior(X))
    np.testing.assert_allclose(mean, (X - m) @ gain.T, atol=1e-12)
    np.testing.assert_allclose(spread, np.eye(3) - gain @ W, atol=1e-12)


def test_both_terms_equal_integrals():
    model = LinearVAE([[1.3], [-0.4]], [0.2, 0.5], 0.7)
    x, mean, log_var = np.array([1.0, -0.3]), 0.6, -0.9
    W, m, variance = arrays(model)
    q = stats.norm(mean, np.exp(0.5 * log_var))

    def expected(f):
        return integrate.quad(lambda z: q.pdf(z) * f(z), -12, 12, epsabs=1e-13, epsrel=1e-13)[0]

    def reconstruct(z):
        return stats.norm.logpdf(x, m + W[:, 0] * z, np.sqrt(variance)).sum()

    code = torch.tensor([[[mean]], [[log_var]]], dtype=torch.float64)
    terms = model.elbo_terms(x[None], *code)
    assert terms.reconstruction_log_prob.item() == pytest.approx(expected(reconstruct), abs=1e-10)
    kl = expected(lambda z: q.logpdf(z) - stats.norm.logpdf(z))
    assert terms.kl.item() == pytest.approx(kl, abs=1e-10)


def gaussian_divergence(mean, covariance, other_mean, other_covariance):
    """Return KL(first || second) of two Gaussians, from its textbook formula."""
    inverse, shift = np.linalg.inv(other_covariance), other_mean - mean
    log_dets = np.linalg.slogdet(other_covariance)[1] - np.linalg.slogdet(covariance)[1]
    return 0.5 * (np.trace(inverse @ covariance) + shift @ inverse @ shift - len(mean) + log_dets)


@pytest.mark.parametrize("seed", range(4))
def test_any_encoders_gap_is_its_divergence_from_the_posterior(seed):
    model, X = make(seed=seed)
    rng = np.random.default_rng(seed)
    z_mean, z_log_var = torch.tensor(rng.standard_normal((2, 6, 3)))
    elbo = values(model.elbo_terms(X, z_mean, z_log_var).elbo)
    mean, covariance = map(values, model.posterior(X))
    for n in range(6):
        q = z_mean[n].numpy(), np.diag(np.exp(z_log_var[n].numpy()))
        expected = gaussian_divergence(*q, mean[n], covariance)
        assert values(model.log_prob(X))[n] - elbo[n] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_the_best_encoders_gap_is_the_closed_form(seed):
    model, X = make(seed=seed)
    mean, covariance = map(values, model.posterior(X))
    z_mean, z_log_var = model.best_encoder(X)
    gap = values(model.log_prob(X) - model.elbo_terms(X, z_mean, z_log_var).elbo)
    q = np.diag(np.exp(values(z_log_var)[0]))
    expected = gaussian_divergence(mean[0], q, mean[0], covariance)
    assert expected > 1e-3
    np.testing.assert_allclose(gap, expected, rtol=0, atol=1e-10)
    assert model.gap().item() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_orthogonal_columns_leave_no_gap(seed):
    model, X = make(seed=seed, orthogonal=True)
    elbo = values(model.elbo_terms(X, *model.best_encoder(X)).elbo)
    np.testing.assert_allclose(elbo, values(model.log_prob(X)), rtol=0, atol=1e-10)
    assert abs(model.gap().item()) < 1e-12


def test_no_diagonal_encoder_beats_the_best_one():
    model, X = make(latent_dim=2)
    best = values(model.elbo_terms(X, *model.best_encoder(X)).elbo)[0]

    def loss(code):
        mean, log_var = torch.tensor(code).reshape(2, 1, 2)
        return -model.elbo_terms(X[:1], mean, log_var).elbo.item()

    found = minimize(
        loss, np.zeros(4), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}
    )
    assert -found.fun == pytest.approx(best, abs=1e-8)
    z_mean, z_log_var = model.best_encoder(X[:1])
    np.testing.assert_allclose(found.x, values(torch.cat([z_mean, z_log_var])).ravel(), atol=1e-4)


def test_closed_form_fit_is_scikit_learns_probabilistic_pca():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, D)) @ rng.standard_normal((D, D)) + 3.0
    model = LinearVAE.fit(X, 2)
    # scikit-learn divides by N - 1, we by N: shrink what it is fitted to, not what it scores.
    pca = PCA(2).fit(X * np.sqrt(199 / 200))
    expected = pca.score_samples(X - X.mean(axis=0) + pca.mean_)
    np.testing.assert_allclose(values(model.log_prob(X)), expected, rtol=1e-9)
    columns = values(model.loadings)
    assert abs(columns[:, 0] @ columns[:, 1]) < 1e-10
    assert np.linalg.norm(columns[:, 0]) > np.linalg.norm(columns[:, 1])


def test_no_other_parameters_have_greater_evidence():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((80, D)) @ rng.standard_normal((D, D))
    model = LinearVAE.fit(X, 2)
    model.log_prob(X).mean().backward()
    for parameter in model.parameters():
        assert parameter.grad.abs().max() < 1e-10
    best, state = model.log_prob(X).mean().item(), model.loadings.detach().clone()
    for _ in range(20):
        with torch.no_grad():
            model.loadings.copy_(state + 0.1 * torch.tensor(rng.standard_normal((D, 2))))
        assert model.log_prob(X).mean().item() < best


def test_turning_the_codes_changes_the_gap_and_not_the_evidence():
    model, X = make(latent_dim=2, orthogonal=True)
    W, m, variance = arrays(model)
    c, s = np.cos(0.6), np.sin(0.6)
    turned = LinearVAE(W @ [[c, -s], [s, c]], m, variance)
    np.testing.assert_allclose(values(turned.log_prob(X)), values(model.log_prob(X)), atol=1e-11)
    assert turned.gap().item() > 0.01


def test_what_is_passed_in_is_not_changed():
    W, m, X = np.ones((D, 2)), np.zeros(D), np.ones((3, D))
    copies = [part.copy() for part in (W, m, X)]
    model = LinearVAE(W, m, 1.0)
    with torch.no_grad():
        model.loadings.add_(1.0)
        model.offset.add_(1.0)
    model.log_prob(X)
    assert all(map(np.array_equal, (W, m, X), copies))


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: LinearVAE(np.ones(3), np.zeros(3), 1.0), "loadings has shape"),
        (lambda: LinearVAE(np.ones((3, 1)), np.zeros(2), 1.0), "offset has 2 numbers.*3 rows"),
        (lambda: LinearVAE(np.ones((3, 1)), np.zeros(3), 0.0), "noise_variance must be"),
        (lambda: LinearVAE.fit(np.eye(3), 3), "latent_dim is 3.*smaller latent_dim"),
        (lambda: LinearVAE.fit(np.outer(np.arange(4.0), np.ones(3)), 1), "no spread left"),
        (lambda: LinearVAE.fit(np.eye(3), 0), "latent_dim must be at least 1"),
        (lambda: make()[0].log_prob(np.ones((2, 4))), "x has 4 features, expected 5"),
        (lambda: make()[0].log_prob(torch.ones(2, 4)), "x has shape .2, 4., expected"),
    ],
)
def test_bad_input_is_named(make_it, message):
    with pytest.raises(ValueError, match=message):
        make_it()
