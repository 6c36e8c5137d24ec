"""Survival curves as they are drawn."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from hipt.pictures.figure import rgb_of, svg_text
from hipt.pictures.survival import MOST_MONTHS, Group, at_risk, month_ticks, survival_figure

TIME = np.array([0, 2, 5, 11.0])
AT_RISK = np.array([4, 4, 3, 1])
CENSORED = np.array([0, 0, 1, 1])
SURVIVAL = np.array([1, 0.75, 0.5, 0.5])
LOW, HIGH = SURVIVAL - 0.2, np.array([1, 0.9, np.nan, np.nan])


def group(name: str, time: np.ndarray = TIME) -> Group:
    return Group(name, f"{name} risk: 4 cases", time, AT_RISK, CENSORED, SURVIVAL, LOW, HIGH)


def test_steps_intervals_and_strokes():
    figure = survival_figure([group("High"), group("Low", 2 * TIME)])
    axes = figure.axes[0]
    high, strokes, low, _ = axes.lines
    assert high.get_drawstyle() == "steps-post"
    np.testing.assert_allclose(high.get_xydata(), np.stack([TIME, SURVIVAL], 1))
    assert strokes.get_xydata().tolist() == [[5, 0.5], [11, 0.5]]
    assert high.get_color() != low.get_color()
    assert str(high._dash_pattern) != str(low._dash_pattern)
    (known,) = axes.collections[0].get_paths()  # as far as both ends are known
    assert known.vertices[:, 0].max() == 2
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        "High risk: 4 cases",
        "Low risk: 4 cases",
    ]


def test_numbers_at_risk_stand_below_their_months():
    figure = survival_figure([group("High"), group("Low", 2 * TIME)])
    root = ET.fromstring(svg_text(figure, "t"))
    nodes = root.iter("{http://www.w3.org/2000/svg}text")
    texts = ["".join(node.itertext()).strip() for node in nodes]
    assert {"At risk", "High", "Low", "Months", "Survival probability"} <= set(texts)
    numbers = [(t.get_position()[0], t.get_text()) for t in figure.axes[1].texts]
    months = month_ticks(22)
    assert numbers[: len(months)] == [
        (month, str(n)) for month, n in zip(months, at_risk(group("High"), months), strict=True)
    ]
    assert list(figure.axes[0].get_xticks()) == months
    picture = rgb_of(figure)
    assert all((edge == 255).all() for edge in (picture[0], picture[-1], picture[:, 0]))


def test_large_cohorts_are_drawn_as_finely_as_can_be_seen():
    cases = 40_000
    time = np.linspace(0, 60, cases + 1)
    left = np.append(cases, np.arange(cases, 0, -1))
    survival = 1 - np.arange(cases + 1) / cases / 2
    many = Group("High", "all", time, left, np.ones(cases + 1, int), survival, survival, survival)
    figure = survival_figure([many])
    curve, strokes = figure.axes[0].lines
    x, y = curve.get_data()
    assert len(x) <= len(strokes.get_xdata()) + 1 <= 1003
    assert (x[0], y[0], x[-1], y[-1]) == (0, 1, 60, 0.5)
    at = np.linspace(0, 60, 333)
    drawn = y[np.searchsorted(x, at, side="right") - 1]
    np.testing.assert_allclose(drawn, 1 - at / 120, atol=1e-3)
    assert len(svg_text(figure, "t")) < 400_000


def test_at_risk_is_who_is_followed_until_then_or_longer():
    assert at_risk(group("High"), [0, 1, 2, 3, 5, 6, 11, 12]) == [4, 4, 4, 3, 3, 1, 1, 0]


@pytest.mark.parametrize(
    ("longest", "last", "step"), [(0.5, 0, 1), (6.2, 6, 2), (119.0, 96, 24), (3000.0, 2880, 240)]
)
def test_months_are_whole_years_where_they_are_many(longest: float, last: int, step: int):
    assert month_ticks(longest) == list(range(0, last + 1, step))
    assert longest > 1440 or len(month_ticks(longest)) <= MOST_MONTHS + 1
