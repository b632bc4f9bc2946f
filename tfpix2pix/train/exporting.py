"""The export at the end of a training, which is made once for each step at which it ends."""

import json
from pathlib import Path

import keras

from tfpix2pix.config.config import Config
from tfpix2pix.export.names import SAVED_MODEL_FILE
from tfpix2pix.export.publishing import choose_folder, read_card, tell_of_others
from tfpix2pix.export.run import export_run
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.places import copy_of, is_remote, settle_url, url_of
from tfpix2pix.pipelines.catalogue import name_folder
from tfpix2pix.pipelines.remote.store import Store
from tfpix2pix.run import next_commands


def export_once(generator: keras.Model, config: Config, workdir: Path, step: int) -> Path:
    """Exports the generator once; a finished run that is started again finds the export of its policy."""
    record, models = workdir / "exported.json", config.saved_model_dir
    exported = json.loads(record.read_text()) if record.exists() else {"step": None, "path": None}
    published = exported["path"] if _is_below(exported["path"], models) else None
    if exported["step"] == step and published and (version := _find_exported(published, config)):
        return version
    folder = choose_folder(models, workdir, config, published)
    by_command = next_commands.export(workdir, name_folder(workdir))
    advice = f"`saved_model_dir=ANOTHER`, or `export=False` and {by_command}"
    tell_of_others(folder, workdir, config, advice, published)
    version = export_run(generator, config, step, workdir, folder)
    told = {"step": step, "path": url_of(version) or str(version.resolve())}
    staging.write_file(record, (json.dumps(told) + "\n").encode())
    return version


def _is_below(written: str | None, models: str) -> bool:
    """Returns whether what was written is a version of a model in `models`."""
    if written is None or is_remote(written) != is_remote(models):
        return False
    if is_remote(written):
        return written.rsplit("/", 2)[0] == settle_url(models)
    return Path(written).parents[1] == Path(models).resolve()


def _find_exported(written: str, config: Config) -> Path | None:
    """Returns the folder of an exported version, or of the copy of one.

    None if it is not there any more, or its card tells another policy of noise.
    """
    if read_card(written).get("noise", {}).get("policy", config.serving_noise) != config.serving_noise:
        return None
    if is_remote(written):
        return copy_of(written, written=True) if Store(written).has(SAVED_MODEL_FILE) else None
    version = Path(written)
    return Path(config.saved_model_dir) / version.parent.name / version.name if version.is_dir() else None
