"""Settings as frozen dataclasses, of which each field is a flag, with its help, its checks and its text.

TensorFlow is not imported.
"""

import dataclasses
import math
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, get_origin

from absl import flags

from tfpix2pix.pipelines.base.command_line import group_flags
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.homes import Home
from tfpix2pix.pipelines.base.places import public_url
from tfpix2pix.pipelines.base.suggestions import suggest

# The groups of options, in the order in which they are shown.
GROUPS = ("data", "networks", "objective", "schedule", "output", "machine")
Size = tuple[int, int]


def option(
    default: Any,
    help: str,
    *,
    group: str,
    choices: Collection = (),
    may_change: bool = False,
    minimum: float | None = None,
    below: float | None = None,
    term: Home | None = None,
    reads_features: bool = False,
    is_built: bool = False,
    reads_second_sample: bool = False,
) -> Any:
    """Returns a dataclass field that is also the flag of the same name.

    Args:
      default: default of the field. That of the flag is None, so that a flag that was given can be told
        from one that was not.
      help: a whole sentence or more that can be read alone.
      group: one of `GROUPS`.
      choices: the values that the field may have; empty if it may have any.
      may_change: whether a run may be resumed with another value.
      minimum: the least value of a number.
      below: what a number must be less than.
      term: where the setting is the weight of a term of the generator's loss, the
        function that computes the term, as `find_terms` in `methods/losses.py` explains.
      reads_features: whether that term looks at the discriminator's features.
      is_built: whether that function takes the configuration, and returns the one that computes the term.
      reads_second_sample: whether that term looks at a second sample of the generator.
    """
    metadata = {
        "help": help,
        "group": group,
        "choices": choices,
        "may_change": may_change,
        "minimum": minimum,
        "below": below,
        "term": term,
        "reads_features": reads_features,
        "is_built": is_built,
        "reads_second_sample": reads_second_sample,
    }
    return dataclasses.field(default=default, metadata=metadata)


def redefine(base: type, name: str, default: Any = dataclasses.MISSING, **changes: Any) -> Any:
    """Returns an option of a base class again, changed, for a field of the same name in a subclass.

    Args:
      base: the class that defines the option.
      name: name of the option.
      default: default of the subclass; if it is not given, that of `base` stays.
      **changes: arguments of `option` that differ, by name.
    """
    field = list_fields(base)[name]
    settings = {"default": field.default, **field.metadata, **changes}
    if default is not dataclasses.MISSING:
        settings["default"] = default
    return option(**settings)


def list_fields(kind: Any) -> dict[str, dataclasses.Field]:
    """Returns the options of a dataclass, or of an instance of one, by name, in the order of their groups."""
    fields = sorted(dataclasses.fields(kind), key=lambda field: GROUPS.index(field.metadata["group"]))
    return {field.name: field for field in fields}


def accepted_types(field: dataclasses.Field) -> tuple[type, ...]:
    """Returns the types that values of a field may have. NumPy's scalars are not among them."""
    if field.type is float:
        return (float, int)
    for base in (int, str, float):
        if field.type == base | None:
            return (base, int) if base is float else (base,)
    kind: Any = get_origin(field.type) or field.type
    return (kind,)


def check_values(settings: Any) -> None:
    """Raises UsageError, naming the setting, for a value that its field does not allow."""
    for name, field in list_fields(settings).items():
        value, rules = getattr(settings, name), field.metadata
        is_unset = value is None and field.default is None
        if rules["choices"] and value not in rules["choices"] and not is_unset:
            choices = ", ".join(map(str, rules["choices"]))
            meant = suggest(str(value), map(str, rules["choices"]))
            raise UsageError(f"`{name}` must be one of {choices}. Received: {value}{meant}")
        if value is not None and not isinstance(value, accepted_types(field)):
            raise UsageError(
                f"`{name}` must be of type {accepted_types(field)[0].__name__}. Received: {value!r}"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"`{name}` must be finite. Received: {value}")
        if rules["minimum"] is not None and value is not None and not value >= rules["minimum"]:
            raise UsageError(f"`{name}` must be at least {rules['minimum']}. Received: {value}")
        if rules["below"] is not None and value is not None and not value < rules["below"]:
            raise UsageError(f"`{name}` must be less than {rules['below']}. Received: {value}")


def define_flags(
    flag_values: flags.FlagValues, fields: Iterable[dataclasses.Field], default_texts: Mapping[str, str]
) -> None:
    """Defines a flag for each field; all are unset.

    Args:
      flag_values: where the flags are defined.
      fields: made by `option`.
      default_texts: what the help says of a default that depends on other settings.
    """
    for field in fields:
        name, kind = field.name, accepted_types(field)[0]
        default = default_texts.get(name) or ("none" if field.default in (None, "") else text(field.default))
        help_text = f"{field.metadata['help']} Default: {default}."
        if kind is bool:
            flags.DEFINE_bool(name, None, help_text, flag_values=flag_values)
        elif field.metadata["choices"] and kind is str:
            flags.DEFINE_enum(name, None, field.metadata["choices"], help_text, flag_values=flag_values)
        elif kind is float:
            flags.DEFINE_float(name, None, help_text, flag_values=flag_values)
        elif kind is int:
            flags.DEFINE_integer(name, None, help_text, flag_values=flag_values)
        else:
            flags.DEFINE_string(name, None, help_text, flag_values=flag_values)
        group_flags(flag_values, field.metadata["group"], [name])


def text(value: Any) -> str:
    """Returns a value as its flag takes it."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def parse_size(value: Any, name: str) -> Size:
    """Returns (height, width) in px of N, "N", "HxW" or a pair.

    Args:
      value: what was given.
      name: name of the setting, for the message.

    Raises:
      UsageError: for any other value.
    """
    match = re.fullmatch(r"(\d+)(?:[x,](\d+))?", re.sub(r"\s*,\s*", ",", str(value).strip("()[] ")))
    if not match or int(match[1]) < 1 or int(match[2] or 1) < 1:
        raise UsageError(f"`{name}` takes N or HxW, such as 256 or 256x512. Received: {value}")
    return int(match[1]), int(match[2] or match[1])


def describe(settings: Any, default: Any, notes: Mapping[str, str] | None = None) -> str:
    """Returns the settings for people: a line for each, with * before those that differ from `default`.

    Args:
      settings: a dataclass of options.
      default: another one of the same type.
      notes: what is said of a setting behind its value, by name.
    """
    lines = []
    for name in list_fields(settings):
        value = getattr(settings, name)
        mark = "*" if value != getattr(default, name) else " "
        note = f"  ({notes[name]})" if notes and name in notes else ""
        lines.append(f"{mark} {name:24s} {public_url(text(value))}{note}")
    return "\n".join(lines)


def announce(workdir: Any, description: str) -> str:
    """Returns what a training prints first: the folder of the run, and what `describe` returned."""
    title = "Settings (* marks those that are not the default):"
    return f"{title}\n  {'workdir':24s} {workdir}\n{description}"


def check_resumable(saved: Any, now: Any, workdir: Any, may_change: Collection[str] = ()) -> None:
    """Raises UsageError, naming the fields, when a run cannot go on under other settings.

    Args:
      saved: the settings that the run began with.
      now: the settings that were given.
      workdir: the folder of the run.
      may_change: fields that may differ, besides those that always may.
    """
    changed = [
        f"`{name}` was {text(getattr(saved, name))}, is {text(getattr(now, name))}"
        for name, field in list_fields(saved).items()
        if not field.metadata["may_change"] and name not in may_change
        if getattr(saved, name) != getattr(now, name)
    ]
    if changed:
        has_origin = "init_from" in list_fields(saved)
        weights = f", perhaps with `init_from={workdir}` to begin with its weights" if has_origin else ""
        raise UsageError(
            f"{workdir} holds a run with other settings: {'; '.join(changed)}. "
            f"Give the same settings to go on with it, or another `workdir` to start anew{weights}"
        )
