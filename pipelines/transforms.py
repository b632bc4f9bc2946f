"""Pure tensor functions: ranges, resizing, jitter, mirror.

Nothing else in the project converts between stored pixels and [-1, 1]. Every
random function takes a stateless seed and applies one draw to both images.
"""

from collections.abc import Callable

import tensorflow as tf

Size = tuple[int, int]  # (height, width) in pixels
Pair = tuple[tf.Tensor, tf.Tensor]  # (input_image, target_image)
Resize = Callable[[tf.Tensor, Size], tf.Tensor]

_UINT8_MAX = 255.0


def to_unit_range(image: tf.Tensor, max_value: float = _UINT8_MAX) -> tf.Tensor:
    """Maps stored pixel values to [-1, 1].

    Args:
      image: any shape, any numeric type, values in [0, max_value].
      max_value: the value that becomes 1.

    Returns:
      float32 of the same shape, in [-1, 1].
    """
    return tf.cast(image, tf.float32) / (max_value / 2.0) - 1.0


def to_uint8(image: tf.Tensor) -> tf.Tensor:
    """Maps [-1, 1] to uint8, rounding and clipping; undoes `to_unit_range` exactly.

    Args:
      image: float, any shape; values outside [-1, 1] are clipped.

    Returns:
      uint8 of the same shape.
    """
    levels = tf.round((tf.cast(image, tf.float32) + 1.0) * (_UINT8_MAX / 2.0))
    return tf.cast(tf.clip_by_value(levels, 0.0, _UINT8_MAX), tf.uint8)


def resize(image: tf.Tensor, size: Size) -> tf.Tensor:
    """Resizes with bilinear interpolation, half-pixel centres; antialiased where it reduces.

    Args:
      image: [H, W, C], uint8 or float.
      size: (height, width) in pixels.

    Returns:
      float32 [height, width, C], in the range of `image`.
    """
    reduces = tf.reduce_any(tf.constant(size) < tf.shape(image)[:2])
    resized = tf.cond(
        reduces,
        lambda: tf.cast(tf.image.resize(image, size, antialias=True), tf.float32),
        lambda: tf.cast(tf.image.resize(image, size, antialias=False), tf.float32),
    )
    return tf.ensure_shape(resized, [*size, image.shape[-1]])


def random_jitter(
    pair: Pair,
    load_size: Size,
    crop_size: Size,
    seed: tf.Tensor,
    resize_target: Resize = resize,
) -> Pair:
    """Resizes both images to `load_size`, then cuts the same random window from both.

    Args:
      pair: two images [H, W, C], uint8 or float.
      load_size: (height, width) in pixels, at least `crop_size`.
      crop_size: (height, width) in pixels of the window. Its top left corner is
        uniform over all places where the window fits, both borders included.
      seed: integer [2], stateless.
      resize_target: resizes the second image.

    Returns:
      The two windows, [crop height, crop width, C], in the range of `pair`; float32,
      or what `resize_target` makes.
    """
    draws = tf.random.stateless_uniform([2], seed, minval=None, maxval=None, dtype=tf.int32, alg="philox")
    places = tf.constant(load_size) - tf.constant(crop_size) + 1
    top, left = tf.unstack(tf.math.floormod(draws, places))
    height, width = crop_size

    def cut(image: tf.Tensor) -> tf.Tensor:
        window = image[top : top + height, left : left + width]
        return tf.ensure_shape(window, [height, width, *image.shape[2:]])

    return cut(resize(pair[0], load_size)), cut(resize_target(pair[1], load_size))


def random_mirror(pair: Pair, seed: tf.Tensor) -> Pair:
    """Flips both images left to right, or neither, with probability 1/2.

    Args:
      pair: two images [H, W, C].
      seed: integer [2], stateless.

    Returns:
      The pair, with the types and shapes it came with.
    """
    flip = tf.random.stateless_uniform([], seed, alg="philox") < 0.5
    return tf.cond(
        flip, lambda: (tf.reverse(pair[0], [1]), tf.reverse(pair[1], [1])), lambda: (pair[0], pair[1])
    )
