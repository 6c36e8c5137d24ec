"""The slide table: one row per slide of the sheet, joined from the indices."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow as pa

from hipt.cohort.ledger import read_ledger
from hipt.cohort.same_content import notes
from hipt.cohort.sheet import SlideRow, read_sheet
from hipt.cohort.unknown import unknown_cells, unknown_note
from hipt.config.command_line import read_settings, step_parser
from hipt.config.step_settings import SlidesSettings
from hipt.embedding.precisions import COLUMNS, counted, in_words, refusal
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.registry import EVERY_SLIDE
from hipt.store.schemas import INDICES, SLIDES
from hipt.store.tables import read_table, write_table

log = logging.getLogger(__name__)

STEP = "slides"

VERDICT = ("status", "reason", "fingerprint")
"""What every step's index says of a slide; all else in it are the step's own facts."""


def run(out: Path, cfg: SlidesSettings) -> None:
    """Join sheet and indices into the slide table; name the files that somebody deleted."""
    results = Results(out.parent)
    sheet = read_sheet(Path(cfg.sheet), cfg.root, cfg.case_from, cfg.missing)
    for sentence in unknown_cells(sheet):
        log.info("sheet: %s", sentence)
    slides = _placed(sheet, read_ledger(results.batches).batch_of, results)
    for step in EVERY_SLIDE:
        slides = _joined(slides, step, results)
    table = _finished(_compared(slides), _deleted(slides, results))
    _compare_precisions(table, cfg.mixed_precision)
    write_table(out, table.select(SLIDES.names).to_arrow(), SLIDES)
    log.info("%d slides, %d in order", len(table), (table["status"] == "ok").sum())


def _placed(
    sheet: Sequence[SlideRow], batch_of: Mapping[str, str], results: Results
) -> pl.DataFrame:
    """The sheet's rows, each with its batch."""
    if new := [row.slide_id for row in sheet if row.slide_id not in batch_of]:
        raise HiptError(
            f"{results.batches}: {len(new)} of the sheet's slides have no batch yet, {new[0]} "
            "among them; run `snakemake`, which forms batches first"
        )
    rows = [
        (r.slide_id, r.case_id, r.site, str(r.path), batch_of[r.slide_id], unknown_note(r) or None)
        for r in sheet
    ]
    columns = ("slide_id", "case_id", "site", "path", "batch", "unknown")
    return pl.DataFrame(rows, dict.fromkeys(columns, pl.String), orient="row")


def _joined(slides: pl.DataFrame, step: str, results: Results) -> pl.DataFrame:
    """The slides with a step's verdict, and those of its facts that no step before it gave."""
    batches = sorted(set(slides["batch"]))
    index = _index(step, batches, results)
    facts = [name for name in index.columns if name not in (*slides.columns, *VERDICT)]
    index_rows = index.select(
        "slide_id", *facts, *(pl.col(name).alias(f"{step} {name}") for name in VERDICT)
    )
    joined = slides.join(
        index_rows, on="slide_id", how="left", validate="1:1", maintain_order="left", coalesce=True
    )
    lost = joined.filter(pl.col(f"{step} status").is_null())
    if len(lost):
        slide_id, batch = lost.select("slide_id", "batch").row(0)
        path = results.index(step, batch)
        raise HiptError(
            f"{path}: has no row for {slide_id}, which came back into the sheet; "
            f"make it again: snakemake --forcerun {results.index('segment', batch)}"
        )
    return joined


def _index(step: str, batches: Iterable[str], results: Results) -> pl.DataFrame:
    """The indices of a step's batches, one below the other."""
    tables = [read_table(results.index(step, batch), INDICES[step]) for batch in batches]
    return pl.DataFrame(pa.concat_tables(tables))


def _compare_precisions(table: pl.DataFrame, mixed: Literal["note", "refuse"]) -> None:
    """Say it where some slides' vectors were made in another precision than others'."""
    for column, what in COLUMNS.items():
        precisions = table.filter(status="ok")[column]
        counts = counted(precisions)
        if len(counts) < 2:
            continue
        example = table.filter(pl.col("status") == "ok", pl.col(column) == list(counts)[-1])
        if mixed == "refuse":
            raise HiptError(refusal(what, counts, example["slide_id"][0]))
        log.warning("%s: %s (embed.mixed_precision is 'note')", what, in_words(counts))


def _compared(slides: pl.DataFrame) -> pl.DataFrame:
    """The slides with a note on those that show the same pixels as others."""
    ids, content = slides["slide_id"].to_list(), slides["content"].fill_null("").to_list()
    cases = dict(zip(ids, slides["case_id"].to_list(), strict=True))
    remarks = notes(dict(zip(ids, content, strict=True)), cases)
    if remarks:
        log.warning("%d slides share their content with others; see the column note", len(remarks))
    return slides.with_columns(
        pl.Series("shared", [remarks.get(slide) for slide in ids], pl.String, strict=True)
    )


def _deleted(slides: pl.DataFrame, results: Results) -> pl.DataFrame:
    """Notes on files that an index vouches for and that are not there, by slide."""
    notes: dict[str, list[str]] = defaultdict(list)
    for step in EVERY_SLIDE:
        made = slides.filter(pl.col(f"{step} fingerprint").is_not_null())
        folder = results.root / step  # listed once: asking for each file is slow on network disks
        there = {path.name for path in folder.iterdir()}
        for slide_id, batch in made.select("slide_id", "batch").iter_rows():
            if results.shard(step, slide_id).name not in there:
                index = results.index(step, batch)
                note = f"{step} file is missing; make it again: snakemake --forcerun {index}"
                log.warning("%s: %s", slide_id, note)
                notes[slide_id].append(note)
    texts = {slide_id: "; ".join(all_of_it) for slide_id, all_of_it in notes.items()}
    columns = {"slide_id": list(texts), "deleted": list(texts.values())}
    return pl.DataFrame(columns, {"slide_id": pl.String, "deleted": pl.String})


def _finished(slides: pl.DataFrame, deleted: pl.DataFrame) -> pl.DataFrame:
    """The slides with one verdict each, that of the first step that was not ok, and all notes."""

    def verdict(name: str) -> pl.Expr:
        ended = [
            pl.when(pl.col(f"{step} status") != "ok").then(f"{step} {name}") for step in EVERY_SLIDE
        ]
        return pl.coalesce(*ended, f"embed_regions {name}").alias(name)

    tile_remark = (pl.col("tile status") == "ok") & (pl.col("tile reason") != "")
    return slides.join(deleted, on="slide_id", how="left", maintain_order="left").with_columns(
        verdict("status"),
        verdict("reason"),
        levels=pl.col("downsamples").list.drop_nulls().list.len(),
        note=pl.concat_str(
            "unknown",
            pl.when(pl.col("note") != "").then("note"),
            # what tile says of a slide in order: how many imported patches do not fit
            pl.when(tile_remark).then("tile reason"),
            "shared",
            "deleted",
            separator="; ",
            ignore_nulls=True,
        ),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the settings, the table to make."""
    args = step_parser(STEP, __doc__).parse_args(argv)
    run(args.out, read_settings(STEP, SlidesSettings, args.cfg))
