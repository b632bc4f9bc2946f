"""The records of a study: who took part, and what they answered."""

import dataclasses
import datetime
import sqlite3

SIDES = ("left", "right")

SCHEMA = """
CREATE TABLE IF NOT EXISTS study (fingerprint TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
  session_id TEXT PRIMARY KEY,
  ordinal INTEGER NOT NULL UNIQUE,
  token_hash TEXT NOT NULL UNIQUE,
  worker_id TEXT UNIQUE,
  assignment_id TEXT,
  hit_id TEXT,
  algorithm TEXT NOT NULL,
  seed INTEGER NOT NULL,
  viewport TEXT NOT NULL,
  visit INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  seen_at TEXT NOT NULL,
  finished_at TEXT,
  completion_code TEXT,
  exit_answers TEXT
);
CREATE TABLE IF NOT EXISTS exposures (
  session_id TEXT NOT NULL REFERENCES sessions,
  trial_index INTEGER NOT NULL,
  visit INTEGER NOT NULL,
  shown_at TEXT NOT NULL,
  PRIMARY KEY (session_id, trial_index, visit)
);
CREATE TABLE IF NOT EXISTS answers (
  session_id TEXT NOT NULL REFERENCES sessions,
  trial_index INTEGER NOT NULL,
  practice INTEGER NOT NULL,
  vigilance INTEGER NOT NULL,
  example_id TEXT NOT NULL,
  real_example_id TEXT NOT NULL,
  real_side TEXT NOT NULL CHECK (real_side IN ('left', 'right')),
  chosen_side TEXT NOT NULL CHECK (chosen_side IN ('left', 'right')),
  correct INTEGER CHECK (correct = (real_side != chosen_side)),
  shown_real_ms REAL NOT NULL,
  shown_generated_ms REAL NOT NULL,
  exposures INTEGER NOT NULL,
  response_ms REAL NOT NULL,
  answered_at TEXT NOT NULL,
  UNIQUE (session_id, trial_index)
);
CREATE TABLE IF NOT EXISTS arrivals (next_ordinal INTEGER NOT NULL);
INSERT INTO arrivals SELECT (SELECT COALESCE(MAX(ordinal) + 1, 0) FROM sessions)
  WHERE NOT EXISTS (SELECT 1 FROM arrivals);
CREATE TRIGGER IF NOT EXISTS count_arrivals AFTER INSERT ON sessions BEGIN
  UPDATE arrivals SET next_ordinal = MAX(next_ordinal, NEW.ordinal + 1);
END;
"""
# What an answer says of how its images were drawn: columns and their types.
SCREEN_COLUMNS = {"pixel_ratio": "REAL", "drawn_px": "TEXT", "layout": "TEXT"}
# Table -> columns that earlier versions did not have.
_NEW_COLUMNS = {"answers": SCREEN_COLUMNS, "sessions": {"exit_answers": "TEXT"}}


class TakesPartAlreadyError(Exception):
    """The worker id or the token has a session already."""


class OtherAnswerStoredError(Exception):
    """The trial, or the exit questions, have different answers already."""


@dataclasses.dataclass(frozen=True)
class Session:
    """The one session of a person.

    Attributes:
      session_id: a random name that only the server knows.
      ordinal: number of the session in the order of arrival, from 0. A person who was removed leaves a gap.
      worker_id: the crowd platform's id of the person; None if the link had none.
      assignment_id: the crowd platform's id of the assignment; None if the link had none.
      hit_id: the crowd platform's id of the task; None if the link had none.
      algorithm: the algorithm whose images the person sees; in a preference study, the pair of algorithms,
        such as `L1/cGAN`.
      seed: decides the sides and the order.
      viewport: size of the browser's window in CSS px, such as `1280x720`.
      visit: how often the page of the session was opened.
      created_at: when consent was given.
      seen_at: when the person last did something.
      finished_at: when the last trial was answered; None if the session is unfinished.
      completion_code: the code that is shown at the end; None if the session is unfinished.
      exit_answers: the answers to the exit questions as a JSON list of texts, which are empty where a
        question was left out; None if they were not sent.
    """

    session_id: str
    ordinal: int
    worker_id: str | None
    assignment_id: str | None
    hit_id: str | None
    algorithm: str
    seed: int
    viewport: str
    visit: int
    created_at: str
    seen_at: str
    finished_at: str | None
    completion_code: str | None
    exit_answers: str | None = None


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer of a person to one trial.

    In a preference study, the first algorithm of the pair stands in the place of the real image, and the
    second one in that of the generated image.

    Attributes:
      session_id: session of the person.
      trial_index: place of the trial in the session, from 0.
      practice: whether the trial was for practice: it had feedback and does not count.
      vigilance: whether the generated image was unmistakably broken.
      example_id: example of the generated image.
      real_example_id: example of the real image; the same, unless the pairing is `different`.
      real_side: side of the real image: `left`, which is shown first, or `right`.
      chosen_side: the side that the person said is FAKE; in a preference study, the side that is better.
      correct: whether the person found the generated image; in a vigilance trial of a preference study,
        whether the person did not prefer the broken image; None in its other trials, where nothing is wrong.
      shown_real_ms: measured exposure of the real image.
      shown_generated_ms: measured exposure of the generated image.
      exposures: how often the trial was shown. It is more than once after a reload in its middle.
      response_ms: time between the end of the second exposure and the answer.
      answered_at: when the answer was stored.
      pixel_ratio: pixels of the screen per CSS px; None if an earlier version stored the answer, which goes
        for the following attributes too.
      drawn_px: size of each image on the page in CSS px, such as `256x256`, the width first.
      layout: `side_by_side`, or `one_place` where two images did not fit side by side.
    """

    session_id: str
    trial_index: int
    practice: bool
    vigilance: bool
    example_id: str
    real_example_id: str
    real_side: str
    chosen_side: str
    correct: bool | None
    shown_real_ms: float
    shown_generated_ms: float
    exposures: int
    response_ms: float
    answered_at: str
    pixel_ratio: float | None = None
    drawn_px: str | None = None
    layout: str | None = None

    @property
    def is_test(self) -> bool:
        """Returns whether the trial is neither for practice nor for vigilance."""
        return not (self.practice or self.vigilance)

    @property
    def is_success(self) -> bool:
        """Returns whether the generated image was judged real, or the first algorithm was preferred."""
        return self.chosen_side == self.real_side


def format_time(time: datetime.datetime) -> str:
    """Returns a time as the store writes it. Such texts sort as the times do."""
    return time.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds")


_ANSWER_NAMES = [field.name for field in dataclasses.fields(Answer)]
SESSION_COLUMNS = ", ".join(field.name for field in dataclasses.fields(Session))
ANSWER_COLUMNS = ", ".join(f"answers.{name}" for name in _ANSWER_NAMES)
_FLAGS = ("practice", "vigilance", "correct")


def to_answer(row: tuple) -> Answer:
    """Returns the answer in a row of `ANSWER_COLUMNS`."""
    values = dict(zip(_ANSWER_NAMES, row, strict=True))
    flags = {name: None if values[name] is None else bool(values[name]) for name in _FLAGS}
    return Answer(**values | flags)


def add_new_columns(connection: sqlite3.Connection) -> None:
    """Gives the tables of an earlier version the columns that they lack, without values."""
    for table, columns in _NEW_COLUMNS.items():
        known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        for name, kind in columns.items():
            if name not in known:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
