"""How good the models of a task are, and how far they differ."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from hipt.core.evaluation import (
    METRICS,
    Classified,
    Floats,
    Followed,
    Found,
    Ints,
    over_folds,
    pooled,
    scores,
)
from hipt.core.intervals import holm
from hipt.core.resampled import bootstrap_scores, difference, interval
from hipt.errors import HiptError
from hipt.io.predictions import Predictions, read_predictions
from hipt.io.settings import read_task_settings, step_parser
from hipt.io.tables import write_rows
from hipt.io.task_tables import DIFFERENCES, SCORES
from hipt.told import EvaluateSettings

log = logging.getLogger(__name__)

STEP = "evaluate"

FALSE_ALARMS = 0.05
"""The corrected p below which a difference is usually believed."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """Predictions with their scores over all folds."""

    made: Predictions
    pooled: dict[str, float]
    resampled: dict[str, Floats]
    """(R,) each score in every resample of cases."""


def run(predictions: Sequence[Path], out: Path, differences: Path, cfg: EvaluateSettings) -> None:
    """Write the scores of all models and fractions, and the differences of all pairs of models.

    Raises:
        HiptError: if predictions cannot be scored, or contradict each other about a unit.
    """
    models = [_evaluated(read_predictions(path, cfg.kind), cfg) for path in predictions]
    rows = [row for model in models for row in _score_rows(model)]
    pairs = [
        row
        for one, other in combinations(models, 2)
        if one.made.fraction == other.made.fraction
        for row in _difference_rows(one, other, cfg)
    ]
    corrected = holm(np.array([row["p"] for row in pairs], np.float64))
    _say_how_small(len(pairs), cfg.resamples)
    write_rows(out, [{"task": cfg.name, **row} for row in rows], SCORES)
    lines = [
        {"task": cfg.name, **row, "p_holm": p}
        for row, p in zip(pairs, corrected.tolist(), strict=True)
    ]
    write_rows(differences, lines, DIFFERENCES)


def _evaluated(made: Predictions, cfg: EvaluateSettings) -> Evaluated:
    """Scores over all folds, and in resamples of cases."""
    found = pooled(made.found, made.fold)
    resampled = bootstrap_scores(found, made.groups, cfg.resamples, cfg.seed)
    return Evaluated(made, scores(found), resampled)


def _score_rows(model: Evaluated) -> Iterator[Row]:
    """The scores of every fold, of all together, and their mean and deviation over folds."""
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


def _difference_rows(one: Evaluated, other: Evaluated, cfg: EvaluateSettings) -> Iterator[Row]:
    """How far two models differ on the units that both predict; none where it cannot be told."""
    metric = METRICS[cfg.kind][0]
    pair = _on_common_units(one, other, cfg)
    if pair is None:
        log.warning("%s and %s predict no unit in common", one.made.model, other.made.model)
        return
    a, b = pair
    value = a.pooled[metric] - b.pooled[metric]
    found = difference(value, a.resampled[metric], b.resampled[metric])
    if np.isnan(value) or not found.resamples_used:
        log.warning("no %s to compare %s and %s by", metric, one.made.model, other.made.model)
        return
    yield {
        "model": one.made.model,
        "other": other.made.model,
        "fraction": one.made.fraction,
        "metric": metric,
        "difference": value,
        "low": found.low,
        "high": found.high,
        "p": found.p,
    }


def _on_common_units(
    one: Evaluated, other: Evaluated, cfg: EvaluateSettings
) -> tuple[Evaluated, Evaluated] | None:
    """Both models, scored on the folds' units that both predict."""
    common = set(one.made.keys) & set(other.made.keys)
    if not common:
        return None
    both = [_restricted(model, common, cfg) for model in (one, other)]
    _refuse_other_truth(both[0].made, both[1].made)
    return both[0], both[1]


def _restricted(model: Evaluated, keys: set[tuple[int, str]], cfg: EvaluateSettings) -> Evaluated:
    """A model on some of its units; on all of them its scores are known."""
    rows = np.array([key in keys for key in model.made.keys])
    return model if rows.all() else _evaluated(model.made.take(rows), cfg)


def _refuse_other_truth(one: Predictions, other: Predictions) -> None:
    """Refuse to compare models that were tested against different labels."""
    told, retold = _truth(one.found), _truth(other.found)
    same = (told == retold).all(0) & (one.case == other.case)
    if not same.all():
        fold, unit = one.keys[int(np.flatnonzero(~same)[0])]
        raise HiptError(
            f"{one.path} and {other.path} differ in the case or label of '{unit}' (fold {fold}); "
            f"delete both, and they are made again"
        )


def _truth(found: Found) -> Floats | Ints:
    """[T, N] what came true."""
    if isinstance(found, Followed):
        return np.stack([found.time, found.event])
    assert isinstance(found, Classified)
    return found.y[None]


def _say_how_small(pairs: int, resamples: int) -> None:
    """Say if no difference could be found certain, however large."""
    needed = round(2 * pairs / FALSE_ALARMS) - 1
    if resamples < needed:
        log.warning(
            "%d pairs of models: with %d resamples no corrected p gets down to %g; set resamples "
            "to %d or more",
            *(pairs, resamples, FALSE_ALARMS, needed),
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the task's name, the predictions, the settings, the two tables to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--task", help="the task's name, where --cfg is a config file")
    add = partial(parser.add_argument, type=Path, required=True)
    add("--predictions", nargs="+", help="<model>/<fraction>/predictions.parquet of each fit")
    add("--differences", help="the table of pairs of models to make")
    args = parser.parse_args(argv)
    cfg = read_task_settings(STEP, EvaluateSettings, args.cfg, args.task)
    run(args.predictions, args.out, args.differences, cfg)
