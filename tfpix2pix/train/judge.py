"""The FCN-score during training: does a segmentation network find in generated photos what went in?"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.metrics import label_maps
from tfpix2pix.metrics.fcn.segmenter import load_segmenter
from tfpix2pix.metrics.segmentation_scores import confusion_matrices, segmentation_scores
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.tasks.transforms import to_uint8, to_unit_range


class Judge:
    """A segmentation network and the label maps of a split.

    Args:
      config: names the segmenter.
      source: the split's pairs, label maps in, photos out.

    Raises:
      UsageError: when there is no such segmenter, or it does not fit the pairs.
    """

    def __init__(self, config: Config, source: Source):
        self._segmenter = load_segmenter(config.segmenter)
        self._source, self._image_size = source, config.image_size
        classes = label_maps.choose_palette(config.dataset, config.data_dir, None, self._segmenter)
        if classes is None or label_maps.find_label_side(source, classes) != "input":
            raise UsageError(
                f"--segmenter judges photos made from label maps; the input images of {config.dataset} "
                f"({config.direction}) are not in the colours of its classes"
            )
        # One more is a class of its own for what is void.
        if self._segmenter.num_classes not in (len(classes), len(classes) + 1):
            raise UsageError(
                f"--segmenter={config.segmenter} knows {self._segmenter.num_classes} classes, "
                f"and {config.dataset} has {len(classes)}"
            )
        self._palette = classes

    def label_ids(self, batch_size: int) -> Iterable[Any]:
        """Yields the class ids of the input images, uint8 [B, H, W], in order."""
        return label_maps.read_label_ids(self._source, self._palette, "input", self._image_size, batch_size)

    def confuse(self, label_ids: np.ndarray, generated_image: tf.Tensor) -> np.ndarray:
        """Returns the confusion matrix of a batch, [K, K + 1].

        Args:
          label_ids: of the input, uint8 [B, H, W].
          generated_image: float32 [B, H, W, 3] in [-1, 1].
        """
        # As it will be seen: in 8 bits.
        predicted_ids = self._segmenter(to_unit_range(to_uint8(generated_image)))
        matrices = confusion_matrices(label_ids, predicted_ids, len(self._palette))
        return matrices.sum(axis=0, dtype=np.int64)


def fcn_score(confusion: np.ndarray) -> float:
    """Returns the class IoU of a split's confusion matrix."""
    return float(segmentation_scores(confusion)["class_iou"])
