"""Packs the image files of a dataset into record shards, which training reads as it reads the files."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from tfpix2pix.pipelines.base.errors import UserError, explain, shorten
from tfpix2pix.pipelines.base.progress import show_progress
from tfpix2pix.pipelines.base.staging import publish, staged_folder, write_file
from tfpix2pix.pipelines.catalogue import PALETTE_FILE
from tfpix2pix.pipelines.files.bad_files import report_bad, sift
from tfpix2pix.pipelines.files.finding import Found, find_splits
from tfpix2pix.pipelines.files.image_files import Header, read_header, read_mark
from tfpix2pix.pipelines.files.instances import find_instances
from tfpix2pix.pipelines.files.shards import MANIFEST, RECORD_EXTRA_BYTES, VERSION, ShardFile
from tfpix2pix.pipelines.placing.checksums import hash_file

SHARD_MIB = 48


class _Facts(NamedTuple):
    """What is known of a file before it is packed; see `ShardFile`."""

    header: Header
    mark: bytes

    @property
    def num_bytes(self) -> int:
        """The size of the file."""
        return int(self.mark.partition(b" ")[0])


def pack_shards(
    source: Path,
    output_folder: Path,
    *,
    photos: bool = False,
    shard_mib: float = SHARD_MIB,
    on_bad_image: str = "stop",
) -> dict[str, int]:
    """Writes the files of all splits of a dataset into shards; the folder appears when it is complete.

    The files are kept byte for byte. Only their headers are looked at. Pairs that have no split are written
    to `train`, of which training takes a share to validate, the same one as of the files.

    Args:
      source: the dataset's folder, or a CSV file that lists its pairs; see `finding.find_split`.
      output_folder: the folder to make.
      photos: whether the dataset holds single photos.
      shard_mib: a shard ends with the pair that fills so many MiB.
      on_bad_image: `stop` or `skip`, for files whose headers are bad; see `sources.open_source`.

    Returns:
      The number of pairs in each split.

    Raises:
      UserError: if there are no pairs, or if the folder is there already or cannot be written.
      BadImageError: for files that cannot be used.
    """
    if output_folder.exists():
        raise UserError(f"{output_folder} exists already; name a new folder, or move that one away")
    splits = find_splits(source, photos)
    palette = (source if source.is_dir() else source.parent) / PALETTE_FILE
    try:
        with staged_folder(output_folder) as staging:
            packed = staging / "shards"
            packed.mkdir()
            told = {
                split: _pack_split(found, split, packed, shard_mib * 2**20, on_bad_image)
                for split, found in splits.items()
            }
            if palette.is_file():
                shutil.copyfile(palette, packed / PALETTE_FILE)
            manifest = {"version": VERSION, "photos": photos, "splits": told}
            write_file(packed / MANIFEST, json.dumps(manifest, separators=(",", ":")).encode())
            publish(packed, output_folder)
    except (OSError, tf.errors.OpError) as error:
        reason = explain(error) if isinstance(error, OSError) else shorten(error)
        raise UserError(f"cannot write {output_folder}: {reason}; nothing is left") from error
    return {split: each["count"] for split, each in told.items()}


def _pack_split(
    found: Found, split: str, folder: Path, shard_bytes: float, on_bad_image: str
) -> dict[str, Any]:
    """Writes the shards of a split, and returns what the manifest tells of it."""
    maps = find_instances(found.pairs) if found.sides else {}
    pairs = {name: (*files, maps[name]) for name, files in found.pairs.items()} if maps else found.pairs

    def examine(name: str) -> list[_Facts]:
        return [_Facts(read_header(file, exif=False), read_mark(file)) for file in pairs[name]]

    facts, bad = sift(examine, pairs, f"Checking {split}")
    if bad:
        report_bad(bad, len(pairs), on_bad_image)
    shards, listed = [], list[tuple[str, int, list[Any]]]()
    with show_progress(f"Packing {split}", len(facts), "pairs") as bar:
        for number, names in enumerate(_divide(facts, shard_bytes)):
            shard = folder / f"{split}-{number:05d}.tfrecord"
            offset = record = 0
            with tf.io.TFRecordWriter(str(shard)) as writer:
                for name in names:
                    files = []
                    for file, (header, mark) in zip(pairs[name], facts[name], strict=True):
                        contents = file.read_bytes()
                        writer.write(contents)
                        values = (*header[:3], header.dtype.name, *header[4:])
                        files.append(ShardFile(shard, record, offset, file.name, values, mark).to_json())
                        offset, record = offset + len(contents) + RECORD_EXTRA_BYTES, record + 1
                    listed.append((name, number, files))
                    bar.update()
            digest = hash_file(shard)
            shards.append({"name": shard.name, "records": record, "bytes": offset, "sha256": digest})
    sides = {"sides": found.sides, "label_side": found.label_side, "instances": bool(maps)}
    return {"count": len(listed), **sides, "shards": shards, "pairs": listed}


def _divide(facts: Mapping[str, list[_Facts]], shard_bytes: float) -> Iterator[list[str]]:
    """Yields the names of the pairs of each shard."""
    names: list[str] = []
    num_bytes = 0
    for name, files in facts.items():
        names.append(name)
        num_bytes += sum(file.num_bytes for file in files)
        if num_bytes >= shard_bytes:
            yield names
            names, num_bytes = [], 0
    if names:
        yield names
