"""How the files of a pair, or the file of a photo, become the images that a task starts from."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.files.decoding import decode_image
from tfpix2pix.pipelines.files.finding import Found, find_split
from tfpix2pix.pipelines.files.image_files import read_mark
from tfpix2pix.pipelines.files.instances import check_instances, find_instances, load_instances
from tfpix2pix.pipelines.files.layouts import INSTANCES
from tfpix2pix.pipelines.files.matching import File, FileList, Files
from tfpix2pix.pipelines.files.pair_files import (
    RGB,
    Format,
    Images,
    Measured,
    decode_pair,
    measure_pair,
    separate,
)
from tfpix2pix.pipelines.files.shards import ShardFile, read_record
from tfpix2pix.pipelines.tasks.tasks import Task

# Takes the index of a pair, an int64 scalar tensor, and returns the images; TensorFlow operations only.
Reader = Callable[[tf.Tensor], tuple[tf.Tensor, ...]]

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class TypedReader:
    """A `Reader` that tells the types of its images, which takes the building of a graph otherwise."""

    read: Reader
    dtypes: tuple[tf.DType, ...]

    def __call__(self, index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns the images of a pair."""
        return self.read(index)


_INSTANCES = Format(1, np.dtype(np.uint16), exif=False)


@dataclasses.dataclass(frozen=True)
class Reading:
    """How the files of one split are read.

    Attributes:
      formats: the formats of the images in the files, from left to right.
      reverse: whether the right image is the input image.
      draw: draws the input image from the only image; None if the files hold all images.
      resize_input_to_target: whether the two images of a pair may have different sizes.
      with_instances: whether the last file of each pair is the map of instances of its input.
    """

    formats: tuple[Format, ...] = (RGB, RGB)
    reverse: bool = False
    draw: Callable[[Any], Any] | None = None
    resize_input_to_target: bool = False
    with_instances: bool = False

    @classmethod
    def of(cls, task: Task, direction: str, exif: bool, resize_input_to_target: bool) -> "Reading":
        """Returns how the images of a task are read, as if all files had 8 bits; see `widened`."""
        if task.from_photos:
            return cls((RGB._replace(exif=exif),), draw=task.draw_input)
        formats = tuple(Format(channels, exif=exif) for channels in task.picture_channels)
        reverse = direction == "BtoA"
        return cls(formats[:: -1 if reverse else 1], reverse, None, resize_input_to_target)

    def find(self, folder: Path, split: str, val_percent: int) -> Found:
        """Returns the files of each pair of a split by name; see `finding.find_split`."""
        return find_split(folder, split, len(self.formats) == 1, val_percent)

    def join_instances(self, pairs: Mapping[str, Files]) -> tuple["Reading", Mapping[str, Files]]:
        """Returns the reading and the files of pairs with their maps of instances, if they have any."""
        maps = find_instances(pairs)
        if not maps:
            return self, pairs
        joined = {name: (*files, maps[name]) for name, files in pairs.items()}
        return dataclasses.replace(self, with_instances=True), joined

    def images_of(self, files: Files) -> Files:
        """Returns the files of a pair without its map of instances."""
        return files[:-1] if self.with_instances else files

    def tell_instances(self) -> str:
        """Returns, for people, whether there are maps of instances, to follow a line on the pairs."""
        if self.with_instances:
            return f"; maps of {INSTANCES}"
        return f"; no maps of {INSTANCES}, so `boundaries` are those of classes"

    def measure(self, files: Files) -> Measured:
        """Returns what the headers of a pair's files say; see `measure_pair`."""
        measured = measure_pair(self.images_of(files), self.formats, self.resize_input_to_target)
        if not self.with_instances:
            return measured
        size = measured.sizes[1 if self.reverse else 0]
        header = check_instances(files[-1], size)
        return measured._replace(
            sizes=(*measured.sizes, size),
            in_graph=measured.in_graph and header.in_graph,
            digest=hashlib.sha256(measured.digest + read_mark(files[-1])).digest(),
        )

    def list_turned(self, pairs: Iterable[Files]) -> list[File]:
        """Returns those files of pairs whose EXIF orientation is not upright, and is not applied."""
        return [
            file
            for files in pairs
            for file in measure_pair(self.images_of(files), self.formats, self.resize_input_to_target).turned
        ]

    def widened(self, dtypes: Iterable[Sequence[np.dtype]]) -> "Reading":
        """Returns the same reading, into types that hold every pair.

        Args:
          dtypes: the types of the images of each pair, as they are stored.
        """
        sides = [np.result_type(*set(side)) for side in zip(*dtypes, strict=True)]
        formats = (each._replace(dtype=dtype) for each, dtype in zip(self.formats, sides, strict=bool(sides)))
        return dataclasses.replace(self, formats=tuple(formats) if sides else self.formats)

    @property
    def num_images(self) -> int:
        """The number of images in the files of a pair."""
        return len(self.formats) + self.with_instances

    @property
    def results(self) -> tuple[Format, ...]:
        """The formats of the images that `load` returns."""
        if self.draw:
            return (RGB, *self.formats)
        formats = self.formats[::-1] if self.reverse else self.formats
        return (*formats, _INSTANCES) if self.with_instances else formats

    def arrange(self, images: Sequence[Item]) -> Sequence[Item]:
        """Returns what belongs to the images that `load` returns, of that from left to right in the files."""
        if self.draw:
            return (*images, *images)
        pair, others = images[: len(self.formats)], images[len(self.formats) :]
        return (*(pair[::-1] if self.reverse else pair), *others)

    def load(self, files: Files) -> tuple[Images, ...]:
        """Returns input, target and perhaps instances, or the photo; raises what `decode_pair` raises."""
        images = decode_pair(self.images_of(files), self.formats)
        if self.draw:
            return (self.draw(images[0]), *images)
        images = images[::-1] if self.reverse else images
        return (*images, load_instances(files[-1])) if self.with_instances else images

    def reader(self, pairs: FileList, in_graph: bool) -> Reader:
        """Returns a function that decodes the files of a pair anew at every call.

        Args:
          pairs: the files of each pair.
          in_graph: whether TensorFlow operations give the pixels that are wanted; see `Measured`.
        """
        if not self.draw and in_graph:
            read_contents = _read_in_graph(pairs)
            return lambda index: self._decode(read_contents(index))

        def load(index: np.int64) -> tuple[Images, ...]:
            return self.load(pairs[int(index)])

        def read(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
            images = tf.numpy_function(load, [index], [each.dtype for each in self.results])
            shapes = ([None, None, each.channels] for each in self.results)
            return tuple(map(tf.ensure_shape, images, shapes))

        return read

    def _decode(self, files: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        def load(contents: tf.Tensor, channels: int, dtype: np.dtype, _: bool) -> tf.Tensor:
            return decode_image(contents, channels, tf.as_dtype(dtype), exif=False, may_call_python=True)

        own = files[:-1] if self.with_instances else files
        images = separate(own, self.formats, load, _halve)
        images = images[::-1] if self.reverse else images
        return (*images, load(files[-1], *_INSTANCES)) if self.with_instances else images


def _halve(image: tf.Tensor) -> list[tf.Tensor]:
    """Returns the left and the right half of an image [H, W, C]; W must be even when the graph runs.

    `tf.split` takes twice as long.
    """
    height, width, _ = tf.unstack(tf.shape(image))
    channels = image.shape[2]
    return tf.unstack(tf.reshape(image, [height, 2, width // 2, channels]), axis=1)


def _read_in_graph(pairs: FileList) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """Returns a function that reads the bytes of the files of a pair by its index."""
    find_paths = _paths_in_graph(pairs)
    if not isinstance(pairs[0][0], ShardFile):
        return lambda index: [tf.io.read_file(path) for path in find_paths(index)]
    with tf.device("CPU:0"):
        offsets = tf.constant([[_offset_of(file) for file in files] for files in pairs], tf.int64)
    return lambda index: list(map(read_record, find_paths(index), tf.unstack(tf.gather(offsets, index))))


def _paths_in_graph(pairs: FileList) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """Returns a function that returns the paths of the files of a pair by its index.

    What all paths begin with is kept once, because short texts take a quarter of the memory of long ones.
    """
    places = range(len(pairs[0]))
    start, rests_of_all = pairs.divide_paths()
    with tf.device("CPU:0"):
        # As bytes, because names need not be UTF-8.
        rests = tf.constant(os.fsencode("\0".join(rests_of_all)).split(b"\0"))
    head = os.fsencode(start)
    return lambda index: [
        tf.strings.join([head, tf.gather(rests, index * len(places) + place)]) for place in places
    ]


def _offset_of(file: File) -> int:
    return file.offset if isinstance(file, ShardFile) else 0
