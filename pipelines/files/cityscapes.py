"""Cityscapes as its owners hand it out: leftImg8bit/ and gtFine/, with a folder for each split and city."""

from pathlib import Path

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.catalogue import SPLITS

PHOTOS, LABELS = "leftImg8bit", "gtFine"
_PHOTO_END = "_leftImg8bit.png"
# The paper translates colour maps. The other two kinds hold ids.
_LABEL_ENDS = ("_gtFine_color.png", "_gtFine_labelTrainIds.png", "_gtFine_labelIds.png")
_INSTANCE_END = "_gtFine_instanceIds.png"
_ARCHIVES = "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip"

# The ids that the 19 training classes have in *_labelIds.png, in the order of the train ids.
# Source: labels.py of the dataset's own tools.
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


def is_official(folder: Path) -> bool:
    """Tells whether a folder holds one or both of the official folders."""
    return (folder / PHOTOS).is_dir() or (folder / LABELS).is_dir()


def official_splits(folder: Path) -> list[str]:
    """Returns the splits that have photos."""
    return [split for split in SPLITS if (folder / PHOTOS / split).is_dir()]


def find_fault(folder: Path) -> str | None:
    """Returns which of the two official folders is missing, as a sentence; None if neither is."""
    for name in (PHOTOS, LABELS):
        if is_official(folder) and not (folder / name).is_dir():
            return f"there is no folder {name}/; it takes both {_ARCHIVES}"
    return None


def find_official_pairs(folder: Path, split: str) -> dict[str, tuple[Path, ...]]:
    """Returns the photo and the label map of every frame by its name, such as `aachen_000000_000019`.

    The label maps are the colour maps. If the split has none, they are the maps of train ids, or else
    those of label ids.

    Raises:
      UserError: if there are no photos, or if one has no label map.
    """
    photos = sorted((folder / PHOTOS / split).glob(f"*/*{_PHOTO_END}"))
    if not photos:
        raise UserError(f"{folder / PHOTOS / split} holds no <city>/*{_PHOTO_END}")
    for end in _LABEL_ENDS:
        pairs: dict[str, tuple[Path, ...]] = {}
        for photo in photos:
            name = photo.name.removesuffix(_PHOTO_END)
            pairs[name] = (photo, folder / LABELS / split / photo.parent.name / f"{name}{end}")
        missing = [label for _, label in pairs.values() if not label.is_file()]
        if not missing:
            return pairs
        if len(missing) < len(photos):
            raise UserError(f"{len(missing)} label maps are missing, the first: {missing[0]}")
    ends = ", ".join(f"*{end}" for end in _LABEL_ENDS)
    raise UserError(f"{folder / LABELS / split} holds none of {ends} for the photos in {PHOTOS}/{split}")


def find_official_photos(folder: Path, split: str) -> dict[str, tuple[Path, ...]]:
    """Returns the photo of every frame by its name."""
    photos = sorted((folder / PHOTOS / split).glob(f"*/*{_PHOTO_END}"))
    return {photo.name.removesuffix(_PHOTO_END): (photo,) for photo in photos}


def instance_map(label_map: Path) -> Path | None:
    """Returns the map of instances beside an official label map; None if there is none."""
    for end in _LABEL_ENDS:
        if label_map.name.endswith(end):
            file = label_map.with_name(label_map.name.removesuffix(end) + _INSTANCE_END)
            return file if file.is_file() else None
    return None


def official_ids(name: str) -> tuple[int, ...] | None:
    """Returns the value of each training class in a file of label ids of this name; None for any other."""
    return LABEL_IDS if name.endswith("_gtFine_labelIds.png") else None
