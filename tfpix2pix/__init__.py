"""Paired image-to-image translation: pix2pix on TensorFlow 2 and Keras 3.

The names below are imported on first use, so that `import tfpix2pix` and the
commands' --help do not wait for TensorFlow.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Config": "tfpix2pix.config.config",
    "make_config": "tfpix2pix.config.config",
    "open_split": "tfpix2pix.pipelines.datasets",
    "from_arrays": "tfpix2pix.pipelines.files.sources",
    "build_dataset": "tfpix2pix.pipelines.batches",
    "unet_generator": "tfpix2pix.networks.generators",
    "encoder_decoder_generator": "tfpix2pix.networks.generators",
    "patch_discriminator": "tfpix2pix.networks.discriminators",
    "TrainStep": "tfpix2pix.methods.pix2pix",
    "build_adam": "tfpix2pix.methods.optimizers",
    "train_and_evaluate": "tfpix2pix.train.training",
    "load_generator": "tfpix2pix.run.generator",
    "translate_images": "tfpix2pix.translate.translator",
    "evaluate_model": "tfpix2pix.evaluate.evaluation",
    "export_saved_model": "tfpix2pix.export.saved_model",
}
__all__ = ["__version__", *_HOMES]  # noqa: F822


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
