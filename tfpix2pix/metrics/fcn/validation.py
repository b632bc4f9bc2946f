"""The validation of FCN-8s: its scores, the IoU of each class, and a picture of a few examples."""

import numpy as np
import tensorflow as tf

from tfpix2pix.metrics.fcn.config import FcnConfig
from tfpix2pix.metrics.fcn.segmenter import KerasSegmenter
from tfpix2pix.metrics.segmentation_scores import class_scores, confusion_matrices, segmentation_scores
from tfpix2pix.pictures.sheets import contact_sheet
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files.samples import spread_evenly
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.labels.palettes import Palette, colour_ids
from tfpix2pix.pipelines.tasks.transforms import to_unit_range
from tfpix2pix.run.records import Validation

BEST_METRIC = "class_iou"
SAMPLES = 4


def validate(segmenter: KerasSegmenter, source: Source, palette: Palette, config: FcnConfig) -> Validation:
    """Scores a segmentation network on a split.

    Args:
      segmenter: the network: images -> class ids.
      source: photos and class ids.
      palette: the classes.
      config: the settings, of which the image size and the batch size are used.

    Returns:
      The three scores of the paper, the IoU of each class that occurs, and a picture.
    """
    confusion, sheet = find_classes(segmenter, source, palette, config)
    scores = {name: float(value) for name, value in segmentation_scores(confusion).items()}
    by_class = zip(palette.names, class_scores(confusion)["iou"], strict=True)
    present = {name: float(iou) for name, iou in by_class if not np.isnan(iou)}
    return Validation(scores, {"pictures": sheet}, {"iou": present})


def find_classes(
    segmenter: KerasSegmenter, source: Source, palette: Palette, config: FcnConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the classes in every photo of a split once.

    Args:
      segmenter: the network: images -> class ids.
      source: photos and class ids.
      palette: the classes.
      config: the settings, of which the image size and the batch size are used.

    Returns:
      The confusion matrix of the whole split, int64 [K, K + 1], as `segmentation_scores`
      takes it; and a picture, uint8 [H, W, 3], that shows photo, predicted classes and true
      classes of a few examples from different parts of the split.
    """
    num_classes = len(palette)
    confusion = np.zeros((num_classes, num_classes + 1), np.int64)
    shown: list[list[tf.Tensor]] = []
    places, seen = spread_evenly(len(source), SAMPLES), 0
    dataset = build_dataset(
        source,
        image_size=config.image_size,
        batch_size=config.batch_size,
        training=False,
        class_targets=True,
    )
    for batch in dataset:
        predicted_ids = segmenter(batch["input_image"])
        confusion += confusion_matrices(batch["target_ids"], predicted_ids, num_classes).sum(0, np.int64)
        coloured = (colour_ids(ids, palette) for ids in (predicted_ids, batch["target_ids"]))
        columns = [batch["input_image"], *map(to_unit_range, coloured)]
        # Examples next to each other are often alike, as frames of one drive are.
        chosen = [place - seen for place in places if seen <= place < seen + len(predicted_ids)]
        shown.append([tf.gather(column, tf.constant(chosen, tf.int32)) for column in columns])
        seen += len(predicted_ids)
    columns = [tf.concat(column, 0) for column in zip(*shown, strict=True)]
    return confusion, contact_sheet(columns, ("photo", "predicted", "truth"))
