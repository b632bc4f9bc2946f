"""Pixels that are kept in memory: they are computed once, and read as tensors without a copy."""

import math
import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfpix2pix.pipelines.base.progress import follow
from tfpix2pix.pipelines.files.pair_files import Format, Images
from tfpix2pix.pipelines.files.reading import Reader

_ALIGNMENT_BYTES = 64
# What is done at once, before the first step: it takes some ten seconds. To open a file takes as long as to
# decode so many pixels.
_QUICK_PX, _FILE_PX = 1_000_000_000, 20_000


class Room:
    """The memory that kept pixels may take, of all splits and of all stages of their way.

    Args:
      mib: so many MiB.

    Attributes:
      left_bytes: what nobody has taken yet.
    """

    def __init__(self, mib: float):
        self.left_bytes = int(mib * 2**20)

    @classmethod
    def of(cls, cache_mib: "float | Room") -> "Room":
        """Returns a room, or one of so many MiB."""
        return cache_mib if isinstance(cache_mib, Room) else cls(cache_mib)

    def take(self, num_bytes: int) -> bool:
        """Takes so much, if it is left; returns whether it was."""
        fits = num_bytes <= self.left_bytes
        self.left_bytes -= num_bytes if fits else 0
        return fits

    def give_back(self, num_bytes: int) -> None:
        """Ends a use of what was taken."""
        self.left_bytes += num_bytes


def is_quick(sizes: npt.NDArray[np.integer]) -> bool:
    """Tells whether images of these sizes, [N, I, 2], are so few that all can be decoded at the start."""
    num_px = np.prod(sizes, -1, dtype=np.int64).sum()
    return bool(num_px + len(sizes) * _FILE_PX <= _QUICK_PX)


class PixelStore:
    """The images of many pairs: one array holds all input images, and another one all target images.

    Args:
      sizes: (height, width) in px of each image of each pair, [pairs, images, 2].
      formats: the formats of the images of a pair.

    Attributes:
      num_bytes: the memory that `allocate` takes.
    """

    def __init__(self, sizes: npt.ArrayLike, formats: Sequence[Format]):
        self._sizes = np.asarray(sizes, np.int64).reshape(-1, len(formats), 2)
        self._formats = tuple(formats)
        # Where the pixels of each image of each pair end, [pairs + 1, images].
        ends = np.zeros((len(self._sizes) + 1, len(formats)), np.int64)
        np.cumsum(self._sizes.prod(-1), axis=0, out=ends[1:])
        self._starts_px, self._num_px = ends[:-1], ends[-1].tolist()
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

    def put(self, row: int, images: Sequence[Images]) -> None:
        """Keeps the images of a pair, which have the sizes and the formats that were announced."""
        places = zip(self._sides, self._sizes[row], self._starts_px[row], images, strict=True)
        for side, (height, width), start, image in places:
            side[start : start + height * width] = image.reshape(height * width, -1)

    def filling_reader(self, read: Reader, rows: npt.NDArray[np.integer]) -> Reader:
        """Returns a function that reads the images of the n-th of `rows`, and keeps what it reads first.

        Args:
          read: reads the images of the n-th of `rows` in another way.
          rows: the pairs that are read.
        """
        self.allocate()
        return read_once(
            read, self.reader(rows), lambda index, images: self.put(rows[index], images), len(rows)
        )

    def reader(self, rows: npt.NDArray[np.integer]) -> Reader:
        """Returns a function that reads the images of the n-th of `rows`."""
        sides = [as_tensor(side) for side in self._sides]
        with tf.device("CPU:0"):
            starts = tf.constant(self._starts_px[rows], tf.int64)
            sizes = tf.constant(self._sizes[rows], tf.int64)

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


def read_once(
    read: Reader, read_kept: Reader, put: Callable[[int, Sequence[Images]], None], count: int
) -> Reader:
    """Returns a function that reads what is kept, and else reads anew and keeps it.

    Args:
      read: reads by an index.
      read_kept: returns what was kept for an index.
      put: keeps what was read for an index.
      count: the number of indices, which begin at 0.
    """
    is_kept = new_memory((count,), np.uint8)
    is_kept[:] = 0
    lock = threading.Lock()

    def note(index: np.int64, *images: Images) -> np.uint8:
        put(int(index), images)
        with lock:  # So that no thread sees the mark before the pixels.
            is_kept[index] = 1
        return np.uint8(1)

    flags = as_tensor(is_kept)

    def read_anew(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        images = tuple(read(index))
        noted = tf.numpy_function(note, [index, *images], tf.uint8)
        with tf.control_dependencies([noted]):
            return tuple(tf.identity(image) for image in images)

    def read_if_needed(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tf.cond(flags[index] > 0, lambda: tuple(read_kept(index)), lambda: read_anew(index))

    return tf.autograph.experimental.do_not_convert(read_if_needed)


@tf.autograph.experimental.do_not_convert
def keep(read: Reader, count: int, room: Room, title: str, at_once: bool = True) -> Reader | None:
    """Reads everything once and keeps the results, unless they take too much memory.

    Args:
      read: returns results of the same, known shapes for every index.
      count: the number of indices, which begin at 0.
      room: the memory that is left for the results.
      title: the title of the progress bar.
      at_once: whether everything is read now; if not, each is read when it is needed first.

    Returns:
      A function that reads the kept results; None if they would take more memory than is left.
    """
    # Traced once, for the shapes and for the pipelines that read anew.
    signature = [tf.TensorSpec([], tf.int64)]
    traced = tf.function(lambda index: tuple(read(index)), input_signature=signature, autograph=False)
    results = tf.data.Dataset.range(count).map(traced, tf.data.AUTOTUNE)
    specs = results.element_spec
    if not room.take(count * sum(spec.shape.num_elements() * spec.dtype.size for spec in specs)):
        return None
    sides = [new_memory((count, *spec.shape), spec.dtype.as_numpy_dtype) for spec in specs]
    if not at_once:

        def put(index: int, images: Sequence[Images]) -> None:
            for side, image in zip(sides, images, strict=True):
                side[index] = image

        return read_once(traced, read_arrays(sides), put, count)
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


def steady_options() -> tf.data.Options:
    """Returns options without tf.data's autotuning.

    An iterator that is deleted may wait for the thread that tunes it, for up to a minute: TensorFlow wakes
    that thread before it can see that it should end. Without it, `tf.data.AUTOTUNE` stands for as many
    threads as there are processors, 16 at most.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def lean_options() -> tf.data.Options:
    """Returns options of a pipeline that reads kept pixels and leaves the processor to training."""
    options = steady_options()
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
