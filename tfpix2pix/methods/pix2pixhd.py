"""pix2pixHD: G and D judge one translation, then G steps, then D (Wang et al., CVPR 2018)."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.config.checks import name_encoding
from tfpix2pix.config.config import Config
from tfpix2pix.methods import losses, pix2pix
from tfpix2pix.methods.coarse_to_fine import CoarseToFineStep, Stage
from tfpix2pix.methods.losses import Translated
from tfpix2pix.methods.optimizers import build_optimizer
from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.methods.step import Batch, TranslationStep, add_own_losses, descend
from tfpix2pix.networks.build import Builder, build_feature_encoder
from tfpix2pix.networks.filtering import share_transforms
from tfpix2pix.networks.inside import split_global_generator
from tfpix2pix.networks.instance_features import find_features, with_features
from tfpix2pix.networks.keras_versions import scale_loss
from tfpix2pix.networks.variables import ENCODER, model_variables
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.meaning import Palette
from tfpix2pix.pipelines.tasks.transforms import resize, resize_nearest


class HDTrainStep(TrainStep):
    """The networks of pix2pixHD, their optimizers, and one step of both.

    Both losses are computed before either network moves, where pix2pix updates D first. So each
    image is judged once. The arguments are those of `TrainStep` and one more, and its attributes and errors
    too.

    Args:
      generator: as for `TrainStep`.
      discriminator: the same.
      encoder: E, `[target_image, instances] -> features`, for a generator with features of instances, whose
        optimizer updates E too; None for one without.
      generator_variables: as for `TrainStep`, without those of E.
      **settings: the other arguments of `TrainStep`.

    Source: Wang et al., CVPR 2018, Sec. 3.2; the order is that of the original code's `train.py`.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model | None = None,
        *,
        encoder: keras.Model | None = None,
        generator_variables: Sequence[Any] | None = None,
        **settings: Any,
    ):
        trained = list(generator.trainable_variables if generator_variables is None else generator_variables)
        self.encoder: Any = encoder
        self._drawn: Any = None
        self._with_features: keras.Model | None = None
        if encoder is not None:
            trained += encoder.trainable_variables
            self._with_features = with_features(generator)
            self._drawn = find_features(generator)
        super().__init__(generator, discriminator, generator_variables=trained, **settings)

    @tf.autograph.experimental.do_not_convert
    def replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes one step on this replica's batch and counts it."""
        if self.discriminator is None:
            return super().replica_step(batch)
        input_image, target_image = batch["input_image"], batch["target_image"]
        with tf.GradientTape(persistent=True) as tape:
            given = self.give(batch)
            generated_image, *for_terms = self._generate(given)
            with share_transforms():
                target_features, real_logits = self._judge(input_image, target_image)
                generated_features, generated_logits = self._judge(input_image, generated_image)

            gan = self.share(self.gan_loss.generator_gan_loss(generated_logits))
            l1 = self.share(losses.l1_loss(target_image, generated_image))
            terms, weighted_terms = self._add_terms(
                Translated(
                    input_image,
                    target_image,
                    generated_image,
                    tuple(target_features),
                    tuple(generated_features),
                ),
                for_terms,
                given,
            )
            generator_loss = add_own_losses(gan + weighted_terms + self.lambda_l1 * l1, self.generator)
            scaled_generator_loss = scale_loss(self.generator_optimizer, generator_loss)

            values = self._discriminator_losses(real_logits, generated_logits)
            scaled_discriminator_loss = scale_loss(self.discriminator_optimizer, values["discriminator_loss"])
        trained = self.generator_variables
        descend(tape, scaled_generator_loss, self.generator, self.generator_optimizer, batch, trained)
        descend(tape, scaled_discriminator_loss, self.discriminator, self.discriminator_optimizer, batch)
        with tf.control_dependencies([input_image]):
            self.step.assign_add(1)
        return {
            **values,
            "generator_gan_loss": gan,
            **terms,
            "l1_loss": l1,
            "generator_loss": generator_loss,
        }

    def encode(self, batch: Batch, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what E finds in the targets of a batch, and the instance that each pixel belongs to.

        Args:
          batch: the tensors that `inputs` names.
          training: whether `batch` normalisation uses the batch's statistics.

        Returns:
          float32 [B, H, W, features], and int32 [B, H, W] as `DrawFeatures.find_instances` returns it.
        """
        instances = self._drawn.find_instances(batch["input_image"])
        return self.encoder([batch["target_image"], instances], training=training), instances

    def give(self, batch: Batch) -> list[tf.Tensor]:
        """Returns what the generator takes of a batch in training; with an encoder, what that finds too."""
        encoded = [] if self.encoder is None else [self.encode(batch, training=True)[0]]
        return [*super().give(batch), *encoded]

    @property
    def trained_network(self) -> keras.Model:
        """The generator, whose features are an input where an encoder finds them."""
        return self._with_features or self.generator

    def variables(self) -> dict[str, tf.Variable]:
        """Returns all that a checkpoint holds, by name."""
        of_encoder = {} if self.encoder is None else model_variables(ENCODER, self.encoder)
        return {**super().variables(), **of_encoder}


def build_step(
    config: Config,
    total_steps: int,
    own_generator: Builder | None = None,
    palette: Palette | None = None,
) -> TranslationStep:
    """Builds networks, optimizers and step, as `methods/build.py` calls it."""
    if config.global_steps or config.enhancer_only_steps:
        return _build_coarse_to_fine(config, total_steps, own_generator, palette)
    build = functools.partial(HDTrainStep, encoder=_build_encoder(config))
    return pix2pix.build_step(config, total_steps, own_generator, palette, build)


def _build_encoder(config: Config) -> keras.Model | None:
    return build_feature_encoder(config) if config.instance_features else None


def _build_coarse_to_fine(
    config: Config, total_steps: int, own_generator: Builder | None, palette: Palette | None
) -> CoarseToFineStep:
    """Builds the stages: the global generator alone, the enhancers alone, and the whole generator.

    Each stage begins with a new optimizer of the generator, and the second one with a new optimizer of the
    discriminator, as the original code does.
    """
    border = config.global_steps + config.enhancer_only_steps
    if border >= total_steps:
        raise UsageError(
            f"`global_steps` and `enhancer_only_steps` are {border} of {total_steps} steps, and leave none "
            "to train the whole generator: give more `steps` or `epochs`"
        )
    generator, discriminator = pix2pix.build_networks(config, own_generator, palette)
    inside, settings = split_global_generator(generator), pix2pix.step_settings(config)
    encoder = _build_encoder(config)
    fine = build_optimizer(config, total_steps - config.global_steps)

    def build(generator, steps, discriminator_optimizer, variables=None):
        return HDTrainStep(
            generator,
            discriminator,
            generator_optimizer=build_optimizer(config, steps),
            discriminator_optimizer=discriminator_optimizer if discriminator is not None else None,
            encoder=encoder,
            generator_variables=variables,
            **settings,
        )

    stages = []
    if config.global_steps:
        coarse = build_optimizer(config, config.global_steps)
        step = build(inside, config.global_steps, coarse)
        stages.append(Stage("global", config.global_steps, step, 2**config.enhancers))
    if config.enhancer_only_steps:
        global_ids = {id(variable) for variable in inside.trainable_variables}
        outside = [each for each in generator.trainable_variables if id(each) not in global_ids]
        # Its rate does not fall, as the stage is part of a training that goes on.
        step = build(generator, 2 * config.enhancer_only_steps, fine, outside)
        stages.append(Stage("enhancer", border, step))
    stages.append(Stage("all", total_steps, build(generator, total_steps - border, fine)))
    # Label maps are resized to the nearest pixel, as `tasks.Task` does it.
    resize_input = resize_nearest if name_encoding(config) else resize
    return CoarseToFineStep(stages, resize_input, config.batch_size, config.jit_compile)
