"""Serves an application until SIGTERM or Ctrl-C ends it."""

import contextlib
import functools
import signal
import socket
import threading
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from tfpix2pix.web.address import Address, find_url
from tfpix2pix.web.connections import Connection, IdleConnections

# Far more than people need, so that nobody opens connections without end.
MAX_CONNECTIONS = 1000
# Requests in progress have so long to end. TensorFlow then needs up to 2 s, so the process ends within 5 s.
SHUTDOWN_SEC = 3


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, title: str, url: str):
        super().__init__(config)
        self._announcement = f"{title}: {url}"

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Lets a signal end the server, but not the process, as uvicorn would: the caller decides that."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self._announcement, flush=True)


def configure(app: FastAPI, address: Address) -> uvicorn.Config:
    """Returns how an application is served: with limits of connections, and no log of who asked.

    Args:
      app: the application.
      address: where it is served.
    """
    return uvicorn.Config(
        app,
        # A class of its own knows how long a connection may be silent.
        http=functools.partial(Connection, IdleConnections(address.trusted_proxy)),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=bool(address.trusted_proxy),
        forwarded_allow_ips=address.trusted_proxy or "",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=SHUTDOWN_SEC,
    )


def serve(app: FastAPI, address: Address, listening: socket.socket, title: str) -> None:
    """Serves an application until SIGTERM or Ctrl-C. It ends within 5 s, and lets requests in progress end.

    Args:
      app: the application.
      address: the address that `listening` was opened for.
      listening: the socket from `open_socket`; it is closed at the end.
      title: what is served; it is printed with the URL as soon as requests are answered.
    """
    with listening:
        _Server(configure(app, address), title, find_url(listening)).run(sockets=[listening])
