"""Which files make a pair: side-by-side files, or two folders matched by stem."""

import collections
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.catalogue import TWO_FOLDERS
from pipelines.command_line import UserError, warn
from pipelines.image_files import BadImageError, list_image_files, load_image, read_image_size

_SIDE_BY_SIDE = (
    "JPEG, PNG or BMP files with the two images side by side, or folders input/ and target/, "
    "or photos/ and labels/"
)
_ONE_PER_PAIR = "JPEG, PNG or BMP files, one per pair"
MAX_LISTED = 10

Images = npt.NDArray[np.uint8]
Files = tuple[Path, ...]  # one side-by-side file, or the left and the right image


def find_pairs(split_folder: Path) -> dict[str, Files]:
    """Returns the files of each pair by name, in natural order.

    Raises:
      UserError: if the folder holds no pairs, or images without a partner; says what it holds.
    """
    for names in TWO_FOLDERS:
        left, right = (split_folder / name for name in names)
        if left.is_dir() or right.is_dir():
            return match_by_stem(left, right)
    files = _images_in(split_folder, _SIDE_BY_SIDE)
    stems = collections.Counter(file.stem for file in files)
    return {file.stem if stems[file.stem] == 1 else file.name: (file,) for file in files}


def match_by_stem(input_folder: Path, target_folder: Path) -> dict[str, Files]:
    """Returns the two files of each pair by their common stem, in natural order.

    Raises:
      UserError: if a folder holds no images, two of one stem, or one without a partner.
    """
    inputs, targets = _by_stem(input_folder), _by_stem(target_folder)
    alone = [str(file) for stem, file in inputs.items() if stem not in targets]
    alone += [str(file) for stem, file in targets.items() if stem not in inputs]
    if alone:
        raise UserError(f"{len(alone)} images have no partner of the same name: {join_some(alone)}")
    return {stem: (file, targets[stem]) for stem, file in inputs.items()}


def _by_stem(folder: Path) -> dict[str, Path]:
    files = _images_in(folder, _ONE_PER_PAIR)
    by_stem = {file.stem: file for file in files}
    if twice := [str(file) for file in files if by_stem[file.stem] != file]:
        raise UserError(f"{folder} holds more than one image of the same name: {join_some(twice)}")
    return by_stem


def _images_in(folder: Path, expected: str) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; {folder.parent} holds {_describe(folder.parent)}")
    files, num_ignored = list_image_files(folder)
    if not files:
        raise UserError(f"{folder} holds {_describe(folder)}; expected {expected}")
    if num_ignored:
        warn(f"{folder}: ignored {num_ignored} files that are not JPEG, PNG or BMP")
    return files


def _describe(folder: Path) -> str:
    names = [entry.name + "/" * entry.is_dir() for entry in folder.iterdir()] if folder.is_dir() else []
    return join_some(sorted(names)) or "nothing"


def join_some(texts: Sequence[str], separator: str = ", ") -> str:
    """Joins the first `MAX_LISTED` texts and says how many more there are."""
    more = [f"and {len(texts) - MAX_LISTED} more"] if len(texts) > MAX_LISTED else []
    return separator.join([*texts[:MAX_LISTED], *more])


def measure_pair(files: Files) -> tuple[int, int]:
    """Returns height and width in pixels of the two images laid side by side, from their headers.

    Raises:
      BadImageError: if a header is bad, or the sizes make no pair.
    """
    sizes = [read_image_size(file) for file in files]
    (height, width), last = sizes[0], sizes[-1]
    if last != (height, width):
        raise BadImageError(
            f"{files[0]} is {width}x{height} and {files[1]} is {last[1]}x{last[0]}: "
            "the two images of a pair must have the same size"
        )
    if len(files) == 1 and width % 2:
        raise BadImageError(f"{files[0]} is {width} pixels wide: two images side by side have an even width")
    return height, width * (1 if len(files) == 1 else 2)


def decode_pair(files: Files) -> Images:
    """Returns the two images laid side by side, uint8 [H, 2W, 3].

    Raises:
      BadImageError: if one of them cannot be read or decoded.
    """
    images = [load_image(file) for file in files]
    return images[0] if len(images) == 1 else np.concatenate(images, axis=1)
