"""The latent vectors that pictures are translated with: encoded from a picture, or between two ends."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfpix2pix.networks.inference import sample_seed
from tfpix2pix.networks.latent import STREAM, draw_normal
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.files.image_files import load_image
from tfpix2pix.pipelines.tasks.transforms import to_unit_range
from tfpix2pix.run.generator import load_encoder
from tfpix2pix.translate.options import Options
from tfpix2pix.translate.translator import Translator

Latents = npt.NDArray[np.float32]  # [N, latent_size]
Encode = Callable[[tf.Tensor], tf.Tensor]  # float32 [B, H, W, C] in [-1, 1] -> float32 [B, latent_size]


def find_latents(translator: Translator, options: Options) -> Latents | None:
    """Returns the latent vectors of the outputs of each picture; None where the noise seed decides them.

    Args:
      translator: the model.
      options: `latent_from` gives one vector, `interpolate` as many as it says.

    Raises:
      UsageError: when the model has no latent vector, or no encoder where a picture has to be encoded.
      BadImageError: when such a picture cannot be read.
    """
    if not (options.latent_from or options.interpolate):
        return None
    if not translator.latent_size:
        name = "latent_from" if options.latent_from else "interpolate"
        raise UsageError(
            f"`{name}` is for a model with a latent vector, which {translator.title} does not have; train "
            "one with `method=bicyclegan`, or with `latent_size=8`"
        )
    if options.latent_from:
        return _find_end(translator, options.latent_from, "latent_from")[None]
    first, last, count = options.ends
    ends = [_find_end(translator, end, "interpolate") for end in (first, last)]
    shares = np.linspace(0, 1, count, dtype=np.float32)[:, None]
    return (1 - shares) * ends[0] + shares * ends[1]


def _find_end(translator: Translator, end: str, name: str) -> np.ndarray:
    """Returns the latent vector of what the option `name` gives: a noise seed, or the file of a picture."""
    if re.fullmatch(r"[+-]?[0-9]+", end):
        return draw_normal(sample_seed(int(end))[None], translator.latent_size, STREAM)[0].numpy()
    if not Path(end).is_file():
        raise UsageError(
            f"`{name}` takes a noise seed, which is a whole number, or the file of a picture; "
            f"{end} is neither"
        )
    return encode_latent(translator, load_image(Path(end), translator.task.picture_channels[1]))


def compile_encoder(translator: Translator) -> Encode | None:
    """Returns what finds the latent vectors of images, with a run of `method=bicyclegan`; else None."""
    config = translator.config
    if translator.step is None or config is None or config.method != "bicyclegan":
        return None
    encoder, _ = load_encoder(translator.workdir, translator.step)
    return tf.function(
        lambda images: encoder(images, training=False)[0], reduce_retracing=True, autograph=False
    )


def encode_latent(translator: Translator, picture: npt.NDArray[np.uint8]) -> np.ndarray:
    """Returns the latent vector that the encoder of a run finds in a picture, float32 [latent_size].

    Args:
      translator: a run of `method=bicyclegan`.
      picture: uint8 [H, W, C], of the kind that the run generates; it is resized to the size of the training.
        Of a photo, the encoder sees what the task learns to make: for `colorize`, its colours.

    Raises:
      UsageError: when the model has no encoder.
    """
    if translator.step is None:
        raise UsageError(
            f"the encoder of latent vectors is in a run, and {translator.title} is a SavedModel; take the run"
        )
    encoder, config = load_encoder(translator.workdir, translator.step)
    task = translator.task
    resized = task.resize(to_unit_range(picture), config.image_size)
    target = task.make_example((resized, resized), tf.zeros([2], tf.int64))["target_image"]
    mean, _ = encoder(target[None], training=False)
    return mean[0].numpy()
