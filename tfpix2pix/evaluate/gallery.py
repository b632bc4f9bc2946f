"""The pictures of an evaluation's page."""

import re
from collections.abc import Sequence
from pathlib import Path

from tfpix2pix.pictures.examples import ShownExamples, ShowSample
from tfpix2pix.pictures.sheets import write_png
from tfpix2pix.pipelines.files.samples import spread_evenly

PAGE = "index.html"
PICTURES_FOLDER = "pictures"
KINDS = ("input", "generated", "target")


def name_sample(sample: int) -> str:
    """Returns the kind of the pictures of a sample that is not the first; people count from 1."""
    return f"sample_{sample + 1}"


class Gallery:
    """The pictures of the page, of examples that are spread evenly over the split.

    Args:
      folder: folder of the page.
      example_ids: ids of all examples of the split.
      limit: the largest number of examples that are shown.
      samples: number of outputs of each example that are shown.

    Attributes:
      indices: places in the split of the examples that are shown.
      example_ids: ids of all examples of the split.
      more_samples: numbers of the samples that are shown beside the first one, which is `generated`.
    """

    def __init__(self, folder: Path, example_ids: Sequence[str], limit: int, samples: int = 1):
        self.indices = spread_evenly(len(example_ids), limit)
        self.example_ids = example_ids
        self.more_samples = range(1, samples)
        self._folder = folder

    def clear(self) -> None:
        """Removes the page, whose pictures are about to change, and pictures that will not be replaced."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / PAGE).unlink(missing_ok=True)
        kinds = (*KINDS, *map(name_sample, self.more_samples))
        kept = {self.file(index, kind) for index in self.indices for kind in kinds}
        for path in (self._folder / PICTURES_FOLDER).glob("*.png"):
            file = f"{PICTURES_FOLDER}/{path.name}"
            if (
                re.fullmatch(r"\d{6,}_(input|generated|target|sample_\d+)\.png", path.name)
                and file not in kept
            ):
                path.unlink()

    def add(self, start: int, shown: ShownExamples, show_sample: ShowSample | None = None) -> None:
        """Writes the pictures of those examples of a batch that the page shows.

        Args:
          start: place of the batch's first example in the split.
          shown: the batch as pictures.
          show_sample: shows the further outputs of the batch, where the page shows any.
        """
        indices = set(self.indices) & set(range(start, start + len(shown.input)))
        if not indices:
            return
        batches = dict(zip(KINDS, shown, strict=True))
        if show_sample:
            batches |= {name_sample(sample): show_sample(sample) for sample in self.more_samples}
        for index in indices:
            for kind, batch in batches.items():
                write_png(self._folder / self.file(index, kind), batch[index - start])

    def file(self, index: int, kind: str) -> str:
        """Returns the file of a picture, relative to the page."""
        return f"{PICTURES_FOLDER}/{index:06d}_{kind}.png"
