"""Each task from the train command to the pictures that translate and a SavedModel give."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import runs
from tfpix2pix.evaluate.evaluation import evaluate_model
from tfpix2pix.export.servable import Servable
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.files.image_files import load_image
from tfpix2pix.pipelines.tasks import lab
from tfpix2pix.run.generator import load_generator

TRAIN = runpy.run_module("tfpix2pix.train")["main"]
TRANSLATE = runpy.run_module("tfpix2pix.translate")["main"]
EXPORT = runpy.run_module("tfpix2pix.export")["main"]


def _call(main, command: str, /, **settings) -> None:
    options = [
        f"--{key}={str(value).lower() if value is False else value}" for key, value in settings.items()
    ]
    main([command, *options])


def _train(data_dir: Path, workdir: Path, **settings) -> None:
    tiny = {**runs.SETTINGS, "dataset": "mine", "image_size": "48x80", "steps": 2}  # no powers of two
    _call(TRAIN, "train", **{**tiny, "data_dir": data_dir, "workdir": workdir, **settings})


def _draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def _read(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for split in ("train", "val"):
        for number in range(3):
            runs.write_image(folder / split / "photos" / f"{number}.png", _draw(50, 70, 3, seed=number))
    return folder


@pytest.mark.slow
def test_colorize_keeps_the_lightness_and_is_served_as_pictures(photos, tmp_path):
    _train(photos, tmp_path / "run", dataset="colorization")
    colour, gray = _draw(30, 40, 3), _draw(30, 40, 1)
    given = tmp_path / "given"
    runs.write_image(given / "colour.png", colour)
    runs.write_image(given / "gray.png", gray)
    runs.write_image(given / "deep.png", colour.astype(np.uint16) * 257)
    _call(TRANSLATE, "translate", model=tmp_path / "run", input=given, output=tmp_path / "out")
    outputs = {
        name: load_image(tmp_path / "out" / f"{name}.png", 3, np.uint16)
        for name in ("colour", "gray", "deep")
    }
    assert _read(tmp_path / "out" / "colour.png").dtype == np.uint8
    np.testing.assert_allclose(outputs["deep"] / 257.0, outputs["colour"] / 257.0, atol=0.51)
    assert _read(tmp_path / "out" / "deep.png").dtype == np.uint8  # as the photos of the training have
    # The net has hardly learned: colours near gray, the lightness the photo's own.
    lightness = [
        lab.rgb_to_lab(tf.constant(pixels / 255.0, tf.float32))[..., 0]
        for pixels in (colour, outputs["colour"] / 257)
    ]
    assert np.abs(lightness[0] - lightness[1]).mean() < 1
    assert np.abs(outputs["gray"][..., 0] / 257.0 - gray[..., 0]).mean() < 12
    _call(EXPORT, "export", workdir=tmp_path / "run", output=tmp_path / "saved", name="colours")
    servable = Servable(tmp_path / "saved" / "colours" / "1")
    contents = np.array([(given / "colour.png").read_bytes()], object)
    (answer,) = servable("serving_default", {"image_bytes": contents})["image_bytes"]
    expected = outputs["colour"] // 257
    # The run's seed is the noise of both.
    assert np.abs(tf.io.decode_png(answer).numpy().astype(int) - expected).max() <= 1
    assert servable("float32", {"input_image": np.zeros((1, 9, 9, 1), np.float32)})[
        "generated_image"
    ].shape == (1, 9, 9, 2)
    _call(
        TRANSLATE,
        "translate",
        model=tmp_path / "saved/colours",
        input=given / "colour.png",
        output=tmp_path / "served",
    )
    assert np.abs(_read(tmp_path / "served" / "colour.png").astype(int) - expected).max() <= 1
    # A SavedModel knows its task, whatever its dataset is called.
    of_run = evaluate_model(tmp_path / "run", tmp_path / "eval", metrics=["l1"], gallery_size=1)
    own = {name: getattr(load_generator(tmp_path / "run")[1], name) for name in ("data_dir", "image_size")}
    of_export = evaluate_model(
        tmp_path / "saved/colours", tmp_path / "eval2", dataset="mine", metrics=["l1"], gallery_size=1, **own
    )
    assert of_export.results["l1"].scores == pytest.approx(of_run.results["l1"].scores, abs=1e-5)


def test_inpaint_resumes_fills_holes_and_keeps_the_rest(photos, tmp_path, capsys):
    settings = {"task": "inpaint", "hole": "random", "upsampling": "bilinear", "checkpoint_every_steps": 2}
    _train(photos, tmp_path / "run", **settings)
    _train(photos, tmp_path / "run", **settings, steps=4, cache_mib=0)
    _train(photos, tmp_path / "whole", **settings, steps=4)
    runs.assert_same_state(runs.read_state(tmp_path / "run", 4), runs.read_state(tmp_path / "whole", 4))
    validated = runs.read_metrics(tmp_path / "run")[-1]["validation/hole_l1"]
    evaluation = evaluate_model(tmp_path / "run", tmp_path / "eval", gallery_size=1)
    assert evaluation.results["hole_l1"].scores["hole_l1"] == pytest.approx(validated, abs=1e-6)
    assert 0 < validated != evaluation.results["l1"].scores["l1"]
    picture = _draw(40, 60, 4)
    picture[..., 3] = 255
    picture[5:20, 30:50, 3] = 0
    runs.write_image(tmp_path / "given/marked.png", picture)
    model = {"model": tmp_path / "run", "input": tmp_path / "given"}
    _call(TRANSLATE, "translate", **model, output=tmp_path / "out")
    output = _read(tmp_path / "out" / "marked.png")
    hole = picture[..., 3] == 0
    assert output.shape == (40, 60, 3)
    np.testing.assert_array_equal(output[~hole], picture[..., :3][~hole])
    assert np.abs(output[hole].astype(int) - picture[..., :3][hole]).mean() > 20
    runs.write_image(tmp_path / "given/marked.png", picture[..., :3])
    with pytest.raises(UserError, match="1 of 1 image could not be translated"):
        _call(TRANSLATE, "translate", **model, output=tmp_path / "none")
    assert "marked.png has no transparent pixels to fill; `hole=center`" in capsys.readouterr().err
    _call(TRANSLATE, "translate", **model, output=tmp_path / "middle", hole="center")
    changed = np.any(_read(tmp_path / "middle" / "marked.png") != picture[..., :3], axis=-1)
    assert changed[10:30, 15:45].mean() > 0.9
    changed[10:30, 15:45] = False
    assert not changed.any()


@pytest.mark.slow
def test_edges_learns_from_photos_and_takes_drawings_or_photos(photos, tmp_path):
    pytest.importorskip("cv2")
    _train(
        photos, tmp_path / "run", task="edges", upsampling="nearest", precision="mixed_bfloat16", cache_mib=0
    )
    photo = _draw(6, 8, 3).repeat(8, 0).repeat(8, 1)
    runs.write_image(tmp_path / "given/photo.png", photo)
    given = {"model": tmp_path / "run", "input": tmp_path / "given"}
    _call(TRANSLATE, "translate", **given, output=tmp_path / "out", draw_edges=True)
    shown = _read(tmp_path / "out" / "index_files" / "photo.jpg").astype(int)
    assert (np.ptp(shown, axis=-1) < 10).all() and 0.5 < (shown > 200).mean() < 1  # a drawing
    with pytest.raises(UsageError, match="`hole` is for an inpainting model, .* learned another task, edges"):
        _call(TRANSLATE, "translate", **given, output=tmp_path / "no", hole="center")


@pytest.mark.slow
def test_arrays_go_in_and_images_of_the_targets_kind_come_out(tmp_path):
    for split in ("train", "val"):
        for number in range(2):
            values = np.random.default_rng(number).uniform(-1, 1, (50, 90, 5)).astype(np.float32)
            runs.write_image(tmp_path / f"data/{split}/input/{number}.npy", values)
            runs.write_image(
                tmp_path / f"data/{split}/target/{number}.png", _draw(50, 90, 1).astype(np.uint16) * 250
            )
    # The paper's discriminator, on 48x80.
    _train(tmp_path / "data", tmp_path / "run", input_channels=5, output_channels=1, receptive_field=70)
    given = {"model": tmp_path / "run", "input": tmp_path / "data/val/input"}
    _call(TRANSLATE, "translate", **given, output=tmp_path / "out", samples_per_image=2)
    generated = load_image(tmp_path / "out" / "0_1.png", 1, np.uint16)  # 16 bits, as the targets
    assert generated.shape == (50, 90, 1) and len(np.unique(generated)) > 256
    arrays = {"output": tmp_path / "arrays", "format": "npy"}
    _call(TRANSLATE, "translate", **given, **arrays, samples_per_image=2)
    array = np.load(tmp_path / "arrays" / "0_1.npy")
    assert array.dtype == np.uint16
    np.testing.assert_array_equal(array, generated)
    assert (tmp_path / "arrays" / "index_files" / "0_2.npy.png").is_file()
    with pytest.raises(UserError, match="could not be translated"):
        given["input"] = runs.write_image(tmp_path / "photo.png", _draw(9, 9, 3))
        _call(TRANSLATE, "translate", **given, output=tmp_path / "no")


@pytest.mark.slow
def test_depth_follows_the_targets_or_the_flag(tmp_path):
    for split in ("train", "val"):
        for number in range(2):
            runs.write_image(
                tmp_path / f"data/{split}/{number}.png", _draw(48, 160, 1).astype(np.uint16) * 250
            )
    _train(tmp_path / "data", tmp_path / "run", input_channels=1, output_channels=1)
    deep = _draw(20, 30, 1).astype(np.uint16) * 257
    runs.write_image(tmp_path / "given/deep.png", deep)
    runs.write_image(tmp_path / "given/flat.png", (deep // 257).astype(np.uint8))
    for bits, expected in ((None, (16, 16)), (8, (8, 8))):
        flag = {} if bits is None else {"bits": bits}
        output = tmp_path / f"out{bits}"
        _call(TRANSLATE, "translate", model=tmp_path / "run", input=tmp_path / "given", output=output, **flag)
        found = tuple((output / f"{name}.png").read_bytes()[24] for name in ("deep", "flat"))
        assert found == expected
    fine = [load_image(tmp_path / "outNone" / f"{name}.png", 1, np.uint16) for name in ("deep", "flat")]
    np.testing.assert_allclose(fine[0].astype(int), fine[1], atol=1)
    coarse = load_image(tmp_path / "out8" / "deep.png", 1)
    np.testing.assert_allclose(fine[0] / 257, coarse, atol=0.51)
