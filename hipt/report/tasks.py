"""What the report says of prediction tasks: scores, figures, worst errors, differences, leaks."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from hipt.config.config import Config
from hipt.config.tasks import LINEAR, TaskConfig
from hipt.config.trained import resolved
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.pretraining.lineage import seen_by
from hipt.report.class_figures import MOST_CURVES, calibration_drawn, roc_drawn
from hipt.report.errors import error_groups, with_pictures, with_slides
from hipt.report.figures import Drawn, published
from hipt.report.survival_figures import survival_drawn
from hipt.stats.evaluation import METRICS
from hipt.store.tables import read_table
from hipt.tasks import schemas
from hipt.tasks.labels.facts import Fact, sentences

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

SURVIVAL_CURVES = 2
"""Most models whose survival by risk is drawn."""

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
    scores = _frame(results.task(name, "scores.parquet"), schemas.SCORES)
    folds = _frame(results.task(name, "folds.parquet"), schemas.FOLDS)
    leaks = _frame(results.task(name, "leaks.parquet"), schemas.LEAKS)
    differences = _frame(results.task(name, "differences.parquet"), schemas.DIFFERENCES)
    beside = _published(name, results)
    neighbours = results.knn_scores(name)
    table = (
        pl.concat([scores, _frame(neighbours, schemas.SCORES)]) if neighbours.exists() else scores
    )
    metrics = METRICS[task.kind]
    ranked = _ranked(scores, metrics[0])
    return {
        "name": name,
        "kind": task.kind,
        "by": task.by,
        "split": task.split,
        "slides": len(folds),
        "cases": folds["case_id"].n_unique(),
        "folds": folds["parts"].list.len()[0],
        "metrics": [NAMES[m] for m in metrics],
        "main": NAMES[metrics[0]],
        "models": list(_models(table, metrics, beside)),
        "test_share": next(iter(beside["test_share"].drop_nulls()), None),
        "notes": list(_notes(table)),
        "download": _download(table),
        "fraction": max(scores["fraction"].to_list(), default=1.0),
        "best": next(iter(ranked), None),
        **_drawn(name, task, results, folds, ranked),
        "differences": differences.to_dicts(),
        "believed": BELIEVED,
        "linear_wins": _linear_wins(scores, metrics[0]),
        "labels": list(_labels(name, task, results)),
        "leaks": dict(leaks.group_by("kind").len().sort("kind").iter_rows()),
    }


def _labels(name: str, task: TaskConfig, results: Results) -> Iterator[str]:
    """What became of the task's labels."""
    path = results.task(name, "labels.parquet")
    if path.exists():  # not beside folds of an earlier version
        rows = read_table(path, schemas.LABELS).to_pylist()
        yield from sentences([Fact(**row) for row in rows], task.columns)


def _unknown(config: Config, task: TaskConfig) -> list[str]:
    """What is behind a task's features of which nobody can say what it was trained on."""
    if task.features is not None:
        return [Path(task.features).name]
    used = resolved(config).embed
    weights = [path for path in (used.patches.weights, used.regions.weights) if path is not None]
    imported = [used.patches.features] if used.patches.features is not None else []
    return [Path(path).name for path in (*imported, *seen_by(weights).unknown)]


def _published(name: str, results: Results) -> pl.DataFrame:
    """Published numbers beside those of fitted models and nearest neighbours."""
    paths = (results.task(name, "published.parquet"), results.knn_published(name))
    empty = pl.DataFrame(schemas.PUBLISHED.empty_table())
    return pl.concat([empty, *(_frame(path, schemas.PUBLISHED) for path in paths if path.exists())])


def _models(
    scores: pl.DataFrame, metrics: Sequence[str], published: pl.DataFrame
) -> Iterator[dict[str, Any]]:
    """Per fraction and model: over folds and over all test parts together, score by score."""
    beside = {(row["model"], row["fraction"]): row for row in published.to_dicts()}
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
        theirs = beside.get((model, fraction))
        yield {"model": model, "fraction": fraction, "scores": values, "published": theirs}


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


def _ranked(scores: pl.DataFrame, metric: str) -> dict[str, dict[str, Any]]:
    """Pooled scores of models fitted with the largest fraction, the best mean first."""
    whole = scores.filter(
        pl.col("fold").is_null(),
        pl.col("value").is_not_null(),
        pl.col("fraction") == pl.col("fraction").max(),
    ).to_dicts()
    means = {row["model"]: row["value"] for row in whole if row["metric"] == f"{metric}_mean"}
    pooled = {row["model"]: row for row in whole if row["metric"] == metric}
    best = sorted(pooled, key=lambda model: -means.get(model, -1.0))
    return {model: pooled[model] for model in best}


def _in_words(row: Mapping[str, Any]) -> str:
    """A score with its interval."""
    known = row["low"] is not None
    return f"{row['value']:.3f}" + (f" ({row['low']:.3f} to {row['high']:.3f})" if known else "")


def _drawn(
    name: str,
    task: TaskConfig,
    results: Results,
    folds: pl.DataFrame,
    ranked: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Figures and worst errors; none where a table of theirs cannot be read, as the log says."""
    figures, errors = [], []
    try:
        if ranked:
            figures = list(_figures(name, task, results, ranked))
            errors = list(_errors(name, task, results, folds, ranked))
    except HiptError as error:
        log.warning("task %s is shown without figures: %s", name, error)
        figures = []
    return {"figures": [published(drawn, results.figures) for drawn in figures], "errors": errors}


def _figures(
    name: str, task: TaskConfig, results: Results, ranked: Mapping[str, Mapping[str, Any]]
) -> Iterator[Drawn]:
    """Of the best model, the baseline (or the second best), and the next best ones."""
    best = next(iter(ranked))
    chosen = list(dict.fromkeys([best, *(model for model in ranked if model == LINEAR), *ranked]))

    def rows(table: str, schema: pa.Schema) -> pl.DataFrame:
        whole = _frame(results.task(name, f"{table}.parquet"), schema)
        return whole.filter(fraction=ranked[best]["fraction"])

    if task.kind == "classification":
        scores = {model: _in_words(ranked[model]) for model in chosen[:MOST_CURVES]}
        yield from roc_drawn(name, rows("roc", schemas.ROC), scores, ranked[best]["units"], task.by)
        yield calibration_drawn(name, rows("calibration", schemas.CALIBRATION), chosen)
        return
    survival = rows("survival", schemas.SURVIVAL)
    for model in chosen[:SURVIVAL_CURVES]:
        yield from survival_drawn(name, model, survival.filter(model=model), task.by)


def _errors(
    name: str,
    task: TaskConfig,
    results: Results,
    folds: pl.DataFrame,
    ranked: Mapping[str, Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    """The best model's worst errors; with pictures unless features come from a file."""
    best = next(iter(ranked))
    table = _frame(results.task(name, "errors.parquet"), schemas.ERRORS)
    own = table.filter(model=best, fraction=ranked[best]["fraction"])
    by_unit = folds.sort("slide_id").group_by("unit", maintain_order=True).agg("slide_id")
    slides = dict(by_unit.iter_rows())
    for heading, errors in error_groups(own, task.kind):
        listed = with_slides(errors, slides)
        if task.features is None:
            listed = with_pictures(listed, slides, results)
        yield {"kind": heading, "rows": list(listed)}


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


def _frame(path: Path, schema: pa.Schema) -> pl.DataFrame:
    return pl.DataFrame(read_table(path, schema))
