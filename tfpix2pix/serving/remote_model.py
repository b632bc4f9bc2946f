"""Asks a model on a running TensorFlow Serving, over REST or gRPC."""

import random
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tfpix2pix.export.names import (
    DEFAULT_SIGNATURE,
    INSTANCE_BYTES,
    LATENT,
    LATENT_VECTOR,
    SEEDED,
    WITH_INSTANCES,
)
from tfpix2pix.networks.latent_values import spread_latents
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.serving.arguments import prepare_inputs
from tfpix2pix.serving.schemes import open_transport
from tfpix2pix.serving.transport import STRING, Signature, Status, TransportError

# A whole PNG file begins and ends with these bytes.
PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND\xaeB`\x82"
FIRST_DELAY_SEC = 0.25
LONGEST_DELAY_SEC = 8.0
# AVAILABLE is among them because a model may become available between the refusal and the look at its state.
_COMING = ("START", "LOADING", "AVAILABLE")

Result = TypeVar("Result")
# Code of gRPC -> what it means to the person who asked.
_TEXTS = {
    "UNAVAILABLE": "{title} does not answer{tried}: {detail}. Is the server running, and is that its port "
    "(usually 8501 for http://, 8500 for grpc://)? python -m tfpix2pix.serving.serve starts one",
    "NOT_FOUND": "there is no {title}: {detail}",
    "DEADLINE_EXCEEDED": "{title} took too long: {detail}. Allow more time (`timeout_sec`; the server's own "
    "limit for REST is --rest_api_timeout_in_ms), or send less at once",
    "INVALID_ARGUMENT": "{title} refused the request: {detail}",
    "RESOURCE_EXHAUSTED": "{title} cannot take a request of that size, or not now: {detail}. Send smaller "
    "images, or raise the limit of the server, of its gRPC channel (grpc.max_receive_message_length) or of "
    "the proxy in front of it",
    "UNIMPLEMENTED": "{url} is not a TensorFlow Serving that knows this request: {detail}",
    "UNAUTHENTICATED": "{url} wants to know who asks: {detail}",
    "PERMISSION_DENIED": "{url} does not allow it: {detail}",
}


class ServingError(UserError):
    """A server did not do what it was asked. The text says which server, what happened, and what to do.

    Attributes:
      code: one of gRPC's names of errors, such as UNAVAILABLE, over REST too.
    """

    def __init__(self, code: str, text: str):
        super().__init__(text)
        self.code = code


class RemoteModel:
    """A model on a running TensorFlow Serving, over REST or gRPC. Threads may share it.

    A request is repeated if there is no server, if the server is starting (UNAVAILABLE, HTTP 502 or 503), or
    if the model is loading. That is harmless, because translating changes nothing on the server. The delays
    between attempts double from 0.25 s to 8 s, and each is shortened at random by up to a half, so that
    clients do not come back all at once. No other request is repeated: what was refused stays refused, and
    what took too long would take as long again.

    Args:
      url: `http://` or `https://` for REST, `grpc://` or `grpcs://` for gRPC, with host and port.
      model: name of the model on the server.
      version: number or label of the version; None takes the newest.
      timeout_sec: how long an attempt may take.
      retries: number of attempts after the first one.
      headers: headers for a gateway in front of the server.
      row_format: whether REST requests are lists of `instances`, and not one object of `inputs`.
      notify: a function that is called with a sentence when an outage begins.

    Raises:
      UsageError: when `url` is not the URL of a server.
      UserError: when gRPC is asked for and the package tensorflow-serving-api is missing.
    """

    def __init__(
        self,
        url: str,
        model: str,
        version: int | str | None = None,
        *,
        timeout_sec: float = 60.0,
        retries: int = 6,
        headers: Mapping[str, str] | None = None,
        row_format: bool = True,
        notify: Callable[[str], object] | None = None,
    ):
        self.url = url
        self.model = model
        self.version = version
        self._retries = retries
        self._notify = notify
        self._transport = open_transport(url, model, version, timeout_sec, headers or {}, row_format)
        self._signatures: dict[str, Signature] | None = None
        self._is_out = False
        self._closed = threading.Event()

    def __enter__(self) -> "RemoteModel":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections. Requests that wait for an answer fail."""
        self._closed.set()
        self._transport.close()

    def read_status(self) -> Status:
        """Returns version -> state: START, LOADING, AVAILABLE, UNLOADING or END.

        Raises:
          ServingError: when the server does not answer, or does not know the model.
        """
        return self._insist(self._transport.read_status)

    def read_signatures(self) -> dict[str, Signature]:
        """Returns signature name -> signature. The server is asked only once.

        Raises:
          ServingError: when the server does not answer, or does not know the model or the version.
        """
        if self._signatures is None:
            self._signatures = self._insist(self._transport.read_signatures)
        return self._signatures

    def predict(
        self, inputs: Mapping[str, npt.ArrayLike], signature: str = DEFAULT_SIGNATURE
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
          inputs: name of the input -> array; strings are bytes.
          signature: name of the signature.

        Returns:
          Name of the output -> array; strings are object arrays of bytes.

        Raises:
          UsageError: when the model does not have the signature, or the signature has other inputs, or
            they have other shapes or values that their types cannot hold.
          ServingError: when the server refuses, fails, or cannot be reached.
        """
        found = self._find_signature(signature)
        arrays = prepare_inputs(inputs, found, f"{signature} of {self._title}")
        return self._insist(lambda: self._transport.predict(arrays, signature, found))

    def translate(
        self,
        images: Sequence[bytes],
        signature: str = DEFAULT_SIGNATURE,
        noise_seed: int | None = None,
        samples: Sequence[int] | None = None,
        latent: npt.ArrayLike | None = None,
        instances: Sequence[bytes] | None = None,
    ) -> list[bytes]:
        """Translates image files.

        Args:
          images: contents of PNG, JPEG or BMP files, of any sizes.
          signature: name of a signature that takes files.
          noise_seed: seed of the noise, of which the lower 32 bits count. The outputs of an image depend on
            it, and not on the batch. None leaves the noise to the server.
          samples: which one of the many outputs that one `noise_seed` gives, from 0, for each image. None
            takes the first one of each.
          latent: the latent vector of all images, [latent_size], or of each, [B, latent_size]; for a model
            that has one. None leaves it to `noise_seed`.
          instances: contents of the PNG file of ids of instances of each image, gray with 8 or 16 bits, for a
            model with `boundaries`. None takes the classes for the instances.

        Returns:
          Contents of PNG files, in the order of `images`.

        Raises:
          UsageError: when the model has no such signature, the signature does not take files, or `latent` has
            another shape or values that are not finite.
          ServingError: when the server refuses, fails, cannot be reached, or answers with what are not as
            many whole PNG files.
        """
        if instances is not None and WITH_INSTANCES not in signature:
            signature = signature.removesuffix(SEEDED) + WITH_INSTANCES
        if latent is not None:
            noise_seed, signature = noise_seed or 0, signature.removesuffix(SEEDED) + LATENT
        elif noise_seed is not None and not signature.endswith(SEEDED):
            signature += SEEDED
        found, more = self._find_signature(signature), dict[str, npt.ArrayLike]()
        if instances is not None:
            more[INSTANCE_BYTES] = np.array(instances, object)
        if latent is not None:
            size = (found.inputs[LATENT_VECTOR].shape or (0,))[-1]
            more[LATENT_VECTOR] = spread_latents(latent, len(images), size or np.atleast_1d(latent).shape[-1])
        files = [name for name, spec in found.inputs.items() if spec.dtype == STRING and name not in more]
        pictures = [name for name, spec in found.outputs.items() if spec.dtype == STRING]
        seeds = [name for name in found.inputs if name not in (*files, *more)]
        if len(files) != 1 or len(pictures) != 1 or (seeds != [] and noise_seed is None) or len(seeds) > 1:
            raise UsageError(
                f"{signature} of {self._title} takes {_join(sorted(found.inputs))} and returns "
                f"{_join(sorted(found.outputs))}, not image files; RemoteModel.predict sends arrays"
            )
        inputs: dict[str, npt.ArrayLike] = {files[0]: np.array(images, object), **more}
        if seeds:
            seed = (noise_seed or 0) & 0xFFFFFFFF
            rows = [(seed, sample) for sample in samples or [0] * len(images)]
            inputs[seeds[0]] = np.array(rows, np.uint32).view(np.int32)
        contents = self.predict(inputs, signature)[pictures[0]]
        if contents.shape != (len(images),) or not all(map(_is_picture, contents)):
            raise ServingError("DATA_LOSS", f"{self._title} did not answer with {len(images)} PNG images")
        return list(contents)

    @property
    def _title(self) -> str:
        version = "" if self.version is None else f" {self.version}"
        return f"model {self.model}{version} at {self.url}"

    def _find_signature(self, name: str) -> Signature:
        signatures = self.read_signatures()
        if name in signatures:
            return signatures[name]
        hint = ""
        if WITH_INSTANCES in name and not any(WITH_INSTANCES in each for each in signatures):
            hint = "; maps of instances are for a model with `boundaries`"
        elif name.endswith(SEEDED):
            hint = "; leave the noise seed out, or export the model again"
        elif name.endswith(LATENT):
            hint = "; only a model with a latent vector takes one"
        raise UsageError(f"{self._title} has no signature {name}; it has {_join(sorted(signatures))}{hint}")

    def _insist(self, ask: Callable[[], Result]) -> Result:
        """Asks until there is an answer, or no more reason to repeat the request."""
        attempt = 0
        while True:
            try:
                result = ask()
            except TransportError as error:
                failure = self._look_up(error) if error.code == "NOT_FOUND" else error
            else:
                self._is_out = False
                return result
            if failure.code != "UNAVAILABLE" or attempt >= self._retries or self._closed.is_set():
                raise self._explain(failure, attempt + 1) from failure
            if self._notify and not self._is_out:
                self._is_out = True
                self._notify(f"{self._title} does not answer ({_first_line(failure.detail)}); trying again")
            self._closed.wait(draw_delay_sec(attempt))
            attempt += 1

    def _look_up(self, error: TransportError) -> TransportError:
        """Finds out whether a model that was not found is loading, or which versions there are."""
        try:
            status = self._transport.read_status()
        except TransportError:
            return error
        wanted = status if not isinstance(self.version, int) else {self.version}
        if any(status.get(version) in _COMING for version in wanted):
            return TransportError("UNAVAILABLE", "the model is loading")
        states = _join(f"{version} ({state})" for version, state in status.items())
        return TransportError("NOT_FOUND", f"{error.detail}; the server knows versions {states}")

    def _explain(self, error: TransportError, attempts: int) -> ServingError:
        detail = _first_line(error.detail)
        tried = f" after {attempts} attempts" if attempts > 1 else ""
        text = _TEXTS.get(error.code, "{title} failed: {code}, {detail}")
        values = {"title": self._title, "url": self.url, "code": error.code}
        return ServingError(error.code, text.format(**values, tried=tried, detail=detail))


def _is_picture(contents: object) -> bool:
    return isinstance(contents, bytes) and contents.startswith(PNG_START) and contents.endswith(PNG_END)


def draw_delay_sec(attempt: int) -> float:
    """Returns how long to wait after an attempt, whose number counts from 0."""
    return min(LONGEST_DELAY_SEC, FIRST_DELAY_SEC * 2**attempt) * random.uniform(0.5, 1)


def _first_line(detail: str) -> str:
    """Returns the sentence in a server's answer, without the names of graph nodes around it."""
    lines = re.sub(r"\{\{.*?\}\} ?", "", detail).strip().splitlines()
    sentence = lines[0].strip() if lines else "no reason given"
    # TensorFlow reports an assertion of the model in these words.
    asserted = re.search(r"assertion failed: \[(.*?)\](?: \[Condition|$)", sentence)
    return asserted[1] if asserted else sentence


def _join(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
