import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.tiny_run import CONFIG, write_run
from tfpix2pix.export import model_card, saved_model
from tfpix2pix.export.names import TASK_FILE
from tfpix2pix.networks import generators
from tfpix2pix.networks.inference import compile_generator
from tfpix2pix.networks.keras_versions import variable_path
from tfpix2pix.networks.scale import Scale
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.tasks.transforms import resize, to_uint8, to_unit_range
from tfpix2pix.run import checkpoints
from tfpix2pix.run.generator import load_generator
from tfpix2pix.translate.arrays import translate_images
from tfpix2pix.translate.translator import Translator


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="module")
def generator(workdir):
    return load_generator(workdir)[0]


@pytest.fixture(scope="module")
def saved(generator, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved_models") / "tiny"
    return saved_model.export_saved_model(generator, folder, verify=False).parent


def draw_pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def test_load_generator_restores_the_checkpoint_that_is_asked_for(workdir):
    steps = {which: load_generator(workdir, which)[2] for which in ("latest", "best", "1", "2", 1, None)}
    assert steps == {"latest": 2, "best": 1, "1": 1, "2": 2, 1: 1, None: 2}
    assert Translator(workdir, 1).step == 1
    (first, config, _), (second, _, _) = load_generator(workdir, "best"), load_generator(workdir)
    assert config == CONFIG
    saved_weights = tf.train.load_checkpoint(str(checkpoints.checkpoint_folder(workdir, 1) / "state"))
    kernel = next(v for v in first.variables if variable_path(v) == "encoder_2_conv/kernel")
    stored = saved_weights.get_tensor("state/generator.Sencoder_2_conv.Skernel/.ATTRIBUTES/VARIABLE_VALUE")
    np.testing.assert_array_equal(kernel.numpy(), stored)
    assert any(np.any(a.numpy() != b.numpy()) for a, b in zip(first.variables, second.variables, strict=True))


def test_load_generator_says_what_is_missing(workdir, tmp_path):
    with pytest.raises(UsageError, match="nowhere holds no run"):
        load_generator(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no checkpoint 9.*one of 1, 2"):
        load_generator(workdir, "9")


@pytest.mark.parametrize("shape", [(32, 32, 3), (40, 51, 3), (2, 33, 20, 3), (1, 1, 3)])
def test_translate_returns_what_it_was_given(generator, shape):
    pixels = draw_pixels(*shape)
    generated = translate_images(generator, pixels)
    assert generated.dtype == np.uint8 and generated.shape == shape
    floats = translate_images(generator, pixels.astype(np.float64) / 127.5 - 1)
    assert floats.dtype == np.float32 and floats.shape == shape
    assert np.abs(floats).max() <= 1
    # A pixel is half a level off at most, give or take rounding before.
    assert np.abs((floats + 1) * 127.5 - generated).max() <= 0.51


def test_translate_is_the_generator_with_one_seed_for_each_image(generator):
    pixels = draw_pixels(2, 32, 32, 3)
    floats = pixels.astype(np.float32) / 127.5 - 1
    seeds = tf.constant([[7, 0], [7, 0]])
    expected = generator([tf.constant(floats), seeds], training=False).numpy()
    np.testing.assert_allclose(translate_images(generator, floats, noise_seed=7), expected, atol=1e-6)
    assert np.any(translate_images(generator, floats, noise_seed=8) != expected)
    one_by_one = np.stack([translate_images(generator, image, 7) for image in pixels])
    assert np.abs(translate_images(generator, pixels, 7).astype(int) - one_by_one).max() <= 1


@pytest.mark.parametrize(
    "images, reason",
    [
        (np.zeros((32, 32), np.uint8), r"\[H, W, 3\] or \[B, H, W, 3\].*\(32, 32\)"),
        (np.zeros((32, 32, 4), np.uint8), r"\(32, 32, 4\)"),
        (np.zeros((0, 32, 3), np.uint8), r"\(0, 32, 3\)"),
        (np.zeros((32, 32, 3), np.int64), "uint8, uint16, or float.*int64"),
        (np.full((32, 32, 3), 255.0), r"\[-1, 1\].*255"),
        (np.full((32, 32, 3), np.nan), "nan"),
    ],
)
def test_translate_refuses_what_it_would_misread(generator, images, reason):
    with pytest.raises(ValueError, match=reason):
        translate_images(generator, images)


@pytest.mark.slow
def test_translator_of_a_run_and_of_its_saved_model_agree(workdir, saved, generator):
    pixels = draw_pixels(45, 37, 3)
    floats = pixels.astype(np.float32) / 127.5 - 1
    run, servable = Translator(workdir, image_size="native"), Translator(saved)
    assert run.title == f"{workdir}, step 2" and run.config == CONFIG
    assert servable.title == str(saved / "1")
    for noise_seed, sample in ((0, 0), (3, 0), (3, 2), (2**32 - 1, 1)):
        seeds = tf.constant([[-1 if noise_seed == 2**32 - 1 else noise_seed, sample]])
        expected = generator([floats[None], seeds.numpy()], training=False)[0].numpy()
        np.testing.assert_allclose(run(floats, noise_seed, sample), expected, atol=1e-5)
        np.testing.assert_allclose(servable(floats, noise_seed, sample), expected, atol=1e-5)
    assert np.any(run(pixels, 3, 0) != run(pixels, 3, 2))
    assert np.any(run(pixels, 3, 0) != Translator(workdir, "best")(pixels, 3, 0))


def test_translator_resizes_to_the_size_of_the_training(workdir, generator):
    pixels = draw_pixels(90, 71, 3)
    small = resize(pixels, (32, 32)) / 127.5 - 1
    expected = translate_images(generator, small, noise_seed=3)
    run, trained = Translator(workdir), Translator(workdir, output_size="trained")
    assert run.scale == Scale("resized", (32, 32)) and (run.output_size, trained.output_size) == (
        "input",
        "trained",
    )
    floats = pixels / 127.5 - 1
    np.testing.assert_allclose(trained(floats, 3), expected, atol=1e-5)
    np.testing.assert_allclose(run(floats, 3), resize(expected, (90, 71)), atol=1e-5)
    assert run(np.stack([pixels] * 2), 3).shape == (2, 90, 71, 3) and trained(pixels).dtype == np.uint8
    other = Translator(workdir, image_size="40x48", output_size="trained")
    expected = translate_images(generator, resize(pixels, (40, 48)) / 127.5 - 1, noise_seed=3)
    np.testing.assert_allclose(other(floats, 3), expected, atol=1e-5)


def test_a_picture_of_the_trained_size_gives_the_bits_of_the_network(workdir, generator):
    pixels = draw_pixels(2, 32, 32, 3)
    native = Translator(workdir, image_size="native")
    np.testing.assert_array_equal(Translator(workdir)(pixels, 3), native(pixels, 3))
    images = to_unit_range(pixels)
    expected = to_uint8(native.generate(images, tf.constant([[3, 0]] * 2)))
    np.testing.assert_array_equal(native(pixels, 3), expected)


@pytest.mark.slow
def test_a_saved_model_says_its_size_in_its_card(workdir, generator, tmp_path, capsys):
    pixels = draw_pixels(90, 71, 3)
    expected = Translator(workdir)(pixels, 3)
    about = model_card.describe_run(workdir, CONFIG, 2)
    version = saved_model.export_saved_model(
        generator, tmp_path / "told", verify=False, about=about, image_size=(32, 32)
    )
    assert np.abs(Translator(version)(pixels, 3).astype(int) - expected).max() <= 1
    card_file = version / "model_card.json"
    card = json.loads(card_file.read_text())
    assert card["scale"]["image_size"] == [32, 32] and card["scale"]["mode"] == "resized"
    del card["scale"]  # as earlier versions wrote it
    card_file.write_text(json.dumps(card))
    assert Translator(version).scale == Scale("resized", (32, 32))
    del card["config"]
    card_file.write_text(json.dumps(card))
    assert Translator(version).scale == Scale()
    assert "cannot be read" not in capsys.readouterr().err
    card_file.write_text(json.dumps({**card, "scale": {"mode": "half"}}))
    assert Translator(version).scale == Scale()
    assert "pictures are translated at their own size" in capsys.readouterr().err


def test_sizes_that_do_not_go_together_are_refused(workdir, saved):
    for model, settings, reason in (
        (workdir, {"image_size": "native", "output_size": "trained"}, "these keep their size"),
        (saved, {"output_size": "trained"}, "these keep their size"),
        (workdir, {"output_size": "half"}, "must be one of input, trained"),
        (workdir, {"image_size": "0"}, "image_size"),
    ):
        with pytest.raises(UsageError, match=reason):
            Translator(model, **settings)


@pytest.mark.slow
def test_translator_knows_what_its_model_was_trained_on(workdir, saved, generator, tmp_path):
    about = model_card.describe_run(workdir, CONFIG, 2)
    version = saved_model.export_saved_model(generator, tmp_path / "told", verify=False, about=about)
    assert Translator(workdir).config == Translator(version).config == CONFIG
    assert Translator(saved).config is None  # its card does not say
    card = version / "model_card.json"
    card.write_text(card.read_text().replace('"direction": "BtoA"', '"direction": "up"'))
    damaged = Translator(version)
    assert damaged(draw_pixels(32, 32, 3)).shape == (32, 32, 3)
    with pytest.raises(UserError, match=r"model_card\.json cannot be read .*move it away and say yourself"):
        _ = damaged.config
    card.unlink()
    assert Translator(version).config is None


def test_translator_takes_the_newest_version_or_the_one_named(saved, tmp_path):
    model = tmp_path / "model"
    for version in ("2", "10", ".version.incomplete"):
        (model / version).mkdir(parents=True)
        for file in saved.glob("1/**/*"):
            if file.is_file():
                copy = model / version / file.relative_to(saved / "1")
                copy.parent.mkdir(exist_ok=True)
                copy.write_bytes(file.read_bytes())
    assert Translator(model).title == str(model / "10")
    assert Translator(model / "2").title == str(model / "2")


def test_translator_says_what_it_cannot_open(workdir, saved, tmp_path):
    with pytest.raises(UsageError, match="there is no .*nowhere"):
        Translator(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="neither the folder of a run, .* nor that of a SavedModel"):
        Translator(tmp_path)
    with pytest.raises(UsageError, match="`checkpoint` is for a run"):
        Translator(saved, "best")
    with pytest.raises(UsageError, match="no checkpoint 0.*one of 1, 2"):
        Translator(workdir, 0)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "saved_model.pb").write_bytes(b"not a model")
    with pytest.raises(UserError, match="broken cannot be loaded"):
        Translator(tmp_path / "broken")
    module = tf.Module()
    module.run = tf.function(
        lambda x: {"y": x + 1}, input_signature=[tf.TensorSpec([], tf.float32, name="x")]
    )
    tf.saved_model.save(module, str(tmp_path / "foreign"), signatures=module.run)
    with pytest.raises(UsageError, match="no signature float32_seeded"):
        Translator(tmp_path / "foreign")


def test_compiled_generator_runs_any_size_without_a_new_trace():
    generator = generators.unet_generator((32, 32), base_filters=4)
    generate = compile_generator(generator)
    for height, width, batch in ((32, 32, 1), (7, 90, 1), (40, 40, 3)):
        images = tf.constant(draw_pixels(batch, height, width, 3), tf.float32) / 127.5 - 1
        seeds = tf.zeros([batch, 2], tf.int32)
        expected = generator([images, seeds], training=False)
        np.testing.assert_allclose(generate(images, seeds), expected, atol=1e-5)
    assert generate.experimental_get_tracing_count() == 1


def test_pictures_of_any_size_take_one_trace(workdir, saved):
    for model in (workdir, saved):
        translator = Translator(model)
        for shape in ((32, 40, 3), (50, 40, 3), (2, 33, 31, 3)):
            translator(draw_pixels(*shape))
        assert translator.generate_pictures.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("text", ["", '{"name": "pai', "[]", "{}"])
def test_a_damaged_task_of_a_saved_model_is_named(saved, tmp_path, text):
    version = shutil.copytree(saved / "1", tmp_path / "1")
    (version / TASK_FILE).write_text(text)
    with pytest.raises(UserError, match=f"^{version / TASK_FILE} does not hold the task of the model"):
        Translator(version)
