"""Patch discriminators as functional Keras models: the paper's, and those of pix2pixHD at several scales."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from tfpix2pix.config.choices import STRIDED_CONVOLUTIONS
from tfpix2pix.networks import layers
from tfpix2pix.networks.class_channels import encode_input
from tfpix2pix.networks.keras_versions import default_policy, layer_calls
from tfpix2pix.networks.normalization import needs_bias, normalize_maps
from tfpix2pix.networks.pooling import HalvingPool2D
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
    boundary_classes: Palette | None = None,
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
      conv_kernels: `auto` convolves on a CPU in the way that is fastest for each map: by a matmul,
        in strips, or by minimal filtering; `native` takes TensorFlow's kernels everywhere.
      palette: classes of the input label map, of which the network sees a channel for each class in
        place of their colours; None for pictures.
      boundary_classes: classes of input label maps whose last channel holds ids of instances, of which
        the network sees the borders; None where there is no such channel.
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

    Examples:
      >>> patch_discriminator(70).count_params()
      2768705
    """
    if receptive_field not in STRIDED_CONVOLUTIONS:
        raise ValueError(
            f"receptive_field must be one of {sorted(STRIDED_CONVOLUTIONS)} px. "
            f"Received: receptive_field={receptive_field}"
        )
    dtype = dtype or default_policy()
    inputs, images = _build_inputs(
        (input_channels, target_channels), conditional, (palette, boundary_classes), dtype
    )
    for block, (filters, kernel_size, strides) in enumerate(_blocks(receptive_field, base_filters), start=1):
        # Sec. 6.1.2: no norm in the first block.
        norm = normalization if block > 1 else "none"
        options = {"use_bias": needs_bias(norm), "conv_kernels": conv_kernels, "dtype": dtype}
        pad_px = 0 if kernel_size == 1 else 1
        images = _convolution(images, filters, kernel_size, strides, pad_px, f"patch_{block}", **options)
        images = _activate(images, norm, dtype, f"patch_{block}")
    kernel_size, pad_px = (1, 0) if receptive_field == 1 else (4, 1)
    images = _convolution(images, 1, kernel_size, 1, pad_px, "patch_logits", dtype=dtype)
    logits = keras.layers.Activation("linear", name="patch_logits", dtype="float32")(images)
    return keras.Model(inputs, logits, name=f"patch_discriminator_{receptive_field}px")


def _blocks(receptive_field: int, base_filters: int) -> list[tuple[int, int, int]]:
    """Returns (filters, kernel size, stride) of each block but the last convolution."""
    if receptive_field == 1:
        return [(base_filters, 1, 1), (2 * base_filters, 1, 1)]
    strided = STRIDED_CONVOLUTIONS[receptive_field]
    return [(base_filters * min(2**block, 8), 4, 2 if block < strided else 1) for block in range(strided + 1)]


def multiscale_discriminator(
    num_discriminators: int = 2,
    discriminator_layers: int = 3,
    input_channels: int = 3,
    target_channels: int = 3,
    *,
    conditional: bool = True,
    base_filters: int = 64,
    normalization: str = "plain_instance",
    palette: Palette | None = None,
    boundary_classes: Palette | None = None,
    dtype: str | None = None,
) -> keras.Model:
    """Builds the discriminators of pix2pixHD, which judge images at their size, at half of it, and so on.

    Args:
      num_discriminators: number of sizes; each has a network of its own.
      discriminator_layers: number of stride-2 convolutions of each network; 3 judge patches of 70 px.
      input_channels: channels of the input image; unused when not conditional.
      target_channels: channels of the real or generated image.
      conditional: whether the networks see the input image too.
      base_filters: filters of the first convolution of each (64 in the paper).
      normalization: `none`, or a `kind` of `normalization.StatelessNormalization`.
      palette: as for `patch_discriminator`.
      boundary_classes: as for `patch_discriminator`.
      dtype: Keras dtype policy; None takes the one that is set for all of Keras. Logits come out
        as float32.

    Returns:
      A functional model `[input_image, target_image] -> patch_logits`, or `target_image ->
      patch_logits` when not conditional: float32 [B, H, W, C] in [-1, 1] to float32 [B, h, w, 1],
      as a list with the full size first where there are several sizes: 35x35 and 19x19 for 256x256.

    Raises:
      ValueError: for an unknown normalization, or a number below 1.

    Source: Wang et al., CVPR 2018, Sec. 3.2; paddings and strides from the original code.
    5,603,202 parameters with 36 + 3 channels, as for Cityscapes.

    Examples:
      >>> multiscale_discriminator(2, input_channels=36).count_params()
      5603202
    """
    scale = _Scale(discriminator_layers, base_filters, 2, normalization, dtype or default_policy())
    classes = palette, boundary_classes
    inputs, images = _build_inputs((input_channels, target_channels), conditional, classes, scale.dtype)
    outputs = _judge_scales(images, [scale] * _check_counts(num_discriminators, discriminator_layers))
    return keras.Model(inputs, outputs, name=f"multiscale_discriminator_{num_discriminators}")


def pyramid_discriminator(
    num_discriminators: int = 2,
    discriminator_layers: int = 3,
    input_channels: int = 3,
    target_channels: int = 3,
    *,
    conditional: bool = True,
    base_filters: int = 64,
    normalization: str = "plain_instance",
    palette: Palette | None = None,
    boundary_classes: Palette | None = None,
    dtype: str | None = None,
) -> keras.Model:
    """Builds the discriminators of BicycleGAN, which judge images at their size, at half of it, and so on.

    They are those of pix2pixHD with paddings of 1, and with half as many filters at half the size.
    The arguments, the result and the errors are those of `multiscale_discriminator`; 256x256 gives
    30x30 and 14x14 logits.

    Source: `D_NLayersMulti` of the original code of BicycleGAN (Zhu et al., NIPS 2017).

    Examples:
      >>> pyramid_discriminator(conditional=False, base_filters=4).name
      'pyramid_discriminator_2'
    """
    dtype = dtype or default_policy()
    classes = palette, boundary_classes
    inputs, images = _build_inputs((input_channels, target_channels), conditional, classes, dtype)
    scales = [
        _Scale(discriminator_layers, max(1, round(base_filters / 2**number)), 1, normalization, dtype)
        for number in range(_check_counts(num_discriminators, discriminator_layers))
    ]
    outputs = _judge_scales(images, scales)
    return keras.Model(inputs, outputs, name=f"pyramid_discriminator_{num_discriminators}")


class _Scale(NamedTuple):
    """The network that judges images of one size."""

    strided: int  # number of stride-2 convolutions
    base_filters: int
    pad_px: int  # of all convolutions
    normalization: str
    dtype: str


def _check_counts(num_discriminators: int, discriminator_layers: int) -> int:
    """Returns the number of discriminators."""
    for name, value in (
        ("num_discriminators", num_discriminators),
        ("discriminator_layers", discriminator_layers),
    ):
        if value < 1:
            raise ValueError(f"{name} must be at least 1. Received: {name}={value}")
    return num_discriminators


def _judge_scales(images, scales: Sequence[_Scale]):
    """Returns float32 logits [B, h, w, 1] of each size, the full one first; alone if there is one."""
    logits = []
    for number, scale in enumerate(scales, start=1):
        if number > 1:
            images = HalvingPool2D(name=f"half_{number - 1}", dtype=scale.dtype)(images)
        logits.append(_judge_scale(images, scale, f"scale_{number}"))
    return logits if len(logits) > 1 else logits[0]


def _judge_scale(images, scale: _Scale, name: str):
    for block in range(scale.strided + 1):
        norm = scale.normalization if block else "none"
        filters, strides = scale.base_filters * min(2**block, 8), 2 if block < scale.strided else 1
        named, options = f"{name}_patch_{block + 1}", {"use_bias": needs_bias(norm), "dtype": scale.dtype}
        images = _convolution(images, filters, 4, strides, scale.pad_px, named, **options)
        images = _activate(images, norm, scale.dtype, named)
    images = _convolution(images, 1, 4, 1, scale.pad_px, f"{name}_patch_logits", dtype=scale.dtype)
    return keras.layers.Activation("linear", name=f"{name}_patch_logits", dtype="float32")(images)


def _build_inputs(
    channels: tuple[int, int], conditional: bool, classes: tuple[Palette | None, Palette | None], dtype: str
):
    """Returns the inputs of a discriminator, and what its first convolution sees."""
    target_image = keras.Input((None, None, channels[1]), name="target_image")
    if not conditional:
        return target_image, target_image
    input_image = keras.Input((None, None, channels[0]), name="input_image")
    seen = [encode_input(input_image, *classes), target_image]
    return [input_image, target_image], keras.layers.Concatenate(name="pair", dtype=dtype)(seen)


def _convolution(images, filters, kernel_size, strides, pad_px, name, **options):
    return layers.PaddedConv2D(
        filters,
        kernel_size,
        strides,
        pad_px=pad_px,
        kernel_initializer=layers.weight_initializer(),
        name=f"{name}_conv",
        **options,
    )(images)


def _activate(images, normalization: str, dtype: str, name: str):
    images = normalize_maps(images, normalization, dtype, name)
    return keras.layers.LeakyReLU(0.2, name=f"{name}_relu", dtype=dtype)(images)


def with_features(discriminator: keras.Model) -> keras.Model:
    """Returns a discriminator that gives its features too, as a loss that matches features needs them.

    A feature is the output of a layer that applies a nonlinearity: of `LeakyReLU`, `ReLU`, `PReLU`
    or `ELU`, or of a layer whose own `activation` is not linear, such as `Conv2D(activation="relu")`.
    The layer that gives the logits does not count. Nonlinearities that are not layers of the model
    itself, but operations or layers of a model inside it, are not found.

    Args:
      discriminator: any functional model, such as `patch_discriminator` builds; its outputs are logits.

    Returns:
      A functional model of the same layers, so of the same weights, with the same inputs. Its
      outputs are a list: the features in the order of the layers, float [B, h, w, F] in the
      layers' own precision, and then all that `discriminator` returns.

    Raises:
      ValueError: when no layer counts.

    Source: the features are those of pix2pixHD (Wang et al., CVPR 2018, Sec. 3.2).

    Examples:
      >>> model = with_features(patch_discriminator(16, base_filters=8))
      >>> [output.shape[-1] for output in model.outputs]
      [8, 16, 1]
    """
    logits = {id(output) for output in discriminator.outputs}
    features = [
        output
        for call in layer_calls(discriminator)
        if _is_nonlinear(call.layer)
        for output in call.outputs
        if id(output) not in logits
    ]
    if not features:
        raise ValueError(
            f"{discriminator.name} has no features: no layer before its logits is an activation layer or "
            "has an activation of its own"
        )
    return keras.Model(
        discriminator.input, [*features, *discriminator.outputs], name=f"{discriminator.name}_features"
    )


def _is_nonlinear(layer: Any) -> bool:
    kinds = (keras.layers.LeakyReLU, keras.layers.ReLU, keras.layers.PReLU, keras.layers.ELU)
    linear = (None, keras.activations.linear)
    return isinstance(layer, kinds) or getattr(layer, "activation", None) not in linear
