"""Writes the results of a study to its folder `results`: Markdown, JSON, the raw answers as CSV, and a plot.

They follow from study.json, answers.sqlite, the rules and the seed alone: written again, they are the same,
byte for byte.
"""

import csv
import dataclasses
import io
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import tfpix2pix
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.study.folder import ANSWERS_FILE, Study, fingerprint, load_study
from tfpix2pix.study.reading import read_store
from tfpix2pix.study.records import Answer, Session
from tfpix2pix.study.results import report as study_report
from tfpix2pix.study.results.analysis import SIGNIFICANCE_LEVEL, Results, compute_results
from tfpix2pix.study.results.exclusions import Rules, Selection, is_test_trial, select_answers
from tfpix2pix.study.results.plot import render_rates
from tfpix2pix.study.results.report import clean_text, render_markdown
from tfpix2pix.study.results.statistics import CONFIDENCE, RESAMPLES

RESULTS_FOLDER = "results"
MARKDOWN_FILE = "results.md"
JSON_FILE = "results.json"
CSV_FILE = "answers.csv"
IMAGES_FILE = "images.csv"
PLOT_FILE = study_report.PLOT_FILE
_CSV_COLUMNS = (
    *("session", "algorithm", "trial_index", "kind", "example_id", "real_example_id", "real_side"),
    *("chosen_side", "generated_judged_real", "shown_real_ms", "shown_generated_ms", "exposures"),
    *("response_ms", "answered_at", "excluded", "pixel_ratio", "drawn_px", "layout"),
)


def write_results(
    study_dir: str | Path,
    rules: Rules | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    output: str | Path | None = None,
) -> str:
    """Computes the results of a study and writes them to its folder `results`.

    The study may be served meanwhile. Only the folder of the results is written to.

    Args:
      study_dir: folder of the study.
      rules: what is left out; None takes the defaults of `Rules`.
      resamples: number of resamples of the bootstrap, from 100 to 1,000,000.
      seed: seed of the bootstrap, at least 0.
      output: folder of the results; None takes `results` in the folder of the study.

    Returns:
      The text of `results.md`.

    Raises:
      UsageError: when the folder holds no study, or the rules cannot be followed.
      UserError: when nobody has finished a session that counts; nothing is written then.
    """
    rules = rules or Rules()
    rules.check()
    if not 100 <= resamples <= 1_000_000:
        raise UsageError(f"`resamples` must be from 100 to 1,000,000. Received: {resamples}")
    if seed < 0:
        raise UsageError(f"`seed` must be 0 or more. Received: {seed}")
    study, folder = load_study(study_dir), Path(output or Path(study_dir) / RESULTS_FOLDER)
    sessions, answers = _read(Path(study_dir), study)
    selection = select_answers(sessions, answers, study.protocol, rules)
    results = compute_results(study, sessions, answers, selection, resamples, seed)
    markdown = render_markdown(study, results, rules, resamples, seed)
    counted = [each for each in results.algorithms if each.fooling_rate]
    texts = {
        CSV_FILE: _render_csv(sessions, answers, selection),
        IMAGES_FILE: _render_images(selection),
        JSON_FILE: _render_json(study, results, rules, resamples, seed),
        PLOT_FILE: render_rates(
            f"Fooling rates: {clean_text(study.title)}",
            {each.algorithm: each.fooling_rate for each in counted if each.fooling_rate},
            [each.people for each in counted],
        ),
        MARKDOWN_FILE: markdown,
    }
    for name, text in texts.items():
        staging.write_file(folder / name, text.encode())
    return markdown


def _read(study_dir: Path, study: Study) -> tuple[list[Session], list[Answer]]:
    path = study_dir / ANSWERS_FILE
    if not path.is_file():
        raise UserError(
            f"nobody has taken part yet: there is no {path}. "
            "python -m tfpix2pix.study serve shows the study to people"
        )
    try:
        with read_store(path) as store:
            store.bind(fingerprint(study))
            # Sessions are read first, so that those that are finished have all their answers.
            sessions, answers = store.read_sessions(), store.read_answers()
    except sqlite3.Error as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    known = {session.session_id for session in sessions}
    return sessions, [answer for answer in answers if answer.session_id in known]


def _render_json(study: Study, results: Results, rules: Rules, resamples: int, seed: int) -> str:
    contents = {
        "title": study.title,
        "tfpix2pix": tfpix2pix.__version__,
        "protocol": dataclasses.asdict(study.protocol),
        "rules": dataclasses.asdict(rules),
        "bootstrap": {
            "levels": ["people", "trials"],
            "resamples": resamples,
            "seed": seed,
            "confidence": CONFIDENCE,
        },
        "significance_level": SIGNIFICANCE_LEVEL,
        **dataclasses.asdict(results),
    }
    return json.dumps(contents, indent=1, allow_nan=False) + "\n"


def _as_text(cell: str) -> str:
    """Returns a cell that spreadsheets take for text: they would run what starts as a formula does."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _render_csv(sessions: Sequence[Session], answers: Sequence[Answer], selection: Selection) -> str:
    """Returns all answers, without worker ids and names of sessions, which are nobody else's business."""
    by_id = {session.session_id: session for session in sessions}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for each in answers:
        kind = "practice" if each.practice else "test" if is_test_trial(each) else "vigilance"
        session = by_id[each.session_id]
        writer.writerow(
            (session.ordinal, _as_text(session.algorithm), each.trial_index, kind, _as_text(each.example_id))
            + (_as_text(each.real_example_id), each.real_side, each.chosen_side, int(not each.correct))
            + (each.shown_real_ms, each.shown_generated_ms, each.exposures, each.response_ms)
            + (each.answered_at, selection.find_reason(each))
            + (each.pixel_ratio, each.drawn_px, each.layout)
        )
    return text.getvalue()


def _render_images(selection: Selection) -> str:
    """Returns for each generated image in how many of the trials that count it was judged real."""
    judged: dict[tuple[str, str], list[bool]] = {}
    for session in selection.sessions:
        for each in selection.trials[session.session_id]:
            judged.setdefault((session.algorithm, each.example_id), []).append(not each.correct)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("algorithm", "example_id", "trials", "generated_judged_real"))
    for (algorithm, example_id), fooled in sorted(judged.items()):
        writer.writerow((_as_text(algorithm), _as_text(example_id), len(fooled), sum(fooled)))
    return text.getvalue()
