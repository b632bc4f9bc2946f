"""pix2pix, the method of the paper: one step of D, then one of G (Isola et al., CVPR 2017)."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.config.choices import GAN_LOSSES
from tfpix2pix.config.config import Config
from tfpix2pix.methods import losses
from tfpix2pix.methods.losses import Logits, LossTerm, Translated, add_second_sample
from tfpix2pix.methods.network_checks import check_networks
from tfpix2pix.methods.optimizers import build_optimizer, choose_optimizer
from tfpix2pix.methods.step import Batch, TranslationStep, add_own_losses, descend
from tfpix2pix.networks.build import Builder, build_discriminator, build_generator
from tfpix2pix.networks.discriminators import with_features
from tfpix2pix.networks.filtering import share_transforms
from tfpix2pix.networks.gradients import fork
from tfpix2pix.networks.keras_versions import next_rate, scale_loss
from tfpix2pix.networks.latent import with_latent
from tfpix2pix.networks.remat import rematerialize
from tfpix2pix.networks.tfa_normalization import use_addons
from tfpix2pix.networks.variables import DISCRIMINATOR, GENERATOR, trained_variables
from tfpix2pix.pipelines.meaning import Palette

GAN_LOSS_NAMES = (
    "discriminator_loss",
    "discriminator_real_loss",
    "discriminator_generated_loss",
    "generator_gan_loss",
)


class TrainStep(TranslationStep):
    """The generator, the discriminator, their optimizers, and one step of both.

    Build it inside `strategy.scope()`.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`.
      discriminator: as `discriminators.patch_discriminator` builds it; None for
        the objective `l1`.
      objective: one of `choices.OBJECTIVES`. `gan` and `l1+gan` take a
        discriminator of the target alone, `cgan` and `l1+cgan` a conditional one.
      gan_loss: one of `choices.GAN_LOSSES`.
      lambda_l1: weight of the L1 loss.
      terms: further terms of the generator's loss, by name; each is reported as
        `<name>_loss`.
      generator_optimizer: a Keras optimizer; None takes `build_adam()`. For a network that computes in
        float16 it gets a dynamic loss scale, if it has none.
      discriminator_optimizer: a Keras optimizer; None takes `build_adam()`, and float16 the same.
      generator_variables: the variables of the generator that are updated; None updates all that are
        trainable. Layers that are frozen before the first step are not updated.
      global_batch_size: number of examples in a step over all replicas, by which losses are divided;
        None counts those of each batch.
      jit_compile: whether XLA compiles the step.

    Attributes:
      step: int64 variable, the number of steps taken.

    Raises:
      ValueError: for an unknown objective, networks that do not fit it or each other,
        or `jit_compile` with several replicas.

    Examples:
      >>> generator = tfpix2pix.unet_generator((32, 32), base_filters=4)
      >>> discriminator = tfpix2pix.patch_discriminator(16, base_filters=4)
      >>> train_step = tfpix2pix.TrainStep(generator, discriminator)
      >>> batch = {"input_image": tf.zeros([1, 32, 32, 3]), "target_image": tf.ones([1, 32, 32, 3]),
      ...          "noise_seed": tf.zeros([1, 2], tf.int32)}
      >>> sorted(train_step(batch))
      ['discriminator_generated_loss', 'discriminator_loss', 'discriminator_real_loss', \
  'generator_gan_loss', 'generator_loss', 'l1_loss']
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model | None = None,
        *,
        objective: str = "l1+cgan",
        gan_loss: str = "cross_entropy",
        lambda_l1: float = 100.0,
        terms: Mapping[str, LossTerm] | None = None,
        generator_optimizer: keras.optimizers.Optimizer | None = None,
        discriminator_optimizer: keras.optimizers.Optimizer | None = None,
        generator_variables: Sequence[Any] | None = None,
        global_batch_size: int | None = None,
        jit_compile: bool = False,
    ):
        check_networks(objective, generator, discriminator)
        if gan_loss not in GAN_LOSSES:
            raise ValueError(f"gan_loss must be one of {GAN_LOSSES}. Received: gan_loss={gan_loss!r}")
        self.gan_loss = losses.GAN_LOSSES[gan_loss]
        self.generator = generator
        self.discriminator = discriminator
        self.conditional = "cgan" in objective
        self.lambda_l1 = lambda_l1 if "l1" in objective else 0.0
        self.terms = dict(terms or {})
        self._features: keras.Model | None = None
        if any(term.reads_features for term in self.terms.values()):
            if discriminator is None:
                raise ValueError(
                    f"objective={objective!r} has no discriminator whose features a term could read"
                )
            self._features = with_features(discriminator)
        self._with_latent: keras.Model | None = None
        self._lean_with_latent: Callable[..., tf.Tensor] | None = None
        if any(term.reads_second_sample for term in self.terms.values()):
            self._with_latent = with_latent(self.trained_network)
        self.generator_optimizer = choose_optimizer(generator, generator_optimizer)
        self.generator_variables = (
            generator.trainable_variables if generator_variables is None else list(generator_variables)
        )
        _build_once(self.generator_optimizer, self.generator_variables)
        if discriminator is not None:
            self.discriminator_optimizer = choose_optimizer(discriminator, discriminator_optimizer)
            _build_once(self.discriminator_optimizer, discriminator.trainable_variables)
        super().__init__(global_batch_size, jit_compile)

    def rematerialize(self) -> None:
        """Takes less memory for the generator's gradient, of both samples, as `TranslationStep` says it."""
        super().rematerialize()
        if self._with_latent is not None:
            self._lean_with_latent = rematerialize(self._with_latent)

    @tf.autograph.experimental.do_not_convert
    def replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes one step on this replica's batch and counts it."""
        input_image, target_image = batch["input_image"], batch["target_image"]
        values: dict[str, tf.Tensor] = {}
        features: list[tf.Tensor] = []
        with tf.GradientTape() as tape:
            given = self.give(batch)
            generated_image, *for_terms = self._generate(given)
            l1 = self.share(losses.l1_loss(target_image, generated_image))
            generator_loss = self.lambda_l1 * l1
            if self.discriminator is not None:
                # D first, then G against the updated D (Sec. 3.3).
                with tape.stop_recording():
                    values = self._update_discriminator(batch, generated_image)
                features, generated_logits = self._judge(input_image, generated_image)
                gan = self.share(self.gan_loss.generator_gan_loss(generated_logits))
                values["generator_gan_loss"] = gan
                generator_loss += gan
            if self.terms:
                with tape.stop_recording():
                    real = self._judge(input_image, target_image)[0] if self._features else []
                pair = Translated(input_image, target_image, generated_image, tuple(real), tuple(features))
                term_values, weighted = self._add_terms(pair, for_terms, given)
                values |= term_values
                generator_loss += weighted
            generator_loss = add_own_losses(generator_loss, self.generator)
            scaled_loss = scale_loss(self.generator_optimizer, generator_loss)
        descend(tape, scaled_loss, self.generator, self.generator_optimizer, batch, self.generator_variables)
        # The count waits for the batch, as the weights do.
        with tf.control_dependencies([input_image]):
            self.step.assign_add(1)
        return {**values, "l1_loss": l1, "generator_loss": generator_loss}

    def _generate(self, given: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Returns the generated image for the two losses of pix2pix, and once more for each further term."""
        return fork(self.training_generator(given, training=True), 1 + len(self.terms))

    def _update_discriminator(self, batch: Batch, generated_image: tf.Tensor) -> dict[str, tf.Tensor]:
        input_image, target_image = batch["input_image"], batch["target_image"]
        with tf.GradientTape() as tape, share_transforms():
            real_logits = self.discriminate(input_image, target_image, training=True)
            generated_logits = self.discriminate(input_image, generated_image, training=True)
            values = self._discriminator_losses(real_logits, generated_logits)
            scaled_loss = scale_loss(self.discriminator_optimizer, values["discriminator_loss"])
        descend(tape, scaled_loss, self.discriminator, self.discriminator_optimizer, batch)
        return values

    def _discriminator_losses(self, real_logits: Logits, generated_logits: Logits) -> dict[str, tf.Tensor]:
        real = self.share(self.gan_loss.discriminator_real_loss(real_logits))
        generated = self.share(self.gan_loss.discriminator_generated_loss(generated_logits))
        return {
            # Sec. 3.3: halved, to slow D down relative to G.
            "discriminator_loss": add_own_losses(0.5 * (real + generated), self.discriminator),
            "discriminator_real_loss": real,
            "discriminator_generated_loss": generated,
        }

    def _add_terms(
        self, pair: Translated, images: Sequence[tf.Tensor], given: Sequence[tf.Tensor]
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Returns this replica's share of each further term, by its loss's name, and their weighted sum."""
        if self._with_latent is not None:
            size = self._with_latent.inputs[-1].shape[-1]
            pair = add_second_sample(pair, self._lean_with_latent or self._with_latent, size, given)
        values = {}
        for (name, term), image in zip(self.terms.items(), images, strict=True):
            value = term.compute(dataclasses.replace(pair, generated_image=image))
            values[f"{name}_loss"] = self.share(tf.cast(value, tf.float32))
        return values, sum(term.weight * values[f"{name}_loss"] for name, term in self.terms.items())

    def _judge(self, input_image: tf.Tensor, target_image: tf.Tensor) -> tuple[list[tf.Tensor], Logits]:
        """Returns the features, if a term reads them, and the logits."""
        if self._features is None:
            return [], self.discriminate(input_image, target_image, training=True)
        outputs = self._features(self._inputs(input_image, target_image), training=True)
        scales = len(self.discriminator.outputs)
        return outputs[:-scales], outputs[-scales:]

    def discriminate(self, input_image: tf.Tensor, target_image: tf.Tensor, training: bool = False) -> Logits:
        """Returns the patch logits, float32 [B, h, w, 1], or a list of them for several scales."""
        return self.discriminator(self._inputs(input_image, target_image), training=training)

    def _inputs(self, input_image: tf.Tensor, target_image: tf.Tensor) -> Any:
        return [input_image, target_image] if self.conditional else target_image

    @property
    def loss_names(self) -> tuple[str, ...]:
        """The keys of what a step returns."""
        gan = () if self.discriminator is None else GAN_LOSS_NAMES
        return (*gan, *(f"{name}_loss" for name in self.terms), "l1_loss", "generator_loss")

    def variables(self) -> dict[str, tf.Variable]:
        """Returns all that a checkpoint holds, by name."""
        trained = self.generator_variables
        variables = trained_variables(GENERATOR, self.generator, self.generator_optimizer, trained)
        variables["step"] = self.step
        if self.discriminator is not None:
            variables |= trained_variables(DISCRIMINATOR, self.discriminator, self.discriminator_optimizer)
        return variables

    @property
    def rate(self) -> float:
        """The learning rate of the generator's next step."""
        return next_rate(self.generator_optimizer)


def _build_once(optimizer: keras.optimizers.Optimizer, variables: Sequence[Any]) -> None:
    """Builds an optimizer, which several steps may share; one with a loss scale would add it again."""
    if not getattr(optimizer, "built", False):
        optimizer.build(variables)


def build_step(
    config: Config,
    total_steps: int,
    own_generator: Builder | None = None,
    palette: Palette | None = None,
    kind: Callable[..., TrainStep] | None = None,
) -> TrainStep:
    """Builds networks, optimizers and step, as `methods/build.py` calls it.

    Args:
      config: the run's configuration.
      total_steps: steps of the whole training.
      own_generator: builds the generator in place of the configuration's.
      palette: classes of the inputs, where the networks encode them.
      kind: makes the step; None takes `TrainStep`.
    """
    generator, discriminator = build_networks(config, own_generator, palette)
    return (kind or TrainStep)(
        generator,
        discriminator,
        generator_optimizer=build_optimizer(config, total_steps),
        discriminator_optimizer=build_optimizer(config, total_steps) if discriminator is not None else None,
        **step_settings(config),
    )


def build_networks(
    config: Config, own_generator: Builder | None = None, palette: Palette | None = None
) -> tuple[keras.Model, keras.Model | None]:
    """Builds the generator and the discriminator; the arguments are those of `build_step`."""
    generator = build_generator(config, own_generator, palette)
    discriminator = build_discriminator(config, palette)
    if config.norm_backend == "addons":
        generator = use_addons(generator)
        discriminator = use_addons(discriminator) if discriminator is not None else None
    return generator, discriminator


def step_settings(config: Config) -> dict[str, Any]:
    """Returns the arguments of a `TrainStep` that are neither networks nor optimizers."""
    return {
        "objective": config.objective,
        "gan_loss": config.gan_loss,
        "lambda_l1": config.lambda_l1,
        "terms": losses.find_terms(config),
        "global_batch_size": config.batch_size,
        "jit_compile": config.jit_compile,
    }
