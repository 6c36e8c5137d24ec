"""Numbers become coordinates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hipt.report.charts import (
    MOST_MONTHS,
    NO_PARTS,
    SIDE,
    Plot,
    apart,
    joined,
    legend,
    square,
    stairs,
)
from hipt.stats.kaplan_meier import kaplan_meier, step_value


def test_a_point_lies_where_the_axes_say():
    plot = Plot(200, 100, 50.0)
    assert plot.line([0, 25, 50], [0, 1, 0.25]) == "0.0,100.0 100.0,0.0 200.0,75.0"
    ticks = plot.shares()
    assert ticks["y_ticks"][0] == (100, "0")
    assert ticks["y_ticks"][-1] == (0, "1")
    assert [text for _, text in ticks["x_ticks"]] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]


@pytest.mark.parametrize(
    ("longest", "last", "step"), [(0.5, 0, 1), (6.2, 6, 2), (119.0, 96, 24), (3000.0, 2880, 240)]
)
def test_months_are_whole_years_where_they_are_many(longest: float, last: int, step: int):
    plot = Plot(280, 100, longest)
    numbers = [month for _, month in plot.months()]
    assert numbers == list(range(0, last + 1, step))
    assert longest > 1440 or len(numbers) <= MOST_MONTHS + 1
    assert all(x == pytest.approx(280 * month / longest) for x, month in plot.months())


def test_stairs_go_along_and_down():
    x, y = stairs(np.array([1, 2, 4.0]), np.array([0.8, 0.8, 0.5]), 6)
    assert x.tolist() == [0, 1, 1, 4, 4, 6]
    assert y.tolist() == [1, 1, 0.8, 0.8, 0.5, 0.5]
    flat = stairs(np.array([3.0]), np.array([1.0]), 3)
    assert [side.tolist() for side in flat] == [[0, 3], [1, 1]]


@given(st.integers(0, 10**6))
def test_stairs_are_the_step_function(seed: int):
    rng = np.random.default_rng(seed)
    time = rng.integers(1, 9, 12).astype(float)
    curve = kaplan_meier(time, rng.random(12) < 0.6)
    x, y = stairs(curve.time, curve.survival, curve.time[-1])
    assert (np.diff(x) >= 0).all()
    at = np.arange(0.5, curve.time[-1], 1)  # between the corners
    np.testing.assert_allclose(np.interp(at, x, y), step_value(curve.time, curve.survival, at))


@given(st.lists(st.floats(0, 300), min_size=1, max_size=4))
def test_texts_do_not_overlap_and_stay_near(places: list[float]):
    found = apart(places, 16)
    assert (np.diff(np.sort(found)) >= 16 - 1e-6).all()
    assert np.mean(found) == pytest.approx(np.mean(places), abs=1e-6)
    assert np.argsort(found, kind="stable").tolist() == np.argsort(places, kind="stable").tolist()


def test_texts_that_are_apart_stay():
    assert apart([100, 20, 60], 16) == pytest.approx([100, 20, 60])


def test_a_square_has_every_part_and_its_diagonal():
    it = square("name", "title", "said")
    assert NO_PARTS.keys() <= it.keys()
    assert it["guides"] == [f"0.0,{SIDE}.0 {SIDE}.0,0.0"]
    assert legend(["a", "b"]) == [{"style": 0, "text": "a"}, {"style": 1, "text": "b"}]


def test_points_to_a_tenth():
    assert joined(np.array([0, 1.26]), np.array([2, 0.04])) == "0.0,2.0 1.3,0.0"
