"""Cohorts in which nothing can be predicted: labels are shuffled, all folds' models refitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import stats

from hipt.stats.arrays import Floats, Ints
from hipt.stats.bootstrap import bootstrap_scores
from hipt.stats.evaluation import Followed, pooled
from hipt.stats.intervals import interval
from hipt.stats.linear import Parts, fit_hazard
from hipt.tasks.folds.splits import grouped_folds, validation_part


class Setting(NamedTuple):
    """A cohort, and how it is cross-validated."""

    cases: int
    width: int
    """Numbers per case."""
    folds: int
    events: float
    """Share of cases with event, about."""
    ridges: tuple[float, ...] = (1.0, 10.0, 100.0)
    """Penalties from which the validation part chooses."""


def shuffled(setting: Setting, times: int, seed: int) -> Iterator[tuple[Followed, Ints]]:
    """Out-of-fold predictions of ridge Cox models, and the fold of each, per shuffle of outcomes.

    Folds are stratified by event and a part validates, as in a task.
    """
    rng = np.random.default_rng(seed)
    n = setting.cases
    features = rng.normal(size=(n, setting.width))
    ends = rng.exponential(size=n) * setting.events / (1 - setting.events)
    months = rng.exponential(size=n)
    event, time = months <= ends, np.minimum(months, ends)
    names = np.array([f"c{i:04}" for i in range(n)])
    for shuffle in range(times):
        order = rng.permutation(n)
        outcome = time[order], event[order]
        strata = outcome[1].astype(int).astype(str)
        fold = grouped_folds(names, strata, setting.folds, shuffle)
        risk = np.empty(n)
        for k in range(setting.folds):
            kept = validation_part(names, strata, None, fold != k, 0.2, (shuffle, k)).rows
            parts = Parts(np.flatnonzero((fold != k) & ~kept), np.flatnonzero(kept))
            model = fit_hazard(features, *outcome, parts, setting.ridges)
            risk[fold == k] = model(features[fold == k])[:, 0]
        yield pooled(Followed(*outcome, risk, outcome), fold), fold


def log_rank_p(predictions: Followed) -> float:
    """p of the halves by risk, as if these had nothing to do with the outcomes of others."""
    high = predictions.risk > np.median(predictions.risk)
    halves = (
        stats.CensoredData.right_censored(predictions.time[rows], ~predictions.event[rows])
        for rows in (high, ~high)
    )
    return float(stats.logrank(*halves).pvalue)


def excludes_chance(predictions: Followed, resamples: int = 200) -> bool:
    """Whether the bootstrap's 95 % interval of the c-index does not hold 0.5."""
    drawn: Floats = bootstrap_scores(predictions, np.arange(len(predictions.time)), resamples, 0)[
        "c_index"
    ]
    low, high, _ = interval(drawn)
    return not low <= 0.5 <= high
