"""One training step with plain gradient descent, written out line by line."""

import keras
import tensorflow as tf


def take_step(
    generator: keras.Model,
    discriminator: keras.Model,
    batch: dict[str, tf.Tensor],
    learning_rate: float,
    lambda_l1: float,
    gan_weight: float = 1.0,
    discriminator_first: bool = True,
) -> None:
    """Updates both networks in place: D, then G against the updated D (or, for contrast, the other way)."""
    conditional = len(discriminator.inputs) == 2

    def judge(image: tf.Tensor) -> tf.Tensor:
        return discriminator([batch["input_image"], image] if conditional else image, training=True)

    def cross_entropy(logits: tf.Tensor, label: float) -> tf.Tensor:
        return -tf.reduce_mean(tf.math.log(tf.sigmoid(logits if label else -logits)))

    def generate() -> tf.Tensor:
        return generator([batch["input_image"], batch["noise_seed"]], training=True)

    def update_discriminator(generated_image: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            real = cross_entropy(judge(batch["target_image"]), 1.0)
            loss = (real + cross_entropy(judge(generated_image), 0.0)) / 2
        _descend(discriminator, tape, loss, learning_rate)

    def update_generator() -> None:
        with tf.GradientTape() as tape:
            generated_image = generate()
            l1 = tf.reduce_mean(tf.abs(batch["target_image"] - generated_image))
            loss = gan_weight * cross_entropy(judge(generated_image), 1.0) + lambda_l1 * l1
        _descend(generator, tape, loss, learning_rate)

    generated_image = generate()
    if discriminator_first:
        update_discriminator(generated_image)
    update_generator()
    if not discriminator_first:
        update_discriminator(generated_image)


def _descend(model: keras.Model, tape: tf.GradientTape, loss: tf.Tensor, learning_rate: float) -> None:
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
    ):
        variable.assign_sub(learning_rate * gradient)
