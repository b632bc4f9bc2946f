"""Drawings: where lines are, at any size of the photo."""

import sys

import numpy as np
import pytest

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.tasks.drawings import draw_edges


def _square(scale: int, dtype: type = np.uint8) -> np.ndarray:
    """Returns a light square, from 64 to 192, on a dark ground of 256 px, enlarged."""
    photo = np.full((256 * scale, 256 * scale, 3), 40, dtype)
    photo[64 * scale : 192 * scale, 64 * scale : 192 * scale] = 200
    return photo * (257 if dtype == np.uint16 else 1)


@pytest.mark.parametrize("scale", [1, 3])
def test_lines_are_black_on_white_and_where_the_edges_are(scale):
    pytest.importorskip("cv2")
    drawing = draw_edges(_square(scale))
    assert drawing.dtype == np.uint8 and drawing.shape == (256 * scale, 256 * scale, 3)
    assert set(np.unique(drawing)) == {0, 255}
    rows, columns = np.nonzero(drawing[..., 0] == 0)
    # No line is farther than 3 px of 256 from the square's border.
    distance = np.abs(np.maximum(np.abs(rows / scale - 127.5), np.abs(columns / scale - 127.5)) - 64)
    assert distance.max() < 3
    # The middle of each side is drawn, a line of one px of 256.
    row = drawing[128 * scale, :, 0]
    assert (row == 0).sum() == 2 * scale
    np.testing.assert_array_equal(draw_edges(_square(scale, np.uint16)), drawing)


def test_nothing_is_drawn_of_nothing():
    pytest.importorskip("cv2")
    assert draw_edges(np.full((32, 48, 3), 90, np.uint8)).min() == 255


def test_without_opencv_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"needs OpenCV: pip install 'tfpix2pix\[edges\]'"):
        draw_edges(_square(1))
