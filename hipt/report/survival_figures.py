"""Figures of survival models: Kaplan-Meier curves of those with high and with low risk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from hipt.report.charts import NO_PARTS, SIDE, Plot, apart, legend, stairs
from hipt.report.page import share
from hipt.stats.evaluation import Events, Floats, Followed, pooled
from hipt.stats.kaplan_meier import KaplanMeier, kaplan_meier, step_value
from hipt.stats.per_unit import each_once
from hipt.tasks.predictions import Predictions

HEIGHT = 220
"""Of the area inside the axes, in units of the figure."""

TEXT_APART = 16
"""Between the names of two curves."""

NO_P = (
    "No log-rank p: the models that made the groups share training cases, and where nothing can be "
    "predicted such a test finds p < 0.05 twice as often as it should; whether risk orders "
    "survival, the c-index says"
)
"""Why there is none; `benchmarks/bench_null_groups.py` measures how often."""


class Group(NamedTuple):
    """Units with one kind of risk."""

    name: str
    time: Floats
    event: Events
    curve: KaplanMeier


def survival_figure(task: str, made: Predictions, by: str) -> Iterator[dict[str, Any]]:
    """Survival above and below the median risk, as `report_charts.html.j2` draws it.

    Without a p value: the groups are no independent observations, since each fold's model was
    trained on units that another fold tests; only a permutation that refits all models would tell
    (Simon et al., Brief Bioinform 2011). Each unit counts once, with the mean of its ranks over the
    folds that test it.

    Args:
        task: its name.
        made: predictions of one model.
        by: what gets a prediction: slide or case.

    Yields:
        A figure; none where all risks are equal.
    """
    found = pooled(made.found, made.fold)
    assert isinstance(found, Followed)
    one = each_once(found, made.unit)[2]
    high = one.risk > np.median(one.risk)
    if not high.any():
        return
    groups = [_group("High", one, high), _group("Low", one, ~high)]
    plot = Plot(SIDE, HEIGHT, float(one.time.max()))
    months = plot.months()
    yield {
        **NO_PARTS,
        **{"id": f"{task}-{made.model}-survival", "width": SIDE, "height": HEIGHT},
        **{"left": 56, "right": 44, "x_label": "Months", "y_label": "Share without event"},
        **_drawn(plot, groups),
        "title": f"Survival by the risk that {made.model} predicts",
        "said": f"{_in_words(groups, months[len(months) // 2][1])}. {NO_P}",
        "x_ticks": months,
        "y_ticks": plot.shares()["y_ticks"],
        "rows": [
            {"name": it.name, "numbers": [(x, int((it.time >= m).sum())) for x, m in months]}
            for it in groups
        ],
        "legend": legend(f"{it.name} risk: {_counted(it, by)}" for it in groups),
        "note": f"{by.capitalize()}s above and below the median risk, ranked "
        "within the fold that tests them. Strokes: end of a follow-up; shaded: 95 % interval. "
        f"{NO_P}.",
    }


def _group(name: str, found: Followed, rows: Events) -> Group:
    """Some of the units."""
    time, event = found.time[rows], found.event[rows]
    return Group(name, time, event, kaplan_meier(time, event))


def _drawn(plot: Plot, groups: Sequence[Group]) -> dict[str, Any]:
    """Curves, intervals, ends of follow-up and names."""
    curves = [group.curve for group in groups]
    ends = apart([float(plot.down(curve.survival[-1])) for curve in curves], TEXT_APART)
    right = [float(plot.across(curve.time[-1])) for curve in curves]
    steps = [stairs(curve.time, curve.survival, curve.time[-1]) for curve in curves]
    return {
        "bands": [{"style": i, "points": _band(plot, curve)} for i, curve in enumerate(curves)],
        "lines": [{"style": i, "points": plot.line(*step)} for i, step in enumerate(steps)],
        "crosses": [at for i, curve in enumerate(curves) for at in _censored(plot, curve, i)],
        "labels": [(x + 5, y, group.name) for x, y, group in zip(right, ends, groups, strict=True)],
    }


def _band(plot: Plot, curve: KaplanMeier) -> str:
    """The area of the interval, there and back; empty where none is known."""
    known = np.isfinite(curve.lower)
    if not known.any():
        return ""
    time = curve.time[known]
    low, high = (stairs(time, side[known], time[-1]) for side in (curve.lower, curve.upper))
    return f"{plot.line(*high)} {plot.line(low[0][::-1], low[1][::-1])}"


def _censored(plot: Plot, curve: KaplanMeier, style: int) -> Iterator[tuple[float, float, int]]:
    """Where a follow-up ended without event."""
    left = np.append(curve.at_risk[1:], 0)
    seen = curve.at_risk - curve.events > left
    places = zip(plot.across(curve.time[seen]), plot.down(curve.survival[seen]), strict=True)
    yield from ((float(x), float(y), style) for x, y in places)


def _in_words(groups: Sequence[Group], month: int) -> str:
    """Survival of each at one time."""
    at = np.array([float(month)])
    said = (
        f"{it.name} risk: {share(step_value(it.curve.time, it.curve.survival, at)[0])}"
        for it in groups
    )
    return f"Without event after {month} months: {'; '.join(said)}"


def _counted(group: Group, by: str) -> str:
    """Units, events and the median."""
    half = np.flatnonzero(group.curve.survival <= 0.5)
    median = f"median {group.curve.time[half[0]]:.0f} months" if half.size else "median not reached"
    return f"{len(group.time):,} {by}s, {int(group.event.sum()):,} events, {median}"
