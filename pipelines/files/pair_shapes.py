"""The shapes of files that hold two images side by side, which tell such a file from a single image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfpix2pix.pipelines.files.image_files import Header, read_header

if TYPE_CHECKING:
    from tfpix2pix.pipelines.files.sources import Source

# So many files of a set are looked at, evenly spread; the shapes of others differ from theirs by rounding.
_LOOKED_AT = 100
_TOLERANCE = 0.02


def measure_shapes(source: "Source") -> list[float] | None:
    """Returns the least and the greatest width / height of the files that hold a pair each.

    Args:
      source: the pairs.

    Returns:
      The two numbers; nothing in the list if the files hold single images; None if there are no files.
    """
    if not source.origins:
        return None
    if source.task.from_photos or len(source.origins[0]) > 1:
        return []
    step = -(-len(source.origins) // _LOOKED_AT)
    headers = [read_header(file) for (file,) in source.origins[::step]]
    shapes = [header.width / header.height for header in headers]
    return [min(shapes), max(shapes)]


def can_be_pair(shapes: Sequence[float], header: Header) -> bool:
    """Tells whether a file has the shape of the pairs of a set, of which `measure_shapes` told."""
    if not shapes or header.width % 2:
        return False
    least, greatest = shapes
    return least * (1 - _TOLERANCE) <= header.width / header.height <= greatest * (1 + _TOLERANCE)


def are_distinct(shapes: Sequence[float]) -> bool:
    """Tells whether no half of a pair of a set, which is a single image, has the shape of a pair itself."""
    least, greatest = shapes
    return greatest / 2 * (1 + _TOLERANCE) < least * (1 - _TOLERANCE)
