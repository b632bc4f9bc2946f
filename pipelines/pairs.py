"""The one input pipeline, for training and evaluation.

Every draw has an address: the order of an epoch, jitter, mirror and noise seeds
are pure functions of (seed, epoch, example) or (seed, place in the stream), so
training can start at any step without replaying the steps before it.
"""

import hashlib

import numpy as np
import tensorflow as tf

from pipelines import transforms
from pipelines.sources import Source

Batch = dict[str, tf.Tensor]

_EPOCH_STRIDE = 2**32  # more than there are examples in any source
_INT32_RANGE = 2**31


def build_dataset(
    source: Source,
    *,
    image_size: transforms.Size,
    batch_size: int,
    training: bool,
    seed: int = 0,
    load_size: transforms.Size | None = None,
    mirror: bool = False,
    start_step: int = 0,
    num_shards: int = 1,
    shard_index: int = 0,
    global_batch_size: int | None = None,
) -> tf.data.Dataset:
    """Builds the pipeline of one input worker.

    Training yields an endless stream, a new order every epoch; batches run across
    the ends of epochs, so that no example is ever dropped. Evaluation yields every
    example once, in order, whole, the last batch smaller where it must be.

    Args:
      source: the pairs.
      image_size: (height, width) in pixels of the batches.
      batch_size: examples per batch; with several replicas, of one replica.
      training: whether to shuffle, repeat, jitter and mirror.
      seed: fixes every draw.
      load_size: (height, width) in pixels to resize to before the random crop of
        `image_size`; None resizes to `image_size` without a crop.
      mirror: flip half of the pairs left to right.
      start_step: first training step of the stream.
      num_shards: number of input workers.
      shard_index: which of them this is; each takes its contiguous part of
        every global batch.
      global_batch_size: examples per training step over all workers and
        replicas; default `batch_size * num_shards`.

    Returns:
      Batches of `input_image` and `target_image`, float32 [B, H, W, C] in [-1, 1],
      `noise_seed`, int32 [B, 2], and `example_id`, string [B].

    Raises:
      ValueError: if sizes do not divide or do not fit.
    """
    global_batch_size = global_batch_size or batch_size * num_shards
    if global_batch_size % (num_shards * batch_size):
        raise ValueError(
            f"global_batch_size must be a multiple of num_shards * batch_size. "
            f"Received: {global_batch_size}, {num_shards} * {batch_size}"
        )
    if load_size and (load_size[0] < image_size[0] or load_size[1] < image_size[1]):
        raise ValueError(f"load_size must be at least image_size. Received: {load_size}, {image_size}")
    shard_size = global_batch_size // num_shards

    def training_example(count: tf.Tensor) -> Batch:
        step = start_step + count // shard_size
        position = step * global_batch_size + shard_index * shard_size + count % shard_size
        epoch, index = _locate(position, seed, len(source))
        address = epoch * _EPOCH_STRIDE + index
        pair = source.read(index)
        if load_size:
            jitter_seed = tf.stack([_stream_key(seed, "jitter"), address])
            pair = transforms.random_jitter(pair, load_size, image_size, jitter_seed)
        if mirror:
            pair = transforms.random_mirror(pair, tf.stack([_stream_key(seed, "mirror"), address]))
        return finish(pair, index, _stream_key(seed, "noise"), position)

    def evaluation_example(index: tf.Tensor) -> Batch:
        return finish(source.read(index), index, seed, index)

    with tf.device("CPU:0"):
        example_ids = tf.constant(source.example_ids)

    def finish(pair: transforms.Pair, index: tf.Tensor, noise_key: int, noise_place: tf.Tensor) -> Batch:
        images = [transforms.to_unit_range(transforms.resize(image, image_size)) for image in pair]
        return {
            "input_image": images[0],
            "target_image": images[1],
            "noise_seed": tf.cast(tf.stack([noise_key, noise_place]) % _INT32_RANGE, tf.int32),
            "example_id": example_ids[index],
        }

    if training:
        examples = tf.data.Dataset.counter().map(training_example, tf.data.AUTOTUNE)
    else:
        examples = tf.data.Dataset.range(len(source)).map(evaluation_example, tf.data.AUTOTUNE)
    options = tf.data.Options()
    options.deterministic = True
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
    """Returns epoch and example index at a place of the endless training stream."""
    epoch, place = position // num_examples, position % num_examples
    order_key = tf.stack([_stream_key(seed, "order"), epoch])
    max_index = tf.constant(num_examples - 1, tf.int64)
    return epoch, tf.random.experimental.index_shuffle(place, order_key, max_index)


def _stream_key(seed: int, stream: str) -> int:
    """Returns an int64 key, so that the streams of one seed are independent of each other."""
    digest = hashlib.sha256(f"{seed} {stream}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)
