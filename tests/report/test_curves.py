"""Curves of a training as a figure."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hipt.report.curves import MOST_POINTS, curves, running_mean, thinned

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80)


def drawn(loss: np.ndarray, entropy: np.ndarray, classes: int = 8):
    return curves("vit256", pa.table({"loss": loss, "teacher_entropy": entropy}), classes)


@given(VALUES, st.integers(1, 20))
def test_running_mean_is_the_mean_around_each_value(values: list[float], wide: int):
    expected = [
        np.mean(values[max(0, i - wide // 2) : i + (wide + 1) // 2]) for i in range(len(values))
    ]
    np.testing.assert_allclose(running_mean(np.array(values), wide), expected, atol=1e-3)


@pytest.mark.parametrize("loss", [[5.0], [3.0, 3.0], [1e-9, 2e-9, 1e-9], [-1e6, 1e6], [12, 6.5, 7]])
def test_a_line_lies_inside_its_axes(loss: list[float]):
    figure = drawn(np.array(loss), np.ones(len(loss))).figure
    figure.canvas.draw()
    for axes in figure.axes:
        x, y = axes.lines[0].get_data()
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        assert left <= min(x) <= max(x) <= right
        assert low <= min(y) <= max(y) <= high


def test_a_point_lies_at_its_step_and_entropy_is_a_share_of_the_most():
    result = drawn(np.array([3.0, 2.0, 1.0]), np.array([0.0, 0.25, 1.0]) * math.log(8))
    loss, entropy = (axes.lines[0].get_xydata() for axes in result.figure.axes)
    np.testing.assert_allclose(loss, [(1, 3), (2, 2), (3, 1)])
    np.testing.assert_allclose(entropy, [(1, 0), (2, 0.25), (3, 1)])
    assert result.description == (
        "Training of vit256: loss from 3 to 1, teacher entropy from 0 % to 100 % of log K, over "
        "3 steps."
    )


def test_many_steps_make_few_points_and_say_what_they_are_means_of():
    result = drawn(np.linspace(10, 5, 400_000), np.ones(400_000))
    points = result.figure.axes[0].lines[0].get_xydata()
    assert len(points) == MOST_POINTS
    assert (points[0, 0], points[-1, 0]) == (1, 400_000)
    assert result.figure.axes[1].get_xlabel() == "Step (running mean over 8,000 steps)"


@given(st.integers(1, 10**7))
def test_the_first_and_the_last_step_are_kept(steps: int):
    shown = thinned(steps)
    assert (shown[0], shown[-1]) == (0, steps - 1)
    assert len(shown) == min(steps, MOST_POINTS)


@pytest.mark.parametrize(
    ("steps", "numbers"), [(1, [0, 1]), (6, [0, 2, 4, 6]), (2000, [0, 500, 1000, 1500, 2000])]
)
def test_steps_on_the_axis_are_round_and_few(steps: int, numbers: list[int]):
    axes = drawn(np.linspace(3, 1, steps), np.ones(steps)).figure.axes[1]
    ticks = [tick for tick in axes.get_xticks() if 0 <= tick <= steps]
    assert ticks == numbers
