"""Small studies on disk, as `study create` leaves them, and people who take part without a browser."""

import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from tfpix2pix.study.application import make_study_application
from tfpix2pix.study.creation import create_study
from tfpix2pix.study.folder import ANSWERS_FILE, CONSENT_FILE, Study, read_secret
from tfpix2pix.study.images import ExamplePictures, StudyImages
from tfpix2pix.study.page import render_debriefing, render_page
from tfpix2pix.study.protocol import Protocol
from tfpix2pix.study.sessions import StudySessions
from tfpix2pix.study.store import Store, open_store
from tfpix2pix.study.texts import read_words

ALGORITHMS = ("L1", "cGAN")
BRIEF = Protocol(
    practice_trials=1,
    test_trials=2,
    exposure_sec=0.05,
    least_gap_sec=0.0,
    most_gap_sec=0.01,
    feedback_sec=0.1,
)
# Red real images, green ones of L1, blue ones of cGAN, each of its own brightness.
CHANNEL = {"real": 0, "L1": 1, "cGAN": 2}


def draw_picture(kind: str, number: int, size_px: int = 32) -> np.ndarray:
    """Returns a plain picture that tells its kind."""
    picture = np.zeros((size_px, size_px, 3), np.uint8)
    picture[..., CHANNEL[kind]] = 100 + number
    return picture


def make_images(count: int, size_px: int = 32) -> StudyImages:
    """Returns `count` examples of both algorithms."""

    def read() -> Iterator[ExamplePictures]:
        for number in range(count):
            generated = {name: draw_picture(name, number, size_px) for name in ALGORITHMS}
            real = draw_picture("real", number, size_px)
            yield ExamplePictures(generated, real, 255 - real)

    return StudyImages(ALGORITHMS, tuple(f"example-{number}" for number in range(count)), read)


def make_study(folder: Path, protocol: Protocol = BRIEF, **settings: Any) -> Study:
    """Makes a study of as many examples as it needs."""
    settings = {"title": "Real or <fake>?", "seed": 3, "image_size": (32, 32), **settings}
    study = Study(algorithms=(), examples=(), protocol=protocol, **settings)
    study = create_study(folder, make_images(protocol.trials), study)
    (folder / CONSENT_FILE).write_text("You are invited. We store your answers.\n")
    return study


def open_sessions(folder: Path, study: Study, store: Store, **settings: Any) -> StudySessions:
    """Returns the sessions of a study as `serve` opens them."""
    return StudySessions(folder, study, store, read_secret(folder), **settings)


def make_app(folder: Path, study: Study, store: Store, **settings: Any):
    """Returns the application of a study as `serve` makes it."""
    texts = read_words(folder)
    sessions = open_sessions(folder, study, store, texts=texts, **settings)
    page = render_page(folder, study, texts)
    return make_study_application(sessions, page, b"key", debriefing=render_debriefing(folder))


def open_answers(folder: Path) -> Store:
    """Opens a study's answers."""
    return open_store(folder / ANSWERS_FILE)


def serve_command(folder: Path, command: str = "serve") -> list[str]:
    """Returns the command that serves a study."""
    return [sys.executable, "-m", "tfpix2pix.study", command, f"--study_dir={folder}"]


class Person:
    """Takes part by requests, as the page makes them.

    Args:
      app: the application.
      worker_id: the id that a crowd platform gave the person.
    """

    def __init__(self, app: Any, worker_id: str | None = None):
        self.client = TestClient(app, base_url="http://127.0.0.1:8000")
        self.worker_id = worker_id
        self.token = secrets.token_hex(32)
        self.visit: dict[str, Any] = {}

    def start(self, **changes: Any) -> Any:
        """Consents to take part; returns the reply of the server."""
        body = {"consent": True, "token": self.token, "worker_id": self.worker_id, "viewport": "800x600"}
        return self.client.post("/api/start", json=body | changes)

    def open(self) -> "Person":
        """Opens the page of the session."""
        self.visit = self.client.post("/api/visit", json={"worker_id": self.worker_id}).json()
        return self

    def read_trial(self, index: int) -> Any:
        """Asks where a trial's images are."""
        return self.client.get(f"/api/trials/{index}", params={"visit": self.visit["visit"]})

    def show(self, index: int) -> Any:
        """Says that a trial is about to be shown."""
        return self.client.post(f"/api/trials/{index}/shown", json={"visit": self.visit["visit"]})

    def answer(self, index: int, side: str = "left", **changes: Any) -> Any:
        """Answers a trial."""
        body = {"visit": self.visit["visit"], "chosen_side": side, "left_ms": 50.0, "right_ms": 66.5}
        body |= {"response_ms": 400.0, **changes}
        return self.client.post(f"/api/trials/{index}/answer", json=body)

    def answer_questions(self, *answers: Any) -> Any:
        """Answers the exit questions."""
        return self.client.post("/api/exit", json={"answers": answers})

    def do_trial(self, index: int, side: str = "left") -> Any:
        """Sees a trial and answers it; returns the reply of the server."""
        assert self.show(index).status_code == 200
        time.sleep(2 * self.visit["exposure_ms"] / 1000)
        return self.answer(index, side)
