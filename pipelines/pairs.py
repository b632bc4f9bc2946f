"""The one input pipeline, for training and evaluation.

Every draw has an address: the order of an epoch, jitter, mirror and noise seeds
are pure functions of (seed, epoch, example) or (seed, place in the stream), so
training can start at any step without replaying the steps before it.
"""

import hashlib

import numpy as np
import tensorflow as tf

from pipelines import labels, transforms
from pipelines.sources import Source

Batch = dict[str, tf.Tensor]

_EPOCH_STRIDE = 2**32  # more than the examples of any source
_NUM_NOISE_SEEDS = 2**31  # as many as int32 has from 0


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
      Batches of `input_image` and `target_image`, float32 [B, H, W, C] in [-1, 1],
      or with class targets `target_ids`, uint8 [B, H, W], instead of the latter;
      `noise_seed`, int32 [B, 2]; `example_id`, string [B].

    Raises:
      ValueError: if the sizes do not go together.
    """
    global_batch_size = global_batch_size or batch_size * num_shards
    if global_batch_size % (num_shards * batch_size):
        raise ValueError(
            "global_batch_size must be a multiple of num_shards * batch_size. "
            f"Received: {global_batch_size}, {num_shards} * {batch_size}"
        )
    if load_size and (load_size[0] < image_size[0] or load_size[1] < image_size[1]):
        raise ValueError(f"load_size must be at least image_size. Received: {load_size}, {image_size}")
    shard_size = global_batch_size // num_shards
    resize_target = labels.resize_ids if class_targets else transforms.resize
    with tf.device("CPU:0"):
        example_ids = tf.constant(source.example_ids)

    def training_example(count: tf.Tensor) -> Batch:
        step, offset = count // shard_size, shard_index * shard_size + count % shard_size
        position = step * global_batch_size + offset
        epoch, index = _locate(position, seed, len(source))
        view = (image_size, load_size, mirror, resize_target)
        pair = _draw_view(source.read(index), *view, seed, epoch, index)
        return _as_example(pair, example_ids[index], _stream_key(seed, "noise"), position)

    def evaluation_example(index: tf.Tensor) -> Batch:
        input_image, target_image = source.read(index)
        pair = (transforms.resize(input_image, image_size), resize_target(target_image, image_size))
        return _as_example(pair, example_ids[index], seed, index)

    if training:
        counts = tf.data.Dataset.counter(start_step * shard_size)
        examples = counts.map(training_example, tf.data.AUTOTUNE)
    else:
        examples = tf.data.Dataset.range(len(source)).map(evaluation_example, tf.data.AUTOTUNE)
    options = tf.data.Options()
    options.deterministic = True
    # They gain little here, and copy all the pixels that the source keeps in memory.
    options.experimental_optimization.apply_default_optimizations = False
    batches = examples.batch(batch_size, drop_remainder=training)
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


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
    pair: transforms.Pair,
    image_size: transforms.Size,
    load_size: transforms.Size | None,
    mirror: bool,
    resize_target: transforms.Resize,
    seed: int,
    epoch: tf.Tensor,
    index: tf.Tensor,
) -> transforms.Pair:
    """Returns what an epoch sees of a pair: images of `image_size`, in the range of `pair`."""
    address = epoch * _EPOCH_STRIDE + index
    if load_size:
        jitter_seed = tf.stack([_stream_key(seed, "jitter"), address])
        pair = transforms.random_jitter(pair, load_size, image_size, jitter_seed, resize_target)
    else:
        pair = (transforms.resize(pair[0], image_size), resize_target(pair[1], image_size))
    if mirror:
        pair = transforms.random_mirror(pair, tf.stack([_stream_key(seed, "mirror"), address]))
    return pair


def _as_example(
    pair: transforms.Pair, example_id: tf.Tensor, noise_key: int, noise_place: tf.Tensor
) -> Batch:
    is_image = pair[1].shape.rank == 3
    target = {"target_image": transforms.to_unit_range(pair[1])} if is_image else {"target_ids": pair[1]}
    return {
        "input_image": transforms.to_unit_range(pair[0]),
        **target,
        "noise_seed": tf.cast(tf.stack([noise_key, noise_place]) % _NUM_NOISE_SEEDS, tf.int32),
        "example_id": example_id,
    }


def _stream_key(seed: int, stream: str) -> int:
    """Returns an int64 key; the streams of one seed are independent of each other."""
    digest = hashlib.sha256(f"{seed} {stream}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)
