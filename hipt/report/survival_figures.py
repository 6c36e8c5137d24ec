"""Figures of survival models, from the tables of `evaluate`: Kaplan-Meier curves by risk."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from hipt.pictures.survival import Group, month_ticks, survival_figure
from hipt.report.figures import Drawn
from hipt.report.page import share

NO_P = (
    "No log-rank p-value: the risks come from models that share training cases, so the groups are "
    "not independent, and where nothing can be predicted the test finds p < 0.05 twice as often as "
    "it should; for discrimination see the c-index"
)
"""Why there is none; `benchmarks/bench_null_groups.py` measures how often."""


def survival_drawn(task: str, model: str, rows: pl.DataFrame, by: str) -> Iterator[Drawn]:
    """Survival above and below the median risk; none where all risks are equal.

    Without a p value: the groups are no independent observations, since each fold's model was
    trained on units that another fold tests; only a permutation that refits all models would tell
    (Simon et al., Brief Bioinform 2011).
    """
    if not len(rows):
        return
    groups = [_group(part, by) for part in rows.partition_by("group", maintain_order=True)]
    months = month_ticks(max(float(group.time[-1]) for group in groups))
    middle = months[len(months) // 2]
    survival = "; ".join(f"{group.name} risk: {share(_at(group, middle))}" for group in groups)
    yield Drawn(
        name=f"{task}-{model}-survival",
        title=f"Survival by the risk that {model} predicts",
        description=f"Survival at {middle} months: {survival}.",
        note=f"{by.capitalize()}s above and below the median risk, ranked within the fold that "
        f"tests them. Tick marks: censored; shaded: 95 % interval. {NO_P}.",
        figure=survival_figure(groups),
    )


def _group(rows: pl.DataFrame, by: str) -> Group:
    """A group's curve, named with its units, events and median."""
    name = rows["group"][0].capitalize()
    half = rows.filter(pl.col("survival") <= 0.5)["time"]
    median = f"median {half[0]:.0f} months" if len(half) else "median not reached"
    counted = f"{rows['at_risk'][0]:,} {by}s, {rows['events'].sum():,} events, {median}"
    columns = ("time", "at_risk", "censored", "survival", "low", "high")
    return Group(name, f"{name} risk: {counted}", *(rows[column].to_numpy() for column in columns))


def _at(group: Group, month: int) -> float:
    """Survival at a month."""
    return float(group.survival[np.searchsorted(group.time, month, side="right") - 1])
