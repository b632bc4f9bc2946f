"""The lock of a remote run: a file that its holder writes anew every now and then, and removes at the end."""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.progress import SECONDS_BETWEEN_LINES, say
from tfpix2pix.pipelines.remote.store import Store

FILE = ".lock"
# How often the holder writes the file, and how long it may stay unchanged until it counts as left behind.
RENEW_SEC, LEASE_SEC = 15, 60
_POLL_SEC = 2


class Lease:
    """Holds a remote run for this process for as long as the `with` block lasts.

    A holder that was killed leaves its file. One of this machine is found to be gone at once, because the
    system has freed its lock of a file here; one of another machine when it has not written for `LEASE_SEC`.

    Args:
      store: the folder of the run.
      lock_file: a file of this machine that stands for the run.

    Raises:
      UserError: when another process holds it.
    """

    def __init__(self, store: Store, lock_file: Path):
        self._store, self._lock_file = store, lock_file
        self._lock, self._is_lost = FileLock(lock_file), False
        self._holder: dict[str, Any] = {}
        self._ended = threading.Event()
        # A thread of its own, because the upload of a large checkpoint may take longer than `LEASE_SEC`.
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> "Lease":
        self._lock_file.parent.mkdir(parents=True, exist_ok=True)
        try:
            staging.try_lock(self._lock, 0)
        except Timeout:
            raise self._in_use(self._read() or {}) from None
        try:
            self._acquire()
        except BaseException:
            self._lock.release()
            raise
        self._thread.start()
        return self

    def _acquire(self) -> None:
        status, host = self._lock_file.stat(), socket.gethostname()
        self._holder = {
            "host": host,
            "process": os.getpid(),
            "lock": f"{host} {status.st_dev} {status.st_ino}",
            "id": uuid.uuid4().hex,
            "renewals": 0,
        }
        # Some servers write a file also where there is one, so it is looked for first.
        if self._read() is not None or not self._store.write(FILE, self._contents(), is_new=True):
            self._wait_for_holder()
            self._store.write(FILE, self._contents())
            time.sleep(1)  # for another process that has waited, too, and has written just now
        self.check()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        try:
            if not self._is_lost:
                # If the store is away, that was told, and the file counts as left behind after a while.
                with suppress(UserError):
                    self._store.remove(FILE)
        finally:
            self._lock.release()

    def _renew(self) -> None:
        """Writes the file anew from time to time, unless another process has taken the run over."""
        while not self._ended.wait(RENEW_SEC) and not self._is_lost:
            with suppress(UserError):  # If the store is away, uploads tell it.
                self.check()
                self._holder["renewals"] += 1
                self._store.write(FILE, self._contents())

    def check(self) -> None:
        """Raises UserError if another process has taken the run over."""
        holder = self._read()
        if holder is not None and holder.get("id") != self._holder["id"]:
            self._is_lost = True
            raise self._in_use(holder)

    def _in_use(self, holder: Mapping[str, Any]) -> UserError:
        return UserError(
            f"{self._store.url} is in use by {_describe(holder)}; wait for it, or choose another `workdir`"
        )

    def _contents(self) -> bytes:
        return json.dumps(self._holder).encode()

    def _read(self) -> dict[str, Any] | None:
        contents = self._store.read(FILE)
        try:
            return None if contents is None else dict(json.loads(contents))
        except (ValueError, TypeError):
            return {}

    def _wait_for_holder(self) -> None:
        """Returns when the holder is gone."""
        first = self._read()
        start = told = time.monotonic()
        while (holder := self._read()) is not None and holder.get("lock") != self._holder["lock"]:
            if holder != first:
                raise self._in_use(holder)
            now = time.monotonic()
            if now - start >= LEASE_SEC:
                say(f"{_describe(holder)} has left {self._store.url} unfinished; going on with it")
                return
            if now - told >= SECONDS_BETWEEN_LINES or told == start:
                told = now
                say(
                    f"{self._store.url} was in use by {_describe(holder)}; waiting up to {LEASE_SEC} s for a "
                    "sign of it"
                )
            time.sleep(_POLL_SEC)


def _describe(holder: Mapping[str, Any]) -> str:
    return f"process {holder.get('process', 'unknown')} on {holder.get('host', 'an unknown machine')}"
