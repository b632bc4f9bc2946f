"""From a dataset's folder to the files of each pair of a split; a share validates where nothing else does."""

import hashlib
import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.listing import count_of, describe_folder, join_some
from tfpix2pix.pipelines.base.progress import warn_once
from tfpix2pix.pipelines.catalogue import FORMATS, SPLITS, TWO_FOLDERS
from tfpix2pix.pipelines.files import cityscapes, layouts, matching, pair_lists
from tfpix2pix.pipelines.files.image_listing import (
    count_images,
    has_images,
    list_folders,
    list_image_files,
    list_image_names,
)
from tfpix2pix.pipelines.files.matching import (
    Files,
    Paths,
    choose_pairs,
    compose,
    drop_ends,
    match_by_end,
    match_by_stem,
    name_files,
)
from tfpix2pix.pipelines.files.shards import is_sharded, read_shards

_SIDE_BY_SIDE = (
    f"{FORMATS} files (or .npy arrays) with the two images side by side, "
    "or folders input/ and target/, or photos/ and labels/"
)
_ONE_PER_PAIR = f"{FORMATS} files (or .npy arrays), one per pair"
_PHOTOS = f"{FORMATS} photos, here or in a folder photos/"
_SHARE_SEED = 0


class Found(NamedTuple):
    """The files of a split, and where they were found.

    Attributes:
      pairs: the files of each pair, or of each photo, by its name, in natural order.
      place: the folder that holds them all, for people.
      sides: what A and B are called, for people; empty for photos.
      note: what else a person should know, as a sentence without a full stop; may be empty.
      label_side: which of the two files of a pair is a map of classes, 0 or 1; None if the names of
        the folders do not tell.
      is_told: whether warnings of the files were printed already, with those of the other part of a share.
    """

    pairs: Mapping[str, Files]
    place: Path
    sides: tuple[str, ...] = ()
    note: str = ""
    label_side: int | None = None
    is_told: bool = False

    def tell(self, reverse: bool) -> str:
        """Returns one line that says what was found.

        Args:
          reverse: whether B is the input.
        """
        marked = [f"{side} ({mark})" for side, mark in zip(self.sides, "AB", strict=bool(self.sides))]
        found = count_of(len(self.pairs), "pair" if marked else "photo")
        roles = f"; input {marked[reverse]}, target {marked[not reverse]}" if marked else ""
        return f"{self.place}: {found}{roles}{'; ' if self.note else ''}{self.note}"


def find_split(folder: Path, split: str, from_photos: bool = False, val_percent: int = 0) -> Found:
    """Finds the files of one split.

    Without a folder for validation, `test/` stands in for it, and without that one, a share of the
    training pairs, which are then no training pairs. The share depends on the names of the pairs alone.

    Args:
      folder: the dataset's folder, a folder of record shards, or a CSV file that lists the pairs; see
        `pair_lists.read_list`.
      split: `train`, `val` or `test`.
      from_photos: whether single photos are looked for, and not pairs.
      val_percent: the share in percent; 0 if training pairs may not validate.

    Raises:
      UserError: if there are no such files, or if an image has no partner; the message says what
        there is.
    """
    if listed := _find_listed(folder, from_photos):
        return _choose(listed, folder, split, val_percent)
    if cityscapes.is_official(folder) and not (folder / split).is_dir():
        return _find_official(folder, split, from_photos)
    own, note = _folders_of(folder, split, from_photos), ""
    if not own and split == "val" and (own := _folders_of(folder, "test", from_photos)):
        note = "there is no folder val/, so test/ validates"
    validates = _folders_of(folder, "val", from_photos) or _folders_of(folder, "test", from_photos)
    pool = _folders_of(folder, "train", from_photos) or _unsplit(folder, from_photos)
    if pool and val_percent and split in ("train", "val") and not validates:
        found = _find_in(pool, from_photos)
        if len(found.pairs) > 1:
            return _share(found, split, val_percent)
        if not own and found.pairs:
            what = "photo" if from_photos else "pair"
            raise UserError(f"{folder} holds one {what}, and another one has to validate: add more of them")
    return _find_in(own or (folder / split,), from_photos)._replace(note=note)


def find_splits(folder: Path, from_photos: bool = False) -> dict[str, Found]:
    """Finds the files of all splits by their names, of which none stands in for another one.

    Args:
      folder: as in `find_split`.
      from_photos: whether single photos are looked for, and not pairs.

    Raises:
      UserError: if there are no such files, or if an image has no partner.
    """
    if listed := _find_listed(folder, from_photos):
        return listed
    if cityscapes.is_official(folder) and not any((folder / split).is_dir() for split in SPLITS):
        splits = cityscapes.official_splits(folder)
        return {split: _find_official(folder, split, from_photos) for split in splits}
    places = {split: _folders_of(folder, split, from_photos) for split in SPLITS}
    if not any(places.values()):
        places = {"train": _unsplit(folder, from_photos) or (folder / "train",)}
    return {split: _find_in(place, from_photos) for split, place in places.items() if place}


def _folders_of(folder: Path, split: str, from_photos: bool) -> layouts.Folders:
    if not from_photos:
        return layouts.find_folders(folder, split)
    inside = layouts.find_split_folder(folder, split)
    return (inside,) if inside else ()


def _unsplit(folder: Path, from_photos: bool) -> layouts.Folders:
    if not from_photos:
        return layouts.find_unsplit(folder)
    return (folder,) if layouts.holds_unsplit(folder) else ()


def _find_in(folders: layouts.Folders, from_photos: bool) -> Found:
    if from_photos:
        inside = layouts.find_photo_folder(folders[0])
        found = Found(name_files(inside, _images_in(inside, _PHOTOS)), folders[0])
    elif len(folders) == 1:
        files = _images_in(folders[0], _SIDE_BY_SIDE, _how_to_name)
        if matched := match_by_end(folders[0], files):
            return Found(matched[0], folders[0], matched[1])
        return Found(name_files(folders[0], files), folders[0], ("left half", "right half"))
    else:
        place = Path(os.path.commonpath(folders))
        sides = tuple(f"{folder.relative_to(place)}/" for folder in folders)
        found = Found(match_folders(*folders), place, sides, "", layouts.find_label_side(folders))
    _warn_of_unread(found)
    return found


def _how_to_name(folder: Path) -> str:
    """Returns the commands that give two folders of images names that are known; empty without such two."""
    folders = [folder / name for name in list_folders(folder)]
    inside = [each for each in folders if has_images(each)]
    if len(inside) != 2:
        return ""
    moves = [
        f"mv {shlex.quote(str(each))} {shlex.quote(str(folder / name))}"
        for each, name in zip(inside, TWO_FOLDERS[0], strict=True)
    ]
    return f". If {inside[0].name}/ holds the inputs: {moves[0]} && {moves[1]}"


def _warn_of_unread(found: Found) -> None:
    """Warns of images that lie beside the folders in which the pairs of a split were found."""
    files = next(iter(found.pairs.values()))
    if files[0].parent != found.place and (num_unread := len(list_image_files(found.place)[0])):
        inside = " and ".join(f"{file.parent.name}/" for file in files)
        warn_once(
            f"{found.place}: ignored {count_of(num_unread, 'image')} beside {inside}, which alone are read"
        )


def _find_official(folder: Path, split: str, from_photos: bool) -> Found:
    if from_photos:
        return Found(cityscapes.find_official_photos(folder, split), folder / cityscapes.PHOTOS / split)
    sides = tuple(f"{name}/{split}/" for name in (cityscapes.PHOTOS, cityscapes.LABELS))
    return Found(cityscapes.find_official_pairs(folder, split), folder, sides, "", 1)


def _find_listed(place: Path, from_photos: bool) -> dict[str, Found]:
    """Returns the splits that the manifest of a folder of shards lists, or a CSV file; none for others."""
    if is_sharded(place):
        told = read_shards(place, from_photos)
        return {
            split: Found(each.pairs, place, each.sides, label_side=each.label_side)
            for split, each in told.items()
        }
    if place.is_dir() or place.suffix.lower() not in pair_lists.SUFFIXES:
        return {}
    sides = ("column input", "column target")
    return {split: Found(pairs, place, sides) for split, pairs in pair_lists.read_list(place).items()}


def _choose(splits: Mapping[str, Found], place: Path, split: str, val_percent: int) -> Found:
    if split == "val" and split not in splits and "test" in splits:
        return splits["test"]._replace(note="it lists no val, so test validates")
    pool, validates = splits.get("train"), splits.keys() & {"val", "test"}
    if pool and split in ("train", "val") and not validates and val_percent and len(pool.pairs) > 1:
        return _share(pool, split, val_percent)
    if split not in splits:
        told_by = "which the column split would tell" if place.is_file() else f"but of {' and '.join(splits)}"
        raise UserError(f"{place} lists no pairs of {split}, {told_by}")
    return splits[split]


def _share(found: Found, split: str, val_percent: int) -> Found:
    held = hold_out(found.pairs, val_percent)
    pairs = choose_pairs(found.pairs, lambda name: (name in held) == (split == "val"))
    note = (
        f"there is no val or test, so {len(held)} of the {len(found.pairs)} "
        f"(`val_percent={val_percent}`), drawn by their names, validate"
    )
    return found._replace(pairs=pairs, note=note, is_told=split == "val")


def hold_out(names: Iterable[str], percent: int) -> set[str]:
    """Returns the names that validate: always the same ones of the same names.

    Args:
      names: the names of all pairs, at least two.
      percent: the share that validates; at least one name does, and at least one does not.
    """

    def draw(name: str) -> bytes:
        return hashlib.sha256(f"{_SHARE_SEED} {compose(name)}".encode("utf-8", "surrogateescape")).digest()

    names = list(names)
    count = min(max(1, round(len(names) * percent / 100)), len(names) - 1)
    return set(sorted(names, key=draw)[:count])


def match_folders(
    input_folder: Path, target_folder: Path, *, way_out: str = matching.ADD_PARTNERS
) -> dict[str, Paths]:
    """Returns the two files of each pair by their common stem, in natural order.

    Args:
      input_folder: holds the first files of the pairs.
      target_folder: holds the others. If none has the stem of one there, all may end as in `matching.ENDS`.
      way_out: what to do about images without a partner.

    Raises:
      UserError: if a folder holds no images, two images of one stem, or one without a partner.
    """
    return match_by_stem(*drop_ends(_by_stem(input_folder), _by_stem(target_folder)), way_out)


def _by_stem(folder: Path) -> dict[str, Path]:
    files = [folder / name for name in _images_in(folder, _ONE_PER_PAIR)]
    by_stem = {file.stem: file for file in files}
    if twice := [str(file) for file in files if by_stem[file.stem] != file]:
        raise UserError(f"{folder} holds more than one image of the same name: {join_some(twice)}")
    return by_stem


def _images_in(folder: Path, expected: str, advise: Callable[[Path], str] = lambda _: "") -> list[str]:
    if not folder.is_dir():
        missing = f"{folder}: no such folder; {folder.parent} {describe_folder(folder.parent)}"
        if folder.name == "val":
            missing += ". Training takes val/ to validate: move some of the pairs of train/ into it"
        raise UserError(missing)
    files, num_ignored, folders = list_image_names(folder)
    nested = _tell_nested(folder, folders)
    if not files:
        told = "; ".join([f"{folder} {describe_folder(folder)}", f"expected {expected}", *nested])
        raise UserError(f"{told}{advise(folder)}")
    for each in nested:
        warn_once(f"{folder}: {each}")
    if num_ignored:
        files_are = count_of(num_ignored, "file that is", "files that are")
        warn_once(f"{folder}: ignored {files_are} not {FORMATS}")
    return files


def _tell_nested(folder: Path, names: Iterable[str]) -> list[str]:
    """Returns, as one text or none, which images in folders of a folder are not read."""
    counts = {name: count_images(folder / name) for name in names if name != layouts.INSTANCES}
    inside = [f"{name}/" for name, count in counts.items() if count]
    ignored = f"ignored {count_of(sum(counts.values()), 'image')} in {join_some(inside)}"
    return [f"{ignored}, because only images in the folder itself are read"] if inside else []
