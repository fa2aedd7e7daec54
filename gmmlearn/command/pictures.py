"""Pictures as files: PNG and NPZ, read into [0, 1] and written whole or not at all."""

import io
import zipfile

import numpy as np
from PIL import Image, UnidentifiedImageError

from gmmlearn._files import write_atomically
from gmmlearn.plots import contact_sheet

_TILE, _GAP = 96, 2
"""Small pictures are enlarged on a sheet to about so many pixels a side, with white around."""


def read_picture(path):
    """Read a picture.

    Parameters
    ----------
    path : Path
        PNG (or another format that Pillow reads), or NPZ with the array "image", or with one alone.

    Returns
    -------
    float64 array (H, W) or (H, W, 3)
        Of a file with pixels as whole numbers, in [0, 1], transparency left out; of an NPZ, as it
        is.
    """
    if path.suffix.lower() == ".npz":
        return _read_array(path)
    try:
        with Image.open(path) as file:
            if file.mode.startswith("I;16") or file.mode == "I":
                return np.asarray(file, dtype=np.float64) / 65535
            grey = file.mode in ("1", "L", "LA")
            return np.asarray(file.convert("L" if grey else "RGB"), dtype=np.float64) / 255
    except UnidentifiedImageError:
        raise ValueError(f"{path} is no picture that can be read. Save it as PNG.") from None


def _read_array(path):
    """Return the array "image" of an NPZ, or its only one."""
    if path.exists() and not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no NPZ file. Write one with numpy.savez(path, image=...).")
    with np.load(path, allow_pickle=False) as file:
        names = file.files
        if "image" not in names and len(names) != 1:
            raise ValueError(f'{path} holds {names}. Call the picture "image".')
        return np.asarray(file["image" if "image" in names else names[0]], dtype=np.float64)


def write_pictures(path, images, **about):
    """Write pictures as a sheet (PNG) or as arrays (NPZ).

    Parameters
    ----------
    path : Path
        Ends in .png or .npz.
    images : array (N, side, side) or (N, side, side, 3)
        Pixels in [0, 1].
    **about : arrays
        What else stands in the NPZ.
    """
    if path.suffix.lower() == ".npz":
        write_arrays(path, images=images, **about)
        return
    factor = max(1, _TILE // images.shape[1])
    tiles = images.repeat(factor, axis=1).repeat(factor, axis=2)
    around = [(0, 0), (_GAP, _GAP), (_GAP, _GAP), (0, 0)][: tiles.ndim]
    tiles = np.pad(tiles, around, constant_values=1.0)
    write_png(path, contact_sheet(tiles, int(np.ceil(np.sqrt(len(tiles)))), empty=1.0))


def write_png(path, image):
    """Write one picture with pixels in [0, 1], clipped, in 256 levels."""
    levels = np.rint(255 * np.clip(image, 0.0, 1.0)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "png")
    write_atomically(path, file.getvalue())


def write_arrays(path, **arrays):
    """Write arrays as NPZ."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    write_atomically(path, file.getvalue())
