"""Asks TensorFlow Serving over REST. This needs only the standard library and NumPy."""

import base64
import contextlib
import http.client
import json
import queue
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfpix2pix.serving.transport import (
    OTHER_SERVICE,
    STRING,
    Arrays,
    Signature,
    Status,
    TransportError,
    cast,
    parse_signatures,
    parse_status,
    refusing_others,
)

# A server that is there accepts a connection at once, however long its answer takes.
CONNECT_TIMEOUT_SEC = 5.0
# HTTP status -> code: TensorFlow Serving's own table, turned around, and what proxies in front of it answer.
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class RestTransport:
    """Sends requests as JSON, over connections that are kept and that threads share.

    Args:
      url: http or https, with the path in front of `/v1`, if any.
      model: name of the model on the server.
      version: number or label of the version; None takes the newest.
      timeout_sec: how long an attempt may take once it is connected.
      headers: headers of every request.
      row_format: whether requests are lists of `instances`, and not one object of `inputs`.
    """

    def __init__(
        self,
        url: urllib.parse.SplitResult,
        model: str,
        version: int | str | None,
        timeout_sec: float,
        headers: Mapping[str, str],
        row_format: bool,
    ):
        self._url = url
        self._model_path = f"{url.path.rstrip('/')}/v1/models/{urllib.parse.quote(model, safe='')}"
        self._version_path = self._model_path
        if version is not None:
            kind = "versions" if isinstance(version, int) else "labels"
            self._version_path += f"/{kind}/{urllib.parse.quote(str(version), safe='')}"
        self._timeout_sec = timeout_sec
        self._headers = {"Content-Type": "application/json", **headers}
        self._row_format = row_format
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()
        self._busy: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def predict(self, inputs: Arrays, name: str, signature: Signature) -> dict[str, np.ndarray]:
        """Sends arrays to `:predict`."""
        request = encode_request(inputs, name, self._row_format)
        answer = self._ask("POST", f"{self._version_path}:predict", json.dumps(request).encode())
        return decode_answer(answer, signature)

    def read_signatures(self) -> dict[str, Signature]:
        """Asks `/metadata`."""
        document = self._ask("GET", f"{self._version_path}/metadata")
        with refusing_others():
            definitions = document["metadata"]["signature_def"]
        return parse_signatures(definitions)

    def read_status(self) -> Status:
        """Asks for the status of the model."""
        return parse_status(self._ask("GET", self._model_path))

    def close(self) -> None:
        """Closes every connection. Requests that wait for an answer fail."""
        with self._lock:
            self._is_closed = True
            for busy in self._busy:
                _shut_down(busy)
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        try:
            status, headers, contents = self._exchange(method, path, body)
        except TimeoutError as error:
            raise TransportError("DEADLINE_EXCEEDED", f"no answer within {self._timeout_sec:g} s") from error
        except ssl.SSLError as error:
            raise TransportError("UNKNOWN", f"no TLS connection: {error.reason or error}") from error
        except (OSError, http.client.IncompleteRead) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise TransportError("UNAVAILABLE", reason) from error
        except http.client.HTTPException as error:
            raise TransportError("UNKNOWN", "the answer is not HTTP; is this the gRPC port?") from error
        document = _parse_json(contents)
        if status != 200:
            code = _CODES.get(status, "INTERNAL" if status >= 500 else "UNKNOWN")
            if code == "NOT_FOUND" and document is None:
                code = "UNIMPLEMENTED"  # TensorFlow Serving says in JSON what there is not.
            raise TransportError(code, _describe_failure(status, headers, contents, document))
        if document is None:
            raise TransportError("UNKNOWN", f"{OTHER_SERVICE}: it is not a JSON object")
        return document

    def _exchange(
        self, method: str, path: str, body: bytes | None, is_new: bool = False
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Returns status, headers and contents of the answer, over a kept connection or over a new one."""
        try:
            connection = self._connect() if is_new else self._idle.get_nowait()
        except queue.Empty:
            return self._exchange(method, path, body, is_new=True)
        with self._lock:
            if self._is_closed:
                raise ConnectionError("closed by this program")
            # The connection forgets its socket while the last answer on it is read.
            sock = connection.sock
            self._busy.add(sock)
        try:
            with _bounded(sock, self._timeout_sec):
                # A server may refuse a body before it has read all of it.
                with contextlib.suppress(BrokenPipeError):
                    connection.request(method, path, body, self._headers)
                response = connection.getresponse()
                contents = response.read()
        except (ConnectionError, http.client.ResponseNotReady):
            connection.close()
            if is_new:
                raise
            # A kept connection may have ended in the meantime, and asking twice is harmless.
            return self._exchange(method, path, body, is_new=True)
        except BaseException:
            connection.close()
            raise
        finally:
            with self._lock:
                self._busy.discard(sock)
        if not response.will_close:
            self._idle.put(connection)
        return response.status, response.headers, contents

    def _connect(self) -> http.client.HTTPConnection:
        is_secure = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
        connection = kind(
            self._url.hostname or "", self._url.port, timeout=min(CONNECT_TIMEOUT_SEC, self._timeout_sec)
        )
        try:
            connection.connect()
        except TimeoutError as error:
            raise ConnectionError("the host does not answer") from error
        connection.sock.settimeout(self._timeout_sec)
        return connection


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _bounded(sock: socket.socket, seconds: float) -> Iterator[None]:
    """Raises TimeoutError when what is done takes longer, however the bytes of an answer trickle in."""
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        _shut_down(sock)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if is_over.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
    if is_over.is_set():  # An answer without a stated length just ended.
        raise TimeoutError


def _describe_failure(
    status: int, headers: http.client.HTTPMessage, contents: bytes, document: dict[str, Any] | None
) -> str:
    if document and document.get("error"):
        return str(document["error"])
    if 300 <= status < 400:
        return (
            f"it redirects to {headers.get('Location', 'another address')}; give that address if you trust it"
        )
    text = contents.decode(errors="replace").strip()
    if not text or text.startswith("<"):  # web pages do not say anything in their first line
        return f"HTTP status {status}{' with a web page, and not with JSON' if text else ''}"
    return text


def _parse_json(contents: bytes) -> dict[str, Any] | None:
    # TensorFlow Serving escapes apostrophes in errors, though JSON forbids that.
    for text in (contents, contents.replace(rb"\'", b"'")):
        with contextlib.suppress(ValueError, RecursionError):
            document = json.loads(text)
            return document if isinstance(document, dict) else None
    return None


def encode_request(inputs: Arrays, name: str, row_format: bool) -> dict[str, Any]:
    """Returns the body of a request.

    Args:
      inputs: name of the input -> array.
      name: name of the signature.
      row_format: whether the body has an object for each example, for which all arrays need the same first
        dimension, and not one object of whole arrays.
    """
    columns = {key: _encode(array.tolist()) for key, array in inputs.items()}
    if not row_format:
        return {"signature_name": name, "inputs": columns}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {"signature_name": name, "instances": rows}


def _encode(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], list | bytes):
        return [_encode(item) for item in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def decode_answer(answer: Mapping[str, Any], signature: Signature) -> dict[str, np.ndarray]:
    """Returns the arrays of an answer to a request of either format.

    Answers leave out the name of a single output, so it is taken from the signature.
    """
    names = list(signature.outputs)
    try:
        columns = answer["predictions"] if "predictions" in answer else answer["outputs"]
        if len(names) == 1:
            columns = {names[0]: columns}
        elif "predictions" in answer:
            columns = {name: [row[name] for row in columns] for name in names}
        return {name: _decode(columns[name], spec.dtype) for name, spec in signature.outputs.items()}
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise TransportError("UNKNOWN", f"the answer does not have the outputs {', '.join(names)}") from error


def _decode(value: Any, dtype: str) -> np.ndarray:
    if dtype == STRING:
        return np.array(_decode_strings(value), object)
    return cast(np.array(value), dtype)


def _decode_strings(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode_strings(item) for item in value]
    return base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value.encode()
