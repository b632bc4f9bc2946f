"""`Pix2Pix`: both networks, their optimizers and the step of `methods/pix2pix.py` as one Keras model."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.methods.losses import LossTerm
from tfpix2pix.methods.network_checks import check_networks
from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.methods.step import Batch, count_examples
from tfpix2pix.metrics.image_quality import compute_image_quality
from tfpix2pix.model import batches
from tfpix2pix.model.callbacks import fit_callbacks
from tfpix2pix.model.configured import build_step_of
from tfpix2pix.networks.keras_versions import add_counter, tf_variable
from tfpix2pix.pipelines.base.errors import UsageError

_SCORES = ("l1", "psnr", "ssim")


@keras.utils.register_keras_serializable("tfpix2pix")
class Pix2Pix(keras.Model):
    """pix2pix as a Keras model, whose `fit` takes the steps that `tfpix2pix.TrainStep` takes.

    `fit` and `evaluate` take images, float [B, H, W, C] in [-1, 1]: a `tf.data.Dataset` or a
    `keras.utils.PyDataset` of pairs (x, y), or of dictionaries as `build_dataset` makes them, or
    arrays x and y. `fit` reports the losses of the step; `evaluate` reports `l1`, `psnr` and `ssim`, which
    callbacks know as `val_l1` (`mode="min"`), `val_psnr` and `val_ssim` (`mode="max"`). `predict` and a call
    take images, or `[images, noise_seed]`; without noise seeds all images get the same one, so that the
    answer is the same each time. In training the noise differs from step to step.

    Under `MirroredStrategy`, build and compile the model inside `strategy.scope()`. A training on several
    machines is for `train_and_evaluate`, with `strategy=multiworker`.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`.
      discriminator: as `patch_discriminator` builds it; None for the objective `l1`.
      objective: one of `l1`, `gan`, `cgan`, `l1+gan` and `l1+cgan`.
      noise_seed: the number from which the noise follows, where the data has none.
      name: name of the model.
      trainable: whether `fit` changes the networks at all; see below for single layers.

    Attributes:
      steps: the number of training steps taken, an int64 weight, which is saved with the others.
      generator_optimizer: the optimizer of the generator, which is `optimizer` too.
      discriminator_optimizer: the optimizer of the discriminator, or None. Where a callback changes the
        learning rate of `optimizer`, that of this one changes in proportion.

    As in every Keras model, a layer or a network with `trainable = False` is not changed, if that was set
    before `compile`, or with Keras 3 before the first step after it.

    Raises:
      ValueError: when called with an unknown objective, or with networks that do not fit it.

    Examples:
      >>> model = tfpix2pix.Pix2Pix(
      ...     tfpix2pix.unet_generator(32, base_filters=4), tfpix2pix.patch_discriminator(16, base_filters=4)
      ... )
      >>> model.compile()
      >>> x, y = np.zeros((2, 32, 32, 3), "float32") - 1, np.zeros((2, 32, 32, 3), "float32") - 1
      >>> history = model.fit(x, y, batch_size=1, validation_data=(x, y), verbose=0)
      >>> sorted(history.history)[-4:]
      ['l1_loss', 'val_l1', 'val_psnr', 'val_ssim']
      >>> model.predict(x, verbose=0).shape
      (2, 32, 32, 3)
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model | None = None,
        objective: str = "l1+cgan",
        noise_seed: int = 0,
        name: str | None = None,
        trainable: bool = True,
    ):
        super().__init__(name=name, trainable=trainable)
        check_networks(objective, generator, discriminator)
        self.generator = generator
        self.discriminator = discriminator
        self.objective = objective
        self.noise_seed = int(noise_seed)
        self.generator_optimizer: keras.optimizers.Optimizer | None = None
        self.discriminator_optimizer: keras.optimizers.Optimizer | None = None
        self.steps = add_counter(self, "steps")
        # Not `_losses`, which Keras has too, and empties in each call.
        self._mean_losses: dict[str, keras.metrics.Metric] = {}
        self._mean_scores = {name: keras.metrics.Mean(name=name) for name in _SCORES}
        self._step: Any = None  # a `TrainStep`, once the model is compiled
        self._looked_at: set[str] = set()
        self.built = True
        if not trainable:
            for network in filter(None, (generator, discriminator)):
                network.trainable = False

    @classmethod
    def from_config_of(cls, config: Config | str | Path, total_steps: int | None = None) -> "Pix2Pix":
        """Builds and compiles the model of a configuration, with the random weights that `train` begins with.

        Args:
          config: as `make_config` makes it, or the folder of a run, whose settings are taken. What it says of
            data, records and checkpoints has no effect, nor have `init_from`, `ema_decay` and `remat`. With
            `input_encoding=one_hot` the classes are those of the run; without a run, those of the dataset.
          total_steps: number of steps of the whole training, for `lr_schedule=linear_decay`.

        Raises:
          UsageError: when the schedule needs `total_steps`, for another method than pix2pix, when there is
            no such run, or when the classes of label maps are not known.
        """
        step, config = build_step_of(config, total_steps)
        model = cls(step.generator, step.discriminator, config.objective)
        model.compile(
            step.generator_optimizer,
            step.discriminator_optimizer if step.discriminator is not None else None,
            gan_loss=config.gan_loss,
            lambda_l1=config.lambda_l1,
            terms=step.terms,
            jit_compile=config.jit_compile,
        )
        return model

    def compile(
        self,
        generator_optimizer: keras.optimizers.Optimizer | str | None = None,
        discriminator_optimizer: keras.optimizers.Optimizer | str | None = None,
        *,
        gan_loss: str = "cross_entropy",
        lambda_l1: float = 100.0,
        terms: Mapping[str, LossTerm] | None = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool = False,
    ) -> None:
        """Prepares for `fit` and `evaluate`; the defaults are the paper's.

        Args:
          generator_optimizer: an optimizer, or the name of one; None takes the paper's Adam, `build_adam()`.
            For networks that compute in float16 an optimizer gets a dynamic loss scale, if it has none.
          discriminator_optimizer: as `generator_optimizer`.
          gan_loss: the loss of the GAN, as `TrainStep` takes it.
          lambda_l1: weight of the L1 loss.
          terms: further terms of the generator's loss, by name, as `TrainStep` takes them. A model with such
            terms is saved without its settings of `compile`, because functions are not saved.
          run_eagerly: as in every Keras model.
          steps_per_execution: as in every Keras model.
          jit_compile: whether XLA compiles the steps, on one device.

        Raises:
          UsageError: when several workers are to train.
          ValueError: for `jit_compile` with several devices.
        """
        strategies = (tf.distribute.MultiWorkerMirroredStrategy, tf.distribute.ParameterServerStrategy)
        if isinstance(self.distribute_strategy, strategies):
            raise UsageError(
                "Pix2Pix trains in one process, on one or several devices; several workers train "
                "with train_and_evaluate and `strategy=multiworker`"
            )
        with self.distribute_strategy.scope():
            self._step = TrainStep(
                self.generator,
                self.discriminator,
                objective=self.objective,
                generator_optimizer=generator_optimizer and keras.optimizers.get(generator_optimizer),
                discriminator_optimizer=discriminator_optimizer
                and keras.optimizers.get(discriminator_optimizer),
                gan_loss=gan_loss,
                lambda_l1=lambda_l1,
                terms=terms,
                jit_compile=jit_compile,
            )
            self._step.step = tf_variable(self.steps)
            self._mean_losses = {name: keras.metrics.Mean(name=name) for name in self._step.loss_names}
        how = {
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }
        self._settings = {"gan_loss": gan_loss, "lambda_l1": lambda_l1, **how}
        self.generator_optimizer = self._step.generator_optimizer
        self.discriminator_optimizer = getattr(self._step, "discriminator_optimizer", None)
        super().compile(optimizer=self.generator_optimizer, **how)

    def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, **kwargs):
        """Trains; the arguments are those of `keras.Model.fit`, but for weights of samples and classes."""
        if kwargs.get("class_weight") is not None:
            raise UsageError("`class_weight` is not supported: the losses weigh all pairs the same")
        callbacks = fit_callbacks(callbacks)
        if isinstance(x, tf.data.Dataset):
            # Keras shuffles arrays alone, and newer versions warn that their own default does nothing here.
            kwargs.setdefault("shuffle", False)
        with self._looking("fit", x, y) as x:
            kwargs = {name: batches.without_texts(each) for name, each in kwargs.items()}
            return super().fit(batches.without_texts(x), y, batch_size, epochs, verbose, callbacks, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Scores; the arguments are those of `keras.Model.evaluate`, but for weights of samples."""
        with self._looking("evaluate", x, y) as x:
            return super().evaluate(batches.without_texts(x), y, *args, **kwargs)

    def predict(self, x, *args, latent=None, **kwargs):
        """Returns the generated images; the arguments are those of `keras.Model.predict`, and `latent`."""
        with self._looking("predict", x) as x:
            if latent is not None:
                images = batches.read_in_memory(x, self.noise_seed)
                return self.generator.predict(images, *args, latent=latent, **kwargs)
            return super().predict(x, *args, **kwargs)

    def export(self, *args, **kwargs):
        """Raises UsageError: the generator is what is exported, by `tfpix2pix.export_saved_model`."""
        raise UsageError("export the generator: tfpix2pix.export_saved_model(model.generator, folder)")

    @contextlib.contextmanager
    def _looking(self, call: str, x: Any, y: Any = None) -> Iterator[Any]:
        """Checks what is given, and warns of its values until a call of its kind has succeeded; gives `x`."""
        batches.check_ranks(x, y)
        yield x if call in self._looked_at else batches.warn_of_ranges(x, y)
        self._looked_at.add(call)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What `fit` reports of a step, and the scores of `evaluate`."""
        return [*self._mean_losses.values(), *self._mean_scores.values()]

    def _read_batch(self, data: Any, step: tf.Tensor | None = None) -> Batch:
        return batches.with_channels(batches.read_batch(data, self.noise_seed, step), self.generator)

    def train_step(self, data):
        """Takes one training step on this replica's batch; returns the mean losses of the epoch so far."""
        batch = self._read_batch(data, self._step.step)
        shares = self._step.replica_step(batch)
        num_examples = count_examples(batch["input_image"])
        num_replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        for name, mean in self._mean_losses.items():
            mean.update_state(shares[name] * num_replicas, sample_weight=num_examples)
        return {name: mean.result() for name, mean in self._mean_losses.items()}

    def test_step(self, data):
        """Scores one batch; returns the mean scores so far."""
        batch = self._read_batch(data)
        generated_image = self.generator([batch["input_image"], batch["noise_seed"]], training=False)
        scores = compute_image_quality(batch["target_image"], generated_image)
        for name, mean in self._mean_scores.items():
            mean.update_state(scores[name])
        return {name: mean.result() for name, mean in self._mean_scores.items()}

    def _get_metrics_result_or_logs(self, logs):
        # Keras 3.13 and earlier leave the tensors of steps like these in what fit and evaluate return.
        result = super()._get_metrics_result_or_logs(logs)
        return {name: float(value) for name, value in result.items()} if isinstance(result, dict) else result

    def call(self, inputs, training=False):
        """Returns the generated images, float32 [B, H, W, C], of images or of `[images, noise_seed]`."""
        return self.generator(list(batches.read_inputs(inputs, self.noise_seed)), training=training)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` builds an equal model of, without its weights."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "generator": keras.saving.serialize_keras_object(self.generator),
            "discriminator": keras.saving.serialize_keras_object(self.discriminator),
            "objective": self.objective,
            "noise_seed": self.noise_seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None):
        """Builds the model that `get_config` describes, with random weights."""
        networks = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in ("generator", "discriminator")
        }
        return cls(**{**config, **networks})

    def get_compile_config(self) -> dict[str, Any] | None:
        """Returns the arguments of `compile`; None for a model that is not compiled, or has `terms`."""
        if self.generator_optimizer is None or self._step.terms:
            return None
        return {
            "generator_optimizer": keras.saving.serialize_keras_object(self.generator_optimizer),
            "discriminator_optimizer": keras.saving.serialize_keras_object(self.discriminator_optimizer),
            **self._settings,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model as `get_compile_config` describes it."""
        self.compile(**keras.saving.deserialize_keras_object(config))
