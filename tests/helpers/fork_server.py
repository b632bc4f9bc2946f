"""Commands of the project start in milliseconds: they are forked from a process that has imported TensorFlow.

The import takes three seconds of a processor, and the suite starts more than a hundred processes. After
`install`, `subprocess` asks the server for `[sys.executable, "-m", "tfpix2pix...", ...]`. Each is a process
of its own, with its own environment, folder, pipes, session and signals; it imports the project itself and
finds TensorFlow, Keras and TensorBoard imported, but not initialised. Everything else is started as
always: `python -c`, files, other interpreters, and commands with another PYTHONPATH or with variables that
TensorFlow or Keras read at the import.
"""

import contextlib
import gc
import json
import os
import random
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODULES = "tensorflow", "keras", "tensorboard.plugins.hparams.api"
# Variables that are read at the import have these beginnings; the exceptions are read later.
READ_AT_IMPORT = "TF_", "KERAS_", "XLA_", "PYTHON", "OMP_", "ONEDNN_"
READ_LATER = "TF_CONFIG", "TF_CPP_MIN_LOG_LEVEL", "PYTHONPATH"
LARGEST_REQUEST = 1 << 17


class _Server:
    """The process that the others are forked from, and the way to it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-m", "tests.helpers.fork_server", str(theirs.fileno())]
            self._process = _Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def start(self, request: dict[str, Any], files: list[int]) -> tuple[int, socket.socket]:
        """Returns the id of a new process, and where its exit status will be told."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], [*files, theirs.fileno()])
        return int(ours.recv(32)), ours


_Popen = subprocess.Popen
_servers: list[_Server] = []


class ForkingPopen(subprocess.Popen):
    """`subprocess.Popen` for which the server starts the commands of the project."""

    _status: socket.socket | None = None

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *others):
        *_, shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite = others[:9]
        new_session = others[14]
        unusual = executable or preexec_fn or pass_fds or shell
        if unusual or not _is_command(args) or not _is_usual(env):
            super()._execute_child(args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *others)
            return
        request = {
            "arguments": [*map(os.fspath, args[2:])],
            "folder": os.path.abspath(cwd or os.getcwd()),
            "environment": dict(os.environ if env is None else env),
            "new_session": bool(new_session),
        }
        pipes = [p2cread, c2pwrite, errwrite]
        files = [pipe if pipe != -1 else standard for standard, pipe in enumerate(pipes)]
        if not _servers:
            _servers.append(_Server())
        self.pid, self._status = _servers[0].start(request, files)
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)

    def _internal_poll(self, *arguments, **options):
        if self._status is None:
            return super()._internal_poll(*arguments, **options)
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self._wait(None)
        return self.returncode

    def _wait(self, timeout):
        if self._status is None:
            return super()._wait(timeout)
        if self.returncode is None:
            self._status.settimeout(timeout)
            try:
                status = self._status.recv(32)
            except TimeoutError:
                raise subprocess.TimeoutExpired(self.args, timeout) from None
            assert status, "the fork server has ended"
            self.returncode = int(status)
            self._status.close()
        return self.returncode


def _is_command(args: Any) -> bool:
    if not isinstance(args, list | tuple) or len(args) < 3:
        return False
    return args[0] == sys.executable and args[1] == "-m" and args[2].split(".")[0] == "tfpix2pix"


def _is_usual(env: Any) -> bool:
    """Returns whether an environment leaves imports as they are in the server."""
    env = os.environ if env is None else env
    ours = _servers[0].environment if _servers else os.environ
    paths = None, str(ROOT), os.pathsep.join(map(os.path.abspath, sys.path))
    # Without a level, TensorFlow says more when it is imported.
    return (
        env.get("PYTHONPATH") in paths
        and env.get("TF_CPP_MIN_LOG_LEVEL") is not None
        and all(
            env.get(name) == ours.get(name)
            for name in {*env, *ours}
            if name.startswith(READ_AT_IMPORT) and name not in READ_LATER
        )
    )


def install() -> None:
    """Lets `subprocess` start the project's commands through a server, where the system can do it."""
    if hasattr(os, "pidfd_open") and hasattr(socket, "SOCK_SEQPACKET"):
        subprocess.Popen = ForkingPopen  # type: ignore[misc]


def main(requests: socket.socket) -> None:
    """Starts processes until the tests end; in each of them, returns as what it was asked for."""
    gc.disable()
    for module in MODULES:
        __import__(module)
    gc.freeze()
    gc.enable()
    children: dict[int, tuple[int, socket.socket]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not requests:
                    _tell_end(selector, children, key.fd)
                    continue
                message, files, *_ = socket.recv_fds(requests, LARGEST_REQUEST, 4)
                if not message:
                    return
                *standard, status_file = files
                status = socket.socket(fileno=status_file)
                pid = os.fork()
                if not pid:
                    break
                for file in standard:
                    os.close(file)
                status.send(str(pid).encode())
                file = os.pidfd_open(pid)
                children[file] = pid, status
                selector.register(file, selectors.EVENT_READ)
            else:
                continue
            break
    for each in (requests, status, *(of_other for _, of_other in children.values())):
        each.close()
    for file in children:
        os.close(file)
    _become(json.loads(message), standard)


def _tell_end(selector: selectors.BaseSelector, children: dict, file: int) -> None:
    selector.unregister(file)
    os.close(file)
    pid, status = children.pop(file)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with status, contextlib.suppress(OSError):  # nobody may be waiting
        status.send(str(code).encode())


def _become(request: dict[str, Any], standard: list[int]) -> None:
    """Runs a command as Python would in a new process."""
    import numpy as np

    if request["new_session"]:
        os.setsid()
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = open(  # type: ignore[misc]
        2, "w", buffering=1, errors="backslashreplace", closefd=False
    )
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    random.seed()
    np.random.seed()
    module, *arguments = request["arguments"]
    places = request["environment"].get("PYTHONPATH")
    own = [place for place in sys.path if place not in ("", str(ROOT))]
    sys.path[:] = [request["folder"], *(places.split(os.pathsep) if places else []), *own, str(ROOT)]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
