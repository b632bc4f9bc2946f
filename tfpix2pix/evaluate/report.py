"""The page of an evaluation, `index.html`: scores, classes, histograms, and the pictures to sort by score."""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfpix2pix.evaluate.gallery import KINDS, Gallery, name_sample
from tfpix2pix.evaluate.histogram_plot import render_histograms
from tfpix2pix.evaluate.statistics import BATCH, INSTANCE
from tfpix2pix.metrics import registry
from tfpix2pix.metrics.coverage import VISIBLE
from tfpix2pix.metrics.registry import Result
from tfpix2pix.pictures.page import render_template
from tfpix2pix.pipelines.base.listing import count_of

_NOTHING = "–"
_PER_CLASS = "per_class"
_STATISTICS = {INSTANCE: "the statistics of each image", BATCH: "the statistics of batches, as in training"}
_ABSENT_CLASSES = {
    "skip": "Classes that the ground truth lacks are left out of the means.",
    "zero": "Classes that the ground truth lacks count as 0 in the means.",
}
_ARROWS = {True: "↑ higher", False: "↓ lower", None: ""}

# The head of each column with the CSS classes of its cells, and the rows, of plain texts.
_Table = tuple[Sequence[tuple[str, str]], Sequence[Sequence[str]]]


def render_report(
    description: Mapping[str, Any],
    results: Mapping[str, Result],
    higher_is_better: Mapping[str, bool | None],
    gallery: Gallery,
) -> str:
    """Returns the page of an evaluation, which needs its pictures beside it and nothing else.

    Args:
      description: what decided the scores, as the JSON files hold it.
      results: name of the metric -> its result.
      higher_is_better: name of the metric -> whether higher scores are better; None where neither higher
        nor lower ones are.
      gallery: the pictures.

    Returns:
      HTML text.
    """
    height, width = description["image_size"]
    windows = "windows of " if description.get("resize") == "none" else ""
    lines = [
        f"{count_of(description['examples'], 'pair')} of {description['dataset']}, "
        f"{description['split']} split, {description['direction']}, {windows}{width}x{height} px; "
        f"noise seed {description['noise_seed']}; "
        f"normalised by {_STATISTICS[description['inference_statistics']]}; "
        f"tfpix2pix {description['tfpix2pix']}"
    ]
    if description["skipped"]:
        lines.append(f"{count_of(len(description['skipped']), 'pair')} could not be read and left out")
    per_image, directions = _scores_of_images(results, higher_is_better)
    return render_template(
        "evaluate/templates/report.html",
        title=f"Evaluation of {description['model']}",
        facts=f"{'. '.join(lines)}.",
        scores=_score_table(results, higher_is_better),
        has_baseline=any(result.baseline for result in results.values()),
        spread=results["diversity"].scores["standard_deviation"] if "diversity" in results else math.nan,
        visible_spread=VISIBLE,
        classes=[(name, *_class_table(each)) for name, each in results.items() if _PER_CLASS in each.details],
        colours=[_plots(each) for each in results.values() if "histograms" in each.details],
        examples=[_example(gallery, index, per_image) for index in gallery.indices],
        count=len(gallery.example_ids),
        directions=directions,
        directions_as_json=_as_json(directions),
        size=(height, width),
    )


def _score_table(results: Mapping[str, Result], higher_is_better: Mapping[str, bool | None]) -> _Table:
    rows = []
    for name, result in results.items():
        for place, (score, value) in enumerate(result.scores.items()):
            rows.append(
                (
                    name if len(result.scores) == 1 else f"{name} · {score}",
                    _number(value),
                    *(
                        "" if other.get(score) is None else _number(other[score])
                        for other in (result.baseline, result.ground_truth)
                    ),
                    _ARROWS[higher_is_better[name]],
                    registry.describe(name) if place == 0 else "",
                )
            )
    columns = {
        "metric": "",
        "score": "number",
        "mean target": "number",
        "ground truth": "number",
        "better": "note better",
        "": "note",
    }
    return _drop_silent_columns(columns, rows)


def _class_table(result: Result) -> tuple[_Table, str]:
    """Returns the scores of each class, and a sentence on classes that the ground truth lacks."""
    per_class = result.details[_PER_CLASS]
    total = sum(row["pixels"] for row in per_class)
    scores = [score for score in per_class[0] if score not in ("class", "pixels")]
    heads = [score.replace("_", " ").replace("iou", "IoU") for score in scores]
    rows = []
    for row in per_class:
        share = row["pixels"] / total if total else math.nan
        rows.append((row["class"], f"{share:.2%}", *(_number(row[score]) for score in scores)))
    columns = {"class": "", "pixels": "number", **dict.fromkeys(heads, "number")}
    return _drop_silent_columns(columns, rows), _ABSENT_CLASSES[result.details["absent_classes"]]


def _drop_silent_columns(columns: Mapping[str, str], rows: Sequence[Sequence[str]]) -> _Table:
    """Returns a table without the columns that say nothing.

    Args:
      columns: head of each column -> CSS classes of its cells.
      rows: plain texts, one for each column.
    """
    told = [any(text not in ("", _NOTHING) for text in texts) for texts in zip(*rows, strict=True)]
    kept_rows = [tuple(itertools.compress(row, told)) for row in rows]
    return tuple(itertools.compress(columns.items(), told)), kept_rows


def _plots(result: Result) -> list[tuple[str, str]]:
    """Returns the plot of each histogram, an `svg` element, and its caption."""
    plots = []
    for name, histogram in result.details["histograms"].items():
        shares = {kind: histogram[kind] for kind in ("generated", "target")}
        plot = render_histograms(name, histogram["low"], histogram["high"], shares)
        plots.append((plot, f"{name}: intersection {_number(result.scores[name])}"))
    return plots


def _scores_of_images(
    results: Mapping[str, Result], higher_is_better: Mapping[str, bool | None]
) -> tuple[dict[str, np.ndarray], dict[str, bool | None]]:
    """Returns, for each score that every image has, its values and whether higher ones are better."""
    values, directions = {}, {}
    for name, result in results.items():
        for score, per_image in result.per_image.items():
            title = name if len(result.per_image) == 1 else f"{name} · {score}"
            values[title], directions[title] = per_image, higher_is_better[name]
    return values, directions


def _example(gallery: Gallery, index: int, values: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns the pictures of one example, with its own scores."""
    samples = map(name_sample, gallery.more_samples)
    own = {title: float(per_image[index]) for title, per_image in values.items()}
    return {
        "title": gallery.example_ids[index],
        "scores": [f"{name} {_number(value)}" for name, value in own.items()],
        "scores_as_json": _as_json(own),
        "pictures": [(gallery.file(index, kind), kind) for kind in KINDS],
        "samples": [(gallery.file(index, kind), kind.replace("_", " ")) for kind in samples],
    }


def _number(value: float | str | None) -> str:
    number = math.nan if value is None else float(value)  # of a text, as `results` writes infinity
    if math.isnan(number):
        return _NOTHING
    return "∞" if math.isinf(number) else f"{number:.4f}"


def _as_json(values: Mapping[str, float | bool | None]) -> str:
    # JSON has neither NaN nor infinity, but JavaScript reads a number that is too large as infinity.
    return json.dumps(values).replace("NaN", "null").replace("Infinity", "1e999")
