"""`export --format=keras|tflite|onnx`: one file for another runtime, compared with the generator first.

Beside the file stands `<file>.json`: what goes in, what comes out, how far the
two are apart.
"""

import contextlib
import importlib.metadata
import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from tfpix2pix.export.names import GENERATED_IMAGE
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError

if TYPE_CHECKING:
    import keras

SAVED_MODEL = "saved_model"
# Format -> the packages it takes, all in the extra `export`.
PACKAGES: dict[str, tuple[str, ...]] = {
    "keras": (),
    "tflite": ("ai_edge_litert",),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
}
# Quantization -> the largest difference from the generator, of values in [-1, 1].
TOLERANCES = {"none": 1e-3, "float16": 0.02, "int8": 0.5}
# And the largest on average.
MEAN_TOLERANCES = {"none": 1e-5, "float16": 1e-3, "int8": 0.03}
NOISES = ("input", "off")
SERVABLE_FLAGS = ("serving_noise", "max_pixels", "keep_versions")
# Generated facades, of which the photo and the label map are compared.
COMPARED_PAIRS = 2


class FileOptions(NamedTuple):
    """What a file is to be.

    Attributes:
      file_format: `keras`, `tflite` or `onnx`.
      image_size: (height, width) in px, the only one that the file takes.
      with_noise: whether it takes a seed, int32 [B, 2]; without one nothing is dropped.
      quantization: of `tflite`: `none`, `float16` or `int8`.
    """

    file_format: str
    image_size: tuple[int, int]
    with_noise: bool = True
    quantization: str = "none"


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines --format and what belongs to it."""
    for name, default, choices, text in (
        (
            "format",
            SAVED_MODEL,
            [SAVED_MODEL, *PACKAGES],
            "a folder to serve, or a file for another runtime",
        ),
        ("noise", None, NOISES, "of a file: the noise's seed is an input (default), or there is no noise"),
        ("quantization", None, list(TOLERANCES), "of a tflite file's weights (default: none)"),
    ):
        flags.DEFINE_enum(name, default, choices, text, flag_values=flag_values)
    text = "N or HxW, px: the size that a file takes (default: the run's)"
    flags.DEFINE_string("image_size", None, text, flag_values=flag_values)


def check_flags(values: Mapping[str, Any]) -> None:
    """Raises UsageError where flags do not go together, UserError where packages are missing."""
    file_format = values["format"]
    if file_format == SAVED_MODEL:
        for name in ("noise", "image_size", "quantization"):
            if values[name] is not None:
                raise UsageError(f"--{name} is for a file: give --format={'|'.join(PACKAGES)} too")
        return
    for name in SERVABLE_FLAGS:
        if values.get(name) is not None:
            raise UsageError(f"--{name} is for a SavedModel. Received: --format={file_format}")
    if values["quantization"] is not None and file_format != "tflite":
        raise UsageError(f"--quantization is for --format=tflite. Received: --format={file_format}")
    if importlib.metadata.version("keras").startswith("2."):
        from tfpix2pix.networks import keras_versions

        keras_versions.require_keras_3(f"--format={file_format}")
    missing = [name for name in PACKAGES[file_format] if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"--format={file_format} needs {', '.join(missing)}: pip install 'tfpix2pix[export]'")


def export_run(values: Mapping[str, Any]) -> None:
    """Does what the export command's flags say, for every format but a SavedModel."""
    from tfpix2pix.config import config
    from tfpix2pix.run.generator import load_generator

    generator, run_config, step = load_generator(values["workdir"], values["checkpoint"])
    options = FileOptions(
        values["format"],
        config.make_config(image_size=values["image_size"]).image_size
        if values["image_size"]
        else run_config.image_size,
        values["noise"] != "off",
        values["quantization"] or "none",
    )
    name = values["name"] or run_config.dataset
    suffix = "" if options.quantization == "none" else f"-{options.quantization}"
    path = Path(values["output"]) / f"{name}{suffix}.{options.file_format}"
    print(f"exporting step {step} of {values['workdir']}, and comparing the file with it", flush=True)
    report = export_file(generator, path, options, {"workdir": Path(values["workdir"]).name, "step": step})
    print(
        f"{options.file_format}: {path}, {report['bytes'] / 1e6:.1f} MB\n"
        f"off the generator, of values in [-1, 1]: at most {report['max_error']:.2g}, "
        f"{report['mean_error']:.2g} on average\n"
        f"how to run it: docs/runtimes.md; what it takes: {path}.json"
    )


def export_file(
    generator: "keras.Model", path: Path, options: FileOptions, about: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Writes a generator as one file; it appears whole, compared, or not at all.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`.
      path: of the file; one that is there is replaced.
      options: what to write.
      about: more for the JSON file beside it.

    Returns:
      What the JSON file holds: `max_error` and `mean_error` of values in [-1, 1], and more.

    Raises:
      UserError: when the file cannot be written, or does not answer as the generator does;
        with Keras 2.
    """
    from tfpix2pix.networks import keras_versions

    keras_versions.require_keras_3(f"--format={options.file_format}")
    from tfpix2pix.export.files import portable

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
            path.parent.rmdir()  # only ever succeeds when it is empty
    return report


def _write(rebuilt: "keras.Model", path: Path, options: FileOptions) -> None:
    from tfpix2pix.export.files import writers

    if options.file_format == "keras":
        writers.write_keras(rebuilt, path)
    elif options.file_format == "tflite":
        writers.write_tflite(rebuilt, path, options.quantization)
    else:
        writers.write_onnx(rebuilt, path)


def _describe(rebuilt: "keras.Model", path: Path, options: FileOptions) -> dict[str, Any]:
    import keras
    import tensorflow as tf

    import tfpix2pix
    from tfpix2pix.export.files import writers

    batch = 1 if options.file_format == "tflite" else None
    report: dict[str, Any] = {
        "format": options.file_format,
        "quantization": options.quantization,
        "noise": NOISES[not options.with_noise],
        "inputs": {tensor.name: [tensor.dtype, [batch, *tensor.shape[1:]]] for tensor in rebuilt.inputs},
        "outputs": {GENERATED_IMAGE: ["float32", [batch, *rebuilt.output_shape[1:]]]},
        "values": "[-1, 1], channels last",
        "bytes": path.stat().st_size,
        "tfpix2pix": tfpix2pix.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
    return {**report, "opset": writers.ONNX_OPSET} if options.file_format == "onnx" else report


def _compare(reference: "keras.Model", path: Path, options: FileOptions) -> dict[str, Any]:
    """Runs the file in its own runtime, and refuses it when it is off."""
    import numpy as np

    from tfpix2pix.export.files import runtimes
    from tfpix2pix.networks.inference import compile_generator

    images = _draw_images(options.image_size, reference.inputs[0].shape[-1])
    seeds = np.stack([np.arange(len(images)), -np.arange(len(images))], axis=1).astype(np.int32)
    open_file = {
        "keras": runtimes.open_keras,
        "tflite": runtimes.open_tflite,
        "onnx": runtimes.open_onnx,
    }[options.file_format]
    answers = open_file(path)(images, seeds)
    expected = compile_generator(reference)(images, seeds).numpy()
    error = np.abs(answers.astype(np.float64) - expected)
    tolerance = TOLERANCES[options.quantization], MEAN_TOLERANCES[options.quantization]
    if not (error.max() <= tolerance[0] and error.mean() <= tolerance[1]):
        raise UserError(
            f"{path.name} was not written: it is up to {error.max():.2g} off the generator, "
            f"{error.mean():.2g} on average; more than {tolerance[0]:g} and {tolerance[1]:g}"
        )
    return {
        "max_error": float(error.max()),
        "mean_error": float(error.mean()),
        "max_tolerance": tolerance[0],
        "mean_tolerance": tolerance[1],
        "compared_images": len(images),
    }


def _draw_images(image_size: tuple[int, int], channels: int) -> Any:
    """Returns label maps and photos of generated facades, float32 [B, H, W, channels]."""
    import numpy as np

    from tfpix2pix.pipelines.synthetic.facades import draw_pair

    pairs = [draw_pair(0, index, image_size) for index in range(COMPARED_PAIRS)]
    pixels = np.stack([image for pair in pairs for image in (pair.label_map, pair.photo)])
    repeated = np.take(pixels, range(channels), axis=-1, mode="wrap")
    return repeated.astype(np.float32) / 127.5 - 1


def _publish(written: Path, path: Path, report: Mapping[str, Any]) -> None:
    described = path.with_name(f"{path.name}.json")
    described.unlink(missing_ok=True)  # it never speaks of another file than the one beside it
    os.replace(written, path)
    staging.write_file(described, (json.dumps(report, indent=2) + "\n").encode())
