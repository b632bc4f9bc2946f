"""How the workers of one training wait for each other before TensorFlow connects them.

TensorFlow waits without a limit and without a word, and a process that waits in it answers no signal. So each
worker first says at the chief's address that it is there, and goes on once the chief says that all are. The
chief lets go of its port before TensorFlow takes it. `limited` is for a worker that is lost in between.
"""

import contextlib
import faulthandler
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.naming import name_flags
from tfpix2pix.pipelines.base.progress import SECONDS_BETWEEN_LINES, say
from tfpix2pix.run.workers import Workers, split_address

_POLL_SEC = 0.2
_ALL_ARE_HERE = b"all are here\n"
# Prints its argument when something comes in on its standard input, and nothing when that is closed.
_TELL_OF_A_BYTE = "import sys; sys.stdin.buffer.read(1) and sys.exit(sys.argv[1])"
# Called while a worker waits, with a text that says for whom.
Waiting = Callable[[str], None]


def wait_for_all(workers: Workers, timeout_sec: float) -> None:
    """Returns in all workers once all of them have called this.

    Args:
      workers: all workers, and which of them this one is.
      timeout_sec: how long to wait.

    Raises:
      UserError: when not all have come by then, or the chief's port is taken.
    """
    if workers.are_several:
        waiting = _patience(timeout_sec)
        (_wait_as_chief if workers.is_chief else _wait_for_chief)(workers, waiting)


@contextlib.contextmanager
def limited(workers: Workers, timeout_sec: float) -> Iterator[None]:
    """Ends this process with status 1 and a sentence if the block takes longer than `timeout_sec`.

    TensorFlow holds Python's lock while it waits for a worker that was lost after all had met, so that no
    thread and no handler of a signal runs. The limit is kept by a thread of `faulthandler`, which needs no
    lock, and told by another process. Ctrl-C and SIGTERM end this process at once meanwhile.
    """
    if not workers.are_several:
        yield
        return
    sentence = (
        f"error: gave up joining the {len(workers.addresses)} workers after {timeout_sec:g} s: all of them "
        "had come, and then one was lost. Start the same command on all workers, or wait longer with "
        "`join_timeout_sec`"
    )
    command = [sys.executable, "-S", "-c", _TELL_OF_A_BYTE, name_flags(sentence)]
    teller = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        with _signals_that_end():
            faulthandler.dump_traceback_later(timeout_sec, exit=True, file=teller.stdin or 2)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()
    finally:
        teller.communicate()


@contextlib.contextmanager
def _signals_that_end() -> Iterator[None]:
    numbers = [each for each in (signal.SIGINT, signal.SIGTERM) if callable(signal.getsignal(each))]
    before = {}
    with contextlib.suppress(ValueError):  # outside the main thread, to which signals belong
        before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _patience(timeout_sec: float) -> Waiting:
    """Returns a function that prints for whom it waits from time to time, and gives up at the limit."""
    begin = told = time.monotonic()

    def waiting(whom: str) -> None:
        nonlocal told
        now = time.monotonic()
        if now - begin >= timeout_sec:
            raise UserError(
                f"gave up waiting for {whom} after {now - begin:.0f} s. Start the same command on all "
                "workers, or wait longer with `join_timeout_sec`"
            )
        if now - told >= SECONDS_BETWEEN_LINES:
            told = now
            say(f"waiting for {whom}, {now - begin:.0f} s of {timeout_sec} s")

    return waiting


def _wait_as_chief(workers: Workers, waiting: Waiting) -> None:
    present: dict[int, socket.socket] = {}
    try:
        with _listen(workers.addresses[0]) as server:
            server.settimeout(_POLL_SEC)
            places = range(1, len(workers.addresses))
            while missing := sorted(set(places) - present.keys()):
                waiting(" and ".join(map(workers.name, missing)))
                _welcome(server, present, places)
                for index in [index for index, connection in present.items() if _has_left(connection)]:
                    present.pop(index).close()
        for connection in present.values():
            connection.sendall(_ALL_ARE_HERE)
    finally:
        for connection in present.values():
            connection.close()


def _listen(address: str) -> socket.socket:
    port = split_address(address)[1]
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    try:
        return socket.create_server(
            ("", port), family=family, dualstack_ipv6=family == socket.AF_INET6, backlog=128
        )
    except OSError as error:
        raise UserError(
            f"TF_CONFIG names {address} for this worker, and that port is taken ({error})"
        ) from error


def _welcome(server: socket.socket, present: dict[int, socket.socket], places: range) -> None:
    """Takes in the next worker that says its place, if one comes soon."""
    try:
        connection, _ = server.accept()
    except OSError:
        return
    connection.settimeout(_POLL_SEC)
    try:
        index = int(connection.recv(16))
    except (OSError, ValueError):
        index = 0
    if index not in places:  # Somebody else has connected.
        connection.close()
        return
    if index in present:  # It was started again.
        present[index].close()
    present[index] = connection


def _has_left(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _wait_for_chief(workers: Workers, waiting: Waiting) -> None:
    chief = workers.name(0)
    while True:
        waiting(chief)
        try:
            with socket.create_connection(split_address(workers.addresses[0]), _POLL_SEC) as connection:
                connection.sendall(b"%d\n" % workers.index)
                if _is_answered(connection, lambda: waiting(f"the workers that {chief} waits for")):
                    return
        except OSError:  # The chief is not there yet, or has left.
            pass
        time.sleep(_POLL_SEC)


def _is_answered(connection: socket.socket, waiting: Callable[[], None]) -> bool:
    """Waits for the chief's answer; returns whether there was one before it left."""
    while True:
        try:
            return connection.recv(len(_ALL_ARE_HERE)) == _ALL_ARE_HERE
        except TimeoutError:
            waiting()
