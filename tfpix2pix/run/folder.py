"""The folder of a run: its configuration file, its lock."""

import dataclasses
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tfpix2pix.config import precision
from tfpix2pix.config.config import Config, check_resumable, from_json
from tfpix2pix.config.run_config import RunConfig
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.progress import warn

if TYPE_CHECKING:  # sources import TensorFlow, and a dry run needs none
    from tfpix2pix.pipelines.files.sources import Source

CONFIG_FILE = "config.json"
Settings = TypeVar("Settings")
AnyConfig = TypeVar("AnyConfig", bound=RunConfig)


class WritesJson(Protocol):
    """A configuration of any kind of run."""

    def to_json(self) -> str:
        """Returns the configuration as JSON text."""


def read_config(workdir: Path) -> Config:
    """Returns the configuration of the run in `workdir`.

    Raises:
      UsageError: when the folder holds no run.
      UserError: when its configuration cannot be read.
    """
    return read_settings(workdir, from_json)


def read_settings(workdir: Path, parse: Callable[[str], Settings]) -> Settings:
    """Returns what `parse` makes of the JSON that a run of any kind has written; see `read_config`."""
    path = workdir / CONFIG_FILE
    if not path.is_file():
        raise UsageError(f"{workdir} holds no run: there is no {CONFIG_FILE}. It is written by train")
    try:
        return parse(json.dumps(json.loads(path.read_text())["config"]))
    except UsageError as error:
        reason = str(error).partition(" (there are")[0]
        raise UsageError(f"{workdir} is a run of another kind or version ({reason})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged, or not of a run: {type(error).__name__} {error}") from error


def settle_config(workdir: Path, config: Config) -> Config:
    """Returns the configuration that the run in `workdir`, new or begun, goes on with.

    Raises:
      UsageError: when `workdir` holds a run that `config` cannot go on with; it names
        the fields.
    """
    before = read_config(workdir) if (workdir / CONFIG_FILE).is_file() else None
    config = precision.settle(config, before)
    if before:
        config = keep_reading(workdir, config)
        check_resumable(before, config, workdir)
    return config


def keep_reading(workdir: Path, config: AnyConfig) -> AnyConfig:
    """Returns `config` without `exif` for a run that was begun before there was such a setting.

    It has read the pixels as they are stored, and goes on with them.
    """
    path = workdir / CONFIG_FILE
    is_older = path.is_file() and "exif" not in json.loads(path.read_text())["config"]
    return dataclasses.replace(config, exif=False) if is_older else config


def check_config(workdir: Path, config: Config) -> None:
    """Raises UsageError as `settle_config` does, or if folders cannot be written; needs no TensorFlow."""
    check_writable(workdir, "workdir")
    if config.export:
        check_writable(Path(config.saved_model_dir), "saved_model_dir")
    if (workdir / CONFIG_FILE).is_file():
        settle_config(workdir, config)


def name_own(own: Mapping[str, Any]) -> dict[str, str]:
    """Returns the names of the parts that a caller has brought, such as `my_networks.build_resnet`."""
    return {
        part: f"{function.__module__}.{function.__qualname__}"
        for part, function in own.items()
        if function is not None
    }


def read_own(workdir: Path) -> dict[str, str]:
    """Returns the names of the caller's own parts that a run was trained with, by part."""
    path = workdir / CONFIG_FILE
    return json.loads(path.read_text()).get("own", {}) if path.is_file() else {}


def count_examples(workdir: Path) -> int | None:
    """Returns how many examples the training set of a run has; None if the run has not seen one."""
    path = workdir / CONFIG_FILE
    told = json.loads(path.read_text()).get("training_set") if path.is_file() else None
    return told["examples"] if told else None


def read_origin(workdir: Path) -> dict[str, Any] | None:
    """Returns what the first weights of a run were taken from; None if they were random."""
    path = workdir / CONFIG_FILE
    return json.loads(path.read_text()).get("origin") if path.is_file() else None


def check_own(workdir: Path, own: Mapping[str, Any]) -> None:
    """Raises UsageError when the run in `workdir` goes on with other parts of the caller's own."""
    if not (workdir / CONFIG_FILE).is_file():
        return
    before, now = read_own(workdir), name_own(own)
    for part in sorted(before.keys() ^ now.keys()):
        if part in before:
            raise UsageError(
                f"{workdir} was trained with {before[part]}; give it as `{part}` to go on, or choose another "
                "`workdir` to start anew"
            )
        raise UsageError(
            f"{workdir} was trained without a `{part}` of your own; leave it out to go on, or choose another "
            "`workdir` to start anew"
        )


def write_config(
    workdir: Path,
    config: WritesJson,
    train_source: "Source | None",
    own: Mapping[str, Any] | None = None,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Writes the configuration and what the training set is.

    Args:
      workdir: folder of the run.
      config: its settings.
      train_source: its training set; None for a run that has not seen one yet.
      own: functions that the caller has brought in place of the package's, by part.
      origin: what a new run took its first weights from; None keeps what is written of it.

    Raises:
      UsageError: when the run was started on other training images; where some were
        changed in their place, there is a warning.
    """
    path = workdir / CONFIG_FILE
    training_set = None if train_source is None else _fingerprint(train_source)
    check_training_set(workdir, config, train_source)
    text = {"config": json.loads(config.to_json()), "training_set": training_set}
    if named := name_own(own or {}):
        text["own"] = named
    if told := origin or read_origin(workdir):
        text["origin"] = told
    staging.write_file(path, (json.dumps(text, indent=2) + "\n").encode())


def check_training_set(workdir: Path, config: WritesJson, train_source: "Source | None") -> None:
    """Raises UsageError, or warns, where the run in `workdir` began on other images; see `write_config`."""
    path = workdir / CONFIG_FILE
    if not path.is_file() or train_source is None:
        return
    saved, now = json.loads(path.read_text()), json.loads(config.to_json())
    then, here = saved["training_set"], _fingerprint(train_source)
    if not then or all(then[key] == here[key] for key in then.keys() & here.keys()):
        return
    have_same_names = then["ids_sha256"] == here["ids_sha256"]
    folder_then, folder = (text.get("data_dir") for text in (saved["config"], now))
    if have_same_names and folder == folder_then:  # somebody has mended files there
        warn(
            f"training images in {folder} have changed since {path.parent} began; it goes on with them as "
            "they are now, and another --workdir begins anew"
        )
        return
    what = "the same names but other contents" if have_same_names else "other names"
    raise UsageError(
        f"the training set of {path.parent} changed: {then['examples']} examples then, "
        f"{here['examples']} now, with {what}; --data_dir was {folder_then}, is {folder}. "
        "Bring the images back to go on, or choose another --workdir"
    )


def _fingerprint(source: "Source") -> dict[str, int | str]:
    """Returns the same for the same files in another folder; runs of older versions know no contents."""
    ids = hashlib.sha256("\n".join(source.example_ids).encode()).hexdigest()
    content = {"content_sha256": source.content} if source.content else {}
    return {"examples": len(source), "ids_sha256": ids, **content}


def check_writable(folder: Path, setting: str) -> None:
    """Raises UsageError, naming the setting, if a folder is a file or lies in one, or cannot be written."""
    for path in (folder, *folder.parents):
        if path.exists() and not path.is_dir():
            raise UsageError(f"`{setting}={folder}` takes a folder, and {path} is a file; choose another one")
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(f"`{setting}={folder}` cannot be written: you may not write to {nearest}")


@contextmanager
def lock(workdir: Path) -> Iterator[None]:
    """Makes `workdir` and holds it; the system frees it when the process ends, however it ends.

    Raises:
      UserError: when another process holds it, or it is a file.
    """
    check_writable(workdir, "workdir")
    made = [folder for folder in (workdir, *workdir.parents) if not folder.exists()]
    workdir.mkdir(parents=True, exist_ok=True)
    with (workdir / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(
                f"{workdir} is in use by process {file.read().strip() or 'unknown'}; "
                "wait for it, or choose another --workdir"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            if not (workdir / CONFIG_FILE).exists():  # the run never began: leave nothing behind
                (workdir / ".lock").unlink(missing_ok=True)
                with suppress(OSError):  # something else is in it
                    for folder in made or [workdir]:
                        folder.rmdir()
