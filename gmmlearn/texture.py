"""A Gaussian Markov random field as a texture: fifteen numbers instead of a matrix (chapter 8)."""

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solve_triangular

from gmmlearn._validation import (
    as_count,
    as_nonnegative,
    as_numbers,
    as_points,
    as_rng,
    frozen,
)
from gmmlearn.gaussian import Gaussian


@dataclass(frozen=True, eq=False)
class GaussianField:
    """A homogeneous Gaussian Markov random field: a texture (eq. field-energy).

    The log density of a picture x is, up to a constant, minus half of
    ``level * sum(x**2) + sum_j strengths[j] * (sum of squared differences at offset j)``, and its
    mean grey is left free. Pictures live on a torus: right edge touches left, bottom touches top.

    Parameters
    ----------
    level : float
        Precision of each pixel by itself, in 1 / squared grey.
    strengths : array-like (J,)
        Precision of the difference between pixels at each offset; may be negative.
    offsets : int array-like (J, 2)
        Rows down and columns right, such as (0, 1) for the neighbour on the right; one of each
        opposite pair, as `neighbourhood` gives them.
    side : int
        Rows and columns of the torus, more than twice the largest offset.

    Attributes
    ----------
    spectrum : array (side, side)
        Precision of each frequency, as ordered by `numpy.fft.fft2` (eq. field-spectrum).

    Raises
    ------
    ValueError
        If an argument is malformed, or the precision of a frequency other than 0 is not positive.

    References
    ----------
    rue2005gaussian, chapters 2 and 3.

    Examples
    --------
    >>> smooth = GaussianField(level=0.1, strengths=[1.0, 1.0], offsets=[(0, 1), (1, 0)], side=16)
    >>> smooth.sample(rng=0).shape
    (16, 16)
    """

    level: float
    strengths: np.ndarray
    offsets: np.ndarray
    side: int = 64
    spectrum: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        strengths = np.asarray(self.strengths)
        if strengths.size:
            strengths = as_numbers(strengths, "strengths", 1, "(n_offsets,)")
        offsets = _as_offsets(self.offsets, strengths.size)
        side = as_count(self.side, "side", at_least=2 * int(np.abs(offsets).max(initial=0)) + 1)
        level = as_numbers(self.level, "level", 0, "()")
        spectrum = np.tensordot([level, *strengths], _waves(offsets, side), axes=1)
        if spectrum.flat[1:].min() <= 0:
            raise ValueError(
                "level and strengths give some frequency the precision "
                f"{spectrum.flat[1:].min():.3g}; each must be positive. Raise level, or the "
                "negative strengths."
            )
        object.__setattr__(self, "level", float(level))
        object.__setattr__(self, "strengths", frozen(strengths.astype(float)))
        object.__setattr__(self, "offsets", frozen(offsets))
        object.__setattr__(self, "spectrum", frozen(spectrum))

    @property
    def n_parameters(self):
        """Number of free parameters: the level and each strength."""
        return 1 + len(self.strengths)

    def autocovariance(self):
        """Return the covariance of pixels as a function of their offset (eq. field-covariance).

        Returns
        -------
        array (side, side)
            Entry (r, c): of pixels r rows and c columns apart, of pictures whose mean is removed.
        """
        return np.fft.ifft2(_without_mean(1.0, self.spectrum)).real

    def patch_gaussian(self, basis):
        """Return the density of a window's coordinates, whatever surrounds it (eq. field-patch).

        Parameters
        ----------
        basis : array-like (P, F)
            Orthonormal directions of square windows of P pixels; each sums to zero.

        Returns
        -------
        Gaussian
            Of the F coordinates ``window.ravel() @ basis``.
        """
        basis = _as_basis(basis, self.side)
        return Gaussian(np.zeros(basis.shape[1]), self._covariance(basis))

    def _covariance(self, basis):
        """Return the covariance (F, F) of a window's coordinates."""
        return basis.T @ self.autocovariance()[_lags(basis, self.side)] @ basis

    def sample(self, rng=None):
        """Draw one picture.

        Parameters
        ----------
        rng : numpy Generator, int or None
            Source of randomness.

        Returns
        -------
        array (side, side)
            Of mean zero.
        """
        noise = np.fft.fft2(as_rng(rng).standard_normal((self.side, self.side)))
        return np.fft.ifft2(_without_mean(noise, np.sqrt(self.spectrum))).real


def fit_field(codes, basis, radius, side=64, max_iter=100, tol=1e-8):
    """Fit a Gaussian field to windows of pictures by maximum likelihood.

    Fisher scoring: each step is the gradient over the expected curvature, halved until the
    likelihood rises. The likelihood falls to minus infinity where a frequency loses its precision,
    so the climb stays among proper fields.

    Parameters
    ----------
    codes : array-like (N, F)
        Coordinates of the windows, ``windows @ basis``.
    basis : array-like (P, F)
        Orthonormal directions of square windows of P pixels; each sums to zero.
    radius : float >= 0
        Pixels no further apart are neighbours; 0 gives white noise.
    side : int
        Rows and columns of the torus that the windows are cut from.
    max_iter : int >= 1
        Largest number of steps.
    tol : float >= 0
        Stop when a step promises to gain less, in nats per window.

    Returns
    -------
    GaussianField
        The most likely one found.

    Raises
    ------
    ValueError
        If an argument is malformed, or the codes are all zero.
    """
    codes = as_points(codes, name="codes")
    basis = _as_basis(basis, side)
    if codes.shape[1] != basis.shape[1]:
        raise ValueError(
            f"codes has {codes.shape[1]} columns, but basis has {basis.shape[1]}. "
            "Pass codes = windows @ basis."
        )
    tol, offsets = as_nonnegative(tol, "tol"), neighbourhood(radius)
    power = np.square(codes).mean()
    if power == 0:
        raise ValueError("codes are all zero: such windows have no texture. Pass other windows.")
    moment = codes.T @ codes / (len(codes) * power)  # in units in which white noise has level 1
    current = GaussianField(1.0, np.zeros(len(offsets)), offsets, side)
    for _ in range(as_count(max_iter, "max_iter")):
        gradient, information = field_gradient(current, moment, basis)
        step = np.linalg.solve(information, gradient)
        if 0.5 * gradient @ step <= tol:
            break
        better = _climb(current, step, moment, basis)
        if better is None:  # rounding: no step, however small, rises any more
            break
        current = better
    return GaussianField(current.level / power, current.strengths / power, offsets, side)


def field_gradient(model, moment, basis):
    """Return gradient and Fisher information of the log likelihood per window (eq. field-gradient).

    Parameters
    ----------
    model : GaussianField
        Where to differentiate.
    moment : array (F, F)
        Mean of y y' over the windows' coordinates y.
    basis : array (P, F)
        Orthonormal directions of square windows of P pixels; each sums to zero.

    Returns
    -------
    gradient : array (1 + J,)
        By the level and each strength, in nats per unit of precision.
    information : array (1 + J, 1 + J)
        Expected negative second derivatives.
    """
    inverse = np.linalg.inv(model._covariance(basis))
    waves = _waves(model.offsets, model.side)
    slopes = np.fft.ifft2(_without_mean(-waves, np.square(model.spectrum))).real  # of 1 / spectrum
    slopes = inverse @ (basis.T @ slopes[(slice(None), *_lags(basis, model.side))] @ basis)
    residual = inverse @ moment - np.eye(len(moment))
    gradient = 0.5 * np.einsum("ab,jba->j", residual, slopes)
    return gradient, 0.5 * np.einsum("iab,jba->ij", slopes, slopes)


def neighbourhood(radius):
    """Return the offsets of a pixel's neighbours up to a distance, one of each opposite pair.

    Parameters
    ----------
    radius : float >= 0
        Largest distance, in pixels.

    Returns
    -------
    int array (J, 2)
        Rows down and columns right, nearest first.

    Examples
    --------
    >>> neighbourhood(1.5).tolist()
    [[0, 1], [1, 0], [1, -1], [1, 1]]
    """
    reach = int(as_nonnegative(radius, "radius"))
    ticks = range(-reach, reach + 1)
    half = [(r, c) for r in ticks for c in ticks if (r, c) > (0, 0) and r * r + c * c <= radius**2]
    return np.array(sorted(half, key=lambda d: (d[0] ** 2 + d[1] ** 2, d)), int).reshape(-1, 2)


def _climb(current, step, moment, basis):
    """Return the field a step away, halved until the likelihood rises; None if it never does."""
    level = _log_likelihood(current, moment, basis)
    for halving in range(40):
        share = 0.5**halving
        try:
            better = GaussianField(
                current.level + share * step[0],
                current.strengths + share * step[1:],
                current.offsets,
                current.side,
            )
            if _log_likelihood(better, moment, basis) > level:
                return better
        except (ValueError, np.linalg.LinAlgError):  # beyond the proper fields
            continue
    return None


def _log_likelihood(model, moment, basis):
    """Return the mean log density of windows with second moment `moment`, without constants."""
    factor = np.linalg.cholesky(model._covariance(basis))
    whitened = solve_triangular(factor, moment, lower=True)
    trace = np.trace(solve_triangular(factor, whitened.T, lower=True))
    return -np.log(np.diagonal(factor)).sum() - 0.5 * trace


def _waves(offsets, side):
    """Return what level and each strength add to the spectrum, (1 + J, side, side)."""
    frequencies = 2 * np.pi * np.arange(side) / side
    rows, columns = frequencies[:, None], frequencies[None, :]
    waves = [2.0 - 2.0 * np.cos(r * rows + c * columns) for r, c in offsets]
    return np.array([np.ones((side, side)), *waves])


def _without_mean(numerator, spectrum):
    """Divide by the spectrum, with 0 at frequency 0: the mean grey is free, so it is left out."""
    divided = numerator / np.where(np.arange(spectrum.size).reshape(spectrum.shape), spectrum, 1.0)
    divided[..., 0, 0] = 0.0
    return divided


def _lags(basis, side):
    """Return rows and columns between each two pixels of a window, two arrays (P, P)."""
    width = int(np.sqrt(len(basis)))
    rows, columns = np.divmod(np.arange(len(basis)), width)
    return (rows[:, None] - rows) % side, (columns[:, None] - columns) % side


def _as_offsets(offsets, expected):
    """Return `offsets` as an int array (J, 2)."""
    offsets = np.asarray(offsets)
    if offsets.size == 0 and expected == 0:
        return np.zeros((0, 2), int)
    if offsets.shape != (expected, 2) or offsets.dtype.kind not in "iu":
        raise ValueError(
            f"offsets has shape {offsets.shape} of {offsets.dtype}, expected ({expected}, 2) whole "
            "numbers: rows and columns for each entry of strengths. Use neighbourhood(radius)."
        )
    if not offsets.any(axis=1).all():
        raise ValueError("offsets contains (0, 0). A pixel by itself belongs to level: remove it.")
    if len({max((r, c), (-r, -c)) for r, c in offsets.tolist()}) < len(offsets):
        raise ValueError("offsets names a pair twice. Keep one of (r, c) and (-r, -c).")
    return offsets


def _as_basis(basis, side):
    """Return `basis` as orthonormal directions (P, F) of square windows, each of sum zero."""
    basis = as_numbers(basis, "basis", 2, "(n_pixels, n_features)")
    width = int(np.sqrt(len(basis)))
    if width**2 != len(basis) or width > side:
        raise ValueError(
            f"basis has {len(basis)} rows, expected the pixels of a square window no wider than "
            f"side = {side}."
        )
    gram = basis.T @ basis
    if not np.allclose(gram, np.eye(len(gram)), atol=1e-8):
        raise ValueError("basis is not orthonormal. Orthonormalise its columns: np.linalg.qr.")
    if not np.allclose(basis.sum(axis=0), 0.0, atol=1e-8):
        raise ValueError(
            "basis has a column that does not sum to zero, but the field leaves the mean grey "
            "free. Use directions orthogonal to the constant, such as "
            "scipy.linalg.helmert(n_pixels).T."
        )
    return basis
