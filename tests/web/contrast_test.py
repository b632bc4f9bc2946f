"""The contrast of every button's text, in both colour schemes and in every state."""

from pathlib import Path
from typing import Any

import pytest

from tests.helpers import browser
from tfpix2pix.pictures.page import render_template
from tfpix2pix.study.texts import TEXTS

PACKAGE = Path(__file__).resolve().parents[2] / "tfpix2pix"
PAGES = {
    "demo": ("web/demo/static/index.html", PACKAGE / "web/demo/static/demo.css"),
    "study": ("study/templates/study.html", PACKAGE / "study/static/study.css"),
}
STATES = ([], ["hover"], ["focus", "focus-visible"], ["hover", "active"], ["hover", "focus", "focus-visible"])
# Computes (lighter + 0.05) / (darker + 0.05) of text and of what is behind it, as WCAG 2 defines it.
CONTRAST = """(place) => {
    const element = document.querySelectorAll("button, .button")[place];
    const parse = (color) => color.match(/[\\d.]+/g).map(Number);
    const isClear = (color) => parse(color)[3] === 0;
    const luminance = (color) => parse(color).slice(0, 3).map((value) => value / 255)
        .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
        .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
    let behind = element;
    while (isClear(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
    const style = getComputedStyle(element);
    const both = [style.color, getComputedStyle(behind).backgroundColor].map(luminance);
    return { ratio: (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05),
             isPlain: style.filter === "none" && style.opacity === "1",
             name: element.outerHTML.slice(0, 80) };
}"""


def _read_page(name: str) -> str:
    """Returns a page with its styles and without its scripts."""
    template, css = PAGES[name]
    setup = {"texts": TEXTS, "exposure_ms": 1000, "shows_input": False}
    values = {"title": "", "mode": "study", "consent": "", "instructions": "", "direction": "ltr"}
    html = render_template(template, texts=TEXTS, setup=setup, **values)
    styles = (PACKAGE / "web/static/base.css").read_text() + css.read_text()
    return html.replace("</head>", f"<style>{styles}</style></head>")


def _measure_buttons(page: Any, states: list[str]) -> list[dict[str, Any]]:
    """Returns the contrast of every button while the browser holds it in these states."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("DOM.enable")
    devtools.send("CSS.enable")
    root = devtools.send("DOM.getDocument")["root"]["nodeId"]
    asked = {"nodeId": root, "selector": "button, .button"}
    nodes = devtools.send("DOM.querySelectorAll", asked)["nodeIds"]
    for node in nodes:
        devtools.send("CSS.forcePseudoState", {"nodeId": node, "forcedPseudoClasses": states})
    return [page.evaluate(CONTRAST, place) for place in range(len(nodes))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_text_of_buttons_is_readable_in_every_state(name, scheme):
    with browser.open_browser() as chromium:
        page = chromium.new_context(color_scheme=scheme).new_page()
        page.set_content(_read_page(name))
        for disabled, pressed in ((False, False), (False, True), (True, False)):
            setting = f"each.disabled = {str(disabled).lower()}; each.ariaPressed = {str(pressed).lower()}"
            page.evaluate(f"document.querySelectorAll('button').forEach((each) => {{ {setting} }})")
            for states in STATES:
                measured = _measure_buttons(page, states)
                assert any("primary" in each["name"] for each in measured)
                assert [each for each in measured if each["ratio"] < 4.5 or not each["isPlain"]] == [], states
