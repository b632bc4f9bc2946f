"""The rules of a study: what a person may do, and when. How requests travel is decided elsewhere.

The page of a session is opened in a *visit*. Only the newest visit counts, so that a second tab takes over
and the first one stops, even if it is another worker's. The server tells the correct side only after the
answer to a practice trial.
"""

import dataclasses
import functools
import hmac
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import HTTPException

from tfpix2pix.study.folder import Study, image_file
from tfpix2pix.study.plan import Trial, assign_session, plan_session
from tfpix2pix.study.records import SIDES, Answer, Session
from tfpix2pix.study.signing import Signer, hash_token
from tfpix2pix.study.store import OtherAnswerStoredError, Store, TakesPartAlreadyError

# An answer may come so much sooner than its exposures allow, because clocks are not more exact.
EARLY_SEC = 0.1
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
    ):
        self.study = study
        self.is_preview = is_preview
        self.requires_worker_id = requires_worker_id
        self._study_dir = study_dir
        self._store = store
        self._signer = Signer(secret)
        # Session -> visit, trial and monotonic time of its newest exposure. A step of the clock, as when a
        # machine corrects it, must not exclude an answer.
        self._exposed: dict[str, tuple[int, int, float]] = {}
        # All images are sent with as many bytes, because the length of a file tells which it is.
        self._image_bytes = max(
            image_file(study_dir, token).stat().st_size for each in study.examples for token in each.tokens
        )
        self._abandoned_after_sec = abandoned_after_sec
        self._plan: Callable[[str, int], tuple[Trial, ...]] = functools.lru_cache(maxsize=1000)(
            lambda algorithm, seed: plan_session(study, algorithm, seed)
        )

    def find(self, token: str | None, worker_id: str | None = None) -> Session | None:
        """Returns the session of a token; None if there is none, or it is not this worker's.

        An unfinished session that was begun without a worker id becomes the first worker's who opens it.
        """
        session = self._store.find_session(hash_token(token)) if token else None
        if session is None or self.is_preview:
            return None if session and session.finished_at else session
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
          HTTPException: 403, when a worker id is required and missing, or the task is not accepted; 409, when
            the worker takes part already.
        """
        if assignment_id == NOT_ACCEPTED:
            raise HTTPException(403, "Please accept the task on the platform before you begin.")
        if token and self.find(token, worker_id):
            return token
        if self.requires_worker_id and not worker_id:
            raise HTTPException(
                403, "This link lacks your worker ID. Please open it from the platform that invited you."
            )
        try:
            self._store.add_session(
                session_id=secrets.token_hex(16),
                token_hash=hash_token(new_token),
                worker_id=None if self.is_preview else worker_id,
                assignment_id=assignment_id,
                hit_id=hit_id,
                viewport=viewport,
                assign=functools.partial(assign_session, self.study),
                abandoned_after_sec=self._abandoned_after_sec,
            )
        except TakesPartAlreadyError:
            if not self.find(new_token, worker_id):
                raise HTTPException(
                    409,
                    "This worker ID has begun or finished the study in another browser. A person can take "
                    "part once; to go on with a session, open the link in the browser where it was begun.",
                ) from None
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
            **self._describe_end(session.completion_code),
        }

    def describe_trial(self, session: Session, visit: str, index: int) -> dict[str, Any]:
        """Returns where the images of a trial are, and its gaps, for the next trial and the one after it."""
        self._check_visit(session, visit)
        trial = self._find_trial(session, index, ahead=1)
        return {
            "practice": trial.practice,
            "images": [self._signer.address_image(session, index, side) for side in SIDES],
            "gaps_ms": [self._gap_ms(session, index, side) for side in SIDES],
        }

    def read_image(self, session: Session, address: str) -> bytes:
        """Returns the PNG file behind an address, with zeros after it.

        Raises:
          HTTPException: 404 for any address but those of the next two trials in the newest visit; 410, when
            the trial has been shown.
        """
        following = self._store.count_answers(session.session_id)
        for trial in self._trials(session)[following : following + 2]:
            for side in SIDES:
                if hmac.compare_digest(
                    self._signer.address_image(session, trial.index, side).encode(), address.encode()
                ):
                    if self._store.is_shown(session.session_id, trial.index, session.visit):
                        raise HTTPException(410, "This image was shown already.")
                    contents = image_file(self._study_dir, trial.images[side]).read_bytes()
                    return contents.ljust(self._image_bytes, b"\0")
        raise HTTPException(404, "There is no such image.")

    def show_trial(self, session: Session, visit: str, index: int) -> None:
        """Notes that the page is about to show the next trial."""
        self._check_visit(session, visit)
        self._find_trial(session, index)
        self._store.record_exposure(session.session_id, index, session.visit)
        if self._exposed.get(session.session_id, ())[:2] != (session.visit, index):
            self._exposed[session.session_id] = (session.visit, index, time.monotonic())

    def answer_trial(
        self,
        session: Session,
        visit: str,
        index: int,
        *,
        chosen_side: str,
        shown_ms: dict[str, float],
        response_ms: float,
        screen: dict[str, Any],
    ) -> dict[str, Any]:
        """Stores an answer. The same answer may come again, because the first reply may have been lost.

        Args:
          session: session of the person.
          visit: visit of the page.
          index: place of the next trial in the session.
          chosen_side: the side that the person said is fake.
          shown_ms: side -> measured exposure of its image.
          response_ms: time between the end of the second exposure and the answer.
          screen: how the images were drawn: values of the `NEW_COLUMNS` of an answer.

        Returns:
          The right answer to a practice trial, and the completion code at the end.

        Raises:
          HTTPException: 409, when it is another trial's turn, or the trial was not shown or has another
            answer; 404, when there is no such trial.
        """
        self._check_visit(session, visit)
        trial = self._find_trial(session, index, behind=1)
        self._check_shown(session, trial)
        generated_side = SIDES[1 - SIDES.index(trial.real_side)]
        answer = Answer(
            session_id=session.session_id,
            trial_index=index,
            practice=trial.practice,
            vigilance=trial.vigilance,
            example_id=trial.example_id,
            real_example_id=trial.real_example_id,
            real_side=trial.real_side,
            chosen_side=chosen_side,
            correct=chosen_side == generated_side,
            shown_real_ms=shown_ms[trial.real_side],
            shown_generated_ms=shown_ms[generated_side],
            exposures=0,
            response_ms=response_ms,
            answered_at="",
            **screen,
        )
        is_last = index == self.study.protocol.trials - 1
        code = self._signer.completion_code(session) if is_last else None
        try:
            self._store.record_answer(answer, code)
        except OtherAnswerStoredError:
            raise HTTPException(
                409, "This trial was answered already, and answers cannot be changed."
            ) from None
        feedback = {"fake_side": generated_side, "correct": answer.correct} if trial.practice else None
        return {"feedback": feedback, **self._describe_end(code)}

    def _describe_end(self, code: str | None) -> dict[str, str | None]:
        return {"completion_code": code, "completion_url": self.study.completion_url if code else None}

    def _trials(self, session: Session) -> tuple[Trial, ...]:
        return self._plan(session.algorithm, session.seed)

    def _find_trial(self, session: Session, index: int, behind: int = 0, ahead: int = 0) -> Trial:
        """Returns a trial, if it is at most `behind` trials before, or `ahead` trials after, the next one."""
        trials = self._trials(session)
        if not 0 <= index < len(trials):
            raise HTTPException(404, "There is no such trial.")
        following = self._store.count_answers(session.session_id)
        if not following - behind <= index <= following + ahead:
            raise HTTPException(409, "It is another trial's turn. Please reload the page to go on.")
        return trials[index]

    def _check_visit(self, session: Session, visit: str) -> None:
        if visit != self._signer.name_visit(session):
            raise HTTPException(409, "The study was opened in another tab or window, and goes on there.")

    def _check_shown(self, session: Session, trial: Trial) -> None:
        if not self._store.is_shown(session.session_id, trial.index, session.visit):
            raise HTTPException(409, "This trial was not shown yet. Please reload the page to go on.")
        visit, index, shown_sec = self._exposed.get(session.session_id, (0, 0, 0.0))
        if (visit, index) != (session.visit, trial.index):
            return  # The server was started again since, so it does not know for how long.
        gap_sec = self._gap_ms(session, index, SIDES[1]) / 1000
        least_sec = 2 * self.study.protocol.exposure_sec + gap_sec - EARLY_SEC
        if time.monotonic() - shown_sec < least_sec:
            raise HTTPException(409, "The answer came before both images were shown. Please reload the page.")

    def _gap_ms(self, session: Session, index: int, side: str) -> int:
        protocol = self.study.protocol
        limits_ms = (1000 * protocol.least_gap_sec, 1000 * protocol.most_gap_sec)
        return self._signer.draw_gap_ms(session, index, side, *limits_ms)
