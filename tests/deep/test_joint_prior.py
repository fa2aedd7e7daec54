"""A prior that can be asked: the same answers as chapter 9's joint mixture, from tensors alone."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from gmmlearn.conditional import JointMixture
from gmmlearn.deep.joint_prior import JointPrior
from gmmlearn.painter import LEVELS, RADIUS, circle
from gmmlearn.scenes import Labels, sample_labels

DIM, K, SCALE = 3, 12, 0.3


@pytest.fixture(scope="module")
def labels():
    return sample_labels(600, rng=1)


@pytest.fixture(scope="module")
def joint(labels):
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(600, DIM)) + np.column_stack(
        [labels.season, labels.time, np.cos(labels.day / 58)]
    )
    points = np.hstack([codes, SCALE * circle(labels.day)])
    named = {name: getattr(labels, name) for name in Labels._fields[1:]}
    return JointMixture(K, levels=LEVELS, random_state=0, reg_covar=0.01).fit(points, named)


@pytest.fixture
def prior(joint):
    return JointPrior.from_joint(joint, SCALE * RADIUS)


ASKED = (
    {},
    {"season": "winter"},
    {"season": "spring", "time": "night"},
    {"n_trees": (1, 2), "weather": ["rain", "clear"]},
)


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_components_are_as_likely_as_in_the_joint_mixture(prior, joint, asked):
    found = prior.component_probabilities(**asked)
    np.testing.assert_allclose(found, joint.component_probabilities(**asked), atol=2e-6)
    for name, table in joint.tables_.items():
        np.testing.assert_allclose(prior.tables[name], table, atol=1e-6)


def test_without_words_it_is_the_mixture_of_codes(prior, joint):
    z = np.random.default_rng(2).normal(size=(20, DIM))
    whole = joint.gaussians_.mixture()
    expected = np.log(
        sum(
            w * multivariate_normal(mean[:DIM], covariance[:DIM, :DIM]).pdf(z)
            for w, mean, covariance in zip(
                whole.weights, whole.means, whole.covariances, strict=True
            )
        )
    )
    found = prior.log_prob(torch.tensor(z, dtype=torch.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert prior.latent_dim == DIM
    assert not any(p.requires_grad for p in prior.parameters())


def test_draws_are_distributed_as_bayes_rule_says(prior, joint):
    """Empirical frequency of components among draws: far from the unconditional one."""
    asked = {"season": "autumn", "time": "morning"}
    z = prior.given(**asked).sample(20_000, rng=0)
    conditional = joint.condition(**asked).marginal(list(range(DIM)))
    np.testing.assert_allclose(z.mean(dim=0), conditional.weights @ conditional.means, atol=0.04)
    # The posterior under the conditional mixture averages to its weights.
    resp = conditional.responsibilities(z.double().numpy()).mean(axis=0)
    np.testing.assert_allclose(resp, joint.component_probabilities(**asked), atol=0.01)
    assert np.abs(resp - joint.weights_).max() > 0.1


@pytest.mark.parametrize("day", [0.0, 99.5, 300.0])
def test_a_day_conditions_codes_as_the_joint_mixture_does(prior, joint, day):
    found = prior.given(day=day, time="day").to_mixture()
    place = SCALE * circle([day])[0]
    expected = joint.condition(time="day").condition([DIM, DIM + 1], place)
    np.testing.assert_allclose(found.weights, expected.weights, atol=1e-4)
    np.testing.assert_allclose(found.means, expected.means, atol=2e-3)
    np.testing.assert_allclose(found.covariances, expected.covariances, atol=2e-3)


def test_one_wish_after_the_other_is_both_at_once(prior):
    both = prior.given(season="winter", time="night")
    one = prior.given(season="winter").given(time="night")
    torch.testing.assert_close(one.weights, both.weights)
    day = prior.given(season="winter").given(day=20.0, time="night").to_mixture()
    np.testing.assert_allclose(
        day.weights, prior.given(day=20.0, season="winter", time="night").weights, atol=1e-6
    )


def test_tensors_alone_bring_it_back(prior):
    levels = LEVELS | {"n_trees": range(5)}
    again = JointPrior(K, DIM, levels)
    again.load_state_dict(prior.state_dict())
    for asked in ({"season": "winter"}, {"day": 40.0, "season": "winter"}):
        torch.testing.assert_close(
            again.given(**asked).sample(5, rng=0), prior.given(**asked).sample(5, rng=0)
        )


def test_a_new_prior_knows_nothing(prior):
    fresh = JointPrior(2, 3, {"season": ("winter", "summer")})
    assert fresh.component_probabilities(season="winter").tolist() == [0.5, 0.5]
    before = fresh.to_mixture()
    np.testing.assert_allclose(fresh.given(day=10).means, before.means, atol=1e-6)


def test_asking_changes_nothing(prior, joint):
    before = {name: value.clone() for name, value in prior.state_dict().items()}
    tables = {name: table.copy() for name, table in joint.tables_.items()}
    prior.given(day=3.0, season="winter").sample(3, rng=0)
    assert all(torch.equal(before[name], value) for name, value in prior.state_dict().items())
    for name, table in tables.items():
        np.testing.assert_array_equal(table, joint.tables_[name])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"mood": "sad"}, "no attribute 'mood'. Known are: season, time, weather, n_trees"),
        ({"season": "monsoon"}, "season has no level 'monsoon'. Known are: winter, spring"),
        ({"n_trees": ()}, "n_trees is asked for no level at all"),
        ({"day": 365}, r"day is 365\. It must be in \[0, 365\)"),
    ],
    ids=str,
)
def test_unknown_wishes_are_named(prior, asked, message):
    with pytest.raises(ValueError, match=message):
        prior.given(**asked)


def test_a_mixture_without_days_is_refused():
    joint = JointMixture(1).fit(np.arange(8.0).reshape(4, 2), {"season": [0, 1, 0, 1]})
    with pytest.raises(ValueError, match="joint has 2 features, expected codes and the day"):
        JointPrior.from_joint(joint, 1.0)
    with pytest.raises(ValueError, match="day_radius must be"):
        JointPrior.from_joint(joint, 0.0)
