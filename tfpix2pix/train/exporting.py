"""The export at the end of a training, which is made once for each step at which it ends."""

import json
from pathlib import Path

import keras

from tfpix2pix.config.config import Config
from tfpix2pix.export.names import SAVED_MODEL_FILE
from tfpix2pix.export.run import export_run
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.places import below, copy_of, is_remote, url_of
from tfpix2pix.pipelines.remote.store import Store


def export_once(generator: keras.Model, config: Config, workdir: Path, step: int) -> Path:
    """Exports the generator once; a finished run that is started again finds its export."""
    record, models = workdir / "exported.json", below(config.saved_model_dir, config.dataset)
    if record.exists():
        exported = json.loads(record.read_text())
        if exported["step"] == step and (version := _find_exported(exported["path"], models)):
            return version
    folder = export_run(generator, config, step, workdir, models)
    text = json.dumps({"step": step, "path": url_of(folder) or str(folder.resolve())}) + "\n"
    staging.write_file(record, text.encode())
    return folder


def _find_exported(written: str, models: str | Path) -> Path | None:
    """Returns the folder of an exported version, or of the copy of one; None if it is not in `models`."""
    if is_remote(written):
        is_there = written.rpartition("/")[0] == str(models) and Store(written).has(SAVED_MODEL_FILE)
        return copy_of(written, written=True) if is_there else None
    version = Path(written)
    is_there = not is_remote(models) and version.parent == Path(models).resolve() and version.is_dir()
    return Path(models) / version.name if is_there else None
