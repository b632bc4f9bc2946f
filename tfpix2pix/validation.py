"""Scores of a generator on a whole split."""

import functools

import keras
import numpy as np
import tensorflow as tf

from pipelines import pairs
from pipelines.sources import Source
from tfpix2pix.metrics.image_quality import compute_image_quality


def compute_validation_scores(
    generator: keras.Model, source: Source, image_size: tuple[int, int], seed: int = 0, batch_size: int = 4
) -> dict[str, float]:
    """Translates every example once and returns the mean scores.

    Each image is normalised by its own statistics, so `batch_size` does not matter
    to the scores.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`.
      source: the split's pairs.
      image_size: (height, width) px that pairs are resized to.
      seed: of the noise.
      batch_size: images at a time.

    Returns:
      Means over the examples of what `compute_image_quality` returns.
    """
    dataset = pairs.build_dataset(
        source, image_size=image_size, batch_size=batch_size, training=False, seed=seed
    )
    score_batch = _scorer(generator)
    batches = [score_batch(batch) for batch in dataset]
    return {
        name: float(np.concatenate([batch[name].numpy() for batch in batches]).mean(dtype=np.float64))
        for name in batches[0]
    }


@functools.lru_cache(maxsize=1)
def _scorer(generator: keras.Model):
    @tf.function(reduce_retracing=True)
    def score_batch(batch):
        generated_image = generator([batch["input_image"], batch["noise_seed"]], training=False)
        return compute_image_quality(batch["target_image"], generated_image)

    return score_batch
