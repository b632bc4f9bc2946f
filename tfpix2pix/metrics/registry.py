"""What a metric is, and how metrics are found by their names.

The name of a metric is the name of the function that builds it, of its entry in the
results, and of its file. A metric consists of two pure functions. `measure` turns a
batch into arrays that have a row for each example. `combine` turns the rows of the
whole split into scores. So only one batch of images is in memory at a time, however
long the split is, and metrics that have the same `measure` share its work.
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

if TYPE_CHECKING:  # These import TensorFlow, which the names of metrics do not need.
    import tensorflow as tf

    from tfpix2pix.pipelines.labels.palettes import Palette

# Without this file of weights these download it, so they are computed by default only if there is a file.
_DOWNLOADING = {
    "fid": "inception_weights",
    "kid": "inception_weights",
    "lpips": "lpips_weights",
    "lpips_diversity": "lpips_weights",
    "fid_torch": "fid_torch_weights",
    "kid_torch": "fid_torch_weights",
}
ABSENT_CLASSES = ("skip", "zero")

Pictures = npt.NDArray[np.uint8]
Partials = Mapping[str, np.ndarray]


class Segmenter(Protocol):
    """A segmentation network: float32 images [B, H, W, 3] in [-1, 1] -> class ids [B, H, W].

    Attributes:
      num_classes: number of classes that it finds.
      title: what messages call it.
      palette: names and colours of its classes; None if they are not known.
    """

    num_classes: int
    title: str
    palette: "Palette | None"

    def __call__(self, images: "tf.Tensor") -> Any:
        """Returns the class of every pixel."""


@dataclasses.dataclass(frozen=True, eq=False)
class Tools:
    """What metrics may need besides images.

    Attributes:
      palette: classes of the dataset's label maps.
      label_side: which image of a pair is the label map, `input` or `target`; None if
        neither is.
      segmenter: the network that `fcn_score` needs.
      absent_classes: how a mean over classes counts those that the ground truth does
        not have: `skip` leaves them out, `zero` counts them as 0.
      samples_per_image: number of outputs of the same input that `diversity` and `lpips_diversity` compare,
        of which `coverage` takes the nearest, and that `latent_error` encodes.
      inception_weights: file of weights for `fid` and `kid`; None lets Keras download it.
      lpips_weights: file of AlexNet's weights for `lpips` and `lpips_diversity`; None downloads it.
      fid_torch_weights: file of weights for `fid_torch` and `kid_torch`; None downloads it.
      has_holes: whether the task is inpainting.
      channels: number of channels of the target pictures.
      encode: finds latent vectors, float32 [B, latent_size], in images, float32 [B, H, W, C] in [-1, 1]; None
        where the model has no encoder.
      loads_networks: whether metrics load the networks that they may have to download; those that do not only
        say what they are, and measure nothing.
    """

    palette: "Palette | None" = None
    label_side: str | None = None
    segmenter: Segmenter | None = None
    absent_classes: str = "skip"
    samples_per_image: int = 4
    inception_weights: Path | None = None
    lpips_weights: Path | None = None
    fid_torch_weights: Path | None = None
    has_holes: bool = False
    channels: int = 3
    encode: "Callable[[tf.Tensor], tf.Tensor] | None" = None
    loads_networks: bool = True

    def __post_init__(self) -> None:
        if self.absent_classes not in ABSENT_CLASSES:
            rules = ", ".join(ABSENT_CLASSES)
            raise UsageError(f"`absent_classes` must be one of {rules}. Received: {self.absent_classes}")
        if self.samples_per_image < 1:
            raise UsageError(f"`samples_per_image` must be at least 1. Received: {self.samples_per_image}")


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """A batch of B examples, as metrics see it.

    Attributes:
      target_image: float32 [B, H, W, C] in [-1, 1]; what the generator should have made.
      generated_samples: float32 [S, B, H, W, C] in [-1, 1]; S outputs of each input,
        each with other noise. Most metrics judge the first.
      target_picture: uint8 [B, H, W, 3]; the target as people see it.
      generated_picture: uint8 [B, H, W, 3]; the first output as people see it.
      label_ids: [B, H, W], uint8, or int32 for more than 255 classes; class ids of the label map, and
        `palette.no_class` in pixels of no class. None if there is no label map, or no metric reads it.
      mask: float32 [B, H, W, 1]; 1 in the holes of inpainting. None for other tasks.
      noise_seeds: int32 [S, B, 2]; the noise seeds of the samples.
    """

    target_image: "tf.Tensor"
    generated_samples: "tf.Tensor"
    target_picture: Pictures
    generated_picture: Pictures
    label_ids: Pictures | None = None
    mask: "tf.Tensor | None" = None
    noise_seeds: "tf.Tensor | None" = None


@dataclasses.dataclass(frozen=True)
class Result:
    """What a metric says of a split.

    Attributes:
      scores: scores of the generated images, by name.
      ground_truth: the same scores of the target images, if the metric computes them;
        generated images can hardly exceed them.
      per_image: scores of each of the N images, float [N], by name; the page sorts by them.
      details: whatever else belongs in the file, such as scores of each class.
      baseline: the same scores of the mean target image of the training split, where they are computed.
    """

    scores: dict[str, float]
    ground_truth: dict[str, float] = dataclasses.field(default_factory=dict)
    per_image: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    details: dict[str, Any] = dataclasses.field(default_factory=dict)
    baseline: dict[str, float] = dataclasses.field(default_factory=dict)


def mean_of_images(partials: Partials) -> Result:
    """Returns the means of scores that each image has, [N] by name: a `combine` for many metrics."""
    scores = {name: float(values.mean(dtype=np.float64)) for name, values in partials.items()}
    return Result(scores, per_image=dict(partials))


@dataclasses.dataclass(frozen=True)
class Metric:
    """A way to judge generated images.

    Attributes:
      measure: turns a batch into arrays [B, ...].
      combine: turns the same arrays of the whole split, [N, ...], into a result.
      higher_is_better: whether a higher score is better; None if neither direction is.
      samples: number of outputs of each input that `measure` looks at.
      headline: name of the score that stands for the metric where one number is needed,
        as in validations; if it is empty, that is the score of the metric's own name.
      reads_labels: whether `measure` looks at `Examples.label_ids`; the label maps are read only then.
    """

    measure: Callable[[Examples], Partials]
    combine: Callable[[Partials], Result]
    higher_is_better: bool | None
    samples: int = 1
    headline: str = ""
    reads_labels: bool = False


# The function that builds a metric, from what the metric may need.
BuildMetric = Callable[[Tools], Metric]


def headline_score(name: str, metric: Metric, result: Result) -> float:
    """Returns the one score that stands for a metric.

    Raises:
      UsageError: if the metric has several scores, and none of them stands for it.
    """
    headline = metric.headline or name
    if headline not in result.scores:
        scores = ", ".join(result.scores)
        raise UsageError(f"{name} has several scores, and none stands for all of them: {scores}")
    return result.scores[headline]


class NotApplicableError(UsageError):
    """A metric cannot judge this model, or needs something that it was not given; the text says what."""


def build_metrics(names: Iterable[str] | None, tools: Tools) -> dict[str, Metric]:
    """Builds the named metrics.

    Args:
      names: names of metrics. None takes all metrics that `tools` are enough for; then
        a segmenter that `fcn_score` cannot use is an error.
      tools: what the metrics may need.

    Raises:
      UsageError: if there is no metric of a name, or if it cannot judge this model; the
        message says what to give.
    """
    if names is not None:
        return {name: _find(name)(tools) for name in names}
    metrics = {}
    for name in METRICS:
        if name in _DOWNLOADING and getattr(tools, _DOWNLOADING[name]) is None:
            continue
        try:
            metrics[name] = _find(name)(tools)
        except NotApplicableError:
            # Whoever gives a segmenter wants this score.
            if name == "fcn_score" and tools.segmenter:
                raise
    return metrics


def check_names(names: Iterable[str]) -> None:
    """Raises UsageError if there is no metric of one of these names; the message lists all metrics."""
    if isinstance(names, str):
        raise UsageError(f"`metrics` is a list of names, such as ['l1', 'psnr']. Received: {names!r}")
    if unknown := [name for name in names if name not in METRICS]:
        raise UsageError(f"no such metric: {', '.join(unknown)} (there are {', '.join(METRICS)})")


def describe(name: str) -> str:
    """Returns one line that says what a metric is."""
    return (_find(name).__doc__ or "").splitlines()[0]


def _find(name: str) -> BuildMetric:
    check_names([name])
    return resolve(METRICS[name])
