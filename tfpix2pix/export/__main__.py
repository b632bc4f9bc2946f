"""Exports a trained generator as a SavedModel, ready for TensorFlow Serving, or as a file for other runtimes.

    python -m tfpix2pix.export --workdir=runs/facades --output=saved_models

It becomes the next version of <output>/<name>, which a running server picks up
by itself. saved_models/README.md says what to send it. `python -m
tfpix2pix.serving.serve` starts a server, and writes the models.config that lists
the models of a folder.

    python -m tfpix2pix.export --workdir=runs/facades --format=tflite

writes <output>/<name>.tflite instead; docs/runtimes.md says how to run it.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tfpix2pix.config import config
from tfpix2pix.export.files.export_file import SAVED_MODEL, check_flags, define_flags, export_run
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError


def main(argv: Sequence[str]) -> None:
    """Parses flags, restores the generator, exports it."""
    flag_values = command_line.new_flags()
    for name, default, text in (
        ("workdir", None, "folder of the run"),
        ("output", "saved_models", "folder of the SavedModels"),
        ("name", None, "name of the model (default: the run's dataset)"),
        ("checkpoint", "latest", "latest, best or a step"),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    flags.DEFINE_enum(
        "serving_noise",
        None,
        config.SERVING_NOISE,
        "of requests without a seed: the same for all, drawn for each image, or none (default: the run's)",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "max_pixels",
        None,
        "larger images are refused, files before they are decoded (default: 2**24, 4096x4096)",
        flag_values=flag_values,
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "keep_versions",
        None,
        "versions of the model to keep, the newest; the others are deleted (default: all)",
        flag_values=flag_values,
        lower_bound=1,
    )
    define_flags(flag_values)
    arguments = command_line.parse_flags(flag_values, __doc__ or "", argv)
    values = flag_values.flag_values_dict()
    if arguments or not values["workdir"]:
        raise UsageError("expected --workdir=RUN, with --output=DIR or not (--help shows more)")
    if values["name"] and not catalogue.is_name(values["name"]):
        raise UsageError(f"--name is a name, not a path (that is --output). Received: {values['name']}")
    check_flags(values)
    command_line.import_tensorflow()
    if values["format"] != SAVED_MODEL:
        export_run(values)
        return
    from tfpix2pix.export import model_card, saved_model
    from tfpix2pix.run import splits
    from tfpix2pix.run.generator import load_generator

    generator, settings, step = load_generator(values["workdir"], values["checkpoint"])
    name = values["name"] or settings.dataset
    print(f"exporting step {step} of {values['workdir']}, and trying it in a fresh process", flush=True)
    version = saved_model.export_saved_model(
        generator,
        Path(values["output"]) / name,
        settings.seed,
        task=splits.make_task(settings),
        noise=values["serving_noise"] or settings.serving_noise,
        max_pixels=values["max_pixels"],
        image_size=settings.image_size,
        keep_versions=values["keep_versions"],
        about=model_card.describe_run(Path(values["workdir"]), settings, step),
    )
    folder, served = (shlex.quote(str(path)) for path in (version.parent, version.parent.resolve()))
    print(
        f"SavedModel: {version}\n"
        f"translate:  python -m tfpix2pix.translate --model={folder} --input=IMAGES --output=OUT\n"
        f"serve:      tensorflow_model_server --rest_api_port=8501 --model_name={name} "
        f"--model_base_path={served}"
    )


if __name__ == "__main__":
    command_line.run(main)
