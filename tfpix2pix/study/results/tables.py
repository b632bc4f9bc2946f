"""The tables of a study's results as CSV, and the data dictionary that says what each column holds.

A column is described where it is written, so that no file has one that the dictionary does not know.
"""

import csv
import dataclasses
import datetime
import functools
import io
import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tfpix2pix.study.folder import Study
from tfpix2pix.study.records import Answer, Session
from tfpix2pix.study.results.exclusions import MEANINGS, SESSION_REASONS, TRIAL_REASONS, Selection
from tfpix2pix.study.results.markdown import escape, render_table

ANSWERS_TABLE = "answers.csv"
SESSIONS_TABLE = "sessions.csv"
IMAGES_TABLE = "images.csv"
# How the images were drawn.
_SCREEN = {
    "pixel_ratio": "pixels of the screen per CSS px",
    "drawn_px": "size of each image on the page in CSS px, such as 256x256",
    "layout": "side_by_side, or one_place if two images did not fit side by side",
}
_SessionRow = tuple[str, Session, list[Answer]]


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
      name: its name.
      meaning: what its cells hold, in which unit.
      read: takes what a row is about and returns a cell; None is an empty one.
    """

    name: str
    meaning: str
    read: Callable[[Any], object]


@dataclasses.dataclass(frozen=True)
class Table:
    """A CSV file.

    Attributes:
      about: what a row of it is about.
      columns: its columns.
      rows: what `read` of each column is called with, row by row.
    """

    about: str
    columns: Sequence[Column]
    rows: Sequence[Any]


def make_tables(
    study: Study, sessions: Sequence[Session], answers: Sequence[Answer], selection: Selection
) -> dict[str, Table]:
    """Returns the tables of a study by the names of their files. Nobody is named in them."""
    by_id = {session.session_id: session for session in sessions}
    own: dict[str, list[Answer]] = {session.session_id: [] for session in sessions}
    for answer in answers:
        own[answer.session_id].append(answer)
    judged: dict[tuple[str, str], list[bool]] = {}
    for session in selection.sessions:
        for each in selection.trials[session.session_id]:
            judged.setdefault((session.algorithm, each.example_id), []).append(each.is_success)
    return {
        ANSWERS_TABLE: Table(
            "one answer to one trial",
            _describe_answers(study, selection),
            [(by_id[answer.session_id].algorithm, answer, by_id[answer.session_id]) for answer in answers],
        ),
        SESSIONS_TABLE: Table(
            "one session, which is one person",
            _describe_sessions(study, selection),
            [(session.algorithm, session, own[session.session_id]) for session in sessions],
        ),
        IMAGES_TABLE: Table(
            "one image in the trials that count",
            _describe_images(study),
            [(*key, found) for key, found in sorted(judged.items())],
        ),
    }


def render_csv(table: Table) -> str:
    """Returns a table as CSV, with a head."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in table.columns])
    for row in table.rows:
        writer.writerow([_render_cell(column.read(row)) for column in table.columns])
    return text.getvalue()


def render_dictionary(tables: Mapping[str, Table]) -> str:
    """Returns the data dictionary as Markdown: what each column of each table holds."""
    parts = [
        "# Data dictionary",
        "Cells without a value are empty. Times are UTC in ISO 8601. 1 stands for yes, 0 for no. A text that "
        "starts with `=`, `+`, `-` or `@` has an apostrophe before it, so that spreadsheets do not run it.",
    ]
    for file, table in tables.items():
        rows = [(f"`{column.name}`", escape(column.meaning)) for column in table.columns]
        head = ("column", "what it holds")
        parts.append(f"## {file}\n\nA row is about {table.about}.\n\n{render_table(head, rows, '---')}")
    return "\n\n".join(parts) + "\n"


def _render_cell(cell: object) -> object:
    if isinstance(cell, bool):
        return int(cell)
    # Spreadsheets would run what starts as a formula does.
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell


def _describe_condition(study: Study) -> list[Column]:
    """Returns the columns that say whose images a row is about; its first element is the condition."""
    if not study.protocol.has_preferences:
        return [Column("algorithm", "name of the algorithm whose images are shown", lambda row: row[0])]
    return [
        Column("first_algorithm", "name of one algorithm of the pair", lambda row: row[0].split("/")[0]),
        Column("second_algorithm", "name of the other algorithm", lambda row: row[0].split("/")[1]),
    ]


def _field(name: str, meaning: str, field: str = "") -> Column:
    """Returns the column of a field of the answer or the session, which is the second element of a row."""
    return Column(name, meaning, lambda row: getattr(row[1], field or name))


def _describe_answers(study: Study, selection: Selection) -> list[Column]:
    return [
        Column("session", "number of the session, as in sessions.csv", lambda row: row[2].ordinal),
        *_describe_condition(study),
        _field("trial_index", "place of the trial in the session, from 0"),
        Column("kind", "practice, test, or vigilance, where one image is unmistakably broken", _find_kind),
        *_describe_judgement(study),
        _field("exposures", "how often the trial was shown; more than once after a reload"),
        _field(
            "response_ms",
            "time to the answer in ms, from the end of the second exposure, or from the moment that both "
            "images are shown if exposures have no limit",
        ),
        _field("answered_at", "when the answer was stored"),
        Column(
            "excluded",
            _explain_reasons((*SESSION_REASONS, *TRIAL_REASONS)),
            lambda row: selection.find_reason(row[1]),
        ),
        *(_field(name, meaning) for name, meaning in _SCREEN.items()),
    ]


def _describe_judgement(study: Study) -> list[Column]:
    if study.protocol.has_preferences:
        return [
            _field("example_id", "name of the input that both images were made from"),
            _field("first_side", "side of the first algorithm's image: left or right", "real_side"),
            _field("chosen_side", "side that the person preferred: left or right"),
            _field(
                "first_preferred",
                "whether the person preferred the first algorithm's image; in vigilance trials it is broken",
                "is_success",
            ),
            _field(
                "shown_first_ms", "measured exposure of the first algorithm's image in ms", "shown_real_ms"
            ),
            _field("shown_second_ms", "measured exposure of the other image in ms", "shown_generated_ms"),
        ]
    return [
        _field("example_id", "name of the example of the generated image"),
        _field("real_example_id", "name of the example of the real image"),
        _field("real_side", "side of the real image: left, which comes first, or right"),
        _field("chosen_side", "side that the person said is the fake: left or right"),
        _field("generated_judged_real", "whether the generated image was judged real", "is_success"),
        _field("shown_real_ms", "measured exposure of the real image in ms"),
        _field("shown_generated_ms", "measured exposure of the generated image in ms"),
    ]


def _describe_sessions(study: Study, selection: Selection) -> list[Column]:
    return [
        _field("session", "number of the session in the order of arrival, from 0", "ordinal"),
        *_describe_condition(study),
        _field("begun_at", "when the person agreed to take part", "created_at"),
        _field("finished_at", "when the last trial was answered"),
        _field("seen_at", "when the person last did something"),
        Column("duration_sec", "time between begun_at and finished_at in s", _find_duration),
        _field("visits", "how often the page of the session was opened", "visit"),
        _field("viewport", "size of the browser's window at the start in CSS px, such as 1280x720"),
        *(
            Column(name, f"{meaning}, in the last trial", functools.partial(_find_last, name))
            for name, meaning in _SCREEN.items()
        ),
        Column("trials_answered", "number of answered trials of all kinds", lambda row: len(row[2])),
        _describe_practice(study),
        Column(
            "vigilance_correct", "number of vigilance trials that were answered correctly", _count_vigilance
        ),
        Column(
            "test_trials_counted",
            "number of test trials that count",
            lambda row: len(selection.trials.get(row[1].session_id, ())),
        ),
        Column("median_response_ms", "median time to the answer in all test trials in ms", _find_response),
        Column(
            "excluded",
            _explain_reasons(SESSION_REASONS),
            lambda row: selection.session_reasons.get(row[1].session_id, ""),
        ),
        *(
            Column(f"exit_{place + 1}", f"answer to: {each.text}", functools.partial(_find_exit, place))
            for place, each in enumerate(study.exit_questions)
        ),
    ]


def _describe_practice(study: Study) -> Column:
    if study.protocol.has_preferences:
        return Column(
            "practice_correct", "always empty: preferences are neither right nor wrong", lambda row: None
        )
    return Column(
        "practice_correct", "number of practice trials that were answered correctly", _count_practice
    )


def _describe_images(study: Study) -> list[Column]:
    preferred = "number of these trials in which the first algorithm's image was preferred"
    fooled = "number of these trials in which the generated image was judged real"
    has_preferences = study.protocol.has_preferences
    return [
        *_describe_condition(study),
        Column("example_id", "name of the example", lambda row: row[1]),
        Column("trials", "number of test trials that count", lambda row: len(row[2])),
        Column(
            "first_preferred" if has_preferences else "generated_judged_real",
            preferred if has_preferences else fooled,
            lambda row: sum(row[2]),
        ),
    ]


def _explain_reasons(reasons: Iterable[str]) -> str:
    texts = ", ".join(f"{reason} ({MEANINGS[reason]})" for reason in reasons)
    return f"why it does not count; empty if it counts: {texts}"


def _find_kind(row: tuple[str, Answer, Session]) -> str:
    return "practice" if row[1].practice else "test" if row[1].is_test else "vigilance"


def _find_exit(place: int, row: _SessionRow) -> str | None:
    return json.loads(row[1].exit_answers)[place] if row[1].exit_answers else None


def _find_last(name: str, row: _SessionRow) -> object:
    return getattr(row[2][-1], name) if row[2] else None


def _count_practice(row: _SessionRow) -> int:
    return sum(answer.practice and bool(answer.correct) for answer in row[2])


def _count_vigilance(row: _SessionRow) -> int:
    return sum(answer.vigilance and bool(answer.correct) for answer in row[2])


def _find_duration(row: _SessionRow) -> float | None:
    if row[1].finished_at is None:
        return None
    begun, finished = map(datetime.datetime.fromisoformat, (row[1].created_at, row[1].finished_at))
    return round((finished - begun).total_seconds(), 3)


def _find_response(row: _SessionRow) -> float | None:
    times = [answer.response_ms for answer in row[2] if answer.is_test]
    return statistics.median(times) if times else None
