"""The report's section on heatmaps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from hipt.config.config import Config
from hipt.config.step_settings import ReportSettings, task_settings
from hipt.steps import examples, report
from hipt.store.schemas import AGREEMENT
from hipt.store.tables import write_rows
from tests.steps.conftest import Chain
from tests.steps.mapped import cohort
from tests.steps.test_report import Opened


def page(chain: Chain, made: Path) -> Path:
    config = cohort(chain, made, fitted=True)
    chain.call("attend")
    out = chain.results.task("grade", "examples.jpg")
    examples.run(chain.results.slides, out, task_settings("examples", config, "grade"))
    rows = [
        {"slide_id": f"s{i}", "case_id": f"c{i // 2}", "map": name, "auc": auc}
        | {"positive": 3, "patches": 9}
        for i in range(6)
        for name, auc in (("attention", 0.5), ("grade.linear.contribution", 0.6 + 0.05 * i))
    ]
    write_rows(chain.results.agreement, rows, AGREEMENT)
    report.run(chain.results.slides, chain.results.report, ReportSettings(config=config))
    return chain.results.report


def test_maps_examples_and_agreement(chain: Chain, made: Path):
    text = page(chain, made).read_text().split('<section id="attention"')[1].split("</section>")[0]
    assert "Maps of 12 slides, of which 6 are shown here" in text
    assert text.count('alt="Heatmap attention of slide s') == 6
    assert 'alt="Regions of most and least attention, task grade"' in text
    cells = re.findall(r"<td class=\"end\">([^<]*)</td>", text)
    assert cells[3] == "0.725"  # the mean of 0.6, 0.65, ... 0.85
    low, high = map(float, cells[4].split("&nbsp;to&nbsp;"))
    assert 0.6 < low < 0.725 < high < 0.85
    for name in re.findall(r'href="([^"]*)"', text):
        assert (chain.results.root / unquote(name)).is_file()


def test_figures_are_the_same_each_time_and_those_of_no_page_go(chain: Chain, made: Path):
    path = page(chain, made)
    folder = chain.results.figures
    first = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    names = {file.relative_to(folder).as_posix() for file in first}
    assert {"examples-grade.pdf", "slides-regions.svg", "attend/s1/attention.pdf"} <= names
    assert "attend/s1/death.contribution.svg" in names
    old = folder / "attend" / "gone" / "attention.svg"
    old.parent.mkdir()
    old.touch()
    path.unlink()
    page(chain, made)
    again = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert again == first


def test_damaged_maps_cost_no_page(chain: Chain, made: Path, caplog: pytest.LogCaptureFixture):
    path = page(chain, made)
    chain.results.overview("segment", "s1").write_bytes(b"")
    config = Config.model_validate(chain.values)
    report.run(chain.results.slides, path, ReportSettings(config=config))
    text = path.read_text()
    assert "s1: its figures are left out" in caplog.text
    assert 'href="figures/attend/s1/' not in text
    assert not (chain.results.figures / "attend" / "s1" / "attention.pdf").exists()


def test_examples_are_shown_without_maps(chain: Chain, made: Path):
    config = cohort(chain, made, fitted=True)
    out = chain.results.task("grade", "examples.jpg")
    examples.run(chain.results.slides, out, task_settings("examples", config, "grade"))
    report.run(chain.results.slides, chain.results.report, ReportSettings(config=config))
    text = chain.results.report.read_text().split('<section id="attention"')[1]
    assert 'alt="Regions of most and least attention, task grade"' in text
    assert "Maps of" not in text


@pytest.mark.browser
def test_in_a_browser(chain: Chain, made: Path, browser: Any):
    path = page(chain, made)
    opened = Opened(browser, path)
    pictures = opened.page.locator("#attention img")
    assert pictures.count() > 12
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
    assert pictures.evaluate_all("all => all.filter(i => !i.naturalWidth).length") == 0
    assert opened.complaints == []
    requested = [url for url in opened.requests if not url.startswith("data:")]
    assert requested == [path.as_uri()]
    opened.page.close()
