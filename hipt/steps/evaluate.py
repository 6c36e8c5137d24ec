"""How good the models of a task are, and how far they differ."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from hipt.config.command_line import read_task_settings, step_parser
from hipt.config.recorded import settings_of
from hipt.config.step_settings import EvaluateSettings
from hipt.errors import HiptError
from hipt.registry import version_of
from hipt.stats.bootstrap import difference
from hipt.stats.evaluation import METRICS, Classified, Floats, Followed, Found, Ints
from hipt.stats.intervals import holm
from hipt.store.provenance import fingerprint, made_by
from hipt.store.shard import read_provenance
from hipt.store.tables import write_rows
from hipt.tasks.drawn_together import drawn_together, joined
from hipt.tasks.predictions import Predictions, read_predictions
from hipt.tasks.schemas import DIFFERENCES, SCORES
from hipt.tasks.scores import Evaluated, Row, evaluated, score_rows

log = logging.getLogger(__name__)

STEP = "evaluate"

FALSE_ALARMS = 0.05
"""The corrected p below which a difference is usually believed."""


def run(
    predictions: Sequence[Path],
    out: Path,
    differences: Path,
    cfg: EvaluateSettings,
    together: Mapping[str, str] | None = None,
) -> None:
    """Write the scores of all models and fractions, and the differences of all pairs of models.

    Args:
        predictions: of each model and fraction.
        out: the scores to make.
        differences: those of pairs of models to make.
        cfg: the settings.
        together: see `drawn_together`.

    Raises:
        HiptError: if predictions cannot be scored, or contradict each other about a unit.
    """
    read = [read_predictions(path, cfg.kind) for path in predictions]
    with_same = together or {}
    if with_same:
        log.info("cases drawn with another one that holds the same slide: %d", len(with_same))
    models = [evaluated(joined(one, with_same), cfg.resamples, cfg.seed) for one in read]
    rows = [row for model in models for row in score_rows(model)]
    pairs = [
        _difference_row(one, other, cfg)
        for one, other in combinations(models, 2)
        if one.made.fraction == other.made.fraction
    ]
    inputs = {f"{one.model}/{one.fraction:g}": _mark(one) for one in read}
    if with_same:
        inputs["together"] = fingerprint(cases=sorted(with_same.items()))
    made = made_by((STEP, version_of(STEP)), settings_of(cfg), inputs)
    write_rows(out, [{"task": cfg.name, **row} for row in rows], SCORES, made)
    corrected = _corrected(pairs, cfg.resamples)
    named = [{"task": cfg.name, **row} for row in corrected]
    write_rows(differences, named, DIFFERENCES, made)


def _mark(made: Predictions) -> str:
    """The fingerprint of predictions; of those of somebody else a digest of what they say."""
    try:
        return read_provenance(made.path).fingerprint
    except HiptError:
        values = made.found.risk if isinstance(made.found, Followed) else made.found.p
        said = [_truth(made.found).tolist(), values.tolist()]
        return fingerprint(keys=made.keys, case=made.case.tolist(), said=said)


def _difference_row(one: Evaluated, other: Evaluated, cfg: EvaluateSettings) -> Row:
    """How far two models differ on the units that both predict, or why that is not known."""
    metric = METRICS[cfg.kind][0]
    row: Row = {
        "model": one.made.model,
        "other": other.made.model,
        "fraction": one.made.fraction,
        "metric": metric,
        **dict.fromkeys(("difference", "low", "high", "p", "note")),
    }
    pair = _on_common_units(one, other, cfg)
    if pair is None:
        return row | {"note": _logged(one, other, "no unit that both predict")}
    a, b = pair
    value = a.pooled[metric] - b.pooled[metric]
    if np.isnan(value):
        return row | {"note": _logged(one, other, f"no {metric}: {_note(a, b, metric)}")}
    if metric in a.bare | b.bare:
        return row | {"difference": value, "note": _logged(one, other, _note(a, b, metric))}
    drawn = difference(value, a.resampled[metric], b.resampled[metric])
    return row | {"difference": value, "low": drawn.low, "high": drawn.high, "p": drawn.p}


def _note(one: Evaluated, other: Evaluated, metric: str) -> str:
    """What stands in the way of one of two models."""
    return one.notes.get(metric) or other.notes.get(metric) or "it is not a number"


def _logged(one: Evaluated, other: Evaluated, text: str) -> str:
    """The text, which the log has too."""
    log.warning("%s and %s: %s", one.made.model, other.made.model, text)
    return text


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
    return model if rows.all() else evaluated(model.made.take(rows), cfg.resamples, cfg.seed)


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


def _corrected(rows: Sequence[Row], resamples: int) -> list[Row]:
    """The rows with p corrected for all pairs of their fraction: one question, one family."""
    fractions = [row["fraction"] for row in rows]
    corrected = np.full(len(rows), np.nan)
    for fraction in set(fractions):
        family = [i for i, its in enumerate(fractions) if its == fraction]
        corrected[family] = holm(np.array([rows[i]["p"] for i in family], np.float64))
    tested = [row["fraction"] for row in rows if row["p"] is not None]
    _say_how_small(max(map(tested.count, tested), default=0), resamples)
    known = (None if np.isnan(p) else float(p) for p in corrected)
    return [row | {"p_holm": p} for row, p in zip(rows, known, strict=True)]


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
    parser.add_argument("--folds", type=Path, help="the task's folds: cases with the same slide")
    parser.add_argument("--slides", type=Path, help="the slide table, beside --folds")
    args = parser.parse_args(argv)
    cfg = read_task_settings(STEP, EvaluateSettings, args.cfg, args.task)
    together = drawn_together(args.folds, args.slides) if args.folds and args.slides else None
    run(args.predictions, args.out, args.differences, cfg, together)
