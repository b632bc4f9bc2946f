"""Translates many image files on Ray: actors hold the model, and each translates one part after another."""

import contextlib
import dataclasses
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfpix2pix.cluster import records
from tfpix2pix.cluster.connection import connect
from tfpix2pix.cluster.sending import receive_file, send_file, send_path
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.naming import name_flags
from tfpix2pix.pipelines.base.places import copy_of, name_urls, url_of
from tfpix2pix.pipelines.base.progress import say, show_progress
from tfpix2pix.pipelines.files.shards import ShardFile
from tfpix2pix.pipelines.placing.remote_datasets import fetch_shards
from tfpix2pix.translate.image_inputs import InputFile
from tfpix2pix.translate.options import Options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pool:
    """The workers of a translation.

    Attributes:
      num_workers: number of actors, each of which holds the model.
      cpus_per_worker: number of processors that Ray sets aside for each.
      gpus_per_worker: number of GPUs of each.
      files_per_part: most files of a part, which is what is done again when a worker is lost.
      ray_address: host:port of the cluster's head, or `auto`; None for Ray on this machine.
    """

    num_workers: int = 1
    cpus_per_worker: int = 1
    gpus_per_worker: int = 0
    files_per_part: int = 100
    ray_address: str | None = None


def translate_on_ray(
    pool: Pool, settings: Mapping[str, Any], files: Sequence[InputFile], output: Path, options: Options
) -> str:
    """Translates files; outputs and pages are those of `translate_files`, with a part as its shard.

    Parts that an earlier call has finished are left out, unless their files, the model or the options have
    changed since, or outputs are gone. A part is begun again when its worker is lost. Parts with files that
    could not be translated are tried again by the next call.

    Args:
      pool: the workers.
      settings: arguments of `Translator`. The model is one version of a SavedModel, or a run with the step of
        a checkpoint, so that all workers have the same.
      files: what to translate.
      output: folder for the outputs, the pages, the records and the manifest; the copy of a remote one stands
        for that. All machines see it and the files under the same paths, or reach their stores.
      options: what is done to the files.

    Returns:
      A line for people: how many images are translated, and where the manifest is.

    Raises:
      UsageError: when `options` ask for what the model's task does not have.
      UserError: when some files could not be translated, or Ray does not answer.
    """
    parts = records.divide(files, pool.files_per_part, settings, options)
    found = records.read_records(output, parts)
    done = [record is not None and not records.count_failed(record) for record in found]
    todo = [part for part, is_done in zip(parts, done, strict=True) if not is_done]
    if len(todo) < len(parts):
        say(f"{count_of(len(parts) - len(todo), 'part')} of {len(parts)} done before")
    if todo:
        with show_progress("translating", len(files), "images", len(files) - _count(todo)) as bar:
            task = {"settings": dict(settings), "output": send_path(output), "options": options}
            for number, errors in _run(pool, todo, task):
                for error in errors:
                    bar.write(f"error: {name_flags(error)}", file=sys.stderr)
                bar.update(number)
    counts = records.write_manifest(output, parts, settings)
    manifest = output / records.MANIFEST
    if missing := len(files) - counts["images"]:
        raise UserError(f"{count_of(missing, 'image')} of {len(files)} are missing in {manifest}")
    if counts["failed"]:
        raise UserError(
            f"{counts['failed']} of {count_of(len(files), 'image')} could not be translated; {manifest} "
            f"names their records, and the others are in {output}"
        )
    return f"{count_of(len(files), 'image')} in {count_of(len(parts), 'part')}: {manifest}"


def _count(parts: Sequence[records.Part]) -> int:
    return sum(len(part.files) for part in parts)


def _run(
    pool: Pool, parts: Sequence[records.Part], task: Mapping[str, Any]
) -> Iterator[tuple[int, Sequence[str]]]:
    """Yields the number of images of each part when it is done, and what could not be translated."""
    workers = min(pool.num_workers, len(parts))
    with connect(pool.ray_address, workers * pool.cpus_per_worker):
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars, context.print_on_execution_start = False, False
        context.execution_options.preserve_order = False
        rows = [
            {
                "number": part.number,
                "count": part.count,
                "name": part.name,
                "key": part.key,
                "files": [send_file(file) for file in part.files],
            }
            for part in parts
        ]
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            PartTranslator,
            fn_constructor_args=(dict(task),),
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=pool.cpus_per_worker,
            num_gpus=pool.gpus_per_worker or None,
        )
        for row in dataset.iter_rows():
            if row["problem"]:
                raise (UsageError if row["status"] == UsageError.exit_status else UserError)(row["problem"])
            yield row["images"], list(row["errors"])


class PartTranslator:
    """Translates parts, in a worker of Ray.

    Args:
      task: `settings` of the translator, and `output` and `options` of `translate_on_ray`.
    """

    def __init__(self, task: Mapping[str, Any]):
        self._task = task
        self._translator: Any = None

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Translates a part; returns how many images it has, or a `problem` that all parts would have."""
        errors, problem, status = list[str](), "", 0
        try:
            errors = self._translate(row)
        except UserError as error:  # An exception would have a part done again for nothing.
            problem, status = str(error), error.exit_status
        return {"images": len(row["files"]), "errors": errors, "problem": problem, "status": status}

    def _translate(self, row: Mapping[str, Any]) -> list[str]:
        """Writes the outputs and the record of a part; returns what could not be translated."""
        command_line.import_tensorflow()
        from tfpix2pix.translate.job import PartFailed, translate_part
        from tfpix2pix.translate.translator import Translator

        if self._translator is None:
            self._translator = Translator(**self._task["settings"])
        output, images = copy_of(self._task["output"], written=True), list[dict[str, Any]]()
        files = [receive_file(told) for told in row["files"]]
        for folder in {file.path.parent for file in files if isinstance(file.path, ShardFile)}:
            if url := url_of(folder):
                fetch_shards(url)
        options = dataclasses.replace(self._task["options"], shard=f"{row['number']}/{row['count']}")

        def see(file: InputFile, end: Any) -> None:
            if isinstance(end, Exception):
                images.append({"input": file.title, "error": name_urls(str(end))})
            else:
                outputs = [records.describe_output(output, each) for each in end.outputs]
                images.append({"input": file.title, "outputs": outputs})

        with contextlib.suppress(PartFailed):  # The record says which files.
            translate_part(self._translator, files, output, options, see)
        records.write_record(output, row["name"], row["key"], options.page, images)
        return [image["error"] for image in images if "error" in image]
