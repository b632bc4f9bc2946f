"""The page of a translation, and the pictures that it shows beside outputs. TensorFlow is not imported."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from tfpix2pix.pipelines.base.places import url_of
from tfpix2pix.pipelines.remote.outputs import OutputFolder
from tfpix2pix.pipelines.remote.store import Store

# Holds the pictures of the page that are not outputs themselves.
PAGE_FOLDER = "index_files"
# Tells what the outputs were made by.
RECORD = f"{PAGE_FOLDER}/made_by.json"
# The title of a page begins with it.
TITLE = "Translated with"
_PAGE = re.compile(r"index(_\d+_of_\d+)?\.html")
_START_BYTES = 1000


def name_shown(name: str, suffix: str = ".jpg") -> str:
    """Returns the file of what a page shows of an input, or of an output that browsers do not show."""
    return f"{PAGE_FOLDER}/{name}{suffix}"


def lies_in_page(root: Path, name: Path, shows: Callable[[Path], bool]) -> bool:
    """Tells whether a file is one that `name_shown` names for a page in `root`, or in a folder below.

    Args:
      root: a folder.
      name: the file, relative to it.
      shows: what `has_page` does.
    """
    above = name.parts[:-1]
    return any(
        part == PAGE_FOLDER and shows(root.joinpath(*above[:place])) for place, part in enumerate(above)
    )


def has_page(folder: Path) -> bool:
    """Tells whether a folder holds a page of a translation, or the record of one that was stopped before.

    Args:
      folder: the folder; the copy of a remote one stands for that.
    """
    url, output = url_of(folder), OutputFolder(folder)
    names = Store(url).list_files() if url else os.listdir(folder)
    return output.has(RECORD) or any(
        f"<title>{TITLE} ".encode() in (output.read(name) or b"")[:_START_BYTES]
        for name in filter(_PAGE.fullmatch, names)
    )
