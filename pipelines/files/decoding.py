"""Image files that TensorFlow decodes, in a graph too, so that a servable reads what training reads."""

import tensorflow as tf

from tfpix2pix.pipelines.files.image_headers import BMP_START, PNG_START, find_orientation_in_graph
from tfpix2pix.pipelines.files.number_arrays import LUMA_BITS, LUMA_ROUNDING, LUMA_WEIGHTS
from tfpix2pix.pipelines.files.orientation import turn_in_graph

# The place of the bits of a channel in a PNG file.
_PNG_BITS_AT = 24


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
        if channels == 1:
            return _luma(tf.io.decode_png(contents, 3, dtype))
        image = tf.io.decode_png(contents, 0 if channels == 2 else channels, dtype)
        return _mend_alpha(image, contents) if channels == 4 else image

    def decode_other() -> tf.Tensor:
        if channels == 1:
            image = tf.cond(is_bmp, lambda: _luma(decode_bmp()), lambda: decode_jpeg_or_png(1))
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


def _luma(image: tf.Tensor) -> tf.Tensor:
    """Returns the gray image of an RGB image, as `number_arrays.luma` does.

    TensorFlow's decoder makes PNG files gray too, but where a file tells a gamma, it weighs linear light.
    """
    levels = tf.reduce_sum(tf.cast(image, tf.int32) * LUMA_WEIGHTS, -1, keepdims=True)
    levels += LUMA_ROUNDING[image.dtype.as_numpy_dtype]
    return tf.cast(tf.bitwise.right_shift(levels, LUMA_BITS), image.dtype)


def _mend_alpha(image: tf.Tensor, contents: tf.Tensor) -> tf.Tensor:
    """Returns an RGBA image with full alpha where the decoder gives an opaque PNG too little.

    A PNG of 1, 2 or 4 bits without transparency gets the highest number of so few bits for alpha.
    """
    digits = tf.io.decode_raw(tf.strings.substr(contents, 0, _PNG_BITS_AT + 1), tf.uint8)
    bits = tf.cast(digits[_PNG_BITS_AT], tf.int32)
    alpha = tf.cast(image[..., 3:], tf.int32)
    spread = image.dtype.max // 255
    is_opaque = (bits < 8) & tf.reduce_all(tf.equal(alpha, (tf.bitwise.left_shift(1, bits) - 1) * spread))
    alpha = tf.where(is_opaque, image.dtype.max, alpha)
    return tf.concat([image[..., :3], tf.cast(alpha, image.dtype)], -1)
