"""The losses, one value per example, unweighted and unreduced.

`softplus(-logits)` and `softplus(logits)` are the two cross-entropies of a
sigmoid. Unlike `sigmoid_cross_entropy_with_logits` each has one reader of its
logits, which keeps gradients bit-reproducible, as "AddN" in docs/fidelity.md explains.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.config.options import list_fields
from tfpix2pix.networks.latent import SECOND_STREAM, STREAM, draw_normal
from tfpix2pix.networks.vgg import VggFeatures
from tfpix2pix.pipelines.base.homes import resolve


@dataclasses.dataclass(frozen=True)
class Translated:
    """What a term of the generator's loss may look at.

    Attributes:
      input_image: float32 [B, H, W, C] in [-1, 1].
      target_image: float32 [B, H, W, C] in [-1, 1].
      generated_image: the shape and range of `target_image`.
      target_features: what the discriminator's blocks make of the target, float
        [B, h, w, F] each, without a gradient; empty where no term reads them.
      generated_features: what they make of the generated image, with its gradient.
      latent: z of the generated image, float32 [B, size]; None where no term reads a second sample.
      second_image: what the generator makes of the same input image and the same dropout with another z.
      second_latent: that z.
    """

    input_image: tf.Tensor
    target_image: tf.Tensor
    generated_image: tf.Tensor
    target_features: tuple[tf.Tensor, ...] = ()
    generated_features: tuple[tf.Tensor, ...] = ()
    latent: tf.Tensor | None = None
    second_image: tf.Tensor | None = None
    second_latent: tf.Tensor | None = None


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """A term of the generator's loss.

    Attributes:
      weight: factor of the term in the loss.
      compute: returns the term for each example, float32 [B].
      reads_features: whether it looks at the discriminator's features, which cost a
        further pass of the discriminator.
      reads_second_sample: whether it looks at a second sample, which costs a further pass of the generator.
    """

    weight: float
    compute: Callable[[Translated], tf.Tensor]
    reads_features: bool = False
    reads_second_sample: bool = False


def add_second_sample(
    pair: Translated, generate: Callable[..., tf.Tensor], size: int, given: Sequence[tf.Tensor]
) -> Translated:
    """Returns what terms look at, with a second sample.

    Args:
      pair: what they look at without it.
      generate: what `latent.with_latent` returns for the generator of the first sample, or does the same.
      size: number of values of z.
      given: what that generator took: input images, noise seeds, int32 [B, 2], and perhaps more.
    """
    latent, second_latent = (draw_normal(given[1], size, stream) for stream in (STREAM, SECOND_STREAM))
    second_image = generate([*given, second_latent], training=True)
    return dataclasses.replace(pair, latent=latent, second_image=second_image, second_latent=second_latent)


def find_terms(config: Config) -> dict[str, LossTerm]:
    """Returns the terms that a configuration asks for: those of its settings that name one and are not 0.

    A setting `lambda_<name>` in `config/fields.py` with `term="module:function"` makes a term
    `<name>`; the function takes `Translated` and returns float32 [B]. With `is_built=True` the function
    takes the configuration, and returns that one. With the objective `l1` there are no features to read.
    """
    terms = {}
    for field in list_fields(config).values():
        weight = getattr(config, field.name)
        has_effect = not field.metadata["reads_features"] or config.objective != "l1"
        if field.metadata["term"] and weight and has_effect:
            compute = resolve(field.metadata["term"])
            compute = compute(config) if field.metadata["is_built"] else compute
            reads = {name: field.metadata[name] for name in ("reads_features", "reads_second_sample")}
            terms[field.name.removeprefix("lambda_")] = LossTerm(weight, compute, **reads)
    return terms


# What a discriminator returns: its logits, float [B, h, w, 1], or those of each of its scales.
Logits: TypeAlias = tf.Tensor | Sequence[tf.Tensor]


@dataclasses.dataclass(frozen=True)
class GanLoss:
    """An adversarial loss. Each function takes logits, float [B, h, w, 1], and returns a value for each.

    The value for an example is the mean over its patches, summed over the discriminator's scales.

    Attributes:
      on_real: the discriminator's loss on real images.
      on_generated: the discriminator's loss on generated images.
      of_generator: the generator's loss.
    """

    on_real: Callable[[tf.Tensor], tf.Tensor]
    on_generated: Callable[[tf.Tensor], tf.Tensor]
    of_generator: Callable[[tf.Tensor], tf.Tensor]

    def discriminator_real_loss(self, real_logits: Logits) -> tf.Tensor:
        """Returns float32 [B], not halved."""
        return _over_patches(self.on_real, real_logits)

    def discriminator_generated_loss(self, generated_logits: Logits) -> tf.Tensor:
        """Returns float32 [B], not halved."""
        return _over_patches(self.on_generated, generated_logits)

    def generator_gan_loss(self, generated_logits: Logits) -> tf.Tensor:
        """Returns float32 [B]."""
        return _over_patches(self.of_generator, generated_logits)


# `choices.GAN_LOSSES` names them.
GAN_LOSSES: Mapping[str, GanLoss] = {
    # -log D(real), -log(1 - D(generated)), and the non-saturating -log D(generated): Isola et al., Sec. 3.1
    # and 3.3.
    "cross_entropy": GanLoss(
        on_real=lambda logits: tf.nn.softplus(-logits),
        on_generated=tf.nn.softplus,
        of_generator=lambda logits: tf.nn.softplus(-logits),
    ),
    # Mao et al., Least Squares Generative Adversarial Networks, ICCV 2017, with the targets 1 and 0.
    "least_squares": GanLoss(
        on_real=lambda logits: tf.square(logits - 1),
        on_generated=tf.square,
        of_generator=lambda logits: tf.square(logits - 1),
    ),
    # Lim and Ye, Geometric GAN, 2017.
    "hinge": GanLoss(
        on_real=lambda logits: tf.nn.relu(1 - logits),
        on_generated=lambda logits: tf.nn.relu(1 + logits),
        of_generator=tf.negative,
    ),
}


def _over_patches(function: Callable[[tf.Tensor], tf.Tensor], logits: Logits) -> tf.Tensor:
    scales = logits if isinstance(logits, list | tuple) else [logits]
    means = [tf.reduce_mean(function(tf.cast(scale, tf.float32)), axis=[1, 2, 3]) for scale in scales]
    return sum(means[1:], start=means[0])


# How much each of VGG-19's five depths counts, from relu1_1 to relu5_1.
VGG_LAYER_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


def feature_matching(pair: Translated) -> tf.Tensor:
    """Returns how far the discriminator's features of the generated image are from those of the target.

    It is 4 times the mean L1 distance over all layers before the logits, of all scales.

    Returns:
      float32 [B]. Source: Wang et al., CVPR 2018, Sec. 3.2; the factor 4 is the original code's.
    """
    distances = [
        tf.reduce_mean(tf.abs(tf.cast(generated, tf.float32) - tf.cast(target, tf.float32)), axis=[1, 2, 3])
        for target, generated in zip(pair.target_features, pair.generated_features, strict=True)
    ]
    return 4 * tf.reduce_mean(tf.stack(distances), axis=0)


def kl_loss(mean: tf.Tensor, log_variance: tf.Tensor, deviation: tf.Tensor) -> tf.Tensor:
    """Returns the Kullback-Leibler divergence of Gaussians from N(0, 1), summed over their values.

    Args:
      mean: float32 [B, size].
      log_variance: float32 [B, size].
      deviation: exp(log_variance / 2), which the caller has.

    Returns:
      float32 [B]. Source: Kingma and Welling, Auto-Encoding Variational Bayes, 2014, appendix B.
    """
    return 0.5 * tf.reduce_sum(tf.square(mean) + tf.square(deviation) - log_variance - 1, axis=1)


def mode_seeking(pair: Translated) -> tf.Tensor:
    """Returns how little two samples of one input differ, measured by how far their z are apart.

    It is 1 / (mean|G(x, z1) - G(x, z2)| / mean|z1 - z2| + 1e-5).

    Returns:
      float32 [B]. Source: Mao et al., Mode Seeking Generative Adversarial Networks, CVPR 2019, Sec. 3.2, with
      the inverse and the constant of the original code.
    """
    of_images = tf.reduce_mean(tf.abs(pair.generated_image - pair.second_image), axis=[1, 2, 3])
    of_latents = tf.reduce_mean(tf.abs(tf.subtract(pair.latent, pair.second_latent)), axis=1)
    return 1 / (of_images / of_latents + 1e-5)


def build_vgg(config: Config) -> Callable[[Translated], tf.Tensor]:
    """Returns the perceptual loss: how far VGG-19's features of the generated image are from the target's.

    Args:
      config: names the weights of VGG-19.

    Returns:
      A function that returns float32 [B]. Source: Wang et al., CVPR 2018, Sec. 3.2; weights of the layers and
      the range of the images are those of the original code.

    Raises:
      UserError: if the weights cannot be had.
    """
    find_features = VggFeatures(config.vgg19_weights)

    def vgg(pair: Translated) -> tf.Tensor:
        targets, generated = find_features(pair.target_image), find_features(pair.generated_image)
        layers = zip(VGG_LAYER_WEIGHTS, targets, generated, strict=True)
        return sum(weight * l1_loss(tf.stop_gradient(there), here) for weight, there, here in layers)

    return vgg


def l1_loss(target_image: tf.Tensor, generated_image: tf.Tensor) -> tf.Tensor:
    """Returns the mean absolute difference.

    Args:
      target_image: float [B, H, W, C] in [-1, 1].
      generated_image: the same shape and range.

    Returns:
      float32 [B] in [0, 2].

    Raises:
      ValueError: when the shapes differ; they are not broadcast. Source: Sec. 3.1.
    """
    if not target_image.shape.is_compatible_with(generated_image.shape):
        raise ValueError(
            f"target_image and generated_image must have the same shape. "
            f"Received: {target_image.shape} and {generated_image.shape}"
        )
    return tf.reduce_mean(tf.abs(target_image - generated_image), axis=[1, 2, 3])
