"""The demo as people use it: headless Chromium, the real server, a tiny model."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.helpers import browser, tiny_run
from tests.helpers.browser import wait_for
from tests.helpers.demos import Place, serve_model
from tfpix2pix.config.config import make_config
from tfpix2pix.pipelines.catalogue import FACADES_PALETTE
from tfpix2pix.web.demo.application import Limits

DEMO = [sys.executable, "-m", "tfpix2pix.web.demo", "--requests_per_sec=100"]
SIDE = 32
PHONE = {"viewport": {"width": 360, "height": 780}, "is_mobile": True, "has_touch": True}
NARROW = {"viewport": {"width": 320, "height": 640}, "is_mobile": True, "has_touch": True}
BLANK = FACADES_PALETTE["background"]
# A document shown as an image, as pixels.
READ_IMAGE = """image => {
  const canvas = Object.assign(document.createElement("canvas"), {width: image.naturalWidth,
    height: image.naturalHeight});
  canvas.getContext("2d").drawImage(image, 0, 0);
  return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
}"""
READ_RENDERING = "canvas => getComputedStyle(canvas).imageRendering"
# WCAG's contrast of every text with what is behind it; the lowest, and where.
READ_CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if ((colour[3] ?? 1) === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    if (element.closest(":disabled, .unseen, noscript, canvas")) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.textContent.trim()]);
  }
  return found.sort((x, y) => x[0] - y[0])[0];
}"""


@pytest.fixture(scope="module")
def chromium():
    fakes = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with browser.open_browser(*fakes) as opened:
        yield opened


def _write_run(folder: Path, **settings: Any) -> Path:
    config = make_config(dataset="synthetic", image_size=SIDE, depth=3, base_filters=4, **settings)
    return tiny_run.write_run(folder / "run", config)


@pytest.fixture(scope="module")
def labels_server(tmp_path_factory):
    folder = _write_run(tmp_path_factory.mktemp("labels"), direction="BtoA")
    with browser.serve([*DEMO, f"--model={folder}"]) as server:
        yield server


@pytest.fixture(scope="module")
def photo_server(tmp_path_factory):
    with serve_model(_write_run(tmp_path_factory.mktemp("photo"), direction="AtoB")) as place:
        yield place


class Visitor:
    """A page, and what it sent and got."""

    def __init__(self, chromium: Any, url: str, **options: Any):
        self.context = chromium.new_context(accept_downloads=True, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(browser.PATIENCE_SEC * 1000)
        self.problems = browser.watch(self.page)
        self.sent: list[bytes] = []
        self.settled = 0
        self.urls: list[str] = []
        self.answers: list[dict] = []
        self.page.on("request", self._note_request)
        self.page.on("requestfinished", self._note_answer)
        self.open(url)

    def _note_request(self, request: Any) -> None:
        if "/api/translate" in request.url:
            self.sent.append(request.post_data_buffer)
            self.urls.append(request.url)

    def _note_answer(self, request: Any) -> None:
        if "/api/translate" in request.url:
            self.answers.append(request.response().status)

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.page.locator("#lead", has_text="Model:").wait_for()
        if self.page.locator("#invitation").is_hidden():
            self.settle()

    def settle(self) -> None:
        """Waits until something new was sent, and the output is that of the input."""
        wait_for(lambda: len(self.sent) > self.settled, self.page)
        self.page.locator("#pictures[aria-busy=false]").wait_for()
        self.settled = len(self.sent)

    def place(self, x: float, y: float) -> tuple[float, float]:
        box = self.page.locator("#canvas").bounding_box()
        return box["x"] + (x + 0.5) * box["width"] / SIDE, box["y"] + (y + 0.5) * box["height"] / SIDE

    def drag(self, *points: tuple[int, int]) -> None:
        mouse = self.page.mouse
        mouse.move(*self.place(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.place(*point), steps=5)
        mouse.up()
        self.settle()

    def choose(self, tool: str, colour: str | None = None) -> None:
        if colour:
            self.page.get_by_role("radio", name=colour, exact=True).click()
        self.page.get_by_role("button", name=tool, exact=True).click()

    def click(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    @property
    def drawing(self) -> np.ndarray:
        """What the model was last sent."""
        return np.array(Image.open(io.BytesIO(self.sent[-1])))

    @property
    def output(self) -> np.ndarray:
        image = self.page.locator("#pictures img").first
        width, height = image.evaluate("image => [image.naturalWidth, image.naturalHeight]")
        return np.array(image.evaluate(READ_IMAGE), np.uint8).reshape(height, width, 4)[..., :3]


@pytest.fixture
def visit(chromium):
    """Opens pages; at the end, none of them has had an error or asked another server."""
    visitors: list[Visitor] = []

    def open_page(server: browser.Server | Place, path: str = "", **options: Any) -> Visitor:
        visitors.append(Visitor(chromium, server.url + path, **options))
        return visitors[-1]

    yield open_page
    for visitor in visitors:
        visitor.context.close()
        assert visitor.problems == []


def blank(height: int = SIDE, width: int = SIDE) -> np.ndarray:
    return np.full((height, width, 4), (*BLANK, 255), np.uint8)


def colour(name: str) -> tuple[int, ...]:
    return (*FACADES_PALETTE[name], 255)


def test_a_drawing_becomes_another_picture(visit, labels_server):
    visitor = visit(labels_server)
    before, input_before = visitor.output, visitor.drawing
    visitor.choose("Rectangle", "door")
    visitor.drag((4, 6), (20, 15))
    expected = input_before.copy()
    expected[6:16, 4:21] = colour("door")
    assert np.array_equal(visitor.drawing, expected)
    assert not np.array_equal(visitor.output, before)
    assert " s, of that " in visitor.page.locator("#status").inner_text()
    assert visitor.page.locator("#canvas").evaluate(READ_RENDERING) == "pixelated"


def test_tools_paint_exact_colours_and_nothing_between(visit, labels_server):
    visitor = visit(labels_server)
    visitor.click("Clear")
    visitor.settle()
    expected = blank()
    assert np.array_equal(visitor.drawing, expected)

    visitor.choose("Rectangle", "facade")
    visitor.drag((28, 29), (3, 5))
    expected[5:30, 3:29] = colour("facade")
    assert np.array_equal(visitor.drawing, expected)

    visitor.choose("Brush", "window")
    visitor.page.locator("#size").fill("1")
    visitor.drag((5, 10), (9, 10), (9, 14))
    expected[10, 5:10] = expected[10:15, 9] = colour("window")
    assert np.array_equal(visitor.drawing, expected)

    visitor.page.locator("#size").fill("3")
    visitor.drag((20, 20), (24, 20))
    expected[19:22, 19:26] = colour("window")
    assert np.array_equal(visitor.drawing, expected)

    visitor.choose("Fill", "shop")
    visitor.drag((0, 0))
    expected[(expected == colour("background")).all(-1)] = colour("shop")
    assert np.array_equal(visitor.drawing, expected)

    visitor.choose("Eraser")
    visitor.page.locator("#size").fill("1")
    visitor.drag((15, 1), (15, 1))
    expected[1, 15] = colour("background")
    assert np.array_equal(visitor.drawing, expected)

    visitor.choose("Line", "deco")  # as large as the brush
    visitor.page.locator("#size").fill("1")
    visitor.drag((4, 25), (12, 3), (20, 25))
    expected[25, 4:21] = colour("deco")
    assert np.array_equal(visitor.drawing, expected)

    visitor.choose("Brush", "sill")
    visitor.page.keyboard.down("Shift")
    visitor.drag((27, 8), (3, 15), (27, 18))
    visitor.page.keyboard.up("Shift")
    expected[8:19, 27] = colour("sill")
    assert np.array_equal(visitor.drawing, expected)

    visitor.choose("Brush", "pillar")
    visitor.page.locator("#size").fill("9")
    visitor.drag((2, 2), (30, 17), (5, 30))
    known = {(*rgb, 255) for rgb in FACADES_PALETTE.values()}
    assert {tuple(pixel) for pixel in visitor.drawing.reshape(-1, 4).tolist()} <= known


def test_a_class_is_picked_from_the_drawing(visit, labels_server):
    visitor = visit(labels_server)
    page = visitor.page
    visitor.choose("Rectangle", "shop")
    visitor.drag((4, 4), (12, 12))
    before, sent = visitor.drawing, len(visitor.sent)
    visitor.choose("Brush", "door")
    visitor.click("Pick")
    page.mouse.click(*visitor.place(8, 8))
    assert page.get_by_role("radio", checked=True).inner_text() == "shop"
    pressed = page.locator("[data-tool][aria-pressed=true]")
    assert pressed.get_attribute("data-tool") == "brush"  # one goes on drawing with what was picked
    page.get_by_role("radio", name="door", exact=True).click()
    page.keyboard.down("Alt")
    page.mouse.click(*visitor.place(5, 11))
    page.keyboard.up("Alt")
    assert page.get_by_role("radio", checked=True).inner_text() == "shop"
    page.get_by_role("radio", name="door", exact=True).click()
    page.locator("#canvas").focus()
    for key in ("i", "Space"):  # where the keyboard's cursor is, in the middle
        page.keyboard.press(key)
    middle = tuple(before[SIDE // 2, SIDE // 2].tolist())
    assert colour(page.get_by_role("radio", checked=True).inner_text()) == middle
    assert len(visitor.sent) == sent


def test_undo_redo_and_clear(visit, labels_server):
    visitor = visit(labels_server)
    first = visitor.drawing
    visitor.choose("Rectangle", "shop")
    visitor.drag((1, 1), (8, 8))
    second = visitor.drawing
    visitor.drag((10, 10), (20, 20))
    third = visitor.drawing
    visitor.click("Undo")
    visitor.settle()
    assert np.array_equal(visitor.drawing, second)
    visitor.page.keyboard.press("Control+z")
    visitor.settle()
    assert np.array_equal(visitor.drawing, first)
    assert visitor.page.get_by_role("button", name="Undo").is_disabled()
    visitor.page.keyboard.press("Control+Shift+Z")
    visitor.page.keyboard.press("Control+y")
    visitor.settle()
    assert np.array_equal(visitor.drawing, third)
    assert visitor.page.get_by_role("button", name="Redo").is_disabled()
    visitor.click("Clear")
    visitor.settle()
    assert np.array_equal(visitor.drawing, blank())
    visitor.click("Undo")
    visitor.settle()
    assert np.array_equal(visitor.drawing, third)


def test_the_newest_drawing_wins_and_what_it_overtook_is_never_sent(visit, labels_server):
    visitor = visit(labels_server)
    held: list[Any] = []
    visitor.page.route(
        "**/api/translate*", lambda route: route.continue_() if held else held.append(route), times=2
    )
    visitor.choose("Rectangle", "window")
    mouse = visitor.page.mouse
    count = len(visitor.sent)
    for y in (2, 10, 18, 26):
        mouse.move(*visitor.place(2, y))
        mouse.down()
        mouse.move(*visitor.place(28, y + 3))
        mouse.up()
        wait_for(lambda: held, visitor.page)
        visitor.page.wait_for_timeout(200)  # longer than the page waits before it asks
    assert len(held) == 1
    assert visitor.page.locator("#status").inner_text() == "Translating…"
    held[0].continue_()
    visitor.settle()
    assert len(visitor.sent) == count + 2
    assert (visitor.drawing[26:30, 2:29] == colour("window")).all()
    last = visitor.output
    visitor.click("Copy link")
    fresh = visit(labels_server, visitor.page.url.partition("/")[2].partition("/")[2].partition("/")[2])
    assert np.array_equal(fresh.drawing, visitor.drawing)
    assert np.array_equal(fresh.output, last)


@pytest.mark.slow
def test_a_long_stroke_is_translated_while_it_is_drawn(visit, tmp_path):
    """With the rate that the command allows a client."""
    with serve_model(_write_run(tmp_path, direction="BtoA"), limits=Limits()) as place:
        visitor = visit(place)
        visitor.choose("Brush", "window")
        mouse = visitor.page.mouse
        mouse.move(*visitor.place(0, 0))
        mouse.down()
        sent, answered, before = len(visitor.sent), len(visitor.answers), visitor.output
        for step in range(120):
            mouse.move(*visitor.place(step % 32, step // 4))
            visitor.page.wait_for_timeout(50)
        assert len(visitor.answers) - answered >= 5
        assert len(set(visitor.sent[sent:])) >= 5
        assert not np.array_equal(visitor.output, before)
        mouse.up()
        visitor.settle()
        assert (visitor.drawing[29, 23] == colour("window")).all()  # where it ended
        assert set(visitor.answers) == {200}
        visitor.page.context.close()


@pytest.mark.slow
def test_a_link_reproduces_drawing_seed_and_samples(visit, labels_server):
    visitor = visit(labels_server)
    visitor.click("Clear")
    visitor.choose("Brush", "cornice")
    visitor.page.locator("#size").fill("4")
    visitor.drag((3, 3), (28, 9), (4, 20), (30, 31))
    visitor.choose("Fill", "balcony")
    visitor.drag((30, 2))
    visitor.choose("Eraser")
    visitor.drag((0, 16), (31, 16))
    visitor.page.get_by_label("Noise seed, as a number").fill("123456")
    visitor.click("Four samples")
    visitor.settle()
    visitor.click("Copy link")  # the address follows the drawing a little later
    link = visitor.page.url
    assert len(link) < 300
    other = visit(labels_server, link[len(labels_server.url) :])
    assert np.array_equal(other.drawing, visitor.drawing)
    assert other.urls[-1].endswith("&noise_seed=123456&samples=4")
    assert other.page.locator("#pictures img").count() == 4
    assert np.array_equal(other.output, visitor.output)
    visitor.page.reload()
    visitor.settle()
    assert np.array_equal(other.drawing, visitor.drawing)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fragment",
    [
        "#size=64x64&seed=1",
        "#size=32x32&seed=1&ops=%",
        "#size=32x32&seed=1&ops=AAAA",
        "#size=32x32&seed=1&ops=_____w",
        "#size=32x32&seed=1&ops=KP____8P",
        "#size=32x32&seed=1&example=../../etc/passwd",
        "#size=32x32&seed=one",
        "#size=32x32&seed=-1",
        "#size=32x32&seed=4294967296",
    ],
)
def test_a_damaged_link_is_said_to_be_one(visit, labels_server, fragment):
    visitor = visit(labels_server, fragment)
    assert "link" in visitor.page.locator("#problem-text").inner_text()
    assert len(visitor.sent) >= 1
    visitor.page.wait_for_timeout(600)  # by now, the address of a whole link is written
    assert visitor.page.url.endswith(fragment)
    visitor.choose("Rectangle", "door")
    visitor.drag((1, 1), (5, 5))
    assert visitor.page.locator("#problem").is_hidden()


def test_the_seed_gives_other_pictures_of_the_same_drawing(visit, labels_server):
    visitor = visit(labels_server)
    before = visitor.output
    visitor.page.get_by_label("Noise seed", exact=True).press("ArrowRight")
    visitor.settle()
    assert visitor.urls[-1].endswith("&noise_seed=1&samples=1")
    assert not np.array_equal(visitor.output, before)
    visitor.page.get_by_label("Noise seed, as a number").fill("0")
    visitor.settle()
    assert np.array_equal(visitor.output, before)


def test_input_and_outputs_can_be_saved(visit, labels_server):
    visitor = visit(labels_server)
    with visitor.page.expect_download() as saved:
        visitor.click("Save input")
    assert saved.value.suggested_filename == "input.png"
    assert np.array_equal(np.array(Image.open(saved.value.path())), visitor.drawing)
    visitor.click("Four samples")
    visitor.settle()
    with visitor.page.expect_download() as saved:
        visitor.page.get_by_role("link", name="Save sample 1").click()
    assert saved.value.suggested_filename == "output-seed-0-sample-1.png"
    assert np.array_equal(np.array(Image.open(saved.value.path())), visitor.output)


def test_input_and_output_are_saved_as_one_file_and_shown_on_the_full_screen(visit, labels_server):
    visitor = visit(labels_server)
    with visitor.page.expect_download() as saved:
        visitor.click("Save input and output")
    assert saved.value.suggested_filename == "input-and-output.png"
    both = np.array(Image.open(saved.value.path()).convert("RGB"))
    assert np.array_equal(both, np.concatenate([visitor.drawing[..., :3], visitor.output], axis=1))
    visitor.click("Full screen")
    wait_for(lambda: visitor.page.locator("#frame:fullscreen").count() == 1, visitor.page)


def _pixel(page: Any, x: float, y: float) -> tuple[int, ...]:
    """Returns what the screen shows at a fraction of the output's width and height."""
    shown = Image.open(io.BytesIO(page.locator("#frame").screenshot()))
    return shown.convert("RGB").getpixel((round(x * shown.width), round(y * shown.height)))


def test_input_lies_over_the_output_up_to_a_line_that_one_moves(visit, labels_server):
    visitor = visit(labels_server)
    page = visitor.page
    visitor.click("Clear")
    visitor.settle()
    assert _pixel(page, 0.25, 0.25) != BLANK
    visitor.click("Compare")
    slider = page.get_by_label("How much of the input lies over the output")
    assert [_pixel(page, x, 0.25) == BLANK for x in (0.25, 0.45, 0.55, 0.75)] == [True, True, False, False]
    box = slider.bounding_box()
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(middle + page.locator("#frame").bounding_box()["width"] * 0.3, box["y"] + 50, steps=4)
    page.mouse.up()
    assert [_pixel(page, x, 0.25) == BLANK for x in (0.75, 0.85)] == [True, False]
    slider.press("Home")
    assert _pixel(page, 0.1, 0.25) != BLANK
    slider.press("End")
    assert _pixel(page, 0.9, 0.25) == BLANK
    visitor.choose("Rectangle", "shop")
    visitor.drag((0, 0), (31, 15))  # what lies over the output is the newest input
    assert [_pixel(page, 0.5, y) for y in (0.25, 0.75)] == [FACADES_PALETTE["shop"], BLANK]
    visitor.click("Four samples")
    visitor.settle()
    assert page.get_by_role("button", name="Compare").is_disabled() and slider.is_hidden()
    visitor.click("Four samples")
    visitor.settle()
    visitor.click("Compare")
    assert slider.is_hidden()


def test_an_example_is_a_start(visit, labels_server):
    visitor = visit(labels_server)
    first = visitor.drawing
    visitor.page.get_by_role("button", name="Example val_3", exact=True).click()
    visitor.settle()
    assert not np.array_equal(visitor.drawing, first)
    visitor.click("Copy link")
    assert "example=val_3" in visitor.page.url
    visitor.click("Undo")
    visitor.settle()
    assert np.array_equal(visitor.drawing, first)


def _hold_example(page: Any, place: int) -> list[Any]:
    """Returns what will hold the page's question for an example, which is answered when it is let go."""
    held: list[Any] = []

    def hold(route: Any) -> None:
        if route.request.resource_type == "fetch":
            held.append(route)
        else:
            route.continue_()

    page.route(f"**/api/examples/{place}", hold)
    return held


def _let_go(page: Any, held: list[Any]) -> None:
    with page.expect_event("requestfinished", lambda request: "/api/examples/" in request.url):
        held[0].continue_()
    page.wait_for_timeout(500)  # longer than it takes to show it and to ask for its translation


def test_a_slow_example_does_not_replace_a_newer_one(visit, labels_server):
    visitor = visit(labels_server)
    held = _hold_example(visitor.page, 3)
    visitor.page.get_by_role("button", name="Example val_3", exact=True).click()
    wait_for(lambda: held, visitor.page)
    visitor.page.get_by_role("button", name="Example val_5", exact=True).click()
    visitor.settle()
    newer, sent = visitor.drawing, len(visitor.sent)
    _let_go(visitor.page, held)
    assert len(visitor.sent) == sent
    visitor.page.get_by_role("button", name="Four samples").click()
    visitor.settle()
    assert np.array_equal(visitor.drawing, newer)


@pytest.mark.parametrize("way", ["click", "link"])
def test_what_opens_slowly_does_not_end_a_stroke(visit, labels_server, way):
    visitor = visit(labels_server)
    visitor.choose("Brush", "shop")
    held = _hold_example(visitor.page, 3)
    if way == "click":
        visitor.page.get_by_role("button", name="Example val_3", exact=True).click()
    else:
        visitor.page.evaluate("location.hash = '#size=32x32&seed=7&example=val_3'")
    wait_for(lambda: held, visitor.page)
    expected, mouse = visitor.drawing, visitor.page.mouse
    visitor.page.locator("#size").fill("1")
    mouse.move(*visitor.place(2, 9))
    mouse.down()
    _let_go(visitor.page, held)
    mouse.move(*visitor.place(28, 9))
    mouse.up()
    visitor.settle()
    expected[9, 2:29] = colour("shop")
    assert np.array_equal(visitor.drawing, expected)
    assert visitor.urls[-1].endswith("&noise_seed=0&samples=1")


def test_the_first_example_does_not_replace_what_was_begun_meanwhile(visit, labels_server):
    visitor = visit(labels_server)
    held = _hold_example(visitor.page, 0)
    visitor.page.goto("about:blank")  # or the reloaded page would be that of the link
    visitor.page.goto(labels_server.url)
    wait_for(lambda: held, visitor.page)
    visitor.choose("Rectangle", "shop")
    visitor.drag((1, 1), (30, 30))
    _let_go(visitor.page, held)
    visitor.click("Four samples")
    visitor.settle()
    expected = blank()
    expected[1:31, 1:31] = colour("shop")
    assert np.array_equal(visitor.drawing, expected)


def test_the_keyboard_alone_draws(visit, labels_server):
    visitor = visit(labels_server)
    page = visitor.page
    page.locator("#clear").press("Enter")
    page.locator("#canvas").focus()
    for key in ("r", "4", "ArrowUp", "Shift+ArrowLeft", "Space", "ArrowRight", "ArrowDown", "Space"):
        page.keyboard.press(key)
    visitor.settle()
    expected = blank()
    expected[8:17, 15:24] = colour("door")  # from the middle, 8 up and 1 left; 8 right, 8 down
    assert np.array_equal(visitor.drawing, expected)
    for key in ("f", "6", "Space"):
        page.keyboard.press(key)
    visitor.settle()
    expected[8:17, 15:24] = colour("sill")
    assert np.array_equal(visitor.drawing, expected)
    for key in ("Space", "b", "Space", "ArrowLeft", "Escape"):
        page.keyboard.press(key)
    visitor.settle()
    assert np.array_equal(visitor.drawing, expected)
    assert page.locator("#voice").inner_text() != ""
    page.keyboard.press("ArrowLeft")
    assert page.locator("#voice").inner_text() == "7, 16: background"


def test_the_palette_is_one_stop_of_the_keyboard(visit, labels_server):
    visitor = visit(labels_server)
    page = visitor.page
    page.get_by_role("radio", checked=True).focus()
    page.keyboard.press("ArrowRight")
    chosen = page.get_by_role("radio", checked=True)
    assert chosen.inner_text() == "window"
    assert chosen.evaluate("element => element === document.activeElement")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "open"


def test_keys_of_tools_do_not_disturb_elsewhere(visit, labels_server):
    visitor = visit(labels_server)
    pressed = visitor.page.locator("[data-tool][aria-pressed=true]")
    visitor.page.get_by_label("Noise seed, as a number").press("b")
    assert pressed.get_attribute("data-tool") == "rectangle"
    visitor.page.locator("#canvas").press("b")
    assert pressed.get_attribute("data-tool") == "brush"


def _box(page: Any, selector: str) -> tuple[float, float, float, float]:
    """Returns left, top, right and bottom on the screen."""
    box = page.locator(selector).bounding_box()
    return box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]


# The last is 1366x768 at 200 %.
@pytest.mark.parametrize("screen", [(1366, 768), (740, 360), (683, 384)])
def test_drawing_palette_and_picture_fit_on_a_screen_side_by_side(visit, labels_server, screen):
    width, height = screen
    page = visit(labels_server, viewport={"width": width, "height": height}).page
    if height < 500:
        page.locator("#canvas").scroll_into_view_if_needed()
    canvas, palette, pictures = (_box(page, name) for name in ("#canvas", "#palette", "#pictures"))
    for left, top, right, bottom in (canvas, palette, pictures):
        assert left >= 0 and right <= width and top >= 0 and bottom <= height + 5  # room for a focus ring
    assert canvas[2] <= palette[0] and palette[2] <= pictures[0]
    assert canvas[2] - canvas[0] == pytest.approx(pictures[2] - pictures[0], abs=1)
    assert canvas[2] - canvas[0] >= 240
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("options", [{"viewport": {"width": 740, "height": 360}}, PHONE, NARROW])
def test_tools_have_names_on_phones(visit, labels_server, options):
    page = visit(labels_server, **options).page
    for name in ("Rectangle", "Brush", "Line", "Fill", "Eraser", "Pick"):
        box = page.locator("#bar .name", has_text=name).bounding_box()
        assert box["width"] >= 15 and box["height"] >= 12


def test_a_number_that_is_no_seed_is_told(visit, labels_server):
    visitor = visit(labels_server)
    field, sentence = visitor.page.locator("#seed-number"), visitor.page.locator("#seed-problem")
    for text in ("4294967296", "1.5", "-1", ""):
        field.fill(text)
        assert "whole number from 0 to 4,294,967,295" in sentence.inner_text()
        assert "Seed 0 is still shown" in sentence.inner_text()
    field.fill("7")
    assert sentence.is_hidden()
    visitor.settle()
    assert "noise_seed=7" in visitor.urls[-1]


def test_a_model_without_noise_has_no_seed_to_choose(visit, tmp_path):
    with serve_model(_write_run(tmp_path, direction="BtoA", dropout="none"), is_warm=True) as place:
        visitor = visit(place, f"#size={SIDE}x{SIDE}&seed=7&samples=4")
        for name in ("#seed", "#seed-number", "#four", "#seed-note"):
            assert visitor.page.locator(name).is_hidden()
        assert "samples=1" in visitor.urls[-1]
        visitor.page.goto("about:blank")  # which asks nothing of a server that has gone


def test_a_server_that_does_not_answer_is_said_to_be_slow(visit, labels_server):
    visitor = visit(labels_server)
    visitor.page.clock.install()
    visitor.page.route("**/api/translate*", lambda route: None)
    visitor.page.locator("#seed-number").fill("7")
    visitor.page.clock.run_for(1000)
    assert visitor.page.locator("#problem").is_hidden()
    wait_for(lambda: len(visitor.sent) > visitor.settled, visitor.page)
    visitor.page.clock.run_for(8000)
    assert "has not answered for 8 s" in visitor.page.locator("#problem-text").inner_text()


def _touch(visitor: Visitor, *points: tuple[int, int]) -> None:
    session = visitor.context.new_cdp_session(visitor.page)
    for number, point in enumerate(points):
        x, y = visitor.place(*point)
        kind = "touchMove" if number else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    visitor.settle()


@pytest.mark.parametrize("screen", [PHONE, NARROW], ids=["phone", "narrow"])
def test_a_finger_draws_on_a_phone(visit, labels_server, screen):
    visitor = visit(labels_server, **screen)
    page = visitor.page
    assert page.evaluate("document.scrollingElement.scrollWidth") == screen["viewport"]["width"]
    page.locator("#canvas").scroll_into_view_if_needed()
    before, scrolled = visitor.drawing, page.evaluate("scrollY")
    visitor.page.get_by_role("radio", name="shop", exact=True).tap()
    page.locator("#canvas").evaluate("element => element.scrollIntoView({block: 'end'})")
    scrolled = page.evaluate("scrollY")
    _touch(visitor, (4, 24), (8, 26), (20, 30))
    before[24:31, 4:21] = colour("shop")
    assert np.array_equal(visitor.drawing, before)
    assert page.evaluate("scrollY") == scrolled
    shown = page.locator("#pictures").bounding_box()
    assert 0 <= shown["y"] < screen["viewport"]["height"] / 2  # in sight while one draws
    small = page.evaluate(
        "[...document.querySelectorAll('button, a, input, select, summary')]"
        ".filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 40).map((e) => e.outerHTML)"
    )
    assert small == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("samples", [1, 4])
def test_text_stands_out(visit, labels_server, scheme, samples):
    visitor = visit(labels_server, color_scheme=scheme)
    if samples == 4:
        visitor.click("Four samples")
        visitor.settle()
    visitor.page.locator("summary").click()
    contrast, where = visitor.page.evaluate(READ_CONTRAST)
    assert contrast >= 4.5, where
    page_colour = visitor.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert page_colour == {"light": "rgb(246, 246, 243)", "dark": "rgb(18, 19, 22)"}[scheme]


def test_everything_has_a_name(visit, labels_server):
    visitor = visit(labels_server)
    visitor.click("Compare")
    nameless = visitor.page.evaluate(
        """[...document.querySelectorAll("button, a, input:not([type=file]), select, img, canvas, section")]
        .filter((e) => e.checkVisibility() && !e.closest("button")?.getAttribute("aria-label"))
        .filter((e) => !(e.ariaLabel || e.alt || e.title || e.textContent.trim() || e.labels?.length
          || document.getElementById(e.getAttribute("aria-labelledby"))))
        .map((e) => e.outerHTML)"""
    )
    assert nameless == []
    assert visitor.page.title() == "synthetic · Draw and translate"
    assert visitor.page.locator("h1").count() == 1
    live = visitor.page.locator("#voice")
    assert (live.get_attribute("role"), live.get_attribute("aria-live")) == ("status", "polite")
    assert live.inner_text().startswith("Picture ready after ")
    card = visitor.page.get_by_role("region", name="The model")
    assert card.locator("dt").all_inner_texts() == [
        "Model",
        "Data",
        "Task",
        "Direction",
        "Size",
        "Method",
        "Training",
    ]
    assert card.get_by_role("link").get_attribute("href") == "https://arxiv.org/abs/1611.07004"
    for control in ("#seed", "#seed-number"):  # what the seed does
        described = visitor.page.locator(control).get_attribute("aria-describedby").split()
        assert "details of the picture" in visitor.page.locator(f"#{described[0]}").inner_text()


def test_busy_is_said_and_ends_by_itself(visit, labels_server):
    visitor = visit(labels_server)
    body = json.dumps({"error": "The model is busy with other people's pictures."})
    refusals = [503, 429]

    def refuse(route: Any) -> None:
        if refusals:
            route.fulfill(status=refusals.pop(), body=body, headers={"Retry-After": "1"})
        else:
            route.continue_()

    visitor.page.route("**/api/translate*", refuse)
    before = visitor.output
    visitor.choose("Rectangle", "shop")
    mouse = visitor.page.mouse
    mouse.move(*visitor.place(1, 1))
    mouse.down()
    mouse.move(*visitor.place(30, 30))
    mouse.up()
    visitor.page.locator("#status", has_text="Busy").wait_for()
    text = "The model is busy with other people's pictures. Trying again…"
    assert visitor.page.locator("#problem-text").inner_text() == text
    visitor.page.locator("#problem").wait_for(state="hidden")
    visitor.settle()
    assert not np.array_equal(visitor.output, before)
    visitor.problems[:] = [each for each in visitor.problems if "503" not in each and "429" not in each]


@pytest.mark.slow
def test_a_lost_server_is_said_and_found_again(visit, tmp_path):
    """Gone in the middle and started again: the drawing is kept, the page goes on by itself."""
    run_folder = _write_run(tmp_path, direction="BtoA")
    with serve_model(run_folder) as first:
        visitor = visit(first)
    visitor.choose("Rectangle", "shop")
    mouse = visitor.page.mouse
    mouse.move(*visitor.place(1, 1))
    mouse.down()
    mouse.move(*visitor.place(30, 30))
    mouse.up()
    visitor.page.locator("#status", has_text="No connection").wait_for()
    assert visitor.page.locator("#problem-text").inner_text() == "The server does not answer. Trying again…"
    with serve_model(run_folder, port=first.port):
        visitor.page.locator("#problem").wait_for(state="hidden")
        visitor.settle()
        assert (visitor.drawing[1:31, 1:31] == colour("shop")).all()
        assert visitor.answers[-1] == 200
        visitor.page.goto("about:blank")
    visitor.problems[:] = [each for each in visitor.problems if "ERR_CONNECTION_REFUSED" not in each]


def test_a_refusal_is_said_and_can_be_tried_again(visit, labels_server):
    visitor = visit(labels_server)
    refusal = {"status": 400, "body": json.dumps({"error": "The model refused the image."})}
    visitor.page.route("**/api/translate*", lambda route: route.fulfill(**refusal))
    visitor.choose("Rectangle", "shop")
    visitor.drag((1, 1), (30, 30))
    assert visitor.page.locator("#problem-text").inner_text() == "The model refused the image."
    visitor.page.unroute("**/api/translate*")
    visitor.click("Try again")
    visitor.settle()
    assert visitor.page.locator("#problem").is_hidden()
    visitor.problems[:] = [each for each in visitor.problems if "400" not in each]


def test_a_refusal_of_a_proxy_is_one(visit, labels_server):
    """It is no JSON; and only where its server is away does it help to ask again."""
    visitor = visit(labels_server)
    answers = [{"status": 413, "body": "<html>too large</html>"}, {"status": 502, "body": "<html>bad</html>"}]
    visitor.page.route("**/api/translate*", lambda route: route.fulfill(**answers[0]))
    visitor.choose("Rectangle", "shop")
    visitor.drag((1, 1), (30, 30))
    text = "The server gave no picture and no reason, only the status 413."
    assert visitor.page.locator("#problem-text").inner_text() == text
    answers.pop(0)
    visitor.click("Try again")
    visitor.page.locator("#status", has_text="No connection").wait_for()
    assert visitor.page.locator("#problem-text").inner_text() == "The server does not answer. Trying again…"
    visitor.page.unroute("**/api/translate*")
    visitor.settle()
    assert visitor.page.locator("#problem").is_hidden()
    visitor.problems[:] = [each for each in visitor.problems if "413" not in each and "502" not in each]


def test_a_failing_browser_is_not_blamed_on_the_server(visit, labels_server):
    visitor = visit(labels_server)
    visitor.page.evaluate("() => { window.kept = CompressionStream; window.CompressionStream = null; }")
    visitor.click("Clear")
    text = "This browser could not make a PNG file of the input."
    visitor.page.locator("#problem-text", has_text=text).wait_for()
    visitor.page.evaluate("() => { window.CompressionStream = window.kept; }")
    visitor.click("Try again")
    visitor.settle()
    assert visitor.page.locator("#problem").is_hidden()


@pytest.fixture
def photo_file(tmp_path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 80, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def _bring(page: Any, photo: Path, event: str) -> None:
    """Drops or pastes a file."""
    page.evaluate(
        """([bytes, event]) => {
          const carried = new DataTransfer();
          carried.items.add(new File([new Uint8Array(bytes)], "photo.png", {type: "image/png"}));
          const options = {bubbles: true, cancelable: true};
          document.getElementById("sheet").dispatchEvent(event === "drop"
            ? new DragEvent("drop", {...options, dataTransfer: carried})
            : new ClipboardEvent("paste", {...options, clipboardData: carried}));
        }""",
        [list(photo.read_bytes()), event],
    )


@pytest.mark.slow
@pytest.mark.parametrize("way", ["open", "drop", "paste"])
def test_a_photo_is_brought(visit, photo_server, photo_file, way):
    visitor = visit(photo_server)
    page = visitor.page
    assert page.get_by_text("Drop a photo here").is_visible()
    assert page.get_by_role("toolbar").count() == 0
    assert page.locator("#canvas").evaluate(READ_RENDERING) == "auto"
    assert visitor.sent == []
    if way == "open":
        with page.expect_file_chooser() as chooser:
            visitor.click("Choose a photo")
        chooser.value.set_files(photo_file)
    else:
        _bring(page, photo_file, way)
    page.locator("#pictures img").wait_for()
    visitor.settle()
    assert visitor.drawing.shape == (16, 32, 4)
    assert visitor.output.shape == (16, 32, 3)
    page.locator("#photo-size").select_option("256")
    visitor.settle()
    assert visitor.drawing.shape == (128, 256, 4)
    assert page.locator("#copy-link").is_hidden()


FIT = """async ([model, side, photo]) => {
  const { Documents } = await import("./static/demo/documents.js");
  return new Documents({ kind: "photo", ...model }, () => side).fit(...photo);
}"""


@pytest.mark.parametrize(
    ("side", "most", "photo", "expected"),
    [
        (1280, 2**20, (1920, 1080), [1280, 720]),
        (1280, 2**20, (4000, 3000), [1182, 886]),
        (2048, 2048 * 1024, (3000, 3000), [1448, 1448]),
        (256, 2**20, (10, 5), [256, 128]),
    ],
)
def test_no_photo_is_larger_than_the_server_takes(visit, photo_server, side, most, photo, expected):
    found = visit(photo_server).page.evaluate(FIT, [{"max_pixels": most}, side, photo])
    assert found == expected and found[0] * found[1] <= most


def test_a_photo_does_not_hold_the_page_that_is_scrolled(visit, photo_server, photo_file):
    page = visit(photo_server).page
    _bring(page, photo_file, "drop")
    page.locator("#pictures img").wait_for()
    read = "canvas => getComputedStyle(canvas).touchAction"
    assert page.locator("#canvas").evaluate(read) == "auto"


def test_what_is_transparent_stays_so(visit, photo_server, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[4:, 8:] = 0
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    visitor = visit(photo_server)
    visitor.page.locator("#file").set_input_files(tmp_path / "alpha.png")
    visitor.settle()
    np.testing.assert_array_equal(visitor.drawing, pixels)


def test_the_camera_takes_a_photo(visit, photo_server):
    visitor = visit(photo_server, permissions=["camera"])
    visitor.click("Use the camera")
    wait_for(lambda: visitor.page.locator("#video").evaluate("video => video.videoWidth") > 0)
    visitor.click("Take the picture")
    visitor.settle()
    assert max(visitor.drawing.shape[:2]) == SIDE
    assert visitor.page.locator("#video").evaluate("video => video.srcObject") is None
    small = visitor.drawing
    visitor.page.locator("#photo-size").select_option("256")
    visitor.settle()
    assert max(visitor.drawing.shape[:2]) == 256
    resized = Image.fromarray(visitor.drawing).resize(small.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(np.array(resized).astype(int) - small).mean() < 10  # the same frame, and not white


@pytest.mark.slow
def test_another_size_is_that_of_the_photo_one_sees(visit, tmp_path, photo_file):
    with serve_model(_write_run(tmp_path, direction="AtoB"), examples=True) as place:
        visitor = visit(place)
        size = visitor.page.locator("#photo-size")
        visitor.page.locator("#file").set_input_files(photo_file)
        visitor.settle()
        visitor.page.get_by_role("button", name="Example val_3", exact=True).click()
        visitor.settle()
        example, sent = visitor.drawing, len(visitor.sent)
        size.select_option("256")
        visitor.page.wait_for_timeout(500)  # longer than the page waits before it asks
        assert len(visitor.sent) == sent
        visitor.click("Undo")
        visitor.settle()
        assert visitor.drawing.shape == (16, 32, 4)
        assert size.input_value() == "32"
        size.select_option("256")
        visitor.settle()
        assert visitor.drawing.shape == (128, 256, 4)
        visitor.page.get_by_role("button", name="Example val_3", exact=True).click()
        visitor.settle()
        assert np.array_equal(visitor.drawing, example)
        visitor.page.context.close()


def test_dropped_text_is_told_to_be_no_file(visit, photo_server):
    page = visit(photo_server).page
    page.evaluate("""() => {
        const data = new DataTransfer();
        data.setData("text/plain", "https://example.org/cat.jpg");
        document.querySelector("#sheet").dispatchEvent(
            new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }""")
    assert "no file" in page.locator("#problem-text").inner_text()


def test_a_very_small_photo_is_told_to_be_one(visit, photo_server, tmp_path):
    visitor = visit(photo_server)
    assert visitor.page.locator("h1").inner_text() == "Translate a photo"
    Image.new("RGB", (50, 10)).save(tmp_path / "small.png")
    visitor.page.set_input_files("#file", tmp_path / "small.png")
    visitor.settle()
    text = visitor.page.locator("#sheet #problem-text").inner_text()
    assert "only 50 x 10 px" in text and "32 x 32 px" in text


def test_an_image_of_other_proportions_is_told_to_be_stretched(visit, labels_server, tmp_path):
    visitor = visit(labels_server)
    Image.new("RGB", (50, 20)).save(tmp_path / "flat.png")
    visitor.page.set_input_files("#file", tmp_path / "flat.png")
    visitor.settle()
    assert "50 x 20 px and was stretched" in visitor.page.locator("#problem-text").inner_text()


def test_what_is_no_image_is_said_to_be_none(visit, photo_server, tmp_path):
    visitor = visit(photo_server)
    (tmp_path / "notes.png").write_text("no image")
    visitor.page.locator("#file").set_input_files(tmp_path / "notes.png")
    visitor.page.locator("#problem", has_text="That is no image that this browser can read.").wait_for()
    assert visitor.sent == []


def test_a_pen_draws_for_models_of_edges(visit, tmp_path):
    with serve_model(_write_run(tmp_path, direction="BtoA"), kind="lines") as place:
        visitor = visit(place)
        assert (visitor.drawing == 255).all()
        assert (
            visitor.page.get_by_role("button", name="Pen", exact=True).get_attribute("aria-pressed") == "true"
        )
        visitor.drag((4, 4), (4, 20))
        assert {tuple(pixel) for pixel in visitor.drawing.reshape(-1, 4).tolist()} == {
            (255, 255, 255, 255),
            (0, 0, 0, 255),
        }
        assert (visitor.drawing[4:21, 4, :3] == 0).all()
        visitor.page.locator("summary").click()
        assert visitor.page.locator("#tool-names").inner_text() == "pen, line, rectangle, eraser"
        assert visitor.page.locator("#tool-keys").inner_text().split() == ["B", "L", "R", "E"]
        visitor.page.context.close()


@pytest.fixture
def holes_server(tmp_path):
    with serve_model(_write_run(tmp_path, task="inpaint", direction="AtoB")) as place:
        yield place


def _is_untouched(visitor: Visitor) -> bool:
    """Whether there is neither a picture nor a word of one."""
    page = visitor.page
    return (
        page.locator("#invitation").is_visible()
        and page.locator("#pictures").inner_text() == "The translation appears here."
        and page.locator("#pictures").get_attribute("aria-busy") == "false"
        and page.locator("#status").inner_text() == ""
        and page.locator("#problem").is_hidden()
    )


def test_a_photo_that_is_taken_back_at_once_is_not_sent(visit, holes_server, photo_file):
    visitor = visit(holes_server)
    visitor.page.evaluate(
        """() => {
          const undo = document.getElementById("undo");
          new MutationObserver(() => undo.disabled || undo.click()).observe(undo, {attributes: true});
        }"""
    )
    visitor.page.locator("#file").set_input_files(photo_file)
    wait_for(lambda: visitor.page.get_by_role("button", name="Redo").is_enabled(), visitor.page)
    visitor.page.wait_for_timeout(500)  # longer than the page waits before it asks
    assert visitor.sent == []
    assert _is_untouched(visitor)


def test_an_answer_to_a_photo_that_was_taken_back_is_not_shown(visit, holes_server, photo_file):
    visitor = visit(holes_server)
    held: list[Any] = []
    visitor.page.route(
        "**/api/translate*", lambda route: route.continue_() if held else held.append(route), times=2
    )
    visitor.page.locator("#file").set_input_files(photo_file)
    wait_for(lambda: held, visitor.page)
    visitor.click("Undo")
    assert _is_untouched(visitor)
    visitor.click("Redo")  # does not wait for what is held
    visitor.page.locator("#pictures img").wait_for()
    visitor.settle()
    visitor.click("Clear")
    assert _is_untouched(visitor)


def test_a_photo_that_is_taken_back_is_not_tried_again(visit, holes_server, photo_file):
    visitor = visit(holes_server)
    visitor.page.route("**/api/translate*", lambda route: route.abort())
    visitor.page.locator("#file").set_input_files(photo_file)
    visitor.page.locator("#status", has_text="No connection").wait_for()
    visitor.click("Undo")
    visitor.page.unroute("**/api/translate*")
    sent = len(visitor.sent)
    visitor.page.wait_for_timeout(3000)  # longer than until the second attempt
    assert len(visitor.sent) == sent
    assert _is_untouched(visitor)
    visitor.problems[:] = [each for each in visitor.problems if "ERR_FAILED" not in each]


def test_a_hole_is_cut_into_a_photo(visit, tmp_path, photo_file):
    with serve_model(_write_run(tmp_path, task="inpaint", direction="AtoB")) as place:
        visitor = visit(place)
        visitor.page.locator("#file").set_input_files(photo_file)
        visitor.settle()
        transparent = visitor.drawing[..., 3] == 0
        expected = np.zeros((16, 32), bool)
        expected[4:12, 8:24] = True  # the middle half
        assert np.array_equal(transparent, expected)
        before = visitor.drawing
        assert np.array_equal(visitor.output[~expected], before[~expected][:, :3])
        visitor.choose("Eraser")
        box = visitor.page.locator("#canvas").bounding_box()
        visitor.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        visitor.settle()
        assert not (visitor.drawing[..., 3] == 0).any()
        # A picture that has holes already keeps them, and gets no other one.
        pixels = np.full((16, 32, 4), 255, np.uint8)
        pixels[2:5, 20:30] = 0
        Image.fromarray(pixels).save(tmp_path / "holes.png")
        visitor.page.locator("#file").set_input_files(tmp_path / "holes.png")
        visitor.settle()
        np.testing.assert_array_equal(visitor.drawing, pixels)
        visitor.page.context.close()
