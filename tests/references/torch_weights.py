"""Where the PyTorch reference keeps each weight, and the axis order that turns it into ours.

Names are `layer/weight` on our side, and paths through nested `Sequential`s on
the PyTorch side. A convolution is [out, in, 4, 4] there, a transposed one
[in, out, 4, 4]; ours are [4, 4, in, out] and [4, 4, out, in], not flipped.
"""

from collections.abc import Mapping

import keras
import numpy as np

KERNEL_AXES = (2, 3, 1, 0)


def generator_names(depth: int) -> dict[str, str]:
    """Returns our name -> PyTorch's, for a U-Net of `depth` downsamplings with batch normalisation."""
    names = {}
    block = "model"
    for number in range(1, depth + 1):
        outermost, innermost = number == 1, number == depth
        # Down: (ReLU), convolution, (norm); the nested block; up: ReLU, convolution, (norm).
        down = 0 if outermost else 1
        up = 3 if outermost or innermost else 5
        names[f"encoder_{number}_conv/kernel"] = f"{block}.model.{down}.weight"
        names[f"decoder_{number}_conv/kernel"] = f"{block}.model.{up}.weight"
        if outermost:
            names[f"decoder_{number}_conv/bias"] = f"{block}.model.{up}.bias"
        else:
            names |= _norm_names(f"decoder_{number}_norm", f"{block}.model.{up + 1}")
        if not (outermost or innermost):
            names |= _norm_names(f"encoder_{number}_norm", f"{block}.model.{down + 1}")
        block += ".model.1" if outermost else ".model.3"
    return names


def discriminator_names(num_strided: int = 3) -> dict[str, str]:
    """Returns our name -> PyTorch's, for a patch discriminator of `num_strided` stride-2 convolutions."""
    names = {"patch_1_conv/kernel": "model.0.weight", "patch_1_conv/bias": "model.0.bias"}
    for block in range(2, num_strided + 2):
        place = 3 * block - 4
        names[f"patch_{block}_conv/kernel"] = f"model.{place}.weight"
        names |= _norm_names(f"patch_{block}_norm", f"model.{place + 1}")
    last = 3 * num_strided + 2
    return names | {
        "patch_logits_conv/kernel": f"model.{last}.weight",
        "patch_logits_conv/bias": f"model.{last}.bias",
    }


def convert_weights(torch: Mapping[str, np.ndarray], names: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Returns our name -> value in our layout; every value of `torch` must have a place.

    Args:
      torch: PyTorch name -> value in its layout.
      names: from `generator_names` or `discriminator_names`.

    Raises:
      ValueError: when `torch` lacks a weight or has another.
    """
    if set(torch) != set(names.values()):
        raise ValueError(f"weights without a counterpart: {sorted(set(torch) ^ set(names.values()))}")
    return {ours: _in_our_layout(torch[theirs]) for ours, theirs in names.items()}


def _in_our_layout(value: np.ndarray) -> np.ndarray:
    return np.transpose(value, KERNEL_AXES) if value.ndim == 4 else value


def read_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns our name -> value of every weight of a model."""
    return {
        f"{layer.name}/{name}": variable.numpy()
        for layer in model.layers
        for name in ("kernel", "bias", "gamma", "beta")
        if (variable := getattr(layer, name, None)) is not None
    }


def assign_weights(model: keras.Model, values: Mapping[str, np.ndarray]) -> None:
    """Sets every weight of a model.

    Raises:
      ValueError: when the names are not exactly the model's.
    """
    if set(values) != set(read_weights(model)):
        raise ValueError(f"names that differ: {sorted(set(values) ^ set(read_weights(model)))}")
    for name, value in values.items():
        layer, weight = name.split("/")
        getattr(model.get_layer(layer), weight).assign(value)


def _norm_names(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}/gamma": f"{theirs}.weight", f"{ours}/beta": f"{theirs}.bias"}
