"""The images of a study before it is made: from folders, or from models and the dataset they learned."""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfpix2pix.export.names import CARD_FILE
from tfpix2pix.metrics.scoring import sample_seeds
from tfpix2pix.pictures.examples import ShownExamples, show_examples
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.paths import show_name
from tfpix2pix.pipelines.base.progress import say, warn
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.catalogue import FORMATS
from tfpix2pix.pipelines.files.image_files import load_image
from tfpix2pix.pipelines.files.image_listing import list_image_files
from tfpix2pix.pipelines.files.matching import compose
from tfpix2pix.pipelines.files.samples import spread_evenly
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.run import splits
from tfpix2pix.translate.translator import Translator

Picture = npt.NDArray[np.uint8]  # [H, W, 3]
SAMPLES = 4  # of a sheet
JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")


@dataclasses.dataclass(frozen=True, eq=False)
class ExamplePictures:
    """The pictures of one example.

    Attributes:
      generated: algorithm -> the picture that it has generated.
      real: the real picture; None if it is not known.
      input: what the algorithms were given; None if it is not known.
    """

    generated: Mapping[str, Picture]
    real: Picture | None = None
    input: Picture | None = None


@dataclasses.dataclass(frozen=True)
class StudyImages:
    """Real images, and the images that each algorithm has generated for the same inputs.

    Attributes:
      algorithms: names of the algorithms.
      example_ids: names of the examples, in the order of `read`.
      read: yields the pictures of each example.
    """

    algorithms: tuple[str, ...]
    example_ids: tuple[str, ...]
    read: Callable[[], Iterator[ExamplePictures]]


def choose_evenly(names: Sequence[str], limit: int | None) -> list[str]:
    """Returns at most `limit` names, spread evenly over all of them; None stands for all."""
    return [names[place] for place in spread_evenly(len(names), limit)]


def find_in_folders(
    real: Path | None, generated: Mapping[str, Path], limit: int | None = None, *, inputs: Path | None = None
) -> StudyImages:
    """Finds the examples of which every folder has an image of the same name, whatever its suffix.

    Args:
      real: folder of the real images; None for a study that does not show them.
      generated: algorithm -> folder of its images.
      limit: the largest number of examples, spread evenly over the names; None takes all.
      inputs: folder of what the algorithms were given; None for a study that does not show it.

    Raises:
      UsageError: when a folder is missing, holds two images of one name, or has no name in common with the
        others.
    """
    # No algorithm has a slash in its name.
    others = {name: folder for name, folder in (("/real", real), ("/input", inputs)) if folder}
    folders = {**others, **generated}
    files = {name: _index_folder(folder) for name, folder in folders.items()}
    first, *rest = files.values()
    names = [name for name in first if all(name in index for index in rest)]
    for folder, index in zip(folders.values(), files.values(), strict=True):
        if missing := len(index) - len(names):
            alone = f"{missing} of {count_of(len(index), 'image')} {'has' if missing == 1 else 'have'}"
            say(f"{folder}: {alone} no counterpart of the same name")
    if not names:
        start, *others_of_it = map(str, folders.values())
        raise UsageError(
            f"no image in {start} has the name of one in {', '.join(others_of_it)}; "
            "the images of an example need the same name, whatever their suffix"
        )
    chosen = choose_evenly(names, limit)
    judged = {name: folder for name, folder in folders.items() if name != "/input"}
    _warn_of_compression(judged, files, chosen)

    def read() -> Iterator[ExamplePictures]:
        for name in chosen:
            pictures = {kind: load_image(index[name]) for kind, index in files.items()}
            shown = {kind: pictures.pop(f"/{kind}", None) for kind in ("real", "input")}
            yield ExamplePictures(pictures, **shown)

    return StudyImages(tuple(generated), tuple(chosen), read)


def translate_split(
    models: Mapping[str, Path],
    split: str,
    *,
    noise_seed: int = 0,
    limit: int | None = None,
    data_dir: str | Path | None = None,
    shows_samples: bool = False,
) -> StudyImages:
    """Translates a split of the dataset that the models were trained on.

    Args:
      models: the run or SavedModel of each algorithm.
      split: `train`, `val` or `test`.
      noise_seed: seed of the noise.
      limit: the largest number of examples, spread evenly over the split; None takes all.
      data_dir: folder that holds the dataset; None takes the one that each run knows, and `datasets` for a
        SavedModel, which does not know it.
      shows_samples: whether the generated picture of an example is a sheet of four samples, each at half of
        the size, and not one output.

    Returns:
      The images, which are made while they are read.

    Raises:
      UsageError: when a SavedModel does not say what it was trained on, or the models' examples differ;
        while the images are read, when the models' real images differ.
    """
    translations = {
        name: _open_translation(path, split, noise_seed, data_dir) for name, path in models.items()
    }
    first = next(iter(translations.values()))
    for each in translations.values():
        if each.source.example_ids != first.source.example_ids:
            raise UsageError(f"{each.model} and {first.model} have different examples in split {split}")
    chosen = choose_evenly(first.source.example_ids, limit)

    def read() -> Iterator[ExamplePictures]:
        samples = SAMPLES if shows_samples else 1
        streams = [each.read(set(chosen), samples) for each in translations.values()]
        for example_id, *shown in zip(chosen, *streams, strict=True):
            real = shown[0].target
            for each, pictures in zip(translations.values(), shown, strict=True):
                if not np.array_equal(pictures.target, real):
                    raise UsageError(
                        f"{each.model} and {first.model} have different real images of {example_id}. A "
                        "study compares models of one dataset, direction, task and image size"
                    )
            kinds = [join_samples(each.generated) if shows_samples else each.generated[0] for each in shown]
            named = dict(zip(translations, kinds, strict=True))
            yield ExamplePictures(named, real[0], shown[0].input[0])

    return StudyImages(tuple(models), tuple(chosen), read)


def _open_translation(
    model: Path, split: str, noise_seed: int, data_dir: str | Path | None
) -> "_Translation":
    translator = Translator(model)
    config = translator.config
    if config is None:
        raise UsageError(
            f"{translator.version} has no {CARD_FILE} that says what it was trained on, so its real images "
            "are not known. Give a run, or a SavedModel that was exported from one; or translate images with "
            "python -m tfpix2pix.translate, then give `real` and `generated`"
        )
    if not config.resizes:
        raise UsageError(
            f"{model} was trained with `resize=none`, so its images have different sizes. Translate them "
            "with python -m tfpix2pix.translate, then give `real` and `generated`"
        )
    if data_dir is not None:
        config = dataclasses.replace(config, data_dir=str(data_dir))
    source = splits.open_split(config, split, translator.meaning)
    return _Translation(model, translator, source, config.image_size, noise_seed)


@dataclasses.dataclass(frozen=True, eq=False)
class _Translation:
    """A split, as one model translates it."""

    model: Path
    translator: Translator
    source: Source
    image_size: tuple[int, int]
    noise_seed: int

    def read(self, chosen: Collection[str], samples: int = 1) -> Iterator[ShownExamples]:
        """Yields the chosen examples one by one, as batches of their samples in evaluations."""
        source, translator = self.source, self.translator
        dataset = build_dataset(
            source, image_size=self.image_size, batch_size=1, training=False, seed=self.noise_seed
        )
        with source.naming_bad_files():
            for example_id, batch in zip(source.example_ids, dataset, strict=False):
                if example_id in chosen:
                    copies = {name: tf.repeat(values, samples, axis=0) for name, values in batch.items()}
                    seeds = [sample_seeds(batch["noise_seed"], sample) for sample in range(samples)]
                    generated = translator.generate(copies["input_image"], tf.concat(seeds, 0))
                    yield show_examples(source.task, copies, generated)


def join_samples(pictures: Picture) -> Picture:
    """Returns a sheet of four pictures, uint8 [4, H, W, 3], two by two: [2 H, 2 W, 3]."""
    return np.concatenate([np.concatenate(list(row), axis=1) for row in (pictures[:2], pictures[2:])])


def _index_folder(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    index: dict[str, Path] = {}
    for file in list_image_files(folder)[0]:
        name = compose(show_name(file.stem))
        if name in index:
            raise UsageError(f"{index[name]} and {file} have the same name but for the suffix")
        index[name] = file
    if not index:
        raise UsageError(f"{folder} holds no {FORMATS} image")
    return index


def _warn_of_compression(
    folders: Mapping[str, Path], files: Mapping[str, Mapping[str, Path]], names: Sequence[str]
) -> None:
    """Warns when only some folders hold JPEG files, whose traces can tell real from generated images."""
    kinds = {
        folder: any(files[name][example].suffix.lower() in JPEG_SUFFIXES for example in names)
        for name, folder in folders.items()
    }
    if len(set(kinds.values())) > 1:
        jpeg = ", ".join(str(folder) for folder, is_jpeg in kinds.items() if is_jpeg)
        other = ", ".join(str(folder) for folder, is_jpeg in kinds.items() if not is_jpeg)
        warn(
            f"{jpeg}: JPEG; {other}: not. Traces of compression can tell real from generated images; "
            "it is better to use images that are stored alike"
        )
