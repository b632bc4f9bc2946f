"""The run of a remote folder: trained in a folder of this machine, from which it is uploaded meanwhile.

A checkpoint is uploaded when it is whole, `checkpoint.json` last, and deleted in the other order. So a
training that is killed at any moment leaves a run from which another machine goes on, with the same weights.
"""

import functools
import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tfpix2pix.pipelines.base.errors import UsageError, UserError, explain
from tfpix2pix.pipelines.base.places import check_url, copy_of, is_remote, settle_url, url_of
from tfpix2pix.pipelines.base.progress import say, warn
from tfpix2pix.pipelines.remote.copies import fetch_folder, forget_copy
from tfpix2pix.pipelines.remote.folder_copy import Copy
from tfpix2pix.pipelines.remote.store import Entry, Store
from tfpix2pix.run.folder import CONFIG_FILE
from tfpix2pix.run.identity import is_same_run
from tfpix2pix.run.lease import Lease
from tfpix2pix.run.steps import CHECKPOINTS, METADATA, name_checkpoint, read_step

# What a training goes on with, besides its checkpoints.
_NEEDED = (".json", ".jsonl", ".csv")
# How often the folder is looked at for a new checkpoint, and after how long other files are uploaded.
_POLL_SEC, _OTHERS_SEC = 1, 300


@contextmanager
def remote_workdir(workdir: str | Path, writes: bool = True) -> Iterator[Path]:
    """Gives the folder on this machine in which a run is trained: itself, or for a URL one that is uploaded.

    At the start the run is fetched if it is further there than here. At the end everything is uploaded, so
    that what is said after the block is true of the remote folder.

    Args:
      workdir: a path or a URL.
      writes: whether the run is trained here; if not, it is only fetched.

    Raises:
      UserError: if another process trains the run, or the store does not answer. Nothing is lost then: what
        was not uploaded stays on this machine, and the same command uploads it.
    """
    if not is_remote(workdir):
        yield Path(workdir)
        return
    check_url(workdir, "workdir", writes)
    url = settle_url(workdir)
    if not writes:
        is_there = bool(Store(url).list_files())
        yield fetch_folder(url, choose_run, "run") if is_there else forget_copy(url)
        return
    store, folder = Store(url), copy_of(url, written=True)
    with Lease(store, folder.with_name(f".{folder.name}.lease")) as lease:
        copy = Copy(store, folder)
        _settle(copy)
        uploads = _Uploads(copy, lease)
        try:
            yield folder
        finally:
            uploads.finish()


def fetch_run(workdir: str | Path, which: str | int = "latest") -> Path:
    """Returns a folder of this machine with a run and one of its checkpoints; a run of a URL is fetched.

    Args:
      workdir: a path or a URL.
      which: the checkpoint: `latest`, `best` or a step. What the others say of themselves is fetched, too.

    Raises:
      UserError: if there is nothing, or it cannot be fetched.
    """
    if not is_remote(workdir):
        return Path(workdir)
    check_url(workdir, "workdir")
    store, which = Store(settle_url(workdir)), str(which)
    return fetch_folder(workdir, functools.partial(choose_checkpoint, store, which), which)


def choose_checkpoint(store: Store, which: str, entries: Mapping[str, Entry]) -> list[str]:
    """Returns the files of a run that one checkpoint is opened with; `which` is that of `fetch_run`."""
    steps = list_whole_steps(entries)
    chosen = {str(steps[-1])} if which == "latest" and steps else {which}
    if which == "best" and steps:
        chosen = {_read_best(store, steps[-1])}
    folders = {name_checkpoint(step): str(step) in chosen for step in steps}

    def is_wanted(name: str) -> bool:
        folder, _, file = name.rpartition("/")
        return folders.get(folder, False) or (folder in folders and file == METADATA)

    return [name for name in entries if ("/" not in name and name.endswith(".json")) or is_wanted(name)]


def _read_best(store: Store, step: int) -> str:
    try:
        metadata = json.loads(store.read(f"{name_checkpoint(step)}/{METADATA}") or b"")
        return str(metadata["best"]["step"])
    except (ValueError, KeyError, TypeError):  # `find_step` says what is wrong.
        return ""


def check_uploaded(workdir: Path, is_chief: bool) -> None:
    """Raises UsageError if this process would train in a folder that is not uploaded.

    Args:
      workdir: what `remote_workdir` gave.
      is_chief: whether this process writes to it.
    """
    url = url_of(workdir)
    if url and is_chief and workdir != copy_of(url, written=True):
        raise UsageError(
            f"TF_CONFIG or SLURM says that this process is not the first of several, and it would train "
            f"{url} alone: give `strategy=multiworker`, or start it without these variables"
        )


def choose_run(entries: Mapping[str, Entry]) -> list[str]:
    """Returns the files of a run that a training goes on with, those of the newest checkpoint first."""
    steps = list_whole_steps(entries)
    wanted = [name for name in entries if "/" not in name and name.endswith(_NEEDED)]
    for step in reversed(steps):
        inside = f"{name_checkpoint(step)}/"
        wanted += sorted(name for name in entries if name.startswith(inside))
    return wanted


def list_whole_steps(names: Iterable[str]) -> list[int]:
    """Returns the steps of the whole checkpoints among the files of a run, in ascending order."""
    parts = [name.split("/") for name in names]
    steps = [read_step(each[1]) for each in parts if each[0] == CHECKPOINTS and each[2:] == [METADATA]]
    return sorted(step for step in steps if step is not None)


def _settle(copy: Copy) -> None:
    """Brings the run here into step with the store: the one that is further wins."""
    entries, folder = copy.store.list_files(), copy.folder
    here = [file.relative_to(folder).as_posix() for file in folder.glob(f"{CHECKPOINTS}/*/{METADATA}")]
    step_there = max(list_whole_steps(entries), default=0)
    step_here = max(list_whole_steps(here), default=0)
    is_here = (folder / CONFIG_FILE).is_file()
    if is_here and CONFIG_FILE in copy.names and CONFIG_FILE not in entries:
        raise UsageError(
            f"{copy.store.url} holds no run any more, and {folder.absolute().as_uri()} on this machine holds "
            f"the one that was there, with step {step_here}. Delete that folder, too, to start anew"
        )
    if is_here and CONFIG_FILE in entries:
        _check_same_run(copy, step_here)
    # Older checkpoints that were deleted here just before the process was killed.
    whole = {file.partition(METADATA)[0] for file in here}
    newest = f"{name_checkpoint(step_here)}/"
    copy.expect(
        name
        for name in copy.names
        if name.startswith(f"{CHECKPOINTS}/") and name < newest and f"{name.rpartition('/')[0]}/" not in whole
    )
    if step_there > step_here or (CONFIG_FILE in entries and not is_here):
        copy.pull(choose_run)
        return
    copy.forget_missing(entries)
    if step_here > step_there:
        say(f"uploading step {step_here} to {copy.store.url}, which has step {step_there}")
        copy.push()


def _check_same_run(copy: Copy, step_here: int) -> None:
    """Raises UsageError if the run here and the one in the store are not the same."""
    store, file = copy.store, copy.folder / CONFIG_FILE
    if not is_same_run(file.read_bytes(), store.read(CONFIG_FILE)):
        held = f", which holds step {step_here} of a run that is not in the store" if step_here else ""
        raise UsageError(
            f"{store.url} holds another run than {copy.folder.absolute().as_uri()} on this machine{held}. "
            "Delete that folder to go on with the run in the store, or choose another `workdir`"
        )


class _Uploads:
    """Uploads a run in the background: each new checkpoint at once, other files with it or now and then."""

    def __init__(self, copy: Copy, lease: Lease):
        self._copy, self._lease = copy, lease
        self._ended, self._seen, self._warned = threading.Event(), "", False
        self._due = time.monotonic() + _OTHERS_SEC
        self._thread = threading.Thread(target=self._watch, name="uploads", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(_POLL_SEC):
            try:
                seen = self._list_checkpoints()
                if seen != self._seen or time.monotonic() > self._due:
                    self._lease.check()
                    self._copy.push()
                    self._seen, self._due, self._warned = seen, time.monotonic() + _OTHERS_SEC, False
            except (UserError, OSError) as error:
                if not self._warned:
                    self._warned = True
                    reason = explain(error) if isinstance(error, OSError) else error
                    warn(f"{reason}. The training goes on, and uploads are tried again")

    def _list_checkpoints(self) -> str:
        """Returns a text that differs once there is another checkpoint, or the run has begun."""
        files = [*self._copy.folder.glob(f"{CHECKPOINTS}/*/{METADATA}"), self._copy.folder / CONFIG_FILE]
        return str(
            sorted((file.name, file.parent.name, file.stat().st_mtime_ns) for file in files if file.exists())
        )

    def finish(self) -> None:
        """Uploads what is left.

        Raises:
          UserError: if that is not possible; the text says where everything is.
        """
        self._ended.set()
        self._thread.join()
        if not (self._copy.folder / CONFIG_FILE).exists():
            return  # The run has not begun.
        try:
            self._lease.check()
            self._copy.push()
        except UserError as error:
            raise UserError(
                f"{error}. Nothing is lost: the run is in {self._copy.folder.absolute().as_uri()} on this "
                "machine, and the same command uploads it and goes on"
            ) from error
