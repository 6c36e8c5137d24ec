"""Survival curves of groups, with the numbers at risk below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hipt.pictures.figure import COLUMN_MM, legend_below, look, new_figure, rule, style, wrapped

MONTHS = (1, 2, 3, 6, 12, 24, 36, 60, 120, 240)
"""Steps of an axis of months."""

MOST_MONTHS = 6
"""Most spaces between the numbers of an axis of months."""

PLOT_MM, ROW_MM = 65.0, 4.5
"""Height of the plot, and of a row of numbers below it."""

PLACES = 1000
"""Times that can be told apart; large cohorts would make figures of many MB."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Group(NamedTuple):
    """The curve of a group, from month 0 on; T times."""

    name: str
    """In the table of numbers at risk."""
    description: str
    """In the legend."""
    time: Floats
    """(T,) months, rising."""
    at_risk: Ints
    """(T,) cases that were followed until this time or longer."""
    censored: Ints
    """(T,) cases whose follow-up ended at this time without event."""
    survival: Floats
    """(T,) share without event after this time."""
    low: Floats
    """(T,) lower end of its interval; NaN where there is none."""
    high: Floats
    """(T,) upper end."""


def survival_figure(groups: Sequence[Group]) -> Figure:
    """Curves with intervals and tick marks where censored, numbers at risk; at most seven."""
    with style():
        rows_mm = ROW_MM * len(groups)
        figure = new_figure(COLUMN_MM, PLOT_MM + ROW_MM + rows_mm)
        axes, table = figure.subplots(2, 1, sharex=True, height_ratios=[PLOT_MM, rows_mm])
        longest = max(float(group.time[-1]) for group in groups)
        for i, group in enumerate(groups):
            _curve(axes, group, i, longest)
        months = month_ticks(longest)
        axes.set(xlim=(0, None), ylim=(0, 1.02), xticks=months)
        axes.set(xlabel="Months", ylabel="Survival probability")
        rule(axes)
        axes.tick_params(labelbottom=True)
        _numbers(table, groups, months)
        legend_below(figure)
    return figure


def month_ticks(longest: float) -> list[int]:
    """Few round numbers of months from 0 to the longest time."""
    step = next((step for step in MONTHS if longest / step <= MOST_MONTHS), MONTHS[-1])
    return list(range(0, int(longest) + 1, step))


def at_risk(group: Group, months: Sequence[int]) -> list[int]:
    """Cases of a group that were followed until each month or longer."""
    left = np.append(group.at_risk, 0)
    return [int(n) for n in left[np.searchsorted(group.time, months)]]


def _curve(axes: Axes, group: Group, i: int, longest: float) -> None:
    """One group's steps, interval and strokes."""
    colour, dashes = look(i)["color"], look(i)
    rows = _apart(group.time, longest)
    time, survival = group.time[rows], group.survival[rows]
    axes.step(time, survival, where="post", label=wrapped(group.description), **dashes)
    area = {"step": "post", "color": colour, "alpha": 0.15, "linewidth": 0}
    axes.fill_between(time, group.low[rows], group.high[rows], **area)
    ended = np.flatnonzero(group.censored)
    ended = ended[_apart(group.time[ended], longest)]
    strokes = {"color": colour, "marker": "|", "markersize": 6, "linestyle": "none"}
    axes.plot(group.time[ended], group.survival[ended], **strokes)


def _apart(time: Floats, longest: float) -> Ints:
    """(t,) the times that can be told apart in the plot, of those at one place the last."""
    place = np.floor(PLACES * time / longest) if longest else np.zeros(len(time))
    last = np.flatnonzero(np.diff(place, append=np.inf))
    return np.union1d(np.arange(len(time))[:1], last)


def _numbers(axes: Axes, groups: Sequence[Group], months: Sequence[int]) -> None:
    """The numbers at risk, a row for each group."""
    axes.set(ylim=(len(groups) - 0.5, -0.5), yticks=range(len(groups)))
    axes.set_yticklabels([group.name for group in groups])
    axes.set_title("At risk", loc="left", fontsize="medium")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelbottom=False)
    axes.tick_params(axis="y", pad=12)
    for row, group in enumerate(groups):
        for month, number in zip(months, at_risk(group, months), strict=True):
            axes.text(month, row, f"{number:,}", ha="center", va="center")
