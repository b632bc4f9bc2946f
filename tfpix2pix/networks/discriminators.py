"""The paper's patch discriminators as functional Keras models."""

from typing import Any

import keras

from tfpix2pix.config.choices import STRIDED_CONVOLUTIONS
from tfpix2pix.networks import layers
from tfpix2pix.networks.class_channels import encode_input
from tfpix2pix.networks.keras_versions import default_policy, layer_calls
from tfpix2pix.networks.normalization import StatelessNormalization, needs_bias
from tfpix2pix.pipelines.meaning import Palette


def patch_discriminator(
    receptive_field: int = 70,
    input_channels: int = 3,
    target_channels: int = 3,
    *,
    conditional: bool = True,
    base_filters: int = 64,
    normalization: str = "batch",
    conv_kernels: str = "auto",
    palette: Palette | None = None,
    dtype: str | None = None,
) -> keras.Model:
    """Builds a discriminator that judges each `receptive_field` px patch on its own.

    Args:
      receptive_field: 1, 16, 34, 70, 142, 286 or 574 px.
      input_channels: channels of the input image; unused when not conditional.
      target_channels: channels of the real or generated image.
      conditional: whether the network sees the input image too.
      base_filters: filters of the first convolution (64 in the paper).
      normalization: `none`, or a `kind` of `normalization.StatelessNormalization`: `batch`,
        `instance` or `plain_instance`.
      conv_kernels: `auto` turns convolutions of small maps into matmuls on a CPU, where
        that is faster; `native` takes TensorFlow's kernels everywhere.
      palette: classes of the input label map, of which the network sees a channel for each class in
        place of their colours; None for pictures.
      dtype: Keras dtype policy; None takes the one that is set for all of Keras. Logits come out
        as float32.

    Returns:
      A functional model `[input_image, target_image] -> patch_logits`, or
      `target_image -> patch_logits` when not conditional: float32
      [B, H, W, C] in [-1, 1] of any size to float32 [B, h, w, 1], 30x30 for
      256x256 at 70 px.

    Raises:
      ValueError: for another receptive field, or an unknown name.

    Source: Sec. 3.2.2, 6.1.2; strides and paddings from the original code.

    Example:
    >>> patch_discriminator(70).count_params()
    2768705
    """
    if receptive_field not in STRIDED_CONVOLUTIONS:
        raise ValueError(
            f"receptive_field must be one of {sorted(STRIDED_CONVOLUTIONS)} px. "
            f"Received: receptive_field={receptive_field}"
        )
    dtype = dtype or default_policy()
    target_image = keras.Input((None, None, target_channels), name="target_image")
    inputs, images = target_image, target_image
    if conditional:
        input_image = keras.Input((None, None, input_channels), name="input_image")
        inputs = [input_image, target_image]
        seen = encode_input(input_image, palette)
        images = keras.layers.Concatenate(name="pair", dtype=dtype)([seen, target_image])
    for block, (filters, kernel_size, strides) in enumerate(_blocks(receptive_field, base_filters), start=1):
        # Sec. 6.1.2: no norm in the first block.
        norm = normalization if block > 1 else "none"
        options = {"use_bias": needs_bias(norm), "conv_kernels": conv_kernels, "dtype": dtype}
        images = _convolution(images, filters, kernel_size, strides, f"patch_{block}", **options)
        if norm != "none":
            images = StatelessNormalization(norm, name=f"patch_{block}_norm", dtype=dtype)(images)
        images = keras.layers.LeakyReLU(0.2, name=f"patch_{block}_relu", dtype=dtype)(images)
    kernel_size = 1 if receptive_field == 1 else 4
    images = _convolution(images, 1, kernel_size, 1, "patch_logits", dtype=dtype)
    logits = keras.layers.Activation("linear", name="patch_logits", dtype="float32")(images)
    return keras.Model(inputs, logits, name=f"patch_discriminator_{receptive_field}px")


def _blocks(receptive_field: int, base_filters: int) -> list[tuple[int, int, int]]:
    """Returns (filters, kernel size, stride) of each block but the last convolution."""
    if receptive_field == 1:
        return [(base_filters, 1, 1), (2 * base_filters, 1, 1)]
    strided = STRIDED_CONVOLUTIONS[receptive_field]
    return [(base_filters * min(2**block, 8), 4, 2 if block < strided else 1) for block in range(strided + 1)]


def _convolution(images, filters, kernel_size, strides, name, **options):
    return layers.PaddedConv2D(
        filters,
        kernel_size,
        strides,
        pad_px=0 if kernel_size == 1 else 1,
        kernel_initializer=layers.weight_initializer(),
        name=f"{name}_conv",
        **options,
    )(images)


def with_features(discriminator: keras.Model) -> keras.Model:
    """Returns a discriminator that gives its features too, as a loss that matches features needs them.

    A feature is the output of a layer that applies a nonlinearity: of `LeakyReLU`, `ReLU`, `PReLU`
    or `ELU`, or of a layer whose own `activation` is not linear, such as `Conv2D(activation="relu")`.
    The layer that gives the logits does not count. Nonlinearities that are not layers of the model
    itself, but operations or layers of a model inside it, are not found.

    Args:
      discriminator: any functional model with one output, such as `patch_discriminator` builds.

    Returns:
      A functional model of the same layers, so of the same weights, with the same inputs. Its
      outputs are a list: the features in the order of the layers, float [B, h, w, F] in the
      layers' own precision, and then what `discriminator` returns.

    Raises:
      ValueError: when no layer counts.

    Source: the features are those of pix2pixHD (Wang et al., CVPR 2018, Sec. 3.2).

    Example:
    >>> model = with_features(patch_discriminator(16, base_filters=8))
    >>> [output.shape[-1] for output in model.outputs]
    [8, 16, 1]
    """
    (logits,) = discriminator.outputs
    features = [
        output
        for layer, outputs in layer_calls(discriminator)
        if _is_nonlinear(layer)
        for output in outputs
        if output is not logits
    ]
    if not features:
        raise ValueError(
            f"{discriminator.name} has no features: no layer before its logits is an activation layer or "
            "has an activation of its own"
        )
    return keras.Model(discriminator.input, [*features, logits], name=f"{discriminator.name}_features")


def _is_nonlinear(layer: Any) -> bool:
    kinds = (keras.layers.LeakyReLU, keras.layers.ReLU, keras.layers.PReLU, keras.layers.ELU)
    linear = (None, keras.activations.linear)
    return isinstance(layer, kinds) or getattr(layer, "activation", None) not in linear
