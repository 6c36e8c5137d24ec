"""What the report says of prediction tasks: scores with intervals, differences, leaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from hipt.config import Config
from hipt.core.evaluation import METRICS
from hipt.io.results import Results
from hipt.io.tables import read_table
from hipt.io.task_tables import DIFFERENCES, FOLDS, LEAKS, SCORES

NAMES = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "kappa": "quadratic kappa",
    "brier": "Brier score",
    "c_index": "c-index (Harrell)",
    "uno_c": "c-index (Uno)",
}

BELIEVED = 0.05
"""The corrected p below which a difference is called one."""


def tasks(config: Config, results: Results) -> Iterator[dict[str, Any]]:
    """The tasks that are evaluated, in the order of the config.

    Raises:
        HiptError: if a table is damaged.
    """
    for name, task in config.tasks.items():
        path = results.task(name, "scores.parquet")
        if not path.exists():
            continue
        scores = _frame(read_table(path, SCORES))
        folds = _frame(read_table(results.task(name, "folds.parquet"), FOLDS))
        leaks = _frame(read_table(results.task(name, "leaks.parquet"), LEAKS))
        differences = _frame(read_table(results.task(name, "differences.parquet"), DIFFERENCES))
        metrics = [m for m in METRICS[task.kind] if m in set(scores["metric"])]
        yield {
            "name": name,
            "kind": task.kind,
            "split": task.split,
            "slides": len(folds),
            "cases": folds["case_id"].n_unique(),
            "folds": len(folds["parts"][0]),
            "metrics": [NAMES[m] for m in metrics],
            "main": NAMES[METRICS[task.kind][0]],
            "models": list(_models(scores, metrics)),
            "differences": differences.to_dicts(),
            "believed": BELIEVED,
            "linear_wins": _linear_wins(scores, METRICS[task.kind][0]),
            "leaks": dict(leaks.group_by("kind").len().sort("kind").iter_rows()),
        }


def _models(scores: pl.DataFrame, metrics: list[str]) -> Iterator[dict[str, Any]]:
    """Per fraction and model: over folds and over all test parts together, score by score."""
    for part in scores.partition_by("fraction", "model", maintain_order=True):
        pooled = {row["metric"]: row for row in part.filter(pl.col("fold").is_null()).to_dicts()}
        yield {
            "model": part["model"][0],
            "fraction": part["fraction"][0],
            "scores": [
                {
                    "pooled": pooled.get(m),
                    "mean": pooled.get(f"{m}_mean", {}).get("value"),
                    "sd": pooled.get(f"{m}_sd", {}).get("value"),
                }
                for m in metrics
            ],
        }


def _linear_wins(scores: pl.DataFrame, metric: str) -> list[str]:
    """The models that the baseline is at least as good as, fitted with everything."""
    whole = scores.filter(
        pl.col("fold").is_null(),
        pl.col("metric") == f"{metric}_mean",
        pl.col("fraction") == pl.col("fraction").max(),
    )
    value = dict(zip(whole["model"], whole["value"], strict=True))
    return [m for m, v in value.items() if m != "linear" and v <= value.get("linear", -1.0)]


def _frame(table: Any) -> pl.DataFrame:  # noqa: ANN401
    """An Arrow table for polars."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
