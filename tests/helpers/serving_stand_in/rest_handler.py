"""REST as TensorFlow Serving documents it."""

import base64
import json
import re
from typing import Any
from urllib.parse import unquote

import numpy as np
import tensorflow as tf
from google.protobuf import json_format

from tests.helpers.http_servers import QuietHandler
from tests.helpers.serving_stand_in.grpc_services import describe, describe_states
from tests.helpers.serving_stand_in.models import DEFAULT, RequestError
from tfpix2pix.export.servable import Servable

PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r"(?P<what>/metadata|:predict)?"
)
# ToHTTPStatusCode in tensorflow_serving/model_servers/http_server.cc.
STATUS = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "UNAUTHENTICATED": 401,
}
ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t", '"': r"\"", "'": r"\'", "\\": r"\\"}


class RestHandler(QuietHandler):
    """Answers one connection, which is kept open."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._answer("GET", b"")

    def do_POST(self):
        self._answer("POST", self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, method: str, body: bytes) -> None:
        try:
            status, contents = 200, json.dumps(self._find_answer(method, body))
        except RequestError as error:
            # TensorFlow Serving escapes as C does, so that an apostrophe makes the text invalid JSON.
            text = "".join(ESCAPES.get(character, character) for character in str(error))
            status, contents = STATUS.get(error.code, 500), f'{{ "error": "{text}" }}'
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(contents.encode())))
        self.end_headers()
        self.wfile.write(contents.encode())

    def _find_answer(self, method: str, body: bytes) -> dict[str, Any]:
        match = PATH.fullmatch(self.path)
        is_prediction = match is not None and match["what"] == ":predict"
        if match is None or method != ("POST" if is_prediction else "GET"):
            raise RequestError("INVALID_ARGUMENT", f"Malformed request: {method} {self.path}")
        models, name = self.server.models, unquote(match["name"])
        models.check_token(self.headers["Authorization"])
        options = {"preserving_proto_field_name": True}
        if match["what"] is None:
            states = describe_states(models.find_states(name))
            return json_format.MessageToDict(states, **options, always_print_fields_with_no_presence=True)
        version, servable = models.find(
            name, match["version"] and int(match["version"]), unquote(match["label"] or "")
        )
        if match["what"] == "/metadata":
            return json_format.MessageToDict(
                describe(name, version, servable), **options, always_print_fields_with_no_presence=True
            )
        request = models.last_request = _parse(body)
        signature = request.get("signature_name", DEFAULT)
        if signature not in servable.signatures:
            text = f'Serving signature name: "{signature}" not found in signature def'
            raise RequestError("INVALID_ARGUMENT", text)
        inputs = _read_inputs(request, servable, signature)
        outputs = models.predict(servable, signature, inputs)
        return _format_outputs(outputs, is_row="instances" in request)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except ValueError as error:
        raise RequestError("INVALID_ARGUMENT", f"JSON Parse error: {error}") from error
    if ("instances" in request) == ("inputs" in request):
        raise RequestError("INVALID_ARGUMENT", "Missing 'inputs' or 'instances' key")
    return request


def _is_b64(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _read_inputs(request: dict[str, Any], servable: Servable, signature: str) -> dict[str, np.ndarray]:
    specs = servable.signatures[signature].inputs
    if "inputs" in request:
        columns = request["inputs"]
        if not isinstance(columns, dict) or _is_b64(columns):
            columns = {next(iter(specs)): columns}
        for name in specs:
            if name not in columns:
                raise RequestError("INVALID_ARGUMENT", f"Missing named input: {name} in 'inputs' object.")
        columns = {name: columns[name] for name in specs}
    else:
        columns = {name: [] for name in specs}
        for number, row in enumerate(request["instances"]):
            if not isinstance(row, dict) or _is_b64(row):
                row = {next(iter(specs)): row}
            if set(row) != set(specs):
                keys = ",".join(sorted(specs))
                text = (
                    f"Failed to process element: {number} of 'instances' list. keys must be equal to: {keys}"
                )
                raise RequestError("INVALID_ARGUMENT", text)
            for name, value in row.items():
                columns[name].append(value)
    return {name: _to_array(value, specs[name].dtype) for name, value in columns.items()}


def _to_array(value: Any, dtype: int) -> np.ndarray:
    if dtype == tf.string.as_datatype_enum:
        return np.array(_decode(value), object)
    try:
        return np.array(value, tf.as_dtype(dtype).as_numpy_dtype)
    except (TypeError, ValueError) as error:
        raise RequestError("INVALID_ARGUMENT", f"JSON Value: {value} is not of the expected type") from error


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return base64.b64decode(value["b64"]) if _is_b64(value) else value.encode()


def _encode(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_encode(item, name) for item in value]
    if not isinstance(value, bytes):
        return value
    return {"b64": base64.b64encode(value).decode()} if name.endswith("_bytes") else value.decode()


def _format_outputs(outputs: dict[str, np.ndarray], is_row: bool) -> dict[str, Any]:
    columns = {name: _encode(value.tolist(), name) for name, value in outputs.items()}
    if len(columns) == 1:
        return {"predictions" if is_row else "outputs": next(iter(columns.values()))}
    if not is_row:
        return {"outputs": columns}
    rows = zip(*columns.values(), strict=True)
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}
