"""Convolutions of one image on a CPU: strips of it are convolved as a batch.

Without AVX-512, oneDNN copies all patches of an image in order to multiply them at once, and its threads
share a batch well but a single image badly. So an image is cut into strips of rows, which overlap by what the
kernel covers. On large maps that takes a half to a fifth of the time, and the first layer of pix2pixHD takes
a quarter of the memory.

A transposed convolution takes as much time in strips, or a tenth more without AVX-512. But for a whole map
oneDNN keeps a buffer for good, of half the map's size for each processor, so large maps take strips on every
processor. The numbers are the same up to the order of summation.
"""

import functools
from typing import Any

import tensorflow as tf

from tfpix2pix.networks.traced import either, find_sizes, has_gpu
from tfpix2pix.pipelines.base import processor

# So many strips make a batch.
STRIPS = 8
# It is faster from this area of the output on, in px. docs/results.md has the measurements.
MIN_AREA = 24 * 24
# Transposed convolutions take strips if they make at least so many numbers. Whole, those of pix2pixHD kept
# 250 MiB on two processors for an image of 1024x512 px, and again for each thread that had run them.
MIN_SPREAD = 2**22
# Where only the running graph knows the area, kernels of more numbers are taken for those of small maps: each
# choice makes the graph larger.
MAX_KERNEL_OF_ANY_AREA = 4 * 4 * 128 * 256


@functools.lru_cache(maxsize=1)
def save_memory() -> bool:
    """Returns whether transposed convolutions keep buffers on this processor: with AVX2 and oneDNN."""
    return "avx2" in processor.read_features() and processor.onednn_is_used()


@functools.lru_cache(maxsize=1)
def suit_processor() -> bool:
    """Returns whether strips are faster on this processor: with AVX2 and oneDNN, and without AVX-512."""
    has_avx512 = any(name.startswith("avx512") for name in processor.read_features())
    return save_memory() and not has_avx512


def conv2d(images: tf.Tensor, kernel: tf.Tensor, stride: int, kernels: str = "auto") -> tf.Tensor:
    """Convolves without padding; that and the kernel's gradient take strips where they are faster.

    Args:
      images: float [B, H, W, C].
      kernel: [r, r, C, F] of the same dtype.
      stride: step of the kernel, px.
      kernels: `auto` takes strips where they are faster; `native` never does.

    Returns:
      float [B, (H - r) // stride + 1, (W - r) // stride + 1, F].
    """
    in_strips: bool | tf.Tensor = False
    if kernels != "native" and may_be_faster(images, kernel.shape):
        batch, *sizes, _ = find_sizes(images)
        height, width = ((size - kernel.shape[0]) // stride + 1 for size in sizes)
        in_strips = are_faster(batch, height * width)
    if in_strips is False:
        return _convolve_whole(images, kernel, stride)

    # Choices stand inside of the gradient's function: TensorFlow cannot always take the gradient of a choice
    # between functions with gradients of their own.
    @tf.custom_gradient
    def choose(images, kernel):
        def gradients(upstream):
            to_images = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(images),
                filter=kernel,
                out_backprop=upstream,
                strides=[1, stride, stride, 1],
                padding="VALID",
            )
            # Otherwise TensorFlow would merge the strips with those of the forward pass, and keep them.
            with tf.control_dependencies([upstream]):
                again = tf.identity(images)
            given = again, upstream, kernel.shape, stride
            to_kernel = either(in_strips, lambda: correlate(*given), lambda: _correlate_whole(*given))
            return tf.ensure_shape(to_images, images.shape), to_kernel

        given = images, kernel, stride
        return either(in_strips, lambda: convolve(*given), lambda: _convolve_whole(*given)), gradients

    return choose(images, kernel)


def conv2d_transpose(
    images: tf.Tensor, kernel: tf.Tensor, size: list, stride: int, pad_px: int, kernels: str = "auto"
) -> tf.Tensor:
    """Computes a transposed convolution; it and its gradients take strips where they are better.

    Args:
      images: float [B, h, w, F].
      kernel: [r, r, C, F] of the same dtype.
      size: B, H, W and C of the result; ints, or tensors where only the running graph knows them. The
        convolution from H + pad_px rows must have h rows, and so with columns.
      stride: step of the kernel, px, at most r.
      pad_px: what a convolution would pad above and to the left of the result, px.
      kernels: `auto` takes strips where they are better; `native` never does.

    Returns:
      float [B, H, W, C].
    """
    geometry = size, stride, pad_px
    is_plain = kernels == "native" or not may_be_leaner(images, kernel.shape)
    in_strips = False if is_plain else are_leaner(size)
    gradients_in_strips = in_strips
    if in_strips is False and images.shape.is_fully_defined():
        batch, height, width, _ = images.shape
        gradients_in_strips = are_faster(batch, height * width)
    gradients_in_strips = not is_plain and may_be_faster(images, kernel.shape) and gradients_in_strips
    if in_strips is False and gradients_in_strips is False:
        return _spread_whole(images, kernel, *geometry)

    @tf.custom_gradient
    def choose(images, kernel):
        def gradients(upstream):
            padded = tf.pad(upstream, [[0, 0], [pad_px, 0], [pad_px, 0], [0, 0]])
            to_images, to_kernel = (padded, kernel, stride), (padded, images, kernel.shape, stride)
            return either(
                gradients_in_strips,
                lambda: (convolve(*to_images), correlate(*to_kernel)),
                lambda: (_convolve_whole(*to_images), _correlate_whole(*to_kernel)),
            )

        given = images, kernel, *geometry
        return either(in_strips, lambda: spread(*given), lambda: _spread_whole(*given)), gradients

    return choose(images, kernel)


def _spread_whole(images: tf.Tensor, kernel: tf.Tensor, size: list, stride: int, pad_px: int) -> tf.Tensor:
    batch, height, width, channels = size
    shape = [batch, height + pad_px, width + pad_px, channels]
    larger = tf.nn.conv2d_transpose(images, kernel, shape, stride, "VALID")
    return larger[:, pad_px:, pad_px:] if pad_px else larger


def may_be_faster(images: tf.Tensor, kernel_shape: tf.TensorShape) -> bool:
    """Returns whether strips are faster here for some batch size and area.

    Args:
      images: what is convolved.
      kernel_shape: shape of the kernel, [r, r, C, F].
    """
    suits = images.dtype == tf.float32 and not has_gpu() and suit_processor()
    return suits and _may_meet_large_maps(images, kernel_shape)


def may_be_leaner(images: tf.Tensor, kernel_shape: tf.TensorShape) -> bool:
    """Returns whether a transposed convolution takes less memory in strips here for some sizes.

    Args:
      images: what is convolved.
      kernel_shape: shape of the kernel, [r, r, C, F].
    """
    saves = images.dtype in (tf.float32, tf.bfloat16) and not has_gpu() and save_memory()
    return saves and _may_meet_large_maps(images, kernel_shape)


def _may_meet_large_maps(images: tf.Tensor, kernel_shape: tf.TensorShape) -> bool:
    return images.shape[1:3].is_fully_defined() or kernel_shape.num_elements() <= MAX_KERNEL_OF_ANY_AREA


def are_faster(batch: Any, area: Any) -> bool | tf.Tensor:
    """Returns whether strips are faster, where they may be.

    Args:
      batch: number of images; a tensor where that is known only when the graph runs.
      area: area of one output map, px; an int or a tensor, too.
    """
    return (batch == 1) & (area >= MIN_AREA)


def are_leaner(size: list) -> bool | tf.Tensor:
    """Returns whether a transposed convolution in strips takes less memory, where it may.

    Args:
      size: B, H, W and C of what it makes; ints or tensors.
    """
    batch, height, width, channels = size
    numbers = height * width * channels
    if isinstance(numbers, int) and numbers < MIN_SPREAD:
        return False
    return (batch == 1) & (numbers >= MIN_SPREAD)


def convolve(images: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """Returns what `conv2d` returns, always in strips. TensorFlow finds no fast gradients of it.

    The arguments are those of `conv2d`.
    """
    side, _, _, filters = kernel.shape
    strips, (batch, height) = _cut(images, side, stride)
    convolved = tf.nn.conv2d(strips, kernel, stride, "VALID")
    _, rows, width, _ = find_sizes(convolved)
    joined = tf.reshape(convolved, [batch, STRIPS * rows, width, filters])
    return joined[:, :height]


def correlate(images: tf.Tensor, upstream: tf.Tensor, kernel_shape: Any, stride: int) -> tf.Tensor:
    """Returns the gradient of the kernel, [r, r, C, F], in strips.

    Args:
      images: float [B, H, W, C], what was convolved.
      upstream: gradient of the output, float [B, h, w, F].
      kernel_shape: r, r, C and F.
      stride: step of the kernel, px.
    """
    strips, (batch, height) = _cut(images, kernel_shape[0], stride)
    rows = -(-height // STRIPS)
    _, _, width, filters = find_sizes(upstream)
    # Rows below the image count for nothing.
    filled = tf.pad(upstream, [[0, 0], [0, STRIPS * rows - height], [0, 0], [0, 0]])
    filled = tf.reshape(filled, [STRIPS * batch, rows, width, filters])
    return _correlate_whole(strips, filled, kernel_shape, stride)


def _convolve_whole(images: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    return tf.nn.conv2d(images, kernel, stride, "VALID")


def _correlate_whole(images: tf.Tensor, upstream: tf.Tensor, kernel_shape: Any, stride: int) -> tf.Tensor:
    return tf.raw_ops.Conv2DBackpropFilter(
        input=images,
        filter_sizes=kernel_shape,
        out_backprop=upstream,
        strides=[1, stride, stride, 1],
        padding="VALID",
    )


def spread(images: tf.Tensor, kernel: tf.Tensor, size: list, stride: int, pad_px: int) -> tf.Tensor:
    """Returns what `conv2d_transpose` returns, always in strips. TensorFlow finds no fast gradients of it.

    The arguments are those of `conv2d_transpose`, but what the kernel makes below H and to the right of W is
    cut off.
    """
    batch, height, width, channels = size
    side = kernel.shape[0]
    _, low, narrow, _ = find_sizes(images)
    rows = -(-height // (stride * STRIPS))  # of the images, for each strip of the result
    above, below = (side - 1 - pad_px) // stride, (pad_px - 1) // stride + 1  # rows that reach into a strip
    covered = above + rows + below
    filled = tf.pad(images, [[0, 0], [above, STRIPS * rows + below - low], [0, 0], [0, 0]])
    strips = _gather(filled, rows, covered)
    tall = (covered - 1) * stride + side
    wide = tf.maximum((narrow - 1) * stride + side, width + pad_px)
    larger = tf.nn.conv2d_transpose(strips, kernel, [batch * STRIPS, tall, wide, channels], stride, "VALID")
    first = above * stride + pad_px
    larger = larger[:, first : first + stride * rows, pad_px : pad_px + width]
    return tf.reshape(larger, [batch, STRIPS * stride * rows, width, channels])[:, :height]


def _cut(images: tf.Tensor, side: int, stride: int) -> tuple[tf.Tensor, tuple]:
    """Returns the strips as a batch [STRIPS * B, rows, W, C], and the batch size and the output's height."""
    batch, tall, _, _ = find_sizes(images)
    height = (tall - side) // stride + 1
    step = -(-height // STRIPS) * stride
    return _gather(images, step, step - stride + side), (batch, height)


def _gather(images: tf.Tensor, step: Any, covered: Any) -> tf.Tensor:
    """Returns strips of `covered` rows, one every `step` rows, as a batch [STRIPS * B, covered, W, C]."""
    batch, tall, width, channels = find_sizes(images)
    rows = step * tf.range(STRIPS)[:, None] + tf.range(covered)
    # The last strip may reach below the image; what is computed there is cut off.
    strips = tf.gather(images, tf.reshape(tf.minimum(rows, tall - 1), [-1]), axis=1)
    return tf.reshape(strips, [batch * STRIPS, covered, width, channels])
