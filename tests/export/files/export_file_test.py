"""export --format=keras|tflite|onnx, and each file in its own runtime."""

import importlib.util
import json
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.helpers.resnet import Boost, resnet_generator
from tests.helpers.tiny_run import CONFIG, write_run
from tfpix2pix.export.files.export_file import export_file
from tfpix2pix.export.files.formats import PACKAGES, TOLERANCES, FileOptions
from tfpix2pix.export.files.portable import in_float32
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.synthetic.facades import draw_pair
from tfpix2pix.run.generator import load_generator
from tfpix2pix.translate.translator import Translator

ROOT = Path(__file__).resolve().parents[3]
main = runpy.run_module("tfpix2pix.export")["main"]
SEED = np.array([[7, -1]], np.int32)
WITHOUT_NOISE = {"noise": "off", "quantization": "int8"}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Path:
    """A label map of a generated facade, 32x32, as a PNG file."""
    path = tmp_path_factory.mktemp("pictures") / "facade.png"
    Image.fromarray(draw_pair(3, 3, CONFIG.image_size).label_map).save(path)
    return path


def read_image(picture: Path) -> np.ndarray:
    return np.asarray(Image.open(picture), np.float32)[None] / 127.5 - 1


def export(workdir: Path, output: Path, file_format: str, **options: str) -> tuple[Path, dict]:
    """Runs the command; returns the one file that it wrote, and the JSON beside it."""
    flags = [f"--{name}={value}" for name, value in options.items()]
    main(["export", f"--workdir={workdir}", f"--output={output}", f"--format={file_format}", *flags])
    described, written = sorted(output.iterdir(), key=lambda path: path.suffix != ".json")
    assert described.name == f"{written.name}.json"
    return written, json.loads(described.read_text())


def generate(workdir: Path, picture: Path) -> np.ndarray:
    generator, _, _ = load_generator(workdir)
    return generator([read_image(picture), SEED], training=False).numpy()


def run_example(title: str, written: Path, picture: Path) -> np.ndarray:
    """Runs the page's example of a runtime in a fresh process, beside the file; returns its picture."""
    page = (ROOT / "docs" / "runtimes.md").read_text()
    common, example = (
        re.search(rf"{start}\n.*?```python\n(.*?)```", page, re.DOTALL)
        for start in ("## How to run it", title)
    )
    assert common and example
    shutil.copy(picture, written.parent / "labels.png")
    program = common[1] + example[1] + "\nimport sys; sys.exit('tfpix2pix' in sys.modules)"
    (written.parent / "photo.png").unlink(missing_ok=True)
    subprocess.run([sys.executable, "-c", program], cwd=written.parent, check=True, timeout=120)
    return np.asarray(Image.open(written.parent / "photo.png"), np.int32)


def generate_pixels(workdir: Path, picture: Path) -> np.ndarray:
    """Returns what the command would: the generator's picture at the seed of the page's examples."""
    return Translator(workdir)(np.asarray(Image.open(picture))).astype(np.int32)


@pytest.fixture(scope="module")
def keras_file(workdir, tmp_path_factory) -> tuple[Path, dict]:
    """A file for Keras, and the JSON beside it."""
    return export(workdir, tmp_path_factory.mktemp("keras") / "out[x]", "keras", name="facades")


@pytest.mark.slow
def test_keras_runs_the_file_without_this_project(workdir, picture, keras_file):
    written, report = keras_file
    assert written.name == "facades.keras" and report["max_error"] < 1e-5
    pixels = run_example("### Keras", written, picture)
    np.testing.assert_allclose(pixels, generate_pixels(workdir, picture), atol=1)
    config = zipfile.ZipFile(written).read("config.json").decode()
    assert "tfpix2pix" not in config
    # Keras 3.8 opens neither a newer version's initializers, nor operations that have a name or settings.
    assert set(re.findall(r'"keras.initializers", "class_name": "(\w+)"', config)) == {"Zeros"}
    operations = re.findall(r'"keras.src.ops.\w+", "class_name": "\w+", "config": ({.*?})', config)
    assert len(operations) > 20 and set(operations) == {"{}"}


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_of_keras_run_the_file(backend, workdir, picture, keras_file, monkeypatch):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}")
    monkeypatch.setenv("KERAS_BACKEND", backend)
    pixels = run_example("### Keras", keras_file[0], picture)
    np.testing.assert_allclose(pixels, generate_pixels(workdir, picture), atol=1)


@pytest.mark.slow
def test_litert_runs_the_file(workdir, picture, tmp_path, capfd):
    pytest.importorskip("ai_edge_litert", reason="needs tfpix2pix[export]")
    written, report = export(workdir, tmp_path / "out", "tflite", name="facades")
    assert "XNNPACK" not in capfd.readouterr().err
    assert written.name == "facades.tflite" and report["max_error"] < 1e-5
    pixels = run_example("### LiteRT", written, picture)
    np.testing.assert_allclose(pixels, generate_pixels(workdir, picture), atol=1)


@pytest.mark.slow
def test_litert_runs_the_float16_file(workdir, picture, tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="needs tfpix2pix[export]")
    written, report = export(workdir, tmp_path / "out[x]", "tflite", quantization="float16")
    assert written.name == "synthetic-float16.tflite" and 1e-5 < report["max_error"] < 0.02
    runner = interpreter.Interpreter(str(written)).get_signature_runner()
    answer = runner(input_image=read_image(picture), noise_seed=SEED)["generated_image"]
    np.testing.assert_allclose(answer, generate(workdir, picture), atol=0.02)


def test_litert_runs_the_int8_file_without_noise(workdir, picture, tmp_path, capsys):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="needs tfpix2pix[export]")
    written, report = export(workdir, tmp_path / "out", "tflite", **WITHOUT_NOISE, image_size="32x64")
    assert written.name == "synthetic-int8.tflite" and report["noise"] == "off"
    assert "runs in LiteRT, or TensorFlow Lite 2.17 or later\n" in capsys.readouterr().out
    assert report["inputs"] == {"input_image": ["float32", [1, 32, 64, 3]]}
    opened = interpreter.Interpreter(str(written))
    runner = opened.get_signature_runner()
    halves = np.concatenate([read_image(picture)] * 2, axis=2)
    assert runner(input_image=halves)["generated_image"].shape == (1, 32, 64, 3)
    assert {tensor["dtype"] for tensor in opened.get_tensor_details()} >= {np.int8}


def test_onnx_runtime_runs_the_file_whatever_the_batch(workdir, picture, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs tfpix2pix[export]")
    onnx = pytest.importorskip("onnx", reason="needs tfpix2pix[export]")
    pytest.importorskip("tf2onnx", reason="needs tfpix2pix[export]")
    written, report = export(workdir, tmp_path / "out[x]", "onnx", name="facades")
    assert written.name == "facades.onnx" and report["opset"] == 18
    assert {node.domain for node in onnx.load(written).graph.node} == {""}  # ONNX's own operations
    pixels = run_example("### ONNX Runtime", written, picture)
    np.testing.assert_allclose(pixels, generate_pixels(workdir, picture), atol=1)
    session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 32, 32, 3]
    batch = np.concatenate([read_image(picture)] * 3)
    seeds = np.concatenate([SEED + 1, SEED, SEED + 2])
    answers = session.run(["generated_image"], {"input_image": batch, "noise_seed": seeds})[0]
    np.testing.assert_allclose(answers[1:2], generate(workdir, picture), atol=1e-5)
    assert np.abs(answers[0] - answers[1]).max() > 1e-3


@pytest.mark.slow
def test_openvino_runs_the_file(workdir, picture, tmp_path):
    openvino = pytest.importorskip("openvino", reason="needs openvino")
    written, _ = export(workdir, tmp_path / "out", "onnx", name="facades")
    model = openvino.compile_model(written, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = model({"input_image": read_image(picture), "noise_seed": SEED})[0]
    np.testing.assert_allclose(answer, generate(workdir, picture), atol=1e-4)


@pytest.mark.slow
def test_a_seeded_onnx_file_has_only_what_runtimes_do_alike(workdir, tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs tfpix2pix[export]")
    pytest.importorskip("tf2onnx", reason="needs tfpix2pix[export]")
    graph = onnx.load(export(workdir, tmp_path / "out", "onnx")[0]).graph
    kinds = {node.op_type for node in graph.node}
    assert "BitwiseXor" in kinds and not kinds & {"BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseNot", "Mod"}
    casts = [node.attribute[0].i for node in graph.node if node.op_type == "Cast"]
    types = {value.data_type for value in graph.initializer} | set(casts)
    assert not types & {onnx.TensorProto.UINT32, onnx.TensorProto.UINT64}


def test_opencv_runs_the_file_without_noise(workdir, picture, tmp_path):
    dnn = pytest.importorskip("cv2", reason="needs opencv-python-headless").dnn
    onnx = pytest.importorskip("onnx", reason="needs tfpix2pix[export]")
    pytest.importorskip("tf2onnx", reason="needs tfpix2pix[export]")
    written, _ = export(workdir, tmp_path / "out", "onnx", noise="off")
    graph = onnx.shape_inference.infer_shapes(onnx.load(written)).graph
    assert {len(value.type.tensor_type.shape.dim) for value in graph.value_info} <= {0, 1, 2, 3, 4}
    network = dnn.readNetFromONNX(str(written))
    network.setInput(read_image(picture), "input_image")
    generator = in_float32(load_generator(workdir)[0], with_noise=False)
    expected = generator([read_image(picture), SEED], training=False).numpy()
    np.testing.assert_allclose(network.forward().reshape(expected.shape), expected, atol=1e-4)


@pytest.mark.slow
def test_a_file_replaces_another_once_it_was_compared(workdir, tmp_path, monkeypatch):
    output = tmp_path / "out"
    output.mkdir()
    (output / "synthetic.keras").write_text("before")
    monkeypatch.setitem(TOLERANCES, "none", 0.0)
    message = "synthetic.keras was not written: its values differ from .*; every layer agrees"
    with pytest.raises(UserError, match=message):
        export(workdir, output, "keras")
    assert [(path.name, path.read_text()) for path in output.iterdir()] == [("synthetic.keras", "before")]
    monkeypatch.undo()
    _, report = export(workdir, output, "keras", image_size="40", checkpoint="best")
    assert report["inputs"]["input_image"] == ["float32", [None, 40, 40, 3]] and report["step"] == 1


def test_a_folder_that_cannot_be_written(workdir, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="`output=.*file` takes a folder, and .*file is a file"):
        export(workdir, tmp_path / "file", "keras")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--format=tfjs"], "tfjs"),
        (["--noise=off"], "--noise is for a file"),
        (["--image_size=64"], "--image_size is for a file"),
        (["--format=onnx", "--quantization=int8"], "--quantization is for --format=tflite"),
        (["--format=keras", "--keep_versions=2"], "--keep_versions is for a SavedModel"),
        (["--format=keras", "--image_size=wide"], "`image_size` takes N or HxW"),
        (["--format=keras", "--image_size=8"], "`image_size` must be at least 32 px"),
    ],
)
def test_flags_that_do_not_go_together(workdir, tmp_path, arguments, reason):
    with pytest.raises(UsageError, match=reason):
        main(["export", f"--workdir={workdir}", f"--output={tmp_path / 'out'}", *arguments])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_names_the_extra(workdir, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(UserError, match=r"needs tf2onnx: pip install 'tfpix2pix\[export\]'"):
        main(["export", f"--workdir={workdir}", "--format=onnx"])


def make_resnet(*behind: keras.layers.Layer) -> keras.Model:
    """Returns a user's own generator, and further layers behind it."""
    keras.utils.set_random_seed(0)
    generator = resnet_generator(3, 3, base_filters=4)
    for variable in generator.variables:
        variable.assign(variable * 1.5 + 0.02)  # initial weights hardly reach the output
    images = generator.output
    for layer in behind:
        images = layer(images)
    return keras.Model(generator.input, images)


@pytest.mark.slow
@pytest.mark.parametrize("file_format", PACKAGES)
def test_a_residual_generator_of_the_users_own_is_exported(file_format, tmp_path):
    for package in PACKAGES[file_format]:
        pytest.importorskip(package, reason="needs tfpix2pix[export]")
    path = tmp_path / f"resnet.{file_format}"
    report = export_file(make_resnet(), path, FileOptions(file_format, (32, 48)))
    assert path.is_file() and report["max_error"] < 2e-5 and report["mean_error"] < 2e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file_format", "factor", "message"),
    [
        (
            "onnx",
            0.5,
            r"by up to 0.*; the first layer that differs .* boost \(Boost\): by up to 0",
        ),
        ("keras", 1.0, r"was not written: Keras does not ship boost \(Boost\), so it could not open"),
    ],
)
def test_a_layer_that_only_the_user_has(file_format, factor, message, tmp_path):
    for package in PACKAGES[file_format]:
        pytest.importorskip(package, reason="needs tfpix2pix[export]")
    generator = make_resnet(Boost(factor, name="boost"))
    with pytest.raises(UserError, match=message):
        export_file(generator, tmp_path / "out" / "file", FileOptions(file_format, (32, 32)))
    assert list(tmp_path.iterdir()) == []
