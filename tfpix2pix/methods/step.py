"""What every training step is: networks, their optimizers, a count, and a compiled loop of steps."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.methods.averaging import WeightAverage
from tfpix2pix.networks.remat import rematerialize
from tfpix2pix.networks.variables import GENERATOR

Batch = dict[str, tf.Tensor]

# `tf.autograph.experimental.do_not_convert` marks a function with it.
_UNCONVERTED = "autograph_info__"


class Step(tf.__internal__.tracking.AutoTrackable, ABC):
    """One kind of training step. A new kind defines `replica_step`, `loss_names`, `variables` and `rate`.

    Build it inside `strategy.scope()`: it runs under the strategy that it was built in. A
    `tf.train.Checkpoint` can hold it, as it holds models and optimizers.

    Args:
      global_batch_size: number of examples in a step over all replicas, by which losses are divided;
        None counts those of each batch.
      jit_compile: whether XLA compiles the step.

    Attributes:
      step: int64 variable, the number of steps taken.
      average: an average of weights that each step moves on; None, unless `keep_average` was called.
      inputs: the keys of a batch that the step reads.

    Raises:
      ValueError: for `jit_compile` with several replicas.
    """

    inputs: tuple[str, ...] = ("input_image", "target_image", "noise_seed")

    def __init__(self, global_batch_size: int | None = None, jit_compile: bool = False):
        self.global_batch_size = global_batch_size
        self.average: WeightAverage | None = None
        self.strategy = tf.distribute.get_strategy()
        self.step = tf.Variable(
            0, dtype=tf.int64, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
        )
        if jit_compile and self.strategy.num_replicas_in_sync > 1:
            # The optimizers' all-reduce is part of the step.
            raise ValueError(
                "jit_compile works on one replica, as XLA cannot compile what replicas exchange. "
                f"Received: {self.strategy.num_replicas_in_sync} replicas"
            )
        self._jit_compile = jit_compile
        self._compile()

    def _compile(self) -> None:
        """Makes the functions that will be traced when they are called for the first time."""
        self._compiled_step = tf.function(self.replica_step, jit_compile=True) if self._jit_compile else None
        # AutoGraph slows down the start, so it is off for steps that `do_not_convert` marks, as all of this
        # package are. Others may use Python's `if` and `for` on tensors.
        rewrites = not hasattr(self.replica_step, _UNCONVERTED)
        self._run_steps = tf.function(self._loop, autograph=rewrites)
        self._run_step = tf.function(self._step_on, autograph=rewrites, reduce_retracing=True)

    @abstractmethod
    def replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes one step on this replica's batch, in replica context, and counts it.

        Args:
          batch: the tensors that `inputs` names.

        Returns:
          Loss name -> this replica's share, a float32 scalar: the sum over its examples
          divided by the global batch size.
        """

    @property
    @abstractmethod
    def loss_names(self) -> tuple[str, ...]:
        """The keys of what a step returns."""

    @abstractmethod
    def variables(self) -> dict[str, tf.Variable]:
        """Returns what a checkpoint holds, by name: `step`, weights and optimizer states."""

    def checkpoint_variables(self) -> dict[str, tf.Variable]:
        """Returns all that a checkpoint holds, by name: `variables`, and the average if there is one."""
        return {**self.variables(), **(self.average.variables() if self.average else {})}

    @property
    def stage(self) -> str:
        """Which part of the training was entered last, for people; empty where there are no parts."""
        return ""

    @property
    @abstractmethod
    def rate(self) -> float:
        """The learning rate of the next step, as TensorBoard shows it."""

    def __call__(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes one step on one replica.

        Args:
          batch: the tensors that `inputs` names; for pix2pix `input_image` and
            `target_image`, float32 [B, H, W, C] in [-1, 1], and `noise_seed`, int32 [B, 2].

        Returns:
          Loss name -> float32 scalar, each before this step's update of its network.
        """
        values = self._run_step({name: tf.convert_to_tensor(batch[name]) for name in self.inputs})
        return dict(zip(self.loss_names, values, strict=True))

    def run_steps(self, batches: Iterator[Batch], num_steps: int) -> dict[str, tf.Tensor]:
        """Takes several steps in one call.

        Args:
          batches: iterator of a `tf.data.Dataset` or a distributed one.
          num_steps: number of steps to take.

        Returns:
          Loss name -> float32 [num_steps].

        Raises:
          TypeError: for another kind of iterator.
        """
        if not isinstance(batches, tf.data.Iterator | tf.distribute.DistributedIterator):
            raise TypeError(f"batches must be the iterator of a dataset. Received: {type(batches)}")
        return self._run_steps(batches, tf.constant(num_steps))

    def _loop(self, batches, num_steps):
        names = self.loss_names

        def step_on(place, history):
            batch = batches.get_next()
            # Other entries of the batch are left out, because XLA cannot take strings.
            total = self._step_on({name: batch[name] for name in self.inputs})
            return place + 1, history.write(place, tf.stack(total))

        history = tf.TensorArray(tf.float32, num_steps, element_shape=[len(names)])
        _, history = tf.while_loop(lambda place, _: place < num_steps, step_on, (tf.constant(0), history))
        return dict(zip(names, tf.unstack(history.stack(), num=len(names), axis=1), strict=True))

    def _step_on(self, batch: Batch) -> list[tf.Tensor]:
        """Takes one step on all replicas; returns the losses in the order of `loss_names`."""
        per_replica = self.strategy.run(self._compiled_step or self.replica_step, args=(batch,))
        if self.average is not None:
            self.average.update(self.step)
        return self.strategy.reduce(
            tf.distribute.ReduceOp.SUM, [per_replica[name] for name in self.loss_names], axis=None
        )

    def share(self, per_example: tf.Tensor) -> tf.Tensor:
        """Returns this replica's share of the mean over the global batch; the sum of all shares is that mean.

        Args:
          per_example: float32 [B].
        """
        if self.global_batch_size is not None:
            return tf.reduce_sum(per_example) / self.global_batch_size
        return tf.reduce_sum(per_example) / count_examples(per_example)


def count_examples(of_each: tf.Tensor) -> tf.Tensor:
    """Returns the number of examples in the batches of all replicas, a float32 scalar; for replica context.

    Args:
      of_each: a tensor [B, ...] of this replica's batch.
    """
    count = tf.cast(tf.shape(of_each)[0], tf.float32)
    replicas = tf.distribute.get_replica_context()
    if replicas.num_replicas_in_sync == 1:
        return count
    return replicas.all_reduce(tf.distribute.ReduceOp.SUM, count)


class TranslationStep(Step):
    """A step that trains a generator, and perhaps a discriminator: what methods have in common.

    Attributes:
      generator: `[input_image, noise_seed] -> generated_image`.
      discriminator: None where the method has none.
    """

    generator: keras.Model
    discriminator: Any
    _lean_generator: Callable[..., Any] | None = None

    @property
    def training_generator(self) -> Callable[..., Any]:
        """What computes the generated image of a step; it is called as `trained_network` is."""
        return self._lean_generator or self.trained_network

    @property
    def trained_network(self) -> keras.Model:
        """The model that takes what `give` returns, and computes the generated image of a step from it."""
        return self.generator

    def give(self, batch: Batch) -> list[tf.Tensor]:
        """Returns what the generator takes of a batch in training: input images and noise seeds."""
        return [batch["input_image"], batch["noise_seed"]]

    def rematerialize(self) -> None:
        """Takes less memory for the generator's gradient from now on, as `networks.remat` does it."""
        self._lean_generator = rematerialize(self.trained_network)

    @property
    def output_generator(self) -> keras.Model:
        """The generator that is validated and exported: the average of the weights, if one is kept."""
        return self.generator if self.average is None else self.average.model

    def keep_average(self, decay: float) -> None:
        """Keeps an average of the generator's weights from now on; for `strategy.scope()`.

        Args:
          decay: see `WeightAverage`.
        """
        self.average = WeightAverage(self.generator, decay, GENERATOR)

    @property
    def validated_generator(self) -> Any:
        """What is validated and shown while the training runs; it is called as `generator` is."""
        return self.output_generator

    @abstractmethod
    def discriminate(self, input_image: tf.Tensor, target_image: tf.Tensor, training: bool = False) -> Any:
        """Returns the patch logits, float32 [B, h, w, 1], whether or not D sees the input.

        A discriminator of several scales returns a list of them, the full size first.

        Args:
          input_image: float32 [B, H, W, C] in [-1, 1].
          target_image: real or generated, float32 [B, H, W, C] in [-1, 1].
          training: whether `batch` normalisation uses the batch's statistics.
        """


def add_own_losses(loss: tf.Tensor, network: keras.Model) -> tf.Tensor:
    """Returns this replica's share of a loss, with what the layers add to it, such as an L2 of their kernels.

    Args:
      loss: this replica's share, a float32 scalar.
      network: the network that was called for it.
    """
    own = network.losses
    if not own:
        return loss
    num_replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    return loss + tf.add_n([tf.cast(each, tf.float32) for each in own]) / num_replicas


def descend(
    tape: tf.GradientTape,
    loss: tf.Tensor,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    batch: Batch,
    variables: Sequence[Any] | None = None,
) -> None:
    """Updates a network by the gradient of a loss, but for layers that are frozen.

    The update waits for the batch: a step whose files cannot be read leaves no trace.

    Args:
      tape: the tape that has recorded the loss.
      loss: scalar, scaled as `keras_versions.scale_loss` does it for the optimizer.
      model: the network; its trainable variables are updated.
      optimizer: the optimizer that was built for these variables.
      batch: the batch that the step reads.
      variables: those of its variables that are updated; None takes all that are trainable.
    """
    variables = model.trainable_variables if variables is None else _leave_out_frozen(variables, model)
    if not variables:
        return
    gradients = tape.gradient(loss, variables)
    with tf.control_dependencies([batch["input_image"]]):
        optimizer.apply_gradients(zip(gradients, variables, strict=True))


def _leave_out_frozen(variables: Sequence[Any], model: keras.Model) -> list[Any]:
    trainable = {id(variable) for variable in model.trainable_variables}
    frozen = {id(variable) for variable in model.variables} - trainable
    return [variable for variable in variables if id(variable) not in frozen]
