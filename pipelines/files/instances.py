"""Maps of instances: files of one channel, in which all pixels of an object have the same number, its id.

Only whether two ids are equal counts. A map belongs to the label map of a pair and has its size.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.listing import join_some
from tfpix2pix.pipelines.files import cityscapes
from tfpix2pix.pipelines.files.image_files import BadImageError, Header, load_image, read_header
from tfpix2pix.pipelines.files.image_listing import list_image_files
from tfpix2pix.pipelines.files.layouts import INSTANCES
from tfpix2pix.pipelines.files.matching import File, Files, Paths, compose
from tfpix2pix.pipelines.files.number_arrays import Pixels
from tfpix2pix.pipelines.files.shards import ShardFile


def find_instances(pairs: Mapping[str, Files]) -> dict[str, File]:
    """Returns the map of instances of each pair by the pair's name; empty where there are none.

    They are in a folder `instances/` beside the folders of the two images (`train/input/`, `train/target/`
    and `train/instances/`; `A/train/`, `B/train/` and `instances/train/`), or beside the files of pairs
    that are side by side, and have the names of the pairs. Cityscapes' own lie beside its label maps.

    Args:
      pairs: the files of each pair by its name; those in record shards tell of the map that is packed with
        them.

    Raises:
      UserError: if some pairs have a map and others have none.
    """
    in_files: dict[str, Paths] = {
        name: paths
        for name, files in pairs.items()
        if (paths := tuple(file for file in files if isinstance(file, Path)))
    }
    by_folder = {folder: _list_maps(folder) for folder in {files[0].parent for files in in_files.values()}}
    packed = ((name, files[0]) for name, files in pairs.items() if isinstance(files[0], ShardFile))
    found: dict[str, File] = {name: file.instances for name, file in packed if file.instances}
    for name, files in in_files.items():
        near = by_folder[files[0].parent]
        own = near.get(compose(name)) or near.get(compose(files[0].stem))
        if file := own or cityscapes.instance_map(files[-1]):
            found[name] = file
    if found and (missing := [name for name in pairs if name not in found]):
        raise UserError(
            f"{next(iter(found.values())).parent} has no map of instances for {len(missing)} pairs: "
            f"{join_some(missing)}. Add them, or remove the folder: then `boundaries` are those of classes"
        )
    return found


def _list_maps(folder: Path) -> dict[str, Path]:
    """Returns the maps that belong to the images of a folder, by their stems."""
    places = (folder / INSTANCES, folder.parent / INSTANCES, folder.parent.parent / INSTANCES / folder.name)
    inside: Iterable[Path] = next((list_image_files(place)[0] for place in places if place.is_dir()), ())
    return {compose(file.stem): file for file in inside}


def check_instances(file: File, size: tuple[int, int] | None = None) -> Header:
    """Returns the header of a map of instances.

    Args:
      file: the map.
      size: (height, width) in px of its label map; None if nobody knows.

    Raises:
      BadImageError: if the header is bad, or tells another size or more channels than one.
    """
    header = read_header(file, exif=False)
    if header.channels > 2 or header.dtype not in (np.uint8, np.uint16):
        raise BadImageError(
            f"{file} has {header.channels} channels of {header.dtype}: a map of instances has one, of whole "
            "numbers in 8 or 16 bits"
        )
    if size and header[:2] != size:
        raise BadImageError(
            f"{file} is {header.width}x{header.height} and its label map is {size[1]}x{size[0]}: a map of "
            "instances has the size of its label map"
        )
    return header


def load_instances(file: File) -> Pixels:
    """Returns the ids of a map of instances, uint16 [H, W, 1]; numbers of 8 bits are spread over 16.

    Raises:
      BadImageError: if the file cannot be read, or holds no such numbers.
    """
    check_instances(file)
    return load_image(file, 1, np.uint16, exif=False)
