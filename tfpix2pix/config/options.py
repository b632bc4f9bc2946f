"""Settings as frozen dataclasses: each field is a flag, with its help, its checks and its text.

TensorFlow is not imported.
"""

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any, get_origin

from absl import flags

from tfpix2pix.pipelines.base.errors import UsageError


def option(
    default: Any, text: str, choices: tuple = (), may_change: bool = False, minimum: float | None = None
) -> Any:
    """Returns a dataclass field that is also the flag of the same name.

    Args:
      default: of the field, and None for the flag, so that it can be told from what was given.
      text: help.
      choices: the values it may have; empty: any.
      may_change: between a run and its resumption.
      minimum: of numbers.
    """
    metadata = {"help": text, "choices": choices, "may_change": may_change, "minimum": minimum}
    return dataclasses.field(default=default, metadata=metadata)


def accepted_types(field: dataclasses.Field) -> tuple[type, ...]:
    """Returns what values of a field may be; NumPy scalars are no part of a configuration."""
    if field.type is float:
        return (float, int)
    for base in (int, str, float):
        if field.type == base | None:
            return (base, int) if base is float else (base,)
    kind: Any = get_origin(field.type) or field.type
    return (kind,)


def check_values(settings: Any) -> None:
    """Raises UsageError, naming the flag, for a value that its field does not allow."""
    for field in dataclasses.fields(settings):
        name, value, rules = field.name, getattr(settings, field.name), field.metadata
        if rules["choices"] and value not in rules["choices"]:
            choices = ", ".join(map(str, rules["choices"]))
            raise UsageError(f"--{name} must be one of {choices}. Received: {value}")
        if value is not None and not isinstance(value, accepted_types(field)):
            raise UsageError(f"--{name} must be {accepted_types(field)[0].__name__}. Received: {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"--{name} must be finite. Received: {value}")
        if rules["minimum"] is not None and value is not None and not value >= rules["minimum"]:
            raise UsageError(f"--{name} must be at least {rules['minimum']}. Received: {value}")


def define_flags(
    flag_values: flags.FlagValues, fields: Iterable[dataclasses.Field], default_texts: dict[str, str]
) -> None:
    """Defines a flag for each field, all unset; `default_texts` tells the defaults that depend on others."""
    for field in fields:
        name, kind = field.name, accepted_types(field)[0]
        default = default_texts.get(name) or ("none" if field.default in (None, "") else text(field.default))
        help_text = f"{field.metadata['help']} (default: {default})"
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


def text(value: Any) -> str:
    """Returns a value as its flag takes it."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def describe(settings: Any, default: Any, notes: Mapping[str, str] | None = None) -> str:
    """Returns the settings for people, a line per field, those that differ from `default` marked with *.

    Args:
      settings: a dataclass of options.
      default: of the same type.
      notes: what to say of a field, behind its value.
    """
    lines = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        mark = "*" if value != getattr(default, field.name) else " "
        note = f"  ({notes[field.name]})" if notes and field.name in notes else ""
        lines.append(f"{mark} {field.name:24s} {text(value)}{note}")
    return "\n".join(lines)


def check_resumable(saved: Any, now: Any, workdir: Any, may_change: Collection[str] = ()) -> None:
    """Raises UsageError, naming the fields, when a run cannot go on under other settings.

    Args:
      saved: settings of the run.
      now: settings that were given.
      workdir: of the run.
      may_change: fields that may differ, besides those that always may.
    """
    changed = [
        f"--{field.name} was {text(getattr(saved, field.name))}, is {text(getattr(now, field.name))}"
        for field in dataclasses.fields(saved)
        if not field.metadata["may_change"] and field.name not in may_change
        if getattr(saved, field.name) != getattr(now, field.name)
    ]
    if changed:
        raise UsageError(
            f"{workdir} holds a run with other settings: {'; '.join(changed)}. "
            "Give the same flags to go on with it, or another --workdir to start anew"
        )
