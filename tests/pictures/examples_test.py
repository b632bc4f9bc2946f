"""What a person sees of tensors, with colours worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.pictures.examples import show_examples, show_image
from tfpix2pix.pictures.sheets import PATCH_LEGEND, contact_sheet
from tfpix2pix.pipelines.tasks.tasks import Task, make_task


@pytest.mark.parametrize(
    ("channels", "colour"),
    [
        ([0.2], [153, 153, 153]),
        ([1.0, -1.0], [255, 0, 0]),
        ([-1.0, 0.2, 1.0], [0, 153, 255]),
        ([-1.0, 0.2, 1.0, 0.5, 0.5], [0, 153, 255]),
    ],
)
def test_any_number_of_channels_has_a_colour(channels, colour):
    picture = show_image(np.full((2, 3, len(channels)), channels, np.float32))
    assert picture.dtype == np.uint8 and picture.shape == (2, 3, 3)
    assert (picture == colour).all()


def test_a_pair_and_what_was_generated():
    batch = {"input_image": tf.fill([1, 2, 2, 1], -1.0), "target_image": tf.fill([1, 2, 2, 3], 1.0)}
    shown = show_examples(Task(), batch, tf.fill([1, 2, 2, 3], 0.2))
    assert [picture.shape for picture in shown] == [(1, 2, 2, 3)] * 3
    assert shown.input[0, 0, 0].tolist() == [0] * 3
    assert shown.generated[0, 0, 0].tolist() == [153] * 3
    assert shown.target[0, 0, 0].tolist() == [255] * 3


def test_inpainting_keeps_what_is_known():
    batch = {
        "input_image": tf.constant([[[[-1.0] * 3, [0.0] * 3]]]),
        "target_image": tf.constant([[[[-1.0] * 3, [1.0] * 3]]]),
        "mask": tf.constant([[[[0.0], [1.0]]]]),
    }
    shown = show_examples(make_task("inpaint"), batch, tf.fill([1, 1, 2, 3], 0.2))
    grays = {kind: pictures[0, 0, :, 0].tolist() for kind, pictures in shown._asdict().items()}
    assert grays == {"input": [0, 128], "generated": [0, 153], "target": [0, 255]}


def test_colouring_shows_the_lightness_and_keeps_it():
    # White, whatever its colour; in Lab 100, 0, 0.
    batch = {"input_image": tf.ones([1, 1, 1, 1]), "target_image": tf.zeros([1, 1, 1, 2])}
    shown = show_examples(make_task("colorize"), batch, tf.zeros([1, 1, 1, 2]))
    assert all((picture == 255).all() for picture in shown)
    batch["input_image"] = tf.zeros([1, 1, 1, 1])
    gray = show_examples(make_task("colorize"), batch, batch["target_image"])
    assert gray.input.tolist() == [[[[119, 119, 119]]]]  # L = 50


def test_a_sheet_takes_pictures_and_images_alike():
    images = [np.full((2, 3, 4, 1), value, np.float32) for value in (-1.0, 0.2)]
    sheet = contact_sheet(images)
    assert sheet.shape == (2 * (3 + 4) + 4, 2 * (4 + 4) + 4, 3)
    assert [sheet[4, 4, 0], sheet[4, 12, 0], sheet[0, 0, 0]] == [0, 153, 255]
    pictures = [np.full((2, 3, 4, 3), value, np.uint8) for value in (0, 153)]
    np.testing.assert_array_equal(contact_sheet(pictures), sheet)
    np.testing.assert_array_equal(contact_sheet([tf.constant(picture) for picture in pictures]), sheet)


def test_titles_stand_above_their_columns_and_change_nothing_below():
    columns = [np.full((2, 30, 60, 3), value, np.uint8) for value in (0, 90, 153)]
    sheet = contact_sheet(columns)
    titled = contact_sheet(columns, ("input", "", "a title that is far too wide for it"))
    assert titled.shape == (20 + 72, 196, 3)
    np.testing.assert_array_equal(titled[20:], sheet)
    ink = (titled[:20] < 128).any((0, 2))
    assert ink[4:64].any() and not ink[68:128].any() and ink[132:192].any()
    # The gaps stay white: a title that is too wide is cut off.
    assert not ink[:4].any() and not ink[64:68].any() and not ink[192:].any()
    places = np.flatnonzero(ink[4:64])
    assert abs(places.min() - (59 - places.max())) <= 2, "a title that fits is centred"


def test_a_legend_stands_below_all_rows_and_changes_nothing_above():
    columns = [np.full((2, 30, 60, 3), value, np.uint8) for value in (0, 90)]
    titled, explained = contact_sheet(columns, ("a", "b")), contact_sheet(columns, ("a", "b"), PATCH_LEGEND)
    assert explained.shape == (20 + 72 + 2 * 20, 132, 3)
    np.testing.assert_array_equal(explained[: 20 + 72], titled)
    first, second = explained[92:112], explained[112:]
    assert (first < 128).any() and (second < 128).any() and (first != second).any()
