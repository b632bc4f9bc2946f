"""What a checkpoint holds, and how it is written, found and read. Nothing else knows the keys.

`<workdir>/checkpoints/step-00001000/` holds `state.*` (a TensorFlow checkpoint:
weights, optimizer slots, step) and `checkpoint.json`. It is written under
another name, brought to the disk and then renamed, so that one that is there is whole.
"""

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.networks.variables import model_variables
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError, shorten
from tfpix2pix.pipelines.base.paths import plain_folder
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.run.steps import (
    CHECKPOINTS,
    METADATA,
    REPLACED,
    checkpoint_folder,
    list_steps,
    name_checkpoint,
    replaced_folder,
)

_DIGEST = "sha256"  # the key of the digest of all other values
# The variables of a training step by name, one of them "step", as `Step.variables` returns them.
Variables = Mapping[str, tf.Variable]
# TensorFlow and JSON raise these for files that are missing, cut short, altered or of another kind.
_UNREADABLE = (OSError, ValueError, AssertionError, LookupError, RuntimeError, tf.errors.OpError)
# What the system says where memory or open files are short, which is no fault of a file. TensorFlow passes on
# no more than this text.
_SHORTAGES = tuple(os.strerror(number) for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM))


def read_metadata(workdir: Path, step: int) -> dict[str, Any]:
    """Returns what `save` was given as metadata for the checkpoint of a step, and the step.

    Raises:
      OSError: when the file cannot be read.
      ValueError: when it is not what `save` wrote.
    """
    metadata = json.loads((checkpoint_folder(workdir, step) / METADATA).read_text("utf-8"))
    # Checkpoints of older versions hold no digest.
    if (told := metadata.pop(_DIGEST, None)) is not None and told != _digest(metadata):
        raise ValueError(f"{METADATA} does not hold what was written")
    return metadata


def read_date(workdir: Path, step: int) -> str:
    """Returns the day on which the checkpoint of a step was written, as YYYY-MM-DD in UTC.

    It is that of its file, so a copy that does not keep times has its own day.
    """
    written_sec = (checkpoint_folder(workdir, step) / METADATA).stat().st_mtime
    return datetime.fromtimestamp(written_sec, timezone.utc).date().isoformat()


def _digest(metadata: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()


def find_step(workdir: Path, which: str | int | None) -> int:
    """Returns the step of a checkpoint that is asked for.

    Args:
      workdir: folder of the run.
      which: the checkpoint: `latest`, `best` or a step, as a number or a text; None takes the latest.

    Raises:
      UsageError: when there is no such checkpoint; the message lists those that there are.
      UserError: when the latest checkpoint, which says which one is the best, is damaged.
    """
    steps = list_steps(workdir)
    if not steps:
        raise UsageError(f"{workdir} holds no checkpoint; expected the folder of a run that train wrote")
    which = "latest" if which is None else str(which)
    if which == "latest":
        return steps[-1]
    if which == "best":
        try:
            best = read_metadata(workdir, steps[-1]).get("best")
        except (OSError, ValueError) as error:
            folder = checkpoint_folder(workdir, steps[-1])
            raise UserError(f"{folder} is damaged ({shorten(error)}); try another `checkpoint`") from error
        if best and best["step"] in steps:
            return best["step"]
        raise UsageError(f"{workdir} has no best checkpoint yet: no validation has run; use latest or a step")
    elif which.isdecimal() and int(which) in steps:
        return int(which)
    listed = ", ".join(map(str, steps))
    raise UsageError(
        f"{workdir} has no checkpoint {which}; `checkpoint` takes latest, best or one of {listed}"
    )


def tell_latest(workdir: Path) -> str:
    """Returns a clause for messages that says which checkpoint is left."""
    steps = list_steps(workdir)
    return f"the checkpoint of step {steps[-1]} is intact" if steps else "there is no checkpoint yet"


def save(workdir: Path, variables: Variables, metadata: Mapping[str, Any]) -> Path:
    """Writes a checkpoint of the current step, atomically.

    Args:
      workdir: folder of the run.
      variables: the variables to save, by name.
      metadata: what is written beside them, in types of JSON.

    Returns:
      The checkpoint's folder.

    Raises:
      UserError: when the weights are not finite, or the disk does not take the
        files; earlier checkpoints are untouched.
    """
    step = int(variables["step"].numpy())
    folder = workdir / name_checkpoint(step)
    partial = _name_partial(folder)
    _check_finite(workdir, variables, step)
    try:
        partial.mkdir(parents=True)
        with plain_folder(partial) as plain:
            tf.train.Checkpoint(state=dict(variables)).write(str(plain / "state"))
        _write_metadata(partial / METADATA, {"step": step, **metadata})
        staging.sync_folder(partial)
        if folder.exists():  # Until the new one is there, `checkpoint_folder` finds it aside.
            os.replace(folder, replaced_folder(folder))
        os.replace(partial, folder)
        staging.sync(folder.parent)
        _tidy(workdir)
    except (OSError, tf.errors.OpError) as error:
        _tidy(workdir)
        raise UserError(
            f"could not write the checkpoint of step {step} to {folder.parent} "
            f"({shorten(error)}); {tell_latest(workdir)}. Make room and run the same command to go on"
        ) from error
    return folder


def _name_partial(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")


def _tidy(workdir: Path) -> None:
    """Deletes what `save` has left; a checkpoint whose successor has not come to its place is put back."""
    for replaced in (workdir / CHECKPOINTS).glob(f".step-*{REPLACED}"):
        folder = replaced.with_name(replaced.name[1:].removesuffix(REPLACED))
        # Its name becomes free even if its files do not go, as open ones do not on NFS.
        with suppress(OSError):  # The disk is away, which others tell.
            os.replace(replaced, _name_partial(folder) if folder.exists() else folder)
    for partial in (workdir / CHECKPOINTS).glob(".step-*.partial"):
        shutil.rmtree(partial, ignore_errors=True)


def _write_metadata(file: Path, metadata: Mapping[str, Any]) -> None:
    metadata = json.loads(json.dumps(metadata))  # as it will be read: lists for tuples, keys that are texts
    file.write_text(json.dumps({**metadata, _DIGEST: _digest(metadata)}, indent=2) + "\n", "utf-8")


def prune(workdir: Path, keep: int, best_step: int | None) -> None:
    """Deletes all checkpoints but the `keep` latest and the best one."""
    for step in list_steps(workdir)[:-keep]:
        if step != best_step:
            shutil.rmtree(checkpoint_folder(workdir, step))


def restore_latest(workdir: Path, variables: Variables, is_chief: bool = True) -> int:
    """Restores the newest checkpoint that is sound; damaged ones after it are renamed to `damaged-step-*`.

    Args:
      workdir: folder of the run.
      variables: the variables to restore, by name.
      is_chief: whether this process writes to the folder; if not, nothing in it is renamed or deleted.

    Returns:
      The step of the checkpoint, or 0 when there is none.

    Raises:
      UserError: when there are checkpoints, but none can be read, or this process has no memory for one.
    """
    if is_chief:
        _tidy(workdir)
    steps, damaged = list_steps(workdir), []
    for step in reversed(steps):
        folder = checkpoint_folder(workdir, step)
        try:
            read_metadata(workdir, step)
            _read(folder, variables)
        except (*_UNREADABLE, MemoryError) as error:
            _tell_shortage(folder, error)
            warn(f"{folder} is damaged ({shorten(error)}); trying the one before")
            damaged.append(folder)
            continue
        # If they stayed, they would count among the latest, and sound ones would be deleted in their place.
        for folder in damaged if is_chief else ():
            _set_aside(folder)
        return step
    if steps:
        raise UserError(
            f"no checkpoint in {workdir / CHECKPOINTS} can be read. "
            "Move the folder away to start anew, or choose another `workdir`"
        )
    return 0


def _tell_shortage(folder: Path, error: Exception) -> None:
    """Raises UserError for an error that says nothing of a checkpoint, but of memory or open files."""
    shortages = (MemoryError, tf.errors.ResourceExhaustedError)
    if isinstance(error, shortages) or any(text in str(error) for text in _SHORTAGES):
        raise UserError(
            f"{folder} could not be read for want of memory or of open files ({shorten(error)}); it is left "
            "as it is. End other programs, or raise the limit (ulimit), and run the same command to go on"
        ) from error


def _set_aside(folder: Path) -> None:
    aside = folder.with_name(f"damaged-{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    os.replace(folder, aside)


def restore_model(workdir: Path, step: int, name: str, model: keras.Model) -> None:
    """Restores one network's weights alone.

    Args:
      workdir: folder of the run.
      step: step of the checkpoint.
      name: name of the network, such as `GENERATOR`, or of its average.
      model: the network, built from the configuration of the run.

    Raises:
      UserError: when the checkpoint cannot be read.
    """
    folder = checkpoint_folder(workdir, step)
    try:
        _read(folder, model_variables(name, model))
    except _UNREADABLE as error:
        raise UserError(f"{folder} cannot be read ({shorten(error)}); try another `checkpoint`") from error


def read_weights(workdir: Path, step: int, name: str) -> dict[str, np.ndarray]:
    """Returns the weights of one network by `<layer>/<weight>`; none if the checkpoint lacks the network.

    Args:
      workdir: folder of the run.
      step: step of the checkpoint.
      name: name of the network, such as `GENERATOR`.

    Raises:
      UserError: when the checkpoint cannot be read.
    """
    folder, weights = checkpoint_folder(workdir, step), {}
    try:
        with plain_folder(folder) as plain:
            reader = tf.train.load_checkpoint(str(plain / "state"))
            for key in reader.get_variable_to_shape_map():
                # TensorFlow escapes the slashes of our names as .S, and dots as two.
                path = key.removeprefix("state/").partition("/.ATTRIBUTES/")[0]
                path = path.replace(".S", "/").replace("..", ".")
                if path.startswith(f"{name}/"):
                    weights[path.removeprefix(f"{name}/")] = reader.get_tensor(key)
    except _UNREADABLE as error:
        raise UserError(f"{folder} cannot be read ({shorten(error)}); try another `checkpoint`") from error
    return weights


def _read(folder: Path, variables: Variables) -> None:
    with plain_folder(folder) as plain:
        status = tf.train.Checkpoint(state=dict(variables)).read(str(plain / "state"))
        status.assert_existing_objects_matched()
    status.expect_partial()


def _check_finite(workdir: Path, variables: Variables, step: int) -> None:
    for name, variable in variables.items():
        if variable.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(variable))):
            raise UserError(
                f"{name} is not finite at step {step}, so it was not saved; {tell_latest(workdir)}. "
                "Try a lower `learning_rate`, or `precision=float32`"
            )
