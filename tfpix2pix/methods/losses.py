"""The losses, one value per example, unweighted and unreduced.

`softplus(-logits)` and `softplus(logits)` are the two cross-entropies of a
sigmoid. Unlike `sigmoid_cross_entropy_with_logits` each has one reader of its
logits, which keeps gradients bit-reproducible, as "AddN" in docs/fidelity.md explains.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.config.options import list_fields
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
    """

    input_image: tf.Tensor
    target_image: tf.Tensor
    generated_image: tf.Tensor
    target_features: tuple[tf.Tensor, ...] = ()
    generated_features: tuple[tf.Tensor, ...] = ()


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """A term of the generator's loss.

    Attributes:
      weight: factor of the term in the loss.
      compute: returns the term for each example, float32 [B].
      reads_features: whether it looks at the discriminator's features, which cost a
        further pass of the discriminator.
    """

    weight: float
    compute: Callable[[Translated], tf.Tensor]
    reads_features: bool = False


def find_terms(config: Config) -> dict[str, LossTerm]:
    """Returns the terms that a configuration asks for: those of its settings that name one and are not 0.

    A setting `lambda_<name>` in `config/fields.py` with `term="module:function"` makes a term
    `<name>`; the function takes `Translated` and returns float32 [B].
    """
    terms = {}
    for field in list_fields(config).values():
        weight = getattr(config, field.name)
        if field.metadata["term"] and weight:
            compute = resolve(field.metadata["term"])
            reads_features = field.metadata["reads_features"]
            terms[field.name.removeprefix("lambda_")] = LossTerm(weight, compute, reads_features)
    return terms


def discriminator_real_loss(real_logits: tf.Tensor) -> tf.Tensor:
    """Returns -log D(real), averaged over patches.

    Args:
      real_logits: float [B, h, w, 1].

    Returns:
      float32 [B], not halved. Source: Sec. 3.1.
    """
    return _mean_softplus(-real_logits)


def discriminator_generated_loss(generated_logits: tf.Tensor) -> tf.Tensor:
    """Returns -log(1 - D(generated)), averaged over patches.

    Args:
      generated_logits: float [B, h, w, 1].

    Returns:
      float32 [B], not halved. Source: Sec. 3.1.
    """
    return _mean_softplus(generated_logits)


def generator_gan_loss(generated_logits: tf.Tensor) -> tf.Tensor:
    """Returns the non-saturating -log D(generated), averaged over patches.

    Args:
      generated_logits: float [B, h, w, 1].

    Returns:
      float32 [B]. Source: Sec. 3.3.
    """
    return _mean_softplus(-generated_logits)


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


def _mean_softplus(logits: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.nn.softplus(tf.cast(logits, tf.float32)), axis=[1, 2, 3])
