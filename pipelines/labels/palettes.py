"""Class ids of label maps: from colours to ids and back, and resizing that never mixes ids."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.catalogue import CATALOGUE, DatasetSpec
from tfpix2pix.pipelines.meaning import IGNORED, VOID, Colours, Palette
from tfpix2pix.pipelines.tasks.transforms import resize_nearest

if TYPE_CHECKING:
    from tfpix2pix.pipelines.files.sources import Source

LARGEST_ID = 2**16 - 1
_EXAMPLE = '{"sky": [70, 130, 180], "road": [128, 64, 128], "void": [[0, 0, 0]]}'
_AT_ONCE = 256  # so many colours are compared with all pixels at once, which takes 1 KiB a pixel


def dataset_palette(spec: DatasetSpec) -> Palette:
    """Returns the classes of a dataset of the catalogue.

    Raises:
      UsageError: if the entry does not tell them.
    """
    if not spec.palette:
        known = ", ".join(name for name, each in CATALOGUE.items() if each.palette)
        raise UsageError(
            f"the classes of {spec.name} are not known; give `palette=FILE`, a JSON object of names and "
            f"colours, such as {_EXAMPLE} (known: {known})"
        )
    return _new_palette(dict(spec.palette), spec.void)


def find_palette(text: str) -> Palette:
    """Returns the classes that a setting `palette` names.

    Args:
      text: the name of a dataset of the catalogue, or the path of a JSON file. The file holds an
        object that gives each class name its colour, [red, green, blue], in the order of the class
        ids; or {"id": number, "colour": [red, green, blue]}; or the number alone, with which goes
        `numbered_colour`. It may give "void" a list of colours that belong to no class.

    Raises:
      UsageError: for a dataset without label maps, or a text that is neither a dataset nor a file.
      UserError: for a file that holds something else; the message names the entry.
    """
    if text in CATALOGUE:
        return dataset_palette(CATALOGUE[text])
    path = Path(text)
    if not path.is_file():
        known = ", ".join(name for name, each in CATALOGUE.items() if each.palette)
        raise UsageError(f"`palette` takes a JSON file or one of {known}. Received: {text}, which is neither")
    try:
        entries = json.loads(path.read_text("utf-8-sig"), object_pairs_hook=_refuse_twice)
        if not isinstance(entries, dict):
            raise ValueError(f"expected an object of class names and colours, found {entries!r:.60}")
        void = entries.pop(VOID, [])
        is_one_colour = isinstance(void, list) and void and not isinstance(void[0], list)
        return _new_palette(entries, [void] if is_one_colour else void)
    except OSError as error:
        raise UserError(f"palette {path} cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        fault = f"it is not JSON from line {error.lineno}, column {error.colno} on"
        raise UserError(_tell_fault(path, fault)) from error
    except UnicodeDecodeError as error:
        raise UserError(_tell_fault(path, "it is not text in UTF-8")) from error
    except ValueError as error:
        raise UserError(_tell_fault(path, str(error))) from error


def _tell_fault(path: Path, fault: str) -> str:
    return f"palette {path}: {fault}. Write it as a JSON object of names and colours, such as {_EXAMPLE}"


def _refuse_twice(entries: list[tuple[str, Any]]) -> dict[str, Any]:
    by_name: dict[str, Any] = {}
    for name, entry in entries:
        if name in by_name:
            raise ValueError(f'"{name}" is there twice')
        by_name[name] = entry
    return by_name


def _new_palette(entries: Mapping[str, Any], void: Any) -> Palette:
    if not 1 <= len(entries) <= LARGEST_ID + 1:
        raise ValueError(f"expected 1 to {LARGEST_ID + 1:,} classes, found {len(entries):,}")
    if not isinstance(void, list | tuple):
        raise ValueError(f'"{VOID}" must be a list of colours [red, green, blue], found {void!r}')
    named = {name: _read_class(name, place, entry) for place, (name, entry) in enumerate(entries.items())}
    colours = {name: colour for name, (_, colour) in named.items()}
    stored = tuple(number for number, _ in named.values())
    by_number: dict[int, str] = {}
    owners: dict[tuple[int, ...], str] = {}
    for name, (number, colour) in named.items():
        if (other := by_number.setdefault(number, name)) != name:
            raise ValueError(f'"{other}" and "{name}" have the same id {number}')
        if (other := owners.setdefault(colour, name)) != name:
            raise ValueError(f'"{other}" and "{name}" have the same colour {list(colour)}')
    void_colours = [_check_colour(VOID, colour) for colour in void]
    if taken := next((colour for colour in void_colours if colour in owners), None):
        raise ValueError(f'"{VOID}" and "{owners[taken]}" have the same colour {list(taken)}')
    return Palette(
        tuple(colours),
        np.array(list(colours.values()), np.uint8),
        np.array(void_colours, np.uint8).reshape(-1, 3),
        None if stored == tuple(range(len(stored))) else stored,
    )


def _read_class(name: str, place: int, entry: Any) -> tuple[int, tuple[int, ...]]:
    """Returns the id and the colour of a class, of which the entry of a file tells one or both."""
    told = {"id": entry} if type(entry) is int else entry if isinstance(entry, dict) else {"colour": entry}
    number = told.get("id", place)
    if not told or told.keys() - {"id", "colour"} or type(number) is not int or not 0 <= number <= LARGEST_ID:
        raise ValueError(
            f'"{name}" must be [red, green, blue], an id from 0 to {LARGEST_ID}, or '
            f'{{"id": ..., "colour": ...}}, found {entry!r}'
        )
    return number, _check_colour(name, told["colour"]) if "colour" in told else numbered_colour(number)


def numbered_colour(number: int) -> tuple[int, int, int]:
    """Returns the colour of a class that has none, by its id; no two ids have the same.

    Source: the colours of PASCAL VOC, which take bits 0, 3, 6, ... of the id for red, from its highest bit
    on, bits 1, 4, 7, ... for green, and bits 2, 5, 8, ... for blue.
    """
    red, green, blue = (
        sum((number >> 3 * bit + channel & 1) << 7 - bit for bit in range(8)) for channel in range(3)
    )
    return red, green, blue


def _check_colour(name: str, colour: Any) -> tuple[int, ...]:
    good = isinstance(colour, list | tuple) and len(colour) == 3
    if not (good and all(type(level) is int and 0 <= level <= 255 for level in colour)):
        raise ValueError(f'"{name}" must be [red, green, blue], each 0 to 255, found {colour!r}')
    return tuple(colour)


def class_ids(label_image: "tf.Tensor | Colours", palette: Palette) -> tf.Tensor:
    """Returns, for every pixel, the class whose colour is nearest in RGB.

    JPEG blurs the borders of colour maps, so that few pixels there have exactly the colour of a class.
    Between two colours that are equally near, the lower id wins.

    Args:
      label_image: a label map in colours, uint8 RGB [..., 3].
      palette: the classes.

    Returns:
      [...]: class ids from 0, or `palette.no_class` where a void colour is nearest; uint8, or int32 for more
      than 255 classes.
    """
    colours = np.concatenate([palette.colours, palette.void]).astype(np.float32)
    ids = np.concatenate([np.arange(len(palette)), np.full(len(palette.void), palette.no_class)])
    ids = ids.astype(np.uint8 if palette.no_class <= IGNORED else np.int32)
    places = tf.constant([1, 2**8, 2**16])
    pixels = tf.reduce_sum(tf.cast(label_image, tf.int32) * places, axis=-1)
    # Each colour is looked for once, because a label map has few of them.
    codes, indices = tf.unique(tf.reshape(pixels, [-1]))
    nearest = nearest_colours(tf.cast(codes[:, None] // places % 2**8, tf.float32), colours)
    found = tf.gather(tf.gather(tf.constant(ids), nearest), indices)
    return tf.ensure_shape(tf.reshape(found, tf.shape(pixels)), pixels.shape)


def nearest_colours(levels: tf.Tensor, colours: npt.NDArray[np.float32]) -> tf.Tensor:
    """Returns the place of the colour that is nearest to each pixel; of equally near ones, the first.

    Args:
      levels: red, green and blue, whole numbers from 0 to 255, float32 [..., 3].
      colours: float32 [N, 3], from 0 to 255.

    Returns:
      int32 [...], from 0 to N - 1.
    """
    places, values = [], []
    for start in range(0, len(colours), _AT_ONCE):
        some = colours[start : start + _AT_ONCE]
        # |p - c|^2 is smallest where p.c - |c|^2 / 2 is largest. float32 holds these numbers exactly, but
        # matrix products on GPUs do not keep all bits.
        nearness = -np.square(some).sum(1) / 2
        for channel in range(3):
            nearness = levels[..., channel : channel + 1] * some[:, channel] + nearness
        places.append(tf.argmax(nearness, axis=-1, output_type=tf.int32) + start)
        values.append(tf.reduce_max(nearness, axis=-1))
    if len(places) == 1:
        return places[0]
    best = tf.argmax(tf.stack(values, axis=-1), axis=-1, output_type=tf.int32)
    return tf.gather(tf.stack(places, axis=-1), best[..., None], batch_dims=best.shape.rank)[..., 0]


def colour_ids(ids: tf.Tensor | npt.NDArray[np.integer], palette: Palette) -> tf.Tensor:
    """Returns a label map in colours, uint8 [..., 3].

    Args:
      ids: class ids, integers [...]; see `Palette.colour_table` for ids without a class.
      palette: the classes.
    """
    return tf.gather(tf.constant(palette.colour_table(range(len(palette)))), tf.cast(ids, tf.int32))


def resize_ids(ids: tf.Tensor | npt.NDArray[np.uint8], size: tuple[int, int]) -> tf.Tensor:
    """Resizes label maps by the nearest neighbour with half-pixel centres, so that no new ids appear.

    Args:
      ids: [..., H, W], any integer type.
      size: (height, width) in px.

    Returns:
      [..., height, width] of the same type.
    """
    return resize_nearest(tf.convert_to_tensor(ids)[..., None], size)[..., 0]


def with_class_ids(source: "Source", palette: Palette) -> "Source":
    """Returns the pairs with class ids, uint8 [H, W], in place of their target images.

    Args:
      source: pairs of a photo and a label map in the colours of `palette`.
      palette: the classes.
    """

    def read(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        photo, label_map = source.read(index)
        return photo, class_ids(label_map, palette)

    return dataclasses.replace(source, read=read, channels=(source.channels[0], 1))
