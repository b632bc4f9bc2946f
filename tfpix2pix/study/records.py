"""What is kept of a study: who took part, and what they answered."""

import dataclasses

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


@dataclasses.dataclass(frozen=True)
class Session:
    """A person's one session.

    Attributes:
      session_id: random; not known to anybody but the server.
      ordinal: 0, 1, 2, ... in the order of arrival; a person who was removed leaves a gap.
      worker_id: of the crowd platform; None when the link had none.
      assignment_id: likewise.
      hit_id: likewise; the platform's name for the task.
      algorithm: whose images the person sees.
      seed: of the sides and the order.
      viewport: size of the browser's window, css px, as `1280x720`.
      visit: how often the pages of the session were opened.
      created_at: when consent was given.
      seen_at: when the person last did something.
      finished_at: when the last answer was stored; None: unfinished.
      completion_code: shown at the end; None: unfinished.
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
    """What a person said of one trial.

    Attributes:
      session_id: whose.
      trial_index: 0, 1, 2, ... within the session.
      practice: a trial with feedback, which does not count.
      vigilance: a trial whose generated image was unmistakably broken.
      example_id: of the generated image.
      real_example_id: of the real image; the same unless pairing is `different`.
      real_side: `left` (shown first) or `right`: where the real image was.
      chosen_side: the side that the person said is FAKE.
      correct: the person found the generated image. A test trial that is not
        correct is one in which the generated image was judged real.
      shown_real_ms: measured exposure of the real image.
      shown_generated_ms: of the generated one.
      exposures: how often the trial was shown: more than 1 after a reload in its middle.
      response_ms: from the end of the second exposure to the answer.
      answered_at: when it was stored.
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
