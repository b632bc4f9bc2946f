"""Sets of record shards: the image files of a dataset, in few large files, and a manifest that tells of each.

A shard is a TFRecord file. Each of its records is one image file, byte for byte, so that its pixels are the
same bits. The manifest tells where each record starts, so that any pair is read by its index, in whatever
order, as the files of a folder are. TensorFlow is imported where a record is read.
"""

import base64
import dataclasses
import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.paths import is_inner_name

if TYPE_CHECKING:
    import tensorflow as tf

MANIFEST = "shards.json"
VERSION = 1
RECORD_EXTRA_BYTES = 16  # the length of a record and two checksums: what TFRecord adds to its contents


@dataclasses.dataclass(frozen=True)
class ShardFile:
    """An image file that is a record of a shard; it stands where the path of a file stands otherwise.

    Attributes:
      shard: the TFRecord file.
      record: the number of the record in the shard, from 0.
      offset: where the record starts in the shard, in bytes.
      name: the name that the file had.
      header: the values of `image_files.Header`, with the name of the type; no orientation is applied.
      mark: what `image_files.read_mark` returned of the file.
      instances: the map of instances of the pair whose first file this is; None without one.
    """

    shard: Path
    record: int
    offset: int
    name: str
    header: tuple[Any, ...]
    mark: bytes
    instances: "ShardFile | None" = None

    def __str__(self) -> str:
        return f"{self.shard}, record {self.record} ({self.name})"

    @property
    def suffix(self) -> str:
        """The suffix of the name."""
        return Path(self.name).suffix

    @property
    def parent(self) -> Path:
        """The folder of the shards."""
        return self.shard.parent

    def read_bytes(self) -> bytes:
        """Returns the bytes of the image file.

        Raises:
          OSError: if the shard cannot be read.
          ValueError: if the record is damaged; the text follows the name of the file.
        """
        import tensorflow as tf

        try:
            shard, offset = tf.constant(os.fsencode(self.shard)), tf.constant(self.offset, tf.int64)
            return read_record(shard, offset).numpy()
        except tf.errors.NotFoundError as error:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
        except tf.errors.OpError as error:
            raise ValueError("is a damaged record; copy the shard again, or make the shards anew") from error

    def to_json(self) -> list[Any]:
        """Returns what the manifest tells of the file, but for its shard."""
        return [self.record, self.offset, self.name, self.header, base64.b64encode(self.mark).decode()]

    @classmethod
    def from_json(cls, shard: Path, told: list[Any]) -> "ShardFile":
        """Returns the file that `to_json` has described."""
        record, offset, name, header, mark = told
        return cls(shard, record, offset, name, tuple(header), base64.b64decode(mark))


class ShardedSplit(NamedTuple):
    """What the manifest tells of a split; see `finding.Found`."""

    pairs: Mapping[str, tuple[ShardFile, ...]]
    sides: tuple[str, ...]
    label_side: int | None


def read_record(shard: "tf.Tensor", offset: "tf.Tensor") -> "tf.Tensor":
    """Returns the contents of the record of a shard that starts at an offset; checks its checksum.

    Args:
      shard: the path of a TFRecord file, a scalar string.
      offset: where the record starts, int64 scalar, in bytes.
    """
    import tensorflow as tf

    # The public class for TFRecord files takes no offset.
    records = tf.raw_ops.TFRecordDatasetV2(
        filenames=[shard], compression_type="", buffer_size=tf.constant(0, tf.int64), byte_offsets=[offset]
    )
    spec = {"output_types": [tf.string], "output_shapes": [[]]}
    first = tf.raw_ops.TakeDataset(input_dataset=records, count=tf.constant(1, tf.int64), **spec)
    return tf.ensure_shape(tf.raw_ops.DatasetToSingleElement(dataset=first, **spec)[0], [])


def is_sharded(folder: Path) -> bool:
    """Tells whether a folder holds a whole set of shards."""
    return (folder / MANIFEST).is_file()


def read_shards(folder: Path, from_photos: bool | None = None) -> dict[str, ShardedSplit]:
    """Reads the manifest of a set of shards, and no shard.

    Args:
      folder: holds the manifest and the shards.
      from_photos: whether single photos are wanted, and not pairs; None takes both.

    Returns:
      The splits of the set by their names.

    Raises:
      UserError: if the manifest cannot be read, or holds names that lead out of a folder, if a shard is
        missing or has another size than it had, or if the set holds pairs where photos are wanted.
    """
    manifest = folder / MANIFEST
    try:
        told = json.loads(manifest.read_bytes())
        if told["version"] != VERSION:
            raise UserError(
                f"{manifest} is of version {told['version']}, and version {VERSION} is read; update tfpix2pix"
            )
        if from_photos is not None and told["photos"] != from_photos:
            held, wanted = ("photos", "pairs") if told["photos"] else ("pairs", "photos")
            raise UserError(
                f"{folder} holds shards of {held}, and the task takes {wanted}. "
                f"Make shards {'without' if told['photos'] else 'with'} `photos`"
            )
        _check_names(manifest, told["splits"])
        return {name: _read_split(folder, split) for name, split in told["splits"].items()}
    except OSError as error:
        raise UserError(f"{manifest} cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{manifest} is damaged; copy it again, or make the shards anew") from error


def _check_names(manifest: Path, splits: Mapping[str, Any]) -> None:
    """Raises UserError for names that lead elsewhere: shards are read, and outputs written, by them."""
    for split, told in splits.items():
        shards, pairs = (shard["name"] for shard in told["shards"]), (pair[0] for pair in told["pairs"])
        if outer := [name for name in (split, *shards, *pairs) if not is_inner_name(name)]:
            raise UserError(
                f"{manifest} is damaged: {outer[0]!r} would lead out of a folder; make the shards anew"
            )


def _read_split(folder: Path, told: Mapping[str, Any]) -> ShardedSplit:
    for shard in told["shards"]:
        _check_shard(folder / shard["name"], shard["bytes"])
    places = [folder / shard["name"] for shard in told["shards"]]
    has_instances = told.get("instances", False)
    pairs = {}
    for name, shard, listed in told["pairs"]:
        files = tuple(ShardFile.from_json(places[shard], file) for file in listed)
        if has_instances:
            *images, instances = files
            files = (dataclasses.replace(images[0], instances=instances), *images[1:])
        pairs[name] = files
    return ShardedSplit(pairs, tuple(told["sides"]), told["label_side"])


def _check_shard(shard: Path, num_bytes: int) -> None:
    if not shard.is_file():
        raise UserError(f"{shard} is missing, which {MANIFEST} beside it names; copy it there")
    if shard.stat().st_size != num_bytes:
        raise UserError(
            f"{shard} has {shard.stat().st_size:,} bytes, and should have {num_bytes:,}; copy it again"
        )
