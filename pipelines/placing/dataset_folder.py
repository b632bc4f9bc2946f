"""A dataset's folder: it is found, or made from a download or from archives."""

import posixpath
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tfpix2pix.pipelines.base import suggestions
from tfpix2pix.pipelines.base.errors import UsageError, UserError, explain
from tfpix2pix.pipelines.base.listing import count_of, describe_folder
from tfpix2pix.pipelines.base.places import copy_of, is_remote
from tfpix2pix.pipelines.base.staging import is_unfinished, publish, staged_folder
from tfpix2pix.pipelines.catalogue import (
    CATALOGUE,
    FORMATS,
    DatasetSpec,
    check_name,
    find_dataset,
)
from tfpix2pix.pipelines.files import cityscapes, layouts
from tfpix2pix.pipelines.files.image_listing import (
    has_images,
    is_image,
    list_folders,
    list_image_files,
    walk_folders,
)
from tfpix2pix.pipelines.files.shards import is_sharded
from tfpix2pix.pipelines.placing.advice import PREPARE, splits_in, suggest
from tfpix2pix.pipelines.placing.archives import unpack_archive
from tfpix2pix.pipelines.placing.checksums import Contents, check_file, read_sha256, remember
from tfpix2pix.pipelines.placing.downloads import download, forget_download, local_file
from tfpix2pix.pipelines.placing.remote_datasets import fetch_dataset

_JOIN_THEM = (
    "Move the pairs into them; inputs in one folder and targets in another are joined by "
    f"{PREPARE} --combine INPUT_DIR TARGET_DIR --output=DIR"
)


def find_dataset_folder(name: str, data_dir: Path) -> Path | None:
    """Returns the folder that holds the splits of a dataset; None if there is none.

    The folder is `data_dir/name`, or else `data_dir` itself. A set that is not downloaded may also have
    no splits: its images lie in the folder itself, or in two folders, such as `masks/` and `images/`. If
    `data_dir` is a URL, the dataset is fetched first, and the folder is the copy of it in the cache.
    """
    if is_remote(data_dir):
        data_dir = fetch_dataset(name, data_dir)
    places = (data_dir / name, data_dir)
    with_splits = next((folder for folder in places if is_sharded(folder) or splits_in(folder)), None)
    if with_splits or find_dataset(name).url:
        return with_splits
    return next((folder for folder in places if layouts.holds_unsplit(folder)), None)


def prepare_dataset(spec: DatasetSpec, data_dir: Path, *archives: Path, sha256: str | None = None) -> Path:
    """Makes sure that a dataset is in place: downloads and unpacks it if it is not there.

    Args:
      spec: the dataset.
      data_dir: the folder that holds, or will hold, `<name>/train`, `val` and `test`.
      *archives: tar or zip files to unpack into one folder instead of a download. They are kept.
      sha256: what the SHA-256 of the download or of the one archive must be, in hexadecimal digits. None:
        a download must be what it was the first time, or have the size that is known of it.

    Returns:
      The folder that holds train/, val/ and test/.

    Raises:
      UsageError: for a name that cannot be the name of a folder, or a SHA-256 that is none.
      UserError: if the dataset cannot be put in place; the message says what to do instead.
    """
    check_name(spec.name)
    if is_remote(data_dir):
        raise UserError(_explain_by_hand(spec, copy_of(data_dir)))
    sha256 = read_sha256(sha256)
    if sha256 and len(archives) > 1:
        raise UsageError("`sha256` is for one `archive`")
    try:
        target = data_dir / spec.name
        by_hand = not archives and not spec.url
        ready = _find_complete(spec, data_dir, by_hand)
        if not ready and by_hand:
            raise UserError(_explain_by_hand(spec, data_dir))
        if not ready or is_unfinished(target):
            with staged_folder(target) as staging:
                # Another process may have made the dataset while this one waited.
                ready = _find_complete(spec, data_dir, by_hand)
                if not ready:
                    return _make_dataset(spec, data_dir, archives, staging, sha256)
                forget_download(_partial(spec, data_dir))
        print(f"{spec.name} is complete in {ready}: {_describe(ready)}")
        return ready
    except OSError as error:
        raise UserError(f"cannot put {spec.name} into {data_dir}: {explain(error)}") from error


def _find_complete(spec: DatasetSpec, data_dir: Path, by_hand: bool) -> Path | None:
    folder, target = find_dataset_folder(spec.name, data_dir), data_dir / spec.name
    if folder is None:
        if by_hand and target.is_dir():
            raise UserError(
                f"{target} {describe_folder(target)}; expected folders train/ and val/, each with pairs. "
                + (suggest(spec.name, data_dir) or _JOIN_THEM)
            )
        if target.exists() or target.is_symlink():
            raise UserError(
                f"{target} is there without train/, val/ or test/; move it away and run this again"
            )
        return None
    if fault := _find_fault(spec, folder):
        way_out = "move it away and run this again" if folder == target else "name another `data_dir`"
        raise UserError(f"{folder} is not a complete {spec.name}: {fault}; {way_out}")
    return folder


def _make_dataset(
    spec: DatasetSpec, data_dir: Path, archives: Sequence[Path], staging: Path, sha256: str | None
) -> Path:
    target, unpacked = data_dir / spec.name, staging / "unpacked"
    from_url = local_file(spec.url or "")
    files = archives or ([from_url] if from_url else [])
    if files:
        for file in files:
            if not file.is_file():
                named = f"`archive={file}`" if archives else spec.url
                raise UserError(f"{named}: there is no such file. {_ways_out(spec)}")
            if sha256:
                check_file(file, str(file), _record(spec, data_dir), sha256)
        _unpack_all(files, unpacked, staging / "part")
        publish(_find_dataset_inside(spec, ",".join(map(str, files)), unpacked), target)
    else:
        partial, record = _partial(spec, data_dir), _record(spec, data_dir)
        _download(spec, partial)
        found = _check_download(spec, partial, record, sha256)
        try:
            unpack_archive(partial, unpacked)
        except UserError as error:
            forget_download(partial)
            raise UserError(f"{error}. Removed it, so that the next run downloads it again") from error
        publish(_find_dataset_inside(spec, str(partial), unpacked), target)
        remember(record, spec.url or "", found)
        forget_download(partial)
        print(f"Removed the downloaded archive {partial}")
    print(f"{spec.name} is ready in {target}: {_describe(target)}")
    return target


def _unpack_all(archives: Sequence[Path], unpacked: Path, part: Path) -> None:
    """Unpacks archives into one folder; no folder and no image may be in two of them."""
    unpack_archive(archives[0], unpacked)
    for archive in archives[1:]:
        unpack_archive(archive, part)
        for entry in part.iterdir():
            if not (unpacked / entry.name).exists():
                entry.rename(unpacked / entry.name)
            elif entry.is_dir():
                raise UserError(f"both {archive} and an archive before it hold a folder {entry.name}/")
            elif is_image(entry):
                raise UserError(
                    f"both {archive} and an archive before it hold an image {entry.name}: let each archive "
                    "hold a folder of its own, such as input/ and target/"
                )
        shutil.rmtree(part)


def _partial(spec: DatasetSpec, data_dir: Path) -> Path:
    return data_dir / f"{_archive_name(spec)}.partial"


def _record(spec: DatasetSpec, data_dir: Path) -> Path:
    """Returns where size and SHA-256 of the first download are kept."""
    return data_dir / f"{_archive_name(spec)}.json"


def _archive_name(spec: DatasetSpec) -> str:
    return posixpath.basename(urlsplit(spec.url or "").path) or spec.name


def _download(spec: DatasetSpec, partial: Path) -> None:
    url = spec.url or ""
    print(f"Downloading {url}", flush=True)
    try:
        download(url, partial)
    except UserError as error:
        raise UserError(f"{error}. {_ways_out(spec)}") from error


def _check_download(spec: DatasetSpec, partial: Path, record: Path, sha256: str | None) -> Contents:
    """Returns what was downloaded. It is removed if it is not what it should be."""
    try:
        return check_file(partial, spec.url or "", record, sha256, spec.archive_bytes)
    except UserError as error:
        forget_download(partial)
        how = "" if sha256 else f": {PREPARE} --dataset={spec.name} --sha256=HEX"
        raise UserError(f"{error}{how}") from error


def _find_dataset_inside(spec: DatasetSpec, archive: str, unpacked: Path) -> Path:
    """Returns the folder with the splits, whatever folders the archive wraps around it."""
    folder = unpacked
    while not splits_in(folder) and not cityscapes.is_official(folder) and not layouts.find_two(folder):
        wrapped = [folder / name for name in list_folders(folder)]
        for is_dataset in (splits_in, has_images):
            if len(wrapped) > 1:  # documents lie beside the dataset
                wrapped = [each for each in wrapped if any(map(is_dataset, walk_folders(each)))] or wrapped
        if len(wrapped) != 1:
            break
        folder = wrapped[0]
    if fault := _find_fault(spec, folder):
        as_it_is = (
            f". To use it as it is: `dataset=my_{spec.name}` `archive={archive}`" if spec.counts else ""
        )
        raise UserError(f"{archive} does not hold a complete {spec.name}: {fault}{as_it_is}")
    return folder


def _find_fault(spec: DatasetSpec, folder: Path) -> str | None:
    """Returns what a dataset's folder lacks, as a sentence; None if it is complete."""
    if fault := cityscapes.find_fault(folder):
        return fault
    splits = splits_in(folder)
    if not splits and not spec.counts and layouts.holds_unsplit(folder):
        return None
    if not splits:
        return "there is no folder train/, val/ or test/"
    for split in spec.counts:
        if split not in splits:
            return f"there is no folder {split}/"
    for split in splits:
        for place, sizes in _image_sizes(folder, split).items():
            if not sizes:
                return f"{place}/ holds no {FORMATS} images"
            if len(sizes) != spec.counts.get(split, len(sizes)):
                return f"{place}/ holds {count_of(len(sizes), 'image')} instead of {spec.counts[split]}"
            if empty := next((name for name, size in sizes.items() if not size), None):
                return f"{place}/{empty} is empty (0 bytes)"
    return None


def _image_sizes(folder: Path, split: str) -> Mapping[str, Mapping[str, int]]:
    """Returns the size in bytes of each image of a split by its name, for each of its one or two folders."""
    folders = layouts.find_folders(folder, split)
    if not folders:
        pairs = cityscapes.find_official_pairs(folder, split)
        return {
            f"{place}/{split}": {files[side].name: files[side].stat().st_size for files in pairs.values()}
            for side, place in enumerate((cityscapes.PHOTOS, cityscapes.LABELS))
        }
    return {str(inside.relative_to(folder)): _images_in(inside) for inside in folders}


def _images_in(folder: Path) -> Mapping[str, int]:
    files = list_image_files(folder)[0] if folder.is_dir() else []
    return {file.name: file.stat().st_size for file in files if file.is_file()}


def _describe(folder: Path) -> str:
    splits = splits_in(folder)
    if not splits:
        inside = layouts.find_unsplit(folder) or (layouts.find_photo_folder(folder),)
        return f"{len(_images_in(inside[0]))} without splits"
    counts = {split: _image_sizes(folder, split) for split in splits}
    return ", ".join(f"{split} {len(next(iter(places.values())))}" for split, places in counts.items())


def _explain_by_hand(spec: DatasetSpec, data_dir: Path) -> str:
    folder = data_dir.absolute()
    if not folder.exists() and folder.name == spec.name not in CATALOGUE:
        return f"there is no folder {folder}; `data_dir` takes the folder of the pairs"
    if folder.exists() and not folder.is_dir():
        return f"{folder} is a file; `data_dir` takes the folder of the pairs"
    if folder.name == spec.name not in CATALOGUE and not any(folder.iterdir()):
        return f"{folder} holds nothing; `data_dir` takes the folder of the pairs"
    place = (
        f"There is no folder {folder / spec.name}, and no train/, val/ or test/ in {folder} (`data_dir`), "
        f"which {describe_folder(folder)}."
    )
    meant = suggestions.suggest(spec.name, CATALOGUE) or "."
    ways = suggest(spec.name, data_dir) or _ways_out(spec)
    if spec.name in CATALOGUE:
        return f"{spec.name} cannot be downloaded. {spec.note} {place} {ways}"
    return f"{place} {spec.name} is not one of {', '.join(CATALOGUE)}{meant} {ways}"


def _ways_out(spec: DatasetSpec) -> str:
    return (
        f"Ways on: {PREPARE} --dataset={spec.name} --archive=FILE with a tar "
        f"or zip file of it; `data_dir=DIR` where DIR/{spec.name} holds train, val and test; "
        "or `dataset=synthetic`, which needs no files"
    )
