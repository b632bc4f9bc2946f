"""Keeps who took part in a study and what they answered in `answers.sqlite`, before anybody is told so.

To analyse a study:

    with open_store(study_dir / ANSWERS_FILE) as store:
        sessions, answers = store.read_sessions(), store.read_answers()

`Session` and `Answer` are in `records.py`. An answer is one row that never changes, by
UNIQUE(session_id, trial_index). Times are UTC in ISO 8601. The file may be read while a server writes it.
"""

import contextlib
import dataclasses
import datetime
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.study.records import (
    ANSWER_COLUMNS,
    SCHEMA,
    SESSION_COLUMNS,
    Answer,
    OtherAnswerStoredError,
    Session,
    TakesPartAlreadyError,
    add_new_columns,
    format_time,
    to_answer,
)

_BUSY_TIMEOUT_SEC = 30


def open_store(path: Path | None) -> "Store":
    """Opens the answers of a study, and makes the file if it is missing.

    Args:
      path: where `answers.sqlite` is; None keeps the answers of a preview in memory.

    Raises:
      UserError: when the file cannot be opened, or is something else.
    """
    try:
        if path:
            path.touch(mode=0o600)  # It says who took part.
        return Store(path)
    except (sqlite3.Error, OSError) as error:
        raise UserError(f"{path} cannot be used as the study's answers: {error}") from error


class Store:
    """Sessions and answers. When a method that writes returns, what it wrote is on disk.

    Threads may share a store. Processes may share a file, each with a store of its own.

    Args:
      path: where `answers.sqlite` is; None keeps everything in memory.
      source: answers that a store in memory begins with.
    """

    def __init__(self, path: Path | None, source: sqlite3.Connection | None = None):
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            path or ":memory:", timeout=_BUSY_TIMEOUT_SEC, isolation_level=None, check_same_thread=False
        )
        try:
            if source:
                source.backup(self._connection)
            self._connection.execute("PRAGMA journal_mode = WAL")
            # WAL's default would lose the newest answers in a power failure.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.executescript(SCHEMA)
            add_new_columns(self._connection)
        except sqlite3.Error:
            self._connection.close()
            raise

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    def bind(self, fingerprint: str) -> None:
        """Ties the answers to a study.

        Args:
          fingerprint: what `folder.fingerprint` returns for the study.

        Raises:
          UserError: when there are sessions of the study as it was before a change.
        """
        with self._transaction() as connection:
            bound = connection.execute("SELECT fingerprint FROM study").fetchone()
            if bound and bound[0] != fingerprint and _count(connection, "sessions"):
                raise UserError(
                    "study.json has changed since the first session: its seed, algorithms, examples, "
                    "protocol, image_size, exit_questions or rules. Put it back as it was, or make a new "
                    "study; answers to two studies do not mix"
                )
            connection.execute("DELETE FROM study")
            connection.execute("INSERT INTO study VALUES (?)", (fingerprint,))

    def read_sessions(self) -> list[Session]:
        """Returns all sessions in the order of arrival."""
        with self._lock:
            rows = self._connection.execute(f"SELECT {SESSION_COLUMNS} FROM sessions ORDER BY ordinal")
            return [Session(*row) for row in rows]

    def read_answers(self, session_id: str | None = None) -> list[Answer]:
        """Returns all answers, or those of one session, in the order of sessions and of trials."""
        where = "" if session_id is None else "WHERE session_id = :session_id"
        order = "ORDER BY ordinal, trial_index"
        query = f"SELECT {ANSWER_COLUMNS} FROM answers JOIN sessions USING (session_id) {where} {order}"
        with self._lock:
            rows = self._connection.execute(query, {"session_id": session_id}).fetchall()
        return [to_answer(row) for row in rows]

    def find_session(self, token_hash: str) -> Session | None:
        """Returns the session of a token; None if there is none."""
        query = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE token_hash = ?"
        with self._lock:
            row = self._connection.execute(query, (token_hash,)).fetchone()
        return Session(*row) if row else None

    def count_answers(self, session_id: str) -> int:
        """Returns how many trials of a session are answered. They are the first ones."""
        with self._lock:
            return _count(self._connection, "answers WHERE session_id = ?", session_id)

    def add_session(
        self,
        *,
        session_id: str,
        token_hash: str,
        worker_id: str | None,
        assignment_id: str | None,
        hit_id: str | None,
        viewport: str,
        assign: Callable[[int, dict[str, int]], tuple[str, int]],
        abandoned_after_sec: float,
    ) -> None:
        """Adds a session.

        Args:
          session_id: a new name.
          token_hash: hash of the token that the person's browser keeps.
          worker_id: the crowd platform's id of the person, if any.
          assignment_id: the crowd platform's id of the assignment, if any.
          hit_id: the crowd platform's id of the task, if any.
          viewport: size of the browser's window in CSS px, such as `1280x720`.
          assign: takes the number of the session and condition -> number of its sessions; returns condition
            and seed of the session. It is called inside the transaction, so no two sessions see the same.
          abandoned_after_sec: unfinished sessions that are idle for longer do not count for their algorithm.

        Raises:
          TakesPartAlreadyError: when the worker id or the token has a session already.
        """
        time = datetime.datetime.now(datetime.timezone.utc)
        abandoned_before = format_time(time - datetime.timedelta(seconds=abandoned_after_sec))
        with self._transaction() as connection:
            if _count(connection, "sessions WHERE token_hash = ? OR worker_id = ?", token_hash, worker_id):
                raise TakesPartAlreadyError
            # The sessions themselves would not do, because a person's data may have been removed.
            (ordinal,) = connection.execute("SELECT next_ordinal FROM arrivals").fetchone()
            counts = connection.execute(
                "SELECT algorithm, COUNT(*) FROM sessions"
                " WHERE finished_at IS NOT NULL OR seen_at >= ? GROUP BY algorithm",
                (abandoned_before,),
            )
            algorithm, seed = assign(ordinal, dict(counts.fetchall()))
            connection.execute(
                "INSERT INTO sessions (session_id, ordinal, token_hash, worker_id, assignment_id, hit_id,"
                " algorithm, seed, viewport, created_at, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (session_id, ordinal, token_hash, worker_id, assignment_id, hit_id)
                + (algorithm, seed, viewport, *[format_time(time)] * 2),
            )

    def name_session(self, session_id: str, worker_id: str) -> bool:
        """Makes an unfinished session without a worker id the worker's.

        Args:
          session_id: name of the session.
          worker_id: the crowd platform's id of the person.

        Returns:
          Whether it is the worker's now. It is not, if it is finished or has an id, or if the worker has
          another session.
        """
        with self._transaction() as connection:
            if _count(connection, "sessions WHERE worker_id = ?", worker_id):
                return False
            named = connection.execute(
                "UPDATE sessions SET worker_id = ?"
                " WHERE session_id = ? AND worker_id IS NULL AND finished_at IS NULL",
                (worker_id, session_id),
            )
            return named.rowcount == 1

    def begin_visit(self, session_id: str) -> int:
        """Notes that the page of a session was opened; returns how often it has been."""
        with self._transaction() as connection:
            _touch(connection, session_id)
            connection.execute("UPDATE sessions SET visit = visit + 1 WHERE session_id = ?", (session_id,))
            query = "SELECT visit FROM sessions WHERE session_id = ?"
            return int(connection.execute(query, (session_id,)).fetchone()[0])

    def record_exposure(self, session_id: str, trial_index: int, visit: int) -> None:
        """Notes that a trial is about to be shown. Only the first time in a visit counts."""
        with self._transaction() as connection:
            values = (session_id, trial_index, visit, _touch(connection, session_id))
            connection.execute("INSERT OR IGNORE INTO exposures VALUES (?, ?, ?, ?)", values)

    def is_shown(self, session_id: str, trial_index: int, visit: int) -> bool:
        """Returns whether a trial was shown in a visit."""
        condition = "exposures WHERE session_id = ? AND trial_index = ? AND visit = ?"
        with self._lock:
            return _count(self._connection, condition, session_id, trial_index, visit) > 0

    def record_answer(self, answer: Answer, completion_code: str | None = None) -> bool:
        """Stores an answer, and fills in its `exposures` and `answered_at`.

        Args:
          answer: the answer to the next unanswered trial, or one that is stored already.
          completion_code: the code that comes with the last answer of a session; it finishes the session.

        Returns:
          Whether the answer is new. It is not if a request was repeated.

        Raises:
          OtherAnswerStoredError: when the trial has another answer already.
        """
        key = (answer.session_id, answer.trial_index)
        with self._transaction() as connection:
            query = "SELECT chosen_side FROM answers WHERE session_id = ? AND trial_index = ?"
            stored = connection.execute(query, key).fetchone()
            if stored:
                if stored[0] != answer.chosen_side:
                    raise OtherAnswerStoredError
                return False
            exposures = _count(connection, "exposures WHERE session_id = ? AND trial_index = ?", *key)
            time = _touch(connection, answer.session_id)
            row = dataclasses.asdict(answer) | {"exposures": exposures, "answered_at": time}
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO answers ({names}) VALUES ({marks})", tuple(row.values()))
            if completion_code is not None:
                connection.execute(
                    "UPDATE sessions SET finished_at = ?, completion_code = ? WHERE session_id = ?",
                    (time, completion_code, answer.session_id),
                )
        return True

    def record_exit_answers(self, session_id: str, exit_answers: str) -> None:
        """Stores the answers to the exit questions of a finished session; the same ones may come again.

        Args:
          session_id: name of the finished session.
          exit_answers: the answers, as `Session` has them.

        Raises:
          OtherAnswerStoredError: when others are stored already, or the session is unfinished.
        """
        with self._transaction() as connection:
            values = (exit_answers, session_id)
            is_open = "finished_at IS NOT NULL AND exit_answers IS NULL"
            query = f"UPDATE sessions SET exit_answers = ? WHERE session_id = ? AND {is_open}"
            connection.execute(query, values)
            if not _count(connection, "sessions WHERE exit_answers = ? AND session_id = ?", *values):
                raise OtherAnswerStoredError
            _touch(connection, session_id)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")


def _count(connection: sqlite3.Connection, condition: str, *values: str | int | None) -> int:
    return int(connection.execute(f"SELECT COUNT(*) FROM {condition}", values).fetchone()[0])


def _touch(connection: sqlite3.Connection, session_id: str) -> str:
    time = format_time(datetime.datetime.now(datetime.timezone.utc))
    connection.execute("UPDATE sessions SET seen_at = ? WHERE session_id = ?", (time, session_id))
    return time
