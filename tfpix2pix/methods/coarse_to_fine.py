"""A training in stages, each of which trains a part of one generator: from coarse images to fine ones."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.methods.step import Batch, TranslationStep
from tfpix2pix.networks.variables import (
    DISCRIMINATOR,
    ENCODER,
    GENERATOR,
    model_variables,
    optimizer_variables,
    weights_of,
)
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.tasks.transforms import Resize, resize


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the training.

    Attributes:
      name: what it is called in messages and in checkpoints.
      end: number of steps of the whole training after which it is over.
      step: the step that is taken in it, of pix2pixHD.
      shrink: by how much the images of its batches are smaller than those of the training.
    """

    name: str
    end: int
    step: TrainStep
    shrink: int = 1


class CoarseToFineStep(TranslationStep):
    """Takes the steps of one stage after the other, on the same weights.

    The stage follows from the number of steps alone, and a checkpoint holds the optimizers of all stages. So
    a run that is interrupted goes on to the same bits, in whatever stage it was.

    Args:
      stages: the stages in their order. The last one has the whole generator, and all have the same
        discriminator.
      resize_input: resizes input images, as the task of the training does.
      global_batch_size: as for `Step`.
      jit_compile: as for `Step`.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        resize_input: Resize = resize,
        global_batch_size: int | None = None,
        jit_compile: bool = False,
    ):
        super().__init__(global_batch_size, jit_compile)
        self.stages = tuple(stages)
        self.generator = stages[-1].step.generator
        self.discriminator = stages[-1].step.discriminator
        self._resize_input = resize_input
        self._entered: Stage | None = None
        for stage in stages:
            stage.step.step = self.step

    def rematerialize(self) -> None:
        """Takes less memory in the stages of the whole size, as `TranslationStep` says it."""
        for stage in self.stages:
            if stage.shrink == 1:
                stage.step.rematerialize()

    @tf.autograph.experimental.do_not_convert
    def replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes a step of the stage that was entered last."""
        stage = self._entered or self.stages[-1]
        return stage.step.replica_step(self._shrink_batch(batch, stage))

    @property
    def encoder(self) -> keras.Model | None:
        """The encoder of features of instances, which all stages train; None where there is none."""
        return self.stages[-1].step.encoder

    def encode(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns features and instances of a batch, as `HDTrainStep` does, at the size of the stage."""
        stage = self._entered or self._find_stage()
        return stage.step.encode(self._shrink_batch(batch, stage))

    def _shrink_batch(self, batch: Batch, stage: Stage) -> Batch:
        if stage.shrink == 1:
            return batch
        input_image = _shrink(batch["input_image"], stage.shrink, self._resize_input)
        target_image = _shrink(batch["target_image"], stage.shrink, resize)
        return {**batch, "input_image": input_image, "target_image": target_image}

    def __call__(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes one step on one replica, as `Step` says it."""
        self._enter()
        return super().__call__(batch)

    def run_steps(self, batches: Iterator[Batch], num_steps: int) -> dict[str, tf.Tensor]:
        """Takes several steps, as `Step` says it; they may be of several stages."""
        histories = []
        while num_steps > 0:
            count = min(num_steps, max(1, self._enter().end - int(self.step.numpy())))
            histories.append(super().run_steps(batches, count))
            num_steps -= count
        return {name: tf.concat([each[name] for each in histories], 0) for name in self.loss_names}

    def _enter(self) -> Stage:
        """Returns the stage of the next step; where it begins, says so and forgets the graph of the last."""
        stage = self._find_stage()
        if stage is not self._entered:
            self._entered = stage
            self._compile()
            say(f"{self.stage} from step {int(self.step.numpy()) + 1} on")
        return stage

    def _find_stage(self) -> Stage:
        done = int(self.step.numpy())
        return next((stage for stage in self.stages if done < stage.end), self.stages[-1])

    @property
    def stage(self) -> str:
        """Which stage was entered last, for people."""
        stage = self._entered or self._find_stage()
        size = f", at 1/{stage.shrink} of the size" if stage.shrink > 1 else ""
        return f"stage {self.stages.index(stage) + 1} of {len(self.stages)} ({stage.name}{size})"

    @property
    def validated_generator(self) -> Callable[..., tf.Tensor]:
        """The generator of the stage that was entered last, whose images are enlarged to the whole size."""
        stage = self._entered or self.stages[-1]
        if stage.shrink == 1:
            return self.output_generator
        return _Enlarging(stage.step.generator, stage.shrink, self._resize_input)

    def discriminate(self, input_image: tf.Tensor, target_image: tf.Tensor, training: bool = False) -> Any:
        """Returns the patch logits, as `TranslationStep` says it."""
        return self.stages[-1].step.discriminate(input_image, target_image, training)

    @property
    def loss_names(self) -> tuple[str, ...]:
        """The keys of what a step returns."""
        return self.stages[-1].step.loss_names

    def variables(self) -> dict[str, tf.Variable]:
        """Returns all that a checkpoint holds, by name.

        The last stage has the names of a training without stages.
        """
        variables = {"step": self.step, **model_variables(GENERATOR, self.generator)}
        if self.discriminator is not None:
            variables |= model_variables(DISCRIMINATOR, self.discriminator)
        if self.encoder is not None:
            variables |= model_variables(ENCODER, self.encoder)
        shared = {id(weight) for weight in weights_of(self.generator).values()}
        for stage in self.stages:
            step, prefix = stage.step, "" if stage is self.stages[-1] else f"{stage.name}_"
            own = model_variables(f"{prefix}{GENERATOR}", step.generator)
            variables |= {name: weight for name, weight in own.items() if id(weight) not in shared}
            variables |= optimizer_variables(
                f"{prefix}{GENERATOR}_optimizer", step.generator_optimizer, step.generator_variables
            )
            if self.discriminator is not None:
                trained = self.discriminator.trainable_variables
                name = f"{prefix}{DISCRIMINATOR}_optimizer"
                variables |= optimizer_variables(name, step.discriminator_optimizer, trained)
        return variables

    @property
    def rate(self) -> float:
        """The learning rate of the generator's next step."""
        return self._find_stage().step.rate


class _Enlarging:
    """A generator of small images for images of the whole size; it is called as a Keras model is."""

    def __init__(self, generator: keras.Model, shrink: int, resize_input: Resize):
        self._parts = generator, shrink, resize_input

    # Two of the same parts are equal, so that what is compiled for one is found for the other.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Enlarging) and self._parts == other._parts

    def __hash__(self) -> int:
        return hash(self._parts[1])

    def __call__(self, inputs: Sequence[tf.Tensor], training: bool = False) -> tf.Tensor:
        generator, shrink, resize_input = self._parts
        input_image, noise_seed = inputs
        small = generator([_shrink(input_image, shrink, resize_input), noise_seed], training=training)
        return resize(small, tf.shape(input_image)[1:3])


def _shrink(images: tf.Tensor, divisor: int, resize_image: Resize) -> tf.Tensor:
    return resize_image(images, tf.maximum(1, tf.shape(images)[1:3] // divisor))
