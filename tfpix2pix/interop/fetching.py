"""Brings models from elsewhere to this machine. TensorFlow is not imported for those of the reference."""

from pathlib import Path

from tfpix2pix.export.names import HUB_ABOUT_FILE, HUB_GENERATOR_FILE
from tfpix2pix.export.versions import fetch_model
from tfpix2pix.interop.published import PUBLISHED, fetch_published, is_published
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.places import is_remote


def fetch(source: str | Path, sha256: str | None = None) -> str | Path:
    """Downloads what `source` names, unless it is a path, which is returned as it is.

    The folder of a model of the Hub, as `hf download` makes it, stands for the generator in it.

    Args:
      source: `hf://user/repo`, a name of `PUBLISHED`, the URL of a file, such as `https://host/G.pth`, or of
        a run or a SavedModel, such as `s3://bucket/run`, or a path. What is there as a path is that, whatever
        its name.
      sha256: what the SHA-256 of the file must be, which is for published models and URLs.

    Raises:
      UsageError: if `sha256` is given for something else.
      UserError: if it cannot be downloaded, or is not what it should be.
    """
    text = str(source)
    if isinstance(source, str) and not Path(source).exists():
        if is_published(text):
            return fetch_published(text, sha256)
        if is_remote(text) and not sha256:
            return fetch_model(text)
        if text.startswith("hf://") and not sha256:
            from tfpix2pix.interop.hub import fetch_from_hub

            return fetch_from_hub(text)
    if sha256:
        names = ", ".join(PUBLISHED)
        raise UsageError(f"`sha256` is for the URL of a file or one of {names}. Received: {text}")
    if (Path(source) / HUB_ABOUT_FILE).is_file():
        return Path(source) / HUB_GENERATOR_FILE
    return source
