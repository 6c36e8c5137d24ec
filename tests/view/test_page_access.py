"""The viewer's page by keyboard, by screen reader, for weak eyes, on small and large screens."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from hipt.config.config import Config
from tests.steps.conftest import Chain
from tests.view.looked import INK, TALL, WIDE, Looked

pytestmark = pytest.mark.browser

NAMED = {
    *("application", "button", "checkbox", "columnheader", "complementary", "dialog", "grid"),
    *("group", "radio", "region", "searchbox", "slider", "textbox", "image", "spinbutton"),
}
"""What a screen reader names when it comes to it."""

REAL = ("duodenum_gt450_half_of_40x_bigtiff.tif", "lung_scc_core_gt450_40x.svs")


def focused(look: Looked) -> str:
    """The id of what has the focus."""
    return look.page.evaluate("() => document.activeElement.id")


def test_a_slide_is_found_opened_and_moved_by_keyboard(look: Looked):
    press = look.page.keyboard.press
    press("/")
    assert focused(look) == "search"
    look.page.keyboard.type("s")
    press("ArrowDown")
    assert focused(look) == "slides"
    for key in ("ArrowDown", "ArrowDown", "ArrowUp"):
        press(key)
    active = look.page.locator("#slides").get_attribute("aria-activedescendant")
    assert active == "row-1"
    press("Enter")
    slide = look.page.locator(f"#{active} td.slide").inner_text()
    look.opened(slide)
    press("s")
    assert focused(look) == "surface"
    whole = look.zoom()
    press("+")
    assert look.zoom() > whole
    x0, y0 = look.middle()
    press("ArrowRight")
    x1, y1 = look.middle()
    press("ArrowDown")
    x2, y2 = look.middle()
    assert x0 < x1 == x2
    assert y0 == y1 < y2
    press("0")
    assert look.zoom() == pytest.approx(whole, rel=0.01)
    press("w")
    assert "magnification" in look.page.inner_text("#status")
    press("j")
    look.page.wait_for_function(
        "name => document.getElementById('name').textContent != name", arg=slide
    )


def test_neighbours_and_layers_by_keyboard(look: Looked):
    press = look.page.keyboard.press
    look.open("s4")
    press("Tab")  # out of the search, where letters are letters
    press("n")
    look.page.locator("#similar-list li").nth(12).wait_for()
    look.page.locator("#similar-close").focus()
    for key in ("Tab", "ArrowRight", "Enter"):
        press(key)
    look.said("marked on the slide")
    press("Escape")
    assert look.page.locator("#similar").is_hidden()
    assert focused(look) == "surface"
    press("0")
    press("l")
    assert look.page.evaluate("() => document.activeElement.ariaLabel") == "tissue"
    look.page.wait_for_function(f"() => ({INK})() > 0")
    look.zoom()  # once the slide has come to rest: how much of the outline is seen changes ink too
    strong = look.ink()
    press("Tab")
    for _ in range(10):
        press("ArrowLeft")
    look.page.wait_for_function(f"() => ({INK})() < {0.7 * strong}")
    press("Shift+Tab")
    press("Space")
    look.page.wait_for_function(f"() => ({INK})() === 0")
    for key, shown in (("?", True), ("Escape", False)):
        press(key)
        assert look.page.locator("#help").evaluate("dialog => dialog.open") is shown


def test_single_letters_can_be_turned_off(look: Looked):
    look.page.click("#help-open")
    look.page.uncheck("#single-keys")
    look.page.click("#help-close")
    look.page.keyboard.press("c")
    assert look.page.locator("#cohort").is_visible()
    look.page.click("#help-open")
    look.page.check("#single-keys")
    look.page.click("#help-close")
    look.page.keyboard.press("c")
    assert look.page.locator("#cohort").is_hidden()


def test_everything_has_a_name_for_a_screen_reader(look: Looked):
    look.open("s4")
    for summary in look.page.locator("#panel summary").all()[1:]:
        if not summary.evaluate("summary => summary.parentElement.open"):
            summary.click()
    look.page.locator("#panel .layer input[type=checkbox]").last.check()
    look.page.click("#at-centre")
    look.page.locator("#similar-list li").nth(12).wait_for()
    look.page.click("#help-open")
    names = _names(look)
    assert ("dialog", "Keys") in names
    look.page.click("#help-close")
    names = _names(look)
    unnamed = [role for role, name in names if role in NAMED and not name.strip()]
    assert not unnamed, unnamed
    roles = [role for role, _ in names]
    assert {"application", "grid", "slider", "radio", "searchbox", "button"} <= set(roles)
    assert ("button", "Zoom in") in names
    assert ("region", "Cohort") in names
    assert any(role == "image" and name.startswith("Scale bar: ") for role, name in names)
    assert any(role == "image" and name.startswith("Colours from ") for role, name in names)
    neighbours = [name for role, name in names if role == "button" and "distance" in name]
    assert len(neighbours) == 12
    live = look.page.locator("[role=status], [role=alert]")
    assert live.count() >= 4


def _names(look: Looked) -> list[tuple[str, str]]:
    """Role and name of all that a screen reader is told."""
    tree = look.page.context.new_cdp_session(look.page).send("Accessibility.getFullAXTree")
    return [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree["nodes"]
        if not node["ignored"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_their_ground(browser: Any, address: str, scheme: str):
    look = Looked(browser, address, color_scheme=scheme)
    look.open("s5")
    look.page.click("#at-centre")
    look.page.locator("#similar-list li").nth(12).wait_for()
    weak = look.page.evaluate(CONTRAST)
    assert not weak, weak
    look.page.click("#help-open")
    weak = look.page.evaluate(CONTRAST)
    assert not weak, weak
    look.end()


@pytest.mark.parametrize("size", [WIDE, TALL])
def test_nothing_sticks_out(browser: Any, address: str, size: dict[str, int]):
    look = Looked(browser, address, viewport=size)
    look.open("s4")
    look.page.click("#at-centre")
    look.page.locator("#similar-list li").nth(12).wait_for()
    beyond = look.page.evaluate(
        """() => [...document.querySelectorAll("button, input, h1, h2, #scale, #readout")]
          .filter((one) => !one.closest("#similar-list, #panel, #slides tbody, [hidden], dialog"))
          .filter((one) => {
            const box = one.getBoundingClientRect();
            return box.right > innerWidth || box.bottom > innerHeight || box.left < 0;
          }).map((one) => one.id || one.textContent)"""
    )
    assert not beyond, beyond
    assert look.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    box = look.page.locator("#view").bounding_box()
    assert box["height"] > 250
    assert box["width"] > 0.4 * size["width"]
    look.end()


def test_who_wants_no_motion_gets_none(browser: Any, address: str):
    look = Looked(browser, address, reduced_motion="reduce")
    look.open("s4")
    look.page.keyboard.press("+")
    seen = look.page.evaluate(
        """async () => {
          const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
          const seen = [];
          for (let i = 0; i < 30; i += 1) {
            await frame();
            seen.push(document.getElementById("readout").textContent);
          }
          return [...new Set(seen.slice(5))];
        }"""
    )
    assert len(seen) == 1
    look.end()


@pytest.mark.real
@pytest.mark.parametrize("name", REAL)
def test_real_slides(browser: Any, serve: Any, shared_dir: Path, tmp_path: Path, name: str):
    found = next((shared_dir / "slides").rglob(name), None)
    if found is None:
        pytest.skip(f"{name} is not among the real slides")
    chain = Chain(tmp_path)
    shutil.copy(found, tmp_path / name)
    chain.values["tile"] = {"region_px": 4096, "patch_px": 256}
    chain.sheet(f"slide_id,path\nslide,{name}\n")
    chain.upto("tile")
    port = serve(chain.results.root, Config.model_validate(chain.values)).port
    look = Looked(browser, f"http://127.0.0.1:{port}/", viewport=TALL)
    look.open("slide")
    look.page.get_by_label("regions", exact=True).check()
    look.page.wait_for_function(f"() => ({INK})() > 0")
    look.page.click("#full")
    assert look.zoom() == pytest.approx(1, rel=0.01)
    look.page.keyboard.press("n")
    look.page.locator("#similar-said", has_text="has no vectors").wait_for()
    look.end()


CONTRAST = r"""() => {
  const parse = (text) => {
    const parts = text.match(/-?[\d.]+(e-?\d+)?/g).map(Number);
    const whole = text.startsWith("color(") ? parts.map((v, i) => (i < 3 ? v * 255 : v)) : parts;
    return { rgb: whole.slice(0, 3), alpha: whole.length > 3 ? whole[3] : 1 };
  };
  const over = (top, below) => top.rgb.map((v, i) => v * top.alpha + below[i] * (1 - top.alpha));
  const ground = (one) => {
    if (!one) return [255, 255, 255];
    const colour = parse(getComputedStyle(one).backgroundColor);
    return colour.alpha === 1 ? colour.rgb : over(colour, ground(one.parentElement));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const weak = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !one.checkVisibility() || one.closest("noscript, script, option")) continue;
    const back = ground(one);
    const front = over(parse(getComputedStyle(one).color), back);
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) weak.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return weak;
}"""
