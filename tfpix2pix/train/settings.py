"""Which settings a call of `train` asks for: those of its flags, of a file, of a run that goes on.

TensorFlow is not imported.
"""

import contextlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfpix2pix.config.choices import IMAGENET
from tfpix2pix.config.config import Config, make_config
from tfpix2pix.config.fields import FIELDS
from tfpix2pix.config.options import parse_size
from tfpix2pix.config.run_config import read_json, with_load_size
from tfpix2pix.export.versions import find_version
from tfpix2pix.interop.published import PUBLISHED
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.files.layouts import find_split_folder
from tfpix2pix.pipelines.files.pair_lists import read_list
from tfpix2pix.pipelines.placing.dataset_folder import find_dataset_folder, prepare_dataset
from tfpix2pix.pipelines.placing.remote_datasets import fetch_list
from tfpix2pix.run.folder import CONFIG_FILE, read_config
from tfpix2pix.run.steps import list_steps

# Settings that follow from these, where a file gives the old value and a flag changes what it followed from.
_FOLLOWERS = {
    "image_size": ("load_size",),
    "task": ("input_channels", "output_channels", "direction", "hole", "input_encoding", "boundaries"),
    "hole": ("input_channels", "output_channels"),
    "epochs": ("steps",),
    "preset": ("ema_decay", "input_encoding", "lambda_feature_matching"),
}


def settle_settings(
    given: Mapping[str, Any], workdir: Path | None = None, file: Path | None = None
) -> tuple[Config, Path]:
    """Returns the configuration and the folder of the training that a person has asked for.

    With `file`, its settings hold, except for those in `given`. With neither `file` nor
    `dataset` nor `pairs`, a run that `workdir` holds goes on with its own settings, except for those
    in `given`. Otherwise all settings are in `given`.

    Args:
      given: fields of `Config` that a person has given; None stands for one that was not.
      workdir: folder of the run; None takes `runs/<dataset>`.
      file: a JSON or YAML file of settings, as `read_file` reads it.

    Raises:
      UsageError: if nothing says what to train on, or settings cannot work.
      UserError: if `file` cannot be read.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if file:
        config = make_config(**merge(_for_data(read_file(file), given), given))
        if not workdir and (Path("runs") / config.dataset).resolve() == file.resolve().parent:
            raise UsageError(
                f"{file} is of the run in {file.parent}: give `workdir` for a new run with its settings, or "
                "leave `config` out, and give its `workdir`, to go on with it"
            )
    elif "dataset" in given or "pairs" in given:
        config = make_config(**given)
    elif workdir and (workdir / CONFIG_FILE).is_file():
        config = make_config(**merge(json.loads(read_config(workdir).to_json()), given))
    elif "data_dir" in given:
        config = _name_run(given)
    else:
        raise UsageError(_explain_what_to_give(workdir))
    return config, workdir or Path("runs") / config.dataset


def _for_data(saved: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a file without the name of its own pairs where other data is given."""
    name, folder = saved.get("dataset"), given.get("data_dir")
    is_other = bool(folder) and "dataset" not in given and name not in catalogue.CATALOGUE
    if is_other and not (Path(str(folder)) / str(name)).is_dir():
        return {key: value for key, value in saved.items() if key != "dataset"}
    return dict(saved)


def merge(saved: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns saved settings with those that are given in their place.

    A saved setting that only followed from one that is given now follows from the new value.
    """
    values = dict(saved)
    changed = [name for name, value in given.items() if not _is_same(name, values.get(name), value)]
    followers = {follower for name in changed for follower in _FOLLOWERS.get(name, ())}
    if "load_size" in values and parse_size(values["load_size"], "load_size") != _usual_load_size(values):
        followers -= {"load_size"}
    asked = {**values, **given}
    if asked.get("jitter") is False or asked.get("resize") == "none":
        followers |= {"load_size"}
    kept = {name: value for name, value in values.items() if name not in followers}
    return {**kept, **given}


def _is_same(name: str, saved: Any, given: Any) -> bool:
    is_size = name == "image_size" and saved is not None
    return parse_size(saved, name) == parse_size(given, name) if is_size else saved == given


def _usual_load_size(values: Mapping[str, Any]) -> tuple[int, int]:
    size = parse_size(values.get("image_size", FIELDS["image_size"].default), "image_size")
    return with_load_size(Config, {"image_size": size})["load_size"]


def check_vgg_weights(config: Config) -> None:
    """Raises UsageError if the file of VGG-19's weights is missing."""
    weights = config.vgg19_weights
    if weights not in ("", IMAGENET) and not Path(weights).is_file():
        raise UsageError(f"`vgg19_weights={weights}`: there is no such file")


def read_file(file: Path) -> dict[str, Any]:
    """Returns the settings in a file.

    Args:
      file: a JSON file, such as the config.json of a run, or a YAML file; it holds a
        mapping of settings, or one under the key `config`.

    Raises:
      UserError: if there is no such file, or it does not hold a mapping.
    """
    if not file.is_file():
        raise UsageError(
            f"`config` takes a file of settings, such as {CONFIG_FILE} of a run. Received: {file}"
        )
    try:
        text = file.read_text("utf-8")
        values = _parse_yaml(text) if file.suffix in (".yaml", ".yml") else json.loads(text)
    except ValueError as error:
        raise UserError(f"{file} cannot be read: {error}") from error
    if isinstance(values, dict) and isinstance(values.get("config"), dict):
        values = read_json(json.dumps(values["config"]))  # as a run wrote it, perhaps of an older version
    if not isinstance(values, dict):
        raise UserError(f"{file} does not hold settings: a mapping of names to values is expected")
    return values


def _parse_yaml(text: str) -> Any:
    if importlib.util.find_spec("yaml") is None:
        raise UserError("YAML files need PyYAML: pip install pyyaml. Or write the settings as JSON")
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error).replace("\n", " ")) from error


def split_origin(init_from: str) -> tuple[Path, str]:
    """Returns the path in `init_from`, and which checkpoint of a run it names: `latest` if it names none."""
    path, colon, checkpoint = init_from.rpartition(":")
    if colon and not Path(init_from).exists() and (Path(path) / CONFIG_FILE).is_file():
        return Path(path), checkpoint
    return Path(init_from), "latest"


def takes_first_weights(config: Config, workdir: Path) -> bool:
    """Tells whether a training begins with the weights of `init_from`, as it has no checkpoint of its own."""
    return bool(config.init_from) and not list_steps(workdir)


def find_origin_kind(init_from: str) -> str:
    """Returns what `init_from` names: `run`, `saved_model`, `keras` or `torch`.

    Raises:
      UsageError: if it is none of them.
      UserError: if the package to read it is missing.
    """
    path, _ = split_origin(init_from)
    if (path / CONFIG_FILE).is_file():
        return "run"
    if path.is_dir():
        find_version(path)
        return "saved_model"
    if path.suffix == ".keras" and path.is_file():
        return "keras"
    if path.suffix in (".pth", ".pt", ".npz", ".safetensors"):
        from tfpix2pix.interop import torch_files  # which needs NumPy, and --help does not

        torch_files.check_readable(path)
        return "torch"
    raise UsageError(
        "`init_from` takes the folder of a run or of a SavedModel, a .keras file, or a .pth, .safetensors or "
        f".npz file of the PyTorch reference, or what is downloaded: hf://user/repo, a URL, or one of "
        f"{', '.join(PUBLISHED)}. Received: {path}, which "
        + ("is none of them" if path.exists() else "does not exist")
    )


def check_data(config: Config) -> None:
    """Raises UserError if the pairs of a configuration are not there and cannot be downloaded either."""
    spec = config.spec
    if config.pairs:
        read_list(fetch_list(config.pairs))
    elif not (spec.draw_pair or spec.url or find_dataset_folder(spec.name, Path(config.data_dir))):
        prepare_dataset(spec, Path(config.data_dir))  # says what is there, and what to do


def _name_run(given: Mapping[str, Any]) -> Config:
    folder = Path(given["data_dir"])
    config = make_config(**given)
    if (name := folder.resolve().name) in catalogue.CATALOGUE:
        say(
            f"{given['data_dir']} is taken as pairs of your own, {config.dataset}. If it is {name} of the "
            f"catalogue, `dataset={name}` takes its direction and its recipe"
        )
    elif datasets := _list_datasets(folder, config.dataset):
        raise UsageError(
            f"{folder} holds {', '.join(datasets)}: give one of them, such as `dataset={datasets[0]}`"
        )
    return config


def _list_datasets(folder: Path, name: str) -> list[str]:
    """Returns the folders in a folder that hold a training split, unless it is a dataset itself."""
    if not folder.is_dir() or find_dataset_folder(name, folder):
        return []
    found = []
    for entry in folder.iterdir():
        with contextlib.suppress(UserError):  # That is about a folder that nobody has asked for.
            found += [entry.name] if find_split_folder(entry, "train") else []
    return sorted(found)


def _explain_what_to_give(workdir: Path | None) -> str:
    missing = f"{workdir} holds no run yet, and nothing" if workdir else "nothing"
    return (
        f"{missing} says what to train on. Give `data_dir=FOLDER` for the pairs of your own in a folder; or "
        "`dataset=NAME` for one of "
        f"{', '.join(catalogue.CATALOGUE)}; or the `workdir` of a run, to go on with it"
    )
