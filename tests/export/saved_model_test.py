import gc
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tests.helpers import runs
from tests.helpers.tiny_run import build_generator
from tfpix2pix.config.config import make_config
from tfpix2pix.export import saved_model
from tfpix2pix.export.opening import load_saved_model
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.export.servable import Servable
from tfpix2pix.export.signatures import Contract, build_endpoints
from tfpix2pix.networks import build as networks
from tfpix2pix.networks.variables import weights_of
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.tasks.tasks import Task
from tfpix2pix.train.origin import read_origin

NOISE_SEED = 11
# Without any module of the project: the folder must be all that a server needs.
FRESH_PROCESS = """
import sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np, tensorflow as tf
def memory_kib():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])
folder, requests, answers = sys.argv[1:]
requests = dict(np.load(requests, allow_pickle=True))
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    signatures = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def
    handles = [op.outputs[0] for op in session.graph.get_operations() if op.type == "VarHandleOp"]
    values = [tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32) for handle in handles]
    before = session.run(values)
    def run(signature, output, **inputs):
        definition = signatures[signature]
        feeds = {definition.inputs[name].name: value for name, value in inputs.items()}
        return session.run(definition.outputs[output].name, feeds)
    images, files = requests["images"], requests["files"]
    results = {
        "batch": run("float32", "generated_image", input_image=images),
        "single": np.concatenate([run("float32", "generated_image", input_image=i[None]) for i in images]),
        "seeded": run("float32_seeded", "generated_image", input_image=images, noise_seed=requests["seeds"]),
        "files": run("serving_default", "image_bytes", image_bytes=files),
        "single_files": [run("serving_default", "image_bytes", image_bytes=[f])[0] for f in files],
    }
    def call(i):
        seed = [[i, 100]]
        return run("float32_seeded", "generated_image", input_image=images[i % 3][None], noise_seed=seed)[0]
    with ThreadPoolExecutor(16) as pool:
        results["concurrent"] = list(pool.map(call, range(100)))
    memory = []
    for i in range(1100):
        if i in (100, 600):
            memory.append(memory_kib())
        call(i)
    results["memory_kib"] = [*memory, memory_kib()]
    after = session.run(values)
loaded = tf.saved_model.load(folder).signatures
results["python"] = loaded["float32"](input_image=tf.constant(images))["generated_image"].numpy()
results["num_variables"] = len(values)
results["unchanged"] = all(np.array_equal(a, b) for a, b in zip(before, after))
results["modules"] = [name for name in ("tfpix2pix", "pipelines") if name in sys.modules]
np.savez(answers, **{name: np.array(value, object if "files" in name else None)
                     for name, value in results.items()})
"""


def encode(image: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, quality=95)
    return buffer.getvalue()


def decode(contents: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(contents)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def draw_pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)


@pytest.fixture(scope="module")
def generator():
    return build_generator()


@pytest.fixture(scope="module")
def exported(generator, tmp_path_factory) -> Path:
    return export_saved_model(generator, tmp_path_factory.mktemp("saved_models") / "tiny", NOISE_SEED)


def translate_alone(generator, pixels: np.ndarray, seed=(NOISE_SEED, 0)) -> np.ndarray:
    image = tf.constant(pixels[None], tf.float32) / 127.5 - 1
    return generator([image, tf.constant([seed])], training=False)[0].numpy()


def as_levels(image: np.ndarray) -> np.ndarray:
    return np.rint((image + 1) * 127.5)


@pytest.mark.slow
def test_only_the_version_is_left(exported):
    assert exported.name == "1" and list(exported.parent.iterdir()) == [exported]


def test_a_fresh_process_answers_as_the_generator_does(generator, exported, tmp_path):
    pixels = draw_pixels(3, 41, 30, 3)
    pictures = [pixels[0], draw_pixels(20, 64, 3), draw_pixels(33, 33, 3)]
    photo = encode(pictures[2], "JPEG")
    files = [encode(pictures[0]), encode(pictures[1]), photo]
    seeds = np.array([[NOISE_SEED, 0], [NOISE_SEED, 1], [-5, 2**31 - 1]], np.int32)
    images = pixels.astype(np.float32) / np.float32(127.5) - 1
    np.savez(tmp_path / "requests.npz", images=images, files=np.array(files, object), seeds=seeds)
    command = [
        sys.executable,
        "-c",
        FRESH_PROCESS,
        exported,
        tmp_path / "requests.npz",
        tmp_path / "answers.npz",
    ]
    subprocess.run(list(map(str, command)), check=True, cwd=tmp_path)
    answers = dict(np.load(tmp_path / "answers.npz", allow_pickle=True))

    assert answers["modules"].tolist() == []
    assert answers["num_variables"] == len(generator.variables) and answers["unchanged"]
    expected = np.stack([translate_alone(generator, image) for image in pixels])
    assert np.std(expected) > 0.1
    for way in ("batch", "single", "python"):
        np.testing.assert_allclose(answers[way], expected, atol=1e-5, err_msg=way)
    seeded = np.stack([translate_alone(generator, *pair) for pair in zip(pixels, seeds, strict=True)])
    np.testing.assert_allclose(answers["seeded"], seeded, atol=1e-5)
    assert np.abs(answers["seeded"][1] - expected[1]).max() > 0.01
    tasks = [(pixels[i % 3], (i, 100)) for i in range(100)]
    concurrent = np.stack([translate_alone(generator, *task) for task in tasks])
    np.testing.assert_allclose(answers["concurrent"], concurrent, atol=1e-5)
    start, middle, end = answers["memory_kib"].tolist()
    # An image of the smallest kind kept from each call would be 14 MiB.
    assert end - start < 8 * 1024 and end - middle < 4 * 1024
    pictures[2] = np.asarray(Image.open(io.BytesIO(photo)))
    for contents, alone, picture in zip(answers["files"], answers["single_files"], pictures, strict=True):
        levels = as_levels(translate_alone(generator, picture))
        assert np.abs(decode(contents) - levels).max() <= 1
        assert np.abs(decode(contents).astype(int) - decode(alone)).max() <= 1


def test_a_photo_is_turned_as_its_exif_orientation_says(exported):
    photo, exif = Image.fromarray(draw_pixels(32, 64, 3)), Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", exif=exif)
    with Image.open(buffer) as image:
        upright = encode(np.asarray(ImageOps.exif_transpose(image)))
    translate = tf.saved_model.load(str(exported)).signatures["serving_default"]
    turned, expected = translate(tf.constant([buffer.getvalue(), upright]))["image_bytes"].numpy()
    assert decode(turned).shape == (64, 32, 3)
    np.testing.assert_array_equal(decode(turned), decode(expected))


def test_signatures_are_those_of_the_documentation(exported):
    signatures = tf.saved_model.load(str(exported)).signatures
    specs = {
        name: (signature.structured_input_signature[1], signature.structured_outputs)
        for name, signature in signatures.items()
    }
    files = {"image_bytes": tf.TensorSpec([None], tf.string, name="image_bytes")}
    inputs = {"serving_default": files}
    for name in ("uint8", "uint16", "float32"):
        inputs[name] = {"input_image": tf.TensorSpec([None, None, None, 3], name, name="input_image")}
    seeds = {"noise_seed": tf.TensorSpec([None, 2], tf.int32, name="noise_seed")}
    inputs |= {f"{name}_seeded": given | seeds for name, given in inputs.items()}
    assert {name: spec[0] for name, spec in specs.items()} == inputs
    for name, (_, outputs) in specs.items():
        assert list(outputs) == ["image_bytes" if "default" in name else "generated_image"]
    assert [specs[name][1]["generated_image"].dtype for name in ("uint8", "uint16", "float32")] == [
        tf.uint8,
        tf.uint16,
        tf.float32,
    ]


def test_a_killed_export_leaves_no_version_and_nothing_after_the_next(generator, tmp_path):
    folder = tmp_path / "model"
    program = f"""
from tfpix2pix.export import saved_model
from tfpix2pix.export.opening import load_saved_model
from tfpix2pix.networks import generators
saved_model.export_saved_model(generators.unet_generator(depth=3, base_filters=4), {str(folder)!r})
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(saved_model.__file__).parents[2])},
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not list(folder.rglob("saved_model.pb")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left = [path.name for path in folder.iterdir()]
    assert left and all(name.startswith(".") for name in left)
    export_saved_model(generator, folder, verify=False)
    assert [path.name for path in folder.iterdir()] == ["1"]


@keras.utils.register_keras_serializable("saved_model_test")
class Drifting(keras.layers.Layer):
    """Adds another constant each time it is traced, so that an export differs from the next call."""

    traces = 0

    def call(self, images):
        Drifting.traces += 1
        return images + 0.01 * Drifting.traces


def test_a_version_that_differs_from_the_generator_does_not_appear(generator, tmp_path):
    drifting = keras.Model(generator.inputs, Drifting()(generator.outputs[0]))
    with pytest.raises(UserError, match=r"not published: its signature float32 is 0\.0\d off"):
        export_saved_model(drifting, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error_that_leaves_nothing(generator, tmp_path):
    refusal = r"could not write a SavedModel to .*model \(.+\); nothing is left"
    with runs.full_disk(20_000), pytest.raises(UserError, match=refusal):
        export_saved_model(generator, tmp_path / "model", verify=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error(generator, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"could not write a SavedModel to .*file/model"):
        export_saved_model(generator, tmp_path / "file" / "model", verify=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["m[x]", "m\\x", "m*"])
def test_a_folder_may_have_any_name(generator, tmp_path, name):
    version = export_saved_model(generator, tmp_path / name, NOISE_SEED, verify=False)
    pixels = draw_pixels(32, 32, 3)
    image = pixels[None].astype(np.float32) / np.float32(127.5) - 1
    expected = translate_alone(generator, pixels)
    answer = Servable(version)("float32", {"input_image": image})["generated_image"][0]
    np.testing.assert_allclose(answer, expected, atol=1e-5)
    generate, *_ = load_saved_model(version)
    answer = generate(tf.constant(image), tf.constant([[NOISE_SEED, 0]]))[0]
    np.testing.assert_allclose(answer, expected, atol=1e-5)
    weights = read_origin(version).generator
    assert sorted(weights) == sorted(weights_of(generator))


@pytest.mark.slow
@pytest.mark.parametrize("channels, mode", [((1, 4), "RGBA"), ((4, 1), "L")])
def test_files_have_the_channels_of_the_model(tmp_path, channels, mode):
    generator = build_generator(input_channels=channels[0], output_channels=channels[1])
    servable = Servable(export_saved_model(generator, tmp_path, verify=False))
    pixels = draw_pixels(20, 30, channels[0])
    files = np.array([encode(pixels.squeeze())], object)
    contents = servable("serving_default", {"image_bytes": files})["image_bytes"][0]
    with Image.open(io.BytesIO(contents)) as image:
        assert (image.mode, image.size) == (mode, (30, 20))
    expected = as_levels(translate_alone(generator, pixels, (0, 0)))
    assert np.abs(decode(contents).reshape(expected.shape) - expected).max() <= 1


def test_channels_that_no_file_has_are_served_as_arrays(tmp_path):
    generator = build_generator(input_channels=5, output_channels=7)
    servable = Servable(export_saved_model(generator, tmp_path, verify=False))
    pixels = draw_pixels(20, 30, 5)
    image = pixels[None].astype(np.float32) / np.float32(127.5) - 1
    answer = servable("serving_default", {"input_image": image})["generated_image"][0]
    np.testing.assert_allclose(answer, translate_alone(generator, pixels, (0, 0)), atol=1e-5)


@pytest.mark.slow
def test_half_precision_is_exported_and_verified(tmp_path):
    generator = build_generator(dtype="mixed_bfloat16")
    # The fresh process that verifies it opens a folder of any name.
    servable = Servable(export_saved_model(generator, tmp_path / "m[x]"))
    pixels = draw_pixels(32, 32, 3)
    image = pixels[None].astype(np.float32) / np.float32(127.5) - 1
    answer = servable("float32", {"input_image": image})["generated_image"][0]
    expected = translate_alone(generator, pixels, (0, 0))
    assert answer.dtype == np.float32
    assert np.std(expected) > 0.1 and np.abs(answer - expected).mean() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("dtype, noise", [("mixed_bfloat16", "fixed"), ("float32", "off")])
def test_signatures_keep_the_copies_of_the_network_that_they_run(dtype, noise):
    generator = build_generator(dtype=dtype)
    translate = build_endpoints(generator, Contract(task=Task((3, 3)), noise=noise))["float32"].function
    gc.collect()
    answer = tf.function(translate, [tf.TensorSpec([None, None, None, 3])])(tf.zeros([1, 32, 32, 3]))
    assert np.isfinite(answer["generated_image"]).all()


def test_replicated_weights_are_exported(mirrored_strategy, tmp_path):
    config = make_config(dataset="synthetic", image_size=32, depth=3, base_filters=4, batch_size=2)
    with mirrored_strategy.scope():
        generator = networks.build_generator(config)
    servable = Servable(export_saved_model(generator, tmp_path, verify=False))
    pixels = draw_pixels(32, 32, 3)
    image = pixels[None].astype(np.float32) / np.float32(127.5) - 1
    answer = servable("float32", {"input_image": image})["generated_image"][0]
    np.testing.assert_allclose(answer, translate_alone(generator, pixels, (0, 0)), atol=1e-5)
