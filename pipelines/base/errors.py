"""The errors that a person can act on."""

import re
import signal


class UserError(Exception):
    """A failure that a person can act on. Its text is the whole message, and needs no traceback.

    The text writes the name of an argument in backticks, as `naming` explains.
    """

    exit_status = 1


class UsageError(UserError, ValueError):
    """A function or a command was called with an argument, or a combination of them, that cannot work."""

    exit_status = 2


class Stopped(UserError):
    """A signal ended a command before it was done. This is no failure, and its text is shown as it is.

    Args:
      text: the whole message.
      signal_name: name of the signal. The exit status is that of a process that SIGINT has ended, 130, or
        that of SIGTERM, 143, for all others, so that what starts a command again knows it by two numbers.
    """

    def __init__(self, text: str, signal_name: str):
        super().__init__(text)
        self.exit_status = 128 + (signal.SIGINT if signal_name == "SIGINT" else signal.SIGTERM)


def explain(error: OSError) -> str:
    """Returns what the system says of a file that failed, and the name of the file where it is known."""
    reason = error.strerror or str(error)
    return f"{reason}: {error.filename}" if error.filename else reason


def shorten(error: Exception) -> str:
    """Returns the first line of an error's message, without what TensorFlow adds to it.

    Of a line of more than 200 characters, the first and the last 100 are returned: the
    reason may stand at either end, and paths stand between.
    """
    lines = str(getattr(error, "message", None) or error).strip().splitlines()
    text = re.sub(r"{{.*?}} | \[Op:.*", "", lines[0]) if lines else type(error).__name__
    return text if len(text) <= 200 else f"{text[:100]} ... {text[-100:]}"
