"""Opens a trained generator, from a run or a SavedModel, and translates images with it."""

import functools
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.export.meanings import find_meaning
from tfpix2pix.export.opening import load_saved_model, read_config, read_scale, read_task, read_told
from tfpix2pix.export.versions import fetch_model, find_version
from tfpix2pix.networks.inference import (
    OVERSHOOT,
    Generate,
    cast_kernels,
    compile_generator,
    generator_of,
    sample_seed,
)
from tfpix2pix.networks.latent import attach_latent, find_latent, hold_latent
from tfpix2pix.networks.latent_values import spread_latents
from tfpix2pix.networks.scale import (
    INPUT,
    NATIVE,
    check_output_size,
    choose_scale,
    compile_pictures,
    trained_scale,
    translate_pictures,
)
from tfpix2pix.networks.tiles import tile_large_images
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.labels.label_files import colour_levels
from tfpix2pix.pipelines.labels.palettes import LARGEST_ID
from tfpix2pix.pipelines.tasks.transforms import to_uint8, to_uint16, to_unit_range
from tfpix2pix.run import splits
from tfpix2pix.run.folder import read_shapes as read_run_shapes
from tfpix2pix.run.generator import load_generator
from tfpix2pix.run.weights import settle_weights

_TO_INTEGERS = {np.dtype(np.uint8): to_uint8, np.dtype(np.uint16): to_uint16}


def translate_images(generator: keras.Model, images: npt.ArrayLike, noise_seed: int = 0) -> np.ndarray:
    """Translates an image, or a batch of equally large ones, at their own size.

    A Keras model does not know at which size it was trained, so nothing is resized: resize the images to that
    size first, or use a `Translator`, which knows it.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`, or the `Pix2Pix` that holds it.
      images: uint8, uint16, or float in [-1, 1]; [H, W, C] or [B, H, W, C], any H and W.
      noise_seed: seed of the noise, which is the same for every image.

    Returns:
      The generated images, with the height and width of `images`: uint8 for uint8, uint16 for uint16, and
      float32 in [-1, 1] for floats.

    Raises:
      ValueError: when `images` have another shape, type or range.

    Examples:
      >>> generator = unet_generator((32, 32), base_filters=4)
      >>> translate_images(generator, np.zeros((40, 50, 3), np.uint8)).shape
      (40, 50, 3)
    """
    generator = generator_of(generator)

    def generate(input_image, noise_seed):
        return generator([input_image, noise_seed], training=False)

    return _translate(generate, generator.inputs[0].shape[-1], images, noise_seed)


class Translator:
    """Translates images with a trained model: a run, or a SavedModel.

    Args:
      model: the workdir of a run; or `saved_models/<name>`, of which the newest version is taken; or the
        folder of one version.
      checkpoint: which checkpoint of a run: `latest` (the default), `best` or a step, 2 or "2".
      image_size: the size in px at which images go through the network: N, "HxW" or (height, width), to which
        they are resized; or `native`, their own size, where those of more than `tiles.MAX_WHOLE_PIXELS` px go
        through in overlapping windows. None takes the size of the training, or `native` for a SavedModel that
        does not say it. A model of a run with `resize=none` takes images of any size then, in windows.
      output_size: `input` brings outputs back to the size of their image; `trained` leaves them at the size
        at which they were generated.
      weights: for a run: `ema` takes the average of its weights over the steps, which a run with `ema_decay`
        keeps, and `raw` the weights of the step. None takes the average where there is one.
      batch_statistics: for a run: whether layers that normalise by the statistics of the batch in training do
        so here too, so that an output depends on the images that are translated with it.

    Attributes:
      title: what was opened, for people.
      workdir: folder of the run, or what was given of a SavedModel.
      step: step of the checkpoint; None for a SavedModel.
      version: folder of the SavedModel; None for a run.
      weights: which weights these are, `ema` or `raw`; None for a SavedModel that does not say it.
      task: what was learned. A call of the translator takes and returns the task's pictures, for example
        photos without colours and with them.
      meaning: what the pictures stand for: their classes, types and files; `UNKNOWN` for a run or a
        SavedModel of an earlier version.
      input_channels: number of channels of the network's input.
      latent_size: number of values of the network's latent vector; 0 where it has none.
      generator: the network as a Keras model; None for a SavedModel.
      generate: the network itself, on tensors, with a noise seed for each image. It resizes nothing.
      scale: how images are brought to the size that the network knows.
      output_size: the same.
      generate_pictures: what a call does, on float32 tensors in [-1, 1], with a noise seed for each image.

    Raises:
      UsageError: when `model` is neither a run nor a SavedModel, or another argument does not apply.
      UserError: when the model cannot be read.

    Examples:
      >>> Translator(workdir)(np.zeros((40, 50, 3), np.uint8), noise_seed=7).shape
      (40, 50, 3)
    """

    def __init__(
        self,
        model: str | Path,
        checkpoint: str | int | None = None,
        *,
        image_size: int | str | tuple[int, int] | None = None,
        output_size: str = INPUT,
        batch_statistics: bool = False,
        weights: str | None = None,
    ):
        model = fetch_model(model, checkpoint)
        self.workdir = model
        self.step: int | None = None
        self.version = find_version(model)
        self._run_config: Config | None = None
        self.generator: keras.Model | None = None
        if self.version is None:
            generator, config, self.step = load_generator(model, checkpoint, weights=weights)
            self._run_config = config
            self.weights = settle_weights(model, weights)
            self.title = f"{model}, step {self.step}{f', {weights} weights' if weights else ''}"
            self.input_channels = generator.inputs[0].shape[-1]
            latent = find_latent(generator)
            self.latent_size = latent.size if latent else 0
            self.task, trained = splits.make_task(config), trained_scale(config)
            self.generator = cast_kernels(generator)
            self.generate = compile_generator(self.generator, batch_statistics)
        elif checkpoint is not None:
            raise UsageError(
                f"`checkpoint` is for a run, and {model} is a SavedModel: name the folder of a version"
            )
        elif batch_statistics or weights:
            name = "batch_statistics" if batch_statistics else "weights"
            raise UsageError(f"`{name}` is for a run, and {model} is a SavedModel")
        else:
            self.title, self.weights = str(self.version), read_told(self.version, "weights")
            self.generate, channels, self.latent_size = load_saved_model(self.version)
            self.input_channels = channels[0]
            self.task, trained = read_task(self.version, channels), read_scale(self.version)
        self.meaning = find_meaning(model)
        self.scale, self.output_size = choose_scale(image_size, trained), output_size
        check_output_size(self.scale, output_size)
        generate = tile_large_images(self.generate) if self.scale.mode == NATIVE else self.generate
        self.generate_pictures = compile_pictures(
            hold_latent(translate_pictures(self.task, generate, self.scale, output_size), self.latent_size),
            self.task,
            self.latent_size,
        )

    @functools.cached_property
    def config(self) -> Config | None:
        """What the model was trained on: the run's configuration, or what the card of a SavedModel says.

        None for a SavedModel without a card, or with a card that does not say it. What no card says, such
        as `data_dir`, has its default.

        Raises:
          UserError: when there is a card and it cannot be read.
        """
        return self._run_config if self.version is None else read_config(self.version)

    @functools.cached_property
    def side_by_side(self) -> list[float] | None:
        """The shapes of the training's side-by-side pairs; see `pair_shapes.measure_shapes`.

        None for a model of an earlier version.
        """
        version = self.version
        return read_run_shapes(self.workdir) if version is None else read_told(version, "side_by_side")

    def __call__(
        self,
        images: npt.ArrayLike,
        noise_seed: int = 0,
        sample: int = 0,
        dtype: npt.DTypeLike | None = None,
        latent: npt.ArrayLike | None = None,
        instance_ids: npt.ArrayLike | None = None,
    ) -> np.ndarray:
        """Translates an image, or a batch of equally large ones.

        Args:
          images: uint8, uint16, or float in [-1, 1]; [H, W, C] or [B, H, W, C], any H and W, and C as the
            task's pictures have. A model that was trained on class ids also takes ids: uint8 or uint16,
            [H, W], [H, W, 1] or [B, H, W, 1].
          noise_seed: seed of the noise, which is the same for every image.
          sample: which one of the many outputs that one `noise_seed` gives, from 0.
          dtype: uint8, uint16 or float32, the type of the result; None takes the one below.
          latent: the latent vector of all images, [latent_size], or of each, [B, latent_size]. None draws it
            from `noise_seed` and `sample`.
          instance_ids: for a model with `boundaries`: the number of the instance of each pixel, from 0 to
            65,535, [H, W] or [B, H, W]. None takes the classes for the instances.

        Returns:
          The generated images, of the type that `translate_images` returns, with the height and width of
          `images`; with `output_size=trained`, those of `scale.image_size`.

        Raises:
          ValueError: when `images` have another shape, type or range, or `latent` another shape
            or values that are not finite.
        """
        channels = self.task.picture_channels[0]
        images = self._colour_ids(np.asarray(images))
        ids = None if instance_ids is None else self._check_instances(np.asarray(instance_ids), images)
        latents = None if latent is None else self._check_latent(latent, images)

        def generate(pictures: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
            if latents is not None:
                seeds = attach_latent(seeds, latents)
            return self.generate_pictures(self.task.add_instances(pictures, ids), seeds)

        return _translate(generate, channels, images, noise_seed, sample, dtype)

    def _check_latent(self, latent: npt.ArrayLike, images: np.ndarray) -> np.ndarray:
        """Returns the latent vector of each image, float32 [B, latent_size]."""
        if not self.latent_size:
            raise ValueError(f"{self.title} has no latent vector, so `latent` has no effect on it")
        return spread_latents(latent, len(images) if images.ndim == 4 else 1, self.latent_size)

    def _check_instances(self, ids: np.ndarray, images: np.ndarray) -> tf.Tensor:
        """Returns ids as the network takes them, float32 [B, H, W, 1]."""
        if not self.task.has_instances:
            raise ValueError(f"`instance_ids` is for a model with `boundaries`, and {self.title} has none")
        fits = np.issubdtype(ids.dtype, np.integer) and ids.shape == images.shape[:-1]
        if not fits or ids.min() < 0 or ids.max() > LARGEST_ID:
            raise ValueError(
                f"`instance_ids` must be whole numbers from 0 to {LARGEST_ID}, {list(images.shape[:-1])}. "
                f"Received: {ids.dtype}, {list(ids.shape)}"
            )
        batch = ids if images.ndim == 4 else ids[None]
        return to_unit_range(batch[..., None], tf.uint16.max)

    def _colour_ids(self, images: np.ndarray) -> np.ndarray:
        """Returns class ids, which are arrays of one channel, in colours; other images as they are."""
        side = self.meaning.input
        if side is None or not side.ids or images.dtype not in (np.uint8, np.uint16):
            return images
        if images.ndim == 2:
            images = images[..., None]
        if images.ndim not in (3, 4) or images.shape[-1] != 1:
            return images
        return colour_levels(images[..., 0], side).numpy()


def _translate(
    generate: Generate,
    channels: int,
    images: npt.ArrayLike,
    noise_seed: int,
    sample: int = 0,
    dtype: npt.DTypeLike | None = None,
) -> np.ndarray:
    images = np.asarray(images)
    _check_images(images, channels)
    batch = images if images.ndim == 4 else images[None]
    is_integer = np.issubdtype(images.dtype, np.integer)
    max_value = np.iinfo(images.dtype).max if is_integer else None
    seeds = tf.tile(sample_seed(noise_seed, sample)[None], [len(batch), 1])
    # Nothing holds the input any longer than it is needed: it takes as much memory as all other pixels.
    generated_image = generate(
        to_unit_range(batch, max_value) if max_value else tf.constant(batch, tf.float32), seeds
    )
    wanted = np.dtype(dtype or (images.dtype if max_value else np.float32))
    if wanted in _TO_INTEGERS:
        generated_image = _TO_INTEGERS[wanted](generated_image)
    return generated_image.numpy() if images.ndim == 4 else generated_image[0].numpy()


def _check_images(images: np.ndarray, channels: int) -> None:
    if images.ndim not in (3, 4) or images.shape[-1] != channels or 0 in images.shape:
        raise ValueError(
            f"`images` must be [H, W, {channels}] or [B, H, W, {channels}]. Received: shape {images.shape}"
        )
    if images.dtype in (np.uint8, np.uint16):
        return
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"`images` must be uint8, uint16, or float in [-1, 1]. Received: {images.dtype}")
    low, high = float(images.min()), float(images.max())
    if not (low >= -1 - OVERSHOOT and high <= 1 + OVERSHOOT):
        raise ValueError(
            "`images` of floats must be in [-1, 1]; give values from 0 to 255 as uint8. "
            f"Received: {low:g} to {high:g}"
        )
