"""What images stand for travels with a model: ids are ids, and outputs are of the kind of the targets."""

import io
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from PIL import Image

from tests.helpers import runs
from tests.helpers.tiny_run import export, write_run
from tfpix2pix.config.config import Config
from tfpix2pix.evaluate.evaluation import evaluate_model
from tfpix2pix.export.meanings import find_meaning
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.networks.inference import sample_seed
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.meaning import UNKNOWN, Meaning, Side
from tfpix2pix.pipelines.tasks.transforms import to_uint16
from tfpix2pix.run import splits
from tfpix2pix.run.folder import read_config
from tfpix2pix.run.generator import load_generator
from tfpix2pix.train.training import train_and_evaluate
from tfpix2pix.translate.translator import Translator
from tfpix2pix.web.demo.input import describe_input, origin_of_translator, read_examples
from tfpix2pix.web.demo.models import LocalPainter

PALETTE = {"sky": [70, 130, 180], "road": [128, 64, 128], "car": [0, 0, 142], "void": [[0, 0, 0]]}
COLOURS = np.array([*list(PALETTE.values())[:3], *[[0, 0, 0]] * 253], np.uint8)
TRANSLATE = runpy.run_module("tfpix2pix.translate")["main"]


def draw_ids(number: int) -> np.ndarray:
    return np.random.default_rng(number).choice(np.array([0, 1, 2, 255], np.uint8), (32, 32))


def encode(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def storages(ids: np.ndarray) -> dict[str, bytes]:
    """Returns files of the same ids."""
    alpha = Image.merge("LA", [Image.fromarray(ids), Image.new("L", ids.shape[::-1], 255)])
    return {
        "gray": encode(ids),
        "RGB": encode(np.stack([ids] * 3, -1)),
        "16 bits": encode(ids.astype(np.uint16)),
        "16 bits spread": encode(ids.astype(np.uint16) * 257),
        "alpha": encode(np.array(alpha)),
    }


def write_dataset(folder: Path, in_colours: bool, names: tuple[str, str] = ("labels", "images")) -> Path:
    for split, numbers in (("train", (0, 1)), ("val", (2,))):
        for number in numbers:
            ids = draw_ids(number)
            photo = np.random.default_rng(number + 9).integers(100, 256, (32, 32, 3), np.uint8)
            for name, pixels in zip(names, (COLOURS[ids] if in_colours else ids, photo), strict=True):
                (folder / split / name).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / split / name / f"{number}.png")
    (folder / "palette.json").write_text(json.dumps(PALETTE))
    return folder


def config_of(data_dir: Path, **settings) -> Config:
    return runs.tiny_config(data_dir, steps=1, objective="l1", **settings)


def train(data_dir: Path, workdir: Path, **settings) -> Path:
    """Trains without a discriminator, which would take twice as long to build."""
    train_and_evaluate(config_of(data_dir, **settings), workdir)
    return workdir


def write_untrained(data_dir: Path, workdir: Path, **settings) -> Path:
    config = config_of(data_dir, **settings)
    return write_run(workdir, config, splits.open_split(config, "train"))


def translate(**settings) -> None:
    TRANSLATE(["translate", *(f"--{name}={value}" for name, value in settings.items())])


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run that was trained on ids."""
    folder = tmp_path_factory.mktemp("ids")
    return train(write_dataset(folder / "data", in_colours=False), folder / "run")


@pytest.fixture(scope="module")
def version(run) -> Path:
    return export(run)


def test_ids_and_their_colours_train_alike(run, tmp_path):
    twin = train(write_dataset(tmp_path / "data", in_colours=True), tmp_path / "run")
    runs.assert_same_state(runs.read_state(run, 1), runs.read_state(twin, 1))
    assert find_meaning(run).input.ids == (0, 1, 2) and find_meaning(twin).input.ids == ()
    assert find_meaning(twin).input.palette.to_entries() == PALETTE
    assert find_meaning(run).target.palette is None


def test_translator_takes_ids(run, version):
    ids = draw_ids(5)
    for model in (run, version):
        translator = Translator(model)
        expected = translator(COLOURS[ids], 3)
        for given in (ids, ids[..., None], ids.astype(np.uint16), ids.astype(np.uint16)[..., None]):
            np.testing.assert_array_equal(translator(given, 3, dtype=np.uint8), expected)
        np.testing.assert_array_equal(translator(np.stack([ids] * 2)[..., None], 3)[1], expected)


@pytest.mark.parametrize("model", ["run", "version"])
def test_translate_takes_ids_in_every_storage(model, tmp_path, request):
    ids = draw_ids(6)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/colours.png").write_bytes(encode(COLOURS[ids]))
    for storage, contents in storages(ids).items():
        (tmp_path / f"in/{storage}.png").write_bytes(contents)
    pair = np.concatenate([np.stack([ids] * 3, -1), np.full((32, 32, 3), 200, np.uint8)], axis=1)
    (tmp_path / "pair.png").write_bytes(encode(pair))
    out = tmp_path / "out"
    translate(model=request.getfixturevalue(model), input=tmp_path / "in", output=out)
    translate(model=request.getfixturevalue(model), input=tmp_path / "pair.png", output=out, crop="left")
    expected = (out / "colours.png").read_bytes()
    for name in (*storages(ids), "pair"):
        assert (out / f"{name}.png").read_bytes() == expected, name


def test_a_photo_for_a_model_of_ids_is_told_once(run, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    draw = np.random.default_rng(9)
    for name in ("1", "2"):
        (tmp_path / f"in/{name}.png").write_bytes(encode(draw.integers(0, 256, (32, 32, 3), np.uint8)))
    (tmp_path / "in/ids.png").write_bytes(encode(draw_ids(10)))
    translate(model=run, input=tmp_path / "in", output=tmp_path / "out")
    (line,) = re.findall("^note: .*", capsys.readouterr().err, re.MULTILINE)
    assert line.startswith(f"note: {tmp_path}/in/1.png has few pixels")
    translate(model=run, input=tmp_path / "in/ids.png", output=tmp_path / "out")
    assert "note:" not in capsys.readouterr().err


def test_a_saved_model_takes_ids_in_every_storage(version):
    ids, seed = draw_ids(7), sample_seed(3)
    serve = tf.saved_model.load(str(version)).signatures["serving_default_seeded"]
    sent = [encode(COLOURS[ids]), *storages(ids).values()]
    answers = serve(image_bytes=tf.constant(sent), noise_seed=tf.stack([seed] * len(sent)))["image_bytes"]
    pictures = [tf.io.decode_png(answer).numpy() for answer in answers]
    for picture in pictures[1:]:
        np.testing.assert_array_equal(picture, pictures[0])
    card = json.loads((version / "model_card.json").read_text())
    assert card["meaning"]["input"]["palette"] == PALETTE and card["meaning"]["input"]["ids"] == [0, 1, 2]
    assert "class ids" in card["input"]["files"]


@pytest.mark.slow
def test_the_demo_takes_ids_and_knows_their_colours(run, version):
    ids = draw_ids(8)
    for model in (run, version):
        translator = Translator(model)
        painter = LocalPainter(translator, 10_000)
        expected = painter.translate(encode(COLOURS[ids]), 3, 1)
        for storage, contents in storages(ids).items():
            assert painter.translate(contents, 3, 1) == expected, storage
        sheet = describe_input(origin_of_translator(translator))
        assert sheet.kind == "labels"
        assert {colour.name: list(colour.rgb) for colour in sheet.colours} == {
            name: colour for name, colour in PALETTE.items() if name != "void"
        }
    origin = origin_of_translator(Translator(run))
    (example,) = read_examples(origin, describe_input(origin))
    np.testing.assert_array_equal(Image.open(io.BytesIO(example.contents)), COLOURS[draw_ids(2)])


@pytest.mark.slow
def test_evaluate_reads_ids_as_the_training_did(run, tmp_path):
    evaluation = evaluate_model(run, tmp_path / "a", metrics=["l1"], gallery_size=0)
    twin = write_dataset(tmp_path / "twin", in_colours=True)
    expected = evaluate_model(run, tmp_path / "b", data_dir=twin, metrics=["l1"], gallery_size=0)
    assert evaluation.results["l1"].scores == expected.results["l1"].scores


@pytest.mark.slow
@pytest.mark.parametrize("names", [("labels", "images"), ("input", "target")])
def test_label_accuracy_is_a_number_for_ids_as_targets(tmp_path, names):
    data_dir = write_dataset(tmp_path / "data", in_colours=False, names=names)
    workdir = write_untrained(data_dir, tmp_path / "run", direction="BtoA")
    evaluation = evaluate_model(workdir, tmp_path / "eval", metrics=["label_accuracy"], gallery_size=0)
    scores = evaluation.results["label_accuracy"].scores
    assert scores and all(0 <= score <= 1 for score in scores.values())


def test_another_palette_is_noticed(run, tmp_path):
    config = read_config(run)
    data_dir = Path(config.data_dir)
    changed = {**PALETTE, "road": [1, 2, 3]}
    (data_dir / "palette.json").write_text(json.dumps(changed))
    try:
        with pytest.raises(UsageError, match=r"1 road \[128, 64, 128\].* now.* `workdir`"):
            train_and_evaluate(config, run)
    finally:
        (data_dir / "palette.json").write_text(json.dumps(PALETTE))
    assert train_and_evaluate(config, run).step == 1


@pytest.mark.slow
def test_another_palette_of_coloured_maps_is_noticed(tmp_path):
    data_dir = write_dataset(tmp_path / "data", in_colours=True)
    palette = data_dir / "palette.json"
    palette.unlink()
    config = config_of(data_dir)
    train(data_dir, tmp_path / "without")
    palette.write_text(json.dumps(PALETTE))
    assert train_and_evaluate(config, tmp_path / "without").step == 1  # it is read as before
    train(data_dir, tmp_path / "run")
    changed = r"input images .* colours of classes \(.*road \[128, 64, 128\].* and are "
    for road, now in (([129, 64, 128], r"colours .*road \[129, 64, 128\]"), (None, "no label maps")):
        palette.write_text(json.dumps({**PALETTE, "road": road}))
        if road is None:
            palette.unlink()
        with pytest.raises(UsageError, match=changed + now):
            train_and_evaluate(config, tmp_path / "run")


@pytest.mark.slow
def test_a_run_that_does_not_say_it_goes_on_as_it_was(tmp_path):
    data_dir = write_dataset(tmp_path / "data", in_colours=False, names=("input", "target"))
    config = config_of(data_dir)
    workdir = train(data_dir, tmp_path / "run")
    file = workdir / "config.json"
    told = json.loads(file.read_text())
    del told["meaning"]  # as earlier versions wrote it, which took these ids for gray
    file.write_text(json.dumps(told))
    assert train_and_evaluate(config, workdir).step == 1
    assert "meaning" not in json.loads(file.read_text()) and find_meaning(workdir) is UNKNOWN
    (tmp_path / "a.png").write_bytes(encode(draw_ids(4)))
    (tmp_path / "b.png").write_bytes(encode(np.stack([draw_ids(4)] * 3, -1)))
    translate(model=workdir, input=tmp_path / "?.png", output=tmp_path / "out")
    assert (tmp_path / "out/a.png").read_bytes() == (tmp_path / "out/b.png").read_bytes()


def write_targets(folder: Path, suffix: str, dtype: type) -> Path:
    draw = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("input", "target"):
            (folder / split / name).mkdir(parents=True)
        photo = draw.integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(photo).save(folder / split / "input/0.png")
        values = draw.uniform(-1, 1, (32, 32))
        target = to_uint16(values).numpy() if dtype == np.uint16 else values.astype(dtype)
        runs.store_image(folder / split / f"target/0{suffix}", target)
    return folder


def read_output(file: Path) -> np.ndarray:
    if file.suffix == ".npy":
        return np.load(file)
    return tifffile.imread(file) if file.suffix == ".tif" else np.array(Image.open(file))


@pytest.mark.slow
@pytest.mark.parametrize(
    "suffix, dtype", [(".png", np.uint16), (".tif", np.uint16), (".tif", np.float32), (".npy", np.float32)]
)
def test_outputs_are_of_the_kind_of_the_targets(tmp_path, suffix, dtype):
    data_dir = write_targets(tmp_path / "data", suffix, dtype)
    workdir = write_untrained(data_dir, tmp_path / "run", output_channels=1)
    photo = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(encode(photo))
    expected = Translator(workdir)(photo, dtype=np.float32)
    translate(model=workdir, input=tmp_path / "a.png", output=tmp_path / "out")
    written = read_output(tmp_path / f"out/a{suffix}")
    assert written.dtype == dtype and written.shape[:2] == (32, 32)
    wanted = to_uint16(expected).numpy() if dtype == np.uint16 else expected
    np.testing.assert_array_equal(written.reshape(32, 32, 1), wanted)
    translate(model=workdir, input=tmp_path / "a.png", output=tmp_path / "eight", bits="8")
    assert read_output(tmp_path / "eight/a.png").dtype == np.uint8


@pytest.mark.slow
def test_a_saved_model_answers_with_the_depth_of_the_targets(tmp_path):
    data_dir = write_targets(tmp_path / "data", ".png", np.uint16)
    generator = load_generator(train(data_dir, tmp_path / "run", output_channels=1))[0]
    photo = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    deep, flat = encode_rgb16(photo), encode(photo)
    for dtype, bits in (("uint16", 16), ("float32", 16), ("uint8", 8)):
        meaning = Meaning(Side(3, "uint8"), Side(1, dtype))
        version = export_saved_model(
            generator, tmp_path / dtype, verify=False, image_size=(32, 32), meaning=meaning
        )
        serve = tf.saved_model.load(str(version)).signatures["serving_default"]
        for answer in serve(image_bytes=tf.constant([deep, flat]))["image_bytes"].numpy():
            assert answer[24] == bits  # of a channel, in the PNG's header
    expected = Translator(tmp_path / "uint16")(photo, 0, dtype=np.uint16)
    serve = tf.saved_model.load(str(tmp_path / "uint16/1")).signatures["serving_default"]
    answer = serve(image_bytes=tf.constant([flat]))["image_bytes"][0]
    np.testing.assert_array_equal(tf.io.decode_png(answer, dtype=tf.uint16), expected)


def encode_rgb16(pixels: np.ndarray) -> bytes:
    return tf.io.encode_png(pixels.astype(np.uint16) * 257).numpy()
