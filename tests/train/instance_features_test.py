"""--instance_features: an encoder is trained with the generator, and its features are clustered."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.boundaries_test import draw_ids, draw_label_map, write_dataset
from tests.helpers import runs
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.networks.instance_features import find_features, with_features
from tfpix2pix.networks.latent import draw_normal, with_latent
from tfpix2pix.networks.variables import weights_of
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.run import splits
from tfpix2pix.run.generator import load_generator
from tfpix2pix.train.feature_clusters import find_clusters
from tfpix2pix.train.training import train_and_evaluate
from tfpix2pix.translate.translator import Translator

SETTINGS = {
    "method": "pix2pixhd",
    "depth": 2,
    "residual_blocks": 1,
    "receptive_field": 70,
    "boundaries": True,
    "input_encoding": "one_hot",
    "instance_features": 2,
    "feature_depth": 2,
    "feature_filters": 2,
    "feature_clusters": 3,
}
STAGED = {
    "generator": "enhancer",
    "global_steps": 1,
    "enhancer_only_steps": 1,
    "ema_decay": 0.9,
    "steps": 3,
    "checkpoint_every_steps": 1,
    "keep_checkpoints": 10,
}


def config_of(data_dir: Path, **settings):
    return runs.tiny_config(data_dir, **{**SETTINGS, "steps": 2, **settings})


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("features") / "data")


@pytest.fixture(scope="module")
def run(data_dir, tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("features") / "run"
    train_and_evaluate(config_of(data_dir), workdir)
    return workdir


@pytest.fixture(scope="module")
def staged(data_dir, tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("features") / "staged"
    train_and_evaluate(config_of(data_dir, **STAGED), workdir)
    return workdir


def _first_batch(config):
    source = splits.open_split(config, "train")
    dataset = build_dataset(source, image_size=config.image_size, batch_size=1, training=False)
    return next(iter(dataset)), splits.find_input_palette(config, source.meaning)


def test_the_generator_sees_what_the_encoder_finds_in_the_target(data_dir):
    config = config_of(data_dir)
    batch, palette = _first_batch(config)
    step = build_train_step(config, 2, palette=palette)
    before = {name: value.numpy() for name, value in weights_of(step.encoder).items()}
    features = step.encoder([batch["target_image"], tf.constant(draw_ids(0)[None], tf.int32)])
    images = [batch[name] for name in ("input_image", "noise_seed")]
    of_features, of_none = (
        with_features(step.generator)([*images, each]) for each in (features, tf.zeros_like(features))
    )
    assert np.abs(of_features - of_none).max() > 1e-4
    logits = step.discriminate(batch["input_image"], of_features)
    expected = sum(float(tf.reduce_mean((scale - 1) ** 2)) for scale in logits)
    losses = step(batch)
    assert float(losses["generator_gan_loss"]) == pytest.approx(expected, rel=1e-5)
    after = weights_of(step.encoder)
    # A bias before a norm without offset has no gradient but rounding.
    moved = {name for name in before if np.abs(after[name].numpy() - before[name]).max() > 1e-5}
    assert {name for name in before if name.endswith("kernel")} <= moved


def test_the_samples_of_mode_seeking_have_the_features_of_one_target(data_dir):
    config = config_of(data_dir, latent_size=2, lambda_mode_seeking=0.5)
    batch, palette = _first_batch(config)
    step = build_train_step(config, 2, palette=palette)
    given = [batch["input_image"], batch["noise_seed"], step.encode(batch)[0]]
    network = with_latent(with_features(step.generator))
    latents = [draw_normal(batch["noise_seed"], 2, stream) for stream in (-1, -2)]
    one, other = (network([*given, latent], training=True) for latent in latents)
    expected = tf.reduce_mean(tf.abs(latents[0] - latents[1])) / tf.reduce_mean(tf.abs(one - other))
    assert float(step(batch)["mode_seeking_loss"]) == pytest.approx(float(expected), rel=0.02)


@pytest.mark.slow
def test_the_clusters_are_those_of_the_encoded_training_images(run, data_dir):
    config = config_of(data_dir)
    generator = load_generator(run)[0]
    centers, counts = find_features(generator).get_weights()
    step = build_train_step(config, 2, palette=_first_batch(config)[1])
    state = runs.read_state(run, 2)
    for name, variable in weights_of(step.encoder).items():
        key = next(key for key in state if key.startswith(f"state/encoder.S{name.replace('/', '.S')}/"))
        variable.assign(state[key])
    source = splits.open_split(config, "train")
    found = {0: [], 1: []}
    for batch in build_dataset(source, image_size=(32, 32), batch_size=1, training=False):
        features, _ = step.encode(batch)
        levels = np.round((batch["input_image"].numpy() + 1) * 32767.5).astype(int)[0, ..., 3]
        for number in np.unique(levels):
            inside = features[0].numpy()[levels == number]
            np.testing.assert_allclose(inside, inside[:1].repeat(len(inside), 0), atol=1e-6)
            found[int(number >= 1000)].append(inside[0])
    for place, points in found.items():  # void, the third, has no instances
        assert counts[place] == min(3, len(points))
        assert len(points) > 3 or {tuple(each.round(4)) for each in points} == {
            tuple(each.round(4)) for each in centers[place, : len(points)]
        }
        of_class = centers[place, : int(counts[place])]
        assert (of_class >= np.min(points, 0) - 1e-5).all() and (of_class <= np.max(points, 0) + 1e-5).all()
    assert counts[2] == 0


def test_features_are_drawn_by_the_seed_alone(run):
    translator, label_map, ids = Translator(run), draw_label_map(5), draw_ids(5)
    first, again, other = (
        translator(label_map, seed, instance_ids=ids, dtype="float32") for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4
    batch = translator(
        np.stack([label_map, draw_label_map(6)]),
        1,
        instance_ids=np.stack([ids, draw_ids(6)]),
        dtype="float32",
    )
    np.testing.assert_allclose(batch[0], first, atol=1e-6)


@pytest.mark.slow
def test_a_run_that_breaks_between_stages_goes_on_to_the_same_bits(data_dir, staged, tmp_path):
    config = config_of(data_dir, **STAGED)
    with pytest.raises(UserError, match="broken"):
        train_and_evaluate(config, tmp_path, callbacks=[runs.BreakAt(2)])
    assert train_and_evaluate(config, tmp_path).step == 3
    state = runs.read_state(tmp_path, 3)
    runs.assert_same_state(state, runs.read_state(staged, 3))
    names = {name.split("/")[1].split(".S")[0] for name in state}
    assert {"encoder", "generator", "generator_average", "global_generator_optimizer"} <= names


@pytest.mark.slow
def test_the_average_has_the_same_clusters_and_the_encoder_trains_in_each_stage(staged):
    (centers, counts), of_average = (
        find_features(load_generator(staged, weights=weights)[0]).get_weights() for weights in ("raw", "ema")
    )
    assert counts.any() and centers.any()
    np.testing.assert_array_equal(of_average[0], centers)
    states = [runs.read_state(staged, step) for step in (1, 2, 3)]
    (name,) = (name for name in states[0] if name.startswith("state/encoder.Sencoder_first_conv.Skernel/"))
    for before, after in itertools.pairwise(states):
        assert np.abs(after[name] - before[name]).max() > 1e-5


@pytest.mark.slow
def test_a_run_starts_with_the_encoder_of_another(run, data_dir, tmp_path, capfd):
    settings = {"init_from": str(run), "steps": 1, "learning_rate": 0.0, "feature_clusters": 2}
    train_and_evaluate(config_of(data_dir, **settings), tmp_path / "more")
    before, after = runs.read_state(run, 2), runs.read_state(tmp_path / "more", 1)
    kernels = [name for name in before if "_conv.Skernel/" in name and "_optimizer" not in name]
    assert any("state/encoder.S" in name for name in kernels)
    for name in kernels:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    assert find_features(load_generator(tmp_path / "more")[0]).counts.numpy().max() == 2
    assert "random" not in capfd.readouterr().err
    settings |= {"feature_filters": 3, "dry_run": True}
    command = runs.train_command(data_dir, tmp_path / "none", **SETTINGS | settings)
    process = runs.call(command)
    assert process.returncode == 2 and "does not fit the feature_encoder" in process.stderr


def test_clusters_begin_with_the_largest():
    draw = np.random.default_rng(0)
    middles = np.array([[0.5, 0.5], [-0.5, 0.5], [0.0, -0.5]])
    points = np.concatenate(
        [
            middle + draw.normal(scale=0.01, size=(n, 2))
            for middle, n in zip(middles, (20, 50, 30), strict=True)
        ]
    ).astype(np.float32)
    centers = find_clusters(draw.permutation(points), 3, seed=0)
    np.testing.assert_allclose(centers, middles[[1, 2, 0]], atol=0.02)
    np.testing.assert_array_equal(find_clusters(points[[0, 1, 0]], 3, seed=0), points[[0, 1]])


def test_what_cannot_be_used_is_refused(data_dir, tmp_path, monkeypatch):
    for settings, text in (
        ({"method": "pix2pix"}, "`instance_features` is for `method=pix2pixhd`"),
        ({"boundaries": False}, "`instance_features` needs the instances of label maps"),
        ({"feature_depth": 5}, "`feature_depth` must be at most 4"),
        ({"instance_features": 0}, "`feature_filters` is for features of instances"),
    ):
        with pytest.raises(UsageError, match=text):
            config_of(data_dir, **settings)
    with pytest.raises(UsageError, match="`instance_features` has no effect on `generator=unet`"):
        train_and_evaluate(config_of(data_dir, generator="unet", residual_blocks=None), tmp_path / "run")
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(UserError, match=r"pip install 'tfpix2pix\[features\]'"):
        train_and_evaluate(config_of(data_dir), tmp_path / "run")
    assert not (tmp_path / "run").exists()
