"""The errors that a person can act on."""

import re


class UserError(Exception):
    """A failure that the person at the keyboard can act on; its text is the whole message."""

    exit_status = 1


class UsageError(UserError):
    """The command was called wrongly: a flag, a name, a combination."""

    exit_status = 2


def shorten(error: Exception) -> str:
    """Returns the first line of an error's message, without what TensorFlow adds to it.

    Of a long one the ends: paths stand between, and a reason may be at either.
    """
    lines = str(getattr(error, "message", None) or error).strip().splitlines()
    text = re.sub(r"{{.*?}} | \[Op:.*", "", lines[0]) if lines else type(error).__name__
    return text if len(text) <= 200 else f"{text[:100]} ... {text[-100:]}"
