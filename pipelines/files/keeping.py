"""Which pixels of a split are kept in memory: resized ones, decoded ones, or none; and from when on."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.files.bad_files import sift
from tfpix2pix.pipelines.files.matching import FileList, Files
from tfpix2pix.pipelines.files.measuring import Rows, Table
from tfpix2pix.pipelines.files.memory import PixelStore, Room, is_quick
from tfpix2pix.pipelines.files.reading import Reader, Reading, TypedReader

_FLOAT_BYTES = np.dtype(np.float32).itemsize


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is kept of a split.

    Attributes:
      store: where decoded images are kept; None if they are not.
      is_quick: whether all files are decoded at once; if not, each is decoded when it is needed first.
      resized_bytes: memory that is set aside for resized images.
    """

    store: PixelStore | None
    is_quick: bool
    resized_bytes: int = 0


def plan_keeping(reading: Reading, table: Table, room: Room, resized: tuple[int, int] | None) -> Plan:
    """Sets memory aside for the images of a split, the resized ones first.

    Args:
      reading: how the files are read.
      table: what their headers say.
      room: the memory that is left; what is set aside is taken from it.
      resized: (height, width) in px of the images that are kept if all of them fit; None keeps none.
    """
    sizes = table.sizes[:, list(reading.arrange(range(reading.num_images)))]
    store = PixelStore(sizes, reading.results)
    quick = is_quick(sizes)
    if resized:
        num_bytes = _count_resized_bytes(reading, len(sizes), resized)
        # Damaged files are found when all are decoded, before any is resized.
        if quick and room.take(num_bytes + store.num_bytes):
            return Plan(store, quick, num_bytes)
        if room.take(num_bytes):
            return Plan(None, quick, num_bytes)
    return Plan(store if room.take(store.num_bytes) else None, quick)


def _count_resized_bytes(reading: Reading, count: int, size: tuple[int, int]) -> int:
    """Returns the memory of resized images, which are floats, and of resized ids."""
    each = sum(form.channels * _FLOAT_BYTES for form in reading.results[:2])
    ids = sum(form.channels * form.dtype.itemsize for form in reading.results[2:])
    return count * size[0] * size[1] * (each + ids)


def decode_all(
    reading: Reading, pairs: Mapping[str, Files], table: Table, store: PixelStore | None, title: str
) -> tuple[Rows, list[str]]:
    """Decodes pairs into a store, if there is one; returns the rows of the good ones, and the errors.

    Without a store, pairs that were decoded at an earlier start, and have not changed, are taken as good.
    """
    rows: Sequence[int] = range(len(table.names))
    if store:
        store.allocate()
        table.decoded[:] = False
    else:
        rows = np.flatnonzero(~table.decoded).tolist()

    def load(row: int) -> None:
        images = reading.load(pairs[table.names[row]])
        if store:
            store.put(row, images)

    decoded, reasons = sift(load, rows, title)
    table.decoded[list(decoded)] = True
    return np.flatnonzero(table.decoded), reasons


def read_kept(reading: Reading, kept: FileList, in_graph: bool, plan: Plan, rows: Rows) -> Reader:
    """Returns the function that reads pairs: what a plan keeps of them, or their files.

    Args:
      reading: how the files are read.
      kept: the files of the good pairs.
      in_graph: whether TensorFlow operations give the pixels that are wanted.
      plan: what is kept.
      rows: the rows of the good pairs in the plan's store.
    """
    if plan.store and plan.is_quick:
        read = plan.store.reader(rows)
    else:
        read = reading.reader(kept, in_graph)
        read = plan.store.filling_reader(read, rows) if plan.store else read
    return TypedReader(read, tuple(tf.as_dtype(each.dtype) for each in reading.results))
