"""The flags of the commands of a study. TensorFlow is not imported."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from absl import flags

from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.study.protocol import CHOICES, Protocol, Question, Rules

_PROTOCOL_HELP = {
    "practice_trials": "Begin with this many practice trials, whose answers are followed by the right ones.",
    "test_trials": "Ask this many test trials, which count.",
    "vigilance_trials": "Put this many trials with an unmistakably broken image among the test trials.",
    "exposure_sec": "Show each image for this many seconds.",
    "least_gap_sec": "Leave the page blank for at least this many seconds before an image.",
    "most_gap_sec": "Leave the page blank for at most this many seconds before an image.",
    "feedback_sec": "Show the right answer to a practice trial for this many seconds.",
    "pairing": "Show two images of the same example in a trial, or of different examples.",
    "design": "Ask which of a real and a generated image is fake, or which of two algorithms is better.",
    "criterion": (
        "Ask in a preference study which image looks more realistic, which one matches the input better, or "
        "whose four samples differ more (variety)."
    ),
    "show_input": "Show the input beside the images of a preference study.",
    "least_window_px": "Refuse people whose browser's window is narrower than this many px, such as phones.",
}
_RULES_HELP = {
    "exposure_tolerance_percent": (
        "Do not count trials in which a measured exposure is off by more than this share, and by more than "
        "a frame at 60 Hz."
    ),
    "exposure_tolerance_ms": (
        "Do not count trials in which a measured exposure is off by more than this many milliseconds. "
        "Default: what follows from the percentage."
    ),
    "least_vigilance_percent": (
        "Do not count sessions in which less than this share of the vigilance trials was answered correctly."
    ),
    "least_trials_percent": "Do not count sessions in which less than this share of the test trials counts.",
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
        ("input", "Take the inputs from this folder, with --generated and --show_input."),
        (
            "data_dir",
            "Look for the dataset of --model in this folder. Default: the run's folder of data, or datasets.",
        ),
    ):
        flags.DEFINE_string(name, None, text, flag_values=flag_values)
    text = "Translate this split with --model. Default: val."
    flags.DEFINE_enum("split", None, catalogue.SPLITS, text, flag_values=flag_values)
    for name, least, text in (
        ("noise_seed", 0, "Draw the noise of --model from this seed. Default: 0."),
        ("max_examples", 1, "Take at most this many examples, spread evenly. Default: all."),
    ):
        flags.DEFINE_integer(name, None, text, least, flag_values=flag_values)


def define_study(flag_values: flags.FlagValues) -> None:
    """Defines the flags of a new study, except for its images and its protocol."""
    for name, default, text in (
        ("title", None, "Head the pages with this title. Default: the question of the trials."),
        ("image_size", "256", "Resize all images to this size in px, given as N or HxW."),
        ("completion_url", "", "Link to this URL at the end, for example Prolific's completion URL."),
        ("decline_url", "", "Link to this URL for people who do not agree to take part."),
        ("screen_out_url", "", "Link to this URL for people who cannot take part."),
        (
            "texts",
            None,
            "Take all words of the pages from this JSON file, a translation of what the command texts "
            "writes. Default: English.",
        ),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    text = (
        "Ask this question after the last trial, given as TEXT for an answer in words, or as "
        "TEXT|ANSWER|ANSWER for answers to choose from. This may be repeated."
    )
    flags.DEFINE_multi_string("exit_question", None, text, flag_values=flag_values)
    flag_values["exit_question"].help = text  # absl says in words of its own that it may be repeated.
    flags.DEFINE_integer(
        "seed",
        None,
        "Draw the names of the images, and whose turn an algorithm is, from this seed. Default: a new one.",
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
        elif field.type is bool:
            flags.DEFINE_bool(name, default, text, flag_values=flag_values)
        else:
            flags.DEFINE_enum(name, default, CHOICES[name], text, flag_values=flag_values)


def define_rules(flag_values: flags.FlagValues, are_fixed: bool) -> None:
    """Defines a flag for each field of `Rules`; all are unset.

    Args:
      flag_values: where the flags are defined.
      are_fixed: whether the study has rules, which a flag replaces.
    """
    for field in dataclasses.fields(Rules):
        name, text = field.name, _RULES_HELP[field.name]
        if are_fixed:
            text = f"{text.partition(' Default:')[0]} Default: that of the study."
        elif field.default is not None:
            text = f"{text} Default: {field.default:g}."
        flags.DEFINE_float(name, None, text, flag_values=flag_values)


def read_rules(values: dict[str, Any], fixed: Rules) -> Rules:
    """Returns the rules that the flags ask for, and `fixed` where they do not.

    Raises:
      UsageError: for rules that cannot be followed, and for two tolerances of exposures.
    """
    given = {field.name: values[field.name] for field in dataclasses.fields(Rules)}
    changes = {name: each for name, each in given.items() if each is not None}
    if "exposure_tolerance_percent" in changes:
        if "exposure_tolerance_ms" in changes:
            raise UsageError(
                "`exposure_tolerance_percent` and `exposure_tolerance_ms` are two ways to say the same; "
                "leave out one of them"
            )
        changes["exposure_tolerance_ms"] = None  # which would win over the percentage
    rules = dataclasses.replace(fixed, **changes)
    rules.check()
    return rules


def read_questions(texts: Sequence[str] | None) -> tuple[Question, ...]:
    """Returns the exit questions that the flags ask."""
    parts = [[part.strip() for part in text.split("|")] for text in texts or ()]
    return tuple(Question(text, tuple(choices)) for text, *choices in parts)
