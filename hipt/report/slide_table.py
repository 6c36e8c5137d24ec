"""The slide table as the page shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs

from hipt.cohort.batch_run import read_seconds
from hipt.errors import TROUBLE
from hipt.layout import Results
from hipt.registry import EVERY_SLIDE
from hipt.store.schemas import SLIDES
from hipt.store.tables import read_table

COLUMNS = (
    ("slide_id", "Slide", "text", True),
    ("case_id", "Case", "text", True),
    ("site", "Site", "text", True),
    ("status", "Status", "text", True),
    ("reason", "Reason", "text", True),
    ("note", "Remark", "text", True),
    ("tissue_mm2", "Tissue, mm²", "number", True),
    ("tissue_fraction", "Tissue, share of slide", "share", False),
    ("tissue_in_regions", "Tissue in regions", "share", True),
    ("regions", "Regions", "count", True),
    ("patches", "Patches", "count", False),
    ("tissue_patches", "Tissue patches", "count", True),
    ("computed_patches", "Computed patches", "count", True),
    ("unreadable_patches", "Unreadable patches", "count", True),
    ("mpp", "µm/px", "number", True),
    ("mpp_source", "µm/px from", "text", False),
    ("objective", "Objective", "number", False),
    ("vendor", "Vendor", "text", True),
    ("width_px", "Width, px", "count", False),
    ("height_px", "Height, px", "count", False),
    ("levels", "Levels", "count", False),
    ("read_level", "Read level", "count", False),
    ("downsample", "Downsample", "number", False),
    ("read_mpp", "Read µm/px", "number", False),
    ("precision", "Precision", "text", False),
    ("region_precision", "Precision of regions", "text", False),
    *((f"seconds_{step}", f"{step}, s", "number", False) for step in EVERY_SLIDE),
    ("batch", "Batch", "text", False),
    ("path", "File", "text", False),
)
"""The table's columns: name, heading, kind, and whether it is shown from the start."""


def read_slides(path: Path, results: Results) -> pl.DataFrame:
    """The slide table, with the seconds of every step; what is NaN is null.

    Raises:
        HiptError: if it is absent or damaged.
    """
    table = pl.DataFrame(read_table(path, SLIDES))
    batches = table["batch"].unique(maintain_order=True)
    for step in EVERY_SLIDE:
        seconds: dict[str, float] = {}
        for batch in batches:
            seconds |= read_seconds(results.seconds(step, batch))
        spent = pl.Series(f"seconds_{step}", map(seconds.get, table["slide_id"]), pl.Float64)
        table = table.with_columns(spent)
    return table.with_columns(cs.float().fill_nan(None))


def slide_table(table: pl.DataFrame) -> dict[str, Any]:
    """The table for the page's script: columns with all of their values."""
    columns = [
        {
            "name": name,
            "label": label,
            "kind": kind,
            "shown": shown and _telling(table, name),
            "values": table[name].to_list(),
        }
        for name, label, kind, shown in COLUMNS
    ]
    return {"columns": columns, "trouble": sorted(TROUBLE)}


def _telling(table: pl.DataFrame, name: str) -> bool:
    """Whether a column says anything that the slide's id does not."""
    if name == "case_id":
        return not table["case_id"].equals(table["slide_id"], check_names=False)
    return not table[name].is_null().all() and not table[name].cast(pl.String).eq("").all()
