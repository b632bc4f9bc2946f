"""Translates one image file: reads it as the model's task needs it, writes outputs and what a page shows."""

import dataclasses
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfpix2pix.pictures.examples import show_image, show_input
from tfpix2pix.pictures.page import Row
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.files.encoding import encode_png
from tfpix2pix.pipelines.files.image_files import BadImageError, Header, load_image, read_header, widen
from tfpix2pix.pipelines.files.instances import check_instances, load_instances
from tfpix2pix.pipelines.files.matching import File
from tfpix2pix.pipelines.labels.label_files import colour_picture, shows_classes
from tfpix2pix.pipelines.meaning import MOST_PNG_CHANNELS
from tfpix2pix.pipelines.remote.copies import fetch_file
from tfpix2pix.pipelines.remote.failures import MissingError
from tfpix2pix.pipelines.remote.outputs import OutputFolder
from tfpix2pix.pipelines.tasks.drawings import draw_edges
from tfpix2pix.pipelines.tasks.holes import center_mask
from tfpix2pix.translate.budget import MOST_PIXELS, PixelBudget
from tfpix2pix.translate.encoded_features import FeatureSource
from tfpix2pix.translate.formats import encode_animation, find_format
from tfpix2pix.translate.halves import choose_half
from tfpix2pix.translate.image_inputs import (
    ARRAY_SUFFIX,
    InputFile,
    choose_suffix,
    find_beside,
    list_outputs_of,
)
from tfpix2pix.translate.latents import find_latents
from tfpix2pix.translate.options import Options
from tfpix2pix.translate.page_files import name_shown
from tfpix2pix.translate.pairs import cut_half
from tfpix2pix.translate.translator import Translator

# Pictures of the page that are no outputs have sides of at most so many px.
_LARGEST_SHOWN = 2048


class Done(NamedTuple):
    """A file that was translated.

    Attributes:
      header: the header of the file.
      row: what the page shows of it.
      outputs: the files that were written for it, below the folder of the outputs.
      note: what a person should know of the half that was translated; see `halves.Half`.
      was_there: whether the outputs were there already.
    """

    header: Header
    row: Row
    outputs: tuple[str, ...]
    note: str
    was_there: bool = False


class FileTranslator:
    """Translates image files one by one; a call may be made by several threads at the same time.

    Each picture goes through the network by itself. In one tensor with others it would not get the same bits,
    because the order of the sums in convolutions and in matrix products depends on the size of the batch.

    Args:
      translator: the model.
      output: folder for the outputs; the copy of a remote one stands for that.
      options: what is done to the files.
      at_once: number of threads that may be in the network at the same time.
    """

    def __init__(self, translator: Translator, output: Path, options: Options, at_once: int):
        self._translator, self._output, self._options = translator, OutputFolder(output), options
        self._network, self._budget = threading.Semaphore(at_once), PixelBudget(MOST_PIXELS)
        self._latents = find_latents(translator, options)
        self._features = FeatureSource(translator) if options.feature_from else None

    def __call__(self, file: InputFile) -> Done:
        """Writes the outputs of a file and what the page shows of it.

        Raises:
          BadImageError: when that is not possible; the text names the file.
        """
        try:
            with fetch_file(file.path) as path:
                header = read_header(path)
                with self._budget.hold(header.height * header.width):
                    return self._translate(file._replace(path=path), header)
        except MissingError as error:
            raise BadImageError(str(error)) from error
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            raise BadImageError(f"{file.path} is too large for the memory there is") from error
        except (tf.errors.OpError, OSError) as error:
            raise BadImageError(f"{file.path} cannot be translated: {str(error).splitlines()[0]}") from error

    def _translate(self, file: InputFile, header: Header) -> Done:
        crop, note = choose_half(self._translator, header, self._options)
        options, task = dataclasses.replace(self._options, crop=crop), self._translator.task
        suffix, dtype = choose_kind(self._translator, file, header, options)
        outputs = list_outputs_of(options, file.name, suffix)
        shown = [each if find_format(each).is_shown else name_shown(each, ".png") for each in outputs]
        input_file = name_shown(file.name)
        width = header.width if crop == "none" else header.width // 2
        row = Row(file.title, (header.height, width), input_file, shown)
        if options.resume and all(map(self._output.has, (*outputs, *shown, input_file))):
            return Done(header, row, tuple(outputs), note, was_there=True)
        picture = _read_picture(file.path, header, self._translator, options)
        if not note and not shows_classes(picture, self._translator.meaning.input):
            note = (
                "has few pixels in the colours of the model's classes. The model was trained on label maps "
                "of class ids, so it makes nothing sensible of a photo or of other colours"
            )
        ids = self._read_instances(file, picture.shape[:2])
        translator = self._choose_translator(file)
        if options.interpolate:
            self._write_interpolation(outputs, picture, ids, translator)
        else:
            for sample, output_file in enumerate(outputs):
                generated = self._generate(picture, sample, dtype, ids, translator)
                self._write_output(output_file, shown[sample], generated)
        shown_input = show_input(task, task.read_picture(widen(_reduce(picture), np.float32)))
        self._write(input_file, tf.io.encode_jpeg(shown_input, quality=90).numpy())
        return Done(header, row, tuple(outputs), note)

    def _read_instances(self, file: InputFile, size: tuple[int, ...]) -> np.ndarray | None:
        """Returns the ids of a file's map of instances, uint16 [H, W]; None without `instances`."""
        if not self._options.instances:
            return None
        found = _need_beside(file, Path(self._options.instances), "map of instances")
        check_instances(found, (size[0], size[1]))
        return load_instances(found)[..., 0]

    def _choose_translator(self, file: InputFile) -> Translator:
        """Returns the model, with the features of instances that a picture shows if there is one."""
        if not self._features or not self._options.feature_from:
            return self._translator
        path = Path(self._options.feature_from)
        photo = _need_beside(file, path, "picture of its scene") if path.is_dir() else path
        return self._features.take(load_image(photo, self._translator.task.picture_channels[1]))

    def _generate(
        self,
        picture: np.ndarray,
        sample: int,
        dtype: np.dtype,
        ids: np.ndarray | None,
        translator: Translator,
        latent: np.ndarray | None = None,
    ) -> np.ndarray:
        if latent is None and self._latents is not None:
            latent = self._latents[0]
        with self._network:
            return translator(
                picture, self._options.noise_seed, sample, dtype, latent=latent, instance_ids=ids
            )

    def _write_interpolation(
        self, outputs: Sequence[str], picture: np.ndarray, ids: np.ndarray | None, translator: Translator
    ) -> None:
        """Writes a strip of pictures whose latent vectors go from one to another, and an animation."""
        strip_file, animation_file = outputs
        pictures = [
            show_image(
                widen(self._generate(picture, 0, np.dtype(np.uint8), ids, translator, latent), np.float32)
            )
            for latent in (() if self._latents is None else self._latents)
        ]
        # Both are encoded before one is written.
        strip = self._encode(strip_file, lambda: encode_png(np.concatenate(pictures, axis=1)).numpy())
        animation = self._encode(animation_file, lambda: encode_animation(pictures))
        self._write(strip_file, strip)
        self._write(animation_file, animation)

    def _write_output(self, output_file: str, shown_file: str, generated: np.ndarray) -> None:
        self._write(
            output_file, self._encode(output_file, lambda: find_format(output_file).encode(generated))
        )
        if shown_file != output_file:
            write_png = find_format(shown_file).encode
            self._write(shown_file, write_png(show_image(widen(_reduce(generated), np.float32))))

    def _encode(self, name: str, encode: Callable[[], bytes]) -> bytes:
        try:
            return encode()
        except ValueError as error:  # WebP files have sides of at most 16383 px, JPEG files of 65535
            raise BadImageError(f"{self._output.folder / name} cannot be written: {error}") from error

    def _write(self, name: str, contents: bytes) -> None:
        try:
            self._output.write(name, contents)
        except UserError as error:
            raise BadImageError(str(error)) from error


def _reduce(picture: np.ndarray) -> np.ndarray:
    """Returns every n-th pixel of a large picture, for a page; no ids or holes are mixed."""
    step = -(-max(picture.shape[:2]) // _LARGEST_SHOWN)
    return picture[::step, ::step]


def choose_kind(
    translator: Translator, file: InputFile, header: Header, options: Options
) -> tuple[str, np.dtype]:
    """Returns the suffix and the type of the outputs of a file."""
    meaning = translator.meaning
    dtype = np.dtype(np.uint8) if options.draw_edges else header.dtype
    suffix = choose_suffix(meaning, file.suffix, options.bits, options.format)
    # No PNG has more than 4 channels, or floats, which a TIFF may have.
    holds_all = translator.task.picture_channels[1] <= MOST_PNG_CHANNELS and dtype != np.float32
    if meaning.target is None and not options.format and not holds_all:
        suffix = ARRAY_SUFFIX
    if options.bits and (suffix != ARRAY_SUFFIX or options.format):
        return suffix, np.dtype(f"uint{options.bits}")
    return suffix, np.dtype(meaning.target.dtype) if meaning.target else dtype


def _need_beside(file: InputFile, folder: Path, what: str) -> Path:
    """Returns the image of a file's name in another folder."""
    if not (found := find_beside(file, folder)):
        raise BadImageError(f"{file.path} has no {what} {folder / file.name}.png")
    return found


def _read_picture(file: File, header: Header, translator: Translator, options: Options) -> np.ndarray:
    """Returns a picture as the task needs it, with a label map of class ids in colours."""
    task = translator.task
    picture = load_image(file, task.picture_channels[0], header.dtype)
    try:
        picture = cut_half(picture, options.crop or "none")
    except ValueError as error:
        raise BadImageError(f"{file} {error}") from error
    picture = colour_picture(picture, header, translator.meaning.input)
    if task.name == "inpaint":
        picture = _cut_hole(file, picture, options)
    if options.draw_edges:
        picture = draw_edges(picture)
    return picture


def _cut_hole(file: File, picture: np.ndarray, options: Options) -> np.ndarray:
    """Returns the picture with its hole transparent."""
    lowest = -1 if picture.dtype == np.float32 else 0
    if options.hole:
        picture = picture.copy()
        picture[..., 3][center_mask(picture.shape[:2]).numpy()[..., 0] > 0] = lowest
    elif not np.any(picture[..., 3] == lowest):
        raise BadImageError(f"{file} has no transparent pixels to fill; `hole=center` cuts out the middle")
    return picture
