"""Which files make a pair: side-by-side files, or two folders whose files have the same names; photos."""

import collections
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.listing import describe_folder, join_some
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.catalogue import TWO_FOLDERS
from tfpix2pix.pipelines.files import cityscapes
from tfpix2pix.pipelines.files.image_files import (
    ARRAY_SUFFIX,
    TURN_THEM,
    UPRIGHT,
    BadImageError,
    list_image_files,
    load_image,
    read_header,
    read_mark,
)

_SIDE_BY_SIDE = (
    "JPEG, PNG or BMP files (or .npy arrays) with the two images side by side, "
    "or folders input/ and target/, or photos/ and labels/"
)
_ONE_PER_PAIR = "JPEG, PNG or BMP files (or .npy arrays), one per pair"
_PHOTOS = "JPEG, PNG or BMP photos, here or in a folder photos/"

Images = npt.NDArray[Any]  # uint8, uint16, or float32 in [-1, 1]
Files = tuple[Path, ...]  # one side-by-side file, the left and the right image, or a photo


class Format(NamedTuple):
    """How one image of every pair is read: its channels, and a type that holds it in all pairs."""

    channels: int = 3
    dtype: np.dtype = np.dtype(np.uint8)


RGB = Format()


class Measured(NamedTuple):
    """What is known of a pair, or of a photo, before its files are decoded.

    Attributes:
      size: (height, width) in px, which all images of the pair share.
      dtypes: the type of each image as it is stored.
      turned: the files whose EXIF orientation is not upright.
      digest: tells the files from others of the same names, in whatever folder they are.
    """

    size: tuple[int, int]
    dtypes: list[np.dtype]
    turned: list[Path]
    digest: bytes


def find_pairs(split_folder: Path) -> dict[str, Files]:
    """Returns the files of each pair by the pair's name, in natural order.

    Raises:
      UserError: if the folder holds no pairs, or images without a partner; the message says what it
        holds.
    """
    for names in TWO_FOLDERS:
        left, right = (split_folder / name for name in names)
        if left.is_dir() or right.is_dir():
            return match_by_stem(left, right)
    if cityscapes.is_official(split_folder.parent) and not split_folder.is_dir():
        return cityscapes.find_official_pairs(split_folder.parent, split_folder.name)
    return _by_name(_images_in(split_folder, _SIDE_BY_SIDE))


def _by_name(files: Sequence[Path]) -> dict[str, Files]:
    stems = collections.Counter(file.stem for file in files)
    return {file.stem if stems[file.stem] == 1 else file.name: (file,) for file in files}


def find_photos(split_folder: Path) -> dict[str, Files]:
    """Returns the file of each photo by the photo's name, in natural order.

    They are those in the folder `photos/`, if the split has one, or else those in the split's folder.

    Raises:
      UserError: if there are no photos; the message says what there is.
    """
    if cityscapes.is_official(split_folder.parent) and not split_folder.is_dir():
        return cityscapes.find_official_photos(split_folder.parent, split_folder.name)
    inside = split_folder / "photos"
    return _by_name(_images_in(inside if inside.is_dir() else split_folder, _PHOTOS))


def count_unread(split_folder: Path, pairs: Mapping[str, Files]) -> int:
    """Returns how many images lie beside the folders in which the pairs of a split were found.

    Args:
      split_folder: the folder of the split.
      pairs: the files that `find_pairs` or `find_photos` found there.
    """
    if not split_folder.is_dir() or any(files[0].parent == split_folder for files in pairs.values()):
        return 0
    return len(list_image_files(split_folder)[0])


def match_by_stem(input_folder: Path, target_folder: Path) -> dict[str, Files]:
    """Returns the two files of each pair by their common stem, in natural order.

    Raises:
      UserError: if a folder holds no images, two images of one stem, or one without a partner.
    """
    inputs, targets = _by_stem(input_folder), _by_stem(target_folder)
    alone = [str(file) for stem, file in inputs.items() if stem not in targets]
    alone += [str(file) for stem, file in targets.items() if stem not in inputs]
    if alone:
        raise UserError(
            f"{len(alone)} images have no partner of the same name: {join_some(alone)}. "
            "Add the partners, or remove these (`on_bad_image=skip` is for files that cannot be read)"
        )
    return {stem: (file, targets[stem]) for stem, file in inputs.items()}


def _by_stem(folder: Path) -> dict[str, Path]:
    files = _images_in(folder, _ONE_PER_PAIR)
    by_stem = {file.stem: file for file in files}
    if twice := [str(file) for file in files if by_stem[file.stem] != file]:
        raise UserError(f"{folder} holds more than one image of the same name: {join_some(twice)}")
    return by_stem


def _images_in(folder: Path, expected: str) -> list[Path]:
    if not folder.is_dir():
        missing = f"{folder}: no such folder; {folder.parent} {describe_folder(folder.parent)}"
        if folder.name == "val":
            missing += ". Training takes val/ to validate: move some of the pairs of train/ into it"
        raise UserError(missing)
    files, num_ignored = list_image_files(folder)
    if not files:
        raise UserError(f"{folder} {describe_folder(folder)}; expected {expected}")
    if num_ignored:
        warn(f"{folder}: ignored {num_ignored} files that are not JPEG, PNG or BMP")
    return files


def measure_pair(files: Files, formats: Sequence[Format] = (RGB, RGB)) -> Measured:
    """Reads the headers of the files of a pair or of a photo.

    Args:
      files: the files of the pair.
      formats: one for each image, of which only the channels count.

    Raises:
      BadImageError: if a header is bad, if the sizes do not make a pair, or if channels are missing.
    """
    headers = [read_header(file) for file in files]
    first, last = headers[0], headers[-1]
    turned = [file for file, header in zip(files, headers, strict=True) if header.orientation != UPRIGHT]
    if last[:2] != first[:2]:
        cause = ""
        if first.shown_size == last.shown_size:
            cause = f"; the EXIF orientation of {' and '.join(map(str, turned))} is not applied: {TURN_THEM}"
        raise BadImageError(
            f"{files[0]} is {first.width}x{first.height} and {files[1]} is {last.width}x{last.height}: "
            f"the two images of a pair must have the same size{cause}"
        )
    digest = hashlib.sha256(b"".join(map(read_mark, files))).digest()
    side_by_side = len(files) < len(formats)
    if side_by_side and first.width % 2:
        raise BadImageError(
            f"{files[0]} is {first.width} pixels wide: two images side by side have an even width"
        )
    if side_by_side:
        files, headers = files * 2, headers * 2
    for file, header, (channels, _) in zip(files, headers, formats, strict=True):
        is_array = file.suffix.lower() == ARRAY_SUFFIX
        if header.channels != channels and (is_array or channels not in (1, 3)):
            raise BadImageError(
                f"{file} has {header.channels} channels where {channels} were asked for "
                "(`input_channels`, `output_channels`)"
            )
    width = first.width // 2 if side_by_side else first.width
    return Measured((first.height, width), [header.dtype for header in headers], turned, digest)


def decode_pair(files: Files, formats: Sequence[Format] = (RGB, RGB)) -> tuple[Images, ...]:
    """Returns the left and the right image of a pair, or a photo; each [H, W, C] in its format.

    Raises:
      BadImageError: if a file cannot be read or decoded.
    """
    return separate(files, formats, load_image, np.split)


def separate(
    files: Sequence[Any], formats: Sequence[Format], load: Callable[..., Any], split: Callable[..., Any]
) -> tuple[Any, ...]:
    """Loads the images of a pair, and cuts one that holds both images into its two halves.

    Args:
      files: one file for each image, or one for both, as `load` takes it.
      formats: one for each image.
      load: function from (file, channels, dtype) to an image, which is an array or a tensor.
      split: `np.split` for arrays, `tf.split` for tensors.
    """
    if len(files) == len(formats):
        return tuple(load(file, *each) for file, each in zip(files, formats, strict=True))
    if formats[0] == formats[1]:
        return tuple(split(load(files[0], *formats[0]), 2, axis=1))
    return tuple(split(load(files[0], *each), 2, axis=1)[side] for side, each in enumerate(formats))
