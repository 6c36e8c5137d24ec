"""What the report says of prediction tasks: scores, figures, worst errors, differences, leaks."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hipt.config.config import Config
from hipt.config.tasks import LINEAR, NEIGHBOURS, TaskConfig
from hipt.config.trained import resolved
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.pretraining.lineage import seen_by
from hipt.report.class_figures import Shown, class_figures
from hipt.report.errors import with_pictures, with_slides, worst_errors
from hipt.report.survival_figures import survival_figure
from hipt.stats.evaluation import METRICS, Classified, Ints
from hipt.stats.fold_error import corrected_error, share_tested
from hipt.store.tables import read_table
from hipt.tasks.labels.facts import Fact, sentences
from hipt.tasks.predictions import Predictions, read_predictions
from hipt.tasks.schemas import DIFFERENCES, FOLDS, LABELS, LEAKS, SCORES
from hipt.tasks.units import TEST, UNUSED

log = logging.getLogger(__name__)

NAMES = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "kappa": "quadratic kappa",
    "brier": "Brier score",
    "c_index": "c-index (Harrell)",
    "uno_c": "c-index (Uno)",
    "dynamic_auc": "AUC over time",
}

BELIEVED = 0.05
"""The corrected p below which a difference is called one."""

DRAWN = 4
"""Most models whose predictions are read for figures."""

PREDICTIONS = "predictions.parquet"
"""What a fit leaves; see `hipt.tasks.predictions`."""

PAPERS_NEIGHBOURS = "knn_region_euclidean"
"""The row of nearest neighbours that was published."""

MOST_DOWNLOAD = 200_000
"""Bytes of a table of scores that the page still carries."""


def tasks(config: Config, results: Results) -> Iterator[dict[str, Any]]:
    """The tasks that are evaluated, in the order of the config.

    Raises:
        HiptError: if a table is damaged.
    """
    for name, task in config.tasks.items():
        if results.task(name, "scores.parquet").exists():
            yield {**_task(name, task, results), "unknown": _unknown(config, task)}


def _task(name: str, task: TaskConfig, results: Results) -> dict[str, Any]:
    """One task."""
    scores = _frame(read_table(results.task(name, "scores.parquet"), SCORES))
    folds = _frame(read_table(results.task(name, "folds.parquet"), FOLDS))
    leaks = _frame(read_table(results.task(name, "leaks.parquet"), LEAKS))
    differences = _frame(read_table(results.task(name, "differences.parquet"), DIFFERENCES))
    table = pl.concat([scores, *_neighbours(name, results)])
    metrics = METRICS[task.kind]
    main, parts = metrics[0], _parts(folds)
    ranked, fraction = _ranked(scores, main), max(scores["fraction"].to_list(), default=1.0)
    made = _drawn(name, task, results, list(ranked), fraction) if ranked else []
    classes = _classes(folds, task, made)
    return {
        "name": name,
        "kind": task.kind,
        "by": task.by,
        "split": task.split,
        "slides": len(folds),
        "cases": folds["case_id"].n_unique(),
        "folds": parts.shape[1],
        "metrics": [NAMES[m] for m in metrics],
        "main": NAMES[main],
        "models": list(_models(table, metrics, _published(task), parts)),
        "test_share": _test_share(parts),
        "notes": list(_notes(table)),
        "download": _download(table),
        "figures": list(_figures(name, made, classes, task.by, ranked)),
        "fraction": fraction,
        "best": made[0].model if made else None,
        "errors": list(_errors(made[0], classes, folds, task, results)) if made else [],
        "differences": differences.to_dicts(),
        "believed": BELIEVED,
        "linear_wins": _linear_wins(scores, main),
        "labels": list(_labels(name, task, results)),
        "leaks": dict(leaks.group_by("kind").len().sort("kind").iter_rows()),
    }


def _labels(name: str, task: TaskConfig, results: Results) -> Iterator[str]:
    """What became of the task's labels."""
    path = results.task(name, "labels.parquet")
    if path.exists():  # not beside folds of an earlier version
        rows = read_table(path, LABELS).to_pylist()
        yield from sentences([Fact(**row) for row in rows], task.columns)


def _unknown(config: Config, task: TaskConfig) -> list[str]:
    """What is behind a task's features of which nobody can say what it was trained on."""
    if task.features is not None:
        return [Path(task.features).name]
    used = resolved(config).embed
    weights = [path for path in (used.patches.weights, used.regions.weights) if path is not None]
    imported = [used.patches.features] if used.patches.features is not None else []
    return [Path(path).name for path in (*imported, *seen_by(weights).unknown)]


def _neighbours(name: str, results: Results) -> Iterator[pl.DataFrame]:
    """The scores of nearest neighbours, where there are some."""
    if (path := results.knn_scores(name)).exists():
        yield _frame(read_table(path, SCORES))


def _parts(folds: pl.DataFrame) -> Ints:
    """(N, folds) the part of each unit."""
    by_unit = folds.unique("unit", maintain_order=True)["parts"]
    return np.array(by_unit.to_list(), np.int64)


def _test_share(parts: Ints) -> float:
    """Share of its units that a fold tests."""
    return share_tested(parts == TEST, parts != UNUSED)


Published = Mapping[tuple[str, float], tuple[float, float]]
"""Mean and deviation, by model and fraction."""


def _published(task: TaskConfig) -> Published:
    """The numbers of others, by the names of our rows."""
    ours = {NEIGHBOURS: PAPERS_NEIGHBOURS}
    return {
        (ours.get(model, model), fraction): (pair[0], pair[1])
        for model, numbers in task.published.items()
        for fraction, pair in numbers.items()
    }


def _models(
    scores: pl.DataFrame, metrics: Sequence[str], published: Published, parts: Ints
) -> Iterator[dict[str, Any]]:
    """Per fraction and model: over folds and over all test parts together, score by score."""
    for part in scores.partition_by("fraction", "model", maintain_order=True):
        pooled = {row["metric"]: row for row in part.filter(pl.col("fold").is_null()).to_dicts()}
        model, fraction = part["model"][0], part["fraction"][0]
        values = [
            {
                "pooled": pooled[m] if pooled.get(m, {}).get("value") is not None else None,
                "mean": pooled.get(f"{m}_mean", {}).get("value"),
                "sd": pooled.get(f"{m}_sd", {}).get("value"),
            }
            for m in metrics
        ]
        theirs = published.get((model, fraction))
        of_folds = part.filter(pl.col("fold").is_not_null(), pl.col("metric") == metrics[0])
        scored = int(of_folds["value"].is_not_null().sum())
        beside = _beside(values[0], theirs, scored, parts) if theirs else None
        yield {"model": model, "fraction": fraction, "scores": values, "published": beside}


def _beside(
    ours: Mapping[str, Any], theirs: tuple[float, float], scored: int, parts: Ints
) -> dict[str, Any]:
    """A published number, and how far ours is from it in standard errors of the difference.

    Theirs are taken to be of as many folds as the task has, cut alike.

    Args:
        ours: `mean` and `sd` over folds.
        theirs: mean and standard deviation over folds.
        scored: our folds that have the score.
        parts: (N, folds) of our units.
    """
    mean, sd = theirs
    beside: dict[str, Any] = {"mean": mean, "sd": sd, "difference": None, "errors": None}
    if ours["mean"] is None:
        return beside
    beside["difference"] = ours["mean"] - mean
    if ours["sd"] is not None and 0 < (share := _test_share(parts)) < 1:
        own = corrected_error(ours["sd"], scored, share)
        error = np.hypot(own, corrected_error(sd, parts.shape[1], share))
        beside["errors"] = float(beside["difference"] / error) if error > 0 else None
    return beside


def _notes(table: pl.DataFrame) -> Iterator[str]:
    """What is said of scores over all folds that are missing, or have no interval."""
    over_all = table.filter(pl.col("fold").is_null(), pl.col("note").is_not_null())
    groups: dict[tuple[str, str], list[str]] = {}
    for model, fraction, metric, note in over_all.select(
        "model", "fraction", "metric", "note"
    ).iter_rows():
        if metric in NAMES:  # what mean and deviation leave out is in the table
            groups.setdefault((NAMES[metric], note), []).append(f"{model} ({100 * fraction:g} %)")
    for (metric, note), models in groups.items():
        yield f"{metric} of {', '.join(models)}: {note}"


def _ranked(scores: pl.DataFrame, metric: str) -> dict[str, str]:
    """Pooled scores of models fitted with the largest fraction, the best mean first."""
    whole = scores.filter(
        pl.col("fold").is_null(),
        pl.col("value").is_not_null(),
        pl.col("fraction") == pl.col("fraction").max(),
    ).to_dicts()
    means = {row["model"]: row["value"] for row in whole if row["metric"] == f"{metric}_mean"}
    pooled = {row["model"]: _in_words(row) for row in whole if row["metric"] == metric}
    best = sorted(pooled, key=lambda model: -means.get(model, -1.0))
    return {model: pooled[model] for model in best}


def _in_words(row: Mapping[str, Any]) -> str:
    """A score with its interval."""
    known = row["low"] is not None
    return f"{row['value']:.3f}" + (f" ({row['low']:.3f} to {row['high']:.3f})" if known else "")


def _drawn(
    name: str, task: TaskConfig, results: Results, models: Sequence[str], fraction: float
) -> list[Predictions]:
    """Predictions of the best model, the baseline (or the second best), and the next best ones.

    None at all where one cannot be read; the log says so.
    """
    beside = [model for model in models[1:] if model == LINEAR]
    chosen = list(dict.fromkeys([*models[:1], *beside, *models]))[:DRAWN]
    paths = (results.fit(name, model, f"{fraction:g}", PREDICTIONS) for model in chosen)
    try:
        return [read_predictions(path, task.kind) for path in paths]
    except HiptError as error:
        log.warning("task %s is shown without figures: %s", name, error)
        return []


def _classes(folds: pl.DataFrame, task: TaskConfig, made: Sequence[Predictions]) -> list[str]:
    """Names of the classes; none for survival."""
    if not made or not isinstance(made[0].found, Classified):
        return []
    kinds = made[0].found.p.shape[1]
    named = dict(enumerate(task.classes or map(str, range(kinds))))
    named |= dict(folds.filter(pl.col("y").is_not_null()).select("y", "label").iter_rows())
    return [named[k] for k in range(kinds)]


def _figures(
    name: str, made: Sequence[Predictions], classes: Sequence[str], by: str, said: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """What is drawn of a task: of survival the best model and the one beside it."""
    if classes:
        yield from class_figures(name, [Shown(one, said[one.model]) for one in made], classes, by)
        return
    for one in made[:2]:
        yield from survival_figure(name, one, by)


def _errors(
    made: Predictions,
    classes: Sequence[str],
    folds: pl.DataFrame,
    task: TaskConfig,
    results: Results,
) -> Iterator[dict[str, Any]]:
    """The worst errors; with pictures unless the task takes its features from a file."""
    by_unit = folds.sort("slide_id").group_by("unit", maintain_order=True).agg("slide_id")
    slides = dict(by_unit.iter_rows())
    for kind, rows in worst_errors(made, classes):
        listed = with_slides(rows, slides)
        if task.features is None:
            listed = with_pictures(listed, slides, results)
        yield {"kind": kind, "rows": listed}


def _download(table: pl.DataFrame) -> str | None:
    """The scores as CSV in a link; None if that would be large."""
    text = table.write_csv().encode()
    if len(text) > MOST_DOWNLOAD:
        return None
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(text).decode()}"


def _linear_wins(scores: pl.DataFrame, metric: str) -> list[str]:
    """The models that the baseline is at least as good as, fitted with everything."""
    whole = scores.filter(
        pl.col("value").is_not_null(),
        pl.col("metric") == f"{metric}_mean",
        pl.col("fraction") == pl.col("fraction").max(),
    )
    value = dict(zip(whole["model"], whole["value"], strict=True))
    return [m for m, v in value.items() if m != LINEAR and v <= value.get(LINEAR, -1.0)]


def _frame(table: Any) -> pl.DataFrame:  # noqa: ANN401
    """An Arrow table for polars."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
