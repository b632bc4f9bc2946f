"""The scores of generated label maps, which need no segmentation network (Table 6)."""

import functools

from tfpix2pix.metrics.registry import Examples, Metric, NotApplicableError, Partials, Tools
from tfpix2pix.metrics.segmentation_scores import check_countable, confusion_matrices, summarise
from tfpix2pix.pipelines.labels.palettes import class_ids


def label_accuracy(tools: Tools) -> Metric:
    """The three scores of a labelling for generated label maps; the nearest colour is a pixel's class."""
    palette = tools.palette
    if palette is None:
        raise NotApplicableError("label_accuracy needs label maps whose classes are known: give `palette`")
    if tools.label_side == "input":
        raise NotApplicableError(
            "label_accuracy judges generated label maps, and this model generates photos: take fcn_score"
        )
    check_countable("label_accuracy", len(palette))

    def measure(examples: Examples) -> Partials:
        predicted_ids = class_ids(examples.generated_picture, palette).numpy()
        return {"generated": confusion_matrices(examples.label_ids, predicted_ids, len(palette))}

    combine = functools.partial(summarise, names=palette.names, absent_classes=tools.absent_classes)
    return Metric(measure, combine, higher_is_better=True, headline="class_iou", reads_labels=True)
