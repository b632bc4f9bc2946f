"""The size at which pictures go through a network: one place decides it, with TensorFlow operations."""

import dataclasses
from typing import Any

import tensorflow as tf

from tfpix2pix.config.choices import OUTPUT_SIZES
from tfpix2pix.config.fields import Config
from tfpix2pix.config.options import parse_size, text
from tfpix2pix.networks.inference import Generate
from tfpix2pix.networks.tiles import LARGE_WINDOW, MAX_WHOLE_PIXELS, generate_in_tiles
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.tasks.tasks import Task
from tfpix2pix.pipelines.tasks.transforms import Size

RESIZED, TILED, NATIVE = "resized", "tiled", "native"
MODES = (RESIZED, TILED, NATIVE)
INPUT, TRAINED = OUTPUT_SIZES


@dataclasses.dataclass(frozen=True)
class Scale:
    """How a picture is brought to the size that a network knows.

    A network draws in pixels: one that was trained at 128 px draws windows of 10 px, also where the picture
    is six times as large and its windows have 60 px.

    Attributes:
      mode: `resized`: the picture is resized to `image_size`, as the pairs of an evaluation are. `tiled`: it
        keeps its size and goes through in overlapping windows of `image_size`. `native`: it keeps its size.
      image_size: (height, width) in px; None for `native`.
    """

    mode: str = NATIVE
    image_size: Size | None = None

    def __post_init__(self):
        if self.mode not in MODES or (self.mode == NATIVE) != (self.image_size is None):
            raise ValueError(f"no such scale: {self.mode}, {self.image_size}")

    def describe(self, output_size: str = INPUT) -> str:
        """Returns a sentence for people: at which size pictures are translated."""
        if self.mode == RESIZED:
            outputs = "its input's size" if output_size == INPUT else "that size"
            return f"each picture is resized to {text(self.image_size)} px, and its output has {outputs}"
        if self.mode == TILED:
            return (
                "each picture keeps its size, and is translated in overlapping windows of "
                f"{text(self.image_size)} px"
            )
        return (
            f"each picture keeps its size; more than {MAX_WHOLE_PIXELS} px are translated in overlapping "
            f"windows of {text(LARGE_WINDOW)} px"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the scale as a model card holds it."""
        return {"image_size": list(self.image_size) if self.image_size else None, "mode": self.mode}


def scale_from_json(written: Any) -> Scale:
    """Returns the scale that `Scale.to_json` wrote.

    Raises:
      ValueError: for anything else.
    """
    try:
        size = written["image_size"]
        return Scale(written["mode"], None if size is None else (int(size[0]), int(size[1])))
    except (LookupError, TypeError) as error:
        raise ValueError(f"no such scale: {written}") from error


def trained_scale(config: Config) -> Scale:
    """Returns the scale of a training: resized images, or windows of images that keep their size."""
    return Scale(RESIZED if config.resizes else TILED, config.image_size)


def choose_scale(image_size: Any, trained: Scale) -> Scale:
    """Returns the scale that a person asks for.

    Args:
      image_size: None for the scale of the training, `native`, or a size to resize to: N, "N", "HxW" or
        (height, width) in px.
      trained: the scale of the training.

    Raises:
      UsageError: for any other value.
    """
    if image_size is None:
        return trained
    return Scale() if image_size == NATIVE else Scale(RESIZED, parse_size(image_size, "image_size"))


def check_output_size(scale: Scale, output_size: str) -> None:
    """Raises UsageError for a size of outputs that there is not, or that does not go with the scale."""
    if output_size not in OUTPUT_SIZES:
        raise UsageError(f"`output_size` must be one of {', '.join(OUTPUT_SIZES)}. Received: {output_size}")
    if output_size == TRAINED and scale.mode != RESIZED:
        raise UsageError("`output_size=trained` is for pictures that are resized, and these keep their size")


def translate_pictures(
    task: Task, generate: Generate, scale: Scale = Scale(), output_size: str = INPUT
) -> Generate:
    """Returns a function from the pictures of a task to its pictures, which a network computes in between.

    Args:
      task: makes an example of a picture, and a picture of the output.
      generate: the network: (input_image [B, H, W, C], noise_seed [B, 2]) -> generated_image.
      scale: the size at which pictures go through the network. With `native` they go through whole.
      output_size: `input` brings the output back to the size of the picture before the task completes it, so
        that what the task takes from the picture keeps all its pixels; `trained` leaves it at
        `scale.image_size`.

    Returns:
      (pictures float32 [B, H, W, C] in [-1, 1], noise_seed int32 [B, 2]) -> pictures. A picture that has the
      size of the scale already gives the same bits as at its own size.
    """
    check_output_size(scale, output_size)
    if scale.image_size is not None and scale.mode == RESIZED:
        return _translate_resized(task, generate, scale.image_size, output_size)
    if scale.image_size is not None:
        generate = generate_in_tiles(generate, scale.image_size)

    def translate(picture: tf.Tensor, noise_seed: tf.Tensor) -> tf.Tensor:
        example = task.read_picture(picture)
        return task.complete(example, generate(example["input_image"], noise_seed))

    return translate


def compile_pictures(translate: Generate, task: Task, latent_size: int) -> Generate:
    """Compiles a function that `translate_pictures` returns once for all sizes of pictures.

    Args:
      translate: the function.
      task: the task of its pictures.
      latent_size: number of values of the latent vector that noise seeds may bring along.
    """
    pictures = tf.TensorSpec([None, None, None, task.picture_channels[0] + task.has_instances], tf.float32)
    seeds = tf.TensorSpec([None, None if latent_size else 2], tf.int32)
    return tf.function(translate, input_signature=[pictures, seeds], autograph=False)


def _translate_resized(task: Task, generate: Generate, size: Size, output_size: str) -> Generate:
    def translate(picture: tf.Tensor, noise_seed: tf.Tensor) -> tf.Tensor:
        example = task.read_picture(task.resize_picture(picture, size))
        generated_image = generate(example["input_image"], noise_seed)
        if output_size == INPUT:
            generated_image = task.resize(generated_image, tf.shape(picture)[1:3])
            example = task.read_picture(picture)
        return task.complete(example, generated_image)

    return translate
