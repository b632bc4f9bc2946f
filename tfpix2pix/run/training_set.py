"""Whether a training set is the one that a run began on: its names and the contents of its files."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.progress import warn

if TYPE_CHECKING:  # sources import TensorFlow, and a dry run needs none
    from tfpix2pix.pipelines.files.sources import Source

Fingerprint = Mapping[str, Any]


def describe(source: "Source") -> dict[str, Any]:
    """Returns what a run keeps of its training set.

    That is the fingerprint, the shapes of side-by-side pairs, and `resumes_exactly` if a run on it does not.
    """
    from tfpix2pix.pipelines.files.pair_shapes import measure_shapes  # imports TensorFlow, as sources do

    shapes = measure_shapes(source)
    told = fingerprint(source) | ({} if shapes is None else {"side_by_side": shapes})
    return told if source.stream is None else told | {"resumes_exactly": False}


def fingerprint(source: "Source") -> dict[str, int | str]:
    """Returns the same for the same files in another folder; runs of older versions know no contents."""
    ids = hashlib.sha256("\n".join(source.example_ids).encode()).hexdigest()
    content = {"content_sha256": source.content} if source.content else {}
    return {"examples": len(source), "ids_sha256": ids, **content}


def is_same(then: Fingerprint, here: Fingerprint) -> bool:
    """Tells whether two fingerprints are of the same training set, as far as both know it."""
    return all(then[key] == here[key] for key in then.keys() & here.keys())


def describe_change(then: Fingerprint, here: Fingerprint, folders: Sequence[str | None]) -> str:
    """Returns how two training sets differ.

    Args:
      then: the one that the run began on.
      here: the one that is there now.
      folders: the folder that the data was in then, and the one that it is in now.
    """
    have_same_names = then["ids_sha256"] == here["ids_sha256"]
    what = "the same names but other contents" if have_same_names else "other names"
    return (
        f"another training set: {count_of(then['examples'], 'example')} then, {here['examples']} now, "
        f"with {what}; `data_dir` was {folders[0]}, is {folders[1]}"
    )


def refuse_others(
    workdir: Path,
    then: Fingerprint,
    here: Fingerprint,
    folders: Sequence[str | None],
    can_go_on: bool,
) -> None:
    """Raises UsageError for another training set, or warns where files were mended in their place.

    Args:
      workdir: folder of the run.
      then: the training set that the run began on.
      here: the one that is there now.
      folders: the folder that the data was in then, and the one that it is in now.
      can_go_on: whether the caller can ask to go on with other images.
    """
    if then["ids_sha256"] == here["ids_sha256"] and folders[0] == folders[1]:
        warn(
            f"training images in {folders[1]} have changed since {workdir} began; it goes on with them as "
            "they are now, and another `workdir` begins anew"
        )
        return
    ways = ["choose another `workdir`"]
    if can_go_on:
        ways = [
            "give `allow_new_data` to go on with what is there",
            f"choose another `workdir`, perhaps with `init_from={workdir}` to begin with its weights",
        ]
    raise UsageError(
        f"{workdir} began with {describe_change(then, here, folders)}. Bring the images back to go on, or "
        + ", or ".join(ways)
    )
