"""How far the models of a task differ: the rows of every pair, on the units that both predict."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from hipt.errors import HiptError
from hipt.stats.arrays import Floats, Ints
from hipt.stats.evaluation import Classified, Predicted, metrics_of
from hipt.stats.intervals import difference, holm
from hipt.store.tables import Row
from hipt.tasks.predictions import Predictions
from hipt.tasks.scores import Evaluated, evaluated

log = logging.getLogger(__name__)

FALSE_ALARMS = 0.05
"""The corrected p below which a difference is usually believed."""


def difference_rows(models: Sequence[Evaluated], resamples: int, seed: int) -> list[Row]:
    """The differences of all pairs of models that were fitted with the same fraction.

    Rows as in `DIFFERENCES`, but for the task's name.

    Raises:
        HiptError: if two models contradict each other about a unit.
    """
    rows = [
        _row(first, other, resamples, seed)
        for first, other in combinations(models, 2)
        if first.made.fraction == other.made.fraction
    ]
    return _corrected(rows, resamples)


def truth(predictions: Predicted) -> Floats | Ints:
    """[T, N] what came true."""
    if isinstance(predictions, Classified):
        return predictions.y[None]
    return np.stack([predictions.time, predictions.event])


def _row(first: Evaluated, other: Evaluated, resamples: int, seed: int) -> Row:
    """How far two models differ on the units that both predict, or why that is not known."""
    metric = metrics_of(first.made.predicted)[0]
    row: Row = {
        "model": first.made.model,
        "other": other.made.model,
        "fraction": first.made.fraction,
        "metric": metric,
        **dict.fromkeys(("difference", "low", "high", "p", "note")),
    }
    pair = _on_common_units(first, other, resamples, seed)
    if pair is None:
        return row | {"note": _logged(first, other, "no unit that both predict")}
    a, b = pair
    value = a.pooled[metric] - b.pooled[metric]
    if np.isnan(value):
        return row | {"note": _logged(first, other, f"no {metric}: {_note(a, b, metric)}")}
    if metric in a.bare | b.bare:
        return row | {"difference": value, "note": _logged(first, other, _note(a, b, metric))}
    drawn = difference(a.resampled[metric], b.resampled[metric])
    return row | {"difference": value} | drawn._asdict()


def _note(first: Evaluated, other: Evaluated, metric: str) -> str:
    """What stands in the way of one of two models."""
    return first.notes.get(metric) or other.notes.get(metric) or "it is not a number"


def _logged(first: Evaluated, other: Evaluated, text: str) -> str:
    """The text, which the log has too."""
    log.warning("%s and %s: %s", first.made.model, other.made.model, text)
    return text


def _on_common_units(
    first: Evaluated, other: Evaluated, resamples: int, seed: int
) -> tuple[Evaluated, Evaluated] | None:
    """Both models, scored on the folds' units that both predict."""
    common = set(first.made.keys) & set(other.made.keys)
    if not common:
        return None
    a, b = (_restricted(model, common, resamples, seed) for model in (first, other))
    _refuse_other_truth(a.made, b.made)
    return a, b


def _restricted(
    model: Evaluated, keys: set[tuple[int, str]], resamples: int, seed: int
) -> Evaluated:
    """A model on some of its units; on all of them its scores are known."""
    rows = np.array([key in keys for key in model.made.keys])
    return model if rows.all() else evaluated(model.made.take(rows), resamples, seed)


def _refuse_other_truth(first: Predictions, other: Predictions) -> None:
    """Refuse to compare models that were tested against different labels."""
    same = (truth(first.predicted) == truth(other.predicted)).all(0) & (first.case == other.case)
    if not same.all():
        fold, unit = first.keys[int(np.flatnonzero(~same)[0])]
        raise HiptError(
            f"{first.path} and {other.path} differ in the case or label of '{unit}' (fold {fold}); "
            f"delete both, and they are made again"
        )


def _corrected(rows: Sequence[Row], resamples: int) -> list[Row]:
    """The rows with p corrected for all pairs of their fraction: one question, one family."""
    fractions = [row["fraction"] for row in rows]
    corrected = np.full(len(rows), np.nan)
    for fraction in set(fractions):
        family = [i for i, share in enumerate(fractions) if share == fraction]
        corrected[family] = holm(np.array([rows[i]["p"] for i in family], np.float64))
    tested = [row["fraction"] for row in rows if row["p"] is not None]
    _warn_of_few_resamples(max(map(tested.count, tested), default=0), resamples)
    known = (None if np.isnan(p) else float(p) for p in corrected)
    return [row | {"p_holm": p} for row, p in zip(rows, known, strict=True)]


def _warn_of_few_resamples(pairs: int, resamples: int) -> None:
    """Warn if no difference could be found certain, however large."""
    needed = round(2 * pairs / FALSE_ALARMS) - 1
    if resamples < needed:
        log.warning(
            "%d pairs of models: with %d resamples no corrected p gets down to %g; set resamples "
            "to %d or more",
            *(pairs, resamples, FALSE_ALARMS, needed),
        )
