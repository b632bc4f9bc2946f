"""How every command of the project starts and ends: its flags, its --help, its exit status.

A command ends with status 0 when it has succeeded, with 2 when it was called wrongly,
and with 1 when it has failed; the last line of standard error then gives the reason,
after `error:`. When Ctrl-C or SIGTERM stops it, it ends with status 130 or 143, as shells
report these signals, and its last line says so without `error:`. A training that another signal stops
after it has saved ends with 143, too.
"""

import contextlib
import gc
import importlib
import io
import math
import os
import re
import signal
import sys
import tempfile
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from absl import flags

from tfpix2pix.pipelines.base import naming
from tfpix2pix.pipelines.base.backend import check_backend
from tfpix2pix.pipelines.base.errors import Stopped, UsageError, UserError, explain
from tfpix2pix.pipelines.base.paths import settle_path
from tfpix2pix.pipelines.base.places import check_url, is_url
from tfpix2pix.pipelines.base.processor import take_onednn
from tfpix2pix.pipelines.base.suggestions import suggest

# The width of the text of --help, in columns.
_HELP_WIDTH = 96
# How Python and absl begin to say that a text is no value of a type, and what each type of absl's expects.
_NO_SUCH_VALUE = re.compile(
    r"(flag --(\w+)=.*?): (?:invalid literal|could not convert|\('Non-boolean)", re.DOTALL
)
_EXPECTED = {"int": "a whole number", "float": "a number", "bool": "true or false"}
# absl keeps flags by the module that defines them; a group is such a module with this prefix.
_GROUP = "group of flags: "
# Flags that are there without being a command's own.
_OF_ABSL = ("help", "flagfile", "undefok")
# What TensorFlow and Keras import where it is installed, for parts of theirs that no command uses. It takes a
# quarter of the time of the import, and 90 MiB, even without JAX.
_NEEDLESS = ("IPython", "cv2", "jax", "scipy", "sklearn")


def import_tensorflow(with_keras: bool = True, whole: bool = False) -> None:
    """Imports TensorFlow faster than usual, with oneDNN on x86, and without its start-up messages.

    The messages are shown if TF_CPP_MIN_LOG_LEVEL is set. Garbage collection is off
    meanwhile: a quarter of the import would go into searching half a million objects
    that stay until the process ends. They are exempt from later collections too.

    Args:
      with_keras: whether Keras will be used; the data layer does without.
      whole: whether the parts of Keras that need further packages will be used, such as its wrappers for
        scikit-learn. Otherwise they find their packages missing; all other code can import these later.

    Raises:
      UserError: when Keras will be used and is set to another backend.
    """
    if with_keras:
        check_backend()
    if "tensorflow" in sys.modules:
        return
    take_onednn()
    collects = gc.isenabled()
    gc.disable()
    left_out = [] if whole else [name for name in _NEEDLESS if name not in sys.modules]
    sys.modules.update(dict.fromkeys(left_out))  # type: ignore[arg-type]  # Python's way to say "missing"
    try:
        if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
            importlib.import_module("tensorflow")
        else:
            _import_quietly()
        if with_keras:
            importlib.import_module("keras")  # TensorFlow imports some versions of it only when asked.
    finally:
        for name in left_out:
            if sys.modules.get(name, name) is None:
                del sys.modules[name]
        gc.freeze()
        if collects:
            gc.enable()


def _import_quietly() -> None:
    # TensorFlow writes some messages straight to the process's stderr before it looks at
    # any log level. They go to a file meanwhile, and are shown if the import fails.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except Exception:
            chatter.seek(0)
            os.write(stderr, chatter.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def parse_flags(
    flag_values: flags.FlagValues,
    summary: str,
    argv: Sequence[str],
    *,
    aliases: Mapping[str, str] | None = None,
    takes_urls: Collection[str] = (),
    takes_remote: Collection[str] = (),
    foreign: Mapping[str, str] | None = None,
) -> list[str]:
    """Parses the flags of a command, answers --help, and returns the positional arguments.

    Every text is settled as a path (see `settle_path`), unless the name of its flag ends in `url`.

    Args:
      flag_values: the flags, which get their values.
      summary: the text that --help shows above the flags.
      argv: the name of the command, then what was typed behind it.
      aliases: argument of the library -> flag of this command, where the two have
        different names, for the messages of errors.
      takes_urls: names of flags that take a path or a URL of any kind.
      takes_remote: names of flags that take a path or a URL of `places.PACKAGES`.
      foreign: flag of the PyTorch reference -> what does the same here, for those who type one.

    Raises:
      UsageError: for unknown flags, values that do not parse, and paths that cannot be used.
      SystemExit: with status 0 after --help.
    """
    naming.set_flags(flag_values, aliases or {})
    try:
        arguments = flag_values([argv[0], *[_plain_help(argument) for argument in argv[1:]]])[1:]
    except flags.Error as error:
        raise UsageError(f"{_explain(flag_values, error, foreign or {})} (--help lists the flags)") from error
    if flag_values["help"].value:
        print(f"{summary.strip()}\n\n{_flags_help(flag_values)}")
        raise SystemExit(0)
    for name in flag_values:
        value = flag_values[name].value
        # The bounds of a flag do not exclude nan.
        if isinstance(value, float) and math.isnan(value):
            raise UsageError(f"flag --{name}: nan is not a number (--help lists the flags)")
        # Any other text may be a path.
        is_any_url = name.endswith("url") or (name in takes_urls and "://" in str(value))
        if isinstance(value, str) and name in takes_remote and is_url(value):
            check_url(value, name)
        elif isinstance(value, str) and not is_any_url:
            flag_values[name].value = settle_path(value, name)
    return list(arguments)


def _explain(flag_values: flags.FlagValues, error: flags.Error, foreign: Mapping[str, str]) -> str:
    """Returns absl's message in words for people, with the name or the choice that may have been meant."""
    if isinstance(error, flags.UnrecognizedFlagError):
        if error.flagname in foreign:
            return f"--{error.flagname} is a flag of the PyTorch reference. Here: {foreign[error.flagname]}"
        return f"there is no flag --{error.flagname}{suggest(error.flagname, flag_values, '--')}"
    message = str(error).strip()
    if match := _NO_SUCH_VALUE.match(message):
        return f"{match[1]}: expected {_EXPECTED[flag_values[match[2]].parser.flag_type()]}"
    match = re.match(r"flag --(\w+)=(.*?): ", message)
    choices = getattr(flag_values[match[1]].parser, "enum_values", ()) if match else ()
    return message + (suggest(match[2], choices) if match else "")


def read_flags(
    flag_values: flags.FlagValues, summary: str, argv: Sequence[str], **options: Any
) -> dict[str, Any]:
    """Returns the flags of a command without positional arguments, by name; see `parse_flags`."""
    refuse_arguments(parse_flags(flag_values, summary, argv, **options))
    return flag_values.flag_values_dict()


def refuse_arguments(arguments: Sequence[str]) -> None:
    """Raises UsageError for positional arguments of a command that takes none."""
    if arguments:
        raise UsageError(f"unexpected argument: {arguments[0]} (--help lists the flags)")


def _plain_help(argument: str) -> str:
    return "--help" if argument in ("-h", "-help", "--helpfull", "--helpshort") else argument


def group_flags(flag_values: flags.FlagValues, group: str, names: Iterable[str]) -> None:
    """Puts flags into a group.

    --help first shows the flags that are in no group, and then each group under its
    name, in the order in which they were filled.
    """
    for name in names:
        flag_values.register_flag_by_module(_GROUP + group, flag_values[name])


def _flags_help(flag_values: flags.FlagValues) -> str:
    by_module = flag_values.flags_by_module_dict().items()
    groups = {name: members for name, members in by_module if name.startswith(_GROUP)}
    grouped = [flag for members in groups.values() for flag in members]
    # Every name of a flag has an entry of its own; each flag is shown once.
    own = dict.fromkeys(flag_values[name] for name in flag_values if name not in _OF_ABSL)
    sections = {"flags": [flag for flag in own if flag not in grouped], **groups}
    return "\n\n".join(
        "\n".join([f"{name.removeprefix(_GROUP).capitalize()}:", *map(_describe_flag, members)])
        for name, members in sections.items()
        if members
    )


def _describe_flag(flag: flags.Flag) -> str:
    choices = "|".join(getattr(flag.parser, "enum_values", ()))
    title = f"--{flag.name}"
    if flag.boolean:
        title = f"--{flag.name}, --no{flag.name}"
    elif choices:
        title = f"--{flag.name}={choices}"
    # absl puts the choices of an enumeration before its help.
    text = flag.help.removeprefix(f"<{choices}>: ")
    text = text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
    default = ",".join(map(str, flag.default)) if isinstance(flag.default, list) else flag.default
    if default not in (None, ""):
        text += f" Default: {default}."
    wrapped = textwrap.fill(
        text, _HELP_WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6, break_on_hyphens=False
    )
    return f"  {title}\n{wrapped}"


def new_flags() -> flags.FlagValues:
    """Returns an empty set of flags that knows --help, separate from absl's global one."""
    flag_values = flags.FlagValues()
    flag_values.set_gnu_getopt()  # flags may follow positional arguments
    flags.DEFINE_bool("help", False, "Show this text and stop.", flag_values=flag_values)
    return flag_values


def run(main: Callable[[Sequence[str]], int | None]) -> None:
    """Runs `main(argv)` and ends the process as the docstring of this module says."""
    # A name that is not UTF-8 is shown with escapes, on standard output as on standard error.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    with naming.running_a_command():
        status, reason = _call(main)
        sys.stdout.flush()
        if reason is not None:
            # Nothing is printed sooner: when the error lets go of a half-read checkpoint,
            # TensorFlow warns of that, and the reason has to be the last line.
            with contextlib.suppress(OSError):  # nobody reads it any more
                print(naming.name_flags(reason), file=sys.stderr, flush=True)
    sys.exit(status)


class _Terminated(KeyboardInterrupt):
    """SIGTERM came. Whatever cleans up after Ctrl-C cleans up after this."""


def _stop_at_sigterm() -> None:
    """Lets SIGTERM end a command as Ctrl-C does; a second SIGTERM kills it at once."""

    def stop(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise _Terminated

    # A command that another one runs finds the handler there; where the signal is ignored, it stays so.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        with contextlib.suppress(ValueError):  # outside the main thread, to which signals belong
            signal.signal(signal.SIGTERM, stop)


def _call(main: Callable[[Sequence[str]], int | None]) -> tuple[int, str | None]:
    """Returns the exit status of `main`, and the last line if it failed or was stopped."""
    try:
        _stop_at_sigterm()
        return main(sys.argv) or 0, None
    except Stopped as stopped:
        return stopped.exit_status, str(stopped)
    except UserError as error:
        return error.exit_status, f"error: {error}"
    except BrokenPipeError:
        # The reader of our output has ended, as `head` does; what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1, None
    except OSError as error:
        return 1, f"error: {explain(error)}"
    except _Terminated:
        return 128 + signal.SIGTERM, "stopped by SIGTERM"
    except KeyboardInterrupt:
        return 128 + signal.SIGINT, "stopped by Ctrl-C"
