"""Scores that compare a generated image with its target pixel by pixel.

They hardly show what a GAN gains: on real facades a blur has nearly the same L1 as
sharp windows in the right places. Look at the pictures too.
"""

import tensorflow as tf

from tfpix2pix.metrics.registry import Examples, Metric, NotApplicableError, Partials, Result, Tools

# The direction in which each score is better.
HIGHER_IS_BETTER = {"l1": False, "psnr": True, "ssim": True, "hole_l1": False}


def compute_image_quality(target_image: tf.Tensor, generated_image: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the three scores of each image.

    Args:
      target_image: float32 [B, H, W, C] in [-1, 1]; H and W are at least 11 px.
      generated_image: tensor of the same shape and range.

    Returns:
      Three scores, each float32 [B]. `l1` is the mean absolute difference, in [0, 2].
      `psnr` is the peak signal-to-noise ratio in dB, for a range of 2. `ssim` is the
      structural similarity, in [-1, 1], with a Gaussian window of 11 px.
    """
    return {
        "l1": tf.reduce_mean(tf.abs(target_image - generated_image), axis=[1, 2, 3]),
        "psnr": tf.image.psnr(target_image, generated_image, max_val=2.0),
        # The constants of SSIM assume that values start at 0.
        "ssim": tf.image.ssim(target_image + 1, generated_image + 1, max_val=2.0),
    }


def compute_hole_l1(target_image: tf.Tensor, generated_image: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns the mean absolute difference in the hole of each image.

    Args:
      target_image: float32 [B, H, W, C] in [-1, 1].
      generated_image: tensor of the same shape and range.
      mask: float32 [B, H, W, 1]; 1 in the hole and 0 elsewhere. No hole is empty.

    Returns:
      float32 [B] in [0, 2].
    """
    differences = tf.reduce_mean(tf.abs(target_image - generated_image), axis=-1, keepdims=True)
    return tf.reduce_sum(differences * mask, axis=[1, 2, 3]) / tf.reduce_sum(mask, axis=[1, 2, 3])


def l1(_: Tools) -> Metric:
    """Mean absolute difference to the target, in [0, 2]."""
    return _metric("l1")


def psnr(_: Tools) -> Metric:
    """Peak signal-to-noise ratio in dB; it is infinite for an image that equals its target."""
    return _metric("psnr")


def ssim(_: Tools) -> Metric:
    """Structural similarity, in [-1, 1]."""
    return _metric("ssim")


def hole_l1(tools: Tools) -> Metric:
    """Mean absolute difference to the target in the holes of inpainting, in [0, 2]."""
    if not tools.has_holes:
        raise NotApplicableError("hole_l1 judges inpainting, and this model fills no holes: take l1")
    return _metric("hole_l1")


def _metric(name: str) -> Metric:
    def combine(partials: Partials) -> Result:
        values = partials[name].astype("float64")
        return Result({name: float(values.mean())}, per_image={name: values})

    return Metric(_measure, combine, HIGHER_IS_BETTER[name])


@tf.function(reduce_retracing=True, autograph=False)
def _compiled(target_image: tf.Tensor, generated_image: tf.Tensor) -> dict[str, tf.Tensor]:
    return compute_image_quality(target_image, generated_image)


def _measure(examples: Examples) -> Partials:
    scores = _compiled(examples.target_image, examples.generated_samples[0])
    if examples.mask is not None:
        scores["hole_l1"] = compute_hole_l1(
            examples.target_image, examples.generated_samples[0], examples.mask
        )
    return {name: value.numpy() for name, value in scores.items()}
