"""The label maps of a split: their classes, and the class ids in them."""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpix2pix.metrics.registry import Pictures, Segmenter, Tools
from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.files.memory import steady_options
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.labels.label_sides import find_label_side
from tfpix2pix.pipelines.labels.palettes import Palette, class_ids, find_palette, resize_ids


def choose_palette(
    dataset: str, data_dir: str | Path, palette: str | Path | None, segmenter: Segmenter | None
) -> Palette | None:
    """Returns the classes that were asked for, or else the dataset's, or else the segmenter's.

    Args:
      dataset: name of the dataset.
      data_dir: folder that holds the dataset, which may have a `palette.json`.
      palette: name of a dataset, or a JSON file; None if nothing was asked for.
      segmenter: a network that may know its classes.
    """
    if palette is not None:
        return find_palette(str(palette))
    own = datasets.find_classes(dataset, data_dir)
    return own or (segmenter.palette if segmenter else None)


def find_tools(
    source: Source,
    dataset: str,
    data_dir: str | Path,
    palette: str | Path | None = None,
    segmenter: Segmenter | None = None,
    **others: Any,
) -> Tools:
    """Returns what metrics may need to judge a split: its classes, its label maps, and what is given.

    Args:
      source: the pairs.
      dataset: name of the dataset.
      data_dir: folder that holds the dataset, which may have a `palette.json`.
      palette: classes that were asked for: the name of a dataset, or a JSON file.
      segmenter: a network that may know its classes.
      **others: other fields of `Tools`.

    Raises:
      UsageError: if neither side of the pairs has the colours of the `palette` that was asked for.
    """
    known = source.meaning.palette if palette is None else None
    classes = known or choose_palette(dataset, data_dir, palette, segmenter)
    label_side = find_label_side(source, classes)
    if palette is not None and label_side is None:
        raise UsageError(f"`palette` {palette} has other colours than the images of the pairs, on both sides")
    return Tools(
        palette=classes if label_side else None,
        label_side=label_side,
        segmenter=segmenter,
        has_holes=source.task.name == "inpaint",
        channels=source.task.picture_channels[1],
        **others,
    )


def read_label_ids(
    source: Source,
    palette: Palette | None,
    label_side: str | None,
    image_size: tuple[int, int] | None,
    batch_size: int,
    part: tuple[int, int] = (0, 1),
) -> Iterable[Pictures | None]:
    """Yields the class ids of every label map, in order and in batches.

    Ids are found in the label map as it is on disk and resized afterwards, so that
    colours of different classes are never mixed.

    Args:
      source: the pairs.
      palette: classes of the label maps; None if there are no label maps.
      label_side: `input` or `target`; None if there are no label maps.
      image_size: (height, width) in px of the ids; None leaves them as large as their label map.
      batch_size: number of label maps in a batch.
      part: (k, n) for every n-th batch, from the k-th on, which is counted from 0.

    Returns:
      Batches of what `class_ids` returns, [B, H, W]. Without label maps, None again and again, without an
      end.
    """
    if palette is None or label_side is None:
        return itertools.repeat(None)
    place = ("input", "target").index(label_side)

    @tf.autograph.experimental.do_not_convert
    def read(index: tf.Tensor) -> tf.Tensor:
        ids = class_ids(source.read(index)[place], palette)
        return ids if image_size is None else resize_ids(ids, image_size)

    indices = tf.data.Dataset.range(len(source)).batch(batch_size).shard(part[1], part[0]).unbatch()
    ids = indices.map(read, tf.data.AUTOTUNE, deterministic=True)
    return ids.batch(batch_size).with_options(steady_options()).as_numpy_iterator()
