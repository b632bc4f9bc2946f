"""Pairs that a caller gives in place of a dataset's name: arrays, a `tf.data.Dataset`, what has an index.

What has an index is anything with `len(data)` and `data[index]`, such as a split of Hugging Face's
`datasets`, a `tfds.data_source`, or a Dataset of PyTorch. No such package is imported here.
"""

import dataclasses
import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.files.given_length import count_pairs
from tfpix2pix.pipelines.files.given_pixels import as_pixels, check_pixels
from tfpix2pix.pipelines.files.image_files import BadImageError
from tfpix2pix.pipelines.files.matching import Files
from tfpix2pix.pipelines.files.memory import PixelStore, read_copies, steady_options
from tfpix2pix.pipelines.files.pair_files import Format, Images
from tfpix2pix.pipelines.files.samples import spread_evenly
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.files.value_warnings import LOOKED_AT, warn_of_values
from tfpix2pix.pipelines.tasks.tasks import Task

# Names of the two images in a dict. Those of the second group follow the direction, as folders A and B do.
_NAMES = (("input_image", "target_image"), ("input", "target"))
_LETTERED = (("imageA", "imageB"), ("image_a", "image_b"), ("image_A", "image_B"), ("A", "B"))
_SIDES = ("input images", "target images")
_TAKEN = (
    "a Source, a tf.data.Dataset of pairs or dicts, a pair of arrays [N, H, W, C], or data with "
    "`len(data)` and `data[index]`, such as a split of Hugging Face's datasets"
)


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is asked of given data.

    Attributes:
      argument: name of the argument that holds them, for messages.
      task: what is learned.
      direction: `AtoB` or `BtoA`, for dicts whose keys are the letters A and B.
      cache_mib: pairs that have to be kept in memory may take this many MiB.
      is_stream: whether pairs may come one after the other; if not, they are read into memory.
    """

    argument: str
    task: Task
    direction: str
    cache_mib: int
    is_stream: bool


def open_given(data: Any, wish: Wish) -> Source:
    """Returns the pairs that a caller gives.

    Args:
      data: a `Source`; a `tf.data.Dataset`; a pair or a dict of arrays; or what has a length and an index.
        Examples are pairs (input, target), or dicts with the keys `input_image` and `target_image`, `input`
        and `target`, or A and B, as `_NAMES` and `_LETTERED` list them.
      wish: what is asked of them.

    Raises:
      UsageError: for data that cannot be trained on; the message names the argument and the remedy.
    """
    if wish.task.from_photos and not isinstance(data, Source):
        raise UsageError(
            f"`task={wish.task.name}` makes its inputs of photos, and `{wish.argument}` holds pairs: leave "
            "`task` out, or give a Source that open_split has opened for the task"
        )
    if isinstance(data, Source):
        source = data
    elif isinstance(data, tf.data.Dataset):
        source = _open_dataset(data, wish)
    elif _holds_arrays(data):
        source = _open_arrays(data, wish)
    elif hasattr(data, "__len__") and hasattr(data, "__getitem__") and not isinstance(data, str | Mapping):
        source = _open_indexed(data, wish)
    else:
        names = f" with {', '.join(map(str, data))}" if isinstance(data, Mapping) else ""
        raise UsageError(f"`{wish.argument}` takes {_TAKEN}. Received: {type(data).__name__}{names}")
    if not len(source):
        raise UsageError(f"`{wish.argument}` holds no pairs")
    _check_task(source, wish)
    return source


def _check_task(source: Source, wish: Wish) -> None:
    if source.task.name != wish.task.name:
        raise UsageError(
            f"`{wish.argument}` was opened for task={source.task.name}, and the configuration says "
            f"`task={wish.task.name}`"
        )
    if source.channels != wish.task.channels:
        have = " and ".join(f"{side} of {count}" for side, count in zip(_SIDES, source.channels, strict=True))
        raise UsageError(
            f"`{wish.argument}` has {have} channels, and the configuration has {wish.task.channels}: give "
            f"make_config input_channels={source.channels[0]}, output_channels={source.channels[1]}"
        )


def _find_names(names: Iterable[Any], wish: Wish) -> tuple[str, str]:
    """Returns the keys of the input image and of the target image in a dict."""
    names = list(names)
    for pair in (*_NAMES, *_LETTERED):
        if set(pair) <= set(names):
            is_turned = pair in _LETTERED and wish.direction == "BtoA"
            return (pair[1], pair[0]) if is_turned else pair
    raise UsageError(
        f"`{wish.argument}` has the keys {', '.join(map(str, names))}: name the two images input_image and "
        "target_image, for example by `data.rename_columns({...})` or `dataset.map(...)`"
    )


def _split(example: Any, wish: Wish) -> tuple[Any, Any]:
    if isinstance(example, Mapping):
        first, second = _find_names(example, wish)
        return example[first], example[second]
    if not isinstance(example, Sequence) or len(example) != 2:
        raise UsageError(
            f"`{wish.argument}` must hold pairs (input, target) or dicts. Received: {type(example).__name__}"
        )
    return example[0], example[1]


def _holds_arrays(data: Any) -> bool:
    parts = data.values() if isinstance(data, Mapping) else data if isinstance(data, tuple | list) else ()
    # A list of two pairs is no pair of arrays.
    return (
        bool(parts)
        and (isinstance(data, Mapping) or len(data) == 2)
        and all(hasattr(part, "shape") and hasattr(part, "dtype") for part in parts)
    )


def _open_arrays(data: Any, wish: Wish) -> Source:
    sides = []
    for side, given in zip(_SIDES, _split(data, wish), strict=True):
        images, title = np.asarray(given), f"the {side} of `{wish.argument}`"
        if images.ndim == 3:
            raise UsageError(f"{title} are {images.shape}; give them their channels: `images[..., None]`")
        if images.ndim != 4 or 0 in images.shape:
            raise UsageError(f"{title} must be [N, H, W, C], all above 0. Received: {images.shape}")
        sides.append(check_pixels(images, title))
    if sides[0].shape[:3] != sides[1].shape[:3]:
        shapes = " and ".join(str(side.shape) for side in sides)
        raise UsageError(f"the images of `{wish.argument}` must have equal N, H and W. Received: {shapes}")
    digest = hashlib.sha256()
    for images in sides:
        digest.update(np.ascontiguousarray(images).data)
    _warn([images[spread_evenly(len(images), LOOKED_AT)] for images in sides], wish)
    channels = (sides[0].shape[3], sides[1].shape[3])
    ids = tuple(map(str, range(len(sides[0]))))
    read = read_copies(sides)
    return Source(ids, read, channels, task=Task(channels), content=digest.hexdigest())


def _warn(sides: Iterable[Iterable[Images]], wish: Wish) -> None:
    """Warns of some input images and target images where they look wrong."""
    for side, images in zip(_SIDES, sides, strict=True):
        warn_of_values(f"the {side} of `{wish.argument}`", list(images))


def _open_dataset(data: tf.data.Dataset, wish: Wish) -> Source:
    """Opens a `tf.data.Dataset`, as a stream or in memory."""

    @tf.autograph.experimental.do_not_convert
    def split(*example: Any) -> tuple[Any, Any]:
        return _split(example[0] if len(example) == 1 else example, wish)

    pairs = batches = data.map(split).with_options(steady_options())
    ranks = {spec.shape.rank for spec in pairs.element_spec}
    if ranks == {4}:
        pairs = batches.unbatch()
    elif ranks != {3}:
        shapes = " and ".join(str(spec.shape) for spec in pairs.element_spec)
        raise UsageError(
            f"`{wish.argument}` must hold images [H, W, C], or batches of them. Received: {shapes}; "
            "`dataset.map` with `tf.ensure_shape` tells their shape"
        )
    count = count_pairs(batches, pairs, wish.argument, wish.is_stream)
    first = list(pairs.take(LOOKED_AT).as_numpy_iterator())
    if not first:
        raise UsageError(f"`{wish.argument}` holds no pairs")
    sides = [
        [check_pixels(image, f"the {side} of `{wish.argument}`") for image in images]
        for side, images in zip(_SIDES, zip(*first, strict=True), strict=True)
    ]
    _warn(sides, wish)
    if not wish.is_stream:
        return _keep(pairs.as_numpy_iterator(), wish)
    return _open_stream(pairs, first[0], count, wish)


def _open_stream(pairs: tf.data.Dataset, first: Sequence[Images], count: int, wish: Wish) -> Source:
    channels = (first[0].shape[2], first[1].shape[2])

    @tf.autograph.experimental.do_not_convert
    def prepare(*images: tf.Tensor) -> tuple[tf.Tensor, ...]:
        kept = [tf.cast(image, tf.float32) if image.dtype.is_floating else image for image in images]
        return tuple(tf.ensure_shape(kept[side], [None, None, channels[side]]) for side in (0, 1))

    def refuse(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        raise TypeError(f"the pairs of `{wish.argument}` cannot be read by an index")

    say(
        f"`{wish.argument}` is a tf.data.Dataset, which cannot be read by an index: the training does not "
        "shuffle it, and a run that is interrupted and goes on begins it anew, so that its weights are not "
        "those of a run without a break"
    )
    ids = tuple(map(str, range(count)))
    return Source(ids, refuse, channels, task=Task(channels), stream=pairs.map(prepare))


def _keep(pairs: Iterable[Sequence[Any]], wish: Wish) -> Source:
    """Reads pairs into memory, because a validation reads some of them again and again."""
    kept: list[list[Images]] = []
    num_bytes = 0
    for pair in pairs:
        kept.append([check_pixels(image, f"`{wish.argument}`") for image in pair])
        num_bytes += sum(image.nbytes for image in kept[-1])
        if num_bytes > wish.cache_mib * 2**20:
            raise UserError(
                f"`{wish.argument}` is kept in memory and takes more than {wish.cache_mib} MiB after "
                f"{count_of(len(kept), 'pair')}: give `.take(N)` of it, or a larger `cache_mib`"
            )
    ids = tuple(map(str, range(len(kept))))
    sizes = [[image.shape[:2] for image in pair] for pair in kept]
    store = PixelStore(sizes, [Format(image.shape[2], image.dtype) for image in kept[0]])
    store.allocate()
    for row, pair in enumerate(kept):
        store.put(row, pair)
    channels = (kept[0][0].shape[2], kept[0][1].shape[2])
    return Source(ids, store.reader(np.arange(len(ids))), channels, task=Task(channels))


def _open_indexed(data: Any, wish: Wish) -> Source:
    """Opens data with a length and an index, which are read whenever a pair is needed."""
    access = threading.Lock()  # Few of such datasets say that they can be read by several threads.

    def fetch(index: int) -> tuple[Images, Images]:
        with access:
            example = _split(data[int(index)], wish)
        sides = [as_pixels(image, wish.task.channels[side]) for side, image in enumerate(example)]
        if sides[0].shape[:2] != sides[1].shape[:2]:
            raise ValueError(f"its images differ in size: {sides[0].shape} and {sides[1].shape}")
        return sides[0], sides[1]

    if not len(data):
        raise UsageError(f"`{wish.argument}` holds no pairs")
    some = _fetch_some(fetch, len(data), wish)
    _warn(zip(*some, strict=True), wish)
    dtypes = tuple(image.dtype for image in some[0])

    def load(files: Files) -> tuple[Images, ...]:
        try:
            pair = fetch(int(files[0].name.rpartition("[")[2].rstrip("]")))
            if (found := tuple(image.dtype for image in pair)) != dtypes:
                raise ValueError(f"holds {found[0]}, {found[1]}; the first pair {dtypes[0]}, {dtypes[1]}")
        except Exception as error:
            raise BadImageError(f"{files[0]}: {error}") from error
        return pair

    names = tuple((Path(f"{wish.argument}[{index}]"),) for index in range(len(data)))

    def read(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        images = tf.numpy_function(lambda place: load(names[place]), [index], list(dtypes))
        return tuple(
            tf.ensure_shape(image, [None, None, channels])
            for image, channels in zip(images, wish.task.channels)  # noqa: B905 - AutoGraph knows no strict
        )

    ids = tuple(map(str, range(len(data))))
    return Source(ids, read, wish.task.channels, files=names, task=Task(wish.task.channels), load=load)


def _fetch_some(
    fetch: Callable[[int], tuple[Images, Images]], length: int, wish: Wish
) -> list[tuple[Images, Images]]:
    """Returns pairs that are spread over all; UsageError names one that cannot be taken."""
    some = []
    for index in spread_evenly(length, LOOKED_AT):
        try:
            some.append(fetch(index))
        except UsageError:
            raise
        except ValueError as error:
            raise UsageError(f"`{wish.argument}[{index}]`: {error}") from error
    return some
