"""The size at which pictures go through a network, for each task, against evaluation's own resizing."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.tiny_run import build_generator
from tfpix2pix.networks.inference import compile_generator
from tfpix2pix.networks.scale import (
    Scale,
    check_output_size,
    choose_scale,
    scale_from_json,
    translate_pictures,
)
from tfpix2pix.networks.tiles import generate_in_tiles
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files.sources import from_arrays
from tfpix2pix.pipelines.tasks import tasks
from tfpix2pix.pipelines.tasks.transforms import resize, to_unit_range

SIZE = (32, 40)
RESIZED = Scale("resized", SIZE)


def draw(*shape: int) -> np.ndarray:
    """Draws pixels that are alike within blocks of 4 px, as those of a label map."""
    blocks = np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)
    return blocks.repeat(4, -3).repeat(4, -2)


def seeds(count: int = 1) -> tf.Tensor:
    return tf.constant([[7, 0]] * count)


def network(task: tasks.Task):
    channels = {"input_channels": task.channels[0], "output_channels": task.channels[1]}
    return compile_generator(build_generator(**channels))


def translate(task, generate, scale, picture, output_size="input") -> np.ndarray:
    function = tf.function(translate_pictures(task, generate, scale, output_size), autograph=False)
    return function(to_unit_range(picture), seeds(len(picture))).numpy()


def test_the_network_sees_what_it_sees_in_evaluation():
    generate, images = network(tasks.Task()), draw(1, 50, 73, 3)
    (batch,) = build_dataset(from_arrays(images, images), image_size=SIZE, batch_size=1, training=False)
    expected = generate(batch["input_image"], seeds())
    found = translate(tasks.Task(), generate, RESIZED, images, "trained")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    enlarged = translate(tasks.Task(), generate, RESIZED, images)
    assert enlarged.shape == images.shape
    np.testing.assert_allclose(enlarged, resize(expected, images.shape[1:3]), atol=1e-5)
    assert np.abs(enlarged - translate(tasks.Task(), generate, Scale(), images)).max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("task", [tasks.Task(), tasks.Colorize(), tasks.Inpaint(), tasks.Inpaint("random")])
@pytest.mark.parametrize("output_size", ["input", "trained"])
def test_a_picture_of_the_trained_size_gives_the_same_bits(task, output_size):
    generate, picture = network(task), draw(2, 8, 10, task.picture_channels[0])
    picture[..., 3:] = np.where(picture[..., 3:] < 128, 0, 255)
    native = translate(task, generate, Scale(), picture)
    np.testing.assert_array_equal(translate(task, generate, RESIZED, picture, output_size), native)
    assert native.std() > 0.1


def test_colours_join_the_lightness_of_every_pixel():
    photo = np.random.default_rng(0).integers(0, 256, (1, 99, 60, 3), np.uint8)
    task = tasks.Colorize()
    coloured = translate(task, network(task), RESIZED, photo)
    assert coloured.shape == photo.shape
    lightness = [task.read_picture(image)["input_image"] for image in (coloured, to_unit_range(photo))]
    # A colour that the screen does not have is clipped, which changes its lightness a little.
    assert np.median(np.abs(lightness[0] - lightness[1])) < 1e-3


@pytest.mark.parametrize("size", [(64, 80), (67, 93), (20, 31)])
def test_known_pixels_stay_and_hidden_colours_do_not_reach_the_network(size):
    task, generate = tasks.Inpaint("random"), network(tasks.Inpaint("random"))
    draws = np.random.default_rng(1)
    picture = draws.integers(0, 256, (1, *size, 4), np.uint8)
    picture[..., 3] = 255
    hole = np.zeros(size, bool)
    hole[5:14, 7:19] = True
    picture[0, hole, 3] = 0
    first = translate(task, generate, RESIZED, picture)
    picture[0, hole, :3] = draws.integers(0, 256, (hole.sum(), 3))
    np.testing.assert_array_equal(translate(task, generate, RESIZED, picture), first)
    np.testing.assert_array_equal(first[0, ~hole], to_unit_range(picture).numpy()[0, ~hole, :3])
    assert first[0, hole].std() > 0


def test_a_pixel_that_is_partly_hole_is_hole():
    picture = np.full((1, 4, 8, 4), 1.0, np.float32)
    picture[0, :, 3, 3] = -1
    picture[0, :, 3, :3] = 0.9
    picture[0, :, :3, :3] = 0.25
    picture[0, :, 4:, :3] = -0.5
    resized = tasks.Inpaint().resize_picture(tf.constant(picture), (2, 4)).numpy()
    assert resized[0, :, :, 3].tolist() == [[1, -1, 1, 1]] * 2
    np.testing.assert_allclose(
        resized[0, :, [0, 2, 3], :3],
        np.tile([[[0.25]], [[-0.5]], [[-0.5]]], (1, 2, 3)),
        atol=1e-6,
    )
    # Three columns of 8 / 3 px: the middle one holds the hole and what is beside it.
    resized = tasks.Inpaint().resize_picture(tf.constant(picture), (4, 3)).numpy()
    assert resized[0, :, :, 3].tolist() == [[1, -1, 1]] * 4


def test_tiles_of_the_trained_size():
    generate, picture = network(tasks.Task()), draw(1, 12, 25, 3)
    found = translate(tasks.Task(), generate, Scale("tiled", (32, 32)), picture)
    expected = generate_in_tiles(generate, (32, 32))(to_unit_range(picture), seeds())
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_scale_is_written_and_read():
    for scale in (RESIZED, Scale(), Scale("tiled", (3, 4))):
        assert scale_from_json(scale.to_json()) == scale
    assert RESIZED.to_json() == {"image_size": [32, 40], "mode": "resized"}
    wrong = [None, {}, {"mode": "resized"}, {"mode": "half", "image_size": None}]
    wrong += [{"mode": "native", "image_size": [1, 2]}, {"mode": "resized", "image_size": 3}]
    for written in wrong:
        with pytest.raises(ValueError, match="no such scale"):
            scale_from_json(written)


def test_what_a_person_asks_for():
    assert choose_scale(None, RESIZED) == RESIZED
    assert choose_scale("native", RESIZED) == Scale()
    for size in (48, "48", "48x48", (48, 48)):
        assert choose_scale(size, Scale()) == Scale("resized", (48, 48))
    with pytest.raises(UsageError, match="image_size"):
        choose_scale("large", RESIZED)


def test_a_size_of_outputs_goes_with_the_scale():
    check_output_size(RESIZED, "trained")
    with pytest.raises(UsageError, match=r"`output_size` must be one of input, trained\. Received: half"):
        check_output_size(RESIZED, "half")
    for scale in (Scale(), Scale("tiled", (3, 4))):
        with pytest.raises(UsageError, match="these keep their size"):
            check_output_size(scale, "trained")
