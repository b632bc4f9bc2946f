"""4x4 stride-2 convolutions, plain and transposed, that take the fastest way on a CPU.

Both are made of the same three products of a large map [B, 2h, 2w, C], a small
map [B, h, w, F] and a kernel [4, 4, C, F], in which Keras stores both kinds:

    product     from             to      is used for
    gather      large, kernel    small   a convolution; a transposed one's input gradient
    scatter     small, kernel    large   a transposed convolution; a plain one's input gradient
    correlate   large, small     kernel  the kernel's gradient of either

Each has up to three ways: TensorFlow's kernel, one matmul, and strips of a large map. On a map of a
few pixels a convolution is bound by reading its weights, which TensorFlow's CPU kernels do
slowly. The weights are reshaped, not copied; the numbers are the same up to the
order of summation.
"""

from collections.abc import Callable
from typing import Literal

import tensorflow as tf

from tfpix2pix.networks import strips
from tfpix2pix.networks.traced import either, find_sizes, has_gpu

# Up to these areas of the small map, in px, a matmul is faster; a scatter to few channels is
# faster at any area. benchmarks/convolutions.py measured it on 2 cores in float32 and bfloat16;
# docs/results.md has the tables.
MAX_MATMUL_AREA = {"gather": 8 * 8, "scatter": 8 * 8, "correlate": 16 * 16}
Way = Literal["native", "matmul", "strips"]


def takes_matmul(product: str, area, kernel_shape, kernels: str = "auto"):
    """Returns whether a product is done as a matmul.

    Args:
      product: `gather`, `scatter` or `correlate`.
      area: area of the small map in px; a tensor where it is known only when the graph runs.
      kernel_shape: shape of the kernel, [4, 4, C, F].
      kernels: `auto` takes a matmul where it was measured to be faster, and never on a
        GPU; `native` never takes one.

    Returns:
      A bool, or a bool tensor where `area` is a tensor and decides.
    """
    if kernels == "native" or has_gpu():
        return False
    few_channels = 16 * kernel_shape[2] <= kernel_shape[3]
    return (product == "scatter" and few_channels) or area <= MAX_MATMUL_AREA[product]


def conv2d(images: tf.Tensor, kernel: tf.Tensor, kernels: str = "auto") -> tf.Tensor:
    """Convolves with stride 2, after one pixel of zeros was added on every side.

    Args:
      images: float [B, H, W, C].
      kernel: float [4, 4, C, F], of the same dtype.
      kernels: `auto` or `native`, as `takes_matmul` takes it.

    Returns:
      float [B, H // 2, W // 2, F].
    """
    size = images.shape[1:3]
    if not size.is_fully_defined():
        return _conv2d_of_any_size(images, kernel, kernels)
    if size[0] % 2 or size[1] % 2:
        return strips.conv2d(_pad(images), kernel, 2, kernels)
    choose = _chooser(images, size[0] * size[1] // 4, kernel, kernels)

    @tf.custom_gradient
    def convolve(large, kernel):
        def gradients(small_gradient):
            to_large = scatter(small_gradient, kernel, choose("scatter"))
            return to_large, correlate(large, small_gradient, choose("correlate"))

        return gather(large, kernel, choose("gather")), gradients

    return convolve(images, kernel)


def conv2d_transpose(images: tf.Tensor, kernel: tf.Tensor, kernels: str = "auto") -> tf.Tensor:
    """Computes a transposed convolution with stride 2 and `same` padding.

    Args:
      images: float [B, H, W, F].
      kernel: float [4, 4, C, F], of the same dtype.
      kernels: `auto` or `native`, as `takes_matmul` takes it.

    Returns:
      float [B, 2H, 2W, C].
    """
    size = images.shape[1:3]
    if not size.is_fully_defined():
        return _conv2d_transpose_of_any_size(images, kernel, kernels)
    choose = _chooser(images, size[0] * size[1], kernel, kernels)

    @tf.custom_gradient
    def convolve(small, kernel):
        def gradients(large_gradient):
            to_small = gather(large_gradient, kernel, choose("gather"))
            return to_small, correlate(large_gradient, small, choose("correlate"))

        return scatter(small, kernel, choose("scatter")), gradients

    return convolve(images, kernel)


def _chooser(images: tf.Tensor, area: int, kernel: tf.Tensor, kernels: str) -> Callable[[str], Way]:
    """Returns product -> the fastest way, or the leanest for a large scatter; `area` is the small map's."""
    is_single = kernels != "native" and images.shape[0] == 1
    in_strips = is_single and strips.may_be_faster(images, kernel.shape) and strips.are_faster(1, area)
    is_lean = is_single and strips.may_be_leaner(images, kernel.shape)
    scatters_in_strips = is_lean and strips.are_leaner([1, 4 * area, 1, kernel.shape[2]])

    def choose(product: str) -> Way:
        if takes_matmul(product, area, kernel.shape, kernels):
            return "matmul"
        return "strips" if (scatters_in_strips if product == "scatter" else in_strips) else "native"

    return choose


# In a SavedModel the size of a map is known only when the graph runs, so the graph decides.


def _conv2d_of_any_size(images: tf.Tensor, kernel: tf.Tensor, kernels: str) -> tf.Tensor:
    _, height, width, _ = find_sizes(images)
    area = (height // 2) * (width // 2)
    padded = _pad(images)
    return either(
        takes_matmul("gather", area, kernel.shape, kernels),
        lambda: _multiply_patches(padded, kernel),
        lambda: strips.conv2d(padded, kernel, 2, kernels),
    )


def _conv2d_transpose_of_any_size(images: tf.Tensor, kernel: tf.Tensor, kernels: str) -> tf.Tensor:
    batch, height, width, _ = find_sizes(images)
    may_be_leaner = kernels != "native" and strips.may_be_leaner(images, kernel.shape)
    is_leaner = may_be_leaner and strips.are_leaner([batch, 2 * height, 2 * width, kernel.shape[2]])
    return either(
        takes_matmul("scatter", height * width, kernel.shape, kernels),
        lambda: scatter(images, kernel, "matmul"),
        lambda: either(
            is_leaner, lambda: scatter(images, kernel, "strips"), lambda: scatter(images, kernel, "native")
        ),
    )


def _pad(images: tf.Tensor) -> tf.Tensor:
    # The convolution could pad by itself, but then its bfloat16 gradient is up to 50 times slower on a CPU.
    return tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])


def gather(large: tf.Tensor, kernel: tf.Tensor, way: Way) -> tf.Tensor:
    """Returns the small map [B, h, w, F] of a large map [B, 2h, 2w, C] and a kernel [4, 4, C, F]."""
    if way == "strips":
        return strips.convolve(_pad(large), kernel, 2)
    if way == "native":
        return tf.nn.conv2d(large, kernel, 2, "SAME")
    return _multiply_patches(_pad(large), kernel)


def _multiply_patches(padded: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    patches = _patches(padded)
    small = tf.matmul(_rows(patches), _flat(kernel))
    return tf.reshape(small, [*find_sizes(patches)[:3], kernel.shape[3]])


def scatter(small: tf.Tensor, kernel: tf.Tensor, way: Way) -> tf.Tensor:
    """Returns the large map [B, 2h, 2w, C] of a small map [B, h, w, F] and a kernel [4, 4, C, F]."""
    batch, height, width, _ = find_sizes(small)
    large_shape = [batch, 2 * height, 2 * width, kernel.shape[2]]
    if way == "strips":
        large = strips.spread(small, kernel, large_shape, 2, pad_px=1)
    elif way == "native":
        large = tf.nn.conv2d_transpose(small, kernel, large_shape, 2, "SAME")
    else:
        # With a batch of one, TensorFlow takes a kernel that reads transposed weights two to three times
        # faster.
        taps = tf.matmul(_rows(small)[None], _flat(kernel)[None], transpose_b=True)
        taps = tf.reshape(taps, [batch, height, width, 4, 4, kernel.shape[2]])
        rows = _overlap_add(tf.unstack(taps, axis=3), axis=1)  # [B, h, 2, w, 4, C]
        large = _overlap_add(tf.unstack(rows, axis=4), axis=3)  # [B, h, 2, w, 2, C]
        large = tf.reshape(large, large_shape)
    doubled = [None if side is None else 2 * side for side in small.shape[1:3]]
    return tf.ensure_shape(large, [small.shape[0], *doubled, kernel.shape[2]])


def correlate(large: tf.Tensor, small: tf.Tensor, way: Way) -> tf.Tensor:
    """Returns the kernel's gradient [4, 4, C, F] from a large map [B, 2h, 2w, C] and a small [B, h, w, F]."""
    shape = [4, 4, large.shape[3], small.shape[3]]
    if way == "matmul":
        return tf.reshape(tf.matmul(_rows(_patches(_pad(large))), _rows(small), transpose_a=True), shape)
    if way == "strips":
        return strips.correlate(_pad(large), small, shape, 2)
    return tf.raw_ops.Conv2DBackpropFilter(
        input=large, filter_sizes=shape, out_backprop=small, strides=[1, 2, 2, 1], padding="SAME"
    )


def _patches(padded: tf.Tensor) -> tf.Tensor:
    """Returns the 4x4 patches of a padded map [B, 2h + 2, 2w + 2, C] as [B, h, w, 16 C]."""
    return tf.image.extract_patches(padded, [1, 4, 4, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID")


def _rows(images: tf.Tensor) -> tf.Tensor:
    return tf.reshape(images, [-1, images.shape[-1]])


def _flat(kernel: tf.Tensor) -> tf.Tensor:
    return tf.reshape(kernel, [16 * kernel.shape[2], kernel.shape[3]])


def _overlap_add(taps: list[tf.Tensor], axis: int) -> tf.Tensor:
    """Adds up taps: pixel 2i gets tap 1 of i and 3 of i - 1; pixel 2i + 1 gets tap 2 of i and 0 of i + 1."""
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
