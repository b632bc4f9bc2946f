"""What tells one run from another, wherever they are: it is drawn when `config.json` is first written."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

_KEY = "id"


def keep_identity(before: Mapping[str, Any]) -> dict[str, str]:
    """Returns what the configuration file of a run says of its identity.

    Args:
      before: all that the file says so far, which is nothing for a new run. A run that was begun by a version
        without identities goes on without one.
    """
    if not before:
        return {_KEY: uuid.uuid4().hex}
    return {_KEY: before[_KEY]} if _KEY in before else {}


def read_identity(contents: bytes | None) -> str | None:
    """Returns the identity in a configuration file; None where it has none, or cannot be read."""
    try:
        return json.loads(contents or b"")[_KEY]
    except (ValueError, KeyError, TypeError):
        return None
