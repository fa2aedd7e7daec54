"""Draw the picture of the landing page, book/_static/landing.png, from fitted mixtures.

Left, a mixture of the plane and its data; middle, the means that EM found for handwritten digits,
and half-hidden digits completed; right, a photograph repaired, and scenes asked for in words.
"""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from gmmlearn import damage, datasets, painter, patches, plots
from gmmlearn.em import fit_em, start_mixture
from gmmlearn.inpainting import inpaint
from gmmlearn.mixture import Mixture
from gmmlearn.restoration import adapt

TARGET = Path(__file__).parents[1] / "book" / "_static" / "landing.png"
HUES = [plots.component_color(k) for k in (0, 1, 2, 3)]
N_AXES = 20
SEED = 5


def fit(X, n_components, rng, reg_covar):
    """Fit a mixture by EM."""
    start = start_mixture(X, n_components, rng, reg_covar=reg_covar)
    return fit_em(X, start, tol=1e-3, max_iter=200, reg_covar=reg_covar).mixture


def fit_digits(X, labels, n_components, rng):
    """Fit a mixture to each digit's principal components; join them in pixels (eq. digit-pca)."""
    centre = X.mean(axis=0)
    eigenvalues, axes = np.linalg.eigh(np.cov(X.T, bias=True))
    U, noise = axes[:, -N_AXES:], eigenvalues[:-N_AXES].mean()
    parts = [fit((X[labels == d] - centre) @ U, n_components, rng, 0.01) for d in range(10)]
    weights = [np.mean(labels == d) * part.weights for d, part in enumerate(parts)]
    means = centre + np.concatenate([part.means for part in parts]) @ U.T
    inside = U @ np.concatenate([part.covariances for part in parts]) @ U.T
    outside = noise * (np.eye(X.shape[1]) - U @ U.T)
    return Mixture(np.concatenate(weights), means, inside + outside)


def tint(image, color, where=None, other=None):
    """Return an 8 x 8 picture in colour on paper with a margin, shape (10, 10, 3)."""
    colors = np.tile(mpl.colors.to_rgb(color), (64, 1))
    if where is not None:
        colors[where] = mpl.colors.to_rgb(other)
    paper = np.array(mpl.colors.to_rgb(plots.PAPER))
    pixels = paper + np.clip(image, 0.0, 1.0)[:, None] * (colors - paper)
    framed = np.tile(paper, (10, 10, 1))
    framed[1:9, 1:9] = pixels.reshape(8, 8, 3)
    return framed


def draw_plane(ax, rng):
    """Draw the spiral, a mixture's density and its ellipses."""
    X = datasets.spiral(900, rng, turns=1.6, std=0.16)
    mixture = fit(X, 13, rng, reg_covar=1e-3)
    middle, span = (X.min(axis=0) + X.max(axis=0)) / 2, 0.53 * np.ptp(X, axis=0).max()
    limits = [(m - span, m + span) for m in middle]
    plots.contours(ax, mixture.log_prob, *limits, 7, "#EBC4A6", n_grid=300)
    plots.points(ax, X, color=plots.INK, size=5, alpha=0.5)
    # Colours in the order of the spiral, so that neighbours differ.
    along = np.argsort(np.linalg.norm(mixture.means, axis=1))
    colors = {k: HUES[j % len(HUES)] for j, k in enumerate(along)}
    plots.ellipses(
        ax, mixture.means, mixture.covariances, [colors[k] for k in range(mixture.n_components)]
    )
    ax.set_aspect("equal")
    ax.set_axis_off()


def half_hidden(mixture, test, digits):
    """Return pictures of test digits with the lower half hidden, and the same completed."""
    upper, lower = np.arange(32), np.arange(32, 64)
    seen, completed = [], []
    for digit in digits:
        x = test.X[np.flatnonzero(test.labels == digit)[0]].ravel() / 16.0
        given = mixture.condition(upper, x[upper])
        for row, values in ((seen, np.full(32, 0.2)), (completed, given.weights @ given.means)):
            row.append(tint(np.r_[x[upper], values], plots.INK, lower, plots.ACCENT))
    return seen, completed


def repaired(rng):
    """Return a piece of a photograph under printed text, and the same repaired, in colour."""
    clean = datasets.photograph("china", grey=False)[110:278, 180:380]
    mask = damage.printed_text(clean.shape[:2], height=18, rng=rng)
    damaged = np.where(mask[..., None], 1.0, clean)
    prior = patches.load_patch_prior("flower")
    channels = [damaged[..., i] for i in range(3)]
    priors = [adapt(prior, channel, 0.01, mask=mask) for channel in channels]
    filled = [inpaint(c, mask, p) for c, p in zip(channels, priors, strict=True)]
    return damaged, np.clip(np.stack(filled, axis=-1), 0.0, 1.0)


def main():
    """Fit, draw and save."""
    rng = np.random.default_rng(SEED)
    train, test = datasets.digits("train"), datasets.digits("test")
    mixture = fit_digits(datasets.dequantise(train.X, rng), train.labels, 2, rng)

    plots.use_style()
    figure = plt.figure(figsize=(14, 4.8), dpi=100, layout="none")
    boxes = ((0.0, 0.0, 0.34, 1.0), (0.362, 0.43, 0.22, 0.52), (0.362, 0.06, 0.22, 0.28),
             (0.61, 0.5, 0.185, 0.46), (0.805, 0.5, 0.185, 0.46))  # fmt: skip
    plane, means, halves, before, after = (figure.add_axes(box) for box in boxes)
    draw_plane(plane, rng)
    sheet = [tint(1.1 * mixture.means[k], HUES[k // 2 % len(HUES)]) for k in range(20)]
    plots.image_grid(means, sheet, n_columns=5)
    seen, completed = half_hidden(mixture, test, (0, 2, 3, 5, 6))
    plots.image_grid(halves, seen + completed, n_columns=5)
    for ax, picture in zip((before, after), repaired(rng), strict=True):
        ax.imshow(picture, interpolation="bilinear")
        ax.set_axis_off()
    for row, text in enumerate(("a sunny spring day", "a clear winter evening")):
        ax = figure.add_axes((0.61, 0.255 - 0.235 * row, 0.38, 0.205))
        plots.image_grid(ax, (painter.draw(text, 6, rng) + 1) / 2, n_columns=6)
        ax.set_title(f"\u201c{text}\u201d", fontsize=10, pad=3)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(TARGET, dpi=100)
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
