"""Figures of a page: numbers become the coordinates that `report_charts.html.j2` draws.

What is told apart by colour is told apart by dashes and marks as well, and named beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

STYLES = 6
"""Lines that can be told apart without colour."""

SIDE = 280
"""Of a square plot, in units of the figure."""

NO_PARTS: dict[str, Any] = {
    **{"guides": [], "bands": [], "whiskers": [], "lines": [], "crosses": [], "marks": []},
    **{"labels": [], "rows": []},
}
"""All that a figure may be made of; the template asks for each."""

SHARES = (0, 0.2, 0.4, 0.6, 0.8, 1)
"""Numbers on an axis of shares."""

MONTHS = (1, 2, 3, 6, 12, 24, 36, 60, 120, 240)
"""Steps of an axis of months."""

MOST_MONTHS = 6
"""Most spaces between the numbers of an axis of months."""


@dataclass(frozen=True)
class Plot:
    """The area inside the axes, in units of the figure; y is a share, from 0 to 1."""

    width: float
    height: float
    longest: float = 1.0
    """The x at its right edge; 0 is at the left."""

    def across(self, x: npt.ArrayLike) -> Floats:
        """Coordinates of x."""
        return self.width * np.asarray(x, np.float64) / self.longest

    def down(self, y: npt.ArrayLike) -> Floats:
        """Coordinates of y, which go down."""
        return self.height * (1 - np.asarray(y, np.float64))

    def line(self, x: npt.ArrayLike, y: npt.ArrayLike) -> str:
        """A line from point to point."""
        return joined(self.across(x), self.down(y))

    def shares(self) -> dict[str, Any]:
        """Both axes, of shares."""
        texts = [(share, f"{share:g}") for share in SHARES]
        return {
            "x_ticks": [(self.width * share, text) for share, text in texts],
            "y_ticks": [(self.height * (1 - share), text) for share, text in texts],
        }

    def months(self) -> list[tuple[float, int]]:
        """Places and numbers of the axis of months along x."""
        step = next((s for s in MONTHS if self.longest / s <= MOST_MONTHS), MONTHS[-1])
        return [
            (float(self.across(month)), month) for month in range(0, int(self.longest) + 1, step)
        ]


def square(name: str, title: str, said: str) -> dict[str, Any]:
    """A figure of two shares, without anything drawn but the diagonal.

    Args:
        name: its id in the page.
        title: above it.
        said: what it shows, for those who do not see it.
    """
    plot = Plot(SIDE, SIDE)
    frame = {"left": 56, "right": 12, "width": SIDE, "height": SIDE, **plot.shares()}
    guides = [plot.line([0, 1], [0, 1])]
    return {**NO_PARTS, "id": name, "title": title, "said": said, **frame, "guides": guides}


def stairs(x: Floats, y: Floats, end: float) -> tuple[Floats, Floats]:
    """Corners of a curve that starts at (0, 1) and keeps each y from its x on.

    Args:
        x: (T,) rising, above 0.
        y: (T,); where it stays as it was there is no corner.
        end: where the curve stops.
    """
    before = np.concatenate([[1.0], y[:-1]])
    falls = y != before
    corners = np.repeat(x[falls], 2)
    heights = np.stack([before[falls], y[falls]], 1).ravel()
    last = heights[-1] if len(heights) else 1.0
    return (
        np.concatenate([[0.0], corners, [end]]),
        np.concatenate([[1.0], heights, [last]]),
    )


def apart(places: Sequence[float], least: float) -> list[float]:
    """Places of texts beside each other, each at least so far from the next, in their order.

    Args:
        places: where they would stand; the first is at the top of equal ones.
        least: distance.
    """
    found = np.asarray(places, np.float64)
    order = np.argsort(found, kind="stable")
    spaced = np.maximum.accumulate(found[order] - least * np.arange(len(order)))
    spaced += least * np.arange(len(order))
    spaced -= (spaced - found[order]).mean()  # as far up as down
    return [float(spaced[i]) for i in np.argsort(order)]


def joined(x: Floats, y: Floats) -> str:
    """Points as an SVG polyline has them: `x,y x,y`, to a tenth."""
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def legend(texts: Iterable[str]) -> list[dict[str, Any]]:
    """What each line is, in the order of the styles."""
    return [{"style": style, "text": text} for style, text in enumerate(texts)]
