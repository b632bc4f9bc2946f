"""Connections of the REST client: urllib3 keeps and shares them, and what it does not bound is bounded here.

urllib3 limits each wait for bytes, but not the time of a whole answer, which a server may let trickle in.
Nor does closing its pool end the requests that wait for an answer.
"""

import contextlib
import contextvars
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult

import urllib3
from urllib3 import connection, exceptions

from tfpix2pix.serving.transport import TransportError

# A server that is there accepts a connection at once, however long its answer takes.
CONNECT_TIMEOUT_SEC = 5.0
# More requests at once are possible, but their connections are not kept.
KEPT_CONNECTIONS = 64


class Connections:
    """Connections to one server, which are kept and which threads share.

    Args:
      url: http or https; its path is not used.
      timeout_sec: how long a request and its answer may take together once they have a connection.
    """

    def __init__(self, url: SplitResult, timeout_sec: float):
        settings: dict[str, Any] = {
            "host": url.hostname or "",
            "port": url.port,
            "timeout": urllib3.Timeout(connect=min(CONNECT_TIMEOUT_SEC, timeout_sec), read=None),
            "maxsize": KEPT_CONNECTIONS,
            "retries": False,
        }
        if url.scheme == "https":
            context = ssl.create_default_context()
            self._pool: urllib3.HTTPConnectionPool = _HttpsPool(**settings, ssl_context=context)
        else:
            self._pool = _HttpPool(**settings)
        self._timeout_sec = timeout_sec
        self._exchanges: set[_Exchange] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        """Returns the answer to a request, of any status; redirects are not followed.

        Raises:
          TransportError: when there is no answer, or when it does not arrive in time.
        """
        while True:
            with self._exchange() as exchange:
                try:
                    return self._pool.urlopen(
                        method, path, body, headers, redirect=False, decode_content=False
                    )
                except exceptions.ProtocolError as error:
                    # A kept connection may have ended in the meantime, and asking twice is harmless.
                    has_ended = exchange.is_on_kept_connection and isinstance(error.args[-1], ConnectionError)
                    if exchange.failure or not has_ended:
                        raise

    def close(self) -> None:
        """Closes every connection. Requests that wait for an answer fail."""
        with self._lock:
            self._is_closed = True
            for exchange in self._exchanges:
                exchange.end(_closed())
        self._pool.close()

    @contextlib.contextmanager
    def _exchange(self) -> Iterator["_Exchange"]:
        exchange = _Exchange(self._timeout_sec)
        with self._lock:
            if self._is_closed:
                raise _closed()
            self._exchanges.add(exchange)
        token = _CURRENT.set(exchange)
        try:
            yield exchange
        except exceptions.HTTPError as error:
            raise exchange.failure or _explain(error) from error
        finally:
            _CURRENT.reset(token)
            exchange.finish()
            with self._lock:
                self._exchanges.discard(exchange)
        if exchange.failure:  # An answer without a stated length just ended.
            raise exchange.failure


class _Exchange:
    """A request and its answer, which end after some seconds, or when another thread says so.

    Attributes:
      failure: why it was ended.
      is_on_kept_connection: whether its connection has served an earlier request.
    """

    def __init__(self, seconds: float):
        self.failure: TransportError | None = None
        self.is_on_kept_connection = False
        self._socket: socket.socket | None = None
        self._is_finished = False
        self._lock = threading.Lock()
        late = TransportError("DEADLINE_EXCEEDED", f"no answer within {seconds:g} s")
        self._timer = threading.Timer(seconds, self.end, [late])
        self._timer.daemon = True

    def begin(self, used: socket.socket, is_kept: bool) -> None:
        """Begins to count the time; `used` is the socket of the connection."""
        self.is_on_kept_connection = is_kept
        with self._lock:
            self._socket = used
            if self.failure:
                raise self.failure
        self._timer.start()

    def end(self, failure: TransportError) -> None:
        """Ends it, unless it has finished."""
        with self._lock:
            if self._is_finished:
                return
            self.failure = failure
            if self._socket:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        """Says that the answer is here; from now on the connection may be another request's."""
        self._timer.cancel()
        with self._lock:
            self._is_finished = True


# That of the thread that asks.
_CURRENT: contextvars.ContextVar[_Exchange] = contextvars.ContextVar("exchange")


class _HttpConnection(connection.HTTPConnection):
    """Tells the current exchange when it begins and when it is over."""

    _is_kept = False

    def connect(self) -> None:
        super().connect()
        self._is_kept = False

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()
        self.sock.settimeout(None)  # The exchange has a limit of its own.
        _CURRENT.get().begin(self.sock, self._is_kept)
        self._is_kept = True
        super().request(*args, **kwargs)

    def getresponse(self) -> Any:
        # This reads the contents too.
        response = super().getresponse()
        _CURRENT.get().finish()
        return response


class _HttpsConnection(_HttpConnection, connection.HTTPSConnection):
    pass


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


def _closed() -> TransportError:
    return TransportError("UNAVAILABLE", "closed by this program")


def _explain(error: exceptions.HTTPError) -> TransportError:
    """Returns an error of urllib3 as one sentence."""
    if isinstance(error, exceptions.SSLError):
        reason = getattr(error.args[0], "reason", None) or error.args[0]
        return TransportError("UNKNOWN", f"no TLS connection: {reason}")
    if isinstance(error, exceptions.TimeoutError) and not isinstance(error, exceptions.NewConnectionError):
        return TransportError("UNAVAILABLE", "the host does not answer")  # Only connecting waits for so long.
    cause = error.args[-1] if isinstance(error, exceptions.ProtocolError) else error.__cause__ or error
    if isinstance(cause, http.client.HTTPException) and not isinstance(
        cause, ConnectionError | http.client.IncompleteRead
    ):
        return TransportError("UNKNOWN", "the answer is not HTTP; is this the gRPC port?")
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return TransportError("UNAVAILABLE", reason)
