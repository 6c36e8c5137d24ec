"""A figure on the page, and its files beside it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from hipt.pictures.figure import new_figure, style
from hipt.report.figures import Drawn, published


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
