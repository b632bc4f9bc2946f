"""--input_encoding=one_hot: networks see a channel for each class, and everything takes the same files."""

import dataclasses
import io
import json
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import runs, runtimes, tiny_run
from tfpix2pix.config.config import make_config
from tfpix2pix.evaluate.evaluation import evaluate_model
from tfpix2pix.export.meanings import find_meaning
from tfpix2pix.interop.torch_export import export_weights
from tfpix2pix.networks.build import build_discriminator
from tfpix2pix.networks.class_channels import ClassChannels
from tfpix2pix.networks.generators import unet_generator
from tfpix2pix.networks.inference import sample_seed
from tfpix2pix.networks.keras_versions import IS_KERAS_3, variable_path
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.labels.palettes import numbered_colour
from tfpix2pix.pipelines.meaning import Palette
from tfpix2pix.run import splits
from tfpix2pix.run.folder import read_config
from tfpix2pix.run.generator import load_generator
from tfpix2pix.train.dry_run import describe_training
from tfpix2pix.train.fit import check_channels
from tfpix2pix.train.training import train_and_evaluate
from tfpix2pix.translate.translator import Translator
from tfpix2pix.web.demo.models import LocalPainter

# The ids are any numbers of 16 bits. The colour of `road` follows from its id: its bits 0, 3, 6, ... are red.
PALETTE = {
    "sky": {"id": 7, "colour": [70, 130, 180]},
    "road": 0b1_000_010,
    "car": {"id": 40_000, "colour": [0, 0, 142]},
    "tree": {"id": 65_535, "colour": [1, 0, 142]},
    "void": [[0, 0, 0]],
}
IDS = np.array([7, 0b1_000_010, 40_000, 65_535, 9], np.uint16)  # the last one is of no class
COLOURS = np.array([[70, 130, 180], [32, 128, 0], [0, 0, 142], [1, 0, 142], [0, 0, 0]], np.uint8)
ONE_HOT = np.concatenate([np.eye(4, dtype=np.float32), np.zeros((1, 4), np.float32)])
EXPORT = runpy.run_module("tfpix2pix.export")["main"]
TRANSLATE = runpy.run_module("tfpix2pix.translate")["main"]


def draw_classes(number: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 5, (side, side))


def encode(pixels: np.ndarray) -> bytes:
    return tf.io.encode_png(pixels if pixels.ndim == 3 else pixels[..., None]).numpy()


def write_pair(folder: Path, number: int, label_map: np.ndarray) -> None:
    photo = np.random.default_rng(number + 9).integers(100, 256, (32, 32, 3), np.uint8)
    for name, pixels in (("labels", label_map), ("images", photo)):
        file = folder / name / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode(pixels))


def write_dataset(folder: Path, table: np.ndarray, palette: dict | None = PALETTE) -> Path:
    for split, numbers in (("train", (0, 1, 2)), ("val", (3,))):
        for number in numbers:
            write_pair(folder / split, number, table[draw_classes(number)])
    if palette:
        (folder / "palette.json").write_text(json.dumps(palette))
    return folder


def config_of(data_dir: Path, **settings):
    return runs.tiny_config(data_dir, **{"steps": 2, "input_encoding": "one_hot", **settings})


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run that was trained on ids."""
    folder = tmp_path_factory.mktemp("one_hot")
    train_and_evaluate(config_of(write_dataset(folder / "data", IDS)), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def version(run) -> Path:
    return tiny_run.export(run, verify=True)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_channel_for_each_class(dtype):
    layer = ClassChannels(COLOURS[:4].tolist(), COLOURS[4:].tolist(), dtype=dtype)
    label_map = COLOURS[[[0, 1, 2], [3, 4, 2]]].astype(np.float32) / 127.5 - 1
    np.testing.assert_array_equal(layer(label_map[None])[0], ONE_HOT[[[0, 1, 2], [3, 4, 2]]])
    # Nearest are sky; car and tree, of which car is the first; void.
    blurred = np.array([[[66, 131, 190], [0, 9, 142], [20, 10, 10]]], np.float32) / 127.5 - 1
    np.testing.assert_array_equal(layer(blurred[None])[0, 0], ONE_HOT[[0, 2, 4]])


def test_networks_see_classes_and_not_colours(run):
    generator, config, _ = load_generator(run)
    assert config.input_encoding == "one_hot" and generator.inputs[0].shape[-1] == 3
    kernels = {variable_path(variable): variable.shape for variable in generator.trainable_variables}
    assert kernels["encoder_1_conv/kernel"] == (4, 4, 4, 2)
    discriminator = build_discriminator(config, splits.find_input_palette(config, find_meaning(run)))
    assert discriminator.trainable_variables[0].shape == (4, 4, 4 + 3, 2)  # the classes and the target


@pytest.mark.slow
def test_ids_and_their_colours_train_alike(run, tmp_path):
    twin = write_dataset(tmp_path / "data", COLOURS)
    train_and_evaluate(config_of(twin), tmp_path / "run")
    runs.assert_same_state(runs.read_state(run, 2), runs.read_state(tmp_path / "run", 2))
    scores = [
        evaluate_model(run, tmp_path / name, data_dir=data, metrics=["l1"], gallery_size=0)
        .results["l1"]
        .scores
        for name, data in (("ids", None), ("colours", twin))
    ]
    assert scores[0] == scores[1]


def test_label_maps_are_resized_to_the_nearest_pixel(run):
    source = splits.open_split(read_config(run), "train")
    options = {"image_size": (24, 24), "batch_size": 3}
    jittered = build_dataset(source, training=True, load_size=(41, 37), mirror=True, **options)
    for dataset in (jittered.take(2), build_dataset(source, training=False, **options)):
        for batch in dataset:
            levels = np.round((batch["input_image"].numpy() + 1) * 127.5).reshape(-1, 3)
            assert set(map(tuple, levels)) <= set(map(tuple, COLOURS.astype(float)))
    large = COLOURS[draw_classes(4, 50)]
    small = np.asarray(Image.fromarray(large).resize((32, 32), Image.Resampling.NEAREST))
    trained = Translator(run, output_size="trained")
    np.testing.assert_array_equal(trained(large, 3), trained(small, 3))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["run", "version"])
def test_ids_and_their_colours_are_translated_alike(model, request, tmp_path):
    model, classes = request.getfixturevalue(model), draw_classes(5)
    translator = Translator(model)
    expected = translator(COLOURS[classes], 3)
    np.testing.assert_array_equal(translator(IDS[classes], 3, dtype=np.uint8), expected)
    other = translator(COLOURS[(classes + 1) % 5], 3)
    assert np.abs(other.astype(int) - expected).max() > 2
    in_rgb = np.where(classes < 4, IDS[classes], 255)[..., None].repeat(3, -1).astype(np.uint16)
    files = encode(IDS[classes]), encode(COLOURS[classes]), encode(in_rgb)
    painter = LocalPainter(translator, 10_000)
    assert len({painter.translate(contents, 3, 1)[0] for contents in files}) == 1
    (tmp_path / "in").mkdir()
    for number, contents in enumerate(files):
        (tmp_path / f"in/{number}.png").write_bytes(contents)
    TRANSLATE(["translate", f"--model={model}", f"--input={tmp_path}/in", f"--output={tmp_path}/out"])
    assert len({(tmp_path / f"out/{number}.png").read_bytes() for number in range(3)}) == 1


@pytest.mark.slow
def test_a_saved_model_makes_the_channels_in_its_graph(run, version):
    classes, seed = draw_classes(6), sample_seed(3)[None]
    signatures = tf.saved_model.load(str(version)).signatures
    expected = Translator(run)(COLOURS[classes], 3).astype(int)
    for contents in (encode(IDS[classes]), encode(COLOURS[classes])):
        answer = signatures["serving_default_seeded"](image_bytes=tf.constant([contents]), noise_seed=seed)
        served = np.asarray(Image.open(io.BytesIO(answer["image_bytes"][0].numpy())))
        np.testing.assert_allclose(served, expected, atol=1)
    answer = signatures["uint8_seeded"](input_image=tf.constant(COLOURS[classes][None]), noise_seed=seed)
    np.testing.assert_allclose(answer["generated_image"][0], expected, atol=1)
    card = json.loads((version / "model_card.json").read_text())
    assert (
        card["config"]["input_encoding"] == "one_hot" and card["meaning"]["input"]["ids"] == IDS[:4].tolist()
    )


@pytest.mark.slow
@pytest.mark.skipif(not IS_KERAS_3, reason="Keras 3 writes these files")
@pytest.mark.parametrize("file_format", ["keras", "tflite", "onnx"])
def test_files_for_other_runtimes_take_colours(run, tmp_path, file_format):
    runtimes.skip_without(file_format)
    EXPORT(["export", f"--workdir={run}", f"--output={tmp_path}", f"--format={file_format}"])
    told, written = sorted(tmp_path.iterdir(), key=lambda path: path.suffix != ".json")
    side = json.loads(told.read_text())["meaning"]["input"]
    assert side["ids"] == IDS[:4].tolist()
    colours = np.array([*list(side["palette"].values())[:4], side["palette"]["void"][0]], np.float32)
    label_map, generator = colours[draw_classes(7)][None] / 127.5 - 1, load_generator(run)[0]
    seed = np.array([[3, 0]], np.int32)
    expected = generator([label_map, seed], training=False).numpy()
    np.testing.assert_allclose(runtimes.run_file(written, label_map, seed), expected, atol=1e-4)


@pytest.mark.slow
def test_a_thousand_classes(tmp_path):
    num_classes = 1000
    # The ids are any of 16 bits; their colours follow from them. The last pixels are of no class.
    ids = np.sort(np.random.default_rng(0).permutation(2**16 - 2)[: num_classes - 1] + 1)
    ids = np.append(ids, 2**16 - 1)
    colours = np.array([numbered_colour(number) for number in ids], np.uint8)
    palette = {**{f"class {number}": int(number) for number in ids}, "void": [0, 0, 0]}
    classes = np.random.default_rng(1).integers(0, num_classes + 1, (4, 32, 32))
    classes[:, 0, 0] = num_classes - 1
    tables = np.append(ids, 0).astype(np.uint16), np.append(colours, COLOURS[4:], 0)
    for number, split in enumerate(("train", "train", "val", "val")):
        write_pair(tmp_path / "data" / split, number, tables[0][classes[number]])
    (tmp_path / "data/palette.json").write_text(json.dumps(palette))
    run = tmp_path / "run"
    train_and_evaluate(config_of(tmp_path / "data"), run)
    generator = load_generator(run)[0]
    shapes = {variable_path(variable): variable.shape for variable in generator.trainable_variables}
    assert shapes["encoder_1_conv/kernel"] == (4, 4, num_classes, 2)
    of_classes = tf.one_hot(classes[:1], num_classes)  # of `num_classes`, there is no channel
    encode_maps = keras.Model(generator.inputs[0], generator.get_layer("class_channels").output)
    pixels = tables[1][classes[:1]].astype(np.float32) / 127.5 - 1
    np.testing.assert_array_equal(encode_maps(pixels), of_classes)
    results = evaluate_model(run, tmp_path / "scores", metrics=["l1"], gallery_size=0).results
    assert np.isfinite(results["l1"].scores["l1"])
    version = tiny_run.export(run)
    expected = Translator(run)(tables[1][classes[3]], 3)
    np.testing.assert_array_equal(Translator(run)(tables[0][classes[3]], 3, dtype=np.uint8), expected)
    signatures = tf.saved_model.load(str(version)).signatures
    for table in tables:
        answer = signatures["serving_default_seeded"](
            image_bytes=tf.constant([encode(table[classes[3]])]), noise_seed=sample_seed(3)[None]
        )
        served = np.asarray(Image.open(io.BytesIO(answer["image_bytes"][0].numpy())))
        np.testing.assert_allclose(served, expected.astype(int), atol=1)


def test_channels_that_take_too_much_memory_are_told(capsys):
    palette = Palette(("a",) * 2**16, np.zeros((2**16, 3), np.uint8), np.zeros((0, 3), np.uint8))
    config = make_config(dataset="a", image_size=64, batch_size=1, input_encoding="one_hot")
    check_channels(config, None)
    check_channels(dataclasses.replace(config, image_size=(63, 63)), palette)
    assert not capsys.readouterr().err
    check_channels(config, palette)  # 64 * 64 * 65,536 * 4 bytes
    assert "warning: `input_encoding=one_hot` makes 65,536 channels" in (told := capsys.readouterr().err)
    assert "They take 1.0 GiB for a batch" in told and "a palette.json of fewer classes" in told
    with pytest.raises(UserError, match=r"take 16384\.0 GiB for a batch, .* this machine has .* smaller"):
        check_channels(dataclasses.replace(config, batch_size=2**14), palette)


@pytest.mark.slow
def test_a_run_of_pictures_gives_its_weights_except_for_the_first(run, tmp_path, capsys):
    data_dir = read_config(run).data_dir
    train_and_evaluate(config_of(data_dir, input_encoding="picture"), tmp_path / "pictures")
    config = config_of(data_dir, init_from=str(tmp_path / "pictures"))
    train_and_evaluate(config, tmp_path / "run")
    told = capsys.readouterr().err
    assert "encoder_1_conv of the unet_generator starts with random weights: it has 3 input channels" in told
    assert "patch_1_conv" in told and "7 here" in told
    assert "one_hot" in describe_training(config, tmp_path / "run")


def test_what_cannot_be_encoded_is_refused(run, tmp_path):
    without = write_dataset(tmp_path / "data", COLOURS, palette=None)
    with pytest.raises(UsageError, match=r"`input_encoding=one_hot` takes label maps .* palette.json"):
        train_and_evaluate(config_of(without), tmp_path / "run")
    data_dir = read_config(run).data_dir
    neither = "with `direction=BtoA` the input images of tiny hold neither .* `input_encoding=picture`"
    for settings in ({}, {"preset": "fast", "input_encoding": None}):
        with pytest.raises(UsageError, match=neither):
            train_and_evaluate(config_of(data_dir, direction="BtoA", **settings), tmp_path / "run")
    assert not (tmp_path / "run/config.json").exists()
    with pytest.raises(UsageError, match="read as 3 channels. Received: `input_channels=1`"):
        config_of(data_dir, input_channels=1)
    with pytest.raises(UsageError, match="`input_encoding` is for `task=pairs`"):
        make_config(dataset="synthetic", task="inpaint", input_encoding="one_hot")
    with pytest.raises(UsageError, match="`input_encoding` has no effect on a generator of your own"):
        train_and_evaluate(config_of(data_dir), tmp_path / "run", generator=build_without_palette)
    with pytest.raises(UserError, match="reference has no such generator: .*`input_encoding=one_hot`"):
        export_weights(run, tmp_path / "weights.npz")


def build_without_palette(image_size, base_filters):
    return unet_generator(image_size, depth=3, base_filters=base_filters)


def test_a_run_does_not_go_on_with_other_ids(run):
    config = read_config(run)
    file = Path(config.data_dir) / "palette.json"
    file.write_text(json.dumps({**PALETTE, "sky": {"id": 9, "colour": [70, 130, 180]}}))
    try:
        with pytest.raises(UsageError, match=r"7 sky \[70, 130, 180\].* now\..* `workdir`"):
            train_and_evaluate(config, run)
    finally:
        file.write_text(json.dumps(PALETTE))
    assert train_and_evaluate(config, run).step == 2
