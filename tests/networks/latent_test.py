"""The latent vector: its numbers, what it does to each generator, and z as an input of its own."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.config.choices import GENERATORS
from tfpix2pix.config.config import make_config
from tfpix2pix.networks.build import build_generator
from tfpix2pix.networks.inference import compile_generator, silence
from tfpix2pix.networks.inside import split_global_generator
from tfpix2pix.networks.keras_versions import variable_path
from tfpix2pix.networks.latent import (
    Latent,
    attach_latent,
    detach_latent,
    draw_normal,
    find_latent,
    with_latent,
)
from tfpix2pix.networks.modulation import ModulateByLatent
from tfpix2pix.networks.tiles import generate_in_tiles
from tfpix2pix.pipelines.base.errors import UsageError

SEEDS = tf.constant([[1, 2], [3, -4]])

DECODERS = ("unet", "encoder_decoder")
generators = pytest.mark.parametrize("name", GENERATORS)


@functools.cache
def _build(name: str = "unet", latent_at: str = "all", latent_size: int = 4, **settings) -> keras.Model:
    keras.utils.set_random_seed(0)
    if name in DECODERS:
        settings |= {"depth": 4, "dropout": "none"}
    else:
        # The normalisation that would remove what is the same at all pixels.
        settings["normalization"] = "plain_instance"
        settings |= {"dropout": "none"} if "resnet" in name else {"depth": 2, "residual_blocks": 1}
    config = make_config(
        generator=name,
        image_size=32,
        base_filters=2,
        latent_size=latent_size,
        latent_at=latent_at,
        **settings,
    )
    generator = build_generator(config)
    for variable in generator.variables:
        variable.assign(variable * 5)
    return generator


def _images(count: int = 2, side: int = 32) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).uniform(-1, 1, (count, side, side, 3)), tf.float32)


def test_draws_are_gaussian_and_independent():
    seeds = tf.stack([tf.range(20000) // 7, tf.range(20000)], axis=1)
    draws = np.concatenate([draw_normal(seeds, 3, stream) for stream in (-1, -2)], axis=1)
    assert np.isfinite(draws).all()
    np.testing.assert_allclose(draws.mean(0), 0, atol=0.03)
    np.testing.assert_allclose(draws.std(0), 1, atol=0.02)
    np.testing.assert_allclose((draws**4).mean(0), 3, atol=0.2)
    np.testing.assert_allclose(np.corrcoef(draws.T), np.eye(6), atol=0.03)


def test_the_draws_of_a_seed_stay_what_they_are():
    # A later version must not give other pictures for a seed.
    expected = [
        [-0.7938654, 2.1418355, -0.60311246, 0.2888466],
        [0.5469646, -1.0320452, 0.4375341, 1.4067749],
    ]
    np.testing.assert_allclose(draw_normal(tf.constant([[1, 2], [3, 4]]), 8, -1)[:, :4], expected, rtol=1e-5)


@pytest.mark.slow
@generators
@pytest.mark.parametrize("latent_at", ["all", "input"])
def test_z_changes_the_image_and_the_seed_decides_z(name, latent_at):
    generator, images = _build(name, latent_at), _images()
    model, latent = with_latent(generator), find_latent(generator)(SEEDS)
    expected = generator([images, SEEDS]).numpy()
    np.testing.assert_array_equal(model([images, SEEDS, latent]), expected)
    assert np.abs(model([images, SEEDS, latent + 1]) - expected).mean() > 1e-3
    alone = generator([images[1:], SEEDS[1:]])
    np.testing.assert_allclose(alone, expected[1:], atol=1e-5)
    np.testing.assert_array_equal(
        generator.predict(images, verbose=0, latent=latent)[:1].shape, [1, 32, 32, 3]
    )
    np.testing.assert_allclose(
        generator.predict([images, SEEDS], verbose=0, latent=latent[0]),
        model([images, SEEDS, tf.stack([latent[0]] * 2)]),
        atol=1e-4,
    )


def test_all_layers_of_the_encoder_see_z():
    widths = {
        latent_at: [
            _build("unet", latent_at).get_layer(f"encoder_{block}_conv").kernel.shape[-2]
            for block in range(1, 5)
        ]
        for latent_at in ("all", "input")
    }
    assert widths == {"all": [3 + 4, 2 + 4, 4 + 4, 8 + 4], "input": [3 + 4, 2, 4, 8]}


def test_the_modulation_by_hand():
    layer = ModulateByLatent()
    maps, latent = tf.constant([[[[1.0, 2.0], [3.0, 4.0]]]]), tf.constant([[0.5, -1.0]])
    layer.build((maps.shape, latent.shape))
    layer.set_weights([np.array([[2.0, 4.0], [3.0, 1.0]]), np.array([[0.0, 2.0], [-1.0, 2.0]])])
    # a is (0.5 * 2 - 3, 0.5 * 4 - 1) = (-2, 1), and b is (1, -1).
    np.testing.assert_allclose(layer([maps, latent]), [[[[0.0, 3.0], [-2.0, 7.0]]]], atol=1e-6)
    np.testing.assert_array_equal(layer([maps, 0 * latent]), maps)


@pytest.mark.parametrize(
    ("name", "at_input"),
    [
        ("resnet_6blocks", ["first"]),
        ("global", ["first"]),
        ("enhancer", ["enhancer_1_first", "enhancer_2_first", "first"]),
    ],
)
def test_z_comes_after_every_normalisation_or_after_those_of_the_input(name, at_input):
    settings = {"enhancers": 2} if name == "enhancer" else {}

    def blocks(latent_at: str, suffix: str) -> list[str]:
        layers = (layer.name for layer in _build(name, latent_at, **settings).layers)
        return sorted(each.removesuffix(suffix) for each in layers if each.endswith(suffix))

    assert blocks("all", "_modulation") == blocks("all", "_norm")
    assert blocks("input", "_modulation") == at_input


def test_a_generator_without_z_has_the_weights_that_it_had():
    generators = [_build("enhancer", latent_size=size) for size in (0, 2)]
    plain, modulated = (
        [variable_path(variable) for variable in generator.variables] for generator in generators
    )
    assert plain == [name for name in modulated if "_modulation/" not in name]


def test_the_global_generator_inside_an_enhancer_gets_the_same_z():
    generator, images = _build("enhancer"), _images()
    inside = split_global_generator(generator)
    np.testing.assert_array_equal(find_latent(inside)(SEEDS), find_latent(generator)(SEEDS))
    model, latent = with_latent(inside), find_latent(inside)(SEEDS)
    expected = inside([images, SEEDS]).numpy()
    np.testing.assert_array_equal(model([images, SEEDS, latent]), expected)
    assert np.abs(model([images, SEEDS, latent + 1]) - expected).mean() > 1e-4
    of_whole = {id(variable) for variable in generator.trainable_variables}
    ours = [each for each in inside.trainable_variables if id(each) in of_whole]
    assert any("down_1_modulation" in variable_path(each) for each in ours)
    assert not any("enhancer_1" in variable_path(each) for each in inside.trainable_variables)


def test_a_compiled_generator_takes_seeds_with_and_without_z():
    generator, images = _build(), _images()
    generate = compile_generator(generator)
    latent = tf.constant([[0.5, -1.0, 2.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    seeds, held = detach_latent(attach_latent(SEEDS, latent))
    np.testing.assert_array_equal(held, latent)
    np.testing.assert_array_equal(seeds, SEEDS)
    expected = with_latent(generator)([images, SEEDS, latent])
    np.testing.assert_allclose(generate(images, attach_latent(SEEDS, latent)), expected, atol=1e-5)
    np.testing.assert_allclose(generate(images, SEEDS), generator([images, SEEDS]), atol=1e-5)


def test_without_noise_z_is_zero():
    generator, images = _build(), _images()
    expected = with_latent(generator)([images, SEEDS, tf.zeros([2, 4])])
    silent = silence(generator)
    silent.set_weights(generator.get_weights())
    np.testing.assert_allclose(compile_generator(silent)(images, SEEDS), expected, atol=1e-5)


def test_the_windows_of_an_image_share_its_z():
    generator = _build()
    flat, latent = tf.fill([1, 32, 80, 3], 0.5), tf.constant([[1.0, -1.0, 0.5, 2.0]])
    tiled = generate_in_tiles(compile_generator(generator), (32, 32))(flat, attach_latent(SEEDS[:1], latent))
    window = with_latent(generator)([flat[:, :, :32], SEEDS[:1], latent])
    # A flat image has the same window everywhere, if its z is the same.
    np.testing.assert_allclose(tiled[:, :, :20], window[:, :, :20], atol=1e-5)
    np.testing.assert_allclose(tiled[:, :, -20:], window[:, :, -20:], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lambda_mode_seeking": 1.0}, "`lambda_mode_seeking` compares samples.*give `latent_size=8`"),
        ({"latent_at": "input"}, "`latent_at` is for a latent vector; give `latent_size=8`"),
        ({"latent_size": -1}, "`latent_size` must be at least 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        make_config(dataset="facades", **settings)


def test_a_generator_without_z_says_so():
    generator = _build(latent_size=0)
    assert find_latent(generator) is None
    with pytest.raises(ValueError, match="unet_generator has no latent vector; build it with latent_size=8"):
        with_latent(generator)
    with pytest.raises(ValueError, match="latent_at must be one of all, input"):
        Latent(4, "decoder")
