"""The report page, read as a person would: in a real browser, with hostile texts in it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hipt.config.config import Config
from hipt.config.step_settings import ReportSettings
from hipt.layout import Results
from hipt.report import facts, slide_table
from hipt.steps import report
from hipt.store.images import write_jpeg
from hipt.store.schemas import INDICES, SLIDES
from hipt.store.tables import write_rows
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\"'&{{7*7}}\u2028"


def row(number: int, **facts: Any) -> dict[str, Any]:
    known = {
        "slide_id": f"s{number}",
        "case_id": f"c{number // 2}",
        "site": "north",
        "path": f"slides/s{number}.svs",
        "batch": "b0000",
        "status": "ok",
        "reason": "",
        "note": "",
        "vendor": "aperio",
        "mpp": 0.25,
        "mpp_source": "header",
        "tissue_mm2": float(number),
        "tissue_fraction": 0.4,
        "tissue_in_regions": 1.0,
        "regions": number,
        "patches": 256 * number,
        "tissue_patches": 200 * number,
        "computed_patches": 216 * number,
        "unreadable_patches": 0,
    }
    return known | facts


def cohort(folder: Path, rows: list[dict[str, Any]]) -> Path:
    write_rows(folder / "slides.parquet", rows, SLIDES)
    return folder / "slides.parquet"


def page(folder: Path, rows: list[dict[str, Any]]) -> Path:
    out = folder / "report.html"
    report.run(cohort(folder, rows), out, ReportSettings(config=Config()))
    return out


def troubled() -> list[dict[str, Any]]:
    unknown = dict.fromkeys(("mpp", "regions", "tissue_mm2", "tissue_fraction"))
    return [
        *(row(n) for n in (10, 9, 11)),
        row(1, slide_id=HOSTILE, case_id=HOSTILE, site=HOSTILE, note=HOSTILE, vendor=HOSTILE),
        row(2, status="unreadable", reason=f"{HOSTILE}: is empty (0 bytes)", **unknown),
        row(3, slide_id="=1+1", tissue_mm2=float("nan")),
    ]


class Opened:
    """A page in the browser, and what it complained of or asked for."""

    def __init__(self, browser: Any, path: Path) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def ids(self) -> list[str]:
        return self.page.locator("#table tbody th").all_inner_texts()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Opened]:
    path = page(tmp_path, troubled())
    it = Opened(browser, path)
    yield it
    assert it.complaints == []
    assert [url for url in it.requests if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
    it.page.close()


@pytest.mark.browser
def test_every_slide_is_in_the_table_and_text_is_text(opened: Opened):
    assert len(opened.ids()) == 6
    assert any("<img src=x onerror=alert(1)>" in name for name in opened.ids())
    assert opened.page.locator("main img").count() == 0  # no overview was made
    assert "49" not in opened.page.locator("#look").inner_text()


@pytest.mark.browser
def test_sorting_by_number_and_text_puts_unknown_last(opened: Opened):
    opened.page.click("[data-column=regions]")
    assert opened.ids()[-1] == "s2"
    assert [i for i in opened.ids() if i in ("s9", "s10", "s11")] == ["s9", "s10", "s11"]
    opened.page.click("[data-column=regions]")
    assert opened.ids()[0] == "s11"
    assert opened.ids()[-1] == "s2"
    assert opened.page.locator("th[aria-sort=descending]").count() == 1
    opened.page.click("[data-column=slide_id]")
    assert [i for i in opened.ids() if i in ("s9", "s10", "s11")] == ["s9", "s10", "s11"]


@pytest.mark.browser
def test_searching_and_filtering(opened: Opened):
    opened.page.fill("#search", "0 bytes")
    assert opened.ids() == ["s2"]
    assert opened.page.inner_text("#shown") == "1 of 6 slides"
    opened.page.fill("#search", "")
    opened.page.click("[data-status=unreadable]")
    assert opened.ids() == ["s2"]
    opened.page.click("[data-status=unreadable]")
    assert len(opened.ids()) == 6


@pytest.mark.browser
def test_download_holds_every_column_and_disarms_formulas(opened: Opened, tmp_path: Path):
    with opened.page.expect_download() as download:
        opened.page.click("#csv")
    download.value.save_as(tmp_path / "got.csv")
    with (tmp_path / "got.csv").open(newline="", encoding="utf-8") as file:
        got = list(csv.DictReader(file))
    assert [r["slide_id"] for r in got] == ["s10", "s9", "s11", HOSTILE, "s2", "'=1+1"]
    assert got[0].keys() == {name for name, *_ in slide_table.COLUMNS}
    assert got[4]["mpp"] == got[5]["tissue_mm2"] == ""


@pytest.mark.browser
def test_many_slides_are_paged(browser: Any, tmp_path: Path):
    it = Opened(browser, page(tmp_path, [row(n) for n in range(250)]))
    assert len(it.ids()) == 100
    it.page.click("#on")
    it.page.click("#on")
    assert it.ids() == [f"s{n}" for n in range(200, 250)]
    assert it.page.locator("#on").is_disabled()
    assert it.complaints == []


def test_slides_that_failed_are_listed_with_what_to_do(tmp_path: Path):
    reason = "ValueError: odd (traceback: results/logs/tile/failed/s2.txt; to try it again: x)"
    lost = {"slide_id": "s1", "status": "failed", "reason": "KeyError: 'map' (traceback: there)"}
    write_rows(Results(tmp_path).index("attend", "b0000"), [lost], INDICES["attend"])
    out = tmp_path / "report.html"
    settings = ReportSettings(config=Config.model_validate({"attend": {"slides": "all"}}))
    report.run(cohort(tmp_path, [row(1), row(2, status="failed", reason=reason)]), out, settings)
    text = out.read_text()
    assert "failed: 1 slide" in text
    assert "ValueError: odd (traceback: results/logs/tile/failed/s2.txt" in text
    assert "something that nobody foresaw ended its work" in text
    assert "heatmaps failed: 1 slide" in text
    assert "KeyError: &#39;map&#39; (traceback: there)" in text


@pytest.mark.parametrize("computed", [216, 256])
def test_patches_and_those_that_were_computed_are_both_said(tmp_path: Path, computed: int):
    html = page(tmp_path, [row(10, computed_patches=10 * computed)]).read_text()
    assert "<dt>patches</dt><dd>2,560</dd>" in html
    assert ("<dt>patches computed</dt><dd>2,160</dd>" in html) == (computed < 256)


def test_pictures_troubled_first_and_no_more_than_asked_for(tmp_path: Path):
    for step in ("segment", "tile"):
        (tmp_path / step).mkdir()
    picture = np.full((60, 80, 3), 200, np.uint8)
    rows = [row(1), row(5), row(3, status="damaged"), row(7)]
    for one in rows[:3]:
        write_jpeg(tmp_path / "tile" / f"{one['slide_id']}.jpg", picture)
    out = tmp_path / "report.html"
    settings = ReportSettings(config=Config.model_validate({"report": {"overviews": 2}}))
    report.run(cohort(tmp_path, rows), out, settings)
    text = out.read_text()
    alts = [part.split(":")[0] for part in text.split('alt="Overview of slide ')[1:]]
    assert alts == ["s3", "s5"]  # s7 has none
    assert "2 of 3 slides with a picture" in text


def test_of_every_slide_only_what_is_needed_is_held_beside_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whole rows of a large cohort, thrice, would be most of the report's memory."""
    held: list[dict[str, Any]] = []

    def kept(slides: list[dict[str, Any]], *_: object) -> None:
        held.extend(slides)

    monkeypatch.setattr(facts, "attention", kept)
    page(tmp_path, [row(i) for i in range(5)])
    assert len(held) == 5
    assert {tuple(one) for one in held} == {
        ("slide_id", "case_id", "content", "path", "width_px", "mpp", "read_mpp")
    }


def test_costs_are_those_of_the_benchmarks(tmp_path: Path):
    folder = tmp_path / "benchmarks" / "segment"
    folder.mkdir(parents=True)
    (folder / "b0000.slides.csv").write_text("slide_id,seconds\ns1,2.0\ns2,4.0\ns3,9.0\n")
    (folder / "b0000.tsv").write_text("s\tcpu_time\tmax_rss\n15.5\t14.0\t178.0\n")
    text = page(tmp_path, [row(1), row(2), row(3)]).read_text()
    cells = text.split('<th scope="row">segment</th>')[1].split("</tr>")[0]
    for said in ("4.0 s", "15 s", "16 s", "14 s", "178 MiB"):
        assert f">{said}</td>" in cells


def test_the_data_are_strict_json(tmp_path: Path):
    text = page(tmp_path, troubled()).read_text()
    data = text.split('id="data">')[1].split("</script>")[0]
    columns = {c["name"]: c["values"] for c in json.loads(data)["columns"]}
    assert columns["slide_id"][3] == HOSTILE
    assert columns["tissue_mm2"][5] is None


def test_encoders_say_what_their_network_took(chain: Chain):
    """Two cohorts whose vectors were normalised otherwise are not alike, whatever timm is there."""
    write_slide(chain.folder / "a.svs", tissue_picture(512, 384))
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.values["embed"]["patches"] |= {"mean": [0.485, 0.456, 0.406], "std": [0.2, 0.2, 0.2]}
    chain.upto("embed_patches")
    out = page(chain.results.root, [row(1, slide_id="a")])
    assert "input mean 0.485 0.456 0.406, std 0.2 0.2 0.2</td>" in out.read_text()


def test_encoders_say_whether_their_card_was_heeded(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(512, 384))
    chain.sheet("slide_id,path\na,a.svs\n")
    small = {"encoder_args": {"depth": 1, "embed_dim": 24, "num_heads": 2}, "random": 1}
    chain.values["embed"]["patches"] = {"encoder": "virchow2", **small}
    chain.upto("embed_patches")
    text = page(chain.results.root, [row(1, slide_id="a")]).read_text()
    assert (
        "virchow2: input 224 px, mean 0.485 0.456 0.406, std 0.229 0.224 0.225, cls+mean: " in text
    )
    assert "encoder_args.depth is 1, where virchow2&#39;s card has none" in text


def test_its_parts_lie_beside_it_for_snakemakes_report(tmp_path: Path):
    """Snakemake shows pictures and pages, no Parquet."""
    (tmp_path / "tile").mkdir()
    write_jpeg(tmp_path / "tile" / "s10.jpg", np.full((60, 80, 3), 200, np.uint8))
    page(tmp_path, troubled())
    parts = tmp_path / "excerpts"
    histograms = {f"Slides/cohort/slides-{shown}.svg" for shown in ("regions", "tissue_mm2")}
    made = {str(path.relative_to(parts)) for path in parts.rglob("*.*")}
    assert made == {"Slides/cohort/table.html", "Overviews/s10/overview.jpg", *histograms}
    table = (parts / "Slides/cohort/table.html").read_text()
    assert table.count("<tr>") == 1 + len(troubled())
    assert "&lt;img src=x onerror=alert(1)&gt;" in table
    assert "<img" not in table
    assert "<script" not in table
    for figure in histograms:
        drawn = tmp_path / "figures" / Path(figure).name
        assert (parts / figure).read_bytes() == drawn.read_bytes()
    (tmp_path / "tile" / "s10.jpg").unlink()
    page(tmp_path, troubled())
    assert not (parts / "Overviews").exists()
