"""`norm_backend=addons`: instance normalisation by tensorflow-addons, for teams that have it."""

import functools
import warnings
from typing import Any

import keras

from tfpix2pix.networks import keras_versions
from tfpix2pix.networks.normalization import NORM_EPSILON, StatelessNormalization
from tfpix2pix.pipelines.base.errors import UserError


def load_addons() -> Any:
    """Imports tensorflow-addons.

    Raises:
      UserError: with Keras 3, or where the package is not installed.
    """
    remedy = (
        "Install 'tfpix2pix[addons]' in an environment of Python 3.10 or 3.11 of its own, "
        "or leave `norm_backend=own`, which computes the same"
    )
    if keras_versions.IS_KERAS_3:
        raise UserError(f"`norm_backend=addons` needs tensorflow-addons, which needs Keras 2. {remedy}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # The package announces the end of its development.
            import tensorflow_addons
    except ImportError as error:
        raise UserError(f"`norm_backend=addons` needs tensorflow-addons ({error}). {remedy}") from error
    return tensorflow_addons


@functools.cache
def _layer_type() -> type[keras.layers.Layer]:
    layer_type: Any = load_addons().layers.InstanceNormalization

    class InstanceNormalization(layer_type):
        """The layer of the addons, without its warning that a copy overwrites the groups it was made with."""

        def get_config(self):
            return {name: value for name, value in super().get_config().items() if name != "groups"}

    return InstanceNormalization


def use_addons(model: keras.Model) -> keras.Model:
    """Returns the same network, its `instance` normalisation done by `tfa.layers.InstanceNormalization`.

    Names, shapes and values of the weights stay, so that checkpoints of one load
    in the other; both models share the weights of all other layers.

    Args:
      model: a generator or a discriminator.

    Raises:
      UserError: with Keras 3, or where tensorflow-addons is not installed.
    """
    layer_type = _layer_type()

    def choose(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, StatelessNormalization) or layer.kind != "instance":
            return layer
        # Like our own layer, it computes in float32 in every precision.
        return layer_type(epsilon=NORM_EPSILON, name=layer.name, dtype="float32")

    copy = keras.models.clone_model(model, clone_function=choose)
    for layer in copy.layers:
        if isinstance(layer, layer_type):
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return copy
