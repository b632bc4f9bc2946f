"""What outputs were made by: a record, which keeps a job that goes on from mixing outputs of two kinds."""

import contextlib
import hashlib
import json
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfpix2pix.pictures.page import Row
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.places import name_urls, url_of
from tfpix2pix.pipelines.placing.checksums import hash_file
from tfpix2pix.pipelines.remote.outputs import OutputFolder
from tfpix2pix.translate.options import Options
from tfpix2pix.translate.page_files import PAGE_FOLDER, RECORD
from tfpix2pix.translate.translator import Translator

# These choose how many outputs there are and how they are called, but not the pixels of what has one name.
_NAMING = ("format", "samples_per_image")
_INDIFFERENT = ("batch_size", "resume", "shard")
# A worker of a cluster translates many parts with one model.
_DIGESTS: weakref.WeakKeyDictionary[Translator, str] = weakref.WeakKeyDictionary()


class MadeBy:
    """What decides on the pixels of the outputs of a job, beside those of earlier jobs in the same folder.

    Args:
      translator: the model.
      output: folder of the outputs; the copy of a remote one stands for that.
      options: what is done to the files.

    Raises:
      UsageError: when outputs are to be left out, and the folder holds some that were made otherwise.
      UserError: when the record cannot be written.
    """

    def __init__(self, translator: Translator, output: Path, options: Options):
        self._output = OutputFolder(output)
        self._own = _describe(translator, options)
        with self._locked():
            self._all = _read(self._output)
            if options.resume:
                self._refuse_others()
            if self._own not in self._all:
                self._write([*self._all, self._own])

    def _refuse_others(self) -> None:
        for other in self._all:
            formats = other.get("format"), self._own["format"]
            if all(formats) and formats[0] != formats[1]:  # Their outputs have other names.
                continue
            if differences := _list_differences(other, self._own):
                told = "; ".join(differences)
                raise UsageError(
                    f"{self._output.folder} holds outputs that were made otherwise: {told}. Give the same "
                    "options, choose another `output`, or leave out `resume`"
                )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Lets one of several jobs that share the folder, such as shards, read and write the record."""
        if url_of(self._output.folder):  # A store takes whole files, of which the last one counts.
            yield
            return
        file = self._output.folder / PAGE_FOLDER / ".made_by.lock"
        file.parent.mkdir(parents=True, exist_ok=True)
        with staging.waiting_lock(file, remove=True):
            yield

    def finish(self, rows: Sequence[Row]) -> None:
        """Forgets earlier outputs, when all inputs are done and none of another job is left in the folder."""
        folder, known = self._output.folder / PAGE_FOLDER, {row.input_file for row in rows}
        if self._all in ([], [self._own]) or url_of(folder):
            return
        with self._locked():
            if all(f"{PAGE_FOLDER}/{file.relative_to(folder)}" in known for file in folder.rglob("*.jpg")):
                # Of another job that has begun since, the entry stays.
                others = [other for other in _read(self._output) if self._is_kept(other)]
                self._write([*others, self._own])

    def _is_kept(self, other: dict[str, Any]) -> bool:
        """Tells whether an entry of another job stays when its outputs have been written over."""
        has_other_names = any(other.get(name) != self._own[name] for name in _NAMING)
        return has_other_names or other not in (*self._all, self._own)

    def _write(self, entries: Sequence[dict[str, Any]]) -> None:
        text = json.dumps({"made_by": entries}, indent=1)
        self._output.write(RECORD, f"{text}\n".encode())


def _describe(translator: Translator, options: Options) -> dict[str, Any]:
    """Returns what decides on the outputs, in types of JSON."""
    decisive = {name: _tell(value) for name, value in vars(options).items() if name not in _INDIFFERENT}
    return {
        "model": name_urls(translator.title),
        "weights": _DIGESTS.get(translator) or _DIGESTS.setdefault(translator, _digest_weights(translator)),
        **translator.scale.to_json(),
        "output_size": translator.output_size,
        **decisive,
    }


def _tell(value: Any) -> Any:
    """Returns the value of an option, in types of JSON: of a file its digest, and of a folder no more."""
    if not isinstance(value, str | Path):
        return value
    place = Path(value)
    if place.is_file():
        return f"a file of the SHA-256 {hash_file(place)}"
    return "a folder" if place.is_dir() else str(value)


def _digest_weights(translator: Translator) -> str:
    """Returns a digest of the numbers of the network, which another step, or more training, changes."""
    digest = hashlib.sha256()
    if translator.generator is not None:
        for weight in translator.generator.get_weights():  # without states of random numbers
            digest.update(weight.tobytes())
    elif translator.version is not None:
        for file in sorted([translator.version / "saved_model.pb", *translator.version.glob("variables/*")]):
            digest.update(hash_file(file).encode())
    return digest.hexdigest()


def _read(output: OutputFolder) -> list[dict[str, Any]]:
    """Returns what is known of the outputs of earlier jobs; those of earlier versions have no record."""
    try:
        entries = json.loads(output.read(RECORD) or b"{}")["made_by"]
        return [dict(entry) for entry in entries]
    except (KeyError, TypeError, ValueError, OSError):
        return []


def _list_differences(other: dict[str, Any], own: dict[str, Any]) -> list[str]:
    """Returns the options whose values differ, for people."""
    differences = [
        f"`{name}` was {other.get(name)}, and is {value} now"
        for name, value in own.items()
        if name not in (*_NAMING, "model", "weights") and other.get(name) != value
    ]
    if other.get("weights") != own["weights"]:
        is_same = other.get("model") == own["model"]
        now = "with other weights than now" if is_same else f"and now it is {own['model']}"
        differences.insert(0, f"the model was {other.get('model')}, {now}")
    return differences
