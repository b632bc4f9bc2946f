"""Both readers of headers: what each says of usual and unusual files, and that they agree."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.pipelines.files.headers_in_graph import parse_header_in_graph
from tfpix2pix.pipelines.files.image_headers import parse_header

in_graph = tf.function(parse_header_in_graph, input_signature=[tf.TensorSpec([], tf.string)])


def encode(kind: str, height: int = 8, width: int = 9, channels: int = 3, **options) -> bytes:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, channels), np.uint8)
    contents = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(contents, kind, **options)
    return contents.getvalue()


def encode_array(levels: np.ndarray, mode: str | None = None) -> bytes:
    contents = io.BytesIO()
    picture = Image.fromarray(levels)
    (picture.convert(mode) if mode else picture).save(contents, "PNG")
    return contents.getvalue()


def read_both(contents: bytes) -> list[int]:
    """Returns height, width, channels and bits, which both readers must find."""
    problem, *numbers = (value.numpy() for value in in_graph(contents))
    assert problem == b""
    assert list(parse_header(io.BytesIO(contents))[:4]) == numbers
    return numbers


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_usual_files(kind, channels):
    if (kind, channels) == ("JPEG", 4):
        pytest.skip("JPEG has no alpha")
    expected = 3 if (kind, channels) == ("BMP", 4) else channels
    assert read_both(encode(kind, 5, 700, channels)) == [5, 700, expected, 8]


def test_unusual_files():
    assert read_both(encode_array(np.zeros((4, 6), np.uint16))) == [4, 6, 1, 16]
    assert read_both(encode_array(np.zeros((4, 6), np.uint8), "P")) == [4, 6, 3, 8]
    assert read_both(encode("PNG", channels=2)) == [8, 9, 2, 8]
    photo = encode("JPEG", progressive=True, exif=b"Exif\0\0" + bytes(60000), icc_profile=bytes(200_000))
    assert read_both(photo) == [8, 9, 3, 8]
    assert read_both(b"\xff\xd8" + b"\xff" * 9 + photo[2:]) == [8, 9, 3, 8]
    top_down = bytearray(encode("BMP"))
    top_down[22:26] = struct.pack("<i", -8)
    assert read_both(bytes(top_down)) == [8, 9, 3, 8]


@pytest.mark.parametrize("contents", [b"", b"hello", encode("GIF"), encode("PNG")[:20], encode("BMP")[:30]])
def test_what_has_no_header(contents):
    assert in_graph(contents).problem == b"is no JPEG, PNG or BMP image that can be read"
    with pytest.raises((ValueError, struct.error)):
        parse_header(io.BytesIO(contents))


def test_a_graph_refuses_a_jpeg_that_hides_its_frame():
    # The marker D0 has no length. A reader that takes FFE1 for its length skips to a frame of 9 x 9 px;
    # a decoder goes on with the segment E1, and might find other frames.
    hidden = b"\xff\xe1" + struct.pack(">H", 0xFFDF) + bytes(0xFFDD)
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 9, 9, 3) + bytes(9)
    contents = b"\xff\xd8\xff\xd0" + hidden + frame
    assert parse_header(io.BytesIO(contents))[:2] == (9, 9)
    assert in_graph(contents).problem == b"is no JPEG, PNG or BMP image that can be read"
