"""Which files are read, how, and what is said of those that cannot be."""

import io
import re
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.pipelines.files import image_files
from tfpix2pix.pipelines.files.decoding import decode_image


def _picture(mode: str = "RGB", width: int = 21, height: int = 10) -> Image.Image:
    smooth = np.random.default_rng(0).integers(0, 256, (4, 6, 4), dtype=np.uint8)
    picture = Image.fromarray(smooth).resize((width, height), Image.Resampling.BICUBIC)
    return picture.convert("RGB" if mode == "P" else mode).convert(mode)


def _encode(picture: Image.Image, file_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, file_format, **options)
    return stream.getvalue()


FORMATS = [
    ("JPEG", "RGB"),
    ("JPEG", "L"),
    ("PNG", "RGB"),
    ("PNG", "L"),
    ("PNG", "LA"),
    ("PNG", "RGBA"),
    ("PNG", "P"),
    ("PNG", "1"),
    ("BMP", "RGB"),
    ("BMP", "L"),
    ("BMP", "RGBA"),
]


@pytest.mark.parametrize(("file_format", "mode"), FORMATS)
def test_pixels_and_size_equal_pillow(tmp_path, file_format, mode):
    # The suffix is wrong on purpose.
    file = tmp_path / "picture.jpg"
    file.write_bytes(_encode(_picture(mode), file_format))
    with Image.open(file) as picture:
        expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(image_files.load_image(file), expected)
    assert image_files.read_header(file)[:2] == (10, 21)


def test_decoding_in_a_graph_is_the_same():
    decode = tf.function(decode_image, input_signature=[tf.TensorSpec([], tf.string)])
    for file_format, mode in FORMATS:
        contents = tf.constant(_encode(_picture(mode), file_format))
        np.testing.assert_array_equal(decode(contents), decode_image(contents))


def test_16_bit_png_keeps_the_upper_byte(tmp_path):
    levels = np.array([[0, 255, 256, 65535]], np.uint16)
    file = tmp_path / "deep.png"
    file.write_bytes(_encode(Image.fromarray(levels), "PNG"))
    np.testing.assert_array_equal(image_files.load_image(file)[0, :, 0], [0, 0, 1, 255])


def test_size_behind_a_long_colour_profile(tmp_path):
    file = tmp_path / "profile.jpg"
    file.write_bytes(_encode(_picture(), "JPEG", icc_profile=bytes(200_000), progressive=True))
    assert image_files.read_header(file)[:2] == (10, 21)


def test_size_behind_padding(tmp_path):
    file = tmp_path / "padded.jpg"
    contents = _encode(_picture(), "JPEG")
    file.write_bytes(contents[:2] + b"\xff\xff\xff" + contents[2:])
    assert image_files.read_header(file)[:2] == (10, 21)


def _exif(orientation: int, order: str = "<") -> bytes:
    tiff = struct.pack(f"{order}HIHHHIHH", 42, 8, 1, 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0" + {"<": b"II", ">": b"MM"}[order] + tiff


@pytest.mark.parametrize(
    ("exif", "orientation"),
    [
        (b"", 1),
        (_exif(6), 6),
        (_exif(8, ">"), 8),
        (_exif(0), 1),
        (_exif(9), 1),
        (_exif(6)[:18], 1),
        (b"Exif\0\0II" + bytes([42, 0, 255, 255, 255, 255]), 1),
        (b"http://ns.adobe.com/xap/1.0/\0", 1),
    ],
)
def test_the_orientation_of_a_jpeg_is_known_and_damage_to_it_does_not_matter(tmp_path, exif, orientation):
    file = tmp_path / "photo.jpg"
    file.write_bytes(_encode(_picture(), "JPEG", exif=exif))
    header = image_files.read_header(file, exif=False)
    assert (header.orientation, header[:3]) == (orientation, (10, 21, 3))
    assert image_files.load_image(file, exif=False).shape == (10, 21, 3)
    assert image_files.read_header(file)[:2] == header.shown_size
    assert header.shown_size == ((21, 10) if orientation > 4 else (10, 21))


def test_the_orientation_that_cameras_write(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x0132] = "a camera", 3, "2020:01:01 00:00:00"
    file = tmp_path / "photo.jpg"
    file.write_bytes(_encode(_picture(), "JPEG", exif=exif))
    assert image_files.read_header(file, exif=False).orientation == 3
    assert image_files.read_header(file).orientation == 1  # what remains to be done


def _bmp_with_swapped_channels() -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, 2, 1, 1, 32, 3, 8, 0, 0, 0, 0)
    masks = struct.pack("<III", 0xFF, 0xFF00, 0xFF0000)
    return b"BM" + struct.pack("<IHHI", 74, 0, 0, 66) + header + masks + bytes(8)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"some text", "is not a JPEG, PNG, BMP, TIFF, WebP or GIF image"),
        (_encode(_picture(), "ICO"), "is not a JPEG, PNG, BMP, TIFF, WebP or GIF image"),
        (_encode(_picture(), "PNG")[:20], "has a damaged header"),
        (_encode(_picture(), "JPEG")[:30], "has a damaged header"),
        (b"\xff\xd8\xff\xe0\x00\x00" + bytes(40), "has a damaged header"),
        (_encode(_picture(), "BMP")[:30], "has a damaged header"),
        (_encode(_picture().convert("P"), "BMP"), "is an unusual BMP .* save it as PNG"),
        (_bmp_with_swapped_channels(), "is an unusual BMP .* save it as PNG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(8) + struct.pack(">IIBB", 0, 7, 8, 2), "has no pixels: 0x7"),
    ],
)
def test_unusable_headers(tmp_path, contents, reason):
    file = tmp_path / "bad.png"
    file.write_bytes(contents)
    with pytest.raises(image_files.BadImageError, match=f"^{re.escape(str(file))} {reason}$"):
        image_files.read_header(file)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "BMP"])
def test_cut_short(tmp_path, file_format):
    file = tmp_path / "short.bmp"
    contents = _encode(_picture(width=60, height=60), file_format)
    file.write_bytes(contents[: len(contents) * 2 // 3])
    assert image_files.read_header(file)[:2] == (60, 60)
    with pytest.raises(image_files.BadImageError, match="short.bmp is damaged or cut short"):
        image_files.load_image(file)


def test_flipped_bits_in_a_png(tmp_path):
    file = tmp_path / "flipped.png"
    contents = bytearray(_encode(_picture(width=60, height=60), "PNG"))
    contents[len(contents) // 2] ^= 0xFF
    file.write_bytes(contents)
    with pytest.raises(image_files.BadImageError, match="flipped.png is damaged"):
        image_files.load_image(file)


def test_missing_file(tmp_path):
    for read in (image_files.read_header, image_files.load_image):
        with pytest.raises(image_files.BadImageError, match="cannot be read: No such file"):
            read(tmp_path / "gone.png")


@pytest.mark.parametrize("progressive", [False, True])
def test_only_we_tell_of_a_jpeg_that_is_cut_short(tmp_path, capfd, progressive):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "whole.jpg", progressive=progressive)
    contents = (tmp_path / "whole.jpg").read_bytes()
    assert image_files.load_image(tmp_path / "whole.jpg").shape == (40, 40, 3)
    capfd.readouterr()  # what TensorFlow prints when it starts
    for end in (300, len(contents) // 2, len(contents) - 2):
        (tmp_path / "cut.jpg").write_bytes(contents[:end])
        with pytest.raises(image_files.BadImageError, match=r"cut.jpg is damaged or cut short and cannot be"):
            image_files.load_image(tmp_path / "cut.jpg")
    # Phones keep a film behind the picture, in which any bytes may stand.
    for behind in (b"what some cameras add", b"\xff\xd9 \xff\xda", b"\xff\xda"):
        (tmp_path / "long.jpg").write_bytes(contents + behind)
        assert image_files.load_image(tmp_path / "long.jpg").shape == (40, 40, 3)
    assert capfd.readouterr().err == ""
