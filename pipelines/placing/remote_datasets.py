"""Fetches datasets from stores: a folder of pairs as a store lists it, or the shards of a manifest."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.places import READ_ONLY, check_url, settle_url
from tfpix2pix.pipelines.files.shards import MANIFEST
from tfpix2pix.pipelines.remote.copies import fetch_folder
from tfpix2pix.pipelines.remote.store import Store


def fetch_dataset(name: str, data_dir: str | Path) -> Path:
    """Returns the folder of this machine with a remote dataset, which is fetched, or brought into step.

    Args:
      name: name of the dataset.
      data_dir: URL of the folder that holds the dataset's folder, or the splits themselves.

    Raises:
      UserError: if there is nothing at the URL, or it cannot be fetched.
    """
    check_url(data_dir, "data_dir")
    url, shards = _find(name, settle_url(data_dir))
    return fetch_folder(url, names=shards)


@functools.cache
def _find(name: str, data_dir: str) -> tuple[str, tuple[str, ...] | None]:
    """Returns the URL of a dataset, and the files of a set of shards on a server that may not list them."""
    for url in (f"{data_dir}/{name}", data_dir):
        store = Store(url)
        if data_dir.partition(":")[0] in READ_ONLY and (manifest := store.read(MANIFEST)):
            from tfpix2pix.pipelines.labels.id_maps import PALETTE_FILE  # imports TensorFlow

            palette = (PALETTE_FILE,) if store.has(PALETTE_FILE) else ()
            return url, (*_list_shards(url, manifest), *palette, MANIFEST)
        if store.list_files():
            return url, None
    return data_dir, None


def _list_shards(url: str, manifest: bytes) -> list[str]:
    try:
        splits: Mapping = json.loads(manifest)["splits"]
        return [shard["name"] for split in splits.values() for shard in split["shards"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{url}/{MANIFEST} is damaged; copy it there again") from error
