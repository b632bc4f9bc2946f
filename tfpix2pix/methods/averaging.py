"""An average of a network's weights over the steps of a training."""

import keras
import tensorflow as tf

from tfpix2pix.networks.variables import average_name, model_variables, weights_of


class WeightAverage:
    """The exponential moving average of a network's weights, which a second network holds.

    Build it inside `strategy.scope()`. The network that holds the average starts with the weights of the
    other one. After n steps the decay is at most (n - 1) / (n + 9), so that the random weights of the
    beginning leave no trace.

    Args:
      model: the network that is trained; functional.
      decay: share of the old average in the new one, from 0 to 1; 0.999 remembers about 1,000 steps.
      name: name of the network in checkpoints, such as `variables.GENERATOR`.

    Attributes:
      model: a network of the same layers whose weights are the average.
    """

    def __init__(self, model: keras.Model, decay: float, name: str):
        self._decay = decay
        self._name = name
        self._strategy = tf.distribute.get_strategy()
        self.model = keras.models.clone_model(model)
        self._trained, self._averages = weights_of(model), weights_of(self.model)
        for path, average in self._averages.items():
            average.assign(self._trained[path])

    @tf.autograph.experimental.do_not_convert
    def update(self, step: tf.Tensor) -> None:
        """Takes the present weights into the average; for cross-replica context, after a step.

        Args:
          step: number of steps that were taken, this one included; an integer scalar.
        """
        steps = tf.cast(step, tf.float32)
        share = 1 - tf.minimum(self._decay, (steps - 1) / (steps + 9))
        for path, average in self._averages.items():
            self._strategy.extended.update(average, _move, args=(self._trained[path], share))

    def variables(self) -> dict[str, tf.Variable]:
        """Returns what a checkpoint holds of the average, by name."""
        return model_variables(average_name(self._name), self.model)


def _move(average: tf.Variable, weights: tf.Tensor, share: tf.Tensor) -> tf.Operation:
    return average.assign_add(tf.cast(share, average.dtype) * (weights - average))
