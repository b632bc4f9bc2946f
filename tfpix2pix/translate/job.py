"""Translates many image files, several at a time, and writes a page of what went in and what came out."""

import collections
import contextlib
import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from tfpix2pix.networks.tiles import MAX_WHOLE_PIXELS
from tfpix2pix.pictures.page import Row, render_gallery
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.naming import name_flags
from tfpix2pix.pipelines.base.progress import show_progress
from tfpix2pix.pipelines.files.image_files import BadImageError, read_header
from tfpix2pix.pipelines.remote.copies import fetch_file
from tfpix2pix.pipelines.remote.outputs import OutputFolder
from tfpix2pix.translate.files import Done, FileTranslator, choose_kind
from tfpix2pix.translate.formats import check_format
from tfpix2pix.translate.image_inputs import InputFile
from tfpix2pix.translate.made_by import MadeBy
from tfpix2pix.translate.notices import Notices, note_silence
from tfpix2pix.translate.options import Options
from tfpix2pix.translate.page_files import TITLE
from tfpix2pix.translate.translator import Translator


class PartFailed(UserError):
    """Some files could not be translated; the others are done."""


Task = TypeVar("Task")
Result = TypeVar("Result")
# Images that are decoded or written while others go through the network.
_BESIDE = 2
# The page of a job that is killed shows what was done until so many seconds before. Writing it takes longer
# the more it shows, and takes at most one part in so many of the time.
_SECONDS_BETWEEN_PAGES = 10
_PAGE_DIVISOR = 20


def translate_files(
    translator: Translator, files: Sequence[InputFile], output: Path, options: Options
) -> str:
    """Translates image files, and writes a page that shows what went in beside what came out.

    A file that cannot be translated, or whose output cannot be written, is named on standard error, and the
    others are translated. Each output depends on its own file alone: not on the other files, nor on how many
    are translated at a time. The page is written every now and then, and when the job is stopped.

    Args:
      translator: the model.
      files: what to translate.
      output: folder for the outputs and the page.
      options: what is done to the files.

    Returns:
      A line for people: how many images were translated, with which noise, in what time, and the page.

    Raises:
      UsageError: when `options` ask for what the model's task does not have, for a format that cannot hold
        all outputs, or to go on with a job whose outputs were made otherwise.
      UserError: at the end, when some files could not be translated, or the page not be written.
    """
    note_silence(translator, options)
    return translate_part(translator, options.take_shard(files), output, options)


def translate_part(
    translator: Translator,
    files: Sequence[InputFile],
    output: Path,
    options: Options,
    see: Callable[[InputFile, Done | BadImageError], None] = lambda file, end: None,
) -> str:
    """Does what `translate_files` does with files that are the shard of `options` already.

    Args:
      translator: the model.
      files: what to translate.
      output: folder for the outputs and the page.
      options: what is done to the files; its shard names the page.
      see: is called for each file, in their order, with what was done or why it could not be.

    Returns:
      What `translate_files` returns; its errors are raised, too.
    """
    _check_options(translator, options)
    _check_format(translator, files, options)
    start, num_failed, num_before = time.monotonic(), 0, 0
    notices, page = Notices(translator), _Page(translator, output / options.page, options)
    at_once = _count_at_once(translator, options)
    translate = FileTranslator(translator, output, options, at_once)
    made_by = MadeBy(translator, output, options)
    with (
        show_progress("translating", len(files), "images") as bar,
        page,
        contextlib.closing(_run_ahead(translate, files, at_once + _BESIDE)) as futures,
    ):
        for file, future in zip(files, futures, strict=True):
            try:
                done = future.result()
                see(file, done)
                notices.see(file.path, done)
                page.add(done.row)
                num_before += done.was_there
            except BadImageError as error:
                num_failed += 1
                see(file, error)
                bar.write(f"error: {name_flags(str(error))}", file=sys.stderr)
            bar.update()
    notices.warn()
    problems = [page.problem] if page.problem else []
    if num_failed:
        others = f"; the others are in {output}" if page.rows else ""
        problems.insert(0, f"{num_failed} of {count_of(len(files), 'image')} could not be translated{others}")
    if problems:
        raise PartFailed("; ".join(problems))
    made_by.finish(page.rows)
    before = f", {num_before} of them done before" if options.resume else ""
    return f"{page.summary}{before}, {time.monotonic() - start:.1f} s: {page.path}"


def _check_options(translator: Translator, options: Options) -> None:
    task = translator.task
    if options.hole and task.name != "inpaint":
        raise UsageError(
            f"`hole` is for an inpainting model, and {translator.title} has learned another task, {task.name}"
        )
    if options.instances and not task.has_instances:
        raise UsageError(f"`instances` is for a model with `boundaries`, and {translator.title} has none")
    if options.instances and not Path(options.instances).is_dir():
        raise UsageError(f"`instances` takes a folder of maps. Received: {options.instances}")
    if options.feature_from and not Path(options.feature_from).exists():
        raise UsageError(
            f"`feature_from` takes a picture or a folder of pictures. Received: {options.feature_from}"
        )
    if options.draw_edges and task.picture_channels[0] != 3:
        raise UsageError(
            f"`draw_edges` makes drawings of 3 channels, and {translator.title} takes "
            f"{task.picture_channels[0]}"
        )


def _check_format(translator: Translator, files: Sequence[InputFile], options: Options) -> None:
    """Raises UsageError if the format that is asked for cannot hold the outputs of all files."""
    if not options.format:
        return
    channels, depths = translator.task.picture_channels[1], set[np.dtype]()
    for file in files:
        with contextlib.suppress(BadImageError):  # it is named when its turn comes
            with fetch_file(file.path) as path:
                dtype = choose_kind(translator, file, read_header(path), options)[1]
            if dtype not in depths:
                check_format(options.format, channels, dtype, str(file.path))
            depths.add(dtype)
            if translator.meaning.target:
                return  # all outputs are like these targets


def _count_at_once(translator: Translator, options: Options) -> int:
    """Returns how many images go through the network at once: fewer if they are large."""
    size = translator.scale.image_size
    if size is None:
        return 1
    return max(1, min(options.batch_size, MAX_WHOLE_PIXELS // (size[0] * size[1])))


def _run_ahead(
    work: Callable[[Task], Result], tasks: Iterable[Task], threads: int
) -> Generator[Future[Result], None, None]:
    """Yields what becomes of each task, in their order, while other threads work on the next ones.

    Only so many are begun or wait that the threads always have work. When the generator is closed, those
    that wait are given up.
    """
    begun = collections.deque[Future[Result]]()
    pool = ThreadPoolExecutor(threads)
    try:
        for task in tasks:
            begun.append(pool.submit(work, task))
            if len(begun) > 2 * threads:
                yield begun.popleft()
        while begun:
            yield begun.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


class _Page:
    """The page of a job, which is written now and then, and when the `with` block ends, however it ends."""

    def __init__(self, translator: Translator, path: Path, options: Options):
        self.path, self.rows, self.problem = path, list[Row](), ""
        self._output = OutputFolder(path.parent)
        self._title, self._options = f"{TITLE} {translator.title}", options
        self._due = time.monotonic() + _SECONDS_BETWEEN_PAGES

    @property
    def summary(self) -> str:
        """How many images there are, with which noise."""
        samples, count = self._options.samples_per_image, len(self.rows)
        noise = f"{samples} samples each, " if samples > 1 else ""
        return f"{count_of(count, 'image')}, {noise}noise seed {self._options.noise_seed}"

    def add(self, row: Row) -> None:
        """Adds an image, and writes the page if it is time."""
        self.rows.append(row)
        start = time.monotonic()
        if start >= self._due:
            self._write()
            now = time.monotonic()
            self._due = now + max(_SECONDS_BETWEEN_PAGES, _PAGE_DIVISOR * (now - start))

    def _write(self) -> None:
        page = render_gallery(self._title, self.summary, self.rows)
        try:
            self._output.write(self.path.name, page.encode(errors="replace"))
            self.problem = ""
        except UserError as error:  # The outputs matter more, and there may be room for them.
            self.problem = str(error)

    def __enter__(self) -> "_Page":
        return self

    def __exit__(self, *_: object) -> None:
        self._write()
