"""Exports a trained generator as a SavedModel, ready for TensorFlow Serving.

    python -m tfpix2pix.export --workdir=runs/facades --output=saved_models

It becomes the next version of <output>/<name>, which a running server picks up
by itself. saved_models/README.md says what to send it.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from pipelines import catalogue, command_line
from pipelines.command_line import UsageError


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
    arguments = command_line.parse_flags(flag_values, __doc__ or "", argv)
    values = flag_values.flag_values_dict()
    if arguments or not values["workdir"]:
        raise UsageError("expected --workdir=RUN, with --output=DIR or not (--help shows more)")
    if values["name"] and not catalogue.is_name(values["name"]):
        raise UsageError(f"--name is a name, not a path (that is --output). Received: {values['name']}")

    command_line.quiet_tensorflow()
    from tfpix2pix import saved_model, splits, translation

    generator, config, step = translation.load_generator(values["workdir"], values["checkpoint"])
    name = values["name"] or config.dataset
    print(f"exporting step {step} of {values['workdir']}, and trying it in a fresh process", flush=True)
    version = saved_model.export_saved_model(
        generator, Path(values["output"]) / name, config.seed, task=splits.make_task(config)
    )
    print(
        f"SavedModel: {version}\n"
        f"translate:  python -m tfpix2pix.translate --model={version.parent} --input=IMAGES --output=OUT\n"
        f"serve:      tensorflow_model_server --rest_api_port=8501 --model_name={name} "
        f"--model_base_path={version.parent.resolve()}"
    )


if __name__ == "__main__":
    command_line.run(main)
