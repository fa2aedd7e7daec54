"""The mixture as a torch module: against Mixture, SciPy's density, closed forms, enumeration."""

import numpy as np
import pytest
import torch
from scipy import stats

from gmmlearn import GaussianMixture, Mixture
from gmmlearn.deep.prior import MixturePrior, StandardNormal, as_generator

PARAMETERS = ("logits", "means", "log_diagonal", "lower")


def a_mixture(n_components=3, n_features=2, seed=0):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n_components, n_features, n_features))
    return Mixture(
        rng.dirichlet(np.full(n_components, 2.0)),
        2.0 * rng.normal(size=(n_components, n_features)),
        roots @ roots.transpose(0, 2, 1) + 0.2 * np.eye(n_features),
    )


def a_prior(n_components=3, n_features=2, seed=0, dtype=torch.float64, **settings):
    mixture = a_mixture(n_components, n_features, seed)
    return MixturePrior.from_mixture(mixture, dtype=dtype, **settings)


def gradients(value, prior):
    found = torch.autograd.grad(value, [getattr(prior, name) for name in PARAMETERS])
    return dict(zip(PARAMETERS, found, strict=True))


# ------------------------------------------------------------------------------- to and from


@pytest.mark.parametrize(("n_components", "n_features"), [(1, 1), (3, 2), (6, 7)])
def test_round_trip_in_float64_loses_nothing(n_components, n_features):
    mixture = a_mixture(n_components, n_features)
    again = MixturePrior.from_mixture(mixture, dtype=torch.float64).to_mixture()
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(again, name), getattr(mixture, name), atol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "low_rank"])
def test_every_fitted_structure_comes_in_and_goes_back(covariance_type):
    X = a_mixture(3, 4).sample(500, rng=1)[0]
    fitted = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    prior = MixturePrior.from_mixture(fitted, dtype=torch.float64)
    points = torch.from_numpy(X[:50])
    log_prob = prior.log_prob(points).detach().numpy()
    np.testing.assert_allclose(log_prob, fitted.score_samples(X[:50]), atol=1e-6)
    back = prior.to_estimator(warm_start=True)
    np.testing.assert_allclose(back.score_samples(X), fitted.score_samples(X), atol=1e-9)
    np.testing.assert_allclose(back.precisions_ @ back.covariances_, [np.eye(4)] * 3, atol=1e-9)
    assert (back.predict(X) == fitted.predict(X)).all()
    assert back.fit(X).lower_bound_ >= fitted.score(X) - 1e-3  # EM goes on from there


def test_an_estimator_of_a_mixture_has_its_own_arrays_and_settings():
    mixture = a_mixture()
    estimator = GaussianMixture.from_mixture(mixture, reg_covar=1e-3)
    estimator.means_ += 1.0
    assert not np.allclose(estimator.means_, mixture.means)
    assert estimator.reg_covar == 1e-3
    with pytest.raises(ValueError, match="n_components is 3"):
        GaussianMixture.from_mixture(mixture, n_components=4)
    with pytest.raises(ValueError, match="must be a Mixture"):
        GaussianMixture.from_mixture("mixture")


def test_a_weight_of_zero_stays_zero_and_spoils_no_gradient():
    mixture = Mixture([0.4, 0.0, 0.6], np.arange(3.0)[:, None], np.ones((3, 1, 1)))
    prior = MixturePrior.from_mixture(mixture, dtype=torch.float64)
    np.testing.assert_allclose(prior.to_mixture().weights, mixture.weights, atol=1e-15)
    z = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    np.testing.assert_allclose(prior.log_prob(z).detach(), mixture.log_prob(z.numpy()), atol=1e-12)
    assert all(torch.isfinite(g).all() for g in gradients(prior.log_prob(z).sum(), prior).values())
    assert (prior.rsample(500, rng=0).labels != 1).all()


def test_nothing_is_drawn_or_kept_by_copying():
    before = torch.random.get_rng_state()
    prior = a_prior()
    prior.to_mixture(), prior.condition([0], [0.0])
    assert torch.equal(before, torch.random.get_rng_state())
    assert not any(p.requires_grad for p in a_prior(trainable=False).parameters())
    assert all(p.requires_grad for p in prior.parameters())
    assert MixturePrior.from_mixture(a_mixture()).means.dtype == torch.float32
    assert prior.means.dtype == prior.marginal([0]).means.dtype == torch.float64


def test_a_new_prior_is_valid_and_counts_its_parameters():
    torch.manual_seed(0)
    prior = MixturePrior(n_components=4, latent_dim=5)
    mixture = prior.to_mixture()
    np.testing.assert_allclose(mixture.weights, 0.25)
    np.testing.assert_allclose(mixture.covariances, [np.eye(5)] * 4)
    assert np.unique(mixture.means).size == 20
    assert sum(p.numel() for p in prior.parameters()) == 4 + 4 * 5 + 4 * 15


# ---------------------------------------------------------------------------------- density


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize(("n_components", "n_features"), [(1, 1), (3, 2), (10, 8)])
def test_densities_equal_scipy(n_components, n_features, dtype, rtol):
    mixture = a_mixture(n_components, n_features)
    prior = MixturePrior.from_mixture(mixture, dtype=dtype)
    X = mixture.sample(200, rng=1)[0]
    parts = zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    joint = np.stack(
        [np.log(w) + stats.multivariate_normal(m, c).logpdf(X) for w, m, c in parts], axis=1
    )
    z = torch.tensor(X, dtype=dtype)
    log_prob = np.logaddexp.reduce(joint, axis=1)
    np.testing.assert_allclose(prior.log_joint(z).detach(), joint, rtol=rtol, atol=10 * rtol)
    np.testing.assert_allclose(prior.log_prob(z).detach(), log_prob, rtol=rtol, atol=rtol)
    resp = np.exp(joint - log_prob[:, None])
    np.testing.assert_allclose(prior.responsibilities(z).detach(), resp, atol=100 * rtol)


def test_gradients_of_the_density_equal_finite_differences():
    prior = a_prior()
    z = torch.randn(7, 2, dtype=torch.float64, generator=as_generator(0, "cpu"))

    def log_prob(*parameters):
        return torch.func.functional_call(
            prior, dict(zip(PARAMETERS, parameters, strict=True)), (z,)
        )

    prior.forward = prior.log_prob
    parameters = [getattr(prior, name).detach().requires_grad_() for name in PARAMETERS]
    assert torch.autograd.gradcheck(log_prob, parameters)


def test_standard_normal():
    prior = StandardNormal(3)
    z = prior.sample(4000, rng=0)
    expected = stats.multivariate_normal(np.zeros(3)).logpdf(z.numpy())
    np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-5)
    np.testing.assert_allclose(np.cov(z.numpy().T), np.eye(3), atol=0.1)
    assert torch.equal(z, prior.sample(4000, rng=0))
    assert prior.double().sample(2).dtype == torch.float64


# --------------------------------------------------------------------- moments, conditioning


def test_moments_equal_a_numerical_integral():
    prior = a_prior()
    mixture = prior.to_mixture()
    nodes = np.stack(np.meshgrid(*2 * [np.linspace(-14, 14, 701)]), axis=-1).reshape(-1, 2)
    mass = np.exp(mixture.log_prob(nodes)) * (28 / 700) ** 2
    mean, covariance = (t.detach().numpy() for t in prior.mean_and_covariance())
    np.testing.assert_allclose(mean, mass @ nodes, atol=1e-6)
    centred = nodes - mean
    np.testing.assert_allclose(covariance, (mass[:, None] * centred).T @ centred, atol=1e-6)


def test_marginal_and_conditional_equal_those_of_mixture():
    prior = a_prior(3, 4)
    mixture, values = prior.to_mixture(), [0.5, -1.0]
    pairs = [
        (prior.condition([2, 0], values), mixture.condition([2, 0], values)),
        (prior.marginal([3, 1]), mixture.marginal([3, 1])),
    ]
    z = torch.randn(20, 2, dtype=torch.float64)
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours.log_prob(z), theirs.log_prob(z.numpy()), atol=1e-10)
        assert ours.latent_dim == 2


def test_a_conditional_is_a_quotient_of_densities():
    prior = a_prior(3, 3)
    z = torch.randn(20, 3, dtype=torch.float64)
    z[:, 1] = 0.7
    expected = prior.log_prob(z) - prior.marginal([1]).log_prob(z[:, 1:2])
    log_prob = prior.condition([1], [0.7]).log_prob(z[:, [0, 2]])
    torch.testing.assert_close(log_prob, expected.detach(), atol=1e-10, rtol=0)


# ---------------------------------------------------------------------------------- samples


def test_samples_have_the_moments_and_shares_of_the_mixture():
    prior = a_prior()
    z, labels, weight = prior.rsample(100_000, rng=0)
    mean, covariance = (t.detach() for t in prior.mean_and_covariance())
    error = (covariance.diagonal() / 1e5).sqrt()
    assert ((z.mean(dim=0) - mean).abs() < 4 * error).all()
    np.testing.assert_allclose(np.cov(z.detach().numpy().T), covariance, rtol=0.05, atol=0.05)
    shares = torch.bincount(labels) / 1e5
    np.testing.assert_allclose(shares, prior.weights.detach(), atol=0.01)
    for k in range(3):
        covariance = np.cov(z[labels == k].detach().numpy().T)
        np.testing.assert_allclose(
            covariance, prior.to_mixture().covariances[k], rtol=0.03, atol=0.02
        )
    assert torch.equal(weight, torch.ones_like(weight))


def test_samples_repeat_with_a_seed_and_come_from_one_component_if_asked():
    prior = a_prior()
    assert torch.equal(prior.sample(5, rng=3), prior.sample(5, rng=3))
    generator = torch.Generator().manual_seed(3)
    first, second = prior.sample(5, rng=generator), prior.sample(5, rng=generator)
    assert torch.equal(first, prior.sample(5, rng=3)) and not torch.equal(first, second)
    own = prior.sample(20_000, rng=0, component=2)
    np.testing.assert_allclose(own.mean(dim=0), prior.to_mixture().means[2], atol=0.06)
    covariance = prior.to_mixture().covariances[2]
    np.testing.assert_allclose(np.cov(own.numpy().T), covariance, rtol=0.05, atol=0.05)
    assert not own.requires_grad
    before = torch.random.get_rng_state()
    prior.sample(5, rng=0)
    assert torch.equal(before, torch.random.get_rng_state())


# --------------------------------------------------------------------- gradients of samples

TILT = torch.tensor([[0.7, 0.3], [-0.4, 1.1]], dtype=torch.float64)
SLOPE = torch.tensor([0.5, -1.5], dtype=torch.float64)


def quadratic(z):
    return torch.einsum("bi,ij,bj->b", z, TILT, z) + z @ SLOPE


def exact_quadratic(prior):
    """E f = tr(A (Sigma + m m')) + b'm, from the moments of the whole mixture."""
    mean, covariance = prior.mean_and_covariance()
    return (TILT * (covariance + torch.outer(mean, mean)).mT).sum() + SLOPE @ mean


def moving(z):
    return torch.sin(1.3 * z[:, 0]) * torch.exp(-0.2 * z[:, 1] ** 2) + 2.0


def enumerated(prior, function, n_nodes=60):
    """Return E f: all components, each integrated by Gauss and Hermite's rule."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(n_nodes)
    mesh = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    mass = torch.from_numpy(np.outer(weights, weights).ravel() / (2 * np.pi))
    factors = prior.covariances_cholesky
    each = [mass @ function(prior.means[k] + torch.from_numpy(mesh) @ factors[k].T)
            for k in range(prior.n_components)]  # fmt: skip
    return prior.weights @ torch.stack(each)


def repeated(prior, function, how, n_repeats=300, n_samples=200):
    """Return mean and standard error of the estimated gradient of each parameter."""
    rng, found = torch.Generator().manual_seed(0), []
    for _ in range(n_repeats):
        value = prior.expectation(function, n_samples, rng, how)
        found.append(torch.cat([g.ravel() for g in gradients(value, prior).values()]))
    found = torch.stack(found)
    return found.mean(dim=0), found.std(dim=0) / n_repeats**0.5


def by_draws(prior, function, n_samples, rng, how):
    draw = prior.rsample(n_samples, rng)
    return (draw.weight * function(draw.z)).mean()


@pytest.mark.parametrize("how", ["score", "sum", "draws"])
@pytest.mark.parametrize("name", ["quadratic", "moving"])
def test_gradients_of_expectations_are_unbiased_for_all_parameters(name, how, monkeypatch):
    prior = a_prior()
    function = {"quadratic": quadratic, "moving": moving}[name]
    exact = exact_quadratic(prior) if name == "quadratic" else enumerated(prior, moving)
    torch.testing.assert_close(exact, enumerated(prior, function), rtol=1e-9, atol=0)
    expected = torch.cat([g.ravel() for g in gradients(exact, prior).values()])
    if how == "draws":
        monkeypatch.setattr(MixturePrior, "expectation", by_draws)
    mean, error = repeated(prior, function, how)
    # Intervals of 4 standard errors: one of 15 numbers lies outside by chance once in 1,000 runs.
    assert (mean - expected).abs().le(4 * error).all()
    # They are narrow enough to see a forgotten term: each kind of parameter is many errors from 0.
    for part, width in zip(expected.split([3, 6, 6, 3]), error.split([3, 6, 6, 3]), strict=True):
        assert (part.abs() / width).max() > 10


def test_the_sum_has_less_noise_than_the_score_and_the_baseline_helps(monkeypatch):
    prior = a_prior()
    noise = {how: repeated(prior, moving, how, 100)[1][:3].norm() for how in ("score", "sum")}
    monkeypatch.setattr(MixturePrior, "expectation", by_draws)
    noise["draws"] = repeated(prior, moving, "draws", 100)[1][:3].norm()
    assert 1.3 * noise["sum"] < noise["score"] and 1.3 * noise["score"] < noise["draws"]


def test_values_of_expectations():
    prior = a_prior()
    for how in ("score", "sum"):
        value = prior.expectation(quadratic, 100_000, rng=0, how=how)
        assert value.item() == pytest.approx(exact_quadratic(prior).item(), rel=0.03)
        pair = prior.expectation(lambda z: z.square(), 100_000, rng=0, how=how)
        mean, covariance = prior.mean_and_covariance()
        torch.testing.assert_close(pair, covariance.diagonal() + mean**2, rtol=0.03, atol=0)
    assert prior.expectation(quadratic, 1, rng=0).requires_grad


# -------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p.log_prob(torch.zeros(3, 5, dtype=torch.float64)), r"latent_dim = 2.*\(batch"),
        (lambda p: p.log_prob(torch.zeros(2, dtype=torch.float64)), "latent_dim = 2"),
        (lambda p: p.log_prob([[0.0, 1.0]]), "z is list"),
        (lambda p: p.log_prob(torch.zeros(3, 2)), "prior.to"),
        (lambda p: p.sample(0), "n_samples must be at least 1"),
        (lambda p: p.rsample(2.5), "n_samples must be a whole number"),
        (lambda p: p.sample(3, component=3), r"numbered 0\.\.2"),
        (lambda p: p.sample(3, rng="seed"), "rng must be a whole number"),
        (lambda p: p.expectation(quadratic, 3, how="path"), "'score' or 'sum'"),
        (lambda p: p.condition([0, 1], [0.0, 0.0]), "names all 2 features"),
        (lambda p: MixturePrior(0, 2), "n_components"),
        (lambda p: MixturePrior(2, 0), "latent_dim"),
        (lambda p: MixturePrior.from_mixture(np.zeros(3)), "must be a Mixture"),
        (lambda p: StandardNormal(3).log_prob(torch.zeros(2, 2)), "latent_dim = 3"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(a_prior())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_codes_in_half_precision_are_judged_in_the_priors(dtype):
    prior = a_prior(dtype=torch.float32)
    z = torch.randn(5, 2, generator=as_generator(0, "cpu")).to(dtype)
    assert torch.equal(prior.log_prob(z), prior.log_prob(z.float()))
    with pytest.raises(ValueError, match=r"z has torch.float64, the prior torch.float32"):
        prior.log_prob(z.double())
