r"""Translates many image files on several machines that Ray joins, with a manifest of what was done.

    python -m tfpix2pix.cluster.translate --model=saved_models/facades --input=/shared/photos \
        --output=/shared/out --num_workers=16 --gpus_per_worker=1 --ray_address=auto

Outputs are those of `python -m tfpix2pix.translate`, and its flags are here, too. The
files are divided into parts. Each worker holds the model, and translates one part after
another. A part that is done has a record in out/parts, with the digest of each output;
out/manifest.json, which is written last, lists the records. Each part has a page,
index_1_of_20.html and so on.

When a worker is lost, its part is done again by another. The same command leaves out the
parts that are done, after the command was stopped or killed, too. It does those again
whose images, weights, flags or files named by flags have changed, or whose outputs are
gone. All machines must see the model, the input and the output under the same paths, or
reach the stores of their URLs, and have the package installed. Without --ray_address,
Ray runs on this machine for the time of the command. Needs
pip install 'tfpix2pix[cluster]'.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from tfpix2pix.cluster.parts import Pool, translate_on_ray
from tfpix2pix.cluster.sending import send_path
from tfpix2pix.export.versions import fetch_model, find_version
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.places import copy_of, name_urls
from tfpix2pix.translate.flags import REMOTE, define_flags, find_inputs_of
from tfpix2pix.translate.options import Options


def main(argv: Sequence[str]) -> None:
    """Parses flags, finds the images, translates them."""
    flag_values = _define_flags()
    arguments = command_line.parse_flags(
        flag_values, __doc__ or "", argv, takes_urls=("ray_address",), takes_remote=REMOTE
    )
    command_line.refuse_arguments(arguments)
    values = flag_values.flag_values_dict()
    names = {field.name for field in dataclasses.fields(Options)} & values.keys()
    options = Options(**{name: values[name] for name in names})
    options = _with_absolute_paths(options)
    files = find_inputs_of(values, options)
    pool = Pool(**{field.name: values[field.name] for field in dataclasses.fields(Pool)})
    output = copy_of(values["output"], written=True).absolute()
    print(name_urls(translate_on_ray(pool, _settle_model(values), files, output, options)))


def _with_absolute_paths(options: Options) -> Options:
    """Returns the options with paths as workers find them, which run in other folders."""
    names = "instances", "latent_from", "feature_from"
    paths: dict[str, Any] = {name: _absolute(value) for name in names if (value := getattr(options, name))}
    if options.interpolate:
        first, last, count = options.ends
        end = _absolute(last)
        paths["interpolate"] = f"{_absolute(first)}:{last if ':' in end else end}:{count}"
    return dataclasses.replace(options, **paths)


def _absolute(value: str) -> str:
    """Returns a path that leads somewhere as an absolute one, and anything else, such as a seed, as it is."""
    path = Path(value).absolute()
    return str(path) if path.exists() else value


def _settle_model(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `Translator`, with one version or step, which stays while workers start."""
    names = ("model", "checkpoint", "image_size", "output_size", "weights")
    settings = {name: values[name] for name in names}
    model = fetch_model(values["model"], values["checkpoint"]).absolute()
    if version := find_version(model):
        return {**settings, "model": send_path(version)}
    command_line.import_tensorflow()
    from tfpix2pix.run.checkpoints import find_step

    step = find_step(model, values["checkpoint"] or "latest")
    return {**settings, "model": send_path(model), "checkpoint": str(step)}


def _define_flags() -> flags.FlagValues:
    flag_values = command_line.new_flags()
    for name, least, text in (
        ("num_workers", 1, "Translate with this many workers, each of which holds the model."),
        ("cpus_per_worker", 1, "Let Ray set aside this many processors for each worker."),
        ("gpus_per_worker", 0, "Let Ray give each worker this many GPUs."),
        (
            "files_per_part",
            1,
            "Divide the files into parts of at most this many. A part is what a lost worker has to do again.",
        ),
    ):
        flags.DEFINE_integer(name, getattr(Pool, name), text, least, flag_values=flag_values)
    text = (
        "Use the cluster whose head is at this host:port, or with auto the one that this machine belongs to. "
        "Default: Ray on this machine, for the time of the command."
    )
    flags.DEFINE_string("ray_address", None, text, flag_values=flag_values)
    command_line.group_flags(flag_values, "workers", [field.name for field in dataclasses.fields(Pool)])
    define_flags(flag_values)
    for name in ("shard", "resume"):  # Parts are shards, and what is done stays done.
        delattr(flag_values, name)
    return flag_values


if __name__ == "__main__":
    command_line.run(main)
