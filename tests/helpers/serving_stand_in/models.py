"""Models, versions and signatures, and how TensorFlow Serving refuses requests for them."""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpix2pix.export.servable import Servable

DEFAULT = "serving_default"


class RequestError(Exception):
    """A request cannot be answered; it has gRPC's name of the code and TensorFlow Serving's sentence."""

    def __init__(self, code: str, text: str):
        super().__init__(text)
        self.code = code


class Models:
    """What a server holds.

    Attributes:
      states: model -> version -> state.
      labels: model -> label -> version.
      before_answer: a function that is called before each prediction; tests make it slow, or let it raise.
      token: the token that requests must carry, as for a gateway in front of a real server.
      num_connections: number of connections over REST so far.
      last_request: the last request over REST.
    """

    def __init__(self) -> None:
        self._servables: dict[tuple[str, int], Servable] = {}
        self.states: dict[str, dict[int, str]] = {}
        self.labels: dict[str, dict[str, int]] = {}
        self.before_answer: Callable[[], object] = lambda: None
        self.token = ""
        self.num_connections = 0
        self.last_request: dict[str, object] = {}

    def check_token(self, authorization: str | None) -> None:
        """Refuses requests without the token."""
        if self.token and authorization != f"Bearer {self.token}":
            raise RequestError("UNAUTHENTICATED", "a token is needed")

    def load(self, name: str, folder: Path, versions: Iterable[int] = ()) -> None:
        """Loads the named versions, by default the newest."""
        numbers = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
        for version in versions or [max(numbers)]:
            self._servables[name, version] = Servable(folder / str(version))
            self.states.setdefault(name, {})[version] = "AVAILABLE"

    def find(self, name: str, version: int | None = None, label: str = "") -> tuple[int, Servable]:
        """Returns the version that a request names, and its servable."""
        if label:
            if label not in self.labels.get(name, {}):
                raise RequestError("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
            version = self.labels[name][label]
        ready = [number for number, state in self.states.get(name, {}).items() if state == "AVAILABLE"]
        if version is None and ready:
            version = max(ready)
        if version not in ready:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise RequestError("NOT_FOUND", f"Servable not found for request: {asked}")
        return version, self._servables[name, version]

    def find_states(self, name: str) -> dict[int, str]:
        """Returns version -> state."""
        if name not in self.states:
            raise RequestError("NOT_FOUND", f"Could not find any versions of model {name}")
        return self.states[name]

    def predict(
        self, servable: Servable, signature: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Runs a signature in the session; the session's errors keep their codes."""
        self.before_answer()
        if signature not in servable.signatures:
            raise RequestError("FAILED_PRECONDITION", f'Serving signature key "{signature}" not found.')
        expected = set(servable.signatures[signature].inputs)
        if set(inputs) != expected:
            raise RequestError(
                "INVALID_ARGUMENT",
                f"input size does not match signature: {len(inputs)}!={len(expected)} "
                f"len({{{','.join(sorted(inputs))}}}) != len({{{','.join(sorted(expected))}}}).",
            )
        try:
            return servable(signature, inputs)
        except tf.errors.OpError as error:
            names = {value: name for name, value in vars(tf.errors).items() if isinstance(value, int)}
            # Python rewrites the message; a server sends what the runtime said.
            message = getattr(error.__context__, "message", error.message)
            raise RequestError(names[error.error_code], message) from error


def fail_with(error: Exception, times: float = float("inf")) -> tuple[Callable, list[float]]:
    """Returns a `before_answer` that raises `error` so many times, and a list of the times of its calls."""
    calls: list[float] = []

    def before_answer():
        calls.append(time.monotonic())
        if len(calls) <= times:
            raise error

    return before_answer, calls
