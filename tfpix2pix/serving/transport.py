"""What clients and servers exchange, both over REST and over gRPC."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

STRING = "DT_STRING"
OTHER_SERVICE = "the answer is not that of TensorFlow Serving"
# The types that TensorFlow Serving can write as JSON, and half precision, which only gRPC can carry.
DTYPES: dict[str, type] = {
    STRING: object,
    "DT_BOOL": np.bool_,
    "DT_UINT8": np.uint8,
    "DT_UINT16": np.uint16,
    "DT_UINT32": np.uint32,
    "DT_UINT64": np.uint64,
    "DT_INT8": np.int8,
    "DT_INT16": np.int16,
    "DT_INT32": np.int32,
    "DT_INT64": np.int64,
    "DT_HALF": np.float16,
    "DT_FLOAT": np.float32,
    "DT_DOUBLE": np.float64,
}
# Version -> state, such as AVAILABLE or LOADING.
Status = dict[int, str]
Arrays = Mapping[str, np.ndarray]


class TransportError(Exception):
    """A request failed.

    Attributes:
      code: one of gRPC's names of errors, such as UNAVAILABLE, over REST too.
      detail: what the server or the system says about it.
    """

    def __init__(self, code: str, detail: str):
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """Type and shape of an input or output: TensorFlow's name of the type; sizes, None for any size."""

    dtype: str
    shape: tuple[int | None, ...] | None


@dataclasses.dataclass(frozen=True)
class Signature:
    """A signature: name -> type and shape of each input, and of each output."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


class Transport(Protocol):
    """A way to ask a model on a server. Threads may share it.

    Every method but `close` raises TransportError when it fails.
    """

    def predict(self, inputs: Arrays, name: str, signature: Signature) -> dict[str, np.ndarray]:
        """Runs the signature of that name. Strings travel in object arrays of bytes."""

    def read_signatures(self) -> dict[str, Signature]:
        """Asks for the signatures of the version of the model."""

    def read_status(self) -> Status:
        """Asks for the state of every version of the model."""

    def close(self) -> None:
        """Ends the connections. Requests that wait for an answer fail."""


def cast(array: np.ndarray, dtype: str) -> np.ndarray:
    """Returns numbers as another type; floats are rounded to it.

    Args:
      array: any numbers.
      dtype: TensorFlow's name of a type of numbers.

    Raises:
      ValueError: for what that type cannot hold.
    """
    kind = np.dtype(DTYPES[dtype])
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{kind} cannot hold what are not numbers")
    with np.errstate(invalid="ignore", over="ignore"):
        held = array.astype(kind)
    if kind.kind == "f":
        is_held = not (np.isfinite(array) & ~np.isfinite(held)).any()
    else:
        is_held = np.array_equal(held, array)
    if not is_held:
        raise ValueError(
            f"{kind} cannot hold all of the values, which are {array.min():g} to {array.max():g}"
        )
    return held


def parse_signatures(document: Mapping[str, Any]) -> dict[str, Signature]:
    """Reads a SignatureDefMap in its JSON form.

    Raises:
      TransportError: for a document of another kind.
    """

    def parse_spec(tensor: Mapping[str, Any]) -> TensorSpec:
        shape = tensor.get("tensor_shape", {})
        if shape.get("unknown_rank"):
            return TensorSpec(tensor["dtype"], None)
        sizes = [int(dim.get("size", 0)) for dim in shape.get("dim", [])]
        return TensorSpec(tensor["dtype"], tuple(None if size < 0 else size for size in sizes))

    def parse_specs(tensors: Mapping[str, Any]) -> dict[str, TensorSpec]:
        return {name: parse_spec(tensor) for name, tensor in tensors.items()}

    with refusing_others():
        return {
            name: Signature(
                parse_specs(definition.get("inputs", {})), parse_specs(definition.get("outputs", {}))
            )
            for name, definition in document["signature_def"].items()
            # Names that begin so are TensorFlow's own signatures, which initialise the model.
            if not name.startswith("__")
        }


def parse_status(document: Mapping[str, Any]) -> Status:
    """Reads a GetModelStatusResponse in its JSON form.

    Raises:
      TransportError: for a document of another kind.
    """
    with refusing_others():
        entries = document["model_version_status"]
        return {int(entry["version"]): entry.get("state", "UNKNOWN") for entry in entries}


@contextlib.contextmanager
def refusing_others() -> Iterator[None]:
    """Raises TransportError where the answer of another service does not have what is looked up in it."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TransportError("UNKNOWN", OTHER_SERVICE) from error
