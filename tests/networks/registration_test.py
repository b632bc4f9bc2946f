"""Classes of saved files are found by their names; `old_files_test` loads a file in a new process."""

import re
import sys

import keras

from tests.helpers import runs
from tfpix2pix.networks import registration
from tfpix2pix.networks.noise import NoiseDropout
from tfpix2pix.pipelines.base.homes import resolve


def test_the_names_are_those_of_the_decorators():
    decorated = {
        f"tfpix2pix.{'.'.join(path.relative_to(runs.ROOT / 'tfpix2pix').with_suffix('').parts)}:{name}"
        for path in (runs.ROOT / "tfpix2pix").rglob("*.py")
        for name in re.findall(
            r'^@keras\.utils\.register_keras_serializable\("tfpix2pix"\)\nclass (\w+)',
            path.read_text("utf-8"),
            re.MULTILINE,
        )
    }
    assert set(registration.HOMES.values()) == decorated
    for name, home in registration.HOMES.items():
        assert keras.utils.get_registered_name(resolve(home)) == name


def test_a_name_gives_the_class_when_it_is_needed():
    named = registration._Named(registration.HOMES["tfpix2pix>NoiseDropout"])
    layer = named.from_config({"rate": 0.25, "stream": 3, "name": "noise"})
    assert isinstance(layer, NoiseDropout)
    assert (layer.rate, layer.stream, layer.name) == (0.25, 3, "noise")


def test_names_are_registered_where_somebody_has_asked_for_keras_before_it_is_imported():
    asked = "import tfpix2pix, importlib.util; importlib.util.find_spec('keras'); import keras"
    script = f"{asked}; assert 'tfpix2pix>Pix2Pix' in keras.utils.get_custom_objects()"
    process = runs.run([sys.executable, "-c", script])
    assert process.returncode == 0, process.stderr


def test_another_backend_of_keras_is_refused_at_first_use():
    script = "import tfpix2pix; tfpix2pix.make_config(); tfpix2pix.unet_generator"
    environment = runs.environment(KERAS_BACKEND="jax")
    process = runs.run([sys.executable, "-c", script], env=environment)
    assert process.returncode == 1
    assert "the backend that is set is jax: set KERAS_BACKEND=tensorflow" in runs.last_line(process)
    command = [sys.executable, "-m", "tfpix2pix.train", "--dataset=synthetic"]
    process = runs.run(command, env=environment)
    assert process.returncode == 1 and process.stderr.startswith("error: tfpix2pix runs on the TensorFlow"), (
        process.stderr
    )
