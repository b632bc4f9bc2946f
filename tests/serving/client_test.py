"""The command `python -m tfpix2pix.serving.client` against the stand-in."""

import re
import shutil
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tests.helpers import runs
from tests.helpers.serving_stand_in.exports import as_picture, decode_png, draw_pixels, encode_png
from tests.helpers.serving_stand_in.models import RequestError
from tests.helpers.serving_stand_in.servers import STARTS, start_rest_server
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.files.encoding import encode_png as encode_picture
from tfpix2pix.pipelines.placing.pack import pack_shards
from tfpix2pix.serving import client
from tfpix2pix.serving.files import summarize

pytest_plugins = ["tests.helpers.serving_stand_in.fixtures"]
BOTH = pytest.mark.parametrize("protocol", ["rest", "grpc"])
TURNED = Image.Exif()
TURNED[0x0112] = 6
CLIENT = [sys.executable, "-m", "tfpix2pix.serving.client"]


@pytest.fixture
def serve(models):
    """Starts a server; returns its URL."""
    stops = []

    def start(protocol: str = "rest") -> str:
        url, stop = STARTS[protocol](models)
        stops.append(stop)
        return url

    yield start
    for stop in stops:
        stop()


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder in the working directory with four images."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name, size in (("a.png", (20, 30)), ("b.png", (33, 17)), ("sub/a.png", (8, 9)), ("a.jpg", (24, 24))):
        (folder / name).write_bytes(encode_png(draw_pixels(*size, 3)))
    return folder


def run(**settings) -> None:
    client.main(["client", *(f"--{name}={value}" for name, value in settings.items())])


def list_files(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@BOTH
def test_a_folder_is_translated_and_names_are_kept(serve, models, photos, tmp_path, capsys, protocol):
    run(url=serve(protocol), model="tiny", input="photos", output="out", concurrency=3)
    assert list_files(tmp_path / "out") == ["a.jpg.png", "a.png.png", "b.png", "sub/a.png"]
    sizes = {"a.jpg.png": (24, 24), "a.png.png": (20, 30), "b.png": (33, 17), "sub/a.png": (8, 9)}
    _, servable = models.find("tiny")
    for name, size in sizes.items():
        picture = decode_png((tmp_path / "out" / name).read_bytes())
        files = np.array([encode_png(draw_pixels(*size, 3))], object)
        expected = decode_png(servable("serving_default", {"image_bytes": files})["image_bytes"][0])
        assert picture.shape == (*size, 3) and np.abs(picture.astype(int) - expected).max() <= 1
    lines = capsys.readouterr().out.splitlines()
    number = r"[\d.]+"
    assert re.fullmatch(
        rf"4 images in {number} s, {number} images/s; latency p50 \d+ ms, p90 \d+ ms, p99 \d+ ms", lines[0]
    )
    assert lines[1:] == ["outputs: out"]


def test_rest_needs_no_tensorflow(serve, photos):
    arguments = [f"--url={serve()}", "--model=probe", "--input=photos/b.png", "--output=out"]
    program = (
        "import sys; from tfpix2pix.serving import client; client.main(['client', *sys.argv[1:]]); "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    process = runs.run([sys.executable, "-c", program, *arguments], cwd=photos.parent)
    assert process.returncode == 0, process.stderr
    contents = (photos / "b.png").read_bytes()
    assert (photos.parent / "out" / "b.png").read_bytes() == as_picture(contents + b"v8")


def test_bad_images_are_named_and_the_others_done(serve, photos):
    (photos / "text.png").write_text("no image")
    (photos / "cut.png").write_bytes((photos / "b.png").read_bytes()[:-60])
    arguments = [f"--url={serve()}", "--model=tiny", "--input=photos", "--output=photos/out"]
    process = runs.call([*CLIENT, *arguments], cwd=photos.parent)
    assert process.returncode == 1
    errors = process.stderr.splitlines()
    assert errors[-1] == "error: 2 of 6 images could not be translated"
    assert any(
        "photos/text.png: model tiny at" in line and "is no JPEG, PNG or BMP" in line for line in errors
    )
    assert any("photos/cut.png: model tiny at" in line for line in errors)
    assert process.stdout.startswith("4 images in ")
    assert list_files(photos / "out") == ["a.jpg.png", "a.png.png", "b.png", "sub/a.png"]


def test_files_that_servers_do_not_decode_are_sent_as_png_files(serve, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = draw_pixels(12, 10, 3)
    deep = pixels.astype(np.uint16) * 257
    for name, image in (("a.tif", pixels), ("b.npy", pixels), ("deep.tif", deep)):
        runs.store_image(tmp_path / "in" / name, image)
    Image.fromarray(pixels).save("in/c.webp", lossless=True)
    Image.fromarray(pixels).save("in/turned.webp", lossless=True, exif=b"Exif\0\0" + TURNED.tobytes())
    Image.fromarray(pixels[..., 0]).save("in/d.gif")
    runs.store_image(tmp_path / "in/floats.npy", np.zeros((4, 4, 3), np.float32))
    runs.store_image(tmp_path / "in/five.npy", np.zeros((4, 4, 5), np.uint8))
    (tmp_path / "in/cut.tif").write_bytes((tmp_path / "in/a.tif").read_bytes()[:200])
    process = runs.call([*CLIENT, f"--url={serve()}", "--model=probe", "--input=in", "--output=out"])
    assert process.returncode == 1 and "3 of 9 images could not be translated" in process.stderr
    assert "in/floats.npy holds 3 channels of float32, which no image file" in process.stderr
    assert "in/five.npy holds 5 channels of uint8" in process.stderr and "in/cut.tif is" in process.stderr
    gray = pixels[..., :1].repeat(3, -1)
    expected = dict.fromkeys("abc", pixels) | {"deep": deep, "d": gray, "turned": np.rot90(pixels, -1)}
    assert list_files(tmp_path / "out") == sorted(f"{name}.png" for name in expected)
    for name, image in expected.items():
        sent = encode_picture(image).numpy()
        assert (tmp_path / "out" / f"{name}.png").read_bytes() == as_picture(sent + b"v8"), name


def test_records_of_shards_are_sent_as_they_are_and_a_damaged_one_is_named(serve, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        for side in ("input", "target"):
            runs.store_image(tmp_path / "set/test" / side / f"{number}.png", draw_pixels(12, 10 + number, 3))
    pack_shards(tmp_path / "set", tmp_path / "shards")
    contents = [(tmp_path / f"set/test/input/{number}.png").read_bytes() for number in range(3)]
    (shard,) = tmp_path.glob("shards/*.tfrecord")
    records = bytearray(shard.read_bytes())
    records[records.index(contents[1]) + 60] ^= 1
    shard.write_bytes(records)
    process = runs.call(
        [*CLIENT, f"--url={serve()}", "--model=probe", "--input=shards/test/A", "--output=out"]
    )
    assert process.returncode == 1 and "1 of 3 images could not be translated" in process.stderr
    assert "record 2 (1.png) is a damaged record; copy the shard again" in process.stderr
    assert list_files(tmp_path / "out") == ["0.png", "2.png"]
    for number in (0, 2):
        assert (tmp_path / f"out/{number}.png").read_bytes() == as_picture(contents[number] + b"v8")


def test_the_half_of_a_side_by_side_pair_is_sent_on_request(serve, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pixels = draw_pixels(10, 20, 3)
    deep = pixels.astype(np.uint16) * 257
    for name, image in (("a.png", pixels), ("b.tif", deep)):
        runs.store_image(tmp_path / "in" / name, image)
    (tmp_path / "in/c.png").write_bytes(encode_picture(deep).numpy())
    settings = {"url": serve(), "model": "probe", "input": "in", "output": "out"}
    halves = {
        "left": (slice(0, 10), 0),
        "right": (slice(10, 20), 0),
        "none": (slice(0, 20), 0),
        "": (None, 1),
    }
    for crop, (columns, notes) in halves.items():
        run(**settings, **({"crop": crop} if crop else {}))
        told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
        assert len(told) == notes and all(
            "is twice as wide as high. If it is a pair" in line for line in told
        )
        for name, image in (("a", pixels), ("b", deep), ("c", deep)) if columns else ():
            sent = encode_picture(np.ascontiguousarray(image[:, columns])).numpy()
            if crop == "none" and name != "b":
                sent = (tmp_path / f"in/{name}.png").read_bytes()
            assert (tmp_path / f"out/{name}.png").read_bytes() == as_picture(sent + b"v8"), (crop, name)
    Image.fromarray(pixels[:, :9]).save("odd.png")
    with pytest.raises(UserError, match="1 of 1 image could not be translated"):
        run(**{**settings, "input": "odd.png"}, crop="left")
    assert "odd.png is 9 px wide, so it is not a pair of equal halves" in capsys.readouterr().err
    turned = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 0, 2)))
    turned.save("turned.jpg", exif=TURNED)
    run(**{**settings, "input": "turned.jpg"})
    assert "note: turned.jpg is twice as wide as high" in capsys.readouterr().err


@BOTH
def test_an_output_that_cannot_be_written_is_named_and_the_others_are_done(serve, photos, capsys, protocol):
    (photos.parent / "out" / "b.png").mkdir(parents=True)
    with pytest.raises(UserError, match="1 of 4 images could not be translated"):
        run(url=serve(protocol), model="tiny", input="photos", output="out")
    assert "out/b.png cannot be written: Is a directory" in capsys.readouterr().err
    assert list_files(photos.parent / "out") == ["a.jpg.png", "a.png.png", "sub/a.png"]


def test_outputs_that_exist_are_left_out_on_request(serve, models, photos, capsys):
    settings = {"url": serve(), "model": "tiny", "input": "photos", "output": "out"}
    kept = photos.parent / "out" / "sub" / "a.png"
    kept.parent.mkdir(parents=True)
    kept.write_text("as it was")
    run(**settings, resume=True)
    told = capsys.readouterr()
    assert "1 of 4 outputs are in out already and stay as they are" in told.err
    assert kept.read_text() == "as it was" and told.out.startswith("3 images in ")
    run(**settings, resume=True)
    assert capsys.readouterr().out.startswith("0 images in ")
    run(**settings)
    assert kept.read_bytes().startswith(b"\x89PNG")


def test_seed_version_and_token_reach_the_server(serve, models, photos, tmp_path):
    contents = (photos / "b.png").read_bytes()
    models.token = "secret"  # noqa: S105
    (tmp_path / "token").write_text("secret\n", "utf-8-sig")
    settings = {"url": serve(), "model": "probe", "input": "photos/b.png", "token_file": "token"}
    for flags, added in (({"noise_seed": 5}, b"5"), ({"version": 7}, b"v7"), ({"version": "stable"}, b"v7")):
        run(**settings, **flags, output="out")
        assert (tmp_path / "out" / "b.png").read_bytes() == as_picture(contents + added)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": ""}, "--model is missing"),
        ({"url": "127.0.0.1:8501"}, "a server's URL is http://HOST:8501"),
        ({"input": "nothing"}, "there is no nothing; `input` takes an image, a folder of images"),
        ({"output": "photos"}, "is the folder of the inputs"),
        ({"concurrency": 0}, "concurrency"),
        ({"timeout_sec": "soon"}, "timeout_sec"),
        ({"token_file": "none"}, "--token_file=none cannot be read"),
        ({"noise_seed": 1, "signature": "mix"}, "has no signature mix_seeded"),
    ],
)
def test_usage_errors(serve, photos, settings, message):
    values = {"url": serve(), "model": "probe", "input": "photos", "output": "out", **settings}
    with pytest.raises(UsageError, match=message):
        run(**values)
    assert not (photos.parent / "out").exists()


@pytest.mark.parametrize(
    "contents", [b"secret-1\nsecret-2\n", b"", b"secret\0", "secr\xe4t".encode(), b"secret\xff"]
)
def test_a_file_that_holds_no_token_is_refused_and_not_shown(serve, photos, contents):
    (photos.parent / "token").write_bytes(contents)
    flags = [f"--url={serve()}", "--model=probe", "--input=photos", "--output=out", "--token_file=token"]
    process = runs.call([*CLIENT, *flags], cwd=photos.parent)
    assert process.returncode == 2 and "secr" not in process.stdout + process.stderr
    reason = "the file must hold one line, the token, of printable ASCII characters"
    assert runs.last_line(process) == f"error: --token_file=token: {reason}"


def test_no_server_is_said_once_with_status_1(models, photos):
    url, stop = start_rest_server(models)
    stop()
    arguments = [f"--url={url}", "--model=tiny", "--input=photos", "--output=out", "--retries=1"]
    process = runs.call([*CLIENT, *arguments], cwd=photos.parent)
    assert process.returncode == 1 and process.stdout == ""
    warning, error = process.stderr.splitlines()
    assert warning.startswith(f"warning: model tiny at {url} does not answer (Connection refused); trying")
    assert error.startswith(
        f"error: model tiny at {url} does not answer after 2 attempts: Connection refused."
    )
    assert not (photos.parent / "out").exists()


def test_a_server_that_stays_away_ends_the_job(serve, models, photos, capsys):
    for number in range(40):
        (photos / f"{number}.png").write_bytes(b"%d" % number)
    calls = []

    def before_answer():
        calls.append(1)
        if len(calls) > 10:
            raise RequestError("UNAVAILABLE", "gone")

    models.before_answer = before_answer
    start = time.monotonic()
    with pytest.raises(UserError, match=r"does not answer after 2 attempts: gone.* 10 of 44 images are done"):
        run(url=serve(), model="probe", input="photos", output="out", concurrency=4, retries=1)
    assert time.monotonic() - start < 10 and len(calls) < 30
    assert len(list_files(photos.parent / "out")) == 10


@BOTH
def test_what_still_waits_when_all_is_lost_is_given_up(serve, models, photos, protocol):
    calls = []

    def before_answer():
        calls.append(1)
        if len(calls) == 4:
            raise RequestError("PERMISSION_DENIED", "not you")
        time.sleep(4)

    models.before_answer = before_answer
    start = time.monotonic()
    with pytest.raises(UserError, match="does not allow it: not you. 0 of 4 images are done"):
        run(url=serve(protocol), model="probe", input="photos", output="out")
    assert time.monotonic() - start < 3.5


def test_help_does_not_wait_for_tensorflow():
    program = "import sys, tfpix2pix.serving.client; sys.exit('tensorflow' in sys.modules)"
    assert runs.run([sys.executable, "-c", program]).returncode == 0
    process = runs.run([*CLIENT, "--help"])
    assert process.returncode == 0 and "--noise_seed" in process.stdout


def test_percentiles_are_latencies_that_occurred():
    hundred = [milliseconds / 1000 for milliseconds in range(100, 0, -1)]
    expected = "100 images in 2.0 s, 50 images/s; latency p50 50 ms, p90 90 ms, p99 99 ms"
    assert summarize(hundred, 2.0) == expected
    assert summarize([0.03, 0.01, 0.2], 0.25) == (
        "3 images in 0.2 s, 12 images/s; latency p50 30 ms, p90 200 ms, p99 200 ms"
    )
    assert summarize([0.25], 0.5) == (
        "1 image in 0.5 s, 2 images/s; latency p50 250 ms, p90 250 ms, p99 250 ms"
    )
    assert summarize([], 0.5) == "0 images in 0.5 s, 0 images/s"


def test_the_python_and_the_curl_of_the_documentation_run(serve, tmp_path, monkeypatch):
    page = (runs.ROOT / "docs" / "serving.md").read_text()
    page = page.replace("http://127.0.0.1:8501", serve()).replace("facades", "tiny")
    (snippet,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (shell,) = re.findall(r"```\n(\{ printf.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    # As a picture of some size, too long for a command line.
    (tmp_path / "labels.png").write_bytes(encode_png(draw_pixels(256, 256, 3)))
    exec(compile(snippet, "docs/serving.md", "exec"), {})
    photo = decode_png((tmp_path / "photo.png").read_bytes())
    assert photo.shape == (256, 256, 3)
    if not (shutil.which("curl") and shutil.which("jq")):
        pytest.skip("needs curl and jq")
    (tmp_path / "photo.png").unlink()
    runs.run(["bash", "-c", shell], cwd=tmp_path)
    np.testing.assert_array_equal(decode_png((tmp_path / "photo.png").read_bytes()), photo)
