"""Patches of photographs, and the mixture that describes them (chapter 8).

A patch is a small square of pixels. Its mean brightness says little about what it shows, so a prior
describes the rest: the coordinates of the patch in an orthonormal basis of all patches of mean
zero. A prior is a `Mixture` over these size ** 2 - 1 coordinates, with zero means.
"""

import warnings

import numpy as np
from scipy.fft import dct
from sklearn.exceptions import ConvergenceWarning

from gmmlearn import recorded
from gmmlearn._validation import as_count, as_nonnegative, as_numbers, as_picture, as_rng
from gmmlearn.estimator import CollapsedComponentWarning, GaussianMixture
from gmmlearn.mixture import Mixture


def corners(shape, size=8, stride=1):
    """Return the row and column of the first pixel of each patch.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the picture.
    size : int >= 2
        Pixels along a patch's side.
    stride : int >= 1
        Step between neighbouring patches; the last row and column of patches always reach the
        picture's edge, so that every pixel is in some patch.

    Returns
    -------
    rows, columns : int arrays (N,)
        In reading order.
    """
    size, stride = as_count(size, "size", at_least=2), as_count(stride, "stride")
    if stride > size:
        raise ValueError(f"stride is {stride}, patches have {size} pixels: some would be in none.")
    height, width = shape
    if min(height, width) < size:
        raise ValueError(
            f"shape {height} x {width} is smaller than a patch of {size} x {size}. Pass a larger "
            "picture, or use smaller patches."
        )
    starts = [np.unique([*range(0, n - size, stride), n - size]) for n in (height, width)]
    rows, columns = np.meshgrid(*starts, indexing="ij")
    return rows.ravel(), columns.ravel()


def extract_patches(image, size=8, stride=1):
    """Cut a picture into overlapping patches.

    Parameters
    ----------
    image : array-like (H, W)
        Grey picture, pixels in any range.
    size : int >= 2
        Pixels along a patch's side.
    stride : int >= 1
        Step between neighbouring patches.

    Returns
    -------
    array (N, size ** 2)
        Flattened patches, in the order of `corners`.

    Examples
    --------
    >>> extract_patches([[1, 2, 3], [4, 5, 6]], size=2)
    array([[1., 2., 4., 5.],
           [2., 3., 5., 6.]])
    """
    image = as_numbers(image, "image", 2, "(height, width)")
    rows, columns = corners(image.shape, size, stride)
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size))
    return windows[rows, columns].reshape(-1, size * size)


def reassemble(patches, shape, stride=1):
    """Put patches back into a picture; where they overlap, average.

    Parameters
    ----------
    patches : array-like (N, size ** 2)
        Patches, as `extract_patches` returns them.
    shape : (int, int)
        Height and width of the picture.
    stride : int >= 1
        Step between neighbouring patches.

    Returns
    -------
    array (H, W)
        The picture.

    Raises
    ------
    ValueError
        If the number of patches does not fit the shape.
    """
    patches = as_numbers(patches, "patches", 2, "(n_patches, size ** 2)")
    size = side(patches.shape[1], "patches")
    rows, columns = corners(shape, size, stride)
    if len(rows) != len(patches):
        raise ValueError(
            f"patches has {len(patches)} rows, but a picture of {shape[0]} x {shape[1]} has "
            f"{len(rows)} patches of {size} x {size} at stride {stride}. Pass them all."
        )
    total = overlay(patches, rows, columns, shape)
    return total / overlay(np.ones_like(patches), rows, columns, shape)


def overlay(patches, rows, columns, shape):
    """Lay patches at their corners and add up where they overlap.

    Parameters
    ----------
    patches : array (N, size ** 2)
        Patches.
    rows, columns : int arrays (N,)
        First pixel of each; no two the same.
    shape : (int, int)
        Height and width of the picture.

    Returns
    -------
    array (H, W)
        Sums; zero where there is no patch.
    """
    total, size = np.zeros(shape), side(patches.shape[1], "patches")
    by_pixel = np.ascontiguousarray(patches.T)
    for number, values in enumerate(by_pixel):
        # No two patches share a corner, so no pixel is named twice here.
        total[rows + number // size, columns + number % size] += values
    return total


def touched(mask, size=8):
    """Return which patches of `size` contain a True pixel of `mask`, in the order of `corners`."""
    windows = np.lib.stride_tricks.sliding_window_view(mask, (size, size))
    return windows.any(axis=(2, 3)).ravel()


def without_holes(image, mask):
    """Return a copy of `image` with a half where `mask` is True; NaN may have stood there."""
    image = np.array(image, dtype=np.float64)
    image[mask] = 0.5
    return image


def side(n_pixels, name):
    """Return the side of a square patch of `n_pixels`, or complain of what `name` names."""
    size = round(n_pixels**0.5)
    if size * size != n_pixels or size < 2:
        raise ValueError(f"{name} has {n_pixels} pixels each, which is no square of a side >= 2.")
    return size


def patch_basis(size=8):
    """Return an orthonormal basis of the patches whose pixels sum to zero.

    Its columns are the pictures of the two-dimensional discrete cosine transform, from low to high
    frequency along each axis, without the constant one.

    Parameters
    ----------
    size : int >= 2
        Pixels along a patch's side.

    Returns
    -------
    array (size ** 2, size ** 2 - 1)
        Columns of length one, orthogonal to each other and to the constant patch.

    Examples
    --------
    >>> basis = patch_basis(8)
    >>> basis.shape, bool(abs(basis.sum(axis=0)).max() < 1e-12)
    ((64, 63), True)
    """
    size = as_count(size, "size", at_least=2)
    waves = dct(np.eye(size), norm="ortho", axis=0)  # row f is the wave of frequency f
    return np.kron(waves, waves)[1:].T


def remove_dc(patches):
    """Split patches into coordinates in `patch_basis`, and means (eq. patch-split).

    ``coordinates @ patch_basis(size).T + means[:, None]`` gives the patches back.

    Parameters
    ----------
    patches : array-like (N, size ** 2)
        Patches.

    Returns
    -------
    coordinates : array (N, size ** 2 - 1)
        Everything but the mean. White noise on the pixels is white noise here, of the same std.
    means : array (N,)
        Mean brightness of each patch (DC, by the engineers' word for constant current).
    """
    patches = as_numbers(patches, "patches", 2, "(n_patches, size ** 2)")
    basis = patch_basis(side(patches.shape[1], "patches"))
    return patches @ basis, patches.mean(axis=1)


def turned(patches, rng=None):
    """Return the patches, each turned and mirrored at random.

    Parameters
    ----------
    patches : array-like (N, size ** 2)
        Patches.
    rng : numpy Generator, int or None
        Source of randomness.

    Returns
    -------
    array (N, size ** 2)
        Each in one of its eight positions.
    """
    patches = as_numbers(patches, "patches", 2, "(n_patches, size ** 2)")
    size = side(patches.shape[1], "patches")
    position = as_rng(rng).integers(8, size=len(patches))
    result = patches.reshape(-1, size, size).copy()
    for quarter in range(4):
        result[position % 4 == quarter] = np.rot90(
            result[position % 4 == quarter], quarter, axes=(1, 2)
        )
    result[position >= 4] = result[position >= 4, :, ::-1]
    return result.reshape(len(patches), -1)


def learn_patch_prior(
    photographs, n_components=50, n_patches=100_000, size=8, max_iter=30, reg_covar=1e-6, rng=None
):
    """Fit a zero-mean mixture to photographs' patches, turned at random (eq. patch-prior).

    Parameters
    ----------
    photographs : array-like (H, W), or list of such
        Clean grey photographs, pixels in [0, 1].
    n_components : int >= 1
        Number of components K.
    n_patches : int >= 2
        Patches to learn from, drawn without replacement; all if there are fewer.
    size : int >= 2
        Pixels along a patch's side.
    max_iter : int >= 1
        Iterations of EM.
    reg_covar : float >= 0
        Variance added to each coordinate, in squared units of brightness.
    rng : numpy Generator, int or None
        Source of randomness.

    Returns
    -------
    Mixture
        Over the coordinates of `remove_dc`, size ** 2 - 1 features, with zero means.

    Notes
    -----
    Why zero means: a patch and its negative are about as frequent, so a component describes
    directions of variation, not a place.

    References
    ----------
    zoran2011learning.
    """
    several = isinstance(photographs, list | tuple) and np.ndim(photographs[0]) == 2
    rng, n_patches = as_rng(rng), as_count(n_patches, "n_patches", at_least=2)
    coordinates = []
    for number, photograph in enumerate(photographs if several else [photographs]):
        name = f"photographs[{number}]" if several else "photographs"
        photograph = as_picture(photograph, name, size=as_count(size, "size", at_least=2))
        if photograph.ndim == 3:
            raise ValueError(f"{name} is in colour. Pass grey pictures: its luma, or one channel.")
        coordinates.append(extract_patches(photograph, size))
    patches = np.concatenate(coordinates)
    if len(patches) > n_patches:
        patches = patches[rng.choice(len(patches), n_patches, replace=False)]
    X, _ = remove_dc(turned(patches, rng))
    model = GaussianMixture(
        as_count(n_components, "n_components"),
        means_init=np.zeros((n_components, X.shape[1])),
        fixed={"means"},
        reg_covar=as_nonnegative(reg_covar, "reg_covar"),
        max_iter=as_count(max_iter, "max_iter"),
        random_state=int(rng.integers(2**31)),
    )
    with warnings.catch_warnings():
        # The iterations are limited on purpose: the last ones change no restored picture.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Overexposed sky does repeat exactly; noise, when it comes, widens that component.
        warnings.simplefilter("ignore", CollapsedComponentWarning)
        model.fit(X)
    return Mixture(model.weights_, model.means_, model.covariances_)


def load_patch_prior(name):
    """Load a prior that `benchmarks/patches.py` learned from one photograph.

    Parameters
    ----------
    name : {"china", "flower"}
        The photograph that it was learned from.

    Returns
    -------
    Mixture
        Over the 63 coordinates of 8 x 8 patches.
    """
    if name not in ("china", "flower"):
        raise ValueError(f"name is {name!r}. Use 'china' or 'flower'.")
    stored = recorded.load_weights(f"patches_{name}")
    n_components, n_features = len(stored["weights"]), 63
    factors = np.zeros((n_components, n_features, n_features))
    # Half precision, and lower triangles only: the file stays below a megabyte.
    factors[:, *np.tril_indices(n_features)] = stored["factors"]
    weights = stored["weights"].astype(np.float64)
    return Mixture(
        weights / weights.sum(),
        np.zeros((n_components, n_features)),
        factors @ factors.swapaxes(1, 2),
    )
