"""One table of networks, and what every one of them must keep: its dtype, its weights, its output."""

import functools
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.config.choices import GENERATORS as TABLE
from tfpix2pix.config.choices import STRIDED_CONVOLUTIONS
from tfpix2pix.networks import discriminators
from tfpix2pix.pipelines.base.homes import resolve

RESIDUAL_KINDS = (("batch", "float32"), ("plain_instance", "mixed_bfloat16"))
SMALL = {"image_size": (16, 16), "depth": 3, "residual_blocks": 1, "base_filters": 2}


def _small(name: str, **settings):
    """Builds a small generator, with those settings that it has."""
    build = resolve(TABLE[name])
    named = inspect.signature(build).parameters
    return functools.partial(
        build, **{key: value for key, value in SMALL.items() if key in named}, **settings
    )


GENERATORS = {
    f"{name}-{normalization}-{dtype}": _small(name, normalization=normalization, dtype=dtype)
    for name in TABLE
    for normalization in ("batch", "instance", "plain_instance", "none")
    for dtype in ("float32", "mixed_bfloat16")
    # The residual generators are made of the same layers: two of each kind show the rest.
    if name in ("unet", "encoder_decoder") or (normalization, dtype) in RESIDUAL_KINDS
} | {
    f"{name}-{upsampling}-{dtype}": _small(name, upsampling=upsampling, dtype=dtype)
    for name in ("unet", "encoder_decoder")
    for upsampling, dtype in (("nearest", "float32"), ("bilinear", "mixed_bfloat16"))
}
DISCRIMINATORS = {
    f"{side}px-{'conditional' if conditional else 'target'}-{normalization}-{dtype}": functools.partial(
        discriminators.patch_discriminator,
        side,
        conditional=conditional,
        base_filters=2,
        normalization=normalization,
        dtype=dtype,
    )
    for side in STRIDED_CONVOLUTIONS
    for conditional, normalization, dtype in (
        (True, "batch", "float32"),
        (False, "instance", "mixed_bfloat16"),
        (False, "none", "float32"),
    )
}
DISCRIMINATORS |= {
    f"multiscale-{number}-{normalization}-{dtype}": functools.partial(
        discriminators.multiscale_discriminator,
        number,
        conditional=number > 1,
        base_filters=2,
        normalization=normalization,
        dtype=dtype,
    )
    for number, normalization, dtype in ((1, "batch", "mixed_bfloat16"), (2, "plain_instance", "float32"))
}
DISCRIMINATORS["pyramid-2-plain_instance-float32"] = functools.partial(
    discriminators.pyramid_discriminator, conditional=False, base_filters=2, dtype="float32"
)
GENERATORS |= {
    f"{name}-latent-{dtype}": _small(name, latent_size=3, latent_at=latent_at, dtype=dtype)
    for name, latent_at, dtype in (
        ("unet", "all", "mixed_bfloat16"),
        ("encoder_decoder", "input", "float32"),
        ("enhancer", "all", "mixed_bfloat16"),
        ("resnet_6blocks", "input", "float32"),
    )
}
NETWORKS = GENERATORS | DISCRIMINATORS

every_network = pytest.mark.parametrize("name", NETWORKS)


@functools.cache
def _build(name: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    return NETWORKS[name]()


def _draw_inputs(model: keras.Model) -> list[tf.Tensor]:
    draw = np.random.default_rng(0)
    # What the larger discriminators need for their first logit; the 70 px one needs 24 px,
    # and twice as many at two sizes.
    sides = {"pyramid": 48, "discriminator_142px": 48, "discriminator_286px": 96, "discriminator_574px": 192}
    side = next((side for name, side in sides.items() if name in model.name), 24)
    return [
        tf.constant(draw.integers(-9, 9, (2, 2)), tf.int32)
        if tensor.name.startswith("noise_seed")
        else tf.constant(draw.uniform(-1, 1, (2, side, side, 3)), tf.float32)
        for tensor in model.inputs
    ]


def _call(model, inputs: list[tf.Tensor], **options) -> tf.Tensor:
    """Returns the output, or those of several scales in a row."""
    outputs = model(inputs if len(inputs) > 1 else inputs[0], **options)
    return outputs if tf.is_tensor(outputs) else tf.concat([tf.reshape(each, [-1]) for each in outputs], 0)


@every_network
def test_output_and_weights_are_float32_whatever_the_policy(name):
    model = _build(name)
    assert _call(model, _draw_inputs(model)).dtype == tf.float32
    assert {tf.as_dtype(variable.dtype) for variable in model.variables} == {tf.float32}
    computed = {tf.as_dtype(layer.compute_dtype) for layer in model.layers if layer.name.endswith("_conv")}
    assert computed == {tf.bfloat16 if name.endswith("mixed_bfloat16") else tf.float32}


@every_network
def test_a_forward_pass_changes_no_variable(name):
    model = _build(name)
    assert model.non_trainable_variables == []
    before = [variable.numpy() for variable in model.variables]
    first = _call(model, _draw_inputs(model), training=True).numpy()
    _call(model, _draw_inputs(model), training=False)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    np.testing.assert_array_equal(_call(model, _draw_inputs(model), training=True), first)


@pytest.mark.slow
@every_network
def test_a_saved_model_file_comes_back_the_same(name, tmp_path):
    model = _build(name)
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    for training in (True, False):
        expected = _call(model, _draw_inputs(model), training=training)
        np.testing.assert_array_equal(_call(reloaded, _draw_inputs(model), training=training), expected)


@pytest.mark.slow
@every_network
def test_a_graph_of_unknown_shapes_computes_the_same(name):
    model = _build(name)
    inputs = _draw_inputs(model)
    specs = [
        tf.TensorSpec([None] * (tensor.shape.rank - 1) + tensor.shape[-1:], tensor.dtype) for tensor in inputs
    ]
    run = tf.function(lambda *tensors: _call(model, list(tensors), training=True), input_signature=specs)
    atol = 0.05 if name.endswith("mixed_bfloat16") else 1e-5
    np.testing.assert_allclose(run(*inputs), _call(model, inputs, training=True), atol=atol)


def test_every_builder_is_in_the_table():
    built = {_build(name).name for name in NETWORKS}
    generated = {f"{name}_generator" for name in TABLE}
    patches = {f"patch_discriminator_{side}px" for side in (1, 16, 34, 70, 142, 286, 574)}
    scales = {f"multiscale_discriminator_{number}" for number in (1, 2)} | {"pyramid_discriminator_2"}
    assert built == generated | patches | scales
