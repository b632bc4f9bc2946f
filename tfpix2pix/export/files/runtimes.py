"""Opens an exported file in its own runtime."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfpix2pix.export.names import DEFAULT_SIGNATURE, GENERATED_IMAGE, INPUT_IMAGE, NOISE_SEED

Images = npt.NDArray[np.float32]
# (input_image [B, H, W, C] in [-1, 1], noise_seed int32 [B, 2]) -> generated_image. The
# seed is ignored where the file has no noise.
Generate = Callable[[Images, npt.NDArray[np.int32]], Images]


def open_keras(path: Path) -> Generate:
    """Opens a `.keras` file."""
    import keras

    model = keras.models.load_model(path)

    def generate(input_image, noise_seed):
        inputs = [input_image, noise_seed] if len(model.inputs) == 2 else input_image
        return model.predict_on_batch(inputs)

    return generate


def open_tflite(path: Path) -> Generate:
    """Opens a LiteRT file; a batch goes through it image by image."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(path)).get_signature_runner(DEFAULT_SIGNATURE)
    names = runner.get_input_details()

    def generate(input_image, noise_seed):
        batch = {INPUT_IMAGE: input_image, NOISE_SEED: noise_seed}
        with _without_notices():  # of the first call, which chooses how it computes
            images = [
                runner(**{name: batch[name][place : place + 1] for name in names})[GENERATED_IMAGE]
                for place in range(len(input_image))
            ]
        return np.concatenate(images)

    return generate


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Keeps off the terminal what a library prints that knows no log levels, such as how it computes."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def open_onnx(path: Path) -> Generate:
    """Opens an ONNX file in ONNX Runtime, on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]

    def generate(input_image, noise_seed):
        batch = {INPUT_IMAGE: input_image, NOISE_SEED: noise_seed}
        return session.run([GENERATED_IMAGE], {name: batch[name] for name in names})[0]

    return generate
