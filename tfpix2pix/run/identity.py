"""What tells one run from another, wherever they are: it is drawn when `config.json` is first written."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfpix2pix.config.config import check_resumable, from_json

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


def is_same_run(first: bytes | None, second: bytes | None) -> bool:
    """Tells whether two configuration files are of one run.

    A version without identities that goes on with a run drops its identity. So where one of the files has
    none, they are of one run if it began on the same names, and goes on under the settings of either.
    """
    try:
        runs = [json.loads(contents or b"") for contents in (first, second)]
        ids = [run.get(_KEY) for run in runs]
        if ids[0] == ids[1] or None not in ids:
            return ids[0] == ids[1]
        names = {told for run in runs if (told := _find_first_names(run))}
        saved, now = (from_json(json.dumps(run["config"])) for run in runs)
        check_resumable(saved, now, Path())
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return len(names) < 2


def _find_first_names(run: Mapping[str, Any]) -> str | None:
    """Returns the digest of the names of the training set that a run began on, if it has seen one."""
    first = [*run.get("earlier_training_sets", []), run["training_set"]][0]
    return first and first["ids_sha256"]
