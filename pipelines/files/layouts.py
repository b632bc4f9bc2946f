"""Which folders of a dataset hold a split, and which two of them hold the images of its pairs.

The left image of a pair is called A and the right one B, whatever the folders are called. People lay out
their sets in many ways, and each function here looks for all of them. It reads names, never images.
"""

from pathlib import Path

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.catalogue import TWO_FOLDERS
from tfpix2pix.pipelines.files.image_listing import has_images, list_folders

Folders = tuple[Path, ...]  # one folder, the folders of A and B, or none

# The names under which people keep a split; the first is ours. A folder's may be Train or TRAIN as well.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
INSTANCES = "instances"  # a folder of maps of instances, see `instances.find_instances`
_NAMED_PAIRS = (("A", "B"), ("inputs", "targets"), ("source", "target"), ("sources", "targets"))
# What is drawn, or told of a photo, is A, the input, and the photo is B, the target. Folders that are
# called photos/ and labels/ are older than this rule: there the photo is A.
CLASS_WORDS = frozenset(
    "label labels labelmap labelmaps mask masks seg segs segmentation segmentations annotation annotations "
    "semantic semantics".split()
)
_DRAWN_WORDS = CLASS_WORDS | set("edge edges sketch sketches line lines drawing drawings outlines".split())
_PHOTO_WORDS = frozenset("photo photos image images img imgs picture pictures rgb jpegimages".split())


def find_folders(folder: Path, split: str) -> Folders:
    """Returns the folder of a split's side-by-side files, or the folders of A and of B.

    It finds `train/`, `train/A/` and `train/B/`, `trainA/` and `trainB/`, `train_A/` and `train_B/`, or
    `A/train/` and `B/train/`, with any of the names that A and B may have.

    Args:
      folder: the dataset's folder.
      split: `train`, `val` or `test`.

    Returns:
      The folders; none if the dataset has no such split.
    """
    if inside := find_split_folder(folder, split):
        return find_two(inside) or (inside,)
    for name in _names_of(split):
        for between in ("", "_"):
            two = tuple(folder / f"{name}{between}{side}" for side in "AB")
            if all(side.is_dir() for side in two):
                return two
    sides = find_two(folder)
    for name in _names_of(split):
        two = tuple(side / name for side in sides)
        if two and all(side.is_dir() for side in two):
            return two
    return ()


def find_split_folder(folder: Path, split: str) -> Path | None:
    """Returns the folder that bears the name of a split; None if there is none.

    Raises:
      UserError: if there is another one, whose name differs in capitals only.
    """
    found = [inside for name in _names_of(split) if (inside := folder / name).is_dir()]
    for other in found[1:]:
        # Where capitals do not count on a disk, both are one folder.
        if other.name.lower() == found[0].name.lower() and not other.samefile(found[0]):
            raise UserError(
                f"{folder} holds {found[0].name}/ and {other.name}/, whose names differ in capitals only; "
                "put the images of both into one folder, or move one of them away"
            )
    return found[0] if found else None


def names_split(name: str) -> bool:
    """Tells whether a folder of this name holds a split, however its letters are written."""
    return any(name.lower() in names for names in SPLIT_NAMES.values())


def find_unsplit(folder: Path) -> Folders:
    """Returns where the images are that lie in a dataset's folder without any splits; none if none do."""
    sides = find_two(folder)
    if sides:
        return sides if all(has_images(side) for side in sides) else ()
    return (folder,) if has_images(folder) else ()


def holds_unsplit(folder: Path) -> bool:
    """Tells whether a folder holds pairs, or single photos, without any splits."""
    return bool(find_unsplit(folder)) or has_images(find_photo_folder(folder))


def find_two(folder: Path) -> Folders:
    """Returns the folders of A and of B that a folder holds; none if it holds no such two.

    If only one of `input/` and `target/`, or of `photos/` and `labels/`, is there, the other one is
    returned all the same, so that a message can name what is missing.
    """
    if not folder.is_dir():
        return ()
    for names in TWO_FOLDERS:
        if all((folder / name).is_dir() for name in names):
            return tuple(folder / name for name in names)
    # Where images lie beside the folders, the images are the pairs. There may be a million of them, so
    # that only the names in other folders are listed.
    if not has_images(folder):
        inside = list_folders(folder)
        for names in _NAMED_PAIRS:
            if all(name in inside for name in names):
                return tuple(folder / name for name in names)
        drawn = [name for name in inside if name.lower() in _DRAWN_WORDS]
        photos = [name for name in inside if name.lower() in _PHOTO_WORDS]
        if len(drawn) == len(photos) == 1:
            return folder / drawn[0], folder / photos[0]
    for names in TWO_FOLDERS:
        if any((folder / name).is_dir() for name in names):
            return tuple(folder / name for name in names)
    return ()


def find_photo_folder(folder: Path) -> Path:
    """Returns where the photos of a folder are: in `photos/`, in the folder itself, or in `images/`."""
    if (folder / "photos").is_dir() or not folder.is_dir():
        return folder / "photos" if folder.is_dir() else folder
    photos = [name for name in list_folders(folder) if name.lower() in _PHOTO_WORDS]
    return folder / photos[0] if len(photos) == 1 and not has_images(folder) else folder


def find_label_side(folders: Folders) -> int | None:
    """Returns which of two folders holds maps of classes, 0 or 1, by their names; None if neither does."""
    for side, folder in enumerate(folders if len(folders) == 2 else ()):
        if {folder.name.lower(), folder.parent.name.lower()} & CLASS_WORDS:
            return side
    return None


def _names_of(split: str) -> tuple[str, ...]:
    names = SPLIT_NAMES.get(split, (split,))
    return tuple(write(name) for write in (str, str.capitalize, str.upper) for name in names)
