"""A task's table of scores: the rows of one model, from its predictions."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from hipt.stats.arrays import Floats
from hipt.stats.bootstrap import bootstrap_scores
from hipt.stats.evaluation import metrics_of, over_folds, pooled, scores
from hipt.stats.intervals import Interval, interval
from hipt.stats.sufficiency import missing_intervals, missing_resamples, missing_scores
from hipt.store.tables import Row
from hipt.tasks.predictions import Predictions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluated:
    """Predictions with their scores over all folds."""

    made: Predictions
    pooled: dict[str, float]
    resampled: dict[str, Floats]
    """(R,) each score in every resample of cases."""
    notes: dict[str, str]
    """Why a score is missing, or what it leaves out; why there is no interval around it."""
    bare: frozenset[str]
    """Scores that get no interval."""

    def interval(self, metric: str) -> Interval | None:
        """The interval around a score, where there are cases enough for one."""
        return None if metric in self.bare else interval(self.resampled[metric])


def evaluated(made: Predictions, resamples: int, seed: int) -> Evaluated:
    """Predictions scored over all folds, and in so many resamples of their cases."""
    predicted = pooled(made.predicted, made.fold)
    resampled = bootstrap_scores(predicted, made.groups, resamples, seed)
    used = {name: int((~np.isnan(drawn)).sum()) for name, drawn in resampled.items()}
    bare = missing_resamples(used, resamples) | missing_intervals(predicted, made.groups)
    values, notes = scores(predicted), missing_scores(predicted)
    for name, text in bare.items():
        if not np.isnan(values[name]):
            notes[name] = f"{notes[name]}; {text}" if name in notes else text
    missing = {name for name, value in values.items() if np.isnan(value)}
    return Evaluated(made, values, resampled, notes, frozenset(missing | bare.keys()))


def score_rows(model: Evaluated) -> Iterator[Row]:
    """The scores of every fold, of all together, and their mean and deviation over folds.

    Rows as in `SCORES`, but for the task's name. A score that is no number has a row that says why.
    """
    made = model.made
    folds = np.unique(made.fold).tolist()
    parts = [made.predicted.take(made.fold == fold) for fold in folds]
    by_fold = [scores(part) for part in parts]
    for fold, part, values in zip(folds, parts, by_fold, strict=True):
        yield from _rows(made, values, int((made.fold == fold).sum()), missing_scores(part), fold)
    units = len(np.unique(made.unit))
    for row in _rows(made, model.pooled, units, model.notes):
        around = model.interval(row["metric"])
        yield row | ({"low": around.low, "high": around.high} if around else {})
    summary = over_folds(by_fold)
    yield from _rows(made, summary, units, _notes_over_folds(by_fold))
    _say(model, summary, len(folds))


def _say(model: Evaluated, summary: Mapping[str, float], folds: int) -> None:
    made, main = model.made, next(iter(model.pooled))
    around = model.interval(main)
    log.info(
        "%s, fraction %g: %s %.3f (%s), over %d folds %.3f +- %.3f",
        *(made.model, made.fraction, main, model.pooled[main]),
        f"{around.low:.3f} to {around.high:.3f}" if around else "no interval",
        *(folds, summary[f"{main}_mean"], summary[f"{main}_sd"]),
    )


def _notes_over_folds(folds: list[dict[str, float]]) -> dict[str, str]:
    """What mean and deviation leave out."""
    notes: dict[str, str] = {}
    for metric in folds[0]:
        known = sum(not np.isnan(fold[metric]) for fold in folds)
        if known < len(folds):
            text = f"over {known} of {len(folds)} folds" if known else "no fold has this score"
            notes |= {f"{metric}_mean": text, f"{metric}_sd": text}
        if known == 1:
            notes[f"{metric}_sd"] = "one fold alone has this score"
    return notes


def _rows(
    made: Predictions,
    values: Mapping[str, float],
    units: int,
    notes: Mapping[str, str],
    fold: int | None = None,
) -> Iterator[Row]:
    """A row for each score; one that is no number is null, and the log says so too."""
    head = {"model": made.model, "fraction": made.fraction, "fold": fold}
    for metric, value in values.items():
        note = notes.get(metric) or None
        known = not np.isnan(value)
        if not known and metric in metrics_of(made.predicted):
            log.warning(
                "%s, fraction %g: no %s %s (%d units): %s",
                *(made.model, made.fraction, metric),
                *("over all folds" if fold is None else f"in fold {fold}", units),
                note or "it is not a number",
            )
        yield {
            **{**head, "metric": metric, "value": value if known else None},
            **{"low": None, "high": None, "units": units, "note": note},
        }
