"""One training step of FCN-8s: Adam lowers the loss over the pixels that have a class."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.methods.optimizers import ADAM_BETA_2, ADAM_EPSILON, FusedAdam
from tfpix2pix.methods.step import Batch, Step, descend
from tfpix2pix.networks.keras_versions import next_rate
from tfpix2pix.networks.variables import trained_variables
from tfpix2pix.pipelines.files.sources import Source

PREFIX = "fcn"
# This is the default of Adam; the 0.5 of GANs makes the training of a single network slower.
ADAM_BETA_1 = 0.9


class FcnStep(Step):
    """One training step: Adam lowers the loss of a batch.

    Args:
      network: a model: images -> logits.
      class_weights: [K]; the weight that the pixels of each class have in the loss.
      learning_rate: a number or a Keras schedule.
    """

    inputs = ("input_image", "target_ids")

    def __init__(self, network: keras.Model, class_weights: np.ndarray, learning_rate: Any):
        self.network = network
        self.optimizer = FusedAdam(learning_rate, ADAM_BETA_1, ADAM_BETA_2, ADAM_EPSILON)
        self.optimizer.build(network.trainable_variables)
        self._class_weights = tf.constant(class_weights, tf.float32)
        super().__init__()

    def variables(self) -> dict[str, tf.Variable]:
        """Returns all that a checkpoint holds."""
        return {"step": self.step, **trained_variables(PREFIX, self.network, self.optimizer)}

    @property
    def loss_names(self) -> tuple[str, ...]:
        """The name of the only loss."""
        return ("loss",)

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return next_rate(self.optimizer)

    @tf.autograph.experimental.do_not_convert
    def replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes one step; returns the loss, float32 scalar, as `loss`."""
        with tf.GradientTape() as tape:
            logits = self.network(batch["input_image"], training=True)
            loss = cross_entropy(batch["target_ids"], logits, self._class_weights)
        descend(tape, loss, self.network, self.optimizer, batch)
        with tf.control_dependencies([batch["input_image"]]):
            self.step.assign_add(1)
        return {"loss": loss}


def cross_entropy(target_ids: tf.Tensor, logits: tf.Tensor, class_weights: tf.Tensor) -> tf.Tensor:
    """Returns the mean softmax cross-entropy over the pixels that have a class, or 0 if none has.

    Args:
      target_ids: uint8 [B, H, W]; pixels whose id is K or more, such as `Palette.no_class`,
        do not count.
      logits: float [B, H, W, K].
      class_weights: float32 [K]; factors for the pixels of each class.
    """
    num_classes = class_weights.shape[0]
    ids = tf.cast(target_ids, tf.int32)
    counted = ids < num_classes
    ids = tf.where(counted, ids, 0)
    weights = tf.where(counted, tf.gather(class_weights, ids), 0.0)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(ids, tf.cast(logits, tf.float32))
    return tf.reduce_sum(losses * weights) / tf.maximum(tf.reduce_sum(tf.cast(counted, tf.float32)), 1.0)


def balance_classes(source: Source, num_classes: int) -> np.ndarray:
    """Returns for each of the K classes the median frequency of all classes divided by its own.

    The frequency of a class is its share of the pixels in the images that have it. A class
    that does not occur gets 0.

    Source: Eigen and Fergus, 2015, as in SegNet.
    """
    pixels, in_images = np.zeros(num_classes), np.zeros(num_classes)
    for index in tf.range(len(source), dtype=tf.int64):
        counts = np.bincount(source.read(index)[1].numpy().ravel(), minlength=256)[:num_classes]
        pixels += counts
        in_images += counts.sum() * (counts > 0)
    present = pixels > 0
    frequency = pixels[present] / in_images[present]
    weights = np.zeros(num_classes)
    weights[present] = np.median(frequency) / frequency
    return weights
