"""The client over REST against servers that are not TensorFlow Serving, and against broken ones."""

import base64
import contextlib
import http.server
import json
import time

import pytest

from tests.helpers.http_servers import QuietHandler, running
from tests.helpers.serving_stand_in.exports import as_picture
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.serving import RemoteModel, ServingError, client

FILES = {"dtype": "DT_STRING", "tensor_shape": {"dim": [{"size": "-1"}]}}
SIGNATURE = {"inputs": {"image_bytes": FILES}, "outputs": {"image_bytes": FILES}}
METADATA = {"metadata": {"signature_def": {"signature_def": {"serving_default": SIGNATURE}}}}
PICTURE = as_picture(b"pixels")


@contextlib.contextmanager
def _serve(metadata, answer, status=200, pause_sec=0.0):
    """Serves two bodies, bytes or what JSON can hold, one byte every `pause_sec`; yields the URL.

    The second one may be a function of the request.
    """

    class Handler(QuietHandler):
        def _answer(self, body):
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Location", "http://elsewhere:1/")
            self.end_headers()
            with contextlib.suppress(OSError):
                for place in range(len(body)) if pause_sec else ():
                    self.wfile.write(body[place : place + 1])
                    time.sleep(pause_sec)
                self.wfile.write(b"" if pause_sec else body)

        def do_GET(self):
            self._answer(metadata)

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(answer(request) if callable(answer) else answer)

    with running(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize(
    "body",
    [
        {"status": "ok"},
        {"metadata": None},
        {"metadata": {"signature_def": {"signature_def": {"serving_default": 3}}}},
        {"metadata": {"signature_def": {"signature_def": {"a": {"inputs": {"b": {"tensor_shape": {}}}}}}}},
        {"model_version_status": 7},
        {"model_version_status": [{"version": "new"}]},
        [],
        7,
        None,
        float("nan"),
        b"[" * 200_000,
        b"<html>somewhere else</html>",
        b"\xff\xfe",
        b"",
    ],
)
def test_answers_of_other_services_are_one_sentence(body):
    with _serve(body, body) as url, RemoteModel(url, "m", retries=0) as model:
        for ask in (model.read_signatures, model.read_status):
            with pytest.raises(ServingError, match="the answer is not that of TensorFlow Serving"):
                ask()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"status": "ok"}, "does not have the outputs image_bytes"),
        ({"predictions": None}, "does not have the outputs image_bytes"),
        ({"predictions": [3]}, "does not have the outputs image_bytes"),
        ({"predictions": [{"b64": "no base64"}]}, "does not have the outputs image_bytes"),
        ({"predictions": []}, "did not answer with 1 PNG images"),
        ({"predictions": "hello"}, "did not answer with 1 PNG images"),
        ({"predictions": ["hello"]}, "did not answer with 1 PNG images"),
        ({"predictions": [""]}, "did not answer with 1 PNG images"),
        (
            {"predictions": [{"b64": base64.b64encode(PICTURE[:11]).decode()}]},
            "did not answer with 1 PNG images",
        ),
        (
            {"predictions": [{"b64": base64.b64encode(PICTURE).decode()}] * 2},
            "did not answer with 1 PNG images",
        ),
        (b"[" * 200_000, "it is not a JSON object"),
    ],
)
def test_what_is_no_picture_is_no_output(answer, text, tmp_path, capsys):
    (tmp_path / "in.png").write_bytes(PICTURE)
    command = ["client", "--model=m", f"--input={tmp_path}/in.png", f"--output={tmp_path}/out", "--retries=0"]
    with _serve(METADATA, answer) as url, pytest.raises(UserError) as raised:
        client.main([*command, f"--url={url}"])
    assert text in f"{raised.value}{capsys.readouterr().err}"
    assert not list((tmp_path).rglob("out/*"))


def test_an_answer_that_is_no_base64_fails_one_image_alone(tmp_path, capsys):
    def answer(request):
        is_bad = request["instances"][0]["image_bytes"]["b64"] == base64.b64encode(b"bad").decode()
        return {"predictions": [{"b64": "no base64" if is_bad else base64.b64encode(PICTURE).decode()}]}

    for name, contents in (("a", b"bad"), ("b", PICTURE)):
        (tmp_path / f"{name}.png").write_bytes(contents)
    command = ["client", "--model=m", f"--input={tmp_path}", f"--output={tmp_path}/out"]
    with _serve(METADATA, answer) as url, pytest.raises(UserError, match="1 of 2 images could not be"):
        client.main([*command, f"--url={url}"])
    assert "a.png: model m" in capsys.readouterr().err
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["b.png"]


def test_samples_of_an_image_have_seeds_of_their_own():
    seeds = {"dtype": "DT_INT32", "tensor_shape": {"dim": [{"size": "-1"}, {"size": "2"}]}}
    signature = {**SIGNATURE, "inputs": {"image_bytes": FILES, "noise_seed": seeds}}
    metadata = {"metadata": {"signature_def": {"signature_def": {"serving_default_seeded": signature}}}}
    sent = []

    def answer(request):
        sent.extend(row["noise_seed"] for row in request["instances"])
        return {"predictions": [{"b64": base64.b64encode(PICTURE).decode()}] * len(request["instances"])}

    with _serve(metadata, answer) as url, RemoteModel(url, "m") as model:
        assert model.translate([b"a"] * 2, noise_seed=-7, samples=range(2)) == [PICTURE] * 2
    assert sent == [[-7, 0], [-7, 1]]


def test_a_whole_picture_is_one(tmp_path):
    answer = {"predictions": [{"b64": base64.b64encode(PICTURE).decode()}]}
    with _serve(METADATA, answer) as url, RemoteModel(url, "m") as model:
        assert model.translate([b"a"]) == [PICTURE]


@pytest.mark.parametrize(
    ("type_name", "values", "is_held"),
    [
        ("DT_UINT8", [0, 255], True),
        ("DT_UINT8", [256], False),
        ("DT_UINT8", [0.5], False),
        ("DT_FLOAT", [0.1, float("nan")], True),
        ("DT_FLOAT", None, False),
        ("DT_FLOAT", ["1"], False),
        ("DT_FLOAT", [[1], [1, 2]], False),
        ("DT_BOOL", [True], True),
    ],
)
def test_numbers_of_an_answer_are_those_of_its_type(type_name, values, is_held):
    spec = {"dtype": type_name, "tensor_shape": {"unknown_rank": True}}
    signature = {"inputs": {}, "outputs": {"y": spec}}
    metadata = {"metadata": {"signature_def": {"signature_def": {"serving_default": signature}}}}
    with _serve(metadata, {"predictions": values}) as url, RemoteModel(url, "m") as model:
        if is_held:
            assert model.predict({})["y"].tolist() == pytest.approx(values, nan_ok=True)
        else:
            with pytest.raises(ServingError, match="does not have the outputs y"):
                model.predict({})


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (
            404,
            b"<html>nothing here</html>",
            "not a TensorFlow Serving .*HTTP status 404 with a web page, and not",
        ),
        (404, b"", "is not a TensorFlow Serving that knows this request: HTTP status 404$"),
        (301, b"moved", "it redirects to http://elsewhere:1/; give that address if you trust it"),
        (500, b"\n <!DOCTYPE html>", "failed: INTERNAL, HTTP status 500 with a web page"),
    ],
)
def test_other_statuses_are_one_sentence(status, body, text):
    with _serve(body, body, status) as url, RemoteModel(url, "m", retries=0) as model:
        with pytest.raises(ServingError, match=text):
            model.read_signatures()


def test_an_answer_that_trickles_in_is_not_waited_for():
    with _serve(json.dumps(METADATA).encode(), b"", pause_sec=0.05) as url:
        with RemoteModel(url, "m", retries=0, timeout_sec=0.4) as model:
            start = time.monotonic()
            with pytest.raises(ServingError, match="took too long: no answer within 0.4 s"):
                model.read_signatures()
            assert time.monotonic() - start < 3  # all of it would take 10 s
