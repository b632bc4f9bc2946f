"""What lies in a folder: its images, by their names, and the folders below it. TensorFlow is not imported."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.catalogue import IMAGE_SUFFIXES

_NUMBERS = re.compile(r"\d+")
_DIGITS_TO_ZERO = bytes.maketrans(b"0123456789", b"0" * 10)


def is_image(file: Path) -> bool:
    """Tells whether a file has the suffix of an image or an array, and is not hidden."""
    return _names_image(file.name)


def _names_image(name: str) -> bool:
    dot = name.rfind(".")
    return dot > 0 and name[0] != "." and name[dot:].lower() in IMAGE_SUFFIXES


def has_images(folder: Path) -> bool:
    """Tells whether an image lies in a folder itself."""
    return folder.is_dir() and any(map(is_image, list_files(folder)))


def list_image_files(folder: Path) -> tuple[list[Path], int]:
    """Lists the files of a folder that are images.

    Returns:
      The images in natural order of their names (1, 2, 10), and the number of all other files.
    """
    names, num_others, _ = list_image_names(folder)
    return [folder / name for name in names], num_others


def list_image_names(folder: Path) -> tuple[list[str], int, list[str]]:
    """Returns what `list_image_files` does, with names in place of paths: a folder may hold a million.

    What `list_folders` would return comes last, so that nobody has to go through the folder again.
    """
    folders: list[str] = []
    names = list(_list_names(folder, folders))
    # Of names that are alike but for capitals and zeros, the order is that of their letters.
    images = sorted(filter(_names_image, names))
    if not _are_alike(images):
        images.sort(key=_natural_key)
    return images, len(names) - len(images), sorted(folders)


def count_images(folder: Path) -> int:
    """Returns the number of images in a folder and in all folders below it; see `walk_folders`."""
    return sum(_names_image(name) for place in walk_folders(folder) for name in _list_names(place))


def list_files(folder: Path) -> Iterator[Path]:
    """Returns the files of a folder, hidden ones too, in any order.

    A symbolic link that leads nowhere is a file, so that whoever reads it can say so. Pipes and devices,
    which a reader could wait for without an end, are none.
    """
    return (folder / name for name in _list_names(folder))


def _list_names(folder: Path, folders: list[str] | None = None) -> Iterator[str]:
    """Yields the names of the files of a folder; those of its folders, but hidden ones, go to `folders`."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) or (entry.is_symlink() and not _is_folder(entry)):
                yield entry.name
            elif folders is not None and entry.name[0] != "." and _is_folder(entry):
                folders.append(entry.name)


def list_folders(folder: Path) -> list[str]:
    """Returns the names of the folders in a folder that are not hidden, sorted; links to folders count."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.name[0] != "." and _is_folder(entry))


def walk_folders(folder: Path) -> Iterator[Path]:
    """Yields a folder and all folders below it that are not hidden, also those that are symbolic links.

    A link to a folder that it lies in itself is not followed, because it would lead around without an end.
    A folder that may not be read is left out with a warning.
    """
    yield from _walk(folder, (os.path.realpath(folder),))


def _walk(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    try:
        inside = list_folders(folder)
    except PermissionError:
        warn(f"{folder} may not be read and is left out")
        return
    yield folder
    for name in inside:
        real = os.path.realpath(folder / name)
        if real not in above:
            yield from _walk(folder / name, (*above, real))


def _is_folder(entry: os.DirEntry) -> bool:
    # `is_dir` of a link that leads back to itself is an error.
    return os.path.isdir(entry) if entry.is_symlink() else entry.is_dir()


def _are_alike(names: list[str]) -> bool:
    """Returns whether names differ in digits alone: then their natural order is that of their letters.

    It takes a seventh of the time of sorting them by `_natural_key`.
    """
    return len(set(os.fsencode("\0".join(names)).translate(_DIGITS_TO_ZERO).split(b"\0"))) == 1


def _natural_key(name: str) -> str:
    """Returns a text that sorts as a name does in natural order.

    A number becomes a character that no name has, its length, and its digits without zeros in front.
    """
    return _NUMBERS.sub(_write_number, name.lower())


def _write_number(match: re.Match[str]) -> str:
    digits = str(int(match[0]))
    return f"\0{chr(len(digits))}{digits}"
