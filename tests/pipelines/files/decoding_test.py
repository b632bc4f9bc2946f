"""Gray from colour, and alpha: what every PNG holds, whatever its chunks, depth and palette."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.pipelines.files.decoding import decode_bytes, decode_image
from tfpix2pix.pipelines.files.number_arrays import luma, to_channels

COLOURS = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]], [[10, 20, 30], [90] * 3, [0] * 3, [255] * 3]],
    np.uint8,
)
# 0.299 R + 0.587 G + 0.114 B, rounded.
GRAY = np.array([[76, 150, 29, 226], [18, 90, 0, 255]])


def _png(image: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    contents = tf.io.encode_png(image[..., None] if image.ndim == 2 else image).numpy()
    added = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return contents[:33] + added + contents[33:]


@pytest.mark.parametrize(
    "chunk",
    [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 45455)), (b"gAMA", struct.pack(">I", 100000))],
)
def test_gray_does_not_depend_on_what_a_file_tells_of_its_colours(chunk):
    for image in (COLOURS, COLOURS.astype(np.uint16) * 257):
        dtype = tf.as_dtype(image.dtype)
        plain = decode_image(tf.constant(_png(image)), 1, dtype)
        np.testing.assert_allclose(plain[..., 0].numpy() / (dtype.max // 255), GRAY, atol=1)
        np.testing.assert_array_equal(decode_image(tf.constant(_png(image, chunk)), 1, dtype), plain)


@pytest.mark.parametrize("dtype", [tf.uint8, tf.uint16])
def test_gray_is_what_older_versions_have_read(dtype):
    image = np.random.default_rng(0).integers(0, dtype.max + 1, (99, 98, 3)).astype(dtype.as_numpy_dtype)
    contents = tf.constant(_png(image))
    before = tf.io.decode_png(contents, 1, dtype)
    np.testing.assert_array_equal(decode_image(contents, 1, dtype), before)
    np.testing.assert_array_equal(luma(image), before)
    gray = np.repeat(image[..., :1], 3, -1)
    np.testing.assert_array_equal(luma(gray), gray[..., :1])


def test_gray_of_floats():
    image = (COLOURS / 127.5 - 1).astype(np.float32)
    np.testing.assert_allclose(to_channels(image, 1)[..., 0], GRAY / 127.5 - 1, atol=0.005)


def _encode(picture: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", **options)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", [tf.uint8, tf.uint16])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_alpha_of_few_bits(bits, dtype):
    indices = (np.arange(48).reshape(6, 8) % 2**bits).astype(np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette(np.random.default_rng(bits).integers(0, 256, 3 * 256).tolist())
    for options in ({}, {"transparency": 0}):
        contents = _encode(picture, bits=bits, **options)
        assert contents[24] == bits
        with Image.open(io.BytesIO(contents)) as stored:
            expected = np.asarray(stored.convert("RGBA")).astype(int)
        decoded = decode_image(tf.constant(contents), 4, dtype).numpy()
        np.testing.assert_array_equal(decoded // (dtype.max // 255), expected)


def test_the_alpha_of_black_and_white():
    picture = Image.fromarray(np.array([[True, False]]))
    decoded = decode_image(tf.constant(_encode(picture)), 4)
    np.testing.assert_array_equal(decoded, [[[255] * 4, [0, 0, 0, 255]]])


@pytest.mark.parametrize(("scans", "hides"), [(500, False), (501, False), (501, True)])
def test_a_jpeg_of_very_many_scans_is_refused_before_it_is_decoded(scans, hides):
    """A decoder goes through the picture once for each scan; a comment may hide what looks like the end."""
    stream = io.BytesIO()
    Image.fromarray(COLOURS).resize((16, 16)).save(stream, "JPEG", progressive=True)
    whole = stream.getvalue()
    last = whole.rindex(b"\xff\xda")
    # The last scan refines what is there, so it may come again.
    more = scans - whole.count(b"\xff\xda")
    comment = b"\xff\xfe\0\4\xff\xd9" if hides else b""
    contents = tf.constant(whole[:last] + comment + whole[last:-2] * (1 + more) + b"\xff\xd9")
    for decode in (
        decode_image,
        lambda contents: decode_bytes(contents.numpy(), 3, tf.uint8),
        tf.function(lambda contents: decode_image(contents, may_call_python=True)),
    ):
        if scans <= 500:
            assert decode(contents).shape == (16, 16, 3)
        else:
            with pytest.raises(tf.errors.OpError, match="more than 500 scans"):
                decode(contents)


@pytest.mark.parametrize(("channels", "dtype"), [(3, tf.uint8), (1, tf.uint8), (4, tf.uint16)])
def test_a_pipeline_reads_suspect_files_as_a_servable_does(channels, dtype):
    stream = io.BytesIO()
    Image.fromarray(COLOURS).save(stream, "JPEG")
    whole = stream.getvalue()
    for kept in (len(whole), len(whole) * 9 // 10):
        suspect = whole[:kept] + bytes(200)
        read = [
            tf.data.Dataset.from_tensors(suspect).map(
                lambda contents, option=option: decode_image(
                    contents, channels, dtype, may_call_python=option
                )
            )
            for option in (False, True)
        ]
        if kept == len(whole):
            served, trained = (next(iter(dataset)) for dataset in read)
            np.testing.assert_array_equal(trained, served)
            continue
        for dataset in read:
            with pytest.raises(tf.errors.OpError, match="overwritten with zeros"):
                next(iter(dataset))


def test_bytes_at_hand_are_decoded_as_in_a_graph():
    draw = np.random.default_rng(0)
    deep = tf.io.encode_png(draw.integers(0, 2**16, (5, 6, 3)).astype(np.uint16)).numpy()
    colours, gray = draw.integers(0, 256, (5, 6, 3), np.uint8), draw.integers(0, 256, (5, 6), np.uint8)
    files = [deep, *(_save(Image.fromarray(gray), form) for form in ("PNG", "JPEG", "BMP"))]
    files += [_save(Image.fromarray(colours), form) for form in ("PNG", "JPEG", "BMP")]
    files.append(_save(Image.fromarray(colours).convert("CMYK"), "JPEG"))
    for contents in files:
        for channels in (1, 3, 4):
            for dtype in (tf.uint8, tf.uint16):
                expected = decode_image(tf.constant(contents), channels, dtype, exif=False)
                decoded = decode_bytes(contents, channels, dtype)
                np.testing.assert_array_equal(decoded, expected, strict=True)


def _save(picture: Image.Image, form: str) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form)
    return stream.getvalue()
