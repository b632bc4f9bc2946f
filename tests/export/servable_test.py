"""What comes with a version, noise policies, deep files, and other ways to run it."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.tiny_run import build_generator
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.export.servable import Servable
from tfpix2pix.export.signatures import Contract, build_endpoints
from tfpix2pix.networks import keras_versions
from tfpix2pix.networks.inference import silence
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.tasks.tasks import Task, make_task

NOISE_SEED = 3
ABOUT = {"dataset": "synthetic", "step": 7, "scores": {"validation": {"l1": 0.25}}}


@pytest.fixture(scope="module")
def generator():
    return build_generator()


@pytest.fixture(scope="module")
def exported(generator, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved_models") / "tiny"
    return export_saved_model(
        generator, folder, NOISE_SEED, verify=False, image_size=(24, 40), max_pixels=5000, about=ABOUT
    )


@pytest.fixture(scope="module")
def servable(exported) -> Servable:
    return Servable(exported)


def write_endpoints(generator, contract: Contract, folder: Path, *names: str) -> Servable:
    endpoints = build_endpoints(generator, contract)
    archive = keras_versions.export_archive()
    for name in names:
        archive.add_endpoint(name, endpoints[name].function, list(endpoints[name].inputs))
    archive.write_out(str(folder))
    return Servable(folder)


def draw_pixels(*shape: int, dtype="uint8") -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def translate_alone(generator, pixels: np.ndarray, seed=(NOISE_SEED, 0)) -> np.ndarray:
    image = pixels[None].astype(np.float64) * 2 / np.iinfo(pixels.dtype).max - 1
    return generator([tf.constant(image, tf.float32), tf.constant([seed])], training=False)[0].numpy()


def as_levels(image: np.ndarray, most: int) -> np.ndarray:
    return np.rint((image.astype(np.float64) + 1) / 2 * most)


@pytest.mark.parametrize("name, most, off", [("uint8", 255, 1), ("uint16", 65535, 2)])
def test_integers_are_answered_with_integers(generator, servable, name, most, off):
    pixels = draw_pixels(2, 20, 31, 3, dtype=name)
    seeds = np.array([[5, 6], [7, 8]], np.int32)
    fixed = servable(name, {"input_image": pixels})["generated_image"]
    seeded = servable(name + "_seeded", {"input_image": pixels, "noise_seed": seeds})["generated_image"]
    assert fixed.dtype == seeded.dtype == name
    for i in range(2):
        expected = as_levels(translate_alone(generator, pixels[i]), most)
        assert np.std(expected) > most / 50 and np.abs(fixed[i] - expected).max() <= off
        expected = as_levels(translate_alone(generator, pixels[i], seeds[i]), most)
        assert np.abs(seeded[i] - expected).max() <= off


def test_files_keep_their_depth_and_take_seeds(tmp_path):
    generator = build_generator(input_channels=1, output_channels=1)
    contract = Contract(task=Task((1, 1)))
    servable = write_endpoints(generator, contract, tmp_path / "model", "serving_default_seeded")
    pictures = [draw_pixels(20, 30, dtype="uint16"), draw_pixels(25, 16)]
    files = []
    for picture in pictures:
        contents = io.BytesIO()
        Image.fromarray(picture).save(contents, "PNG")
        files.append(contents.getvalue())
    seeds = np.array([[1, 2], [-3, 4]], np.int32)
    request = {"image_bytes": np.array(files, object), "noise_seed": seeds}
    answers = servable("serving_default_seeded", request)["image_bytes"]
    for contents, picture, seed in zip(answers, pictures, seeds, strict=True):
        answer = tf.io.decode_png(contents, dtype=picture.dtype).numpy()
        assert contents[24] == picture.dtype.itemsize * 8  # bits of a channel, in the PNG's header
        most = np.iinfo(picture.dtype).max
        expected = as_levels(translate_alone(generator, picture[..., None], seed), most)
        assert np.std(expected) > most / 50 and np.abs(answer - expected).max() <= 2


def test_integers_are_the_pictures_of_a_task(tmp_path):
    generator = build_generator(input_channels=1, output_channels=2)
    contract = Contract(task=make_task("colorize"))
    servable = write_endpoints(generator, contract, tmp_path / "model", "uint8")
    answer = servable("uint8", {"input_image": draw_pixels(1, 20, 30, 3)})["generated_image"]
    assert answer.shape == (1, 20, 30, 3) and np.std(answer) > 10


def test_random_noise_is_drawn_anew_for_each_image_and_in_each_process(generator, tmp_path):
    keras.utils.set_random_seed(1)  # of which nothing may be left in the graph
    contract = Contract(task=Task(), noise="random")
    servable = write_endpoints(generator, contract, tmp_path / "model", "float32", "float32_seeded")
    images = np.repeat(translate_alone(generator, draw_pixels(16, 16, 3))[None], 2, axis=0)
    answers = [servable("float32", {"input_image": images})["generated_image"] for _ in range(2)]
    again = Servable(tmp_path / "model")("float32", {"input_image": images})["generated_image"]
    outputs = [*answers[0], *answers[1], *again]
    for i, one in enumerate(outputs):
        for other in outputs[:i]:
            assert np.abs(one - other).max() > 0.01
    seeds = np.full((2, 2), 9, np.int32)
    seeded = servable("float32_seeded", {"input_image": images, "noise_seed": seeds})["generated_image"]
    # Some processors add up the rows of a batch in different orders.
    np.testing.assert_allclose(seeded[0], seeded[1], atol=1e-5)


def test_without_noise_nothing_is_dropped(generator, tmp_path):
    contract = Contract(task=Task(), noise="off")
    servable = write_endpoints(generator, contract, tmp_path / "model", "float32", "float32_seeded")
    pixels = draw_pixels(16, 16, 3)
    quiet = build_generator(dropout_rate=0.0)
    quiet.set_weights(generator.get_weights())
    image = pixels[None].astype(np.float32) / np.float32(127.5) - 1
    answer = servable("float32", {"input_image": image})["generated_image"][0]
    np.testing.assert_allclose(answer, translate_alone(quiet, pixels), atol=1e-5)
    assert np.abs(answer - translate_alone(generator, pixels)).max() > 0.01
    seeds = np.array([[NOISE_SEED, 0]], np.int32)
    seeded = servable("float32_seeded", {"input_image": image, "noise_seed": seeds})["generated_image"][0]
    np.testing.assert_allclose(seeded, translate_alone(generator, pixels), atol=1e-5)


def test_silencing_leaves_the_generator_as_it_was(generator):
    pixels = draw_pixels(16, 16, 3)
    before = translate_alone(generator, pixels)
    quiet = silence(generator)
    assert {id(variable) for variable in quiet.variables} == {id(each) for each in generator.variables}
    np.testing.assert_array_equal(
        translate_alone(quiet, pixels, (1, 2)), translate_alone(quiet, pixels, (3, 4))
    )
    np.testing.assert_array_equal(translate_alone(generator, pixels), before)


@pytest.mark.slow
def test_warm_up_requests_are_what_the_official_definitions_read(exported, servable):
    apis = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2", reason="needs the [serving] extra"
    )
    file = exported / "assets.extra" / "tf_serving_warmup_requests"
    signatures = []
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        log = apis.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        signature = request.model_spec.signature_name
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        output = next(iter(servable(signature, inputs).values()))
        signatures.append(signature)
        if "default" in signature:
            assert Image.open(io.BytesIO(output[0])).size == (40, 24)
        else:
            assert output.shape == (1, 24, 40, 3)
    assert set(signatures) == set(servable.signatures) - {"__saved_model_init_op"}
    assert file.stat().st_size < 10_000


def test_long_fields_of_warm_up_requests_are_read():
    apis = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2", reason="needs the [serving] extra"
    )
    from tfpix2pix.export.warmup import encode_prediction_log

    for length in (0, 1, 127, 128, 16_383, 16_384, 3_000_000):
        tensor = tf.make_tensor_proto([b"x" * length])
        log = apis.PredictionLog.FromString(
            encode_prediction_log("s" * 200, {"image_bytes": tensor.SerializeToString()})
        )
        request = log.predict_log.request
        assert request.model_spec.signature_name == "s" * 200
        assert request.inputs["image_bytes"].string_val[0] == b"x" * length


def test_the_model_card_says_what_it_is_and_what_it_takes(exported):
    card = json.loads((exported / "model_card.json").read_text())
    assert {key: card[key] for key in ABOUT} == ABOUT
    assert card["task"] == "pairs"
    assert card["input"]["max_pixels"] == 5000 and card["input"]["picture_channels"] == 3
    assert card["noise"]["policy"] == "fixed" and card["noise"]["seed"] == NOISE_SEED
    assert card["versions"]["tensorflow"] == tf.__version__
    assert card["versions"]["keras"] == keras.__version__
    assert card["signatures"]["uint8_seeded"] == {
        "inputs": {
            "input_image": {"dtype": "uint8", "shape": [None, None, None, 3]},
            "noise_seed": {"dtype": "int32", "shape": [None, 2]},
        },
        "output": "generated_image",
    }


@pytest.mark.slow
def test_the_command_line_of_tensorflow_runs_a_signature(generator, exported, tmp_path):
    pixels = draw_pixels(1, 17, 23, 3)
    image = pixels.astype(np.float32) / np.float32(127.5) - 1
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "seed.npy", np.array([[5, 6]], np.int32))
    code = "from tensorflow.python.tools.saved_model_cli import main; main()"
    arguments = ["run", f"--dir={exported}", "--tag_set=serve", "--signature_def=float32_seeded"]
    inputs = f"input_image={tmp_path / 'image.npy'};noise_seed={tmp_path / 'seed.npy'}"
    command = [sys.executable, "-c", code, *arguments, f"--inputs={inputs}", f"--outdir={tmp_path}"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    expected = translate_alone(generator, pixels[0], (5, 6))
    np.testing.assert_allclose(np.load(tmp_path / "generated_image.npy")[0], expected, atol=1e-5)


POLLER = """
import sys, time
from pathlib import Path
import numpy as np
from tfpix2pix.export.servable import Servable
folder, loaded = Path(sys.argv[1]), set()
print("ready", flush=True)
while not (folder.parent / "done").exists() or any(
    path.name.isdecimal() and path.name not in loaded for path in folder.glob("*")
):
    for path in folder.glob("*"):
        if path.name.isdecimal() and path.name not in loaded:
            image = np.zeros((1, 8, 8, 3), np.uint8)
            answer = Servable(path)("uint8", {"input_image": image})["generated_image"]
            assert answer.shape == image.shape
            assert (path / "model_card.json").is_file()
            assert (path / "assets.extra" / "tf_serving_warmup_requests").is_file()
            loaded.add(path.name)
            print("loaded", path.name, flush=True)
    time.sleep(0.001)
"""


@pytest.mark.slow
def test_a_process_that_polls_and_loads_at_once_never_sees_half_a_version(generator, tmp_path):
    folder = tmp_path / "model"
    with subprocess.Popen(
        [sys.executable, "-c", POLLER, str(folder)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as poller:
        assert poller.stdout.readline() == "ready\n"
        for _ in range(3):
            export_saved_model(generator, folder, verify=False, image_size=(16, 16))
        time.sleep(0.05)
        (tmp_path / "done").touch()
        output, errors = poller.communicate(timeout=120)
    assert poller.returncode == 0, errors
    assert output.splitlines() == ["loaded 1", "loaded 2", "loaded 3"]


def test_versions_count_up_from_the_highest_and_old_ones_are_deleted(generator, tmp_path):
    for number in (2, 9, 10):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "saved_model.pb").touch()
    for name in ("4", "notes", "99.old"):  # no versions of ours
        (tmp_path / name).mkdir()
    version = export_saved_model(generator, tmp_path, verify=False, keep_versions=2)
    assert version.name == "11"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "11", "4", "99.old", "notes"]


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"noise": "loud"}, "`noise` must be one of fixed, random, off. Received: loud"),
        ({"keep_versions": 0}, "`keep_versions` must be at least 1. Received: 0"),
        (
            {"max_pixels": 99, "image_size": (10, 10)},
            "`max_pixels` must be at least 100.*10x10.*Received: 99",
        ),
    ],
)
def test_settings_that_cannot_work_write_nothing(generator, tmp_path, settings, reason):
    with pytest.raises(UsageError, match=reason):
        export_saved_model(generator, tmp_path / "model", verify=False, **settings)
    assert list(tmp_path.iterdir()) == []
