"""What a caller gives to a signature, as the arrays that are sent; what it cannot take is refused before."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.serving.transport import STRING, Signature, TensorSpec, cast


def prepare_inputs(
    inputs: Mapping[str, npt.ArrayLike], signature: Signature, title: str
) -> dict[str, np.ndarray]:
    """Returns the inputs of a request as arrays of the signature's types.

    Args:
      inputs: name of the input -> array; strings are bytes.
      signature: what they are for.
      title: what messages call the signature.

    Raises:
      UsageError: for other inputs, shapes or numbers of examples than the signature takes, and for values
        that its types cannot hold.
    """
    if set(inputs) != set(signature.inputs):
        names, received = (", ".join(sorted(each)) or "none" for each in (signature.inputs, inputs))
        raise UsageError(f"{title} takes {names}; received {received}")
    arrays = {
        name: _prepare(value, signature.inputs[name], f"{name} of {title}") for name, value in inputs.items()
    }
    counts = {name: len(array) for name, array in arrays.items() if array.ndim}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise UsageError(f"{title} takes as many of each input; received {told}")
    return arrays


def _prepare(value: npt.ArrayLike, spec: TensorSpec, title: str) -> np.ndarray:
    try:
        array = np.asarray(value, object) if spec.dtype == STRING else cast(np.asarray(value), spec.dtype)
    except (OverflowError, ValueError) as error:
        raise UsageError(f"{title} does not take these values: {error}") from error
    sizes = array.shape if spec.shape is None else spec.shape
    if len(sizes) != array.ndim or any(
        size not in (None, given) for size, given in zip(sizes, array.shape, strict=True)
    ):
        expected = "x".join("any" if size is None else str(size) for size in sizes) or "no dimensions"
        received = "x".join(map(str, array.shape)) or "a single value"
        raise UsageError(f"{title} takes arrays of {expected}. Received: {received}")
    return array
