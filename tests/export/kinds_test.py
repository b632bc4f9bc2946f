"""Every kind of image file in a request: a servable reads what training reads, or says by name why not."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.image_kinds import damaged_files, other_kinds, picture, png_kinds, refused_kinds, save
from tfpix2pix.export.names import DEFAULT_SIGNATURE, IMAGE_BYTES
from tfpix2pix.export.signatures import Contract, build_endpoints
from tfpix2pix.pipelines.files.image_files import load_image
from tfpix2pix.pipelines.tasks.tasks import Task

KINDS = {kind.title: kind for kind in (*png_kinds(), *other_kinds())}


def _serve(channels: int):
    """Returns a servable's signature for files, of a network whose output is its input."""
    image = keras.Input([None, None, channels], name="input_image")
    seed = keras.Input([2], dtype="int32", name="noise_seed")
    generator = keras.Model([image, seed], keras.layers.Identity()(image))
    endpoint = build_endpoints(generator, Contract(task=Task((channels, channels))))[DEFAULT_SIGNATURE]
    return tf.function(endpoint.function, endpoint.inputs, autograph=False)


@pytest.fixture(scope="module")
def served() -> dict:
    return {channels: _serve(channels) for channels in (1, 2, 3, 4)}


def _translate(served: dict, channels: int, contents: bytes) -> bytes:
    return served[channels](tf.constant([contents]))[IMAGE_BYTES].numpy()[0]


@pytest.mark.slow
@pytest.mark.parametrize("title", KINDS)
def test_a_file_is_read_as_training_reads_it(served, tmp_path, title):
    kind, file = KINDS[title], tmp_path / "a.png"
    file.write_bytes(kind.contents)
    for channels, dtype in ((1, np.uint8), (2, np.uint8), (3, np.uint8), (4, np.uint8)):
        dtype = np.uint16 if kind.is_deep else dtype
        if channels == 2 and kind.channels != 2:
            reason = rf"image_bytes\[0\] has {kind.channels} channels; expected 2, gray and alpha"
            with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
                _translate(served, channels, kind.contents)
            continue
        answer = tf.io.decode_png(_translate(served, channels, kind.contents), dtype=dtype)
        np.testing.assert_array_equal(answer, load_image(file, channels, dtype))


def test_what_is_not_read_is_refused_by_what_it_is(served):
    for channels in (1, 3):
        for _, contents, reason in refused_kinds():
            with pytest.raises(tf.errors.InvalidArgumentError, match=rf"image_bytes\[0\] is .*{reason}"):
                _translate(served, channels, contents)


def test_damage_is_no_picture(served):
    for title, contents in damaged_files():
        with pytest.raises(tf.errors.InvalidArgumentError):
            pytest.fail(f"{title}: {len(_translate(served, 3, contents))} bytes")


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_photos_are_turned(served, file_format):
    exif = Image.Exif()
    exif[0x0112] = 6
    answer = _translate(served, 3, save(picture(), file_format, exif=exif))
    assert Image.open(io.BytesIO(answer)).size == picture().size[::-1]


def test_other_formats_are_refused_with_a_sentence(served):
    array = io.BytesIO()
    np.save(array, np.zeros((4, 4, 3), np.float32))
    for contents in (*(save(picture(), name) for name in ("TIFF", "WEBP", "GIF")), array.getvalue()):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"image_bytes\[0\] is no JPEG, PNG or BMP"):
            _translate(served, 3, contents)
