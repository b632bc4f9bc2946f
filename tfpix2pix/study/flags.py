"""The flags of the commands of a study. TensorFlow is not imported."""

import dataclasses
from typing import Any

from absl import flags

from tfpix2pix.pipelines import catalogue
from tfpix2pix.study.folder import PAIRINGS, Protocol

_PROTOCOL_HELP = {
    "practice_trials": "Begin with this many practice trials, whose answers are followed by the right ones.",
    "test_trials": "Ask this many test trials, which count.",
    "vigilance_trials": "Put this many trials with an unmistakably broken image among the test trials.",
    "exposure_sec": "Show each image for this many seconds.",
    "least_gap_sec": "Leave the page blank for at least this many seconds before an image.",
    "most_gap_sec": "Leave the page blank for at most this many seconds before an image.",
    "feedback_sec": "Show the right answer to a practice trial for this many seconds.",
    "pairing": "Show two images of the same example in a trial, or of different examples.",
}


def define_study_dir(flag_values: flags.FlagValues) -> None:
    """Defines the flag that names the folder of a study."""
    flags.DEFINE_string(
        "study_dir", None, "Take the study in this folder, which create makes.", flag_values=flag_values
    )


def define_sources(flag_values: flags.FlagValues) -> None:
    """Defines the flags that say where the images of a new study come from."""
    for name, text in (
        (
            "model",
            "Take the images of this run or SavedModel, given as PATH or NAME=PATH. The real images are "
            "those of its dataset. This may be repeated.",
        ),
        (
            "generated",
            "Take the images of an algorithm from this folder, given as NAME=FOLDER. This may be repeated.",
        ),
    ):
        flags.DEFINE_multi_string(name, None, text, flag_values=flag_values)
        flag_values[name].help = text  # absl says in words of its own that it may be repeated.
    for name, text in (
        ("real", "Take the real images from this folder."),
        (
            "data_dir",
            "Look for the dataset of --model in this folder. Default: the run's folder of data, or datasets.",
        ),
    ):
        flags.DEFINE_string(name, None, text, flag_values=flag_values)
    flags.DEFINE_enum(
        "split", "val", catalogue.SPLITS, "Translate this split with --model.", flag_values=flag_values
    )
    for name, default, least, text in (
        ("noise_seed", 0, 0, "Draw the noise of --model from this seed."),
        ("max_examples", None, 1, "Take at most this many examples, spread evenly. Default: all."),
    ):
        flags.DEFINE_integer(name, default, text, least, flag_values=flag_values)


def define_study(flag_values: flags.FlagValues) -> None:
    """Defines the flags of a new study, except for its images and its protocol."""
    for name, default, text in (
        ("title", "Which image is fake?", "Head the pages with this title."),
        ("image_size", "256", "Resize all images to this size in px, given as N or HxW."),
        ("completion_url", "", "Link to this URL at the end, for example Prolific's completion URL."),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    flags.DEFINE_integer(
        "seed",
        None,
        "Draw the sides and the order of every session from this seed. Default: a new one.",
        0,
        2**53,
        flag_values=flag_values,
    )


def define_protocol(flag_values: flags.FlagValues) -> None:
    """Defines a flag for each field of `Protocol`."""
    for field in dataclasses.fields(Protocol):
        name, text = field.name, _PROTOCOL_HELP[field.name]
        default: Any = field.default
        if field.type is int:
            flags.DEFINE_integer(name, default, text, flag_values=flag_values)
        elif field.type is float:
            flags.DEFINE_float(name, default, text, flag_values=flag_values)
        else:
            flags.DEFINE_enum(name, default, PAIRINGS, text, flag_values=flag_values)
