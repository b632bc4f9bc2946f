"""What the pictures of a trained model stand for, as its run or its card says it.

TensorFlow is not imported.
"""

import json
from pathlib import Path

from tfpix2pix.export.names import CARD_FILE
from tfpix2pix.export.versions import find_version
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.meaning import UNKNOWN, Meaning
from tfpix2pix.run import folder


def find_meaning(model: Path) -> Meaning:
    """Returns what the pictures of a run or of a SavedModel stand for; `UNKNOWN` where it does not say so.

    Args:
      model: folder of a run, of a model, of which the newest version counts, or of one version.

    Raises:
      UsageError: when `model` is neither a run nor a SavedModel.
      UserError: when a run is damaged. A damaged card is warned of.
    """
    version = find_version(model)
    if version is None:
        return folder.read_meaning(model)
    file = version / CARD_FILE
    try:
        return Meaning.from_json(json.loads(file.read_text()).get("meaning") if file.is_file() else None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        warn(f"{file} does not say what the pictures stand for: {type(error).__name__} {error}")
        return UNKNOWN
