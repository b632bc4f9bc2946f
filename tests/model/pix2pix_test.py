"""`Pix2Pix` trains as `TrainStep` does, scores as `metrics` does, and is saved as Keras models are."""

import dataclasses
import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfpix2pix
from tests.helpers import runs
from tests.helpers.tiny_run import write_run
from tfpix2pix.methods.losses import LossTerm
from tfpix2pix.methods.optimizers import FusedAdam
from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.metrics.image_quality import compute_image_quality
from tfpix2pix.model.pix2pix import Pix2Pix
from tfpix2pix.networks import discriminators, generators
from tfpix2pix.networks.class_channels import ClassChannels
from tfpix2pix.networks.keras_versions import IS_KERAS_3, LossScaleOptimizer
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.run.splits import open_split

X, Y = np.random.default_rng(0).uniform(-1, 1, (2, 6, 16, 16, 3)).astype("float32")
SEEDS = np.arange(12, dtype="int32").reshape(6, 2)
LOSSES = ["discriminator_generated_loss", "discriminator_loss", "discriminator_real_loss"]
LOSSES += ["generator_gan_loss", "generator_loss", "l1_loss"]


def _networks(**options):
    keras.utils.set_random_seed(1)
    generator = generators.unet_generator((16, 16), depth=2, base_filters=2, **options)
    return generator, discriminators.patch_discriminator(16, base_filters=2, **options)


def _compiled(**options) -> Pix2Pix:
    model = Pix2Pix(*_networks(), **options)
    model.compile()
    return model


def _dictionaries(batch_size: int) -> tf.data.Dataset:
    names = np.arange(6).astype("S")
    tensors = {"input_image": X, "target_image": Y, "noise_seed": SEEDS, "example_id": names}
    return tf.data.Dataset.from_tensor_slices(tensors).batch(batch_size)


def _differences(one: keras.Model, other: keras.Model) -> list[float]:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return [float(np.abs(first - second).max()) for first, second in pairs]


@pytest.fixture(scope="module")
def three_steps():
    """A model after three steps on batches of two, and what `fit` reported."""
    model = _compiled()
    history = model.fit(_dictionaries(2), verbose=0)
    return model, {name: values[0] for name, values in history.history.items()}


def test_three_steps_are_those_of_the_training_step(three_steps):
    model, reported = three_steps
    step = TrainStep(*_networks(), global_batch_size=2)
    losses = step.run_steps(iter(_dictionaries(2)), 3)
    assert sorted(reported) == LOSSES
    for name, values in losses.items():
        assert reported[name] == pytest.approx(float(tf.reduce_mean(values)), rel=1e-6), name
    assert max(_differences(model.generator, step.generator)) == 0
    assert max(_differences(model.discriminator, step.discriminator)) == 0
    assert max(_differences(model.generator, _networks()[0])) > 1e-5
    assert int(step.step) == int(np.asarray(model.steps)) == 3


def test_the_size_of_a_batch_comes_from_the_data():
    """With a batch of 4 and one of 2, each is divided by its own size; l1 is at most 2."""
    model = _compiled()
    history = model.fit(_dictionaries(4), verbose=0)
    step = TrainStep(*_networks())
    for batch in _dictionaries(4):
        step(batch)
    assert history.history["l1_loss"][0] < 2
    assert max(_differences(model.generator, step.generator)) < 1e-6


class _Batches(keras.utils.PyDataset if IS_KERAS_3 else keras.utils.Sequence):
    def __len__(self):
        return 3

    def __getitem__(self, place):
        return X[2 * place : 2 * place + 2], Y[2 * place : 2 * place + 2]


def test_fit_takes_pairs_in_every_form():
    forms = {
        "arrays": lambda model: model.fit(X, Y, batch_size=2, shuffle=False, verbose=0),
        "tf.data": lambda model: model.fit(tf.data.Dataset.from_tensor_slices((X, Y)).batch(2), verbose=0),
        "PyDataset": lambda model: model.fit(_Batches(), shuffle=False, verbose=0),
        "arrays by name": lambda model: model.fit(
            {"input_image": X, "target_image": Y}, batch_size=2, shuffle=False, verbose=0
        ),
    }
    losses = {form: fit(_compiled()).history["l1_loss"][0] for form, fit in forms.items()}
    assert set(losses.values()) == {losses["arrays"]}


def test_fit_reports_its_losses_after_other_calls_too():
    model = _compiled()
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)
    model(X)
    for batch_size in (2, 3):
        assert sorted(model.fit(_dictionaries(batch_size), verbose=0).history) == LOSSES
        model.predict(X, verbose=0)
    assert sorted(model.train_on_batch(X, Y, return_dict=True)) == LOSSES


def test_what_the_model_cannot_do_is_refused():
    model = _compiled()
    refusal = UsageError if IS_KERAS_3 else Exception  # Keras 2 wraps what happens in `train_step`
    with pytest.raises(refusal, match="no target image"):
        model.fit(X, batch_size=2, verbose=0)
    with pytest.raises(refusal, match="make bytes `image / 127.5 - 1`"):
        model.fit(np.zeros((2, 16, 16, 3), "uint8"), Y[:2], verbose=0)
    with pytest.raises(refusal, match="weights of samples"):
        model.fit(X, Y, sample_weight=np.ones(6), verbose=0)
    with pytest.raises(UsageError, match="`class_weight` is not supported"):
        model.fit(X, Y, class_weight={0: 1.0}, verbose=0)
    with pytest.raises(refusal, match="a dictionary with image"):
        model.predict({"image": X}, verbose=0)
    model.predict(X, verbose=0)
    batches = tf.data.Dataset.from_tensor_slices((X, Y)).batch(3)
    model.fit(batches, verbose=0)
    for call in (lambda: model.predict(X[0], verbose=0), lambda: model.fit(batches.unbatch(), verbose=0)):
        with pytest.raises(UsageError, match=r"floats \[B, H, W, C\] .* Received: float32 \[16, 16, 3\]"):
            call()
    with pytest.raises(UsageError, match=r"tfpix2pix.export_saved_model\(model.generator, folder\)"):
        model.export("folder")
    with pytest.raises(ValueError, match="takes a conditional one"):
        Pix2Pix(_networks()[0])


@pytest.mark.parametrize(
    ("scale", "remedy"), [(1, "`image \\* 2 - 1`"), (255, "`image / 127.5 - 1`")], ids=["0..1", "0..255"]
)
def test_images_in_another_range_are_warned_of(scale, remedy, capsys):
    model = _compiled()
    shifted = (Y[:2] + 1) / 2 * scale
    refusal = UsageError if IS_KERAS_3 else Exception  # Keras 2 wraps what happens in `train_step`
    with pytest.raises(refusal, match="make bytes"):  # A call that fails has used up nothing.
        model.fit(np.zeros((2, 16, 16, 3), "uint8"), shifted, verbose=0)
    capsys.readouterr()
    calls = {"target": lambda: model.fit(X[:2], shifted, verbose=0)}
    calls["input"] = lambda: model.predict([shifted, SEEDS[:2]], verbose=0)
    for side, call in calls.items():
        for _ in range(2):  # It is said once.
            call()
        (warning,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
        assert f"the {side} images hold floats from" in warning
        assert remedy.replace("\\", "") in warning


def test_each_batch_of_a_dataset_is_made_once_and_the_first_is_looked_at(capsys):
    model, shifted = _compiled(), (Y + 1) / 2
    images = iter(zip(X, shifted, strict=True))  # which does not begin anew
    spec = (tf.TensorSpec([16, 16, 3]), tf.TensorSpec([16, 16, 3]))
    model.fit(tf.data.Dataset.from_generator(lambda: images, output_signature=spec).batch(2), verbose=0)
    assert int(model.steps) == 3
    assert capsys.readouterr().err.count("the target images hold floats from") == 1
    other = _compiled()
    other.fit(_dictionaries(2).repeat(), steps_per_epoch=3, epochs=2, verbose=0)
    other.predict(_dictionaries(4).map(lambda batch: batch["input_image"]), verbose=0)
    assert int(other.steps) == 6 and "warning" not in capsys.readouterr().err


def test_evaluate_gives_the_scores_of_the_images(three_steps):
    model, _ = three_steps
    scores = model.evaluate(_dictionaries(4), verbose=0, return_dict=True)
    expected = compute_image_quality(tf.constant(Y), model.generator([X, SEEDS]))
    means = {name: float(tf.reduce_mean(each)) for name, each in expected.items()}
    assert {type(value) for value in scores.values()} == {float}
    assert scores == pytest.approx(means, abs=1e-5)
    assert model.evaluate(_dictionaries(4), verbose=0) == pytest.approx(list(scores.values()))


def test_predict_takes_one_seed_for_all_images_or_those_it_is_given(three_steps):
    model, _ = three_steps
    generated = model.predict(X, batch_size=4, verbose=0)
    expected = np.asarray(model.generator([X, np.zeros((6, 2), "int32")]))
    np.testing.assert_allclose(generated, expected, atol=1e-6)
    np.testing.assert_array_equal(model.predict(X, batch_size=4, verbose=0), generated)
    np.testing.assert_allclose(np.asarray(model(X)), expected, atol=1e-6)
    seeded = model.predict([X, SEEDS], verbose=0)
    np.testing.assert_allclose(seeded, np.asarray(model.generator([X, SEEDS])), atol=1e-6)
    assert np.abs(seeded - generated).max() > 1e-3


def test_predict_takes_latent_vectors():
    generator = generators.unet_generator((16, 16), depth=2, base_filters=2, latent_size=3)
    for variable in generator.variables:
        variable.assign(variable * 3)
    model = Pix2Pix(generator, discriminators.patch_discriminator(16, base_filters=2), noise_seed=np.int64(5))
    latents = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    each = model.predict(X, latent=latents, verbose=0)
    seeds = np.tile(np.array([[5, 0]], "int32"), (6, 1))
    expected = generator.predict([X, seeds], latent=latents, verbose=0)
    np.testing.assert_allclose(each, expected, atol=1e-6)
    assert np.abs(each - generator.predict(X, latent=latents, verbose=0)).max() > 1e-3
    given = {"input_image": X, "noise_seed": seeds}
    np.testing.assert_array_equal(model.predict(given, latent=latents, verbose=0), each)
    with pytest.raises(UsageError, match="make bytes"):
        model.predict(((X + 1) * 127.5).astype("uint8"), latent=latents, verbose=0)
    with pytest.raises(UsageError, match="`latent` is for images in memory"):
        model.predict(_dictionaries(2), latent=latents, verbose=0)
    same = model.predict(X, latent=latents[2], verbose=0)
    np.testing.assert_allclose(same[2], each[2], atol=1e-6)
    assert np.abs(same - each).max() > 1e-3


def test_settings_of_compiling_are_saved(tmp_path):
    model = _compiled()
    model.compile(run_eagerly=True, steps_per_execution=4, lambda_l1=7.0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    config = loaded.get_compile_config()
    assert config == model.get_compile_config()
    told = {name: config[name] for name in ("run_eagerly", "steps_per_execution", "lambda_l1")}
    assert told == {"run_eagerly": True, "steps_per_execution": 4, "lambda_l1": 7.0}
    assert loaded.run_eagerly


def test_xla_takes_batches_with_names_and_one_device(mirrored_strategy):
    model = _compiled()
    model.compile(jit_compile=True)
    history = model.fit(_dictionaries(3), validation_data=_dictionaries(3), verbose=0).history
    assert np.isfinite([*history["l1_loss"], *history["val_l1"]]).all()
    with mirrored_strategy.scope():
        on_two = Pix2Pix(*_networks())
        with pytest.raises(ValueError, match="jit_compile works on one replica"):
            on_two.compile(jit_compile=True)


def test_a_noise_seed_may_be_any_integer():
    model = _compiled(noise_seed=np.int64(3_000_000_000))
    assert np.isfinite(model.fit(X, Y, batch_size=3, verbose=0).history["l1_loss"]).all()
    assert Pix2Pix.from_config(model.get_config()).noise_seed == 3_000_000_000


def test_noise_differs_from_step_to_step_in_training():
    """Without an update (learning rate 0), the same pair gives other losses."""
    model = Pix2Pix(*_networks())
    model.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
    losses = model.fit(X[:1], Y[:1], epochs=3, verbose=0).history["l1_loss"]
    assert len(set(losses)) == 3


def test_the_model_of_a_configuration_begins_as_its_training_does():
    config = tfpix2pix.make_config(
        dataset="synthetic", image_size=32, depth=2, base_filters=2, receptive_field=16, lambda_l1=7, seed=3
    )
    model = Pix2Pix.from_config_of(config)
    step = tfpix2pix.methods.build_train_step(config, total_steps=3)
    assert max(_differences(model.generator, step.generator)) == 0
    losses = step.run_steps(iter(_dictionaries(1)), 3)
    model.fit(_dictionaries(1), steps_per_epoch=3, verbose=0)
    assert max(_differences(model.generator, step.generator)) == 0
    assert np.isfinite(losses["generator_loss"]).all()
    squares = Pix2Pix.from_config_of(dataclasses.replace(config, gan_loss="least_squares"))
    assert squares.get_compile_config()["gan_loss"] == "least_squares"
    assert squares.get_compile_config()["lambda_l1"] == 7
    with pytest.raises(UsageError, match="needs `total_steps`"):
        Pix2Pix.from_config_of(tfpix2pix.make_config(dataset="synthetic", lr_schedule="linear_decay"))


def test_the_model_of_a_run_knows_the_classes_that_the_run_was_trained_on(tmp_path):
    classes = {"sky": [0, 0, 255], "road": [128, 128, 128], "void": [[0, 0, 0]]}
    places = np.arange(32 * 32).reshape(32, 32) % 2
    colours = np.array([[0, 0, 255], [128, 128, 128]], np.uint8)
    runs.write_image(tmp_path / "data/train/labels/0.png", colours[places])
    runs.write_image(tmp_path / "data/train/images/0.png", colours[1 - places])
    palette = tmp_path / "data/palette.json"
    palette.write_text(json.dumps(classes))
    config = runs.tiny_config(tmp_path / "data", direction="AtoB", input_encoding="one_hot")
    of_data = Pix2Pix.from_config_of(config)
    write_run(tmp_path / "run", config, open_split(config, "train"))
    palette.write_text(json.dumps({**classes, "car": [255, 0, 0]}))
    of_run = Pix2Pix.from_config_of(tmp_path / "run")
    for model in (of_data, of_run):
        (layer,) = [each for each in model.generator.layers if isinstance(each, ClassChannels)]
        assert layer.colours == colours.tolist()
    assert max(_differences(of_data.generator, of_run.generator)) == 0
    label_map = tf.constant(colours[places][None] / 127.5 - 1, tf.float32)
    assert np.isfinite(of_run.fit(label_map, -label_map, verbose=0).history["l1_loss"][0])
    with pytest.raises(UsageError, match="nowhere"):
        Pix2Pix.from_config_of(tmp_path / "nowhere")


@pytest.mark.slow
def test_several_workers_are_refused(tmp_path):
    script = (
        "import tensorflow as tf\n"
        "strategy = tf.distribute.MultiWorkerMirroredStrategy()\n"
        "import tfpix2pix\n"
        "with strategy.scope():\n"
        "    model = tfpix2pix.Pix2Pix(tfpix2pix.unet_generator(32, base_filters=2), objective='l1')\n"
        "model.compile()\n"
    )
    process = runs.run([sys.executable, "-c", script], cwd=tmp_path)
    assert process.returncode == 1
    assert "several workers train with train_and_evaluate and `strategy=multiworker`" in process.stderr


def test_float16_scales_the_loss():
    model = Pix2Pix(*_networks(dtype="mixed_float16"))
    model.compile(discriminator_optimizer=keras.optimizers.Adam(1e-4))
    assert isinstance(model.generator_optimizer, LossScaleOptimizer)
    assert isinstance(model.discriminator_optimizer, LossScaleOptimizer)
    before = model.generator.get_weights()
    history = model.fit(X, Y, batch_size=3, epochs=6, verbose=0)
    assert all(np.isfinite(history.history[name]).all() for name in LOSSES)
    assert any((old != new).any() for old, new in zip(before, model.generator.get_weights(), strict=True))
    again = Pix2Pix(*_networks(dtype="mixed_float16"))
    again.compile(keras.optimizers.Adam(), keras.optimizers.Adam())
    count = len(again.generator_optimizer.variables)
    again.compile(again.generator_optimizer, again.discriminator_optimizer)
    assert len(again.generator_optimizer.variables) == count
    plain = Pix2Pix(*_networks())
    plain.compile()
    assert isinstance(plain.optimizer, FusedAdam)
    plain.compile("sgd", "rmsprop")
    assert isinstance(plain.optimizer, keras.optimizers.SGD)
    assert isinstance(plain.discriminator_optimizer, keras.optimizers.RMSprop)


@pytest.mark.slow
def test_two_replicas_take_the_step_of_one(mirrored_strategy):
    """Instance normalisation, so that nothing depends on how a batch is shared; the last batch is uneven."""
    data = _dictionaries(4).map(lambda batch: {name: batch[name] for name in batch if name != "example_id"})
    with mirrored_strategy.scope():
        model = Pix2Pix(*_networks(normalization="instance"))
        model.compile()
    history = model.fit(data, verbose=0)
    single = Pix2Pix(*_networks(normalization="instance"))
    single.compile()
    expected = single.fit(data, verbose=0)
    for name in LOSSES:
        assert history.history[name] == pytest.approx(expected.history[name], rel=1e-4), name
    assert max(_differences(model.generator, single.generator)) < 1e-4
    assert int(np.asarray(single.steps)) == 2
    scores = model.evaluate(data, verbose=0)
    assert scores == pytest.approx(single.evaluate(data, verbose=0), rel=1e-3)
    np.testing.assert_allclose(model.predict(X, verbose=0), single.predict(X, verbose=0), atol=1e-3)


def test_a_model_with_terms_is_loaded_to_be_compiled_again(tmp_path):
    term = LossTerm(2.0, lambda pair: tf.reduce_mean(tf.square(pair.generated_image), axis=[1, 2, 3]))
    model = Pix2Pix(*_networks())
    model.compile(terms={"size": term})
    assert "size_loss" in model.fit(X, Y, batch_size=3, verbose=0).history
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert max(_differences(loaded.generator, model.generator)) == 0
    with pytest.raises((ValueError, RuntimeError), match="compile"):
        loaded.fit(X, Y, verbose=0)


@pytest.mark.slow
def test_a_new_process_loads_and_goes_on(three_steps, tmp_path):
    """After `import tfpix2pix` alone; the model, the generator and the states of both optimizers."""
    model, _ = three_steps
    model.save(tmp_path / "model.keras")
    model.generator.save(tmp_path / "generator.keras")
    np.savez(tmp_path / "pairs.npz", x=X, y=Y, seeds=SEEDS)
    script = (
        "import sys, tfpix2pix\n"
        "assert 'tensorflow' not in sys.modules\n"
        "import keras, numpy as np\n"
        "model = keras.models.load_model('model.keras')\n"
        "generator = keras.models.load_model('generator.keras')\n"
        "pairs = np.load('pairs.npz')\n"
        "batch = {'input_image': pairs['x'], 'target_image': pairs['y'], 'noise_seed': pairs['seeds']}\n"
        "before = generator.predict([pairs['x'], pairs['seeds']], verbose=0)\n"
        "model.fit(batch, batch_size=6, shuffle=False, verbose=0)\n"
        "after = model.predict([pairs['x'], pairs['seeds']], verbose=0)\n"
        "np.savez('answers.npz', before=before, after=after, steps=np.asarray(model.steps))\n"
    )
    process = runs.run([sys.executable, "-c", script], cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    with np.load(tmp_path / "answers.npz") as answers:
        before = model.generator.predict([X, SEEDS], verbose=0)
        np.testing.assert_allclose(answers["before"], before, atol=1e-6)
        copy = keras.models.load_model(tmp_path / "model.keras")
        assert (copy.name, copy.objective, copy.noise_seed) == (model.name, "l1+cgan", 0)
        copy.fit(_dictionaries(6), verbose=0)
        np.testing.assert_allclose(answers["after"], copy.predict([X, SEEDS], verbose=0), atol=1e-6)
        assert answers["steps"] == 4
        assert int(np.asarray(copy.generator_optimizer.iterations)) == 4
