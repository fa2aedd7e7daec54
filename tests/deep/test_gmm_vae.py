"""A VAE with a mixture prior: against torch's divergences, integrals, enumeration; its training."""

import copy

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import MultivariateNormal, kl_divergence

from gmmlearn import Mixture, datasets
from gmmlearn.deep.autoencoder import VAE, Autoencoder, elbo_terms, fit_vae, to_codes
from gmmlearn.deep.gmm_vae import (
    WarmUp,
    assign,
    component_divergences,
    component_use,
    fit_gmm_vae,
    make_step,
    mixture_terms,
    start_prior,
)
from gmmlearn.deep.networks import MLP
from gmmlearn.deep.pixels import as_pixels
from gmmlearn.deep.prior import MixturePrior
from gmmlearn.deep.training import seeded


def a_prior(n_components=3, n_features=2, seed=0, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n_components, n_features, n_features))
    mixture = Mixture(
        rng.dirichlet(np.full(n_components, 2.0)),
        2.0 * rng.normal(size=(n_components, n_features)),
        roots @ roots.transpose(0, 2, 1) + 0.2 * np.eye(n_features),
    )
    return MixturePrior.from_mixture(mixture, dtype=dtype)


def a_model(n_components=3, latent_dim=2, seed=0, width=16):
    with seeded(seed):
        encoder = MLP((1, 8, 8), 2 * latent_dim, width)
        decoder = MLP(latent_dim, (1, 8, 8), width)
    return VAE(encoder, decoder, a_prior(n_components, latent_dim, seed, torch.float32))


@pytest.fixture(scope="module")
def pixels():
    return as_pixels(datasets.digits("train").X[:300], limits=(0, 16))


def codes(n=6, d=2, seed=1):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(n, d))), torch.tensor(rng.normal(size=(n, d)) - 1.0)


# ----------------------------------------------------------------------------------- the bound


def test_terms_equal_their_definitions(pixels):
    model = a_model().double()
    x = pixels[:5].double()
    terms = mixture_terms(model, x, torch.Generator().manual_seed(3))
    z_mean, z_log_var = (t.detach().numpy() for t in model.encode(x))
    noise = torch.randn(5, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    z = z_mean + np.exp(z_log_var / 2) * noise.numpy()
    mixture = model.prior.to_mixture()
    resp, each = mixture.responsibilities(z), mixture.component_log_prob(z)
    log_q = stats.norm(z_mean, np.exp(z_log_var / 2)).logpdf(z).sum(axis=1)
    latent = (resp * (log_q[:, None] - each)).sum(axis=1)
    component = (resp * np.log(resp / mixture.weights)).sum(axis=1)
    out = model.decode(torch.from_numpy(z)).detach().numpy()
    reconstruction = stats.norm(out, model.pixel_std).logpdf(x.numpy()).sum(axis=(1, 2, 3))
    expected = reconstruction, latent, component
    for term, value in zip(terms, expected, strict=True):
        np.testing.assert_allclose(term.detach(), value, rtol=1e-6, atol=1e-8)
    elbo = reconstruction - latent - component
    np.testing.assert_allclose(terms.elbo.detach(), elbo, rtol=1e-6)
    assert (component >= 0).all()


def test_the_sum_of_terms_is_the_bound_of_any_prior(pixels):
    model = a_model()
    ours = mixture_terms(model, pixels[:9], torch.Generator().manual_seed(3))
    theirs = elbo_terms(model, pixels[:9], torch.Generator().manual_seed(3))
    torch.testing.assert_close(ours.kl, theirs.kl, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(ours.elbo, theirs.elbo, atol=1e-3, rtol=1e-5)


def test_a_component_of_weight_zero_makes_no_nan(pixels):
    model = a_model()
    model.prior.logits.data[1] = -torch.inf
    terms = mixture_terms(model, pixels[:4])
    terms.elbo.sum().backward()
    assert torch.isfinite(terms.elbo).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_divergences_equal_those_of_torch(d):
    prior, (z_mean, z_log_var) = a_prior(4, d), codes(d=d)
    found = component_divergences(prior, z_mean, z_log_var)
    for k in range(4):
        component = MultivariateNormal(prior.means[k], scale_tril=prior.covariances_cholesky[k])
        q = MultivariateNormal(z_mean, torch.diag_embed(z_log_var.exp()))
        torch.testing.assert_close(found[:, k], kl_divergence(q, component))


def test_the_bound_from_closed_forms_lies_above_the_divergence_by_its_gap():
    prior, (z_mean, z_log_var) = a_prior(), codes(n=4)
    divergences = component_divergences(prior, z_mean, z_log_var).detach().numpy()
    log_weights = prior.log_weights.detach().numpy()
    mixture = prior.to_mixture()
    for mean, log_var, per_component in zip(z_mean, z_log_var, divergences, strict=True):
        std = np.exp(log_var.numpy() / 2)
        steps = np.linspace(-8, 8, 401)
        nodes = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
        mass = np.exp(-0.5 * (nodes**2).sum(axis=1)) / (2 * np.pi) * (steps[1] - steps[0]) ** 2
        z = mean.numpy() + nodes * std
        log_q = stats.norm(mean.numpy(), std).logpdf(z).sum(axis=1)
        exact = mass @ (log_q - mixture.log_prob(z))
        bound = -np.logaddexp.reduce(log_weights - per_component)
        q = np.exp(log_weights - per_component + bound)
        gap = mass @ (q * (np.log(q) - np.log(mixture.responsibilities(z)))).sum(axis=1)
        assert bound - exact == pytest.approx(gap, abs=1e-6)
        assert gap > 0


def test_assignments_follow_the_closed_forms(pixels):
    model = a_model()
    resp = assign(model, pixels[:7])
    with torch.no_grad():
        z_mean, z_log_var = (t.double() for t in model.encode(pixels[:7]))
    joint = np.empty((7, 3))
    for k in range(3):
        component = MultivariateNormal(
            model.prior.means[k].double(), scale_tril=model.prior.covariances_cholesky[k].double()
        )
        q = MultivariateNormal(z_mean, torch.diag_embed(z_log_var.exp()))
        joint[:, k] = (model.prior.weights[k] * (-kl_divergence(q, component)).exp()).detach()
    np.testing.assert_allclose(resp, joint / joint.sum(axis=1, keepdims=True), atol=1e-5)


# ----------------------------------------------------------------------------------- collapse


def test_use_of_components_by_hand():
    resp = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5]])
    use = component_use(resp)  # two of their own, two merged: as good as three unequal ones
    assert use.in_use == pytest.approx(np.exp(1.5 * np.log(2)))
    assert use.n_alive == 4
    dead = component_use(np.tile([0.96, 0.04, 0.0, 0.0], (10, 1)))
    assert dead == (pytest.approx(1.0), 1)
    assert component_use(np.eye(5)[[0, 1, 2, 3, 4]]).in_use == pytest.approx(5.0)


# ------------------------------------------------------------------------------------- training


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(before, module):
    return all(torch.equal(value, module.state_dict()[name]) for name, value in before.items())


@pytest.mark.parametrize("part", ["prior", "encoder", "decoder"])
def test_a_step_changes_what_its_optimizer_has_and_nothing_else(part, pixels):
    model = a_model()
    parts = {name: getattr(model, name) for name in ("prior", "encoder", "decoder")}
    before = {name: state(module) for name, module in parts.items()}
    step = make_step(model, torch.optim.Adam(parts[part].parameters(), lr=0.01))
    for _ in range(3):
        step(pixels[:50], torch.Generator().manual_seed(0))
    assert {name: same(before[name], module) for name, module in parts.items()} == {
        name: name != part for name in parts
    }


def test_what_wants_no_gradient_stays_when_all_else_is_trained(pixels):
    model = a_model()
    model.prior.requires_grad_(False)
    prior, encoder = state(model.prior), state(model.encoder)
    fit_gmm_vae(model, pixels, n_steps=5, device="cpu")
    assert same(prior, model.prior) and not same(encoder, model.encoder)


def test_gradients_do_not_add_up_over_steps(pixels):
    found = []
    for n_steps in (1, 2):
        model = a_model()
        step = make_step(model, torch.optim.SGD(model.prior.parameters(), lr=0.0))
        for _ in range(n_steps):
            step(pixels[:50], torch.Generator().manual_seed(0))
        found.append(model.encoder[1].weight.grad)
    torch.testing.assert_close(*found)


def test_warm_up_weighs_the_divergence_and_ends_at_one(pixels):
    warm_up = WarmUp(4)
    assert [warm_up().item() for _ in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert WarmUp(0)().item() == 1.0
    gradients = []
    for n_steps in (0, 10):
        model = a_model()
        step = make_step(model, torch.optim.SGD(model.parameters(), lr=0.0), WarmUp(n_steps))
        step(pixels[:50], torch.Generator().manual_seed(0))
        gradients.append(model.prior.means.grad)
    torch.testing.assert_close(0.1 * gradients[0], gradients[1])


def test_same_seed_same_history_and_a_broken_run_ends_the_same(pixels, tmp_path):
    settings = {"warm_up": 20, "batch_size": 50, "device": "cpu", "seed": 1}
    models, histories = [a_model() for _ in range(3)], []
    for model in models[:2]:
        histories.append(fit_gmm_vae(model, pixels, n_steps=12, **settings).history)
    for name, values in histories[0].items():
        np.testing.assert_array_equal(values, histories[1][name])
        assert values.shape == (12,)
    assert set(histories[0]) == {"elbo", "reconstruction_log_prob", "latent_kl", "component_kl"}
    # Steps 7 to 12 need the weight of the divergence as step 6 left it.
    file = tmp_path / "run.safetensors"

    class Stop(Exception):
        pass

    model, n_done = models[2], []
    whole = model.decode

    def decode(z):
        n_done.append(1)
        if len(n_done) == 9:  # the ninth, one of which looked whether networks fit
            raise Stop
        return whole(z)

    model.decode = decode
    with pytest.raises(Stop):
        fit_gmm_vae(model, pixels, 12, checkpoint=file, checkpoint_every=6, **settings)
    model.decode = whole
    resumed = fit_gmm_vae(model, pixels, 12, checkpoint=file, checkpoint_every=6, **settings)
    np.testing.assert_array_equal(resumed.history["elbo"], histories[0]["elbo"])
    assert same(state(models[0]), model)


def test_training_raises_the_bound_and_groups_what_is_apart():
    """Four kinds of pictures, a bar each: the prior's components find them."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(4, size=400)
    images = np.zeros((400, 8, 8))
    images[np.arange(400), :, 2 * kinds] = 14.0
    images += rng.uniform(0, 2, images.shape)
    pixels = as_pixels(images, limits=(0, 16))
    with seeded(0):
        model = VAE(MLP((1, 8, 8), 4, 32), MLP(2, (1, 8, 8), 32), pixel_std=0.2)
    fit_vae(model, pixels, n_steps=400, device="cpu")
    before = np.mean([elbo_terms(model, pixels).elbo.mean().item() for _ in range(5)])
    fitted = start_prior(model, pixels, 4)
    trained = fit_gmm_vae(model, pixels, n_steps=400, warm_up=100, device="cpu")
    assert trained.history["elbo"][-100:].mean() > before + 1.0
    resp = assign(model, pixels)
    pairs = np.zeros((4, 4))
    np.add.at(pairs, (kinds, resp.argmax(axis=1)), 1)
    assert sorted(pairs.max(axis=1)) == sorted(np.bincount(kinds))
    assert component_use(resp).in_use > 3.9
    assert fitted.n_components == 4


def test_start_prior_is_em_on_the_codes(pixels):
    model = a_model()
    before = state(model.encoder)
    fitted = start_prior(model, pixels, 5, random_state=3)
    z = to_codes(model, pixels)
    log_prob = model.prior.log_prob(torch.tensor(z, dtype=torch.float32)).detach()
    np.testing.assert_allclose(log_prob, fitted.score_samples(z), rtol=1e-3, atol=1e-3)
    assert model.prior.n_components == 5 and same(before, model.encoder)


def test_nothing_passed_in_is_changed(pixels):
    model, kept = a_model(), pixels.clone()
    resp = assign(model, pixels)
    copied = resp.copy()
    component_use(resp)
    fit_gmm_vae(copy.deepcopy(model), pixels, n_steps=2, device="cpu")
    assert torch.equal(pixels, kept) and np.array_equal(resp, copied)


# ------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: fit_gmm_vae(VAE(m.encoder, m.decoder), x), "VAE with a MixturePrior, but"),
        (lambda m, x: assign(Autoencoder(m.encoder, m.decoder), x), "is Autoencoder"),
        (lambda m, x: fit_gmm_vae(m, 16 * x), r"pixels.*\[-1, 1\]"),
        (lambda m, x: fit_gmm_vae(m, x, batch_size=1), "batch_size must be at least 2"),
        (lambda m, x: fit_gmm_vae(m, x, n_steps=0), "n_steps must be at least 1"),
        (lambda m, x: fit_gmm_vae(m, x, learning_rate=0), "learning_rate"),
        (lambda m, x: fit_gmm_vae(m, x, warm_up=-1), "warm_up must be at least 0"),
        (lambda m, x: WarmUp(2.5), "n_steps must be a whole number"),
        (lambda m, x: fit_gmm_vae(VAE(m.encoder, m.decoder, a_prior(3, 7)), x), "latent_dim = 7"),
        (lambda m, x: component_use([[0.5, 0.6]]), "resp sums to 1.1"),
    ],
)
def test_bad_input_is_named(call, message, pixels):
    with pytest.raises(ValueError, match=message):
        call(a_model(), pixels)
