"""Sets the devices of the test run, no GPU and two logical CPUs, before anything else touches TensorFlow.

With Keras 2, the modules that helpers/keras2_lane.py lists are left out.
"""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

# A shell makes what it starts in the background ignore this signal, and then the commands that tests
# interrupt would ignore it too.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tfpix2pix.pipelines.base import command_line, processor  # noqa: E402

# TensorFlow decides here, and not `import_tensorflow`: with oneDNN and AVX2 alone, each process of the suite
# grew to 12 GB. Running the suite with this variable set to 1 tests that combination.
takes_onednn = processor.has_onednn(processor.read_features())
os.environ.setdefault(processor.VARIABLE, str(int(takes_onednn)))
command_line.import_tensorflow()

import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402

from tests.helpers import fork_server  # noqa: E402
from tests.helpers.keras2_lane import reason_to_leave_out  # noqa: E402
from tfpix2pix.networks.keras_versions import IS_KERAS_3  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
if IS_KERAS_3:
    fork_server.install()

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


# Modules of tests that take longest, below tests/ and without _test.py. They begin first, so that no worker
# waits for another one at the end; `make test-durations` shows which they are.
LONGEST = (
    "notebook",
    "reproduce/grid",
    "train/multiworker",
    "extending",
    "export/saved_model",
    "meanings",
    "one_hot",
    "export/files/export_file",
    "train/training",
    "boundaries",
    "readme",
    "quickstart",
    "train/stages",
    "model/pix2pix",
    "exactness",
    "train/tasks",
    "export/latent",
    "study/browser",
    "web/demo/page",
)


class _LeftOut(pytest.Module):
    """A module of tests that is not imported; it counts as one skipped test, with a reason."""

    def collect(self):
        module = _tested(self.path)
        pytest.skip(f"{module}: {reason_to_leave_out(module)}", allow_module_level=True)


def _tested(path: Path) -> str:
    return path.relative_to(ROOT / "tests").as_posix().removesuffix("_test.py")


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Leaves out the modules that the lane of Keras 2 does not run."""
    if IS_KERAS_3 or not reason_to_leave_out(_tested(module_path)):
        return None
    return _LeftOut.from_parent(parent, path=module_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets the longest modules begin first; pytest-xdist keeps the order with --no-loadscope-reorder."""
    place = {module: number for number, module in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(_tested(item.path), len(LONGEST)))


def pytest_collection_finish() -> None:
    """Lets the garbage collector pass over TensorFlow, and come rarely: it took a twelfth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Lets the garbage collector pass over what TensorFlow keeps when a module of tests has ended."""
    yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def mirrored_strategy() -> tf.distribute.MirroredStrategy:
    """Two replicas on the two logical CPUs, shared by all tests: a second one would end the process."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder that holds the real datasets."""
    shared = Path(os.environ.get("TFPIX2PIX_SHARED", ROOT.parent / "shared"))
    if not (shared / "data").is_dir():
        pytest.skip(f"needs real images in {shared / 'data'}; TFPIX2PIX_SHARED names another folder")
    return shared / "data"


@pytest.fixture(scope="session")
def s3_server():
    """A server that speaks S3, one for all tests of a process."""
    pytest.importorskip("s3fs", reason="needs the extra [remote]")
    pytest.importorskip("moto", reason="needs a server that speaks S3")
    from tests.helpers.stores import S3

    server = S3()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server, tmp_path, monkeypatch):
    """The server that speaks S3, which this process finds; the cache of remote files is empty."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()  # Some have other credentials.
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFPIX2PIX_REMOTE_RETRY_SEC", "20")
    return s3_server


@pytest.fixture(scope="session")
def gcs_server():
    """A server that speaks Google Cloud Storage, one for all tests of a process."""
    pytest.importorskip("gcsfs", reason="needs the extra [remote]")
    pytest.importorskip("gcp_storage_emulator", reason="needs a server that speaks Google Cloud Storage")
    from tests.helpers.stores import Gcs

    server = Gcs()
    yield server
    server.stop()


@pytest.fixture
def gcs(gcs_server, tmp_path, monkeypatch):
    """The server that speaks Google Cloud Storage, which this process finds."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{gcs_server.port}")
    monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFPIX2PIX_REMOTE_RETRY_SEC", "20")
    return gcs_server
