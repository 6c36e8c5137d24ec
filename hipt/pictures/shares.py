"""Plots of one share by another, with the diagonal: ROC curves, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hipt.pictures.figure import (
    COLUMN_MM,
    SOFT,
    legend_below,
    look,
    new_figure,
    rule,
    style,
    wrapped,
)

TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)
MARKERS = "os^Dv*P"

Floats = npt.NDArray[np.float64]


class Roc(NamedTuple):
    """An ROC curve; M corners."""

    name: str
    false_positive_rate: Floats
    """(M,) 0 to 1, rising."""
    true_positive_rate: Floats
    """(M,)"""


class Bins(NamedTuple):
    """How often predictions come true; B bins."""

    name: str
    predicted: Floats
    """(B,) 0 to 1, rising."""
    observed: Floats
    """(B,)"""
    low: Floats
    """(B,) lower end of its interval."""
    high: Floats
    """(B,) upper end."""


def roc_figure(curves: Sequence[Roc]) -> Figure:
    """ROC curves with the diagonal of chance; at most seven."""
    with style():
        figure = new_figure(COLUMN_MM, COLUMN_MM + 2)
        axes = _square(figure, "False positive rate", "True positive rate")
        for i, (name, x, y) in enumerate(curves):
            axes.plot(x, y, label=wrapped(name), clip_on=False, **look(i))
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.6, zorder=0, label="Chance")
        legend_below(figure)
    return figure


def calibration_figure(models: Sequence[Bins]) -> Figure:
    """Observed by predicted share, with intervals and the diagonal; at most seven."""
    with style():
        figure = new_figure(COLUMN_MM, COLUMN_MM + 2)
        axes = _square(figure, "Predicted probability", "Observed share")
        for i, (name, predicted, observed, low, high) in enumerate(models):
            axes.errorbar(
                predicted,
                observed,
                (observed - low, high - observed),
                label=wrapped(name),
                marker=MARKERS[i],
                markersize=4,
                elinewidth=0.8,
                clip_on=False,
                **look(i),
            )
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.6, zorder=0, label="As predicted")
        legend_below(figure)
    return figure


def _square(figure: Figure, x_label: str, y_label: str) -> Axes:
    """Axes from 0 to 1 both ways."""
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=TICKS, yticks=TICKS, aspect="equal")
    axes.set(xlabel=x_label, ylabel=y_label)
    rule(axes)
    return axes
