"""All that the page says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import polars as pl
import yaml

from hipt.config.config import Config
from hipt.layout import Results
from hipt.registry import COMMANDS
from hipt.report.attention import attention
from hipt.report.cohort import distributions, totals
from hipt.report.concerns import concerns, statuses
from hipt.report.costs import costs
from hipt.report.figures import published
from hipt.report.histograms import histograms
from hipt.report.made_with import encoders, engines, software
from hipt.report.neighbours import neighbours
from hipt.report.overviews import overview, pictured
from hipt.report.slide_table import slide_table
from hipt.report.tasks import tasks
from hipt.report.training import trainings
from hipt.store.schemas import PROBE
from hipt.store.tables import read_table

PICTURE_PX = 400
"""Longest side of a picture in the page."""

LOOKED_AT = ("slide_id", "case_id", "content", "path", "width_px", "mpp", "read_mpp")
"""What has to be known of a slide to show parts of it: of every slide, so nothing else."""


def facts(table: pl.DataFrame, config: Config, results: Results) -> dict[str, Any]:
    """What the page's template shows; its figures are written on the way.

    Raises:
        HiptError: if a table is damaged.
    """
    in_order = table.filter(status="ok").sort("case_id", "slide_id")
    fine, available = in_order.select(LOOKED_AT).to_dicts(), pictured(table, results)
    first = available[: config.report.overviews]
    pictures = ((row, overview(path, PICTURE_PX, results)) for row, path in first)
    return {
        "title": config.report.title,
        "made": f"{datetime.now(UTC):%-d %B %Y, %H:%M} UTC",
        "statuses": list(statuses(table)),
        "concerns": list(concerns(table, config, results)),
        "cohort": totals(table),
        "distributions": list(distributions(table)),
        "histograms": [published(drawn, results.figures) for drawn in histograms(table)],
        "table": slide_table(table),
        "pictures": [row | picture for row, picture in pictures if picture],
        "available": len(available),
        "trainings": [_with_files(training, results) for training in trainings(config, results)],
        "neighbours": list(neighbours(fine, results, config.tile)),
        "probes": list(_probes(results, config)),
        "tasks": list(tasks(config, results)),
        "attention": attention(fine, config, results),
        "encoders": list(encoders(table, results, config)),
        "engines": list(engines(results)),
        "software": software(),
        "steps": {name: step.version for name, step in COMMANDS.items() if step.version},
        "costs": list(costs(table, results)),
        "config": yaml.safe_dump(config.model_dump(), sort_keys=False, allow_unicode=True),
    }


def _with_files(training: dict[str, Any], results: Results) -> dict[str, Any]:
    """A training whose figure, if it has any, is written."""
    drawn = training["figure"]
    return training | {"figure": published(drawn, results.figures) if drawn else None}


def _probes(results: Results, config: Config) -> Iterator[dict[str, Any]]:
    """What the features know, by level and task; nothing if nobody asked."""
    labelled = config.probe.labels or config.probe.column
    if not labelled or not results.probe.exists():
        return
    table = pl.DataFrame(read_table(results.probe, PROBE))
    for part in table.partition_by("level", "task", maintain_order=True):
        ways = part.partition_by("method", "fraction", maintain_order=True)
        yield {**part.row(0, named=True), "ways": [way.to_dicts() for way in ways]}
