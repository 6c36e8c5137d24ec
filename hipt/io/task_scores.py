"""A task's table of scores: the rows of one model, from its predictions."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hipt.core.evaluation import Floats, over_folds, pooled, scores
from hipt.core.resampled import bootstrap_scores, interval
from hipt.io.predictions import Predictions

log = logging.getLogger(__name__)

Row = dict[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """Predictions with their scores over all folds."""

    made: Predictions
    pooled: dict[str, float]
    resampled: dict[str, Floats]
    """(R,) each score in every resample of cases."""


def evaluated(made: Predictions, resamples: int, seed: int) -> Evaluated:
    """Predictions scored over all folds, and in so many resamples of their cases."""
    found = pooled(made.found, made.fold)
    resampled = bootstrap_scores(found, made.groups, resamples, seed)
    return Evaluated(made, scores(found), resampled)


def score_rows(model: Evaluated) -> Iterator[Row]:
    """The scores of every fold, of all together, and their mean and deviation over folds.

    Rows as in `SCORES`, but for the task's name. A score that is no number is told of instead.
    """
    made = model.made
    folds = np.unique(made.fold).tolist()
    by_fold = [scores(made.found.take(made.fold == fold)) for fold in folds]
    for fold, values in zip(folds, by_fold, strict=True):
        yield from _rows(made, values, int((made.fold == fold).sum()), fold)
    ranges = {name: interval(values) for name, values in model.resampled.items()}
    units, main = len(np.unique(made.unit)), next(iter(model.pooled))
    for row in _rows(made, model.pooled, units):
        low, high, used = ranges[row["metric"]]
        yield row | ({"low": low, "high": high} if used else {})
    summary = over_folds(by_fold)
    yield from _rows(made, summary, units)
    log.info(
        "%s, fraction %g: %s %.3f (%.3f to %.3f), over %d folds %.3f +- %.3f",
        *(made.model, made.fraction, main, model.pooled[main], *ranges[main][:2], len(folds)),
        *(summary[f"{main}_mean"], summary[f"{main}_sd"]),
    )


def _rows(
    made: Predictions, values: Mapping[str, float], units: int, fold: int | None = None
) -> Iterator[Row]:
    """A row for each score that is a number; the others are only told of."""
    for metric, value in values.items():
        if np.isnan(value):
            where = "over all folds" if fold is None else f"in fold {fold}"
            log.warning(
                "%s, fraction %g: no %s %s (%d units): too few classes, events or folds",
                *(made.model, made.fraction, metric, where, units),
            )
            continue
        head = {"model": made.model, "fraction": made.fraction, "fold": fold}
        yield {**head, "metric": metric, "value": value, "low": None, "high": None, "units": units}
