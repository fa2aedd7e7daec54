"""The Potts field against brute force: every labelling of a small picture."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

from gmmlearn.potts import boundary_length, neighbour_sum, potts_bound, segment


def pairs(height, width):
    """Yield each pair of neighbouring pixels once."""
    for r, c in product(range(height), range(width)):
        if r + 1 < height:
            yield (r, c), (r + 1, c)
        if c + 1 < width:
            yield (r, c), (r, c + 1)


def enumerate_labellings(log_joint, strength):
    """Return all labellings (M, H, W) and the score of each (M,)."""
    height, width, n_labels = log_joint.shape
    labellings = np.array(list(product(range(n_labels), repeat=height * width)))
    labellings = labellings.reshape(-1, height, width)
    rows, columns = np.indices((height, width))
    scores = log_joint[rows, columns, labellings].sum(axis=(1, 2))
    for one, other in pairs(height, width):
        scores += strength * (labellings[:, *one] == labellings[:, *other])
    return labellings, scores


def random_log_joint(seed, shape, spread=1.0):
    return spread * np.random.default_rng(seed).standard_normal(shape)


def exact_marginals(log_joint, strength):
    labellings, scores = enumerate_labellings(log_joint, strength)
    shares = np.exp(scores - logsumexp(scores))
    labels = np.arange(log_joint.shape[2])
    return np.einsum("m,mrck->rck", shares, labellings[..., None] == labels)


@pytest.mark.parametrize(("shape", "strength"), [((3, 3, 2), 0.7), ((2, 3, 3), 1.3)])
def test_the_bound_is_expected_score_plus_entropy_of_every_labelling(shape, strength):
    log_joint = random_log_joint(0, shape)
    marginals = np.random.default_rng(1).dirichlet(np.ones(shape[2]), size=shape[:2])
    labellings, scores = enumerate_labellings(log_joint, strength)
    rows, columns = np.indices(shape[:2])
    log_share = np.log(marginals)[rows, columns, labellings].sum(axis=(1, 2))
    expected = np.sum(np.exp(log_share) * (scores - log_share))
    bound = potts_bound(log_joint, marginals, strength)
    assert bound == pytest.approx(expected, rel=1e-12)
    assert bound < logsumexp(scores)
    # The gap is the Kullback-Leibler divergence from the exact posterior.
    log_posterior = scores - logsumexp(scores)
    gap = np.sum(np.exp(log_share) * (log_share - log_posterior))
    assert logsumexp(scores) - bound == pytest.approx(gap, rel=1e-9)


def test_a_certain_labelling_has_its_score_as_bound():
    log_joint = random_log_joint(2, (3, 3, 2))
    labellings, scores = enumerate_labellings(log_joint, 0.9)
    for labelling, score in zip(labellings[::37], scores[::37], strict=True):
        assert potts_bound(log_joint, np.eye(2)[labelling], 0.9) == pytest.approx(score)


@pytest.mark.parametrize("shape", [(3, 3, 2), (2, 4, 2), (2, 3, 3)])
def test_marginals_approach_the_exact_ones_as_the_field_weakens(shape):
    log_joint = random_log_joint(3, shape)
    errors = [
        np.abs(segment(log_joint, s, tol=0).marginals - exact_marginals(log_joint, s)).max()
        for s in (0.2, 0.02)
    ]
    # Right to first order in the strength: a tenth of the strength leaves a hundredth of the error.
    assert errors[0] < 0.02 and errors[1] < errors[0] / 50


@pytest.mark.parametrize("strength", [0.3, 1.0, 3.0])
def test_the_result_is_a_fixed_point_and_a_local_maximum(strength):
    log_joint = random_log_joint(4, (4, 5, 3))
    found = segment(log_joint, strength, max_iter=1000, tol=0)
    field = np.zeros_like(log_joint)
    for one, other in pairs(4, 5):
        field[one] += found.marginals[other]
        field[other] += found.marginals[one]
    np.testing.assert_allclose(
        found.marginals, softmax(log_joint + strength * field, axis=2), atol=1e-6
    )
    rng = np.random.default_rng(0)
    for _ in range(20):
        nudged = softmax(np.log(found.marginals) + 0.1 * rng.standard_normal(log_joint.shape), 2)
        assert potts_bound(log_joint, nudged, strength) < found.bounds[-1]


@given(
    seed=st.integers(0, 10_000),
    strength=st.floats(0, 20),
    spread=st.floats(0.0, 30.0),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4)),
)
def test_the_bound_never_falls_and_permuting_labels_changes_nothing(seed, strength, spread, shape):
    log_joint = random_log_joint(seed, shape, spread)
    found = segment(log_joint, strength, max_iter=20, tol=0)
    slack = 1e-12 * (1 + np.abs(found.bounds).max())
    assert (np.diff(found.bounds) >= -slack).all()
    assert (found.marginals >= 0).all()
    np.testing.assert_allclose(found.marginals.sum(axis=2), 1.0, atol=1e-12)
    order = np.random.default_rng(seed).permutation(shape[2])
    # Two sweeps: where labels tie, many would let rounding decide.
    here, there = (segment(one, strength, 2, 0) for one in (log_joint, log_joint[..., order]))
    np.testing.assert_allclose(there.marginals, here.marginals[..., order], atol=1e-6)
    np.testing.assert_allclose(there.bounds[1], here.bounds[1], rtol=1e-9)


def test_mirroring_and_turning_the_picture_turns_the_answer():
    log_joint = random_log_joint(5, (5, 7, 3))
    found = segment(log_joint, 0.6, max_iter=500, tol=0).marginals
    for turn in (np.transpose, np.flipud, np.fliplr):
        turned = log_joint.transpose(1, 0, 2) if turn is np.transpose else turn(log_joint)
        expected = found.transpose(1, 0, 2) if turn is np.transpose else turn(found)
        # The order of updates differs, the fixed point does not.
        again = segment(turned, 0.6, max_iter=500, tol=0).marginals
        np.testing.assert_allclose(again, expected, atol=1e-6)


def test_no_strength_is_the_mixture_alone():
    log_joint = random_log_joint(6, (6, 4, 3))
    found = segment(log_joint, 0.0)
    np.testing.assert_allclose(found.marginals, softmax(log_joint, axis=2), rtol=1e-12)
    assert found.bounds[-1] == pytest.approx(logsumexp(log_joint, axis=2).sum())
    np.testing.assert_array_equal(found.labels, log_joint.argmax(axis=2))


def test_a_strong_field_leaves_no_pixel_alone():
    log_joint = random_log_joint(7, (8, 8, 3))

    def fewest_friends(labels):
        return (neighbour_sum(np.eye(3)[labels]) * np.eye(3)[labels]).sum(axis=2).min()

    assert fewest_friends(segment(log_joint, 0.0).labels) == 0
    strong = segment(log_joint, 50.0)
    assert fewest_friends(strong.labels) >= 2
    np.testing.assert_array_equal(strong.labels, strong.marginals.argmax(axis=2))


def test_known_regions_come_back_from_noise():
    rows, columns = np.indices((48, 48))
    true = (rows > 20).astype(int) + ((rows - 30) ** 2 + (columns - 25) ** 2 < 120)
    before, after = [], []
    for seed in range(5):
        noisy = true + np.random.default_rng(seed).standard_normal(true.shape)
        log_joint = -0.5 * np.square(noisy[..., None] - np.arange(3))
        before.append((segment(log_joint, 0.0).labels != true).mean())
        after.append((segment(log_joint, 1.5).labels != true).mean())
    assert min(before) > 0.35 and max(after) < 0.12


def test_neighbour_sum_equals_a_loop():
    values = np.random.default_rng(0).standard_normal((4, 5, 2))
    expected = np.zeros_like(values)
    for one, other in pairs(4, 5):
        expected[one] += values[other]
        expected[other] += values[one]
    np.testing.assert_allclose(neighbour_sum(values), expected)
    assert neighbour_sum(np.ones((1, 1))) == 0


def test_boundary_length_counts_unequal_pairs():
    labels = np.random.default_rng(0).integers(3, size=(6, 5))
    expected = sum(labels[one] != labels[other] for one, other in pairs(6, 5))
    assert boundary_length(labels) == expected
    assert boundary_length(np.zeros((4, 4), int)) == 0


def test_it_stops_when_little_is_gained_and_changes_no_input():
    log_joint = random_log_joint(8, (6, 6, 2))
    copy = log_joint.copy()
    log_joint.flags.writeable = False
    long, short = segment(log_joint, 0.5, tol=0), segment(log_joint, 0.5, tol=0.1)
    assert len(short.bounds) < len(long.bounds) <= 101
    assert short.bounds[-1] - short.bounds[-2] < 0.1 * 36
    assert len(segment(log_joint, 0.5, max_iter=3, tol=0).bounds) == 4
    np.testing.assert_array_equal(log_joint, copy)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((3, 3)), 1.0), r"log_joint has shape \(3, 3\), expected \(height, width"),
        ((np.full((2, 2, 2), np.nan), 1.0), "log_joint contains NaN"),
        ((np.full((2, 2, 2), -np.inf), 1.0), "log_joint contains infinity"),
        ((np.zeros((2, 2, 2)), -1.0), "strength must be a finite number >= 0"),
        ((np.zeros((2, 2, 2)), 1.0, 0), "max_iter must be at least 1"),
        ((np.zeros((2, 2, 2)), 1.0, 5, -1.0), "tol must be a finite number >= 0"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        segment(*arguments)


@pytest.mark.parametrize(
    ("marginals", "message"),
    [
        (np.full((2, 2, 3), 1 / 3), r"marginals has shape \(2, 2, 3\), but log_joint has"),
        (np.full((2, 2, 2), 0.4), "marginals sums to 0.8, expected 1"),
        (np.tile([1.5, -0.5], (2, 2, 1)), "marginals contains a negative number"),
    ],
)
def test_bad_marginals_are_named(marginals, message):
    with pytest.raises(ValueError, match=message):
        potts_bound(np.zeros((2, 2, 2)), marginals, 1.0)


def test_labels_must_form_a_picture():
    with pytest.raises(ValueError, match=r"labels has shape \(4,\), expected \(height, width\)"):
        boundary_length(np.zeros(4, int))
