"""The flags of `translate`, which works on this machine, and of `cluster.translate`, which works on Ray.

TensorFlow is not imported.
"""

import contextlib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import flags

from tfpix2pix.config.choices import OUTPUT_SIZES, WEIGHTS, WEIGHTS_HELP
from tfpix2pix.export.meanings import find_meaning
from tfpix2pix.export.versions import fetch_model, find_version
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.places import check_url, copy_of
from tfpix2pix.pipelines.meaning import UNKNOWN, Meaning
from tfpix2pix.run.weights import takes_average
from tfpix2pix.translate.image_inputs import InputFile, choose_suffix, find_files, list_written_for
from tfpix2pix.translate.options import BITS, CROPS, FORMATS, HOLES, Options
from tfpix2pix.translate.shard_inputs import list_sharded

# Flags that also take URLs of stores.
REMOTE = ("model", "input", "output")


def find_inputs_of(values: Mapping[str, Any], options: Options) -> list[InputFile]:
    """Returns the files that the flags name, see `find_files` and `list_sharded`; tells of a missing model.

    Args:
      values: name of a flag -> its value.
      options: what is done to the files.

    Raises:
      UsageError: when a flag is missing, or there is no such model or input.
    """
    for name in ("model", "input", "output"):
        if not values[name]:
            raise UsageError(f"--{name} is missing (--help lists the flags)")
    check_url(values["output"], "output", writes=True)
    output = copy_of(values["output"], written=True)
    model = fetch_model(values["model"], values["checkpoint"])
    read_meaning = functools.cache(_read_meaning)

    def list_files(file: InputFile) -> list[str]:
        suffix = choose_suffix(read_meaning(model), file.suffix, options.bits, options.format)
        return list_written_for(options, file.name, suffix)

    files = list_sharded(values["input"]) or find_files(values["input"], output, list_files)
    find_version(model)  # fails where there is no model, sooner than TensorFlow starts
    if values["weights"]:
        takes_average(model, values["weights"])
    return files


def _read_meaning(model: Path) -> Meaning:
    """Returns what the pictures of a model stand for; a missing model is told later."""
    with contextlib.suppress(UsageError):
        return find_meaning(model)
    return UNKNOWN


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds the flags that say what is translated, and how."""
    for name, default, text in (
        (
            "model",
            None,
            "Translate with the model in this folder: a run, a SavedModel, of which the newest version is "
            "taken, or one version of a SavedModel.",
        ),
        ("checkpoint", None, "Take this checkpoint of a run: latest, best or a step. Default: latest."),
        (
            "input",
            None,
            "Translate this image, the images of this folder or of these record shards, or those of a "
            "pattern in quotes. SHARDS/test takes one split, SHARDS/test/A one side of pairs of two files.",
        ),
        (
            "instances",
            None,
            "Take the instances of each image from the map of its name in this folder, for a model with "
            "--boundaries. Default: the classes are the instances.",
        ),
        ("output", None, "Write the outputs and index.html to this folder."),
        (
            "shard",
            "1/1",
            "Translate a part of the images, for several machines: with i/n, the i-th of every n files. Each "
            "part has a page of its own, index_i_of_n.html.",
        ),
        (
            "image_size",
            None,
            "Resize images to this size in px, given as N or HxW, on their way into the model; with native, "
            "they keep their own size. Default: the size of the training.",
        ),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    _define_latents(flag_values)
    _define_numbers(flag_values)
    _define_choices(flag_values)


def _define_latents(flag_values: flags.FlagValues) -> None:
    for name, text in (
        (
            "latent_from",
            "Give all outputs the latent vector of this noise seed, or the one that the encoder of a run of "
            "--method=bicyclegan finds in this picture.",
        ),
        (
            "interpolate",
            "Write a strip of N outputs of each image, and an animation of them, given as A:B:N: their "
            "latent vectors go from that of A to that of B, each a noise seed or a picture, as for "
            "--latent_from.",
        ),
        (
            "feature_from",
            "Let each instance look as it does in this picture of the same scene, or in the picture of its "
            "image's name in this folder, for a run with --instance_features. Default: the noise decides.",
        ),
    ):
        flags.DEFINE_string(name, None, text, flag_values=flag_values)


def _define_numbers(flag_values: flags.FlagValues) -> None:
    for name, number, least, text in (
        ("noise_seed", 0, None, "Draw the noise from this seed. Another seed gives other outputs."),
        ("samples_per_image", 1, 1, "Write this many outputs of each image: NAME_1.png, NAME_2.png, ..."),
        (
            "batch_size",
            4,
            1,
            "Translate this many images at the same time, each by itself, so that outputs do not depend on "
            "it; fewer if they are large. The next ones are read meanwhile.",
        ),
    ):
        flags.DEFINE_integer(name, number, text, least, flag_values=flag_values)


def _define_choices(flag_values: flags.FlagValues) -> None:
    for name, default, choices, text in (
        (
            "output_size",
            OUTPUT_SIZES[0],
            OUTPUT_SIZES,
            "Write outputs of the size of their input, or of the size at which the model was trained.",
        ),
        (
            "format",
            None,
            FORMATS,
            "Write files of this kind. Default: the kind of the training's targets; where that is not known, "
            "arrays for arrays and for what no PNG file holds, PNG files for all others.",
        ),
        (
            "bits",
            None,
            BITS,
            "Write image files, or arrays of --format=npy, of this depth. Default: the depth of the "
            "training's targets.",
        ),
        ("weights", None, WEIGHTS, WEIGHTS_HELP),
        ("hole", None, HOLES, "Cut out the middle of each image, for an inpainting model to fill."),
        (
            "crop",
            None,
            CROPS,
            "Take this half of each image, which is a side-by-side pair, or none. Default: the input half of "
            "images that have the shape of the training's side-by-side pairs.",
        ),
    ):
        flags.DEFINE_enum(name, default, choices, text, flag_values=flag_values)
    for name, text in (
        ("draw_edges", "Draw the edges of each image, which is a photo, for a model of drawings."),
        (
            "resume",
            "Leave out images whose outputs exist already, which the same model and flags must have made.",
        ),
    ):
        flags.DEFINE_bool(name, False, text, flag_values=flag_values)
