"""Scores of a generator on a whole split, and pictures of a few examples."""

import functools
import itertools

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.methods.step import TranslationStep
from tfpix2pix.metrics.image_quality import compute_hole_l1, compute_image_quality
from tfpix2pix.pictures.examples import show_examples
from tfpix2pix.pictures.sheets import contact_sheet, patch_map
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.train.judge import Judge, fcn_score

SAMPLES = 4


def compute_validation_scores(
    generator: keras.Model,
    source: Source,
    image_size: tuple[int, int],
    seed: int = 0,
    batch_size: int = 4,
    judge: Judge | None = None,
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
      judge: gives `fcn_score`.

    Returns:
      Means over the examples of what `compute_image_quality` returns for what the
      network makes, and for inpainting `hole_l1`, the L1 of the hole alone; with a
      judge `fcn_score`, the class IoU of the whole split.
    """
    dataset = build_dataset(source, image_size=image_size, batch_size=batch_size, training=False, seed=seed)
    score_batch = _scorer(generator)
    batches, confusions = [], []
    label_ids = judge.label_ids(batch_size) if judge else itertools.repeat(None)
    for batch, ids in zip(dataset, label_ids, strict=False):
        scores, generated_image = score_batch(batch)
        batches.append(scores)
        if judge:
            confusions.append(judge.confuse(ids, generated_image))
    means = {
        name: float(np.concatenate([batch[name].numpy() for batch in batches]).mean(dtype=np.float64))
        for name in batches[0]
    }
    return {**means, "fcn_score": fcn_score(np.sum(confusions, axis=0))} if judge else means


@functools.lru_cache(maxsize=1)
def _scorer(generator: keras.Model):
    @tf.function(reduce_retracing=True, autograph=False)
    def score_batch(batch):
        generated_image = generator([batch["input_image"], batch["noise_seed"]], training=False)
        scores = compute_image_quality(batch["target_image"], generated_image)
        if "mask" in batch:
            scores["hole_l1"] = compute_hole_l1(batch["target_image"], generated_image, batch["mask"])
        return scores, generated_image

    return score_batch


def sample_sheets(
    train_step: TranslationStep, source: Source, image_size: tuple[int, int], seed: int = 0
) -> dict[str, np.ndarray]:
    """Translates the first few examples, the same ones every time.

    Args:
      train_step: its generator, and its discriminator where it has one.
      source: the split's pairs.
      image_size: (height, width) px.
      seed: of the noise.

    Returns:
      `pictures`: input, generated and target, an example a row; `patches`: what
      the discriminator thinks of generated and target. Each uint8 [H, W, 3].
    """
    dataset = build_dataset(source, image_size=image_size, batch_size=1, training=False, seed=seed)
    shown, judged = [], []
    for batch in dataset.take(SAMPLES):
        input_image, target_image = batch["input_image"], batch["target_image"]
        generated_image = train_step.generator([input_image, batch["noise_seed"]], training=False)
        shown.append(show_examples(source.task, batch, generated_image))
        if train_step.discriminator is not None:
            logits = [
                train_step.discriminate(input_image, image) for image in (generated_image, target_image)
            ]
            judged.append([patch_map(values, image_size) for values in logits])
    sheets: dict[str, list] = {"pictures": shown, "patches": judged}
    return {
        name: contact_sheet([tf.concat(column, 0) for column in zip(*rows, strict=True)])
        for name, rows in sheets.items()
        if rows
    }
