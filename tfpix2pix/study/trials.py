"""The trials of a session: where their images are, when they are shown, and what is answered.

The server tells the correct side only after the answer to a practice trial.
"""

import dataclasses
import functools
import hmac
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import HTTPException

from tfpix2pix.study.folder import Study, image_file
from tfpix2pix.study.plan import Trial, plan_session
from tfpix2pix.study.records import SIDES, Answer, OtherAnswerStoredError, Session
from tfpix2pix.study.signing import Signer
from tfpix2pix.study.store import Store
from tfpix2pix.study.texts import Texts

# An answer may come so much sooner than its exposures allow, because clocks are not more exact.
EARLY_SEC = 0.1


class SessionTrials:
    """The trials of all sessions of a study.

    Args:
      study_dir: folder of the study.
      study: the study in that folder.
      store: keeps sessions and answers.
      signer: derives addresses of images and blanks from the study's key.
      texts: what people are told.
    """

    def __init__(self, study_dir: Path, study: Study, store: Store, signer: Signer, texts: Texts):
        self.study = study
        self._study_dir = study_dir
        self._store = store
        self._signer = signer
        self._texts = texts
        # Session -> visit, trial and monotonic time of its newest exposure. A step of the clock, as when a
        # machine corrects it, must not exclude an answer.
        self._exposed: dict[str, tuple[int, int, float]] = {}
        # All images are sent with as many bytes, because the length of a file tells which it is.
        self._image_bytes = max(
            image_file(study_dir, token).stat().st_size for each in study.examples for token in each.tokens
        )
        self._plan: Callable[[str, int], tuple[Trial, ...]] = functools.lru_cache(maxsize=1000)(
            lambda condition, seed: plan_session(study, condition, seed)
        )

    def describe(self, session: Session, visit: str, index: int) -> dict[str, Any]:
        """Returns where the images of a trial are, and its gaps, for the next trial and the one after it."""
        self._check_visit(session, visit)
        trial = self._find_trial(session, index, ahead=1)
        return {
            "practice": trial.practice,
            "images": [self._signer.address_image(session, index, place) for place in _list_images(trial)],
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
            for place, token in _list_images(trial).items():
                if hmac.compare_digest(
                    self._signer.address_image(session, trial.index, place).encode(), address.encode()
                ):
                    if self._store.is_shown(session.session_id, trial.index, session.visit):
                        raise HTTPException(410, "This image was shown already.")
                    contents = image_file(self._study_dir, token).read_bytes()
                    return contents.ljust(self._image_bytes, b"\0")
        raise HTTPException(404, "There is no such image.")

    def show(self, session: Session, visit: str, index: int) -> None:
        """Notes that the page is about to show the next trial."""
        self._check_visit(session, visit)
        self._find_trial(session, index)
        self._store.record_exposure(session.session_id, index, session.visit)
        if self._exposed.get(session.session_id, ())[:2] != (session.visit, index):
            self._exposed[session.session_id] = (session.visit, index, time.monotonic())

    def answer(
        self,
        session: Session,
        visit: str,
        index: int,
        *,
        chosen_side: str,
        shown_ms: dict[str, float],
        response_ms: float,
        screen: dict[str, Any],
    ) -> tuple[dict[str, Any] | None, Session]:
        """Stores an answer. The same answer may come again, because the first reply may have been lost.

        Args:
          session: session of the person.
          visit: visit of the page.
          index: place of the next trial in the session.
          chosen_side: the side that the person said is fake, or better in a preference study.
          shown_ms: side -> measured exposure of its image.
          response_ms: time between the end of the second exposure and the answer.
          screen: how the images were drawn: values of the `SCREEN_COLUMNS` of an answer.

        Returns:
          The right answer to a practice trial that has one, and the session as it is now.

        Raises:
          HTTPException: 409, when it is another trial's turn, or the trial was not shown or has another
            answer; 404, when there is no such trial.
        """
        self._check_visit(session, visit)
        trial = self._find_trial(session, index, behind=1)
        self._check_shown(session, trial)
        other_side = SIDES[1 - SIDES.index(trial.real_side)]
        answer = Answer(
            session_id=session.session_id,
            trial_index=index,
            practice=trial.practice,
            vigilance=trial.vigilance,
            example_id=trial.example_id,
            real_example_id=trial.real_example_id,
            real_side=trial.real_side,
            chosen_side=chosen_side,
            correct=None if trial.right_side is None else chosen_side == trial.right_side,
            shown_real_ms=shown_ms[trial.real_side],
            shown_generated_ms=shown_ms[other_side],
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
            raise HTTPException(409, self._texts["refused_answered"]) from None
        if is_last and session.finished_at is None:
            session = dataclasses.replace(session, finished_at="now", completion_code=code)
        if not trial.practice or trial.right_side is None:
            return None, session
        return {"fake_side": trial.right_side, "correct": answer.correct}, session

    def _trials(self, session: Session) -> tuple[Trial, ...]:
        return self._plan(session.algorithm, session.seed)

    def _find_trial(self, session: Session, index: int, behind: int = 0, ahead: int = 0) -> Trial:
        """Returns a trial, if it is at most `behind` trials before, or `ahead` trials after, the next one."""
        trials = self._trials(session)
        if not 0 <= index < len(trials):
            raise HTTPException(404, "There is no such trial.")
        following = self._store.count_answers(session.session_id)
        if not following - behind <= index <= following + ahead:
            raise HTTPException(409, self._texts["refused_other_trial"])
        return trials[index]

    def _check_visit(self, session: Session, visit: str) -> None:
        if visit != self._signer.name_visit(session):
            raise HTTPException(409, self._texts["refused_other_tab"])

    def _check_shown(self, session: Session, trial: Trial) -> None:
        if not self._store.is_shown(session.session_id, trial.index, session.visit):
            raise HTTPException(409, self._texts["refused_not_shown"])
        visit, index, shown_sec = self._exposed.get(session.session_id, (0, 0, 0.0))
        if (visit, index) != (session.visit, trial.index):
            return  # The server was started again since, so it does not know for how long.
        exposure_sec = self.study.protocol.exposure_sec
        gap_sec = self._gap_ms(session, index, SIDES[1]) / 1000
        least_sec = 2 * exposure_sec + gap_sec - EARLY_SEC if exposure_sec else 0
        if time.monotonic() - shown_sec < least_sec:
            raise HTTPException(409, self._texts["refused_early"])

    def _gap_ms(self, session: Session, index: int, side: str) -> int:
        protocol = self.study.protocol
        limits_ms = (1000 * protocol.least_gap_sec, 1000 * protocol.most_gap_sec)
        return self._signer.draw_gap_ms(session, index, side, *limits_ms)


def _list_images(trial: Trial) -> dict[str, str]:
    """Returns place -> token of the images of a trial; the input, if there is one, is the last."""
    return {**{side: trial.images[side] for side in SIDES}, **({"input": trial.input} if trial.input else {})}
