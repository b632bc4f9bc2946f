"""Paired image-to-image translation: pix2pix on TensorFlow 2 and Keras 3.

The public names are imported when they are used, so that `import tfpix2pix` and the
--help of commands do not wait for TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The names of _HOMES again, because a type checker does not run `__getattr__`.
    from tfpix2pix.config.config import make_config as make_config
    from tfpix2pix.config.fields import Config as Config
    from tfpix2pix.evaluate.evaluation import evaluate_model as evaluate_model
    from tfpix2pix.export.saved_model import export_saved_model as export_saved_model
    from tfpix2pix.methods.optimizers import build_adam as build_adam
    from tfpix2pix.methods.pix2pix import TrainStep as TrainStep
    from tfpix2pix.networks.discriminators import patch_discriminator as patch_discriminator
    from tfpix2pix.networks.generators import encoder_decoder_generator as encoder_decoder_generator
    from tfpix2pix.networks.generators import unet_generator as unet_generator
    from tfpix2pix.pipelines.base.errors import UsageError as UsageError
    from tfpix2pix.pipelines.base.errors import UserError as UserError
    from tfpix2pix.pipelines.batches import build_dataset as build_dataset
    from tfpix2pix.pipelines.datasets import open_split as open_split
    from tfpix2pix.pipelines.files.sources import from_arrays as from_arrays
    from tfpix2pix.run.generator import load_generator as load_generator
    from tfpix2pix.train.training import train_and_evaluate as train_and_evaluate
    from tfpix2pix.translate.translator import translate_images as translate_images

__version__ = "0.1.0"

# Public name -> the module that defines it.
_HOMES = {
    "Config": "tfpix2pix.config.fields",
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
    "UserError": "tfpix2pix.pipelines.base.errors",
    "UsageError": "tfpix2pix.pipelines.base.errors",
}
__all__ = ["__version__", *_HOMES]  # noqa: F822

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
