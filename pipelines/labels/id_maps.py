"""Label maps that hold class ids instead of colours: they are found, and read in their palette's colours.

A label map in `labels/`, `masks/` and such (or in gtFine/, where it is one of Cityscapes) that is a gray
PNG of 8 bits holds class ids, from 0 to K - 1; any other value is void. Networks and people see colours,
so the label map is read as the colour map that it stands for. So is a PNG in colours, or with a palette,
whose colours are gray levels that are ids.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.catalogue import DatasetSpec
from tfpix2pix.pipelines.files import cityscapes
from tfpix2pix.pipelines.files.image_files import load_image
from tfpix2pix.pipelines.files.image_headers import PNG_GRAY, parse_png_type
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.labels.palettes import (
    IGNORED,
    VOID,
    Palette,
    colour_table,
    dataset_palette,
    find_palette,
)

_LOOKED_AT = 8  # so many label maps in colours are looked at
PALETTE_FILE = "palette.json"  # in a dataset's folder, beside its splits


def find_classes(spec: DatasetSpec, folder: Path | None) -> Palette | None:
    """Returns the classes of a dataset's label maps.

    Args:
      spec: the dataset's entry, whose classes are taken if it has any.
      folder: the dataset's folder, in which `palette.json` may tell the classes; None if there is
        no folder.

    Returns:
      The classes; None if neither tells them.

    Raises:
      UserError: if that file holds something else.
    """
    if spec.palette:
        return dataset_palette(spec)
    file = folder / PALETTE_FILE if folder else None
    return find_palette(str(file)) if file and file.is_file() else None


def colour_id_maps(source: Source, direction: str, palette: Palette | None) -> Source:
    """Returns the pairs with their label maps in colours, if the files hold class ids.

    Args:
      source: the pairs as they are read.
      direction: `AtoB` or `BtoA`.
      palette: the classes; None leaves gray label maps gray.

    Raises:
      UserError: if only some of the label maps hold ids, or if the palette has no colour for void.
    """
    side = source.label_side
    if palette is None or side is None:
        return source
    place = side if direction == "AtoB" else 1 - side
    if source.channels[place] != 3:
        return source
    files = [pair[side] for pair in source.origins]
    if not _hold_ids(files, palette):
        return source
    if not len(palette.void):
        raise UserError(
            f"{files[0].parent} holds class ids, and the palette has no colour for pixels of no class: "
            f'add "{VOID}": [[0, 0, 0]] or another colour to it'
        )
    table = tf.constant(_table(files[0], palette))

    def read(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        images = list(source.read(index))
        images[place] = tf.gather(table, tf.cast(images[place][..., 0], tf.int32))
        return tuple(images)

    return dataclasses.replace(source, read=read)


def _table(file: Path, palette: Palette) -> npt.NDArray[np.uint8]:
    return cityscapes.official_colour_table(file, colour_table(palette))


def _hold_ids(files: Sequence[Path], palette: Palette) -> bool:
    """Tells whether label maps hold ids; raises UserError if some do and others do not."""
    gray = [_is_id_map(file) for file in files]
    if any(gray) and not all(gray):
        raise UserError(
            f"{files[gray.index(True)]} is gray, as class ids are, and {files[gray.index(False)]} is not: "
            "make all label maps of a split gray, or all coloured"
        )
    return gray[0] or all(map(_is_gray_in_colours, files[:_LOOKED_AT], [palette] * _LOOKED_AT))


def _is_gray_in_colours(file: Path, palette: Palette) -> bool:
    """Tells whether a PNG in colours, or with a palette, holds ids as red, green and blue alike."""
    with file.open("rb") as stream:
        if parse_png_type(stream.read(26)) is None:
            return False
    pixels = load_image(file)
    ids = pixels[..., 0]
    is_gray = bool((pixels == ids[..., None]).all())
    are_ids = bool(((ids < len(palette)) | (ids == IGNORED)).all())
    colours = np.concatenate([palette.colours, palette.void])
    are_colours = all((colours == level).all(-1).any() for level in np.unique(ids)[:, None])
    return is_gray and are_ids and not are_colours


def _is_id_map(file: Path) -> bool:
    with file.open("rb") as stream:
        png = parse_png_type(stream.read(26))
    if png is None:
        return False
    bits, colour_type = png
    if colour_type == PNG_GRAY and bits != 8:
        raise UserError(f"{file} is a gray PNG of {bits} bits; class ids take 8 bits")
    return colour_type == PNG_GRAY
