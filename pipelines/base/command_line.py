"""How every command of the project starts and ends: flags, exit status, the last line of stderr.

Exit status: 0 on success, 2 on a usage error, 1 on failure. The reason is the
last line of standard error.
"""

import gc
import importlib
import math
import os
import sys
import tempfile
from collections.abc import Callable, Sequence

from absl import flags

from tfpix2pix.pipelines.base.errors import UsageError, UserError


def import_tensorflow() -> None:
    """Imports TensorFlow: faster, and without its start-up chatter unless TF_CPP_MIN_LOG_LEVEL is set.

    A quarter of the import, and more of what follows, would otherwise go into looking
    for garbage among half a million objects that stay until the process ends.
    """
    if "tensorflow" in sys.modules:
        return
    collects = gc.isenabled()
    gc.disable()
    try:
        if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
            importlib.import_module("tensorflow")
        else:
            _import_quietly()
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def _import_quietly() -> None:
    # Part of the chatter goes to the process's stderr before any log level counts,
    # so that is turned aside meanwhile, and shown should the import fail.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            chatter.seek(0)
            os.write(stderr, chatter.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def parse_flags(flag_values: flags.FlagValues, summary: str, argv: Sequence[str]) -> list[str]:
    """Parses `argv` into `flag_values`; answers --help; returns the positional arguments.

    Raises:
      UsageError: for unknown flags and values that do not parse.
      SystemExit: with status 0 after --help.
    """
    try:
        arguments = flag_values([argv[0], *[_plain_help(argument) for argument in argv[1:]]])[1:]
    except flags.Error as error:
        raise UsageError(f"{str(error).strip()} (--help lists the flags)") from error
    if flag_values["help"].value:
        print(f"{summary.strip()}\n\nFlags:")
        print(_flags_help(flag_values))
        raise SystemExit(0)
    for name in flag_values:
        value = flag_values[name].value
        if isinstance(value, float) and math.isnan(value):  # which no bounds exclude
            raise UsageError(f"flag --{name}: nan is not a number (--help lists the flags)")
    return list(arguments)


def refuse_arguments(arguments: Sequence[str]) -> None:
    """Raises UsageError for positional arguments of a command that takes none."""
    if arguments:
        raise UsageError(f"unexpected argument: {arguments[0]} (--help lists the flags)")


def _plain_help(argument: str) -> str:
    return "--help" if argument in ("-h", "-help", "--helpfull", "--helpshort") else argument


def _flags_help(flag_values: flags.FlagValues) -> str:
    own = [flag_values[name] for name in flag_values if name not in ("help", "flagfile", "undefok")]
    lines = []
    for flag in sorted({id(flag): flag for flag in own}.values(), key=lambda flag: flag.name):
        values = "|".join(flag.parser.enum_values) if hasattr(flag.parser, "enum_values") else ""
        text = flag.help.removeprefix(f"<{values}>: ")  # absl says it again
        default = "" if flag.default is None else f" (default {flag.default})"
        lines.append(f"  --{flag.name}{'=' + values if values else ''}\n      {text}{default}")
    return "\n".join(lines)


def new_flags() -> flags.FlagValues:
    """Returns an empty set of flags that knows --help, separate from absl's global one."""
    flag_values = flags.FlagValues()
    flag_values.set_gnu_getopt()  # flags may follow positional arguments
    flags.DEFINE_bool("help", False, "show this text and stop", flag_values=flag_values)
    return flag_values


def run(main: Callable[[Sequence[str]], int | None]) -> None:
    """Runs `main(argv)` and ends the process as the module's docstring says."""
    reason: str | None = None
    try:
        status = main(sys.argv) or 0
    except UserError as error:
        reason, status = str(error), error.exit_status
    except BrokenPipeError:  # `command | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        reason = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
        status = 1
    except KeyboardInterrupt:
        reason, status = "stopped by Ctrl-C", 1
    sys.stdout.flush()
    if reason is not None:
        # Not sooner: a half-read checkpoint warns when the failure lets go of it.
        print(f"error: {reason}", file=sys.stderr)
    sys.exit(status)
