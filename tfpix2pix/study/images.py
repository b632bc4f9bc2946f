"""The images of a study before it is made: out of folders, or out of models and their dataset."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfpix2pix.pictures.examples import show_examples
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.progress import say, warn
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files.image_files import list_image_files, load_image
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.run import splits
from tfpix2pix.translate.translator import Translator

Picture = npt.NDArray[np.uint8]  # [H, W, 3]
JPEG_SUFFIXES = (".jpg", ".jpeg")


@dataclasses.dataclass(frozen=True)
class StudyImages:
    """Real images, and those of each algorithm for the same inputs.

    Attributes:
      algorithms: names.
      example_ids: in the order of `read`.
      read: yields each example's real picture, and the generated one by algorithm.
    """

    algorithms: tuple[str, ...]
    example_ids: tuple[str, ...]
    read: Callable[[], Iterator[tuple[Picture, dict[str, Picture]]]]


def choose_evenly(names: Sequence[str], limit: int | None) -> list[str]:
    """Returns at most `limit` names, spread evenly over all."""
    count = len(names) if limit is None else min(limit, len(names))
    return [names[place * len(names) // count] for place in range(count)]


def find_in_folders(real: Path, generated: Mapping[str, Path], limit: int | None = None) -> StudyImages:
    """Finds the examples of which every folder has an image, by the files' names without suffix.

    Args:
      real: folder of the real images.
      generated: folder of each algorithm's images.
      limit: most examples, spread evenly over the names; None: all.

    Raises:
      UsageError: when a folder is missing or holds two images of a name.
    """
    folders = {"": real, **generated}
    files = {name: _index_folder(folder) for name, folder in folders.items()}
    names = [name for name in files[""] if all(name in index for index in files.values())]
    for folder, index in zip(folders.values(), files.values(), strict=True):
        if missing := len(index) - len(names):
            say(f"{folder}: {missing} of {len(index)} images have no counterpart of their name")
    if not names:
        raise UsageError(
            f"no image in {real} has the name of one in {', '.join(map(str, generated.values()))}; "
            "real and generated images of an example need the same name, whatever their suffix"
        )
    chosen = choose_evenly(names, limit)
    _warn_of_compression(folders, files, chosen)

    def read() -> Iterator[tuple[Picture, dict[str, Picture]]]:
        for name in chosen:
            pictures = {algorithm: load_image(index[name]) for algorithm, index in files.items()}
            yield pictures.pop(""), pictures

    return StudyImages(tuple(generated), tuple(chosen), read)


def translate_split(
    models: Mapping[str, Path], split: str, noise_seed: int = 0, limit: int | None = None
) -> StudyImages:
    """Translates a split of the dataset that the models were trained on.

    Args:
      models: each algorithm's run.
      split: `train`, `val` or `test`.
      noise_seed: of the noise.
      limit: most examples, spread evenly over the split; None: all.

    Raises:
      UsageError: when a model is no run, or the runs' examples differ; while reading,
        when their real images do.
    """
    translators = {name: Translator(path) for name, path in models.items()}
    sources = {}
    for name, translator in translators.items():
        if translator.config is None:
            raise UsageError(
                f"{models[name]} is a SavedModel, which does not say what it was trained on. Translate "
                "images with python -m tfpix2pix.translate, then use `real` and `generated`"
            )
        sources[name] = splits.open_split(translator.config, split)
    first = next(iter(sources))
    for name, source in sources.items():
        if source.example_ids != sources[first].example_ids:
            raise UsageError(f"{models[name]} and {models[first]} have different examples in split {split}")
    chosen = choose_evenly(sources[first].example_ids, limit)

    def read() -> Iterator[tuple[Picture, dict[str, Picture]]]:
        streams = [
            _translate(translators[name], sources[name], noise_seed, set(chosen)) for name in translators
        ]
        for example_id, *shown in zip(chosen, *streams, strict=True):
            for name, (real, _) in zip(translators, shown, strict=True):
                if not np.array_equal(real, shown[0][0]):
                    raise UsageError(
                        f"{models[name]} and {models[first]} have different real images of {example_id}. A "
                        "study compares runs of one dataset, direction, task and image size"
                    )
            yield shown[0][0], {name: pair[1] for name, pair in zip(translators, shown, strict=True)}

    return StudyImages(tuple(models), tuple(chosen), read)


def _translate(
    translator: Translator, source: Source, noise_seed: int, chosen: set[str]
) -> Iterator[tuple[Picture, Picture]]:
    """Yields target and output of the chosen examples, each with the noise that evaluation gives it."""
    assert translator.config  # noqa: S101 - of a run
    dataset = build_dataset(
        source, image_size=translator.config.image_size, batch_size=1, training=False, seed=noise_seed
    )
    with source.naming_bad_files():
        for example_id, batch in zip(source.example_ids, dataset, strict=False):
            if example_id in chosen:
                generated_image = translator.generate(batch["input_image"], batch["noise_seed"])
                shown = show_examples(source.task, batch, generated_image)
                yield shown.target[0], shown.generated[0]


def _index_folder(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    index: dict[str, Path] = {}
    for file in list_image_files(folder)[0]:
        if file.stem in index:
            raise UsageError(f"{index[file.stem]} and {file} have the same name but for the suffix")
        index[file.stem] = file
    if not index:
        raise UsageError(f"{folder} holds no JPEG, PNG or BMP image")
    return index


def _warn_of_compression(
    folders: Mapping[str, Path], files: Mapping[str, Mapping[str, Path]], names: Sequence[str]
) -> None:
    """Warns when only some folders hold JPEG, whose traces can be seen and tell which is which."""
    kinds = {
        folder: any(files[name][example].suffix.lower() in JPEG_SUFFIXES for example in names)
        for name, folder in folders.items()
    }
    if len(set(kinds.values())) > 1:
        jpeg = ", ".join(str(folder) for folder, is_jpeg in kinds.items() if is_jpeg)
        other = ", ".join(str(folder) for folder, is_jpeg in kinds.items() if not is_jpeg)
        warn(
            f"{jpeg}: JPEG; {other}: not. Traces of compression can tell real from generated; "
            "better use images stored alike"
        )
