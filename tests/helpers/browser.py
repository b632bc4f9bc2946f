"""Headless Chromium for tests of pages, and the real commands that serve them, in processes of their own."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tests.helpers import runs

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# This is long enough for a slow machine with other work. Only failing tests wait so long.
PATIENCE_SEC = 120


@contextmanager
def open_browser(*arguments: str) -> Iterator[Any]:
    """Yields Playwright's Browser; skips the test where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra [test]")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", *arguments]
        )
        yield browser
        browser.close()


def watch(page: Any) -> list[str]:
    """Returns a list that will hold what goes wrong on a page: errors, and requests to other servers."""
    problems: list[str] = []
    page.on("console", lambda message: message.type == "error" and problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))

    def note_strangers(request: Any) -> None:
        if not re.match(r"(http://127\.0\.0\.1[:/]|blob:)", request.url):
            problems.append(f"request to {request.url}")

    page.on("request", note_strangers)
    return problems


class Server:
    """A command that serves pages and prints its URL.

    Args:
      command: the command, without `--port`.
      port: the port; 0 takes any free one.
    """

    def __init__(self, command: Sequence[str], port: int = 0):
        self.process = runs.start([*command, f"--port={port}"])
        assert self.process.stdout is not None
        self.announcement = self.process.stdout.readline().strip()
        if not self.announcement:
            raise AssertionError(self.process.communicate()[1])
        self.url = self.announcement.rpartition(" ")[2]
        self.port = int(re.search(r":(\d+)/", self.url)[1])  # type: ignore[index]

    def stop(self) -> subprocess.CompletedProcess:
        """Ends the server with SIGTERM; returns its exit status and output."""
        self.process.terminate()
        stdout, stderr = self.process.communicate(timeout=60)
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, stdout, stderr)

    def kill(self) -> None:
        """Ends the server with SIGKILL, as a crash does."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def serve(command: Sequence[str]) -> Iterator[Server]:
    """Yields a running server; stops it afterwards."""
    server = Server(command)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def wait_for(condition: Any, page: Any = None) -> None:
    """Waits until `condition()` is true; it is asked here, because the page's policy forbids foreign scripts.

    Args:
      condition: a function without arguments.
      page: the page whose events are handled meanwhile.
    """
    deadline = time.monotonic() + PATIENCE_SEC
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        if page:
            page.wait_for_timeout(20)
        else:
            time.sleep(0.02)
