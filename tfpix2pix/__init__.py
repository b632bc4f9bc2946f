"""Paired image-to-image translation: pix2pix on TensorFlow 2 and Keras 3.

The public names are imported when they are used, so that `import tfpix2pix` and the
--help of commands do not wait for TensorFlow. The first name that needs TensorFlow imports
it without its start-up messages, unless TF_CPP_MIN_LOG_LEVEL is set.
"""

from typing import TYPE_CHECKING, Any

from tfpix2pix.networks.registration import register_names
from tfpix2pix.pipelines.base.command_line import import_tensorflow
from tfpix2pix.pipelines.base.face import name_face

if TYPE_CHECKING:
    # The names of _HOMES again, because a type checker does not run `__getattr__`.
    from tfpix2pix.config.config import make_config as make_config
    from tfpix2pix.config.fields import Config as Config
    from tfpix2pix.evaluate.evaluation import evaluate_model as evaluate_model
    from tfpix2pix.export.saved_model import export_saved_model as export_saved_model
    from tfpix2pix.interop.hub import push_to_hub as push_to_hub
    from tfpix2pix.interop.hub import write_hub_folder as write_hub_folder
    from tfpix2pix.methods.optimizers import build_adam as build_adam
    from tfpix2pix.methods.pix2pix import TrainStep as TrainStep
    from tfpix2pix.model.pix2pix import Pix2Pix as Pix2Pix
    from tfpix2pix.networks.discriminators import patch_discriminator as patch_discriminator
    from tfpix2pix.networks.generators import encoder_decoder_generator as encoder_decoder_generator
    from tfpix2pix.networks.generators import unet_generator as unet_generator
    from tfpix2pix.pipelines.base.errors import UsageError as UsageError
    from tfpix2pix.pipelines.base.errors import UserError as UserError
    from tfpix2pix.pipelines.batches import build_dataset as build_dataset
    from tfpix2pix.pipelines.datasets import open_split as open_split
    from tfpix2pix.pipelines.files.sources import from_arrays as from_arrays
    from tfpix2pix.run.callbacks import Callback as Callback
    from tfpix2pix.run.callbacks import CsvLog as CsvLog
    from tfpix2pix.run.callbacks import EarlyStopping as EarlyStopping
    from tfpix2pix.run.generator import load_generator as load_generator
    from tfpix2pix.train.pretrained import from_pretrained as from_pretrained
    from tfpix2pix.train.training import train_and_evaluate as train_and_evaluate
    from tfpix2pix.translate.arrays import translate_images as translate_images
    from tfpix2pix.translate.translator import Translator as Translator

__version__ = "0.1.0"

# Public name -> the module that defines it.
_HOMES = {
    "Config": "config.fields",
    "make_config": "config.config",
    "open_split": "pipelines.datasets",
    "from_arrays": "pipelines.files.sources",
    "build_dataset": "pipelines.batches",
    "unet_generator": "networks.generators",
    "encoder_decoder_generator": "networks.generators",
    "patch_discriminator": "networks.discriminators",
    "Pix2Pix": "model.pix2pix",
    "TrainStep": "methods.pix2pix",
    "build_adam": "methods.optimizers",
    "train_and_evaluate": "train.training",
    "Callback": "run.callbacks",
    "EarlyStopping": "run.callbacks",
    "CsvLog": "run.callbacks",
    "load_generator": "run.generator",
    "from_pretrained": "train.pretrained",
    "push_to_hub": "interop.hub",
    "write_hub_folder": "interop.hub",
    "translate_images": "translate.arrays",
    "Translator": "translate.translator",
    "evaluate_model": "evaluate.evaluation",
    "export_saved_model": "export.saved_model",
    "UserError": "pipelines.base.errors",
    "UsageError": "pipelines.base.errors",
}
_WITHOUT_TENSORFLOW = ("Config", "make_config", "UserError", "UsageError")
_import_name, _, _names = name_face(__name__, _HOMES)
__all__ = ["__version__", *_names]  # noqa: F822

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _HOMES and name not in _WITHOUT_TENSORFLOW:
            import_tensorflow(with_keras=not _HOMES[name].startswith("pipelines."), whole=True)
        return _import_name(name)


register_names()


def __dir__() -> list[str]:
    return sorted(__all__)
