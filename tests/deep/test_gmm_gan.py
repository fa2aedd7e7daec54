"""The generator with a mixture inside: what it starts as, what moves, what a component means."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from gmmlearn import datasets, recorded
from gmmlearn.deep.autoencoder import Autoencoder, fit_autoencoder, to_codes, to_pixels
from gmmlearn.deep.gan import fit_gan
from gmmlearn.deep.gmm_gan import (
    GMMGAN,
    fit_gmm_gan,
    load_gmm_gan,
    make_gmm_gan,
    mixture_of_codes,
)
from gmmlearn.deep.mixture_game import score_term
from gmmlearn.deep.networks import MLP
from gmmlearn.deep.pixels import as_images, as_pixels
from gmmlearn.deep.prior import MixturePrior
from gmmlearn.deep.steering import Refiner
from gmmlearn.deep.training import seeded
from gmmlearn.estimator import GaussianMixture
from gmmlearn.metrics import precision_recall
from gmmlearn.mixture import Mixture

SHAPE, DIM, K = (1, 8, 8), 6, 5


@pytest.fixture(scope="module")
def pixels():
    return as_pixels(datasets.digits("train").X[:400], (0, 16))


@pytest.fixture(scope="module")
def autoencoder(pixels):
    with seeded(0):
        model = Autoencoder(MLP(SHAPE, DIM, 64), MLP(DIM, SHAPE, 64, squash=True))
    fit_autoencoder(model, pixels, n_steps=400, device="cpu")
    return model


@pytest.fixture(scope="module")
def mixture(autoencoder, pixels):
    return mixture_of_codes(autoencoder, pixels, (K,)).estimator


@pytest.fixture
def model(autoencoder, mixture):
    return started(autoencoder, mixture)


def started(autoencoder, mixture, trainable=False):
    with seeded(1):
        discriminator = MLP(SHAPE, 1, 32, activation="leaky_relu")
    return GMMGAN.from_autoencoder(autoencoder, mixture, discriminator, trainable)


def numbers(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(before, module):
    return all(torch.equal(before[name], value) for name, value in module.state_dict().items())


# --------------------------------------------------------------------------------- before the game


def test_before_the_first_step_the_generator_is_the_decoder_and_the_prior_is_em(
    model, autoencoder, mixture, pixels
):
    z = model.prior.sample(50, rng=3)
    torch.testing.assert_close(model.sample(50, rng=3), to_pixels(autoencoder, z), rtol=0, atol=0)
    codes = to_codes(autoencoder, pixels)
    torch.testing.assert_close(model.encode(pixels), torch.tensor(codes, dtype=torch.float32))
    expected = mixture.mixture().log_prob(codes)
    np.testing.assert_allclose(model.log_prob(codes), expected, rtol=1e-3, atol=1e-3)


def test_samples_of_a_component_come_from_that_component(model, mixture):
    k = int(np.argmax(mixture.weights_))
    z = model.prior.sample(4000, rng=5, component=k)
    np.testing.assert_allclose(z.mean(dim=0), mixture.means_[k], atol=0.08)
    np.testing.assert_allclose(np.cov(z.numpy().T), mixture.covariances_[k], atol=0.12)
    torch.testing.assert_close(model.sample(4000, component=k, rng=5), model.generate(z))


def test_an_interpolation_runs_straight_from_end_to_end(model, pixels):
    a, b = model.encode(pixels[:2])
    path = model.interpolate(a, b, 5)
    by_hand = [model.generate([((4 - i) * a + i * b) / 4])[0] for i in range(5)]
    torch.testing.assert_close(path, torch.stack(by_hand), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.interpolate(a.numpy(), b.tolist(), 5), path)


def test_the_number_of_components_is_the_one_that_explains_held_out_codes(autoencoder, pixels):
    selection = mixture_of_codes(autoencoder, pixels, (1, 5), seed=2)
    values = {row.n_components: row.value for row in selection.table}
    assert selection.n_components == min(values, key=values.get) == 5
    codes = to_codes(autoencoder, pixels)
    assert selection.estimator.reg_covar == pytest.approx(0.01 * codes.var(axis=0).mean())


def test_the_mixture_of_codes_has_the_structure_that_is_asked_for(autoencoder, pixels):
    settings = {"covariance_type": "tied", "max_iter": 20}
    tied = mixture_of_codes(autoencoder, pixels, (3,), "bic", seed=2, **settings).estimator
    assert (tied.covariance_type, tied.max_iter) == ("tied", 20)
    by_hand = GaussianMixture(3, random_state=2, reg_covar=tied.reg_covar, **settings)
    by_hand.fit(to_codes(autoencoder, pixels))
    np.testing.assert_allclose(tied.covariances_, by_hand.covariances_)
    prior = MixturePrior.from_mixture(tied, trainable=False)
    for covariance in prior.to_mixture().covariances:
        np.testing.assert_allclose(covariance, tied.covariances_, rtol=1e-3, atol=1e-5)


# ----------------------------------------------------------------------------------------- the game


def test_a_fixed_mixture_stays_and_the_game_is_the_plain_one(model, pixels):
    """With nothing added, every number is that of `fit_gan` with the mixture as its prior."""
    twin, before = copy.deepcopy(model), numbers(model.prior)
    encoder = numbers(model.encoder)
    settings = {"learning_rates": (1e-3, 1e-3), "r1": 0.5, "betas": (0.5, 0.99), "seed": 4}
    settings |= {"average": 0.9, "device": "cpu"}
    mine = fit_gmm_gan(model, pixels, 20, **settings)
    plain = fit_gan(twin.generator, twin.discriminator, pixels, twin.prior, 20, **settings)
    for name, values in plain.history.items():
        np.testing.assert_array_equal(mine.history[name], values)
    assert same(numbers(plain.averaged["generator"]), model.generator)
    assert same(before, model.prior)
    assert same(encoder, model.encoder)
    assert not same(numbers(twin.generator), model.generator)  # averaged, not the last


def test_the_same_seed_gives_the_same_history_another_does_not(model, pixels):
    runs = [
        fit_gmm_gan(copy.deepcopy(model), pixels, 5, seed=seed, device="cpu").history
        for seed in (0, 0, 1)
    ]
    for name, values in runs[0].items():
        np.testing.assert_array_equal(runs[1][name], values)
        assert not np.array_equal(runs[2][name], values)


def test_a_run_goes_on_from_its_checkpoint(model, pixels, tmp_path):
    """The averaged weights that a run ends with do not find their way into the next steps."""
    whole, settings = copy.deepcopy(model), {"device": "cpu", "average": 0.9}
    history = fit_gmm_gan(whole, pixels, 12, **settings).history
    fit_gmm_gan(model, pixels, 7, checkpoint=tmp_path / "run", **settings)
    resumed = fit_gmm_gan(model, pixels, 12, checkpoint=tmp_path / "run", **settings)
    for name, values in history.items():
        np.testing.assert_array_equal(resumed.history[name], values)
    assert same(numbers(whole), model)


def test_a_learned_mixture_moves_and_the_anchor_holds_it(autoencoder, mixture, pixels):
    codes = to_codes(autoencoder, pixels)
    fits, moved = {}, {}
    for anchor in (0.0, 30.0):
        model = started(autoencoder, mixture, trainable=True)
        before = numbers(model.prior)
        fit_gmm_gan(
            model, pixels, 60, anchor=anchor, prior_rate=2e-2, average=None, device="cpu", r1=0.0
        )
        moved[anchor] = {k: (v - before[k]).abs().max() for k, v in numbers(model.prior).items()}
        fits[anchor] = model.log_prob(codes).mean().item()
    assert all(change > 1e-3 for change in moved[0.0].values())  # weights too
    at_start = mixture.score(codes)
    assert at_start - fits[30.0] < 0.2 * (at_start - fits[0.0])
    assert fits[0.0] < at_start - 0.5


def test_the_gradient_of_a_learned_mixture_is_that_of_the_expected_loss():
    """One step of gradient descent, by hand: finite differences of the expectation over z."""
    truth = Mixture([0.3, 0.7], [[-1.0], [1.5]], [[[0.4]], [[0.2]]])
    prior = MixturePrior.from_mixture(truth, dtype=torch.float64)
    draw = prior.rsample(400_000, rng=0)
    losses = torch.sin(draw.z[:, 0]) + draw.z[:, 0] ** 2
    (losses.mean() + score_term(losses, draw.weight)).backward()

    def expected(logits, means):
        x = np.linspace(-8, 8, 40_001)
        w = np.exp(logits) / np.exp(logits).sum()
        p = Mixture(w, means[:, None], truth.covariances).log_prob(x[:, None])
        return np.trapezoid(np.exp(p) * (np.sin(x) + x**2), x)

    for name, at in (("logits", np.log(truth.weights)), ("means", truth.means[:, 0])):
        for k in range(2):
            step = np.eye(2)[k] * 1e-5
            other = {"logits": np.log(truth.weights), "means": truth.means[:, 0]}
            ends = [expected(**(other | {name: at + s * step})) for s in (1, -1)]
            by_hand = (ends[0] - ends[1]) / 2e-5
            assert getattr(prior, name).grad.flatten()[k].item() == pytest.approx(by_hand, abs=0.02)


def test_decay_takes_the_learning_rates_to_zero(model, pixels):
    """Adam's first steps have the length of the rate: a line of rates gives half the way."""
    start, far = numbers(model.generator), {}
    for decay in (False, True):
        twin = copy.deepcopy(model)
        fit_gmm_gan(twin, pixels, 20, decay=decay, average=None, betas=(0.9, 0.99), device="cpu")
        bias = "4.bias" if "4.bias" in start else list(start)[-1]
        far[decay] = (twin.generator.state_dict()[bias] - start[bias]).abs().mean().item()
    assert 0.4 < far[True] / far[False] < 0.75


def test_further_losses_enter_the_generators_loss(model, pixels):
    seen = []

    def term(z, labels, fake):
        seen.append((z.shape, labels.shape, fake.shape))
        return fake.square().flatten(1).mean(dim=1) * 100.0

    twin = copy.deepcopy(model)
    settings = {"learning_rates": (2e-3, 2e-3), "average": None, "device": "cpu"}
    history = fit_gmm_gan(model, pixels, 40, terms=[term], **settings).history
    fit_gmm_gan(twin, pixels, 40, **settings)
    assert seen[0] == ((100, DIM), (100,), (100, *SHAPE))
    assert history["terms"][-1] < 0.8 * history["terms"][0]
    ink = [m.sample(200, rng=0).square().mean().item() for m in (model, twin)]
    assert ink[0] < 0.8 * ink[1]


def test_components_keep_their_meaning(autoencoder, mixture, pixels):
    """Samples of component k, encoded, are judged by the mixture to be of component k."""
    model = started(autoencoder, mixture)
    fit_gmm_gan(model, pixels, 100, device="cpu")
    for k in range(K):
        resp = model.prior.responsibilities(model.encode(model.sample(200, component=k, rng=0)))
        assert resp.mean(dim=0).argmax() == k
        assert resp[:, k].mean() > 0.6


# -------------------------------------------------------------------------- the data's own space


def test_a_refiner_starts_as_the_mixture_and_learns_what_a_gaussian_cannot():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 1000)
    ring = np.column_stack([np.cos(angle), np.sin(angle)]) + 0.05 * rng.normal(size=(1000, 2))
    prior = MixturePrior.from_mixture(
        Mixture([1.0], [[0.0, 0.0]], [0.5 * np.eye(2)]), trainable=False
    )
    with seeded(0):
        model = GMMGAN(Refiner(MLP(2, 2, 32)), MLP(2, 1, 64, activation="leaky_relu"), prior)
    z = prior.sample(500, rng=1)
    assert torch.equal(model.sample(500, rng=1), z)
    before = (model.generate(z).norm(dim=1) - 1).abs().mean()
    fit_gmm_gan(model, ring, 300, learning_rates=(2e-3, 2e-3), r1=0.1, average=0.9, device="cpu")
    after = (model.generate(z).norm(dim=1) - 1).abs().mean()
    assert after < 0.6 * before


# ------------------------------------------------------------------------------ files, one call


def test_saved_weights_come_back(model, autoencoder, mixture, pixels, tmp_path):
    fit_gmm_gan(model, pixels, 5, device="cpu")
    model.save(tmp_path / "model.safetensors")
    blank = started(autoencoder, mixture)
    again = blank.load(tmp_path / "model.safetensors")
    assert same(numbers(model), again)
    torch.testing.assert_close(again.sample(9, rng=0), model.sample(9, rng=0), rtol=0, atol=0)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_one_call_goes_from_pixels_to_pictures(pixels):
    made = make_gmm_gan(
        pixels,
        latent_dim=4,
        n_steps=3,
        codes={"n_steps": 30, "device": "cpu"},
        mixture={"candidates": (2, 3)},
        device="cpu",
    )
    assert made.model.sample(7, component=1, rng=0).shape == (7, *SHAPE)
    assert made.selection.n_components == made.model.prior.n_components
    assert len(made.game.history["generator_loss"]) == 3
    assert not same(numbers(made.autoencoder.decoder), made.model.generator)


def test_the_recorded_model_is_as_good_as_its_card_says():
    model, card = load_gmm_gan("digits"), recorded.load("gmm_gan")["card"]
    real = datasets.digits("test").X.reshape(-1, 64) / 16
    drawn = as_images(model.sample(500, rng=1), (0, 16))
    found = precision_recall(real, drawn.reshape(-1, 64) / 16)
    assert found.precision == pytest.approx(card["measures"]["precision pixels"], abs=0.06)
    assert found.recall == pytest.approx(card["measures"]["recall pixels"], abs=0.06)
    k = int(model.prior.weights.argmax())
    own = model.prior.responsibilities(model.encode(model.sample(200, component=k, rng=0)))[:, k]
    assert own.mean() > 0.8
    assert not model.training
    size = (Path(recorded.__file__).parent / "gmm_gan_digits.safetensors").stat().st_size
    assert size < 1e6
    with pytest.raises(ValueError, match=r"name is 'faces'\. Use one of: digits, seasons"):
        load_gmm_gan("faces")


def test_nothing_passed_in_is_changed(autoencoder, mixture, pixels):
    before, data = numbers(autoencoder), pixels.clone()
    parameters = mixture.means_.copy()
    fit_gmm_gan(started(autoencoder, mixture, trainable=True), pixels, 5, device="cpu")
    assert same(before, autoencoder)
    assert torch.equal(data, pixels)
    np.testing.assert_array_equal(parameters, mixture.means_)


# ------------------------------------------------------------------------------------------ refused


def other_mixture(d):
    return Mixture([1.0], np.zeros((1, d)), [np.eye(d)])


REFUSED = {
    "pixels outside": (lambda m, x: fit_gmm_gan(m, 2 * x, 1), r"X has values from -2 .*\[-1, 1\]"),
    "pixels outside, encoding": (lambda m, x: m.encode(8 * x), "samples has values from -8"),
    "batch of one": (lambda m, x: fit_gmm_gan(m, x, 1, batch_size=1), "batch_size must be at l"),
    "no steps": (lambda m, x: fit_gmm_gan(m, x, 0), "n_steps must be at least 1"),
    "one rate": (lambda m, x: fit_gmm_gan(m, x, 1, learning_rates=1e-3), "learning_rates is 0.001"),
    "no rate": (
        lambda m, x: fit_gmm_gan(m, x, 1, learning_rates=(1e-3, 0.0)),
        r"learning_rates\[1\] must be a finite number > 0",
    ),
    "no anchor": (
        lambda m, x: fit_gmm_gan(GMMGAN(m.generator, m.discriminator, MixturePrior(2, DIM)), x, 1),
        "anchor needs the model's encoder",
    ),
    "negative penalty": (lambda m, x: fit_gmm_gan(m, x, 1, r1=-1.0), "r1 must be .* >= 0"),
    "latent size": (
        lambda m, x: GMMGAN(
            m.generator, m.discriminator, MixturePrior.from_mixture(other_mixture(DIM + 1))
        ),
        f"generator cannot take .*: the prior's points have latent_dim {DIM + 1}",
    ),
    "encoder's size": (
        lambda m, x: GMMGAN(m.generator, m.discriminator, m.prior, MLP(SHAPE, DIM + 1)),
        "encoder gives 7 numbers for each sample, expected 6",
    ),
    "discriminator": (
        lambda m, x: GMMGAN(m.generator, MLP((1, 4, 4), 1), m.prior),
        "discriminator cannot take .*: the generator's samples have shape",
    ),
    "no discriminator": (
        lambda m, x: fit_gmm_gan(GMMGAN(m.generator, None, m.prior), x, 1),
        "model has no discriminator",
    ),
    "no encoder": (
        lambda m, x: GMMGAN(m.generator, m.discriminator, m.prior).encode(x),
        "encoder is None",
    ),
    "no such component": (lambda m, x: m.sample(3, component=K), f"numbered 0..{K - 1}"),
    "latent points": (lambda m, x: m.log_prob(np.zeros((3, DIM + 1))), "z has 7 features"),
    "ends": (lambda m, x: m.interpolate(np.zeros(DIM), np.zeros(2)), "b has 2 features"),
    "one step of a path": (
        lambda m, x: m.interpolate(np.zeros(DIM), np.zeros(DIM), 1),
        "n_steps must be at least 2",
    ),
    "foreign weights": (
        lambda m, x: m.load({"prior.means": np.zeros((2, DIM))}),
        "weights do not fit this model",
    ),
    "nothing to refine with": (lambda m, x: Refiner(torch.nn.Tanh()), "network has no linear"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_named(case, model, pixels):
    act, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        act(model, pixels)


def test_a_damaged_file_is_refused(model, tmp_path):
    model.save(tmp_path / "model")
    (tmp_path / "model").write_bytes((tmp_path / "model").read_bytes()[:1000])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        model.load(tmp_path / "model")
