"""Whether a latent vector can be found again in the image that was made with it."""

import numpy as np
import tensorflow as tf

from tfpix2pix.metrics.registry import Examples, Metric, NotApplicableError, Partials, Tools, mean_of_images
from tfpix2pix.networks.latent import STREAM, draw_normal


def latent_error(tools: Tools) -> Metric:
    """Mean of |E(G(x, z)) - z| for drawn z; to guess 0 each time scores 0.80."""
    encode = tools.encode
    if encode is None:
        raise NotApplicableError(
            "latent_error needs an encoder of latent vectors: take a run of `method=bicyclegan`"
        )
    count = tools.samples_per_image

    def measure(examples: Examples) -> Partials:
        errors, seeds_of_all = [], tf.convert_to_tensor(examples.noise_seeds)
        for images, seeds in zip(examples.generated_samples, seeds_of_all, strict=True):
            found = tf.cast(encode(images), tf.float32)
            errors.append(tf.reduce_mean(tf.abs(found - draw_normal(seeds, found.shape[-1], STREAM)), 1))
        return {"latent_error": np.mean(errors, axis=0)}

    return Metric(measure, mean_of_images, higher_is_better=False, samples=count)
