"""The page of an evaluation, `index.html`: scores, classes, histograms, and the pictures to sort by score."""

import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfpix2pix.evaluate.gallery import KINDS, Gallery
from tfpix2pix.evaluate.histogram_plot import render_histograms
from tfpix2pix.evaluate.statistics import BATCH, INSTANCE
from tfpix2pix.metrics import registry
from tfpix2pix.metrics.registry import Result
from tfpix2pix.pictures.page import render_page, shown_size

# Two of 255 gray levels, in values from -1 to 1.
VISIBLE_SPREAD = 4 / 255

_NOTHING = "–"
_STATISTICS = {INSTANCE: "the statistics of each image", BATCH: "the statistics of batches, as in training"}
_ARROWS = {True: "↑ higher", False: "↓ lower", None: ""}

_STYLE = """
section { margin: 0 0 2.5rem; }
section > h2 { font-size: 1.1rem; }
table { border-collapse: collapse; margin: 0 0 1rem; }
th, td { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: baseline; }
th { font-size: .8rem; font-weight: 600; opacity: .7; }
tr + tr { border-top: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
td.number, th.number { font-variant-numeric: tabular-nums; text-align: right; }
td:first-child, .better { white-space: nowrap; }
td.note { opacity: .7; font-size: .85rem; }
figure { max-width: calc(33.3% - .5rem); }
figure.plot { max-width: 100%; }
svg { display: block; height: auto; max-width: 100%; }
svg text { fill: currentColor; font-size: 11px; }
svg line { opacity: .15; stroke: currentColor; }
svg path { fill: none; stroke-width: 1.4; }
.generated { stroke: #e4572e; }
.target { stroke: #2e86c1; }
b.generated { color: #e4572e; }
b.target { color: #2e86c1; }
article p span { font-size: .85rem; margin-right: .8rem; white-space: nowrap; }
article p { font-variant-numeric: tabular-nums; margin: 0 0 .4rem; }
nav { background: Canvas; gap: .5rem; padding: .6rem 0; position: sticky; top: 0; z-index: 1; }
nav button, nav select { font: inherit; }
nav button[aria-pressed="true"] { font-weight: 600; }
#gallery { display: block; }
"""
_SCRIPT = """
const select = document.querySelector("nav select");
const gallery = document.getElementById("gallery");
const higherIsBetter = JSON.parse(select.dataset.higherIsBetter);
const rows = [...gallery.children].map(row => [row, JSON.parse(row.dataset.values)]);
const buttons = [...document.querySelectorAll("nav button")];
let worstFirst = true;
function sort() {
  const name = select.value;
  const words = higherIsBetter[name] === null ? ["highest", "lowest"] : ["worst", "best"];
  buttons.forEach((button, place) => {
    button.textContent = words[place] + " first";
    button.ariaPressed = (place === 0) === worstFirst;
  });
  const sign = Boolean(higherIsBetter[name]) === worstFirst ? 1 : -1;
  const value = values => values[name] ?? Infinity * sign;
  const order = (a, b) => a === b ? 0 : sign * (a - b);
  rows.sort((a, b) => order(value(a[1]), value(b[1])));
  gallery.append(...rows.map(row => row[0]));
}
select.addEventListener("change", sort);
buttons.forEach((button, place) => {
  button.addEventListener("click", () => { worstFirst = place === 0; sort(); });
});
document.querySelector("nav").hidden = false;
sort();
"""


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
        f"{description['examples']} pairs of {description['dataset']}, {description['split']} split, "
        f"{description['direction']}, {windows}{width}x{height} px; noise seed {description['noise_seed']}; "
        f"normalised by {_STATISTICS[description['inference_statistics']]}; "
        f"tfpix2pix {description['tfpix2pix']}"
    ]
    if description["skipped"]:
        lines.append(f"{len(description['skipped'])} pairs could not be read and are left out")
    body = [
        f"<p>{html.escape('. '.join(lines))}.</p>\n",
        _render_scores(results, higher_is_better),
        *(_render_classes(name, result) for name, result in results.items()),
        *(_render_plots(result) for result in results.values()),
        _render_gallery(results, higher_is_better, gallery, (height, width)) if gallery.indices else "",
    ]
    return render_page(f"Evaluation of {description['model']}", "".join(body), _STYLE)


def _render_scores(results: Mapping[str, Result], higher_is_better: Mapping[str, bool | None]) -> str:
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
    notes = _explain_baseline(results) + _tell_diversity(results)
    return f"<section>\n<h2>Scores</h2>\n{_render_table(columns, rows)}{notes}</section>\n"


def _explain_baseline(results: Mapping[str, Result]) -> str:
    """Returns a sentence on the column of the mean target, where there is one."""
    if not any(result.baseline for result in results.values()):
        return ""
    return (
        "<p>The mean target is a baseline: the same image for every input, the mean of the training targets "
        "or, where images keep their sizes, their mean colour.</p>\n"
    )


def _tell_diversity(results: Mapping[str, Result]) -> str:
    """Returns a sentence where the noise changes nothing that can be seen."""
    spread = results["diversity"].scores["standard_deviation"] if "diversity" in results else math.nan
    if not spread < VISIBLE_SPREAD:
        return ""
    return (
        "<p>The noise changes nothing visible: outputs of the same input differ by a standard deviation of "
        f"{spread:.2g}, which is less than two of 255 gray levels ({VISIBLE_SPREAD:.2g}).</p>\n"
    )


def _render_classes(name: str, result: Result) -> str:
    if "per_class" not in result.details:
        return ""
    per_class = result.details["per_class"]
    total = sum(row["pixels"] for row in per_class)
    scores = [score for score in per_class[0] if score not in ("class", "pixels")]
    heads = [score.replace("_", " ").replace("iou", "IoU") for score in scores]
    rows = []
    for row in per_class:
        share = row["pixels"] / total if total else math.nan
        rows.append((row["class"], f"{share:.2%}", *(_number(row[score]) for score in scores)))
    absent = {
        "skip": "Classes that the ground truth lacks are left out of the means.",
        "zero": "Classes that the ground truth lacks count as 0 in the means.",
    }[result.details["absent_classes"]]
    columns = {"class": "", "pixels": "number", **dict.fromkeys(heads, "number")}
    return f"<section>\n<h2>{name} by class</h2>\n{_render_table(columns, rows)}<p>{absent}</p>\n</section>\n"


def _render_table(columns: Mapping[str, str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table without the columns that say nothing.

    Args:
      columns: head of each column -> CSS classes of its cells.
      rows: plain texts, one for each column.
    """
    told = [any(text not in ("", _NOTHING) for text in texts) for texts in zip(*rows, strict=True)]
    kept = [(place, *column) for place, column in enumerate(columns.items()) if told[place]]
    heads = "".join(f"<th{_class(classes, 'number')}>{head}</th>" for _, head, classes in kept)
    lines = (
        "".join(f"<td{_class(classes)}>{html.escape(row[place])}</td>" for place, _, classes in kept)
        for row in rows
    )
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    return f"<table>\n<tr>{heads}</tr>\n{body}</table>\n"


def _class(classes: str, only: str = "") -> str:
    return f' class="{classes}"' if classes and only in ("", classes) else ""


def _render_plots(result: Result) -> str:
    if "histograms" not in result.details:
        return ""
    figures = []
    for name, histogram in result.details["histograms"].items():
        shares = {kind: histogram[kind] for kind in ("generated", "target")}
        plot = render_histograms(name, histogram["low"], histogram["high"], shares)
        caption = f"{name}: intersection {_number(result.scores[name])}"
        figures.append(f'<figure class="plot">{plot}<figcaption>{caption}</figcaption></figure>\n')
    return (
        "<section>\n<h2>Colours</h2>\n<p>Share of pixels, log scale: <b class=generated>generated</b> and "
        f"<b class=target>ground truth</b>.</p>\n<div>\n{''.join(figures)}</div>\n</section>\n"
    )


def _render_gallery(
    results: Mapping[str, Result],
    higher_is_better: Mapping[str, bool | None],
    gallery: Gallery,
    size: tuple[int, int],
) -> str:
    values: dict[str, np.ndarray] = {}
    directions: dict[str, bool | None] = {}
    for name, result in results.items():
        for score, per_image in result.per_image.items():
            title = name if len(result.per_image) == 1 else f"{name} · {score}"
            values[title], directions[title] = per_image, higher_is_better[name]
    articles = [_render_example(gallery, index, values, size) for index in gallery.indices]
    shown, total = len(gallery.indices), len(gallery.example_ids)
    note = (
        ""
        if shown == total
        else f"<p>{shown} of {total} pairs, spread evenly; the scores are those of all pairs.</p>\n"
    )
    options = "".join(f"<option>{html.escape(title)}</option>" for title in values)
    sorting = (
        f'<nav hidden>Sort by <select data-higher-is-better="{_attribute(directions)}">{options}</select> '
        "<button></button> <button></button></nav>\n"
    )
    return (
        f"<section>\n<h2>Pictures</h2>\n{note}{sorting if values else ''}"
        f'<div id="gallery">\n{"".join(articles)}</div>\n</section>\n'
        f"{f'<script>{_SCRIPT}</script>' if values else ''}\n"
    )


def _render_example(
    gallery: Gallery, index: int, values: Mapping[str, np.ndarray], size: tuple[int, int]
) -> str:
    """Returns the pictures of one example, with its own scores."""
    own = {title: float(per_image[index]) for title, per_image in values.items()}
    title = html.escape(gallery.example_ids[index])
    texts = [f"<span>{html.escape(name)} {_number(value)}</span>" for name, value in own.items()]
    figures = "".join(
        f'<figure><a href="{gallery.file(index, kind)}"><img loading="lazy" alt="{kind} of {title}" '
        f'src="{gallery.file(index, kind)}" {shown_size(size)}></a>'
        f"<figcaption>{kind}</figcaption></figure>\n"
        for kind in KINDS
    )
    return (
        f'<article data-values="{_attribute(own)}">\n<h2>{title}</h2>\n'
        f"<p>{' '.join(texts)}</p>\n<div>\n{figures}</div>\n</article>\n"
    )


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return _NOTHING
    return "∞" if math.isinf(value) else f"{value:.4f}"


def _attribute(values: Mapping[str, float | bool | None]) -> str:
    # JSON has neither NaN nor infinity, but JavaScript reads a number that is too large as infinity.
    text = json.dumps(values).replace("NaN", "null").replace("Infinity", "1e999")
    return html.escape(text)
