"""Renders the results of a study as Markdown: what was found, how sure it is, what was left out."""

import html
import re
from collections.abc import Sequence

from tfpix2pix.study.folder import Study
from tfpix2pix.study.results.analysis import (
    LEAST_PEOPLE,
    SIGNIFICANCE_LEVEL,
    AlgorithmResult,
    Comparison,
    Results,
)
from tfpix2pix.study.results.exclusions import Rules

PLOT_FILE = "fooling_rates.svg"
_VERDICTS = {True: "**yes**", False: "no", None: "too few people"}
# Sec. 3.4 of the paper: what was judged, the fooling rate and its "+-".
PUBLISHED = (
    ("map → photo, L1+cGAN", "18.9 ± 2.5 %"),
    ("map → photo, L1", "0.8 %"),
    ("photo → map, L1+cGAN", "6.1 ± 1.3 %"),
    ("photo → map, L1", "2.8 %"),
    ("colorization, L1+cGAN", "22.5 ± 1.6 %"),
)


def clean_text(text: str) -> str:
    """Returns a text that a person wrote as one printable line."""
    return "".join(filter(str.isprintable, " ".join(text.split())))


def render_markdown(study: Study, results: Results, rules: Rules, resamples: int, seed: int) -> str:
    """Returns the page of the results, which shows the plot beside it.

    Args:
      study: the study.
      results: results of the study.
      rules: what was left out.
      resamples: number of resamples of the bootstrap.
      seed: seed of the bootstrap.

    Returns:
      Markdown text.
    """
    people, pairs = results.sessions["counted"], results.trials["counted"]
    parts = [
        f"# Real or fake: {_escape(study.title)}",
        f"{_count(people, 'person', 'people')} judged {_count(pairs, 'pair')} of a real and a generated "
        f"image, each shown for {study.protocol.exposure_sec:g} s. The fooling rate is the share of these "
        "trials in which the generated image was judged real; 50 % is chance. Last answer: "
        f"{results.last_answer_at}.",
        _render_rates(results.algorithms),
        f"![Fooling rates with 95 % intervals]({PLOT_FILE})",
        *_write_notes(results.algorithms),
        *([_render_comparisons(results.comparisons)] if results.comparisons else []),
        _render_behaviour(results.algorithms),
        _render_exclusions(study, results, rules),
        "## How it was computed\n\n"
        f"Bootstrap of two levels, {resamples:,} resamples, seed {seed}: people are drawn with replacement, "
        "then the trials of each person drawn. The standard error is the standard deviation over the "
        "resamples; the interval goes from their 2.5th to their 97.5th percentile. Because trials are drawn "
        "again within people, it is somewhat wider than it would have to be.\n\n"
        "`answers.csv` has every answer, `results.json` the numbers above.",
        _render_published(),
    ]
    return "\n\n".join(parts) + "\n"


def _render_rates(algorithms: Sequence[AlgorithmResult]) -> str:
    rows = []
    for each in algorithms:
        rate = each.fooling_rate
        found = (
            (f"**{rate.value:.1f} %**", f"{rate.standard_error:.1f}", f"{rate.low:.1f} to {rate.high:.1f} %")
            if rate
            else ("–", "–", "–")
        )
        rows.append((_escape(each.algorithm), *found, f"{each.people:,}", f"{each.trials:,}"))
    head = ("algorithm", "fooling rate", "standard error", "95 % interval", "people", "trials")
    return _render_table(head, rows)


def _write_notes(algorithms: Sequence[AlgorithmResult]) -> list[str]:
    notes = []
    for each in algorithms:
        name, rate = _escape(each.algorithm), each.fooling_rate
        if rate is None:
            notes.append(f"- {name}: nobody counts yet.")
            continue
        if each.people < LEAST_PEOPLE:
            notes.append(
                f"- {name}: of so few people ({each.people}), the interval and the p-values are too sure of "
                f"themselves; ask {LEAST_PEOPLE} or more."
            )
        if rate.value in (0, 100):
            notes.append(
                f"- {name}: all answers are the same, and resampling them can only repeat them: the interval "
                "does not tell how far from it the rate may be."
            )
    return ["\n".join(notes)] if notes else []


def _render_comparisons(comparisons: Sequence[Comparison]) -> str:
    rows = [
        (
            f"{_escape(each.first)} − {_escape(each.second)}",
            f"{each.difference.value:+.1f}",
            f"{each.difference.low:+.1f} to {each.difference.high:+.1f}",
            _format_p(each.p_value),
            _format_p(each.p_value_holm),
            _VERDICTS[each.significant],
        )
        for each in comparisons
    ]
    head = ("difference", "points", "95 % interval", "p", "p, Holm", "significant")
    return (
        f"## Differences\n\n{_render_table(head, rows)}\n\nTwo-sided, from the same resamples. Significant: "
        f"below {SIGNIFICANCE_LEVEL:g} after Holm's correction for {_count(len(comparisons), 'comparison')}. "
        f"There is no verdict on fewer than {LEAST_PEOPLE} people for each algorithm. The intervals are not "
        "corrected."
    )


def _render_behaviour(algorithms: Sequence[AlgorithmResult]) -> str:
    rows = []
    for each in algorithms:
        if each.response_sec is None:
            continue
        low, median, high = each.response_sec
        rows.append(
            (
                _escape(each.algorithm),
                f"{median:.2f} s",
                f"{low:.2f} to {high:.2f} s",
                _format_percent(each.practice_correct_percent),
                _format_percent(each.first_called_fake_percent),
            )
        )
    head = ("algorithm", "median response", "quartiles", "practice correct", "first image called fake")
    return (
        f"## How people answered\n\n{_render_table(head, rows)}\n\nResponse times are counted from the end "
        "of the second exposure. People who favour neither place call the first image fake in about 50 % of "
        "the trials."
    )


def _render_exclusions(study: Study, results: Results, rules: Rules) -> str:
    protocol, sessions, trials = study.protocol, results.sessions, results.trials
    vigilance = (
        f"fewer than {rules.least_vigilance_percent:g} % of vigilance trials correct"
        if protocol.vigilance_trials
        else "vigilance trials failed: the study has none"
    )
    session_rows = [
        ("begun", sessions["begun"]),
        ("− unfinished", sessions["unfinished"]),
        (f"− {vigilance}", sessions["failed_vigilance"]),
        (
            f"− fewer than {rules.least_trials_percent:g} % of {protocol.test_trials} test trials count",
            sessions["too_few_trials"],
        ),
        ("**counted**", sessions["counted"]),
    ]
    trial_rows = [
        ("answered, in sessions that count", trials["answered"]),
        ("− shown again after a reload, or not seen to be shown", trials["not_shown_once"]),
        (
            f"− an exposure off by more than {rules.tolerance_ms(protocol):.3g} ms from "
            f"{1000 * protocol.exposure_sec:g} ms",
            trials["exposure_off"],
        ),
        ("**counted**", trials["counted"]),
    ]
    tables = [
        _render_table((kind, "number"), [(text, f"{number:,}") for text, number in rows])
        for kind, rows in (("sessions", session_rows), ("test trials", trial_rows))
    ]
    return "\n\n".join(
        [
            "## What was left out",
            "What fails two rules is counted under the first. A trial that was shown wrongly is left out "
            "alone: one slow frame does not cost a person.",
            *tables,
        ]
    )


def _render_published() -> str:
    return (
        "## Published\n\nFrom the paper, Sec. 3.4 (about 50 people each), which does not say what its ± is. "
        "Its data and its crowd are not this study's.\n\n"
        + _render_table(("judged", "fooling rate"), PUBLISHED)
    )


def _render_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _format_p(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _format_percent(percent: float | None) -> str:
    return "–" if percent is None else f"{percent:.1f} %"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", html.escape(clean_text(text), quote=False))
