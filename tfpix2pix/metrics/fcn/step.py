"""One training step of FCN-8s: the loss of the pixels that have a class, and Adam."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.methods.optimizers import ADAM_BETA_2, ADAM_EPSILON, FusedAdam
from tfpix2pix.networks.variables import model_variables, optimizer_variables
from tfpix2pix.pipelines.batches import Batch
from tfpix2pix.pipelines.files.sources import Source

PREFIX = "fcn"
ADAM_BETA_1 = 0.9  # Adam's own; the 0.5 of GANs slows a single network down


class FcnStep:
    """One step: the loss of a batch, and Adam.

    Args:
      network: images -> logits.
      class_weights: [K], of each class's pixels in the loss.
      learning_rate: a number or a schedule.
    """

    def __init__(self, network: keras.Model, class_weights: np.ndarray, learning_rate: Any):
        self.network = network
        self.optimizer = FusedAdam(learning_rate, ADAM_BETA_1, ADAM_BETA_2, ADAM_EPSILON)
        self.optimizer.build(network.trainable_variables)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._class_weights = tf.constant(class_weights, tf.float32)

    def variables(self) -> dict[str, tf.Variable]:
        """Returns all that a checkpoint holds."""
        return {
            "step": self.step,
            **model_variables(PREFIX, self.network),
            **optimizer_variables(f"{PREFIX}_optimizer", self.optimizer, self.network),
        }

    @tf.function(reduce_retracing=True, autograph=False)
    def run(self, batch: Batch) -> tf.Tensor:
        """Takes one step; returns the loss, float32 scalar."""
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            logits = self.network(batch["input_image"], training=True)
            loss = cross_entropy(batch["target_ids"], logits, self._class_weights)
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.step.assign_add(1)
        return loss


def cross_entropy(target_ids: tf.Tensor, logits: tf.Tensor, class_weights: tf.Tensor) -> tf.Tensor:
    """Returns the mean softmax cross-entropy of the pixels that have a class; 0 where none has.

    Args:
      target_ids: uint8 [B, H, W]; `labels.IGNORED` and others beyond K do not count.
      logits: float [B, H, W, K].
      class_weights: float32 [K], factors of each class's pixels.
    """
    num_classes = class_weights.shape[0]
    ids = tf.cast(target_ids, tf.int32)
    counted = ids < num_classes
    ids = tf.where(counted, ids, 0)
    weights = tf.where(counted, tf.gather(class_weights, ids), 0.0)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(ids, tf.cast(logits, tf.float32))
    return tf.reduce_sum(losses * weights) / tf.maximum(tf.reduce_sum(tf.cast(counted, tf.float32)), 1.0)


def balance_classes(source: Source, num_classes: int) -> np.ndarray:
    """Returns the median frequency of the classes over each one's own, [K]; 0 for a class that is absent.

    A class's frequency is its share of the pixels of the images that have it.

    Source: Eigen and Fergus, 2015, as in SegNet.
    """
    pixels, in_images = np.zeros(num_classes), np.zeros(num_classes)
    for index in tf.data.Dataset.range(len(source)):
        counts = np.bincount(source.read(index)[1].numpy().ravel(), minlength=256)[:num_classes]
        pixels += counts
        in_images += counts.sum() * (counts > 0)
    present = pixels > 0
    frequency = pixels[present] / in_images[present]
    weights = np.zeros(num_classes)
    weights[present] = np.median(frequency) / frequency
    return weights
