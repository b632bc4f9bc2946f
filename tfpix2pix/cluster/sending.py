"""Files on their way to the workers of a cluster, whose caches may be in other folders.

What is remote is sent as its URL. TensorFlow is not imported.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from tfpix2pix.pipelines.base.places import copy_of, url_of
from tfpix2pix.pipelines.files.shards import ShardFile
from tfpix2pix.translate.image_inputs import InputFile


def send_path(path: Path) -> str:
    """Returns what a path is on every machine: the URL that it is the copy of, or the path from the root."""
    return url_of(path) or str(path.absolute())


def send_file(file: InputFile) -> list[str]:
    """Returns an input as texts, out of which `receive_file` makes it again."""
    if isinstance(file.path, ShardFile):
        return [send_path(file.path.shard), file.title, file.name, json.dumps(file.path.to_json())]
    return [send_path(file.path), file.title, file.name, ""]


def receive_file(told: Sequence[str]) -> InputFile:
    """Returns the input that `send_file` has described."""
    path, title, name, record = told
    place = copy_of(path)
    return InputFile(ShardFile.from_json(place, json.loads(record)) if record else place, title, name)
