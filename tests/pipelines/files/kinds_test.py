"""Every kind of PNG, JPEG and BMP file as pictures of 1 to 4 channels: right, or refused by what it is.

The rule is that of the specifications, which Pillow follows too, except where it does not read them:
levels of few bits are spread over the whole range, and a transparency chunk makes the pixels of one level
or colour transparent. Pillow compares that level with the spread ones in gray PNG files of 2 and 4 bits,
clips 16 bits of gray to 255, and knows no transparency in files of 16 bits. There the numbers that the
files were written from are the reference alone.
"""

import io

import numpy as np
import pytest
from PIL import Image

from tests.helpers.image_kinds import Kind, damaged_files, other_kinds, png_kinds, refused_kinds, save
from tfpix2pix.pipelines.files.image_files import BadImageError, load_image, read_header

LUMA = np.array([0.299, 0.587, 0.114])
KINDS = {kind.title: kind for kind in (*png_kinds(), *other_kinds())}


def expect(kind: Kind, channels: int) -> np.ndarray:
    """Returns the levels of 16 bits that a picture of so many channels has, before rounding."""
    colours, alpha = kind.rgba[..., :3], kind.rgba[..., 3:]
    gray = colours @ LUMA[:, None]
    return {1: gray, 2: np.concatenate([gray, alpha], -1), 3: colours, 4: kind.rgba}[channels]


def tolerance(kind: Kind, channels: int) -> int:
    """Returns by how many of 255 levels a pixel may differ: gray is rounded, and a JPEG stores its luma."""
    if channels > 2:
        return 0
    return 4 if kind.title.startswith("JPEG") else 1


@pytest.mark.parametrize("title", KINDS)
def test_the_table_is_what_pillow_reads(title):
    kind = KINDS[title]
    with Image.open(io.BytesIO(kind.contents)) as image:
        if image.mode.startswith("I;16") or (kind.is_deep and kind.contents.find(b"tRNS") > 0):
            return
        if image.mode == "L" and kind.channels == 2 and kind.contents[24] in (2, 4):
            return
        np.testing.assert_array_equal(np.asarray(image.convert("RGBA")), kind.rgba >> 8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("title", KINDS)
def test_a_file_is_read_as_any_number_of_channels(tmp_path, title, dtype):
    kind, file = KINDS[title], tmp_path / "a.png"
    file.write_bytes(kind.contents)
    header = read_header(file)
    assert header[:4] == (*kind.rgba.shape[:2], kind.channels, np.uint16 if kind.is_deep else np.uint8)
    for channels in (1, 2, 3, 4, 5):
        if channels in (2, 5) and channels != kind.channels:
            reason = f"a.png has {kind.channels} channels?; expected {channels}$"
            with pytest.raises(BadImageError, match=reason):
                load_image(file, channels, dtype)
            continue
        pixels, expected = load_image(file, channels, dtype), expect(kind, channels)
        if dtype == np.float32:
            pixels = (pixels.astype(np.float64) + 1) * 32767.5
        elif dtype == np.uint8:
            # Of 16 bits the upper 8 are kept.
            pixels, expected = pixels.astype(int) * 257, (expected // 256) * 257
        difference = np.abs(pixels - expected).max()
        assert difference <= tolerance(kind, channels) * 257 + 0.01, (channels, difference)


def test_the_gray_of_a_jpeg_is_the_luma_that_it_stores(tmp_path):
    for title in ("JPEG, gray", "JPEG, YCbCr", "JPEG, progressive"):
        file = tmp_path / "a.jpg"
        file.write_bytes(KINDS[title].contents)
        with Image.open(file) as image:
            image.draft("L", None)
            assert image.mode == "L"
            np.testing.assert_array_equal(load_image(file, 1)[..., 0], np.asarray(image))


REFUSED = {title: (contents, reason) for title, contents, reason in refused_kinds()}
DAMAGED = dict(damaged_files())


@pytest.mark.parametrize("title", REFUSED)
def test_what_is_not_read_is_refused_by_what_it_is(tmp_path, title):
    file = tmp_path / "a.png"
    contents, reason = REFUSED[title]
    file.write_bytes(contents)
    for read in (read_header, load_image):
        with pytest.raises(BadImageError, match=f"a.png is .*{reason}"):
            read(file)


@pytest.mark.parametrize("title", DAMAGED)
def test_damage_is_no_picture(tmp_path, title):
    file = tmp_path / "a.png"
    file.write_bytes(DAMAGED[title])
    for channels in (1, 3, 4):
        with pytest.raises(BadImageError, match="a.png is damaged or cut short and cannot be decoded"):
            load_image(file, channels)


def test_zeros_that_belong_to_a_file_are_no_damage(tmp_path):
    flat = Image.new("RGB", (512, 512), (128, 128, 128))
    stripes = Image.fromarray(np.kron([[0, 255] * 8] * 16, np.ones((32, 32))).astype(np.uint8))
    file = tmp_path / "a.jpg"
    for image in (flat, stripes):
        for options in ({}, {"optimize": True}, {"progressive": True}, {"exif": b"Exif\0\0" + bytes(500)}):
            file.write_bytes(save(image, "JPEG", **options) + bytes(500))  # zeros behind the picture
            with Image.open(file) as read:
                np.testing.assert_array_equal(load_image(file), np.asarray(read.convert("RGB")))
