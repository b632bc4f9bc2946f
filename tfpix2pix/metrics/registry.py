"""The metrics: one's name is its function, its key in the results and its file's name.

A metric is two pure functions: `measure` turns a batch into arrays with a row per
example, and `combine` turns those of the whole split into scores. So a split of any
length goes through memory a batch at a time, and metrics that share a `measure`
share its work.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from tfpix2pix.config.choices import METRICS
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.homes import resolve

if TYPE_CHECKING:  # which import TensorFlow, and a list of names needs none
    import tensorflow as tf

    from tfpix2pix.pipelines.labels.palettes import Palette

# Only by default with --inception_weights: else they would download theirs.
_DOWNLOADING = ("fid", "kid")
ABSENT_CLASSES = ("skip", "zero")

Pictures = npt.NDArray[np.uint8]
Partials = Mapping[str, np.ndarray]


class Segmenter(Protocol):
    """A segmentation network: float32 images [B, H, W, 3] in [-1, 1] -> class ids [B, H, W].

    Its `palette` names its classes, where that is known.
    """

    num_classes: int
    title: str
    palette: "Palette | None"

    def __call__(self, images: "tf.Tensor") -> Any:
        """Returns the class of every pixel."""


@dataclasses.dataclass(frozen=True, eq=False)
class Tools:
    """What metrics may need beside images.

    Attributes:
      palette: classes of the dataset's label maps.
      label_side: which image of a pair is the label map, `input` or `target`;
        None where neither is.
      segmenter: for `fcn_score`.
      absent_classes: how classes that the ground truth lacks count in means over
        classes: `skip` leaves them out, `zero` counts them as 0.
      samples_per_image: outputs of one input that `diversity` compares.
      inception_weights: file for `fid` and `kid`; None lets Keras download it.
      has_holes: whether the task is inpainting.
    """

    palette: "Palette | None" = None
    label_side: str | None = None
    segmenter: Segmenter | None = None
    absent_classes: str = "skip"
    samples_per_image: int = 4
    inception_weights: Path | None = None
    has_holes: bool = False

    def __post_init__(self) -> None:
        if self.absent_classes not in ABSENT_CLASSES:
            rules = ", ".join(ABSENT_CLASSES)
            raise UsageError(f"`absent_classes` must be one of {rules}. Received: {self.absent_classes}")
        if self.samples_per_image < 1:
            raise UsageError(f"`samples_per_image` must be at least 1. Received: {self.samples_per_image}")


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """A batch, as metrics see it.

    Attributes:
      target_image: float32 [B, H, W, C] in [-1, 1], as the generator's.
      generated_samples: float32 [S, B, H, W, C] in [-1, 1]; the first of the S
        samples is the one that is judged, each has noise of its own.
      target_picture: uint8 [B, H, W, 3], what a person sees.
      generated_picture: uint8 [B, H, W, 3].
      label_ids: uint8 [B, H, W], class ids of the label map; None where there is none.
      mask: float32 [B, H, W, 1], 1 in the holes of inpainting; None for other tasks.
    """

    target_image: "tf.Tensor"
    generated_samples: "tf.Tensor"
    target_picture: Pictures
    generated_picture: Pictures
    label_ids: Pictures | None = None
    mask: "tf.Tensor | None" = None


@dataclasses.dataclass(frozen=True)
class Result:
    """What a metric says of a split.

    Attributes:
      scores: of the generated images, by name.
      ground_truth: the same scores of the target images, where a metric has them:
        the ceiling.
      per_image: float [N] by name, for the gallery to sort by.
      details: more for the file, such as scores per class.
    """

    scores: dict[str, float]
    ground_truth: dict[str, float] = dataclasses.field(default_factory=dict)
    per_image: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Metric:
    """A way to judge.

    Attributes:
      measure: batch -> arrays [B, ...].
      combine: the same arrays over the split, [N, ...] -> result.
      higher_is_better: None where neither is.
      samples: how many samples of each input `measure` looks at.
      headline: the score that stands for the metric where one number is needed, as
        in validations; empty for the score of the metric's own name.
    """

    measure: Callable[[Examples], Partials]
    combine: Callable[[Partials], Result]
    higher_is_better: bool | None
    samples: int = 1
    headline: str = ""


# A metric's function: what it may need -> the metric.
BuildMetric = Callable[[Tools], Metric]


def headline_score(name: str, metric: Metric, result: Result) -> float:
    """Returns the one score that stands for a metric.

    Raises:
      UsageError: where the metric has several scores, and none of them stands for it.
    """
    headline = metric.headline or name
    if headline not in result.scores:
        scores = ", ".join(result.scores)
        raise UsageError(f"{name} has several scores, and none stands for all of them: {scores}")
    return result.scores[headline]


class NotApplicableError(UsageError):
    """A metric cannot judge this model, or lacks something; the text says what to give."""


def build_metrics(names: Iterable[str] | None, tools: Tools) -> dict[str, Metric]:
    """Builds the named metrics.

    Args:
      names: of metrics; None takes all that `tools` are enough for, and `fcn_score`
        must be had where there is a segmenter.
      tools: what they may need.

    Raises:
      UsageError: for a name that is none, or a metric that cannot be had; says what
        to give.
    """
    if names is not None:
        return {name: _find(name)(tools) for name in names}
    metrics = {}
    for name in METRICS:
        if name in _DOWNLOADING and tools.inception_weights is None:
            continue
        try:
            metrics[name] = _find(name)(tools)
        except NotApplicableError:
            if name == "fcn_score" and tools.segmenter:  # what else was it given for?
                raise
    return metrics


def check_names(names: Iterable[str]) -> None:
    """Raises UsageError for a name that is no metric's; lists those that are."""
    if unknown := [name for name in names if name not in METRICS]:
        raise UsageError(f"no such metric: {', '.join(unknown)} (there are {', '.join(METRICS)})")


def describe(name: str) -> str:
    """Returns what a metric is, in one line."""
    return (_find(name).__doc__ or "").splitlines()[0]


def _find(name: str) -> BuildMetric:
    check_names([name])
    return resolve(METRICS[name])
