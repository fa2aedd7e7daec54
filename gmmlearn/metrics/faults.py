"""Samplers with known faults: what a measure of samples should see."""

import numpy as np
from scipy.ndimage import gaussian_filter

from gmmlearn._validation import as_count, as_nonnegative, as_numbers, as_rng
from gmmlearn.datasets import Labelled


def faulty_samples(pool, train, n_samples, rng=None, missing=0, blur=0.6, noise=0.1, smudge=0.2):
    """Draw real pictures, and pictures with one known fault each.

    Parameters
    ----------
    pool : Labelled
        Real pictures (N, height, width) that nothing was fitted to, and their classes.
    train : Labelled
        The pictures that a copier would copy.
    n_samples : int >= 1
        Pictures to draw of each kind; at most as many as each source holds.
    rng : numpy Generator, int or None
        Source of randomness.
    missing : int
        The class that is left out.
    blur : float >= 0
        Standard deviation of the Gaussian blur, in pixels.
    noise, smudge : float >= 0
        Standard deviation of the noise, as a share of the pixels' range, for real pictures and for
        copies. Pixels are clipped to their range.

    Returns
    -------
    dict of str to Labelled
        "honest", "copies", "smudged copies", "class missing", "blurred", "noisy", "one repeated":
        pictures (n_samples, height, width), and the class that each one should show.
    """
    n_samples, rng = as_count(n_samples, "n_samples"), as_rng(rng)
    pool, train = _labelled(pool, "pool"), _labelled(train, "train")
    blur, noise = as_nonnegative(blur, "blur"), as_nonnegative(noise, "noise")
    smudge, low, high = as_nonnegative(smudge, "smudge"), train.X.min(), train.X.max()

    def drawn(source, name):
        if len(source.X) < n_samples:
            raise ValueError(
                f"{name} has {len(source.X)} pictures, fewer than n_samples = {n_samples}. "
                "Pass more pictures, or lower n_samples."
            )
        rows = rng.choice(len(source.X), n_samples, replace=False)
        return Labelled(source.X[rows], source.labels[rows])

    def noisy(X, std):
        return np.clip(X + std * (high - low) * rng.standard_normal(X.shape), low, high)

    kept = pool.labels != missing
    honest, copies = drawn(pool, "pool"), drawn(train, "train")
    rest = drawn(Labelled(pool.X[kept], pool.labels[kept]), f"pool without class {missing}")
    first = np.zeros(n_samples, dtype=int)
    return {
        "honest": honest,
        "copies": copies,
        "smudged copies": Labelled(noisy(copies.X, smudge), copies.labels),
        "class missing": rest,
        "blurred": Labelled(gaussian_filter(honest.X, (0, blur, blur)), honest.labels),
        "noisy": Labelled(noisy(honest.X, noise), honest.labels),
        "one repeated": Labelled(honest.X[first], honest.labels[first]),
    }


def _labelled(source, name):
    """Return pictures and classes, checked."""
    X = as_numbers(source[0], f"{name}.X", 3, "(n_samples, height, width)")
    labels = np.asarray(source[1])
    if labels.shape != (len(X),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{name}.labels has shape {labels.shape} and type {labels.dtype}, expected whole "
            f"numbers of shape ({len(X)},). Pass one class for each picture."
        )
    return Labelled(X, labels)
