"""Pixels that are kept in memory: they are computed once, and read as tensors without a copy."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfpix2pix.pipelines.base.progress import follow
from tfpix2pix.pipelines.files.pair_files import Format, Images
from tfpix2pix.pipelines.files.reading import Reader

_ALIGNMENT_BYTES = 64


class PixelStore:
    """The images of many pairs: one array holds all input images, and another one all target images.

    Args:
      sizes: (height, width) in px of each image of a pair, by the pair's name.
      formats: the formats of the images of a pair.

    Attributes:
      num_bytes: the memory that `allocate` takes.
    """

    def __init__(self, sizes: Mapping[str, Sequence[tuple[int, int]]], formats: Sequence[Format]):
        self._sizes = dict(sizes)
        self._formats = tuple(formats)
        # Where the pixels of each image of each pair end, [pairs + 1, images].
        num_px = [[height * width for height, width in images] for images in sizes.values()]
        ends = np.cumsum([[0] * len(formats), *num_px], axis=0)
        self._starts_px = dict(zip(sizes, ends[:-1].tolist(), strict=True))
        self._num_px = ends[-1].tolist()
        self._sides: list[Images] = []
        self.num_bytes = sum(
            count * each.channels * each.dtype.itemsize
            for count, each in zip(self._num_px, formats, strict=True)
        )

    def allocate(self) -> None:
        """Makes room for all images."""
        self._sides = [
            new_memory((count, each.channels), each.dtype)
            for count, each in zip(self._num_px, self._formats, strict=True)
        ]

    def put(self, name: str, images: Sequence[Images]) -> None:
        """Keeps the images of a pair, which have the sizes and the formats that were announced."""
        places = zip(self._sides, self._sizes[name], self._starts_px[name], images, strict=True)
        for side, (height, width), start, image in places:
            side[start : start + height * width] = image.reshape(height * width, -1)

    def reader(self, names: Sequence[str]) -> Reader:
        """Returns a function that reads the images of the n-th of `names`."""
        sides = [as_tensor(side) for side in self._sides]
        with tf.device("CPU:0"):
            starts = tf.constant([self._starts_px[name] for name in names], tf.int64)
            sizes = tf.constant([self._sizes[name] for name in names], tf.int64)

        def read(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return tuple(
                tf.ensure_shape(
                    tf.reshape(
                        side[start : start + tf.reduce_prod(size)], tf.concat([size, [side.shape[1]]], 0)
                    ),
                    [None, None, side.shape[1]],
                )
                for side, start, size in zip(sides, tf.unstack(starts[index]), tf.unstack(sizes[index]))  # noqa: B905
            )

        return read


@tf.autograph.experimental.do_not_convert
def keep(read: Reader, count: int, max_bytes: int, title: str) -> Reader | None:
    """Reads everything once and keeps the results, unless they take too much memory.

    Args:
      read: returns results of the same, known shapes for every index.
      count: the number of indices, which begin at 0.
      max_bytes: the memory that all results together may take.
      title: the title of the progress bar.

    Returns:
      A function that reads the kept results; None if they would take more than `max_bytes`.
    """
    results = tf.data.Dataset.range(count).map(lambda index: tuple(read(index)), tf.data.AUTOTUNE)
    specs = results.element_spec
    if count * sum(spec.shape.num_elements() * spec.dtype.size for spec in specs) > max_bytes:
        return None
    sides = [new_memory((count, *spec.shape), spec.dtype.as_numpy_dtype) for spec in specs]
    rows = results.with_options(lean_options()).as_numpy_iterator()
    for place, row in enumerate(follow(rows, title, count)):
        for side, result in zip(sides, row, strict=True):
            side[place] = result
    return read_arrays(sides)


def read_arrays(sides: Sequence[Images]) -> Reader:
    """Returns a function that reads the n-th image of each array; arrays of `new_memory` are not copied."""
    tensors = [as_tensor(side) for side in sides]
    return lambda index: tuple(tensor[index] for tensor in tensors)


def read_copies(sides: Sequence[Images]) -> Reader:
    """Returns a function that reads the n-th image of a copy of each array."""
    copies = [new_memory(side.shape, side.dtype) for side in sides]
    for copy, side in zip(copies, sides, strict=True):
        copy[...] = side
    return read_arrays(copies)


def lean_options() -> tf.data.Options:
    """Returns options of a pipeline that reads kept pixels and leaves the processor to training."""
    options = tf.data.Options()
    options.deterministic = True
    # TensorFlow's default optimizations gain little here, and copy all pixels that a source keeps.
    options.experimental_optimization.apply_default_optimizations = False
    # Dividing the work on one small image does not pay; several images are made at a time instead.
    options.threading.max_intra_op_parallelism = 1
    return options


def new_memory(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Images:
    """Returns an array at an address that TensorFlow accepts for a tensor."""
    num_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(num_bytes + _ALIGNMENT_BYTES, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT_BYTES
    return memory[start : start + num_bytes].view(dtype).reshape(shape)


def as_tensor(memory: Images) -> tf.Tensor:
    """Returns a tensor that shares the memory, which `tf.constant` would hold three times for a while."""
    return tf.experimental.dlpack.from_dlpack(memory.__dlpack__())
