"""Compares a state dict with the weights that a network has, and names what differs."""

from collections.abc import Iterable, Mapping

import numpy as np

from tfpix2pix.interop.torch_names import Table
from tfpix2pix.pipelines.base.errors import UserError

State = Mapping[str, np.ndarray]

# A message names at most this many tensors of each kind.
NAMED = 6


def compare(
    weights: State, table: Table, network: object, source: object, code: str = "the reference's"
) -> None:
    """Compares weights with those that a network has.

    Args:
      weights: by their names in PyTorch.
      table: every weight of the network.
      network: what the messages call it.
      source: the file that the weights come from, for messages.
      code: whose network it is, for messages.

    Raises:
      UserError: if the weights are not exactly those of the network; the message names them.
    """
    faults = []
    if missing := [name for name in table if name not in weights]:
        faults.append(f"missing: {describe_some(missing)}")
    if extra := [name for name in weights if name not in table]:
        faults.append(f"not expected: {describe_some(extra)}")
    both = [name for name in table if name in weights]
    if wrong := [
        f"{name} {list(weights[name].shape)} instead of {list(table[name].shape)}"
        for name in both
        if weights[name].shape != table[name].shape
    ]:
        faults.append(f"other shapes: {describe_some(wrong)}")
    if integers := [name for name in both if weights[name].dtype.kind != "f"]:
        faults.append(f"integers instead of floating point: {describe_some(integers)}")
    elif broken := [name for name in both if not np.isfinite(weights[name]).all()]:
        faults.append(f"not finite: {describe_some(broken)}")
    if faults:
        raise UserError(f"{source} looks like {code} {network}, but is not: {'; '.join(faults)}")


def describe_some(names: Iterable[str]) -> str:
    """Returns the first names of tensors, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return (", ".join(names[:NAMED]) or "nothing") + more


def shape_of(weights: State, name: str) -> tuple[int, ...] | None:
    """Returns the shape of a kernel; None if there is no such tensor, or it is no kernel."""
    return weights[name].shape if name in weights and weights[name].ndim == 4 else None
