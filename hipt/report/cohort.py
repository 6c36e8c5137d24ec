"""A cohort in numbers: sums and distributions of the slide table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import polars as pl

MOST_KINDS = 10
"""Most values of a distribution that are named; the others are counted together."""

SUMMED = (
    "tissue_mm2",
    "regions",
    "patches",
    "tissue_patches",
    "computed_patches",
    "unreadable_patches",
)


def totals(table: pl.DataFrame) -> dict[str, Any]:
    """Slides, cases and sites; areas and counts summed over slides in order."""
    done = table.filter(status="ok")
    return {
        "slides": len(table),
        "done": len(done),
        "cases": table["case_id"].n_unique(),
        "sites": table.filter(pl.col("site") != "")["site"].n_unique(),
        **{name: done[name].sum() for name in SUMMED},
    }


def distributions(table: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """How many slides have which site, vendor and resolution; only where something is known.

    Yields:
        title, rows (value, slides) from frequent to rare, and total.
    """
    for title, values in (
        ("Site", table["site"].replace("", None)),
        ("Vendor", table["vendor"]),
        ("µm per pixel, to 0.01", table["mpp"].round(2).cast(pl.String)),
        ("µm per pixel taken from", table["mpp_source"]),
        ("Precision of patch vectors", table["precision"].drop_nulls()),
        ("Precision of region vectors", table["region_precision"].drop_nulls()),
    ):
        counts = sorted(Counter(values.drop_nulls()).items(), key=lambda kind: (-kind[1], kind[0]))
        if not counts:
            continue
        rows, others = counts[:MOST_KINDS], counts[MOST_KINDS:]
        if others:
            rows.append((f"{len(others)} others", sum(slides for _, slides in others)))
        if values.null_count():
            rows.append(("not known", values.null_count()))
        yield {"title": title, "rows": rows, "total": len(values)}
