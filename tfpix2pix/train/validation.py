"""The validation of a generator while it is trained: scores of a split, and pictures of a few examples."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.config.options import Size
from tfpix2pix.methods.step import TranslationStep
from tfpix2pix.metrics.fcn.segmenter import load_segmenter
from tfpix2pix.metrics.label_maps import find_tools
from tfpix2pix.metrics.registry import BuildMetric, Metric, Tools, build_metrics, headline_score
from tfpix2pix.metrics.scoring import ALONE, BATCH_SIZE, Share, Split, score_split
from tfpix2pix.networks.tiles import generate_in_tiles
from tfpix2pix.pictures import sheets
from tfpix2pix.pictures.examples import ShownExamples, show_examples
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.batches import Batch, build_dataset
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.tasks.transforms import mirror_outwards
from tfpix2pix.run.records import Judgement, Validation

SAMPLES = 4
PIXEL_SCORES = ("l1", "psnr", "ssim")


def build_judgement(
    config: Config,
    source: Source,
    own: Mapping[str, BuildMetric] | None = None,
    share: Share = ALONE,
    loads_networks: bool = True,
) -> Callable[[TranslationStep], Judgement]:
    """Returns how a training is scored and shown; metrics are built now, so that a wrong one leaves no run.

    Args:
      config: names the segmentation network, and the metric of the best checkpoint.
      source: the pairs of the validation split.
      own: metrics of the caller, by name, which are scored beside the usual ones.
      share: this worker's part of the scoring; see `scoring.Share`.
      loads_networks: False for a look at the metrics alone, which downloads nothing; see `registry.Tools`.

    Returns:
      A function that takes the training step and returns the `Judgement`.

    Raises:
      UsageError: for a metric that cannot be computed, or that cannot tell which checkpoint is the best.
    """
    segmenter = load_segmenter(config.segmenter) if config.segmenter else None
    tools = find_tools(
        source, config.dataset, config.data_dir, segmenter=segmenter, loads_networks=loads_networks
    )
    metrics = _default_metrics(tools)
    if tools.segmenter:
        metrics |= build_metrics(["fcn_score"], tools)
    metrics |= {name: build(tools) for name, build in (own or {}).items()}
    best = config.best_metric
    if best not in metrics:
        metrics |= build_metrics([best], tools)
    higher_is_better = metrics[best].higher_is_better
    if higher_is_better is None:
        raise UsageError(f"`best_metric={best}` cannot tell a better checkpoint: no value of it is better")
    split = Split(source, config.image_size, config.seed, tools, resize=config.resizes)

    def judge(train_step: TranslationStep) -> Judgement:
        return Judgement(
            validate=lambda: Validation(_score(train_step.validated_generator, split, metrics, share)),
            metric=best,
            higher_is_better=higher_is_better,
            sample=lambda: sample_sheets(
                train_step, source, config.image_size, config.seed, resize=config.resizes
            ),
        )

    return judge


def _default_metrics(tools: Tools) -> dict[str, Metric]:
    return build_metrics([*PIXEL_SCORES, *(["hole_l1"] if tools.has_holes else [])], tools)


def compute_validation_scores(
    generator: keras.Model,
    source: Source,
    image_size: Size,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    resize: bool = True,
) -> dict[str, float]:
    """Translates every example once and returns the mean scores.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`.
      source: the split's pairs.
      image_size: (height, width) in px that pairs are resized to.
      seed: seed of the noise.
      batch_size: number of images that are translated at a time; no score depends on it.
      resize: whether pairs are resized; if not, they are translated in overlapping windows of `image_size`.

    Returns:
      `l1`, `psnr` and `ssim` of the generated images; for inpainting also `hole_l1`, which is
      the L1 of the hole alone.
    """
    tools = Tools(has_holes=source.task.name == "inpaint")
    split = Split(source, image_size, seed, tools, batch_size, resize)
    return _score(generator, split, _default_metrics(tools))


def _score(
    generator: keras.Model, split: Split, metrics: Mapping[str, Metric], share: Share = ALONE
) -> dict[str, float]:
    window = None if split.resize else split.image_size
    results = score_split(_compiled(generator, window), split, metrics, share=share)
    return {name: headline_score(name, metrics[name], result) for name, result in results.items()}


@functools.lru_cache(maxsize=2)  # for the scores and for the pictures
def _compiled(generator: keras.Model, window: Size | None) -> Any:
    def generate(input_image, noise_seed):
        return generator([input_image, noise_seed], training=False)

    generate_whole = generate_in_tiles(generate, window) if window else generate
    return tf.function(generate_whole, reduce_retracing=True, autograph=False)


def cut_middle(batch: Batch, size: Size) -> Batch:
    """Cuts the middle window of `size`, (height, width) px, out of the images of a batch.

    Images that are smaller are mirrored outwards.
    """

    def cut(image: tf.Tensor) -> tf.Tensor:
        larger = mirror_outwards(image, size)
        top, left = tf.unstack((tf.shape(larger)[1:3] - tf.constant(size)) // 2)
        return larger[:, top : top + size[0], left : left + size[1]]

    return {name: cut(value) if value.shape.rank == 4 else value for name, value in batch.items()}


def _list_scales(logits: Any) -> list[tf.Tensor]:
    return logits if isinstance(logits, list) else [logits]


def sample_sheets(
    train_step: TranslationStep, source: Source, image_size: Size, seed: int = 0, resize: bool = True
) -> dict[str, np.ndarray]:
    """Translates the first few examples, the same ones every time.

    Args:
      train_step: the training step, whose generator translates and whose discriminator, if
        there is one, judges.
      source: the split's pairs.
      image_size: (height, width) in px.
      seed: seed of the noise.
      resize: whether the images are resized to `image_size`; if not, their middle is cut out.

    Returns:
      Two pictures, uint8 [H, W, 3], with a row for each example and titles above the columns:
      `pictures` shows input, generated image and target; `patches` shows what the
      discriminator thinks of the generated image and of the target, at each of its scales, with a
      legend below.
    """
    # Windows are shown one by one, because a network of the paper's size takes much memory for each.
    batch_size, batches = (SAMPLES, 1) if resize else (1, SAMPLES)
    dataset = build_dataset(
        source, image_size=image_size, batch_size=batch_size, training=False, seed=seed, resize=resize
    )
    shown, judged = [], []
    for example in dataset.take(batches):
        batch = example if resize else cut_middle(example, image_size)
        input_image, target_image = batch["input_image"], batch["target_image"]
        generated_image = _compiled(train_step.validated_generator, None)(input_image, batch["noise_seed"])
        shown.append(show_examples(source.task, batch, generated_image))
        if train_step.discriminator is not None:
            generated, target = (
                _list_scales(train_step.discriminate(input_image, image))
                for image in (generated_image, target_image)
            )
            scales = [logits for pair in zip(generated, target, strict=True) for logits in pair]
            judged.append([sheets.patch_map(logits, image_size) for logits in scales])
    titles = [
        f"of {what}{f', 1/{2**scale} size' if scale else ''}"
        for scale in range(len(judged[0]) // 2 if judged else 0)
        for what in ("generated", "target")
    ]
    sheets_of: dict[str, tuple[list, Sequence[str], Sequence[str]]] = {
        "pictures": (shown, ShownExamples._fields, ()),
        "patches": (judged, titles, sheets.PATCH_LEGEND),
    }
    return {
        name: sheets.contact_sheet([tf.concat(column, 0) for column in zip(*rows, strict=True)], *captions)
        for name, (rows, *captions) in sheets_of.items()
        if rows
    }
