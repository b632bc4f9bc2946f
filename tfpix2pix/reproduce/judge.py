"""Whether a segmentation network is good enough to rank the rows of a table by its scores."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfpix2pix.metrics.segmentation_scores import segmentation_scores
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.reproduce.paper_tables import SCORES
from tfpix2pix.reproduce.verdicts import Cell

_REMEDY = (
    "Name a better one with `segmenter`; or remove <workdir>/fcn, and this command trains it anew, for more "
    "`fcn_epochs`. The trained rows are kept"
)


def check_on_real_photos(title: str, confusion: Sequence[Sequence[int]]) -> None:
    """Refuses a judge that is not better than naming the same class everywhere.

    Args:
      title: name of the judge.
      confusion: how the judge labels the real photos, counts [k, k + 1] as `confusion_matrices` returns them.

    Raises:
      UserError: where one of the scores is not above that of naming the most frequent class everywhere.
    """
    counts = np.asarray(confusion, np.int64)
    constant = np.zeros_like(counts)
    constant[:, counts.sum(1).argmax()] = counts.sum(1)
    own, floor = segmentation_scores(counts), segmentation_scores(constant)
    for name in SCORES:
        if not own[name] > floor[name]:
            raise UserError(
                f"{title} cannot judge the rows: its {name} on real photos is {own[name]:.3f}, and naming "
                f"the most frequent class everywhere reaches {floor[name]:.3f}. {_REMEDY}"
            )


def check_below_real_photos(title: str, cells: Sequence[Cell], ground_truth: Mapping[str, float]) -> None:
    """Refuses a judge that likes the generated photos of a row better than real ones.

    Args:
      title: name of the judge.
      cells: the rows.
      ground_truth: the scores of the real photos.

    Raises:
      UserError: where one of the scores of a row, as a mean over its seeds, is above that of the real photos.
    """
    for cell in cells:
        for name in SCORES:
            if cell.mean(name) > ground_truth[name]:
                raise UserError(
                    f"{title} cannot judge the rows: the {name} that it gives real photos, "
                    f"{ground_truth[name]:.3f}, is below that of the generated ones of {cell.row.title}, "
                    f"{cell.mean(name):.3f}. {_REMEDY}"
                )
