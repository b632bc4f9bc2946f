"""What a servable refuses, asked as a server asks, which does not hold feeds to a signature's shapes."""

import io
import struct
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.export.signatures import Contract, build_endpoints
from tfpix2pix.networks import generators, keras_versions
from tfpix2pix.pipelines.tasks.tasks import Task

MAX_PIXELS = 40 * 50


def write_model(folder: Path, channels: int, *names: str) -> str:
    keras.utils.set_random_seed(0)
    generator = generators.unet_generator(
        input_channels=channels, output_channels=channels, depth=2, base_filters=4
    )
    archive = keras_versions.export_archive()
    contract = Contract(task=Task((channels, channels)), max_pixels=MAX_PIXELS)
    endpoints = build_endpoints(generator, contract)
    for name in names or endpoints:
        archive.add_endpoint(name, endpoints[name].function, list(endpoints[name].inputs))
    archive.write_out(str(folder))
    return str(folder)


class RawSession:
    """Runs signatures below the checks of `Session.run`, which a server written in C++ has not."""

    def __init__(self, folder: str):
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        self.signatures = tf.compat.v1.saved_model.load(self.session, ["serve"], folder).signature_def
        self.session._extend_graph()

    def __call__(self, signature: str, **inputs) -> list[np.ndarray]:
        definition = self.signatures[signature]

        def find(name: str):
            return self.session.graph.get_tensor_by_name(name)._as_tf_output()

        feeds = {find(definition.inputs[name].name): np.asarray(value) for name, value in inputs.items()}
        fetches = [find(output.name) for output in definition.outputs.values()]
        return self.session._call_tf_sessionrun(None, feeds, fetches, [], None)


@pytest.fixture(scope="module")
def ask(tmp_path_factory) -> RawSession:
    return RawSession(write_model(tmp_path_factory.mktemp("checks") / "model", 3))


def refusal(ask: RawSession, signature: str, **inputs) -> str:
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        ask(signature, **inputs)
    return caught.value.message


def encode(kind: str, height: int = 8, width: int = 9, channels: int = 3, **options) -> bytes:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, channels), np.uint8)
    contents = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(contents, kind, **options)
    return contents.getvalue()


def chunk(kind: bytes, contents: bytes) -> bytes:
    checksum = zlib.crc32(kind + contents)
    return struct.pack(">I", len(contents)) + kind + contents + struct.pack(">I", checksum)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def segment(marker: int, contents: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(contents) + 2) + contents


def frame(height: int, width: int) -> bytes:
    return segment(0xC0, struct.pack(">BHHB", 8, height, width, 3) + bytes(9))


# A marker without a length before a segment: who reads a length there sees a small
# image, a decoder a large one.
_HIDDEN = segment(0xE1, frame(60000, 60000).ljust(0xFFDF))
DISGUISED = b"\xff\xd8\xff\xd0" + _HIDDEN + frame(9, 9)


@pytest.mark.parametrize(
    "contents, sentence",
    [
        (b"", "is empty (0 bytes)"),
        (b"hello", "is no JPEG, PNG or BMP image that can be read"),
        (encode("GIF"), "is no JPEG, PNG or BMP image that can be read"),
        (encode("PNG")[:30], "is no JPEG, PNG or BMP image that can be read"),
        (encode("JPEG")[:80], "is no JPEG, PNG or BMP image that can be read"),
        (encode("BMP")[:30], "is no JPEG, PNG or BMP image that can be read"),
        (b"\xff\xd8" + b"\xff" * 5000, "is no JPEG, PNG or BMP image that can be read"),
        (b"\xff\xd8" + segment(0xFE, b"") * 1001 + frame(9, 9), "is no JPEG, PNG or BMP image that can"),
        (DISGUISED, "is no JPEG, PNG or BMP image that can be read"),
        (bomb(0, 5), "has no pixels: 0x5"),
        (b"\xff\xd8" + frame(0, 7), "has no pixels: 7x0"),
        (bomb(50000, 40000), "has 50000x40000 px, more than the 2000 px allowed"),
        (bomb(2**32 - 1, 2**32 - 1), "has 4294967295x4294967295 px, more than the 2000 px allowed"),
        (b"\xff\xd8" + frame(60000, 60001), "has 60001x60000 px, more than the 2000 px allowed"),
        (encode("JPEG", 40, 51), "has 51x40 px, more than the 2000 px allowed"),
        (encode("BMP", 51, 40), "has 40x51 px, more than the 2000 px allowed"),
    ],
)
def test_a_file_that_is_no_image_or_too_large_is_named(ask, contents, sentence):
    files = np.array([encode("PNG"), contents], object)
    assert f"[image_bytes[1] {sentence}" in refusal(ask, "serving_default", image_bytes=files)


@pytest.mark.parametrize("kind, sentence", [("PNG", "Invalid PNG data"), ("JPEG", "Invalid JPEG data")])
def test_a_truncated_file_is_refused(ask, kind, sentence):
    files = np.array([encode(kind)[:-20]], object)
    seeds = np.zeros((1, 2), np.int32)
    message = refusal(ask, "serving_default_seeded", image_bytes=files, noise_seed=seeds)
    assert sentence in message


@pytest.mark.parametrize("signature", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(
    "shape, sentence",
    [
        ((2, 8, 8, 4), r"must be [B, H, W, 3] with at least 1 image and 1 px. Received: shape [2 8 8 4]"),
        ((2, 8, 8, 6), r"must be [B, H, W, 3] with at least 1 image and 1 px. Received: shape [2 8 8 6]"),
        ((1, 0, 8, 3), r"must be [B, H, W, 3] with at least 1 image and 1 px. Received: shape [1 0 8 3]"),
        ((0, 8, 8, 3), r"must be [B, H, W, 3] with at least 1 image and 1 px. Received: shape [0 8 8 3]"),
        ((1, 40, 51, 3), r"must have at most 2000 px an image. Received: shape [1 40 51 3]"),
    ],
)
def test_arrays_of_a_wrong_shape_are_refused(ask, signature, shape, sentence):
    images = np.zeros(shape, signature)
    assert f"[input_image {sentence}" in refusal(ask, signature, input_image=images)
    seeds = np.zeros((shape[0], 2), np.int32)
    message = refusal(ask, signature + "_seeded", input_image=images, noise_seed=seeds)
    assert f"[input_image {sentence}" in message


@pytest.mark.parametrize("signature", ["uint8", "float32"])
def test_an_array_without_a_batch_is_refused(ask, signature):
    refusal(ask, signature, input_image=np.zeros((8, 8, 3), signature))


@pytest.mark.parametrize("value", [255, -2, np.nan])
def test_floats_of_another_range_are_refused(ask, value):
    images = np.zeros((1, 8, 8, 3), np.float32)
    images[0, 3, 3, 0] = value
    assert "[input_image must be in [-1, 1]" in refusal(ask, "float32", input_image=images)


@pytest.mark.parametrize("shape", [(1, 2), (3, 2), (2, 1)])
def test_seeds_are_one_for_each_image(ask, shape):
    seeds = np.zeros(shape, np.int32)
    expected = (
        f"noise_seed must be [2, 2], two numbers for each image. Received: shape [{shape[0]} {shape[1]}]"
    )
    images = np.zeros((2, 8, 8, 3), np.uint8)
    assert expected in refusal(ask, "uint8_seeded", input_image=images, noise_seed=seeds)
    files = np.array([encode("PNG")] * 2, object)
    assert expected in refusal(ask, "serving_default_seeded", image_bytes=files, noise_seed=seeds)


def test_the_largest_image_and_no_files_at_all_are_answered(ask):
    (answer,) = ask("uint8", input_image=np.zeros((1, 40, 50, 3), np.uint8))
    assert answer.shape == (1, 40, 50, 3)
    (files,) = ask("serving_default", image_bytes=np.array([encode("PNG", 40, 50)], object))
    assert Image.open(io.BytesIO(files[0])).size == (50, 40)
    (files,) = ask("serving_default", image_bytes=np.array([], object))
    assert files.shape == (0,)


def test_gray_and_alpha_are_taken_from_files_that_hold_them(tmp_path):
    ask = RawSession(write_model(tmp_path / "model", 2, "serving_default"))
    (files,) = ask("serving_default", image_bytes=np.array([encode("PNG", channels=2)], object))
    with Image.open(io.BytesIO(files[0])) as image:
        assert (image.mode, image.size) == ("LA", (9, 8))
    for channels in (1, 3, 4):
        message = refusal(ask, "serving_default", image_bytes=[encode("PNG", channels=channels)])
        assert f"has {channels} channels; expected 2, gray and alpha" in message
