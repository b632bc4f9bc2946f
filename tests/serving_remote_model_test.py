"""The client's library against the stand-in, over REST in both formats and over gRPC."""

import contextlib
import http.server
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from serving_stand_in import Models, RequestError, start_grpc_server, start_rest_server
from serving_stand_in.exports import decode_png, draw_pixels, encode_png, saved_models  # noqa: F401

from pipelines.command_line import UsageError, UserError
from tfpix2pix.serving import RemoteModel, ServingError, remote_model
from tfpix2pix.serving.transport import TensorSpec

STARTS = {"rest": start_rest_server, "grpc": start_grpc_server}
EVERY_WAY = pytest.mark.parametrize("way", ["rest rows", "rest columns", "grpc"])
BOTH = pytest.mark.parametrize("protocol", ["rest", "grpc"])


@pytest.fixture(scope="module")
def loaded(saved_models) -> Models:  # noqa: F811
    models = Models()
    models.load("tiny", saved_models / "tiny")
    models.load("probe", saved_models / "probe", [7, 8])
    models.labels["probe"] = {"stable": 7}
    return models


@pytest.fixture
def models(loaded, monkeypatch) -> Iterator[Models]:
    monkeypatch.setattr(remote_model, "FIRST_DELAY_SEC", 0.05)
    monkeypatch.setattr(remote_model, "LONGEST_DELAY_SEC", 0.4)
    yield loaded
    loaded.before_answer = lambda: None
    loaded.token = ""
    loaded.states["probe"].update({7: "AVAILABLE", 8: "AVAILABLE"})


@pytest.fixture
def connect(models) -> Iterator[Callable]:
    """Opens a model on a server of its own."""
    with contextlib.ExitStack() as stack:

        def open_model(way: str, name: str, version: int | str | None = None, **options) -> RemoteModel:
            url, stop = STARTS[way.split()[0]](models)
            stack.callback(stop)
            if way == "rest columns":
                options["row_format"] = False
            return stack.enter_context(RemoteModel(url, name, version, **options))

        yield open_model


def fail_with(error: Exception, times: float = float("inf")) -> tuple[Callable, list]:
    """Returns a hook that raises so many times, and the list of its calls."""
    calls: list[float] = []

    def before_answer():
        calls.append(time.monotonic())
        if len(calls) <= times:
            raise error

    return before_answer, calls


@EVERY_WAY
def test_files_of_mixed_sizes_come_back_as_the_servable_answers(connect, models, way):
    files = [encode_png(draw_pixels(*size, 3)) for size in ((40, 50), (17, 64), (33, 33))]
    pictures = connect(way, "tiny").translate(files)
    assert [decode_png(picture).shape for picture in pictures] == [(40, 50, 3), (17, 64, 3), (33, 33, 3)]
    _, servable = models.find("tiny")
    expected = servable("serving_default", {"image_bytes": np.array(files, object)})["image_bytes"]
    for picture, contents in zip(pictures, expected, strict=True):
        assert np.abs(decode_png(picture).astype(int) - decode_png(contents)).max() <= 1


@EVERY_WAY
def test_arrays_come_back_as_the_servable_answers(connect, models, way):
    images = draw_pixels(2, 16, 24, 3).astype(np.float32) / np.float32(127.5) - 1
    inputs = {"input_image": images, "noise_seed": np.array([[1, 2], [-3, 4]], np.int32)}
    answer = connect(way, "tiny").predict(inputs, "float32_seeded")["generated_image"]
    _, servable = models.find("tiny")
    assert answer.dtype == np.float32 and answer.shape == (2, 16, 24, 3)
    np.testing.assert_allclose(answer, servable("float32_seeded", inputs)["generated_image"], atol=1e-6)


@EVERY_WAY
def test_several_inputs_and_outputs_keep_names_and_types(connect, way):
    outputs = connect(way, "probe").predict({"values": [[1.5, 2], [3, -4]], "counts": [1, 20]}, "mix")
    assert set(outputs) == {"total", "counts", "raw_bytes", "text"}
    assert outputs["total"].tolist() == [3.5, -1.0] and outputs["total"].dtype == np.float32
    assert outputs["counts"].tolist() == [2, 40] and outputs["counts"].dtype == np.int32
    assert outputs["raw_bytes"].tolist() == [b"\xff\x001", b"\xff\x0020"]
    assert outputs["text"].tolist() == ["é1".encode(), "é20".encode()]


@BOTH
def test_metadata_and_status(connect, protocol):
    model = connect(protocol, "probe")
    assert model.read_status() == {7: "AVAILABLE", 8: "AVAILABLE"}
    signatures = model.read_signatures()
    assert set(signatures) == {"serving_default", "serving_default_seeded", "mix"}
    assert signatures["mix"].inputs == {
        "values": TensorSpec("DT_FLOAT", (None, 2)),
        "counts": TensorSpec("DT_INT32", (None,)),
    }
    assert signatures["serving_default"].outputs == {"image_bytes": TensorSpec("DT_STRING", (None,))}


@BOTH
def test_a_noise_seed_asks_the_seeded_signature(connect, protocol):
    model = connect(protocol, "probe")
    assert model.translate([b"a", b"b"], noise_seed=-3) == [b"a-3", b"b-3"]
    assert model.translate([b"a"], noise_seed=2**32 + 5) == [b"a5"]
    assert model.translate([b"a"], "serving_default_seeded", noise_seed=6) == [b"a6"]
    with pytest.raises(UsageError, match=r"has no signature mix_seeded; it has .*serving_default_seeded"):
        model.translate([b"a"], "mix", noise_seed=1)


@BOTH
def test_versions_and_labels(connect, protocol):
    for version, answer in ((None, b"av8"), (8, b"av8"), (7, b"av7"), ("stable", b"av7")):
        assert connect(protocol, "probe", version).translate([b"a"]) == [answer]


@BOTH
@pytest.mark.parametrize(
    ("name", "version", "code", "text"),
    [
        ("nope", None, "NOT_FOUND", r"there is no model nope at \w+://[\d.:]+: .*Latest\(nope\)"),
        ("probe", 9, "NOT_FOUND", r"no model probe 9 at .*; the server knows versions 8 \(AVAILABLE\), 7 "),
        ("probe", "canary", "INVALID_ARGUMENT", r"Unrecognized servable version label: canary"),
    ],
)
def test_models_and_versions_that_are_not_there(connect, protocol, name, version, code, text):
    with pytest.raises(ServingError, match=text) as raised:
        connect(protocol, name, version).translate([b"a"])
    assert raised.value.code == code


@BOTH
def test_what_the_signatures_do_not_allow_is_said_before_anything_is_sent(connect, models, protocol):
    models.before_answer, calls = fail_with(RuntimeError("asked"))
    model = connect(protocol, "probe")
    with pytest.raises(UsageError, match="has no signature uint8; it has mix, serving_default, serving"):
        model.predict({"values": 1}, "uint8")
    with pytest.raises(UsageError, match="mix of model probe at .* takes values, counts; received values"):
        model.predict({"values": [[1, 2]]}, "mix")
    with pytest.raises(UsageError, match="not image files; RemoteModel.predict sends arrays"):
        model.translate([b"a"], "mix")
    assert calls == []


@BOTH
def test_not_an_image_is_refused_with_the_servers_sentence(connect, protocol):
    with pytest.raises(ServingError, match="refused the request: Unknown image file format") as raised:
        connect(protocol, "tiny").translate([b"this is no image"])
    assert raised.value.code == "INVALID_ARGUMENT"
    assert "{{" not in str(raised.value) and "\n" not in str(raised.value)


@BOTH
@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("INVALID_ARGUMENT", 'refused the request: it\'s "so"'),
        ("RESOURCE_EXHAUSTED", 'cannot take a request of that size, or not now: it\'s "so"'),
        ("DEADLINE_EXCEEDED", 'took too long: it\'s "so"'),
        ("PERMISSION_DENIED", 'does not allow it: it\'s "so"'),
        ("UNIMPLEMENTED", 'is no TensorFlow Serving that knows this request: it\'s "so"'),
        ("INTERNAL", 'failed: INTERNAL, it\'s "so"'),
    ],
)
def test_errors_keep_their_code_and_sentence_and_are_not_tried_again(connect, models, protocol, code, text):
    models.before_answer, calls = fail_with(RequestError(code, 'it\'s "so"\nand more'))
    with pytest.raises(ServingError, match=text) as raised:
        connect(protocol, "probe").translate([b"a"])
    assert raised.value.code == code and len(calls) == 1


@BOTH
def test_an_unavailable_server_is_asked_again(connect, models, protocol):
    models.before_answer, calls = fail_with(RequestError("UNAVAILABLE", "queue full"), times=3)
    notices: list[str] = []
    model = connect(protocol, "probe", retries=3, notify=notices.append)
    assert model.translate([b"a"]) == [b"av8"]
    gaps = np.diff(calls)
    # 50, 100, 200 ms, each shortened by up to a half.
    assert len(calls) == 4 and (gaps > [0.024, 0.049, 0.099]).all()
    assert len(notices) == 1 and "does not answer (queue full); trying again" in notices[0]


@BOTH
def test_an_unavailable_server_is_not_asked_for_ever(connect, models, protocol):
    models.before_answer, calls = fail_with(RequestError("UNAVAILABLE", "queue full"))
    with pytest.raises(ServingError, match="does not answer after 3 attempts: queue full. Is the server"):
        connect(protocol, "probe", retries=2).translate([b"a"])
    assert len(calls) == 3


def test_delays_double_up_to_a_limit_and_differ():
    for attempt, longest in ((0, 0.25), (1, 0.5), (3, 2.0), (5, 8.0), (40, 8.0)):
        delays = {remote_model.draw_delay_sec(attempt) for _ in range(50)}
        assert len(delays) == 50 and longest / 2 <= min(delays) and max(delays) <= longest


@BOTH
def test_a_model_that_is_loading_is_waited_for(connect, models, protocol):
    models.states["probe"][8] = "LOADING"
    timer = threading.Timer(0.3, lambda: models.states["probe"].update({8: "AVAILABLE"}))
    timer.start()
    model = connect(protocol, "probe", 8)
    start = time.monotonic()
    assert model.translate([b"a"]) == [b"av8"]
    assert time.monotonic() - start > 0.25
    models.states["probe"][8] = "LOADING"
    with pytest.raises(ServingError, match="does not answer: the model is loading"):
        connect(protocol, "probe", 8, retries=0).translate([b"a"])


@BOTH
def test_sixteen_clients_at_once_get_each_its_own_answer(connect, protocol):
    model = connect(protocol, "probe")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: model.translate([b"%d." % number]), range(200)))
    assert answers == [[b"%d.v8" % number] for number in range(200)]


@BOTH
def test_a_server_that_is_killed_and_started_again_costs_no_answer(models, protocol):
    start = STARTS[protocol]
    url, kill = start(models)
    port = int(url.rpartition(":")[2])
    reached = threading.Event()
    counter = itertools.count()

    def before_answer():
        time.sleep(0.01)
        if next(counter) == 40:
            reached.set()

    models.before_answer = before_answer
    with RemoteModel(url, "probe") as model, ThreadPoolExecutor(16) as pool:
        tasks = [pool.submit(model.translate, [b"%d." % number]) for number in range(150)]
        assert reached.wait(30)
        kill()
        assert not all(task.done() for task in tasks)
        time.sleep(0.3)
        _, stop = start(models, port)
        try:
            assert [task.result() for task in tasks] == [[b"%d.v8" % number] for number in range(150)]
        finally:
            stop()


def test_a_connection_that_ended_between_two_requests_is_no_failure(models):
    url, kill = start_rest_server(models)
    with RemoteModel(url, "probe", retries=0) as model:
        assert model.translate([b"a"]) == [b"av8"]
        kill()
        _, stop = start_rest_server(models, int(url.rpartition(":")[2]))
        assert model.translate([b"b"]) == [b"bv8"]
        stop()


@BOTH
def test_a_slow_server_is_not_waited_for(connect, models, protocol):
    calls: list[int] = []

    def before_answer():
        calls.append(1)
        time.sleep(1.5)

    model = connect(protocol, "probe", timeout_sec=0.5)
    model.read_signatures()
    models.before_answer = before_answer
    start = time.monotonic()
    with pytest.raises(ServingError, match="took too long: .*Allow more time") as raised:
        model.translate([b"a"])
    assert raised.value.code == "DEADLINE_EXCEEDED"
    assert 0.4 < time.monotonic() - start < 1.4 and len(calls) == 1


@BOTH
def test_closing_ends_what_waits(connect, models, protocol):
    asked = threading.Event()

    def before_answer():
        asked.set()
        time.sleep(3)

    model = connect(protocol, "probe")
    model.read_signatures()
    models.before_answer = before_answer
    with ThreadPoolExecutor(1) as pool:
        task = pool.submit(model.translate, [b"a"])
        assert asked.wait(10)
        start = time.monotonic()
        model.close()
        with pytest.raises(ServingError):
            task.result()
        assert time.monotonic() - start < 1


@BOTH
def test_files_beyond_the_4_mb_that_grpc_receives_by_default(connect, protocol):
    contents = np.random.default_rng(0).bytes(5 * 2**20)
    assert connect(protocol, "probe").translate([contents]) == [contents + b"v8"]


def test_a_message_too_large_for_the_server_names_the_setting(models):
    url, stop = start_grpc_server(models, max_receive_bytes=2**20)
    with RemoteModel(url, "probe") as model:
        with pytest.raises(ServingError, match=r"larger than max.*grpc\.max_receive_message_length"):
            model.translate([bytes(2**21)])
    stop()


@BOTH
def test_a_token_is_sent_along(connect, models, protocol):
    models.token = "secret"  # noqa: S105
    assert connect(protocol, "probe", headers={"Authorization": "Bearer secret"}).translate([b"a"]) == [
        b"av8"
    ]
    with pytest.raises(ServingError, match="wants to know who asks: a token is needed"):
        connect(protocol, "probe").translate([b"a"])


@pytest.mark.parametrize(("start", "scheme"), [(start_rest_server, "grpc"), (start_grpc_server, "http")])
def test_the_other_protocols_port(models, start, scheme):
    url, stop = start(models)
    with RemoteModel(f"{scheme}:{url.partition(':')[2]}", "probe", retries=0, timeout_sec=5) as model:
        with pytest.raises(ServingError, match="8500 for grpc|is this the gRPC port"):
            model.read_status()
    stop()


@pytest.mark.parametrize("status", [200, 404])
def test_a_server_of_another_kind(status):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>somewhere else</html>")

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, args=(0.02,)).start()
    try:
        with RemoteModel(f"http://127.0.0.1:{server.server_port}", "probe") as model:
            with pytest.raises(ServingError, match="not that of TensorFlow Serving|<html>somewhere else"):
                model.read_status()
    finally:
        server.shutdown()
        server.server_close()


@BOTH
def test_no_server(protocol, models):
    url, stop = STARTS[protocol](models)
    stop()
    with pytest.raises(
        ServingError, match=r"at \w+://127.0.0.1:\d+ does not answer after 2 attempts: .*refused"
    ):
        RemoteModel(url, "probe", retries=1).read_signatures()


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8501", "ftp://host:1", "http://", "grpc://host", "http://host:x", ""]
)
def test_a_url_that_is_none(url):
    with pytest.raises(UsageError, match=r"URL is http://HOST:8501 or grpc://HOST:8500. Received: "):
        RemoteModel(url, "probe")


def test_grpc_without_its_package_names_the_extra(monkeypatch):
    for name in ("tensorflow_serving", "tensorflow_serving.apis"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r"pip install 'tfpix2pix\[serving\]'"):
        RemoteModel("grpc://127.0.0.1:8500", "probe")
