"""All that differs between Keras 3 and Keras 2.15, which TensorFlow 2.15 and tensorflow-addons need."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfpix2pix.pipelines.base.backend import check_backend
from tfpix2pix.pipelines.base.errors import UserError

IS_KERAS_3 = int(keras.__version__.split(".")[0]) >= 3

if IS_KERAS_3:
    check_backend(keras.config.backend())


def require_keras_3(what: str) -> None:
    """Raises UserError on Keras 2.

    Args:
      what: what needs it, which begins the sentence, such as `the format onnx`.
    """
    if not IS_KERAS_3:
        raise UserError(
            f"{what} needs Keras 3, and this is Keras {keras.__version__}; "
            "run it where `pip install tfpix2pix` was done without [addons]: runs are read there as they are"
        )


def default_policy() -> str:
    """Returns the name of the dtype policy that is set for all of Keras, such as `mixed_bfloat16`."""
    return (keras.config.dtype_policy() if IS_KERAS_3 else keras.mixed_precision.global_policy()).name


def add_counter(model: Any, name: str) -> Any:
    """Adds an int64 scalar to a model's weights, which all replicas hold and count up together."""
    first = "only_first_replica" if IS_KERAS_3 else tf.VariableAggregation.ONLY_FIRST_REPLICA
    return model.add_weight(
        shape=(), dtype="int64", initializer="zeros", trainable=False, name=name, aggregation=first
    )


def variable_path(variable: Any) -> str:
    """Returns the names of a weight's layer and of the weight, such as `encoder_2_conv/kernel`."""
    return getattr(variable, "path", None) or variable.name.split(":")[0]


def tf_variable(variable: Any) -> tf.Variable:
    """Returns the TensorFlow variable of a weight or of an optimizer's state."""
    return variable if isinstance(variable, tf.Variable) else variable.value


def next_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """Returns the learning rate of an optimizer's next step, where Keras 2 tells that of the last one."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    rate = optimizer._learning_rate
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        rate = rate(tf.convert_to_tensor(optimizer.iterations))
    return float(tf.convert_to_tensor(rate))


class LayerCall(NamedTuple):
    """One call of a layer in a functional model."""

    layer: Any  # or an operation
    inputs: list[Any]  # symbolic tensors
    outputs: list[Any]


def layer_calls(model: Any) -> list[LayerCall]:
    """Returns the calls that a functional model is made of, in the order in which it makes them.

    `layer.output` would be that of a layer's first call, which may belong to another model that shares the
    layer.

    Args:
      model: a functional Keras model.
    """
    depths = sorted(model._nodes_by_depth, reverse=True)
    nodes = [node for depth in depths for node in model._nodes_by_depth[depth] if not node.is_input]
    layer, inputs = ("operation", "input_tensors") if IS_KERAS_3 else ("layer", "keras_inputs")
    return [
        LayerCall(getattr(node, layer), list(getattr(node, inputs)), tf.nest.flatten(node.outputs))
        for node in nodes
    ]


def export_archive() -> Any:
    """Returns an empty `ExportArchive`, which writes SavedModels."""
    # Keras 2 has it only under the name that TensorFlow gives to Keras.
    return (keras if IS_KERAS_3 else tf.keras).export.ExportArchive()


def scale_loss(optimizer: keras.optimizers.Optimizer, loss: tf.Tensor) -> tf.Tensor:
    """Returns the loss as `optimizer.apply_gradients` expects its gradients: times the loss scale, if any."""
    return optimizer.scale_loss(loss) if hasattr(optimizer, "scale_loss") else loss


if IS_KERAS_3:
    Adam = keras.optimizers.Adam
    LossScaleOptimizer = keras.optimizers.LossScaleOptimizer
else:
    from keras.src.mixed_precision.loss_scale_optimizer import LossScaleOptimizerV3

    class Adam(keras.optimizers.Adam):  # type: ignore[no-redef]
        """The Adam of Keras 2, whose updates are called as Keras 3 calls them."""

        def __init__(self, *args, **kwargs):
            # By default Keras 2 compiles updates with XLA on a GPU, which has no kernel for the fused one.
            super().__init__(*args, **{**kwargs, "jit_compile": False})

        def _get_variable_index(self, variable):
            return self._index_dict[self._var_key(variable)]

        def _update_step(self, gradient, variable):
            self.update_step(gradient, variable, self.learning_rate)

    class LossScaleOptimizer(LossScaleOptimizerV3):  # type: ignore[no-redef]
        """The optimizer of Keras 2 that undoes the scale of the loss itself, as that of Keras 3 does."""

        @property
        def dynamic_scale(self):
            return self._loss_scale.current_loss_scale

        @property
        def step_counter(self):
            return self._loss_scale.counter

        def scale_loss(self, loss):
            return self.get_scaled_loss(loss)

        def apply_gradients(self, grads_and_vars, **kwargs):
            gradients, variables = zip(*grads_and_vars, strict=True)
            unscaled = self.get_unscaled_gradients(gradients)
            super().apply_gradients(list(zip(unscaled, variables, strict=True)), **kwargs)
