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
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfpix2pix.serving.transport import (
    DTYPES,
    STRING,
    Arrays,
    Signature,
    Status,
    TransportError,
    parse_signatures,
    parse_status,
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
      timeout_sec: how long an attempt waits for a silent server.
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
        self._busy: set[http.client.HTTPConnection] = set()
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
        return parse_signatures(document["metadata"]["signature_def"])

    def read_status(self) -> Status:
        """Asks for the status of the model."""
        return parse_status(self._ask("GET", self._model_path))

    def close(self) -> None:
        """Closes every connection. Requests that wait for an answer fail."""
        with self._lock:
            self._is_closed = True
            for connection in self._busy:
                if connection.sock is not None:
                    with contextlib.suppress(OSError):
                        connection.sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        try:
            status, contents = self._exchange(method, path, body)
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
            detail = document.get("error") if document else contents.decode(errors="replace").strip()
            code = _CODES.get(status, "INTERNAL" if status >= 500 else "UNKNOWN")
            raise TransportError(code, str(detail or f"HTTP status {status}"))
        if document is None:
            raise TransportError(
                "UNKNOWN", "the answer is not that of TensorFlow Serving: it is not a JSON object"
            )
        return document

    def _exchange(
        self, method: str, path: str, body: bytes | None, is_new: bool = False
    ) -> tuple[int, bytes]:
        """Returns status and contents of the answer, over a kept connection or over a new one."""
        try:
            connection = self._connect() if is_new else self._idle.get_nowait()
        except queue.Empty:
            return self._exchange(method, path, body, is_new=True)
        with self._lock:
            if self._is_closed:
                raise ConnectionError("closed by this program")
            self._busy.add(connection)
        try:
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
                self._busy.discard(connection)
        if not response.will_close:
            self._idle.put(connection)
        return response.status, contents

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


def _parse_json(contents: bytes) -> dict[str, Any] | None:
    # TensorFlow Serving escapes apostrophes in errors, though JSON forbids that.
    for text in (contents, contents.replace(rb"\'", b"'")):
        with contextlib.suppress(ValueError):
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
    except (KeyError, TypeError, ValueError) as error:
        raise TransportError("UNKNOWN", f"the answer does not have the outputs {', '.join(names)}") from error


def _decode(value: Any, dtype: str) -> np.ndarray:
    return np.array(_decode_strings(value) if dtype == STRING else value, DTYPES[dtype])


def _decode_strings(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode_strings(item) for item in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()
