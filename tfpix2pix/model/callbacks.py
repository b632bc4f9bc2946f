"""What makes Keras's callbacks fit a model of two optimizers and of many losses."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.progress import warn


class FollowRate(keras.callbacks.Callback):
    """Changes the discriminator's learning rate as other callbacks change that of the generator.

    `LearningRateScheduler`, `ReduceLROnPlateau` and their like set the rate of `model.optimizer`, which is
    the generator's. The ratio of the two rates stays, unless a callback sets the discriminator's too. This
    callback stands behind each of the others, so that those that save the model save rates that belong
    together. Rates that follow a schedule of their own are left alone.

    Args:
      in_batches: whether a callback may set the rate within an epoch; to read it takes time.
    """

    def __init__(self, in_batches: bool = False):
        super().__init__()
        self._in_batches = in_batches
        self._rates: tuple[float, float] | None = None
        self._ratio = 1.0

    def on_train_begin(self, logs=None):
        """Remembers the rates that the training begins with, and follows what callbacks make of them."""
        self._follow()

    def on_epoch_begin(self, epoch, logs=None):
        """Follows what other callbacks have changed since."""
        self._follow()

    def on_train_batch_begin(self, batch, logs=None):
        """Follows them within an epoch too."""
        if self._in_batches:
            self._follow()

    def on_train_batch_end(self, batch, logs=None):
        """Follows those that change the rate behind a batch."""
        if self._in_batches:
            self._follow()

    def on_epoch_end(self, epoch, logs=None):
        """Does so at once, because the training may end here."""
        self._follow()

    def _follow(self):
        rate, own = _read_rate(self.model.generator_optimizer), _read_rate(self.model.discriminator_optimizer)
        if rate is None or own is None or (rate, own) == self._rates:
            return
        if self._rates and own == self._rates[1]:
            own = float(np.float32(self._ratio * rate))
            self.model.discriminator_optimizer.learning_rate = own
        elif rate:
            self._ratio = own / rate
        self._rates = rate, own


class StopAtNan(keras.callbacks.Callback):
    """Stops where a loss is not finite; for `TerminateOnNaN`, which only looks at a loss named `loss`.

    Args:
      raises: whether that is a RuntimeError, as with `TerminateOnNaN(raise_error=True)`.
    """

    def __init__(self, raises: bool = False):
        super().__init__()
        self._raises = raises

    def on_train_batch_end(self, batch, logs=None):
        """Stops the training and says why."""
        lost = [name for name, value in (logs or {}).items() if not np.isfinite(value)]
        if not lost or self.model.stop_training:
            return
        reason = f"the training stops at batch {batch}, because {', '.join(lost)} became NaN or infinite"
        if self._raises:
            raise RuntimeError(reason)
        warn(reason)
        self.model.stop_training = True


def fit_callbacks(callbacks: Any) -> Any:
    """Returns callbacks, as `fit` takes them, with those that they need here before and behind each of them.

    Raises:
      UsageError: for callbacks that are not Keras's.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    given = [
        each for each in tf.nest.flatten(callbacks or []) if not isinstance(each, FollowRate | StopAtNan)
    ]
    for each in given:
        if not isinstance(each, keras.callbacks.Callback):
            raise UsageError(
                "`fit` takes callbacks of Keras; those of tfpix2pix are for train_and_evaluate. "
                f"Received: {type(each).__name__}"
            )
    if not given:
        return given  # Nobody changes a rate.
    follow = FollowRate(any(map(_acts_in_batches, given)))
    stops = [
        StopAtNan(getattr(each, "raise_error", False))
        for each in given
        if isinstance(each, keras.callbacks.TerminateOnNaN)
    ]
    return [follow, *(each for one in given for each in (one, follow)), *stops]


def _acts_in_batches(callback: keras.callbacks.Callback) -> bool:
    """Tells whether a callback may set a rate within an epoch, which those that Keras brings along do not."""
    kind, plain = type(callback), keras.callbacks.Callback
    if isinstance(callback, keras.callbacks.LambdaCallback):
        return True
    hooks = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
    return not kind.__module__.startswith("keras.") and any(
        getattr(kind, hook) is not getattr(plain, hook) for hook in hooks
    )


def _read_rate(optimizer: keras.optimizers.Optimizer | None) -> float | None:
    """Returns the learning rate; None where there is no optimizer, or its rate follows a schedule."""
    if optimizer is None:
        return None
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if isinstance(inner._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        return None
    return float(tf.convert_to_tensor(optimizer.learning_rate))
