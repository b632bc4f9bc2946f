"""Joins two folders of images into side-by-side pairs, the layout that training reads."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines.catalogue import SPLITS
from pipelines.command_line import UserError
from pipelines.image_files import list_image_files, load_image, read_image_size
from pipelines.progress import show_progress
from pipelines.staging import publish, staged_folder

_MOST_NAMED = 5
_Pair = tuple[Path, Path]


def combine_folders(input_folder: Path, target_folder: Path, output_folder: Path) -> int:
    """Writes one PNG per pair, the input image on the left and the target image on the right.

    The pixels are those that training would read from the two files: 8 bits,
    three channels. The output appears when all pairs are written.

    Args:
      input_folder: holds images, or folders train/, val/, test/ of them.
      target_folder: the same, with the same file names (suffixes may differ).
      output_folder: to be made, in the same layout.

    Returns:
      The number of pairs.

    Raises:
      UserError: if the folders or two images do not match, or an image is damaged.
    """
    if output_folder.exists():
        raise UserError(f"{output_folder} exists already; name a new folder, or move that one away")
    pairs = _find_pairs(input_folder, target_folder)
    with staged_folder(output_folder) as staging:
        combined = staging / "combined"
        for name in pairs:
            (combined / name).parent.mkdir(parents=True, exist_ok=True)
        with (
            ThreadPoolExecutor() as pool,
            show_progress(f"Joining into {output_folder}", len(pairs), "pairs") as bar,
        ):
            for _ in pool.map(lambda name: _write_pair(pairs[name], combined / name), pairs):
                bar.update()
        publish(combined, output_folder)
    return len(pairs)


def _find_pairs(input_folder: Path, target_folder: Path) -> Mapping[str, _Pair]:
    """Returns the two files behind each file to write, by its path below the output folder."""
    for folder in (input_folder, target_folder):
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder")
    input_splits, target_splits = _splits_of(input_folder), _splits_of(target_folder)
    if input_splits != target_splits:
        raise UserError(
            f"{input_folder} holds {_describe(input_splits)} and {target_folder} {_describe(target_splits)}; "
            "both must hold the same splits, or both the images themselves"
        )
    pairs: dict[str, _Pair] = {}
    for split in input_splits or ("",):
        pairs |= _match(input_folder / split, target_folder / split, split)
    return pairs


def _splits_of(folder: Path) -> tuple[str, ...]:
    return tuple(split for split in SPLITS if (folder / split).is_dir())


def _describe(splits: tuple[str, ...]) -> str:
    return "/, ".join(splits) + "/" if splits else "no splits"


def _match(input_folder: Path, target_folder: Path, split: str) -> Mapping[str, _Pair]:
    inputs, targets = _by_stem(input_folder), _by_stem(target_folder)
    alone = [str(file) for stem, file in inputs.items() if stem not in targets]
    alone += [str(file) for stem, file in targets.items() if stem not in inputs]
    if alone:
        raise UserError(f"{len(alone)} images have no partner of the same name: {_some(alone)}")
    return {str(Path(split, f"{stem}.png")): (file, targets[stem]) for stem, file in inputs.items()}


def _by_stem(folder: Path) -> Mapping[str, Path]:
    files, _ = list_image_files(folder)
    if not files:
        raise UserError(f"{folder} holds no JPEG, PNG or BMP images")
    by_stem = {file.stem: file for file in files}
    if twice := [str(file) for file in files if by_stem[file.stem] != file]:
        raise UserError(f"{folder} holds more than one image of the same name: {_some(twice)}")
    return by_stem


def _some(names: list[str]) -> str:
    more = [f"and {len(names) - _MOST_NAMED} more"] if len(names) > _MOST_NAMED else []
    return ", ".join([*names[:_MOST_NAMED], *more])


def _write_pair(pair: _Pair, path: Path) -> None:
    sizes = [read_image_size(file) for file in pair]
    if sizes[0] != sizes[1]:
        shown = [f"{file} is {width}x{height}" for file, (height, width) in zip(pair, sizes, strict=True)]
        raise UserError(f"{' and '.join(shown)} px: the two images of a pair must have the same size")
    side_by_side = np.concatenate([load_image(file) for file in pair], axis=1)
    path.write_bytes(tf.io.encode_png(side_by_side).numpy())
