"""Serves an application until SIGTERM or Ctrl-C."""

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from tfpix2pix.web.address import Address, find_url

# Far more than people; so that nobody opens connections without end.
MAX_CONNECTIONS = 1000
SHUTDOWN_SEC = 5


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, title: str, url: str):
        super().__init__(config)
        self._announcement = f"{title}: {url}"

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but a signal ends the server, not the process: that is the caller's to do."""
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


def serve(app: FastAPI, address: Address, listening: socket.socket, title: str) -> None:
    """Serves until SIGTERM or Ctrl-C; requests in progress have 5 s to end.

    Args:
      app: what to serve.
      address: what `listening` was opened for.
      listening: from `open_socket`; closed at the end.
      title: printed with the URL on standard output when requests are answered.
    """
    config = uvicorn.Config(
        app,
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
    with listening:
        _Server(config, title, find_url(listening)).run(sockets=[listening])
