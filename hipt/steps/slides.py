"""The slide table: one row per slide of the sheet, joined from the indices."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hipt.config import SlidesSettings
from hipt.io.batches import read_ledger
from hipt.io.indices import Row, read_index
from hipt.io.results import SHARD_SUFFIX, Results
from hipt.io.settings import read_settings, step_parser
from hipt.io.sheets import SlideRow, read_sheet
from hipt.io.tables import SLIDES, write_rows

log = logging.getLogger(__name__)

STEP = "slides"


def run(out: Path, cfg: SlidesSettings) -> None:
    """Join sheet and indices into the slide table; name the files that somebody deleted."""
    results = Results(out.parent)
    sheet = read_sheet(Path(cfg.sheet), cfg.root, cfg.case_from)
    batch_of = read_ledger(results.batches).batch_of
    batches = sorted({batch_of[row.slide_id] for row in sheet})
    indices = {step: dict(_indexed(results, step, batches)) for step in SHARD_SUFFIX}
    rows = []
    for slide in sheet:
        found = {step: index[slide.slide_id] for step, index in indices.items()}
        rows.append(_row(slide, batch_of[slide.slide_id], found, results))
    write_rows(out, rows, SLIDES)
    log.info("%d slides, %d in order", len(rows), sum(row["status"] == "ok" for row in rows))


def _indexed(results: Results, step: str, batches: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """The rows of a step's indices, by slide."""
    for batch in batches:
        for row in read_index(results.index(step, batch)):
            yield row["slide_id"], row


def _row(slide: SlideRow, batch: str, found: Mapping[str, Row], results: Results) -> Row:
    """A slide's row: the facts of each step, and the last verdict."""
    facts: Row = {}
    for row in found.values():
        facts |= {name: value for name, value in row.items() if value is not None}
    notes = [facts.get("note", ""), *_deleted(slide.slide_id, batch, found, results)]
    facts |= {
        "case_id": slide.case_id,
        "site": slide.site,
        "path": str(slide.path),
        "batch": batch,
        "note": "; ".join(filter(None, notes)),
        "levels": len(facts["downsamples"]) if "downsamples" in facts else None,
    }
    return {name: facts.get(name) for name in SLIDES.names}


def _deleted(
    slide_id: str, batch: str, found: Mapping[str, Row], results: Results
) -> Iterator[str]:
    """The slide's files that an index vouches for and that are not there."""
    for step, row in found.items():
        if row["fingerprint"] is None or results.shard(step, slide_id).exists():
            continue
        index = results.index(step, batch)
        note = f"its file of {step} was deleted; make it again with snakemake --forcerun {index}"
        log.warning("%s: %s", slide_id, note)
        yield note


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the settings, the table to make."""
    args = step_parser(STEP, __doc__).parse_args(argv)
    run(args.out, read_settings(STEP, SlidesSettings, args.cfg))
