"""Image files that TensorFlow decodes, in a graph too, so that a servable reads what training reads."""

import tensorflow as tf

from tfpix2pix.pipelines.files.image_headers import BMP_START, PNG_START, find_orientation_in_graph
from tfpix2pix.pipelines.files.orientation import turn_in_graph


def decode_image(
    contents: tf.Tensor, channels: int = 3, dtype: tf.DType = tf.uint8, exif: bool = True
) -> tf.Tensor:
    """Decodes a JPEG, PNG or BMP file.

    Args:
      contents: scalar string, the bytes of the file.
      channels: 3 for colour: gray is repeated, and alpha is dropped, so that the colours of
        transparent pixels count. 1 for gray: colours become their luma. 4 for colour and alpha: an
        image without alpha is opaque. 2 for gray and alpha, which only a PNG that holds them has.
      dtype: uint8, which takes the upper 8 bits of a 16-bit PNG; or uint16, over whose whole range
        8 bits are spread.
      exif: whether a JPEG is turned as its EXIF orientation says.

    Returns:
      [H, W, channels] of that type.
    """
    is_bmp = tf.equal(tf.strings.substr(contents, 0, len(BMP_START)), BMP_START)
    is_png = tf.equal(tf.strings.substr(contents, 0, len(PNG_START)), PNG_START)

    def decode_bmp() -> tf.Tensor:
        image = tf.io.decode_bmp(contents)
        return tf.gather(image, tf.minimum([0, 1, 2], tf.shape(image)[2] - 1), axis=2)

    def decode_jpeg_or_png(channels: int = 3) -> tf.Tensor:
        # TensorFlow's default DCT is wrong by up to 20 of 255 levels; this one equals Pillow's exactly.
        return tf.io.decode_jpeg(contents, channels=channels, dct_method="INTEGER_ACCURATE")

    def decode_png() -> tf.Tensor:
        return tf.io.decode_png(contents, 0 if channels == 2 else channels, dtype)

    def decode_gray_bmp() -> tf.Tensor:
        return tf.io.decode_png(tf.io.encode_png(decode_bmp()), 1)

    def decode_other() -> tf.Tensor:
        if channels == 1:
            image = tf.cond(is_bmp, decode_gray_bmp, lambda: decode_jpeg_or_png(1))
        else:
            image = tf.cond(is_bmp, decode_bmp, decode_jpeg_or_png)
        if channels == 4:
            image = tf.pad(image, [[0, 0], [0, 0], [0, 1]], constant_values=255)
        return tf.cast(image, dtype) * 257 if dtype == tf.uint16 else image

    if channels == 3 and dtype == tf.uint8:
        image = tf.cond(is_bmp, decode_bmp, decode_jpeg_or_png)
    else:
        image = tf.cond(is_png, decode_png, decode_other)
    if exif:
        image = turn_in_graph(image, find_orientation_in_graph(contents))
    return tf.ensure_shape(image, [None, None, channels])
