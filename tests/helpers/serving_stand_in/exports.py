"""What the stand-in serves in tests, exported once per process."""

import atexit
import functools
import io
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.networks import generators
from tfpix2pix.serving.remote_model import PNG_END, PNG_START

NOISE_SEED = 11


def as_picture(text: bytes) -> bytes:
    """Returns what has the beginning and the end of a PNG file, and a text between them."""
    return PNG_START + text + PNG_END


class Probe(tf.Module):
    """Signatures that try the protocol: several inputs and outputs, kinds of strings, seeded files."""

    def __init__(self, version: int):
        self.version = str(version)

    @tf.function(input_signature=[tf.TensorSpec([None, 2]), tf.TensorSpec([None], tf.int32)])
    def mix(self, values, counts):
        names = tf.strings.as_string(counts)
        return {
            "total": tf.reduce_sum(values, 1),
            "counts": counts * 2,
            "raw_bytes": b"\xff\x00" + names,
            "text": "é" + names,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None, 2], tf.int32)])
    def echo_seeded(self, image_bytes, noise_seed):
        return {"image_bytes": PNG_START + image_bytes + tf.strings.as_string(noise_seed[:, 0]) + PNG_END}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string),
            tf.TensorSpec([None, 2], tf.int32),
            tf.TensorSpec([None, 2], name="latent"),
        ]
    )
    def echo_latent(self, image_bytes, noise_seed, latent):
        vectors = tf.strings.reduce_join(tf.strings.as_string(latent, 1), 1, separator=",")
        text = image_bytes + tf.strings.as_string(noise_seed[:, 0]) + " " + vectors
        return {"image_bytes": PNG_START + text + PNG_END}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def echo(self, image_bytes):
        return {"image_bytes": PNG_START + image_bytes + "v" + self.version + PNG_END}


def encode_png(pixels: np.ndarray) -> bytes:
    """Returns a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def decode_png(contents: bytes) -> np.ndarray:
    """Returns the pixels of a file that must be PNG."""
    with Image.open(io.BytesIO(contents)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def draw_pixels(*shape: int) -> np.ndarray:
    """Returns random pixels, the same for the same shape."""
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)


@functools.cache
def export_once() -> Path:
    """Returns a folder with the models tiny (version 1) and probe (versions 7 and 8)."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    keras.utils.set_random_seed(0)
    generator = generators.unet_generator(depth=3, base_filters=4)
    for variable in generator.variables:
        variable.assign(variable * 3)  # initial weights hardly reach the output
    export_saved_model(generator, folder / "tiny", NOISE_SEED, verify=False)
    for version in (7, 8):
        probe = Probe(version)
        signatures = {
            "serving_default": probe.echo,
            "serving_default_seeded": probe.echo_seeded,
            "serving_default_latent": probe.echo_latent,
            "mix": probe.mix,
        }
        tf.saved_model.save(probe, str(folder / "probe" / str(version)), signatures=signatures)
    return folder
