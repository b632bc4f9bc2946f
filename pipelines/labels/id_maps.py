"""Finds out what images stand for; label maps of class ids are read in their palette's colours.

Networks and people see colours, so a label map that holds class ids, from 0 to K - 1 or those that the
palette tells, is read as the colour map that it stands for. Any other value is void. Label maps are looked
for where the names of the folders tell of them (`labels/`, `masks/`, gtFine/), and on both sides where no
name tells.
"""

import collections
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.catalogue import PALETTE_FILE, DatasetSpec
from tfpix2pix.pipelines.files import cityscapes
from tfpix2pix.pipelines.files.image_files import Header, read_header
from tfpix2pix.pipelines.files.image_headers import JPEG_START, PNG_START
from tfpix2pix.pipelines.files.matching import File
from tfpix2pix.pipelines.files.samples import read_sample, spread_evenly
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.labels.label_files import colour_label_map, holds_ids, level_step, read_ids
from tfpix2pix.pipelines.labels.label_sides import find_label_side
from tfpix2pix.pipelines.labels.palettes import VOID, Palette, dataset_palette, find_palette
from tfpix2pix.pipelines.meaning import UNKNOWN, Meaning, Side

_LOOKED_AT = 8  # so many label maps are looked at
_MOST_SUFFIXES = 1000
SIDES = ("input", "target")


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


def give_meaning(
    source: Source, direction: str, palette: Palette | None, known: Meaning | None = None
) -> Source:
    """Returns the pairs with their meaning, and with their label maps in colours if the files hold class ids.

    Args:
      source: the pairs as they are read.
      direction: `AtoB` or `BtoA`.
      palette: the classes; None leaves gray label maps gray.
      known: what a training took the images for, which is taken for granted; `UNKNOWN` for a training of a
        version that kept no meaning: ids are then looked for as that version did, in the PNG files of folders
        whose names tell of label maps, and the pairs get no meaning. None finds out.

    Raises:
      UserError: if only some of the label maps hold ids, or if the palette has no colour for void.
    """
    dtypes = source.dtypes
    sides = [
        _describe_side(source, direction, place, dtypes[min(place, len(dtypes) - 1)]) for place in (0, 1)
    ]
    if source.task.from_photos:
        return dataclasses.replace(source, meaning=Meaning(*sides))
    for place in (0, 1):
        told = (known.input, known.target)[place] if known else None
        is_told = told is not None and bool(told.ids)
        may_hold_ids = not told and palette and _may_hold_ids(source, direction, place, known)
        files = _files_of(source, direction, place) if is_told or may_hold_ids else []
        headers = [read_header(file) for file in files]
        if told:
            sides[place] = dataclasses.replace(sides[place], palette=told.palette, ids=told.ids)
        elif may_hold_ids:
            side = dataclasses.replace(sides[place], palette=palette)
            sides[place] = _find_ids(source, place, files, headers, side)
        if sides[place].ids and sides[place].dtype != "float32":
            source = _read_in_colours(source, place, headers, sides[place])
            sides[place] = dataclasses.replace(sides[place], dtype="uint8")
    if known is UNKNOWN:
        return source
    sides[0] = dataclasses.replace(sides[0], instances=source.has_instances)
    if not known and not any(side.ids for side in sides) and (name := find_label_side(source, palette)):
        sides[SIDES.index(name)] = dataclasses.replace(sides[SIDES.index(name)], palette=palette)
    return dataclasses.replace(source, meaning=Meaning(*sides))


def _describe_side(source: Source, direction: str, place: int, dtype: tf.DType) -> Side:
    """Returns what the type of the images and the files of one side tell."""
    side = Side(source.task.picture_channels[place], dtype.name)
    files = _files_of(source, direction, place, _MOST_SUFFIXES)
    # Where files have several suffixes, most have this one.
    suffixes = collections.Counter(file.suffix.lower() for file in files).most_common(1)
    return dataclasses.replace(side, suffix=suffixes[0][0]) if files else side


def _files_of(source: Source, direction: str, place: int, most: int | None = None) -> list[File]:
    """Returns the files that hold input images, whose place is 0, or target images.

    They are those of every pair, or of at most `most` pairs that are spread evenly.
    """
    number = place if direction == "AtoB" else 1 - place
    pairs = (source.origins[row] for row in spread_evenly(len(source.origins), most))
    return [pair[min(number, len(pair) - 1)] for pair in pairs]


def _may_hold_ids(source: Source, direction: str, place: int, known: Meaning | None) -> bool:
    """Tells whether one looks for ids on a side."""
    starts = [_start_of(file) for file in _files_of(source, direction, place, _LOOKED_AT)]
    if source.task.picture_channels[place] != 3 or all(start.startswith(JPEG_START) for start in starts):
        return False  # a JPEG blurs what is in it
    if source.label_side is None:
        return known is not UNKNOWN
    named = source.label_side if direction == "AtoB" else 1 - source.label_side
    return named == place and (known is not UNKNOWN or starts[0].startswith(PNG_START))


def _start_of(file: File) -> bytes:
    return file.read_bytes()[: len(PNG_START)]


def _find_ids(
    source: Source, place: int, files: Sequence[File], headers: Sequence[Header], side: Side
) -> Side:
    """Returns a side with the ids of its palette if the files hold ids; without the palette if not."""
    assert side.palette is not None  # noqa: S101 - it is looked for ids of this palette
    ids = cityscapes.official_ids(files[0].name) or side.palette.ids
    found = dataclasses.replace(side, ids=ids)
    if not _hold_ids(source, place, files, headers, found):
        return dataclasses.replace(side, palette=None)
    if not len(side.palette.void):
        raise UserError(
            f"{files[0].parent} holds class ids, and the palette has no colour for pixels of no class: "
            f'add "{VOID}": [[0, 0, 0]] or another colour to it'
        )
    return found


def _hold_ids(
    source: Source, place: int, files: Sequence[File], headers: Sequence[Header], side: Side
) -> bool:
    """Tells whether images are ids; raises UserError if the names say label maps and only some are gray."""
    if any(header.dtype == np.float32 for header in headers):
        return False
    gray = [header.channels <= 2 for header in headers]
    if source.label_side is not None and any(gray):
        if not all(gray):
            raise UserError(
                f"{files[gray.index(True)]} is gray, as class ids are, and {files[gray.index(False)]} is "
                "not: make all label maps of a split gray, or all coloured"
            )
        return True
    ids = []
    for index, images in read_sample(source, _LOOKED_AT):
        step = level_step(headers[index], side.dtype)
        ids.append(tf.reshape(read_ids(images[place], side, step), [1, -1, 3]))
    if not ids:
        return False
    # They are looked at as one image, because one of them may be of one class.
    levels = tf.concat(ids, axis=1)
    is_flat = source.label_side is None and bool(tf.reduce_all(tf.equal(levels, levels[0, 0, 0])))
    return bool(holds_ids(levels, side)) and not is_flat


def _read_in_colours(source: Source, place: int, headers: Sequence[Header], side: Side) -> Source:
    with tf.device("CPU:0"):
        one_channel = tf.constant([header.channels <= 2 for header in headers])
        steps = tf.constant([level_step(header, side.dtype) for header in headers])

    def read(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        images = list(source.read(index))
        images[place] = colour_label_map(images[place], side, one_channel[index], steps[index])
        return tuple(images)

    return dataclasses.replace(source, read=read)
