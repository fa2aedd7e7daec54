"""The judges: what they see, what they refuse, and that they are the recorded ones."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from gmmlearn import recorded
from gmmlearn.datasets import digits
from gmmlearn.deep.features import PLANS, load_judge
from gmmlearn.scenes import make_scenes


@pytest.fixture(scope="module", params=["digits", "scenes"])
def case(request):
    """A judge, and pictures for it that it was not trained on."""
    images = digits("test").X if request.param == "digits" else make_scenes(40, rng=77).images
    return load_judge(request.param), images[:40]


def by_hand(name, image):
    """Return features and logits of one picture (channels, side, side), with NumPy and SciPy."""
    weights = recorded.load_weights(f"judge_{name}")
    depth = len(PLANS[name].widths)
    for layer in range(depth):
        kernels = weights[f"body.{3 * layer}.weight"].astype(np.float64)
        padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
        image = np.array(
            [
                sum(map(lambda p, k: correlate2d(p, k, "valid"), padded, kernel))
                for kernel in kernels
            ]
        )
        if layer:
            image = image[:, ::2, ::2]
        norm = {k: weights[f"body.{3 * layer + 1}.{k}"][:, None, None] for k in NORM}
        image = (image - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5)
        image = np.maximum(image * norm["weight"] + norm["bias"], 0)
    last = f"body.{3 * depth + 1}"
    features = weights[f"{last}.weight"] @ image.ravel() + weights[f"{last}.bias"]
    active = np.maximum(features, 0)
    logits = {
        q: weights[f"heads.{q}.weight"] @ active + weights[f"heads.{q}.bias"]
        for q in PLANS[name].questions
    }
    return features, logits


NORM = ("running_mean", "running_var", "weight", "bias")


@pytest.mark.parametrize("name", ["digits", "scenes"])
def test_features_and_answers_equal_a_forward_pass_by_hand(name):
    judge = load_judge(name)
    if name == "digits":
        images = digits("test").X[:3]
        pixels = images[:, None] / 8 - 1
    else:
        images = make_scenes(2, rng=5).images
        pixels = images.transpose(0, 3, 1, 2).astype(np.float64)
    features, probabilities = judge.features(images), judge.predict_proba(images)
    for n, picture in enumerate(pixels):
        expected, logits = by_hand(name, picture)
        np.testing.assert_allclose(features[n], expected, rtol=1e-4, atol=1e-4)
        for question, values in logits.items():
            share = np.exp(values - values.max())
            np.testing.assert_allclose(
                probabilities[question][n], share / share.sum(), rtol=2e-3, atol=1e-5
            )


def test_answers_have_the_promised_form(case):
    judge, images = case
    plan = judge.plan
    features = judge.features(images)
    assert features.shape == (40, plan.n_features)
    assert features.dtype == np.float64
    assert 32 <= plan.n_features <= 64
    assert np.linalg.matrix_rank(features) > plan.n_features // 2
    answers, probabilities = judge.predict(images), judge.predict_proba(images)
    assert list(answers) == list(probabilities) == list(plan.questions)
    for question, n_answers in plan.questions.items():
        assert probabilities[question].shape == (40, n_answers)
        np.testing.assert_allclose(probabilities[question].sum(axis=1), 1.0, atol=1e-12)
        np.testing.assert_array_equal(answers[question], probabilities[question].argmax(axis=1))


def test_judging_is_repeatable_changes_nothing_and_knows_no_neighbours(case):
    judge, images = case
    before = images.copy()
    features = judge.features(images)
    np.testing.assert_array_equal(features, load_judge(names_of(judge)).features(images))
    np.testing.assert_array_equal(images, before)
    # Block by block, whatever stands beside a picture.
    many = np.concatenate([images] * 14)  # more than one block
    np.testing.assert_allclose(judge.features(many)[-40:], features, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(judge.features(images[7:8])[0], features[7], rtol=1e-4, atol=1e-4)
    assert not judge.training
    assert not any(p.requires_grad for p in judge.parameters())


def names_of(judge):
    return next(name for name, plan in PLANS.items() if plan == judge.plan)


def test_large_scenes_are_averaged():
    judge, large = load_judge("scenes"), make_scenes(6, rng=3, size=64).images
    small = large.reshape(6, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(judge.features(large), judge.features(small), rtol=1e-4, atol=1e-4)


def test_fresh_scenes_are_judged_as_well_as_recorded():
    images, labels = make_scenes(1200, rng=987_654)
    answers = load_judge("scenes").predict(images)
    noted = recorded.load("judges")["scenes"]["accuracy"]["clean"]
    for question, judged in answers.items():
        share = np.mean(judged == getattr(labels, question))
        accuracy = noted[question]["accuracy"]
        spread = np.sqrt(accuracy * (1 - accuracy) / 1200 + 1e-6)
        assert share > accuracy - 4 * spread, question
        if question in ("season", "time"):
            assert share > 0.98, question


def test_digits_are_judged_as_recorded():
    images, labels = digits("test")
    share = np.mean(load_judge("digits").predict(images)["digit"] == labels)
    noted = recorded.load("judges")["digits"]["accuracy"]["clean"]["digit"]
    assert share == pytest.approx(noted["accuracy"], abs=0.0021)  # one picture, for rounding
    assert share > 0.97


def test_record_has_both_judges_and_their_doubts():
    record = recorded.load("judges")
    for name, plan in PLANS.items():
        one = record[name]
        assert {"clean", "blurred by 1 pixel"} < set(one["accuracy"])
        for question, n_answers in plan.questions.items():
            counts = np.array(one["confusion"][question])
            assert counts.shape == (n_answers, n_answers)
            clean = one["accuracy"]["clean"][question]
            assert clean["accuracy"] == pytest.approx(np.trace(counts) / counts.sum(), abs=1e-4)
            low, high = clean["interval"]
            assert low < clean["accuracy"] < high or clean["accuracy"] == 1
    season, time = (record["scenes"]["accuracy"]["clean"][q] for q in ("season", "time"))
    assert season["interval"][0] > 0.98
    assert time["interval"][0] > 0.98


@pytest.mark.parametrize(
    ("name", "images", "message"),
    [
        ("digits", np.zeros((2, 64)), r"images has shape \(2, 64\), expected \(n_samples, 8, 8\)"),
        ("digits", np.zeros((2, 8, 9)), r"images has shape \(2, 8, 9\), expected \(n_samples, 8"),
        (
            "digits",
            np.full((1, 8, 8), -0.5),
            r"images has pixels from -0.5 to -0.5, expected 0 to 16",
        ),
        ("digits", np.full((1, 8, 8), 255.0), r"to 255, expected 0 to 16. Rescale"),
        ("digits", np.zeros((0, 8, 8)), "images is empty"),
        (
            "scenes",
            np.zeros((1, 32, 32)),
            r"images has shape \(1, 32, 32\), expected \(n_samples, 32",
        ),
        (
            "scenes",
            np.zeros((1, 3, 32, 32)),
            r"expected \(n_samples, 32, 32, 3\) or \(n_samples, 64",
        ),
        (
            "scenes",
            np.zeros((1, 48, 48, 3)),
            r"expected \(n_samples, 32, 32, 3\) or \(n_samples, 64",
        ),
        ("scenes", np.full((1, 32, 32, 3), 1.01), r"np.clip\(images, -1, 1\)"),
        ("scenes", np.full((1, 32, 32, 3), np.nan), "images contains NaN"),
    ],
)
def test_bad_pictures_are_refused(name, images, message):
    judge = load_judge(name)
    for method in (judge.features, judge.predict, judge.predict_proba):
        with pytest.raises(ValueError, match=message):
            method(images)


def test_unknown_judge_and_damaged_weights_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"name is 'faces'. Use one of: digits, scenes"):
        load_judge("faces")
    (tmp_path / "judge_digits.safetensors").write_bytes(b"\x10")
    monkeypatch.setattr(recorded, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match=r"judge_digits\.safetensors is not a whole"):
        load_judge("digits")


def test_weights_of_another_network_are_refused(monkeypatch):
    weights = recorded.load_weights("judge_digits")
    monkeypatch.setattr(recorded, "load_weights", lambda _: weights)
    with pytest.raises(ValueError, match="judge_scenes does not fit"):
        load_judge("scenes")


def test_gradients_reach_the_pictures():
    """Later chapters differentiate through a judge."""
    judge = load_judge("digits")
    pixels = torch.zeros((2, 8, 8), requires_grad=True)
    judge(judge.as_pixels(pixels + 3.0))[0].sum().backward()
    assert float(pixels.grad.abs().sum()) > 0
