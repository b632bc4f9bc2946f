"""What is known about each dataset: where it is, how it is laid out, how the paper trained on it.

A new dataset is one entry in `_SPECS`. A dataset that has no entry works too, under any other name:
it gets the defaults of `custom_dataset`. TensorFlow is not imported.
"""

import dataclasses
import re
import shlex
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.class_colours import (
    CAMVID_PALETTE,
    CITYSCAPES_PALETTE,
    CITYSCAPES_VOID,
    FACADES_PALETTE,
)

SPLITS = ("train", "val", "test")
DIRECTIONS = ("AtoB", "BtoA")
ON_BAD_IMAGE = ("stop", "skip")
DRAWN_CHANNELS = frozenset({1, 3})  # the pictures of generated pairs are gray or coloured
# The names that two folders may have: one for the left images of the pairs (A), one for the right (B).
TWO_FOLDERS = (("input", "target"), ("photos", "labels"))
IMAGE_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".png",
    ".bmp",
    ".tif",
    ".tiff",
    ".webp",
    ".gif",
    ".npy",
)
FORMATS = "JPEG, PNG, BMP, TIFF, WebP or GIF"
PALETTE_FILE = "palette.json"  # the classes of label maps, in a dataset's folder, beside its splits
ARCHIVE_HOST = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How the paper trained on a dataset (appendix 6.2).

    Attributes:
      epochs: passes over the training split.
      batch_size: examples in each step, over all replicas together.
      jitter: whether images are resized to 286/256 of the size that networks see, and then cropped
        at a random place.
      mirror: whether half of the pairs are flipped left to right.
      unconfirmed: names of the settings that are likely, but were checked neither against the appendix
        nor with the authors.
    """

    epochs: int
    batch_size: int
    jitter: bool
    mirror: bool
    unconfirmed: tuple[str, ...] = ()


_ALL = ("epochs", "batch_size", "jitter", "mirror")


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """One dataset.

    Attributes:
      name: value of the setting `dataset`, and name of the folder below `data_dir`.
      title: a line for people.
      direction: the default translation: `AtoB`, from the left image to the right one as they are
        on disk, or `BtoA`.
      recipe: the settings that the paper trained with.
      task: what is learned, a name in `tasks.registry.TASKS`.
      counts: number of images of each split. A split that is not listed does not exist, or its size
        was not confirmed.
      url: address of the archive; None where the data cannot be downloaded freely.
      archive_bytes: size of the archive; None where it is not known.
      palette: RGB colour of each class of the label maps by the class's name, in the order of the
        class ids; empty where the dataset has no label maps. Label maps are on the right (B).
      void: RGB colours of the pixels of label maps that belong to no class and are not scored.
      lines: whether the left image (A) is a line drawing.
      draw_pair: for a dataset that is generated, the function that draws a pair, or where it is, as
        `module:function`; see `synthetic.facades.draw_pair`. None for a dataset of files.
      note: sentences on the licence, the source, or what has to be done by hand.
    """

    name: str
    title: str
    direction: str
    recipe: Recipe
    task: str = "pairs"
    counts: Mapping[str, int] = dataclasses.field(default_factory=lambda: types.MappingProxyType({}))
    url: str | None = None
    archive_bytes: int | None = None
    palette: Mapping[str, tuple[int, int, int]] = dataclasses.field(
        default_factory=lambda: types.MappingProxyType({})
    )
    void: tuple[tuple[int, int, int], ...] = ()
    lines: bool = False
    draw_pair: str | Callable[..., Any] | None = None
    note: str = ""


_BY_HAND = (
    "It must not be redistributed: get it from its owners and join the folders with "
    "python -m tfpix2pix.pipelines.prepare --combine."
)
_PHOTOS_BY_HAND = (
    "It must not be redistributed: get it from its owners. The splits hold the photos themselves."
)


def _counts(**by_split: int) -> Mapping[str, int]:
    return types.MappingProxyType(by_split)


_SPECS = (
    DatasetSpec(
        name="synthetic",
        title="generated facades, labels -> photo; embedded, needs no download",
        direction="BtoA",
        recipe=Recipe(epochs=20, batch_size=1, jitter=True, mirror=True),
        counts=_counts(train=400, val=100, test=100),
        palette=FACADES_PALETTE,
        draw_pair="tfpix2pix.pipelines.synthetic.facades:draw_pair",
        note="The pairs are drawn by pipelines/synthetic in the layout and the colours of facades.",
    ),
    DatasetSpec(
        name="facades",
        title="CMP Facades, labels -> photo",
        direction="BtoA",
        recipe=Recipe(epochs=200, batch_size=1, jitter=True, mirror=True),
        counts=_counts(train=400, val=100, test=106),
        url=f"{ARCHIVE_HOST}/facades.tar.gz",
        archive_bytes=30_168_306,
        palette=FACADES_PALETTE,
        note="This is the CMP Facade Database of Tylecek and Sara, 2013, for research with citation.",
    ),
    DatasetSpec(
        name="cityscapes",
        title="Cityscapes, labels -> photo",
        direction="BtoA",
        recipe=Recipe(epochs=200, batch_size=1, jitter=True, mirror=True),
        counts=_counts(train=2975, val=500),
        url=f"{ARCHIVE_HOST}/cityscapes.tar.gz",
        archive_bytes=103_441_232,
        palette=CITYSCAPES_PALETTE,
        void=CITYSCAPES_VOID,
        note="The paper's comparison of architectures (Table 2) used batches of 10. The official "
        "download, leftImg8bit/ and gtFine/, is used as it is: give both zip files to "
        "python -m tfpix2pix.pipelines.prepare --dataset=cityscapes --archive=A.zip,B.zip.",
    ),
    DatasetSpec(
        name="camvid",
        title="CamVid street scenes, labels -> photo; not in the paper, a stand-in for Cityscapes",
        direction="BtoA",
        recipe=Recipe(epochs=200, batch_size=1, jitter=True, mirror=True, unconfirmed=_ALL),
        counts=_counts(train=367, val=101, test=233),
        palette=CAMVID_PALETTE,
        void=((0, 0, 0),),
        note="This is the version of SegNet with 11 classes, as <split>/photos and <split>/labels below "
        "`data_dir`. The photos are by Brostow et al., 2008, for non-commercial research.",
    ),
    DatasetSpec(
        name="maps",
        title="aerial photo -> map; the direction BtoA turns maps into photos",
        direction="AtoB",
        recipe=Recipe(epochs=200, batch_size=1, jitter=True, mirror=True),
        counts=_counts(train=1096),
        url=f"{ARCHIVE_HOST}/maps.tar.gz",
        archive_bytes=250_242_400,
    ),
    DatasetSpec(
        name="edges2shoes",
        title="UT Zappos50K, edges -> shoes",
        direction="AtoB",
        # An author confirms that there was no crop and no flip: issues 999 and 1072 of the PyTorch reference.
        recipe=Recipe(15, batch_size=4, jitter=False, mirror=False, unconfirmed=("epochs", "batch_size")),
        counts=_counts(train=49825),
        url=f"{ARCHIVE_HOST}/edges2shoes.tar.gz",
        lines=True,
    ),
    DatasetSpec(
        name="edges2handbags",
        title="Amazon handbags, edges -> handbags",
        direction="AtoB",
        # Issue 999 says that there was no crop, and that there may have been a flip.
        recipe=Recipe(
            15, batch_size=4, jitter=False, mirror=False, unconfirmed=("epochs", "batch_size", "mirror")
        ),
        counts=_counts(train=138567),
        url=f"{ARCHIVE_HOST}/edges2handbags.tar.gz",
        lines=True,
    ),
    DatasetSpec(
        name="night2day",
        title="webcam scenes, day -> night",
        direction="BtoA",
        recipe=Recipe(epochs=17, batch_size=4, jitter=True, mirror=True, unconfirmed=_ALL),
        counts=_counts(train=17823),
        url=f"{ARCHIVE_HOST}/night2day.tar.gz",
        note="A is night and B is day. The reference's page on its datasets takes BtoA for day to night too.",
    ),
    DatasetSpec(
        name="colorization",
        title="ImageNet photos, lightness -> colour",
        direction="AtoB",
        recipe=Recipe(epochs=6, batch_size=4, jitter=False, mirror=True, unconfirmed=_ALL),
        task="colorize",
        counts=_counts(train=1_281_167),
        note=_PHOTOS_BY_HAND,
    ),
    DatasetSpec(
        name="thermal2color",
        title="KAIST, thermal -> colour",
        direction="AtoB",
        recipe=Recipe(epochs=10, batch_size=4, jitter=True, mirror=True, unconfirmed=_ALL),
        counts=_counts(train=36609),
        note=_BY_HAND,
    ),
    DatasetSpec(
        name="inpainting",
        title="Paris StreetView, missing centre -> whole photo",
        direction="AtoB",
        recipe=Recipe(epochs=25, batch_size=4, jitter=False, mirror=True, unconfirmed=_ALL),
        task="inpaint",
        counts=_counts(train=14900),
        note=_PHOTOS_BY_HAND,
    ),
)

CATALOGUE: Mapping[str, DatasetSpec] = types.MappingProxyType({spec.name: spec for spec in _SPECS})


def custom_dataset(name: str) -> DatasetSpec:
    """Returns the spec of a user's own paired set, with the facades recipe."""
    return DatasetSpec(
        name=name,
        title="your own pairs",
        direction="AtoB",
        recipe=CATALOGUE["facades"].recipe,
        lines=name.startswith("edges2"),  # as the paper names its sets of drawings
        note="The dataset is not in the catalogue, so the recipe is that of facades.",
    )


def is_name(text: str) -> bool:
    """Tells whether `text` can name a dataset or a model: it must be the name of a folder, not a path."""
    return re.fullmatch(r"\w[\w.-]*", text) is not None


def name_folder(folder: Path) -> str:
    """Returns the name of a dataset of somebody's own pairs, made from the name of their folder.

    It is never a name of the catalogue: that would stand for another dataset and for its recipe.

    Examples:
      >>> name_folder(Path("/home/me/my pairs")), name_folder(Path("photos/facades"))
      ('my_pairs', 'my_facades')
    """
    name = re.sub(r"^\W|[^\w.-]", "_", folder.resolve().name) or "pairs"
    return f"my_{name}" if name in CATALOGUE else name


def check_name(dataset: str) -> None:
    """Raises UsageError for a dataset's name that `is_name` does not accept."""
    if not is_name(dataset):
        raise UsageError(
            "`dataset` is a name, not a path: letters, digits, _ . - and no . or - in front. "
            f"Received: {dataset!r}. "
            f"For a folder: `dataset=NAME` `data_dir={shlex.quote(dataset or 'FOLDER')}`"
        )


def find_dataset(name: str) -> DatasetSpec:
    """Returns the catalogue's entry of `name`, or that of `custom_dataset` if it has none."""
    return CATALOGUE.get(name) or custom_dataset(name)
