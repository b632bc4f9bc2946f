"""The formats of exported files: what each one needs, and how far its answers may be off.

TensorFlow is not imported.
"""

import importlib.metadata
import importlib.util
from typing import NamedTuple

from tfpix2pix.pipelines.base.errors import UserError

# Format -> the packages that it needs; all of them are in the extra `export`.
PACKAGES: dict[str, tuple[str, ...]] = {
    "keras": (),
    "tflite": ("ai_edge_litert",),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
}

# Quantization -> the largest difference from the generator that is accepted, of values in [-1, 1].
TOLERANCES = {"none": 1e-3, "float16": 0.02, "int8": 0.5}
# Quantization -> the largest difference that is accepted on average.
MEAN_TOLERANCES = {"none": 1e-5, "float16": 1e-3, "int8": 0.03}

# Format, quantization -> the oldest runtimes in which such a file was run; more in docs/runtimes.md.
LEAST_RUNTIMES = {
    ("keras", "none"): "Keras 3.8 or later",
    ("tflite", "none"): "LiteRT, or TensorFlow Lite 2.16 or later",
    ("tflite", "float16"): "LiteRT, or TensorFlow Lite 2.16 or later",
    ("tflite", "int8"): "LiteRT, or TensorFlow Lite 2.17 or later",
    ("onnx", "none"): "ONNX Runtime, or another runtime that has opset 18",
}


class FileOptions(NamedTuple):
    """What kind of file is written.

    Attributes:
      file_format: `keras`, `tflite` or `onnx`.
      image_size: (height, width) in px, at least 32 each; the only size that the file takes.
      with_noise: whether the file takes a noise seed, int32 [B, 2]; without one, nothing is dropped.
      quantization: how the weights of a `tflite` file are stored: `none`, `float16` or `int8`.
    """

    file_format: str
    image_size: tuple[int, int]
    with_noise: bool = True
    quantization: str = "none"

    def name_file(self, name: str) -> str:
        """Returns the file's name for a model of that name."""
        suffix = "" if self.quantization == "none" else f"-{self.quantization}"
        return f"{name}{suffix}.{self.file_format}"


def check_format(file_format: str) -> None:
    """Raises UserError where the packages for a format are missing, or Keras is of version 2."""
    if importlib.metadata.version("keras").startswith("2."):
        from tfpix2pix.networks import keras_versions

        keras_versions.require_keras_3(f"the format {file_format}")
    missing = [name for name in PACKAGES[file_format] if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"the format {file_format} needs {', '.join(missing)}: pip install 'tfpix2pix[export]'"
        )
