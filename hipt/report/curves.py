"""Curves as coordinates of a figure: axes with round numbers; steps smoothed and thinned."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hipt.report.cohort import round_step

WIDTH, HEIGHT = 480, 120
"""Of a panel, in units of the figure; y goes down."""

MOST_POINTS = 300
"""Most points of a line."""

WINDOWS = 50
"""The running mean is over the steps divided by this."""

MOST_TICKS = 4
"""Most spaces between the numbers of an axis."""

Floats = npt.NDArray[np.float64]


class Axis(NamedTuple):
    """An axis from round number to round number."""

    bottom: int
    """Its first number, in steps."""
    top: int
    """Its last number, in steps; above `bottom`."""
    step: float
    """1, 2 or 5 times a power of ten."""

    @property
    def decimals(self) -> int:
        """How many the numbers need."""
        return max(0, -math.floor(math.log10(self.step) + 1e-9))

    @property
    def numbers(self) -> list[tuple[float, float]]:
        """Every number with its place, 0 at the bottom and 1 at the top."""
        return [
            ((i - self.bottom) / (self.top - self.bottom), i * self.step)
            for i in range(self.bottom, self.top + 1)
        ]

    def place(self, values: Floats) -> Floats:
        """Places of values, 0 at the bottom and 1 at the top."""
        return np.asarray((values / self.step - self.bottom) / (self.top - self.bottom))


def axis(low: float, high: float) -> Axis:
    """The axis around two numbers, with few numbers on it; they may be equal."""
    step = round_step(max(high - low, 1e-6 * abs(high), 1e-9) / MOST_TICKS)
    bottom, top = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Axis(bottom, max(top, bottom + 1), step)


def window(steps: int) -> int:
    """How many steps a point is the mean of."""
    return max(1, steps // WINDOWS)


def running_mean(values: Floats, wide: int) -> Floats:
    """The mean around each value, over fewer of them at both ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - wide // 2, 0), np.minimum(at + (wide + 1) // 2, len(values))
    return np.asarray((sums[high] - sums[low]) / (high - low))


def panel(values: Floats, limits: tuple[float, float] | None = None) -> dict[str, Any]:
    """A line with the numbers of its upright axis.

    Args:
        values: one per step.
        limits: lowest and highest number of the axis; None: those of the smoothed line.

    Returns:
        points (`x,y x,y`), ticks (y, number and decimals), first and last (smoothed).
    """
    smooth = running_mean(values, window(len(values)))
    upright = axis(*(limits or (float(smooth.min()), float(smooth.max()))))
    y = HEIGHT * (1 - upright.place(smooth))
    shown = np.unique(np.linspace(0, len(y) - 1, min(len(y), MOST_POINTS)).round().astype(int))
    x = WIDTH * (shown + 1) / len(y)
    return {
        "points": joined(x, y[shown]),
        "ticks": [
            (HEIGHT * (1 - place), number, upright.decimals) for place, number in upright.numbers
        ],
        "first": float(smooth[0]),
        "last": float(smooth[-1]),
    }


def joined(x: Floats, y: Floats) -> str:
    """Points as an SVG polyline has them: `x,y x,y`, to a tenth."""
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def step_ticks(steps: int) -> list[tuple[float, int]]:
    """Places and numbers of the axis along the steps."""
    step = max(1, round(round_step(steps / MOST_TICKS)))
    return [(WIDTH * at / steps, at) for at in range(0, steps + 1, step)]
