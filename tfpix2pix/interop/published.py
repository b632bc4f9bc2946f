"""Downloads the models that the PyTorch reference publishes, keeps them, and checks what arrives.

TensorFlow is not imported.
"""

import dataclasses
import hashlib
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.places import cache_folder, public_url
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.placing.checksums import check_file, read_sha256, remember
from tfpix2pix.pipelines.placing.downloads import download, forget_download

# From scripts/download_pix2pix_model.sh of the reference; https is not offered.
_BASE_URL, _SUFFIX = "http://efrosgans.eecs.berkeley.edu/pix2pix/models-pytorch", ".pth"
# What files of weights end with; any other URL is that of a folder.
_WEIGHTS = (".keras", ".npz", ".pt", ".pth", ".safetensors")


@dataclasses.dataclass(frozen=True)
class Published:
    """A model of the reference.

    Attributes:
      dataset: the dataset that it was trained on.
      direction: `AtoB` or `BtoA`.
    """

    dataset: str
    direction: str


PUBLISHED = {
    "edges2shoes": Published("edges2shoes", "AtoB"),
    "facades_label2photo": Published("facades", "BtoA"),
    "sat2map": Published("maps", "AtoB"),
    "map2sat": Published("maps", "BtoA"),
    "day2night": Published("night2day", "BtoA"),
}


def is_published(source: str) -> bool:
    """Tells whether `source` is the name of a published model, or the URL of a file of weights."""
    url = urlsplit(source)
    return source in PUBLISHED or (url.scheme in ("http", "https") and Path(url.path).suffix in _WEIGHTS)


def fetch_published(source: str, sha256: str | None = None) -> Path:
    """Returns the file of a published model, which is downloaded when it is not there yet.

    At the first download, its size and SHA-256 are kept beside it. From then on the file has to be the same,
    also if it was removed and is downloaded again.

    Args:
      source: a name of `PUBLISHED`, or the URL of a file that `torch_files.read_state` reads.
      sha256: what the file must have, 64 hexadecimal digits; None takes what was kept.

    Raises:
      UsageError: if `sha256` is no SHA-256.
      UserError: if the file cannot be downloaded, or is not what it should be.
    """
    sha256 = read_sha256(sha256)
    url = f"{_BASE_URL}/{source}{_SUFFIX}" if source in PUBLISHED else source
    file, told = cache_folder() / _name_file(url), public_url(url)
    file.parent.mkdir(parents=True, exist_ok=True)
    record = file.with_name(f"{file.name}.json")
    lock = file.with_name(f".{file.name}.lock")
    with staging.waiting_lock(lock, lambda: say(f"waiting for another process that downloads {told}")):
        if file.is_file():
            remember(record, told, check_file(file, told, record, sha256))
            return file
        partial = file.with_name(f".{file.name}.partial")
        try:
            download(url, partial)
        except UserError as error:
            raise UserError(
                f"{error}. Ways out: call again later; download {told} elsewhere and give the path of the "
                f"file instead of {public_url(source)}; or put it at {file}"
            ) from error
        try:
            found = check_file(partial, told, record, sha256)
        except UserError:
            forget_download(partial)
            raise
        os.replace(partial, file)
        remember(record, told, found)
        forget_download(partial)
    return file


def _name_file(url: str) -> str:
    """Returns a name that tells people what it is, and that no other URL has."""
    path = Path(urlsplit(url).path)
    stem = re.sub(r"[^\w.-]", "_", path.stem) or "model"
    return f"{stem}-{hashlib.sha256(url.encode()).hexdigest()[:8]}{path.suffix}"
