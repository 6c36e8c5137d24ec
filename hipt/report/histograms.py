"""Histograms of a cohort: tissue and regions per slide."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hipt.pictures.figure import COLOURS, new_figure, style
from hipt.report.figures import Drawn
from hipt.report.page import count, number
from hipt.stats.arrays import Floats

MOST_BARS = 24
"""Most bars of a histogram."""

SIZE_MM = (90, 45)


def histograms(table: pl.DataFrame) -> Iterator[Drawn]:
    """Tissue and regions per slide, over slides in order; nothing where there are none."""
    done = table.filter(status="ok")
    for title, column, least_step in (
        ("Tissue per slide, mm²", "tissue_mm2", 0.0),
        ("Regions per slide", "regions", 1.0),
    ):
        values = done[column].drop_nulls().to_numpy().astype(np.float64)
        if not len(values) or values.max() <= 0:
            continue
        edges = round_edges(float(values.max()), least_step)
        slides = np.histogram(values, edges)[0]
        least, low, median, high, most = map(
            number, np.quantile(values, (0, 0.25, 0.5, 0.75, 1)).tolist()
        )
        bars = (
            f"{number(left)} to {number(right)}: {count(bar)}"
            for left, right, bar in zip(edges, edges[1:], slides, strict=False)
            if bar
        )
        yield Drawn(
            name=f"slides-{column}",
            title=title,
            description=f"Number of slides, {'; '.join(bars)}.",
            note=f"Median {median} (dashed), middle half {low} to {high}, range {least} to {most}.",
            figure=_drawn(edges, slides, float(np.median(values)), title),
        )


def round_edges(most: float, least_step: float) -> Floats:
    """Edges of at most MOST_BARS + 2 bars from 0 on, the last above a number.

    Args:
        most: the number, above 0.
        least_step: of the edges, which are multiples of 1, 2 or 5 times a power of ten.
    """
    least = most / MOST_BARS
    power = 10.0 ** math.floor(math.log10(least))
    step = max(least_step, next(k * power for k in (1, 2, 5, 10) if k * power >= least))
    return np.asarray(np.arange(math.floor(most / step) + 2) * step, np.float64)


def _drawn(edges: Floats, slides: npt.NDArray[np.int64], median: float, title: str) -> Figure:
    """The bars, and where their median is."""
    with style():
        figure = new_figure(*SIZE_MM)
        axes = figure.subplots()
        axes.bar(edges[:-1], slides, 0.92 * np.diff(edges), align="edge", color=COLOURS[0])
        axes.axvline(median, color=COLOURS[-1], linestyle="--", linewidth=0.8)
        axes.set(xlim=(0, edges[-1]), xlabel=title, ylabel="Slides")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return figure
