"""4x4 stride-2 convolutions as one matmul each: two to four times faster on small maps on a CPU.

On a map of a few pixels a convolution is bound by reading its weights, which
TensorFlow's CPU kernels, the transposed one above all, do slowly. The kernel
keeps Keras's layout and is reshaped, not copied; the numbers are the same up to
the order of summation.
"""

import functools

import tensorflow as tf

# Measured on 2 cores, forward and both gradients, float32 and bfloat16: ahead up to
# 16x16 maps, behind from 32x32. For a transposed convolution the input's size counts,
# for the other one the output's.
MAX_MAP_AREA = 16 * 16


@functools.lru_cache(maxsize=1)
def _has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def is_faster(height: int | None, width: int | None) -> bool:
    """Returns whether the matmul form is ahead for a map of this size, px; unknown sizes: no."""
    return height is not None and width is not None and height * width <= MAX_MAP_AREA and not _has_gpu()


def conv2d(padded: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolves with stride 2, without padding: patches, then one matmul.

    Args:
      padded: float [B, H, W, C] of static H and W.
      kernel: float [4, 4, C, filters].

    Returns:
      float [B, (H - 2) / 2, (W - 2) / 2, filters].
    """
    channels, filters = kernel.shape[2:]
    patches = tf.image.extract_patches(padded, [1, 4, 4, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID")
    outputs = tf.reshape(patches, [-1, 16 * channels]) @ tf.reshape(kernel, [16 * channels, filters])
    return tf.reshape(outputs, [-1, *patches.shape[1:3], filters])


def conv2d_transpose(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolves transposed with stride 2 and `same` padding: one matmul, then overlap-add.

    Args:
      images: float [B, H, W, C] of static H and W.
      kernel: float [4, 4, filters, C].

    Returns:
      float [B, 2H, 2W, filters].
    """
    _, height, width, channels = images.shape
    filters = kernel.shape[2]
    flat_kernel = tf.reshape(kernel, [16 * filters, channels])
    taps = tf.matmul(tf.reshape(images, [-1, channels]), flat_kernel, transpose_b=True)
    taps = tf.reshape(taps, [-1, height, width, 4, 4, filters])
    rows = _overlap_add(tf.unstack(taps, axis=3), axis=1)  # [B, H, 2, W, 4, filters]
    outputs = _overlap_add(tf.unstack(rows, axis=4), axis=3)  # [B, H, 2, W, 2, filters]
    return tf.reshape(outputs, [-1, 2 * height, 2 * width, filters])


def _overlap_add(taps: list[tf.Tensor], axis: int) -> tf.Tensor:
    """Pixel 2i gets tap 1 of i and tap 3 of i - 1; pixel 2i + 1 gets tap 2 of i and tap 0 of i + 1."""
    even = taps[1] + _shifted(taps[3], axis, 1)
    odd = taps[2] + _shifted(taps[0], axis, -1)
    return tf.stack([even, odd], axis=axis + 1)


def _shifted(tap: tf.Tensor, axis: int, by: int) -> tf.Tensor:
    """Moves the map by one pixel along an axis and fills in zeros."""
    inside = [slice(None)] * len(tap.shape)
    inside[axis] = slice(None, -1) if by > 0 else slice(1, None)
    pads = [[0, 0] for _ in tap.shape]
    pads[axis] = [1, 0] if by > 0 else [0, 1]
    return tf.pad(tap[tuple(inside)], pads)
