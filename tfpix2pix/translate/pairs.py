"""Files that may be side-by-side pairs: what to ask of them, and their halves. TensorFlow is not imported."""

from typing import Any

import numpy.typing as npt


def ask_of_pair(height: int, width: int, crop: str = "`crop`") -> str:
    """Returns what a person should know of a file that is taken whole, to follow its name; it may be empty.

    Args:
      height: height of the file's image in px.
      width: width of it.
      crop: the setting that takes its input half.
    """
    if width != 2 * height:
        return ""
    return f"is twice as wide as high. If it is a pair for training, {crop} takes its input half"


def cut_half(picture: npt.NDArray[Any], crop: str) -> npt.NDArray[Any]:
    """Returns what is taken of a picture [H, W, C]: its `left` or `right` half, or with `none` all of it.

    Raises:
      ValueError: when it has no equal halves; the text follows the name of its file.
    """
    width = picture.shape[1]
    if crop == "none":
        return picture
    if width % 2:
        raise ValueError(f"is {width} px wide, so it is not a pair of equal halves")
    return picture[:, : width // 2] if crop == "left" else picture[:, width // 2 :]
