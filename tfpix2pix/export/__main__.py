"""Exports a trained generator as a SavedModel for TensorFlow Serving, or as a file for another runtime.

    python -m tfpix2pix.export --workdir=runs/facades --output=saved_models

The SavedModel becomes the next version of <output>/<name>, which a running server
picks up by itself. saved_models/README.md says what to send it. `python -m
tfpix2pix.serving.serve` starts a server for all models of a folder.

    python -m tfpix2pix.export --workdir=runs/facades --format=tflite

writes the file <output>/<name>.tflite instead; docs/runtimes.md says how to run it.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from tfpix2pix.config import config as configs
from tfpix2pix.config.choices import FILE_NOISE, SERVING_NOISE, WEIGHTS, WEIGHTS_HELP
from tfpix2pix.export.files.formats import LEAST_RUNTIMES, PACKAGES, TOLERANCES, FileOptions, check_format
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.paths import check_writable
from tfpix2pix.pipelines.base.places import below, check_url, copy_of, name_urls
from tfpix2pix.pipelines.remote.copies import send_folder
from tfpix2pix.run.folder import read_config, read_meaning
from tfpix2pix.run.remote_workdir import fetch_run
from tfpix2pix.run.weights import settle_weights, takes_average

if TYPE_CHECKING:
    import keras

SAVED_MODEL = "saved_model"
_SAVED_MODEL_FLAGS = ("serving_noise", "max_pixels", "keep_versions")
_FILE_FLAGS = ("noise", "image_size", "quantization")


def main(argv: Sequence[str]) -> None:
    """Parses flags, restores the generator, exports it, says what to do with it."""
    values = _parse(argv)
    # What cannot work fails here, sooner than TensorFlow starts.
    values["workdir"] = fetch_run(values["workdir"], values["checkpoint"])
    config = read_config(Path(values["workdir"]))
    takes_average(values["workdir"], values["weights"])
    check_url(values["output"], "output", writes=True)
    output = copy_of(values["output"], written=True)
    check_writable(output, "output")
    name = values["name"] or config.dataset
    if values["format"] == SAVED_MODEL:
        check_writable(output / name, "output")
    command_line.import_tensorflow()
    from tfpix2pix.run.generator import load_generator

    opened = load_generator(values["workdir"], values["checkpoint"], weights=values["weights"])
    export = _export_version if values["format"] == SAVED_MODEL else _export_file
    print(name_urls(export(values, name, *opened)))


def _export_version(
    values: Mapping[str, Any], name: str, generator: "keras.Model", config: configs.Config, step: int
) -> str:
    """Exports a SavedModel; returns what to do with it."""
    from tfpix2pix.export.publishing import choose_folder, tell_of_others
    from tfpix2pix.export.run import export_run

    workdir = Path(values["workdir"])
    print(name_urls(f"exporting step {step} of {workdir}, and trying it in a fresh process"), flush=True)
    if values["name"]:
        folder = below(values["output"], name)
    else:
        folder = choose_folder(values["output"], workdir, config)
    tell_of_others(folder, workdir, config, "`name=ANOTHER` or `output=ANOTHER`")
    version = export_run(
        generator,
        config,
        step,
        workdir,
        folder,
        noise=values["serving_noise"],
        max_pixels=values["max_pixels"],
        keep_versions=values["keep_versions"],
        weights=values["weights"],
    )
    return _describe_version(version, config, workdir)


def _export_file(
    values: Mapping[str, Any], name: str, generator: "keras.Model", config: configs.Config, step: int
) -> str:
    """Exports a file for another runtime; returns what it is."""
    from tfpix2pix.export.files.export_file import export_file

    workdir, output = Path(values["workdir"]), copy_of(values["output"], written=True)
    print(name_urls(f"exporting step {step} of {workdir}, and comparing the file with it"), flush=True)
    options = _file_options(values, config)
    path = output / options.name_file(name)
    about = {
        "workdir": workdir.name,
        "step": step,
        "weights": settle_weights(workdir, values["weights"]),
        "meaning": read_meaning(workdir).to_json(),
    }
    report = export_file(generator, path, options, about)
    send_folder(output, [path.name, f"{path.name}.json"])
    return _describe_file(path, report)


def _parse(argv: Sequence[str]) -> dict[str, Any]:
    flag_values = command_line.new_flags()
    _define_flags(flag_values)
    _define_file_flags(flag_values)
    # `noise` is an argument of SavedModels. The flag --noise is for the files of other runtimes.
    aliases = {"noise": "serving_noise"}
    arguments = command_line.parse_flags(
        flag_values, __doc__ or "", argv, aliases=aliases, takes_remote=("workdir", "output")
    )
    values = flag_values.flag_values_dict()
    if arguments or not values["workdir"]:
        raise UsageError("expected --workdir=RUN, with --output=DIR or without it (--help shows more)")
    if values["name"] and not catalogue.is_name(values["name"]):
        raise UsageError(f"--name is a name, not a path (that is --output). Received: {values['name']}")
    _check_format(values)
    return values


def _define_flags(flag_values: flags.FlagValues) -> None:
    for name, default, text in (
        ("workdir", None, "Export the run in this folder."),
        ("output", "saved_models", "Write to this folder, which holds the models."),
        (
            "name",
            None,
            "Give the model this name. Default: the name of the run's dataset; where that has a model of the "
            "other direction or of another kind already, that of the run's folder.",
        ),
        ("checkpoint", "latest", "Export this checkpoint of the run: latest, best or a step."),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    flags.DEFINE_enum(
        "serving_noise",
        None,
        SERVING_NOISE,
        "Answer requests that bring no seed with the same noise for all (fixed), with noise that is "
        "drawn for each image (random), or without noise (off). Default: the run's own setting.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum("weights", None, WEIGHTS, WEIGHTS_HELP, flag_values=flag_values)
    for name, text in (
        (
            "max_pixels",
            "Refuse images of more pixels than this; files are refused before they are decoded. "
            "Default: 2**24, which is 4096x4096, or the pixels of the run's --image_size if those are more.",
        ),
        ("keep_versions", "Keep this many versions of the model, and delete older ones. Default: all."),
    ):
        flags.DEFINE_integer(name, None, text, flag_values=flag_values, lower_bound=1)


def _define_file_flags(flag_values: flags.FlagValues) -> None:
    for name, default, choices, text in (
        (
            "format",
            SAVED_MODEL,
            [SAVED_MODEL, *PACKAGES],
            "Write a SavedModel to serve, or a file of this format for another runtime.",
        ),
        (
            "noise",
            None,
            FILE_NOISE,
            "Write a file that takes a noise seed as an input, or one without noise. Default: input.",
        ),
        (
            "quantization",
            None,
            list(TOLERANCES),
            "Store the weights of a tflite file as they are (none), in half the size (float16), or in a "
            "quarter of it (int8). Default: none.",
        ),
    ):
        flags.DEFINE_enum(name, default, choices, text, flag_values=flag_values)
    flags.DEFINE_string(
        "image_size",
        None,
        "Write a file that takes images of this size in px, given as N or HxW. Default: the run's size.",
        flag_values=flag_values,
    )


def _check_format(values: Mapping[str, Any]) -> None:
    """Raises UsageError where flags do not go together, UserError where packages are missing."""
    file_format = values["format"]
    for name in _FILE_FLAGS if file_format == SAVED_MODEL else _SAVED_MODEL_FLAGS:
        if values[name] is None:
            continue
        if file_format == SAVED_MODEL:
            raise UsageError(f"--{name} is for a file: give --format={'|'.join(PACKAGES)} too")
        raise UsageError(f"--{name} is for a SavedModel. Received: --format={file_format}")
    if values["quantization"] is not None and file_format != "tflite":
        raise UsageError(f"--quantization is for --format=tflite. Received: --format={file_format}")
    if file_format != SAVED_MODEL:
        check_format(file_format)


def _file_options(values: Mapping[str, Any], config: configs.Config) -> FileOptions:
    size = values["image_size"]
    return FileOptions(
        values["format"],
        configs.make_config(image_size=size).image_size if size else config.image_size,
        values["noise"] != "off",
        values["quantization"] or "none",
    )


def _describe_version(version: Path, config: configs.Config, workdir: Path) -> str:
    from tfpix2pix.run import next_commands

    command = next_commands.translate(version.parent, config, workdir)
    if config.spec.draw_pair:  # whose pictures are no files to translate
        use = f"score:      {next_commands.score(version.parent)}\n"
    else:
        use = f"translate:  {command}\n" if command else ""
    served = shlex.quote(str(version.parent.resolve()))
    return (
        f"SavedModel: {version}\n{use}"
        f"serve:      tensorflow_model_server --rest_api_port=8501 --model_name={version.parent.name} "
        f"--model_base_path={served}"
    )


def _describe_file(path: Path, report: Mapping[str, Any]) -> str:
    return (
        f"{report['format']}: {path}, {report['bytes'] / 1e6:.1f} MB\n"
        f"off the generator, of values in [-1, 1]: at most {report['max_error']:.2g}, "
        f"{report['mean_error']:.2g} on average\n"
        f"runs in {LEAST_RUNTIMES[report['format'], report['quantization']]}\n"
        f"how to run it: docs/runtimes.md; what it takes: {path}.json"
    )


if __name__ == "__main__":
    command_line.run(main)
