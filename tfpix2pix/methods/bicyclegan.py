"""BicycleGAN: z encoded from the target, and z found again in what it made (Zhu et al., NIPS 2017)."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.methods import losses, pix2pix
from tfpix2pix.methods.losses import Logits
from tfpix2pix.methods.step import Batch, TranslationStep, add_own_losses, descend
from tfpix2pix.networks.build import Builder, build_discriminator, build_encoder, build_generator
from tfpix2pix.networks.filtering import share_transforms
from tfpix2pix.networks.gradients import fork
from tfpix2pix.networks.keras_versions import scale_loss
from tfpix2pix.networks.latent import SECOND_STREAM, STREAM, draw_normal, with_latent
from tfpix2pix.networks.layers import redraw_kernels
from tfpix2pix.networks.variables import trained_variables
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.meaning import Palette

XAVIER_GAIN = 0.02  # of the initial weights; the original code's


@dataclasses.dataclass(frozen=True)
class Networks:
    """The four networks.

    Attributes:
      encoder: E, `target_image -> [mean, log_variance]` of z.
      generator: G, with a latent vector.
      discriminator: D, which judges images of encoded z.
      discriminator_2: D2, which judges images of drawn z.
    """

    encoder: keras.Model
    generator: keras.Model
    discriminator: keras.Model
    discriminator_2: keras.Model


class BicycleTrainStep(TranslationStep):
    """The networks of BicycleGAN, their optimizers, and one step of all.

    A step halves the batch. One half is translated, once with z encoded from its targets (cVAE-GAN) and once
    with a drawn z, which E then has to find in the image (cLR-GAN). The targets of the other half are real
    images for D2. The halves are every second example, so that the replicas may be any number.

    Args:
      networks: the four networks.
      conditional: whether D and D2 see the input image too.
      gan_loss: one of `choices.GAN_LOSSES`.
      lambda_l1: weight of the L1 loss of images of encoded z.
      lambda_kl: weight of the divergence of encoded z from N(0, 1).
      lambda_latent: weight of the L1 loss of drawn z.
      build_optimizer: builds the optimizer of one network.
      global_batch_size: number of examples in a step over all replicas.
      jit_compile: whether XLA compiles the step.

    Source: Zhu et al., Toward Multimodal Image-to-Image Translation, NIPS 2017, Sec. 3; the order, and what
    is summed over what, are those of the original code's `bicycle_gan_model.py`.
    """

    loss_names = (
        "discriminator_loss",
        "discriminator_2_loss",
        "generator_gan_loss",
        "generator_gan_2_loss",
        "l1_loss",
        "kl_loss",
        "latent_loss",
        "generator_loss",
    )

    def __init__(
        self,
        networks: Networks,
        *,
        conditional: bool = False,
        gan_loss: str = "least_squares",
        lambda_l1: float = 10.0,
        lambda_kl: float = 0.01,
        lambda_latent: float = 0.5,
        build_optimizer: Callable[[], keras.optimizers.Optimizer],
        global_batch_size: int | None = None,
        jit_compile: bool = False,
    ):
        super().__init__(global_batch_size, jit_compile)
        check_halves(global_batch_size, self.strategy.num_replicas_in_sync)
        self.generator, self.encoder = networks.generator, networks.encoder
        self.discriminator, self.discriminator_2 = networks.discriminator, networks.discriminator_2
        self._with_latent = with_latent(networks.generator)
        self.conditional = conditional
        self.gan_loss = losses.GAN_LOSSES[gan_loss]
        self.lambda_l1, self.lambda_kl, self.lambda_latent = lambda_l1, lambda_kl, lambda_latent
        self.optimizers = {}
        for field in dataclasses.fields(networks):
            self.optimizers[field.name] = build_optimizer()
            self.optimizers[field.name].build(getattr(networks, field.name).trainable_variables)

    @tf.autograph.experimental.do_not_convert
    def replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes one step on this replica's batch and counts it."""
        first, second = ({name: values[half::2] for name, values in batch.items()} for half in (0, 1))
        with tf.GradientTape(persistent=True) as tape:
            with share_transforms():
                values = self._compute_losses(first, second)
            # E must not learn to make z easy to find, so it does not see the latent loss.
            of_both = (
                values["generator_gan_loss"]
                + values["generator_gan_2_loss"]
                + self.lambda_l1 * values["l1_loss"]
                + self.lambda_kl * values["kl_loss"]
            )
            values["generator_loss"] = of_both + self.lambda_latent * values["latent_loss"]
            of_each = {
                "encoder": of_both,
                "generator": values["generator_loss"],
                "discriminator": values["discriminator_loss"],
                "discriminator_2": values["discriminator_2_loss"],
            }
            scaled = {
                name: scale_loss(self.optimizers[name], add_own_losses(loss, getattr(self, name)))
                for name, loss in of_each.items()
            }
        for name, loss in scaled.items():
            descend(tape, loss, getattr(self, name), self.optimizers[name], batch)
        with tf.control_dependencies([batch["input_image"]]):
            self.step.assign_add(1)
        return values

    def _compute_losses(self, first: Batch, second: Batch) -> dict[str, tf.Tensor]:
        """Returns this replica's share of each loss, unweighted; `second` is for D2 alone."""
        input_image, target_image, seeds = first["input_image"], first["target_image"], first["noise_seed"]
        encoder_noise, drawn = self.draw_noise(seeds)
        # cVAE-GAN: target, z, target again.
        mean, log_variance = self.encoder(target_image, training=True)
        deviation = tf.exp(0.5 * log_variance)
        of_encoded = self.generate(input_image, seeds, mean + encoder_noise * deviation)
        judged, compared = fork(of_encoded, 2)
        real = self.discriminate(input_image, target_image, training=True)
        generated = self.discriminate(input_image, judged, training=True)
        # cLR-GAN: z, image, z again, for which the mean stands that E finds.
        judged_2, searched = fork(self.generate(input_image, seeds, drawn), 2)
        real_2 = self._judge_2(second["input_image"], second["target_image"])
        generated_2 = self._judge_2(input_image, judged_2)
        found, _ = self.encoder(searched, training=True)
        return {
            "discriminator_loss": self._judging_loss(real, generated),
            "discriminator_2_loss": self._judging_loss(real_2, generated_2),
            "generator_gan_loss": self.share(self.gan_loss.generator_gan_loss(generated)),
            "generator_gan_2_loss": self.share(self.gan_loss.generator_gan_loss(generated_2)),
            "l1_loss": self.share(losses.l1_loss(target_image, compared)),
            "kl_loss": self.share(losses.kl_loss(mean, log_variance, deviation)),
            "latent_loss": self.share(tf.reduce_mean(tf.abs(found - drawn), axis=1)),
        }

    def draw_noise(self, noise_seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the noise that is added to encoded z, and drawn z, each float32 [B, latent_size]."""
        size = self._with_latent.inputs[2].shape[-1]
        return draw_normal(noise_seed, size, SECOND_STREAM), draw_normal(noise_seed, size, STREAM)

    def generate(self, input_image: tf.Tensor, noise_seed: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """Returns what G makes of images, float32 [B, H, W, C], and of z, float32 [B, latent_size]."""
        return self._with_latent([input_image, noise_seed, latent], training=True)

    def share(self, per_example: tf.Tensor) -> tf.Tensor:
        """Returns this replica's share of the mean over one half of the global batch."""
        return (1 if self.global_batch_size is None else 2) * super().share(per_example)

    def _judging_loss(self, real: Logits, generated: Logits) -> tf.Tensor:
        # Not halved, as in the original code.
        return self.share(
            self.gan_loss.discriminator_real_loss(real)
            + self.gan_loss.discriminator_generated_loss(generated)
        )

    def discriminate(self, input_image: tf.Tensor, target_image: tf.Tensor, training: bool = False) -> Logits:
        """Returns the patch logits of D, a list of them for several scales."""
        return self.discriminator(self._inputs(input_image, target_image), training=training)

    def _judge_2(self, input_image: tf.Tensor, target_image: tf.Tensor) -> Logits:
        return self.discriminator_2(self._inputs(input_image, target_image), training=True)

    def _inputs(self, input_image: tf.Tensor, target_image: tf.Tensor) -> Any:
        return [input_image, target_image] if self.conditional else target_image

    def variables(self) -> dict[str, tf.Variable]:
        """Returns all that a checkpoint holds, by name."""
        variables = {"step": self.step}
        for name, optimizer in self.optimizers.items():
            variables |= trained_variables(name, getattr(self, name), optimizer)
        return variables

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return float(tf.convert_to_tensor(self.optimizers["generator"].learning_rate))


def check_halves(batch_size: int | None, replicas: int) -> None:
    """Raises UsageError for a batch that the replicas cannot halve."""
    if batch_size is not None and batch_size % (2 * replicas):
        each = "" if replicas == 1 else f" for {replicas} replicas"
        raise UsageError(
            f"`batch_size` must be a multiple of {2 * replicas}{each} with `method=bicyclegan`, which halves "
            f"each batch. Received: {batch_size}"
        )


def build_step(
    config: Config,
    total_steps: int,
    own_generator: Builder | None = None,
    palette: Palette | None = None,
) -> BicycleTrainStep:
    """Builds networks, optimizers and step, as `methods/build.py` calls it."""
    networks = Networks(
        encoder=build_encoder(config),
        generator=build_generator(config, own_generator, palette),
        discriminator=build_discriminator(config, palette),
        discriminator_2=build_discriminator(config, palette),
    )
    for field in dataclasses.fields(networks):
        if field.name != "generator" or own_generator is None:
            redraw_kernels(getattr(networks, field.name), XAVIER_GAIN)
    return BicycleTrainStep(
        networks,
        conditional="cgan" in config.objective,
        gan_loss=config.gan_loss,
        lambda_l1=config.lambda_l1,
        lambda_kl=config.lambda_kl,
        lambda_latent=config.lambda_latent,
        build_optimizer=lambda: pix2pix.build_optimizer(config, total_steps),
        global_batch_size=config.batch_size,
        jit_compile=config.jit_compile,
    )
