"""Sessions and answers of a study, made up, for tests of its results."""

import dataclasses
from pathlib import Path

from tfpix2pix.study.folder import ANSWERS_FILE
from tfpix2pix.study.records import Answer, Session
from tfpix2pix.study.store import open_store


def make_session(name: str, algorithm: str = "cGAN", finished: bool = True) -> Session:
    """Returns the session of a person whose number in the order of arrival the first letter tells."""
    time = "2026-01-02T03:04:05.678+00:00"
    platform = {"worker_id": f"worker-{name}", "assignment_id": None, "hit_id": None}
    return Session(
        session_id=f"secret-{name}",
        ordinal=ord(name[0]) - ord("a"),
        **platform,
        algorithm=algorithm,
        seed=0,
        viewport="1280x720",
        visit=1,
        created_at=time,
        seen_at=time,
        finished_at=time if finished else None,
        completion_code="CODE" if finished else None,
    )


def make_answer(session: Session, index: int, fooled: bool = False, **changes) -> Answer:
    """Returns an answer; `fooled` says that the real image, or the first algorithm's, was chosen."""
    real_side, fake_side = ("left", "right") if index % 2 else ("right", "left")
    answer = Answer(
        session_id=session.session_id,
        trial_index=index,
        practice=index == 0,
        vigilance=False,
        example_id=f"{index}.png",
        real_example_id=f"{index}.png",
        real_side=real_side,
        chosen_side=real_side if fooled else fake_side,
        correct=not fooled,
        shown_real_ms=1000.0,
        shown_generated_ms=1000.0,
        exposures=1,
        response_ms=1000.0 * index,
        answered_at=f"2026-01-02T03:04:0{index % 10}.678+00:00",
    )
    return dataclasses.replace(answer, **changes)


def make_answers(session: Session, fooled: str, **changes) -> list[Answer]:
    """Returns one answer per letter; `x`: fooled."""
    return [make_answer(session, index, letter == "x", **changes) for index, letter in enumerate(fooled)]


def store_answers(study_dir: Path, sessions: list[Session], answers: list[Answer]) -> None:
    """Writes the answers of a study as a server does."""
    with open_store(study_dir / ANSWERS_FILE) as store:
        for session in sessions:
            kept = {"worker_id", "assignment_id", "hit_id", "viewport", "session_id"}
            store.add_session(
                **{name: value for name, value in dataclasses.asdict(session).items() if name in kept},
                token_hash=session.session_id,
                assign=lambda ordinal, counts, session=session: (session.algorithm, session.seed),
                abandoned_after_sec=1,
            )
        last = {answer.session_id: answer.trial_index for answer in answers}
        finished = {session.session_id for session in sessions if session.finished_at}
        for answer in answers:
            for visit in range(answer.exposures):
                store.record_exposure(answer.session_id, answer.trial_index, visit)
            ends = answer.trial_index == last[answer.session_id] and answer.session_id in finished
            store.record_answer(answer, "CODE" if ends else None)
