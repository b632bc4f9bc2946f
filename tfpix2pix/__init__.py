"""Paired image-to-image translation: pix2pix on TensorFlow 2 and Keras 3.

The names below are imported on first use, so that `import tfpix2pix` and the
commands' --help do not wait for TensorFlow.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Config": "tfpix2pix.config",
    "make_config": "tfpix2pix.config",
    "open_split": "pipelines.datasets",
    "from_arrays": "pipelines.sources",
    "build_dataset": "pipelines.pairs",
    "unet_generator": "tfpix2pix.generators",
    "encoder_decoder_generator": "tfpix2pix.generators",
    "patch_discriminator": "tfpix2pix.discriminators",
    "TrainStep": "tfpix2pix.step",
    "build_adam": "tfpix2pix.optimizers",
    "train_and_evaluate": "tfpix2pix.loop",
    "load_generator": "tfpix2pix.translation",
    "translate_images": "tfpix2pix.translation",
    "evaluate_model": "tfpix2pix.evaluation",
    "export_saved_model": "tfpix2pix.saved_model",
}
__all__ = ["__version__", *_HOMES]  # noqa: F822


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
