"""Translates image files with a model on a running TensorFlow Serving, many at once."""

import io
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tfpix2pix.export.names import DEFAULT_SIGNATURE
from tfpix2pix.pipelines.base.command_line import import_tensorflow
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.naming import name_flags
from tfpix2pix.pipelines.base.progress import say, show_progress
from tfpix2pix.pipelines.files.matching import File
from tfpix2pix.pipelines.files.shards import ShardFile
from tfpix2pix.pipelines.meaning import MOST_PNG_CHANNELS
from tfpix2pix.pipelines.remote.copies import fetch_file
from tfpix2pix.pipelines.remote.failures import MissingError
from tfpix2pix.pipelines.remote.outputs import OutputFolder
from tfpix2pix.serving.remote_model import RemoteModel, ServingError
from tfpix2pix.translate.image_inputs import ARRAY_SUFFIX, InputFile, find_beside, list_outputs
from tfpix2pix.translate.pairs import ask_of_pair, cut_half

PERCENTILES = (50, 90, 99)
# Failures of a single image. Every other failure would meet all images.
_OF_ONE_IMAGE = (
    "INVALID_ARGUMENT",
    "OUT_OF_RANGE",
    "DEADLINE_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "INTERNAL",
    "DATA_LOSS",
)


_ORIENTATION = 0x0112  # the tag in EXIF; from 5 on, height and width change places
# How TIFF, GIF and WebP files begin. Other files are sent as they are.
_NOT_DECODED = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF8", b"RIFF")


class Outcome(NamedTuple):
    """What became of the files.

    Attributes:
      latencies_sec: seconds between request and answer, of each image that was translated.
      elapsed_sec: seconds between the first request and the last answer.
      failed: number of images that could not be translated.
    """

    latencies_sec: list[float]
    elapsed_sec: float
    failed: int


class _RefusedError(UserError):
    """One image could not be translated."""


def translate_files(
    model: RemoteModel,
    files: Sequence[InputFile],
    output: Path,
    *,
    signature: str = DEFAULT_SIGNATURE,
    noise_seed: int | None = None,
    concurrency: int = 4,
    instances: Path | None = None,
    crop: str | None = None,
) -> Outcome:
    """Translates image files; each one that fails is named on standard error, and the others are translated.

    Args:
      model: the model on its server. It is closed when all is lost.
      files: what to translate.
      output: folder for the outputs, PNG files.
      signature: a signature that takes image files.
      noise_seed: seed of the noise; None leaves the noise to the server.
      concurrency: number of requests at once.
      instances: folder of maps of instances, which have the names of the images, for a model with
        `boundaries`; None takes the classes for the instances.
      crop: `left` or `right`, if the files are side-by-side pairs of which that half is sent; `none` if they
        are sent whole. None does that too, and says where a file may be a pair, because no server tells how
        the training's pairs lay.

    Returns:
      What became of the files.

    Raises:
      UsageError: when the model's signatures do not allow that.
      UserError: when no server answers any more.
    """
    # Maps may be of any kind, and halves are cut out of pixels.
    if instances or crop in ("left", "right") or any(_takes_tensorflow(file.path) for file in files):
        import_tensorflow(with_keras=False)  # It takes seconds, and other files do without.
    model.read_signatures()  # A server or model that is missing is reported once, not for each image.

    outputs, request = OutputFolder(output), _Request(signature, noise_seed, instances, crop)

    def translate_file(file: InputFile) -> tuple[float, str]:
        picture, latency_sec, note = _ask(model, file, request)
        try:
            outputs.write(name_output(file), picture)
        except UserError as error:
            raise _RefusedError(str(error)) from error
        return latency_sec, note

    start, latencies_sec, noted = time.perf_counter(), list[float](), set[str]()
    pool = ThreadPoolExecutor(concurrency)
    try:
        tasks = {pool.submit(translate_file, file): file for file in files}
        with show_progress("translating", len(tasks), "images") as bar:
            for task in as_completed(tasks):
                try:
                    latency_sec, note = task.result()
                    latencies_sec.append(latency_sec)
                    if note and note not in noted:
                        noted.add(note)
                        say(f"note: {tasks[task].path} {note}")
                except _RefusedError as error:
                    bar.write(f"error: {name_flags(str(error))}", file=sys.stderr)
                bar.update()
    except BaseException as error:
        model.close()  # What other threads still wait for is of no use any more.
        pool.shutdown(cancel_futures=True)
        if isinstance(error, ServingError):
            num_done = sum(not task.cancelled() and not task.exception() for task in tasks)
            raise UserError(
                f"{error}. {num_done} of {count_of(len(tasks), 'image is', 'images are')} done"
            ) from error
        raise
    pool.shutdown()
    return Outcome(latencies_sec, time.perf_counter() - start, len(files) - len(latencies_sec))


def name_output(file: InputFile) -> str:
    """Returns the name of the output of an image."""
    (name,) = list_outputs(file.name)
    return name


class _Request(NamedTuple):
    """What is asked of each file."""

    signature: str
    noise_seed: int | None
    instances: Path | None
    crop: str | None


def _ask(model: RemoteModel, file: InputFile, request: _Request) -> tuple[bytes, float, str]:
    """Returns the output of an image, the seconds between request and answer, and a note on the file."""
    try:
        with fetch_file(file.path) as path:
            contents = _read(path, request.crop or "none")
    except MissingError as error:
        raise _RefusedError(str(error)) from error
    maps = None if request.instances is None else [_read_map(file, request.instances)]
    start = time.perf_counter()
    try:
        (picture,) = model.translate([contents], request.signature, request.noise_seed, instances=maps)
    except ServingError as error:
        if error.code in _OF_ONE_IMAGE:
            raise _RefusedError(f"{file.path}: {error}") from error
        raise
    latency_sec = time.perf_counter() - start
    return picture, latency_sec, "" if request.crop else _ask_of_contents(contents)


def _ask_of_contents(contents: bytes) -> str:
    """Returns the question that the contents of an image file raise, or nothing."""
    try:
        with Image.open(io.BytesIO(contents)) as image:
            width, height = image.size
            if height not in (2 * width, width / 2):  # Pillow decodes a whole PNG file to find its EXIF.
                return ""
            is_turned = image.getexif().get(_ORIENTATION, 1) >= 5
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # The server has read it.
        return ""
    return ask_of_pair(width, height) if is_turned else ask_of_pair(height, width)


def _read_map(file: InputFile, folder: Path) -> bytes:
    """Returns what is sent of the map of instances of a file."""
    if not (found := find_beside(file, folder)):
        raise _RefusedError(f"{file.path} has no map of instances {folder / file.name}.png")
    return _read(found)


def _read(file: File, crop: str = "none") -> bytes:
    """Returns what is sent of a file: its contents; a PNG of a half, or of what servers do not decode."""
    try:
        contents = file.read_bytes()
    except OSError as error:
        raise _RefusedError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _RefusedError(f"{file} {error}") from error
    if crop == "none" and not _needs_conversion(file, contents):
        return contents
    from tfpix2pix.pipelines.files import image_files
    from tfpix2pix.pipelines.files.encoding import encode_png

    try:
        header = image_files.read_header(file)
        pixels = cut_half(image_files.load_image(file, header.channels, header.dtype), crop)
    except UserError as error:
        raise _RefusedError(str(error)) from error
    except ValueError as error:
        raise _RefusedError(f"{file} {error}") from error
    if pixels.dtype.kind == "f" or header.channels > MOST_PNG_CHANNELS:
        raise _RefusedError(
            f"{file} holds {header.channels} channels of {pixels.dtype}, which no image file that can be "
            "sent holds; RemoteModel.predict sends arrays"
        )
    return encode_png(pixels).numpy()


def _takes_tensorflow(file: File) -> bool:
    """Tells whether it takes TensorFlow to send a file: it is a record of a shard, or has to be converted."""
    if isinstance(file, ShardFile):
        return True
    try:
        with file.open("rb") as stream:
            return _needs_conversion(file, stream.read(4))
    except OSError:
        return False  # It is named when it is its turn.


def _needs_conversion(file: File, start: bytes) -> bool:
    """Tells whether servers do not decode a file that begins with some bytes."""
    return file.suffix.lower() == ARRAY_SUFFIX or start.startswith(_NOT_DECODED)


def summarize(latencies_sec: Sequence[float], elapsed_sec: float) -> str:
    """Returns throughput, and the latencies that 50, 90 and 99 percent of the requests did not exceed.

    Args:
      latencies_sec: seconds between request and answer, of each image that was translated.
      elapsed_sec: seconds between the first request and the last answer.
    """
    count = len(latencies_sec)
    text = f"{count_of(count, 'image')} in {elapsed_sec:.1f} s, {count / elapsed_sec:.3g} images/s"
    if not count:
        return text
    # This method picks latencies that occurred, and no values between them.
    values = np.percentile(latencies_sec, PERCENTILES, method="inverted_cdf") * 1000
    columns = (f"p{percent} {value:.0f} ms" for percent, value in zip(PERCENTILES, values, strict=True))
    return f"{text}; latency {', '.join(columns)}"
