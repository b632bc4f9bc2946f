"""What is kept beside the outputs of a translation on Ray: a record of each part, and a manifest of all.

A part is a slice of the files, as `shard` of `translate` takes it. Its record is written when all its outputs
are, so a part with a record is done. TensorFlow is not imported.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfpix2pix.pipelines.base import staging
from tfpix2pix.translate.image_inputs import InputFile
from tfpix2pix.translate.options import Options

MANIFEST = "manifest.json"
_FOLDER = "parts"


@dataclasses.dataclass(frozen=True)
class Part:
    """A slice of the files to translate.

    Attributes:
      number: its place among the parts, from 1.
      count: number of parts.
      files: the files.
      key: digest of the files, the model and the options, which decide the outputs.
    """

    number: int
    count: int
    files: Sequence[InputFile]
    key: str

    @property
    def name(self) -> str:
        """The file of its record, below the folder of the outputs."""
        return f"{_FOLDER}/part-{self.number:05d}-of-{self.count:05d}.json"


def divide(
    files: Sequence[InputFile], files_per_part: int, settings: Mapping[str, Any], options: Options
) -> list[Part]:
    """Divides files into parts, which are the same whenever the files are.

    Args:
      files: what to translate.
      files_per_part: most files of a part.
      settings: what else decides the outputs, in types of JSON.
      options: what is done to the files; how many at a time does not matter.
    """
    count = -(-len(files) // files_per_part)
    decisive = {**dataclasses.asdict(options), **settings}
    for name in ("batch_size", "resume", "shard"):
        del decisive[name]
    parts = []
    for number in range(1, count + 1):
        slice_options = dataclasses.replace(options, shard=f"{number}/{count}")
        own = slice_options.take_shard(files)
        states = [(file.title, file.name, *_state(file.path)) for file in own]
        key = hashlib.sha256(json.dumps([decisive, states], sort_keys=True).encode()).hexdigest()
        parts.append(Part(number, count, own, key))
    return parts


def _state(path: Path) -> tuple[int, int]:
    """Returns what changes with a file's contents: its size in bytes, and its time in ns."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def write_record(output: Path, name: str, key: str, page: str, images: Sequence[Mapping[str, Any]]) -> None:
    """Writes the record of a part whose outputs are written.

    Args:
      output: folder of the outputs.
      name: the part's `name`.
      key: the part's `key`.
      page: the page that shows it.
      images: of each image, `input`, and either `outputs` with `file`, `bytes` and `sha256`, or `error`.
    """
    text = json.dumps({"key": key, "page": page, "images": images}, indent=1)
    staging.write_file(output / name, f"{text}\n".encode())


def describe_output(output: Path, file: str) -> dict[str, Any]:
    """Returns what a record says of an output: its name, its size and the digest of its contents."""
    contents = (output / file).read_bytes()
    return {"file": file, "bytes": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}


def read_record(output: Path, part: Part) -> dict[str, Any] | None:
    """Returns the record of a part; None where there is none, or it is of other files or another model."""
    try:
        record = json.loads((output / part.name).read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("key") == part.key else None


def count_failed(record: Mapping[str, Any]) -> int:
    """Returns how many images of a record could not be translated."""
    return sum("error" in image for image in record["images"])


def write_manifest(output: Path, parts: Sequence[Part], settings: Mapping[str, Any]) -> dict[str, int]:
    """Writes the manifest of a translation whose parts are all done; returns what it counts."""
    lines, counts = [], {"images": 0, "failed": 0}
    for part in parts:
        record = read_record(output, part)
        if record is None:
            continue
        found = {"images": len(record["images"]), "failed": count_failed(record)}
        lines.append({"record": part.name, "page": record["page"], **found})
        counts = {name: counts[name] + found[name] for name in counts}
    text = json.dumps({**settings, **counts, "parts": lines}, indent=1)
    staging.write_file(output / MANIFEST, f"{text}\n".encode())
    return counts
