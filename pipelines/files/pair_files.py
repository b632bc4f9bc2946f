"""The images of a pair: what the headers of its files say of them, and their pixels."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.files.image_files import (
    ARRAY_SUFFIX,
    TURN_THEM,
    UPRIGHT,
    BadImageError,
    Header,
    load_image,
    read_header_and_mark,
)
from tfpix2pix.pipelines.files.matching import File, Files

Images = npt.NDArray[Any]  # uint8, uint16, or float32 in [-1, 1]


class Format(NamedTuple):
    """How one image of every pair is read: the arguments of `load_image` after the file.

    Attributes:
      channels: number of its channels.
      dtype: a type that holds it in all pairs.
      exif: whether it is turned as its EXIF orientation says.
    """

    channels: int = 3
    dtype: np.dtype = np.dtype(np.uint8)
    exif: bool = True


RGB = Format()
# The width / height of files that hold two images which are about square.
_USUAL_SHAPES = (1.8, 2.2)
_SINGLE_IMAGES = (
    "If these are single images, put inputs into input/ and targets of the same names into target/, or learn "
    "from photos alone: `task=colorize`, `task=inpaint` or `task=edges`"
)


class Measured(NamedTuple):
    """What is known of a pair, or of a photo, before its files are decoded.

    Attributes:
      sizes: (height, width) in px of each image, from left to right.
      dtypes: the type of each image as it is stored.
      turned: the files whose EXIF orientation is not upright.
      in_graph: whether TensorFlow operations give the pixels that are wanted; see `Header`.
      digest: tells the files from others of the same names, in whatever folder they are.
    """

    sizes: tuple[tuple[int, int], ...]
    dtypes: list[np.dtype]
    turned: list[File]
    in_graph: bool
    digest: bytes


def measure_pair(
    files: Files, formats: Sequence[Format] = (RGB, RGB), resize_input_to_target: bool | None = None
) -> Measured:
    """Reads the headers of the files of a pair or of a photo.

    Args:
      files: the files of the pair.
      formats: one for each image, of which the type does not count.
      resize_input_to_target: whether the sizes of the two images may differ; None if whoever calls has no
        such setting, so that no message names it.

    Raises:
      BadImageError: if a header is bad, if the sizes do not make a pair, or if channels are missing.
    """
    read = [read_header_and_mark(file, formats[0].exif) for file in files]
    headers = [header for header, _ in read]
    turned = [file for file, header in zip(files, headers, strict=True) if header.orientation != UPRIGHT]
    if not resize_input_to_target:
        _check_same_size(files, headers, turned, resize_input_to_target is not None)
    digest = hashlib.sha256(b"".join([mark for _, mark in read])).digest()
    side_by_side, width = len(files) < len(formats), headers[0].width
    if side_by_side and width % 2:
        raise BadImageError(
            f"{files[0]} is {width} pixels wide: two images side by side have an even width. {_SINGLE_IMAGES}"
        )
    sizes = tuple([header[:2] for header in headers])
    if side_by_side:
        sizes = ((headers[0].height, width // 2),) * 2
        files, headers = files * 2, headers * 2
    for file, header, (channels, *_) in zip(files, headers, formats, strict=True):
        if header.channels != channels and (
            channels not in (1, 3) or header.channels > 4 or file.suffix.lower() == ARRAY_SUFFIX
        ):
            raise BadImageError(
                f"{file} has {count_of(header.channels, 'channel')} where {channels} were asked for "
                "(`input_channels`, `output_channels`)"
            )
    dtypes, in_graph = [header.dtype for header in headers], all(header.in_graph for header in headers)
    return Measured(sizes, dtypes, turned, in_graph, digest)


def _check_same_size(
    files: Files, headers: Sequence[Header], turned: Sequence[File], may_resize: bool
) -> None:
    first, last = headers[0], headers[-1]
    if last[:2] == first[:2]:
        return
    remedy = ""
    if first.shown_size == last.shown_size:
        remedy = f"; the EXIF orientation of {' and '.join(map(str, turned))} is not applied: {TURN_THEM}"
    elif may_resize:
        remedy = ", unless `resize_input_to_target` is set"
    raise BadImageError(
        f"{files[0]} is {first.width}x{first.height} and {files[1]} is {last.width}x{last.height}: "
        f"the two images of a pair must have the same size{remedy}"
    )


def warn_of_shapes(
    place: Path, pairs: Mapping[str, Files], names: Sequence[str], sizes: npt.NDArray[np.integer]
) -> None:
    """Warns of files that are cut into halves as pairs are, and have not the shape of two such images.

    Args:
      place: where the files are.
      pairs: the files of each pair by its name.
      names: the pairs whose headers are good.
      sizes: (height, width) in px of each of their images, [N, I, 2].
    """
    least, greatest = _USUAL_SHAPES
    if not names or len(pairs[names[0]]) == sizes.shape[1]:  # as many files as in all other pairs
        return
    shapes = 2 * sizes[:, 0, 1] / sizes[:, 0, 0]
    odd = np.flatnonzero((shapes < least) | (shapes > greatest))
    if not len(odd):
        return
    height, width = sizes[odd[0], 0].tolist()
    odd_files = f"{len(odd)} of {count_of(len(names), 'file')} {'is' if len(odd) == 1 else 'are'}"
    warn(
        f"{place}: {odd_files} not about twice as wide as high, as two square images side by side "
        f"are; the first is {pairs[names[odd[0]]][0].name}, {2 * width}x{height} px. Each is read as "
        f"a pair: its left half and its right half. {_SINGLE_IMAGES}"
    )


def decode_pair(files: Files, formats: Sequence[Format] = (RGB, RGB)) -> tuple[Images, ...]:
    """Returns the left and the right image of a pair, or a photo; each [H, W, C] in its format.

    Raises:
      BadImageError: if a file cannot be read or decoded.
    """
    return separate(files, formats, load_image, lambda image: np.split(image, 2, axis=1))


def separate(
    files: Sequence[Any], formats: Sequence[Format], load: Callable[..., Any], halve: Callable[[Any], Any]
) -> tuple[Any, ...]:
    """Loads the images of a pair, and cuts one that holds both images into its two halves.

    Args:
      files: one file for each image, or one for both, as `load` takes it.
      formats: one for each image.
      load: function from (file, channels, dtype, exif) to an image, which is an array or a tensor.
      halve: function from an image to its left and its right half.
    """
    if len(files) == len(formats):
        return tuple(load(file, *each) for file, each in zip(files, formats, strict=True))
    if formats[0] == formats[1]:
        return tuple(halve(load(files[0], *formats[0])))
    return tuple(halve(load(files[0], *each))[side] for side, each in enumerate(formats))
