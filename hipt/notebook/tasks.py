"""A task's tables as frames: folds, predictions, scores, differences, and what can be drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from hipt.layout import Results
from hipt.notebook.names import refuse_unknown
from hipt.store.tables import read_table
from hipt.tasks import schemas

TABLES: dict[str, pa.Schema] = {
    "folds": schemas.FOLDS,
    "labels": schemas.LABELS,
    "leaks": schemas.LEAKS,
    "scores": schemas.SCORES,
    "differences": schemas.DIFFERENCES,
    "roc": schemas.ROC,
    "calibration": schemas.CALIBRATION,
    "survival": schemas.SURVIVAL,
    "errors": schemas.ERRORS,
    "published": schemas.PUBLISHED,
}
"""The tables in `results/tasks/<task>/` and their columns: docs/outputs.md."""


def task_names(results: Results) -> list[str]:
    """The tasks that have folds, rising."""
    return sorted(path.parent.name for path in (results.root / "tasks").glob("*/folds.parquet"))


def summary(results: Results) -> pl.DataFrame:
    """One row per task: its kind, units, cases and folds, the fitted models, what is scored."""
    rows = [OpenedTask(results, name)._facts() for name in task_names(results)]
    counts = dict.fromkeys(("slides", "units", "cases", "folds"), pl.Int64)
    schema: dict[str, Any] = {"task": pl.String, "kind": pl.String, **counts}
    schema |= {"models": pl.List(pl.String), "scored": pl.Boolean}
    return pl.DataFrame(rows, schema)


class OpenedTask:
    """One task of opened results; each table is read when it is asked for."""

    def __init__(self, results: Results, name: str) -> None:
        """A task by its name.

        Raises:
            HiptError: if there is no such task; with near names.
        """
        refuse_unknown(f"{results.root} has no task", name, task_names(results))
        self.name = name
        self._results = results

    def table(self, name: str) -> pl.DataFrame:
        """A table of the task by its name; without rows until it is made.

        Args:
            name: `folds`, `labels`, `leaks`, `scores`, `differences`, `roc`, `calibration`,
                `survival`, `errors` or `published`; docs/outputs.md has their columns.

        Raises:
            HiptError: if there is no such table, or it is damaged.
        """
        refuse_unknown("a task has no table", name, TABLES)
        return _read(self._results.task(self.name, f"{name}.parquet"), TABLES[name])

    @property
    def folds(self) -> pl.DataFrame:
        """One row per slide; `parts` has 0 training, 1 validation, 2 test, -1 unused per fold."""
        return self.table("folds")

    @property
    def predictions(self) -> pl.DataFrame:
        """What every fitted model says of what it never saw: a row per model, fold and test unit.

        Columns `model` and `fraction` of the training part, then those of `predictions.parquet`:
        p_0 ... and calibrated_0 ... of the classes, or risk (high: early event) and hazard_0 ...

        Raises:
            HiptError: if a table is damaged.
        """
        parts = [
            pl.DataFrame(read_table(path)).select(
                pl.lit(model).alias("model"), pl.lit(fraction).alias("fraction"), pl.all()
            )
            for model, fraction, path in self._fits()
        ]
        empty = pl.DataFrame(schema={"model": pl.String, "fraction": pl.Float64})
        return pl.concat([empty, *parts], how="diagonal")

    @property
    def scores(self) -> pl.DataFrame:
        """Scores of all models and of nearest neighbours; rows without `fold` have intervals.

        Raises:
            HiptError: if a table is damaged.
        """
        neighbours = _read(self._results.knn_scores(self.name), schemas.SCORES)
        return pl.concat([self.table("scores"), neighbours])

    @property
    def differences(self) -> pl.DataFrame:
        """Every pair of models on the same units: `model` minus `other`, 95 % interval, p."""
        return self.table("differences")

    @property
    def neighbours(self) -> pl.DataFrame:
        """What nearest neighbours say of the test parts (`knn:`); no columns where they were not.

        Raises:
            HiptError: if the table is damaged.
        """
        path = self._results.knn(self.name)
        return pl.DataFrame(read_table(path)) if path.is_file() else pl.DataFrame()

    def _facts(self) -> dict[str, object]:
        """The task's row of `tasks`."""
        folds = self.folds
        return {
            "task": self.name,
            "kind": "classification" if folds["time"].is_null().all() else "survival",
            "slides": len(folds),
            "units": folds["unit"].n_unique(),
            "cases": folds["case_id"].n_unique(),
            "folds": len(folds["parts"][0]) if len(folds) else 0,
            "models": sorted({model for model, _, _ in self._fits()}),
            "scored": self._results.task(self.name, "scores.parquet").is_file(),
        }

    def _fits(self) -> Iterator[tuple[str, float, Path]]:
        """Model, fraction and predictions of every finished fit, in order."""
        found = self._results.task(self.name, "").glob("*/*/predictions.parquet")
        yield from sorted((p.parents[1].name, float(p.parent.name), p) for p in found)

    def __repr__(self) -> str:
        facts = self._facts()
        models = ", ".join(sorted({model for model, _, _ in self._fits()})) or "none yet"
        return (
            f"task {self.name}: {facts['kind']} of {facts['units']} units in {facts['folds']} "
            f"folds; models: {models}"
        )


def _read(path: Path, schema: pa.Schema) -> pl.DataFrame:
    """A table; without rows where it is not there."""
    return pl.DataFrame(read_table(path, schema) if path.is_file() else schema.empty_table())
