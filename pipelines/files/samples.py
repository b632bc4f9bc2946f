"""A few pairs that stand for all: they are spread evenly, because the first of a set are often alike."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from tfpix2pix.pipelines.files.sources import Source


def spread_evenly(count: int, most: int | None) -> list[int]:
    """Returns at most `most` places, spread evenly over those from 0 to `count` - 1; None stands for all."""
    number = count if most is None else min(most, count)
    return [place * count // number for place in range(number)]


def read_sample(source: "Source", most: int) -> Iterator[tuple[int, tuple[tf.Tensor, ...]]]:
    """Yields the places and the images of at most `most` pairs, spread evenly over a source.

    Pairs that cannot be read are left out: they are named when they are used.
    """
    for place in spread_evenly(len(source), most):
        with contextlib.suppress(tf.errors.OpError):
            images = source.read(tf.constant(place, tf.int64))
            yield place, images
