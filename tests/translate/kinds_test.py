"""Every kind of file that `translate` reads: the output is that of the picture that the file shows."""

import dataclasses
import runpy

import numpy as np
import pytest
from PIL import Image

from tests.helpers.image_kinds import other_kinds, picture, png_kinds, refused_kinds, save
from tests.helpers.tiny_run import CONFIG, write_run
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.translate.translator import Translator

TRANSLATE = runpy.run_module("tfpix2pix.translate")["main"]
TITLES = (
    "PNG of type 0, 16 bits",
    "PNG of type 3, 8 bits",
    "PNG of type 6, 8 bits",
    "BMP, gray",
    "JPEG, gray",
)
CMYK = "JPEG, CMYK with Adobe's marker"


def test_a_file_is_translated_as_the_picture_that_it_shows(tmp_path):
    kinds = {kind.title: kind for kind in (*png_kinds(), *other_kinds())}
    shown = {title: (kinds[title].rgba[..., :3] >> 8).astype(np.uint8) for title in (*TITLES, CMYK)}
    files = {title: kinds[title].contents for title in shown}
    few_colours = picture().quantize(16)
    for name, image, options in (
        ("WebP", picture(), {"lossless": True}),
        ("GIF", few_colours, {}),
        ("TIFF", picture(), {}),
        ("TIFF with alpha", picture("RGBA"), {}),
    ):
        shown[name] = np.asarray(image.convert("RGB"))
        files[name] = save(image, name.split()[0], **options)
    (tmp_path / "in").mkdir()
    for name, contents in files.items():
        (tmp_path / "in" / f"{name}.png").write_bytes(contents)  # The content decides, not the suffix.
    workdir = write_run(tmp_path / "run")
    TRANSLATE(
        ["translate", f"--model={workdir}", f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}"]
    )
    translator = Translator(workdir)
    for name, pixels in shown.items():
        with Image.open(tmp_path / "out" / f"{name}.png") as output:
            found = np.asarray(output).astype(float)
        most = 257 if found.max() > 255 else 1
        np.testing.assert_allclose(found / most, translator(pixels), atol=2, err_msg=name)


@pytest.mark.slow
def test_arrays_of_16_bits_and_floats_are_those_of_8_bits(tmp_path):
    translator = Translator(write_run(tmp_path / "run"))
    pixels = np.asarray(picture())
    expected = translator(pixels)
    deep = translator(pixels.astype(np.uint16) * 257)
    floats = translator((pixels / 127.5 - 1).astype(np.float32))
    assert (deep.dtype, floats.dtype) == (np.uint16, np.float32)
    np.testing.assert_allclose(deep / 257, expected, atol=1)
    np.testing.assert_allclose((floats + 1) * 127.5, expected, atol=1)
    with pytest.raises(ValueError, match=r"must be \[H, W, 3\] or \[B, H, W, 3\]"):
        translator(pixels[..., :2])


def test_a_model_of_four_channels_takes_alpha(tmp_path):
    kinds = {kind.title: kind for kind in png_kinds()}
    (tmp_path / "in").mkdir()
    titles = ("PNG of type 2, 8 bits", "PNG of type 6, 8 bits", "PNG of type 3, 8 bits, tRNS")
    for title in titles:
        (tmp_path / "in" / f"{title}.png").write_bytes(kinds[title].contents)
    workdir = write_run(tmp_path / "run", dataclasses.replace(CONFIG, dataset="mine", input_channels=4))
    flags = [f"--model={workdir}", f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}"]
    TRANSLATE(["translate", *flags])
    translator = Translator(workdir)
    expected = {title: translator((kinds[title].rgba >> 8).astype(np.uint8)) for title in titles}
    for title in titles:
        with Image.open(tmp_path / "out" / f"{title}.png") as output:
            np.testing.assert_array_equal(np.asarray(output), expected[title], err_msg=title)
    assert (expected[titles[0]] != expected[titles[1]]).any()  # Alpha counts.


def test_what_is_not_read_is_refused_by_what_it_is(tmp_path, capsys):
    workdir = write_run(tmp_path / "run")
    flags = [f"--model={workdir}", f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}"]
    (tmp_path / "in").mkdir()
    refused = list(refused_kinds())
    for title, contents, _ in refused:
        (tmp_path / "in" / f"{title}.png").write_bytes(contents)
    with pytest.raises(UserError, match="could not be translated"):
        TRANSLATE(["translate", *flags])
    errors = capsys.readouterr().err
    for title, _, reason in refused:
        assert any(title in line and reason in line for line in errors.splitlines()), title
    assert not list(tmp_path.glob("out/*.png"))
