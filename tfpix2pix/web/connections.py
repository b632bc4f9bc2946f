"""How long a connection may be without a whole request, and how many of a client may be so."""

import asyncio
from collections import OrderedDict
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from tfpix2pix.web.clients import name_client

# A request's line and headers must have arrived so soon after the connection was opened, or after the first
# byte of a further request.
HEADER_TIMEOUT_SEC = 10.0
# Browsers open up to six connections each and keep them for some seconds, so this is for 40 people at least.
MAX_IDLE_PER_CLIENT = 250


class IdleConnections:
    """The connections that wait for a request of their client, or for the rest of one's body.

    They are closed when they are too old or too many.

    Args:
      trusted_proxy: address whose connections are those of many clients and are not counted; empty without.
    """

    def __init__(self, trusted_proxy: str = ""):
        self._trusted_proxy = trusted_proxy
        # Client -> its idle connections, the oldest first.
        self._idle: dict[str, OrderedDict[Connection, None]] = {}

    def add(self, connection: "Connection", host: str) -> None:
        """Notes that a connection waits. The client's oldest one is closed, if there are too many."""
        if host == self._trusted_proxy:
            return
        own = self._idle.setdefault(name_client(host), OrderedDict())
        own[connection] = None
        own.move_to_end(connection)
        if len(own) > MAX_IDLE_PER_CLIENT:
            own.popitem(last=False)[0].transport.abort()

    def remove(self, connection: "Connection", host: str) -> None:
        """Notes that a connection waits no longer."""
        name = name_client(host)
        own = self._idle.get(name, OrderedDict())
        own.pop(connection, None)
        if not own:
            self._idle.pop(name, None)


class Connection(H11Protocol):
    """A connection of uvicorn that is closed if its client is silent, or sends headers without end."""

    def __init__(self, idle: IdleConnections, config: Config, **state: Any):
        super().__init__(config=config, **state)
        self._idle = idle
        self._host = ""
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first request."""
        super().connection_made(transport)
        self._host = self.client[0] if self.client else ""
        self._wait_for_client()
        self._start_deadline()

    def data_received(self, data: bytes) -> None:
        """Takes bytes of a request; the deadline ends with its headers, the wait with its body."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._is_answering:
            self._stop_deadline()
            if not self.cycle.more_body:
                self._idle.remove(self, self._host)
        elif self._deadline is None:  # A further request has begun to arrive.
            self._start_deadline()

    def on_response_complete(self) -> None:
        """Waits for a further request."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self._wait_for_client()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing more."""
        self._stop_deadline()
        self._idle.remove(self, self._host)
        super().connection_lost(exc)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_client(self) -> None:
        self._idle.add(self, self._host)

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(HEADER_TIMEOUT_SEC, self.transport.abort)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
