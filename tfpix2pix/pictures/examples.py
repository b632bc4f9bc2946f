"""The network's tensors as pictures: the one place where they become what a person sees."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfpix2pix.pipelines.tasks.tasks import Example, Task
from tfpix2pix.pipelines.tasks.transforms import to_uint8

Pictures = npt.NDArray[np.uint8]  # [..., H, W, 3]

# Number of a sample -> that output of each example of a batch, as a person sees it, [B, H, W, 3].
ShowSample = Callable[[int], Pictures]


class ShownExamples(NamedTuple):
    """A batch of examples as a person sees them, each kind uint8 [B, H, W, 3]."""

    input: Pictures
    generated: Pictures
    target: Pictures


def show_image(image: npt.ArrayLike | tf.Tensor) -> Pictures:
    """Turns images of any number of channels into pictures.

    One channel is shown as gray, two as red and green. Of more than three, the first three are shown.

    Args:
      image: float32 [..., H, W, C] in [-1, 1].

    Returns:
      uint8 [..., H, W, 3].
    """
    return to_uint8(_as_rgb(tf.convert_to_tensor(image))).numpy()


def show_input(task: Task, example: Example) -> Pictures:
    """Turns the input of an example into a picture; holes of inpainting and gray photos are visible in it.

    Args:
      task: what the network has learned.
      example: `input_image`, float32 [..., H, W, C] in [-1, 1], and what else the task adds to an example.

    Returns:
      uint8 [..., H, W, 3].
    """
    return show_image(task.show_input(example))


def show_examples(task: Task, batch: Example, generated_image: tf.Tensor) -> ShownExamples:
    """Turns a batch and what the network made of it into pictures.

    Args:
      task: what the network has learned; it completes outputs, for example with the colours or the
        surroundings of the input.
      batch: `input_image` and `target_image`, float32 [B, H, W, C] in [-1, 1], and what else the task
        adds to an example.
      generated_image: like `target_image`.

    Returns:
      The pictures.
    """
    generated, target = (
        show_image(task.complete(batch, image)) for image in (generated_image, batch["target_image"])
    )
    return ShownExamples(show_input(task, batch), generated, target)


def _as_rgb(image: tf.Tensor) -> tf.Tensor:
    channels = image.shape[-1]
    if channels == 1:
        return tf.image.grayscale_to_rgb(image)
    if channels == 2:
        return tf.concat([image, -tf.ones_like(image[..., :1])], axis=-1)
    return image[..., :3]
