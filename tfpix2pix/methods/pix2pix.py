"""One training step, D and then G, as a `tf.function` under `strategy.run`."""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.methods import losses
from tfpix2pix.methods.optimizers import build_adam
from tfpix2pix.networks.keras_versions import scale_loss

Batch = dict[str, tf.Tensor]

GAN_LOSS_NAMES = (
    "discriminator_loss",
    "discriminator_real_loss",
    "discriminator_generated_loss",
    "generator_gan_loss",
)


class TrainStep:
    """The generator, the discriminator, their optimizers, and one step of both.

    Build it inside `strategy.scope()`.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`.
      discriminator: as `discriminators.patch_discriminator` builds it; None for
        the objective `l1`.
      objective: one of `losses.OBJECTIVES`. `gan` and `l1+gan` take a
        discriminator of the target alone, `cgan` and `l1+cgan` a conditional one.
      lambda_l1: weight of the L1 loss.
      generator_optimizer: a Keras optimizer; None: `build_adam()`.
      discriminator_optimizer: likewise.
      global_batch_size: what losses are divided by; all replicas together.
      jit_compile: whether XLA compiles the step.

    Attributes:
      step: int64 variable, the number of steps taken.

    Raises:
      ValueError: for an unknown objective, a discriminator that does not fit it,
        or `jit_compile` with several replicas.

    Example:
    >>> generator = tfpix2pix.unet_generator((32, 32), base_filters=4)
    >>> discriminator = tfpix2pix.patch_discriminator(16, base_filters=4)
    >>> train_step = tfpix2pix.TrainStep(generator, discriminator)
    >>> batch = {"input_image": tf.zeros([1, 32, 32, 3]), "target_image": tf.ones([1, 32, 32, 3]),
    ...          "noise_seed": tf.zeros([1, 2], tf.int32)}
    >>> sorted(train_step(batch))
    ['discriminator_generated_loss', 'discriminator_loss', 'discriminator_real_loss', \
'generator_gan_loss', 'generator_loss', 'l1_loss']
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model | None = None,
        *,
        objective: str = "l1+cgan",
        lambda_l1: float = 100.0,
        generator_optimizer: keras.optimizers.Optimizer | None = None,
        discriminator_optimizer: keras.optimizers.Optimizer | None = None,
        global_batch_size: int = 1,
        jit_compile: bool = False,
    ):
        _check_objective(objective, discriminator)
        self.generator = generator
        self.discriminator: Any = discriminator  # None for the objective l1
        self.conditional = "cgan" in objective
        self.lambda_l1 = lambda_l1 if "l1" in objective else 0.0
        self.global_batch_size = global_batch_size
        self.generator_optimizer = generator_optimizer or build_adam()
        self.generator_optimizer.build(generator.trainable_variables)
        if discriminator is not None:
            self.discriminator_optimizer = discriminator_optimizer or build_adam()
            self.discriminator_optimizer.build(discriminator.trainable_variables)
        self.strategy = tf.distribute.get_strategy()
        self.step = tf.Variable(
            0, dtype=tf.int64, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
        )
        if jit_compile and self.strategy.num_replicas_in_sync > 1:
            # The step holds the optimizers' all-reduce.
            raise ValueError(
                "jit_compile works on one replica, as XLA cannot compile what replicas exchange. "
                f"Received: {self.strategy.num_replicas_in_sync} replicas"
            )
        self._compiled_step = tf.function(self.replica_step, jit_compile=True) if jit_compile else None
        # Its loop is the only Python for AutoGraph to convert; elsewhere it is off, for a faster start.
        self._run_steps = tf.function(self._loop)

    def __call__(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes one step on one replica.

        Args:
          batch: `input_image` and `target_image`, float32 [B, H, W, C] in
            [-1, 1]; `noise_seed`, int32 [B, 2].

        Returns:
          Loss name -> float32 scalar, each before this step's update of its network.
        """
        batches = iter(tf.data.Dataset.from_tensors(batch))
        return {name: values[0] for name, values in self.run_steps(batches, 1).items()}

    def run_steps(self, batches: Iterator[Batch], num_steps: int) -> dict[str, tf.Tensor]:
        """Takes several steps in one call.

        Args:
          batches: iterator of a `tf.data.Dataset` or a distributed one.
          num_steps: how many to take.

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
        history = tf.TensorArray(tf.float32, num_steps, element_shape=[len(names)])
        for place in tf.range(num_steps):
            batch = next(batches)
            # Not what else is in it: XLA cannot take strings.
            images = {name: batch[name] for name in ("input_image", "target_image", "noise_seed")}
            per_replica = self.strategy.run(self._compiled_step or self.replica_step, args=(images,))
            total = self.strategy.reduce(
                tf.distribute.ReduceOp.SUM, [per_replica[name] for name in names], axis=None
            )
            history = history.write(place, tf.stack(total))
        return dict(zip(names, tf.unstack(history.stack(), num=len(names), axis=1), strict=True))

    @property
    def loss_names(self) -> tuple[str, ...]:
        """The keys of what a step returns."""
        names = ("l1_loss", "generator_loss")
        return names if self.discriminator is None else (*GAN_LOSS_NAMES, *names)

    @tf.autograph.experimental.do_not_convert
    def replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes one step on this replica's batch, in replica context.

        Args:
          batch: see `__call__`.

        Returns:
          Loss name -> this replica's share: the sum over its examples divided
          by the global batch size.
        """
        input_image, target_image = batch["input_image"], batch["target_image"]
        values = {}
        with tf.GradientTape() as tape:
            generated_image = self.generator([input_image, batch["noise_seed"]], training=True)
            l1 = self._share(losses.l1_loss(target_image, generated_image))
            generator_loss = self.lambda_l1 * l1
            if self.discriminator is not None:
                # D first, then G against the updated D (Sec. 3.3).
                with tape.stop_recording():
                    values = self._update_discriminator(input_image, target_image, generated_image)
                generated_logits = self.discriminate(input_image, generated_image, training=True)
                gan = self._share(losses.generator_gan_loss(generated_logits))
                values["generator_gan_loss"] = gan
                generator_loss += gan
            scaled_loss = scale_loss(self.generator_optimizer, generator_loss)
        variables = self.generator.trainable_variables
        gradients = tape.gradient(scaled_loss, variables)
        # Counts wait for the batch as the weights do: a step whose files cannot be read leaves no trace.
        with tf.control_dependencies([input_image]):
            self.generator_optimizer.apply_gradients(zip(gradients, variables, strict=True))
            self.step.assign_add(1)
        return {**values, "l1_loss": l1, "generator_loss": generator_loss}

    def _update_discriminator(self, input_image, target_image, generated_image):
        with tf.GradientTape() as tape:
            real_logits = self.discriminate(input_image, target_image, training=True)
            generated_logits = self.discriminate(input_image, generated_image, training=True)
            real = self._share(losses.discriminator_real_loss(real_logits))
            generated = self._share(losses.discriminator_generated_loss(generated_logits))
            # Sec. 3.3: halved, to slow D down relative to G.
            discriminator_loss = 0.5 * (real + generated)
            scaled_loss = scale_loss(self.discriminator_optimizer, discriminator_loss)
        variables = self.discriminator.trainable_variables
        gradients = tape.gradient(scaled_loss, variables)
        with tf.control_dependencies([input_image]):  # see above
            self.discriminator_optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return {
            "discriminator_loss": discriminator_loss,
            "discriminator_real_loss": real,
            "discriminator_generated_loss": generated,
        }

    def discriminate(
        self, input_image: tf.Tensor, target_image: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """Returns the patch logits, float32 [B, h, w, 1], whether or not D sees the input.

        Args:
          input_image: float32 [B, H, W, C] in [-1, 1].
          target_image: real or generated, the same shape and range.
          training: whether `batch` normalisation uses the batch's statistics.
        """
        inputs = [input_image, target_image] if self.conditional else target_image
        return self.discriminator(inputs, training=training)

    def _share(self, per_example: tf.Tensor) -> tf.Tensor:
        # Divided by the global batch size, and summed over replicas: the mean over
        # the global batch whatever the number of replicas.
        return tf.reduce_sum(per_example) / self.global_batch_size


def _check_objective(objective: str, discriminator: keras.Model | None) -> None:
    if objective not in losses.OBJECTIVES:
        raise ValueError(f"objective must be one of {losses.OBJECTIVES}. Received: objective={objective!r}")
    needs_inputs = 2 if "cgan" in objective else 1 if "gan" in objective else 0
    has_inputs = len(discriminator.inputs) if discriminator is not None else 0
    if needs_inputs != has_inputs:
        wanted = {0: "no discriminator", 1: "one of the target alone", 2: "a conditional one"}
        raise ValueError(
            f"objective={objective!r} takes {wanted[needs_inputs]}. "
            f"Received: a discriminator with {has_inputs} inputs"
        )
