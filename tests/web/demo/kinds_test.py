"""Every kind of file that somebody may put into the demo: translated as what it shows, or refused."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from tests.helpers.image_kinds import other_kinds, picture, png_kinds, refused_kinds, save
from tests.helpers.tiny_run import CONFIG, write_run
from tfpix2pix.translate.translator import Translator
from tfpix2pix.web.demo.models import BadPictureError, LocalPainter


@pytest.fixture(scope="module")
def painter(tmp_path_factory) -> LocalPainter:
    return LocalPainter(Translator(write_run(tmp_path_factory.mktemp("demo") / "run")), 20_000)


def _paint(painter: LocalPainter, contents: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(painter.translate(contents, 7, 1)[0])) as image:
        return np.asarray(image).astype(int)


def test_a_file_is_translated_as_the_picture_that_it_shows(painter):
    for kind in (*png_kinds(), *other_kinds()):
        shown = Image.fromarray((kind.rgba[..., :3] >> 8).astype(np.uint8))
        expected = _paint(painter, save(shown, "PNG"))
        np.testing.assert_allclose(_paint(painter, kind.contents), expected, atol=2, err_msg=kind.title)


def test_a_model_of_four_channels_takes_alpha(tmp_path):
    translator = Translator(
        write_run(tmp_path / "run", dataclasses.replace(CONFIG, dataset="mine", input_channels=4))
    )
    painter = LocalPainter(translator, 20_000)
    images = (picture("RGBA"), picture("RGBA"))
    images[1].putalpha(60)
    answers = [_paint(painter, save(image, "PNG")) for image in images]
    for answer, image in zip(answers, images, strict=True):
        np.testing.assert_array_equal(answer, translator(np.asarray(image), noise_seed=7))
    assert (answers[0] != answers[1]).any()


@pytest.mark.parametrize(("dropout", "has_noise"), [("paper", True), ("none", False)])
def test_a_warm_model_knows_whether_the_seed_matters(tmp_path, dropout, has_noise):
    run = write_run(tmp_path / "run", dataclasses.replace(CONFIG, dropout=dropout))
    painter = LocalPainter(Translator(run), 20_000)
    painter.warm_up((32, 32))
    assert painter.has_noise == has_noise


def test_photos_are_turned(painter):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = _paint(painter, save(picture(), "JPEG", exif=exif))
    assert turned.shape[:2] == picture().size


def test_a_jpeg_of_very_many_scans_is_said_to_be_one(painter):
    whole = save(picture(), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    with pytest.raises(BadPictureError, match="^The JPEG has more than 500 scans; save it anew.$"):
        painter.translate(whole[:-2] + whole[last:-2] * 500 + whole[-2:], 7, 1)


def test_other_formats_are_refused_with_a_sentence(painter):
    array = io.BytesIO()
    np.save(array, np.zeros((4, 4, 3), np.float32))
    others = [save(picture(), file_format) for file_format in ("TIFF", "WEBP", "GIF")]
    for contents in (*others, array.getvalue()):
        with pytest.raises(BadPictureError, match="That is no JPEG, PNG or BMP image"):
            painter.translate(contents, 7, 1)
    for title, contents, _ in refused_kinds():
        with pytest.raises(BadPictureError):
            pytest.fail(f"{title}: {len(painter.translate(contents, 7, 1)[0])} bytes")
