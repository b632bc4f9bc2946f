"""The folder of a run: its configuration file, and what that says of the run."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tfpix2pix.config import precision
from tfpix2pix.config.checks import check_drawn_channels
from tfpix2pix.config.config import Config, check_resumable, from_json
from tfpix2pix.config.run_config import RunConfig, earlier_settings
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.paths import check_writable
from tfpix2pix.pipelines.base.places import check_url, copy_of
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.meaning import UNKNOWN, Meaning
from tfpix2pix.run import training_set
from tfpix2pix.run.identity import keep_identity

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
    """Returns the settings of a run of any kind.

    Args:
      workdir: folder of the run.
      parse: makes them of the JSON that the run has written.

    Raises:
      UsageError: when the folder holds no run, or one of another kind.
      UserError: when its configuration cannot be read.
    """
    if not is_begun(workdir):
        raise UsageError(f"{workdir} holds no run: there is no {CONFIG_FILE}. It is written by train")
    text = json.dumps(_read_file(workdir)["config"])
    try:
        return parse(text)
    except UsageError as error:
        reason = str(error).partition(" (there are")[0]
        raise UsageError(f"{workdir} is a run of another kind or version ({reason})") from error


def is_begun(workdir: Path) -> bool:
    """Tells whether a run was begun in `workdir`, whether or not it has a checkpoint."""
    return (workdir / CONFIG_FILE).is_file()


def _read_file(workdir: Path) -> dict[str, Any]:
    """Returns all that the configuration file of a run says; nothing for a run that was not begun."""
    if not is_begun(workdir):
        return {}
    path = workdir / CONFIG_FILE
    try:
        contents = json.loads(path.read_text())
        if not isinstance(contents["config"], dict):
            raise TypeError('"config" is not an object')
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged, or not of a run: {type(error).__name__} {error}") from error
    return contents


def settle_config(workdir: Path, config: Config) -> Config:
    """Returns the configuration that the run in `workdir`, new or begun, goes on with.

    Raises:
      UsageError: when `workdir` holds a run that `config` cannot go on with, in which case
        the message names the fields; or when a folder of the run cannot be written, or
        generated pairs do not have the channels.
    """
    _check_start(workdir, config)
    before = read_config(workdir) if is_begun(workdir) else None
    config = precision.settle(config, before)
    if before:
        config = keep_reading(workdir, config)
        check_resumable(before, config, workdir)
    return config


def keep_reading(workdir: Path, config: AnyConfig) -> AnyConfig:
    """Returns `config` as a run goes on that was begun before there were all of its settings."""
    saved = _read_file(workdir).get("config")
    return dataclasses.replace(config, **earlier_settings(saved)) if saved else config


def check_config(workdir: Path, config: Config) -> None:
    """Raises UsageError as `settle_config` does; needs no TensorFlow."""
    if is_begun(workdir):  # its precision is decided
        settle_config(workdir, config)
    else:
        _check_start(workdir, config)


def _check_start(workdir: Path, config: Config) -> None:
    check_drawn_channels(config)
    check_url(config.data_dir, "data_dir")
    check_url(config.pairs, "pairs")
    check_writable(workdir, "workdir")
    if config.export:
        check_url(config.saved_model_dir, "saved_model_dir", writes=True)
        models = copy_of(config.saved_model_dir, written=True)
        for folder in (models, models / config.dataset):
            check_writable(folder, "saved_model_dir")


def name_own(own: Mapping[str, Any]) -> dict[str, str]:
    """Returns the names of the parts that a caller has brought, such as `my_networks.build_resnet`.

    Data are named by their type.
    """
    named = {}
    for part, brought in own.items():
        if brought is not None:
            kind = brought if hasattr(brought, "__qualname__") else type(brought)
            named[part] = f"{kind.__module__}.{kind.__qualname__}"
    return named


def read_own(workdir: Path) -> dict[str, str]:
    """Returns the names of the caller's own parts that a run was trained with, by part."""
    return _read_file(workdir).get("own", {})


def count_examples(workdir: Path) -> int | None:
    """Returns how many examples the training set of a run has; None if the run has not seen one."""
    told = _read_file(workdir).get("training_set")
    return told["examples"] if told else None


def resumes_exactly(workdir: Path) -> bool:
    """Tells whether a run that goes on after an interruption ends with the same weights as without one."""
    return (_read_file(workdir).get("training_set") or {}).get("resumes_exactly", True)


def read_shapes(workdir: Path) -> list[float] | None:
    """Returns the shapes of the training's side-by-side pairs; see `pair_shapes.measure_shapes`."""
    return (_read_file(workdir).get("training_set") or {}).get("side_by_side")


def read_origin(workdir: Path) -> dict[str, Any] | None:
    """Returns what the first weights of a run were taken from; None if they were random."""
    return _read_file(workdir).get("origin")


def read_meaning(workdir: Path) -> Meaning:
    """Returns what the images of a run stand for; `UNKNOWN` where it does not say so.

    Raises:
      UserError: when what it says cannot be read.
    """
    try:
        return Meaning.from_json(_read_file(workdir).get("meaning"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        file = workdir / CONFIG_FILE
        raise UserError(f"{file} is damaged: {type(error).__name__} {error} in its meaning") from error


def keep_meaning(workdir: Path) -> Meaning | None:
    """Returns `UNKNOWN` for a run of a version that kept no meaning, which goes on as it began; or else None.

    The training set of any other run is looked at anew, so that a change is noticed.
    """
    is_older = count_examples(workdir) is not None and read_meaning(workdir) is UNKNOWN
    return UNKNOWN if is_older else None


def check_own(workdir: Path, own: Mapping[str, Any]) -> None:
    """Raises UsageError when the run in `workdir` goes on with other parts of the caller's own."""
    if not is_begun(workdir):
        return
    before, now = read_own(workdir), name_own(own)
    for part in sorted(before.keys() ^ now.keys()):
        none = f"without a `{part}` of your own; leave it out"
        had = f"with {before[part]}; give it as `{part}`" if part in before else none
        raise UsageError(f"{workdir} was trained {had} to go on, or choose another `workdir` to start anew")


def write_config(
    workdir: Path,
    config: WritesJson,
    train_source: "Source | None",
    own: Mapping[str, Any] | None = None,
    origin: Mapping[str, Any] | None = None,
    allow_new_data: bool | None = None,
    meaning: Meaning | None = None,
) -> None:
    """Writes the configuration and what the training set is.

    Args:
      workdir: folder of the run.
      config: its settings.
      train_source: its training set; None for a run that has not seen one yet.
      own: functions that the caller has brought in place of the package's, by part.
      origin: what a new run took its first weights from; None keeps what is written of it.
      allow_new_data: as for `check_training_set`. The training sets before this one are kept on record.
      meaning: what the images of a run without a training set stand for; None keeps what is written of it.

    Raises:
      UsageError: when the run was started on other training images; where some were
        changed in their place, there is a warning.
    """
    before = _read_file(workdir)
    earlier = before.get("earlier_training_sets", [])
    if check_training_set(workdir, config, train_source, allow_new_data):
        earlier = [*earlier, before["training_set"]]
    here = None if train_source is None else training_set.describe(train_source)
    text = {**keep_identity(before), "config": json.loads(config.to_json()), "training_set": here}
    if earlier:
        text["earlier_training_sets"] = earlier
    if named := name_own(own or {}):
        text["own"] = named
    if told := origin or read_origin(workdir):
        text["origin"] = told
    if settled := (meaning or _settle_meaning(workdir, train_source)).to_json():
        text["meaning"] = settled
    staging.write_file(workdir / CONFIG_FILE, (json.dumps(text, indent=2) + "\n").encode())


def _settle_meaning(workdir: Path, train_source: "Source | None") -> Meaning:
    """Returns the meaning that a run keeps: the one that it began with, or that of its training set."""
    if train_source is None or count_examples(workdir) is not None:
        return read_meaning(workdir)
    return train_source.meaning


def check_training_set(
    workdir: Path,
    config: WritesJson,
    train_source: "Source | None",
    allow_new_data: bool | None = None,
) -> bool:
    """Compares a training set with the one that the run in `workdir` began on.

    Args:
      workdir: folder of the run, which need not have begun.
      config: its settings, which say where the training set is.
      train_source: the training set; None compares nothing.
      allow_new_data: whether the run goes on with other images; None where nobody can ask for that.

    Returns:
      Whether the run goes on with another training set.

    Raises:
      UsageError: for other images; where some were changed in their place, there is a warning.
    """
    if not is_begun(workdir) or train_source is None:
        return False
    saved, now = _read_file(workdir), json.loads(config.to_json())
    then, here = saved["training_set"], training_set.fingerprint(train_source)
    check_classes(workdir, train_source.meaning)
    if not then or training_set.is_same(then, here):
        return False
    folders = [text.get("data_dir") for text in (saved["config"], now)]
    if allow_new_data:
        say(f"{workdir} goes on with {training_set.describe_change(then, here, folders)}")
        return True
    training_set.refuse_others(workdir, then, here, folders, allow_new_data is not None)
    return False


def check_classes(workdir: Path, meaning: Meaning) -> None:
    """Raises UsageError where the run in `workdir` began with label maps of other classes, ids or colours."""
    before = read_meaning(workdir)
    for name in ("input", "target"):
        then, now = getattr(before, name), getattr(meaning, name)
        # A run of imported weights takes ids as well as colours.
        if then and now and count_examples(workdir) is None:
            then = dataclasses.replace(then, ids=now.ids, instances=now.instances)
        # A palette that was added later to images in colours does not change how they are read.
        is_added = then and now and then.palette is None and not now.ids
        if then and now and not is_added and then.classes != now.classes:
            raise UsageError(
                f"the {name} images of {workdir} were {then.describe_classes(now)} when it began, and are "
                f"{now.describe_classes(then)} now. Bring palette.json and the label maps back to go on, or "
                "choose another `workdir`"
            )
