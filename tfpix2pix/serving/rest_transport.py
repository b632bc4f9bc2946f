"""Asks TensorFlow Serving over REST. This needs neither gRPC nor TensorFlow."""

import base64
import contextlib
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import numpy as np
from urllib3 import BaseHTTPResponse

from tfpix2pix.serving.rest_connections import Connections
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
        self._connections = Connections(url, timeout_sec)
        self._model_path = f"{url.path.rstrip('/')}/v1/models/{urllib.parse.quote(model, safe='')}"
        self._version_path = self._model_path
        if version is not None:
            kind = "versions" if isinstance(version, int) else "labels"
            self._version_path += f"/{kind}/{urllib.parse.quote(str(version), safe='')}"
        self._headers = {"Content-Type": "application/json", **headers}
        self._row_format = row_format

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
        self._connections.close()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        response = self._connections.ask(method, path, body, self._headers)
        document = _parse_json(response.data)
        if response.status != 200:
            code = _CODES.get(response.status, "INTERNAL" if response.status >= 500 else "UNKNOWN")
            if code == "NOT_FOUND" and document is None:
                code = "UNIMPLEMENTED"  # TensorFlow Serving says in JSON what there is not.
            raise TransportError(code, _describe_failure(response, document))
        if document is None:
            raise TransportError("UNKNOWN", f"{OTHER_SERVICE}: it is not a JSON object")
        return document


def _describe_failure(response: BaseHTTPResponse, document: dict[str, Any] | None) -> str:
    if document and document.get("error"):
        return str(document["error"])
    if 300 <= response.status < 400:
        address = response.headers.get("Location", "another address")
        return f"it redirects to {address}; give that address if you trust it"
    text = response.data.decode(errors="replace").strip()
    if not text or text.startswith("<"):  # web pages do not say anything in their first line
        return f"HTTP status {response.status}{' with a web page, and not with JSON' if text else ''}"
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
        text = f"the answer does not have the outputs {', '.join(names)}"
        raise TransportError("DATA_LOSS", text) from error


def _decode(value: Any, dtype: str) -> np.ndarray:
    if dtype == STRING:
        return np.array(_decode_strings(value), object)
    return cast(np.array(value), dtype)


def _decode_strings(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode_strings(item) for item in value]
    return base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value.encode()
