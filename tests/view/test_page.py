"""The viewer's page, used as a person would: in a real browser, on real results."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from hipt.store.schemas import SLIDES
from hipt.store.tables import write_rows
from tests.steps.test_report import HOSTILE, row
from tests.view.looked import CASE, INK, ODD, TALL, YELLOW, Looked

pytestmark = pytest.mark.browser


def test_a_slide_is_opened_moved_and_zoomed(look: Looked):
    look.open("real")
    assert look.page.inner_text("#name") == "real"
    assert "2,220 \N{MULTIPLICATION SIGN} 2,967 px" in look.page.inner_text("#facts")
    whole = look.zoom()
    assert look.page.inner_text("#scale-text") == "200 µm"
    look.page.mouse.move(700, 450)
    look.page.mouse.wheel(0, -600)
    near = look.zoom()
    assert near > 1.2 * whole
    bar = look.page.locator("#scale-bar").bounding_box()["width"]
    size_um, unit = look.page.inner_text("#scale-text").split()
    assert unit == "µm"
    assert bar / near * 0.499 == pytest.approx(float(size_um), rel=0.02)
    look.page.click("#full")
    assert look.zoom() == pytest.approx(1, rel=0.01)
    assert "20\N{MULTIPLICATION SIGN}" in look.page.inner_text("#readout").split()
    before = look.page.url
    look.page.mouse.move(700, 450)
    look.page.mouse.down()
    look.page.mouse.move(600, 400, steps=5)
    look.page.mouse.up()
    assert look.zoom() == pytest.approx(1, rel=0.01)
    assert look.page.url != before
    assert look.page.locator("#similar").is_hidden()  # a drag is no click


def test_layers_are_drawn_as_strongly_as_asked(look: Looked):
    look.open("s4")
    look.page.wait_for_function(f"() => ({INK})() > 0")  # tissue is on
    tissue = look.page.get_by_label("tissue", exact=True)
    tissue.uncheck()
    look.page.wait_for_function(f"() => ({INK})() === 0")
    grade = look.page.locator("details", has_text="grade")
    grade.locator("summary").click()
    name = "grade, linear: what the answer comes from"
    grade.get_by_label(name, exact=True).check()
    look.page.wait_for_function(f"() => ({INK})() > 0")
    look.zoom()  # once the slide has come to rest
    strong = look.ink()
    slider = look.page.get_by_label(f"Opacity of {name}")
    slider.fill("30")
    half = f"Math.abs(({INK})() - {strong / 2}) < {0.025 * strong}"  # from 60 %
    look.page.wait_for_function(f"() => {half}")
    bar = grade.locator(".bar img")
    assert bar.evaluate("image => image.decode().then(() => image.naturalWidth)") == 256
    assert "contribution" in grade.locator(".bar").get_attribute("aria-label")
    look.page.mouse.move(710, 450)  # the middle of the slide
    look.page.wait_for_timeout(200)
    value = look.page.locator("#readout .map dd").inner_text()
    assert float(value) == float(value)
    assert grade.locator(".pointer").is_visible()
    look.open("s5")  # seen in the same way
    assert look.page.get_by_label(name, exact=True).is_checked()
    look.page.wait_for_function(f"() => ({INK})() > 0")


def test_patches_are_drawn_from_near(look: Looked):
    look.open("real")
    look.page.get_by_label("tissue", exact=True).uncheck()
    look.page.get_by_label("patches", exact=True).check()
    look.page.click("#smaller")
    look.page.wait_for_timeout(1000)
    far = look.page.get_by_text("Seen from near: zoom in.")
    look.page.wait_for_function(f"() => ({INK})() === 0")
    assert far.is_visible()
    look.page.click("#full")
    look.page.wait_for_function(f"() => ({INK})() > 0")
    assert far.is_hidden()


def test_predictions_stand_beside_the_truth(look: Looked):
    look.open("s5")
    grade = look.page.get_by_role("region", name="grade")
    assert grade.locator("p").inner_text() == "truth: a"
    rows = grade.locator("tbody tr")
    assert rows.count() == 2
    for text in rows.all_inner_texts():
        assert "(predicted, right)" in text or "(predicted, wrong)" in text
    death = look.page.get_by_role("region", name="death")
    assert death.locator("p").inner_text() == "truth: event at 24 months"
    look.open("real")
    assert "was in no test part" in grade.inner_text()


def test_what_looks_like_this_leads_there(look: Looked):
    look.open("s4")
    look.page.mouse.click(710, 450)
    items = look.page.locator("#similar-list li")
    items.nth(12).wait_for()
    assert items.count() == 13
    assert look.page.inner_text("#similar-how")
    first = items.nth(1)
    texts = first.locator("span").all_inner_texts()
    assert texts[0].startswith("1 · distance ")
    assert first.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)")
    first.locator("button").click()
    look.said("marked on the slide")
    assert look.page.inner_text("#name") == texts[1] != "s4"
    look.zoom()
    assert f"#{quote(texts[1], safe='')}/" in look.page.url.replace("'", "%27")
    look.page.wait_for_function(f"() => ({YELLOW})() > 100")
    items.nth(0).locator("button").click()  # and back
    look.said("The place itself")
    assert look.page.inner_text("#name") == "s4"
    look.page.get_by_label("region", exact=True).check()
    look.page.click("#at-centre")
    look.said("Like region")
    look.page.keyboard.press("Escape")
    assert look.page.locator("#similar").is_hidden()


def test_where_there_is_nothing_it_says_so_in_place(look: Looked):
    look.open("s4")
    look.page.mouse.click(440, 700)  # beside the slide
    look.page.locator("#similar-said", has_text="no region lies here").wait_for()
    look.page.keyboard.press("Escape")
    look.open("blank")
    assert "no_tissue" in look.page.inner_text("#facts")
    look.page.mouse.click(710, 450)
    look.page.locator("#similar-said", has_text="has no vectors").wait_for()
    assert "no heatmaps" in look.page.inner_text("#layers-list")
    for slide in ("gone", "never"):
        look.page.fill("#search", slide)
        look.page.press("#search", "Enter")
        look.page.locator("#slide-said", has_text=f"'{slide}' is not there").wait_for()
    look.expected += ("slide=nobody ",)
    look.go("#nobody/1/2/3")
    look.page.locator("#slide-said", has_text="no slide 'nobody'").wait_for()


def test_a_link_restores_the_view(look: Looked, browser: Any):
    look.open(ODD)
    look.page.click("#larger")
    look.page.mouse.move(600, 400)
    look.page.mouse.wheel(0, -300)
    zoom = look.zoom()
    link, place = look.page.url, look.middle()
    other = Looked(browser, look.address, viewport=TALL)
    other.go(link.removeprefix(look.address))
    other.opened(ODD)
    assert other.zoom() == pytest.approx(zoom, rel=0.01)
    assert other.middle() == pytest.approx(place, abs=2)
    other.end()
    look.open("s4")
    look.page.go_back()
    look.opened(ODD)
    assert look.zoom() == pytest.approx(zoom, rel=0.01)


LINKS = {
    "#": None,
    "": None,
    "#%": {"slide": "%"},
    "#%E0%A4%A/1/2/3": {"slide": "%E0%A4%A", "x": 1, "y": 2, "zoom": 3},
    "#s4": {"slide": "s4"},
    "#s4/1": {"slide": "s4"},
    "#s4/x/y/z": {"slide": "s4"},
    "#s4/1/2/-3": {"slide": "s4"},
    "#s4/1/2/0.5": {"slide": "s4", "x": 1, "y": 2, "zoom": 0.5},
    "#a%2Fb%23/-1/2/1e-2": {"slide": "a/b#", "x": -1, "y": 2, "zoom": 0.01},
}


def test_of_a_broken_link_is_taken_what_can_be_read(look: Looked):
    read = "async (hash) => (await import('/page/link.js')).read(hash)"
    for link, place in LINKS.items():
        assert look.page.evaluate(read, link) == place, link
    look.go("#s4/1/2/-3")
    look.opened("s4")


def test_hostile_texts_are_text(look: Looked):
    look.page.fill("#search", "onerror")
    assert look.page.locator("#slides td.case span").first.get_attribute("title") == CASE
    look.page.press("#search", "Enter")
    look.opened("s0")
    assert CASE in look.page.inner_text("#facts")
    assert HOSTILE[:-1] in look.page.inner_text("#predictions-list")
    look.open(ODD)
    look.page.mouse.click(710, 450)
    look.page.locator("#similar-list li").nth(12).wait_for()
    assert CASE in look.page.inner_text("#similar-list")
    assert look.page.locator("main img[src=x], main script").count() == 0


def test_ten_thousand_slides_within_a_second(browser: Any, serve: Any, tmp_path: Path):
    count = 10_678
    rows = [row(n, reason=HOSTILE if n % 100 == 0 else "") for n in range(count)]
    rows[5] = row(5, case_id=HOSTILE)
    write_rows(tmp_path / "slides.parquet", rows, SLIDES)
    look = Looked(browser, f"http://127.0.0.1:{serve(tmp_path).port}/")
    session = look.page.context.new_cdp_session(look.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    look.page.reload()
    look.page.wait_for_selector("#slides tr[data-at]")
    look.page.fill("#search", "s10677")
    look.page.wait_for_selector("#slides tr[data-at]:has-text('s10677')")
    assert look.page.inner_text("#shown") == "1 of 10,678 slides"
    busy = _busy_s(session)
    assert 0.01 < busy < 1, busy
    look.page.fill("#search", "")
    look.page.get_by_role("button", name="Regions").click()
    look.page.get_by_role("button", name="Regions").click()
    look.page.wait_for_selector("th[aria-sort=descending]")
    assert look.page.locator("#slides td.slide").first.inner_text() == "s10677"
    look.page.locator("#scroller").evaluate("scroller => scroller.scrollTo(0, 1e9)")
    look.page.wait_for_selector("#slides tr:has-text('s0')")
    assert look.page.locator("#slides tr[data-at]").count() < 60
    assert look.page.get_by_role("grid").get_attribute("aria-rowcount") == str(count + 1)
    look.expected += ("/thumbnail",)  # nobody drew one
    look.end()


def test_a_server_that_ends_and_starts_again(browser: Any, scene: Path, tmp_path: Path):
    config = tmp_path / "config.yaml"
    sheet = {"sheet": str(scene / "slides.csv")}
    config.write_text(yaml.safe_dump({"slides": sheet, "results": str(scene / "results")}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with running(config, port):
        look = Looked(browser, f"http://127.0.0.1:{port}/")
        look.open("s4")
    look.page.fill("#search", "s5")
    look.page.press("#search", "Enter")
    look.page.locator("#slide-said", has_text="does not answer").wait_for()
    again = look.page.get_by_role("button", name="Try again")
    assert again.is_visible()
    with running(config, port):
        again.click()
        look.opened("s5")
        assert look.page.locator("#slide-said").is_hidden()
        assert look.page.locator("#name").inner_text() == "s5"
        look.end()


@contextmanager
def running(config: Path, port: str) -> Iterator[None]:
    """The command in a process of its own, which is killed at the end."""
    command = [sys.executable, "-m", "hipt", "view", "--cfg", str(config), "--port", port]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert port in process.stdout.readline()
            yield
        finally:
            process.kill()


def _busy_s(session: Any) -> float:
    """CPU seconds of the page's thread since it was loaded, whatever else the cores do."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(one["value"] for one in metrics if one["name"] == "TaskDuration")
