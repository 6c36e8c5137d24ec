"""Regions, empty patches and tissue by where the grid starts (`tile.anchor`), slide by slide.

Slides without a resolution get 0.5 um/px.

python benchmarks/bench_anchor.py [--region-px 4096] SLIDE...
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cohort import Cohort

from hipt.config.step_settings import settings
from hipt.steps import segment, tile
from hipt.store.schemas import INDICES, MANIFEST
from hipt.store.tables import read_table

ANCHORS = ("slide", "tissue", "best")


class Cost(NamedTuple):
    """Of one slide under one anchor."""

    regions: int
    empty: int
    """Patches without any tissue."""
    patches: int
    tissue: float
    """Share of the slide's tissue that lies in kept regions."""

    def __str__(self) -> str:
        return f"{self.regions} | {self.empty / self.patches:.0%} | {self.tissue:.1%}"


def costs(cohort: Cohort) -> dict[str, Cost]:
    """By slide, of those that have a grid."""
    tile.run(cohort.index("segment"), cohort.index("tile"), settings("tile", cohort.config))
    found = {}
    for row in read_table(cohort.index("tile"), INDICES["tile"]).to_pylist():
        if row["status"] != "ok":
            continue
        manifest = read_table(cohort.results.shard("tile", row["slide_id"]), MANIFEST)
        empty = int((manifest["tissue"].to_numpy() == 0).sum())
        found[row["slide_id"]] = Cost(
            row["regions"], empty, row["patches"], row["tissue_in_regions"]
        )
    return found


def main() -> None:
    """Print a table, a row per slide and one for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--region-px", type=int, default=4096)
    parser.add_argument("slides", nargs="+", type=Path)
    args = parser.parse_args()
    by_anchor: dict[str, dict[str, Cost]] = {}
    with tempfile.TemporaryDirectory() as name:
        for anchor in ANCHORS:
            grid = {"anchor": anchor, "region_px": args.region_px}
            cohort = Cohort(Path(name), args.slides, tile=grid)
            if not by_anchor:
                segment.run(cohort.index("segment"), settings("segment", cohort.config))
            by_anchor[anchor] = costs(cohort)
    heads = [f"{anchor}: regions | empty | tissue" for anchor in ANCHORS]
    print(f"| slide | {' | '.join(heads)} |\n|{'---|' * (1 + 3 * len(ANCHORS))}")
    for slide in by_anchor[ANCHORS[0]]:
        print(f"| {slide} | {' | '.join(str(by_anchor[a][slide]) for a in ANCHORS)} |")
    sums = []
    for found in by_anchor.values():
        regions, empty, patches, tissue = np.array(list(found.values())).T
        share = empty.sum() / patches.sum()
        sums.append(f"{regions.sum():.0f} | {share:.0%} | {tissue.mean():.1%}")
    print(f"| all | {' | '.join(sums)} |")


if __name__ == "__main__":
    main()
