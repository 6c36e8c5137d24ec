"""Overviews of slides that earlier steps drew, made small for a page."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from hipt.errors import TROUBLE, HiptError
from hipt.layout import Results
from hipt.report.page import data_uri
from hipt.store.images import read_rgb

log = logging.getLogger(__name__)

SHOWN = ("slide_id", "status", "regions", "tissue_mm2")
"""What the page says of a slide below its picture."""


def overview(path: Path, longest_px: int, results: Results) -> dict[str, Any] | None:
    """A picture as an <img> shows it: data, width and height, and the large one's file.

    None if it cannot be read; the log says why.
    """
    try:
        rgb = read_rgb(path)
    except HiptError as error:
        log.warning("%s: left out of the page", error)
        return None
    height, width = rgb.shape[:2]
    shown = {"data": data_uri(rgb, longest_px), "width": width, "height": height}
    return shown | {"file": linked(path, results)}


def linked(path: Path, results: Results) -> str:
    """A file of the results, as the page links to it."""
    return quote(path.relative_to(results.root).as_posix())


def pictured(table: pl.DataFrame, results: Results) -> list[tuple[dict[str, Any], Path]]:
    """Slides that have an overview, and it: troubled ones first, then those with most regions.

    Returns:
        A row with SHOWN, and the picture's path.
    """
    steps = ("tile", "segment")
    there = {step: {path.name for path in (results.root / step).glob("*.jpg")} for step in steps}
    order = table.filter(pl.col("tissue_mm2").is_not_null()).sort(
        pl.col("status").is_in(list(TROUBLE)),
        pl.col("status") != "ok",
        pl.col("note") != "",
        pl.col("regions").fill_null(0),
        descending=True,
        maintain_order=True,
    )
    slides = []
    for row in order.select(SHOWN).iter_rows(named=True):
        for step in steps[1:] if row["regions"] is None else steps:
            path = results.overview(step, row["slide_id"])
            if path.name in there[step]:
                slides.append((row, path))
                break
    return slides
