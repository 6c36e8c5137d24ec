"""A cohort as hard as a page can meet, and a browser's page that notes what goes wrong."""

from __future__ import annotations

import csv
import io
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain
from tests.steps.mapped import TASKS, fit_tasks
from tests.steps.test_report import HOSTILE

REAL = Path(__file__).parent.parent / "data" / "slides" / "CMU-1-Small-Region.svs"

ODD = "O'Brien & 50% %2e%2e%2f #1 ä🔬"
"""An id that a sheet allows."""

DAMAGE = "window.harmed = true; alert(3)"
CASE = f'<img src=x onerror="{DAMAGE}">'
"""A case's name that would run, were it taken for HTML."""

TALL, WIDE = {"width": 1920, "height": 1080}, {"width": 1280, "height": 800}


def make_scene(folder: Path) -> None:
    """A run with tasks and heatmaps: painted slides, a real one, odd ones, and one that went."""
    chain = Chain(folder)
    rows: list[tuple[str, ...]] = [("slide_id", "path", "case_id", "grade", "months", "died")]
    for i in range(12):
        write_slide(folder / f"s{i}.svs", tissue_picture(768, 512, seed=i))
        name = ODD if i == 3 else f"s{i}"
        case, grade = CASE if i < 2 else f"c{i // 2}", ("a", HOSTILE[:-1])[i // 2 % 2]
        rows.append((name, f"s{i}.svs", case, grade, str(10 + 7 * (i // 2)), "1"))
    shutil.copy(REAL, folder / "real.svs")
    write_slide(folder / "blank.svs", np.full((512, 768, 3), 243, np.uint8))
    write_slide(folder / "gone.svs", tissue_picture(768, 512, seed=99))
    others = ("real", "blank", "gone", "never")
    rows += [(name, f"{name}.svs", f"c-{name}", "", "", "") for name in others]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    chain.sheet(text.getvalue())
    chain.upto("embed_regions")
    chain.table()
    fit_tasks(chain, TASKS)
    chain.values |= {"tasks": TASKS}
    chain.call("attend")
    (folder / "gone.svs").unlink()


class Looked:
    """The viewer's page in a browser, and what it complained of or asked for."""

    def __init__(self, browser: Any, address: str, **settings: Any) -> None:
        self.address = address
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(**{"viewport": WIDE, **settings})
        self.page.set_default_timeout(60_000)
        self.refused: list[str] = []
        self.expected: tuple[str, ...] = ("slide=gone&", "slide=gone ")
        self.page.on("console", self._console)
        self.page.on("response", self._response)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.go("")

    def go(self, link: str) -> None:
        """Open a link from elsewhere, once the cohort is there."""
        self.page.goto("about:blank")
        self.page.goto(self.address + link)
        self.page.wait_for_selector("#slides tr[data-at]")

    def open(self, slide: str) -> None:
        """Choose a slide in the table, and wait until it is drawn."""
        self.page.fill("#search", slide)
        self.page.click(f"#slides tr[data-at]:has(td.slide span[title={_quoted(slide)}])")
        self.opened(slide)

    def opened(self, slide: str) -> None:
        """Wait until a slide is open and drawn."""
        self.page.wait_for_function(
            "slide => document.getElementById('status').textContent.startsWith(`${slide} is open`)",
            arg=slide,
        )
        self.page.wait_for_function(f"() => ({DRAWN})() > 0")

    def ink(self) -> int:
        """How much is drawn over the slide: the sum of alpha."""
        return self.page.evaluate(INK)

    def zoom(self) -> float:
        """Screen px per level-0 px, as the link has it, once nothing moves any more."""
        self.page.evaluate(SETTLED)
        return float(self.page.url.rsplit("/", 1)[1])

    def middle(self) -> tuple[float, float]:
        """The middle of the view, level-0 px, as the link has it."""
        self.zoom()
        x, y = self.page.url.split("/")[-3:-1]
        return float(x), float(y)

    def said(self, words: str) -> None:
        """Wait until the status line says something."""
        self.page.wait_for_function(
            "words => document.getElementById('status').textContent.includes(words)", arg=words
        )

    def _console(self, message: Any) -> None:
        """Everything but what browsers say of answers, which are looked at themselves."""
        if not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    def _response(self, response: Any) -> None:
        """Note what the server refused."""
        if response.status >= 400:
            self.refused.append(f"{response.url} {response.status}")

    def end(self) -> None:
        """Nothing ran that should not, nothing complained, no other machine was asked."""
        assert not self.complaints, self.complaints
        assert not self.page.evaluate("() => window.harmed")
        refused = [url for url in self.refused if not any(e in url for e in self.expected)]
        assert not refused, refused
        own = (self.address, "blob:", "data:", "about:blank")
        strange = [url for url in self.requests if not url.startswith(own)]
        assert not strange, strange
        self.page.close()


def _quoted(text: str) -> str:
    """A text as a string of CSS."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


SETTLED = """() => new Promise((resolve) => {
  let last = null, still = 0;
  const look = () => {
    const now = location.hash + document.getElementById("readout").textContent;
    still = now === last ? still + 1 : 0;
    last = now;
    if (still < 60) requestAnimationFrame(look);
    else resolve();
  };
  look();
})"""
"""After 60 frames, a second where there is nothing else to do: an address follows after 250 ms."""

PIXELS = """(selector) => {
  const canvas = document.querySelector(selector);
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height).data;
}"""

INK = f"() => ({PIXELS})('#overlay').reduce((sum, value, i) => sum + (i % 4 === 3 ? value : 0), 0)"

DRAWN = INK.replace("#overlay", "#surface canvas")

YELLOW = f"""() => {{
  const data = ({PIXELS})("#overlay");
  let yellow = 0;
  for (let i = 0; i < data.length; i += 4)
    yellow += data[i] === 255 && data[i + 1] === 214 && data[i + 2] === 10;
  return yellow;
}}"""
"""How much of the mark is seen, px."""
