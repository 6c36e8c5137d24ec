"""What is known of a run's slides: the slide table, or until it is there what the indices say."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from hipt.cohort.batch_run import Row, read_index
from hipt.cohort.ledger import read_ledger
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.registry import EVERY_SLIDE
from hipt.store.schemas import SLIDES
from hipt.store.tables import read_table


def slide_table(results: Results) -> pl.DataFrame:
    """One row per slide, with the columns of `results/slides.parquet`.

    While a run is not finished that table is not there. Then there is a row per slide that ever was
    in the sheet: `status` is null, and `reason` names the step, where a slide is still on its way.

    Raises:
        HiptError: if there is neither the table nor the ledger of batches, or one is damaged.
    """
    if results.slides.is_file():
        return pl.DataFrame(read_table(results.slides, SLIDES))
    if not results.batches.is_file():
        raise HiptError(
            f"{results.root}: holds no results ({results.slides.name} and {results.batches.name} "
            "are not there); name the folder that `results` in the config names"
        )
    return so_far(results, EVERY_SLIDE)


def so_far(results: Results, steps: Sequence[str]) -> pl.DataFrame:
    """One row per slide of the ledger, from the indices of some steps, as far as they are there.

    Args:
        results: where they lie.
        steps: a slide that all of them are done with is `ok`.
    """
    batch_of = read_ledger(results.batches).batch_of
    rows: dict[str, Row] = {s: {"slide_id": s, "batch": b} for s, b in batch_of.items()}
    waiting = {slide_id: steps[0] for slide_id in rows}
    for step, following in zip(steps, (*steps[1:], ""), strict=True):
        for batch in sorted(set(batch_of.values())):
            index = results.index(step, batch)
            for found in read_index(index) if index.is_file() else ():
                slide_id = found["slide_id"]
                if waiting.get(slide_id) == step:
                    rows[slide_id] |= found
                    waiting[slide_id] = following if found["status"] == "ok" else ""
    for slide_id, step in waiting.items():
        if step:
            rows[slide_id] |= {"status": None, "reason": f"{step} is not done yet"}
    schema = pl.DataFrame(SLIDES.empty_table()).schema
    for row in rows.values():
        factors = row.get("downsamples")
        row["levels"] = None if factors is None else sum(f is not None for f in factors)
    columns = {name: [row.get(name) for row in rows.values()] for name in schema}
    return pl.DataFrame(columns, schema)
