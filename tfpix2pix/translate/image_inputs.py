"""Finds the image files that a person means, and gives the outputs of each file a name.

TensorFlow is not imported.
"""

import collections
import fnmatch
import functools
import glob
import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.listing import join_some
from tfpix2pix.pipelines.base.paths import check_writable
from tfpix2pix.pipelines.base.places import is_remote
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.catalogue import FORMATS, IMAGE_SUFFIXES
from tfpix2pix.pipelines.files.image_listing import is_image, list_files, list_folders, walk_folders
from tfpix2pix.pipelines.files.matching import File, compose
from tfpix2pix.pipelines.meaning import MOST_PNG_CHANNELS, Meaning
from tfpix2pix.translate.options import SUFFIXES, Options
from tfpix2pix.translate.page_files import has_page, lies_in_page, name_shown
from tfpix2pix.translate.remote_inputs import list_remote

ARRAY_SUFFIX = ".npy"
ANIMATION_SUFFIX = ".webp"


class InputFile(NamedTuple):
    """A file to translate.

    Attributes:
      path: where it is; a record of a shard, too.
      title: its path below the folder of the inputs, for people.
      name: what its outputs are called, without a suffix; a subfolder is part of it.
    """

    path: File
    title: str
    name: str

    @classmethod
    def list_named(cls, files: Sequence[File], titles: Sequence[Path]) -> "list[InputFile]":
        """Returns files with their paths below the folder of the inputs, and names for their outputs."""
        names = name_outputs(titles)
        return [cls(file, str(title), name) for file, title, name in zip(files, titles, names, strict=True)]

    @property
    def suffix(self) -> str:
        """Returns the suffix in lower case."""
        return self.path.suffix.lower()


def find_beside(file: InputFile, folder: Path) -> Path | None:
    """Returns the image in another folder that has the name of a file; None if there is none."""
    names = [unicodedata.normalize(form, file.name) for form in ("NFC", "NFD")]  # as systems store accents
    suffixes = [spell(suffix) for spell in (str.lower, str.upper) for suffix in IMAGE_SUFFIXES]
    places = (folder / f"{name}{suffix}" for name in (file.name, *names) for suffix in suffixes)
    return next((place for place in places if place.is_file()), None)


def find_files(
    pattern: str, output: Path, list_outputs: Callable[[InputFile], Sequence[str]]
) -> list[InputFile]:
    """Finds the files to translate, and makes sure that what is written overwrites neither them nor itself.

    Args:
      pattern: a file, a folder, or a glob.
      output: folder of the outputs.
      list_outputs: returns all that is written for a file, relative to `output`.

    Returns:
      The files, sorted.

    Raises:
      UsageError: when there are none, or one would be overwritten, or a file be written twice.
    """
    root, paths = find_inputs(pattern, output)
    files = InputFile.list_named(paths, [path.relative_to(root) for path in paths])
    taken = {os.path.realpath(path) for path in paths}
    before = set[str]()
    for name in (each for file in files for each in list_outputs(file)):
        if os.path.realpath(output / name) in taken:
            raise UsageError(f"{output / name} is an input; choose another `output`")
        if name in before:
            raise UsageError(
                f"{output / name} would be both an output and a picture of the page; give the folder "
                f"{root / Path(name).parts[0]} another name"
            )
        before.add(name)
    return files


def choose_suffix(meaning: Meaning, suffix: str, bits: str | None, format: str | None = None) -> str:
    """Returns the suffix of the outputs of a file: that of the format, or of the training's targets.

    Where those are not known, an array gives an array, and any other file a PNG.

    Args:
      meaning: what the model's pictures stand for.
      suffix: suffix of the input, in lower case.
      bits: the depth of the outputs, if it was asked for.
      format: a name in `options.FORMATS`, if it was asked for.
    """
    if format:
        return SUFFIXES[format]
    if meaning.target is None:
        return suffix if suffix == ARRAY_SUFFIX else ".png"
    can_be_png = meaning.target.channels <= MOST_PNG_CHANNELS
    return ".png" if bits and can_be_png else meaning.target.output_suffix


def list_outputs(name: str, suffix: str = ".png", samples: int = 1) -> list[str]:
    """Returns the files that the outputs of an input are written to.

    Args:
      name: name of the outputs, without a suffix.
      suffix: suffix of the outputs; see `choose_suffix`.
      samples: number of outputs.
    """
    return [f"{name}_{n}{suffix}" for n in range(1, samples + 1)] if samples > 1 else [f"{name}{suffix}"]


def list_outputs_of(options: Options, name: str, suffix: str) -> list[str]:
    """Returns the files that the outputs of an input are written to, as `options` ask for them.

    Args:
      options: what is done to the files.
      name: name of the outputs, without a suffix.
      suffix: suffix of the outputs; a strip and an animation have their own.
    """
    if options.interpolate:
        return [f"{name}_strip.png", f"{name}{ANIMATION_SUFFIX}"]
    return list_outputs(name, suffix, options.samples_per_image)


def list_written_for(options: Options, name: str, suffix: str) -> list[str]:
    """Returns what `list_outputs_of` does, and the files of all pictures that the page may need beside."""
    outputs = list_outputs_of(options, name, suffix)
    return [*outputs, name_shown(name), *(name_shown(each, ".png") for each in outputs)]


def find_inputs(pattern: str, output: Path) -> tuple[Path, list[Path]]:
    """Finds image files, and warns of files of other kinds, which are left out.

    The pictures that the page of an earlier translation shows beside its outputs are none.

    Args:
      pattern: a file, a folder, or a glob; or a URL of one, whose files are fetched when they are read.
      output: a folder whose contents do not count as inputs.

    Returns:
      The folder of the inputs, below which their names are unique, and the files, sorted.

    Raises:
      UsageError: when there are none, or `output` is the folder of the inputs.
    """
    path = Path(pattern)
    if is_remote(pattern):
        root, files, is_file = list_remote(pattern)
    else:
        is_file = path.is_file()
        root, files = (path.parent, [path]) if is_file else _expand(path)
    check_writable(output, "output")
    if output.resolve() == root.resolve():
        raise UsageError(f"{output} is the folder of the inputs; choose another `output`")
    if root.resolve() in output.resolve().parents and not is_file:
        inside = os.path.realpath(output)
        files = [file for file in files if not Path(os.path.realpath(file)).is_relative_to(inside)]
    if not is_file:
        shows = functools.cache(has_page)
        names = {file: file.relative_to(root) for file in files}
        files = [
            file
            for file, name in names.items()
            if not _is_hidden(name) and not lies_in_page(root, name, shows)
        ]
        files = _sift(pattern, files)
    if not files:
        raise UsageError(_explain_nothing(root if is_remote(pattern) else path))
    return root, sorted(set(files))


def _explain_nothing(pattern: Path) -> str:
    images = f"{FORMATS} image or .npy array"
    if pattern.is_dir():
        return f"there is no {images} in {pattern}"
    if glob.has_magic(str(pattern)):
        return f"no {images} matches {pattern}"
    return f"there is no {pattern}; `input` takes an image, a folder of images, or a pattern in quotes"


def _expand(pattern: Path) -> tuple[Path, list[Path]]:
    """Returns the folder that a pattern begins with, and the files that it names: all, if it is a folder.

    What is there by the name in a pattern is meant as it is, also if it holds `[` or `*`.
    """
    beginnings = [path for path in (pattern, *pattern.parents) if path.is_dir()]
    root = beginnings[0] if beginnings else Path()
    return root, list(_match(root, pattern.relative_to(root).parts or ("**",)))


def _match(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Yields the files below a folder that the parts of a pattern name; `**` stands for any folders."""
    first, rest = parts[0], parts[1:]
    if first == "**":
        for inside in walk_folders(folder):
            yield from _match(inside, rest or ("*",))
    elif rest:
        names = fnmatch.filter(list_folders(folder), first) if glob.has_magic(first) else [first]
        for inside in (folder / name for name in names):
            if inside.is_dir():
                yield from _match(inside, rest)
    else:
        yield from (file for file in list_files(folder) if fnmatch.fnmatchcase(file.name, first))


def _is_hidden(name: Path) -> bool:
    return any(part[0] == "." for part in name.parts)


def _sift(pattern: str, files: Sequence[Path]) -> list[Path]:
    """Returns the images among files, and warns of the others."""
    images = [file for file in files if is_image(file)]
    others = collections.Counter(file.suffix.lower() or file.name for file in files if not is_image(file))
    if others:
        counts = join_some([f"{count} {kind}" for kind, count in others.most_common()])
        if not images:
            raise UsageError(f"{pattern}: no file is {FORMATS} ({counts}); convert them to PNG or JPEG")
        warn(f"{pattern}: left out files that are not {FORMATS} ({counts})")
    return images


def name_outputs(files: Sequence[Path]) -> list[str]:
    """Returns a name without a suffix for the outputs of each file.

    It is the name of the file; where several files share it, their suffixes become part of it. Names that
    differ only in upper and lower case, or in how an accent is stored, count as the same, because they are
    the same on some disks.
    """

    def fold(name: str) -> str:
        return compose(name).lower()

    names = [str(file.with_suffix("")) for file in files]
    while True:
        counts = collections.Counter(map(fold, names))
        longer = [
            str(file) if counts[fold(name)] > 1 else name for file, name in zip(files, names, strict=True)
        ]
        if longer == names:
            return names
        names = longer
