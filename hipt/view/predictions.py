"""What the tasks' models say of a slide, by the folds that tested it, beside the truth."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from hipt.errors import HiptError
from hipt.layout import Results
from hipt.store.tables import Row, read_table
from hipt.tasks.units import Units, read_units
from hipt.view.answers import finite
from hipt.view.bounded import Bounded

log = logging.getLogger(__name__)

MOST_TABLES = 256
"""Tables of predictions that are kept in memory; each has a row per fold and tested unit."""


@dataclass(frozen=True)
class Task:
    """A task's units, and the tables of what was predicted of them."""

    name: str
    units: Units
    unit_of: Mapping[str, int]
    """The unit of each slide."""


class Predictions:
    """The predictions of all tasks, read when they are asked for."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._tasks: Bounded[tuple[Path, int], Task] = Bounded(MOST_TABLES)
        self._tables: Bounded[tuple[Path, int], pl.DataFrame] = Bounded(MOST_TABLES)

    def of(self, slide_id: str, tasks: tuple[str, ...]) -> list[Row]:
        """A row per task, model, fraction and fold that tested the slide's unit.

        A table that cannot be read is left out, and the log says why.
        """
        rows: list[Row] = []
        for name in tasks:
            try:
                rows += self._of_task(name, slide_id)
            except (HiptError, OSError) as error:
                log.warning("%s; left out of the predictions", error)
        return rows

    def _of_task(self, name: str, slide_id: str) -> Iterator[Row]:
        path = self._results.task(name, "folds.parquet")
        task = self._tasks.get((path, path.stat().st_mtime_ns), lambda: _task(name, path))
        place = task.unit_of.get(slide_id)
        if place is None:
            return
        unit = task.units.names[place]
        for made in sorted(path.parent.glob("*/*/predictions.parquet")):
            head = {"task": name, "model": made.parts[-3], "fraction": made.parts[-2]}
            yield from (head | row for row in self._rows(task, made, unit))
        nearest = self._results.knn(name)
        if nearest.exists():
            for row in self._rows(task, nearest, unit):
                model = f"knn, {row.pop('level')}, {row.pop('distance')}"
                yield {"task": name, "model": model, "fraction": "1"} | row

    def _rows(self, task: Task, path: Path, unit: str) -> Iterator[Row]:
        """What a table says of a unit."""
        key = path, path.stat().st_mtime_ns
        table = self._tables.get(key, lambda: pl.DataFrame(read_table(path)))
        for row in table.filter(pl.col("unit") == unit).sort("fold").iter_rows(named=True):
            yield _row(row, task.units.classes)


def _task(name: str, path: Path) -> Task:
    units = read_units(path)
    return Task(name, units, {s: i for i, slides in enumerate(units.slides) for s in slides})


def _row(row: Mapping[str, Any], classes: Mapping[int, str]) -> Row:
    """A row of a table of predictions as the page shows it."""
    head = {name: row[name] for name in ("fold", "level", "distance") if name in row}
    if "risk" in row:
        return head | {
            "kind": "survival",
            "truth": None,
            "predicted": None,
            "scores": {"risk": finite(row["risk"])},
            "months": finite(row["time"]),
            "event": row["event"],
        }
    p = [row[name] for name in row if name.startswith("p_")]
    names = [classes.get(k, f"class {k}") for k in range(len(p))]
    likeliest = max(range(len(p)), key=lambda k: (p[k], -k))
    return head | {
        "kind": "classification",
        "truth": classes.get(row["y"], f"class {row['y']}"),
        "predicted": names[likeliest],
        "scores": {name: finite(value) for name, value in zip(names, p, strict=True)},
        "months": None,
        "event": None,
    }
