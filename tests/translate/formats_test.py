"""The kinds of files that outputs are written as: what they hold, and what they are refused for."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.helpers.tiny_run import CONFIG, write_run
from tests.helpers.translating import translate
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.files.image_files import load_image
from tfpix2pix.pipelines.meaning import Meaning, Side
from tfpix2pix.translate.formats import check_format, find_format
from tfpix2pix.translate.translator import Translator


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "tiny")


def draw(channels: int, dtype: str) -> np.ndarray:
    levels = np.random.default_rng(channels).uniform(-1, 1, (9, 14, channels))
    return (
        levels.astype(dtype) if dtype == "float32" else ((levels + 1) * np.iinfo(dtype).max / 2).astype(dtype)
    )


@pytest.mark.parametrize(
    ("suffix", "channels", "dtypes"),
    [
        (".png", (1, 2, 3, 4), ("uint8", "uint16")),
        (".webp", (3, 4), ("uint8",)),
        (".tif", (1, 2, 3, 4, 5), ("uint8", "uint16", "float32")),
        (".npy", (1, 2, 3, 4, 5), ("uint8", "uint16", "float32")),
    ],
)
def test_the_data_layer_reads_back_what_is_written(tmp_path, suffix, channels, dtypes):
    file = tmp_path / f"a{suffix}"
    for count in channels:
        for dtype in dtypes:
            picture = draw(count, dtype)
            file.write_bytes(find_format(file.name).encode(picture))
            np.testing.assert_array_equal(load_image(file, count, dtype), picture, f"{count} {dtype}")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_file_holds_nearly_the_same(channels):
    ramp = np.linspace(0, 255, 32 * 32).astype(np.uint8).reshape(32, 32, 1)
    picture = np.repeat(ramp, channels, axis=2)
    with Image.open(io.BytesIO(find_format("a.jpg").encode(picture))) as image:
        assert image.format == "JPEG" and image.mode == {1: "L", 3: "RGB"}[channels]
        read = np.asarray(image).reshape(picture.shape)
    assert np.abs(read.astype(int) - picture).max() <= 3


def test_a_tiff_file_says_which_channels_are_colours_and_alpha():
    for channels, photometric in ((1, "MINISBLACK"), (2, "MINISBLACK"), (3, "RGB"), (4, "RGB")):
        with tifffile.TiffFile(io.BytesIO(find_format("a.tif").encode(draw(channels, "uint16")))) as tiff:
            page = tiff.pages.first
            assert (page.photometric.name, page.samplesperpixel) == (photometric, channels)
            if channels == 4:
                assert [each.name for each in page.extrasamples] == ["UNASSALPHA"]


@pytest.mark.parametrize(
    ("format", "channels", "dtype", "reason"),
    [
        ("jpeg", 3, "uint16", "holds uint8, .* x are uint16; png, tiff or npy can .*, and `bits=8` reduces"),
        ("webp", 1, "uint8", "holds 3 or 4 channels, and outputs of x have 1; png, jpeg, tiff or npy can"),
        ("jpeg", 4, "uint8", "holds 1 or 3 channels, and outputs of x have 4; png, tiff, webp or npy can"),
        ("png", 5, "uint8", "holds 1, 2, 3 or 4 channels, and outputs of x have 5; tiff or npy can"),
        ("png", 3, "float32", "holds uint8 or uint16, and outputs of x are float32; tiff or npy .*`bits=16`"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(format, channels, dtype, reason):
    with pytest.raises(UsageError, match=f"`format={format}` {reason}"):
        check_format(format, channels, dtype, "x")


def test_arrays_that_are_asked_for_have_the_depth_that_is_asked_for(workdir, tmp_path):
    pixels = draw(3, "uint8")
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for bits in (8, 16):
        translate(
            model=workdir, input=tmp_path / "a.png", output=tmp_path / "out", format="npy", bits=bits
        )  # fmt: skip
        expected = Translator(workdir)(pixels, dtype=f"uint{bits}")
        np.testing.assert_array_equal(np.load(tmp_path / "out/a.npy"), expected, strict=True)


@pytest.mark.slow
def test_the_command_writes_the_format_that_is_asked_for(workdir, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    pixels = draw(3, "uint8")
    Image.fromarray(pixels).save(photos / "a.png")
    np.save(photos / "b.npy", pixels)
    expected = Translator(workdir)(pixels)
    for format, suffix in (
        ("png", ".png"),
        ("tiff", ".tif"),
        ("webp", ".webp"),
        ("npy", ".npy"),
        ("jpeg", ".jpg"),
    ):
        output = tmp_path / format
        translate(model=workdir, input=photos, output=output, format=format)
        written = sorted(file.name for file in output.iterdir())
        assert written == [f"a{suffix}", f"b{suffix}", "index.html", "index_files"]
        previews = sorted(file.name for file in (output / "index_files").glob("*.[jp][pn]g"))
        assert previews == (
            ["a.jpg", f"a{suffix}.png", "b.jpg", f"b{suffix}.png"]
            if format in ("tiff", "npy")
            else ["a.jpg", "b.jpg"]
        )
        if format != "jpeg":
            np.testing.assert_array_equal(load_image(output / f"a{suffix}"), expected)
            np.testing.assert_array_equal(load_image(output / f"b{suffix}"), expected)


def test_a_depth_that_the_format_cannot_hold_is_refused_before_anything_is_written(workdir, tmp_path):
    photos, output = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    Image.fromarray(draw(3, "uint8")).save(photos / "a.png")
    (photos / "b.png").write_text("this is no picture, and is named when its turn comes")
    deep = draw(3, "uint16")
    tifffile.imwrite(photos / "c.tif", deep, photometric="rgb")
    with pytest.raises(UsageError, match=r"`format=webp` holds uint8, and outputs of .*c.tif are uint16"):
        translate(model=workdir, input=photos, output=output, format="webp")
    with pytest.raises(UsageError, match=r"outputs of .*a.png are uint16"):
        translate(model=workdir, input=photos / "a.png", output=output, format="webp", bits=16)
    assert not output.exists()
    translate(model=workdir, input=photos / "c.tif", output=output, format="webp", bits=8)
    expected = np.rint(Translator(workdir)(deep) / 257).astype(np.uint8)
    written = load_image(output / "c.webp")
    assert np.abs(written.astype(int) - expected).max() <= 1 and np.mean(written == expected) > 0.9


def test_floats_become_16_bits_on_request(workdir, tmp_path):
    (tmp_path / "photos").mkdir()
    pixels = draw(3, "float32")
    tifffile.imwrite(tmp_path / "photos/a.tif", pixels, photometric="rgb")
    translate(model=workdir, input=tmp_path / "photos", output=tmp_path, format="png", bits=16)
    levels = (Translator(workdir)(pixels).astype(np.float64) + 1) * 65535 / 2
    assert np.abs(load_image(tmp_path / "a.png", 3, np.uint16) - levels).max() <= 0.51


def test_the_format_is_held_against_the_targets_of_the_training(tmp_path):
    run = write_run(tmp_path / "run", CONFIG)
    file = run / "config.json"
    sides = {"input": Side(3, "uint8"), "target": Side(3, "uint16", ".tiff")}
    written = {**json.loads(file.read_text()), "meaning": Meaning(**sides).to_json()}
    file.write_text(json.dumps(written))
    (tmp_path / "photos").mkdir()
    pixels = draw(3, "uint8")
    Image.fromarray(pixels).save(tmp_path / "photos/a.png")
    expected = Translator(run)(pixels, dtype=np.uint16)
    for settings, name in (({}, "a.tiff"), ({"format": "png"}, "a.png")):
        output = tmp_path / name
        translate(model=run, input=tmp_path / "photos", output=output, **settings)
        np.testing.assert_array_equal(load_image(output / name, 3, np.uint16), expected)
    with pytest.raises(UsageError, match="`format=jpeg` holds uint8, and outputs of .* are uint16"):
        translate(model=run, input=tmp_path / "photos", output=tmp_path / "no", format="jpeg")
    assert not (tmp_path / "no").exists()
