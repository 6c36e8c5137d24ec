"""What became of the slides, and which of them somebody should look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from hipt.cohort.batch_run import read_index
from hipt.config.config import Config
from hipt.embedding.precisions import COLUMNS as PRECISIONS
from hipt.embedding.precisions import counted, in_words
from hipt.errors import STATUSES, TROUBLE, Status
from hipt.layout import Results

LISTED = 25
"""Most slides that are listed per status; the table has all of them."""

MEANING: Mapping[Status, str] = {
    "ok": "in order: went through every step",
    "missing": "there is no file where the sheet says",
    "unreadable": "not a slide, cut off, or not allowed to be read",
    "no_mpp": "nothing says how many µm a pixel has",
    "too_coarse": "its finest level is coarser than the wanted resolution; nothing is enlarged",
    "no_tissue": "no tissue was found on it",
    "damaged": "too many of its tissue patches cannot be decoded",
    "failed": "something that nobody foresaw ended its work",
    "excluded": "left out by the sheet",
}

ADVICE: Mapping[Status, str] = {
    "missing": "Mend the path in the sheet, or see whether the disk is mounted.",
    "unreadable": "Try it in a viewer; copy it again from the scanner or the archive.",
    "no_mpp": "Fill in the sheet's column mpp, or set slides.default_mpp.",
    "too_coarse": "Take a finer scan, or set a coarser mpp for the whole run.",
    "damaged": "Copy it again; to accept the loss, raise embed.patches.max_unreadable.",
    "failed": "Mend what the reason names, and run the command that it ends with. Where it names a "
    "traceback, nobody foresaw this: send that file to hipt's issues.",
    "no_tissue": "Look at its picture below. If there is tissue on it, name a mask in the sheet's "
    "column mask, or lower segment.min_tissue_mm2.",
}
"""What to do about a slide that ended so; in the order in which they are listed."""

ONE_PRECISION = (
    "To have all slides in one, name it in embed.precision; embed.mixed_precision: refuse makes a "
    "mixture an error."
)


def statuses(table: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """How many slides ended how."""
    counts = Counter(table["status"])
    for status in STATUSES:
        if counts[status]:
            facts = {"status": status, "slides": counts[status], "meaning": MEANING[status]}
            yield facts | {"trouble": status in TROUBLE}


def concerns(table: pl.DataFrame, config: Config, results: Results) -> Iterator[dict[str, Any]]:
    """Slides that somebody should look at: status by status, those with remarks, those unmapped.

    Yields:
        name, advice, slides (how many) and listed (the first of them: slide_id, text).
    """
    for status, advice in ADVICE.items():
        yield from _concern(status, advice, table.filter(status=status), "reason")
    yield from _mixed_precisions(table)
    remarks = "These slides went on; see whether it is as you want it."
    yield from _concern("remarks", remarks, table.filter(pl.col("note") != ""), "note")
    yield from _concern("heatmaps failed", ADVICE["failed"], _unmapped(table, config, results))


def _mixed_precisions(table: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Slides whose vectors were made in another precision than most."""
    fine = table.filter(status="ok")
    for column, what in PRECISIONS.items():
        counts = counted(fine[column])
        if len(counts) > 1:
            others = fine.filter(pl.col(column) != next(iter(counts)))
            advice = f"{in_words(counts)}: they differ by bf16's rounding. {ONE_PRECISION}"
            yield from _concern(f"{what} in another precision", advice, others, column)


def _unmapped(table: pl.DataFrame, config: Config, results: Results) -> pl.DataFrame:
    """Slides in order whose heatmaps could not be made, and why: slide_id, reason."""
    folder = results.root / "attend" / "index"
    rows = (row for path in sorted(folder.glob("*.parquet")) for row in read_index(path))
    lost = {row["slide_id"]: row["reason"] for row in rows if row["status"] in TROUBLE}
    fine = set(table.filter(status="ok")["slide_id"]) if config.attend.slides else set()
    reasons = {slide_id: reason for slide_id, reason in lost.items() if slide_id in fine}
    columns = {"slide_id": list(reasons), "reason": list(reasons.values())}
    return pl.DataFrame(columns, dict.fromkeys(columns, pl.String))


def _concern(
    name: str, advice: str, slides: pl.DataFrame, column: str = "reason"
) -> Iterator[dict[str, Any]]:
    """One group of slides with the text of a column, the first of them listed; none, if empty."""
    if len(slides):
        listed = slides.head(LISTED).select("slide_id", text=column).to_dicts()
        yield {"name": name, "advice": advice, "slides": len(slides), "listed": listed}
