"""Writes a portable generator as a file of another format."""

import contextlib
import io
import json
import logging
import zipfile
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.export.names import DEFAULT_SIGNATURE, GENERATED_IMAGE
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.paths import plain_folder

# The first opset with BitwiseXor, which the noise needs.
ONNX_OPSET = 18


def write_keras(generator: keras.Model, path: Path) -> None:
    """Writes a `.keras` file, which Keras opens without further code.

    Raises:
      UserError: when the generator has layers that Keras does not ship.
    """
    from tfpix2pix.export.files import portable  # which Keras 2 cannot import

    if foreign := portable.find_foreign_layers(generator):
        raise UserError(
            f"{path.name} was not written: Keras does not ship {', '.join(foreign)}, so it could not open "
            "the file; use Keras's or tfpix2pix's layers instead, or another `format`"
        )
    generator.save(path)
    _forget_names_of_operations(path)


def _forget_names_of_operations(path: Path) -> None:
    """Takes the names of operations out of a `.keras` file, because Keras below 3.12 opens none that has one.

    The names by which layers and operations are connected stand elsewhere, and stay.
    """
    with zipfile.ZipFile(path) as saved:
        entries = {name: saved.read(name) for name in saved.namelist()}
    entries["config.json"] = json.dumps(_without_names(json.loads(entries["config.json"]))).encode()
    with zipfile.ZipFile(path, "w") as written:
        for name, content in entries.items():
            written.writestr(name, content)


def _without_names(saved: Any) -> Any:
    if isinstance(saved, list):
        return [_without_names(value) for value in saved]
    if not isinstance(saved, dict):
        return saved
    values = {key: _without_names(value) for key, value in saved.items()}
    if str(values.get("module")).startswith("keras.src.ops"):
        values["config"].pop("name", None)
    return values


def write_tflite(generator: keras.Model, path: Path, quantization: str = "none") -> None:
    """Writes a LiteRT file that takes one image at a time and needs nothing but LiteRT's own operations.

    Args:
      generator: what `portable.build_portable_generator` returned.
      path: where the file goes; a folder beside it is made on the way.
      quantization: `none` leaves the weights as they are. `float16` halves their size. `int8`
        makes it a quarter, with one scale per output channel, and quantizes activations as
        they come.
    """
    # The way leads over a SavedModel: its variables become constants and its names stay.
    folder = path.with_name("saved_model")
    archive = keras.export.ExportArchive()
    archive.add_endpoint(DEFAULT_SIGNATURE, _by_name(generator), list(_signature(generator, 1).values()))
    with contextlib.redirect_stdout(io.StringIO()):
        archive.write_out(str(folder))
    with plain_folder(folder) as plain:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(plain))
        if quantization != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]
        path.write_bytes(converter.convert())


def write_onnx(generator: keras.Model, path: Path) -> None:
    """Writes an ONNX file of standard operations, opset 18, for batches of any size."""
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    import onnx
    import tf2onnx

    signature = list(_signature(generator, None).values())
    function = tf.function(_by_name(generator), input_signature=signature)
    model, _ = tf2onnx.convert.from_function(function, signature, opset=ONNX_OPSET)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _signature(generator: keras.Model, batch_size: int | None) -> dict[str, tf.TensorSpec]:
    return {
        tensor.name: tf.TensorSpec([batch_size, *tensor.shape[1:]], tensor.dtype, name=tensor.name)
        for tensor in generator.inputs
    }


def _by_name(generator: keras.Model):
    """Returns the generator with the names of arguments and result that a SavedModel's signatures have."""

    def generate(input_image):
        return {GENERATED_IMAGE: generator(input_image, training=False)}

    def generate_seeded(input_image, noise_seed):
        return {GENERATED_IMAGE: generator([input_image, noise_seed], training=False)}

    return generate if len(generator.inputs) == 1 else generate_seeded
