"""A cohort in numbers: statuses, sums, distributions and histograms of the slide table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

MOST_BARS = 24
"""Most bars of a histogram."""

MOST_KINDS = 10
"""Most values of a distribution that are named; the others are counted together."""

SUMMED = ("tissue_mm2", "regions", "patches", "tissue_patches", "unreadable_patches")


def totals(table: pl.DataFrame) -> dict[str, Any]:
    """Slides, cases and sites; areas and counts summed over slides in order.

    Args:
        table: the slide table.
    """
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

    Args:
        table: the slide table.

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


def histograms(table: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Tissue and regions per slide, over slides in order.

    Args:
        table: the slide table.

    Yields:
        title, bars (slides per bin), edges (one more than bars, steps of 1, 2 or 5 times a power
        of ten) and quartiles (least, 25 %, median, 75 %, most).
    """
    done = table.filter(status="ok")
    for title, name, least_step in (
        ("Tissue per slide, mm²", "tissue_mm2", 0.0),
        ("Regions per slide", "regions", 1.0),
    ):
        values = done[name].drop_nulls().to_numpy()
        if not len(values) or values.max() <= 0:
            continue
        step = max(least_step, round_step(float(values.max()) / MOST_BARS))
        edges = np.arange(math.floor(values.max() / step) + 2) * step
        yield {
            "title": title,
            "bars": np.histogram(values, edges)[0].tolist(),
            "edges": edges.tolist(),
            "quartiles": np.quantile(values, (0, 0.25, 0.5, 0.75, 1)).tolist(),
        }


def round_step(least: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)
