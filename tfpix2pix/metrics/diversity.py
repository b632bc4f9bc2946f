"""How much the output changes with the noise, a question that the paper leaves open (Sec. 3.1)."""

import tensorflow as tf

from tfpix2pix.metrics.registry import Examples, Metric, NotApplicableError, Partials, Tools, mean_of_images


def diversity(tools: Tools) -> Metric:
    """Spread of the outputs of one input under different noise; it is 0 if the noise has no effect."""
    if tools.samples_per_image < 2:
        raise NotApplicableError(
            "diversity compares samples with each other: give `samples_per_image=2` or more"
        )
    return Metric(_measure, mean_of_images, higher_is_better=None, samples=tools.samples_per_image)


def compute_diversity(samples: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns how much samples of the same input differ.

    Args:
      samples: float32 [S, B, H, W, C] in [-1, 1]; S is at least 2.

    Returns:
      Two scores, each float32 [B]. `standard_deviation` is that of each value over the S
      samples (with S - 1 in the denominator), averaged over the image. `pairwise_l1` is
      the mean absolute difference of two samples, averaged over all pairs.
    """
    count = samples.shape[0]
    variance = tf.reduce_sum(tf.square(samples - tf.reduce_mean(samples, axis=0)), axis=0) / (count - 1)
    pairs = [(first, second) for first in range(count) for second in range(first)]
    distances = [tf.reduce_mean(tf.abs(samples[a] - samples[b]), axis=[1, 2, 3]) for a, b in pairs]
    return {
        "standard_deviation": tf.reduce_mean(tf.sqrt(variance), axis=[1, 2, 3]),
        "pairwise_l1": tf.reduce_mean(tf.stack(distances), axis=0),
    }


def _measure(examples: Examples) -> Partials:
    return {name: value.numpy() for name, value in compute_diversity(examples.generated_samples).items()}
