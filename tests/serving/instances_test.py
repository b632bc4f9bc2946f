"""The client sends maps of instances with label maps, over REST and gRPC."""

import numpy as np
import pytest
import tensorflow as tf

from tests.boundaries_test import draw_ids, draw_label_map, write_dataset
from tests.helpers import runs
from tests.helpers.serving_stand_in.exports import decode_png
from tests.helpers.serving_stand_in.servers import STARTS
from tests.helpers.tiny_run import write_run
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run import splits
from tfpix2pix.run.folder import read_meaning
from tfpix2pix.run.generator import load_generator
from tfpix2pix.serving import client
from tfpix2pix.serving.remote_model import RemoteModel
from tfpix2pix.web.demo.models import RemotePainter

pytest_plugins = ["tests.helpers.serving_stand_in.fixtures"]
SETTINGS = {"depth": 3, "base_filters": 8, "latent_size": 3, "dropout": "none", "boundaries": True}


@pytest.fixture(scope="module")
def served(loaded_models, tmp_path_factory):
    """Puts a model with boundaries and a latent vector on the server as `maps`; returns its signatures."""
    folder = tmp_path_factory.mktemp("maps")
    config = runs.tiny_config(write_dataset(folder / "data"), **SETTINGS)
    run = write_run(folder / "run", config, splits.open_split(config, "train"))
    generator, config, _ = load_generator(run)
    task, meaning = splits.make_task(config), read_meaning(run)
    export_saved_model(
        generator, folder / "saved/maps", verify=False, task=task, image_size=32, meaning=meaning
    )
    loaded_models.load("maps", folder / "saved" / "maps")
    return loaded_models.find("maps")[1]


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_each_image_goes_with_its_map(served, models, tmp_path, protocol, capsys):
    contents = {}
    for number in (5, 6):
        runs.write_image(tmp_path / f"in/sub/{number}.png", draw_label_map(number))
        runs.store_image(tmp_path / f"maps/sub/{number}.tif", draw_ids(number)[..., None])
        maps = tf.io.encode_png(draw_ids(number)[..., None]).numpy()
        contents[number] = (tmp_path / f"in/sub/{number}.png").read_bytes(), maps
    url, stop = STARTS[protocol](models)
    command = ["client", f"--url={url}", f"--input={tmp_path}/in", f"--output={tmp_path}/out"]
    try:
        client.main([*command, "--model=maps", f"--instances={tmp_path}/maps"])
        for number, (image, maps) in contents.items():
            inputs = {"image_bytes": np.array([image], object), "instance_bytes": np.array([maps], object)}
            expected = served("serving_default_instances", inputs)["image_bytes"][0]
            written = decode_png((tmp_path / f"out/sub/{number}.png").read_bytes())
            assert np.abs(written.astype(int) - decode_png(expected)).max() <= 1
            without = served("serving_default", {"image_bytes": inputs["image_bytes"]})["image_bytes"][0]
            assert (written != decode_png(without)).any()
        (tmp_path / "maps/sub/6.tif").unlink()
        with pytest.raises(UserError, match="1 of 2 images could not be translated"):
            client.main([*command, "--model=maps", f"--instances={tmp_path}/maps", "--noise_seed=3"])
        assert "in/sub/6.png has no map of instances" in capsys.readouterr().err
        with pytest.raises(UsageError, match="maps of instances are for a model with `boundaries`"):
            client.main([*command, "--model=tiny", f"--instances={tmp_path}/maps"])
        with pytest.raises(UsageError, match="--instances takes a folder of maps"):
            client.main([*command, "--model=maps", f"--instances={tmp_path}/nowhere"])
    finally:
        stop()


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_maps_go_with_latent_vectors(served, models, protocol):
    image, maps = (tf.io.encode_png(pixels).numpy() for pixels in (draw_label_map(5), draw_ids(5)[..., None]))
    latents = np.array([[1, 0, -2], [0.5, 3, 0]], np.float32)
    url, stop = STARTS[protocol](models)
    try:
        with RemoteModel(url, "maps") as model:
            pictures = model.translate([image] * 2, latent=latents, instances=[maps] * 2)
            plain = model.translate([image] * 2, latent=latents)
        with (
            RemoteModel(url, "tiny") as model,
            pytest.raises(UsageError, match="for a model with `boundaries`"),
        ):
            model.translate([image], latent=latents[0], instances=[maps])
    finally:
        stop()
    inputs = {
        "image_bytes": np.array([image] * 2, object),
        "instance_bytes": np.array([maps] * 2, object),
        "noise_seed": np.zeros((2, 2), np.int32),
        "latent": latents,
    }
    expected = served("serving_default_instances_latent", inputs)["image_bytes"]
    shown = np.stack(list(map(decode_png, pictures))).astype(int)
    assert np.abs(shown - np.stack(list(map(decode_png, expected)))).max() <= 1
    assert (shown[0] != shown[1]).any() and plain != pictures


@pytest.mark.slow
def test_the_demo_of_a_model_on_a_server_sends_both(served, models):
    image, maps = (tf.io.encode_png(pixels).numpy() for pixels in (draw_label_map(5), draw_ids(5)[..., None]))
    url, stop = STARTS["rest"](models)
    try:
        painter = RemotePainter(url, "maps", 32 * 32)
        assert not painter.has_instances
        painter.warm_up((32, 32))
        assert painter.has_instances and painter.style is not None and painter.style.size == 3
        latent = np.array([1, 0, -2], np.float32)
        (both,) = painter.translate(image, 0, 1, latent, maps)
        assert both not in [
            *painter.translate(image, 0, 1, latent),
            *painter.translate(image, 0, 1, None, maps),
        ]
        inputs = {
            "image_bytes": np.array([image], object),
            "instance_bytes": np.array([maps], object),
            "noise_seed": np.zeros((1, 2), np.int32),
            "latent": latent[None],
        }
        (expected,) = served("serving_default_instances_latent", inputs)["image_bytes"]
        assert np.abs(decode_png(both).astype(int) - decode_png(expected)).max() <= 1
        plain = RemotePainter(url, "tiny", 32 * 32)
        plain.warm_up((32, 32))
        assert not plain.has_instances and plain.translate(image, 0, 1, None, maps)
    finally:
        stop()
