"""What each task makes of a photo, by hand, and where holes are."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.config.config import make_config
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files import generated, sources
from tfpix2pix.pipelines.tasks import holes, tasks
from tfpix2pix.run.splits import make_task

SEED = tf.constant([0, 0], tf.int64)


def _photo(*colours: tuple[int, int, int]) -> tf.Tensor:
    """Returns one row of pixels, float32 [1, W, 3] in [-1, 1]."""
    return tf.constant([colours], tf.float32) / 127.5 - 1


def test_colorize_takes_lightness_apart_from_colour():
    photo = _photo((255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 0, 255))
    example = tasks.Colorize().make_example((photo,), SEED)
    # Lab of red is (53.24, 80.09, 67.20), of blue (32.30, 79.19, -107.86).
    np.testing.assert_allclose(example["input_image"][0, :, 0], [1, -1, 0.0648, -0.354], atol=1e-3)
    expected = [[0, 0], [0, 0], [0.7281, 0.6109], [0.7199, -0.9805]]
    np.testing.assert_allclose(example["target_image"][0], expected, atol=1e-3)


def test_colorize_gives_the_photo_back_where_the_colours_are_right():
    photo = tf.random.stateless_uniform([2, 9, 7, 3], [1, 2], -1, 1)
    task = tasks.Colorize()
    example = task.make_example((photo,), SEED)
    np.testing.assert_allclose(task.complete(example, example["target_image"]), photo, atol=5e-3)
    gray = task.show_input(example).numpy()
    assert np.ptp(gray, axis=-1).max() < 2e-3
    # What a person gives may be in colour or gray: only its lightness counts.
    for picture in (photo, gray):
        np.testing.assert_allclose(
            task.read_picture(picture)["input_image"], example["input_image"], atol=2e-3
        )


def test_the_centre_hole_is_half_as_high_and_wide():
    mask = holes.center_mask((4, 7)).numpy()[..., 0]
    np.testing.assert_array_equal(mask, [[0] * 7, [0, 0, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 0, 0], [0] * 7])
    assert holes.center_mask(tf.constant([256, 256])).numpy().sum() == 128 * 128


def test_inpaint_cuts_the_hole_out_and_pastes_the_known_pixels_back():
    photo = tf.random.stateless_uniform([8, 8, 3], [1, 2], 0.1, 1)
    task = tasks.Inpaint()
    example = task.make_example((photo,), SEED)
    assert example["input_image"].shape == (8, 8, 3)
    np.testing.assert_array_equal(example["target_image"], photo)
    hole = np.zeros((8, 8), bool)
    hole[2:6, 2:6] = True
    np.testing.assert_array_equal(example["mask"][..., 0], hole)
    np.testing.assert_array_equal(example["input_image"].numpy()[hole], 0)
    np.testing.assert_array_equal(example["input_image"].numpy()[~hole], photo.numpy()[~hole])
    completed = task.complete(example, -tf.ones_like(photo)).numpy()
    np.testing.assert_array_equal(completed[hole], -1)
    np.testing.assert_array_equal(completed[~hole], photo.numpy()[~hole])


def test_random_holes_come_with_the_mask_as_a_fourth_channel():
    photo = tf.random.stateless_uniform([32, 48, 3], [1, 2], 0.1, 1)
    task = tasks.Inpaint("random")
    shares = []
    for place in range(20):
        example = task.make_example((photo,), tf.constant([place, 7], tf.int64))
        again = task.make_example((photo,), tf.constant([place, 7], tf.int64))
        mask = example["mask"].numpy()[..., 0]
        np.testing.assert_array_equal(mask, again["mask"][..., 0])
        np.testing.assert_array_equal(example["input_image"][..., 3], np.where(mask, -1, 1))
        np.testing.assert_array_equal(example["input_image"].numpy()[..., :3][mask > 0], 0)
        shares.append(mask.mean())
    assert len(set(shares)) > 15
    # One hole at least of an eighth by an eighth, three at most of 3/8 by 3/8.
    assert min(shares) >= 1 / 64 and max(shares) <= 3 * 9 / 64


@pytest.mark.parametrize("hole", ["center", "random"])
def test_what_is_transparent_is_the_hole(hole):
    picture = np.full((3, 5, 4), 0.5, np.float32)
    picture[..., 3] = [[1, -1, 1, 0, 1]]  # in part transparent is known
    example = tasks.Inpaint(hole).read_picture(tf.constant(picture))
    np.testing.assert_array_equal(example["mask"][0, :, 0], [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(example["input_image"][0, :, 0], [0.5, 0, 0.5, 0.5, 0.5])
    if hole == "random":
        np.testing.assert_array_equal(example["input_image"][0, :, 3], [1, -1, 1, 1, 1])


@pytest.mark.parametrize(
    "settings",
    [{}, {"task": "colorize"}, {"task": "inpaint"}, {"task": "inpaint", "hole": "random"}, {"task": "edges"}],
)
def test_a_task_has_the_channels_of_its_configuration(settings):
    config = make_config(dataset="mine", **settings)
    task = make_task(config)
    assert (task.name, task.channels) == (config.task, (config.input_channels, config.output_channels))


def _source(task: tasks.Task) -> sources.Source:
    return generated.open_synthetic("train", "AtoB", 3, (32, 48), task=task)


def test_holes_move_in_training_and_stay_in_evaluation():
    source = _source(tasks.Inpaint("random"))

    def masks(**options) -> list[bytes]:
        dataset = build_dataset(source, image_size=(32, 48), batch_size=1, **options)
        batches = itertools.islice(dataset.as_numpy_iterator(), 9)
        return [batch["mask"].tobytes() for batch in batches]

    training = masks(training=True, seed=4)
    assert len(set(training)) == 9
    assert masks(training=True, seed=4, start_step=3)[:6] == training[3:]
    assert masks(training=True, seed=5) != training
    evaluation = masks(training=False, seed=4)
    assert len(set(evaluation)) == 3 and masks(training=False, seed=5) == evaluation


def test_photos_are_jittered_and_mirrored_before_they_are_taken_apart():
    source = _source(tasks.Colorize())
    options = {"image_size": (32, 48), "load_size": (36, 54), "mirror": True, "training": True}
    dataset = build_dataset(source, batch_size=2, **options)
    assert dataset.element_spec["input_image"] == tf.TensorSpec([2, 32, 48, 1], tf.float32)
    assert dataset.element_spec["target_image"] == tf.TensorSpec([2, 32, 48, 2], tf.float32)
    batches = list(itertools.islice(dataset, 6))
    for batch in batches:
        picture = source.task.complete(batch, batch["target_image"])
        # Lightness and colour of the same view: together they are a photo's colours again.
        np.testing.assert_allclose(
            source.task.read_picture(picture)["input_image"], batch["input_image"], atol=0.02
        )
    assert len({batch["input_image"].numpy().tobytes() for batch in batches}) == 6
