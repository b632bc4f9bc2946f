"""The files of an evaluation: writes them, and reads those of an earlier one."""

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.config.choices import METRICS
from tfpix2pix.evaluate.gallery import PAGE, Gallery
from tfpix2pix.evaluate.report import render_report
from tfpix2pix.evaluate.statistics import INSTANCE
from tfpix2pix.metrics.registry import Result
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.places import is_url
from tfpix2pix.pipelines.remote.copies import send_folder

# Settings of single metrics. Results that differ in them may still stand side by side.
WEIGHTS = ("inception_weights", "lpips_weights", "fid_torch_weights")
_OF_SINGLE_METRICS = ("samples_per_image", "classes", "absent_classes", "segmenter", *WEIGHTS)
# What the file of a metric holds besides the details of its result.
_NO_DETAILS = (
    "metric",
    "higher_is_better",
    "scores",
    "ground_truth",
    "baseline",
    "per_image",
    "evaluation",
    "places",
    "example_ids",
)


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """The outcome of an evaluation.

    Attributes:
      folder: folder of the files.
      description: all that decided the scores: model, checkpoint, data, noise.
      results: name of the metric -> its result.
    """

    folder: Path
    description: dict[str, Any]
    results: dict[str, Result]

    @property
    def page(self) -> Path:
        """Returns the file of the page."""
        return self.folder / PAGE


def sift_earlier(
    folder: Path, description: Mapping[str, Any], example_ids: Sequence[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """Sorts the results that a folder holds into those of the same evaluation and those of others.

    Args:
      folder: may hold results of an earlier evaluation.
      description: all that decides the scores of this one.
      example_ids: ids of all examples of the split.

    Returns:
      Metric -> contents of its file, for the same evaluation; and metric -> what is different, for others.
    """
    own = _to_json({name: description[name] for name in description if name not in _OF_SINGLE_METRICS})
    own["example_ids"] = list(example_ids)
    places = _find_places(description)
    kept, others = {}, {}
    for name in METRICS:
        try:
            contents = json.loads((folder / f"{name}.json").read_text())
            # What earlier versions wrote says nothing of statistics, which were always each image's own, nor
            # of weights, which the title of the model tells.
            older = {"inference_statistics": INSTANCE, "weights": own["weights"]}
            told = {**older, **contents["evaluation"], "example_ids": contents["example_ids"]}
            # Earlier versions wrote paths only as they were typed.
            told_places = contents.get("places") or _find_places(told)
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
        ):  # No such file, or somebody's own.
            continue
        differences = [
            key
            for key, value in own.items()
            if told.get(key) != value and (key not in places or told_places.get(key) != places[key])
        ]
        if differences:
            others[name] = differences
        else:
            kept[name] = contents
    return kept, others


def write_results(
    evaluation: Evaluation,
    higher_is_better: Mapping[str, bool | None],
    example_ids: Sequence[str],
    kept: Mapping[str, dict[str, Any]],
    gallery: Gallery,
) -> None:
    """Writes a file for each metric, and a page of these results and of the earlier ones that are kept.

    Args:
      evaluation: the results, and the folder that they are written to.
      higher_is_better: metric of `evaluation` -> whether higher scores are better; None where neither
        higher nor lower ones are.
      example_ids: ids of all examples of the split, in its order.
      kept: earlier results of the same evaluation, as `sift_earlier` returns them.
      gallery: the pictures of the page.
    """
    for name, result in evaluation.results.items():
        contents = {
            "metric": name,
            "higher_is_better": higher_is_better[name],
            "scores": result.scores,
            "ground_truth": result.ground_truth,
            "baseline": result.baseline,
            **result.details,
            "per_image": result.per_image,
            "evaluation": evaluation.description,
            "places": _find_places(evaluation.description),
            "example_ids": example_ids,
        }
        text = json.dumps(_to_json(contents), indent=1, allow_nan=False) + "\n"
        staging.write_file(evaluation.folder / f"{name}.json", text.encode())
    directions = dict(higher_is_better)
    results = dict(evaluation.results)
    for name, contents in kept.items():
        if name not in results:
            results[name], directions[name] = _from_json(contents), contents["higher_is_better"]
    page = render_report(evaluation.description, results, directions, gallery)
    staging.write_file(evaluation.page, page.encode(errors="replace"))
    send_folder(evaluation.folder)


def _find_places(description: Mapping[str, Any]) -> dict[str, str]:
    """Returns digests of the paths of a description, links and relative parts resolved: one for each folder.

    Files of results are published, so they do not hold the paths themselves.
    """
    places = {}
    for name in ("model", "saved_model", "data_dir"):
        if text := description.get(name):
            # The title of a run is its folder, its step and maybe its weights.
            folder, step = re.split(r"(?=, step [0-9]+(?:, \w+ weights)?$)|$", text, maxsplit=1)
            place = f"{folder if is_url(folder) else os.path.realpath(folder)}{step}"
            places[name] = hashlib.sha256(os.fsencode(place)).hexdigest()
    return places


def _to_json(value: Any) -> Any:
    """Returns `value` in types of JSON, in which infinity, which JSON lacks, is a text, and NaN is null."""
    if isinstance(value, Mapping):
        return {key: _to_json(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_to_json(each) for each in value]
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if math.isfinite(number) else None if math.isnan(number) else str(number)
    return value


def _from_json(contents: Mapping[str, Any]) -> Result:
    """Returns the result that the file of a metric holds."""

    def read(values: Mapping[str, float | str | None]) -> dict[str, float]:
        return {name: math.nan if value is None else float(value) for name, value in values.items()}

    return Result(
        read(contents["scores"]),
        read(contents["ground_truth"]),
        {name: np.array(values, float) for name, values in contents["per_image"].items()},
        {name: contents[name] for name in contents if name not in _NO_DETAILS},
        read(contents.get("baseline", {})),  # results of earlier versions have none
    )
