"""Pairs that come from no files: a function draws them."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tfpix2pix.pipelines.catalogue import DRAWN_CHANNELS
from tfpix2pix.pipelines.files.bad_files import sift
from tfpix2pix.pipelines.files.memory import read_copies
from tfpix2pix.pipelines.files.number_arrays import to_channels
from tfpix2pix.pipelines.files.pair_files import Images
from tfpix2pix.pipelines.files.sources import Source, check_choices
from tfpix2pix.pipelines.synthetic.facades import draw_pair, pair_index
from tfpix2pix.pipelines.tasks.tasks import Task

# Pairs of up to this many pixels are kept in memory, the last `_KEPT_PAIRS` of them, 0.1 GB at most: a
# training, its scores and its sheets of pictures ask for the same ones.
_KEPT_PX = 150 * 150
_KEPT_PAIRS = 512


def open_synthetic(
    split: str,
    direction: str,
    count: int,
    image_size: tuple[int, int],
    seed: int = 0,
    task: Task | None = None,
    draw: Callable[..., Any] = draw_pair,
) -> Source:
    """Draws the pairs of a generated dataset: the photo is left and the label map is right.

    Args:
      split: `train`, `val` or `test`; no pair is in two of them.
      direction: `AtoB` to learn label maps from photos, `BtoA` to learn photos from label maps.
      count: number of pairs.
      image_size: (height, width) in px; each at least 32 for facades.
      seed: number from which all pairs follow.
      task: what is learned; a task that learns from photos gets the photos alone. None for pairs of
        three channels. Pairs may have one channel too: their luma.
      draw: function that draws a pair; it takes and returns what `facades.draw_pair` does.

    Returns:
      The pairs, in memory.

    Raises:
      ValueError: for an argument that is not one of those above; the message names it.
    """
    check_choices(direction)
    task = task or Task()
    if not task.from_photos and not DRAWN_CHANNELS.issuperset(task.picture_channels):
        raise ValueError(f"task must take images of 1 or 3 channels. Received: {task.picture_channels}")

    def draw_images(name: str) -> tuple[Images, ...]:
        example = int(name.removeprefix(f"{split}_"))
        keeps = image_size[0] * image_size[1] <= _KEPT_PX
        arguments = seed, pair_index(split, example), tuple(image_size)
        pair = _draw_once(draw, *arguments) if keeps else draw(*arguments)
        if task.from_photos:
            return (task.draw_input(pair.photo), pair.photo) if task.draw_input else (pair.photo,)
        images = (pair.photo, pair.label_map)[:: 1 if direction == "AtoB" else -1]
        ids = () if not task.has_instances or pair.instance_ids is None else (pair.instance_ids[..., None],)
        return (*map(to_channels, images, task.picture_channels), *ids)

    pairs, _ = sift(draw_images, (f"{split}_{example}" for example in range(count)), f"Drawing {split}")
    sides = [np.stack(side) for side in zip(*pairs.values(), strict=True)]
    has_instances = task.has_instances and len(sides) > 2
    return Source(tuple(pairs), read_copies(sides), task.channels, task=task, has_instances=has_instances)


@functools.lru_cache(_KEPT_PAIRS)
def _draw_once(draw: Callable[..., Any], seed: int, index: int, image_size: tuple[int, int]) -> Any:
    """Returns what `draw` draws; nobody may write into it."""
    pair = draw(seed, index, image_size)
    for image in pair:
        if image is not None:
            image.flags.writeable = False
    return pair
