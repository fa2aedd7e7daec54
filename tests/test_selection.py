"""Choosing the number of components, against the formulas written out."""

import numpy as np
import pytest
from problems import ALL, blobs

from gmmlearn import GaussianMixture, select_n_components
from gmmlearn.collapse import CollapsedComponentWarning


def groups(seed=0, n_each=150):
    """Return three groups far apart."""
    rng = np.random.default_rng(seed)
    centres = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    return np.concatenate([centre + rng.normal(size=(n_each, 2)) for centre in centres])


@pytest.mark.parametrize("criterion", ["bic", "icl", "held-out"])
def test_three_groups_are_found(criterion):
    X = groups()
    before = X.copy()
    estimator = GaussianMixture(n_init=3, random_state=0, max_iter=500)
    selection = select_n_components(X, range(1, 6), criterion, estimator, rng=0)
    assert selection.n_components == 3
    assert [row.n_components for row in selection.table] == [1, 2, 3, 4, 5]
    assert min(selection.table, key=lambda row: row.value).n_components == 3
    assert estimator.n_components == 1 and not hasattr(estimator, "means_")
    np.testing.assert_array_equal(X, before)


def test_table_holds_what_it_decided_from():
    X = groups()
    estimator = GaussianMixture(random_state=0)
    for criterion in ("bic", "icl", "aic"):
        for row in select_n_components(X, [2, 3], criterion, estimator).table:
            mixture = GaussianMixture(row.n_components, random_state=0).fit(X)
            assert row.value == getattr(mixture, criterion)(X)
            assert row.log_prob == mixture.score(X)


def test_held_out_rows_are_not_fitted_and_the_choice_is_refitted():
    X = groups()
    estimator = GaussianMixture(random_state=0)
    selection = select_n_components(X, [3], "held-out", estimator, held_out=0.2, rng=1)
    order = np.random.default_rng(1).permutation(len(X))
    mixture = GaussianMixture(3, random_state=0).fit(X[order[90:]])
    assert selection.table[0].value == pytest.approx(-mixture.score(X[order[:90]]))
    refitted = GaussianMixture(3, random_state=0).fit(X)
    np.testing.assert_allclose(selection.estimator.means_, refitted.means_)


def test_overlapping_halves_of_one_group_are_one_for_icl():
    # Two wide overlapping components describe a density with heavy tails, not two groups.
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(1500, 1)), 3.0 * rng.normal(size=(1500, 1))])
    estimator = GaussianMixture(n_init=3, random_state=0, max_iter=2000, tol=1e-6)
    assert select_n_components(X, [1, 2], "bic", estimator).n_components == 2
    assert select_n_components(X, [1, 2], "icl", estimator).n_components == 1


@ALL
def test_icl_by_hand(covariance_type):
    X = blobs(spread=1.5)
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    surest = np.log(mixture.predict_proba(X).max(axis=1))
    assert mixture.icl(X) == pytest.approx(mixture.bic(X) - 2 * surest.sum(), rel=1e-12)


def test_a_fit_that_fails_is_noted_and_passed_over():
    X = np.column_stack([np.random.default_rng(0).normal(size=12), np.repeat([0.0, 90.0], 6)])
    estimator = GaussianMixture(random_state=0, reg_covar=0.0)
    selection = select_n_components(X, [1, 2, 50], estimator=estimator)
    assert selection.n_components == 1
    assert [bool(row.error) for row in selection.table] == [False, True, True]
    assert "singular" in selection.table[1].error and "only n_samples" in selection.table[2].error
    assert selection.table[2].value == np.inf and np.isnan(selection.table[2].log_prob)
    with pytest.raises(ValueError, match=r"All fits failed\. Of 50 components: n_components is 50"):
        select_n_components(X, [50, 51])


def test_a_collapsed_fit_is_noted_and_chosen_only_if_all_are():
    X = np.vstack([groups()[:150], [[90.0, 90.0]]])
    with pytest.warns(CollapsedComponentWarning):
        selection = select_n_components(X, [1, 2], estimator=GaussianMixture(random_state=0))
        only = select_n_components(X, [2], estimator=GaussianMixture(random_state=0))
    assert [row.collapsed for row in selection.table] == [False, True]
    assert selection.table[1].value < selection.table[0].value and selection.n_components == 1
    assert only.n_components == 2
    assert str(selection).splitlines()[-1].endswith("collapsed")


def test_printed_table():
    selection = select_n_components(groups(), [1, 3], estimator=GaussianMixture(random_state=0))
    head, one, three = str(selection).splitlines()
    assert head.split() == ["K", "bic", "log_prob"]
    assert one.split()[0] == "1" and three.split()[0] == "3" and three.endswith("*")
    assert float(three.split()[1]) == pytest.approx(selection.table[1].value, rel=1e-5)


@pytest.mark.parametrize("criterion", ["bic", "held-out"])
def test_names_of_features_are_kept(criterion):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(groups(), columns=["width", "height"])
    selection = select_n_components(X, [2, 3], criterion, rng=0)
    assert list(selection.estimator.feature_names_in_) == ["width", "height"]
    selection.estimator.predict(X)


def test_a_seed_repeats_everything_without_an_estimator():
    one, other = (select_n_components(groups(), [2, 3], "held-out", rng=5) for _ in "ab")
    assert one.table == other.table
    np.testing.assert_array_equal(one.estimator.means_, other.estimator.means_)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"criterion": "mdl"}, "criterion is 'mdl'. Use one of bic"),
        ({"candidates": []}, "candidates is empty"),
        ({"candidates": [0]}, "candidates must be at least 1"),
        ({"criterion": "held-out", "held_out": 1.5}, "held_out is 1.5"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        select_n_components(groups(), **arguments)
