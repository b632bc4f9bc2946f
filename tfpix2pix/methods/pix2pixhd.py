"""pix2pixHD: G and D judge one translation, then G steps, then D (Wang et al., CVPR 2018)."""

import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.methods import losses, pix2pix
from tfpix2pix.methods.losses import Translated
from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.methods.step import Batch, descend
from tfpix2pix.networks.build import Builder
from tfpix2pix.networks.keras_versions import scale_loss
from tfpix2pix.pipelines.meaning import Palette


class HDTrainStep(TrainStep):
    """The networks of pix2pixHD, their optimizers, and one step of both.

    Both losses are computed before either network moves, where pix2pix updates D first. So each
    image is judged once. The arguments are those of `TrainStep`, and its attributes and errors too.

    Source: Wang et al., CVPR 2018, Sec. 3.2; the order is that of the original code's `train.py`.
    """

    @tf.autograph.experimental.do_not_convert
    def replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes one step on this replica's batch and counts it."""
        if self.discriminator is None:
            return super().replica_step(batch)
        input_image, target_image = batch["input_image"], batch["target_image"]
        with tf.GradientTape(persistent=True) as tape:
            generated_image, *for_terms = self._generate(batch)
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
                batch,
            )
            generator_loss = gan + weighted_terms + self.lambda_l1 * l1
            scaled_generator_loss = scale_loss(self.generator_optimizer, generator_loss)

            values = self._discriminator_losses(real_logits, generated_logits)
            scaled_discriminator_loss = scale_loss(self.discriminator_optimizer, values["discriminator_loss"])
        descend(tape, scaled_generator_loss, self.generator, self.generator_optimizer, batch)
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


def build_step(
    config: Config,
    total_steps: int,
    own_generator: Builder | None = None,
    palette: Palette | None = None,
) -> TrainStep:
    """Builds networks, optimizers and step, as `methods/build.py` calls it."""
    return pix2pix.build_step(config, total_steps, own_generator, palette, HDTrainStep)
