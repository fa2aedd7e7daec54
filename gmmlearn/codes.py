"""PictureCodes: a picture as a short code, its place in a plane of principal components."""

from dataclasses import dataclass

import numpy as np

from gmmlearn._validation import as_count, as_numbers, as_points, as_rng, frozen


@dataclass(frozen=True, eq=False)
class PictureCodes:
    """A plane of pictures: mean picture, orthonormal axes, and what sticks out (chapter 7).

    Parameters
    ----------
    mean : array-like (height, width) or (height, width, 3)
        Mean picture.
    axes : array-like (M, height, width) or (M, height, width, 3)
        Orthonormal principal axes as pictures, the widest first.
    noise_variance : float
        Mean variance of a pixel in the directions left out.
    limits : (float, float)
        Smallest and largest value of a pixel.

    Examples
    --------
    >>> from gmmlearn.datasets import digits
    >>> codes = PictureCodes.fit(digits("train").X, n_codes=20, limits=(0, 16), rng=0)
    >>> codes.encode(digits("test").X).shape
    (500, 20)
    """

    mean: np.ndarray
    axes: np.ndarray
    noise_variance: float = 0.0
    limits: tuple = (-1.0, 1.0)

    def __post_init__(self):
        axes = np.asarray(self.axes)
        shape = "(n_codes, height, width) or (n_codes, height, width, 3)"
        axes = as_numbers(axes, "axes", 4 if axes.ndim == 4 else 3, shape)
        mean = as_numbers(self.mean, "mean", axes.ndim - 1, str(axes.shape[1:]))
        if mean.shape != axes.shape[1:]:
            raise ValueError(f"mean has shape {mean.shape}, but axes are {axes.shape[1:]} each.")
        object.__setattr__(self, "mean", frozen(mean))
        object.__setattr__(self, "axes", frozen(axes))

    @property
    def n_codes(self):
        """Number of codes M of a picture."""
        return len(self.axes)

    @property
    def _flat_axes(self):
        """The axes as rows (M, D)."""
        return self.axes.reshape(self.n_codes, -1)

    @classmethod
    def fit(cls, images, n_codes, limits=(-1.0, 1.0), rng=None):
        """Find the plane that loses least of the pictures: their principal components.

        Parameters
        ----------
        images : array-like (N, height, width) or (N, height, width, 3)
            Pictures.
        n_codes : int
            Number of axes M, below the number of pictures and of pixels.
        limits : (float, float)
            Smallest and largest value of a pixel.
        rng : numpy Generator, int or None
            Source of randomness of the randomised decomposition.

        Returns
        -------
        PictureCodes

        Raises
        ------
        ValueError
            If a pixel is outside `limits`, or there are too few pictures or pixels.
        """
        from sklearn.utils.extmath import randomized_svd

        images = as_images(images, limits)
        n_codes, n_samples = as_count(n_codes, "n_codes"), len(images)
        flat = images.reshape(n_samples, -1)
        if n_codes >= min(flat.shape):
            raise ValueError(
                f"n_codes is {n_codes}, but {n_samples} pictures of {flat.shape[1]} numbers have "
                f"at most {min(flat.shape) - 1} axes. Use fewer codes or more pictures."
            )
        mean = flat.mean(axis=0)
        centred = flat - mean
        seed = int(as_rng(rng).integers(2**31))
        _, scales, axes = randomized_svd(centred, n_codes, n_iter=4, random_state=seed)
        left = np.square(centred).sum() - np.square(scales).sum()
        return cls(
            mean.reshape(images.shape[1:]),
            axes.reshape(n_codes, *images.shape[1:]),
            float(max(left, 0.0) / n_samples / (flat.shape[1] - n_codes)),
            tuple(map(float, limits)),
        )

    def encode(self, images):
        """Return the codes of pictures (eq. joint-code).

        Parameters
        ----------
        images : array-like (N, height, width) or (N, height, width, 3)
            Pictures of the size that was fitted.

        Returns
        -------
        array (N, M)
        """
        images = as_images(images, self.limits, self.mean.shape)
        return (images - self.mean).reshape(len(images), -1) @ self._flat_axes.T

    def decode(self, codes):
        """Return the pictures that codes stand for, clipped to `limits`.

        Parameters
        ----------
        codes : array-like (N, M)
            Codes.

        Returns
        -------
        float32 array (N, height, width) or (N, height, width, 3)
        """
        codes = as_points(codes, self.n_codes, "codes")
        images = (codes @ self._flat_axes).reshape(-1, *self.mean.shape) + self.mean
        return np.clip(images, *self.limits).astype(np.float32)


def as_images(images, limits, shape=None):
    """Return `images` as an array of floats; float32 stays float32.

    Parameters
    ----------
    images : array-like (N, height, width) or (N, height, width, 3)
        Pictures.
    limits : (float, float)
        Smallest and largest allowed value of a pixel.
    shape : tuple of int, optional
        Shape that each must have.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        If a shape or a value does not fit.
    """
    images = np.asarray(images)
    hint = "(n_samples, height, width) or (n_samples, height, width, 3)"
    n_dims = 4 if images.ndim == 4 else 3
    if images.dtype == np.float32:  # twice the size in float64 would be too much of a data set
        as_numbers(images[:1], "images", n_dims, hint)
    else:
        images = as_numbers(images, "images", n_dims, hint)
    if shape is not None and images.shape[1:] != shape:
        raise ValueError(f"images are {images.shape[1:]} each, expected {shape}. Resize them.")
    low, high = images.min(), images.max()
    if not (low >= limits[0] and high <= limits[1]):  # also where one is NaN
        raise ValueError(
            f"images has values from {low:.3g} to {high:.3g}, expected [{limits[0]:g}, "
            f"{limits[1]:g}]. Rescale them, or pass the right limits."
        )
    return images
