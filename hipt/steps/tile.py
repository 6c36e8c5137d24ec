"""Manifests of regions and patches for a batch of slides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hipt.config import TileSettings
from hipt.core.geometry import TooCoarseError, plan_read
from hipt.core.grid import region_grid
from hipt.errors import SlideError
from hipt.io.images import draw_grid, read_mask, read_rgb, write_jpeg
from hipt.io.indices import BatchRun, kept_facts, read_index
from hipt.io.results import Results
from hipt.io.settings import read_settings, step_parser
from hipt.io.shards import Provenance, fingerprint
from hipt.io.tables import MANIFEST, write_table
from hipt.steps import VERSION


def run(segment: Path, out: Path, cfg: TileSettings) -> None:
    """Lay the grid over the slides of one batch: a manifest each, then the batch's index."""
    results = Results.of_index(out)
    rows = read_index(segment)
    with BatchRun(out, len(rows), cfg.on_slide_error) as batch:
        for row in rows:
            if row["status"] != "ok":
                batch.carry(row)
                continue
            with batch.slide(row["slide_id"]) as facts:
                _tile(row, results, cfg, facts)


def _tile(
    row: Mapping[str, Any], results: Results, cfg: TileSettings, facts: dict[str, Any]
) -> None:
    """One slide: keep its manifest if it is the right one, else make it; fill in the facts."""
    ...


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the segment index, the settings, the tile index."""
    parser = step_parser("tile", __doc__)
    parser.add_argument("--segment", type=Path, required=True, help="the batch's segment index")
    args = parser.parse_args(argv)
    run(args.segment, args.out, read_settings("tile", TileSettings, args.cfg))
