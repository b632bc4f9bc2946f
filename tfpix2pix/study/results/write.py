"""Writes the results of a study to its folder `results`: Markdown, JSON, tables as CSV, and a plot.

They follow from study.json, answers.sqlite, the rules and the seed alone: written again, they are the same,
byte for byte.
"""

import dataclasses
import json
import sqlite3
from pathlib import Path

import tfpix2pix
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.study.folder import ANSWERS_FILE, Study, fingerprint, load_study
from tfpix2pix.study.protocol import Rules
from tfpix2pix.study.reading import read_store
from tfpix2pix.study.records import Answer, Session
from tfpix2pix.study.results.analysis import SIGNIFICANCE_LEVEL, Results, compute_results
from tfpix2pix.study.results.exclusions import select_answers
from tfpix2pix.study.results.markdown import clean_text
from tfpix2pix.study.results.plot import render_rates
from tfpix2pix.study.results.report import name_plot, render_markdown
from tfpix2pix.study.results.statistics import CONFIDENCE, RESAMPLES
from tfpix2pix.study.results.tables import make_tables, render_csv, render_dictionary

RESULTS_FOLDER = "results"
MARKDOWN_FILE = "results.md"
JSON_FILE = "results.json"
DICTIONARY_FILE = "data_dictionary.md"


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
      rules: what is left out; None takes the study's.
      resamples: number of resamples of the bootstrap, from 100 to 1,000,000.
      seed: seed of the bootstrap, at least 0.
      output: folder of the results; None takes `results` in the folder of the study.

    Returns:
      The text of `results.md`.

    Raises:
      UsageError: when the folder holds no study, or the rules cannot be followed.
      UserError: when nobody has finished a session that counts; nothing is written then.
    """
    study, folder = load_study(study_dir), Path(output or Path(study_dir) / RESULTS_FOLDER)
    rules = rules or study.rules
    rules.check()
    if not 100 <= resamples <= 1_000_000:
        raise UsageError(f"`resamples` must be from 100 to 1,000,000. Received: {resamples}")
    if seed < 0:
        raise UsageError(f"`seed` must be 0 or more. Received: {seed}")
    sessions, answers = _read(Path(study_dir), study)
    selection = select_answers(sessions, answers, study.protocol, rules)
    results = compute_results(study, sessions, answers, selection, resamples, seed)
    markdown = render_markdown(study, results, rules, resamples, seed)
    tables = make_tables(study, sessions, answers, selection)
    texts = {
        **{name: render_csv(table) for name, table in tables.items()},
        DICTIONARY_FILE: render_dictionary(tables),
        JSON_FILE: _render_json(study, results, rules, resamples, seed),
        name_plot(study): _draw(study, results),
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


def _draw(study: Study, results: Results) -> str:
    if study.protocol.has_preferences:
        kind, axis = "Win rates", "trials in which the first algorithm was preferred"
        found = [(f"{each.first} over {each.second}", each.win_rate, each.people) for each in results.pairs]
    else:
        kind, axis = "Fooling rates", "trials in which the generated image was judged real"
        found = [(each.algorithm, each.fooling_rate, each.people) for each in results.algorithms]
    counted = [(name, rate, people) for name, rate, people in found if rate]
    return render_rates(
        f"{kind}: {clean_text(study.title)}",
        axis,
        {name: rate for name, rate, _ in counted},
        [people for *_, people in counted],
    )


def _render_json(study: Study, results: Results, rules: Rules, resamples: int, seed: int) -> str:
    unused = ("algorithms", "comparisons") if study.protocol.has_preferences else ("pairs",)
    contents = {
        "title": study.title,
        "tfpix2pix": tfpix2pix.__version__,
        "protocol": dataclasses.asdict(study.protocol),
        "rules": dataclasses.asdict(rules),
        "rules_are_those_of_the_study": rules == study.rules,
        "bootstrap": {
            "levels": ["people", "trials"],
            "resamples": resamples,
            "seed": seed,
            "confidence": CONFIDENCE,
        },
        "significance_level": SIGNIFICANCE_LEVEL,
        **{name: value for name, value in dataclasses.asdict(results).items() if name not in unused},
    }
    return json.dumps(contents, indent=1, allow_nan=False) + "\n"
