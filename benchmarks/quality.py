"""Scores the checkpoints of runs: how good the generated photos are, and after how many steps.

    python -m benchmarks.quality --segmenter=runs/fcn --models=runs/a,runs/b [--weights=ema] [--json=FILE]

All runs are of one dataset with label maps. The columns are the FCN-scores; the KID of the features that the
segmentation network has before its scores (`fc7`, averaged over the image), which can only be compared within
one network, while published KIDs are of InceptionV3; the L1 distance; and, as `benchmarks.spectrum` measures
them, the fine detail as a share of that of the targets, and the share of the power that has a period of 2 px
along rows or columns, where transposed convolutions leave their grid. Runs that keep an average of their
weights are scored with both, unless `--weights` names one. The pictures are in `quality/` in the folder of
each run.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from benchmarks.measurement import show_table, write_json
from benchmarks.spectrum import measure_power, share_at_half, sum_fine
from tfpix2pix.config.choices import METRICS, WEIGHTS
from tfpix2pix.metrics.registry import Examples, Metric, NotApplicableError, Partials, Result, Tools
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.run.folder import read_config

FEATURES = "fc7_relu"  # the layer of `metrics.fcn.network.fcn8s` before its scores
COLUMNS = ("pixel_accuracy", "class_accuracy", "class_iou", "kid", "l1", "fine_detail", "power_at_2_px")
SHOWN = 8


def fcn_kid(tools: Tools) -> Metric:
    """Squared maximum mean discrepancy of the features of the segmentation network."""
    import keras
    import tensorflow as tf

    from tfpix2pix.metrics.inception import combine_kid, measure_features
    from tfpix2pix.pipelines.tasks.transforms import to_unit_range

    if tools.segmenter is None:
        raise NotApplicableError("fcn_kid needs `segmenter`")
    network: keras.Model = tools.segmenter.network  # type: ignore[attr-defined]
    inside = keras.Model(network.inputs, network.get_layer(FEATURES).output)
    extract = tf.function(
        lambda images: tf.reduce_mean(tf.cast(inside([images], training=False), tf.float32), [1, 2]),
        reduce_retracing=True,
    )

    def measure(examples: Examples) -> Partials:
        return measure_features(lambda pictures: extract(to_unit_range(pictures)).numpy(), examples)

    return Metric(measure, combine_kid, higher_is_better=False, headline="kid")


def fine_detail(tools: Tools) -> Metric:
    """Power of the frequencies above a quarter of a cycle per px, as a share of that of the targets."""

    def measure(examples: Examples) -> Partials:
        pairs = {"generated": np.asarray(examples.generated_samples[0]), "target": examples.target_image}
        return {
            kind: np.stack([measure_power(image[None]) for image in np.asarray(images)])
            for kind, images in pairs.items()
        }

    def combine(partials: Partials) -> Result:
        generated, target = (partials[kind].mean(0) for kind in ("generated", "target"))
        return Result(
            {
                "fine_detail": sum_fine(generated) / sum_fine(target),
                "power_at_2_px": share_at_half(generated),
            },
            {"fine_detail": 1.0, "power_at_2_px": share_at_half(target)},
        )

    return Metric(measure, combine, higher_is_better=None)


def score(model: Path, step: int, weights: str, split: str, segmenter: Any) -> tuple[dict, dict]:
    """Returns the scores of a checkpoint, and those of the target images where they are known."""
    from tfpix2pix.evaluate.evaluation import evaluate_model

    evaluation = evaluate_model(
        model,
        model / "quality" / f"{step}-{weights}",
        checkpoint=str(step),
        weights=weights,
        split=split,
        metrics=["fcn_score", "fcn_kid", "l1", "fine_detail"],
        segmenter=segmenter,
        gallery_size=SHOWN,
    )
    scores: dict[str, float] = {}
    truths: dict[str, float] = {}
    for result in evaluation.results.values():
        scores |= result.scores
        truths |= result.ground_truth
    return scores, truths


def main(argv: Sequence[str]) -> None:
    """Scores all checkpoints and prints a table."""
    flag_values = command_line.new_flags()
    flags.DEFINE_list("models", [], "Score these runs, separated by commas.", flag_values=flag_values)
    text = "Score these weights, where a run keeps an average of them too."
    flags.DEFINE_list("weights", sorted(WEIGHTS, reverse=True), text, flag_values=flag_values)
    for name, default, text in (
        ("segmenter", None, "Score with this run of python -m tfpix2pix.metrics.fcn."),
        ("split", "val", "Score this split."),
        ("json", None, "Write the numbers to this file, as JSON."),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    command_line.refuse_arguments(command_line.parse_flags(flag_values, __doc__ or "", argv))
    if not flag_values.models or not flag_values.segmenter:
        raise UsageError("--models and --segmenter are needed (--help lists the flags)")
    if not flag_values.weights or not set(WEIGHTS).issuperset(flag_values.weights):
        raise UsageError(f"--weights takes raw, ema or both. Received: {','.join(flag_values.weights)}")
    command_line.import_tensorflow()
    from tfpix2pix.metrics.fcn.segmenter import load_segmenter
    from tfpix2pix.run import checkpoints

    METRICS.update(fcn_kid=fcn_kid, fine_detail=fine_detail)
    segmenter = load_segmenter(flag_values.segmenter)
    rows, numbers = [], []
    for model in map(Path, flag_values.models):
        kinds = flag_values.weights if read_config(model).ema_decay else ("raw",)
        for step, weights in [(step, each) for step in checkpoints.list_steps(model) for each in kinds]:
            scores, truths = score(model, step, weights, flag_values.split, segmenter)
            rows.append([str(model), str(step), weights, *(f"{scores[name]:.4f}" for name in COLUMNS)])
            numbers.append({"model": str(model), "step": step, "weights": weights, **scores})
    known = [f"{truths[name]:.4f}" if name in truths else "" for name in COLUMNS]
    show_table(["run", "step", "weights", *COLUMNS], [*rows, ["targets", "", "", *known]])
    if flag_values.json:
        write_json(flag_values.json, {"scores": numbers, "targets": truths})


if __name__ == "__main__":
    command_line.run(main)
