"""Convolutions of stride 1 with fewer multiplications: minimal filtering, F(m x m, r x r).

A tile of n x n pixels, n = m + r - 1, gives m x m pixels of the output of an r x r kernel. Small constant
matrices transform tile and kernel, and then they only have to be multiplied number by number:

    output = A' ((G kernel G') * (B' tile B)) A        (' transposes)

That takes n^2 multiplications in place of m^2 r^2. Over all tiles and channels it is n^2 products of
matrices. Every step is linear in the image and in the kernel, so TensorFlow's gradients are made of the
transposed matrices and of as few multiplications. Both gradients share the transform of the output's
gradient, and the kernel's reuses the tiles that the forward pass has transformed. The transform of the
kernel, up to four times as large as the kernel, is made again for the gradient unless calls share it.

The numbers differ from those of a direct convolution by their rounding. Relative to the largest one, the
error in float32 stays below 1e-5; in bfloat16 it would be about seven times that of bfloat16 itself.

Source: Winograd, Arithmetic Complexity of Computations, 1980; Lavin and Gray, Fast Algorithms for
Convolutional Neural Networks, CVPR 2016.
"""

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfpix2pix.networks.traced import find_sizes, has_gpu

# Side r of the kernel -> side m of the output tile, both px. All tiles are of n = 6 px: smaller ones save
# less, and larger ones are less exact.
TILES = {3: 4, 4: 3}
# The matrices evaluate polynomials at these points and at infinity. Of the sets of five with 0, 1 and -1,
# this one had the smallest error.
_POINTS = (0.0, 1.0, -1.0, 2.0, -0.5)
_SIDE = len(_POINTS) + 1


# It is faster with at least as many channels and filters, on maps of these areas in px. On smaller maps it
# reads more of the kernel than it saves, and on larger ones the matrices that cut tiles take too long.
MIN_CHANNELS = 128
AREAS = (16 * 16, 64 * 64)


def is_faster(images: tf.Tensor, kernel: tf.Tensor) -> bool | tf.Tensor:
    """Returns whether minimal filtering was measured to be faster than a direct convolution of stride 1.

    `benchmarks/filtering.py` measured it on 2 cores; docs/results.md has the table. It never is on a GPU,
    or in another precision than float32.

    Args:
      images: float [B, H, W, C].
      kernel: float [r, s, C, F].

    Returns:
      A bool, or a bool tensor where the size of the images is known only when the graph runs.
    """
    rows, columns, channels, filters = kernel.shape
    if rows != columns or rows not in TILES or min(channels, filters) < MIN_CHANNELS:
        return False
    if images.dtype != tf.float32 or has_gpu():
        return False
    _, height, width, _ = find_sizes(images)
    return (AREAS[0] <= height * width) & (height * width <= AREAS[1])


class Matrices(NamedTuple):
    """The constant matrices of F(m x m, r x r), float64."""

    output: np.ndarray  # A', [m, n]
    kernel: np.ndarray  # G, [n, r]
    tile: np.ndarray  # B', [n, n]


@functools.cache
def find_matrices(kernel_side: int) -> Matrices:
    """Returns the matrices for kernels of 3 or 4 px, made by interpolation as Toom and Cook multiply."""
    points = np.array(_POINTS)
    others = [np.delete(points, place) for place in range(len(points))]
    scales = np.array([np.prod(point - rest) for point, rest in zip(points, others, strict=True)])
    at_infinity = np.eye(_SIDE)[-1]
    # Coefficients in rising order of the polynomials that are 0 at all other points.
    tile = np.stack([*(np.append(np.poly(rest)[::-1], 0.0) for rest in others), np.poly(points)[::-1]])
    kernel = np.vander(points, kernel_side, increasing=True) / scales[:, None]
    kernel = np.vstack([kernel, at_infinity[-kernel_side:]])
    rows = TILES[kernel_side]
    output = np.vstack([np.vander(points, rows, increasing=True), at_infinity[-rows:]]).T
    return Matrices(output, kernel, tile)


def transform_kernel(kernel: tf.Tensor) -> tf.Tensor:
    """Returns the transform of a kernel [r, r, C, F], which is [36, C, F] and of the same dtype."""
    side, _, channels, filters = kernel.shape
    transformed = tf.matmul(_kernel_matrix(side, kernel.dtype), tf.reshape(kernel, [side**2, -1]))
    return tf.reshape(transformed, [_SIDE**2, channels, filters])


def _transpose_transform(of_transform: tf.Tensor, side: int) -> tf.Tensor:
    """Returns the gradient of a kernel, [r, r, C, F], from that of its transform, [36, C, F]."""
    _, channels, filters = of_transform.shape
    matrix = _kernel_matrix(side, of_transform.dtype)
    of_kernel = tf.matmul(matrix, tf.reshape(of_transform, [_SIDE**2, -1]), transpose_a=True)
    return tf.reshape(of_kernel, [side, side, channels, filters])


def _kernel_matrix(side: int, dtype: tf.DType) -> tf.Tensor:
    matrix = find_matrices(side).kernel
    return tf.constant(np.kron(matrix, matrix), dtype)


class _Shared(threading.local):
    """The transforms that calls in this thread share, by graph and layer; None where they share none."""

    transforms: dict[tuple, tf.Tensor] | None = None


_SHARED = _Shared()


@contextlib.contextmanager
def share_transforms() -> Iterator[None]:
    """Inside it, the kernel of each layer is transformed once, however often the layer is called.

    It is for calls of a network between which its weights do not change.
    """
    before, _SHARED.transforms = _SHARED.transforms, {}
    try:
        yield
    finally:
        _SHARED.transforms = before


def conv2d(images: tf.Tensor, kernel: tf.Tensor, pad_px: int = 0, layer: Any = None) -> tf.Tensor:
    """Convolves with stride 1, after zeros were added on every side.

    Args:
      images: float [B, H, W, C] of any size that the kernel fits in.
      kernel: [r, r, C, F] of the same dtype; r is 3 or 4 px.
      pad_px: zeros added to each side, px.
      layer: whose kernel it is, if its calls may share the transform; see `share_transforms`.

    Returns:
      float [B, H + 2 pad - r + 1, W + 2 pad - r + 1, F].
    """
    batch, height, width, _ = find_sizes(images)
    rows, columns = (_cut(size, kernel.shape[0], pad_px, images.dtype) for size in (height, width))
    tiles = _transform_tiles(images, rows, columns)
    products = _multiply(tiles, kernel) if layer is None else _multiply_shared(tiles, kernel, layer)
    return _join_tiles(products, kernel.shape[0], (batch, rows, columns))


def _multiply_shared(tiles: tf.Tensor, kernel: tf.Tensor, layer: Any) -> tf.Tensor:
    """Returns what `_multiply` returns; in `share_transforms`, the kernel of a layer is transformed once."""
    if _SHARED.transforms is None:
        return _multiply(tiles, kernel)
    key = tf.compat.v1.get_default_graph(), id(layer)
    if key not in _SHARED.transforms:
        _SHARED.transforms[key] = _transform_after(tiles, kernel)
    return tf.matmul(tiles, _SHARED.transforms[key])


@tf.custom_gradient
def _multiply(tiles: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Returns the products of tiles [36, T, C] and a transformed kernel, [36, T, F]."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # Otherwise TensorFlow would merge it with that of the forward pass, and keep it in between.
        transformed = _transform_after(upstream, kernel)
        of_transform = tf.matmul(tiles, upstream, transpose_a=True)
        of_tiles = tf.matmul(upstream, transformed, transpose_b=True)
        return of_tiles, _transpose_transform(of_transform, kernel.shape[0])

    return tf.matmul(tiles, _transform_after(tiles, kernel)), gradient


def _transform_after(tensor: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Returns the transform of a kernel, made when a tensor is there; those of all layers take gigabytes."""
    with tf.control_dependencies([tensor]):
        return transform_kernel(tf.identity(kernel))


class _Cut(NamedTuple):
    """How one side of a map is cut into tiles."""

    size: int | tf.Tensor  # of the output, px
    tiles: int | tf.Tensor  # their number
    matrix: tf.Tensor  # [n * tiles, input px]; cuts, pads and transforms


def _cut(size, kernel_side: int, pad_px: int, dtype: tf.DType) -> _Cut:
    step = TILES[kernel_side]
    out = size + 2 * pad_px - kernel_side + 1
    tiles = -(-out // step)
    place = tf.range(size) + pad_px - step * tf.range(tiles)[:, None]  # of each pixel in each tile
    outside = (place < 0) | (place >= _SIDE)
    with_zero = np.pad(find_matrices(kernel_side).tile, [[0, 0], [0, 1]])
    matrix = tf.gather(tf.constant(with_zero, dtype), tf.where(outside, _SIDE, place), axis=1)
    return _Cut(out, tiles, tf.reshape(matrix, [_SIDE * tiles, size]))


def _transform_tiles(images: tf.Tensor, rows: _Cut, columns: _Cut) -> tf.Tensor:
    """Returns B' tile B of all tiles, [n^2, B * rows * columns, C]."""
    batch, height, width, channels = find_sizes(images)
    across = tf.matmul(rows.matrix[None], tf.reshape(images, [batch, height, width * channels]))
    lines = tf.reshape(across, [-1, width, channels])
    tiles = tf.matmul(tf.broadcast_to(columns.matrix, [1, _SIDE * columns.tiles, width]), lines)
    tiles = tf.reshape(tiles, [batch, _SIDE, rows.tiles, _SIDE, columns.tiles, channels])
    return tf.reshape(tf.transpose(tiles, [1, 3, 0, 2, 4, 5]), [_SIDE**2, -1, channels])


def _join_tiles(products: tf.Tensor, kernel_side: int, cut: tuple) -> tf.Tensor:
    """Returns the map whose tiles are A' product A."""
    batch, rows, columns = cut
    step, filters = TILES[kernel_side], products.shape[2]
    matrix = find_matrices(kernel_side).output
    both = tf.constant(np.kron(matrix, matrix), products.dtype)
    tiles = tf.matmul(both, tf.reshape(products, [_SIDE**2, -1]))
    tiles = tf.reshape(tiles, [step, step, batch, rows.tiles, columns.tiles, filters])
    joined = tf.transpose(tiles, [2, 3, 0, 4, 1, 5])
    joined = tf.reshape(joined, [batch, step * rows.tiles, step * columns.tiles, filters])
    return joined[:, : rows.size, : columns.size]
