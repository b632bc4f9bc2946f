"""What a file of label maps shows, whether it holds class ids or colours: one rule for all who read files.

Where the images of a side are ids of a palette (`Side.ids`), a file holds ids if
- it has one channel, or one and alpha; or
- red, green and blue are alike in every pixel, every value is an id, and not all are colours of classes.

Ids are looked up in the palette. Any other file holds colours already. Training, `translate`, the demo and
the graph of a SavedModel share this rule, so these are TensorFlow operations.
"""

import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.files.decoding import decode_image
from tfpix2pix.pipelines.files.headers_in_graph import gray_step_in_graph, parse_header_in_graph
from tfpix2pix.pipelines.files.image_files import Header
from tfpix2pix.pipelines.files.number_arrays import Pixels
from tfpix2pix.pipelines.meaning import IGNORED, Side

# 8 bits are spread over 16 by this factor.
_SPREAD = 257
_NO_ID = 256


def read_ids(levels: tf.Tensor | Pixels, gray_step: tf.Tensor | int = 1) -> tf.Tensor:
    """Returns the ids that stored levels stand for.

    Ids in 16 bits are either the numbers themselves, or spread as 8 bits are when a file of more bits holds
    them. The two cannot be confused, because ids end at 255.

    Args:
      levels: uint8 or uint16 [...].
      gray_step: see `Header.gray_step`.

    Returns:
      int32 [...], from 0 to 255; and 256 for what is no id at all.
    """
    ids = tf.cast(levels, tf.int32)
    if levels.dtype == np.uint16:
        ids = tf.where(ids % _SPREAD == 0, ids // _SPREAD, tf.minimum(ids, _NO_ID))
    return ids // gray_step


def colour_levels(levels: tf.Tensor | Pixels, side: Side, gray_step: tf.Tensor | int = 1) -> tf.Tensor:
    """Returns the colours, uint8 [..., 3], of the ids that stored levels stand for; see `read_ids`."""
    assert side.palette is not None  # noqa: S101 - ids without a palette are not made
    table = tf.constant(side.palette.colour_table(side.ids))
    return tf.gather(table, tf.minimum(read_ids(levels, gray_step), IGNORED))


def holds_ids(levels: tf.Tensor | Pixels, side: Side) -> tf.Tensor:
    """Tells of an image in red, green and blue whether it holds ids; see the head of this file.

    Args:
      levels: uint8 or uint16 [H, W, 3].
      side: what the images are, of which the palette and the ids count.
    """
    assert side.palette is not None  # noqa: S101 - ids without a palette are not made
    is_id, is_colour = np.zeros(_NO_ID + 1, bool), np.zeros(_NO_ID + 1, bool)
    is_id[[*side.ids, IGNORED]] = True
    colours = side.palette.colours
    is_colour[colours[(colours == colours[:, :1]).all(1), 0]] = True
    ids = read_ids(levels[..., 0])
    is_gray = tf.reduce_all(tf.equal(levels, levels[..., :1]))
    are_ids = tf.reduce_all(tf.gather(tf.constant(is_id), ids))
    are_colours = tf.reduce_all(tf.gather(tf.constant(is_colour), ids))
    return is_gray & are_ids & ~are_colours


def colour_label_map(
    levels: tf.Tensor | Pixels, side: Side, one_channel: tf.Tensor | bool, gray_step: tf.Tensor | int = 1
) -> tf.Tensor:
    """Returns a label map in colours.

    Args:
      levels: what the file holds, uint8 or uint16 [H, W, 3]; a gray file is repeated.
      side: what the images are, with ids.
      one_channel: whether the file has one channel, or one and alpha.
      gray_step: see `Header.gray_step`.

    Returns:
      uint8 [H, W, 3].
    """
    levels = tf.convert_to_tensor(levels)
    coloured = colour_levels(levels[..., 0], side, gray_step)
    stored = tf.cast(levels // _SPREAD, tf.uint8) if levels.dtype == tf.uint16 else levels
    return tf.where(one_channel | holds_ids(levels, side), coloured, stored)


def colour_picture(picture: Pixels, header: Header, side: Side | None) -> Pixels:
    """Returns a picture that was read from a file, with its label map in colours if the side holds ids.

    Args:
      picture: [H, W, C]; uint8, uint16 or float32.
      header: the header of the file.
      side: what the images are; None if nobody knows.
    """
    if side is None or not side.ids or picture.dtype == np.float32 or picture.shape[2] != 3:
        return picture
    return colour_label_map(picture, side, header.channels <= 2, header.gray_step).numpy()


def decode_picture(
    contents: tf.Tensor, channels: int, side: Side | None, dtype: tf.DType = tf.uint8
) -> tf.Tensor:
    """Decodes a JPEG, PNG or BMP file as `decode_image` does; a label map of ids becomes colours of 8 bits.

    Args:
      contents: scalar string, the bytes of the file.
      channels: channels of the picture.
      side: what the images are; None if nobody knows.
      dtype: uint8 or uint16, for images that are no ids.
    """
    if side is None or not side.ids or channels != 3:
        return decode_image(contents, channels, dtype)
    _, _, _, given_channels, bits = parse_header_in_graph(contents)
    step = tf.cast(gray_step_in_graph(given_channels, bits), tf.int32)
    levels = decode_image(contents, channels, tf.uint16)
    return tf.ensure_shape(colour_label_map(levels, side, given_channels <= 2, step), [None, None, 3])
