"""What the report shows of heatmaps: some slides' pictures, examples, agreement with labels."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from hipt.config.config import Config
from hipt.errors import HiptError
from hipt.heatmaps.draw import side_by_side
from hipt.heatmaps.table import listed, read_maps
from hipt.layout import Results
from hipt.report.overviews import linked, overview
from hipt.stats.bootstrap import case_weights
from hipt.stats.intervals import interval
from hipt.stats.neighbours import evenly
from hipt.store.figures import KINDS, write_figure
from hipt.store.schemas import AGREEMENT
from hipt.store.tables import Row, read_table

log = logging.getLogger(__name__)

MOST_SLIDES = 6
"""Slides whose maps are in the page, evenly over those that have some; all are on disk."""

MAP_PX = 620
EXAMPLES_PX = 1500
"""Longest side of a picture."""

RESAMPLES, SEED = 1000, 0


def attention(slides: Sequence[Row], config: Config, results: Results) -> Row | None:
    """What is shown of slides in order; None if there are no maps and no examples."""
    there = {path.stem for path in (results.root / "attend").glob("*.parquet")}
    mapped = [row for row in slides if row["slide_id"] in there]
    examples = list(_examples(config, results))
    if not mapped and not examples:
        return None
    some = [mapped[i] for i in evenly(len(mapped), MOST_SLIDES)]
    return {
        "mapped": len(mapped),
        "shifts": config.attend.shifts,
        "stage_2": config.embed.regions.pool is None,
        "slides": [
            {
                "slide_id": row["slide_id"],
                "maps": list(_maps(row, results)),
                "figures": list(_figures(row, results)),
            }
            for row in some
        ],
        "examples": examples,
        "agreement": _agreement(results),
    }


def _maps(row: Row, results: Results) -> Iterator[Row]:
    """The pictures of one slide."""
    for path in listed(results.shard("attend", row["slide_id"])):
        if path.suffix == ".png" and (shown := overview(path, MAP_PX, results)):
            yield shown | {"name": path.stem}


def _figures(row: Row, results: Results) -> Iterator[Row]:
    """The maps of one slide side by side for papers: name and files; none if they are damaged."""
    folder = results.figures / "attend" / row["slide_id"]
    try:
        slide = read_maps(results.shard("attend", row["slide_id"]))
        for name, figure in side_by_side(slide, row, results):
            write_figure(folder, name, figure)
            yield {"name": name, "files": _files(folder, name, results)}
    except (HiptError, LookupError, ValueError) as error:
        log.warning("%s: its figures are left out: %s", row["slide_id"], error)


def _files(folder: Path, name: str, results: Results) -> list[str]:
    """Those files of a figure that are there, as the page links to them."""
    paths = [folder / f"{name}{kind}" for kind in KINDS]
    return [linked(path, results) for path in paths if path.is_file()]


def _examples(config: Config, results: Results) -> Iterator[Row]:
    """The contact sheets of tasks."""
    for task in config.tasks:
        path = results.task(task, "examples.jpg")
        if path.exists() and (shown := overview(path, EXAMPLES_PX, results)):
            files = _files(results.figures, f"examples-{task}", results)
            yield shown | {"task": task, "files": files}


def _agreement(results: Results) -> list[Row]:
    """Per map the mean over slides of its AUC, with an interval over cases."""
    if not results.agreement.exists():
        return []
    table = pl.DataFrame(read_table(results.agreement, AGREEMENT))
    return [_line(part) for part in table.partition_by("map", maintain_order=True)]


def _line(part: pl.DataFrame) -> Row:
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
