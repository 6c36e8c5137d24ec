"""ROC and calibration as they are drawn."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from hipt.pictures.figure import rgb_of, svg_text, wrapped
from hipt.pictures.shares import Bins, Roc, calibration_figure, roc_figure

X = np.array([0, 0.2, 1.0])
NAMES = {
    "greek": "Ταξινόμηση: AUC 0.9",
    "chinese": "肺腺癌 与 鳞癌: AUC 0.9",
    "arabic": "سرطان الرئة: AUC 0.9",
    "hostile": "<b>&$x_1$: AUC 0.9",
}


def texts(figure) -> list[str]:
    root = ET.fromstring(svg_text(figure, "t"))
    nodes = root.iter("{http://www.w3.org/2000/svg}text")
    return ["".join(node.itertext()).strip() for node in nodes]


def test_curves_differ_by_colour_and_by_dashes_beside_the_diagonal():
    figure = roc_figure([Roc(f"m{i}", X, X**0.5) for i in range(7)])
    *curves, chance = figure.axes[0].lines
    assert len({line.get_color() for line in curves}) == 7
    assert len({str(line._dash_pattern) for line in curves}) == 7
    for line in curves:
        np.testing.assert_allclose(line.get_xydata(), np.stack([X, X**0.5], 1))
    assert chance.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        *(f"m{i}" for i in range(7)),
        "Chance",
    ]


def test_there_are_no_more_curves_than_can_be_told_apart():
    with pytest.raises(IndexError):
        roc_figure([Roc(f"m{i}", X, X) for i in range(8)])


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_of_any_script_are_texts_and_are_not_cut(name: str):
    figure = roc_figure([Roc(name, X, X)])
    assert name in texts(figure)
    picture = rgb_of(figure)
    edges = (picture[0], picture[-1], picture[:, 0], picture[:, -1])
    assert all((edge == 255).all() for edge in edges)


def test_long_names_are_broken_and_the_figure_grows():
    short = roc_figure([Roc("a", X, X)])
    long = roc_figure([Roc("a class with a name " * 6, X, X)])
    assert long.get_size_inches()[1] > short.get_size_inches()[1]
    assert all(len(line) <= 48 for line in wrapped("word " * 40).split("\n"))
    assert max(map(len, wrapped("癌" * 60).split("\n"))) == 24


def test_bins_with_their_intervals():
    one = Bins("hipt", np.array([0.2, 0.7]), np.array([0.1, 0.8]), np.zeros(2), np.array([0.4, 1]))
    figure = calibration_figure([one, one._replace(name="linear")])
    first, second = figure.axes[0].containers
    line, _, (bars,) = first
    assert line.get_xydata().tolist() == [[0.2, 0.1], [0.7, 0.8]]
    ends = [segment[:, 1] for segment in bars.get_segments()]
    np.testing.assert_allclose(ends, [[0, 0.4], [0, 1]], atol=1e-12)
    assert line.get_marker() != second[0].get_marker()
    assert "Predicted probability" in texts(figure)
