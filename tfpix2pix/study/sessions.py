"""The rules of a study: what a person may do, and when. How requests travel is decided elsewhere.

The page of a session is opened in a *visit*. Only the newest visit counts, so that a second tab takes over
and the first one stops, even if it is another worker's. What happens in a trial is in `trials.py`.
"""

import dataclasses
import functools
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import HTTPException

from tfpix2pix.study.folder import Study
from tfpix2pix.study.plan import assign_condition
from tfpix2pix.study.records import OtherAnswerStoredError, Session, TakesPartAlreadyError
from tfpix2pix.study.signing import Signer, hash_token
from tfpix2pix.study.store import Store
from tfpix2pix.study.texts import TEXTS, Texts
from tfpix2pix.study.trials import SessionTrials

# Mechanical Turk's assignment id while a person only looks at a task.
NOT_ACCEPTED = "ASSIGNMENT_ID_NOT_AVAILABLE"


class StudySessions:
    """The sessions of a study.

    Args:
      study_dir: folder of the study.
      study: the study in that folder.
      store: keeps sessions and answers.
      secret: key of the completion codes, of the addresses of images and of the blanks.
      abandoned_after_sec: an unfinished session that is idle for longer no longer counts when algorithms
        are assigned, though the person may still go on with it.
      requires_worker_id: whether links without a worker id are refused.
      is_preview: whether a browser may take part again and again.
      texts: what people are told.

    Attributes:
      trials: the trials of these sessions.
    """

    def __init__(
        self,
        study_dir: Path,
        study: Study,
        store: Store,
        secret: bytes,
        *,
        abandoned_after_sec: float = 3600,
        requires_worker_id: bool = False,
        is_preview: bool = False,
        texts: Texts = TEXTS,
    ):
        self.study = study
        self.texts = texts
        self.is_preview = is_preview
        self.requires_worker_id = requires_worker_id
        self._store = store
        self._signer = Signer(secret)
        self._abandoned_after_sec = abandoned_after_sec
        self.trials = SessionTrials(study_dir, study, store, self._signer, texts)

    def find(self, token: str | None, worker_id: str | None = None) -> Session | None:
        """Returns the session of a token; None if there is none, or it is not this worker's.

        An unfinished session that was begun without a worker id becomes the first worker's who opens it.
        """
        session = self._store.find_session(hash_token(token)) if token else None
        if session is None or self.is_preview:
            return None if session and self._is_over(session) else session
        if (
            worker_id
            and session.worker_id is None
            and self._store.name_session(session.session_id, worker_id)
        ):
            session = dataclasses.replace(session, worker_id=worker_id)
        if worker_id and session.worker_id != worker_id:
            return None
        return None if self.requires_worker_id and session.worker_id is None else session

    def start(
        self,
        token: str | None,
        *,
        new_token: str,
        worker_id: str | None,
        assignment_id: str | None,
        hit_id: str | None,
        viewport: str,
    ) -> str:
        """Begins a session, unless the browser has one.

        Args:
          token: token that the browser has of an earlier session, if any.
          new_token: token that the page has drawn for a new session. The same token again means the same
            session, because the first reply may have been lost.
          worker_id: the crowd platform's id of the person, if the link has one.
          assignment_id: the crowd platform's id of the assignment, if the link has one.
          hit_id: the crowd platform's id of the task, if the link has one.
          viewport: size of the browser's window in CSS px, such as `1280x720`.

        Returns:
          The token of the browser's session. It is the one that the browser has, unless that is another
          worker's.

        Raises:
          HTTPException: 403, when a worker id is required and missing, the task is not accepted, or the
            window is too narrow; 409, when the worker takes part already.
        """
        if assignment_id == NOT_ACCEPTED:
            raise HTTPException(403, self.texts["refused_not_accepted"])
        if token and self.find(token, worker_id):
            return token
        if self.requires_worker_id and not worker_id:
            raise HTTPException(403, self.texts["refused_no_id"])
        if int(viewport.partition("x")[0]) < self.study.protocol.least_window_px:
            raise HTTPException(403, self.texts["refused_narrow"])
        session_id = secrets.token_hex(16)
        try:
            self._store.add_session(
                session_id=session_id,
                token_hash=hash_token(new_token),
                worker_id=None if self.is_preview else worker_id,
                assignment_id=assignment_id,
                hit_id=hit_id,
                viewport=viewport,
                assign=functools.partial(self._assign, session_id),
                abandoned_after_sec=self._abandoned_after_sec,
            )
        except TakesPartAlreadyError:
            if not self.find(new_token, worker_id):
                raise HTTPException(409, self.texts["refused_again"]) from None
        return new_token

    def open_visit(self, session: Session) -> dict[str, Any]:
        """Notes that the page of a session is opened; returns what the page must know, and where to go on."""
        protocol = self.study.protocol
        session = dataclasses.replace(session, visit=self._store.begin_visit(session.session_id))
        return {
            "visit": self._signer.name_visit(session),
            "trial_index": self._store.count_answers(session.session_id),
            "practice_trials": protocol.practice_trials,
            "trials": protocol.trials,
            "exposure_ms": protocol.exposure_sec * 1000,
            "feedback_ms": protocol.feedback_sec * 1000,
            "image_size": list(self.study.image_size),
            **self.describe_end(session),
        }

    def describe_end(self, session: Session) -> dict[str, Any]:
        """Returns the exit questions, if it is their turn, and the completion code, if all is done."""
        is_over = self._is_over(session)
        asks = session.finished_at is not None and not is_over
        return {
            "exit_questions": [dataclasses.asdict(each) for each in self.study.exit_questions]
            if asks
            else [],
            "completion_code": session.completion_code if is_over else None,
            "completion_url": self.study.completion_url if is_over else None,
        }

    def answer_questions(self, session: Session, answers: Sequence[str]) -> dict[str, Any]:
        """Stores the answers to the exit questions. The same ones may come again, as those to trials may.

        Args:
          session: session of the person.
          answers: an answer to each question, which is empty where it was left out.

        Returns:
          What `describe_end` does.

        Raises:
          HTTPException: 422, for answers that were not to choose from; 409, when it is not their turn.
        """
        questions = self.study.exit_questions
        if len(answers) != len(questions) or any(
            each and question.choices and each not in question.choices
            for each, question in zip(answers, questions, strict=True)
        ):
            raise HTTPException(422, "These are no answers to the questions.")
        exit_answers = json.dumps(list(answers), ensure_ascii=False)
        try:
            self._store.record_exit_answers(session.session_id, exit_answers)
        except OtherAnswerStoredError:
            raise HTTPException(409, self.texts["refused_answered"]) from None
        return self.describe_end(dataclasses.replace(session, exit_answers=exit_answers))

    def check_over(self, token: str | None) -> None:
        """Raises HTTPException (403) unless the session of a token is over."""
        session = self._store.find_session(hash_token(token)) if token else None
        if session is None or not self._is_over(session):
            raise HTTPException(403, "The study is not over yet.")

    def _is_over(self, session: Session) -> bool:
        asks = self.study.exit_questions and session.exit_answers is None
        return session.finished_at is not None and not asks

    def _assign(self, session_id: str, ordinal: int, counts: Mapping[str, int]) -> tuple[str, int]:
        return assign_condition(self.study, ordinal, counts), self._signer.draw_session_seed(session_id)
