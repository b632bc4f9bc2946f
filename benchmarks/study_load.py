"""Lets many people take part in a study at once, and checks that no answer is lost and how long they wait.

    python -m benchmarks.study_load --people=50

The command makes a study of plain pictures, starts its server as a researcher would, and sends the requests
of simulated people. Each of them fetches the images, waits as long as they are shown, thinks, and answers.
Now and then a person sends an answer again, as if the reply had been lost. With --kill_after_sec the server
is killed in the middle, as by a power failure, and started again. The command prints what was answered, what
is stored, and how long requests took.
"""

import http.client
import json
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.study.folder import ANSWERS_FILE
from tfpix2pix.study.protocol import Protocol
from tfpix2pix.study.store import open_store

IMAGE_PX = 256
SIDES = ("left", "right")


def main(argv: Sequence[str]) -> int:
    """Runs the load and compares what was acknowledged with what is stored."""
    flag_values = command_line.new_flags()
    for name, default, text in (
        ("people", 50, "Let this many people take part at once."),
        ("test_trials", 40, "Give each person this many test trials, after 10 practice trials."),
    ):
        flags.DEFINE_integer(name, default, text, 1, flag_values=flag_values)
    for name, seconds, least, text in (
        ("exposure_sec", 1.0, 0.05, "Show each image for this many seconds."),
        ("think_sec", 1.0, 0.0, "Let people think for this many seconds on average."),
        ("kill_after_sec", None, 0.0, "Kill and restart the server after this many seconds. Default: never."),
    ):
        flags.DEFINE_float(name, seconds, text, least, flag_values=flag_values)
    values = command_line.read_flags(flag_values, __doc__ or "", argv)
    protocol = Protocol(test_trials=values["test_trials"], exposure_sec=values["exposure_sec"])
    with tempfile.TemporaryDirectory() as folder:
        study_dir = Path(folder) / "study"
        _make_study(study_dir, protocol)
        server = _Server(study_dir)
        people = [
            _Person(server, number, protocol, values["think_sec"]) for number in range(values["people"])
        ]
        start = time.monotonic()
        for person in people:
            person.start()
        if values["kill_after_sec"] is not None:
            time.sleep(values["kill_after_sec"])
            server.restart()
        for person in people:
            person.join()
        elapsed_sec = time.monotonic() - start
        server.stop()
        return _report(study_dir, people, protocol, elapsed_sec)


def _make_study(study_dir: Path, protocol: Protocol) -> None:
    command_line.import_tensorflow()
    from tfpix2pix.study.creation import create_study
    from tfpix2pix.study.folder import CONSENT_FILE, Study
    from tfpix2pix.study.images import ExamplePictures, StudyImages

    draw = np.random.default_rng(0)
    ids = tuple(str(number) for number in range(protocol.trials))

    def read():
        for _ in ids:
            shape = (IMAGE_PX, IMAGE_PX, 3)
            real, noise = draw.integers(0, 256, (2, *shape), np.uint8)
            yield ExamplePictures({"noise": noise}, real)

    create_study(study_dir, StudyImages(("noise",), ids, read), Study("load", 0, (), (), protocol))
    (study_dir / CONSENT_FILE).write_text("A measurement without people.\n")  # serve refuses the placeholder


class _Server:
    """The server of the study: the real command, in a process of its own."""

    def __init__(self, study_dir: Path, port: int = 0):
        self._study_dir = study_dir
        self.restarts = 0
        self._start(port)

    def _start(self, port: int) -> None:
        command = [sys.executable, "-m", "tfpix2pix.study", "serve", f"--study_dir={self._study_dir}"]
        self._process = subprocess.Popen([*command, f"--port={port}"], stdout=subprocess.PIPE, text=True)
        announcement = self._process.stdout.readline() if self._process.stdout else ""
        self.port = urllib.parse.urlsplit(announcement.rpartition(" ")[2].strip()).port or 0
        if not self.port:
            raise UserError("the server did not start; its reason is above")

    def restart(self) -> None:
        """Kills the server and starts it again at the same port."""
        self._process.kill()
        self._process.wait()
        self.restarts += 1
        self._start(self.port)

    def stop(self) -> None:
        """Ends the server."""
        self._process.terminate()
        self._process.wait()


class _Person(threading.Thread):
    """A simulated person, who takes part in one session.

    Attributes:
      acknowledged: trial -> the side whose answer the server said it stored.
      latencies_ms: milliseconds between request and answer, of every request that was answered.
      refusals: answers of the server that should never occur.
    """

    def __init__(self, server: _Server, number: int, protocol: Protocol, think_sec: float):
        super().__init__()
        self.worker_id = f"worker-{number}"
        self.acknowledged: dict[int, str] = {}
        self.latencies_ms: list[float] = []
        self.refusals: list[str] = []
        self.retries = 0
        self._server, self._protocol, self._think_sec = server, protocol, think_sec
        self._draw = random.Random(number)
        self._cookie = ""
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    def run(self) -> None:
        start = {"consent": True, "token": secrets.token_hex(32), "worker_id": self.worker_id}
        self._request("POST", "/api/start", {**start, "viewport": "1x1"})
        visit = self._request("POST", "/api/visit", {})["visit"]
        self._load(visit, 0)
        for index in range(self._protocol.trials):
            self._do_trial(visit, index)

    def _do_trial(self, visit: str, index: int) -> None:
        protocol, path = self._protocol, f"/api/trials/{index}"
        self._request("POST", f"{path}/shown", {"visit": visit})
        time.sleep(
            2 * protocol.exposure_sec + 2 * self._draw.uniform(protocol.least_gap_sec, protocol.most_gap_sec)
        )
        if index + 1 < protocol.trials:
            self._load(visit, index + 1)
        time.sleep(self._draw.expovariate(1 / self._think_sec) if self._think_sec else 0)
        side = self._draw.choice(SIDES)
        shown_ms = 1000 * protocol.exposure_sec
        answer = {"visit": visit, "chosen_side": side, "left_ms": shown_ms, "right_ms": shown_ms}
        for _ in range(1 + (self._draw.random() < 0.1)):
            if self._request("POST", f"{path}/answer", {**answer, "response_ms": 500.0}):
                self.acknowledged[index] = side
        if index < protocol.practice_trials:
            time.sleep(protocol.feedback_sec)

    def _load(self, visit: str, index: int) -> None:
        for address in self._request("GET", f"/api/trials/{index}?visit={visit}").get("images", ()):
            self._request("GET", f"/images/{address}")

    def _request(self, method: str, path: str, body: dict | None = None) -> dict[str, Any]:
        """Repeats a request until there is an answer, as the page does."""
        while True:
            begun = time.monotonic()
            try:
                headers = {"Cookie": self._cookie, "Content-Type": "application/json"}
                self._connection.request(
                    method, path, json.dumps(body) if body is not None else None, headers
                )
                response = self._connection.getresponse()
                contents = response.read()
            except (OSError, http.client.HTTPException):
                self._connection.close()
                self.retries += 1
                time.sleep(0.4)
                continue
            self.latencies_ms.append(1000 * (time.monotonic() - begun))
            if cookie := response.getheader("Set-Cookie"):
                self._cookie = cookie.partition(";")[0]
            if response.status >= 300:
                self.refusals.append(f"{method} {path}: {response.status} {contents.decode()}")
                return {}
            return {} if path.startswith("/images/") else json.loads(contents)


def _report(study_dir: Path, people: list[_Person], protocol: Protocol, elapsed_sec: float) -> int:
    with open_store(study_dir / ANSWERS_FILE) as store:
        workers = {session.session_id: session.worker_id for session in store.read_sessions()}
        stored = {
            (workers[answer.session_id], answer.trial_index): answer.chosen_side
            for answer in store.read_answers()
        }
        finished = sum(session.finished_at is not None for session in store.read_sessions())
    told = {(each.worker_id, index): side for each in people for index, side in each.acknowledged.items()}
    lost = [key for key, side in told.items() if stored.get(key) != side]
    refusals = [refusal for each in people for refusal in each.refusals]
    latencies = np.array([latency for each in people for latency in each.latencies_ms])
    percentiles = ", ".join(f"{np.percentile(latencies, rank):.1f} ms ({rank} %)" for rank in (50, 95, 99))
    print(f"people: {len(people)} at once, {finished} finished, in {elapsed_sec:.0f} s")
    print(f"answers: {len(told)} acknowledged, {len(stored)} stored, {len(lost)} lost")
    print(f"requests: {len(latencies)}, {len(latencies) / elapsed_sec:.0f} per second; {percentiles}")
    print(f"longest: {latencies.max():.0f} ms; retried: {sum(each.retries for each in people)}")
    print(f"refused: {len(refusals)}{''.join(f' | {refusal}' for refusal in refusals[:3])}")
    return int(bool(lost or refusals) or len(stored) != len(people) * protocol.trials)


if __name__ == "__main__":
    command_line.run(main)
