"""What messages call a setting: the library names an argument, a command names its flag.

A message in the library writes an argument in backticks: `jitter`, `jitter=False`,
`image_size=64`. Where a command shows the message, these become what a person types:
--jitter, --nojitter, --image_size=64. Other text in backticks stays as it is.

Where a message names the copy of something remote, its URL is shown.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping

from absl import flags

from tfpix2pix.pipelines.base.places import name_urls

_ARGUMENT = re.compile(r"`(\w+)(?:=([^`]*))?`")


class _Command:
    """What the command of this process calls its settings; it has no flags before it has defined them."""

    def __init__(self) -> None:
        self.flag_values: flags.FlagValues | None = None
        self.aliases: Mapping[str, str] = {}


# None while the package is used as a library.
_command: _Command | None = None


@contextlib.contextmanager
def running_a_command() -> Iterator[None]:
    """Lets messages name flags, in place of arguments, for as long as the block lasts."""
    global _command
    _command = _Command()
    try:
        yield
    finally:
        _command = None


def set_flags(flag_values: flags.FlagValues, aliases: Mapping[str, str]) -> None:
    """Tells which flags the running command has; without one, nothing happens.

    Args:
      flag_values: the flags.
      aliases: argument -> flag, where the command calls an argument differently.
    """
    if _command:
        _command.flag_values, _command.aliases = flag_values, aliases


def name_flags(message: str) -> str:
    """Returns a message as the running command shows it; outside a command, with its arguments unchanged."""
    message = name_urls(message)
    if _command is None or _command.flag_values is None:
        return message
    flag_values, aliases = _command.flag_values, _command.aliases

    def replace(match: re.Match[str]) -> str:
        argument, value = match.groups()
        name = aliases.get(argument, argument)
        if name not in flag_values:
            return match[0]
        if flag_values[name].boolean and value in ("True", "False"):
            return f"--{name}" if value == "True" else f"--no{name}"
        return f"--{name}" if value is None else f"--{name}={value}"

    return _ARGUMENT.sub(replace, message)
