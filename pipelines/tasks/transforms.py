"""Pure functions of tensors: ranges, resizing, jitter and mirroring.

Nothing else in the project converts between stored pixels and [-1, 1]. Every random function takes a
stateless seed, and applies one draw to all images.
"""

from collections.abc import Callable

import tensorflow as tf

from tfpix2pix.pipelines.tasks.draws import draw_integers, draw_uniform
from tfpix2pix.pipelines.tasks.registry import BICUBIC, BILINEAR

Size = tuple[int, int]  # (height, width) in pixels
# Input and target, and perhaps a map of instances; or one photo.
Images = tuple[tf.Tensor, ...]
Resize = Callable[[tf.Tensor, Size], tf.Tensor]

_UINT8_MAX = 255.0
_UINT16_MAX = 65535.0


def settle_size(size: int | Size, name: str) -> Size:
    """Returns (height, width) in pixels of N or a pair; another value is a ValueError that names `name`."""
    try:
        height, width = (size, size) if isinstance(size, int) else size
        fits = height >= 1 and width >= 1
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(f"{name} must be N or (height, width) in pixels. Received: {size!r}")
    return height, width


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
    """Maps [-1, 1] to uint8, with rounding and clipping; undoes `to_unit_range` exactly.

    Args:
      image: float, any shape; values outside [-1, 1] are clipped.

    Returns:
      uint8 of the same shape.
    """
    levels = tf.round((tf.cast(image, tf.float32) + 1.0) * (_UINT8_MAX / 2.0))
    return tf.cast(tf.clip_by_value(levels, 0.0, _UINT8_MAX), tf.uint8)


def to_uint16(image: tf.Tensor) -> tf.Tensor:
    """Maps [-1, 1] to uint16 as `to_uint8` does to uint8."""
    # The 24 bits of float32 hold the sum of these numbers, so that the last level is right.
    levels = tf.round((tf.cast(image, tf.float32) + 1.0) * (_UINT16_MAX / 2.0))
    return tf.cast(tf.clip_by_value(levels, 0.0, _UINT16_MAX), tf.uint16)


def resize(image: tf.Tensor, size: Size | tf.Tensor, method: str = BILINEAR) -> tf.Tensor:
    """Resizes by interpolation with half-pixel centres, and with antialiasing where it reduces.

    Args:
      image: [H, W, C] or [B, H, W, C], unsigned integers, or floats in [-1, 1].
      size: (height, width) in pixels, as two numbers or as int32 [2].
      method: `bilinear`, or `bicubic`, which is Keys' with a = -1/2 as in Pillow, and keeps more of the fine
        detail. It goes beyond the darkest and the brightest pixel at an edge, and is clipped to the
        range of `image`.

    Returns:
      float32 [height, width, C] or [B, height, width, C], in the range of `image`; with the values of
      `image` if that has the size already.
    """
    if not tf.is_tensor(size) and image.shape[-3:-1] == size:
        return tf.cast(image, tf.float32)
    reduces = tf.reduce_any(tf.convert_to_tensor(size) < tf.shape(image)[-3:-1])
    resized = tf.cond(
        reduces,
        lambda: tf.cast(tf.image.resize(image, size, method, antialias=True), tf.float32),
        lambda: tf.cast(tf.image.resize(image, size, method, antialias=False), tf.float32),
    )
    if method == BICUBIC:
        stored = tf.as_dtype(image.dtype)
        least, most = (0, stored.max) if stored.is_integer else (-1, 1)
        resized = tf.clip_by_value(resized, least, most)
    height, width = (None, None) if tf.is_tensor(size) else size
    return tf.ensure_shape(resized, [*image.shape[:-3], height, width, image.shape[-1]])


def resize_nearest(image: tf.Tensor, size: Size | tf.Tensor) -> tf.Tensor:
    """Resizes by the nearest neighbour with half-pixel centres, so that no new values appear.

    Args:
      image: [..., H, W, C], any type.
      size: (height, width) in pixels, as two numbers or as int32 [2].

    Returns:
      [..., height, width, C] of the same type.
    """
    resized = image
    for axis, length in ((-3, size[0]), (-2, size[1])):
        # This is floor((place + 1/2) * old / new), in whole numbers.
        places = (2 * tf.range(length) + 1) * tf.shape(resized)[axis] // (2 * length)
        resized = tf.gather(resized, places, axis=axis)
    return resized


def mirror_outwards(image: tf.Tensor, least_size: Size) -> tf.Tensor:
    """Mirrors the lower and the right border of an image outwards, as often as needed.

    Args:
      image: [H, W, C] or [B, H, W, C], any type.
      least_size: (height, width) in pixels that the result has at least.

    Returns:
      [max(H, height), max(W, width), C], with the batch dimension that `image` has.
    """

    def enlarge() -> tf.Tensor:
        larger = image
        for axis, least in ((-3, least_size[0]), (-2, least_size[1])):
            side = tf.shape(image)[axis]
            places = tf.range(tf.maximum(side, least)) % (2 * side)
            larger = tf.gather(larger, tf.minimum(places, 2 * side - 1 - places), axis=axis)
        return larger

    is_smaller = tf.reduce_any(tf.shape(image)[-3:-1] < tf.constant(least_size))
    return tf.cond(is_smaller, enlarge, lambda: image)


def random_jitter(
    images: Images,
    load_size: Size,
    crop_size: Size,
    seed: tf.Tensor,
    resizes: tuple[Resize, ...] = (resize, resize, resize_nearest),
) -> Images:
    """Resizes the images to `load_size`, then cuts the same random window from each.

    Args:
      images: input, target and perhaps a map of instances, or one photo; [H, W, C], integers or floats.
      load_size: (height, width) in pixels, at least `crop_size`.
      crop_size: (height, width) in pixels of the window. All places where the window fits, up to the
        borders, are equally probable.
      seed: integer [2], from which the draw follows.
      resizes: what resizes each image.

    Returns:
      The windows, [crop height, crop width, C], in the range of `images`, of the types that `resizes` make.
    """
    draws = draw_integers([2], seed)
    height, width = crop_size
    places = [load_size[0] - height + 1, load_size[1] - width + 1]
    top, left = tf.unstack(tf.math.floormod(draws, places))

    def cut(image: tf.Tensor) -> tf.Tensor:
        window = image[top : top + height, left : left + width]
        return tf.ensure_shape(window, [height, width, *image.shape[2:]])

    return tuple(cut(each(image, load_size)) for each, image in zip(resizes, images, strict=False))


def random_window(images: Images, size: Size, seed: tf.Tensor) -> Images:
    """Cuts the same random window from each image; nothing is resized.

    Args:
      images: input and target, of the same height and width, or one photo; [H, W, C], integers or floats.
        Images that are smaller than the window are mirrored outwards first.
      size: (height, width) in pixels of the window. All places where it fits are equally probable.
      seed: integer [2], from which the draw follows.

    Returns:
      The windows, float32 [height, width, C], in the range of `images`.
    """
    draws = draw_integers([2], seed)
    larger = [mirror_outwards(image, size) for image in images]
    place = tf.math.floormod(draws, tf.shape(larger[0])[:2] - tf.constant(size) + 1)

    def cut(image: tf.Tensor) -> tf.Tensor:
        window = image[place[0] : place[0] + size[0], place[1] : place[1] + size[1]]
        return tf.cast(tf.ensure_shape(window, [*size, image.shape[-1]]), tf.float32)

    return tuple(cut(image) for image in larger)


def random_mirror(images: Images, seed: tf.Tensor) -> Images:
    """Flips all of the images left to right with probability 1/2.

    Args:
      images: input and target, or one photo; [H, W, C].
      seed: integer [2], from which the draw follows.

    Returns:
      The images, of the same types and shapes.
    """
    flip = draw_uniform([], seed) < 0.5
    return tf.cond(flip, lambda: tuple(tf.reverse(image, [1]) for image in images), lambda: tuple(images))
