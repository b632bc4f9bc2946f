"""Fetches datasets from stores: a folder of pairs as a store lists it, or the shards of a manifest."""

import functools
import json
import posixpath
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.listing import join_some
from tfpix2pix.pipelines.base.places import READ_ONLY, check_url, copy_of, is_remote, settle_url
from tfpix2pix.pipelines.base.suggestions import suggest
from tfpix2pix.pipelines.catalogue import PALETTE_FILE
from tfpix2pix.pipelines.files import cityscapes, layouts
from tfpix2pix.pipelines.files.image_listing import is_image
from tfpix2pix.pipelines.files.pair_lists import list_names
from tfpix2pix.pipelines.files.shards import MANIFEST
from tfpix2pix.pipelines.placing.advice import splits_in
from tfpix2pix.pipelines.remote.copies import fetch_folder
from tfpix2pix.pipelines.remote.failures import MissingError
from tfpix2pix.pipelines.remote.store import Store

# So many folders tell what a dataset is, such as trainA/ or leftImg8bit/train/aachen/.
_DEEPEST = 3


def fetch_dataset(name: str, data_dir: str | Path) -> Path:
    """Returns the folder of this machine with a remote dataset, which is fetched, or brought into step.

    Args:
      name: name of the dataset.
      data_dir: URL of the folder that holds the dataset's folder, or the splits themselves.

    Raises:
      UsageError: if what is there is neither that dataset nor any other.
      UserError: if there is nothing at the URL, or it cannot be fetched.
    """
    check_url(data_dir, "data_dir")
    url, shards = _find(name, settle_url(data_dir))
    return fetch_folder(url, names=shards)


def fetch_shards(url: str) -> Path | None:
    """Returns the folder of this machine with the record shards at a URL, which are fetched; or None.

    Raises:
      UserError: if the store cannot be read.
    """
    store = Store(url)
    return fetch_folder(url, names=_list_shards(store)) if store.has(MANIFEST) else None


def fetch_list(pairs: str | Path) -> Path:
    """Returns a CSV file of this machine that lists pairs; that of a URL is fetched with the files it lists.

    Args:
      pairs: a path, or a URL, in which case the files lie below the folder of the list.

    Raises:
      UserError: if it is not there or is no such list, or files cannot be fetched. A listed file that is not
        there is no error yet.
    """
    if not is_remote(pairs):
        return Path(pairs)
    check_url(pairs, "pairs")
    url, copy = settle_url(pairs), copy_of(pairs)
    folder, _, name = url.rpartition("/")
    store = Store(folder)
    if (contents := store.read(name)) is None:
        raise UsageError(f"`pairs={url}`: there is no such file")
    listed = list_names(copy, contents)
    if outside := [each for each in listed if each.startswith("/") or ".." in each.split("/")]:
        raise UsageError(f"{url} lists {outside[0]}; the files of a remote list lie below its own folder")
    listed = list(dict.fromkeys(map(posixpath.normpath, listed)))  # A store has no "./in/1.png".
    palette = [PALETTE_FILE] if store.has(PALETTE_FILE) else []
    wanted = [*listed, *palette, name]
    if folder.partition(":")[0] in READ_ONLY:
        fetch_folder(folder, scope=name, names=wanted)
    else:
        fetch_folder(folder, lambda entries: [each for each in wanted if each in entries], name)
    return copy


@functools.cache
def _find(name: str, data_dir: str) -> tuple[str, tuple[str, ...] | None]:
    """Returns the URL of a dataset, and the files of a set of shards on a server that may not list them."""
    own = f"{data_dir}/{name}"
    for url in (own, data_dir):
        store = Store(url)
        if shards := _list_shards(store):
            return url, shards
        if entries := store.list_files():
            if url == own or _is_dataset(entries):
                return url, None
            raise UsageError(_explain(name, data_dir, entries))
    raise MissingError(f"there is nothing at {data_dir}; compare the name")


def _is_dataset(names: Collection[str]) -> bool:
    """Tells whether files are those of a dataset, which the names of its folders tell, here as on a disk."""
    if MANIFEST in names:
        return True
    # Of each folder one image stands for all, of which there may be millions.
    ends = ((name.split("/")[:-1], ".png" if is_image(Path(name)) else ".txt") for name in names)
    places = {(*folders[:_DEEPEST], f"1{end}") for folders, end in ends}
    with tempfile.TemporaryDirectory() as made:
        for file in (Path(made, *place) for place in places):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        folder = Path(made)
        return bool(splits_in(folder)) or cityscapes.is_official(folder) or layouts.holds_unsplit(folder)


def _explain(name: str, data_dir: str, names: Collection[str]) -> str:
    if "" in names:
        return f"{data_dir} is a file; `data_dir` takes the folder of the pairs"
    held = sorted({first + slash for first, slash, _ in (each.partition("/") for each in names)})
    meant = suggest(name, [each.rstrip("/") for each in held if each.endswith("/")]) or "."
    return (
        f"There is no folder {data_dir}/{name}, and no train/, val/ or test/ in {data_dir} (`data_dir`), "
        f"which holds {join_some(held)}. `dataset` names one of its folders{meant}"
    )


def _list_shards(store: Store) -> tuple[str, ...] | None:
    """Returns the files of a set of shards on a server that may not list them; None for other servers."""
    if store.url.partition(":")[0] not in READ_ONLY or not (manifest := store.read(MANIFEST)):
        return None
    palette = (PALETTE_FILE,) if store.has(PALETTE_FILE) else ()
    try:
        splits: Mapping = json.loads(manifest)["splits"]
        shards = [shard["name"] for split in splits.values() for shard in split["shards"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{store.title}/{MANIFEST} is damaged; copy it there again") from error
    return (*shards, *palette, MANIFEST)
