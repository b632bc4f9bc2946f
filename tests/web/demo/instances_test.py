"""What is drawn in the demo is an object: the page makes the map of instances, and the model gets it."""

import base64
import http.client
import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from tests.boundaries_test import draw_ids, draw_label_map, write_dataset
from tests.helpers import browser, runs
from tests.helpers.demos import serve_model
from tests.helpers.tiny_run import write_run
from tfpix2pix.run import splits
from tfpix2pix.translate.translator import Translator

NODE = shutil.which("node")
STATIC = runs.ROOT / "tfpix2pix" / "web" / "demo" / "static"
SETTINGS = {"depth": 3, "base_filters": 8, "latent_size": 3, "dropout": "none", "boundaries": True}
# Two classes on a sheet of 6 x 4 px; operations as the page keeps them, the last of them taken back.
DRAWING = """
import { Raster } from "./raster.js";
import { encodeNumbers, encodePng } from "./png.js";
const base = new Uint32Array(24).fill(0xff0000ff); // red, the second class
base.fill(0xff000000, 0, 6); // a row of the first class
const raster = new Raster(6, 4, [{ rgb: [0, 0, 0] }, { rgb: [255, 0, 0] }], base);
const paint = (kind, colour, points, object) => raster.paint({ kind, colour, size: 1, points }, object);
paint("rectangle", 1, [0, 1, 1, 2], 1);
paint("stroke", 1, [3, 1, 3, 3], 300);
paint("rectangle", 0, [0, 3, 1, 3], 3);
const before = raster.copy();
paint("fill", 0, [5, 3], 4);
raster.restore(before);
const files = [await encodeNumbers(6, 4, raster.readInstances()), await encodePng(6, 4, raster.bytes)];
for (const file of files) console.log(Buffer.from(await file.arrayBuffer()).toString("base64"));
"""


@pytest.mark.skipif(NODE is None, reason="needs node, which runs the page's modules without a browser")
def test_each_operation_draws_an_instance_of_its_own(tmp_path):
    for name in ("raster.js", "png.js"):
        shutil.copy(STATIC / name, tmp_path / name)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "drawing.js").write_text(DRAWING)
    done = subprocess.run([NODE, "drawing.js"], cwd=tmp_path, capture_output=True, text=True, check=True)
    ids, picture = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(line)))) for line in done.stdout.split()
    )
    first, second = 2, 2 + 300 - 1  # behind the two classes
    expected = [
        [0, 0, 0, 0, 0, 0],
        [first, first, 1, second, 1, 1],
        [first, first, 1, second, 1, 1],
        [0, 0, 1, second, 1, 1],
    ]
    np.testing.assert_array_equal(ids, expected)
    assert picture.shape == (4, 6, 4) and (picture[..., 0] == 255 * (np.array(expected) > 0)).all()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objects")
    config = runs.tiny_config(write_dataset(folder / "data"), **SETTINGS)
    return write_run(folder / "run", config, splits.open_split(config, "train"))


def encode(pixels: np.ndarray) -> bytes:
    contents = io.BytesIO()
    Image.fromarray(pixels).save(contents, "PNG")
    return contents.getvalue()


def test_the_model_gets_the_map_behind_the_image(run):
    label_map, ids, translator = draw_label_map(5), draw_ids(5), Translator(run)
    image, maps = encode(label_map), encode(ids)
    with serve_model(run, is_warm=True) as place:

        def ask(method: str, path: str, body: bytes | None = None) -> tuple[int, dict]:
            # The server closes a connection that waits for longer than the first translation may take.
            connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=60)
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

        assert ask("GET", "/api/model")[1]["has_instances"] is True
        answers = [
            ask("POST", f"/api/translate?noise_seed=3{query}", image + more)
            for query, more in (("", b""), (f"&instances_at={len(image)}", maps))
        ]
        for (status, answer), instances in zip(answers, (None, ids), strict=True):
            assert status == 200, answer
            picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["pictures"][0]))))
            expected = translator(label_map, 3, instance_ids=instances)
            np.testing.assert_allclose(picture.astype(int), expected, atol=1)
        assert answers[0][1]["pictures"] != answers[1][1]["pictures"]
        query = f"latent=0.5,-2,1&instances_at={len(image)}"
        status, answer = ask("POST", f"/api/translate?{query}", image + maps)
        assert (status, answer["latents"]) == (200, [[0.5, -2, 1]])
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["pictures"][0]))))
        expected = translator(label_map, latent=[0.5, -2, 1], instance_ids=ids)
        np.testing.assert_allclose(picture.astype(int), expected, atol=1)
        status, answer = ask("POST", f"/api/translate?instances_at={len(image)}", image + encode(ids[:8]))
        assert (status, answer["error"]) == (400, "The map of instances must be as large as the image.")
        status, answer = ask("POST", f"/api/translate?instances_at={len(image)}", image + b"no file")
        assert status == 400 and "no JPEG, PNG or BMP" in answer["error"]


def test_the_page_sends_what_is_drawn_with_the_style_that_is_chosen(run):
    sent = []
    with serve_model(run, is_warm=True) as place, browser.open_browser() as chromium:
        page = chromium.new_page()
        problems = browser.watch(page)
        page.on("request", lambda request: "/translate" in request.url and sent.append(request))
        page.goto(place.url)
        browser.wait_for(lambda: len(sent) > 0, page)
        page.locator("#pictures[aria-busy=false] img").wait_for()
        page.locator("#pad").click(position={"x": 10, "y": 10})
        browser.wait_for(lambda: "&latent=" in sent[-1].url, page)
        page.locator("#pictures[aria-busy=false] img").wait_for()
        count = len(sent)
        page.locator("#canvas").click(position={"x": 20, "y": 20})
        browser.wait_for(lambda: len(sent) > count, page)
        page.locator("#pictures[aria-busy=false] img").wait_for()
        fields = dict(each.split("=") for each in sent[-1].url.partition("?")[2].split("&"))
        maps = sent[-1].post_data_buffer[int(fields["instances_at"]) :]
        ids = np.asarray(Image.open(io.BytesIO(maps)))
        assert "latent" in fields and problems == []
        assert len(np.unique(ids)) == 2 and ids.max() >= 2  # The class of the sheet, and what was drawn.
