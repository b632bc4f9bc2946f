"""The Gradio page translates as the translator does; programs call it over HTTP."""

import importlib.util
import json

import numpy as np
import pytest
from PIL import Image

from tests.helpers import runs
from tests.helpers.tiny_run import write_run
from tfpix2pix.config.config import make_config
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run.splits import open_split
from tfpix2pix.translate.translator import Translator
from tfpix2pix.web.gradio_app import build_app, main, translate_picture

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
needs_gradio = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="the extra [gradio] is not installed"
)


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    return Translator(write_run(tmp_path_factory.mktemp("gradio") / "run"))


def test_a_picture_is_what_the_translator_makes_of_it(translator):
    generated = translate_picture(translator, Image.fromarray(PICTURE), 7)
    np.testing.assert_array_equal(np.asarray(generated), translator(PICTURE, 7))
    gray = Image.fromarray(PICTURE[..., 0])
    expected = translator(np.repeat(PICTURE[..., :1], 3, axis=-1))
    np.testing.assert_array_equal(np.asarray(translate_picture(translator, gray)), expected)


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_16_bits_are_brought_to_8(translator, mode):
    gray = PICTURE[..., 0]
    deep = Image.fromarray(gray.astype(np.uint16) * 257).convert(mode)
    expected = translate_picture(translator, Image.fromarray(gray))
    np.testing.assert_array_equal(np.asarray(translate_picture(translator, deep)), np.asarray(expected))


def test_gray_models_take_and_give_gray_pictures(tmp_path):
    config = make_config(
        dataset="synthetic", image_size=32, depth=3, base_filters=2, input_channels=1, output_channels=1
    )
    gray = Translator(write_run(tmp_path / "run", config))
    generated = translate_picture(gray, Image.fromarray(PICTURE))
    assert (generated.mode, generated.size) == ("L", (50, 40))


def test_numbers_of_pixels_are_class_ids_where_the_training_had_ids(tmp_path):
    palette = {"sky": {"id": 7, "colour": [70, 130, 180]}, "road": {"id": 130, "colour": [32, 128, 0]}}
    palette["void"] = [[0, 0, 0]]
    places = np.arange(32 * 32).reshape(32, 32) % 2
    ids = np.array([7, 130], np.uint8)[places]
    colours = np.array([[70, 130, 180], [32, 128, 0]], np.uint8)[places]
    runs.write_image(tmp_path / "data/train/labels/0.png", ids[..., None])
    runs.write_image(tmp_path / "data/train/images/0.png", PICTURE[:32, :32])
    (tmp_path / "data/palette.json").write_text(json.dumps(palette))
    config = runs.tiny_config(tmp_path / "data", direction="AtoB")
    translator = Translator(write_run(tmp_path / "run", config, open_split(config, "train")))

    expected = np.asarray(translate_picture(translator, Image.fromarray(colours)))
    numbers = Image.fromarray(ids)
    np.testing.assert_array_equal(np.asarray(translate_picture(translator, numbers)), expected)
    deep = Image.fromarray(ids.astype(np.uint16))
    np.testing.assert_array_equal(np.asarray(translate_picture(translator, deep)), expected)
    numbers.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    np.testing.assert_array_equal(np.asarray(translate_picture(translator, numbers)), expected)
    assert np.ptp(expected) > 10


@needs_gradio
def test_programs_call_the_page(translator, tmp_path):
    from gradio_client import Client, handle_file

    Image.fromarray(PICTURE).save(tmp_path / "input.png")
    app = build_app(translator)
    try:
        _, url, _ = app.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
        client = Client(url, verbose=False)
        answer = client.predict(handle_file(str(tmp_path / "input.png")), 3, api_name="/translate")
        with Image.open(answer) as generated:
            np.testing.assert_array_equal(np.asarray(generated), translator(PICTURE, 3))
        with pytest.raises(Exception, match="Give a picture first"):
            client.predict(None, 3, api_name="/translate")
    finally:
        app.close()


@needs_gradio
def test_images_that_no_browser_shows_are_refused(tmp_path):
    config = make_config(dataset="synthetic", image_size=32, depth=3, base_filters=2, output_channels=7)
    with pytest.raises(UsageError, match="has images of 7 channels, which no browser shows"):
        build_app(write_run(tmp_path / "run", config))


def test_a_wrong_call_says_what_is_wrong(monkeypatch):
    with pytest.raises(UsageError, match="--model is missing"):
        main(["gradio_app"])
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *others: None if name == "gradio" else find(name, *others)
    )
    with pytest.raises(UserError, match=r"pip install 'tfpix2pix\[gradio\]'"):
        main(["gradio_app", "--model=runs/facades"])
