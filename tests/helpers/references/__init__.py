"""Oracles in NumPy or plain TensorFlow, and numbers from the PyTorch reference."""

from pathlib import Path

import numpy as np


def read(name: str) -> dict[str, np.ndarray]:
    """Returns all arrays of a recording beside this file, such as `hd_step.npz`."""
    with np.load(Path(__file__).with_name(name)) as archive:
        return dict(archive)


def below(recorded: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Returns the arrays whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): recorded[name] for name in recorded if name.startswith(prefix)}
