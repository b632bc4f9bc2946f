"""The EXIF orientation of a photo: it is read from the EXIF segment of a JPEG, and pixels are turned by it.

Cameras store the pixels as the sensor sees them, and a number from 1 to 8 that says how to turn them.
There are two versions of each function because a SavedModel turns photos inside its graph, where no
Python runs.
"""

import re
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

UPRIGHT = 1  # the orientation of pixels that are stored as they are shown
EXIF_START = b"Exif\0\0"
TAG = 0x0112
# From 5 on the two axes are exchanged first. Then these are reversed.
_TRANSPOSED_FROM = 5
_ROWS_REVERSED = (3, 4, 7, 8)
_COLUMNS_REVERSED = (2, 3, 6, 7)
_ENTRY_BYTES = 12


def swaps_sides(orientation: int) -> bool:
    """Tells whether height and width change places when the pixels are turned."""
    return orientation >= _TRANSPOSED_FROM


def parse_orientation(segment: bytes) -> int:
    """Returns the orientation that an EXIF segment tells.

    It is `UPRIGHT` for other segments and damaged EXIF too, because the pixels may be whole.

    Args:
      segment: the body of the segment of a JPEG, which begins with `EXIF_START`.
    """
    exif = re.match(EXIF_START + rb"(II|MM)", segment)
    if not exif:
        return UPRIGHT
    tiff, order = segment[len(EXIF_START) :], "<" if exif[1] == b"II" else ">"
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (num_entries,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(num_entries):
            tag, value = struct.unpack_from(f"{order}H6xH", tiff, directory + 2 + _ENTRY_BYTES * entry)
            if tag == TAG:
                return value if value in range(1, 9) else UPRIGHT
    except struct.error:
        pass
    return UPRIGHT


def parse_orientation_in_graph(segment: tf.Tensor) -> tf.Tensor:
    """Returns what `parse_orientation` returns, with TensorFlow operations.

    Args:
      segment: scalar string; an empty one is upright.

    Returns:
      int64 scalar from 1 to 8.
    """
    # Zeros at the end stand for what a damaged segment lacks.
    digits = tf.cast(tf.io.decode_raw(segment, tf.uint8), tf.int64)[len(EXIF_START) :]
    digits = tf.concat([digits, tf.zeros([_ENTRY_BYTES], tf.int64)], 0)
    is_little = tf.equal(tf.strings.substr(segment, 0, len(EXIF_START) + 2), EXIF_START + b"II")
    is_big = tf.equal(tf.strings.substr(segment, 0, len(EXIF_START) + 2), EXIF_START + b"MM")

    def number(part: tf.Tensor) -> tf.Tensor:
        """Returns the numbers in the last axis, in the byte order of the segment."""
        powers = tf.constant([256**place for place in range(part.shape[-1])], tf.int64)
        return tf.reduce_sum(tf.where(is_little, part, part[..., ::-1]) * powers, -1)

    last = tf.size(digits, tf.int64) - _ENTRY_BYTES
    directory = tf.minimum(number(tf.ensure_shape(digits[4:8], [4])), last)
    num_entries = number(tf.ensure_shape(digits[directory : directory + 2], [2]))
    entries = digits[directory + 2 :]
    num_entries = tf.minimum(num_entries, tf.size(entries, tf.int64) // _ENTRY_BYTES)
    entries = tf.reshape(entries[: num_entries * _ENTRY_BYTES], [-1, _ENTRY_BYTES])
    values = tf.boolean_mask(number(entries[:, 8:10]), tf.equal(number(entries[:, :2]), TAG))
    value = tf.concat([values, [UPRIGHT]], 0)[0]
    return tf.where((is_little | is_big) & (value >= 1) & (value <= 8), value, UPRIGHT)


def turn(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Returns an image [H, W, C] as it is shown."""
    if orientation == UPRIGHT:
        return pixels
    if swaps_sides(orientation):
        pixels = pixels.transpose(1, 0, 2)
    rows, columns = (-1 if orientation in reversed_by else 1 for reversed_by in _REVERSED)
    return np.ascontiguousarray(pixels[::rows, ::columns])


def turn_in_graph(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Returns what `turn` returns, with TensorFlow operations; the orientation is an int64 scalar."""
    turned = tf.cond(
        orientation >= _TRANSPOSED_FROM, lambda: tf.transpose(image, [1, 0, 2]), lambda: tf.identity(image)
    )
    rows, columns = (tf.reduce_any(tf.equal(orientation, reversed_by)) for reversed_by in _REVERSED)
    # Unlike `tf.reverse`, this takes axes that are known only when the graph runs.
    return tf.raw_ops.Reverse(tensor=turned, dims=tf.stack([rows, columns, tf.constant(False)]))


_REVERSED = (_ROWS_REVERSED, _COLUMNS_REVERSED)
