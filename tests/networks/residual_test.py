"""The residual generators: their literal sizes, their own layers by hand, and what they do with noise."""

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.networks.discriminators import multiscale_discriminator
from tfpix2pix.networks.layers import UpConv2D3x3
from tfpix2pix.networks.pooling import HalvingPool2D
from tfpix2pix.networks.residual import enhancer_generator, global_generator
from tfpix2pix.networks.resnet import resnet_6blocks_generator, resnet_9blocks_generator


# Counted from the original code's networks, with 36 channels of input as for Cityscapes.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "count"),
    [
        (lambda: global_generator(36), 182_546_755),
        (lambda: enhancer_generator(36), 182_857_059),
        (lambda: multiscale_discriminator(2, input_channels=36), 5_603_202),
        (lambda: multiscale_discriminator(3, input_channels=36), 8_404_803),
        (lambda: resnet_9blocks_generator(normalization="plain_instance"), 11_378_179),
        (lambda: resnet_6blocks_generator(normalization="plain_instance"), 7_837_699),
    ],
)
def test_the_papers_networks_have_their_parameters(build, count):
    assert build().count_params() == count


def test_the_discriminators_judge_35_and_19_patches_at_256_px():
    images = np.zeros((1, 256, 256, 3), "float32")
    logits = multiscale_discriminator(2, base_filters=1)([images, images])
    assert [values.shape for values in logits] == [(1, 35, 35, 1), (1, 19, 19, 1)]


def test_pooling_leaves_out_what_is_outside():
    image = np.arange(12, dtype="float32").reshape(1, 3, 4, 1)
    # Around (0, 0): 0, 1, 4, 5. Around (0, 2): 1, 2, 3, 5, 6, 7. Around (2, 0): 4, 5, 8, 9.
    expected = [[2.5, 4.0], [6.5, 8.0]]
    np.testing.assert_allclose(HalvingPool2D()(image)[0, ..., 0], expected, rtol=1e-6)


def test_the_3x3_upsampling_is_centred_on_the_even_pixels():
    layer = UpConv2D3x3(1, use_bias=False)
    image = np.zeros((1, 2, 2, 1), "float32")
    image[0, 0, 0], image[0, 1, 1] = 1, 10
    layer.build(image.shape)
    layer.kernel.assign(np.arange(1, 10, dtype="float32").reshape(3, 3, 1, 1))
    expected = [[5, 6, 0, 0], [8, 19, 20, 30], [0, 40, 50, 60], [0, 70, 80, 90]]
    np.testing.assert_allclose(layer(image)[0, ..., 0], expected)


@pytest.mark.parametrize("build", [global_generator, enhancer_generator])
def test_any_size_goes_in_and_comes_out(build):
    generator = build(2, 1, depth=2, residual_blocks=1, base_filters=2)
    image = tf.random.stateless_uniform([1, 21, 34, 2], [0, 0])
    assert generator([image, tf.zeros([1, 2], tf.int32)]).shape == (1, 21, 34, 1)


def test_two_enhancers_are_around_each_other():
    generator = enhancer_generator(3, 3, depth=1, residual_blocks=1, enhancers=2, base_filters=8)
    widths = {layer.name: layer.filters for layer in generator.layers if layer.name.endswith("_first_conv")}
    assert widths == {"enhancer_1_first_conv": 4, "enhancer_2_first_conv": 2}


def test_only_cyclegans_generator_has_noise():
    image = tf.random.stateless_uniform([1, 16, 16, 3], [0, 0])
    seeds = [tf.constant([[0, number]]) for number in (1, 2)]
    noisy, plain = resnet_6blocks_generator(base_filters=2), global_generator(depth=2, base_filters=2)
    assert (noisy([image, seeds[0]]).numpy() != noisy([image, seeds[1]]).numpy()).any()
    np.testing.assert_array_equal(plain([image, seeds[0]]), plain([image, seeds[1]]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 0}, "depth must be at least 1"),
        ({"residual_blocks": 0}, "residual_blocks must be at least 1"),
    ],
)
def test_numbers_below_one_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        global_generator(base_filters=2, **settings)
