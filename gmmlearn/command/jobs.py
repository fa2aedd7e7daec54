"""What the jobs of ``python -m gmmlearn`` do; each returns what it says at the end."""

import sys
from pathlib import Path

import numpy as np

from gmmlearn.command.pictures import read_picture, write_arrays, write_pictures, write_png
from gmmlearn.inpainting import inpaint
from gmmlearn.patches import load_patch_prior
from gmmlearn.progress import make_bar
from gmmlearn.restoration import adapt, posterior_mean
from gmmlearn.words import parse

_STRIP, _MARGIN = 64, 7
"""Rows restored at a time, and rows beyond them that share a patch of 8 x 8 with one of them."""
_KNOWN_STD = 0.01
"""Noise that known pixels are taken to have while the prior adapts to a picture with holes."""


def sample(asked):
    """Draw pictures with a trained generator."""
    from gmmlearn.deep.gmm_gan import load_gmm_gan
    from gmmlearn.deep.pixels import as_images
    from gmmlearn.deep.whole_run import load_run

    known = load_run if Path(asked.model).is_dir() else load_gmm_gan
    model = known(asked.model)
    pixels = model.sample(asked.n, component=asked.component, rng=asked.seed)
    about = {"seed": asked.seed, "component": -1 if asked.component is None else asked.component}
    write_pictures(asked.output, on_paper(as_images(pixels, limits=(0, 1))), **about)
    return _told(asked.output, asked.n)


def on_paper(images):
    """Return grey pictures in [0, 1], where 1 is ink, on white paper; colours as they are."""
    return 1.0 - images if images.ndim == 3 else images


def draw(asked):
    """Draw scenes that words ask for."""
    parse(asked.text)  # what is not understood is said at once
    from gmmlearn.deep.gmm_gan import load_gmm_gan

    images = load_gmm_gan("seasons").draw(asked.text, asked.n, asked.seed)
    write_pictures(asked.output, (images.astype(float) + 1) / 2, seed=asked.seed)
    return _told(asked.output, asked.n)


def restore(asked):
    """Remove noise from a photograph, or fill its holes, with a prior that adapts to it."""
    image = read_picture(asked.photo)
    prior = load_patch_prior(asked.prior)
    if asked.mask is None:
        restored = _without_noise(image, prior, asked.noise_std)
    else:
        restored = _without_holes(image, read_picture(asked.mask), prior)
    if asked.output.suffix.lower() == ".npz":
        write_arrays(asked.output, image=restored)
    else:
        write_png(asked.output, restored)
    return f"{asked.output}: {image.shape[0]} x {image.shape[1]} pixels"


def train(asked):
    """Train a GMM-GAN into a folder, or go on with what was broken off there."""
    from gmmlearn.deep import ranks
    from gmmlearn.deep.pixels import as_images
    from gmmlearn.deep.whole_run import Plan, run

    folder = asked.output
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file. Name a folder with -o.")
    if (folder / "record.json").exists() and not asked.force:
        raise ValueError(f"{folder} holds a finished run. Name another with -o, or add --force.")
    plan = {name: value for name, value in vars(asked).items() if name in Plan._fields}
    plan["components"] = tuple(plan["components"])
    with ranks.joined():
        if asked.force and ranks.is_first():
            for name in ("codes.checkpoint", "game.checkpoint", "record.json"):
                (folder / name).unlink(missing_ok=True)
        ranks.wait()
        model, record = run(Plan(**plan), folder, asked.device)
        if not ranks.is_first():
            return None
        images = as_images(model.sample(64, rng=asked.seed), limits=(0, 1))
        write_pictures(folder / "sheet.png", on_paper(images))
    busy = sum(record["seconds"].values())
    return f"{folder}: {record['data']}; {busy:.0f} s on {record['device']}"


def _without_noise(image, prior, noise_std):
    """Return `image` restored in one pass, strip by strip, which changes nothing but the bar."""
    _say("Adapting the prior to the picture")
    own = adapt(prior, image, noise_std)
    tops = range(0, len(image), _STRIP)
    bar = make_bar("Restoring", len(tops), unit="strip", delay=0, disable=None)
    strips = []
    for top in tops:
        # Without a full strip below, the last one takes the rest; a patch needs eight rows.
        above = max(0, min(top - _MARGIN, len(image) - _MARGIN - 1))
        part = posterior_mean(image[above : top + _STRIP + _MARGIN], own, noise_std)
        strips.append(part[top - above : top - above + _STRIP])
        if bar is not None:
            bar.update()
    if bar is not None:
        bar.close()
    return np.concatenate(strips)


def _without_holes(image, mask, prior):
    """Return `image` with the white parts of `mask` filled."""
    mask = (mask if mask.ndim == 2 else mask.mean(axis=2)) > 0.5
    if not mask.any():
        raise ValueError("the mask has no white pixel, so there is no hole to fill.")
    _say(f"Adapting the prior to the picture; {mask.mean():.1%} of its pixels are missing")
    own = adapt(prior, image, _KNOWN_STD, mask=mask)
    _say("Filling")
    return inpaint(image, mask, own)


def _say(what):
    """Tell somebody who waits at a terminal."""
    if sys.stderr.isatty():
        print(f"{what} ...", file=sys.stderr)


def _told(path, n):
    """Return what was written."""
    return f"{path}: {n} picture{'s' * (n > 1)}"
