"""Makes one example of a training or of an evaluation: every draw of it has an address.

The order of an epoch, jitter, mirroring and noise seeds are pure functions of (seed, epoch, example) or of
(seed, place in the stream).
"""

import dataclasses
import hashlib
from typing import NamedTuple

import tensorflow as tf

from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.tasks import transforms

Batch = dict[str, tf.Tensor]

_EPOCH_STRIDE = 2**32  # more examples than any source has
NUM_NOISE_SEEDS = 2**31  # as many numbers as int32 has from 0 upwards


class View(NamedTuple):
    """How the images of a pair are resized, cropped and flipped; see `batches.build_dataset`.

    `resizes` has a function for the input, the target and the ids of instances.
    """

    image_size: transforms.Size
    load_size: transforms.Size | None
    mirror: bool
    resizes: tuple[transforms.Resize, ...]
    resize: bool


@dataclasses.dataclass(frozen=True)
class Examples:
    """Makes the examples of a pipeline, one at a time.

    Attributes:
      source: the pairs.
      view: how their images are resized, cropped and flipped.
      class_targets: whether the targets are class ids.
      seed: number from which every draw follows.
      example_ids: the names of the pairs, string [N].
    """

    source: Source
    view: View
    class_targets: bool
    seed: int
    example_ids: tf.Tensor

    def for_training(self, position: tf.Tensor, given: transforms.Images = ()) -> Batch:
        """Makes the example at a place of the endless training stream.

        Args:
          position: the place, an int64 scalar.
          given: the images at that place, for pairs that come one after the other; `()` reads them.
        """
        if given:
            epoch, index = position // len(self.source), position % len(self.source)
        else:
            epoch, index = locate(position, self.seed, len(self.source))
        images = given or self.source.read(index)
        views = in_unit_range(_draw_view(images, self.view, self.seed, epoch, index), images)
        hole_seed = tf.stack([_stream_key(self.seed, "hole"), epoch * _EPOCH_STRIDE + index])
        noise = (_stream_key(self.seed, "noise"), position)
        return self._name(views, index, hole_seed, noise)

    def for_evaluation(self, index: tf.Tensor) -> Batch:
        """Makes the example of a pair for evaluation."""
        images = self.source.read(index)
        if self.view.resize:
            size = self.view.image_size
            views = tuple(each(image, size) for each, image in zip(self.view.resizes, images, strict=False))
        else:
            views = tuple(tf.cast(image, tf.float32) for image in images)
        # `seed` has no part in the holes, so that all models are judged by the same ones.
        hole_seed = tf.stack([_stream_key(0, "evaluation hole"), index])
        return self._name(in_unit_range(views, images), index, hole_seed, (self.seed, index))

    def _name(
        self, images: transforms.Images, index: tf.Tensor, hole_seed: tf.Tensor, noise: tuple[int, tf.Tensor]
    ) -> Batch:
        """Returns the tensors of an example by name; the noise seed follows from a key and a place."""
        if self.class_targets:
            named = {"input_image": images[0], "target_ids": images[1]}
        else:
            named = self.source.task.make_example(images, hole_seed)
        noise_seed = tf.cast(tf.stack(noise) % NUM_NOISE_SEEDS, tf.int32)
        return {**named, "noise_seed": noise_seed, "example_id": tf.gather(self.example_ids, index)}


def locate(position: tf.Tensor, seed: int, num_examples: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns epoch and example index at a place of the endless training stream, int64 scalars."""
    epoch, place = position // num_examples, position % num_examples
    order_key = tf.stack([_stream_key(seed, "order"), epoch])
    last_index = tf.constant(num_examples - 1, tf.int64)
    return epoch, tf.random.experimental.index_shuffle(place, order_key, last_index)


def _draw_view(
    images: transforms.Images, view: View, seed: int, epoch: tf.Tensor, index: tf.Tensor
) -> transforms.Images:
    """Returns what an epoch shows of a pair: images of the view's size, in the range of `images`."""
    address = epoch * _EPOCH_STRIDE + index
    jitter_seed = tf.stack([_stream_key(seed, "jitter"), address])
    # If both sizes are the same, jitter crops nothing.
    load_size = view.load_size or view.image_size
    if view.resize:
        images = transforms.random_jitter(images, load_size, view.image_size, jitter_seed, view.resizes)
    else:
        images = transforms.random_window(images, view.image_size, jitter_seed)
    if view.mirror:
        images = transforms.random_mirror(images, tf.stack([_stream_key(seed, "mirror"), address]))
    return images


def in_unit_range(views: transforms.Images, stored: transforms.Images) -> transforms.Images:
    """Maps views from the range of the stored images to [-1, 1]; class ids and floats stay as they are."""
    return tuple(
        transforms.to_unit_range(view, image.dtype.max)
        if image.shape.rank == 3 and image.dtype.is_integer
        else view
        for view, image in zip(views, stored, strict=True)
    )


def _stream_key(seed: int, stream: str) -> int:
    """Returns the int64 key of one of a seed's streams, which are independent of each other."""
    digest = hashlib.sha256(f"{seed} {stream}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)
