"""Measures of samples against closed forms, definitions by loops, SciPy and torchmetrics."""

import warnings
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.linalg import sqrtm
from scipy.spatial.distance import pdist
from scipy.stats import binomtest, entropy, ortho_group

from gmmlearn import datasets, metrics

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(60, 5)) @ RNG.normal(size=(5, 5)) + 1.0
FAKE = RNG.normal(size=(45, 5)) @ RNG.normal(size=(5, 5))
CENTRES = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]])


def sets(seed, n=40, m=30, n_features=3):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_features, n_features))
    return rng.normal(size=(n, n_features)), rng.normal(size=(m, n_features)) @ mixing + 0.5


def in_small_blocks(monkeypatch, size=64):
    monkeypatch.setattr(metrics.distances, "_BLOCK", size)
    monkeypatch.setattr(metrics.neighbours, "_BLOCK", size)
    monkeypatch.setattr(metrics.bins, "_BLOCK", size)


class Identity:
    """Build torchmetrics' metric on the features themselves."""

    @staticmethod
    def of(metric_class, real, fake, **options):
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            extractor = torch.nn.Identity()
            extractor.num_features = real.shape[1]
            metric = metric_class(feature=extractor, **options).set_dtype(torch.float64)
            metric.update(torch.tensor(real), real=True)
            metric.update(torch.tensor(fake), real=False)
            return metric.compute()


# --- Frechet distance -------------------------------------------------------------------------


def test_frechet_is_torchmetrics_with_its_own_extractor():
    from torchmetrics.image.fid import FrechetInceptionDistance

    theirs = Identity.of(FrechetInceptionDistance, REAL, FAKE)
    assert metrics.frechet_distance(REAL, FAKE) == pytest.approx(float(theirs), rel=1e-6)


def test_frechet_of_gaussians_is_the_formula_with_a_matrix_root():
    means, covariances = (REAL.mean(0), FAKE.mean(0)), (np.cov(REAL.T), np.cov(FAKE.T))
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = np.square(means[0] - means[1]).sum()
    expected += np.trace(covariances[0] + covariances[1] - 2 * root)
    given = (means[0], covariances[0], means[1], covariances[1])
    assert metrics.frechet_distance_gaussians(*given) == pytest.approx(expected, rel=1e-9)
    assert metrics.frechet_distance(REAL, FAKE) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_commuting_covariances_is_known():
    a, b = np.array([1.0, 4.0, 0.0]), np.array([9.0, 1.0, 2.0])  # a singular one among them
    axes = ortho_group.rvs(3, random_state=0)
    covariances = (axes * a) @ axes.T, (axes * b) @ axes.T
    found = metrics.frechet_distance_gaussians(
        np.zeros(3), covariances[0], 2 * axes[0], covariances[1]
    )
    assert found == pytest.approx(4 + np.square(np.sqrt(a) - np.sqrt(b)).sum())


def test_frechet_is_the_least_cost_of_carrying_one_gaussian_to_the_other():
    # The optimal linear map x -> T x costs exactly the distance; other couplings cost more.
    first, second = np.cov(REAL.T), np.cov(FAKE.T)
    root = sqrtm(first).real
    middle = sqrtm(root @ second @ root).real
    inverse = np.linalg.inv(root)
    carry = inverse @ middle @ inverse
    np.testing.assert_allclose(carry @ first @ carry, second, atol=1e-8)
    cost = np.trace(first + second - 2 * carry @ first)
    zero = np.zeros(5)
    found = metrics.frechet_distance_gaussians(zero, first, zero, second)
    assert found == pytest.approx(cost, rel=1e-8)
    for seed in range(20):
        turn = ortho_group.rvs(5, random_state=seed)
        cross = (
            root @ turn @ sqrtm(second).real
        )  # every coupling's cross-covariance, up to shrinking
        assert np.trace(first + second - 2 * cross) >= found - 1e-9


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_frechet_properties(seed):
    real, fake = sets(seed)
    distance = metrics.frechet_distance(real, fake)
    turn, shift = ortho_group.rvs(3, random_state=seed), np.arange(3.0)
    assert distance >= 0
    assert metrics.frechet_distance(fake, real) == pytest.approx(distance)
    assert metrics.frechet_distance(real @ turn + shift, fake @ turn + shift) == pytest.approx(
        distance
    )
    assert metrics.frechet_distance(3 * real, 3 * fake) == pytest.approx(9 * distance)
    assert metrics.frechet_distance(real, real[::-1]) == pytest.approx(0, abs=1e-12)
    assert metrics.frechet_distance(real, real + shift) == pytest.approx(5.0)


def test_frechet_keeps_digits_with_tiny_and_huge_spreads():
    spreads = 10.0 ** np.arange(-6, 6, 2)
    real = np.random.default_rng(0).normal(size=(50, 6)) * spreads
    assert metrics.frechet_distance(real, real) <= 1e-12 * np.square(spreads).sum()
    wider = real * [2, 1, 1, 1, 1, 1]
    wider += real.mean(axis=0) - wider.mean(axis=0)
    expected = real[:, 0].var(ddof=1)  # (2 - 1)^2 times the variance
    narrow = metrics.frechet_distance(real[:, :2], wider[:, :2])
    assert narrow == pytest.approx(expected, rel=1e-3)


def test_frechet_says_how_many_samples_it_takes():
    with pytest.raises(ValueError, match=r"fake has 5 samples.*5 features takes at least 6\. Pass"):
        metrics.frechet_distance(REAL, FAKE[:5])
    with pytest.raises(ValueError, match="real has 1 sample, but"):
        metrics.frechet_distance(REAL[:1], FAKE)
    assert metrics.frechet_distance(REAL, FAKE[:6]) > 0
    assert metrics.frechet_distance(REAL, np.repeat(FAKE[:1], 6, axis=0)) > 0  # no spread at all


# --- kernel distance --------------------------------------------------------------------------


def kernel_by_loops(real, fake):
    def kernel(x, y):
        return (x @ y / len(x) + 1) ** 3

    def mean(pairs):
        return np.mean([kernel(x, y) for x, y in pairs])

    own = [
        mean((x, y) for i, x in enumerate(X) for j, y in enumerate(X) if i != j)
        for X in (real, fake)
    ]
    return own[0] + own[1] - 2 * mean((x, y) for x in real for y in fake)


def test_kernel_distance_is_the_definition(monkeypatch):
    expected = kernel_by_loops(REAL, FAKE)
    assert metrics.kernel_distance(REAL, FAKE) == pytest.approx(expected, rel=1e-10)
    in_small_blocks(monkeypatch)
    assert metrics.kernel_distance(REAL, FAKE) == pytest.approx(expected, rel=1e-10)


def test_kernel_distance_with_a_bandwidth_is_the_definition(monkeypatch):
    def mean(X, Y, omit):
        pairs = [(x, y) for i, x in enumerate(X) for j, y in enumerate(Y) if not (omit and i == j)]
        return np.mean([np.exp(-(np.linalg.norm(x - y) ** 2) / (2 * 1.7**2)) for x, y in pairs])

    expected = mean(REAL, REAL, True) + mean(FAKE, FAKE, True) - 2 * mean(REAL, FAKE, False)
    assert metrics.kernel_distance(REAL, FAKE, bandwidth=1.7) == pytest.approx(expected, rel=1e-10)
    in_small_blocks(monkeypatch)
    assert metrics.kernel_distance(REAL, FAKE, bandwidth=1.7) == pytest.approx(expected, rel=1e-10)
    with pytest.raises(ValueError, match=r"bandwidth must be .* > 0"):
        metrics.kernel_distance(REAL, FAKE, bandwidth=0)


def test_gaussian_kernel_distance_of_two_gaussians_is_known():
    # E exp(-|d|^2 / 2 h^2) for d ~ N(m, 2) in the plane: h^2 / (h^2 + 2) exp(-m^2 / 2 (h^2 + 2)).
    rng, h, m = np.random.default_rng(0), 0.5, 1.0
    real, fake = rng.normal(size=(2, 4000, 2))
    found = metrics.kernel_distance(real, fake + np.array([m, 0.0]), bandwidth=h)
    expected = 2 * h**2 / (h**2 + 2) * (1 - np.exp(-(m**2) / (2 * (h**2 + 2))))
    assert found == pytest.approx(expected, rel=0.06)
    assert abs(metrics.kernel_distance(real, fake, bandwidth=h)) < 0.02 * expected


def test_kernel_distance_is_torchmetrics_with_its_own_extractor():
    from torchmetrics.image.kid import KernelInceptionDistance

    theirs = Identity.of(KernelInceptionDistance, REAL[:45], FAKE, subsets=2, subset_size=45)
    assert metrics.kernel_distance(REAL[:45], FAKE) == pytest.approx(float(theirs[0]), rel=1e-6)


def test_kernel_distance_is_unbiased_also_for_few_samples():
    # Against the exact value for finite populations, sampled with replacement.
    rng = np.random.default_rng(1)
    real, fake = rng.normal(size=(4, 2)), rng.normal(size=(3, 2)) + 0.5
    means = [((a @ b.T / 2 + 1) ** 3).mean() for a, b in ((real, real), (fake, fake), (real, fake))]
    exact = means[0] + means[1] - 2 * means[2]
    draws = [
        metrics.kernel_distance(rng.choice(real, 3), rng.choice(fake, 2)) for _ in range(20_000)
    ]
    assert np.mean(draws) == pytest.approx(exact, abs=5 * np.std(draws) / np.sqrt(20_000))
    assert np.std(draws) / np.sqrt(20_000) < 0.05 * abs(exact) + 0.05


def test_kernel_blocks_are_disjoint_and_average():
    blocks = metrics.kernel_distance_blocks(REAL, FAKE, n_blocks=5, rng=3)
    rng = np.random.default_rng(3)
    parts = [np.array_split(rng.permutation(X), 5) for X in (REAL, FAKE)]
    expected = [kernel_by_loops(*pair) for pair in zip(*parts, strict=True)]
    np.testing.assert_allclose(blocks.values, expected, rtol=1e-9)
    assert blocks.mean == pytest.approx(np.mean(expected))
    assert blocks.std_error == pytest.approx(np.std(expected, ddof=1) / np.sqrt(5))
    with pytest.raises(
        ValueError, match="fake has 9 samples, but 5 blocks of two takes at least 10"
    ):
        metrics.kernel_distance_blocks(REAL, FAKE[:9], n_blocks=5)


# --- neighbours -------------------------------------------------------------------------------


def region_by_loops(region, points, k):
    inside = np.zeros(len(points), dtype=bool)
    for i, centre in enumerate(region):
        others = [np.linalg.norm(centre - x) for j, x in enumerate(region) if j != i]
        radius = sorted(others)[k - 1]
        inside |= [np.linalg.norm(centre - x) <= radius for x in points]
    return inside.mean()


@pytest.mark.parametrize("k", [1, 3, 7])
def test_precision_recall_are_the_definition(k, monkeypatch):
    real, fake = sets(5)
    expected = (region_by_loops(real, fake, k), region_by_loops(fake, real, k))
    assert metrics.precision_recall(real, fake, n_neighbors=k) == pytest.approx(expected)
    assert 0 < expected[0] < 1 and expected[0] != expected[1]
    in_small_blocks(monkeypatch)
    assert metrics.precision_recall(real, fake, n_neighbors=k) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seed", "k", "expected"),
    [(5, 3, (22 / 30, 19 / 40)), (6, 1, (8 / 30, 14 / 40)), (7, 5, (19 / 30, 36 / 40))],
)
def test_precision_recall_are_what_the_package_prdc_gives(seed, k, expected):
    # Computed once with prdc 0.2, which is not among the requirements.
    assert metrics.precision_recall(*sets(seed), n_neighbors=k) == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5))
def test_precision_recall_properties(seed, k):
    real, fake = sets(seed)
    precision, recall = metrics.precision_recall(real, fake, k)
    assert metrics.precision_recall(fake, real, k) == (recall, precision)
    assert metrics.precision_recall(real, real, k) == (1, 1)
    assert metrics.precision_recall(real, fake + 1e3, k) == (0, 0)
    more = metrics.precision_recall(real, fake, k + 1)
    assert more.precision >= precision and more.recall >= recall


def test_precision_recall_of_extreme_samplers():
    real, _ = sets(1)
    one = np.repeat(real[:1], 30, axis=0)
    assert metrics.precision_recall(real, one) == (1.0, 1 / 40)  # that one picture alone
    half = real[real[:, 0] > 0]
    found = metrics.precision_recall(real, half)
    assert found.precision == 1.0 and 0.4 < found.recall < 0.95


def test_precision_recall_need_more_samples_than_neighbours():
    with pytest.raises(ValueError, match="real has 3 samples, but 3 neighbours takes at least 4"):
        metrics.precision_recall(REAL[:3], FAKE)
    with pytest.raises(ValueError, match="n_neighbors must be at least 1"):
        metrics.precision_recall(REAL, FAKE, n_neighbors=0)


def test_nearest_neighbor_accuracy_is_scikit_learns_classifier_left_one_out():
    from sklearn.model_selection import LeaveOneOut, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    real, fake = sets(7, n=40, m=40)
    X, labels = np.concatenate([real, fake]), np.repeat([0, 1], 40)
    expected = cross_val_score(KNeighborsClassifier(1), X, labels, cv=LeaveOneOut()).mean()
    assert 0.55 < expected < 0.95
    assert metrics.nearest_neighbor_accuracy(real, fake) == pytest.approx(expected)


def test_nearest_neighbor_accuracy_of_two_densities_is_known():
    # Half the integral of (p^2 + q^2) / (p + q), here with p = 1 on [0, 1] and q = 1/2 on [0, 2].
    rng = np.random.default_rng(0)
    real, fake = rng.random((20_000, 1)), 2 * rng.random((20_000, 1))
    assert metrics.nearest_neighbor_accuracy(real, fake) == pytest.approx(2 / 3, abs=0.01)
    assert metrics.nearest_neighbor_accuracy(real, fake + 2) == 1.0
    same = [metrics.nearest_neighbor_accuracy(*rng.random((2, 400, 2))) for _ in range(300)]
    assert np.mean(same) == pytest.approx(0.5, abs=0.005)
    assert np.std(same) == pytest.approx(0.45 / np.sqrt(400), rel=0.15)


def test_nearest_neighbor_accuracy_sees_copies_and_needs_equal_sizes():
    assert metrics.nearest_neighbor_accuracy(REAL, REAL[::-1]) == 0.0  # each is beside its copy
    # Many copies of one sample: which of them is nearest does not matter, never itself.
    assert metrics.nearest_neighbor_accuracy(np.zeros((9, 2)), np.ones((9, 2))) == 1.0
    with pytest.raises(ValueError, match=r"fake has 45 samples, but real has 60.*as many of each"):
        metrics.nearest_neighbor_accuracy(REAL, FAKE)
    with pytest.raises(ValueError, match="real has 1 sample, but a nearest other sample"):
        metrics.nearest_neighbor_accuracy(REAL[:1], FAKE[:1])


def test_nearest_distance_ratio_is_the_definition(monkeypatch):
    rng = np.random.default_rng(0)
    train, heldout, fake = (rng.normal(size=(n, 3)) for n in (30, 20, 25))

    def two(x):
        return sorted(np.linalg.norm(x - t) for t in train)[:2]

    nearest, second = (np.array([two(x) for x in X]).T for X in (heldout, fake))
    expected = (
        np.median(second[0]) / np.median(nearest[0]),
        np.median(second[0] / second[1]) / np.median(nearest[0] / nearest[1]),
    )
    assert metrics.nearest_distance_ratio(train, heldout, fake) == pytest.approx(expected)
    in_small_blocks(monkeypatch)
    assert metrics.nearest_distance_ratio(train, heldout, fake) == pytest.approx(expected)


def test_copiers_are_seen():
    rng = np.random.default_rng(1)
    train, heldout, honest = (rng.normal(size=(300, 20)) for _ in range(3))
    copies = train[:100]
    assert metrics.nearest_distance_ratio(train, heldout, copies) == (0, 0)
    assert metrics.nearest_distance_ratio(train, heldout, honest) == pytest.approx((1, 1), abs=0.05)
    noisy = copies + 0.8 * rng.normal(size=copies.shape)
    ratio, contrast = metrics.nearest_distance_ratio(train, heldout, noisy)
    assert ratio > 0.85 and contrast < 0.85
    # One copy in five: the median does not move, a low quantile does.
    sometimes = np.concatenate([copies[:20], honest[:80]])
    assert metrics.nearest_distance_ratio(train, heldout, sometimes).ratio > 0.9
    assert metrics.nearest_distance_ratio(train, heldout, sometimes, quantile=0.1).ratio == 0


def test_a_copier_of_repeated_training_samples_has_no_contrast():
    rng = np.random.default_rng(2)
    once, heldout = rng.normal(size=(50, 4)), rng.normal(size=(40, 4))
    found = metrics.nearest_distance_ratio(np.tile(once, (2, 1)), heldout, once)
    assert found == pytest.approx((0, 1))


def test_heldout_must_be_held_out():
    with pytest.raises(ValueError, match="heldout contains training samples"):
        metrics.nearest_distance_ratio(REAL, REAL[:20], FAKE)
    with pytest.raises(ValueError, match="train has 1 sample, but a second nearest"):
        metrics.nearest_distance_ratio(REAL[:1], REAL, FAKE)
    with pytest.raises(ValueError, match="quantile must lie between 0 and 1"):
        metrics.nearest_distance_ratio(REAL, FAKE, FAKE, quantile=2)


def test_mean_pairwise_distance_is_scipys(monkeypatch):
    assert metrics.mean_pairwise_distance(REAL) == pytest.approx(pdist(REAL).mean())
    in_small_blocks(monkeypatch)
    assert metrics.mean_pairwise_distance(REAL) == pytest.approx(pdist(REAL).mean())
    assert metrics.mean_pairwise_distance(np.ones((5, 2))) == 0


# --- bins and modes ---------------------------------------------------------------------------


def clusters(shares, n, rng):
    labels = np.repeat(np.arange(len(shares)), np.round(n * np.array(shares)).astype(int))
    return CENTRES[labels] + 0.01 * rng.normal(size=(len(labels), 2))


def test_ndb_is_a_two_proportion_test_in_known_bins():
    rng = np.random.default_rng(0)
    shares, other = np.array([0.5, 0.3, 0.2]), np.array([0.5, 0.1, 0.4])
    train, fake = clusters(shares, 1000, rng), clusters(other, 200, rng)
    found = metrics.ndb(train, fake, n_bins=3, rng=0)
    np.testing.assert_allclose(found.train_shares, shares)
    np.testing.assert_allclose(found.fake_shares, other)
    middle = (shares + other) / 2
    divergence = (entropy(shares, middle) + entropy(other, middle)) / 2
    assert found.jensen_shannon == pytest.approx(divergence)
    # The square of z is Pearson's chi-squared of the 2 x 2 table, without correction.
    from scipy.stats import chi2_contingency

    for k in range(3):
        table = [[1000 * shares[k], 1000 * (1 - shares[k])], [200 * other[k], 200 * (1 - other[k])]]
        expected = chi2_contingency(table, correction=False).pvalue
        assert found.p_values[k] == pytest.approx(expected)
    assert found.n_different == 2
    assert metrics.ndb(train, fake, n_bins=3, level=1e-20, rng=0).n_different == 0
    assert metrics.ndb(train, fake[:1], n_bins=3, rng=0).fake_shares.tolist() == [1, 0, 0]


def test_ndb_of_honest_samples_rejects_at_about_its_level():
    rng = np.random.default_rng(0)
    counts = [
        metrics.ndb(rng.normal(size=(1000, 2)), rng.normal(size=(1000, 2)), 10, rng=s).n_different
        for s in range(30)
    ]
    assert 0.02 < np.mean(counts) / 10 < 0.12


def test_ndb_is_seeded_and_refuses_more_bins_than_samples():
    first, again = (metrics.ndb(REAL, FAKE, n_bins=6, rng=4) for _ in range(2))
    np.testing.assert_array_equal(first.p_values, again.p_values)
    with pytest.raises(ValueError, match="train has 2 different samples for 5 bins"):
        metrics.ndb(np.tile(REAL[:2], (10, 1)), FAKE, n_bins=5)
    with pytest.raises(ValueError, match="level must lie between"):
        metrics.ndb(REAL, FAKE, n_bins=5, level=0)


def test_modes_counted_by_hand():
    std = 0.1
    samples = [[0, 0], [0.29, 0], [0.31, 0], [2, 0.2], [1.2, 0.0], [0.0, 2.5], [9.0, 9.0]]
    found = metrics.mode_statistics(samples, CENTRES, std)
    assert found.counts.tolist() == [3, 2, 2]
    assert found.n_modes == 2  # the third mode's samples are poor
    assert found.high_quality == pytest.approx(3 / 7)
    assert found.reverse_kl == pytest.approx(entropy([3 / 7, 2 / 7, 2 / 7], np.full(3, 1 / 3)))
    true = np.array([0.5, 0.25, 0.25])
    found = metrics.mode_statistics(samples, CENTRES, std, weights=true)
    assert found.reverse_kl == pytest.approx(entropy([3 / 7, 2 / 7, 2 / 7], true))
    assert metrics.mode_statistics(samples, CENTRES, std, n_stds=6).n_modes == 3


def test_modes_of_the_data_sets(monkeypatch):
    monkeypatch.setattr(metrics.bins, "_BLOCK", 1000)
    points, _ = datasets.grid(20_000, rng=0)
    ticks = np.arange(-4.0, 5.0, 2.0)
    centres = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    found = metrics.mode_statistics(points, centres, 0.05)
    assert found.n_modes == 25 and found.counts.sum() == 20_000
    assert found.high_quality == pytest.approx(1 - np.exp(-4.5), abs=0.003)
    # (K - 1) / 2N is the mean of the divergence of 25 equal shares estimated from N samples.
    assert found.reverse_kl == pytest.approx(24 / 40_000, abs=6e-4)
    lost = metrics.mode_statistics(points[points[:, 0] > -1], centres, 0.05)
    assert lost.n_modes == 15
    assert lost.reverse_kl == pytest.approx(np.log(25 / 15), abs=0.005)


def test_modes_refuse_what_makes_no_sense():
    with pytest.raises(ValueError, match="std is 0"):
        metrics.mode_statistics(CENTRES, CENTRES, 0.0)
    with pytest.raises(ValueError, match="weights must be 3 positive shares"):
        metrics.mode_statistics(CENTRES, CENTRES, 1.0, weights=[0.5, 0.5])
    with pytest.raises(ValueError, match="Leave out modes of weight 0"):
        metrics.mode_statistics(CENTRES, CENTRES, 1.0, weights=[0.5, 0.5, 0.0])


# --- scores and intervals ---------------------------------------------------------------------


@pytest.mark.parametrize("n_right", [0, 1, 17, 40])
def test_agreement_has_wilsons_interval(n_right):
    asked = np.arange(40) % 10
    judged = np.where(np.arange(40) < n_right, asked, 11)
    found = metrics.agreement(asked, judged, level=0.9)
    expected = binomtest(n_right, 40).proportion_ci(0.9, method="wilson")
    assert found.estimate == n_right / 40
    assert found[1:] == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_agreement_takes_words_and_refuses_probabilities():
    assert metrics.agreement(["spring", "winter"], ["spring", "autumn"]).estimate == 0.5
    with pytest.raises(ValueError, match="Take their argmax"):
        metrics.agreement([0, 1], [0.2, 0.8])
    with pytest.raises(ValueError, match="judged has 3 labels, but asked has 2"):
        metrics.agreement([0, 1], [0, 1, 2])
    with pytest.raises(ValueError, match="mix texts with numbers"):
        metrics.agreement(["0", "1"], [0, 1])


def test_bits_per_pixel_of_a_density_by_summing_cubes():
    # One pixel of 4 levels, a density constant inside each cube: the bits are exact.
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    found = metrics.bits_per_pixel(np.log(4 * shares), n_pixels=1, n_levels=4)
    np.testing.assert_allclose(found, -np.log2(shares))
    np.testing.assert_allclose(metrics.bits_per_pixel(7 * np.log(4 * shares), 7, 4), found)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_mean_interval_is_that_of_students_test(level):
    x = np.array([0.3, -1.0, 2.5, 0.7, 0.1])
    truth = stats.ttest_1samp(x, 0.0).confidence_interval(level)
    np.testing.assert_allclose(metrics.mean_interval(x, level), [x.mean(), *truth], rtol=1e-12)


@pytest.mark.parametrize("values", [[1.0], [], [1.0, np.nan], [[1.0, 2.0]]])
def test_mean_interval_refuses_what_has_no_spread(values):
    with pytest.raises(ValueError, match="values"):
        metrics.mean_interval(values)


def test_bootstrap_interval_of_a_mean_is_the_normal_one():
    x = np.random.default_rng(0).normal(size=400)
    found = metrics.bootstrap_interval(np.mean, x, n_resamples=4000, rng=1)
    half = 1.96 * x.std() / np.sqrt(400)
    assert found == pytest.approx((x.mean(), x.mean() - half, x.mean() + half), abs=0.006)
    narrow = metrics.bootstrap_interval(np.mean, x, n_resamples=4000, level=0.5, rng=1)
    assert narrow.high - narrow.low == pytest.approx(2 * 0.6745 * x.std() / np.sqrt(400), rel=0.05)


def test_bootstrap_redraws_rows_of_each_set_by_itself():
    x, y = np.random.default_rng(0).normal(size=(2, 300, 2))
    seen = []

    def difference(a, b):
        seen.append(
            (a.shape, {tuple(r) for r in a} <= {tuple(r) for r in x}, len(np.unique(a[:, 0])))
        )
        return a[:, 0].mean() - b[:, 0].mean()

    found = metrics.bootstrap_interval(difference, x, y, n_resamples=500, rng=0)
    expected = 2 * 1.96 * np.sqrt((x[:, 0].var() + y[:, 0].var()) / 300)
    assert found.high - found.low == pytest.approx(expected, rel=0.15)
    assert len(seen) == 501 and all(shape == (300, 2) and rows for shape, rows, _ in seen)
    assert seen[0][2] == 300 and 150 < seen[1][2] < 230  # 63 % of the rows, on average
    assert found == metrics.bootstrap_interval(difference, x, y, n_resamples=500, rng=0)


def test_bootstrap_refuses_what_is_not_a_number():
    with pytest.raises(ValueError, match="statistic must return one finite number"):
        metrics.bootstrap_interval(lambda x: x, REAL)
    with pytest.raises(ValueError, match="samples must be one array or more"):
        metrics.bootstrap_interval(np.mean)
    with pytest.raises(ValueError, match="level must lie between"):
        metrics.bootstrap_interval(np.mean, REAL, level=95)


# --- faults -----------------------------------------------------------------------------------


def test_faulty_samples_have_their_faults_and_no_other():
    train, pool = datasets.digits("train"), datasets.digits("test")
    before = pool.X.copy(), train.X.copy()
    found = metrics.faulty_samples(pool, train, 200, rng=0, missing=7)
    rows = {
        name: {x.tobytes(): y for x, y in zip(*source, strict=True)}
        for name, source in (("pool", pool), ("train", train))
    }
    for name, source in (("honest", "pool"), ("copies", "train"), ("class missing", "pool")):
        X, labels = found[name]
        assert all(rows[source][x.tobytes()] == y for x, y in zip(X, labels, strict=True))
        assert len({x.tobytes() for x in X}) == 200
    assert 7 in found["honest"].labels and 7 not in found["class missing"].labels
    X = {name: labelled.X for name, labelled in found.items()}
    for name, clean, std in (("noisy", "honest", 0.1), ("smudged copies", "copies", 0.2)):
        inner = (X[clean] > 5) & (X[clean] < 11)  # where clipping does little
        assert (X[name] - X[clean])[inner].std() == pytest.approx(16 * std, rel=0.1)
        assert X[name].min() == 0 and X[name].max() == 16
        np.testing.assert_array_equal(found[name].labels, found[clean].labels)
    # Blur keeps the ink (but for the border) of each picture by itself, and lowers contrast.
    ink, blurred = X["honest"].sum(axis=(1, 2)), X["blurred"].sum(axis=(1, 2))
    np.testing.assert_allclose(blurred, ink, rtol=0.1)
    assert X["blurred"].std() < 0.9 * X["honest"].std()
    assert (X["one repeated"] == X["honest"][0]).all()
    assert (found["one repeated"].labels == found["honest"].labels[0]).all()
    np.testing.assert_array_equal(pool.X, before[0])
    np.testing.assert_array_equal(train.X, before[1])
    again = metrics.faulty_samples(pool, train, 200, rng=0, missing=7)
    np.testing.assert_equal(found, again)


def test_faulty_samples_refuse_too_few_pictures():
    train, pool = datasets.digits("train"), datasets.digits("test")
    with pytest.raises(ValueError, match="pool has 500 pictures, fewer than n_samples = 600"):
        metrics.faulty_samples(pool, train, 600)
    with pytest.raises(ValueError, match="pool without class 3 has"):
        metrics.faulty_samples(pool, train, 490, missing=3)
    with pytest.raises(ValueError, match=r"pool\.labels has shape \(499,\)"):
        metrics.faulty_samples((pool.X, pool.labels[1:]), train, 10)
    with pytest.raises(ValueError, match=r"train\.X has shape \(1000, 64\)"):
        metrics.faulty_samples(pool, (train.X.reshape(1000, 64), train.labels), 10)
    with pytest.raises(ValueError, match="blur must be"):
        metrics.faulty_samples(pool, train, 10, blur=-1)


# --- all --------------------------------------------------------------------------------------

PAIRS = {
    "frechet_distance": metrics.frechet_distance,
    "kernel_distance": metrics.kernel_distance,
    "precision_recall": metrics.precision_recall,
    "ndb": lambda real, fake: metrics.ndb(real, fake, n_bins=4, rng=0),
    "nearest_distance_ratio": lambda real, fake: metrics.nearest_distance_ratio(real, fake, fake),
    "mode_statistics": lambda real, fake: metrics.mode_statistics(fake, real, 1.0),
}


@pytest.mark.parametrize("name", PAIRS)
def test_bad_sets_are_named_and_good_ones_left_alone(name):
    measure = PAIRS[name]
    holes = FAKE.copy()
    holes[3, 1] = np.nan
    with pytest.raises(
        ValueError, match=r"(fake|heldout|samples) contains NaN, first at index \(3, 1\)"
    ):
        measure(REAL, holes)
    with pytest.raises(ValueError, match="has 4 features, expected 5"):
        measure(REAL, FAKE[:, :4])
    with pytest.raises(ValueError, match="has shape"):
        measure(REAL[0], FAKE)
    real, fake = REAL.copy(), FAKE.copy()
    measure(real, fake)
    np.testing.assert_array_equal(real, REAL)
    np.testing.assert_array_equal(fake, FAKE)


@pytest.mark.parametrize("name", PAIRS)
def test_single_precision_and_lists_are_computed_in_double(name):
    measure = PAIRS[name]
    single = REAL.astype(np.float32), FAKE.astype(np.float32)
    np.testing.assert_equal(measure(*single), measure(*(X.astype(float).tolist() for X in single)))


@pytest.mark.parametrize(
    "covariance", [[[1.0, 2.0], [0.0, 1.0]], [[1.0]], [[-1.0, 0.0], [0.0, 1.0]]]
)
def test_frechet_refuses_what_is_no_covariance(covariance):
    with pytest.raises(ValueError, match="other_covariance"):
        metrics.frechet_distance_gaussians(np.zeros(2), np.eye(2), np.zeros(2), covariance)
    with pytest.raises(ValueError, match="other_mean has shape"):
        metrics.frechet_distance_gaussians(np.zeros(2), np.eye(2), np.zeros(3), np.eye(3))


@pytest.mark.parametrize("n_clusters", [2, 4, 6])
def test_clustering_accuracy_is_the_best_of_all_namings(n_clusters):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        labels, clusters = rng.integers(4, size=50), rng.integers(n_clusters, size=50)
        size = max(4, n_clusters)
        best = max((np.array(p)[clusters] == labels).mean() for p in permutations(range(size)))
        assert metrics.clustering_accuracy(labels, clusters) == pytest.approx(best, abs=1e-12)


def test_clustering_accuracy_does_not_care_for_names():
    labels = np.array([3, 3, 5, 5, 9])
    assert metrics.clustering_accuracy(labels, [-7, -7, 0, 0, 100]) == 1.0
    assert metrics.clustering_accuracy(labels, np.arange(5)) == 0.6  # one name each
    assert metrics.clustering_accuracy(labels, np.zeros(5, int)) == 0.4


@pytest.mark.parametrize(
    ("labels", "clusters", "message"),
    [
        ([0, 1], [0, 1, 1], "labels has 2 entries, clusters 3"),
        ([0, 1], [[0.5, 0.5], [0.1, 0.9]], r"clusters must be whole.*argmax"),
        ([], [], "labels must be whole numbers"),
    ],
)
def test_clustering_accuracy_names_bad_input(labels, clusters, message):
    with pytest.raises(ValueError, match=message):
        metrics.clustering_accuracy(labels, clusters)
