"""What is kept beside the outputs of a translation on Ray: a record of each part, and a manifest of all.

A part is a slice of the files, as `shard` of `translate` takes it. Its record is written when all its outputs
are, so a part with a record is done, as long as they are there. TensorFlow is not imported.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfpix2pix.export.versions import find_version
from tfpix2pix.pipelines.base.places import READ_ONLY, copy_of, url_of
from tfpix2pix.pipelines.files.shards import ShardFile
from tfpix2pix.pipelines.placing.checksums import hash_file
from tfpix2pix.pipelines.remote.outputs import OutputFolder
from tfpix2pix.pipelines.remote.store import Entry, Store
from tfpix2pix.run.steps import checkpoint_folder
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
      key: digest of the files, the model and the options, with the files that they name: what decides the
        outputs.
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
      settings: arguments of `Translator`, as for `translate_on_ray`; with the contents of the model, they
        decide the outputs.
      options: what is done to the files; how many at a time does not matter.
    """
    count, read_state = -(-len(files) // files_per_part), _state_reader(files)
    decisive = {**dataclasses.asdict(options), **settings, "contents": _describe_contents(settings, options)}
    for name in ("batch_size", "resume", "shard"):
        del decisive[name]
    parts = []
    for number in range(1, count + 1):
        slice_options = dataclasses.replace(options, shard=f"{number}/{count}")
        own = slice_options.take_shard(files)
        states = [(file.title, file.name, *read_state(file)) for file in own]
        key = hashlib.sha256(json.dumps([decisive, states], sort_keys=True).encode()).hexdigest()
        parts.append(Part(number, count, own, key))
    return parts


def _describe_contents(settings: Mapping[str, Any], options: Options) -> list[Any]:
    """Returns what changes with the weights of the model, and with the files that options name."""
    model = copy_of(settings["model"])
    weights = find_version(model) or checkpoint_folder(model, int(settings["checkpoint"]))
    files = sorted(file for file in weights.rglob("*") if file.is_file())
    ends = options.ends[:2] if options.interpolate else ()
    named = (options.instances, options.latent_from, options.feature_from, *ends)
    return [[(file.name, hash_file(file)) for file in files], *map(_look_at, named)]


def _look_at(named: str | None) -> Any:
    """Returns the digest of a file, the names, sizes and times of a folder's files; None for a seed."""
    place = Path(named or "")
    if named and place.is_file():
        return hash_file(place)
    if named and place.is_dir():
        files = sorted(file for file in place.rglob("*") if file.is_file())
        return [(file.relative_to(place).as_posix(), *_read_state(file)) for file in files]
    return None


def _state_reader(files: Sequence[InputFile]) -> Callable[[InputFile], tuple[Any, ...]]:
    """Returns a function that returns what changes with a file's contents.

    That is the size and the time of a file, what a store says of it, or the size and the end of a record.
    """
    remote = [file.path for file in files if isinstance(file.path, Path) and url_of(file.path)]
    root = Path(os.path.commonpath([path.parent for path in remote])) if remote else Path()
    entries = _look_at_store(url_of(root) or "", [path.relative_to(root).as_posix() for path in remote])

    def read(file: InputFile) -> tuple[Any, ...]:
        if isinstance(file.path, ShardFile):
            return (file.path.mark.hex(),)
        if url_of(file.path):
            return tuple(entries.get(file.path.relative_to(root).as_posix(), ()))
        return _read_state(file.path)

    return read


def _look_at_store(url: str, names: Sequence[str]) -> dict[str, Entry]:
    """Returns what a store says of files, or of all files that it lists, where some may be gone."""
    if not names:
        return {}
    store = Store(url)
    # Of a web server, which may list nothing, each file is asked for by its name.
    return store.look_at(names) if url.partition(":")[0] in READ_ONLY else store.list_files()


def _read_state(file: Path) -> tuple[int, ...]:
    try:
        found = file.stat()
    except OSError:  # The worker that cannot read it names it.
        return ()
    return found.st_size, found.st_mtime_ns


def write_record(output: Path, name: str, key: str, page: str, images: Sequence[Mapping[str, Any]]) -> None:
    """Writes the record of a part whose outputs are written.

    Args:
      output: folder of the outputs; the copy of a remote one stands for that, here and below.
      name: the part's `name`.
      key: the part's `key`.
      page: the page that shows it.
      images: of each image, `input`, and either `outputs` with `file`, `bytes` and `sha256`, or `error`.
    """
    text = json.dumps({"key": key, "page": page, "images": images}, indent=1)
    OutputFolder(output).write(name, f"{text}\n".encode())


def describe_output(output: Path, file: str) -> dict[str, Any]:
    """Returns what a record says of an output that is there: its name, its size and its contents' digest."""
    contents = OutputFolder(output).read(file) or b""
    return {"file": file, "bytes": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}


def read_records(output: Path, parts: Sequence[Part]) -> list[dict[str, Any] | None]:
    """Returns the record of each part.

    It is None where there is none, where it is of other files, another model or other options, and where an
    output is not there, or has another size than it had.
    """
    folder = OutputFolder(output)

    def read(part: Part) -> dict[str, Any] | None:
        try:
            record = json.loads(folder.read(part.name) or b"")
            if record["key"] != part.key:
                return None
            outputs = [each for image in record["images"] for each in image.get("outputs", ())]
            return record if all(folder.holds(each["file"], each["bytes"]) for each in outputs) else None
        except (OSError, ValueError, LookupError, TypeError, AttributeError):  # It is damaged.
            return None

    return [read(part) for part in parts]


def count_failed(record: Mapping[str, Any]) -> int:
    """Returns how many images of a record could not be translated."""
    return sum("error" in image for image in record["images"])


def write_manifest(output: Path, parts: Sequence[Part], settings: Mapping[str, Any]) -> dict[str, int]:
    """Writes the manifest of a translation whose parts are all done; returns what it counts."""
    lines, counts = [], {"images": 0, "failed": 0}
    for part, record in zip(parts, read_records(output, parts), strict=True):
        if record is None:
            continue
        found = {"images": len(record["images"]), "failed": count_failed(record)}
        lines.append({"record": part.name, "page": record["page"], **found})
        counts = {name: counts[name] + found[name] for name in counts}
    text = json.dumps({**settings, **counts, "parts": lines}, indent=1)
    OutputFolder(output).write(MANIFEST, f"{text}\n".encode())
    return counts
