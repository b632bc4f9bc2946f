"""Translates image files: reads inputs as the model's task needs them, writes outputs, and a page of both."""

import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tifffile

from tfpix2pix.networks.scale import NATIVE
from tfpix2pix.networks.tiles import LARGE_WINDOW, MAX_WHOLE_PIXELS
from tfpix2pix.pictures.examples import show_image, show_input
from tfpix2pix.pictures.page import Row, render_gallery
from tfpix2pix.pictures.sheets import write_png
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.naming import name_flags
from tfpix2pix.pipelines.base.progress import say, show_progress
from tfpix2pix.pipelines.files.image_files import (
    BadImageError,
    Header,
    load_image,
    read_header,
    warn_of_orientation,
    widen,
)
from tfpix2pix.pipelines.files.image_headers import UPRIGHT
from tfpix2pix.pipelines.labels.label_files import colour_picture
from tfpix2pix.pipelines.meaning import MOST_PNG_CHANNELS
from tfpix2pix.pipelines.tasks.drawings import draw_edges
from tfpix2pix.pipelines.tasks.tasks import center_mask
from tfpix2pix.translate.image_inputs import ARRAY_SUFFIX, InputFile, choose_suffix, list_outputs
from tfpix2pix.translate.options import Options
from tfpix2pix.translate.translator import Translator

PAGE = "index.html"
# Holds the pictures of the page that are not outputs themselves.
PAGE_FOLDER = "index_files"


def translate_files(
    translator: Translator, files: Sequence[InputFile], output: Path, options: Options
) -> str:
    """Translates image files, and writes a page that shows what went in beside what came out.

    A file that cannot be translated is named on standard error, and the others are translated.

    Args:
      translator: the model.
      files: what to translate.
      output: folder for the outputs and the page.
      options: what is done to the files.

    Returns:
      A line for people: how many images were translated, with which noise, in what time, and the page.

    Raises:
      UsageError: when `options` ask for what the model's task does not have.
      UserError: at the end, when some files could not be translated.
    """
    _check_options(translator, options)
    start, rows = time.monotonic(), []
    notices = _Notices(translator, options)
    with show_progress("translating", len(files), "images") as bar:
        for file in files:
            try:
                header = read_header(file.path)
                notices.see(file.path, header)
                picture = _read_picture(file.path, header, translator, options)
                notices.see_pixels(file.path, picture)
                rows.append(_translate_file(translator, file, picture, output, options))
            except (BadImageError, staging.LongNameError) as error:
                bar.write(f"error: {name_flags(str(error))}", file=sys.stderr)
            bar.update()
    notices.warn()
    samples = options.samples_per_image
    noise = f"{samples} samples each, " if samples > 1 else ""
    summary = f"{len(rows)} image{'' if len(rows) == 1 else 's'}, {noise}noise seed {options.noise_seed}"
    page = render_gallery(f"Translated with {translator.title}", summary, rows)
    staging.write_file(output / PAGE, page.encode(errors="replace"))
    if len(rows) < len(files):
        raise UserError(
            f"{len(files) - len(rows)} of {len(files)} images could not be translated; "
            f"the others are in {output}"
        )
    return f"{summary}, {time.monotonic() - start:.1f} s: {output / PAGE}"


def _check_options(translator: Translator, options: Options) -> None:
    task = translator.task
    if options.hole and task.name != "inpaint":
        raise UsageError(
            f"`hole` is for an inpainting model, and {translator.title} has learned another task, {task.name}"
        )
    if options.draw_edges and task.picture_channels[0] != 3:
        raise UsageError(
            f"`draw_edges` makes drawings of 3 channels, and {translator.title} takes "
            f"{task.picture_channels[0]}"
        )


class _Notices:
    """What a person should know of the files, said once however many files it is about."""

    def __init__(self, translator: Translator, options: Options):
        self._translator = translator
        self._turned: list[Path] = []
        self._may_tile = translator.scale.mode == NATIVE
        self._may_hint = options.crop == "none" and not translator.task.from_photos

    def see(self, file: Path, header: Header) -> None:
        """Looks at a file's header."""
        if header.orientation != UPRIGHT:
            self._turned.append(file)
        if self._may_hint and header.width == 2 * header.height:
            self._may_hint = False
            say(
                f"note: {file} is twice as wide as high. If it is a pair for training, "
                f"{self._name_crop()} takes its input half"
            )

    def see_pixels(self, file: Path, picture: np.ndarray) -> None:
        """Looks at the picture that was read from a file."""
        height, width = picture.shape[:2]
        if self._may_tile and height * width > MAX_WHOLE_PIXELS:
            self._may_tile = False
            say(
                f"note: {file} has {width} x {height} px, more than the {MAX_WHOLE_PIXELS} that go through "
                "the model at once; such images are translated in overlapping windows of "
                f"{LARGE_WINDOW[1]} x {LARGE_WINDOW[0]} px"
            )

    def _name_crop(self) -> str:
        try:
            config = self._translator.config
        except UserError:  # A damaged card does not keep a SavedModel from translating.
            config = None
        if config is None:
            return "`crop`"
        return "`crop=left`" if config.direction == "AtoB" else "`crop=right`"

    def warn(self) -> None:
        """Warns of the files that are stored turned."""
        warn_of_orientation("inputs", self._turned)


def _read_picture(file: Path, header: Header, translator: Translator, options: Options) -> np.ndarray:
    """Returns a picture as the task needs it, with a label map of class ids in colours."""
    task = translator.task
    picture = load_image(file, task.picture_channels[0], header.dtype)
    if options.crop != "none":
        if header.width % 2:
            raise BadImageError(f"{file} is {header.width} px wide, so it is not a pair of equal halves")
        half = header.width // 2
        picture = picture[:, :half] if options.crop == "left" else picture[:, half:]
    picture = colour_picture(picture, header, translator.meaning.input)
    if task.name == "inpaint":
        picture = _cut_hole(file, picture, options)
    if options.draw_edges:
        picture = draw_edges(picture)
    return picture


def _cut_hole(file: Path, picture: np.ndarray, options: Options) -> np.ndarray:
    """Returns the picture with its hole transparent."""
    lowest = -1 if picture.dtype == np.float32 else 0
    if options.hole:
        picture = picture.copy()
        picture[..., 3][center_mask(picture.shape[:2]).numpy()[..., 0] > 0] = lowest
    elif not np.any(picture[..., 3] == lowest):
        raise BadImageError(f"{file} has no transparent pixels to fill; `hole=center` cuts out the middle")
    return picture


def _translate_file(
    translator: Translator, file: InputFile, picture: np.ndarray, output: Path, options: Options
) -> Row:
    """Writes the outputs of a picture and what the page shows of it; returns its row of the page."""
    suffix, dtype = _choose_kind(translator, file, picture, options)
    shown_files = []
    for sample, output_file in enumerate(list_outputs(file.name, suffix, options.samples_per_image)):
        try:
            generated = translator(picture, options.noise_seed, sample, dtype)
        except tf.errors.ResourceExhaustedError as error:
            raise BadImageError(
                f"{file.path} is too large for the memory there is: {picture.shape}"
            ) from error
        shown_files.append(_write_output(output, output_file, generated))
    shown = show_input(translator.task, translator.task.read_picture(widen(picture, np.float32)))
    input_file = f"{PAGE_FOLDER}/{file.name}.jpg"
    staging.write_file(output / input_file, tf.io.encode_jpeg(shown, quality=90).numpy())
    return Row(file.title, picture.shape[:2], input_file, shown_files)


def _choose_kind(
    translator: Translator, file: InputFile, picture: np.ndarray, options: Options
) -> tuple[str, np.dtype]:
    """Returns the suffix and the type of the outputs of a picture."""
    meaning = translator.meaning
    suffix = choose_suffix(meaning, file.suffix, options.bits)
    # No PNG has more than 4 channels, or floats, which a TIFF may have.
    if meaning.target is None and (
        translator.task.picture_channels[1] > MOST_PNG_CHANNELS or picture.dtype == np.float32
    ):
        suffix = ARRAY_SUFFIX
    if options.bits and suffix == ".png":
        return suffix, np.dtype(f"uint{options.bits}")
    return suffix, np.dtype(meaning.target.dtype) if meaning.target else picture.dtype


def _write_tiff(stream: io.BytesIO, image: np.ndarray) -> None:
    """Writes an image, [H, W, C], as one page."""
    channels = image.shape[2]
    if channels == 1:
        tifffile.imwrite(stream, image[..., 0], photometric="minisblack")
    else:
        photometric = "rgb" if channels in (3, 4) else "minisblack"
        tifffile.imwrite(stream, image, photometric=photometric, planarconfig="contig")


def _write_output(output: Path, output_file: str, generated: np.ndarray) -> str:
    """Writes an output; returns the file that the page shows."""
    if output_file.endswith(".png"):
        write_png(output / output_file, generated)
        return output_file
    contents = io.BytesIO()
    if output_file.endswith(ARRAY_SUFFIX):
        np.save(contents, generated)
    else:
        _write_tiff(contents, generated)
    staging.write_file(output / output_file, contents.getvalue())
    shown_file = f"{PAGE_FOLDER}/{output_file}.png"
    write_png(output / shown_file, show_image(widen(generated, np.float32)))
    return shown_file
