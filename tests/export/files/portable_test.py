"""The generator rebuilt from Keras's own layers."""

import functools

import keras
import numpy as np
import pytest

from tests.helpers.resnet import Boost, resnet_generator
from tfpix2pix.config.choices import GENERATORS
from tfpix2pix.export.files.portable import (
    build_portable_generator,
    describe_difference,
    find_foreign_layers,
    in_float32,
)
from tfpix2pix.networks.layers import PaddedConv2D, UpConv2D
from tfpix2pix.networks.normalization import StatelessNormalization
from tfpix2pix.networks.residual import enhancer_generator
from tfpix2pix.networks.resnet import resnet_6blocks_generator
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.homes import resolve

SEEDS = np.array([[5, -3], [-(2**31), 2**31 - 1]], np.int32)


def make_generator(kind: str = "unet", channels: tuple[int, int] = (3, 3), **options) -> keras.Model:
    keras.utils.set_random_seed(0)
    generator = resolve(GENERATORS[kind])((32, 32), *channels, depth=3, base_filters=4, **options)
    for variable in generator.variables:
        variable.assign(variable * 3 + 0.1)
    return generator


def draw_images(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (2, height, width, channels)).astype(np.float32)


@pytest.mark.parametrize(
    ("image_size", "options"),
    [
        ((32, 32), {}),
        ((32, 48), {"kind": "encoder_decoder", "normalization": "instance"}),
        ((37, 45), {"upsampling": "nearest", "channels": (4, 2)}),
        ((3, 5), {"upsampling": "bilinear", "normalization": "none"}),
        ((16, 16), {"normalization": "plain_instance"}),
        ((40, 20), {"dropout_rate": 0.2, "channels": (1, 3)}),
        ((32, 32), {"latent_size": 3, "dropout_rate": 0.0, "normalization": "plain_instance"}),
        ((20, 28), {"kind": "encoder_decoder", "latent_size": 2, "latent_at": "input"}),
    ],
)
def test_answers_as_the_generator_does(image_size, options):
    generator = make_generator(**options)
    images = draw_images(*image_size, generator.inputs[0].shape[-1])
    expected = generator([images, SEEDS], training=False).numpy()
    rebuilt = build_portable_generator(generator, image_size)
    answer = rebuilt([images, SEEDS], training=False).numpy()
    assert np.abs(expected).max() > 0.2
    np.testing.assert_allclose(answer, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("image_size", [(16, 24), (13, 18)])
@pytest.mark.parametrize(
    "build",
    [
        functools.partial(enhancer_generator, depth=1, residual_blocks=1, base_filters=4),
        functools.partial(resnet_6blocks_generator, base_filters=2),
        functools.partial(enhancer_generator, depth=1, residual_blocks=1, base_filters=4, latent_size=3),
    ],
)
def test_residual_generators_answer_as_they_do(build, image_size):
    keras.utils.set_random_seed(0)
    generator = build()
    for variable in generator.variables:
        variable.assign(variable * 5 + 0.05)
    images = draw_images(*image_size)
    expected = generator([images, SEEDS], training=False).numpy()
    rebuilt = build_portable_generator(generator, image_size)
    assert "tfpix2pix" not in rebuilt.to_json()
    assert np.ptp(expected) > 0.2
    np.testing.assert_allclose(rebuilt([images, SEEDS], training=False), expected, atol=1e-5)


def test_holds_no_layer_of_this_project():
    rebuilt = build_portable_generator(make_generator(upsampling="bilinear"), (30, 40))
    assert "tfpix2pix" not in rebuilt.to_json()
    assert rebuilt.count_params() == make_generator(upsampling="bilinear").count_params()


def test_without_noise_nothing_is_dropped():
    images = draw_images(32, 32)
    rebuilt = build_portable_generator(make_generator(), (32, 32), with_noise=False)
    assert [tensor.name for tensor in rebuilt.inputs] == ["input_image"]
    expected = make_generator(dropout_rate=0.0)([images, SEEDS]).numpy()
    np.testing.assert_allclose(rebuilt(images).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(in_float32(make_generator(), False)([images, SEEDS]), expected, atol=1e-6)


def test_half_precision_becomes_float32():
    images = draw_images(32, 32)
    expected = make_generator()([images, SEEDS]).numpy()
    halved = make_generator(dtype="mixed_bfloat16")
    assert np.abs(halved([images, SEEDS]).numpy() - expected).max() > 1e-4
    np.testing.assert_allclose(in_float32(halved)([images, SEEDS]), expected, atol=1e-6)
    np.testing.assert_allclose(
        build_portable_generator(halved, (32, 32))([images, SEEDS]), expected, atol=1e-5
    )


def make_resnet(dtype: str = "float32") -> keras.Model:
    keras.utils.set_random_seed(0)
    generator = resnet_generator(3, 3, base_filters=4, dtype=dtype)
    for variable in generator.variables:
        variable.assign(variable * 1.5 + 0.02)
    return generator


def chain(*layers: keras.layers.Layer) -> keras.Model:
    """Returns a generator that calls one layer after the other."""
    input_image = keras.Input((None, None, 3), name="input_image")
    noise_seed = keras.Input((2,), dtype="int32", name="noise_seed")
    images = input_image
    for layer in layers:
        images = layer(images)
    return keras.Model([input_image, noise_seed], images)


def assert_rebuilt(generator: keras.Model, image_size: tuple[int, int]) -> keras.Model:
    images = draw_images(*image_size)
    rebuilt = build_portable_generator(generator, image_size)
    np.testing.assert_allclose(rebuilt([images, SEEDS]), generator([images, SEEDS]), atol=1e-5)
    return rebuilt


@pytest.mark.slow
@pytest.mark.parametrize("image_size", [(32, 32), (20, 28)])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_residual_generator_of_the_users_own_is_rebuilt(image_size, dtype):
    images, expected = draw_images(*image_size), make_resnet()([draw_images(*image_size), SEEDS]).numpy()
    rebuilt = build_portable_generator(make_resnet(dtype), image_size)
    assert expected.std() > 0.1
    np.testing.assert_allclose(rebuilt([images, SEEDS]), expected, atol=2e-5)
    assert "tfpix2pix" not in rebuilt.to_json() and find_foreign_layers(rebuilt) == []
    silent = build_portable_generator(make_resnet(), image_size, with_noise=False)
    assert np.abs(silent(images) - expected).max() > 0.01
    np.testing.assert_allclose(silent(images), in_float32(make_resnet(), False)([images, SEEDS]), atol=2e-5)


@pytest.mark.parametrize("image_size", [(9, 12), (12, 9), (16, 16)])
@pytest.mark.parametrize(
    ("kernel_size", "strides", "pad_px"),
    [(1, 1, 0), (1, 2, 0), (2, 2, 0), (3, 1, 0), (3, 1, 1), (3, 1, 2), (3, 2, 0), (3, 2, 1), (3, 3, 1)]
    + [(4, 1, 1), (4, 2, 1), (4, 2, 2), (5, 3, 2), (7, 1, 3), (7, 2, 3)],
)
def test_every_padding_is_rebuilt_exactly(kernel_size, strides, pad_px, image_size):
    assert_rebuilt(chain(PaddedConv2D(4, kernel_size, strides, pad_px=pad_px)), image_size)


@pytest.mark.parametrize(
    ("layer_type", "settings"),
    [
        (PaddedConv2D, {"kernel_size": 3, "pad_px": 2, "dilation_rate": 2, "activation": "relu"}),
        (PaddedConv2D, {"kernel_size": 4, "strides": 2, "groups": 3, "activation": "tanh"}),
        (UpConv2D, {"activation": "relu", "use_bias": False}),
    ],
)
def test_other_settings_of_convolutions_are_rebuilt(layer_type, settings):
    assert_rebuilt(chain(layer_type(6, **settings)), (8, 7))


def test_padding_layers_stand_only_where_same_padding_differs():
    def padding_layers(generator, image_size):
        rebuilt = build_portable_generator(generator, image_size)
        return [layer.name for layer in rebuilt.layers if isinstance(layer, keras.layers.ZeroPadding2D)]

    assert padding_layers(make_generator(), (37, 45)) == []
    assert padding_layers(make_generator(upsampling="nearest"), (32, 32)) == []
    halving = chain(PaddedConv2D(4, 3, 2, name="halve"))
    assert padding_layers(halving, (9, 9)) == []
    assert padding_layers(halving, (8, 9)) == ["halve_pad"]


@pytest.mark.parametrize(
    # 9 and 5 px are halved as "same" padding does; 12, 6 and 10 px are not.
    ("image_size", "convolutions"),
    [((9, 9), 1), ((12, 12), 1), ((11, 11), 2)],
)
def test_a_layer_that_is_called_twice_is_rebuilt_with_its_weights(image_size, convolutions):
    halve, norm = PaddedConv2D(3, 3, 2, name="halve"), StatelessNormalization("instance", name="norm")
    rebuilt = assert_rebuilt(chain(halve, norm, halve, norm), image_size)
    kinds = [type(layer) for layer in rebuilt.layers]
    assert kinds.count(keras.layers.Conv2D) == convolutions
    assert kinds.count(keras.layers.DepthwiseConv2D) == 1


def test_models_inside_the_generator_are_rebuilt_too():
    inputs = keras.Input((None, None, 4))
    images = inputs + StatelessNormalization("batch")(PaddedConv2D(4, 3)(inputs))
    block = keras.Model(inputs, images, name="block")
    halve = keras.Sequential([PaddedConv2D(4, 4, 2, use_bias=False), keras.layers.LeakyReLU(0.2)])
    generator = chain(halve, block, UpConv2D(3))
    rebuilt = assert_rebuilt(generator, (10, 8))
    assert "tfpix2pix" not in rebuilt.to_json() and rebuilt.count_params() == generator.count_params()
    halved = chain(keras.Sequential([PaddedConv2D(4, 4, 2, dtype="mixed_bfloat16")]))
    assert in_float32(halved) is not halved


def test_what_is_float32_already_is_not_copied():
    generator = make_resnet()
    assert in_float32(generator) is generator
    assert in_float32(generator, with_noise=False) is not generator


def test_the_first_layer_that_differs_is_named_with_its_difference():
    halve, double = PaddedConv2D(3, 3, 2, name="halve"), UpConv2D(3, name="double")
    images = draw_images(12, 12)
    largest = np.abs(chain(halve)([images, SEEDS])).max()
    assert describe_difference(chain(halve, Boost(1.5, name="boost"), double), images, SEEDS) == (
        "the first layer that differs when it is rebuilt is boost (Boost): "
        f"by up to {largest * 0.5:.2g}, where the generator's values reach {largest * 1.5:.2g}"
    )
    assert describe_difference(chain(halve, double), images, SEEDS).startswith("every layer agrees")


@pytest.mark.parametrize("with_noise", [True, False])
def test_layers_are_compared_with_noise_and_without(with_noise):
    reference = in_float32(make_resnet("mixed_bfloat16"), with_noise)
    sentence = describe_difference(reference, draw_images(16, 16), SEEDS, with_noise)
    assert sentence.startswith("every layer agrees")


class Lookup(keras.layers.Layer):
    def __init__(self, table: np.ndarray):
        super().__init__(name="lookup")
        self.table = table

    def call(self, images):
        return images * self.table


def test_a_layer_that_cannot_be_copied_is_named():
    generator = chain(Lookup(np.ones(3, np.float32)))
    with pytest.raises(UserError, match=r"lookup \(Lookup\) cannot be rebuilt from its get_config\(\): "):
        build_portable_generator(generator, (8, 8))


def test_a_subclass_of_our_layers_keeps_what_it_does():
    class Doubled(PaddedConv2D):
        def call(self, images):
            return 2 * super().call(images)

    rebuilt = assert_rebuilt(chain(Doubled(4, 3, name="doubled")), (8, 8))
    assert find_foreign_layers(rebuilt) == ["doubled (Doubled)"]
