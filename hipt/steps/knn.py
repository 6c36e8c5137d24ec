"""What mean embeddings know of a task's classes: nearest units of the training part vote."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hipt.config.command_line import read_task_settings, step_parser
from hipt.config.recorded import settings_of
from hipt.config.step_settings import KnnSettings
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.registry import version_of
from hipt.stats.evaluation import Classified
from hipt.stats.knn import Distance, knn_shares
from hipt.store.provenance import fingerprint, made_by
from hipt.store.tables import Row, write_rows
from hipt.tasks.drawn_together import drawn_together, joined
from hipt.tasks.features import features_of
from hipt.tasks.inputs import unit_inputs
from hipt.tasks.means import Means, patch_means, region_means
from hipt.tasks.predictions import Predictions
from hipt.tasks.published import published_rows
from hipt.tasks.schemas import PUBLISHED, SCORES, knn_schema
from hipt.tasks.scores import evaluated, score_rows
from hipt.tasks.units import TEST, TRAIN, Units, read_units

log = logging.getLogger(__name__)

STEP = "knn"

WHOLE = 1.0
"""Share of the training part that votes."""


def run(folds: Path, slides: Path, out: Path, scores: Path, cfg: KnnSettings) -> None:
    """Write what the neighbours say of all test parts, how good that is, and published numbers.

    A unit is the mean of its vectors, neither scaled nor normalised. Each of the `k` nearest units
    of the training part has one vote, and a class's probability is its share of them; of classes
    with equal shares the first, in the order of the task's classes, counts as predicted. The
    validation part is not used.

    Args:
        folds: the task's table of folds.
        slides: the slide table.
        out: the predictions to make.
        scores: their scores to make, a model `knn_<level>_<distance>` for each; published ones
            lie beside them as `<task>.published.parquet`.
        cfg: the settings.

    Raises:
        HiptError: if the task has no classes, its slides cannot be read, or a training part is
            smaller than `k`.

    Source: code of Chen et al., CVPR 2022 (k-NN on slide vectors).
    """
    if cfg.kind != "classification":
        raise HiptError(
            f"tasks.{cfg.name}: is a survival task, and neighbours vote on classes; ask "
            "classification tasks alone"
        )
    units = read_units(folds)
    _refuse_too_few(units, cfg)
    together = drawn_together(folds, slides)
    lines: list[Row] = []
    scored: list[Row] = []
    for level in cfg.levels:
        means = _means(level, units, slides, cfg)
        size = len(means), level, means.shape[1]
        log.info("%s: %d means over %s vectors, %d wide", cfg.name, *size)
        for distance in cfg.distances:
            made = _predictions(out, units, means, level, distance, cfg.k)
            lines += [{"level": level, "distance": distance, **row} for row in _rows(made)]
            rows = score_rows(evaluated(joined(made, together), cfg.resamples, cfg.seed))
            scored += [{"task": cfg.name, **row} for row in rows]
    inputs = unit_inputs(units, cfg.features is not None)
    if together:
        inputs["together"] = fingerprint(cases=sorted(together.items()))
    step = STEP, version_of(STEP)
    provenance = made_by(step, settings_of(cfg, {"published"}), inputs)
    write_rows(scores, scored, SCORES, provenance)
    beside = list(published_rows(scored, cfg.kind, cfg.published, units))
    compared = made_by(step, settings_of(cfg), inputs)
    write_rows(out.with_suffix(".published.parquet"), beside, PUBLISHED, compared)
    write_rows(out, lines, knn_schema(units.outputs), provenance)


def _refuse_too_few(units: Units, cfg: KnnSettings) -> None:
    """Raise where fewer than `k` could vote: shares of k would not be comparable."""
    for fold in range(units.folds):
        voters = len(units.of(fold, TRAIN))
        if voters < cfg.k:
            raise HiptError(
                f"tasks.{cfg.name}: fold {fold} has {voters} to train on, fewer than the {cfg.k} "
                "neighbours of knn.k; lower it, or leave the task out by knn.tasks"
            )


def _means(level: str, units: Units, slides: Path, cfg: KnnSettings) -> Means:
    """[N, D] the vector of each unit."""
    if level == "patch":
        return patch_means(units, Results(slides.parent))
    return region_means(units, features_of(cfg.features, slides))


def _predictions(
    out: Path, units: Units, means: Means, level: str, distance: Distance, k: int
) -> Predictions:
    """The shares of the classes among the neighbours of all folds' test units."""
    tests = [units.of(fold, TEST) for fold in range(units.folds)]
    shares = []
    for fold, test in enumerate(tests):
        train = units.of(fold, TRAIN)
        voters = means[train], units.y[train]
        shares.append(knn_shares(means[test], *voters, k, units.outputs, distance))
    rows = np.concatenate(tests)
    return Predictions(
        path=out,
        model=f"{STEP}_{level}_{distance}",
        fraction=WHOLE,
        fold=np.repeat(np.arange(units.folds), [len(test) for test in tests]),
        unit=np.array(units.names)[rows],
        case=np.array(units.cases)[rows],
        predicted=Classified(units.y[rows], np.concatenate(shares)),
    )


def _rows(made: Predictions) -> Iterator[Row]:
    """The predictions as they are written."""
    assert isinstance(made.predicted, Classified)
    columns = (made.fold, made.unit, made.case, made.predicted.y, made.predicted.p)
    for fold, unit, case, y, p in zip(*(c.tolist() for c in columns), strict=True):
        shares = {f"p_{kind}": share for kind, share in enumerate(p)}
        yield {"fold": fold, "unit": unit, "case_id": case, "y": y, **shares}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the folds, the slide table, the settings, the two tables to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--folds", type=Path, required=True, help="the task's table of folds")
    parser.add_argument("--slides", type=Path, required=True, help="the slide table")
    parser.add_argument("--scores", type=Path, required=True, help="the table of scores to make")
    parser.add_argument("--task", help="the task's name, where --cfg is a config file")
    args = parser.parse_args(argv)
    cfg = read_task_settings(STEP, KnnSettings, args.cfg, args.task)
    run(args.folds, args.slides, args.out, args.scores, cfg)
