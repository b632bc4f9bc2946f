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
    cast_kernels,
    compile_generator,
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
from tfpix2pix.pipelines.tasks.transforms import to_unit_range
from tfpix2pix.run import splits
from tfpix2pix.run.folder import read_shapes as read_run_shapes
from tfpix2pix.run.generator import load_generator
from tfpix2pix.run.weights import settle_weights
from tfpix2pix.translate.arrays import translate_arrays


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

        return translate_arrays(generate, channels, images, noise_seed, sample, dtype)

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
