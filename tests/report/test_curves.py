"""Curves of a training as coordinates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hipt.report.curves import (
    HEIGHT,
    MOST_POINTS,
    WIDTH,
    axis,
    joined,
    panel,
    running_mean,
    step_ticks,
)

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80)


def points(line: dict) -> np.ndarray:
    return np.array([[float(n) for n in p.split(",")] for p in line["points"].split()])


@given(VALUES, st.integers(1, 20))
def test_running_mean_is_the_mean_around_each_value(values: list[float], wide: int):
    expected = [
        np.mean(values[max(0, i - wide // 2) : i + (wide + 1) // 2]) for i in range(len(values))
    ]
    np.testing.assert_allclose(running_mean(np.array(values), wide), expected, atol=1e-3)


@given(VALUES)
def test_a_line_lies_inside_its_axes(values: list[float]):
    line = panel(np.array(values))
    at = points(line)
    assert (at >= -0.1).all()
    assert (at <= (WIDTH + 0.1, HEIGHT + 0.1)).all()
    assert 2 <= len(line["ticks"]) <= 7
    assert len({f"{value:.{decimals}f}" for _, value, decimals in line["ticks"]}) > 1


def test_a_point_lies_where_the_axis_says():
    line = panel(np.array([0.0, 0.25, 1.0]), (0.0, 1.0))
    assert points(line).tolist() == [[160, 120], [320, 90], [480, 0]]
    assert [(y, value) for y, value, _ in line["ticks"]] == [(120, 0), (60, 0.5), (0, 1)]
    assert (line["first"], line["last"]) == (0, 1)


def test_many_steps_make_few_points():
    at = points(panel(np.linspace(10, 5, 400_000)))
    assert len(at) == MOST_POINTS
    assert at[-1, 0] == WIDTH


@pytest.mark.parametrize(
    ("steps", "numbers"), [(1, [0, 1]), (6, [0, 2, 4, 6]), (2000, [0, 500, 1000, 1500, 2000])]
)
def test_steps_on_the_axis(steps: int, numbers: list[int]):
    assert [at for _, at in step_ticks(steps)] == numbers


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_an_axis_has_few_round_numbers_around_its_ends(one: float, other: float):
    low, high = sorted((one, other))
    found = axis(low, high)
    places, numbers = zip(*found.numbers, strict=True)
    assert numbers[0] <= low + 1e-6 * found.step
    assert numbers[-1] >= high - 1e-6 * found.step
    assert 2 <= len(numbers) <= 7
    np.testing.assert_allclose(found.place(np.array(numbers)), places, atol=1e-9)
    assert (places[0], places[-1]) == (0, 1)


def test_points_to_a_tenth():
    assert joined(np.array([0, 1.26]), np.array([2, 0.04])) == "0.0,2.0 1.3,0.0"
