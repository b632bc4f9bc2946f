"""The generator rebuilt from Keras's own layers."""

import keras
import numpy as np
import pytest

from tfpix2pix.config.choices import GENERATORS
from tfpix2pix.export.files.portable import build_portable_generator, in_float32
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
