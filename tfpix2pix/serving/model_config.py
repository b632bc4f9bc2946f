"""Writes the files that tell TensorFlow Serving which models to load, how to batch, where to show metrics."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfpix2pix.export.names import SAVED_MODEL_FILE
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.paths import is_plain

MODELS_FILE = "models.config"
BATCHING_FILE = "batching_parameters.txt"
MONITORING_FILE = "monitoring.config"
METRICS_PATH = "/monitoring/prometheus/metrics"
# A file without this line is somebody's own.
_MARK = "# Written by tfpix2pix.serving.serve at each start. Without this line it is left as it is.\n"


def find_models(folder: Path) -> list[str]:
    """Returns the names of the models in a folder that have a version, sorted.

    Raises:
      UsageError: when there are none, or the server cannot read them where they are.
    """
    files = folder.glob(f"*/*/{SAVED_MODEL_FILE}")
    names = {file.parts[-3] for file in files if file.parts[-2].isdecimal() and file.parts[-3][0] != "."}
    if names and not is_plain(folder.resolve()):
        raise UsageError(
            f"TensorFlow Serving cannot load models from {folder.resolve()}: it takes *, ?, [, ] and \\ in a "
            "path for a pattern. Move the models to a folder without them, and give it as `saved_models`"
        )
    if names:
        return sorted(names)
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; `saved_models` takes the one that holds the models")
    hint = "python -m tfpix2pix.export writes one"
    if any(file.parent.name.isdecimal() for file in folder.glob(f"*/{SAVED_MODEL_FILE}")):
        hint = f"this is the folder of one model: give `saved_models={folder.parent}`"
    raise UsageError(f"no {folder}/NAME/VERSION/{SAVED_MODEL_FILE}; {hint}")


def render_configs(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Renders the files, which are protocol buffers in text form.

    Args:
      folder: folder of the models.
      names: names of the models, which are folders in it.

    Returns:
      File name -> text.
    """
    models = "".join(
        "  config {\n"
        f"    name: {_quote(name)}\n"
        f"    base_path: {_quote(str(folder.resolve() / name))}\n"
        '    model_platform: "tensorflow"\n'
        "  }\n"
        for name in names
    )
    return {
        MODELS_FILE: f"{_MARK}model_config_list {{\n{models}}}\n",
        BATCHING_FILE: _MARK + "# docs/serving.md says when batching helps.\n"
        "max_batch_size { value: 8 }\n"
        "batch_timeout_micros { value: 5000 }\n"
        "max_enqueued_batches { value: 100 }\n"
        f"num_batch_threads {{ value: {os.cpu_count() or 1} }}\n",
        MONITORING_FILE: f'{_MARK}prometheus_config {{\n  enable: true\n  path: "{METRICS_PATH}"\n}}\n',
    }


def read_own(folder: Path, texts: Mapping[str, str]) -> dict[str, str]:
    """Returns those files of the folder that are somebody's own and stay as they are: file name -> text.

    Args:
      folder: folder of the models.
      texts: file name -> text, as `render_configs` returns it.
    """
    files = {name: folder / name for name in texts}
    there = {name: file.read_text(errors="replace") for name, file in files.items() if file.exists()}
    return {name: text for name, text in there.items() if not text.startswith(_MARK)}


def write_configs(folder: Path, texts: Mapping[str, str]) -> None:
    """Writes the files to the folder, except where a file is somebody's own.

    Args:
      folder: folder of the models.
      texts: file name -> text.
    """
    own = read_own(folder, texts)
    for name, text in texts.items():
        if name not in own:
            staging.write_file(folder / name, text.encode())


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
