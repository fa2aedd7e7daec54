"""The Gaussian field against its precision matrix written out, SciPy and finite differences."""

import numpy as np
import pytest
from scipy.linalg import helmert
from scipy.stats import multivariate_normal

from gmmlearn.texture import GaussianField, field_gradient, fit_field, neighbourhood

OFFSETS = [(0, 1), (1, 0), (1, -1), (1, 1)]
FIELD = {"level": 0.05, "strengths": [1.0, 0.6, -0.1, 0.2], "offsets": OFFSETS, "side": 9}
BASIS = helmert(16).T  # of windows of 4 x 4 pixels


@pytest.fixture
def model():
    return GaussianField(**FIELD)


def energy_matrix(level, strengths, offsets, side):
    """Return Q with x'Qx = level |x|^2 + sum of strengths times squared differences, by loops."""
    index = np.arange(side**2).reshape(side, side)
    Q = level * np.eye(side**2)
    for strength, (down, right) in zip(strengths, offsets, strict=True):
        for r in range(side):
            for c in range(side):
                difference = np.zeros(side**2)
                difference[index[r, c]] += 1.0
                difference[index[(r + down) % side, (c + right) % side]] -= 1.0
                Q += strength * np.outer(difference, difference)
    return Q


def window_directions(basis, side, row, column):
    """Return the basis of a window as directions of the whole picture, (side ** 2, F)."""
    width = int(np.sqrt(len(basis)))
    whole = np.zeros((side, side, basis.shape[1]))
    whole[row : row + width, column : column + width] = basis.reshape(width, width, -1)
    return whole.reshape(side**2, -1)


def windows(pictures, width):
    """Return all windows of pictures (N, side, side) that do not wrap around, (M, width ** 2)."""
    cut = np.lib.stride_tricks.sliding_window_view(pictures, (width, width), axis=(1, 2))
    return cut.reshape(-1, width**2)


def log_likelihood(model, codes, basis):
    return model.patch_gaussian(basis).log_prob(codes).mean()


def test_density_of_a_window_equals_the_inverse_of_the_whole_precision(model):
    covariance = np.linalg.inv(energy_matrix(**FIELD))
    codes = np.random.default_rng(0).standard_normal((20, 15))
    for row, column in [(0, 0), (3, 5), (5, 1)]:
        directions = window_directions(BASIS, 9, row, column)
        implied = directions.T @ covariance @ directions
        np.testing.assert_allclose(model.patch_gaussian(BASIS).covariance, implied, rtol=1e-9)
        expected = multivariate_normal(np.zeros(15), implied).logpdf(codes)
        np.testing.assert_allclose(model.patch_gaussian(BASIS).log_prob(codes), expected)


def test_a_window_as_large_as_the_torus_has_the_energy_as_exponent(model):
    basis = helmert(81).T
    x, y = np.random.default_rng(1).standard_normal((2, 81))
    x, y = x - x.mean(), y - y.mean()
    Q = energy_matrix(**FIELD)
    log_prob = model.patch_gaussian(basis).log_prob(np.stack([x, y]) @ basis)
    assert log_prob[0] - log_prob[1] == pytest.approx(-0.5 * (x @ Q @ x - y @ Q @ y), rel=1e-9)


def test_spectrum_holds_the_eigenvalues(model):
    eigenvalues = np.linalg.eigvalsh(energy_matrix(**FIELD))
    np.testing.assert_allclose(np.sort(model.spectrum.ravel()), eigenvalues, rtol=1e-9)


def test_covariances_depend_on_the_offset_alone(model):
    covariance = np.linalg.inv(energy_matrix(**FIELD))
    lag = model.autocovariance()
    centred = covariance - covariance.mean()  # the mean grey is left out
    for one, other in [((0, 0), (0, 1)), ((4, 4), (5, 3)), ((8, 0), (0, 0)), ((2, 7), (4, 1))]:
        expected = centred[np.ravel_multi_index(one, (9, 9)), np.ravel_multi_index(other, (9, 9))]
        assert lag[(other[0] - one[0]) % 9, (other[1] - one[1]) % 9] == pytest.approx(expected)
    assert lag[1, 1] != pytest.approx(lag[1, -1], rel=0.01)  # the two diagonals differ


def test_a_pixel_given_all_others_depends_on_its_neighbours_alone(model):
    covariance = np.linalg.inv(energy_matrix(**FIELD))
    x = np.random.default_rng(2).standard_normal((9, 9))
    rest = np.arange(1, 81)
    weights = np.linalg.solve(covariance[np.ix_(rest, rest)], covariance[rest, 0])
    expected = weights @ x.ravel()[rest]
    pulls = [
        strength * (x[down % 9, right % 9] + x[-down % 9, -right % 9])
        for strength, (down, right) in zip(model.strengths, OFFSETS, strict=True)
    ]
    precision = model.level + 2 * model.strengths.sum()
    assert sum(pulls) / precision == pytest.approx(expected)


def test_a_level_of_zero_is_allowed_since_the_mean_is_free():
    intrinsic = GaussianField(0.0, [1.0, 1.0], [(0, 1), (1, 0)], 8)
    covariance = np.linalg.pinv(energy_matrix(0.0, [1.0, 1.0], [(0, 1), (1, 0)], 8))
    directions = window_directions(BASIS, 8, 2, 3)
    np.testing.assert_allclose(
        intrinsic.patch_gaussian(BASIS).covariance, directions.T @ covariance @ directions
    )


def test_samples_have_the_covariance_and_no_mean(model):
    rng = np.random.default_rng(3)
    pictures = np.array([model.sample(rng) for _ in range(4000)])
    np.testing.assert_allclose(pictures.mean(axis=(1, 2)), 0.0, atol=1e-12)
    lag = model.autocovariance()
    for down, right in [(0, 0), (0, 1), (1, 0), (1, -1), (2, 1)]:
        products = (pictures * np.roll(pictures, (-down, -right), axis=(1, 2))).mean(axis=(1, 2))
        error = 5 * products.std() / np.sqrt(len(products))
        assert abs(products.mean() - lag[down, right]) < error
    np.testing.assert_array_equal(model.sample(7), model.sample(7))


def test_gradient_and_information_equal_finite_differences(model):
    codes = np.random.default_rng(4).standard_normal((50, 15))
    gradient, information = field_gradient(model, codes.T @ codes / 50, BASIS)
    values = np.array([model.level, *model.strengths])

    def at(parameters):
        return GaussianField(parameters[0], parameters[1:], OFFSETS, 9)

    for j, nudge in enumerate(1e-5 * np.eye(5)):
        up, down = (at(values + sign * nudge) for sign in (1, -1))
        slope = (log_likelihood(up, codes, BASIS) - log_likelihood(down, codes, BASIS)) / 2e-5
        assert gradient[j] == pytest.approx(slope, rel=1e-5)
        # The information is the expected curvature: that of data with the model's own covariance.
        own = model.patch_gaussian(BASIS).covariance
        rise = (field_gradient(up, own, BASIS)[0] - field_gradient(down, own, BASIS)[0]) / 2e-5
        np.testing.assert_allclose(information[j], -rise, rtol=1e-4, atol=1e-6)


def test_fit_recovers_the_field_that_drew_the_data():
    truth = GaussianField(0.02, [40.0, 20.0, -4.0, 8.0], OFFSETS, 24)
    rng = np.random.default_rng(5)
    basis = helmert(25).T
    codes = windows(np.array([truth.sample(rng) for _ in range(400)]), 5) @ basis
    fitted = fit_field(codes, basis, radius=1.5, side=24)
    assert fitted.offsets.tolist() == [list(offset) for offset in OFFSETS]
    np.testing.assert_allclose(fitted.strengths, truth.strengths, atol=0.5)
    assert fitted.level == pytest.approx(0.02, abs=0.3)
    assert log_likelihood(fitted, codes, basis) >= log_likelihood(truth, codes, basis)
    gradient, _ = field_gradient(fitted, codes.T @ codes / len(codes), basis)
    scale = np.abs(fitted.strengths).max()
    np.testing.assert_allclose(gradient * scale, 0.0, atol=1e-3)


def test_data_with_the_field_s_own_moments_give_the_field_exactly():
    truth = GaussianField(0.3, [4.0, 2.0, -0.4, 0.8], OFFSETS, 16)
    factor = truth.patch_gaussian(BASIS).covariance_cholesky
    codes = np.sqrt(15) * factor.T  # second moment: exactly the covariance
    fitted = fit_field(codes, BASIS, radius=1.5, side=16, tol=1e-14)
    np.testing.assert_allclose(fitted.strengths, truth.strengths, rtol=1e-4)
    assert fitted.level == pytest.approx(truth.level, rel=1e-4)


def test_radius_zero_is_white_noise_of_the_mean_square():
    codes = np.random.default_rng(6).standard_normal((30, 15)) * 0.2
    fitted = fit_field(codes, BASIS, radius=0)
    assert fitted.n_parameters == 1
    assert fitted.level == pytest.approx(1 / np.square(codes).mean())
    np.testing.assert_allclose(
        fitted.patch_gaussian(BASIS).covariance, np.eye(15) / fitted.level, atol=1e-12
    )


def test_more_neighbours_never_fit_worse_and_units_and_bases_do_not_matter():
    rng = np.random.default_rng(7)
    pictures = np.cumsum(np.cumsum(rng.standard_normal((60, 12, 12)), axis=1), axis=2)
    codes = windows(pictures, 4) @ BASIS
    values = [log_likelihood(fit_field(codes, BASIS, r), codes, BASIS) for r in (0, 1, 1.5, 2, 3)]
    assert (np.diff(values) > 0).all()
    fitted = fit_field(codes, BASIS, 1.5)
    scaled = fit_field(100 * codes, BASIS, 1.5)
    np.testing.assert_allclose(scaled.strengths * 1e4, fitted.strengths, rtol=1e-6)
    turn = np.linalg.qr(rng.standard_normal((15, 15)))[0]
    turned = fit_field(codes @ turn, BASIS @ turn, 1.5)
    np.testing.assert_allclose(turned.strengths, fitted.strengths, rtol=1e-6)


def test_neighbourhoods_count_each_pair_once():
    assert [len(neighbourhood(r)) for r in (0, 1, 1.5, 2, 2.3, 2.9, 3)] == [0, 2, 4, 6, 10, 12, 14]
    offsets = {tuple(offset) for offset in neighbourhood(3).tolist()}
    assert not any((-down, -right) in offsets for down, right in offsets)
    assert all(0 < down**2 + right**2 <= 9 for down, right in offsets)


def test_nothing_passed_in_is_changed_and_the_field_is_read_only(model):
    codes, basis = np.random.default_rng(8).standard_normal((40, 15)), BASIS.copy()
    copies = codes.copy(), basis.copy()
    fit_field(codes, basis, 1)
    np.testing.assert_array_equal(codes, copies[0])
    np.testing.assert_array_equal(basis, copies[1])
    with pytest.raises(ValueError, match="read-only"):
        model.strengths[0] = 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strengths": [1.0]}, r"offsets has shape \(4, 2\).*expected \(1, 2\)"),
        ({"offsets": np.ones((4, 2))}, "offsets has shape .* of float64"),
        ({"offsets": [(0, 1), (1, 0), (0, 0), (1, 1)]}, r"offsets contains \(0, 0\)"),
        ({"offsets": [(0, 1), (1, 0), (0, -1), (1, 1)]}, "offsets names a pair twice"),
        ({"side": 2}, "side must be at least 3"),
        ({"strengths": [1.0, 0.6, np.nan, 0.2]}, "strengths contains NaN"),
        ({"level": np.inf}, "level contains infinity"),
        ({"level": -1.0}, "level and strengths give some frequency the precision"),
        ({"strengths": [1.0, 0.6, -1.0, 0.2]}, "Raise level, or the negative strengths"),
    ],
)
def test_bad_fields_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        GaussianField(**(FIELD | changes))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((5, 14)), BASIS, 1), "codes has 14 columns, but basis has 15"),
        ((np.zeros((5, 15)), BASIS, 1), "codes are all zero"),
        ((np.full((5, 15), np.nan), BASIS, 1), "codes contains NaN"),
        ((np.ones((5, 15)), 2 * BASIS, 1), "basis is not orthonormal"),
        ((np.ones((5, 16)), np.eye(16), 1), "basis has a column that does not sum to zero"),
        ((np.ones((5, 14)), helmert(15).T, 1), "basis has 15 rows, expected the pixels of a sq"),
        ((np.ones((5, 15)), BASIS, 1, 3), "basis has 16 rows, .* no wider than side = 3"),
        ((np.ones((5, 15)), BASIS, -1), "radius must be a finite number >= 0"),
        ((np.ones((5, 15)), BASIS, 1, 64, 0), "max_iter must be at least 1"),
        ((np.ones((5, 15)), BASIS, 1, 64, 5, -1), "tol must be a finite number >= 0"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_field(*arguments)
