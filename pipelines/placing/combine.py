"""Joins two folders of images into side-by-side pairs, which is a layout that training reads."""

import functools
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.base.errors import UsageError, UserError, explain
from tfpix2pix.pipelines.base.listing import count_of, join_some
from tfpix2pix.pipelines.base.staging import publish, staged_folder
from tfpix2pix.pipelines.catalogue import ON_BAD_IMAGE, PALETTE_FILE, SPLITS
from tfpix2pix.pipelines.files import layouts
from tfpix2pix.pipelines.files.bad_files import report_bad, sift
from tfpix2pix.pipelines.files.finding import hold_out, match_folders
from tfpix2pix.pipelines.files.image_files import Header, load_image, read_header, widen
from tfpix2pix.pipelines.files.image_listing import has_images, walk_folders
from tfpix2pix.pipelines.files.matching import Paths
from tfpix2pix.pipelines.files.number_arrays import Pixels, to_channels
from tfpix2pix.pipelines.files.pair_files import Format, measure_pair
from tfpix2pix.pipelines.labels.label_files import holds_ids
from tfpix2pix.pipelines.labels.palettes import LARGEST_ID, find_palette
from tfpix2pix.pipelines.meaning import Side

# Gray, gray and alpha, RGB, RGBA: each can hold the pixels of those before it, except that RGB has no alpha.
_PNG_CHANNELS = (1, 2, 3, 4)
_ADD_PARTNERS = "Add the partners, or move these files away"


def combine_folders(
    input_folder: Path,
    target_folder: Path,
    output_folder: Path,
    val_percent: int = 0,
    on_bad_image: str = ON_BAD_IMAGE[0],
) -> int:
    """Writes one PNG for each pair, with the input image on the left and the target image on the right.

    The pixels are those of the two files, turned as their EXIF orientation says. The PNG has 16 bits if
    one of the files has, and alpha if one of them has. Beside a `palette.json`, which is copied, class ids
    stay the stored numbers, whatever bits they have. The output folder appears when all pairs are written.

    Args:
      input_folder: holds images, or folders train/, val/ and test/ of them, under the names of
        `layouts.SPLIT_NAMES`.
      target_folder: has the same layout, and files of the same names (suffixes may differ), or of names
        that end as in `matching.ENDS`.
      output_folder: the folder to make; it gets the same layout.
      val_percent: above 0, pairs of folders without splits are written to train/, and this share of
        them in percent to val/.
      on_bad_image: what to do with pairs of which an image is damaged, or whose sizes do not match: `stop`,
        which names them all and leaves no folder, or `skip` them with a warning.

    Returns:
      The number of pairs.

    Raises:
      UsageError: for `val_percent` with folders that hold splits.
      UserError: if the folders or two images do not match, if there are images that would be left out, if
        an image is damaged, if a PNG cannot hold its values, or if the folder cannot be written.
    """
    if output_folder.exists():
        raise UserError(f"{output_folder} exists already; name a new folder, or move that one away")
    pairs = _find_pairs(input_folder, target_folder)
    if val_percent:
        pairs = _divide(pairs, val_percent)
    try:
        return _join(pairs, (input_folder, target_folder), output_folder, on_bad_image)
    except OSError as error:
        raise UserError(f"cannot write {output_folder}: {explain(error)}; nothing is left") from error


def _join(pairs: Mapping[str, Paths], folders: Paths, output_folder: Path, on_bad_image: str) -> int:
    """Writes each pair to its path in the output folder, which appears at the end; returns their number."""
    palette = _find_palette_file(folders)
    write_pair = functools.partial(_write_pair, sides=_find_label_sides(folders, palette))
    with staged_folder(output_folder) as staging:
        combined = staging / "combined"
        written, reasons = sift(
            lambda name: write_pair(pairs[name], combined / name), pairs, f"Joining into {output_folder}"
        )
        if reasons:
            report_bad(reasons, len(pairs), on_bad_image)
        if palette:
            shutil.copyfile(palette, combined / PALETTE_FILE)
        publish(combined, output_folder)
    return len(written)


def _find_pairs(input_folder: Path, target_folder: Path) -> Mapping[str, Paths]:
    """Returns the two files of each pair by the path that the pair gets below the output folder."""
    for folder in (input_folder, target_folder):
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder")
    input_splits, target_splits = _splits_of(input_folder), _splits_of(target_folder)
    if input_splits.keys() != target_splits.keys():
        raise UserError(
            f"{input_folder} holds {_describe(input_splits)} and {target_folder} {_describe(target_splits)}; "
            "both must hold the same splits, or both the images themselves"
        )
    splits = input_splits or {"": input_folder}
    places = {split: (place, target_splits.get(split, target_folder)) for split, place in splits.items()}
    _refuse_others((input_folder, target_folder), list(places.values()))
    pairs: dict[str, Paths] = {}
    for split, two in places.items():
        name = two[0].name if split else ""
        matched = match_folders(*two, way_out=_ADD_PARTNERS)
        pairs |= {str(Path(name, f"{stem}.png")): files for stem, files in matched.items()}
    return pairs


def _refuse_others(folders: Paths, places: Sequence[Paths]) -> None:
    """Raises UserError if two folders, or folders in them, hold images beside those that are joined."""
    joined = {place.resolve() for two in places for place in two}
    inside = (place for folder in folders for place in walk_folders(folder))
    if others := {place: None for place in inside if place.resolve() not in joined and has_images(place)}:
        taken = join_some([str(place) for two in places for place in two])
        raise UserError(
            f"{join_some(list(map(str, others)))}: the images there would be left out, because only those in "
            f"{taken} are joined. Join them by a command of their own, or move them away"
        )


def _divide(pairs: Mapping[str, Paths], val_percent: int) -> Mapping[str, Paths]:
    """Returns the pairs with the paths that they get below train/ and val/."""
    if any(Path(path).name != path for path in pairs):
        raise UsageError("`val_percent` divides images, and the two folders hold splits already")
    if len(pairs) < 2:
        raise UserError("`val_percent` takes two pairs at least: one to train on and one to validate")
    held = hold_out([Path(path).stem for path in pairs], val_percent)
    return {
        str(Path("val" if Path(path).stem in held else "train", path)): files for path, files in pairs.items()
    }


def _splits_of(folder: Path) -> Mapping[str, Path]:
    found = ((split, layouts.find_split_folder(folder, split)) for split in SPLITS)
    return {split: place for split, place in found if place}


def _describe(splits: Mapping[str, Path]) -> str:
    return ", ".join(f"{place.name}/" for place in splits.values()) or "no splits"


def _find_palette_file(folders: Paths) -> Path | None:
    """Returns the palette of two folders of images: in one of them, beside it, or beside its splits."""
    places = (place for folder in folders for place in (folder, *folder.resolve().parents[:2]))
    return next((place / PALETTE_FILE for place in places if (place / PALETTE_FILE).is_file()), None)


def _find_label_sides(folders: Paths, palette_file: Path | None) -> tuple[Side | None, Side | None]:
    """Returns the classes of each folder whose gray files may hold ids: of both where no name tells."""
    if not palette_file:
        return None, None
    palette, named = find_palette(str(palette_file)), layouts.find_label_side(folders)
    # Where a name tells of label maps, numbers of no class are void.
    numbers = palette.ids if named is None else range(LARGEST_ID)
    side = Side(1, "uint8", palette=palette, ids=tuple(numbers))
    return (None if named == 1 else side), (None if named == 0 else side)


def _write_pair(pair: Paths, path: Path, sides: tuple[Side | None, Side | None]) -> None:
    headers = [read_header(file) for file in pair]
    for file, header in zip(pair, headers, strict=True):
        if header.dtype == np.float32 or header.channels > max(_PNG_CHANNELS):
            held = f"{count_of(header.channels, 'channel')} of {header.dtype}"
            raise UserError(
                f"{file} holds {held}, which a PNG cannot hold. Training reads it as it is: "
                "leave the images in two folders, input/ and target/"
            )
    dtype = np.result_type(*(header.dtype for header in headers))
    channels = _PNG_CHANNELS[max(_PNG_CHANNELS.index(header.channels) for header in headers)]
    if {header.channels for header in headers} == {2, 3}:
        channels = 4
    measure_pair(pair, [Format(header.channels) for header in headers])
    images = [
        widen(to_channels(_load(file, header, side), channels), dtype)
        for file, header, side in zip(pair, headers, sides, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(np.concatenate(images, axis=1)).numpy())


def _load(file: Path, header: Header, side: Side | None) -> Pixels:
    """Returns the pixels of a file; class ids of 1, 2 and 4 bits are not spread over 8 as pictures are."""
    pixels = load_image(file, header.channels, header.dtype)
    if side is None or header.gray_step == 1:
        return pixels
    numbers = pixels.copy()
    numbers[..., 0] //= header.gray_step
    return numbers if holds_ids(numbers[..., :1], side) else pixels
