"""The style of the demo: its two directions, the vectors of samples, texts, and the server's answers."""

import base64
import io
import json
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pytest
from PIL import Image

from tests.helpers import browser
from tests.helpers.demos import serve_model
from tests.helpers.tiny_run import write_run
from tfpix2pix.config.config import make_config
from tfpix2pix.translate.translator import Translator
from tfpix2pix.web.demo.styles import draw_latents, find_style, read_latent

CONFIG = make_config(
    dataset="synthetic",
    direction="BtoA",
    image_size=32,
    depth=3,
    base_filters=4,
    latent_size=3,
    dropout="none",
)


def test_the_directions_are_those_that_change_pictures_most():
    def generate(latents: np.ndarray) -> np.ndarray:
        # Of the first value depends most, then of the difference of the two others, of their sum nothing.
        first, difference = -4 * latents[:, 0], latents[:, 2] - latents[:, 1]
        return np.stack([first, difference, np.zeros(len(latents))], 1)[:, None, None]

    style = find_style(generate, 3)
    np.testing.assert_allclose(style.across, [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(np.abs(style.up), [0, 0.5**0.5, 0.5**0.5], atol=1e-6)
    assert style.up[1] * style.up[2] < 0
    alone = find_style(lambda latents: latents[:, None, None], 1)
    assert (alone.across, alone.up) == ((1.0,), (0.0,))


def test_texts_of_vectors():
    np.testing.assert_allclose(read_latent("0.5,-1,2", 3), [0.5, -1, 2])
    for text in ("", "1,2", "1,2,x", "1,2,nan", "1,2,11"):
        assert read_latent(text, 3) is None


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("style") / "run", CONFIG)


def test_the_server_answers_with_vectors_and_takes_them(run):
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "png")

    def ask(place, query: str) -> dict:
        request = urllib.request.Request(
            f"{place.url}api/translate?{query}", buffer.getvalue(), method="POST"
        )
        return json.loads(urllib.request.urlopen(request).read())

    with serve_model(run, kind="photo", is_warm=True) as place:
        model = json.loads(urllib.request.urlopen(f"{place.url}api/model").read())
        assert model["style"]["size"] == 3 and len(model["style"]["up"]) == 3
        four = ask(place, "noise_seed=5&samples=4")
        np.testing.assert_allclose(four["latents"], draw_latents(5, 4, 3), atol=6e-4)
        again = ask(place, "latent=" + ",".join(map(str, four["latents"][2])))
        assert again["latents"] == [four["latents"][2]]
        shown = [
            np.asarray(Image.open(io.BytesIO(base64.b64decode(text))), int)
            for text in (four["pictures"][2], again["pictures"][0])
        ]
        assert np.abs(shown[0] - shown[1]).max() <= 2  # of 255: the vector was rounded
        expected = Translator(run)(picture, latent=four["latents"][2])
        assert np.abs(shown[1] - expected).max() <= 1
        for query in ("latent=1,2", "latent=one,2,3"):
            with pytest.raises(urllib.error.HTTPError, match="400"):
                ask(place, query)


@pytest.mark.slow
def test_a_style_is_chosen_kept_and_linked(run):
    """The page: four samples, one is kept while somebody draws on, the pad moves it, a link holds it."""
    urls: list[str] = []
    with serve_model(run, is_warm=True) as place, browser.open_browser() as chromium:
        page = chromium.new_page()
        problems = browser.watch(page)
        page.on("request", lambda request: "/translate" in request.url and urls.append(request.url))

        def settle(count: int) -> None:
            browser.wait_for(lambda: len(urls) > count, page)
            page.locator("#pictures[aria-busy=false]").wait_for()

        def sent() -> dict[str, str]:
            return dict(each.split("=") for each in urls[-1].partition("?")[2].split("&"))

        page.goto(place.url)
        settle(0)
        assert "latent" not in sent() and page.locator("#style").is_visible()
        count = len(urls)
        page.get_by_role("button", name="Four samples").click()
        settle(count)
        count = len(urls)
        page.get_by_role("button", name="Keep the style of sample 3 and draw on").click()
        settle(count)
        kept = sent()["latent"]
        expected = ",".join(f"{value:.3f}".rstrip("0").rstrip(".") for value in draw_latents(0, 4, 3)[2])
        assert [float(value) for value in kept.replace("%2C", ",").split(",")] == [
            float(value) for value in expected.split(",")
        ]
        count = len(urls)
        page.get_by_role("button", name="Clear").click()  # The drawing changes, and the style stays.
        settle(count)
        assert sent()["latent"] == kept
        count = len(urls)
        page.locator("#pad").click(position={"x": 10, "y": 10})
        settle(count)
        assert sent()["latent"] != kept
        moved = sent()["latent"]
        # The address follows a little later; until then it has the style that was kept.
        browser.wait_for(lambda: f"style={moved}" in urllib.parse.unquote(page.url), page)
        count, link = len(urls), page.url
        page.goto("about:blank")
        page.goto(link)
        settle(count)
        assert sent()["latent"] == moved
        count = len(urls)
        page.get_by_role("button", name="Style of the seed").click()
        settle(count)
        assert "latent" not in sent() and problems == []
