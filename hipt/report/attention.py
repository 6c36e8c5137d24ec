"""What the report shows of heatmaps: some slides' pictures, examples, agreement with labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import polars as pl

from hipt.config.config import Config
from hipt.heatmaps.table import listed
from hipt.layout import Results
from hipt.report.overviews import overview
from hipt.stats.bootstrap import case_weights
from hipt.stats.intervals import interval
from hipt.stats.neighbours import evenly
from hipt.store.schemas import AGREEMENT
from hipt.store.tables import read_table

MOST_SLIDES = 6
"""Slides whose maps are in the page, evenly over those that have some; all are on disk."""

MAP_PX = 620
EXAMPLES_PX = 1500
"""Longest side of a picture."""

RESAMPLES, SEED = 1000, 0

Row = dict[str, Any]


def attention(slides: Sequence[Row], config: Config, results: Results) -> Row | None:
    """What is shown; None if there are no maps and no examples.

    Args:
        slides: rows of the slide table that are in order.
        config: the whole config.
        results: where maps and examples lie.
    """
    there = {path.stem for path in (results.root / "attend").glob("*.parquet")}
    mapped = [row for row in slides if row["slide_id"] in there]
    examples = list(_examples(config, results))
    if not mapped and not examples:
        return None
    some = [mapped[i] for i in evenly(len(mapped), MOST_SLIDES)]
    return {
        "mapped": len(mapped),
        "shifts": config.attend.shifts,
        "slides": [{"slide_id": s["slide_id"], "maps": list(_maps(s, results))} for s in some],
        "examples": examples,
        "agreement": _agreement(results),
    }


def _maps(row: Row, results: Results) -> Iterator[Row]:
    """The pictures of one slide."""
    for path in listed(results.shard("attend", row["slide_id"])):
        if path.suffix == ".png" and (shown := _small(path, MAP_PX, results)):
            yield shown | {"name": path.stem}


def _examples(config: Config, results: Results) -> Iterator[Row]:
    """The contact sheets of tasks."""
    for name in config.tasks:
        path = results.task(name, "examples.jpg")
        if path.exists() and (shown := _small(path, EXAMPLES_PX, results)):
            yield shown | {"task": name}


def _small(path: Path, longest_px: int, results: Results) -> Row | None:
    """A picture, made small, and where the large one lies."""
    shown = overview(path, longest_px)
    if shown is None:
        return None
    return shown | {"file": quote(path.relative_to(results.root).as_posix())}


def _agreement(results: Results) -> list[Row]:
    """Per map the mean over slides of its AUC, with an interval over cases."""
    if not results.agreement.exists():
        return []
    table = pl.from_arrow(read_table(results.agreement, AGREEMENT))
    assert isinstance(table, pl.DataFrame)
    return [_line(part) for part in table.partition_by("map", maintain_order=True)]


def _line(part: pl.DataFrame) -> Row:
    """One map."""
    auc = part["auc"].to_numpy()
    cases = np.unique(part["case_id"].to_list(), return_inverse=True)[1]
    parts = case_weights(cases, RESAMPLES, SEED)
    around = interval(np.concatenate([weight @ auc / weight.sum(1) for weight in parts]))
    return {
        "map": part["map"][0],
        "slides": len(part),
        "auc": float(auc.mean()),
        "low": around.low,
        "high": around.high,
    }
