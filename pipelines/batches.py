"""The one input pipeline, for training and evaluation.

Every draw has an address: the order of an epoch, jitter, mirror and noise seeds
are pure functions of (seed, epoch, example) or (seed, place in the stream), so
training can start at any step without replaying the steps before it.
"""

import dataclasses
import hashlib

import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.files.memory import keep, lean_options
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.labels.palettes import resize_ids
from tfpix2pix.pipelines.tasks import transforms

Batch = dict[str, tf.Tensor]

_EPOCH_STRIDE = 2**32  # more than the examples of any source
NUM_NOISE_SEEDS = 2**31  # as many as int32 has from 0


@tf.autograph.experimental.do_not_convert
def build_dataset(
    source: Source,
    *,
    image_size: transforms.Size,
    batch_size: int,
    training: bool,
    seed: int = 0,
    load_size: transforms.Size | None = None,
    mirror: bool = False,
    class_targets: bool = False,
    start_step: int = 0,
    num_shards: int = 1,
    shard_index: int = 0,
    global_batch_size: int | None = None,
) -> tf.data.Dataset:
    """Builds the pipeline of one input worker.

    Training yields an endless stream, in a new order every epoch; batches run
    across the ends of epochs, so that no example is ever dropped. Evaluation
    yields every example once, in order, whole; the last batch may be smaller.
    The arguments after `seed` concern training only.

    Args:
      source: the pairs.
      image_size: (height, width) in pixels of the batches.
      batch_size: examples per batch; where there are replicas, of one replica.
      training: whether to shuffle, repeat, jitter and mirror.
      seed: fixes every draw.
      load_size: (height, width) in pixels to resize to before a random crop of
        `image_size`; None resizes to `image_size` and crops nothing.
      mirror: flip half of the pairs left to right.
      class_targets: the source's targets are class ids, [H, W], and resized to the
        nearest pixel; in evaluation too.
      start_step: the training step to start at.
      num_shards: number of input workers.
      shard_index: which of them this is, from 0; each takes its contiguous part
        of every global batch.
      global_batch_size: examples per training step over all workers and
        replicas; default `batch_size * num_shards`.

    Returns:
      Batches of `input_image` and `target_image`, float32 [B, H, W, C] in [-1, 1], as
      the source's task makes them; for inpainting `mask`, float32 [B, H, W, 1], 1 in
      the hole; with class targets `target_ids`, uint8 [B, H, W], and no target image;
      `noise_seed`, int32 [B, 2]; `example_id`, string [B].

    Raises:
      ValueError: if a size is none, or they do not go together.
    """
    transforms.check_size(image_size, "image_size")
    if load_size:
        transforms.check_size(load_size, "load_size")
    for name, count in (("batch_size", batch_size), ("num_shards", num_shards)):
        if count < 1:
            raise ValueError(f"{name} must be at least 1. Received: {count}")
    global_batch_size = global_batch_size or batch_size * num_shards
    if global_batch_size % (num_shards * batch_size):
        raise ValueError(
            "global_batch_size must be a multiple of num_shards * batch_size. "
            f"Received: {global_batch_size}, {num_shards} * {batch_size}"
        )
    if load_size and (load_size[0] < image_size[0] or load_size[1] < image_size[1]):
        raise ValueError(f"load_size must be at least image_size. Received: {load_size}, {image_size}")
    shard_size = global_batch_size // num_shards
    resize_target = resize_ids if class_targets else transforms.resize
    with tf.device("CPU:0"):
        example_ids = tf.constant(source.example_ids)

    def training_example(count: tf.Tensor) -> Batch:
        step, offset = count // shard_size, shard_index * shard_size + count % shard_size
        position = step * global_batch_size + offset
        epoch, index = _locate(position, seed, len(source))
        images, view = source.read(index), (image_size, load_size, mirror, resize_target)
        views = _in_unit_range(_draw_view(images, *view, seed, epoch, index), images)
        hole_seed = tf.stack([_stream_key(seed, "hole"), epoch * _EPOCH_STRIDE + index])
        return make_example(views, index, hole_seed, _stream_key(seed, "noise"), position)

    def evaluation_example(index: tf.Tensor) -> Batch:
        images = source.read(index)
        resizes = (transforms.resize, resize_target)[: len(images)]
        views = tuple(each(image, image_size) for each, image in zip(resizes, images, strict=True))
        # Of no seed: all models are judged by the same holes.
        hole_seed = tf.stack([_stream_key(0, "evaluation hole"), index])
        return make_example(_in_unit_range(views, images), index, hole_seed, seed, index)

    def make_example(images, index, hole_seed, noise_key, noise_place) -> Batch:
        if class_targets:
            named = {"input_image": images[0], "target_ids": images[1]}
        else:
            named = source.task.make_example(images, hole_seed)
        noise_seed = tf.cast(tf.stack([noise_key, noise_place]) % NUM_NOISE_SEEDS, tf.int32)
        example = {**named, "noise_seed": noise_seed, "example_id": example_ids[index]}
        return {name: value[tf.newaxis] for name, value in example.items()} if batch_size == 1 else example

    if training:
        counts = tf.data.Dataset.counter(start_step * shard_size)
        examples = counts.map(training_example, tf.data.AUTOTUNE)
    else:
        examples = tf.data.Dataset.range(len(source)).map(evaluation_example, tf.data.AUTOTUNE)
    # A batch of one is its example: `batch` would copy the pixels, for as much time as making them takes.
    batches = examples if batch_size == 1 else examples.batch(batch_size, drop_remainder=training)
    return batches.prefetch(tf.data.AUTOTUNE).with_options(lean_options())


def keep_resized(source: Source, size: transforms.Size, cache_mib: int) -> Source:
    """Resizes the images of all pairs now, if there is room to keep them.

    Jitter then only cuts windows out of them; what `build_dataset` yields stays the same, bit for bit.

    Args:
      source: pairs of images.
      size: (height, width) in pixels: `load_size` of the pipeline to build, or
        `image_size` where nothing is cropped.
      cache_mib: they are kept if all of them, as float32, fit this many MiB.

    Returns:
      The resized pairs in memory, float32 in [-1, 1], or `source`.

    Raises:
      BadImageError: for files that cannot be decoded.
    """

    def read(index: tf.Tensor) -> transforms.Images:
        images = source.read(index)
        return _in_unit_range(tuple(transforms.resize(image, size) for image in images), images)

    with source.naming_bad_files():
        kept = keep(read, len(source), cache_mib * 2**20, "Resizing")
    return dataclasses.replace(source, read=kept) if kept else source


def example_indices(step: int, seed: int, num_examples: int, global_batch_size: int) -> np.ndarray:
    """Returns which examples the global batch of a training step holds.

    Args:
      step: training step, from 0.
      seed: as given to `build_dataset`.
      num_examples: length of the source.
      global_batch_size: examples per step.

    Returns:
      int64 [global_batch_size], indices into the source.
    """
    positions = range(step * global_batch_size, (step + 1) * global_batch_size)
    return np.array([_locate(tf.constant(place, tf.int64), seed, num_examples)[1] for place in positions])


def _locate(position: tf.Tensor, seed: int, num_examples: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns epoch and example index at a place of the endless training stream, int64 scalars."""
    epoch, place = position // num_examples, position % num_examples
    order_key = tf.stack([_stream_key(seed, "order"), epoch])
    last_index = tf.constant(num_examples - 1, tf.int64)
    return epoch, tf.random.experimental.index_shuffle(place, order_key, last_index)


def _draw_view(
    images: transforms.Images,
    image_size: transforms.Size,
    load_size: transforms.Size | None,
    mirror: bool,
    resize_target: transforms.Resize,
    seed: int,
    epoch: tf.Tensor,
    index: tf.Tensor,
) -> transforms.Images:
    """Returns what an epoch sees of a pair: images of `image_size`, in the range of `images`."""
    address = epoch * _EPOCH_STRIDE + index
    # Nothing is cropped where both sizes are the same.
    jitter_seed = tf.stack([_stream_key(seed, "jitter"), address])
    images = transforms.random_jitter(images, load_size or image_size, image_size, jitter_seed, resize_target)
    if mirror:
        images = transforms.random_mirror(images, tf.stack([_stream_key(seed, "mirror"), address]))
    return images


def _in_unit_range(views: transforms.Images, stored: transforms.Images) -> transforms.Images:
    """Maps views from the range of what is stored to [-1, 1]; class ids and floats stay."""
    return tuple(
        transforms.to_unit_range(view, image.dtype.max)
        if image.shape.rank == 3 and image.dtype.is_integer
        else view
        for view, image in zip(views, stored, strict=True)
    )


def _stream_key(seed: int, stream: str) -> int:
    """Returns an int64 key; the streams of one seed are independent of each other."""
    digest = hashlib.sha256(f"{seed} {stream}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)
