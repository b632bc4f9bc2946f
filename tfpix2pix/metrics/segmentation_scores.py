"""The FCN-score (Sec. 3.4): the scores of a labelling, from one confusion matrix of a whole split."""

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tfpix2pix.metrics.registry import Examples, Metric, NotApplicableError, Partials, Pictures, Result, Tools
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.tasks.transforms import to_unit_range

SCORES = ("pixel_accuracy", "class_accuracy", "class_iou")
MOST_CLASSES = 255  # A table of this many classes takes 256 KiB, and each image has one.


def fcn_score(tools: Tools) -> Metric:
    """Whether a segmentation network finds in generated photos what the label maps say."""
    segmenter, palette = tools.segmenter, tools.palette
    if segmenter is None:
        raise NotApplicableError(
            "fcn_score needs a segmentation network: give `segmenter`, a .keras file or the folder of one "
            "that python -m tfpix2pix.metrics.fcn has trained"
        )
    if palette is None:
        raise NotApplicableError("fcn_score needs label maps whose classes are known: give `palette`")
    if tools.label_side == "target":
        raise NotApplicableError(
            "fcn_score judges generated photos, and this model generates label maps: take label_accuracy"
        )
    num_classes = len(palette)
    check_countable("fcn_score", num_classes)
    # A network may have one more class, for pixels that are void.
    fits = segmenter.num_classes in (num_classes, num_classes + 1)
    if not fits or (segmenter.palette and segmenter.palette.names != palette.names):
        raise UsageError(
            f"{segmenter.title} finds {segmenter.num_classes} classes, and not the {num_classes} of the "
            f"label maps ({', '.join(palette.names)}): give a `segmenter` that was trained on these"
        )

    def measure(examples: Examples) -> Partials:
        def confuse(pictures: Pictures) -> np.ndarray:
            ids = np.asarray(segmenter(to_unit_range(pictures)))
            return confusion_matrices(examples.label_ids, ids, num_classes)

        return {
            "generated": confuse(examples.generated_picture),
            "target": confuse(examples.target_picture),
        }

    combine = functools.partial(summarise, names=palette.names, absent_classes=tools.absent_classes)
    return Metric(measure, combine, higher_is_better=True, headline="class_iou", reads_labels=True)


def check_countable(name: str, num_classes: int) -> None:
    """Raises NotApplicableError if there are too many classes for a table of counts for each image."""
    if num_classes > MOST_CLASSES:
        raise NotApplicableError(
            f"{name} counts the pixels of up to {MOST_CLASSES} classes, and the palette has {num_classes:,}"
        )


def confusion_matrices(
    label_ids: npt.ArrayLike | None, predicted_ids: npt.ArrayLike, num_classes: int
) -> npt.NDArray[np.int32]:
    """Counts, in each image, the pixels of class i that were taken for class j.

    Args:
      label_ids: integers [B, H, W], the ground truth; pixels whose id is not that of a
        class, such as 255, are not counted.
      predicted_ids: integers [B, H, W]; an id that is not that of a class is a miss.
      num_classes: k, the number of classes.

    Returns:
      int32 [B, k, k + 1], the n_ij of the paper; the last column counts pixels that were
      taken for none of the classes.

    Raises:
      ValueError: if the shapes differ.
    """
    labels, predicted = np.asarray(label_ids), np.asarray(predicted_ids)
    if labels.shape != predicted.shape or labels.ndim != 3:
        raise ValueError(f"ids must be [B, H, W]. Received: shapes {labels.shape} and {predicted.shape}")
    predicted = np.where((predicted >= 0) & (predicted < num_classes), predicted, num_classes)
    cells = labels.astype(np.int64) * (num_classes + 1) + predicted
    counted = (labels >= 0) & (labels < num_classes)
    size = num_classes * (num_classes + 1)
    rows = [np.bincount(cells[i][counted[i]], minlength=size) for i in range(len(labels))]
    return np.array(rows, np.int32).reshape(-1, num_classes, num_classes + 1)


def class_scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Returns n_ii / t_i and n_ii / (t_i + sum_j n_ji - n_ii) of each class.

    Args:
      confusion: counts [..., k, k + 1], as `confusion_matrices` returns them.

    Returns:
      `accuracy` and `iou`, each float64 [..., k]; NaN for classes that do not occur in the
      ground truth.
    """
    confusion = confusion.astype(np.int64)
    hits, labelled = np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(-1)
    union = labelled + confusion.sum(-2)[..., :-1] - hits
    return {"accuracy": _divide(hits, labelled, labelled > 0), "iou": _divide(hits, union, labelled > 0)}


def segmentation_scores(confusion: np.ndarray, absent_classes: str = "skip") -> dict[str, np.ndarray]:
    """Returns the three scores of the paper.

    Args:
      confusion: counts [..., k, k + 1], as `confusion_matrices` returns them.
      absent_classes: what becomes of classes that do not occur in the ground truth:
        `skip` takes the means over the other classes, `zero` counts them as 0, as the
        original code does.

    Returns:
      `pixel_accuracy`, `class_accuracy` and `class_iou`, each float64 [...] in [0, 1]; with
      `skip` they are NaN if no pixel has a class.
    """
    confusion = confusion.astype(np.int64)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).sum(-1)
    labelled = confusion.sum((-2, -1))
    by_class = class_scores(confusion)
    values = (_divide(hits, labelled, labelled > 0), *map(_mean_of_present, by_class.values()))
    if absent_classes == "zero":
        means = (np.nan_to_num(each).mean(-1) for each in by_class.values())
        values = (np.nan_to_num(values[0]), *means)
    return dict(zip(SCORES, values, strict=True))


def summarise(partials: Mapping[str, np.ndarray], names: Sequence[str], absent_classes: str) -> Result:
    """Turns the confusion matrices of all images into scores, also of each class and of each image.

    Args:
      partials: `generated`, and `target` if it is known, each [N, k, k + 1].
      names: names of the k classes.
      absent_classes: `skip` or `zero`, as for `segmentation_scores`. The scores of a single
        image always skip the classes that it does not have.
    """
    totals = {kind: matrices.sum(axis=0, dtype=np.int64) for kind, matrices in partials.items()}
    scores = {
        kind: {name: float(value) for name, value in segmentation_scores(total, absent_classes).items()}
        for kind, total in totals.items()
    }
    per_image = segmentation_scores(partials["generated"])
    by_class = {kind: class_scores(total) for kind, total in totals.items()}
    per_class = [
        {
            "class": name,
            "pixels": int(totals["generated"][i].sum()),
            **{score: float(by_class["generated"][score][i]) for score in ("accuracy", "iou")},
            **{
                f"ground_truth_{score}": float(values[i])
                for score, values in by_class.get("target", {}).items()
            },
        }
        for i, name in enumerate(names)
    ]
    return Result(
        scores["generated"],
        scores.get("target", {}),
        {name: per_image[name] for name in ("pixel_accuracy", "class_iou")},
        {
            "absent_classes": absent_classes,
            "per_class": per_class,
            "confusion": {kind: total.tolist() for kind, total in totals.items()},
        },
    )


def _divide(counts: np.ndarray, totals: np.ndarray, defined: np.ndarray) -> np.ndarray:
    return np.divide(counts, totals, out=np.full(np.shape(totals), np.nan), where=defined)


def _mean_of_present(values: np.ndarray) -> np.ndarray:
    present = ~np.isnan(values)
    return _divide(np.where(present, values, 0).sum(-1), present.sum(-1), present.any(-1))
