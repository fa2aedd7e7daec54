"""Autoencoder and VAE: each term, each refusal, and that training does what it promises."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.decomposition import PCA
from torch import nn

from gmmlearn.datasets import digits
from gmmlearn.deep.autoencoder import (
    VAE,
    Autoencoder,
    elbo_terms,
    fit_autoencoder,
    fit_vae,
    require_pixels,
    to_codes,
    to_pixels,
)
from gmmlearn.deep.elbo import gaussian_kl
from gmmlearn.deep.linear_vae import LinearVAE
from gmmlearn.deep.networks import MLP
from gmmlearn.deep.pixels import as_pixels
from gmmlearn.deep.prior import MixturePrior, StandardNormal
from gmmlearn.deep.training import seeded

D, LATENT = 5, 2


@pytest.fixture(scope="module")
def pixels():
    return as_pixels(digits("train").X[:200], limits=(0, 16))


def small(kind=VAE, latent_dim=LATENT, seed=0, **settings):
    n_out = 2 * latent_dim if kind is VAE else latent_dim
    with seeded(seed):
        encoder = MLP((1, 8, 8), n_out, width=32, depth=1)
        decoder = MLP(latent_dim, (1, 8, 8), width=32, depth=1)
    return kind(encoder, decoder, **settings)


def linear_vae(seed=0, prior=None):
    """Return a VAE of linear maps, the same model in closed form, and its encoder's Gaussian."""
    rng = np.random.default_rng(seed)
    exact = LinearVAE(rng.standard_normal((D, LATENT)), rng.standard_normal(D), 0.3)
    encoder, decoder = nn.Linear(D, 2 * LATENT).double(), nn.Linear(LATENT, D).double()
    with torch.no_grad():
        decoder.weight.copy_(exact.loadings)
        decoder.bias.copy_(exact.offset)
    model = VAE(encoder, decoder, prior, pixel_std=math.sqrt(0.3)).double()
    return model, exact, torch.tensor(rng.standard_normal((3, D)))


# ------------------------------------------------------------------------------------- the terms


def many_draws(model, x, n=40_000):
    """Return the mean of both terms over draws for each point, and their standard errors."""
    terms = elbo_terms(model, x.repeat_interleave(n, dim=0), torch.Generator().manual_seed(0))
    parts = [part.detach().reshape(len(x), n) for part in terms]
    return [(p.mean(dim=1), p.std(dim=1) / math.sqrt(n)) for p in parts]


def test_draws_agree_in_mean_with_the_exact_expectations():
    model, exact, x = linear_vae()
    expected = exact.elbo_terms(x, *model.encode(x))
    (found, error), (kl, no_error) = many_draws(model, x)
    assert (abs(found - expected.reconstruction_log_prob.detach()) < 4.5 * error).all()
    torch.testing.assert_close(kl, expected.kl.detach(), rtol=0, atol=1e-12)
    assert (no_error < 1e-12).all()  # exact: no draw in it


def test_a_drawn_cost_agrees_in_mean_with_the_exact_one():
    prior = StandardNormal(LATENT).double()
    model, _, x = linear_vae(prior=prior)
    _, (kl, error) = many_draws(model, x)
    expected = gaussian_kl(*model.encode(x)).detach()
    assert (error > 1e-4).all()
    assert (abs(kl - expected) < 4.5 * error).all()


def test_a_mixtures_cost_agrees_with_an_integral():
    prior = MixturePrior(3, 1).double()
    encoder, decoder = nn.Linear(D, 2).double(), nn.Linear(1, D).double()
    model = VAE(encoder, decoder, prior).double()
    x = torch.tensor(np.random.default_rng(0).standard_normal((1, D)))
    _, (kl, error) = many_draws(model, x)
    mean, log_var = (part.item() for part in model.encode(x))
    q, grid = stats.norm(mean, math.exp(0.5 * log_var)), np.linspace(-12, 12, 20_001)
    log_prior = prior.log_prob(torch.tensor(grid)[:, None]).detach().numpy()
    expected = np.trapezoid(q.pdf(grid) * (q.logpdf(grid) - log_prior), grid)
    assert abs(kl.item() - expected) < 4.5 * error.item()


def test_the_bound_stays_below_the_evidence_by_the_divergence_from_the_posterior():
    model, exact, x = linear_vae(seed=1)
    (found, error), (kl, _) = many_draws(model, x)
    z_mean, z_log_var = model.encode(x)
    mean, covariance = exact.posterior(x)
    for n in range(len(x)):
        q = torch.distributions.MultivariateNormal(z_mean[n], torch.diag(z_log_var[n].exp()))
        p = torch.distributions.MultivariateNormal(mean[n], covariance)
        gap = torch.distributions.kl_divergence(q, p).item()
        short = exact.log_prob(x)[n].item() - (found[n] - kl[n]).item()
        assert short == pytest.approx(gap, abs=4.5 * error[n].item())


def test_reconstruction_is_summed_over_pixels_in_nats(pixels):
    model = small(pixel_std=0.3)
    x = pixels[:4]
    rng = torch.Generator().manual_seed(1)
    terms = elbo_terms(model, x, rng)
    z_mean, z_log_var = model.encode(x)
    noise = torch.randn(z_mean.shape, generator=torch.Generator().manual_seed(1))
    mean = model.decode(z_mean + torch.exp(0.5 * z_log_var) * noise).detach().numpy()
    expected = stats.norm.logpdf(x.numpy(), mean, 0.3).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(terms.reconstruction_log_prob.detach(), expected, rtol=1e-5)
    assert terms.elbo.shape == (4,)


def test_the_gradient_of_the_bound_equals_finite_differences(pixels):
    model = small(learn_pixel_std=True).double()
    x = pixels[:3].double()

    def value():
        return elbo_terms(model, x, torch.Generator().manual_seed(2)).elbo.sum()

    value().backward()
    for parameter in model.parameters():
        index = np.unravel_index(int(parameter.grad.abs().argmax()), parameter.shape)
        slope = []
        for nudge in (1e-6, -1e-6):
            with torch.no_grad():
                parameter[index] += nudge
                slope.append(value().item())
                parameter[index] -= nudge
        expected = (slope[0] - slope[1]) / 2e-6
        assert parameter.grad[index].item() == pytest.approx(expected, rel=1e-5)


def test_log_prior_is_the_standard_normals():
    z = torch.randn(6, LATENT, generator=torch.Generator().manual_seed(3))
    expected = stats.multivariate_normal(np.zeros(LATENT)).logpdf(z.numpy())
    np.testing.assert_allclose(small().log_prior(z), expected, rtol=1e-6)
    with_prior = small(prior=StandardNormal(LATENT))
    np.testing.assert_allclose(with_prior.log_prior(z), expected, rtol=1e-6)


# --------------------------------------------------------------------------------------- training


def test_a_linear_autoencoder_finds_the_principal_plane():
    rng = np.random.default_rng(0)
    X = (
        rng.standard_normal((300, D))
        * [2.0, 1.5, 0.3, 0.2, 0.1]
        @ np.linalg.qr(rng.standard_normal((D, D)))[0]
    )
    X = torch.tensor(X / np.abs(X).max(), dtype=torch.float32)
    with seeded(1):
        model = Autoencoder(nn.Linear(D, LATENT), nn.Linear(LATENT, D))
    fit_autoencoder(model, X, n_steps=800, batch_size=300, learning_rate=0.05, device="cpu")
    pca = PCA(LATENT).fit(X.numpy())
    best = np.square(X.numpy() - pca.inverse_transform(pca.transform(X.numpy()))).sum(axis=1).mean()
    with torch.no_grad():
        found = (model(X) - X).square().sum(dim=1).mean().item()
    assert best * 0.9999 < found < best * 1.001
    plane = np.linalg.qr(model.decoder.weight.detach().numpy())[0]
    cosines = np.linalg.svd(plane.T @ pca.components_.T)[1]
    np.testing.assert_allclose(cosines, 1.0, atol=1e-4)


def test_training_raises_the_bound_and_reports_its_terms(pixels):
    model = small()
    trained = fit_vae(model, pixels, n_steps=300, batch_size=50, device="cpu")
    history = trained.history
    assert set(history) == {"elbo", "reconstruction_log_prob", "kl"}
    assert all(values.shape == (300,) for values in history.values())
    difference = history["reconstruction_log_prob"] - history["kl"]
    np.testing.assert_allclose(history["elbo"], difference, atol=1e-3)
    assert history["elbo"][-20:].mean() > history["elbo"][:20].mean() + 50


def test_an_autoencoder_reports_the_error_per_picture(pixels):
    model = small(Autoencoder)
    with torch.no_grad():
        codes = model.encode(pixels[:50])
        expected = (model.decode(codes) - pixels[:50]).square().sum(dim=(1, 2, 3)).mean().item()
    history = fit_autoencoder(model, pixels[:50], n_steps=1, batch_size=50, device="cpu").history
    assert history["squared_error"][0] == pytest.approx(expected, rel=1e-5)
    assert history["code_length"][0] == pytest.approx(codes.square().sum(dim=1).mean().item())


def test_the_penalty_shortens_codes(pixels):
    lengths = []
    for penalty in (0.0, 3.0):
        model = small(Autoencoder)
        settings = {"n_steps": 200, "batch_size": 50, "code_penalty": penalty, "device": "cpu"}
        fit_autoencoder(model, pixels, **settings)
        lengths.append(np.square(to_codes(model, pixels)).sum(axis=1).mean())
    assert lengths[1] < 0.7 * lengths[0]


@pytest.mark.parametrize(("kind", "fit"), [(VAE, fit_vae), (Autoencoder, fit_autoencoder)])
def test_the_same_seed_gives_the_same_history(pixels, kind, fit):
    runs = []
    for seed in (0, 0, 1):
        history = fit(
            small(kind), pixels, n_steps=20, batch_size=50, seed=seed, device="cpu"
        ).history
        runs.append(np.stack(list(history.values())))
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_the_pixels_std_is_learned_only_where_asked(pixels):
    fixed, free = small(pixel_std=0.5), small(pixel_std=0.5, learn_pixel_std=True)
    for model in (fixed, free):
        fit_vae(model, pixels, n_steps=100, batch_size=50, learning_rate=0.01, device="cpu")
    assert fixed.pixel_std == pytest.approx(0.5)
    assert abs(free.pixel_std - 0.5) > 0.02


def test_a_priors_parameters_are_trained_too(pixels):
    prior = MixturePrior(3, LATENT)
    before = [p.detach().clone() for p in prior.parameters()]
    fit_vae(small(prior=prior), pixels, n_steps=5, batch_size=50, device="cpu")
    assert not all(map(torch.equal, before, prior.parameters()))


# ---------------------------------------------------------------------------- there, and back


def test_codes_and_pixels_are_the_networks(pixels):
    model = small(Autoencoder)
    codes = to_codes(model, pixels)
    assert codes.shape == (200, LATENT)
    assert codes.dtype == np.float64
    np.testing.assert_allclose(codes, model.encoder(pixels).detach(), rtol=1e-6)
    np.testing.assert_allclose(to_pixels(model, codes), model(pixels).detach(), atol=1e-5)


def test_drawn_codes_scatter_as_the_encoder_says(pixels):
    model = small()
    z_mean, z_log_var = (part.detach().numpy() for part in model.encode(pixels))
    np.testing.assert_allclose(to_codes(model, pixels), z_mean, rtol=1e-6)
    draws = np.stack([to_codes(model, pixels, rng=seed) for seed in range(300)])
    z_score = (draws - z_mean) / np.exp(0.5 * z_log_var)
    assert abs(z_score.mean()) < 0.02
    assert z_score.std() == pytest.approx(1.0, abs=0.02)
    assert np.array_equal(draws[3], to_codes(model, pixels, rng=3))


def test_nothing_passed_in_is_changed(pixels):
    before, codes = pixels.clone(), np.ones((3, LATENT))
    model = small()
    fit_vae(model, pixels, n_steps=3, batch_size=50, device="cpu")
    to_codes(model, pixels)
    to_pixels(model, codes)
    elbo_terms(model, pixels)
    assert torch.equal(pixels, before)
    assert (codes == 1.0).all()


# --------------------------------------------------------------------------------------- bad input


def fit_with(**wrong):
    def run(pixels):
        return fit_vae(small(), pixels, **{"n_steps": 2, "batch_size": 50, "device": "cpu"} | wrong)

    return run


def wrong_decoder(pixels):
    model = VAE(MLP((1, 8, 8), 4), MLP(2, (1, 28, 28)))
    return fit_vae(model, pixels, n_steps=1, device="cpu")


def wrong_autoencoder(pixels):
    model = Autoencoder(MLP((1, 8, 8), 2), MLP(2, (3, 8, 8)))
    return fit_autoencoder(model, pixels, n_steps=1, device="cpu")


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda p: fit_with()(8 * p + 8), r"pixels has values from 0 to 16, expected .*as_pixels"),
        (lambda p: fit_with()(p * float("nan")), r"pixels has values from nan"),
        (lambda p: fit_with()(p[:1]), "pixels has 1 picture.*at least 2"),
        (lambda p: fit_with()(p[0, 0, 0]), "pixels has shape"),
        (lambda p: fit_autoencoder(small(Autoencoder), p[:1]), "pixels has 1 picture"),
        (lambda p: fit_autoencoder(small(Autoencoder), p + 1), "pixels has values"),
        (lambda p: fit_autoencoder(small(Autoencoder), p, code_penalty=-1.0), "code_penalty"),
        (fit_with(batch_size=1), "batch_size must be at least 2"),
        (fit_with(n_steps=0), "n_steps must be at least 1"),
        (fit_with(learning_rate=0.0), "learning_rate must be"),
        (lambda p: to_codes(small(), p * 2), r"pixels has values.*\[-1, 1\]"),
        (lambda p: to_pixels(small(), np.ones(3)), "codes has shape"),
        (lambda p: small(pixel_std=0.0), "pixel_std must be"),
        (lambda p: VAE(MLP((1, 8, 8), 5), MLP(2, (1, 8, 8))).encode(p), "encoder returns.*2 \\*"),
        (
            lambda p: fit_vae(small(prior=StandardNormal(3)), p, n_steps=1),
            "prior has latent_dim = 3.*encoder.*latent_dim = 2.*out_features = 6",
        ),
        (wrong_decoder, r"decoder returns shape \(2, 1, 28, 28\) for pixels"),
        (wrong_autoencoder, r"decoder returns shape \(2, 3, 8, 8\) for pixels"),
    ],
)
def test_bad_input_is_named(pixels, run, message):
    with pytest.raises(ValueError, match=message):
        run(pixels)


def test_require_pixels_takes_arrays_and_keeps_the_limits():
    assert require_pixels(np.array([[-1.0, 1.0]]), "x").dtype == torch.float32
    with pytest.raises(ValueError, match=r"x has values from -1 to 1\.01"):
        require_pixels(np.array([[-1.0, 1.01]]), "x")
