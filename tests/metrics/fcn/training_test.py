"""Training FCN-8s through its command: what it learns, writes, refuses, and goes on from bit for bit."""

import dataclasses
import json
import shlex
import shutil
import signal
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import runs
from tests.helpers.tiny_run import write_run
from tfpix2pix.metrics.fcn.__main__ import suggest_use
from tfpix2pix.metrics.fcn.config import from_json, make_config
from tfpix2pix.metrics.fcn.network import build_network
from tfpix2pix.metrics.fcn.segmenter import KerasSegmenter, load_segmenter
from tfpix2pix.metrics.fcn.step import balance_classes, cross_entropy
from tfpix2pix.metrics.fcn.training import config_palette, open_split, train_fcn
from tfpix2pix.metrics.fcn.validation import find_classes
from tfpix2pix.networks.variables import model_variables
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.batches import example_indices
from tfpix2pix.pipelines.files import sources
from tfpix2pix.pipelines.labels.palettes import Palette
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import write_config
from tfpix2pix.run.lock import lock

PALETTE = {"ground": [0, 160, 0], "sky": [90, 90, 255], "car": [255, 0, 0], "void": [[0, 0, 0]]}
SETTINGS = {
    "dataset": "scenes",
    "image_size": 32,
    "width": 1 / 64,
    "batch_size": 2,
    "summary_every_steps": 5,
    "validate_every_steps": 20,
    "checkpoint_every_steps": 7,
}
LEARNED = {"steps": 60, "learning_rate": 5e-3}


def _draw_scene(draw):
    """A photo of sky, ground and a car, and its label map with a void frame at the bottom."""
    labels = np.zeros((40, 40), np.uint8)
    horizon = draw.integers(12, 28)
    labels[:horizon] = 1
    left = draw.integers(0, 28)
    labels[horizon - 6 : horizon + 6, left : left + 12] = 2
    shades = np.array([[90, 120, 60], [170, 190, 240], [120, 40, 50]], float)
    photo = shades[labels] + draw.normal(0, 20, (40, 40, 3))
    labels[38:] = 3
    colours = np.array([*list(PALETTE.values())[:3], [0, 0, 0]], np.uint8)
    return photo.clip(0, 255).astype(np.uint8), colours[labels]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("fcn"), np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 2)):
        for kind in ("photos", "labels"):
            (folder / "scenes" / split / kind).mkdir(parents=True)
        for number in range(count):
            for kind, pixels in zip(("photos", "labels"), _draw_scene(draw), strict=True):
                Image.fromarray(pixels).save(folder / "scenes" / split / kind / f"{number}.png")
    (folder / "palette.json").write_text(json.dumps(PALETTE))
    return folder


def _config(data_dir, **settings):
    return make_config(
        **{**SETTINGS, "data_dir": str(data_dir), "palette": str(data_dir / "palette.json"), **settings}
    )


def _command(data_dir, workdir, **settings):
    values = {
        **SETTINGS,
        "data_dir": data_dir,
        "palette": data_dir / "palette.json",
        "workdir": workdir,
        **settings,
    }
    options = [f"--{name}={value}" for name, value in values.items()]
    return [sys.executable, "-m", "tfpix2pix.metrics.fcn", *options]


@pytest.fixture(scope="module")
def learned(data_dir, tmp_path_factory):
    """A run by the command, never interrupted; and how it ended."""
    workdir = tmp_path_factory.mktemp("learned") / "a run"
    process = runs.call(_command(data_dir, workdir, **LEARNED))
    assert process.returncode == 0, process.stderr
    result = train_fcn(_config(data_dir, **LEARNED), workdir)
    start = f"done: 60 steps in {workdir}; best, at step {result.best_step}: pixel_accuracy 0."
    done, look, score = process.stdout.splitlines()[-3:]
    assert done.startswith(start)
    assert look.endswith(f" --logdir='{workdir}/tensorboard'") and score.endswith(f" --segmenter='{workdir}'")
    return workdir, result


def test_the_command_that_it_suggests_is_for_the_same_pairs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"pairs": "mine.csv", "image_size": 96, "val_percent": 20, "exif": False, "seed": 3}
    config = make_config(dataset="mine", **given, palette="classes.json")
    kind, *words = shlex.split(suggest_use(config, Path("fcn")))
    assert kind == "train:"
    assert {"--pairs=mine.csv", "--image_size=96x96", "--val_percent=20", "--exif=false"} < set(words)
    assert {"--direction=BtoA", "--seed=3", "--segmenter=fcn"} < set(words)
    small = suggest_use(dataclasses.replace(config, image_size=(16, 16)), Path("fcn"))
    assert "--pairs=mine.csv" in small and "--image_size=256x256" in small
    write_run(Path("runs/mine"))
    assert suggest_use(config, Path("fcn")).endswith(
        "--model=runs/mine --segmenter=fcn --palette=classes.json"
    )


@pytest.mark.slow
def test_it_learns(learned):
    _, result = learned
    assert result.step == 60 and result.best_step in (20, 40, 60)
    assert result.scores["pixel_accuracy"] > 0.8 and result.scores["class_iou"] > 0.5


@pytest.mark.slow
def test_metrics_hold_losses_scores_and_each_class(learned):
    workdir, result = learned
    lines = runs.read_metrics(workdir)
    losses = [line for line in lines if "training/loss" in line]
    assert [line["step"] for line in losses] == list(range(5, 61, 5))
    assert losses[0]["training/epoch"] == 5 * 2 / 8
    assert losses[-1]["training/loss"] < 0.7 * losses[0]["training/loss"]
    assert losses[0]["training/learning_rate"] == pytest.approx(5e-3)
    assert losses[-1]["training/learning_rate"] < 1e-3  # linear decay
    best = next(line for line in lines if line["step"] == result.best_step and "validation/class_iou" in line)
    assert best["validation/class_iou"] == result.scores["class_iou"]
    ious = [line for line in lines if "iou/car" in line]
    assert len(ious) == 3 and set(ious[0]) == {"step", "iou/ground", "iou/sky", "iou/car"}


def test_the_picture_shows_photo_prediction_and_truth(learned):
    sheet = np.array(Image.open(learned[0] / "samples" / "step-00000060-pictures.png"))
    assert sheet.shape == (20 + 2 * 36 + 4, 3 * 36 + 4, 3)
    truth = sheet[24:56, 76:108].reshape(-1, 3)
    assert {tuple(colour) for colour in truth} == {(0, 160, 0), (90, 90, 255), (255, 0, 0), (0, 0, 0)}


def test_a_segmenter_opens_the_best_checkpoint(learned, data_dir):
    workdir, result = learned
    segmenter = load_segmenter(workdir)
    assert segmenter.num_classes == 3 and segmenter.palette.names == ("ground", "sky", "car")
    assert segmenter.title == f"FCN-8s {workdir.name}, step {result.best_step}"
    photo, colours = _draw_scene(np.random.default_rng(9))
    ids = segmenter(photo[None] / 127.5 - 1)[0].numpy()
    assert ids.shape == (40, 40) and ids.dtype == np.uint8
    truth = (colours[..., 2] > 99) + 2 * (colours[..., 0] > 99)
    assert (ids == truth)[:38].mean() > 0.75


def test_a_segmenter_without_a_best_checkpoint_opens_the_latest(data_dir, tmp_path):
    network = build_network(_config(data_dir), 3)
    state = {"step": tf.Variable(4, dtype=tf.int64), **model_variables("fcn", network)}
    source = sources.from_arrays(*[np.zeros((1, 32, 32, 3), np.uint8)] * 2)
    write_config(tmp_path, _config(data_dir), source)
    (tmp_path / "palette.json").write_text(json.dumps(PALETTE))
    with pytest.raises(UsageError, match="holds no checkpoint"):
        load_segmenter(tmp_path)
    checkpoints.save(tmp_path, state, {"best": None})
    assert load_segmenter(tmp_path).title.endswith("step 4")


def test_a_finished_run_says_so_and_keeps_its_scores(learned, data_dir, capsys):
    workdir, result = learned
    again = train_fcn(_config(data_dir, **LEARNED), workdir)
    assert again == result
    assert "is finished: 60 steps are done, 60 asked for" in capsys.readouterr().err


def test_a_changed_setting_is_refused(learned, data_dir):
    with pytest.raises(UsageError, match="other settings: `learning_rate` was 0.005, is 0.1"):
        train_fcn(_config(data_dir, steps=60, learning_rate=0.1), learned[0])


def test_more_steps_are_refused_where_the_schedule_depends_on_them(learned, data_dir):
    with pytest.raises(UsageError, match="`steps` was 60, is 80"):
        train_fcn(_config(data_dir, steps=80, learning_rate=5e-3), learned[0])


def test_changed_classes_are_refused(learned, data_dir, tmp_path):
    file = data_dir / "palette.json"
    file.write_text(json.dumps(dict(reversed(PALETTE.items()))))
    try:
        with pytest.raises(UsageError, match="were colours of classes .* Bring palette.json"):
            train_fcn(_config(data_dir, **LEARNED), learned[0])
    finally:
        file.write_text(json.dumps(PALETTE))


def test_a_dataset_of_unknown_classes_asks_for_them(data_dir, tmp_path):
    config = make_config(dataset="scenes", data_dir=str(data_dir))
    with pytest.raises(UsageError, match="the classes of scenes are not known; give `palette=FILE`"):
        train_fcn(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_label_maps_of_ids_need_no_flag_beside_palette_json(data_dir, tmp_path):
    for kind in ("photos", "labels"):
        (tmp_path / "mine" / "val" / kind).mkdir(parents=True)
    ids = np.array([[0, 1], [2, 255]], np.uint8)
    Image.fromarray(ids).save(tmp_path / "mine" / "val" / "labels" / "1.png")
    Image.new("RGB", (2, 2)).save(tmp_path / "mine" / "val" / "photos" / "1.png")
    (tmp_path / "mine" / "palette.json").write_text(json.dumps(PALETTE))
    config = make_config(dataset="mine", data_dir=str(tmp_path))
    palette = config_palette(config)
    source = open_split(config, "val", palette)
    np.testing.assert_array_equal(source.read(tf.constant(0, tf.int64))[1], ids)


def test_classes_stand_beside_a_list_of_pairs_too(tmp_path):
    (tmp_path / "palette.json").write_text(json.dumps(PALETTE))
    (tmp_path / "pairs.csv").write_text("input,target,split\na.png,b.png,train\n")
    config = make_config(dataset="mine", pairs=str(tmp_path / "pairs.csv"))
    assert config_palette(config).names == ("ground", "sky", "car")


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run(data_dir, tmp_path):
    with pytest.raises(UserError, match=r"a loss is not finite in step \d+: .*examples: \d, \d; there is"):
        train_fcn(_config(data_dir, steps=9, learning_rate=1e30), tmp_path)


@pytest.mark.slow
def test_a_run_that_a_bad_file_ended_saves_first_and_goes_on_to_the_same_weights(data_dir, learned, tmp_path):
    shutil.copytree(data_dir, tmp_path / "data")
    # Of an epoch of four steps, the file that comes last.
    index = example_indices(3, seed=0, num_examples=8, global_batch_size=2)[0]
    bad = tmp_path / "data" / "scenes" / "train" / "photos" / f"{index}.png"
    contents = bad.read_bytes()
    bad.write_bytes(contents[:900])  # the header is whole
    config = _config(tmp_path / "data", **LEARNED, cache_mib=0)
    with pytest.raises(UserError, match=f"{bad} .*; the checkpoint of step 3 is intact. Put a good image"):
        train_fcn(config, tmp_path / "run")
    bad.write_bytes(contents)
    train_fcn(config, tmp_path / "run")
    runs.assert_same_state(runs.read_state(tmp_path / "run", 60), runs.read_state(learned[0], 60))


def _reached(workdir, step):
    return any(line["step"] >= step for line in runs.read_metrics(workdir))


@pytest.mark.slow
def test_killed_then_stopped_it_ends_as_the_one_that_was_left_alone(data_dir, learned, tmp_path):
    command = _command(data_dir, tmp_path, **LEARNED)
    process = runs.start(command)
    runs.wait_until(lambda: _reached(tmp_path, 10), process)
    process.kill()
    process.communicate()
    process = runs.start(command)
    runs.wait_until(lambda: _reached(tmp_path, 25), process)
    process.send_signal(signal.SIGTERM)
    reason = process.communicate(timeout=runs.TIMEOUT_SEC)[1].strip().splitlines()[-1]
    assert process.returncode == 143
    assert reason.startswith("stopped by SIGTERM at step ")
    finished = runs.call(command)
    assert finished.returncode == 0, finished.stderr
    assert "going on from step" in finished.stderr
    runs.assert_same_state(runs.read_state(tmp_path, 60), runs.read_state(learned[0], 60))
    assert runs.read_metrics(tmp_path) == runs.read_metrics(learned[0])


def test_a_validation_counts_every_pixel_once_and_shows_examples_from_all_over():
    levels = np.arange(9, dtype=np.uint8)
    photos = np.broadcast_to((levels * 20)[:, None, None, None], (9, 32, 32, 3)).copy()
    ids = np.broadcast_to(levels[:, None, None] % 4, (9, 32, 32)).copy()  # 3 is void
    read = tf.constant(photos), tf.constant(ids)
    source = sources.Source(tuple(map(str, levels)), lambda index: (read[0][index], read[1][index]))
    images = keras.Input((None, None, 3))
    always_sky = keras.layers.Conv2D(3, 1)
    network = keras.Model(images, always_sky(images))
    always_sky.set_weights([np.zeros((1, 1, 3, 3)), np.array([0, 1, 0])])
    palette = Palette(("a", "sky", "c"), np.eye(3, dtype=np.uint8), np.array([[9, 9, 9]], np.uint8))
    config = make_config(image_size=32, batch_size=2)
    confusion, sheet = find_classes(KerasSegmenter(network, "sky"), source, palette, config)
    # Photos 0, 4, 8 are of class a, 1, 5 sky, 2, 6 of c.
    np.testing.assert_array_equal(confusion / 1024, [[0, 3, 0, 0], [0, 2, 0, 0], [0, 2, 0, 0]])
    assert sheet.shape == (20 + 4 * 36 + 4, 3 * 36 + 4, 3)
    np.testing.assert_array_equal(sheet[30::36, 10, 0], [0, 40, 80, 120])


def test_two_at_once_are_refused(data_dir, tmp_path):
    with lock(tmp_path), pytest.raises(UserError, match="is in use by process"):
        train_fcn(_config(data_dir, steps=1), tmp_path)


def test_the_loss_is_the_mean_over_pixels_that_have_a_class():
    logits = np.zeros((1, 2, 2, 2), np.float32)
    logits[0, 0, 0] = [np.log(3), 0]  # probabilities 3/4, 1/4
    ids = np.array([[[0, 1], [255, 2]]], np.uint8)
    loss = cross_entropy(ids, logits, tf.ones([2]))
    np.testing.assert_allclose(loss, (np.log(4 / 3) + np.log(2)) / 2, rtol=1e-6)
    weighted = cross_entropy(ids, logits, tf.constant([1.0, 10.0]))
    np.testing.assert_allclose(weighted, (np.log(4 / 3) + 10 * np.log(2)) / 2, rtol=1e-6)
    assert cross_entropy(np.full_like(ids, 255), logits, tf.ones([2])) == 0


def test_rare_classes_weigh_more():
    ids = np.array([[[0, 0], [0, 1]], [[0, 0], [0, 255]]], np.uint8)
    source = sources.Source(("a", "b"), lambda index: (None, tf.constant(ids)[index]))
    # Frequencies: class 0 6/7, class 1 1/4 of the one image that has it; class 2 is absent.
    median = (6 / 7 + 1 / 4) / 2
    weights = balance_classes(source, 3)
    np.testing.assert_allclose(weights, [median / (6 / 7), median / (1 / 4), 0])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"lr": 1}, "no such setting: lr"),
        ({"image_size": "0"}, "`image_size` takes N or HxW"),
        ({"width": 0.0}, "`width` must be at least 0.01. Received: 0.0"),
        (
            {"vgg_weights": "imagenet", "width": 0.5},
            "`vgg_weights` goes with `width=1`. Received: `width=0.5`",
        ),
        ({"load_size": 20, "image_size": 30}, "`load_size` must not be smaller than `image_size`, 30x30"),
        ({"jitter": False, "load_size": 300}, "`load_size` has no effect without `jitter`"),
        ({"dataset": "a/b"}, "`dataset` is a name, not a path"),
        ({"precision": "mixed_float16"}, "`precision` must be one of float32, mixed_bfloat16"),
        ({"seed": 2**32}, "`seed` must be below"),
        ({"steps": 1.5}, "`steps` must be of type int. Received: 1.5"),
    ],
)
def test_settings_that_cannot_work_are_named(settings, reason):
    with pytest.raises(UsageError, match=reason):
        make_config(**settings)


def test_settings_follow_from_others():
    assert make_config(image_size=128).load_size == (143, 143)
    scratch, pretrained = make_config(), make_config(vgg_weights="imagenet")
    assert (scratch.width, scratch.learning_rate, scratch.normalization) == (0.25, 1e-3, "group")
    assert (pretrained.width, pretrained.learning_rate, pretrained.normalization) == (1, 1e-4, "none")
    for config in (scratch, pretrained, make_config(jitter=False)):
        assert from_json(config.to_json()) == config


def test_help_and_mistakes(tmp_path):
    shown = runs.call([sys.executable, "-m", "tfpix2pix.metrics.fcn", "--help"])
    assert shown.returncode == 0 and "--vgg_weights" in shown.stdout
    assert "Default: 0.25; 1 with --vgg_weights." in " ".join(shown.stdout.split())
    mistaken = runs.call([sys.executable, "-m", "tfpix2pix.metrics.fcn", "--width=x"])
    assert mistaken.returncode == 2 and "--width" in runs.last_line(mistaken)
