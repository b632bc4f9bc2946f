"""Renders the results of a study as Markdown: what was found, how sure it is, what was left out."""

import dataclasses
import math
from collections.abc import Sequence

from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.study.folder import Study
from tfpix2pix.study.protocol import CRITERIA, Rules
from tfpix2pix.study.results.analysis import (
    LEAST_PEOPLE,
    SIGNIFICANCE_LEVEL,
    AlgorithmResult,
    Comparison,
    PairResult,
    Results,
)
from tfpix2pix.study.results.exclusions import (
    EXPOSURE_OFF,
    FAILED_VIGILANCE,
    NOT_SHOWN_ONCE,
    TOO_FEW_TRIALS,
    UNFINISHED,
)
from tfpix2pix.study.results.markdown import escape, format_p, format_percent, render_table
from tfpix2pix.study.results.statistics import Estimate

_VERDICTS = {True: "**yes**", False: "no", None: "too few people"}
# Sec. 3.4 of the paper: what was judged, the fooling rate and its "+-".
PUBLISHED = (
    ("map → photo, L1+cGAN", "18.9 ± 2.5 %"),
    ("map → photo, L1", "0.8 %"),
    ("photo → map, L1+cGAN", "6.1 ± 1.3 %"),
    ("photo → map, L1", "2.8 %"),
    ("colorization, L1+cGAN", "22.5 ± 1.6 %"),
)


def name_plot(study: Study) -> str:
    """Returns the name of the file with the plot."""
    return "win_rates.svg" if study.protocol.has_preferences else "fooling_rates.svg"


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
    write = _write_preferences if study.protocol.has_preferences else _write_fooling_rates
    parts = [
        *write(study, results),
        _render_exclusions(study, results, rules),
        "## How it was computed\n\n"
        f"Bootstrap of two levels, {resamples:,} resamples, seed {seed}: people are drawn with replacement, "
        "then the trials of each person drawn. The standard error is the standard deviation over the "
        "resamples; the interval goes from their 2.5th to their 97.5th percentile. Because trials are drawn "
        "again within people, it is somewhat wider than it would have to be.\n\n"
        "`answers.csv` has every answer, `sessions.csv` every session and `images.csv` every image that was "
        "judged; `data_dictionary.md` says what their columns hold. `results.json` has the numbers above.",
        *([] if study.protocol.has_preferences else [_render_published()]),
    ]
    return "\n\n".join(parts) + "\n"


def _write_fooling_rates(study: Study, results: Results) -> list[str]:
    people, pairs = results.sessions["counted"], results.trials["counted"]
    return [
        f"# Real or fake: {escape(study.title)}",
        f"{count_of(people, 'person', 'people')} judged {count_of(pairs, 'pair')} of a real and a generated "
        f"image, each shown for {study.protocol.exposure_sec:g} s. The fooling rate is the share of these "
        "trials in which the generated image was judged real; 50 % is chance. Last answer: "
        f"{results.last_answer_at}.",
        _render_rates(results.algorithms),
        f"![Fooling rates with 95 % intervals]({name_plot(study)})",
        *_write_notes([(each.algorithm, each.people, each.fooling_rate) for each in results.algorithms]),
        *(
            [_render_comparisons(results.comparisons, math.comb(len(results.algorithms), 2))]
            if results.comparisons
            else []
        ),
        _render_behaviour(results.algorithms),
    ]


def _write_preferences(study: Study, results: Results) -> list[str]:
    protocol = study.protocol
    people, pairs = results.sessions["counted"], results.trials["counted"]
    shown = f"each shown for {protocol.exposure_sec:g} s" if protocol.exposure_sec else "shown without limit"
    beside = ", and the input beside them" if protocol.show_input else ""
    return [
        f"# Preferences: {escape(study.title)}",
        f"{count_of(people, 'person', 'people')} compared {count_of(pairs, 'pair')} of images that two "
        f"algorithms made from one input, {shown}{beside}, and said which one "
        f"{CRITERIA[protocol.criterion]}. The win rate is the share of these trials in which the first "
        "algorithm's image was preferred; 50 % is no preference. "
        f"Last answer: {results.last_answer_at}.",
        _render_pairs(results.pairs),
        f"Two-sided p against 50 %, from the same resamples. An algorithm is called preferred if p is below "
        f"{SIGNIFICANCE_LEVEL:g} after Holm's correction for {count_of(len(results.pairs), 'pair')}, and if "
        f"at least {LEAST_PEOPLE} people compared the two. The intervals are not corrected.",
        f"![Win rates with 95 % intervals]({name_plot(study)})",
        *_write_notes(
            [(f"{each.first} and {each.second}", each.people, each.win_rate) for each in results.pairs]
        ),
        _render_choices(results.pairs),
    ]


def _render_pairs(pairs: Sequence[PairResult]) -> str:
    rows = []
    for each in pairs:
        name, rate = f"{escape(each.first)} over {escape(each.second)}", each.win_rate
        if rate is None or each.p_value is None or each.p_value_holm is None:
            rows.append((name, *"–––––", f"{each.people:,}", f"{each.trials:,}", _VERDICTS[None]))
            continue
        preferred = {None: _VERDICTS[None], "": "neither"}.get(each.preferred)
        rows.append(
            (
                *(name, f"**{rate.value:.1f} %**", f"{rate.standard_error:.1f}"),
                f"{rate.low:.1f} to {rate.high:.1f} %",
                *(format_p(each.p_value), format_p(each.p_value_holm)),
                *(f"{each.people:,}", f"{each.trials:,}"),
                preferred or f"**{escape(each.preferred or '')}**",
            )
        )
    head = ("pair", "win rate", "standard error", "95 % interval", "p", "p, Holm", "people", "trials")
    return render_table((*head, "preferred"), rows)


def _render_choices(pairs: Sequence[PairResult]) -> str:
    rows = [
        (
            f"{escape(each.first)} and {escape(each.second)}",
            f"{each.response_sec[1]:.2f} s",
            f"{each.response_sec[0]:.2f} to {each.response_sec[2]:.2f} s",
            format_percent(each.first_image_chosen_percent),
        )
        for each in pairs
        if each.response_sec
    ]
    head = ("pair", "median response", "quartiles", "first image chosen")
    return (
        f"## How people answered\n\n{render_table(head, rows)}\n\nPeople who favour neither place choose the "
        "first image in about 50 % of the trials."
    )


def _render_rates(algorithms: Sequence[AlgorithmResult]) -> str:
    rows = []
    for each in algorithms:
        rate = each.fooling_rate
        found = (
            (f"**{rate.value:.1f} %**", f"{rate.standard_error:.1f}", f"{rate.low:.1f} to {rate.high:.1f} %")
            if rate
            else ("–", "–", "–")
        )
        rows.append((escape(each.algorithm), *found, f"{each.people:,}", f"{each.trials:,}"))
    head = ("algorithm", "fooling rate", "standard error", "95 % interval", "people", "trials")
    return render_table(head, rows)


def _write_notes(rates: Sequence[tuple[str, int, Estimate | None]]) -> list[str]:
    """Returns what must be known of rates: each is a name, a number of people and an estimate."""
    notes = []
    for name, people, rate in rates:
        name = escape(name)
        if rate is None:
            notes.append(f"- {name}: nobody counts yet.")
            continue
        if people < LEAST_PEOPLE:
            notes.append(
                f"- {name}: of so few people ({people}), the interval and the p-values are too sure of "
                f"themselves; ask {LEAST_PEOPLE} or more."
            )
        if rate.value in (0, 100):
            notes.append(
                f"- {name}: all answers are the same, and resampling them can only repeat them: the interval "
                "does not tell how far from it the rate may be."
            )
    return ["\n".join(notes)] if notes else []


def _render_comparisons(comparisons: Sequence[Comparison], tests: int) -> str:
    rows = [
        (
            f"{escape(each.first)} − {escape(each.second)}",
            f"{each.difference.value:+.1f}",
            f"{each.difference.low:+.1f} to {each.difference.high:+.1f}",
            format_p(each.p_value),
            format_p(each.p_value_holm),
            _VERDICTS[each.significant],
        )
        for each in comparisons
    ]
    head = ("difference", "points", "95 % interval", "p", "p, Holm", "significant")
    return (
        f"## Differences\n\n{render_table(head, rows)}\n\nTwo-sided, from the same resamples. Significant: "
        f"below {SIGNIFICANCE_LEVEL:g} after Holm's correction for "
        f"{count_of(tests, 'comparison')}. There is no verdict on fewer than "
        f"{LEAST_PEOPLE} people for each algorithm. The intervals are not corrected."
    )


def _render_behaviour(algorithms: Sequence[AlgorithmResult]) -> str:
    rows = []
    for each in algorithms:
        if each.response_sec is None:
            continue
        low, median, high = each.response_sec
        rows.append(
            (
                escape(each.algorithm),
                f"{median:.2f} s",
                f"{low:.2f} to {high:.2f} s",
                format_percent(each.practice_correct_percent),
                format_percent(each.first_called_fake_percent),
            )
        )
    head = ("algorithm", "median response", "quartiles", "practice correct", "first image called fake")
    return (
        f"## How people answered\n\n{render_table(head, rows)}\n\nResponse times are counted from the end "
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
        ("− unfinished", sessions[UNFINISHED]),
        (f"− {vigilance}", sessions[FAILED_VIGILANCE]),
        (
            f"− fewer than {rules.least_trials_percent:g} % of {protocol.test_trials} test trials count",
            sessions[TOO_FEW_TRIALS],
        ),
        ("**counted**", sessions["counted"]),
    ]
    exposure = (
        f"an exposure off by more than {rules.tolerance_ms(protocol):.3g} ms from "
        f"{1000 * protocol.exposure_sec:g} ms"
        if protocol.exposure_sec
        else "an exposure off: they have no limit"
    )
    trial_rows = [
        ("answered, in sessions that count", trials["answered"]),
        ("− shown again after a reload, or not seen to be shown", trials[NOT_SHOWN_ONCE]),
        (f"− {exposure}", trials[EXPOSURE_OFF]),
        ("**counted**", trials["counted"]),
    ]
    tables = [
        render_table((kind, "number"), [(text, f"{number:,}") for text, number in rows])
        for kind, rows in (("sessions", session_rows), ("test trials", trial_rows))
    ]
    return "\n\n".join(
        [
            "## What was left out",
            "What fails two rules is counted under the first. A trial that was shown wrongly is left out "
            f"alone: one slow frame does not cost a person. {_tell_origin(study.rules, rules)}",
            *tables,
        ]
    )


def _tell_origin(fixed: Rules, rules: Rules) -> str:
    """Returns whether the rules are those that were fixed with the study."""
    if rules == fixed:
        return "The rules are those of `study.json`."
    given, own = dataclasses.asdict(rules), dataclasses.asdict(fixed)
    changes = [f"`{name}` is {given[name]}, not {own[name]}" for name in given if given[name] != own[name]]
    return f"**The rules are not those of `study.json`**: {', '.join(changes)}."


def _render_published() -> str:
    return (
        "## Published\n\nFrom the paper, Sec. 3.4 (about 50 people each), which does not say what its ± is. "
        "Its data and its crowd are not this study's.\n\n"
        + render_table(("judged", "fooling rate"), PUBLISHED)
    )
