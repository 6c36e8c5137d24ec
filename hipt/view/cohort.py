"""The cohort as far as a run has come: a row per slide, from the slide table or the indices."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from hipt.cohort.ledger import read_ledger
from hipt.cohort.same_content import groups_of
from hipt.cohort.sheet import read_sheet
from hipt.cohort.so_far import so_far
from hipt.config.config import Config
from hipt.errors import HiptError
from hipt.layout import LEDGER, Results
from hipt.registry import EVERY_SLIDE
from hipt.store.schemas import INDICES, SLIDES
from hipt.store.tables import Row, read_table
from hipt.view.answers import RefusedError, finite, quoted, without_folders

log = logging.getLogger(__name__)

WAITING = "waiting"
"""The status of a slide that a run has not come to the end of."""

WHOLE = "[!.]*.parquet"
"""Files that are written; those being written begin with a dot."""

Mark = tuple[tuple[str, int], ...]
"""Changes when the cohort has to be read again."""


def refuse_other_folder(results: Results) -> None:
    """Refuse a folder that holds no results.

    Raises:
        HiptError: saying what it is instead.
    """
    if not results.root.is_dir():
        raise HiptError(
            f"{results.root}: no such folder of results; run `snakemake` first, or name another "
            "with --results"
        )
    if not results.batches.is_file() and not results.slides.is_file():
        raise HiptError(
            f"{results.root}: is not a folder of hipt's results (it has neither {LEDGER} nor "
            f"{results.slides.name}); name another with --results"
        )


@dataclass(frozen=True)
class Cohort:
    """All slides: rows as of `SLIDES`, and whose heatmaps there are."""

    rows: Sequence[Row]
    mapped: frozenset[str]
    tasks: tuple[str, ...]
    place: Mapping[str, int] = field(default_factory=dict)
    """Of each slide among the rows."""
    group: Mapping[str, str] = field(default_factory=dict)
    """By slide its case; cases that hold the same slide are one."""

    def slide(self, slide_id: str) -> Row:
        """A slide's row.

        Raises:
            RefusedError: 404, if there is no such slide.
        """
        place = self.place.get(slide_id)
        if place is None:
            raise RefusedError(404, f"there is no slide {quoted(slide_id)} in these results")
        return self.rows[place]

    def columns(self) -> dict[str, list[Any]]:
        """What the page's table shows, column by column."""
        named = {"slide": "slide_id", "case": "case_id", "status": "status"}
        numbers = ("mpp", "tissue_mm2", "regions", "patches")
        return {
            **{name: [row[column] for row in self.rows] for name, column in named.items()},
            "reason": [reason_of(row) for row in self.rows],
            **{name: [_number(row[name]) for row in self.rows] for name in numbers},
            "has_map": [row["slide_id"] in self.mapped for row in self.rows],
        }


def reason_of(row: Row) -> str:
    """Why a slide ended as it did, without the folders of this machine."""
    path, reason = Path(row["path"]), str(row["reason"])
    return without_folders(reason.replace(str(path), path.name) if path.name else reason)


def mark_of(results: Results) -> Mark:
    """What changes whenever a step has gone on."""
    folders = [results.index(step, "b").parent for step in INDICES]
    watched = [results.slides, results.batches, results.root / "tasks", *folders]
    watched += [results.root / "attend", *sorted((results.root / "tasks").glob("*"))]
    return tuple((path.name, _changed(path)) for path in watched)


def read_cohort(results: Results, config: Config) -> Cohort:
    """The cohort as it is now.

    Slides of the slide table are as it says; those that it lacks, since the run goes on or they
    are new, are as the indices say that there are.

    Raises:
        HiptError: if a table is damaged.
    """
    rows = _finished(results)
    rows += _unfinished(results, config, {row["slide_id"] for row in rows})
    for row in rows:
        if Path(row["slide_id"]).name != row["slide_id"]:  # files are named after it
            raise HiptError(f"{results.root}: names a slide {row['slide_id']!r}, which is no id")
    groups = groups_of(rows)
    return Cohort(
        rows,
        frozenset(path.stem for path in (results.root / "attend").glob(WHOLE)),
        tuple(sorted(p.parent.name for p in (results.root / "tasks").glob("*/folds.parquet"))),
        {row["slide_id"]: place for place, row in enumerate(rows)},
        {row["slide_id"]: str(group) for row, group in zip(rows, groups, strict=True)},
    )


def _finished(results: Results) -> list[Row]:
    """The rows of the slide table, where there is one."""
    return read_table(results.slides, SLIDES).to_pylist() if results.slides.exists() else []


def _unfinished(results: Results, config: Config, known: set[str]) -> Iterator[Row]:
    """The slides of the ledger that the slide table has not."""
    batch_of = read_ledger(results.batches).batch_of
    new = [slide for slide in batch_of if slide not in known]
    if not new:
        return
    sheet = _sheet(config)
    for row in so_far(results, EVERY_SLIDE).filter(pl.col("slide_id").is_in(new)).to_dicts():
        path, case_id, site = sheet.get(row["slide_id"], ("", row["slide_id"], ""))
        row |= {"case_id": case_id, "site": site, "path": path, "note": ""}
        yield row | {"status": row["status"] or WAITING}


def _sheet(config: Config) -> dict[str, tuple[str, str, str]]:
    """Path, case and site by slide; none where the sheet cannot be read."""
    cfg = config.slides
    try:
        rows = read_sheet(Path(cfg.sheet), cfg.root, cfg.case_from, cfg.missing)
    except HiptError as error:
        log.warning("%s; slides of a run that goes on have no file and no case", error)
        return {}
    return {row.slide_id: (str(row.path), row.case_id, row.site) for row in rows}


def _number(value: float | None) -> float | None:
    """A number of the table, without digits that nobody reads."""
    value = finite(value)
    return round(value, 4) if isinstance(value, float) else value


def _changed(path: Path) -> int:
    """When a file or folder changed last; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
