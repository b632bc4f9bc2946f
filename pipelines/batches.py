"""The input pipeline, which training and evaluation share.

Every draw has an address: the order of an epoch, jitter, mirroring and noise seeds are pure functions
of (seed, epoch, example) or of (seed, place in the stream). So training can start at any step, without
going through the steps before it.
"""

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.examples import Batch, Examples, View, in_unit_range, locate
from tfpix2pix.pipelines.files.memory import Room, keep, lean_options
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.labels.palettes import resize_ids
from tfpix2pix.pipelines.tasks import transforms

Function = TypeVar("Function", bound=Callable)


def _without_autograph(function: Function) -> Function:
    """Keeps AutoGraph from rewriting a function. Unlike TensorFlow's own decorator it has types."""
    return tf.autograph.experimental.do_not_convert(function)


@_without_autograph
def build_dataset(
    source: Source,
    *,
    image_size: int | transforms.Size,
    batch_size: int,
    training: bool,
    seed: int = 0,
    load_size: int | transforms.Size | None = None,
    resize: bool = True,
    mirror: bool = False,
    class_targets: bool = False,
    start_step: int = 0,
    num_shards: int = 1,
    shard_index: int = 0,
    global_batch_size: int | None = None,
) -> tf.data.Dataset:
    """Builds the pipeline of one input worker.

    In training it yields an endless stream of examples, in a new order every epoch. Batches run across
    the ends of epochs, so that no example is ever dropped. In evaluation it yields every example once,
    in order and uncropped, and the last batch may be smaller. The arguments after `seed` are for
    training only, except for `class_targets`, `num_shards` and `shard_index`.

    Args:
      source: the pairs. Those of a stream come in its order, which begins anew at `start_step`.
      image_size: N or (height, width) in pixels of the images in the batches.
      batch_size: number of examples in a batch. If there are replicas, it is the batch of one replica.
      training: whether to shuffle, repeat, jitter and mirror.
      seed: number from which every draw follows.
      load_size: (height, width) in pixels to which images are resized before a random crop of
        `image_size`; None resizes them to `image_size` and crops nothing.
      resize: whether images are resized. If not, training cuts random windows of `image_size` out of the
        images as they are stored, and evaluation yields these images whole, in batches of one, because
        their sizes differ.
      mirror: whether half of the pairs are flipped left to right.
      class_targets: whether the targets of the source are class ids, [H, W], which are resized by the
        nearest neighbour; in evaluation too.
      start_step: the training step at which the stream starts.
      num_shards: number of input workers.
      shard_index: which of the input workers this is, from 0. Each takes its contiguous part of every
        global batch; in evaluation, every `num_shards`-th batch.
      global_batch_size: number of examples in a training step, over all workers and replicas; None
        for `batch_size * num_shards`.

    Returns:
      Batches of these tensors by name:
        `input_image` and `target_image`: float32 [B, H, W, C] in [-1, 1], as the source's task makes
          them; with `class_targets` there is no `target_image`.
        `target_ids`: uint8 [B, H, W], with `class_targets` only.
        `mask`: float32 [B, H, W, 1], 1 in the hole; for inpainting only.
        `noise_seed`: int32 [B, 2].
        `example_id`: string [B].

    Raises:
      ValueError: for an argument that cannot be used, or arguments that do not go together; the
        message names them.

    Examples:
      >>> images = np.zeros((3, 8, 8, 3), np.uint8)
      >>> source = tfpix2pix.from_arrays(images, images)
      >>> dataset = build_dataset(source, image_size=(8, 8), batch_size=2, training=False)
      >>> [batch["input_image"].shape[0] for batch in dataset]
      [2, 1]
    """
    image_size = transforms.settle_size(image_size, "image_size")
    load_size = _settle_load_size(load_size, image_size) if load_size else None
    if not resize:
        _check_unresized(load_size, class_targets, 1 if training else batch_size)
    global_batch_size = _choose_global_batch_size(global_batch_size, batch_size, num_shards)
    shard_size = global_batch_size // num_shards
    resizes = (
        source.task.resize_input,
        resize_ids if class_targets else source.task.resize,
        transforms.resize_nearest,
    )
    view = View(image_size, load_size, mirror, resizes, resize)
    with tf.device("CPU:0"):
        examples = Examples(source, view, class_targets, seed, tf.constant(source.example_ids))

    def make(example: Batch) -> Batch:
        # A batch of one is made with its example, because `batch` would copy the pixels, which takes as
        # long as making them.
        return {name: value[tf.newaxis] for name, value in example.items()} if batch_size == 1 else example

    def at_count(count: tf.Tensor) -> Batch:
        step, offset = count // shard_size, shard_index * shard_size + count % shard_size
        return make(examples.for_training(step * global_batch_size + offset))

    def of_stream(count: tf.Tensor, images: transforms.Images) -> Batch:
        return make(examples.for_training(count, images))

    if training and source.stream is not None:
        if num_shards > 1:
            raise ValueError("several input workers cannot share pairs that are not read by an index")
        pairs = source.stream.repeat().enumerate(start_step * shard_size)
        dataset = pairs.map(of_stream, tf.data.AUTOTUNE)
    elif training:
        dataset = tf.data.Dataset.counter(start_step * shard_size).map(at_count, tf.data.AUTOTUNE)
    else:
        indices = _list_indices(len(source), batch_size, num_shards, shard_index)
        dataset = indices.map(lambda index: make(examples.for_evaluation(index)), tf.data.AUTOTUNE)
    batches = dataset if batch_size == 1 else dataset.batch(batch_size, drop_remainder=training)
    return batches.prefetch(tf.data.AUTOTUNE).with_options(lean_options())


def _list_indices(count: int, batch_size: int, num_shards: int, shard_index: int) -> tf.data.Dataset:
    """Returns the indices of all examples, or those of every `num_shards`-th batch."""
    indices = tf.data.Dataset.range(count)
    return indices.batch(batch_size).shard(num_shards, shard_index).unbatch() if num_shards > 1 else indices


def _settle_load_size(load_size: int | transforms.Size, image_size: transforms.Size) -> transforms.Size:
    height, width = transforms.settle_size(load_size, "load_size")
    if height < image_size[0] or width < image_size[1]:
        raise ValueError(f"load_size must be at least image_size. Received: {load_size}, {image_size}")
    return height, width


def _check_unresized(load_size: transforms.Size | None, class_targets: bool, batch_size: int) -> None:
    for name, is_wrong in (
        ("load_size", load_size is not None),
        ("class_targets", class_targets),
        ("batch_size above 1 in evaluation", batch_size > 1),
    ):
        if is_wrong:
            raise ValueError(f"{name} does not go with resize=False")


def _choose_global_batch_size(global_batch_size: int | None, batch_size: int, num_shards: int) -> int:
    for name, count in (("batch_size", batch_size), ("num_shards", num_shards)):
        if count < 1:
            raise ValueError(f"{name} must be at least 1. Received: {count}")
    chosen = global_batch_size or batch_size * num_shards
    if chosen % (num_shards * batch_size):
        raise ValueError(
            "global_batch_size must be a multiple of num_shards * batch_size. "
            f"Received: {chosen}, {num_shards} * {batch_size}"
        )
    return chosen


def keep_resized(source: Source, size: transforms.Size, cache_mib: float | Room) -> Source:
    """Keeps the images of all pairs resized, if there is room.

    They are resized now, or each when it is needed first if there are very many. Jitter then only cuts
    windows out of them. What `build_dataset` yields stays the same, bit for bit.

    Args:
      source: pairs of images.
      size: (height, width) in pixels: the `load_size` of the pipeline that is to be built, or its
        `image_size` if nothing is cropped.
      cache_mib: the images are kept if all of them, as float32, fit this many MiB. With the room that the
        source was opened with, what was set aside for them is used, and decoded images are given up.

    Returns:
      The resized pairs in memory, float32 in [-1, 1]; `source` if they do not fit.

    Raises:
      BadImageError: for files that cannot be decoded.
    """

    def read(index: tf.Tensor) -> transforms.Images:
        images = source.read(index)
        resizes = (source.task.resize_input, source.task.resize, transforms.resize_nearest)
        resized = tuple(each(image, size) for each, image in zip(resizes, images, strict=False))
        return in_unit_range(resized, images)

    room, plan = Room.of(cache_mib), source.plan
    if plan and plan.resized_bytes:
        room.give_back(plan.resized_bytes)
    with source.naming_bad_files():
        kept = keep(read, len(source), room, "Resizing", at_once=plan is None or plan.is_quick)
    if not kept:
        return source
    if plan and plan.store and plan.resized_bytes:
        room.give_back(plan.store.num_bytes)
    return dataclasses.replace(source, read=kept)


def example_indices(step: int, seed: int, num_examples: int, global_batch_size: int) -> np.ndarray:
    """Returns which examples the global batch of a training step holds.

    Args:
      step: the training step, from 0.
      seed: the `seed` of `build_dataset`.
      num_examples: number of pairs in the source.
      global_batch_size: number of examples in a step.

    Returns:
      Indices into the source, int64 [global_batch_size].
    """
    positions = range(step * global_batch_size, (step + 1) * global_batch_size)
    return np.array([locate(tf.constant(place, tf.int64), seed, num_examples)[1] for place in positions])
