"""A figure on the page, and its files beside it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import quote

import pytest

from hipt.pictures.figure import new_figure, style
from hipt.report.figures import Drawn, published, remove_others


def test_a_figure_lies_beside_the_page_and_is_named_on_it(tmp_path: Path):
    with style():
        figure = new_figure(60, 40)
        figure.subplots().plot([0, 1])
    facts = published(Drawn("t-roc", "ROC", "a line", "n", figure), tmp_path / "figures")
    assert facts["files"] == ["figures/t-roc.pdf", "figures/t-roc.svg"]
    assert all((tmp_path / file).stat().st_size > 500 for file in facts["files"])
    element = ET.fromstring(facts["svg"])
    assert element.get("role") == "img"
    assert element.get("aria-labelledby") == "t-roc-title t-roc-description"


def test_figures_of_earlier_runs_go_and_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    folder = tmp_path / "figures"
    kept = ["a.pdf", "a.svg", "attend/肺 癌's & co/b.pdf", "notes.txt"]
    for name in (*kept, "b.pdf", "attend/gone/a.svg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    page = tmp_path / "report.html"
    page.write_text(" ".join(f'<a href="{quote(f"figures/{name}")}">' for name in kept), "utf-8")
    remove_others(folder, page)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == set(kept)
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder / name}: removed, since the report has it no more"
        for name in ("attend/gone/a.svg", "b.pdf")
    ]
