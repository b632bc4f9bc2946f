"""Joins two folders of images into side-by-side pairs, which is a layout that training reads."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.progress import show_progress
from tfpix2pix.pipelines.base.staging import publish, staged_folder
from tfpix2pix.pipelines.catalogue import SPLITS
from tfpix2pix.pipelines.files.finding import Files, match_by_stem
from tfpix2pix.pipelines.files.pair_files import decode_pair, measure_pair


def combine_folders(input_folder: Path, target_folder: Path, output_folder: Path) -> int:
    """Writes one PNG for each pair, with the input image on the left and the target image on the right.

    The pixels are those that training would read from the two files, with 8 bits and three channels.
    The output folder appears when all pairs are written.

    Args:
      input_folder: holds images, or folders train/, val/ and test/ of them.
      target_folder: has the same layout, and files of the same names (suffixes may differ).
      output_folder: the folder to make; it gets the same layout.

    Returns:
      The number of pairs.

    Raises:
      UserError: if the folders or two images do not match, or if an image is damaged.
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


def _find_pairs(input_folder: Path, target_folder: Path) -> Mapping[str, Files]:
    """Returns the two files of each pair by the path that the pair gets below the output folder."""
    for folder in (input_folder, target_folder):
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder")
    input_splits, target_splits = _splits_of(input_folder), _splits_of(target_folder)
    if input_splits != target_splits:
        raise UserError(
            f"{input_folder} holds {_describe(input_splits)} and {target_folder} {_describe(target_splits)}; "
            "both must hold the same splits, or both the images themselves"
        )
    pairs: dict[str, Files] = {}
    for split in input_splits or ("",):
        matched = match_by_stem(input_folder / split, target_folder / split)
        pairs |= {str(Path(split, f"{stem}.png")): files for stem, files in matched.items()}
    return pairs


def _splits_of(folder: Path) -> tuple[str, ...]:
    return tuple(split for split in SPLITS if (folder / split).is_dir())


def _describe(splits: tuple[str, ...]) -> str:
    return "/, ".join(splits) + "/" if splits else "no splits"


def _write_pair(pair: Files, path: Path) -> None:
    measure_pair(pair)
    side_by_side = np.concatenate(decode_pair(pair), axis=1)
    path.write_bytes(tf.io.encode_png(side_by_side).numpy())
