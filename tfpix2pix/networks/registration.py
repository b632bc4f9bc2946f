"""The project's classes are found in saved files after `import tfpix2pix` alone, which imports no TensorFlow.

Keras looks for a class of a `.keras` file among the registered ones, and a class is registered when its
module is imported. These modules import TensorFlow, so that `import tfpix2pix` leaves them alone. Instead,
as soon as there is Keras, each class is registered by its name only, and imported when a file holds it.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from tfpix2pix.pipelines.base.homes import resolve

PACKAGE = "tfpix2pix"
# The classes that are registered with Keras as `tfpix2pix>NAME`, by their modules.
_CLASSES = {
    "tfpix2pix.networks.class_channels": ("ClassChannels", "BoundaryChannel"),
    "tfpix2pix.networks.pooling": ("HalvingPool2D",),
    "tfpix2pix.networks.gradients": ("Fork",),
    "tfpix2pix.networks.image_model": ("ImageModel",),
    "tfpix2pix.networks.instance_features": ("InstanceMean", "DrawFeatures"),
    "tfpix2pix.networks.latent": ("DrawLatent", "AppendLatent"),
    "tfpix2pix.networks.modulation": ("ModulateByLatent",),
    "tfpix2pix.networks.layers": ("PaddedConv2D", "UpConv2D", "UpConv2D3x3", "ResizeConv2D"),
    "tfpix2pix.networks.normalization": ("StatelessNormalization",),
    "tfpix2pix.networks.noise": ("NoiseDropout",),
    "tfpix2pix.networks.padding": ("PadToMultiple", "CropLike", "ReflectionPad2D"),
    "tfpix2pix.methods.optimizers": ("FusedAdam", "LinearDecay"),
    "tfpix2pix.model.pix2pix": ("Pix2Pix",),
    "tfpix2pix.metrics.fcn.network": ("VggPreprocessing", "GroupNormalization", "BilinearInitializer"),
}
# Registered name -> where the class is.
HOMES = {f"{PACKAGE}>{name}": f"{module}:{name}" for module, names in _CLASSES.items() for name in names}


class _Named:
    """What Keras takes for a class until the class itself is registered in its place."""

    def __init__(self, home: str):
        self.home = home

    def from_config(self, config: dict[str, Any], **kwargs: Any) -> Any:
        importlib.import_module("tfpix2pix.networks.keras_versions")  # refuses other backends of Keras
        return resolve(self.home).from_config(config, **kwargs)


class _BeforeKeras(MetaPathFinder):
    """Finds Keras as Python does, and registers the names as soon as Keras is imported.

    It stays until then: TensorFlow asks whether there is Keras before anybody imports it.
    """

    _is_looking = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras" or self._is_looking:
            return None
        self._is_looking = True
        try:
            spec = importlib.util.find_spec("keras")
        finally:
            self._is_looking = False
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                _register_names(module)

            setattr(spec.loader, "exec_module", execute_and_register)  # noqa: B010
        return spec


def _register_names(keras: Any) -> None:
    registered = keras.utils.get_custom_objects()
    for name, home in HOMES.items():
        registered.setdefault(name, _Named(home))


def register_names() -> None:
    """Registers the names of all classes with Keras: now if it is imported, else as soon as it is."""
    if "keras" in sys.modules:
        _register_names(sys.modules["keras"])
    elif not any(isinstance(finder, _BeforeKeras) for finder in sys.meta_path):
        sys.meta_path.insert(0, _BeforeKeras())
