"""What makes Keras's callbacks fit a model of two optimizers."""

from typing import Any

import keras
import tensorflow as tf


class FollowRate(keras.callbacks.Callback):
    """Changes the discriminator's learning rate as other callbacks change that of the generator.

    `LearningRateScheduler`, `ReduceLROnPlateau` and their like set the rate of `model.optimizer`, which is
    the generator's. The discriminator's changes by the same factor. This callback stands behind each of the
    others, so that those that save the model save rates that belong together. Rates that follow a schedule
    of their own are left alone.
    """

    def __init__(self):
        super().__init__()
        self._rate: float | None = None

    def on_train_begin(self, logs=None):
        """Remembers the rate that the training begins with."""
        self._rate = _read_rate(self.model.generator_optimizer)

    def on_epoch_begin(self, epoch, logs=None):
        """Follows what other callbacks have changed since."""
        self._follow()

    def on_epoch_end(self, epoch, logs=None):
        """Does so at once, because the training may end here."""
        self._follow()

    def _follow(self):
        rate, own = _read_rate(self.model.generator_optimizer), _read_rate(self.model.discriminator_optimizer)
        if rate is None or own is None or rate == self._rate:
            return
        self.model.discriminator_optimizer.learning_rate = own * rate / self._rate if self._rate else rate
        self._rate = rate


def with_followed_rate(callbacks: Any) -> Any:
    """Returns callbacks, as `fit` takes them, with `FollowRate` before them and behind each of them."""
    follow = FollowRate()
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = [each for each in callbacks.callbacks if not isinstance(each, FollowRate)]
    return [follow, *(each for given in tf.nest.flatten(callbacks or []) for each in (given, follow))]


def _read_rate(optimizer: keras.optimizers.Optimizer | None) -> float | None:
    """Returns the learning rate; None where there is no optimizer, or its rate follows a schedule."""
    if optimizer is None:
        return None
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if isinstance(inner._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        return None
    return float(tf.convert_to_tensor(optimizer.learning_rate))
