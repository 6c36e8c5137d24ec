"""What can be drawn of a model over all test parts: ROC, calibration, survival by risk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
import pyarrow as pa
from scipy.stats import binomtest
from sklearn.metrics import auc, roc_curve

from hipt.stats.evaluation import Classified, Followed, pooled
from hipt.stats.kaplan_meier import kaplan_meier
from hipt.stats.metrics import calibration
from hipt.stats.per_unit import each_once
from hipt.tasks.predictions import Predictions

BINS, PER_BIN = 10, 15
"""Most bins of a calibration, and predictions that are there for each bin of fewer."""

Columns = dict[str, Any]
"""Columns of a table by name; what is no array is the same in all rows."""

ColumnsOf = Callable[[Predictions], Iterator[Columns]]
"""What gives a model's columns, part by part."""


def table_of(
    task: str,
    models: Sequence[Predictions],
    columns_of: ColumnsOf,
    schema: pa.Schema,
) -> pa.Table:
    """The columns of all models as one table; those that are not given are null."""
    frames = []
    for made in models:
        head = {"task": task, "model": made.model, "fraction": made.fraction}
        for columns in columns_of(made):
            every = dict.fromkeys(schema.names) | head | columns
            frames.append(pl.DataFrame(every).with_columns(cs.float().fill_nan(None)))
    if not frames:
        return schema.empty_table()
    return pl.concat(frames, how="vertical_relaxed").to_arrow().cast(schema)


def roc_curves(made: Predictions, names: Mapping[int, str]) -> Iterator[Columns]:
    """ROC curves as in `ROC`; none of a class that nobody has, or everybody."""
    if not isinstance(made.predicted, Classified):
        return
    y, p = made.predicted.y, made.predicted.p
    classes = p.shape[1]
    for kind in range(classes) if classes > 2 else [1]:
        positive = y == kind
        if positive.all() or not positive.any():
            continue
        false_positive_rate, true_positive_rate, threshold = roc_curve(positive, p[:, kind])
        yield {
            "label": names.get(kind, str(kind)),
            "against": None if classes > 2 else names.get(0, "0"),
            "auc": float(auc(false_positive_rate, true_positive_rate)),
            "positives": int(positive.sum()),
            "negatives": int((~positive).sum()),
            "threshold": threshold,
            "false_positive_rate": false_positive_rate,
            "true_positive_rate": true_positive_rate,
        }


def calibration_bins(made: Predictions, names: Mapping[int, str]) -> Iterator[Columns]:
    """Bins as in `CALIBRATION`, with 95 % intervals (Wilson) as if predictions were independent."""
    if not isinstance(made.predicted, Classified):
        return
    y, p = made.predicted.y, made.predicted.at_prevalence
    bins = calibration(y, p, int(np.clip(len(y) // PER_BIN, 2, BINS)))
    tests = [binomtest(int(hits), int(of)) for hits, of in zip(bins.hits, bins.items, strict=True)]
    intervals = [test.proportion_ci(0.95, method="wilson") for test in tests]
    yield {
        "label": names.get(1, "1") if p.shape[1] == 2 else None,
        "calibrated": made.predicted.calibrated is not None,
        "items": bins.items,
        "predicted": bins.predicted,
        "observed": bins.observed,
        "low": [interval.low for interval in intervals],
        "high": [interval.high for interval in intervals],
        "expected_error": bins.expected_error,
    }


def survival_by_risk(made: Predictions) -> Iterator[Columns]:
    """Kaplan-Meier curves as in `SURVIVAL`, above and below the median risk.

    Each unit counts once, with the mean of its ranks over the folds that test it. None where all
    risks are equal. Without a p value: see `docs/decisions/0023-what-folds-share.md`.
    """
    comparable = pooled(made.predicted, made.fold)
    if not isinstance(comparable, Followed):
        return
    units = each_once(comparable, made.unit)[2]
    above = units.risk > np.median(units.risk)
    if not above.any():
        return
    for group, rows in (("high", above), ("low", ~above)):
        curve = kaplan_meier(units.time[rows], units.event[rows])
        yield {
            "group": group,
            "time": np.append(0.0, curve.counts.time),
            "at_risk": np.append(rows.sum(), curve.counts.at_risk),
            "events": np.append(0, curve.counts.events),
            "censored": np.append(0, curve.counts.censored),
            "survival": np.append(1.0, curve.survival),
            "low": np.append(1.0, curve.lower),
            "high": np.append(1.0, curve.upper),
        }
