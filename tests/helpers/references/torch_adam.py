"""Adam as PyTorch has it, for steps that are compared with recorded ones."""

import keras

from tfpix2pix.methods import optimizers

# PyTorch's Adam adds epsilon, 1e-8, to the bias-corrected root; Keras and the original Lua code add it
# before the correction, which makes theirs up to 1/sqrt(1 - 0.999) times as strong in the first steps.
TORCH_EPSILON = 1e-8 * (1 - optimizers.ADAM_BETA_2) ** 0.5


def build_torch_adam() -> keras.optimizers.Optimizer:
    """Returns the optimizer with the rate and the betas of the paper."""
    return keras.optimizers.Adam(2e-4, optimizers.ADAM_BETA_1, optimizers.ADAM_BETA_2, TORCH_EPSILON)
