"""Curves of a training: loss and the teacher's entropy, smoothed and thinned."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from hipt.pictures.figure import COLOURS, DASHES, new_figure, style
from hipt.report.figures import Drawn
from hipt.report.page import count, number, share
from hipt.stats.arrays import Floats

MOST_POINTS = 300
"""Most points of a line."""

WINDOWS = 50
"""The running mean is over the steps divided by this."""

SIZE_MM = (120, 80)


def curves(model: str, metrics: pa.Table, classes: int) -> Drawn:
    """Loss, and the teacher's entropy as a share of the most that it can be."""
    steps = len(metrics)
    wide = max(1, steps // WINDOWS)
    loss = running_mean(metrics["loss"].to_numpy(), wide)
    entropy = running_mean(metrics["teacher_entropy"].to_numpy() / math.log(classes), wide)
    shown = thinned(steps)
    with style():
        figure = new_figure(*SIZE_MM)
        panels = figure.subplots(2, sharex=True)
        for k, (axes, line) in enumerate(zip(panels, (loss, entropy), strict=True)):
            axes.plot(shown + 1, line[shown], color=COLOURS[k], linestyle=DASHES[k])
            axes.grid(axis="y", linewidth=0.4)
            axes.yaxis.set_major_locator(MaxNLocator(4))
        panels[0].set_title("Loss, nats", loc="left")
        panels[1].set_title("Teacher entropy, share of log K", loc="left")
        panels[1].set(ylim=(0, 1), xlim=(0, steps))
        panels[1].yaxis.set_major_formatter(PercentFormatter(1, 0, " %"))
        panels[1].xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
        panels[1].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        mean = f" (running mean over {count(wide)} steps)" if wide > 1 else ""
        panels[1].set_xlabel(f"Step{mean}")
    return Drawn(
        name=f"training-{model}",
        title="Loss and teacher entropy",
        description=(
            f"Training of {model}: loss from {number(loss[0])} to {number(loss[-1])}, teacher "
            f"entropy from {share(entropy[0])} to {share(entropy[-1])} of log K, over "
            f"{count(steps)} steps."
        ),
        note="",
        figure=figure,
    )


def running_mean(values: Floats, wide: int) -> Floats:
    """The mean around each value, over fewer of them at both ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - wide // 2, 0), np.minimum(at + (wide + 1) // 2, len(values))
    return np.asarray((sums[high] - sums[low]) / (high - low))


def thinned(steps: int) -> npt.NDArray[np.int64]:
    """At most MOST_POINTS of so many steps, evenly, the first and the last among them."""
    return np.unique(np.linspace(0, steps - 1, min(steps, MOST_POINTS)).round().astype(np.int64))
