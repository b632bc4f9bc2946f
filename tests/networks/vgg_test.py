"""The features of VGG-19 and the loss that compares them, against the code of pix2pixHD and Keras."""

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import references, runs
from tfpix2pix.config.config import make_config
from tfpix2pix.methods.losses import Translated, find_terms
from tfpix2pix.networks.vgg import VggFeatures
from tfpix2pix.pipelines.base.errors import UsageError, UserError

# torchvision's number of each convolution, and its name in Keras.
NAMES = {
    0: "block1_conv1",
    2: "block1_conv2",
    5: "block2_conv1",
    7: "block2_conv2",
    10: "block3_conv1",
    12: "block3_conv2",
    14: "block3_conv3",
    16: "block3_conv4",
    19: "block4_conv1",
    21: "block4_conv2",
    23: "block4_conv3",
    25: "block4_conv4",
    28: "block5_conv1",
}


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    return references.below(references.read("hd_step.npz"), "vgg/")


@pytest.fixture(scope="module")
def torch_file(recorded, tmp_path_factory) -> Path:
    """Returns the weights of the reference's narrow VGG-19, as torchvision names them."""
    file = tmp_path_factory.mktemp("vgg") / "vgg19.npz"
    weights = references.below(recorded, "weights/")
    np.savez(file, **{f"features.{name}": value for name, value in weights.items()})
    return file


@pytest.fixture(scope="module")
def keras_model(recorded) -> keras.Model:
    """Returns a narrow VGG-19 of Keras's own layers."""
    images = maps = keras.Input((None, None, 3))
    for number, name in NAMES.items():
        if name.endswith("conv1") and number:
            maps = keras.layers.MaxPooling2D()(maps)
        filters = len(recorded[f"weights/{number}.bias"])
        maps = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(maps)
    model = keras.Model(
        images, [layer.output for layer in keras.Model(images, maps).layers if "conv1" in layer.name]
    )
    for number, name in NAMES.items():
        kernel, bias = recorded[f"weights/{number}.weight"], recorded[f"weights/{number}.bias"]
        model.get_layer(name).set_weights([kernel.transpose(2, 3, 1, 0), bias])
    return model


@pytest.fixture(scope="module")
def keras_file(keras_model, tmp_path_factory) -> Path:
    """Returns an .h5 file as those of `keras.applications` are."""
    file = tmp_path_factory.mktemp("vgg") / "vgg19_notop.h5"
    with h5py.File(file, "w") as root:
        for name in NAMES.values():
            group, weights = root.create_group(name), keras_model.get_layer(name).get_weights()
            names = [f"{name}_W_1:0", f"{name}_b_1:0"]
            group.attrs["weight_names"] = [each.encode() for each in names]
            for each, value in zip(names, weights, strict=True):
                group[each] = value
    return file


def test_the_loss_and_its_gradient_are_those_of_the_original_code(recorded, torch_file):
    config = make_config(dataset="tiny", vgg19_weights=str(torch_file))
    assert config.lambda_vgg == 10
    term = find_terms(config)["vgg"]
    generated_image = tf.constant(recorded["generated_image"])
    with tf.GradientTape() as tape:
        tape.watch(generated_image)
        target_image = tf.constant(recorded["target_image"])
        loss = term.compute(Translated(target_image, target_image, generated_image))
    assert loss.shape == [1]
    assert float(loss[0]) == pytest.approx(float(recorded["loss"]), rel=1e-5)
    gradient = tape.gradient(loss, generated_image).numpy()
    np.testing.assert_allclose(gradient, recorded["gradient"], atol=5e-4 * np.abs(recorded["gradient"]).max())


def test_weights_of_keras_see_what_they_were_trained_on(recorded, keras_model, keras_file):
    images = recorded["generated_image"]
    pixels = keras.applications.vgg19.preprocess_input((images + 1) * 127.5)
    features = VggFeatures(str(keras_file))(tf.constant(images))
    assert [tuple(maps.shape[1:3]) for maps in features] == [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    for maps, expected in zip(features, keras_model(pixels), strict=True):
        np.testing.assert_allclose(maps * 127.5, expected, rtol=1e-4, atol=1e-3)


def test_train_reports_the_loss(torch_file, tmp_path):
    data_dir = runs.write_dataset(tmp_path / "tiny")
    settings = {"steps": 2, "summary_every_steps": 1, "vgg19_weights": torch_file, "lambda_vgg": 3}
    trained = runs.call(runs.train_command(data_dir, tmp_path / "run", **settings))
    assert trained.returncode == 0, trained.stderr
    values = runs.read_metrics(tmp_path / "run")[0]
    assert values["training/vgg_loss"] > 0
    rest = values["training/generator_gan_loss"] + 100 * values["training/l1_loss"]
    assert values["training/generator_loss"] == pytest.approx(
        rest + 3 * values["training/vgg_loss"], rel=1e-5
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lambda_vgg": 1.0}, "`lambda_vgg` needs `vgg19_weights`"),
        ({"vgg19_weights": "vgg.pth"}, "`vgg19_weights` takes imagenet, an .h5 file .* Received: vgg.pth"),
        ({"vgg19_weights": "imagenet", "output_channels": 1}, "`lambda_vgg` is for targets in colour"),
    ],
)
def test_what_does_not_fit_is_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        make_config(dataset="tiny", **settings)


def test_a_missing_file_is_told_before_anything_is_done(tmp_path):
    told = runs.call(runs.train_command(tmp_path, tmp_path / "run", vgg19_weights=tmp_path / "no.npz"))
    assert told.returncode == 2 and not (tmp_path / "run").exists()
    assert f"--vgg19_weights={tmp_path / 'no.npz'}: there is no such file" in told.stderr


def test_other_weights_are_refused(keras_file, tmp_path):
    np.savez(tmp_path / "other.npz", **{"features.0.weight": np.zeros((4, 3, 3, 3))})
    (tmp_path / "cut.h5").write_bytes(keras_file.read_bytes()[:1000])
    for name in ("other.npz", "cut.h5"):
        with pytest.raises(UserError, match=f"{name}` gives no weights of VGG-19 .*notop.h5"):
            VggFeatures(str(tmp_path / name))
