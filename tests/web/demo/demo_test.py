"""The demo under good and bad input: the real command, on a tiny run, asked over real connections."""

import base64
import http.client
import io
import json
import re
import socket
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import browser, runs, tiny_run
from tests.helpers.demos import serve_model
from tests.helpers.serving_stand_in.servers import STARTS
from tfpix2pix.export import __main__ as export
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.translate.translator import Translator
from tfpix2pix.web.demo.__main__ import main
from tfpix2pix.web.demo.application import Limits

pytest_plugins = ["tests.helpers.serving_stand_in.fixtures"]
DEMO = [sys.executable, "-m", "tfpix2pix.web.demo"]
SIDE = 32


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    return tiny_run.write_run(tmp_path_factory.mktemp("demo") / "run")


@pytest.fixture(scope="module")
def translator(run_folder) -> Translator:
    return Translator(run_folder)


@pytest.fixture(scope="module")
def server(run_folder):
    limits = ["--max_bytes=200000", "--max_pixels=20000", "--requests_per_sec=1000"]
    with browser.serve([*DEMO, f"--model={run_folder}", *limits]) as server:
        yield server


def ask(server, method: str, path: str, body=None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def translate(server, contents: bytes, query: str = "") -> list[np.ndarray]:
    status, answer = ask(server, "POST", f"/api/translate{query}", contents)
    assert status == 200, answer
    files = [base64.b64decode(picture) for picture in json.loads(answer)["pictures"]]
    return [np.array(Image.open(io.BytesIO(file))) for file in files]


def encode(pixels: np.ndarray, file_format: str = "PNG") -> bytes:
    contents = io.BytesIO()
    Image.fromarray(pixels).save(contents, file_format)
    return contents.getvalue()


def draw(seed: int, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def png_chunk(name: bytes, contents: bytes) -> bytes:
    checksum = zlib.crc32(name + contents)
    return struct.pack(">I", len(contents)) + name + contents + struct.pack(">I", checksum)


def png_bomb(width: int, height: int) -> bytes:
    """A small file that says it is large."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(bytes(100_000)))


@pytest.mark.parametrize(("height", "width"), [(SIDE, SIDE), (20, 33), (1, 1), (100, 200)])
def test_a_picture_is_what_the_translator_makes_of_it(server, translator, height, width):
    pixels = draw(1, height, width)
    expected = translator(pixels, noise_seed=7)
    (picture,) = translate(server, encode(pixels), "?noise_seed=7")
    # The batch's kernels may round elsewhere.
    assert np.abs(picture.astype(int) - expected).max() <= 1


def test_four_samples_differ_and_the_first_is_the_single_one(server, translator):
    pixels = draw(2)
    samples = translate(server, encode(pixels), "?noise_seed=5&samples=4")
    assert len(samples) == 4
    assert len({sample.tobytes() for sample in samples}) == 4
    expected = [translator(pixels, 5, sample) for sample in range(4)]
    assert np.abs(np.stack(samples).astype(int) - np.stack(expected)).max() <= 1


def test_the_seed_decides(server):
    contents = encode(draw(3))
    first, again, other = (translate(server, contents, f"?noise_seed={seed}")[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("file_format", ["JPEG", "BMP", "PNG"])
def test_the_content_decides_and_not_the_declared_type(server, file_format):
    status, _ = ask(
        server, "POST", "/api/translate", encode(draw(4), file_format), **{"Content-Type": "text/html"}
    )
    assert status == 200


@pytest.mark.parametrize(
    ("contents", "status", "sentence"),
    [
        (b"", 400, "The file is empty."),
        (b"GIF89a" + bytes(100), 400, "That is no JPEG, PNG or BMP image."),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 400, "That is no JPEG, PNG or BMP image."),
        (b"\xff\xd8\xff", 400, "That is no JPEG, PNG or BMP image."),
        (encode(draw(5))[:-200], 400, "The image is damaged or cut short."),
        (encode(draw(5, 64, 64), "JPEG")[:700], 400, "The image is damaged or cut short."),
        (encode(draw(5))[:20], 400, "That is no JPEG, PNG or BMP image."),
        (png_bomb(0, 5), 400, "That is no JPEG, PNG or BMP image."),
        (
            png_bomb(50_000, 50_000),
            400,
            "The image has 50000 x 50000 pixels, more than the 20,000 allowed.",
        ),
        (
            png_bomb(2**31 - 1, 2**31 - 1),
            400,
            "The image has 2147483647 x 2147483647 pixels, more than the 20,000 allowed.",
        ),
        (png_bomb(100, 201), 400, "The image has 100 x 201 pixels, more than the 20,000 allowed."),
        (bytes(200_001), 413, "The request is larger than the 200,000 bytes allowed."),
    ],
)
def test_bad_files_are_refused_with_a_sentence(server, contents, status, sentence):
    found, answer = ask(server, "POST", "/api/translate", contents)
    assert (found, json.loads(answer)) == (status, {"error": sentence})
    assert len(translate(server, encode(draw(1)))) == 1


def test_a_body_in_chunks_has_the_same_limit(server):
    status, _ = ask(server, "POST", "/api/translate", iter([b"x" * 1000] * 250))
    assert status == 413


@pytest.mark.parametrize(
    "query", ["?samples=3", "?samples=400", "?noise_seed=x", "?noise_seed=4294967296", "?noise_seed=1e3"]
)
def test_wrong_parameters_are_refused(server, query):
    status, answer = ask(server, "POST", f"/api/translate{query}", encode(draw(1)))
    assert status == 422
    assert json.loads(answer)["error"].startswith("The request is malformed: query.")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../application.py",
        "/static/%2e%2e/application.py",
        "/static/..%2fapplication.py",
        "/static/..%5capplication.py",
        "/static/demo/../../application.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/base.css%00.js",
        "/static/",
        "/etc/passwd",
        "//etc/passwd",
        "/api/examples/../model",
        "/api/examples/24",
        "/api/examples/99999999999999999999",
        "/..",
    ],
)
def test_no_path_leads_out(server, path):
    status, answer = ask(server, "GET", path)
    assert (status, json.loads(answer)) == (404, {"error": json.loads(answer)["error"]})


@pytest.mark.parametrize("place", ["-1", "x", "1.5", "%2e%2e", "0x1"])
def test_an_example_is_a_number(server, place):
    status, _ = ask(server, "GET", f"/api/examples/{place}")
    assert status in (404, 422)


def test_another_name_and_another_page_are_refused(server):
    assert ask(server, "GET", "/", Host="evil.example")[0] == 421
    assert ask(server, "POST", "/api/translate", encode(draw(1)), Origin="http://evil.example")[0] == 403


def test_the_page_is_told_what_to_offer(server):
    status, answer = ask(server, "GET", "/api/model")
    model = json.loads(answer)
    assert status == 200
    assert (model["kind"], model["width"], model["height"], model["title"]) == ("labels", 32, 32, "synthetic")
    assert model["colours"][0] == {"name": "background", "rgb": [0, 0, 222]}
    assert [colour["name"] for colour in model["colours"]][2:4] == ["window", "door"]
    assert len(model["examples"]) == 24
    assert (model["max_pixels"], model["requests_per_sec"]) == (20000, 1000)
    facts = {fact["name"]: fact["text"] for fact in model["card"]}
    assert facts == {
        "Model": "run",
        "Data": "synthetic: generated facades, labels → photo",
        "Task": "it generates the target image of a pair from its input image",
        "Direction": "B to A, from the right image of a pair to the left one",
        "Size": "images of 32 x 32 px in the training",
        "Method": "pix2pix, generator unet",
        "Training": f"2 steps, until {datetime.now(timezone.utc).date()}",
    }
    status, example = ask(server, "GET", "/api/examples/23")
    assert np.array(Image.open(io.BytesIO(example))).shape == (32, 32, 3)
    assert str(server.process.args) not in answer.decode()


def test_many_at_once_get_each_their_own_picture(server):
    contents = [encode(draw(seed)) for seed in range(8)]
    alone = [translate(server, each)[0] for each in contents]
    assert len({picture.tobytes() for picture in alone}) == 8
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda each: translate(server, each)[0], contents))
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one, other)


def test_who_asks_too_much_or_meets_a_full_queue_is_told(run_folder):
    """One request at a time and one waiting: of many, some are answered, the others hear why not."""
    contents = encode(draw(1, 100, 100))
    limits = Limits(max_waiting=1, requests_per_sec=1)  # five at once
    with serve_model(run_folder, limits=limits) as server, ThreadPoolExecutor(30) as threads:
        # The first one waits for compilation, however fast the machine is.
        answers = list(threads.map(lambda _: ask(server, "POST", "/api/translate", contents), range(30)))
        assert {200, 429, 503} == {status for status, _ in answers}
        texts = {status: json.loads(answer).get("error") for status, answer in answers}
        assert texts[503] == "The model is busy with other people's pictures."
        assert texts[429] == "That was too much at once; again in 1 s."
        time.sleep(1.1)
        assert len(translate(server, contents)) == 1


def test_who_hangs_up_leaves_the_others_alone(server):
    contents = encode(draw(1, 100, 200))
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            head = (
                f"POST /api/translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(contents)}\r\n\r\n"
            )
            connection.sendall(head.encode() + contents[: len(contents) // 2])
    assert len(translate(server, encode(draw(1)))) == 1


def test_a_saved_model_and_a_run_give_the_same(run_folder, tmp_path, server):
    export.main(["export", f"--workdir={run_folder}", f"--output={tmp_path / 'models'}", "--name=painter"])
    with serve_model(tmp_path / "models" / "painter") as other:
        model = json.loads(ask(other, "GET", "/api/model")[1])
        assert (model["kind"], model["width"], model["title"]) == ("labels", 32, "synthetic")
        own, of_run = model["card"], json.loads(ask(server, "GET", "/api/model")[1])["card"]
        assert own[0]["text"] == "painter, version 1" and own[1:] == of_run[1:]
        contents = encode(draw(6))
        mine, theirs = (translate(each, contents, "?noise_seed=3&samples=4") for each in (other, server))
        assert np.abs(np.stack(mine).astype(int) - np.stack(theirs)).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_model_elsewhere_is_asked(models, saved_models, protocol):
    url, stop = STARTS[protocol](models)
    with browser.serve([*DEMO, f"--serving_url={url}", "--model=tiny", "--dataset=facades"]) as server:
        model = json.loads(ask(server, "GET", "/api/model")[1])
        assert (model["kind"], model["width"], model["title"]) == ("labels", 256, "facades")
        assert [fact["name"] for fact in model["card"]] == ["Model", "Data", "Task", "Direction"]
        assert model["card"][0]["text"] == "tiny" and model["card"][1]["url"].endswith("/facades.tar.gz")
        pixels = draw(7)
        samples = translate(server, encode(pixels), "?noise_seed=9&samples=4")
        translator = Translator(saved_models / "tiny")
        expected = [translator(pixels, 9, sample) for sample in range(4)]
        assert np.abs(np.stack(samples).astype(int) - np.stack(expected)).max() <= 1
        assert ask(server, "POST", "/api/translate", b"GIF89a")[0] == 400
        assert ask(server, "POST", "/api/translate", encode(pixels)[:-200])[0] == 400
        stop()
        status, answer = ask(server, "POST", "/api/translate", encode(pixels))
        assert (status, json.loads(answer)["error"]) == (
            503,
            "The server that has the model does not answer.",
        )


@pytest.mark.parametrize(
    ("flags", "status", "sentence"),
    [
        ([], 2, "--model is missing"),
        (["--model=nowhere"], 2, "there is no nowhere"),
        (["--model=x", "--port=70000"], 2, "port"),
        (["--model=x", "--host=nobody.invalid"], 1, "cannot listen on nobody.invalid"),
        (["--model=x", "--host=a..b"], 1, "cannot listen on a..b"),
        (["--model=x", "--allowed_hosts=a.org,https://b.org"], 2, "--allowed_hosts: expected names"),
        (["--model=x", "--allowed_hosts=a.org:443"], 2, "received a.org:443"),
        (["--model=x", "--trusted_proxy=localhost"], 2, "--trusted_proxy: expected the IP address"),
        (["--model=x", "--trusted_proxy=*"], 2, "received *"),
        (["--model=x", "--serving_url=ftp://h"], 2, "a server's URL is"),
        (["--model=x", "--serving_url=http://127.0.0.1:9", "--checkpoint=1"], 2, "`checkpoint` is for a run"),
        (["--model=x", "--serving_url=http://127.0.0.1:9"], 1, "does not answer"),
        (["--model=x", "surplus"], 2, "unexpected argument: surplus"),
        (["--model=x", "--requests_per_sec=inf"], 2, "inf is not a number in the range [0.01, 1000000.0]"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(monkeypatch, capsys, tmp_path, flags, status, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=re.escape(sentence)) as refusal:
        main(["demo", "--port=0", *flags])
    assert refusal.value.exit_status == status
    assert capsys.readouterr().out == ""


def test_the_least_pixels_are_those_of_the_model(run_folder):
    sentence = "`max_pixels` must be at least 1024, as the model was made for 32x32 px. Received: 1023"
    with pytest.raises(UsageError, match=re.escape(sentence)):
        main(["demo", "--port=0", f"--model={run_folder}", "--max_pixels=1023"])


def test_other_machines_are_warned_of(run_folder):
    with browser.serve([*DEMO, f"--model={run_folder}", "--host=0.0.0.0", "--noexamples"]) as server:
        assert server.url == f"http://127.0.0.1:{server.port}/"
        assert ask(server, "GET", "/")[0] == 200
        ended = server.stop()
    assert ended.returncode == 0
    assert "warning: 0.0.0.0 can be reached from other machines" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_help_needs_no_tensorflow(tmp_path):
    """The packages that are slow to import are hidden, and it does not matter."""
    for name in ("tensorflow", "keras", "fastapi", "uvicorn"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('hidden')")
    path = f"{tmp_path}:{runs.ROOT}"
    ended = runs.run([*DEMO, "--help"], env=runs.environment(PYTHONPATH=path))
    assert ended.returncode == 0, ended.stderr
    assert "--serving_url" in ended.stdout


def test_without_the_extra_it_is_named():
    script = (
        "import importlib.util as u, sys; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name in ('fastapi', 'uvicorn') else find(name, *a)\n"
        "from tfpix2pix.pipelines.base import command_line\nfrom tfpix2pix.web.demo import __main__ as demo\n"
        "sys.argv = ['demo', '--model=x']\ncommand_line.run(demo.main)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], env=runs.environment(), capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert (
        runs.last_line(ended) == "error: serving pages needs fastapi, uvicorn: pip install 'tfpix2pix[web]'"
    )


def test_the_address_in_use_is_known_before_the_model_is_loaded(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = runs.run([*DEMO, "--model=nowhere", f"--port={port}"], cwd=tmp_path)
    assert ended.returncode == 1
    reason = runs.last_line(ended)
    assert reason.startswith(f"error: cannot listen on 127.0.0.1 port {port}: Address already in use")
    assert reason.endswith("Another --port (0 takes any free one) or --host may do")
