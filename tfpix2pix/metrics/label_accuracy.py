"""Generated label maps, scored directly: no network in between (Table 6)."""

from tfpix2pix.metrics.registry import Examples, Metric, NotApplicableError, Partials, Result, Tools
from tfpix2pix.metrics.segmentation_scores import confusion_matrices, summarise
from tfpix2pix.pipelines.labels.palettes import class_ids


def label_accuracy(tools: Tools) -> Metric:
    """The FCN-score's three numbers for generated label maps; a pixel's class is its nearest colour's."""
    palette = tools.palette
    if palette is None:
        raise NotApplicableError("label_accuracy needs label maps, and their classes: give `palette`")
    if tools.label_side == "input":
        raise NotApplicableError(
            "label_accuracy judges generated label maps, and this model generates photos: take fcn_score"
        )

    def measure(examples: Examples) -> Partials:
        predicted_ids = class_ids(examples.generated_picture, palette).numpy()
        return {"generated": confusion_matrices(examples.label_ids, predicted_ids, len(palette))}

    def combine(partials: Partials) -> Result:
        return summarise(partials, palette.names, tools.absent_classes)

    return Metric(measure, combine, higher_is_better=True, headline="class_iou")
