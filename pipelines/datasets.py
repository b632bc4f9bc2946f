"""From a dataset's name to its pairs, which are generated, found on disk, or downloaded first."""

import dataclasses
from pathlib import Path

import tensorflow as tf

from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base import homes
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.progress import say, warn
from tfpix2pix.pipelines.files import generated, sources, value_warnings
from tfpix2pix.pipelines.files.memory import Room
from tfpix2pix.pipelines.files.samples import read_sample
from tfpix2pix.pipelines.labels import id_maps
from tfpix2pix.pipelines.labels.palettes import Palette
from tfpix2pix.pipelines.meaning import UNKNOWN, Meaning
from tfpix2pix.pipelines.placing.dataset_folder import find_dataset_folder, prepare_dataset
from tfpix2pix.pipelines.placing.remote_datasets import fetch_list
from tfpix2pix.pipelines.tasks import transforms
from tfpix2pix.pipelines.tasks.tasks import Task


def open_split(
    dataset: str | catalogue.DatasetSpec,
    split: str,
    *,
    data_dir: str | Path = "datasets",
    direction: str | None = None,
    image_size: int | tuple[int, int] = (256, 256),
    on_bad_image: str = "stop",
    cache_mib: float | Room = 2048,
    task: Task | None = None,
    palette: Palette | None = None,
    meaning: Meaning | None = None,
    val_percent: int = 10,
    exif: bool = True,
    pairs: str | Path | None = None,
    resize_input_to_target: bool = False,
    keep_size: tuple[int, int] | None = None,
    manifest: Path | None = None,
) -> sources.Source:
    """Opens one split of a dataset; downloads the dataset if it is not there.

    Args:
      dataset: a name in the catalogue, the name of your own set, or an entry like those of the
        catalogue.
      split: `train`, `val` or `test`.
      data_dir: folder that holds the dataset's folder, or the splits themselves.
      direction: `AtoB` or `BtoA`; None for the dataset's own.
      image_size: N or (height, width) in px, at which generated pairs are drawn. Pairs in files keep
        their sizes.
      on_bad_image: `stop` or `skip`; see `sources.open_source`.
      cache_mib: decoded images are kept in memory if they fit this many MiB, or what a `Room` has left.
      task: what is learned; None for pairs of three channels.
      palette: the classes of label maps that hold class ids; None for the dataset's own, see
        `id_maps.find_classes`.
      meaning: what a training took the images for; see `id_maps.give_meaning`. None finds out.
      val_percent: the share of the training pairs, in percent, that validates where the dataset has
        neither `val/` nor `test/`. They are the same ones at every call.
      exif: whether photos are turned as their EXIF orientation says.
      pairs: a CSV file that lists the pairs, in place of a folder; see `pair_lists.read_list`. The
        dataset is then only a name, and the direction is `AtoB` unless it is given: from the column
        input to the column target.
      resize_input_to_target: whether the sizes of the two files of a pair may differ, as they do for
        super-resolution. The input image is then resized to the size of the target image.
      keep_size: see `sources.open_source`.
      manifest: see `sources.open_source`.

    Returns:
      The pairs. A line on standard error says where they were found.

    Raises:
      UserError: if the data is missing, cannot be downloaded, or cannot be used.
      ValueError: for an argument that is not one of those above; the message names it.

    Examples:
      >>> source = open_split("synthetic", "val", image_size=(64, 64))
      >>> len(source), source.read(tf.constant(0, tf.int64))[0].shape
      (100, TensorShape([64, 64, 3]))
    """
    image_size = transforms.settle_size(image_size, "image_size")
    spec = catalogue.find_dataset(dataset) if isinstance(dataset, str) else dataset
    direction, data_dir = direction or ("AtoB" if pairs else spec.direction), Path(data_dir)
    _check_listed(spec, task, pairs)
    sources.check_choices(direction, on_bad_image)
    if spec.draw_pair:
        if split not in spec.counts:
            raise ValueError(f"split must be one of {', '.join(spec.counts)}. Received: {split}")
        draw = homes.resolve(spec.draw_pair)
        source = generated.open_synthetic(
            split, direction, spec.counts[split], image_size, task=task, draw=draw
        )
        return id_maps.give_meaning(source, direction, id_maps.find_classes(spec, None), meaning)
    if pairs:
        folder = fetch_list(pairs)
    else:
        folder = find_dataset_folder(spec.name, data_dir) or prepare_dataset(spec, data_dir)
    if task and task.from_photos and spec.url and not (folder / split / "photos").is_dir():
        raise UsageError(
            f"`dataset={spec.name}` is a set of pairs side by side, and `task={task.name}` takes single "
            "photos. Take `dataset=synthetic`, which has some, or name a set of your own"
        )
    given = (on_bad_image, cache_mib, task, val_percent, exif, resize_input_to_target, keep_size, manifest)
    source = sources.open_source(folder, split, direction, *given)
    say(source.told)
    palette = palette or id_maps.find_classes(spec, folder.parent if pairs else folder)
    source = id_maps.give_meaning(source, direction, palette, meaning)
    if split == "train":  # the other splits are like it
        # A dataset of the catalogue that does not fit its classes has a warning of its own.
        has_own_classes = bool(palette and not spec.palette and meaning is not UNKNOWN)
        _tell_of_images(source, folder / split if folder.is_dir() else folder, has_own_classes)
    may_resize = resize_input_to_target and not (task and task.from_photos)
    return resize_inputs(source) if may_resize else source


def _check_listed(spec: catalogue.DatasetSpec, task: Task | None, pairs: str | Path | None) -> None:
    if pairs and (spec.draw_pair or (task and task.from_photos)):
        what = f"`dataset={spec.name}` is generated" if spec.draw_pair else "the task takes single photos"
        raise UsageError(f"`pairs` lists the files of pairs, and {what}")


def _tell_of_images(source: sources.Source, place: Path, has_own_classes: bool) -> None:
    """Tells of what the images of a set hold, and warns of what they should not hold."""
    _tell_of_ids(source, place)
    if has_own_classes:
        _warn_of_classes(source, place)
    _warn_of_values(source, place)


def resize_inputs(source: sources.Source) -> sources.Source:
    """Returns the same pairs with each input image resized to the size of its target image.

    Integers are rounded, and keep their type. Images of the right size stay as they are, bit for bit.
    """

    def read(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        image, target, *instances = source.read(index)
        size = tf.shape(target)[:2]

        def resized() -> tf.Tensor:
            pixels = source.task.resize_input(image, size)
            return tf.cast(tf.round(pixels), image.dtype) if image.dtype.is_integer else pixels

        is_right = tf.reduce_all(tf.equal(tf.shape(image)[:2], tf.shape(target)[:2]))
        fitting = tf.cond(is_right, lambda: tf.identity(image), resized)
        return (
            tf.ensure_shape(fitting, [None, None, image.shape[-1]]),
            target,
            *(transforms.resize_nearest(ids, size) for ids in instances),
        )

    return dataclasses.replace(source, read=read)


def _tell_of_ids(source: sources.Source, place: Path) -> None:
    for name, side in (("input", source.meaning.input), ("target", source.meaning.target)):
        if side and side.ids:
            say(
                f"{place}: the {name} images hold class ids, read in the colours of "
                f"{count_of(len(side.ids), 'class', 'classes')}"
            )


def _warn_of_classes(source: sources.Source, place: Path) -> None:
    """Warns of a palette that nothing in the images fits, where images of classes could be."""
    if source.meaning.palette is None and not source.task.from_photos and 3 in source.channels:
        warn(
            f"{place} has a {catalogue.PALETTE_FILE}, and neither side of the pairs holds its ids or its "
            "colours: images are read as they are. Compare it with the label maps, or remove it"
        )


def _warn_of_values(source: sources.Source, place: Path) -> None:
    pairs = read_sample(source, value_warnings.LOOKED_AT)
    value_warnings.warn_of_sides(place, [[image.numpy() for image in images[:2]] for _, images in pairs])


def find_classes(
    dataset: str, data_dir: str | Path = "datasets", pairs: str | Path | None = None
) -> Palette | None:
    """Returns the classes of a dataset's label maps; None if they are not known.

    Args:
      dataset: a name in the catalogue, or the name of your own set.
      data_dir: folder that holds `<dataset>/<split>`, or the splits themselves.
      pairs: a CSV file that lists the pairs, in place of the folder.

    Raises:
      UserError: if the file of the classes in the dataset's folder cannot be used.
    """
    spec = catalogue.find_dataset(dataset)
    folder = fetch_list(pairs).parent if pairs else find_dataset_folder(spec.name, Path(data_dir))
    return id_maps.find_classes(spec, folder)
