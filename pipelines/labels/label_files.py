"""What a file of label maps shows, whether it holds class ids or colours: one rule for all who read files.

Where the images of a side are ids of a palette (`Side.ids`), a file holds ids if
- it has one channel, or one and alpha; or
- red, green and blue are alike in every pixel, every value is an id, and not all are colours of classes.

Ids are looked up in the palette. Any other file holds colours already. Training, `translate`, the demo and
the graph of a SavedModel share this rule, so these are TensorFlow operations.
"""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfpix2pix.pipelines.files.decoding import decode_image
from tfpix2pix.pipelines.files.headers_in_graph import gray_step_in_graph, parse_header_in_graph
from tfpix2pix.pipelines.files.image_files import Header
from tfpix2pix.pipelines.files.number_arrays import Pixels
from tfpix2pix.pipelines.meaning import IGNORED, Side

# 8 bits are spread over 16 by this factor.
_SPREAD = 257


def level_step(header: Header, dtype: npt.DTypeLike) -> int:
    """Returns by how much the levels of a file grow from one stored number to the next.

    Args:
      header: the header of the file.
      dtype: type of the levels, over which the numbers are spread.
    """
    is_spread = header.dtype == np.uint8 and np.dtype(dtype) == np.uint16
    return header.gray_step * (_SPREAD if is_spread else 1)


def read_ids(levels: tf.Tensor | Pixels, side: Side, step: tf.Tensor | int = 1) -> tf.Tensor:
    """Returns the ids that stored levels stand for.

    Ids in 16 bits are either the numbers themselves, or spread as 8 bits are when a file of more bits holds
    them. The two cannot be confused where ids end at 255; where they do not, they are the numbers themselves.

    Args:
      levels: uint8 or uint16 [...].
      side: what the images are, of which the ids count.
      step: see `level_step`.

    Returns:
      int32 [...], from 0 on.
    """
    ids = tf.cast(levels, tf.int32) // step
    if levels.dtype == np.uint16 and max(side.ids) <= IGNORED:
        ids = tf.where(ids % _SPREAD == 0, ids // _SPREAD, ids)
    return ids


def colour_levels(levels: tf.Tensor | Pixels, side: Side, step: tf.Tensor | int = 1) -> tf.Tensor:
    """Returns the colours, uint8 [..., 3], of the ids that stored levels stand for; see `read_ids`."""
    assert side.palette is not None  # noqa: S101 - ids without a palette are not made
    table = side.palette.colour_table(side.ids)
    return tf.gather(tf.constant(table), tf.minimum(read_ids(levels, side, step), len(table) - 1))


def holds_ids(levels: tf.Tensor | Pixels, side: Side, step: tf.Tensor | int = 1) -> tf.Tensor:
    """Tells of an image in red, green and blue whether it holds ids; see the head of this file.

    Args:
      levels: uint8 or uint16 [H, W, 3], or ids.
      side: what the images are, of which the palette and the ids count.
      step: see `level_step`.
    """
    assert side.palette is not None  # noqa: S101 - ids without a palette are not made
    last = max(*side.ids, IGNORED) + 1  # stands for all numbers above the ids
    is_id, is_colour = np.zeros(last + 1, bool), np.zeros(last + 1, bool)
    is_id[[*side.ids, IGNORED]] = True
    colours = side.palette.colours
    is_colour[colours[(colours == colours[:, :1]).all(1), 0]] = True
    ids = tf.minimum(read_ids(levels[..., 0], side, step), last)
    is_gray = tf.reduce_all(tf.equal(levels, levels[..., :1]))
    are_ids = tf.reduce_all(tf.gather(tf.constant(is_id), ids))
    are_colours = tf.reduce_all(tf.gather(tf.constant(is_colour), ids))
    return is_gray & are_ids & ~are_colours


def colour_label_map(
    levels: tf.Tensor | Pixels, side: Side, one_channel: tf.Tensor | bool, step: tf.Tensor | int = 1
) -> tf.Tensor:
    """Returns a label map in colours.

    Args:
      levels: what the file holds, uint8 or uint16 [H, W, 3]; a gray file is repeated.
      side: what the images are, with ids.
      one_channel: whether the file has one channel, or one and alpha.
      step: see `level_step`.

    Returns:
      uint8 [H, W, 3].
    """
    levels = tf.convert_to_tensor(levels)
    coloured = colour_levels(levels[..., 0], side, step)
    stored = tf.cast(levels // _SPREAD, tf.uint8) if levels.dtype == tf.uint16 else levels
    return tf.where(one_channel | holds_ids(levels, side, step), coloured, stored)


def colour_picture(picture: Pixels, header: Header, side: Side | None) -> Pixels:
    """Returns a picture that was read from a file, with its label map in colours if the side holds ids.

    Args:
      picture: [H, W, C]; uint8, uint16 or float32.
      header: the header of the file.
      side: what the images are; None if nobody knows.
    """
    if side is None or not side.ids or picture.dtype == np.float32 or picture.shape[2] != 3:
        return picture
    return colour_label_map(picture, side, header.channels <= 2, level_step(header, picture.dtype)).numpy()


def shows_classes(picture: Pixels, side: Side | None) -> bool:
    """Tells whether half of a picture or more has colours of its classes or of void, as label maps have.

    Args:
      picture: [H, W, C], as `colour_picture` returns it.
      side: what the images are. Where they hold no ids, every picture will do.
    """
    if side is None or not side.ids or picture.dtype != np.uint8 or picture.shape[2] != 3:
        return True
    assert side.palette is not None  # noqa: S101 - ids without a palette are not made
    places = np.array([1, 2**8, 2**16])
    colours = np.concatenate([side.palette.colours, side.palette.void]) @ places
    return bool(np.isin(picture @ places, colours).mean() >= 0.5)


def decode_picture(contents: tf.Tensor, channels: int, side: Side | None) -> tf.Tensor:
    """Decodes a JPEG, PNG or BMP file as `decode_image` does, to 8 bits; a label map of ids becomes colours.

    Args:
      contents: scalar string, the bytes of the file.
      channels: channels of the picture.
      side: what the images are; None if nobody knows.

    Returns:
      uint8 [H, W, channels].
    """
    if side is None or not side.ids or channels != 3:
        return decode_image(contents, channels)
    _, _, _, given_channels, bits = parse_header_in_graph(contents)
    # 8 bits are spread over the 16 that are decoded.
    step = tf.cast(gray_step_in_graph(given_channels, bits), tf.int32) * tf.where(bits < 16, _SPREAD, 1)
    levels = decode_image(contents, channels, tf.uint16)
    return tf.ensure_shape(colour_label_map(levels, side, given_channels <= 2, step), [None, None, 3])
