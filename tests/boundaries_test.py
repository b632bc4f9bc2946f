"""--boundaries: networks see the borders of instances, from maps of ids or from the classes of label maps."""

import io
import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import runs, runtimes, tiny_run
from tfpix2pix.evaluate.evaluation import evaluate_model
from tfpix2pix.networks.class_channels import BoundaryChannel
from tfpix2pix.networks.inference import sample_seed
from tfpix2pix.networks.keras_versions import IS_KERAS_3, variable_path
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files.image_files import BadImageError
from tfpix2pix.pipelines.synthetic.facades import draw_pair
from tfpix2pix.run import splits
from tfpix2pix.run.folder import read_config, read_meaning
from tfpix2pix.run.generator import load_generator
from tfpix2pix.train.training import train_and_evaluate
from tfpix2pix.translate.translator import Translator

COLOURS = np.array([[70, 130, 180], [128, 64, 128]], np.uint8)
PALETTE = {"sky": [70, 130, 180], "car": [128, 64, 128], "void": [[0, 0, 0]]}
EXPORT = runpy.run_module("tfpix2pix.export")["main"]
TRANSLATE = runpy.run_module("tfpix2pix.translate")["main"]
SETTINGS = {"method": "pix2pixhd", "depth": 2, "residual_blocks": 1, "receptive_field": 70, "steps": 1}


def draw_ids(number: int) -> np.ndarray:
    """Returns ids of 8 x 8 px each: those below 1000 are sky, the others are cars."""
    ids = np.random.default_rng(number).choice(np.array([0, 1001, 1002, 40_000], np.uint16), (4, 4))
    return ids.repeat(8, 0).repeat(8, 1)


def draw_label_map(number: int) -> np.ndarray:
    return COLOURS[(draw_ids(number) >= 1000).astype(int)]


def write_dataset(folder: Path, with_instances: bool = True) -> Path:
    for split, numbers in (("train", (0, 1)), ("val", (2,))):
        for number in numbers:
            photo = np.random.default_rng(number + 9).integers(100, 256, (32, 32, 3), np.uint8)
            runs.write_image(folder / f"{split}/labels/{number}.png", draw_label_map(number))
            runs.write_image(folder / f"{split}/images/{number}.png", photo)
            if with_instances:
                runs.write_image(folder / f"{split}/instances/{number}.png", draw_ids(number)[..., None])
    (folder / "palette.json").write_text(json.dumps(PALETTE))
    return folder


def config_of(data_dir: Path, **settings):
    return runs.tiny_config(data_dir, **{**SETTINGS, "boundaries": True, **settings})


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("boundaries")
    train_and_evaluate(config_of(write_dataset(folder / "data"), input_encoding="one_hot"), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def version(run) -> Path:
    return tiny_run.export(run)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_both_sides_of_a_border_are_marked(dtype):
    layer = BoundaryChannel(COLOURS.tolist(), [], dtype=dtype)
    ids = np.array([[5, 5, 5, 6], [5, 5, 5, 5], [9, 5, 5, 5]], np.float32)
    border = np.array([[0, 0, 1, 1], [1, 0, 0, 1], [1, 1, 0, 0]], np.float32)
    classes = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0]])
    border_of_classes = np.array([[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]], np.float32)
    colours = COLOURS[classes] / np.float32(127.5) - 1
    with_ids = np.concatenate([colours, ids[..., None] / 32767.5 - 1], -1)
    without = np.concatenate([colours, np.full((3, 4, 1), -1)], -1)
    seen = layer(np.stack([with_ids, without]).astype(np.float32)).numpy()
    np.testing.assert_array_equal(seen[..., :3], np.stack([colours, colours]))
    np.testing.assert_array_equal(seen[..., 3], np.stack([border, border_of_classes]))


def test_the_networks_see_one_channel_more(run):
    generator, config, _ = load_generator(run)
    assert config.input_channels == 3 and generator.inputs[0].shape[-1] == 4
    kernels = {variable_path(variable): variable.shape for variable in generator.trainable_variables}
    assert kernels["first_conv/kernel"] == (7, 7, 2 + 1, 2)
    side = read_meaning(run).input
    assert side.instances and "maps of instances" in side.classes


def test_labels_and_instances_are_cut_alike_to_the_nearest_pixel(run):
    config = read_config(run)
    kept = splits.open_split(config, "train")
    # Nothing is kept in memory, so the files are decoded in the graph.
    read = splits.open_split(runs.make_config(**{**vars(config), "cache_mib": 0}), "train")
    told = {(*COLOURS[int(id >= 1000)], id) for id in (0, 1001, 1002, 40_000)}
    options = {"image_size": (24, 24), "batch_size": 2}
    for dataset in (
        build_dataset(kept, training=True, load_size=(41, 37), mirror=True, **options),
        build_dataset(read, training=True, resize=False, **options),
        build_dataset(read, training=False, **options),
    ):
        for batch in dataset.take(2):
            levels = (batch["input_image"].numpy().astype(np.float64) + 1) * [127.5, 127.5, 127.5, 32767.5]
            pixels = set(map(tuple, np.round(levels).astype(int).reshape(-1, 4)))
            assert len(pixels) > 2 and pixels <= told


@pytest.mark.slow
@pytest.mark.parametrize("model", ["run", "version"])
def test_instances_are_translated_or_left_out(model, request, tmp_path):
    model = request.getfixturevalue(model)
    translator, label_map, ids = Translator(model), draw_label_map(5), draw_ids(5)
    generator = load_generator(request.getfixturevalue("run"))[0]
    pictures = [
        np.concatenate([label_map / 127.5 - 1, each[..., None] / 32767.5 - 1], -1)[None].astype(np.float32)
        for each in (ids, (ids >= 1000).astype(int))
    ]
    with_ids, of_classes = (
        generator([tf.constant(picture), sample_seed(0)[None]])[0].numpy() for picture in pictures
    )
    assert np.abs(with_ids - of_classes).max() > 1e-4
    floats = label_map / np.float32(127.5) - 1
    np.testing.assert_allclose(translator(floats, instance_ids=ids), with_ids, atol=1e-5)
    np.testing.assert_allclose(translator(floats), of_classes, atol=1e-5)
    with pytest.raises(ValueError, match=r"`instance_ids` must be whole numbers .* \[32, 32\]"):
        translator(floats, instance_ids=ids[:9])
    runs.write_image(tmp_path / "in/a.png", label_map)
    runs.write_image(tmp_path / "maps/a.png", ids[..., None])
    command = ["translate", f"--model={model}", f"--input={tmp_path}/in", "--format=npy"]
    TRANSLATE([*command, f"--output={tmp_path}/with", f"--instances={tmp_path}/maps"])
    TRANSLATE([*command, f"--output={tmp_path}/without"])
    written = [np.load(tmp_path / name / "a.npy") for name in ("with", "without")]
    expected = [translator(label_map, instance_ids=ids), translator(label_map)]
    np.testing.assert_array_equal(written, expected)
    (tmp_path / "maps/a.png").unlink()
    with pytest.raises(UserError, match="1 of 1 image could not be translated"):
        TRANSLATE([*command, f"--output={tmp_path}/none", f"--instances={tmp_path}/maps"])


@pytest.mark.slow
def test_a_saved_model_takes_instances_as_a_second_input(run, version):
    label_map, ids, translator = draw_label_map(6), draw_ids(6), Translator(run)
    signatures = tf.saved_model.load(str(version)).signatures
    image, file = tf.constant(label_map[None]), tf.constant([tf.io.encode_png(label_map).numpy()])
    maps = tf.constant([tf.io.encode_png(ids[..., None]).numpy()])
    with_ids, without = translator(label_map, instance_ids=ids).astype(int), translator(label_map).astype(int)
    for answer, expected in (
        (signatures["uint8"](input_image=image), without),
        (
            signatures["uint8_instances"](input_image=image, instance_ids=tf.constant(ids[None], tf.int32)),
            with_ids,
        ),
    ):
        np.testing.assert_allclose(answer["generated_image"][0], expected, atol=1)
    seed = sample_seed(0)[None]
    for answer, expected in (
        (signatures["serving_default"](image_bytes=file), without),
        (
            signatures["serving_default_instances_seeded"](
                image_bytes=file, instance_bytes=maps, noise_seed=seed
            ),
            with_ids,
        ),
    ):
        served = np.asarray(Image.open(io.BytesIO(answer["image_bytes"][0].numpy())))
        np.testing.assert_allclose(served, expected, atol=1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="instance_ids must be from 0 to 65535"):
        signatures["uint8_instances"](input_image=image, instance_ids=tf.fill([1, 32, 32], -1))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"instance_bytes\[0\] has colours"):
        signatures["serving_default_instances"](image_bytes=file, instance_bytes=file)
    card = json.loads((version / "model_card.json").read_text())
    assert (
        card["meaning"]["input"]["instances"] and "borders of maps of instances" in card["input"]["instances"]
    )
    assert card["signatures"]["uint16_instances"]["inputs"]["instance_ids"]["dtype"] == "int32"


def test_evaluate_reads_the_maps_that_the_training_has_read(run, tmp_path):
    scores = evaluate_model(run, tmp_path, metrics=["l1"], gallery_size=0).results["l1"].scores
    generated = Translator(run)(draw_label_map(2) / 127.5 - 1, instance_ids=draw_ids(2))
    photo = np.asarray(Image.open(Path(read_config(run).data_dir) / "val/images/2.png"))
    assert scores["l1"] == pytest.approx(np.abs(generated - (photo / 127.5 - 1)).mean(), abs=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(not IS_KERAS_3, reason="Keras 3 writes these files")
@pytest.mark.parametrize("file_format", ["keras", "tflite", "onnx"])
def test_files_for_other_runtimes_make_the_borders(run, tmp_path, file_format):
    runtimes.skip_without(file_format)
    EXPORT(["export", f"--workdir={run}", f"--output={tmp_path}", f"--format={file_format}"])
    (written,) = (file for file in tmp_path.iterdir() if file.suffix != ".json")
    ids, generator = draw_ids(7)[..., None] / 32767.5 - 1, load_generator(run)[0]
    for instances in (ids, np.full_like(ids, -1)):
        picture = np.concatenate([draw_label_map(7) / 127.5 - 1, instances], -1)[None].astype(np.float32)
        seed = np.array([[3, 0]], np.int32)
        expected = generator([picture, seed], training=False).numpy()
        np.testing.assert_allclose(runtimes.run_file(written, picture, seed), expected, atol=1e-4)


def test_pix2pix_on_colours_with_the_borders_of_classes(tmp_path, capsys):
    data = write_dataset(tmp_path / "data", with_instances=False)
    command = runs.train_command(data, tmp_path / "run", steps=1)
    process = runs.call([*command, "--boundaries"])
    assert process.returncode == 0, process.stderr
    assert "no maps of instances, so --boundaries are those of classes" in process.stderr
    generator = load_generator(tmp_path / "run")[0]
    kernels = {variable_path(variable): variable.shape for variable in generator.trainable_variables}
    assert kernels["encoder_1_conv/kernel"] == (4, 4, 3 + 1, 2)
    assert not read_meaning(tmp_path / "run").input.instances


def test_instances_of_side_by_side_files_and_of_cityscapes(tmp_path):
    pair = np.concatenate([np.full((32, 32, 3), 200, np.uint8), draw_label_map(0)], 1)
    runs.write_image(tmp_path / "pairs/train/0.png", pair)
    runs.write_image(tmp_path / "pairs/train/instances/0.png", draw_ids(0)[..., None])
    runs.write_image(tmp_path / "pairs/val/0.png", pair)
    (tmp_path / "pairs/palette.json").write_text(json.dumps(PALETTE))
    source = splits.open_split(config_of(tmp_path / "pairs", direction="BtoA"), "train")
    np.testing.assert_array_equal(source.read(tf.constant(0, tf.int64))[2][..., 0], draw_ids(0))
    city = tmp_path / "city/gtFine/train/ulm/ulm_0_gtFine"
    runs.write_image(tmp_path / "city/leftImg8bit/train/ulm/ulm_0_leftImg8bit.png", pair[:, :32])
    runs.write_image(city.with_name("ulm_0_gtFine_color.png"), draw_label_map(1))
    runs.write_image(city.with_name("ulm_0_gtFine_instanceIds.png"), draw_ids(1)[..., None])
    config = config_of(tmp_path / "city", dataset="cityscapes")
    images = splits.open_split(config, "train").read(tf.constant(0, tf.int64))
    np.testing.assert_array_equal(images[0], draw_label_map(1))
    np.testing.assert_array_equal(images[2][..., 0], draw_ids(1))


def test_generated_facades_have_exact_instances():
    pair = draw_pair(0, 3, (64, 64))
    ids = pair.instance_ids
    for number in np.unique(ids):
        assert len(np.unique(pair.class_ids[ids == number])) == 1
    windows = np.unique(ids[pair.class_ids == 2])
    assert len(windows) > 3
    for number in windows:  # of which one is a box or an arch, perhaps with a blind before it
        rows, columns = np.nonzero(ids == number)
        assert np.ptp(rows) < 32 and np.ptp(columns) < 32
    assert len(np.unique(ids[pair.class_ids == 0])) == len(np.unique(ids[pair.class_ids == 1])) == 1
    source = splits.open_split(runs.make_config(dataset="synthetic", image_size=64, boundaries=True), "val")
    images = source.read(tf.constant(0, tf.int64))
    assert source.has_instances and images[2].dtype == tf.uint16 and images[2].shape == (64, 64, 1)


def test_what_cannot_be_used_is_refused(run, tmp_path):
    data = write_dataset(tmp_path / "data")
    with pytest.raises(UsageError, match="`boundaries` takes label maps .*the input images of tiny hold"):
        train_and_evaluate(config_of(data, direction="BtoA"), tmp_path / "run")
    with pytest.raises(UsageError, match="`boundaries` takes .*Received: `input_channels=1`"):
        config_of(data, input_channels=1)
    with pytest.raises(UsageError, match="`boundaries` is for `task=pairs`"):
        runs.make_config(dataset="synthetic", task="inpaint", boundaries=True)
    ids = data / "train/instances/1.png"
    for pixels, reason in (
        (draw_label_map(1), r"1.png has 3 channels of uint8: a map of instances has one"),
        (draw_ids(1)[:9, :, None], r"1.png is 32x9 and its label map is 32x32"),
    ):
        runs.write_image(ids, pixels)
        with pytest.raises(BadImageError, match=reason):
            splits.open_split(config_of(data), "train")
    ids.unlink()
    with pytest.raises(UserError, match="instances has no map of instances for 1 pairs: 1. Add them"):
        splits.open_split(config_of(data), "train")


def test_a_run_does_not_go_on_without_its_maps(run):
    config = read_config(run)
    maps = Path(config.data_dir) / "train/instances"
    maps.rename(maps.with_name("away"))
    try:
        with pytest.raises(UsageError, match=r"\(maps of instances\) when it began"):
            train_and_evaluate(config, run)
    finally:
        maps.with_name("away").rename(maps)
    assert train_and_evaluate(config, run).step == 1
