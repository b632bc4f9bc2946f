"""Runs a generator that was exported as a file, in the runtime that the file is for."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tfpix2pix.export.files.formats import PACKAGES


def skip_without(file_format: str) -> None:
    """Skips a test where the packages of a format are not installed."""
    for package in PACKAGES[file_format]:
        pytest.importorskip(package)


def run_file(file: Path, image: np.ndarray, noise_seed: np.ndarray) -> np.ndarray:
    """Returns what the generator in a file makes of images.

    Args:
      file: its suffix tells the format.
      image: float32 [B, H, W, C]; B is 1 for LiteRT.
      noise_seed: int32 [B, 2].
    """
    if file.suffix == ".keras":
        return np.asarray(keras.models.load_model(file)([image, noise_seed]))
    if file.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(file)
        return session.run(None, {"input_image": image, "noise_seed": noise_seed})[0]
    from ai_edge_litert.interpreter import Interpreter

    signature = Interpreter(str(file)).get_signature_runner()
    return signature(input_image=image, noise_seed=noise_seed)["generated_image"]
