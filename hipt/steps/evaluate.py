"""How good the models of a task are, how far they differ, and what can be drawn of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa

from hipt.config.command_line import read_task_settings, step_parser
from hipt.config.recorded import settings_of
from hipt.config.step_settings import EvaluateSettings
from hipt.errors import HiptError
from hipt.registry import version_of
from hipt.stats.evaluation import Followed
from hipt.store.provenance import fingerprint, made_by
from hipt.store.shard import file_mark, read_provenance
from hipt.store.tables import write_rows, write_table
from hipt.tasks import schemas
from hipt.tasks.curves import (
    ColumnsOf,
    calibration_bins,
    roc_curves,
    survival_by_risk,
    table_of,
)
from hipt.tasks.differences import difference_rows, truth
from hipt.tasks.drawn_together import drawn_together, joined
from hipt.tasks.predictions import Predictions, read_predictions
from hipt.tasks.published import published_rows
from hipt.tasks.scores import evaluated, score_rows
from hipt.tasks.units import read_units
from hipt.tasks.worst_errors import worst_errors

log = logging.getLogger(__name__)

STEP = "evaluate"


def run(
    predictions: Sequence[Path],
    out: Path,
    differences: Path,
    cfg: EvaluateSettings,
    folds: Path | None = None,
    slides: Path | None = None,
) -> None:
    """Write the scores of all models and fractions, and the differences of all pairs of models.

    Beside the scores: `roc.parquet`, `calibration.parquet`, `survival.parquet`, `errors.parquet`
    and `published.parquet`; those that say nothing of the kind of task have no rows.

    Raises:
        HiptError: if predictions cannot be scored, or contradict each other about a unit.
    """
    read = [read_predictions(path, cfg.kind) for path in predictions]
    together = drawn_together(folds, slides) if folds and slides else {}
    if together:
        log.info("cases drawn with another one that holds the same slide: %d", len(together))
    models = [evaluated(joined(made, together), cfg.resamples, cfg.seed) for made in read]
    rows = [{"task": cfg.name, **row} for model in models for row in score_rows(model)]
    pairs = [{"task": cfg.name, **p} for p in difference_rows(models, cfg.resamples, cfg.seed)]
    inputs = {f"{made.model}/{made.fraction:g}": _mark(made) for made in read}
    same = {"together": fingerprint(cases=sorted(together.items()))} if together else {}
    step = STEP, version_of(STEP)
    scored = made_by(step, settings_of(cfg, {"classes", "published"}), inputs | same)
    write_rows(out, rows, schemas.SCORES, scored)
    write_rows(differences, pairs, schemas.DIFFERENCES, scored)
    units = read_units(folds) if folds else None
    known = inputs | ({"folds": file_mark(folds)} if folds else {})
    drawn = made_by(step, settings_of(cfg, {"resamples", "seed", "published"}), known)
    names = dict(enumerate(cfg.classes or ())) | dict(units.classes if units else {})
    tables: dict[str, tuple[pa.Schema, ColumnsOf]] = {
        "roc": (schemas.ROC, partial(roc_curves, names=names)),
        "calibration": (schemas.CALIBRATION, partial(calibration_bins, names=names)),
        "survival": (schemas.SURVIVAL, survival_by_risk),
        "errors": (schemas.ERRORS, partial(worst_errors, names=names)),
    }
    for name, (schema, columns_of) in tables.items():
        table = table_of(cfg.name, read, columns_of, schema)
        write_table(out.with_name(f"{name}.parquet"), table, schema, drawn)
    compared = made_by(step, settings_of(cfg, {"resamples", "seed"}), known)
    beside = list(published_rows(rows, cfg.kind, cfg.published, units))
    write_rows(out.with_name("published.parquet"), beside, schemas.PUBLISHED, compared)


def _mark(made: Predictions) -> str:
    """The fingerprint of predictions; of those of somebody else a digest of what they say."""
    try:
        return read_provenance(made.path).fingerprint
    except HiptError:
        values = made.predicted.risk if isinstance(made.predicted, Followed) else made.predicted.p
        content = [truth(made.predicted).tolist(), values.tolist()]
        return fingerprint(keys=made.keys, case=made.case.tolist(), content=content)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the task's name, the predictions, the settings, the tables to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--task", help="the task's name, where --cfg is a config file")
    add = partial(parser.add_argument, type=Path, required=True)
    add("--predictions", nargs="+", help="<model>/<fraction>/predictions.parquet of each fit")
    add("--differences", help="the table of pairs of models to make")
    parser.add_argument("--folds", type=Path, help="the task's folds: names, what folds share")
    parser.add_argument("--slides", type=Path, help="the slide table: cases with the same slide")
    args = parser.parse_args(argv)
    cfg = read_task_settings(STEP, EvaluateSettings, args.cfg, args.task)
    run(args.predictions, args.out, args.differences, cfg, args.folds, args.slides)
