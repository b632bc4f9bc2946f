"""The records of a study: who took part, and what they answered."""

import dataclasses
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
  completion_code TEXT
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
  correct INTEGER NOT NULL CHECK (correct = (real_side != chosen_side)),
  shown_real_ms REAL NOT NULL,
  shown_generated_ms REAL NOT NULL,
  exposures INTEGER NOT NULL,
  response_ms REAL NOT NULL,
  answered_at TEXT NOT NULL,
  UNIQUE (session_id, trial_index)
);
"""
# Columns of answers that earlier versions did not have, and their types.
NEW_COLUMNS = {"pixel_ratio": "REAL", "drawn_px": "TEXT", "layout": "TEXT"}


@dataclasses.dataclass(frozen=True)
class Session:
    """The one session of a person.

    Attributes:
      session_id: a random name that only the server knows.
      ordinal: number of the session in the order of arrival, from 0. A person who was removed leaves a gap.
      worker_id: the crowd platform's id of the person; None if the link had none.
      assignment_id: the crowd platform's id of the assignment; None if the link had none.
      hit_id: the crowd platform's id of the task; None if the link had none.
      algorithm: the algorithm whose images the person sees.
      seed: decides the sides and the order.
      viewport: size of the browser's window in CSS px, such as `1280x720`.
      visit: how often the page of the session was opened.
      created_at: when consent was given.
      seen_at: when the person last did something.
      finished_at: when the last answer was stored; None if the session is unfinished.
      completion_code: the code that is shown at the end; None if the session is unfinished.
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


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer of a person to one trial.

    Attributes:
      session_id: session of the person.
      trial_index: place of the trial in the session, from 0.
      practice: whether the trial was for practice: it had feedback and does not count.
      vigilance: whether the generated image was unmistakably broken.
      example_id: example of the generated image.
      real_example_id: example of the real image; the same, unless the pairing is `different`.
      real_side: side of the real image: `left`, which is shown first, or `right`.
      chosen_side: the side that the person said is FAKE.
      correct: whether the person found the generated image. If a test trial is not correct, the generated
        image was judged real.
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
    correct: bool
    shown_real_ms: float
    shown_generated_ms: float
    exposures: int
    response_ms: float
    answered_at: str
    pixel_ratio: float | None = None
    drawn_px: str | None = None
    layout: str | None = None


def add_new_columns(connection: sqlite3.Connection) -> None:
    """Gives the answers of an earlier version the columns that they lack, without values."""
    known = {row[1] for row in connection.execute("PRAGMA table_info(answers)")}
    for name, kind in NEW_COLUMNS.items():
        if name not in known:
            connection.execute(f"ALTER TABLE answers ADD COLUMN {name} {kind}")
