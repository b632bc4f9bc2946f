"""The generators' literal sizes, and what they promise about batches, seeds and image sizes."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.config.choices import GENERATORS
from tfpix2pix.config.config import from_json, make_config
from tfpix2pix.networks import discriminators, generators, layers
from tfpix2pix.networks.keras_versions import variable_path
from tfpix2pix.pipelines.base.homes import resolve


def _draw_images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


@functools.cache
def _tiny_unet(**overrides):
    tf.keras.utils.set_random_seed(0)
    return generators.unet_generator((64, 64), base_filters=2, **overrides)


@functools.cache
def _paper_net(name: str):
    return resolve(GENERATORS[name])()


def _outputs(name: str, suffix: str) -> list[tuple[int, ...]]:
    model = _paper_net(name)
    return [layer.output.shape[-1] for layer in model.layers if layer.name.endswith(suffix)]


# Sec. 6.1.1, with a norm's scale and offset, and a bias in the last convolution only.
@pytest.mark.parametrize(("name", "count"), [("unet", 54_413_955), ("encoder_decoder", 39_075_459)])
def test_paper_nets_have_the_papers_number_of_parameters(name, count):
    assert _paper_net(name).count_params() == count


def test_unet_blocks_are_as_wide_as_in_the_paper():
    encoder = [64, 128, 256, 512, 512, 512, 512, 512]
    decoder = [512, 512, 512, 512, 256, 128, 64, 3]
    assert _outputs("unet", "_conv") == encoder + decoder
    assert _outputs("unet", "_skip") == [1024, 1024, 1024, 1024, 512, 256, 128]
    assert _outputs("unet", "_norm") == encoder[1:-1] + decoder[:-1]
    assert _outputs("unet", "_noise") == [512, 512, 512]


def test_encoder_decoder_is_the_unet_without_skips():
    assert _outputs("encoder_decoder", "_conv") == _outputs("unet", "_conv")
    assert _outputs("encoder_decoder", "_skip") == []


def test_first_block_bottleneck_and_last_layer_have_no_norm():
    model = _tiny_unet()
    norms = {layer.name for layer in model.layers if layer.name.endswith("_norm")}
    expected = {f"encoder_{block}_norm" for block in (2, 3, 4, 5)}
    assert norms == expected | {f"decoder_{block}_norm" for block in (6, 5, 4, 3, 2)}
    noises = {layer.name for layer in model.layers if layer.name.endswith("_noise")}
    assert noises == {"decoder_6_noise", "decoder_5_noise", "decoder_4_noise"}


@pytest.mark.parametrize(
    ("depth", "blocks"), [(9, {8, 7, 6, 5}), (8, {7, 6, 5}), (7, {6, 5}), (6, {5}), (5, set()), (3, set())]
)
def test_noise_can_be_where_the_pytorch_reference_has_it(depth, blocks):
    model = generators.unet_generator(depth=depth, base_filters=1, dropout_place="torch")
    noises = {layer.name for layer in model.layers if layer.name.endswith("_noise")}
    assert noises == {f"decoder_{block}_noise" for block in blocks}


def test_unknown_dropout_place_is_refused():
    with pytest.raises(
        ValueError, match="dropout_place must be one of paper, torch. Received: dropout_place='lua'"
    ):
        generators.unet_generator((16, 16), base_filters=2, dropout_place="lua")


def test_unknown_kernels_are_refused():
    with pytest.raises(ValueError, match="conv_kernels must be one of auto, native.*'cuda'"):
        generators.unet_generator((16, 16), base_filters=2, conv_kernels="cuda")


def test_relu_slopes_are_those_of_the_paper():
    model = _tiny_unet()
    negative = tf.constant([[[[-1.0, 1.0]]]])
    np.testing.assert_allclose(model.get_layer("encoder_2_relu")(negative), [[[[-0.2, 1]]]], rtol=1e-6)
    np.testing.assert_array_equal(model.get_layer("decoder_6_relu")(negative), [[[[0, 1]]]])


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_a_resizing_decoder_has_the_same_names_and_3x3_kernels(upsampling):
    resizing, transposed = _tiny_unet(upsampling=upsampling, last_block="single"), _tiny_unet()
    assert [*map(variable_path, resizing.variables)] == [*map(variable_path, transposed.variables)]
    decoder = [layer for layer in resizing.layers if layer.name.endswith("_conv") and "decoder" in layer.name]
    assert {layer.kernel.shape[:2] for layer in decoder} == {(3, 3)}
    assert sum(layer.kernel.shape[2] * layer.kernel.shape[3] for layer in decoder) * 7 == (
        transposed.count_params() - resizing.count_params()
    )
    with pytest.raises(ValueError, match="upsampling must be one of .*'cubic'"):
        generators.unet_generator((32, 32), upsampling="cubic")


def test_a_refined_image_is_normalised_and_convolved_once_more():
    refined, single = (
        _tiny_unet(upsampling="bilinear"),
        _tiny_unet(upsampling="bilinear", last_block="single"),
    )
    added = {layer.name for layer in refined.layers} - {layer.name for layer in single.layers}
    assert added == {"decoder_1_norm", "refine_relu", "refine_pad", "refine_conv"}
    assert refined.get_layer("refine_conv").kernel.shape == (7, 7, 2, 3)
    assert refined.get_layer("decoder_1_conv").filters == 2
    with pytest.raises(ValueError, match="last_block must be one of single, refined, None.*'fine'"):
        generators.unet_generator((32, 32), last_block="fine")


def test_an_earlier_runs_image_is_made_as_it_was():
    text = make_config(dataset="mine", upsampling="bilinear").to_json()
    earlier = {name: value for name, value in json.loads(text).items() if name != "last_block"}
    assert from_json(text).last_block is None and from_json(json.dumps(earlier)).last_block == "single"


def test_kernels_start_at_the_papers_scale():
    for layer in ("encoder_8_conv", "decoder_8_conv"):
        kernel = _paper_net("unet").get_layer(layer).kernel.numpy()
        assert abs(kernel.mean()) < 1e-4
        assert abs(kernel.std() - 0.02) < 1e-4


@pytest.mark.parametrize(
    ("image_size", "depth"),
    [
        ((256, 256), 8),
        ((1024, 512), 8),
        ((128, 128), 7),
        ((64, 128), 6),
        ((300, 255), 7),
        ((4, 4), 2),
        ((1, 1), 2),
    ],
)
def test_depth_follows_from_the_shorter_side(image_size, depth):
    assert generators.depth_for(image_size) == depth


@pytest.mark.parametrize("name", ["unet", "encoder_decoder"])
def test_a_size_of_one_number_is_a_square(name):
    build = resolve(GENERATORS[name])
    assert build(16, base_filters=2).count_params() == build((16, 16), base_filters=2).count_params()


def test_a_given_depth_wins():
    model = generators.unet_generator((256, 256), depth=3, base_filters=2)
    assert sum(layer.name.startswith("encoder_") and "conv" in layer.name for layer in model.layers) == 3


@pytest.mark.parametrize("depth", [-1, 0, 1])
@pytest.mark.parametrize("name", ["unet", "encoder_decoder"])
def test_impossible_depth_is_refused(name, depth):
    with pytest.raises(ValueError, match=f"depth must be at least 2. Received: depth={depth}"):
        resolve(GENERATORS[name])(depth=depth)


def test_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match="Received: kind='layer'"):
        generators.unet_generator((16, 16), base_filters=2, normalization="layer")


@pytest.mark.parametrize("name", ["unet", "encoder_decoder"])
@pytest.mark.parametrize(("input_channels", "output_channels"), [(1, 3), (4, 1), (12, 2)])
def test_any_channel_counts(name, input_channels, output_channels):
    model = resolve(GENERATORS[name])((8, 8), input_channels, output_channels, base_filters=2)
    generated = model([_draw_images(1, 8, 8, input_channels), np.zeros((1, 2), "int32")])
    assert generated.shape == (1, 8, 8, output_channels)


@pytest.mark.parametrize("size", [(64, 64), (64, 128), (50, 70), (200, 33), (1, 5)])
def test_any_image_size_comes_out_as_it_went_in(size):
    generated = _tiny_unet()([_draw_images(1, *size, 3), np.zeros((1, 2), "int32")]).numpy()
    assert generated.shape == (1, *size, 3)
    assert np.isfinite(generated).all()
    assert np.abs(generated).max() <= 1


@pytest.mark.parametrize("normalization", ["batch", "instance", "plain_instance", "none"])
def test_translating_a_batch_equals_translating_one_by_one(normalization):
    model = _tiny_unet(normalization=normalization)
    images = _draw_images(4, 64, 64, 3) * np.reshape([1, 0.5, 0.1, 1], (4, 1, 1, 1)).astype("float32")
    seeds = np.array([[0, 1], [2, 3], [0, 1], [-5, 9]], "int32")
    together = model([images, seeds])
    alone = [model([images[place : place + 1], seeds[place : place + 1]]) for place in range(4)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)


def test_batch_statistics_are_those_of_the_batch_only_in_training():
    model, seeds = _tiny_unet(), np.zeros((2, 2), "int32")
    images = _draw_images(2, 64, 64, 3)
    calls = {training: model([images, seeds], training=training).numpy() for training in (True, False)}
    alone = model([images[:1], seeds[:1]], training=True).numpy()
    assert np.abs(calls[True][:1] - alone).max() > 1e-4
    np.testing.assert_allclose(calls[False][:1], alone, atol=1e-5)


@pytest.mark.parametrize("name", ["unet", "encoder_decoder"])
def test_noise_seed_fixes_the_output(name):
    model = resolve(GENERATORS[name])((16, 16), base_filters=8)
    image = _draw_images(1, 16, 16, 3)
    same, also_same = (model([image, np.array([[3, 4]])]).numpy() for _ in range(2))
    other = model([image, np.array([[4, 3]])]).numpy()
    np.testing.assert_array_equal(same, also_same)
    assert np.abs(same - other).max() > 1e-4


def test_equal_seeds_give_equal_images_at_any_place_in_the_batch():
    images = np.repeat(_draw_images(1, 64, 64, 3), 3, axis=0)
    generated = _tiny_unet()([images, np.array([[1, 2], [3, 4], [1, 2]])]).numpy()
    np.testing.assert_allclose(generated[0], generated[2], atol=1e-6)
    assert np.abs(generated[0] - generated[1]).max() > 1e-4


def test_noise_is_on_in_training_and_in_inference_alike():
    model, image = _tiny_unet(normalization="instance"), _draw_images(1, 64, 64, 3)
    for seed in ([[1, 2]], [[3, 4]]):
        trained, served = (model([image, np.array(seed)], training=mode) for mode in (True, False))
        np.testing.assert_array_equal(trained, served)


def test_without_dropout_the_seed_is_ignored():
    model, image = _tiny_unet(dropout_rate=0.0), _draw_images(1, 64, 64, 3)
    one, other = (model([image, np.array(seed)]) for seed in ([[1, 2]], [[3, 4]]))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("name", "passes"), [("unet", True), ("encoder_decoder", False)])
def test_only_skips_pass_the_input_around_a_closed_bottleneck(name, passes):
    model, seed = resolve(GENERATORS[name])((16, 16), base_filters=2), np.zeros((1, 2), "int32")
    bottleneck = model.get_layer("encoder_4_conv").kernel
    bottleneck.assign(tf.zeros_like(bottleneck))
    image = _draw_images(1, 16, 16, 3)
    difference = np.abs(model([image, seed]) - model([-image, seed])).max()
    assert difference > 1e-4 if passes else difference == 0


@pytest.mark.parametrize("policy", ["mixed_float16", "float32"])
def test_networks_take_the_policy_that_is_set_for_all_of_keras(policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        networks = (
            generators.unet_generator((8, 8), base_filters=1),
            generators.encoder_decoder_generator((8, 8), base_filters=1),
            discriminators.patch_discriminator(1, base_filters=1),
        )
        plain = generators.unet_generator((8, 8), base_filters=1, dtype="float32")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    expected = "float16" if policy == "mixed_float16" else "float32"
    for network in networks:
        (first, *_) = [layer for layer in network.layers if isinstance(layer, layers.PaddedConv2D)]
        assert (first.compute_dtype, network.outputs[0].dtype) == (expected, "float32")
    assert all(layer.compute_dtype == "float32" for layer in plain.layers if layer.weights)


def test_a_generator_takes_images_without_noise_seeds(capsys, tmp_path):
    generator = generators.unet_generator(16, depth=2, base_filters=2)
    images = _draw_images(3, 16, 16, 3)
    expected = np.asarray(generator([images, np.zeros((3, 2), "int32")]))
    np.testing.assert_array_equal(np.asarray(generator(images)), expected)
    np.testing.assert_allclose(generator.predict(images, verbose=0), expected, atol=1e-6)
    generator.save(tmp_path / "generator.keras")
    loaded = keras.models.load_model(tmp_path / "generator.keras")
    np.testing.assert_array_equal(np.asarray(loaded(images)), expected)
    assert "warning" not in capsys.readouterr().err
    assert all(layer.name for layer in keras.models.clone_model(generator).layers)


@pytest.mark.parametrize(("top", "remedy"), [(1, "image * 2 - 1"), (255, "image / 127.5 - 1")])
def test_images_in_another_range_are_warned_of_once(top, remedy, capsys):
    generator = generators.unet_generator(16, depth=2, base_filters=2)
    images = (_draw_images(1, 16, 16, 3) + 1) / 2 * top
    generator(images)
    generator(images)
    assert capsys.readouterr().err.count(f"make them `{remedy}`") == 1
