"""One look for the whole book. Each function draws on a given Axes and returns it."""

import base64
import html
import io
import json

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from gmmlearn._validation import as_count, as_covariance, as_numbers, as_points, as_probabilities

# Okabe and Ito's colours, which people with colour-blindness can tell apart (okabe2008color).
COMPONENT_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442", "#7F7F7F")
ACCENT = "#D55E00"
"""Colour of what a model made: samples, fits, predictions."""
INK = "#2B2B2B"
"""Colour of real data and text."""
PAPER = "#FFFDF8"
"""Opaque background of every figure, so that it reads the same in dark mode."""


def use_style():
    """Set matplotlib's defaults to the look of the book."""
    mpl.rcParams.update(
        {
            "figure.figsize": (7.0, 3.6),
            "figure.dpi": 130,
            "figure.facecolor": PAPER,
            "figure.constrained_layout.use": True,
            "savefig.facecolor": PAPER,
            "axes.facecolor": PAPER,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10,
            "axes.titlelocation": "left",
            "axes.labelsize": 9,
            "axes.prop_cycle": mpl.cycler(color=COMPONENT_COLORS),
            "xtick.labelsize": 8,
            "ytick.labelsize": 8,
            "xtick.color": INK,
            "ytick.color": INK,
            "text.color": INK,
            "font.size": 9,
            "legend.frameon": False,
            "legend.fontsize": 8,
            "lines.linewidth": 1.6,
        }
    )


def component_color(k):
    """Return the colour of component `k`, the same in every chapter."""
    return COMPONENT_COLORS[as_count(k, "k", at_least=0) % len(COMPONENT_COLORS)]


def points(ax, X, resp=None, labels=None, color=INK, size=8, alpha=0.7):
    """Scatter points, coloured by component.

    Parameters
    ----------
    ax : matplotlib Axes
    X : array (N, 2)
        Points.
    resp : array (N, K), optional
        Responsibilities: each point gets the mix of the components' colours.
    labels : int array (N,), optional
        Component of each point, instead of `resp`.
    color : colour
        Used when neither is given.
    size, alpha : float
        Marker area in points squared, and opacity.

    Returns
    -------
    matplotlib Axes
    """
    X = as_points(X, n_features=2)
    if labels is not None:
        color = [component_color(as_count(k, "labels", at_least=0)) for k in labels]
    if resp is not None:
        resp = as_probabilities(resp, "resp", "(n_samples, n_components)", n_dims=2)
        palette = [mpl.colors.to_rgb(component_color(k)) for k in range(resp.shape[1])]
        color = np.clip(resp @ np.array(palette), 0.0, 1.0)
    if (labels is not None or resp is not None) and len(color) != len(X):
        raise ValueError(
            f"labels or resp speak of {len(color)} samples, but X has {len(X)}. Pass one for each."
        )
    ax.scatter(X[:, 0], X[:, 1], s=size, c=color, alpha=alpha, linewidths=0)
    return ax


def ellipses(ax, means, covariances, colors=None, stds=(1, 2), label=False):
    """Draw each component's ellipses at one and two standard deviations, and its mean.

    Parameters
    ----------
    ax : matplotlib Axes
    means : array (K, 2)
    covariances : array (K, 2, 2)
    colors : list of colours, optional
        One for each component; by default component k has its own.
    stds : tuple of float
        Radii in standard deviations.
    label : bool
        Whether to write the component's number at its mean.

    Returns
    -------
    matplotlib Axes
    """
    means = as_points(means, n_features=2, name="means")
    covariances = as_numbers(covariances, "covariances", 3, "(n_components, 2, 2)")
    if len(covariances) != len(means):
        raise ValueError(
            f"covariances has {len(covariances)} entries, but means has {len(means)}. "
            "Pass one for each component."
        )
    for k, (mean, covariance) in enumerate(zip(means, covariances, strict=True)):
        as_covariance(covariance, 2, f"covariances[{k}]")
        color = component_color(k) if colors is None else colors[k]
        variances, axes = np.linalg.eigh(covariance)
        angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
        for radius in stds:
            width, height = 2 * radius * np.sqrt(variances[::-1])
            ring = Ellipse(mean, width, height, angle=angle, fill=False, color=color, linewidth=1.8)
            ax.add_patch(ring)
        ax.plot(*mean, marker="+", color=color, markersize=9, markeredgewidth=2)
        if label:
            ax.annotate(str(k), mean, xytext=(5, 5), textcoords="offset points", color=color)
    return ax


def contours(ax, log_prob, xlim, ylim, n_levels=8, color=ACCENT, filled=False, n_grid=150):
    """Draw contours of a density of two features.

    Parameters
    ----------
    ax : matplotlib Axes
    log_prob : callable
        Maps points (N, 2) to log densities (N,) in nats.
    xlim, ylim : (float, float)
        Region to draw.
    n_levels : int
        Number of contours, equally spaced in density.
    color : colour
        Of lines, or the darkest shade when `filled`.
    filled : bool
        Whether to shade instead of drawing lines.
    n_grid : int
        Grid points along each side.

    Returns
    -------
    matplotlib Axes
    """
    for name, limits in [("xlim", xlim), ("ylim", ylim)]:
        if as_numbers(limits, name, 1, "(2,)").shape != (2,) or not limits[0] < limits[1]:
            raise ValueError(f"{name} must be two numbers (low, high) with low < high: {limits!r}.")
    n_grid, n_levels = as_count(n_grid, "n_grid", at_least=2), as_count(n_levels, "n_levels")
    x, y = np.linspace(*xlim, n_grid), np.linspace(*ylim, n_grid)
    nodes = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    density = np.exp(log_prob(nodes)).reshape(n_grid, n_grid)
    levels = np.linspace(0, density.max(), n_levels + 2)
    if filled:
        shades = mpl.colors.LinearSegmentedColormap.from_list("paper", [PAPER, color])
        ax.contourf(x, y, density, levels=levels, cmap=shades)
    else:
        ax.contour(x, y, density, levels=levels[1:-1], colors=[color], linewidths=1.0)
    ax.set(xlim=xlim, ylim=ylim)
    return ax


def contact_sheet(images, n_columns=10, empty=1.0):
    """Lay images side by side without gaps, row by row.

    Parameters
    ----------
    images : array (N, height, width) or (N, height, width, 3)
    n_columns : int
        Images in a row.
    empty : float
        What the last row is padded with.

    Returns
    -------
    array (rows * height, columns * width) or (..., 3)

    Examples
    --------
    >>> contact_sheet([[[1.0]], [[2.0]], [[3.0]]], n_columns=2, empty=0.0)
    array([[1., 2.],
           [3., 0.]])
    """
    images = _as_grid(images)
    n_columns = min(as_count(n_columns, "n_columns"), len(images))
    n_rows = -(-len(images) // n_columns)
    sheet = np.full((n_rows * n_columns, *images.shape[1:]), float(empty))
    sheet[: len(images)] = images
    height, width = images.shape[1:3]
    sheet = sheet.reshape(n_rows, n_columns, height, width, *images.shape[3:]).swapaxes(1, 2)
    return sheet.reshape(n_rows * height, n_columns * width, *images.shape[3:])


def _as_grid(images):
    """Return grey or coloured images as an array."""
    n_dims = 4 if np.ndim(images) == 4 else 3
    images = as_numbers(images, "images", n_dims, "(n_samples, height, width) or (..., 3)")
    if n_dims == 4 and images.shape[3] != 3:
        raise ValueError(f"images has shape {images.shape}; colours need a last axis of size 3.")
    return images


def image_grid(ax, images, n_columns=10, limits=None):
    """Show images side by side without gaps or ticks.

    Parameters
    ----------
    ax : matplotlib Axes
    images : array (N, height, width) or (N, height, width, 3)
        Grey images (larger is darker, like ink) or colours in [0, 1].
    n_columns : int
        Images in a row; the last row is padded with paper.
    limits : (float, float), optional
        Values of paper and ink for grey images; by default the smallest and largest pixel.

    Returns
    -------
    matplotlib Axes
    """
    colour = np.ndim(images) == 4
    images = _as_grid(images)
    low, high = (images.min(), images.max()) if limits is None else limits
    sheet = contact_sheet(images, n_columns, empty=1.0 if colour else low)
    ax.imshow(
        np.clip(sheet, 0, 1) if colour else np.clip(sheet, low, high),
        cmap="gray_r",
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    ax.set_axis_off()
    return ax


class Player:
    """An animation with its own play button and slider, in plain HTML without network or library.

    matplotlib's player links a remote stylesheet for its icons, gives its image no alt text, and
    makes random identifiers that no test can compare; this one has none of the three.
    """

    def __init__(self, frames, labels, name, alt, caption):
        self.frames, self.labels = frames, labels
        self.name, self.alt, self.caption = name, alt, caption

    def __repr__(self):
        return f"Player({self.name!r}, {len(self.frames)} frames)"

    def _repr_html_(self):
        """Return the player as HTML, its frames included."""
        sources = ["data:image/png;base64," + base64.b64encode(f).decode() for f in self.frames]
        last = len(self.frames) - 1
        return _PLAYER.format(
            name=html.escape(self.name),
            alt=html.escape(self.alt),
            caption=html.escape(self.caption),
            last=last,
            source=sources[last],
            label=html.escape(self.labels[last]),
            frames=json.dumps(sources),
            labels=json.dumps(self.labels).replace("</", "<\\/"),
        )


# Without JavaScript the last frame and the caption remain.
_PLAYER = """<figure class="gmm-player" id="player-{name}">
<img class="dark-light" style="width:100%;max-width:44rem" alt="{alt}" src="{source}">
<div style="display:flex;gap:.75rem;align-items:center;max-width:44rem">
<button type="button" aria-label="Play or pause">&#9654;&#xFE0E; Play</button>
<input type="range" min="0" max="{last}" value="{last}" aria-label="Frame" style="flex:1">
<output aria-live="polite" style="min-width:8rem">{label}</output>
</div>
<figcaption><p><span class="caption-text">{caption}</span></p></figcaption>
<script>
(() => {{
  const root = document.getElementById("player-{name}");
  const [image, button, slider, output] =
    ["img", "button", "input", "output"].map((tag) => root.querySelector(tag));
  const frames = {frames};
  const labels = {labels};
  let timer = null;
  const show = (i) => {{
    slider.value = i; image.src = frames[i]; output.textContent = labels[i];
  }};
  const stop = () => {{
    clearInterval(timer); timer = null; button.textContent = "\\u25B6\\uFE0E Play";
  }};
  const step = () => {{
    const next = Number(slider.value) + 1;
    if (next < frames.length) show(next); else stop();
  }};
  button.onclick = () => {{
    if (timer) return stop();
    if (Number(slider.value) === frames.length - 1) show(0);
    timer = setInterval(step, 400); button.textContent = "\\u275A\\u275A Pause";
  }};
  slider.oninput = () => {{ stop(); show(Number(slider.value)); }};
}})();
</script>
</figure>"""


def animate(draw, labels, name, alt, caption, figsize=(7.0, 4.2), dpi=90):
    """Draw one frame for each label and return a player that works offline.

    Parameters
    ----------
    draw : callable
        ``draw(ax, i)`` draws frame i on an empty Axes.
    labels : list of str
        What each frame shows, read out and written beside the slider.
    name : str
        Short identifier, unique on the page.
    alt, caption : str
        What is seen, and what to notice.
    figsize : (float, float)
        Size in inches.
    dpi : int
        Pixels per inch.

    Returns
    -------
    Player
        Shown by a notebook as the last value of a cell.
    """
    labels = [str(label) for label in labels]
    if not labels:
        raise ValueError("labels is empty. Pass one text for each frame.")
    frames = []
    for i in range(len(labels)):
        figure = Figure(figsize=figsize, dpi=dpi, facecolor=PAPER, layout="constrained")
        draw(figure.subplots(), i)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        frames.append(_fewer_colors(buffer))
    return Player(frames, labels, name, alt, caption)


def _fewer_colors(png):
    """Return the picture with at most 64 colours: a third of the bytes, no visible change."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.open(png).convert("RGB").quantize(64).save(buffer, format="png", optimize=True)
    return buffer.getvalue()
