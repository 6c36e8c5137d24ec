"""Figures: the same bytes each time, any script, ids that do not meet on one page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from matplotlib.font_manager import findfont

from hipt.pictures.figure import COLOURS, DASHES, new_figure, pdf_bytes, rgb_of, style, svg_text

TITLES = {
    "greek": "Ταξινόμηση",
    "chinese": "肺腺癌 与 鳞癌",
    "arabic": "سرطان الرئة",
    "$": "5$_a$ <b>&",
}


def drawn(title: str):
    with style():
        figure = new_figure(80, 60)
        axes = figure.subplots()
        axes.plot([0, 1, 2], [0.2, 0.9, 0.4], marker="o")
        axes.fill_between([0, 1, 2], [0, 0, 0], [1, 1, 1], alpha=0.2)
        axes.set_title(title)
    return figure


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES)
def test_a_title_of_any_script_stands_in_the_svg_as_text(title: str):
    root = ET.fromstring(svg_text(drawn(title), "a"))
    texts = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert title in [text.strip() for text in texts]


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES)
def test_equal_figures_are_equal_bytes(title: str):
    first, second = drawn(title), drawn(title)
    assert pdf_bytes(first) == pdf_bytes(second)
    assert svg_text(first, "a") == svg_text(second, "a")
    assert np.array_equal(rgb_of(first), rgb_of(second))
    assert b"/CreationDate" not in pdf_bytes(first)


def test_two_figures_on_one_page_share_no_id_and_every_reference_is_there():
    one, other = svg_text(drawn("t"), "roc"), svg_text(drawn("t"), "survival")
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for text, own in zip((one, other), ids, strict=True):
        assert set(re.findall(r'href="#([^"]+)"', text)) <= own
        assert set(re.findall(r"url\(#([^)]+)\)", text)) <= own


def test_a_figure_has_the_size_that_was_asked_for():
    height, width, _ = rgb_of(drawn("t")).shape
    assert (width, height) == pytest.approx((80 / 25.4 * 200, 60 / 25.4 * 200), abs=1)


def test_there_is_a_dash_for_every_colour():
    assert len(COLOURS) == len(DASHES) == len(set(COLOURS))


def test_a_font_that_was_installed_after_matplotlib_listed_fonts_is_used(tmp_path: Path):
    with TTFont(findfont("DejaVu Sans")) as font:
        for record in font["name"].names:
            if record.nameID in (1, 16):  # names of the family
                record.string = "Unifont"
        (tmp_path / "fonts").mkdir()
        font.save(tmp_path / "fonts" / "new.ttf")
    code = "from hipt.pictures.figure import style\nimport matplotlib\n"
    code += "with style(): print(matplotlib.rcParams['font.family'])"
    environment = os.environ | {"XDG_DATA_HOME": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "'DejaVu Sans'" in done.stdout
    assert "'Unifont'" in done.stdout
