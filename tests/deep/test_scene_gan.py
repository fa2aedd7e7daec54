"""Scenes from words: readable codes, a joint prior of them, a game that improves, a year."""

import itertools
from time import process_time

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from gmmlearn import recorded
from gmmlearn.attributes import one_hot
from gmmlearn.deep.autoencoder import Autoencoder, fit_autoencoder, to_codes
from gmmlearn.deep.features import load_judge
from gmmlearn.deep.gmm_gan import GMMGAN, fit_gmm_gan, load_gmm_gan, make_gmm_gan, make_networks
from gmmlearn.deep.pixels import as_images, as_pixels
from gmmlearn.deep.scene_gan import (
    ToldDiscriminator,
    fit_joint_prior,
    fit_reading_autoencoder,
    fit_told_gmm_gan,
    shortest_ring,
    walk_through_year,
)
from gmmlearn.deep.steering import keep_component
from gmmlearn.metrics import frechet_distance
from gmmlearn.scenes import Labels, make_scenes

DIM, WIDTH, STEPS = 4, 8, 150


@pytest.fixture(scope="module")
def scenes():
    return make_scenes(600, rng=3)


@pytest.fixture(scope="module")
def pixels(scenes):
    return as_pixels(scenes.images)


@pytest.fixture(scope="module")
def attributes(scenes):
    return {name: getattr(scenes.labels, name) for name in Labels._fields[1:]}


@pytest.fixture(scope="module")
def reading(pixels, attributes):
    model = small()
    trained = fit_reading_autoencoder(
        model, pixels, attributes, STEPS, strength=100.0, device="cpu"
    )
    return model, trained


@pytest.fixture(scope="module")
def prior(reading, pixels, scenes):
    return fit_joint_prior(to_codes(reading[0], pixels), scenes.labels, n_components=16)


@pytest.fixture
def model(reading, prior):
    return GMMGAN.from_autoencoder(reading[0], prior, make_networks((3, 32, 32), DIM, 16)[2])


def small():
    return Autoencoder(*make_networks((3, 32, 32), DIM, WIDTH)[:2])


# ----------------------------------------------------------------------------------------- training


def test_codes_that_learned_to_read_tell_more(reading, pixels, attributes):
    model, trained = reading
    plain = small()
    fit_autoencoder(plain, pixels, STEPS, 64, code_penalty=0.05, device="cpu")
    scores = {}
    for name, encoder in (("reading", model), ("plain", plain)):
        codes = to_codes(encoder, pixels)
        codes = (codes - codes.mean(axis=0)) / codes.std(axis=0)
        reader = LogisticRegression(max_iter=300).fit(codes, attributes["time"])
        scores[name] = reader.score(codes, attributes["time"])
    assert scores["reading"] > scores["plain"] + 0.1
    for name in ("squared_error", "cross_entropy"):
        history = trained.history[name]
        assert history[-20:].mean() < 0.85 * history[:5].mean()


def test_without_a_reader_it_is_the_plain_autoencoder(pixels, attributes):
    first, second = small(), small()
    fit_reading_autoencoder(first, pixels, attributes, 5, strength=0.0, seed=2, device="cpu")
    fit_autoencoder(second, pixels, 5, 64, code_penalty=0.05, seed=2, device="cpu")
    for mine, plain in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-5, atol=1e-6)


def test_components_belong_to_the_season_and_hour_they_started_in(prior):
    for name in ("season", "time"):
        assert (prior.weights @ prior.tables[name].max(dim=1).values).item() > 0.7


def test_a_short_game_of_convolutions_comes_nearer_to_the_data(model, pixels, scenes):
    judge = load_judge("scenes")
    truth = judge.features(scenes.images)

    def distance():
        return frechet_distance(truth, judge.features(as_images(model.sample(600, rng=0))))

    before = distance()
    terms = [keep_component(model.encoder, model.prior, 0.1)]
    fit_gmm_gan(
        model, pixels, 120, batch_size=32, learning_rates=(1e-3, 1e-3), r1=5.0, average=0.9,
        terms=terms, device="cpu",
    )  # fmt: skip
    assert distance() < 0.9 * before


def told_of(pixels, attributes, prior):
    said = one_hot(attributes, prior.levels, len(pixels))
    return torch.cat([pixels.flatten(1), torch.tensor(said, dtype=torch.float32)], dim=1)


def test_a_told_discriminator_adds_what_it_knows_of_the_levels(pixels, attributes, prior):
    network = make_networks((3, 32, 32), 1 + 17, 8).encoder
    told = told_of(pixels[:5], {k: v[:5] for k, v in attributes.items()}, prior)
    numbers, places = network(pixels[:5]), np.cumsum([1, 4, 4, 4])
    levels = np.stack(list(attributes.values()), axis=1)[:5]
    expected = [row[0] + row[places + own].sum() for row, own in zip(numbers, levels, strict=True)]
    judge = ToldDiscriminator(network, (3, 32, 32))
    torch.testing.assert_close(judge(told), torch.stack(expected))
    told.requires_grad_(True)
    judge(told).sum().backward()
    assert not told.grad[:, 3072:].any()
    assert told.grad[:, :3072].any()


def test_in_a_told_game_the_discriminator_learns_what_belongs_together(model, pixels, attributes):
    judge = ToldDiscriminator(make_networks((3, 32, 32), 1 + 17, 16).encoder, (3, 32, 32))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    settings = {"batch_size": 32, "learning_rates": (2e-4, 2e-3), "average": 0.9}
    fit_told_gmm_gan(model, judge, pixels, attributes, 80, device="cpu", **settings)
    wrong = attributes | {"time": (attributes["time"] + 1) % 4}
    with torch.no_grad():
        logits = [judge(told_of(pixels, said, model.prior)).mean() for said in (attributes, wrong)]
    assert logits[0] > logits[1] + 0.1
    changed = {k for k, value in model.state_dict().items() if not torch.equal(before[k], value)}
    assert {name.split(".")[0] for name in changed} == {"generator"}


def test_a_told_game_needs_the_attributes_of_the_prior(model, pixels, attributes):
    judge = ToldDiscriminator(make_networks((3, 32, 32), 1 + 17, 8).encoder, (3, 32, 32))
    some = {"season": attributes["season"]}
    with pytest.raises(ValueError, match=r"attributes has \['season'\], but the prior knows"):
        fit_told_gmm_gan(model, judge, pixels, some, 1)


def test_one_call_makes_convolutions_for_larger_pictures(pixels):
    made = make_gmm_gan(
        pixels[:120],
        latent_dim=3,
        n_steps=1,
        networks=make_networks((3, 32, 32), 3, width=4),
        codes={"n_steps": 2, "device": "cpu"},
        mixture={"candidates": (2,), "criterion": "bic"},
        batch_size=8,
        device="cpu",
    )
    assert made.model.sample(2, rng=0).shape == (2, 3, 32, 32)
    assert any(isinstance(layer, torch.nn.Conv2d) for layer in make_networks((3, 32, 32), 3)[2])
    assert not any(isinstance(layer, torch.nn.Conv2d) for layer in make_networks((1, 8, 8), 3)[0])


# ------------------------------------------------------------------------------------------ drawing


def test_words_condition_and_the_generator_draws(model):
    drawn = model.draw("winter night", 6, rng=4)
    z = model.prior.given(season="winter", time="night").sample(6, rng=4)
    np.testing.assert_allclose(drawn, as_images(model.generate(z)), atol=1e-6)
    assert drawn.dtype == np.float32
    assert drawn.shape == (6, 32, 32, 3)
    np.testing.assert_array_equal(drawn, model.draw("winter night", 6, rng=4))
    assert not np.array_equal(drawn, model.draw("winter night", 6, rng=5))


def test_a_temperature_shrinks_the_components_about_their_means(model):
    """The latent points themselves: a quarter of the covariance is half the way to the mean."""
    latent = GMMGAN(torch.nn.Linear(DIM, 3), torch.nn.Linear(3, 1), model.prior)
    found = {}
    for temperature in (1.0, 0.25):
        latent.generate = lambda z, t=temperature: found.setdefault(t, z)[:, :3, None, None]
        latent.draw("spring", 50, rng=1, temperature=temperature)
    prior = model.prior.given(season="spring")
    means = prior.means[prior.rsample(50, rng=torch.Generator().manual_seed(1)).labels]
    torch.testing.assert_close(found[0.25] - means, 0.5 * (found[1.0] - means))
    with pytest.raises(ValueError, match="temperature must be"):
        model.draw("spring", 1, temperature=0.0)


def test_saved_weights_draw_the_same(model, tmp_path):
    model.save(tmp_path / "scenes.safetensors")
    weights = model.prior.weights.clone()
    again = GMMGAN.from_autoencoder(
        small(),
        type(model.prior)(16, DIM, model.prior.levels),
        make_networks((3, 32, 32), 1, 16)[2],
    )
    again.load(tmp_path / "scenes.safetensors")
    text = "two trees in april"
    np.testing.assert_array_equal(again.draw(text, 3, rng=0), model.draw(text, 3, rng=0))
    assert torch.equal(weights, model.prior.weights)


def test_the_recorded_model_is_as_good_as_its_card_says():
    began = process_time()
    model, card = load_gmm_gan("seasons"), recorded.load("gmm_gan_seasons")["card"]
    assert process_time() - began < 1.0
    drawn, wanted = [], np.repeat(np.arange(4), 60)
    for season, phrase in enumerate(("winter", "spring", "summer", "autumn")):
        drawn.append(model.draw(phrase, 60, rng=season))
    seen = load_judge("scenes").predict(np.concatenate(drawn))
    assert (seen["season"] == wanted).mean() == pytest.approx(card["asked"]["season"], abs=0.06)
    assert model.encode(as_pixels(drawn[0][:2])).shape == (2, model.prior.latent_dim)
    assert not model.training
    assert card["n_bytes"] <= 3_000_000


def test_what_cannot_be_drawn_is_refused(model):
    with pytest.raises(ValueError, match="'desert' is not known"):
        model.draw("a desert")
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        model.draw("winter", 0)
    with pytest.raises(ValueError, match="draw needs a prior that knows attributes"):
        load_gmm_gan("digits").draw("winter")


# ----------------------------------------------------------------------------------------- the year


@pytest.mark.parametrize("seed", range(8))
def test_the_shortest_ring_is_the_one_that_brute_force_finds(seed):
    points = torch.randn(5, 4, 2, generator=torch.Generator().manual_seed(seed))

    def length(ring):
        placed = points[torch.arange(5), list(ring)]
        return (placed - placed.roll(-1, 0)).square().sum()

    best = min(itertools.product(range(4), repeat=5), key=length)
    assert tuple(shortest_ring(points).tolist()) == best


def test_a_year_passes_through_its_seasons_and_closes(model):
    film = walk_through_year(model, 24, 8, rng=0, time="day")
    assert film.shape == (24, 32, 32, 3)
    steps = np.square(film - np.roll(film, -1, axis=0)).mean(axis=(1, 2, 3))
    apart = np.square(film[:12] - film[12:]).mean()
    assert steps.max() < apart  # neighbours are alike, the last and the first too
    white = film[:, 20:].min(axis=3).mean(axis=(1, 2))
    assert white[[0, 1, 23]].mean() > white[10:15].mean()
    np.testing.assert_array_equal(film, walk_through_year(model, 24, 8, rng=0, time="day"))


# -------------------------------------------------------------------------------------------- input


def test_nothing_passed_in_is_changed(pixels, attributes, scenes, reading):
    before, labels = pixels.clone(), {k: v.copy() for k, v in attributes.items()}
    fit_reading_autoencoder(small(), pixels, attributes, 2, device="cpu")
    codes = to_codes(reading[0], pixels)
    kept = codes.copy()
    fit_joint_prior(codes, scenes.labels, n_components=2, stratify=())
    assert torch.equal(before, pixels)
    np.testing.assert_array_equal(kept, codes)
    for name, values in labels.items():
        np.testing.assert_array_equal(values, attributes[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strength": -1.0}, "strength must be"),
        ({"n_steps": 0}, "n_steps must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be"),
        ({"attributes": {"season": [0, 1]}}, r"attributes\['season'\] has 2 entries"),
        ({"attributes": {"season": [0, -1] * 300}}, "attributes contain -1"),
        ({"attributes": {}}, "attributes is empty"),
    ],
    ids=str,
)
def test_bad_input_is_named(change, message, pixels, attributes):
    arguments = {"attributes": attributes, "n_steps": 1, "device": "cpu"} | change
    with pytest.raises(ValueError, match=message):
        fit_reading_autoencoder(small(), pixels, **arguments)
