"""Masks of what happens to photographs: scratches, printed text."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gmmlearn._validation import as_count, as_rng

WORDS = "A mixture of Gaussians is the simplest honest generative model. "


def scratches(shape, n_scratches=12, width=3, rng=None):
    """Draw straight scratches between random points.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the picture.
    n_scratches : int >= 1
        How many.
    width : int >= 1
        In pixels.
    rng : numpy Generator, int or None
        Source of randomness.

    Returns
    -------
    bool array (H, W)
        True where a pixel is lost.
    """
    rng, width = as_rng(rng), as_count(width, "width")
    sheet = Image.new("L", (shape[1], shape[0]))
    pen = ImageDraw.Draw(sheet)
    for _ in range(as_count(n_scratches, "n_scratches")):
        ends = rng.uniform(0, 1, (2, 2)) * (shape[1], shape[0])
        pen.line([tuple(end) for end in ends], fill=255, width=width)
    return np.array(sheet) > 0


def printed_text(shape, height=14, words=WORDS, rng=None):
    """Print lines of text over the whole picture.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the picture.
    height : int >= 6
        Height of the letters in pixels.
    words : str
        What is printed, again and again.
    rng : numpy Generator, int or None
        Chooses where each line begins in the words.

    Returns
    -------
    bool array (H, W)
        True where a pixel is lost.
    """
    rng, height = as_rng(rng), as_count(height, "height", at_least=6)
    if not words:
        raise ValueError("words is empty. Pass some text.")
    sheet = Image.new("L", (shape[1], shape[0]))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(height)
    for top in range(2, shape[0], round(1.3 * height)):
        start = int(rng.integers(len(words)))
        line = (words[start:] + words * (1 + shape[1] // len(words)))[: shape[1] // 2]
        pen.text((2, top), line, fill=255, font=font)
    return np.array(sheet) > 80
