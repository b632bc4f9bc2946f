"""Writes the generator as one file for another runtime, and compares the file with it before it appears.

Beside the file stands `<file>.json`: what goes in, what comes out, how far the two are apart.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfpix2pix
from tfpix2pix.config.choices import FILE_NOISE
from tfpix2pix.export.files import runtimes, writers
from tfpix2pix.export.files.formats import MEAN_TOLERANCES, TOLERANCES, FileOptions
from tfpix2pix.export.names import GENERATED_IMAGE
from tfpix2pix.networks import keras_versions
from tfpix2pix.networks.inference import compile_generator
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.synthetic.facades import draw_pair

# Number of generated facades of which the photo and the label map are compared.
COMPARED_PAIRS = 2


def export_file(
    generator: keras.Model, path: Path, options: FileOptions, about: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Writes a generator as one file, which appears whole and compared, or not at all.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`.
      path: where the file is written; a file that is there is replaced.
      options: what kind of file is written.
      about: more entries for the JSON file beside it.

    Returns:
      What the JSON file holds: `max_error` and `mean_error` of values in [-1, 1], and more.

    Raises:
      UserError: when Keras is of version 2, the file cannot be written, or it does not answer as the
        generator does.
    """
    keras_versions.require_keras_3(f"the format {options.file_format}")
    from tfpix2pix.export.files import portable  # which Keras 2 cannot import

    try:
        with staging.staged_folder(path) as staged:
            reference = portable.in_float32(generator, options.with_noise)
            rebuilt = portable.build_portable_generator(reference, options.image_size, options.with_noise)
            written = staged / path.name
            _write(rebuilt, written, options)
            report = {
                **_describe(rebuilt, written, options),
                **_compare(reference, written, options),
                **(about or {}),
            }
            _publish(written, path, report)
    except OSError as error:
        raise UserError(f"could not write {path} ({error.strerror or error}); nothing is left") from error
    finally:
        with contextlib.suppress(OSError):
            path.parent.rmdir()  # This succeeds only where the folder is empty.
    return report


def _write(rebuilt: keras.Model, path: Path, options: FileOptions) -> None:
    if options.file_format == "keras":
        writers.write_keras(rebuilt, path)
    elif options.file_format == "tflite":
        writers.write_tflite(rebuilt, path, options.quantization)
    else:
        writers.write_onnx(rebuilt, path)


def _describe(rebuilt: keras.Model, path: Path, options: FileOptions) -> dict[str, Any]:
    batch = 1 if options.file_format == "tflite" else None
    report: dict[str, Any] = {
        "format": options.file_format,
        "quantization": options.quantization,
        "noise": FILE_NOISE[not options.with_noise],
        "inputs": {tensor.name: [tensor.dtype, [batch, *tensor.shape[1:]]] for tensor in rebuilt.inputs},
        "outputs": {GENERATED_IMAGE: ["float32", [batch, *rebuilt.output_shape[1:]]]},
        "values": "[-1, 1], channels last",
        "bytes": path.stat().st_size,
        "tfpix2pix": tfpix2pix.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
    return {**report, "opset": writers.ONNX_OPSET} if options.file_format == "onnx" else report


def _compare(reference: keras.Model, path: Path, options: FileOptions) -> dict[str, Any]:
    """Runs the file in its own runtime, and refuses it when its answers are too far from the generator's."""
    images = _draw_images(options.image_size, reference.inputs[0].shape[-1])
    seeds = np.stack([np.arange(len(images)), -np.arange(len(images))], axis=1).astype(np.int32)
    open_file = {
        "keras": runtimes.open_keras,
        "tflite": runtimes.open_tflite,
        "onnx": runtimes.open_onnx,
    }[options.file_format]
    answers = open_file(path)(images, seeds)
    expected = compile_generator(reference)(images, seeds).numpy()
    same_shape = answers.shape == expected.shape
    error = np.abs(answers.astype(np.float64) - expected) if same_shape else np.full(1, np.inf)
    tolerance = TOLERANCES[options.quantization], MEAN_TOLERANCES[options.quantization]
    if not (error.max() <= tolerance[0] and error.mean() <= tolerance[1]):
        from tfpix2pix.export.files import portable  # which Keras 2 cannot import

        reason = portable.describe_difference(reference, images, seeds, options.with_noise)
        raise UserError(
            f"{path.name} was not written: its values differ from the generator's by up to "
            f"{error.max():.2g}, and by {error.mean():.2g} on average, where {tolerance[0]:g} and "
            f"{tolerance[1]:g} are allowed; {reason}"
        )
    return {
        "max_error": float(error.max()),
        "mean_error": float(error.mean()),
        "max_tolerance": tolerance[0],
        "mean_tolerance": tolerance[1],
        "compared_images": len(images),
    }


def _draw_images(image_size: tuple[int, int], channels: int) -> np.ndarray:
    """Returns label maps and photos of generated facades, float32 [B, H, W, channels]."""
    pairs = [draw_pair(0, index, image_size) for index in range(COMPARED_PAIRS)]
    pixels = np.stack([image for pair in pairs for image in (pair.label_map, pair.photo)])
    repeated = np.take(pixels, range(channels), axis=-1, mode="wrap")
    return repeated.astype(np.float32) / 127.5 - 1


def _publish(written: Path, path: Path, report: Mapping[str, Any]) -> None:
    described = path.with_name(f"{path.name}.json")
    described.unlink(missing_ok=True)  # It must never describe another file than the one beside it.
    staging.sync(written)
    os.replace(written, path)
    staging.write_file(described, (json.dumps(report, indent=2) + "\n").encode())
