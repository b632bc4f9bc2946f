"""The baseline that every generator should beat: the mean target image of the training split."""

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.metrics.image_quality import HIGHER_IS_BETTER
from tfpix2pix.metrics.registry import Metric, Result, Tools
from tfpix2pix.metrics.scoring import Split, score_split
from tfpix2pix.networks.inference import Generate
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files.image_files import BadImageError
from tfpix2pix.pipelines.files.samples import spread_evenly
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.meaning import Meaning
from tfpix2pix.run.splits import open_split

# The mean of so many images hardly differs from the mean of all.
MOST_EXAMPLES = 200


def compute_mean_target(
    config: Config, most_examples: int | None = MOST_EXAMPLES, meaning: Meaning | None = None
) -> tf.Tensor:
    """Returns the mean target image of the training split, float32 [H, W, C] in [-1, 1].

    Images of a run with `resize=none` have no size in common: then it is their mean colour, [1, 1, C].

    Args:
      config: names the dataset.
      most_examples: the largest number of images that are read, spread evenly; None reads all.
      meaning: what a run was trained to take the images for; None finds out.

    Raises:
      UserError: when there is no training split, or its images cannot be read.
    """
    # Each image is read once: nothing is gained by keeping it in memory.
    source = open_split(dataclasses.replace(config, cache_mib=0), "train", meaning)
    chosen = _choose(source, spread_evenly(len(source), most_examples))
    dataset = build_dataset(
        chosen, image_size=config.image_size, batch_size=1, training=False, resize=config.resizes
    )
    total = 0.0
    with chosen.naming_bad_files():
        for batch in dataset:
            image = batch["target_image"][0]
            total += image if config.resizes else tf.reduce_mean(image, [0, 1], keepdims=True)
    return total / len(chosen)


def _choose(source: Source, indices: list[int]) -> Source:
    """Returns a source of some of the pairs of another one."""
    places = tf.constant(indices, tf.int64)
    return dataclasses.replace(
        source,
        example_ids=tuple(source.example_ids[index] for index in indices),
        files=tuple(source.files[index] for index in indices) if source.files else (),
        read=lambda place: source.read(tf.gather(places, place)),
    )


def show_everywhere(image: tf.Tensor) -> Generate:
    """Returns a generator that ignores its input and makes this image, float32 [H, W, C], of each."""

    def generate(input_image: tf.Tensor, noise_seed: tf.Tensor) -> tf.Tensor:
        return tf.zeros_like(input_image[..., :1]) + image

    return generate


def add_baseline(
    results: Mapping[str, Result], config: Config, split: Split, metrics: Mapping[str, Metric]
) -> dict[str, Result]:
    """Returns results with the scores of the mean target image beside those that compare pixels.

    Where there is no training split, the results are returned as they are.

    Args:
      results: by metric.
      config: names the dataset.
      split: the examples that were scored.
      metrics: by name.
    """
    pixel_metrics = {name: metric for name, metric in metrics.items() if name in HIGHER_IS_BETTER}
    if not pixel_metrics:
        return dict(results)
    try:
        mean_target = compute_mean_target(config, meaning=split.source.meaning)
    except BadImageError as error:
        warn(f"the scores have no baseline: {error}")
        return dict(results)
    except UserError:  # A model may be scored where its training data is not.
        return dict(results)
    pixels_alone = dataclasses.replace(split, tools=Tools())  # which needs no class ids
    baseline = score_split(show_everywhere(mean_target), pixels_alone, pixel_metrics)
    return {
        name: dataclasses.replace(result, baseline=baseline[name].scores) if name in baseline else result
        for name, result in results.items()
    }
